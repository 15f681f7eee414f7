//! Raw files that grew after something was made of them: no line stands twice, in forms, tables or archives.

use super::batch::Place;
use super::pipe::combined;
use super::support::{Dir, decoded, logfade};
use super::{expire, full_disk};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;

const CONFIG: &str = r#"
[[class]]
name   = "site"
raw    = ["DIR/access.log*"]
format = "combined"
[[class.keep]]
form  = "raw"
until = "30 days"
[[class.keep]]
form   = "default"
until  = "50 years"
output = "DIR/clean"
[[class.keep]]
form   = "aggregate"
until  = "50 years"
output = "DIR/counts"
k      = 2
by     = ["status"]
"#;

fn line(id: u32) -> String {
    format!("203.0.113.{id} - - [05/Jan/2026:10:00:{id:02} +0000] \"GET /item/r{id}r HTTP/1.1\" 200 512 \"-\" \"curl/8.0\"\n")
}

fn ids(dir: &Dir, folder: &str) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    for path in fs::read_dir(dir.at(folder)).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        for line in String::from_utf8(decoded(&fs::read(path).unwrap())).unwrap().lines() {
            *found.entry(line.split("/item/").nth(1).unwrap().split(' ').next().unwrap().to_owned()).or_default() += 1;
        }
    }
    found
}

/// Runs expiry until forms are made, and takes back what came after: as if it had been killed before the raw file went.
fn begun(compress: bool) -> (Dir, Vec<String>) {
    let dir = Dir::new();
    for name in ["clean", "counts"] {
        fs::create_dir(dir.at(name)).unwrap();
    }
    dir.file("logfade.toml", CONFIG.replace("DIR", dir.path().to_str().unwrap()).as_bytes());
    let front: String = (1..4).map(line).collect();
    dir.file("access.log.1", front.as_bytes());
    let base = ["-c", &dir.arg("logfade.toml"), "--state", &dir.arg("state"), "--json"].map(str::to_owned).to_vec();
    expire(&base);
    let ledger = String::from_utf8(dir.read("state/ledger.jsonl")).unwrap();
    let kept: String = ledger.split_inclusive('\n').take_while(|line| !line.contains("\"kind\":\"deleting\"")).collect();
    assert!(kept.matches("\"kind\":\"scrubbed\"").count() == 2 && kept.len() < ledger.len(), "{ledger}");
    dir.file("state/ledger.jsonl", kept.as_bytes());
    fs::remove_file(dir.at("state/ledger.head")).unwrap();
    let whole = front + &(4..6).map(line).collect::<String>();
    if compress {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(whole.as_bytes()).unwrap();
        dir.file("access.log.2.gz", &gzip.finish().unwrap());
    } else {
        dir.file("access.log.1", whole.as_bytes());
    }
    (dir, base)
}

fn expire(base: &[String]) -> serde_json::Value {
    let args: Vec<String> = base.iter().cloned().chain(["expire", "--yes"].map(str::to_owned)).collect();
    logfade(&args).run(b"").expect_code(0).json()
}

fn call(base: &[String], more: &[&str]) -> crate::suite::support::Outcome {
    let args: Vec<String> = base.iter().cloned().chain(more.iter().map(|arg| (*arg).to_owned())).collect();
    logfade(&args).run(b"")
}

#[test]
fn forms_and_tables_of_the_whole_take_the_place_of_those_of_the_front() {
    for compress in [false, true] {
        let (dir, base) = begun(compress);
        assert_eq!(ids(&dir, "clean").len(), 3);
        let report = expire(&base);
        assert!(fs::read_dir(dir.path()).unwrap().all(|entry| !entry.unwrap().file_name().to_str().unwrap().starts_with("access.log")), "{report}");
        let once: BTreeMap<String, u32> = (1..6).map(|id| (format!("r{id}r"), 1)).collect();
        assert_eq!(ids(&dir, "clean"), once, "compressed: {compress}");
        let tables: Vec<String> =
            fs::read_dir(dir.at("counts")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).map(|path| fs::read_to_string(path).unwrap()).collect();
        assert_eq!(tables.len(), 1, "{tables:?}");
        assert!(tables[0].contains("2xx,5,5"), "{tables:?}");
        let ledger = String::from_utf8(dir.read("state/ledger.jsonl")).unwrap();
        assert_eq!(ledger.lines().filter(|line| line.contains("\"kind\":\"deleted\"") && line.contains("raw file grew")).count(), 2, "{ledger}");
        call(&base, &["ledger", "verify"]).expect_code(0);
        expire(&base);
        assert_eq!(call(&base, &["incident", "list"]).json().as_array().unwrap().iter().filter(|case| case["what"] == "vanished").count(), usize::from(false), "nothing vanished");
    }
}

#[test]
fn a_hold_keeps_the_front_and_nothing_is_doubled() {
    let (dir, base) = begun(false);
    call(&base, &["hold", "add", "case", "--class", "site", "--from", "2030-01-01", "--reason", "of later records"]).expect_code(0);
    call(&base, &["expire", "--yes"]).expect_code(1);
    assert_eq!(ids(&dir, "clean").len(), 3);
    assert!(dir.at("access.log.1").exists());
    call(&base, &["hold", "release", "case", "--reason", "settled"]).expect_code(0);
    expire(&base);
    assert_eq!(ids(&dir, "clean").into_values().collect::<Vec<_>>(), [1; 5]);
}

#[test]
fn an_archive_of_a_log_that_was_written_on_is_one() {
    let place = Place::new();
    let whole = combined(30);
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    place.raw("access.log", &lines[..10].concat());
    place.all(&[]).expect_code(0);
    // Written on under its own name, then renamed by rotation with a date and written on once more.
    for (end, from, to) in [(20, "access.log", "access.log"), (30, "access.log", "access.log-20260101")] {
        let mut file = fs::OpenOptions::new().append(true).open(place.dir.at("in").join(from)).unwrap();
        file.write_all(&lines[end - 10..end].concat()).unwrap();
        fs::rename(place.dir.at("in").join(from), place.dir.at("in").join(to)).unwrap();
        place.all(&[]).expect_code(0);
        assert_eq!(place.outputs(), [format!("{to}.zst")]);
        assert_eq!(decoded(&place.clean(&format!("{to}.zst"))).split_inclusive(|byte| *byte == b'\n').count(), end);
    }
    place.verified();
    assert!(String::from_utf8(place.dir.read("state/ledger.jsonl")).unwrap().contains("raw file grew"));
    // A new log under the old name is no stranger any more.
    place.raw("access.log", b"203.0.113.9 - - [05/Jan/2026:10:00:00 +0000] \"GET /new HTTP/1.1\" 200 512 \"-\" \"curl/8.0\"\n");
    place.all(&[]).expect_code(0);
    assert_eq!(place.outputs(), ["access.log-20260101.zst", "access.log.zst"]);
}

/// Raw goes on the word of a file where the form has its files, and on no other.
#[test]
fn what_batch_made_elsewhere_is_no_form() {
    for (out, again) in [("elsewhere", 1), ("clean", 0)] {
        let dir = Dir::new();
        fs::create_dir(dir.at("log")).unwrap();
        let config = dir.file("logfade.toml", full_disk::CONFIG.replace("DIR", dir.path().to_str().unwrap()).as_bytes());
        dir.file("log/access.log.1", (0..20).map(|id| expire::line(id, expire::at("2026-01-05T10:00:00Z"))).collect::<String>().as_bytes());
        let state = dir.arg("state");
        logfade(&["--state", &state, "batch", &dir.arg("log"), "--out", &dir.arg(out), "--format", "combined", "--policy", "default"]).run(b"").expect_code(0);
        logfade(&["-c", &config, "expire", "--yes"]).run(b"").expect_code(0);
        let raw = fs::read_dir(dir.at("log")).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_file()).count();
        assert_eq!(raw, 0, "{out}");
        let own = fs::read_dir(dir.at("clean")).unwrap().filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("--")).count();
        assert_eq!(own, again, "{out}");
        assert_eq!(expire::records(&dir.at("clean")).len(), 20, "{out}");
    }
}
