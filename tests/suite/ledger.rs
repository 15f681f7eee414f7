//! `logfade ledger` and `incident`: nothing that was written can be changed unseen, whoever writes and whatever kills it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Child;
use std::time::Duration;

use serde_json::Value;

use super::support::{Dir, Outcome, holds, logfade};

fn run(state: &str, args: &[&str]) -> Outcome {
    logfade(&[&["--json", "--state", state][..], args].concat()).run(b"")
}

fn add(state: &str, text: &str) -> u64 {
    let outcome = run(state, &["incident", "add", text]);
    outcome.expect_code(0);
    outcome.json()["incident"].as_u64().unwrap()
}

fn verify(state: &str, args: &[&str]) -> (Option<i32>, Value) {
    let outcome = run(state, &[&["ledger", "verify"][..], args].concat());
    (outcome.code(), outcome.json())
}

#[test]
fn incidents_are_opened_listed_and_closed() {
    let dir = Dir::new();
    let state = dir.arg("state");
    assert_eq!(run(&state, &["incident", "list"]).json(), Value::Array(Vec::new()));
    assert!(!dir.at("state").exists(), "looking makes nothing");
    assert_eq!((add(&state, "a laptop was stolen"), add(&state, "the second")), (1, 2));
    run(&state, &["incident", "close", "1", "--reason", "it was found"]).expect_code(0);
    for (number, why) in [("1", "closed twice"), ("3", "not an incident"), ("9", "unknown")] {
        assert_eq!(run(&state, &["incident", "close", number, "no"]).code(), Some(2), "{why}");
    }
    assert_eq!(run(&state, &["incident", "close", "2"]).code(), Some(2), "a reason is needed");
    let open = run(&state, &["incident", "list"]).json();
    assert_eq!((open.as_array().unwrap().len(), &open[0]["note"]), (1, &Value::from("the second")));
    let all = run(&state, &["incident", "list", "--all"]).json();
    assert_eq!((&all[0]["what"], &all[0]["reason"]), (&Value::from("manual"), &Value::from("it was found")));
    let modes = ["", "ledger.jsonl", "ledger.head"].map(|name| dir.at("state").join(name).metadata().unwrap().permissions().mode() & 0o777);
    assert_eq!(modes, [0o700, 0o600, 0o600]);
}

#[test]
fn entries_are_chosen_by_kind_time_and_path() {
    let dir = Dir::new();
    let state = dir.arg("state");
    run(&state, &["incident", "add", "one", "--path", "/var/log/a/access.log", "--class", "site"]).expect_code(0);
    add(&state, "two\x1b[31m");
    let shown = |args: &[&str]| run(&state, &[&["ledger", "show"][..], args].concat()).stdout_text().lines().count();
    assert_eq!((shown(&[]), shown(&["--kind", "incident"]), shown(&["--kind", "deleted"])), (2, 2, 0));
    assert_eq!((shown(&["--path", "/var/log/a"]), shown(&["--path", "/var/log/a/access.log"]), shown(&["--path", "/var/log/b"])), (1, 1, 0));
    assert_eq!((shown(&["--class", "site"]), shown(&["--since", "2100-01-01"]), shown(&["--until", "2100-01-01"])), (1, 0, 2));
    assert_eq!(run(&state, &["ledger", "show", "--kind", "nothing"]).code(), Some(2));
    let human = logfade(&["--state", &state, "ledger", "show"]).run(b"");
    assert!(!holds(&human.stdout, b"\x1b"), "a terminal is not driven by what an entry says");
    let lines = run(&state, &["ledger", "show"]).stdout_text();
    assert_eq!(lines.as_bytes(), dir.read("state/ledger.jsonl"), "JSON is what stands in the ledger");
}

#[test]
fn a_changed_ledger_is_refused() {
    let dir = Dir::new();
    let state = dir.arg("state");
    assert_eq!(verify(&state, &[]), (Some(0), serde_json::json!({"entries": 0, "ok": true, "head": "0".repeat(64), "error": null})));
    for number in 0..4 {
        add(&state, &number.to_string());
    }
    let (code, report) = verify(&state, &[]);
    let head = report["head"].as_str().unwrap().to_owned();
    assert_eq!((code, &report["entries"], &report["ok"]), (Some(0), &Value::from(4), &Value::from(true)));
    assert_eq!(verify(&state, &["--head", &head]).0, Some(0));
    add(&state, "later");
    assert_eq!(verify(&state, &["--head", &head]).0, Some(0), "a noted head stays in the chain");
    assert_eq!(verify(&state, &["--head", &"ab".repeat(32)]).0, Some(4), "another does not stand in it");

    let whole = dir.read("state/ledger.jsonl");
    for at in (0..whole.len()).step_by(37) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        dir.file("state/ledger.jsonl", &bytes);
        let line = 1 + whole[..at].iter().filter(|byte| **byte == b'\n').count() as u64;
        let (code, report) = verify(&state, &[]);
        assert_eq!((code, &report["ok"]), (Some(4), &Value::from(false)), "byte {at}");
        let named: u64 = report["error"].as_str().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        assert!(named == line || named == line + 1, "byte {at} of line {line}: {report}");
    }
    // The end is gone: no program writes behind it.
    let cut = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    dir.file("state/ledger.jsonl", &whole[..cut]);
    assert_eq!(verify(&state, &[]).0, Some(4));
    assert_eq!(run(&state, &["incident", "add", "more"]).code(), Some(4));
    assert_eq!(dir.read("state/ledger.jsonl"), &whole[..cut]);
}

#[test]
fn many_processes_append_at_the_same_time() {
    let dir = Dir::new();
    let state = dir.arg("state");
    for _ in 0..5 {
        let mut children: Vec<Child> = (0..8).map(|number| logfade(&["--state", &state, "incident", "add", &number.to_string()]).spawn()).collect();
        for child in &mut children {
            assert!(child.wait().unwrap().success());
        }
    }
    let (code, report) = verify(&state, &[]);
    assert_eq!((code, &report["entries"]), (Some(0), &Value::from(40)));
}

#[test]
fn a_kill_in_the_middle_of_an_append_heals() {
    let dir = Dir::new();
    let state = dir.arg("state");
    let mut acknowledged = 0;
    for round in 0..60_u64 {
        let mut child = logfade(&["--state", &state, "incident", "add", "killed"]).spawn();
        std::thread::sleep(Duration::from_micros(round * 997 % 8000));
        drop(child.kill());
        acknowledged += u64::from(child.wait().unwrap().success());
    }
    // A whole process may also have been killed between its entry and its answer.
    let last = add(&state, "alive");
    assert!(last > acknowledged);
    let (code, report) = verify(&state, &[]);
    assert_eq!((code, &report["entries"]), (Some(0), &Value::from(last)));
    // What a power failure can leave of an append.
    let whole = dir.read("state/ledger.jsonl");
    let entry = whole.iter().position(|byte| *byte == b'\n').unwrap();
    let torn = [&whole[..], &whole[..whole.len() / 3 % (entry - 1) + 1]].concat();
    dir.file("state/ledger.jsonl", torn.trim_ascii_end());
    assert_eq!(verify(&state, &[]).0, Some(0), "it never was an entry");
    assert_eq!(add(&state, "again"), last + 1);
    assert!(fs::read(dir.at("state/ledger.jsonl")).unwrap().starts_with(&whole));
}

#[test]
fn a_state_directory_that_others_can_write_is_refused() {
    let dir = Dir::new();
    fs::create_dir(dir.at("state")).unwrap();
    fs::set_permissions(dir.at("state"), fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(run(&dir.arg("state"), &["incident", "add", "x"]).code(), Some(2));
}
