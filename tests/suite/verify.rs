//! `logfade verify`: finds nothing in what `pipe` wrote, and finds everything that was put back on purpose.

use std::io::Write;

use serde_json::Value;

use super::families::LOGS;
use super::pipe::combined;
use super::samples::SAMPLES;
use super::support::{Dir, Outcome, corpora, holds, lines, logfade, pipe};

const POLICIES: [&str; 3] = ["default", "strict", "analytics"];

/// A log in which every kind of identifier stands, each line with its own.
const RAW: &str = r#"203.0.113.9 - mallory [10/Oct/2023:13:55:36 +0000] "GET /shop/cart?session=zebra123&page=2 HTTP/1.1" 200 2326 "https://www.example.org/start?q=quagga77" "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
198.51.100.77 - - [10/Oct/2023:13:55:37 +0000] "GET /mail/eve@example.org/inbox HTTP/1.1" 200 411 "-" "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
2001:db8:f0a1:2::5 - - [10/Oct/2023:13:55:39 +0000] "POST /api/items HTTP/1.1" 201 17 "-" "curl/8.5.0"
192.0.2.0 - - [10/Oct/2023:13:56:01 +0000] "GET /index.html HTTP/1.1" 304 - "-" "curl/8.5.0"
pc77.dsl.provider.example - - [10/Oct/2023:13:56:02 +0000] "GET /index.html HTTP/1.1" 200 44 "-" "curl/8.5.0"
no record at all 203.0.113.44 wombat
203.0.113.200 - - [10/Oct/2023:13:57:11 +0000] "GET /news/1 HTTP/1.1" 404 153 "-" "curl/8.5.0"
198.51.100.6 - - [10/Oct/2023:13:57:12 +0000] "GET /news/2 HTTP/1.1" 200 9153 "-" "curl/8.5.0"
2001:db8:ffff:7::1 - - [10/Oct/2023:13:58:00 +0000] "GET /news/3 HTTP/1.1" 200 9153 "-" "curl/8.5.0"
"#;

fn clean_of(raw: &[u8], args: &[&str]) -> Vec<u8> {
    let outcome = pipe(args, raw);
    outcome.expect_code(0);
    outcome.stdout
}

fn verify(raw: &[u8], clean: &[u8], args: &[&str]) -> Outcome {
    let dir = Dir::new();
    let (raw, clean) = (dir.file("raw", raw), dir.file("clean", clean));
    let mut all = vec!["verify", "--json", raw.as_str(), clean.as_str()];
    all.extend_from_slice(args);
    logfade(&all).run(b"")
}

/// The lines that a report names, by key.
fn named(report: &Value, key: &str) -> Vec<u64> {
    report[key].as_array().expect("a list").iter().map(|leak| leak["line"].as_u64().expect("a line")).collect()
}

#[test]
fn what_pipe_wrote_is_clean() {
    for policy in POLICIES {
        for output in ["same", "json"] {
            let clean = clean_of(RAW.as_bytes(), &["--policy", policy, "--output", output]);
            for args in [&[][..], &["--policy", policy]] {
                let outcome = verify(RAW.as_bytes(), &clean, args);
                assert_eq!(outcome.code(), Some(0), "{policy} as {output}, {args:?}: {}", outcome.stdout_text());
                let report = outcome.json();
                assert_eq!((&report["raw_lines"], &report["clean_lines"], &report["rejected"]), (&9.into(), &9.into(), &1.into()), "{policy} as {output}");
                assert_eq!(report["leaks"], Value::Array(Vec::new()));
            }
        }
    }
}

#[test]
fn every_named_format_and_envelope_is_clean() {
    let mut failures = Vec::new();
    for sample in SAMPLES {
        let mut raw = sample.header.as_bytes().to_vec();
        for number in 0..5 {
            sample.write(&mut raw, |slot, out| {
                let value = match slot {
                    "ip" => format!("203.0.113.{}", 10 + number),
                    "user" => format!("mallory{number}"),
                    "path" => format!("/shop/{number}"),
                    "query" => format!("id=zebra{number}&q=x"),
                    "ref" => format!("https://www.example.net/from?s=quagga{number}"),
                    "ua" => "Mozilla/5.0".to_owned(),
                    _ => format!("wombat{number}"),
                };
                out.extend_from_slice(value.as_bytes());
            });
        }
        for policy in POLICIES {
            let clean = clean_of(&raw, &["--format", sample.format, "--policy", policy]);
            for args in [&["--format", sample.format][..], &["--format", sample.format, "--policy", policy]] {
                let outcome = verify(&raw, &clean, args);
                if outcome.code() != Some(0) {
                    failures.push(format!("{} {policy} {args:?}: {}{}", sample.name(), outcome.stdout_text(), outcome.stderr_text()));
                }
                let passed = verify(&raw, &raw, args);
                assert_eq!(passed.code(), Some(4), "{}: the raw file itself is no clean one", sample.name());
                let named = named(&passed.json(), "leaks");
                assert!(named.len() >= 5, "{}: every record leaks: {}", sample.name(), passed.stdout_text());
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_file_of_the_corpora_is_clean() {
    let Some(root) = corpora() else { return };
    let mut failures = Vec::new();
    for log in LOGS {
        let raw = log.read(&root);
        for policy in POLICIES {
            for how in [&[][..], &["--output", "json"], &["--on-reject", "drop"]] {
                let mut args = vec!["--policy", policy];
                args.extend_from_slice(how);
                let outcome = verify(&raw, &clean_of(&raw, &args), &[]);
                if outcome.code() != Some(0) {
                    failures.push(format!("{} {args:?}: {}", log.path, outcome.stdout_text()));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// One way to break a clean file: what to do, and the lines of which at least one must be named.
type Break = (&'static str, fn(&mut Vec<String>), &'static [u64]);

fn replace(lines: &mut [String], number: usize, from: &str, to: &str) {
    let line = &mut lines[number - 1];
    assert!(line.contains(from), "line {number} holds {from}: {line}");
    *line = line.replacen(from, to, 1);
}

/// Puts an address of line 1 into its path.
fn in_path(lines: &mut [String], text: &str) {
    replace(lines, 1, "/shop/cart", &format!("/shop/{text}"));
}

const BREAKS: &[Break] = &[
    ("the raw address stands in its slot", |l| replace(l, 1, "203.0.113.0", "203.0.113.9"), &[1]),
    ("the raw address stands in the referrer", |l| replace(l, 1, "https://www.example.org/", "https://203.0.113.9/"), &[1]),
    ("the raw address stands in the path", |l| in_path(l, "cart/203.0.113.9"), &[1]),
    ("with dashes in a name", |l| in_path(l, "cart/p203-0-113-9.dsl.example"), &[1]),
    ("with underscores", |l| in_path(l, "cart/203_0_113_9"), &[1]),
    ("percent-encoded", |l| in_path(l, "cart/%32%30%33%2E%30%2E%31%31%33%2E%39"), &[1]),
    ("percent-encoded twice", |l| in_path(l, "cart/203%252E0%252E113%252E9"), &[1]),
    ("with escapes of bytes", |l| replace(l, 1, "Firefox/128", r"\x32\x30\x33.0.113.9"), &[1]),
    ("with escapes of JSON", |l| in_path(l, r"cart/203\u002e0\u002e113\u002e9"), &[1]),
    ("reversed", |l| in_path(l, "cart/9.113.0.203.in-addr.arpa"), &[1]),
    ("as hex with 0x", |l| in_path(l, "cart/0xcb007109"), &[1]),
    ("as bare hex", |l| in_path(l, "cart/CB007109"), &[1]),
    ("as a number", |l| in_path(l, "cart/3405803785"), &[1]),
    ("with a port", |l| in_path(l, "cart/203.0.113.9:51234"), &[1]),
    ("mapped into IPv6", |l| replace(l, 1, "203.0.113.0", "::ffff:203.0.113.9"), &[1]),
    ("mapped into IPv6 as hex", |l| in_path(l, "cart/::ffff:cb00:7109"), &[1]),
    ("as 6to4", |l| in_path(l, "cart/2002:cb00:7109::1"), &[1]),
    ("as NAT64", |l| in_path(l, "cart/64:ff9b::203.0.113.9"), &[1]),
    ("as Teredo", |l| in_path(l, "cart/2001:0:4136:e378:8000:63bf:34ff:8ef6"), &[1]),
    ("one bit too many", |l| replace(l, 7, "203.0.113.0", "203.0.113.128"), &[7]),
    ("one bit of IPv6 too many", |l| replace(l, 9, "2001:db8::", "2001:db8:8000::"), &[9]),
    ("the whole IPv6 address", |l| replace(l, 3, "2001:db8::", "2001:db8:f0a1:2::5"), &[3]),
    ("the whole IPv6 address, expanded, in the path", |l| replace(l, 3, "/api/items", "/api/2001:0DB8:F0A1:0002:0000:0000:0000:0005"), &[3]),
    ("the whole IPv6 address, coded, in the path", |l| replace(l, 3, "/api/items", "/api/2001%3Adb8%3Af0a1%3A2%3A%3A5"), &[3]),
    ("the whole IPv6 address with dashes", |l| replace(l, 3, "/api/items", "/api/2001-db8-f0a1-2--5.ipv6-literal.net"), &[3]),
    ("the e-mail", |l| replace(l, 2, "/mail/-", "/mail/eve@example.org"), &[2]),
    ("the e-mail, coded", |l| replace(l, 2, "/mail/-", "/mail/eve%40example.org"), &[2]),
    ("the e-mail in another field", |l| replace(l, 2, "Chrome/120", "EVE@example.org"), &[2]),
    ("the user", |l| replace(l, 1, "- - [", "- mallory ["), &[1]),
    ("the user in another field", |l| replace(l, 1, "Firefox/128", "mallory"), &[1]),
    ("the query", |l| replace(l, 1, "/shop/cart", "/shop/cart?session=zebra123&page=2"), &[1]),
    ("the value of a query in the path", |l| in_path(l, "cart/zebra123"), &[1]),
    ("the value of the referrer's query", |l| replace(l, 1, "example.org/", "example.org/?q=quagga77"), &[1]),
    ("the client's name", |l| replace(l, 5, "- - - [", "pc77.dsl.provider.example - - ["), &[5]),
    ("another record's address", |l| replace(l, 2, "/mail/-", "/mail/203.0.113.9"), &[2]),
    ("another record's e-mail", |l| in_path(l, "eve@example.org"), &[1]),
    ("a line that does not parse is passed through", |l| l[5] = "no record at all 203.0.113.44 wombat".to_owned(), &[6]),
    ("a line that does not parse leaves a word", |l| l[5] = "- - - - - wombat".to_owned(), &[6]),
    ("another status", |l| replace(l, 7, " 404 ", " 200 "), &[7]),
    ("another time", |l| replace(l, 7, "13:57:11", "13:57:12"), &[7]),
    ("another network", |l| replace(l, 7, "203.0.113.0", "198.51.100.0"), &[7]),
    ("two lines changed places", |l| l.swap(6, 7), &[7, 8]),
    ("a line is missing", |l| drop(l.remove(1)), &[]),
    ("the last line is missing", |l| drop(l.pop()), &[]),
    ("a line stands twice", |l| l.insert(1, l[0].clone()), &[]),
    ("the last line stands twice", |l| l.push(l[8].clone()), &[]),
    ("a line of unknown origin", |l| l.push("10.9.8.7 - eve - secret".to_owned()), &[]),
    ("nothing is there", Vec::clear, &[]),
];

#[test]
fn whatever_is_put_back_is_found() {
    let clean = String::from_utf8(clean_of(RAW.as_bytes(), &["--format", "combined"])).unwrap();
    let mut unseen = Vec::new();
    for (what, change, wanted) in BREAKS {
        let mut broken: Vec<String> = clean.lines().map(str::to_owned).collect();
        change(&mut broken);
        let broken = broken.iter().map(|line| format!("{line}\n")).collect::<String>();
        for args in [&["--format", "combined"][..], &[], &["--policy", "default"]] {
            let outcome = verify(RAW.as_bytes(), broken.as_bytes(), args);
            if outcome.code() != Some(4) {
                unseen.push(format!("{what}, {args:?}"));
                continue;
            }
            let report = outcome.json();
            let mut found = named(&report, "leaks");
            found.extend(named(&report, "strangers"));
            if !wanted.is_empty() && !wanted.iter().any(|line| found.contains(line)) {
                unseen.push(format!("{what}, {args:?}: not on its line: {report}"));
            }
        }
    }
    assert!(unseen.is_empty(), "{} of {} were not seen:\n{}", unseen.len(), BREAKS.len(), unseen.join("\n"));
}

#[test]
fn a_whole_file_with_one_bit_too_many_is_found() {
    let dir = Dir::new();
    let policy = |v4: u8, v6: u8| {
        format!(
            "client_addr = \"truncate/{v4},{v6}\"\nproxied_addr = \"drop\"\nquery = \"drop\"\nuser = \"drop\"\ntime = \"second\"\nother = \"keep\"\nheader = \"drop\"\ncookie = \"drop\"\nident = \"drop\"\nreferrer = \"origin\"\nuser_agent = \"family\"\npath = \"detect\"\nrequest_id = \"drop\"\nsession = \"drop\"\n"
        )
    };
    let long = dir.file("long.toml", policy(25, 33).as_bytes());
    let clean = clean_of(RAW.as_bytes(), &["--format", "combined", "--policy", &long]);
    assert_eq!(verify(RAW.as_bytes(), &clean, &["--policy", "default"]).code(), Some(4), "it is not what the policy says");
    assert_eq!(verify(RAW.as_bytes(), &clean, &[]).code(), Some(4), "25 bits of IPv4 hide too few");
    assert_eq!(verify(RAW.as_bytes(), &clean, &["--policy", &long]).code(), Some(0), "a policy may say so");
}

#[test]
fn other_slots_and_layouts_are_searched_as_well() {
    let format = r#"nginx:$remote_addr [$time_local] "$request" $status $request_id "$cookie_session" "$http_x_forwarded_for" $host $upstream_addr"#;
    let raw =
        "203.0.113.9 [10/Oct/2023:13:55:36 +0000] \"GET /a HTTP/1.1\" 200 4bf92f3577b34da6 \"horse-battery\" \"198.51.100.7, 203.0.113.9\" www.example.org 10.0.0.9:80\n".repeat(3);
    let clean = String::from_utf8(clean_of(raw.as_bytes(), &["--format", format])).unwrap();
    assert_eq!(verify(raw.as_bytes(), clean.as_bytes(), &["--format", format]).code(), Some(0));
    for (what, from, to) in [
        ("the request id", "200 - ", "200 4bf92f3577b34da6 "),
        ("the session", "\"-\"", "\"horse-battery\""),
        ("the first hop", "198.51.100.0", "198.51.100.7"),
        ("a hop in the wrong place", "198.51.100.0", "203.0.113.9"),
        ("a proxied address as the client", "203.0.113.0 [", "198.51.100.7 ["),
        ("the session as the host", "www.example.org", "horse-battery"),
    ] {
        assert!(clean.contains(from), "{what}: {clean}");
        let broken = clean.replacen(from, to, 1);
        let outcome = verify(raw.as_bytes(), broken.as_bytes(), &["--format", format]);
        assert_eq!(outcome.code(), Some(4), "{what}: {broken}");
        let report = outcome.json();
        let mut found = named(&report, "leaks");
        found.extend(named(&report, "strangers"));
        assert!(found.contains(&1), "{what}: {report}");
    }
    let json = clean_of(raw.as_bytes(), &["--format", format, "--output", "json"]);
    let json = String::from_utf8(json).unwrap().replacen("203.0.113.0", "203.0.113.9", 1);
    assert_eq!(verify(raw.as_bytes(), json.as_bytes(), &["--format", format]).code(), Some(4), "as JSON");
}

#[test]
fn what_stays_by_right_is_no_leak() {
    let except = Dir::new();
    let except = except.file("own.toml", b"except = [\"203.0.113.8/29\"]\nclient_addr = \"truncate/24,32\"\nproxied_addr = \"truncate/24,32\"\nuser_agent = \"family\"\npath = \"detect\"\nmethod = \"keep\"\nstatus = \"keep\"\nbytes = \"keep\"\nprotocol = \"keep\"\ntime = \"second\"\nreferrer = \"origin\"\nother = \"drop\"\n");
    let own = clean_of(RAW.as_bytes(), &["--format", "combined", "--policy", &except]);
    assert!(holds(&own, b"203.0.113.9 "));
    assert_eq!(verify(RAW.as_bytes(), &own, &["--policy", &except]).code(), Some(0), "a network that the policy excepts");
    assert_eq!(verify(RAW.as_bytes(), &own, &[]).code(), Some(4));
    let clean = clean_of(RAW.as_bytes(), &["--format", "combined"]);
    let text = String::from_utf8(clean).unwrap().replacen("203.0.113.0", "203.0.113.9", 1);
    assert_eq!(verify(RAW.as_bytes(), text.as_bytes(), &[]).code(), Some(4));
    assert_eq!(verify(RAW.as_bytes(), text.as_bytes(), &["--except", "10.0.0.0/8", "--except", "203.0.113.0/28"]).code(), Some(0));
    let security = clean_of(RAW.as_bytes(), &["--format", "combined", "--policy", "security"]);
    assert_eq!(verify(RAW.as_bytes(), &security, &[]).code(), Some(4), "addresses stay under `security`");
    assert_eq!(verify(RAW.as_bytes(), &security, &["--policy", "security"]).code(), Some(0), "and may, if that is the policy");
    let analytics = clean_of(RAW.as_bytes(), &["--format", "combined", "--policy", "analytics"]);
    assert!(holds(&analytics, b"?page=2"));
    assert_eq!(verify(RAW.as_bytes(), &analytics, &["--policy", "default"]).code(), Some(4), "`default` keeps no parameter");
}

/// A request that cannot be taken apart stays where the policy keeps paths: it was a leak once, so that nothing of such a log ever expired.
#[test]
fn a_torn_request_may_stay_where_paths_may() {
    let raw = ["\\x16\\x03\\x01\\x02", "quit", "GET"].map(|request| format!("203.0.113.9 - - [10/Oct/2023:13:55:36 +0000] \"{request}\" 400 157 \"-\" \"-\"\n")).concat();
    let dir = Dir::new();
    let [keeps, drops] = ["keep", "drop"].map(|action| dir.file(action, format!("path = \"{action}\"\ntime = \"keep\"\nstatus = \"keep\"\nother = \"drop\"\n").as_bytes()));
    let kept = clean_of(raw.as_bytes(), &["--format", "combined", "--policy", &keeps]);
    assert!(holds(&kept, b"\"quit\""));
    assert_eq!(verify(raw.as_bytes(), &kept, &["--policy", &keeps]).code(), Some(0));
    assert_eq!(verify(raw.as_bytes(), &kept, &["--policy", &drops]).json()["leak_count"], 3);
    let security = clean_of(raw.as_bytes(), &["--format", "combined", "--policy", "security"]);
    assert_eq!(verify(raw.as_bytes(), &security, &["--policy", "security"]).code(), Some(0));
}

#[test]
fn a_torn_request_stays_in_front_of_its_query_alone() {
    let requests = [
        "foo /x?token=SECRET99 a b",
        "foo /x%3ftoken=SECRET99 a b",
        "foo /x%253Ftoken=SECRET99 a b",
        "?token=SECRET99 a b c",
        "foo /x\\x3ftoken=SECRET99 a b",
        "foo /x#SECRET99 a b",
    ];
    let raw: String = requests.iter().map(|request| format!("203.0.113.9 - - [10/Oct/2023:13:55:36 +0000] \"{request}\" 400 157 \"-\" \"-\"\n")).collect();
    let clean = clean_of(raw.as_bytes(), &["--format", "combined", "--policy", "security"]);
    let text = String::from_utf8(clean.clone()).unwrap();
    assert_eq!((text.matches("\"foo /x\" 400").count(), text.matches("\"-\" 400").count(), text.matches("SECRET99").count()), (5, 1, 0), "{text}");
    assert_eq!(verify(raw.as_bytes(), &clean, &["--policy", "security"]).code(), Some(0));
}

#[test]
fn both_files_may_be_compressed() {
    let raw = combined(3000);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&raw).unwrap();
    let raw_gz = gzip.finish().unwrap();
    for codec in ["none", "gzip", "zstd"] {
        let clean = clean_of(&raw, &["--compress", codec]);
        let outcome = verify(&raw_gz, &clean, &[]);
        assert_eq!(outcome.code(), Some(0), "{codec}: {}", outcome.stdout_text());
        assert_eq!(outcome.json()["raw_lines"], 3000);
    }
    let raw_zst = zstd::encode_all(&raw[..], 1).unwrap();
    assert_eq!(verify(&raw_zst, &raw_gz, &[]).code(), Some(4));
}

#[test]
fn every_dropped_reject_is_accounted_for_and_nothing_else() {
    let mut raw = combined(200);
    let odd: Vec<u8> =
        lines(&combined(200)).iter().enumerate().flat_map(|(number, line)| [*line, if number % 20 == 7 { b"\nodd 203.0.113.44\n" } else { b"\n" }].concat()).collect();
    let clean = clean_of(&odd, &["--format", "combined", "--on-reject", "drop"]);
    let outcome = verify(&odd, &clean, &[]);
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stdout_text());
    let report = outcome.json();
    assert_eq!((&report["raw_lines"], &report["clean_lines"], &report["rejected"]), (&210.into(), &200.into(), &10.into()));
    let mut fewer: Vec<&[u8]> = clean.split_inclusive(|byte| *byte == b'\n').collect();
    fewer.remove(90);
    let report = verify(&odd, &fewer.concat(), &[]);
    assert_eq!((report.code(), &report.json()["missing"]), (Some(4), &1.into()), "a record is not a reject");
    raw.extend_from_slice(b"\n\n");
    assert_eq!(verify(&raw, &clean_of(&raw, &[]), &[]).code(), Some(0), "blank lines stay blank");
}

#[test]
fn a_raw_file_is_no_clean_one() {
    let raw = combined(1000);
    let outcome = verify(&raw, &raw, &[]);
    outcome.expect_code(4);
    let report = outcome.json();
    assert!(report["leaks"].as_array().unwrap().len() >= 1000, "every line leaks");
    assert!(report["leak_count"].as_u64().unwrap() >= 3000, "{}", report["leak_count"]);
}

#[test]
fn neither_output_quotes_a_value() {
    let dir = Dir::new();
    let raw = dir.file("raw", RAW.as_bytes());
    for args in [&["verify", raw.as_str(), raw.as_str()][..], &["verify", "--json", raw.as_str(), raw.as_str()]] {
        let outcome = logfade(args).run(b"");
        outcome.expect_code(4);
        for word in ["203.0", "198.51", "2001:db8", "mallory", "zebra", "quagga", "eve", "wombat", "pc77"] {
            assert!(!holds(&outcome.stdout, word.as_bytes()) && !holds(&outcome.stderr, word.as_bytes()), "{args:?} quotes {word}");
        }
    }
}

#[test]
fn usage_and_reading_have_codes_of_their_own() {
    let dir = Dir::new();
    let raw = dir.file("raw", RAW.as_bytes());
    assert_eq!(logfade(&["verify", raw.as_str()]).run(b"").code(), Some(2));
    assert_eq!(logfade(&["verify", raw.as_str(), raw.as_str(), "--except", "everything"]).run(b"").code(), Some(2));
    assert_eq!(logfade(&["verify", raw.as_str(), raw.as_str(), "--policy", "nothing"]).run(b"").code(), Some(2));
    assert_eq!(logfade(&["verify", raw.as_str(), dir.arg("gone").as_str()]).run(b"").code(), Some(3));
    let packed = clean_of(RAW.as_bytes(), &["--compress", "zstd"]);
    let cut = dir.file("cut.zst", &packed[..packed.len() - 9]);
    assert_eq!(logfade(&["verify", raw.as_str(), cut.as_str()]).run(b"").code(), Some(3));
    let zipped = clean_of(RAW.as_bytes(), &["--compress", "gzip"]);
    let cut = dir.file("cut.gz", &zipped[..zipped.len() - 9]);
    assert_eq!(logfade(&["verify", raw.as_str(), cut.as_str()]).run(b"").code(), Some(3));
    assert_eq!(logfade(&["verify", cut.as_str(), raw.as_str()]).run(b"").code(), Some(3));
    let empty = dir.file("empty", b"");
    assert_eq!(logfade(&["verify", empty.as_str(), empty.as_str()]).run(b"").code(), Some(0));
}

/// An identifier of line 1 or 2 in line 8 or 3: what to replace by what, the line, the field it stands in and the one it is from.
const ELSEWHERE: &[(&str, &str, u64, &str, &str)] = &[
    ("/news/2", "/news/203.0.113.9", 8, "path", "client_addr"),
    ("/news/2", "/news/cb007109", 8, "path", "client_addr"),
    ("/news/2", "/news/0xCB007109", 8, "path", "client_addr"),
    ("/news/2", "/news/%32%30%33.0.113%2E9", 8, "path", "client_addr"),
    ("/news/2", "/news/9.113.0.203.in-addr.arpa", 8, "path", "client_addr"),
    ("/news/2", "/news/203-0-113-9.dsl.example", 8, "path", "client_addr"),
    ("/news/2", "/news/%3a%3affff:203.0.113.9", 8, "path", "client_addr"),
    ("/news/2", "/news/2001:DB8:F0A1:2:0:0:0:5", 8, "path", "client_addr"),
    ("/news/2", "/news/mallory", 8, "path", "user"),
    ("/news/2", "/news/%6dallory", 8, "path", "user"),
    ("/news/2", "/news/2?session=zebra123", 8, "query", "query"),
    ("/news/2", "/news/quagga77", 8, "path", "referrer"),
    ("/news/2", "/news/pc77.dsl.provider.example", 8, "path", "client_addr"),
    ("/news/2", "/news/eve@example.org", 8, "path", "path"),
    ("curl/8 (Other; bot)", "mallory", 3, "user_agent", "user"),
    ("curl/8 (Other; bot)", "zebra123", 3, "user_agent", "query"),
    ("2001:db8:: - - ", "2001:db8:: - mallory ", 3, "user", "user"),
    ("2001:db8:: - - ", "2001:db8:: mallory - ", 3, "ident", "user"),
    (" 17 \"-\"", " 17 \"https://mallory.example/\"", 3, "referrer", "user"),
    ("198.51.100.0 - - [10/Oct/2023:13:57:12", "203.0.113.9 - - [10/Oct/2023:13:57:12", 8, "client_addr", "client_addr"),
];

#[test]
fn identifiers_of_other_records_are_found_where_they_stand() {
    let clean = String::from_utf8(clean_of(RAW.as_bytes(), &["--format", "combined"])).unwrap();
    let mut wrong = Vec::new();
    for (from, to, line, field, origin) in ELSEWHERE {
        let mut broken: Vec<String> = clean.lines().map(str::to_owned).collect();
        replace(&mut broken, *line as usize, from, to);
        let broken = broken.iter().map(|line| format!("{line}\n")).collect::<String>();
        for args in [&[][..], &["--policy", "default"]] {
            let outcome = verify(RAW.as_bytes(), broken.as_bytes(), args);
            let report = outcome.json();
            let leaks = report["leaks"].as_array().unwrap();
            let found = leaks.iter().any(|leak| leak["line"] == *line && leak["field"] == *field && leak["origin"] == *origin);
            if outcome.code() != Some(4) || !found || leaks.iter().any(|leak| leak["line"] != *line) {
                wrong.push(format!("{to}, {args:?}: {report}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn pseudonyms_are_no_leaks_and_passing_a_value_beside_them_is_one() {
    let raw = combined(300);
    let clean = String::from_utf8(clean_of(&raw, &["--format", "combined"])).unwrap();
    // A keyed permutation of addresses, and keyed texts, as far as one can tell from outside.
    let veiled = |style: &dyn Fn(u64) -> String| -> String {
        let line = |(number, line): (usize, &str)| line.split_once(' ').map(|(_, rest)| format!("{} {rest}\n", style(number as u64))).unwrap_or_default();
        clean.lines().enumerate().map(line).collect()
    };
    let mix = |number: u64| (number + 7).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let styles: [&dyn Fn(u64) -> String; 3] = [
        &|number| format!("{:016x}{:016x}", mix(number), mix(number + 1000)),
        &|number| format!("fd{:02x}:{:x}::{:x}", mix(number) & 0xff, mix(number) >> 48, mix(number) >> 50),
        &|number| std::net::Ipv4Addr::from_bits((mix(number) >> 32) as u32 | 1).to_string(),
    ];
    let own = String::from_utf8_lossy(&raw).lines().nth(123).and_then(|line| line.split(' ').next().map(str::to_owned)).unwrap();
    for (index, style) in styles.into_iter().enumerate() {
        let text = veiled(style);
        let outcome = verify(&raw, text.as_bytes(), &[]);
        assert_eq!(outcome.code(), Some(0), "style {index}: {}", outcome.stdout_text());
        let broken: String =
            text.lines().enumerate().map(|(number, line)| if number == 123 { format!("{own} {}\n", line.split_once(' ').unwrap().1) } else { format!("{line}\n") }).collect();
        let outcome = verify(&raw, broken.as_bytes(), &[]);
        assert_eq!((outcome.code(), named(&outcome.json(), "leaks")), (Some(4), vec![124]), "style {index}");
    }
}

#[test]
fn keyed_policies_are_held_to_what_they_say() {
    let dir = Dir::new();
    let state = dir.arg("state");
    logfade(&["--state", &state, "keys", "init"]).run(b"").expect_code(0);
    let raw = RAW.replace("10/Oct/2023", &jiff::Timestamp::now().strftime("%d/%b/%Y").to_string());
    for (action, odd) in [("hash", "192.0.2.77"), ("hash/address", "203.0.113.200"), ("encrypt-prefix", "198.51.100.77")] {
        let text = format!(
            "client_addr = \"{action}\"\nuser = \"hash\"\nmethod = \"keep\"\npath = \"detect\"\nquery = {{ default = \"drop\", hash = [\"session\"] }}\nprotocol = \"keep\"\nstatus = \"keep\"\nbytes = \"keep\"\ntime = \"second\"\nother = \"drop\"\n"
        );
        let policy = dir.file("keyed.toml", text.as_bytes());
        let outcome = pipe(&["--state", &state, "--format", "combined", "--policy", &policy], raw.as_bytes());
        outcome.expect_code(0);
        let clean = outcome.stdout_text();
        assert!(clean.contains("?session="), "{action}: {clean}");
        // The keys are not needed to compare.
        let check = verify(raw.as_bytes(), clean.as_bytes(), &["--policy", &policy]);
        assert_eq!(check.code(), Some(0), "{action}: {}", check.stdout_text());
        let (_, rest) = clean.lines().nth(1).and_then(|line| line.split_once(' ')).unwrap();
        let broken: String = clean.lines().enumerate().map(|(number, line)| if number == 1 { format!("{odd} {rest}\n") } else { format!("{line}\n") }).collect();
        let check = verify(raw.as_bytes(), broken.as_bytes(), &["--policy", &policy]);
        assert_eq!(check.code(), Some(4), "{action}, with {odd} in line 2: {}", check.stdout_text());
    }
}
