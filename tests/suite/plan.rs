//! `logfade plan`: a reason for every file on the disk, and nothing changed.

use super::support::{Dir, Outcome, logfade};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{File, FileTimes, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// A line of that time.
fn line(time: &str) -> String {
    format!("192.0.2.7 - - [{time} +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"curl/8\"\n")
}

/// Writes a log and sets its modification, in seconds since 1970.
fn log(dir: &Dir, name: &str, bytes: &[u8], modified: u64) {
    let path = dir.at(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    touch(&path, modified);
}

fn touch(path: &Path, modified: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(modified);
    File::options().write(true).open(path).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut child = std::process::Command::new("gzip").arg("-c").stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    child.wait_with_output().unwrap().stdout
}

/// 2024-03-20 and 2024-06-30, 12:00 UTC.
const MARCH: u64 = 1_710_936_000;
const JUNE: u64 = 1_719_748_800;

const CONFIG: &str = r#"
[[class]]
name   = "site"
raw    = ["DIR/log/access.log*", "DIR/log/old/*.gz"]
format = "combined"
zone   = "Europe/Stockholm"
max_rejects = "10%"
[[class.keep]]
form  = "raw"
until = "30 days"
[[class.keep]]
form   = "default"
until  = "6 months"
output = "DIR/out"
"#;

fn plan(dir: &Dir, config: &str, now: &str, more: &[&str]) -> Outcome {
    let path = dir.file("logfade.toml", config.replace("DIR", dir.path().to_str().unwrap()).as_bytes());
    let mut args = vec!["-c", &path, "--state"];
    let state = dir.arg("state");
    args.extend([state.as_str(), "plan", "--now", now]);
    args.extend(more);
    logfade(&args).run(b"")
}

/// Name below the directory -> row.
fn rows(dir: &Dir, json: &Value) -> BTreeMap<String, Value> {
    let rows = json["files"].as_array().unwrap().iter();
    rows.map(|row| (Path::new(row["path"].as_str().unwrap()).strip_prefix(dir.path()).unwrap().to_str().unwrap().to_owned(), row.clone())).collect()
}

fn tree(dir: &Dir) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![dir.path().to_owned()];
    while let Some(folder) = open.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(path.to_str().unwrap().to_owned(), std::fs::read(&path).unwrap_or_default());
            }
        }
    }
    found
}

#[test]
fn every_file_gets_a_reason_and_nothing_changes() {
    let dir = Dir::new();
    let (old, young) = (line("20/Mar/2024:12:00:00"), line("29/Jun/2024:12:00:00"));
    log(&dir, "log/access.log", young.as_bytes(), JUNE);
    log(&dir, "log/access.log.1", [old.as_str(), &young].concat().as_bytes(), JUNE);
    log(&dir, "log/access.log.2.gz", &gzip(old.as_bytes()), JUNE);
    log(&dir, "log/old/deep.gz", &gzip(old.as_bytes()), JUNE);
    log(&dir, "log/access.log.cut.gz", &gzip(old.repeat(400).as_bytes())[..60], MARCH);
    // A record without a time takes the previous line's; a file without any record has its own.
    log(&dir, "log/access.log.3", format!("{old}{}", old.replace("20/Mar/2024", "20/xxx/2024")).as_bytes(), JUNE);
    log(&dir, "log/access.log.4", b"", MARCH);
    // Ten years ahead of the file: clamped to the file's own time.
    log(&dir, "log/access.log.5", line("20/Mar/2034:12:00:00").as_bytes(), MARCH);
    // Ahead of the clock, but not of the file.
    log(&dir, "log/access.log.6", line("20/Jul/2024:12:00:00").as_bytes(), JUNE + 30 * 86_400);
    log(&dir, "log/access.log.7", format!("{old}gibberish\n").as_bytes(), MARCH);
    log(&dir, "log/other.log", old.as_bytes(), MARCH);
    log(&dir, "log/old/deeper/x.gz", &gzip(old.as_bytes()), MARCH);
    std::os::unix::fs::symlink(dir.at("log/other.log"), dir.at("log/access.log.link")).unwrap();
    log(&dir, "log/access.log.hard", old.as_bytes(), MARCH);
    std::fs::hard_link(dir.at("log/access.log.hard"), dir.at("second-name")).unwrap();
    // Outputs of a lost ledger, known by their names, and a file that is nobody's.
    log(&dir, "out/access.log.20231201T100000Z--20231228T100000Z.0123abcd.zst", line("28/Dec/2023:10:00:00").as_bytes(), JUNE);
    log(&dir, "out/access.log.20240101T100000Z--20240629T100000Z.0123abcd.zst", line("29/Jun/2024:10:00:00").as_bytes(), JUNE);
    log(&dir, "out/notes.txt", b"x", MARCH);
    let now = "2024-06-30T12:00:00Z";
    drop(plan(&dir, CONFIG, now, &[]));
    let before = tree(&dir);
    let outcome = plan(&dir, CONFIG, now, &["--json"]);
    assert_eq!(tree(&dir), before, "a plan changes nothing, and makes no state directory");
    let json = outcome.json();
    let rows = rows(&dir, &json);
    let raw = |name: &str| &rows[&format!("log/{name}")];
    let table = [
        ("access.log", "young", vec![], "2024-06-29T12:00:00Z"),
        ("access.log.1", "straddles", vec!["scrub", "split"], "2024-06-29T12:00:00Z"),
        ("access.log.2.gz", "expired", vec!["scrub", "delete"], "2024-03-20T12:00:00Z"),
        ("old/deep.gz", "expired", vec!["scrub", "delete"], "2024-03-20T12:00:00Z"),
        ("access.log.cut.gz", "unproven", vec![], "2024-03-20T12:00:00Z"),
        ("access.log.3", "expired", vec!["scrub", "delete"], "2024-03-20T12:00:00Z"),
        ("access.log.4", "expired", vec!["delete"], "2024-03-20T12:00:00Z"),
        ("access.log.5", "expired", vec!["scrub", "delete"], "2024-03-20T12:00:00Z"),
        ("access.log.6", "future_dated", vec![], "2024-07-20T12:00:00Z"),
        ("access.log.7", "too_many_rejects", vec![], "2024-03-20T12:00:00Z"),
        ("access.log.hard", "unproven", vec![], "2024-03-20T12:00:00Z"),
    ];
    for (name, reason, actions, newest) in table {
        let row = raw(name);
        assert_eq!((row["reason"].as_str(), &row["actions"], row["newest"].as_str()), (Some(reason), &serde_json::json!(actions), Some(newest)), "{name}");
        assert_eq!((row["class"].as_str(), row["form"].as_str()), (Some("site"), Some("raw")), "{name}");
    }
    assert_eq!(raw("access.log.2.gz")["deadline"], "2024-04-19T22:00:00Z");
    let form = |name: &str| &rows[&format!("out/access.log.{name}.0123abcd.zst")];
    assert_eq!(
        (form("20231201T100000Z--20231228T100000Z")["reason"].as_str(), &form("20231201T100000Z--20231228T100000Z")["actions"]),
        (Some("expired"), &serde_json::json!(["delete"]))
    );
    assert_eq!(form("20240101T100000Z--20240629T100000Z")["reason"], "young");
    assert_eq!(form("20240101T100000Z--20240629T100000Z")["deadline"], "2024-12-29T23:00:00Z");
    for nobodys in ["log/other.log", "log/access.log.link", "log/old/deeper/x.gz", "out/notes.txt"] {
        assert!(!rows.contains_key(nobodys), "{nobodys}");
    }
    // Cut short, a second name, too many rejects.
    assert_eq!(json["overdue"], 3);
    outcome.expect_code(1);
    assert!(outcome.stderr_text().contains("overdue: 3 files"), "{}", outcome.stderr_text());
    let table = plan(&dir, CONFIG, now, &[]).stdout_text();
    assert!(table.contains("straddles") && table.contains("scrub, delete") && table.contains("3 overdue"), "{table}");
}

#[test]
fn a_file_that_somebody_writes_stays() {
    let dir = Dir::new();
    log(&dir, "log/access.log.1", line("20/Mar/2024:12:00:00").as_bytes(), MARCH);
    let writer = OpenOptions::new().append(true).open(dir.at("log/access.log.1")).unwrap();
    let outcome = plan(&dir, CONFIG, "2024-06-30T12:00:00Z", &["--json"]);
    let row = &outcome.json()["files"][0];
    assert_eq!((row["reason"].as_str(), row["actions"].as_array().map(Vec::len)), (Some("in_use"), Some(0)));
    outcome.expect_code(1);
    drop(writer);
    let row = plan(&dir, CONFIG, "2024-06-30T12:00:00Z", &["--json"]).expect_code(0).json()["files"][0].clone();
    assert_eq!(row["reason"], "expired");
    // Nothing is due: nobody is disturbed by a lease, and nothing is overdue.
    let json = plan(&dir, CONFIG, "2024-04-19T21:59:59Z", &["--json"]).expect_code(0).json();
    assert_eq!((json["files"][0]["reason"].as_str(), json["overdue"].as_u64()), (Some("young"), Some(0)));
    assert_eq!(plan(&dir, CONFIG, "2024-04-19T22:00:00Z", &["--json"]).json()["files"][0]["reason"], "expired");
}

#[test]
fn the_time_of_a_plan_is_not_in_the_future() {
    let dir = Dir::new();
    let outcome = plan(&dir, CONFIG, "2200-01-01T00:00:00Z", &[]);
    assert_eq!(outcome.code(), Some(2));
    assert!(outcome.stderr_text().contains("lies in the future"), "{}", outcome.stderr_text());
    assert_eq!(plan(&dir, CONFIG, "yesterday", &[]).code(), Some(2));
    assert_eq!(plan(&dir, CONFIG, "2024-06-30", &[]).code(), Some(0), "a date is enough, and no file is no fault");
    assert_eq!(logfade(&["-c", "/nonexistent.toml", "plan"]).run(b"").code(), Some(2));
}

/// What reading found is remembered by identity: a file that changed is read again.
#[test]
fn times_are_remembered_by_identity() {
    let dir = Dir::new();
    std::fs::create_dir(dir.at("state")).unwrap();
    log(&dir, "log/access.log.1", line("20/Mar/2024:12:00:00").as_bytes(), MARCH);
    let now = "2024-06-30T12:00:00Z";
    let first = plan(&dir, CONFIG, now, &["--json"]).expect_code(0).json();
    let kept = String::from_utf8(dir.read("state/catalog.json")).unwrap();
    assert!(kept.contains("2024-03-20T12:00:00Z") && !kept.contains("192.0.2.7"), "{kept}");
    assert_eq!(plan(&dir, CONFIG, now, &["--json"]).json(), first);
    // The cache is believed: with another time in it, the plan says so.
    dir.file("state/catalog.json", kept.replace(r#""newest":"2024-03-20T12"#, r#""newest":"2024-03-21T12"#).as_bytes());
    assert_eq!(plan(&dir, CONFIG, now, &["--json"]).json()["files"][0]["newest"], "2024-03-21T12:00:00Z");
    // Not for a file of another identity, nor under another format.
    log(&dir, "log/access.log.1", line("22/Mar/2024:12:00:00").as_bytes(), MARCH + 1);
    assert_eq!(plan(&dir, CONFIG, now, &["--json"]).json()["files"][0]["newest"], "2024-03-20T12:00:01Z", "more than 25 hours ahead of the file");
    touch(&dir.at("log/access.log.1"), JUNE);
    assert_eq!(plan(&dir, CONFIG, now, &["--json"]).json()["files"][0]["newest"], "2024-03-22T12:00:00Z");
    assert_eq!(std::fs::read_dir(dir.at("state")).unwrap().count(), 1, "nothing else is left");
    dir.file("state/catalog.json", b"not json");
    plan(&dir, CONFIG, now, &["--json"]).expect_code(0);
}

/// What a plan remembered before there was a ledger is not what `expire` proves by.
#[test]
fn a_plan_in_a_new_state_directory_does_not_stop_expiry() {
    let dir = Dir::new();
    std::fs::create_dir(dir.at("state")).unwrap();
    std::fs::set_permissions(dir.at("state"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    std::fs::create_dir(dir.at("out")).unwrap();
    log(&dir, "log/access.log.1", line("20/Mar/2024:12:00:00").as_bytes(), MARCH);
    plan(&dir, CONFIG, "2026-06-30T12:00:00Z", &["--json"]);
    let config = dir.arg("logfade.toml");
    let report = logfade(&["-c", &config, "--state", &dir.arg("state"), "--json", "expire", "--yes"]).run(b"").json();
    assert_ne!(report["files"][0]["reason"], "in_use", "{report}");
}

/// What the ledger knows and nobody deleted here is missed, until somebody settles it.
#[test]
fn what_somebody_else_deleted_is_missed() {
    use logfade::retain::ledger::{Counts, Entry, Fault, Identity, Incident, Keyed, Output, Reasons, Scrubbed};
    let dir = Dir::new();
    log(&dir, "log/access.log.1", line("20/Mar/2024:12:00:00").as_bytes(), MARCH);
    let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
    let (path, output) = (dir.at("log/access.log.9"), dir.at("out/access.log.20240101T000000Z--20240102T000000Z.00000000.zst"));
    let scrubbed = Scrubbed {
        class: Some("site".into()),
        path: path.clone(),
        identity: Identity { device: 0, inode: 0, size: 5, mtime: at("2024-01-02T00:00:00Z") },
        digest: Keyed([1; 32]),
        content: None,
        format: None,
        tally: Counts::default(),
        reasons: Reasons::default(),
        oldest: Some(at("2024-01-01T00:00:00Z")),
        newest: Some(at("2024-01-02T00:00:00Z")),
        outputs: vec![Output { path: output.clone(), form: "default".into(), policy: Default::default(), digest: Keyed([2; 32]), bytes: 5, lines: 1, excluded: 0 }],
    };
    let state = dir.at("state");
    let note = |entry: Entry| logfade::store::Chronicle::open(&state, at("2024-06-01T00:00:00Z")).unwrap().note(&entry).unwrap();
    note(Entry::Scrubbed(scrubbed));
    let look = || rows(&dir, &plan(&dir, CONFIG, "2024-06-30T12:00:00Z", &["--json"]).expect_code(0).json());
    let (name, output_name) = ("log/access.log.9", "out/access.log.20240101T000000Z--20240102T000000Z.00000000.zst");
    let found = look();
    assert_eq!((found.len(), found[name]["reason"].as_str(), found[output_name]["reason"].as_str()), (3, Some("vanished"), Some("vanished")));
    assert_eq!(found[output_name]["form"], "default");
    for (seq, path) in [(2, &path), (4, &output)] {
        note(Entry::Incident(Incident::Opened { what: Fault::Vanished, class: Some("site".into()), path: Some(path.clone()), note: None }));
        assert_eq!(look().len(), if seq == 2 { 3 } else { 2 }, "an open incident is still one");
        note(Entry::Incident(Incident::Closed { incident: seq, reason: "found it".into() }));
    }
    assert_eq!(look().keys().collect::<Vec<_>>(), ["log/access.log.1"]);
    // A ledger that was changed is no ground for a plan.
    let ledger = String::from_utf8(dir.read("state/ledger.jsonl")).unwrap();
    dir.file("state/ledger.jsonl", ledger.replacen("access.log.9", "access.log.8", 1).as_bytes());
    assert_eq!(plan(&dir, CONFIG, "2024-06-30T12:00:00Z", &[]).code(), Some(4));
}
