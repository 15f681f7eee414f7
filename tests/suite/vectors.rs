//! Test vectors of other anonymisers, where the intent is the same; where it is not, the reason stands here.

use std::net::IpAddr;
use std::path::Path;

use serde_json::Value;

use super::addresses::{scan, unescaped};
use super::identity::KEEP_ALL;
use super::support::{Dir, corpora, counts, lines, pipe};

/// What others do otherwise, and why we do not.
const DIFFERENCES: &[(&str, &str)] = &[
    ("192.168.100.200:80", "a port tells clients behind one address apart: it goes with the truncated bits"),
    ("[2001:0db8:85a3:0000:0000:8a2e:0370:7334]:443", "a port goes with the truncated bits"),
    ("[2001:db8:1::ab9:C0A8:102]:8080", "a port goes with the truncated bits"),
    ("no_ip_address", "a client that is no address is a host name, and a host name is an identifier: it is dropped"),
    ("   foo", "a line that begins with blanks is no record"),
    ("not-an-ip", "fail closed: what cannot be read as an address is dropped, not passed"),
    ("192.168.100.200]", "an address with a stray bracket is no address: dropped"),
    ("192.168.100.200:80]", "an address with a stray bracket is no address: dropped"),
    ("[2001:0db8:85a3:0000:0000:8a2e:0370:7334]]", "an address with a stray bracket is no address: dropped"),
    ("[2001:0db8:85a3:0000:0000:8a2e:0370:7334]:443]", "an address with a stray bracket is no address: dropped"),
];

fn differs(input: &str) -> bool {
    DIFFERENCES.iter().any(|(vector, _)| *vector == input)
}

fn rows(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).expect("a row is JSON")).collect()
}

/// A policy of one deciding line; everything else is kept.
fn policy(dir: &Dir, decided: &str) -> String {
    let name = decided.split('=').next().unwrap_or_default().trim().to_owned();
    let rest: String = KEEP_ALL.lines().filter(|line| !line.starts_with(&format!("{name} "))).map(|line| format!("{line}\n")).collect();
    dir.file("policy.toml", format!("{decided}\n{rest}").as_bytes())
}

/// What becomes of each address in the client column under `truncate/four,six`; a reject gives none.
fn truncated(addresses: &[String], four: u64, six: u64) -> Vec<String> {
    let dir = Dir::new();
    let path = policy(&dir, &format!("client_addr = \"truncate/{four},{six}\""));
    let input: String = addresses.iter().map(|address| format!("{address} - - [10/Oct/2023:13:55:36 +0000] \"GET / HTTP/1.1\" 200 5\n")).collect();
    let outcome = pipe(&["--format", "common", "--policy", &path], input.as_bytes());
    assert_eq!(outcome.code(), Some(0), "truncate/{four},{six}: {}", outcome.stderr_text());
    let first = |line: &&[u8]| String::from_utf8_lossy(line.split(|byte| *byte == b' ').next().unwrap_or_default()).into_owned();
    lines(&outcome.stdout).iter().map(first).collect()
}

/// Equal as text, or the same address behind the same port.
fn same(have: &str, want: &str) -> bool {
    let parts = |text: &str| {
        let found = scan(text.as_bytes());
        let rest = found.first().map(|hit| format!("{}|{}", &text[..hit.start], &text[hit.end..]));
        (found.first().map(|hit| hit.address), rest)
    };
    have == want || (parts(want).0.is_some() && parts(have) == parts(want))
}

#[test]
fn addresses_are_cut_as_anonip_cuts_them() {
    let Some(root) = corpora() else { return };
    let (mut checked, mut failures) = (0, Vec::new());
    for row in rows(&root.join("vectors-ip/anonip_cases.jsonl")) {
        let (Some(input), Some(four), Some(six)) = (row["ip"].as_str(), row["v4mask"].as_u64(), row["v6mask"].as_u64()) else { continue };
        let have = truncated(&[input.to_owned()], 32 - four, 128 - six).concat();
        let want = row["expected"].as_str().unwrap_or_default();
        checked += 1;
        if differs(input) {
            let hidden = scan(have.as_bytes()).is_empty() || (want.starts_with(&have) && input.contains(':'));
            assert!(hidden, "a difference may only hide more: {input}");
        } else if !same(&have, want) {
            failures.push(format!("mask {four},{six}: `{input}` gives `{have}`, anonip `{want}`"));
        }
    }
    assert!(checked >= 24 && failures.is_empty(), "{checked} checked:\n{}", failures.join("\n"));
}

#[test]
fn masks_out_of_range_are_refused_and_own_networks_skipped_as_by_anonip() {
    let Some(root) = corpora() else { return };
    for row in rows(&root.join("vectors-ip/anonip_cases.jsonl")) {
        let dir = Dir::new();
        if let (Some(value), Some(valid)) = (row["value"].as_str(), row["valid"].as_bool()) {
            let action = if row["bits"] == 128 { format!("truncate/24,{value}") } else { format!("truncate/{value},64") };
            let path = policy(&dir, &format!("client_addr = \"{action}\""));
            let code = pipe(&["--format", "common", "--policy", &path], b"").code();
            // 0 hides every bit, which anonip calls no mask and we call truncation to nothing.
            let fine = valid || value == "0";
            assert_eq!(code, Some(if fine { 0 } else { 2 }), "{action}");
        }
        if row["skip_private"] == true {
            let line = row["line"].as_str().expect("a line");
            let path = policy(&dir, "client_addr = \"truncate/20,44\"\nexcept = [\"192.168.0.0/16\"]");
            let input = format!("{line} - - [10/Oct/2023:13:55:36 +0000] \"GET / HTTP/1.1\" 200 5\n");
            assert_eq!(pipe(&["--format", "common", "--policy", &path], input.as_bytes()).stdout, input.as_bytes());
        }
    }
}

#[test]
fn the_levels_of_goaccess_are_prefixes_of_ours() {
    let Some(root) = corpora() else { return };
    let text = std::fs::read_to_string(root.join("vectors-ip/goaccess_anonymize_levels.json")).expect("the vectors");
    let levels: Value = serde_json::from_str(&text).expect("JSON");
    let hidden = |family: &str, level: &str| levels["bits_hidden"][family][level].as_u64().expect("bits");
    for pair in levels["manpage_examples_level1"].as_array().expect("examples") {
        let (input, want) = (pair[0].as_str().expect("text"), pair[1].as_str().expect("text"));
        let have = truncated(&[input.to_owned()], 32 - hidden("ipv4", "1"), 128 - hidden("ipv6", "1"));
        assert_eq!(have, [want]);
    }
    for level in ["1", "2", "3"] {
        let (four, six) = (hidden("ipv4", level), hidden("ipv6", level));
        let inputs = ["203.0.113.77".to_owned(), "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff".to_owned()];
        for (have, input) in truncated(&inputs, 32 - four, 128 - six).iter().zip(&inputs) {
            let (have, input): (IpAddr, IpAddr) = (have.parse().expect("an address"), input.parse().expect("an address"));
            let want = super::addresses::truncated(input, (32 - four) as u32, (128 - six) as u32);
            assert_eq!(have, want, "level {level}");
        }
    }
}

#[test]
fn whole_addresses_are_zeroed_as_mmanon_zeroes_them() {
    let Some(root) = corpora() else { return };
    let mut checked = 0;
    for row in rows(&root.join("vectors-ip/rsyslog_mmanon_cases.jsonl")) {
        let source = row["source"].as_str().unwrap_or_default();
        if !source.contains("mmanon_zero_") {
            continue;
        }
        let bits = |key: &str, most: u64, default: u64| {
            let given = row["config"][key].as_str().and_then(|text| text.parse().ok());
            most - given.unwrap_or(default).min(most)
        };
        let (four, six) = (bits("ipv4.bits", 32, 16), bits("ipv6.bits", 128, 96));
        let texts = |key: &str| row[key].as_array().expect("texts").iter().map(|text| text.as_str().expect("text").to_owned()).collect::<Vec<_>>();
        for (input, want) in texts("input").iter().zip(texts("expect")) {
            let pairs: Vec<(&str, &str)> = input.split_whitespace().zip(want.split_whitespace()).collect();
            for (address, want) in pairs.into_iter().filter(|(address, _)| address.parse::<IpAddr>().is_ok()) {
                let have = truncated(&[address.to_owned()], four, six).concat();
                assert_eq!(have.parse::<IpAddr>().ok(), want.parse::<IpAddr>().ok(), "{source}: {address}");
                checked += 1;
            }
        }
    }
    assert!(checked >= 25, "only {checked} addresses");
}

/// Text in which mmanon sees an address and we see none, or the other way round.
const SEEN_OTHERWISE: &[(&str, &str)] = &[
    ("textnoblank1.1.1.9stillnoblank", "letters on both sides: a name or a version, not an address"),
    ("1.2.3.4.5.6.7.8.76", "nine numbers are a version or an object identifier"),
    ("256.0.0.0", "256 is no octet; mmanon takes 56 out of it"),
    ("1111.1.1.8.1", "five numbers, the first above 255"),
    ("111.1.1.8.1", "five numbers"),
    ("12:12345::a", "five digits are no part of an address"),
    ("a.3.4.12.7", "a letter in front of four numbers"),
    ("::", "the unspecified address tells nothing"),
    ("textnoblank72:8374", "letters in front"),
    ("1AFEstillnoblank", "letters behind"),
    ("172.1.1.0stillnoblank", "letters behind"),
    ("ewirnwemaa:ff43", "letters in front"),
    ("cc.1.2.3.4", "hidden by us: four numbers behind a full stop"),
    ("44.1.23.4.0", "an address glued to a number"),
    ("0.0.0.0", "the unspecified address tells nothing"),
    ("*", "no blank around it, and still found: we mask it"),
    ("13:abd:45:1:1:1:", "more groups than an address has"),
];

#[test]
fn what_mmanon_finds_in_free_text_does_not_stay() {
    let Some(root) = corpora() else { return };
    let (mut checked, mut failures) = (0, Vec::new());
    for row in rows(&root.join("vectors-ip/rsyslog_mmanon_cases.jsonl")) {
        let (Some(inputs), Some(expected)) = (row["input"].as_array(), row["expect"].as_array()) else { continue };
        for (input, want) in inputs.iter().zip(expected) {
            let (input, want) = (input.as_str().expect("text").trim(), want.as_str().expect("text").trim());
            let path = input.replace('%', "%25").replace(' ', "%20");
            let line = format!("192.0.2.0 - - [10/Oct/2023:13:55:36 +0000] \"GET /{path}/end HTTP/1.1\" 200 5\n");
            let outcome = pipe(&["--format", "common"], line.as_bytes());
            let out = unescaped(outcome.expect_code(0).stdout.as_slice());
            let text = String::from_utf8_lossy(&out).into_owned();
            let whole: Vec<IpAddr> = scan(input.as_bytes()).iter().map(|hit| hit.address).filter(|address| !address.is_unspecified()).collect();
            let stays = scan(&out).iter().any(|hit| whole.contains(&hit.address));
            let known = SEEN_OTHERWISE.iter().any(|(part, _)| input.contains(part));
            checked += 1;
            if stays {
                failures.push(format!("`{input}`: an address stays"));
            } else if want == input && !text.contains(input) && !known {
                failures.push(format!("`{input}`: masked, and mmanon leaves it"));
            } else if want != input && text.contains(input) && !known {
                failures.push(format!("`{input}`: left, and mmanon masks it"));
            }
        }
    }
    assert!(checked >= 150 && failures.is_empty(), "{checked} checked:\n{}", failures.join("\n"));
}

#[test]
fn caddys_mask_is_our_truncation() {
    let Some(root) = corpora() else { return };
    let rows = rows(&root.join("vectors-filters/caddy_log_filters.jsonl"));
    let dir = Dir::new();
    let mut checked = 0;
    for row in rows.iter().filter(|row| row["filter"]["type"] == "ip_mask") {
        let number = |key: &str| row["filter"][key].as_u64().expect("bits");
        let action = format!("truncate/{},{}", number("ipv4_cidr"), number("ipv6_cidr"));
        let path = policy(&dir, &format!("proxied_addr = \"{action}\""));
        for case in row["cases"].as_array().expect("cases") {
            let list = |value: &Value| match value {
                Value::Array(values) => values.iter().map(|value| value.as_str().expect("text").to_owned()).collect::<Vec<_>>(),
                other => other.as_str().expect("text").split(", ").map(str::to_owned).collect(),
            };
            let (input, want) = (list(&case[0]), list(&case[1]));
            if input.iter().all(|value| differs(value)) {
                continue;
            }
            let line = format!("203.0.113.0 \"{}\"\n", input.join(", "));
            let outcome = pipe(&["--format", "nginx:$remote_addr \"$http_x_forwarded_for\"", "--policy", &path], line.as_bytes());
            let out = outcome.expect_code(0).stdout_text();
            let want = want.join(", ").replace("not-an-ip", "-");
            assert_eq!(out.trim_end(), format!("203.0.113.0 \"{want}\""), "{}", row["test"]);
            checked += 1;
        }
    }
    assert!(checked >= 6, "only {checked}");
}

#[test]
fn caddys_query_and_cookie_filters_keep_what_ours_keep() {
    let Some(root) = corpora() else { return };
    let dir = Dir::new();
    let mut checked = 0;
    for row in rows(&root.join("vectors-filters/caddy_log_filters.jsonl")) {
        // Replaced and deleted values are dropped by us; hashes need a key, and Set-Cookie is a header without names.
        let (field, format, around) = match row["filter"]["type"].as_str() {
            Some("query") => ("query", "nginx:\"$request\"", ("\"GET ", " HTTP/1.1\"")),
            Some("cookie") => ("cookie", "nginx:\"$http_cookie\"", ("\"", "\"")),
            _ => continue,
        };
        let path = policy(&dir, &format!("{field} = {{ default = \"drop\", keep = [\"baz\"] }}"));
        for case in row["cases"].as_array().expect("cases") {
            let inputs = case[0].as_array().cloned().unwrap_or_else(|| vec![case[0].clone()]);
            for input in inputs {
                let input = input.as_str().expect("text");
                let line = format!("{}{input}{}\n", around.0, around.1);
                let out = pipe(&["--format", format, "--policy", &path], line.as_bytes()).expect_code(0).stdout_text();
                let baz = input.split(['?', '&', ';', ' ']).find(|part| part.starts_with("baz=")).expect("baz is in every vector");
                let want = if field == "query" { format!("{}?{baz}", input.split('?').next().unwrap_or_default()) } else { baz.to_owned() };
                assert_eq!(out, format!("{}{want}{}\n", around.0, around.1), "{}", row["test"]);
                checked += 1;
            }
        }
    }
    assert!(checked >= 4, "only {checked}");
}

#[test]
fn tomcats_escapes_do_not_end_a_field() {
    let Some(root) = corpora() else { return };
    let dir = Dir::new();
    let path = dir.file("keep.toml", KEEP_ALL.as_bytes());
    for row in rows(&root.join("vectors-filters/tomcat_accesslog_escape.jsonl")) {
        let logged = row["logged"].as_str().expect("text");
        let line = format!("203.0.113.9 - - [10/Oct/2023:13:55:36 +0000] \"GET / HTTP/1.1\" 200 5 \"{logged}\" \"{logged}\"\n");
        for format in ["combined", "tomcat"] {
            let kept = pipe(&["--format", format, "--policy", &path], line.as_bytes());
            assert_eq!(kept.stdout, line.as_bytes(), "{format}: {logged}");
            assert_eq!(counts(&kept.report()).clean, 1, "{format}: {logged}");
            let scrubbed = pipe(&["--format", format, "--policy", "strict"], line.as_bytes());
            let ends = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'"').count();
            assert_eq!(ends(&scrubbed.stdout), 6, "{format}: {logged}: three quoted fields and no more");
        }
    }
}

#[test]
fn the_set_of_tracking_parameters_is_the_published_one() {
    let Some(corpora) = corpora() else { return };
    let list = std::fs::read_to_string(corpora.join("lists/tracking_query_params.csv")).unwrap();
    let published: Vec<&str> = list.lines().skip(1).filter_map(|row| row.split(',').next()).map(str::trim).filter(|name| !name.is_empty()).collect();
    assert!(published.len() > 100);
    let dir = Dir::new();
    let path = policy(&dir, "query = { default = \"keep\", drop = [\"@tracking\"], keep = [\"mc_cid\"] }");
    let query: Vec<String> = published.iter().map(|name| format!("{name}=7")).collect();
    let input = format!("203.0.113.9 - - [10/Oct/2023:13:55:36 +0000] \"GET /a?page=1&{}&lang=sv HTTP/1.1\" 200 5\n", query.join("&"));
    let outcome = pipe(&["--format", "common", "--policy", &path], input.as_bytes());
    assert_eq!(outcome.stdout_text(), "203.0.113.9 - - [10/Oct/2023:13:55:36 +0000] \"GET /a?page=1&mc_cid=7&lang=sv HTTP/1.1\" 200 5\n");
}
