//! Requests of a person: records found by every kind of identifier, exported with explanations, erased to the line, and the identifier nowhere.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::support::{Dir, Outcome, decoded, holds, logfade};

const IP: &str = "203.0.113.7";
const CONFIG: &str = r#"
[[class]]
name   = "site"
raw    = ["DIR/raw/access.log*"]
format = 'nginx:$remote_addr - $remote_user [$time_local] "$request" $status "$http_cookie"'
purpose = "find faults"
[[class.keep]]
form  = "raw"
until = "50 years"
[[class.keep]]
form   = "keyed.toml"
until  = "60 years"
output = "DIR/clean"
"#;
const POLICY: &str = "client_addr = \"ACTION\"\nuser = \"hash\"\ncookie = { default = \"drop\", hash = [\"sid\"] }\nother = \"keep\"\n";
const OWN_NAME: &str = "clean/access.log.20260101T000000Z--20260102T000000Z.0123abcd.zst";

fn line(ip: &str, user: &str, cookie: &str, at: Timestamp, id: u32) -> String {
    let time = at.strftime("%d/%b/%Y:%H:%M:%S +0000");
    format!("{ip} - {user} [{time}] \"GET /item/{id} HTTP/1.1\" 200 \"{cookie}\"\n")
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

struct Site {
    dir: Dir,
}

impl Site {
    fn new(action: &str) -> Self {
        let dir = Dir::new();
        for name in ["raw", "clean"] {
            fs::create_dir(dir.at(name)).unwrap();
        }
        dir.file("logfade.toml", CONFIG.replace("DIR", dir.path().to_str().unwrap()).as_bytes());
        dir.file("keyed.toml", POLICY.replace("ACTION", action).as_bytes());
        let site = Self { dir };
        site.run(&["keys", "init"], b"").expect_code(0);
        site
    }

    fn run(&self, args: &[&str], input: &[u8]) -> Outcome {
        let (config, state) = (self.dir.arg("logfade.toml"), self.dir.arg("state"));
        logfade(&[&["-c", &config, "--state", &state, "--json"], args].concat()).run(input)
    }

    /// Three raw files of different codecs, each with a record of the person among others, one of them on another day.
    fn raw(&self) -> Vec<String> {
        let day = |number: u32| at(&format!("2026-03-0{number}T12:00:00Z"));
        let mut all = Vec::new();
        for (number, name) in [(1, "access.log.3.gz"), (2, "access.log.2.zst"), (3, "access.log.1")] {
            let lines = [
                line("203.0.113.70", "-", "-", day(number), 10 * number),
                line(["::ffff:203.0.113.7", IP, "::ffff:cb00:7107"][number as usize - 1], "ann", "a=b; sid=s3cret", day(number), 10 * number + 1),
                "not a record of anybody\r\n".to_owned(),
                line("198.51.100.1", "bob", "sid=other", day(number), 10 * number + 2),
            ];
            let text = lines.concat();
            let bytes = if name.ends_with("gz") {
                gzip(text.as_bytes())
            } else if name.ends_with("zst") {
                zstd::encode_all(text.as_bytes(), 3).unwrap()
            } else {
                text.into()
            };
            self.dir.file(&format!("raw/{name}"), &bytes);
            all.extend(lines);
        }
        all
    }

    /// A clean file of today under the policy, and the raw lines of it.
    fn clean(&self) {
        let now = Timestamp::now();
        let text = [line(IP, "ann", "sid=s3cret", now, 90), line("198.51.100.1", "bob", "sid=other", now, 91)].concat();
        let (format, policy) = (CONFIG.lines().nth(4).unwrap().split('\'').nth(1).unwrap(), self.dir.arg("keyed.toml"));
        let made = self.run(&["pipe", "--policy", &policy, "--format", format, "--compress", "zstd"], text.as_bytes());
        made.expect_code(0);
        assert!(!holds(&decoded(&made.stdout), IP.as_bytes()));
        self.dir.file(OWN_NAME, &made.stdout);
    }

    /// What stands in the one file of a directory, decoded.
    fn standing_any(&self, name: &str) -> Vec<u8> {
        let files: Vec<_> = fs::read_dir(self.dir.at(name)).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        decoded(&fs::read(&files[0]).unwrap())
    }

    /// What stands in the files of a directory, decoded, in the order of their records.
    fn standing(&self, name: &str) -> Vec<u8> {
        let mut texts: Vec<Vec<u8>> =
            fs::read_dir(self.dir.at(name)).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).map(|path| decoded(&fs::read(path).unwrap())).collect();
        texts.sort_by_key(|text| String::from_utf8_lossy(text).split("/item/").nth(1).unwrap_or_default()[..2].to_owned());
        texts.concat()
    }

    /// The identifier stands in no file below the state directory, and the last entry tells what was asked.
    fn noted(&self, request: &str, by: &str, records: u64) {
        let mut open = vec![self.dir.at("state")];
        while let Some(folder) = open.pop() {
            for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    open.push(path);
                } else {
                    silent(&fs::read(&path).unwrap(), &path.display().to_string());
                }
            }
        }
        let ledger = fs::read_to_string(self.dir.at("state").join("ledger.jsonl")).unwrap();
        let last: Value = serde_json::from_str(ledger.lines().last().unwrap()).unwrap();
        assert_eq!((&last["kind"], &last["request"], &last["by"], &last["records"]), (&"subject".into(), &request.into(), &by.into(), &records.into()));
        self.run(&["ledger", "verify"], b"").expect_code(0);
    }
}

fn silent(bytes: &[u8], place: &str) {
    for secret in [IP, "s3cret", "ann\n", "\"ann\"", "cb00:7107"] {
        assert!(!holds(bytes, secret.as_bytes()), "{place} tells the identifier");
    }
}

fn quiet(outcome: &Outcome) -> &Outcome {
    silent(&outcome.stdout, "stdout");
    silent(&outcome.stderr, "stderr");
    outcome
}

#[test]
fn records_are_found_by_every_identifier_in_every_codec() {
    let site = Site::new("hash");
    site.raw();
    site.clean();
    for (args, input, records) in [
        (vec!["--ip", "-"], "203.0.113.7\n", 4),
        (vec!["--ip", "-"], "[::ffff:203.0.113.7]:443", 4),
        (vec!["--user", "-"], "ann\n", 4),
        (vec!["--cookie", "-"], "sid=s3cret", 4),
        (vec!["--from-file", "-"], "# the account\nuser ann\nip 198.51.100.1\n", 8),
        (vec!["--ip", "-", "--from", "2026-03-02", "--to", "2026-03-02T12:00:00Z"], "203.0.113.7", 1),
        (vec!["--ip", "-"], "203.0.113.71", 0),
        (vec!["--user", "-"], "an", 0),
    ] {
        let found = site.run(&[&["subject", "find"], args.as_slice()].concat(), input.as_bytes());
        let report = quiet(found.expect_code(0)).json();
        assert_eq!(report["records"], records, "{args:?} {report}");
        let by = if args[0] == "--from-file" { "file" } else { &args[0][2..] };
        site.noted("find", by, records);
        if records == 4 {
            assert!(report["files"].as_array().unwrap().iter().all(|file| file["lines"] == serde_json::json!([if file["form"] == "raw" { 2 } else { 1 }])), "{report}");
        }
    }
    let table = logfade(&["-c", &site.dir.arg("logfade.toml"), "--state", &site.dir.arg("state"), "subject", "find", "--ip", "-"]).run(IP.as_bytes());
    quiet(table.expect_code(0));
    assert!(table.stdout_text().contains("4 records in 4 of 4 files"), "{}", table.stdout_text());
}

/// A form of NDJSON, with what a policy keeps of each identifier, is searched, copied and erased like any other.
#[test]
fn forms_of_ndjson_are_searched_too() {
    for action in ["hash", "encrypt-prefix", "keep"] {
        let site = Site::new(action);
        let config = fs::read_to_string(site.dir.at("logfade.toml")).unwrap();
        site.dir.file("logfade.toml", format!("{config}layout = \"json\"\n").as_bytes());
        let (now, policy) = (Timestamp::now(), site.dir.arg("keyed.toml"));
        let text = [line(IP, "ann", "a=b; sid=s3cret", now, 90), "no record\n".to_owned(), line("198.51.100.1", "bob", "sid=other", now, 91)].concat();
        let format = CONFIG.lines().nth(4).unwrap().split('\'').nth(1).unwrap();
        let made = site.run(&["pipe", "--policy", &policy, "--format", format, "--output", "json", "--compress", "zstd"], text.as_bytes());
        made.expect_code(0);
        site.dir.file(OWN_NAME, &made.stdout);
        let before = decoded(&made.stdout);
        let find = |args: &[&str], input: &str| site.run(&[&["subject", "find"], args].concat(), input.as_bytes()).expect_code(0).json()["records"].clone();
        for (args, input, records) in [
            (&["--ip", "-"][..], IP, 1),
            (&["--ip", "-"], "198.51.100.2", 0),
            (&["--user", "-"], "ann", 1),
            (&["--user", "-"], "an", 0),
            (&["--cookie", "-"], "sid=s3cret", 1),
            (&["--cookie", "-"], "sid=none", 0),
            (&["--ip", "-", "--to", "2026-01-01"], IP, 0),
            (&["--ip", "-", "--from", "2026-01-01"], IP, 1),
        ] {
            assert_eq!(find(args, input), records, "{action} {args:?} {input}");
        }
        let copy = site.run(&["subject", "export", "--user", "-"], b"ann").expect_code(0).json();
        let fields = copy["records"][0]["fields"].as_array().unwrap().clone();
        let value = |name: &str| fields.iter().find(|field| field["field"] == name).map(|field| field["value"].clone());
        assert_eq!((value("path"), value("status"), value("method")), (Some("/item/90".into()), Some("200".into()), Some("GET".into())), "{copy}");
        let erased = site.run(&["subject", "erase", "--ip", "-"], IP.as_bytes()).expect_code(0).json();
        assert_eq!((&erased["erased"], &erased["left"]), (&1.into(), &0.into()), "{erased}");
        let first = memchr::memchr(b'\n', &before).unwrap() + 1;
        assert_eq!(String::from_utf8_lossy(&site.standing_any("clean")), String::from_utf8_lossy(&before[first..]), "{action}");
        assert_eq!((find(&["--ip", "-"], IP), find(&["--user", "-"], "bob")), (0.into(), 1.into()), "{action}");
    }
}

#[test]
fn pseudonyms_of_addresses_are_made_again() {
    for action in ["hash", "hash/address", "encrypt-prefix"] {
        let site = Site::new(action);
        site.clean();
        assert_eq!(quiet(&site.run(&["subject", "find", "--ip", "-"], IP.as_bytes())).json()["records"], 1, "{action}");
        assert_eq!(quiet(&site.run(&["subject", "find", "--ip", "-"], b"198.51.100.2")).json()["records"], 0, "{action}");
        // With the key gone nobody can say whose they are.
        for key in fs::read_dir(site.dir.at("state").join("keys")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "key")) {
            fs::remove_file(key).unwrap();
        }
        assert_eq!(quiet(&site.run(&["subject", "find", "--ip", "-"], IP.as_bytes())).json()["records"], 0, "{action}");
    }
}

#[test]
fn a_copy_has_the_values_and_what_they_mean() {
    let site = Site::new("hash");
    site.raw();
    let copy = site.run(&["subject", "export", "--user", "-"], b"ann");
    assert!(copy.expect_code(0).stderr_text().contains("raw data"));
    let copy = copy.json();
    let records = copy["records"].as_array().unwrap();
    assert_eq!(records.len(), 3);
    for record in records {
        let field = |name: &str| record["fields"].as_array().unwrap().iter().find(|field| field["field"] == name).unwrap();
        assert_eq!((&field("user")["value"], &field("cookie")["value"]), (&"ann".into(), &"a=b; sid=s3cret".into()));
        assert!(field("client_addr")["explanation"].as_str().unwrap().contains("address"));
        assert_eq!((&record["line"], &record["purpose"]), (&2.into(), &"find faults".into()));
    }
    site.noted("export", "user", 3);
}

#[test]
fn erasing_leaves_every_other_line_as_it_was() {
    let site = Site::new("hash");
    let lines = site.raw();
    site.clean();
    let before = decoded(&site.dir.read(OWN_NAME));
    let erased = site.run(&["subject", "erase", "--ip", "-"], IP.as_bytes());
    let report = quiet(erased.expect_code(0)).json();
    assert_eq!((&report["records"], &report["erased"], &report["left"]), (&4.into(), &4.into(), &0.into()), "{report}");
    let others: String = lines.iter().enumerate().filter(|(number, _)| number % 4 != 1).map(|(_, line)| line.as_str()).collect();
    assert_eq!(String::from_utf8_lossy(&site.standing("raw")), others);
    let second = memchr::memchr(b'\n', &before).unwrap() + 1;
    assert_eq!(site.standing("clean"), before[second..]);
    site.noted("erase", "ip", 4);
    assert_eq!(site.run(&["subject", "find", "--ip", "-"], IP.as_bytes()).json()["records"], 0);
    // What others have is still found, and nothing is missing in the eyes of expiry.
    assert_eq!(site.run(&["subject", "find", "--user", "-"], b"bob").json()["records"], 4);
    assert!(!site.run(&["plan"], b"").stdout_text().contains("vanished"));
    let again = site.run(&["subject", "erase", "--ip", "-"], IP.as_bytes());
    assert_eq!(quiet(again.expect_code(0)).json()["erased"], 0);
}

#[test]
fn nothing_is_erased_under_a_hold_or_while_somebody_writes() {
    let site = Site::new("hash");
    site.raw();
    let before = site.standing("raw");
    site.run(&["hold", "add", "case", "--class", "site", "--from", "2026-03-02", "--to", "2026-03-03", "--reason", "a court order"], b"").expect_code(0);
    quiet(site.run(&["subject", "erase", "--user", "-"], b"ann").expect_code(4));
    assert_eq!(site.standing("raw"), before);
    site.noted("erase", "user", 0);
    site.run(&["hold", "release", "case", "--reason", "it is over"], b"").expect_code(0);
    let writer = fs::OpenOptions::new().append(true).open(site.dir.at("raw/access.log.1")).unwrap();
    let refused = site.run(&["subject", "erase", "--user", "-"], b"ann");
    let report = quiet(refused.expect_code(4)).json();
    assert_eq!((&report["erased"], &report["left"]), (&2.into(), &1.into()), "{report}");
    drop(writer);
    quiet(site.run(&["subject", "erase", "--user", "-"], b"ann").expect_code(0));
    site.noted("erase", "user", 1);
    assert!(!site.dir.at("raw/access.log.1").exists() && Path::new(&site.dir.at("raw")).exists());
}

#[test]
fn an_address_is_found_however_it_is_written() {
    let site = Site::new("hash");
    let other = |ip: &str| line(ip, "-", "-", at("2026-03-01T12:00:00Z"), 10);
    let named = |text: &str| other("198.51.100.1").replace("/item/10", text);
    let (v4, v6) = ("203.0.113.7", "2001:db8::9");
    let theirs = [
        other("203.0.113.7"),
        other("::ffff:203.0.113.7"),
        other("64:ff9b::cb00:7107"),
        other("2002:cb00:7107::1"),
        other("[::ffff:203.0.113.7]:443"),
        other("203-0-113-7.dsl.example"),
        other("7.113.0.203.in-addr.arpa"),
        named("/from/203.0.113.7"),
        named("/from?ip=203.0.113.7%2C10.0.0.1"),
        named("/x203.0.113.7"),
        named("/0xcb007107"),
    ];
    let others = [
        other("203.0.113.70"),
        other("203.0.113.1"),
        other("20.3.0.113"),
        named("/203.0.113.77"),
        named("/1203.0.113.7"),
        named("/7.113.0.203"),
        other("203-0-113-77.dsl.example"),
    ];
    let sixth = [other(v6), other("2001:DB8:0:0:0:0:0:9"), other("[2001:db8::9]:80"), other("2001:0db8:0000:0000:0000:0000:0000:0009"), named("/2001-db8--9/")];
    let sixths_others = [other("2001:db8::90"), other("2001:db8::9:1"), other("2001:db8:9::")];
    site.dir.file("raw/access.log.1", &bzip2(theirs.concat().as_bytes()));
    site.dir.file("raw/access.log.2", &xz([others.concat(), sixth.concat(), sixths_others.concat()].concat().as_bytes()));
    for (asked, count) in [(v4, 11), ("::ffff:203.0.113.7", 11), (v6, 5), ("2001:DB8::0:9", 5), ("203.0.113.70", 1)] {
        let found = site.run(&["subject", "find", "--ip", "-"], asked.as_bytes());
        assert_eq!(found.expect_code(0).json()["records"], count, "{asked}");
    }
    for asked in [v4, v6] {
        site.run(&["subject", "erase", "--ip", "-"], asked.as_bytes()).expect_code(0);
    }
    assert_eq!(String::from_utf8_lossy(&site.standing("raw")), [others.concat(), sixths_others.concat()].concat());
    assert!(!site.dir.at("raw/access.log.1").exists(), "nothing of it stays");
}

#[test]
fn archives_follow_and_what_is_erased_is_not_made_again() {
    let site = Site::new("hash");
    let lines = site.raw();
    let (raw, policy, out) = (site.dir.arg("raw"), site.dir.arg("keyed.toml"), site.dir.arg("archive"));
    let format = CONFIG.lines().nth(4).unwrap().split('\'').nth(1).unwrap();
    let now = Timestamp::now();
    // Keys are minted for today alone.
    site.dir.file("raw/access.log.0", [line(IP, "ann", "sid=s3cret", now, 80), line("198.51.100.1", "bob", "-", now, 81)].concat().as_bytes());
    let batch = || site.run(&["batch", &raw, "--out", &out, "--policy", &policy, "--format", format], b"");
    batch().expect_code(0);
    let before = site.standing("archive");
    assert_eq!(site.run(&["subject", "find", "--user", "-"], b"ann").json()["records"], 4 + 1, "raw, and the one whose key exists");
    let erased = site.run(&["subject", "erase", "--user", "-"], b"ann");
    assert_eq!(quiet(erased.expect_code(0)).json()["left"], 0);
    let after = site.standing("archive");
    let gone: Vec<u8> = before.split_inclusive(|byte| *byte == b'\n').filter(|line| !holds(line, b"/item/80")).flatten().copied().collect();
    assert_eq!(String::from_utf8_lossy(&after), String::from_utf8_lossy(&gone));
    // What is left of a raw file is no new raw file.
    let again = batch();
    let rows = again.expect_code(0).json();
    assert!(rows["files"].as_array().unwrap().iter().all(|file| file["status"] == "skipped"), "{rows}");
    assert_eq!(site.standing("archive"), after, "every line once");
    let raw: Vec<String> =
        fs::read_dir(site.dir.at("raw")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).map(|path| path.display().to_string()).collect();
    assert_eq!(raw.len(), 4);
    let pair = |name: &str| {
        let of = |folder: &str| {
            fs::read_dir(site.dir.at(folder))
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .find(|path| path.is_file() && holds(&decoded(&fs::read(path).unwrap()), name.as_bytes()))
                .unwrap()
        };
        (of("raw").display().to_string(), of("archive").display().to_string())
    };
    let (left, clean) = pair("/item/81");
    let checked = site.run(&["verify", &left, &clean, "--format", format, "--policy", &policy], b"");
    assert_eq!((&checked.expect_code(0).json()["raw_lines"], &checked.json()["clean_lines"]), (&1.into(), &1.into()));
    site.run(&["expire", "--yes"], b"").expect_code(0);
    site.run(&["ledger", "verify"], b"").expect_code(0);
    assert_eq!(site.standing("raw").split_inclusive(|byte| *byte == b'\n').count(), lines.len() + 2 - 4);
}

#[test]
fn a_hold_on_other_addresses_is_no_hindrance() {
    let site = Site::new("hash");
    site.raw();
    site.run(&["hold", "add", "case", "--class", "site", "--ip", "198.51.100.0/24", "--reason", "a court order"], b"").expect_code(0);
    assert_eq!(site.run(&["subject", "erase", "--user", "-"], b"bob").expect_code(4).json()["held"], "case");
    let erased = site.run(&["subject", "erase", "--ip", "-"], IP.as_bytes());
    assert_eq!(quiet(erased.expect_code(0)).json()["erased"], 3);
}

#[test]
fn killed_at_any_time_erasing_again_completes() {
    let site = Site::new("hash");
    let day = |number: u32| at(&format!("2026-03-{:02}T12:00:00Z", number + 1));
    let others = |number: u32| (0..200).map(|id| line("198.51.100.1", "bob", "-", day(number), 10_000 + 1000 * number + id)).collect::<String>();
    for round in 0..3_u64 {
        let theirs = |number: u32| line(IP, "ann", "sid=s3cret", day(number), 9000 + number);
        for number in 0..12 {
            site.dir.file(&format!("raw/access.log.{number}"), [others(number), theirs(number)].concat().as_bytes());
        }
        let (config, state) = (site.dir.arg("logfade.toml"), site.dir.arg("state"));
        for kill in 0..12_u64 {
            let mut child = logfade(&["-c", &config, "--state", &state, "subject", "erase", "--user", "ann"]).spawn();
            std::thread::sleep(Duration::from_micros((round * 12 + kill) * 3571 % 60_000));
            drop(child.kill());
            child.wait().unwrap();
        }
        quiet(site.run(&["subject", "erase", "--user", "-"], b"ann").expect_code(0));
        let all: String = (0..12).map(others).collect();
        assert_eq!(String::from_utf8_lossy(&site.standing("raw")), all, "the others' lines, each once");
        site.run(&["ledger", "verify"], b"").expect_code(0);
        for path in fs::read_dir(site.dir.at("raw")).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() { assert_eq!(fs::read_dir(&path).unwrap().count(), 0, "nothing half done is left") } else { fs::remove_file(path).unwrap() }
        }
    }
}

#[test]
fn tables_of_counts_are_left_alone() {
    let site = Site::new("hash");
    let config = String::from_utf8(site.dir.read("logfade.toml")).unwrap();
    fs::create_dir(site.dir.at("counts")).unwrap();
    let form = format!("[[class.keep]]\nform = \"aggregate\"\nuntil = \"forever\"\noutput = \"{}\"\nk = 2\n", site.dir.arg("counts"));
    site.dir.file("logfade.toml", format!("{config}{form}").as_bytes());
    site.raw();
    let table = site.dir.at("counts/site.2026-03-01.aggregate.0123abcd.csv");
    fs::write(&table, format!("dimension,cell\nhost,{IP}\n")).unwrap();
    let erased = site.run(&["subject", "erase", "--ip", "-"], IP.as_bytes());
    assert_eq!(quiet(erased.expect_code(0)).json()["erased"], 3);
    assert!(table.exists());
}

#[test]
fn what_cannot_be_read_as_an_identifier_is_not_repeated() {
    let site = Site::new("hash");
    for (args, input) in [(["--ip", "s3cret"], ""), (["--cookie", "s3cret"], ""), (["--from-file", "-"], "ip 203.0.113.7\nmail s3cret\n"), (["--user", "-"], "\n")] {
        quiet(site.run(&[&["subject", "find"], args.as_slice()].concat(), input.as_bytes()).expect_code(2));
    }
    site.run(&["subject", "find"], b"").expect_code(2);
    site.run(&["subject", "find", "--user", "a", "--ip", "203.0.113.9"], b"").expect_code(2);
}
