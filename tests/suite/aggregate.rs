//! Tables of closed days: counted by hand, small groups hidden, made before raw goes, and made again for a late file.

use crate::suite::support::{Dir, Outcome, logfade};
use std::collections::BTreeMap;
use std::fs;

const CLASS: &str = r#"
[[class]]
name   = "site"
raw    = ["DIR/access.log*"]
format = "combined"
[[class.keep]]
form  = "raw"
until = "30 days"
[[class.keep]]
form   = "aggregate"
until  = "5 years"
output = "DIR/stats"
k      = 2
"#;

/// A directory with a class; `change` edits its text.
fn site(change: impl Fn(String) -> String) -> (Dir, Vec<String>) {
    let dir = Dir::new();
    fs::create_dir(dir.at("stats")).unwrap();
    dir.file("logfade.toml", change(CLASS.to_owned()).replace("DIR", dir.path().to_str().unwrap()).as_bytes());
    let base = ["-c", &dir.arg("logfade.toml"), "--state", &dir.arg("state"), "--json"].map(str::to_owned).to_vec();
    (dir, base)
}

fn expire(base: &[String], more: &[&str]) -> Outcome {
    let args: Vec<String> = base.iter().cloned().chain(["expire", "--yes"].iter().chain(more).map(|arg| (*arg).to_owned())).collect();
    logfade(&args).run(b"")
}

fn line(client: u32, time: &str, request: &str, (status, agent): (u32, &str)) -> String {
    format!("203.0.113.{client} - - [{time} +0000] \"{request} HTTP/1.1\" {status} 512 \"-\" \"{agent}\"\n")
}

const CURL: &str = "curl/8.0";

/// Three clients read a page, one of them sends a form, another one has an agent of its own.
fn day() -> (String, String) {
    let first =
        line(1, "05/Jan/2026:10:00:00", "GET /a", (200, CURL)) + &line(2, "05/Jan/2026:10:05:00", "GET /a", (200, CURL)) + &line(1, "05/Jan/2026:11:00:00", "POST /b", (404, CURL));
    (first, line(3, "05/Jan/2026:10:30:00", "GET /a", (200, "Curious/1.0 (secret-agent)")))
}

/// Tables by name, without what the program keeps for itself.
fn tables(dir: &Dir) -> BTreeMap<String, String> {
    let files = fs::read_dir(dir.at("stats")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    files.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())).collect()
}

fn only(dir: &Dir) -> String {
    let tables = tables(dir);
    assert_eq!(tables.len(), 1, "{tables:?}");
    tables.into_values().next().unwrap()
}

/// The row of a dimension and a cell: extent, records and clients.
fn row(table: &str, dimension: &str, cell: &str) -> Option<String> {
    let wanted = format!(",{dimension},{cell},");
    table.lines().find(|line| line.contains(&wanted)).map(|line| line.rsplit(&wanted).next().unwrap().to_owned())
}

#[test]
fn a_day_of_two_files_is_one_table_and_then_raw_goes() {
    let (dir, base) = site(|text| text);
    let (first, second) = day();
    dir.file("access.log.2", first.as_bytes());
    dir.file("access.log.1", second.as_bytes());
    expire(&base, &[]).expect_code(0);
    let found = tables(&dir);
    assert_eq!(found.len(), 1, "{found:?}");
    let (name, table) = found.into_iter().next().unwrap();
    assert!(name.starts_with("site.2026-01-05.aggregate.") && name.ends_with(".csv"), "{name}");
    let family = table.lines().find(|line| line.contains(",family,")).unwrap_or_default().split(',').nth(3).unwrap_or_default().to_owned();
    assert!(family.to_lowercase().starts_with("curl"), "{table}");
    let expected = [
        "day,extent,dimension,cell,records,clients",
        "2026-01-05,whole,hour,10,3,3",
        "2026-01-05,whole,hour,other,,",
        "2026-01-05,whole,status,2xx,3,3",
        "2026-01-05,whole,status,other,,",
        "2026-01-05,whole,method,GET,3,3",
        "2026-01-05,whole,method,other,,",
        "2026-01-05,whole,path,/a,3,3",
        "2026-01-05,whole,path,other,,",
        &format!("2026-01-05,whole,family,{family},3,2"),
        "2026-01-05,whole,family,other,,",
    ];
    assert_eq!(table.lines().collect::<Vec<_>>(), expected);
    for secret in ["203.0.113", "secret-agent", "Curious", "POST", "/b"] {
        assert!(!table.contains(secret), "{secret}");
    }
    assert!(!dir.at("access.log.1").exists() && !dir.at("access.log.2").exists());
    assert!(!String::from_utf8_lossy(&dir.read("state/ledger.jsonl")).contains("203.0.113"));
    let args: Vec<String> = base.iter().cloned().chain(["ledger".to_owned(), "verify".to_owned()]).collect();
    logfade(&args).run(b"").expect_code(0);
    // The next run has nothing to do, and leaves the table.
    expire(&base, &[]).expect_code(0);
    assert_eq!(only(&dir), table);
}

#[test]
fn the_same_records_are_the_same_bytes() {
    let made = |order: [&str; 2]| {
        let (dir, base) = site(|text| text);
        let (first, second) = day();
        dir.file(order[0], first.as_bytes());
        dir.file(order[1], second.as_bytes());
        expire(&base, &[]).expect_code(0);
        only(&dir)
    };
    assert_eq!(made(["access.log.1", "access.log.2"]), made(["access.log.2", "access.log.1"]));
}

#[test]
fn a_cell_of_fewer_clients_than_k_is_never_there() {
    for (k, shown) in [(1, true), (3, true), (4, false)] {
        let (dir, base) = site(|text| text.replace("k      = 2", &format!("k = {k}\nby = [\"path\"]")));
        let (first, second) = day();
        dir.file("access.log.1", (first + &second).as_bytes());
        expire(&base, &[]).expect_code(0);
        let table = only(&dir);
        assert_eq!(row(&table, "path", "/a").as_deref(), shown.then_some("3,3"), "k = {k}: {table}");
        assert_eq!(row(&table, "path", "/b").as_deref(), (k == 1).then_some("1,1"), "k = {k}: {table}");
        assert_eq!(row(&table, "path", "other").as_deref(), (k > 1).then_some(","), "k = {k}: {table}");
        assert_eq!(row(&table, "hour", "10"), None, "only what is asked for");
    }
}

#[test]
fn a_late_file_whose_day_is_gone_is_a_part_of_its_own() {
    let (dir, base) = site(|text| text);
    let (first, second) = day();
    dir.file("access.log.1", first.as_bytes());
    expire(&base, &[]).expect_code(0);
    let before = only(&dir);
    dir.file("access.log.9", (second + &line(4, "05/Jan/2026:10:40:00", "GET /a", (200, CURL))).as_bytes());
    expire(&base, &[]).expect_code(0);
    let found = tables(&dir);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.values().any(|table| *table == before), "what was counted stays");
    let part = found.values().find(|table| **table != before).unwrap();
    assert!(part.lines().skip(1).all(|line| line.starts_with("2026-01-05,part,")), "{part}");
    assert_eq!(row(part, "path", "/a").as_deref(), Some("2,2"));
    assert!(!dir.at("access.log.9").exists());
}

#[test]
fn a_late_file_makes_its_day_again_while_raw_stands() {
    let (dir, base) = site(|text| text);
    let (first, second) = day();
    dir.file("access.log.2", first.as_bytes());
    // Nothing can be buried here, so that nothing goes.
    dir.file(".logfade", b"");
    expire(&base, &[]);
    assert!(dir.at("access.log.2").exists());
    assert_eq!(row(&only(&dir), "path", "/a").as_deref(), Some("2,2"));
    dir.file("access.log.1", second.as_bytes());
    fs::remove_file(dir.at(".logfade")).unwrap();
    expire(&base, &[]).expect_code(0);
    let table = only(&dir);
    assert_eq!(row(&table, "path", "/a").as_deref(), Some("3,3"), "{table}");
    assert!(table.lines().skip(1).all(|line| line.starts_with("2026-01-05,whole,")), "{table}");
    assert!(!dir.at("access.log.1").exists() && !dir.at("access.log.2").exists());
    expire(&base, &[]).expect_code(0);
}

#[test]
fn a_copy_of_a_log_counts_once() {
    let (dir, base) = site(|text| text);
    let (first, _) = day();
    dir.file("access.log.1", first.as_bytes());
    dir.file("access.log.2", first.as_bytes());
    expire(&base, &[]).expect_code(0);
    assert_eq!(row(&only(&dir), "path", "/a").as_deref(), Some("2,2"));
    assert!(!dir.at("access.log.1").exists() && !dir.at("access.log.2").exists());
}

#[test]
fn each_day_of_a_file_has_its_table_when_it_is_due() {
    let (dir, base) = site(|text| text.replace("format =", "zone = \"Europe/Stockholm\"\nformat ="));
    // 23:30 UTC is half past midnight of the next day in Stockholm.
    let days = ["05/Jan/2026:10:00:00", "05/Jan/2026:23:30:00", "06/Jan/2026:10:00:00"];
    let text: String = days.iter().flat_map(|time| [1, 2].map(|client| line(client, time, "GET /a", (200, CURL)))).collect();
    dir.file("access.log.1", text.as_bytes());
    expire(&base, &["--now", "2026-02-05T12:00:00Z"]).expect_code(0);
    assert_eq!(row(&only(&dir), "hour", "11").as_deref(), Some("2,2"));
    expire(&base, &["--now", "2026-02-06T12:00:00Z"]).expect_code(0);
    let found = tables(&dir);
    assert_eq!(found.len(), 2, "{found:?}");
    let (name, second) = found.last_key_value().unwrap();
    assert!(name.starts_with("site.2026-01-06."), "{name}");
    assert_eq!((row(second, "hour", "00").as_deref(), row(second, "hour", "11").as_deref()), (Some("2,2"), Some("2,2")));
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).filter(|name| name.to_str().unwrap().starts_with("access.log")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn tables_expire_by_their_own_window() {
    let (dir, base) = site(|text| text.replace("5 years", "60 days"));
    let (first, _) = day();
    dir.file("access.log.1", first.as_bytes());
    expire(&base, &["--now", "2026-02-06T12:00:00Z"]).expect_code(0);
    assert_eq!(tables(&dir).len(), 1);
    expire(&base, &["--now", "2026-03-06T12:00:00Z"]).expect_code(0);
    assert_eq!(tables(&dir).len(), 1, "the day is still within its window");
    expire(&base, &["--now", "2026-03-07T12:00:00Z"]).expect_code(0);
    assert_eq!(tables(&dir).len(), 0);
}

#[test]
fn rows_as_ndjson() {
    let (dir, base) = site(|text| text.replace("k      = 2", "k = 2\nlayout = \"json\"\nby = [\"method\"]"));
    let (first, second) = day();
    dir.file("access.log.1", (first + &second).as_bytes());
    expire(&base, &[]).expect_code(0);
    assert!(tables(&dir).keys().all(|name| name.ends_with(".ndjson")));
    let rows: Vec<serde_json::Value> = only(&dir).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let row = |cell: &str, records: Option<u64>, clients: Option<u64>| serde_json::json!({ "day": "2026-01-05", "extent": "whole", "dimension": "method", "cell": cell, "records": records, "clients": clients });
    assert_eq!(rows, [row("GET", Some(3), Some(3)), row("other", None, None)]);
}

#[test]
fn raw_stays_where_its_table_was_lost() {
    let (dir, base) = site(|text| text);
    let (first, _) = day();
    dir.file("access.log.1", first.as_bytes());
    dir.file(".logfade", b"");
    expire(&base, &[]);
    for name in tables(&dir).into_keys() {
        fs::write(dir.at("stats").join(name), "changed\n").unwrap();
    }
    fs::remove_file(dir.at(".logfade")).unwrap();
    expire(&base, &[]);
    assert!(dir.at("access.log.1").exists(), "nothing proves what raw says");
}
