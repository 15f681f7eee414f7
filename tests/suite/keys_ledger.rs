//! Keys and the ledger: no key goes without an entry, none that has one comes back unseen, and expiry ends those whose time is over.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::keys::{Keyed, REST, common, day, first, noon, stamp};
use super::support::{Outcome, logfade};

fn policy() -> String {
    format!("client_addr = \"hash\"\n{REST}")
}

fn line() -> String {
    common("203.0.113.9", "-", &stamp(noon(0)))
}

impl Keyed {
    fn write(&self) -> Outcome {
        self.pipe(&policy(), &["--format", "common", "-o", &self.dir.arg("out.log")], line().as_bytes())
    }

    fn call(&self, args: &[&str]) -> Outcome {
        let state = self.dir.arg("state");
        logfade(&[&["--json", "--state", state.as_str()], args].concat()).run(b"")
    }

    /// Periods of the ledger's `key` entries, in order.
    fn entries(&self) -> Vec<String> {
        let shown = self.call(&["ledger", "show", "--kind", "key"]);
        let rows = shown.expect_code(0).stdout_text();
        rows.lines().map(|row| serde_json::from_str::<Value>(row).unwrap()["period"].as_str().unwrap().to_owned()).collect()
    }

    fn incidents(&self) -> Vec<Value> {
        let Value::Array(rows) = self.call(&["incident", "list"]).expect_code(0).json() else { panic!("no rows") };
        rows
    }
}

fn copy(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).unwrap();
    }
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

fn put(path: &Path, bytes: &[u8], mode: u32) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_destruction_is_one_entry() {
    let keyed = Keyed::local();
    keyed.write().expect_code(0);
    keyed.keys(&["destroy", &day(0)]).expect_code(0);
    keyed.keys(&["destroy", &day(0)]).expect_code(0);
    keyed.keys(&["destroy", &day(-1)]).expect_code(0);
    assert_eq!(keyed.entries(), [day(0), day(-1)]);
    let shown = keyed.call(&["ledger", "show", "--kind", "key"]).stdout_text();
    let row: Value = serde_json::from_str(shown.lines().next().unwrap()).unwrap();
    assert_eq!((&row["role"], &row["mode"]), (&json!("pseudonym"), &json!("local")));
    // A chain that steps on leaves an entry for each of its days.
    let fleet = Keyed::fleet(b"0123456789abcdefghijklmnopqrstuvwxyz");
    fleet.keys(&["destroy", &day(0)]).expect_code(0);
    let entries = fleet.entries();
    assert_eq!(entries.last(), Some(&day(0)));
    assert!(entries.contains(&day(-1)), "{entries:?}");
    fleet.keys(&["destroy", &day(0)]).expect_code(0);
    fleet.keys(&["destroy", &day(-1)]).expect_code(0);
    assert_eq!(fleet.entries(), entries);
    fleet.write().expect_code(0);
}

#[test]
fn what_a_crash_left_of_a_destruction_is_finished() {
    let begun = format!("{}\n", json!({"at": noon(-1), "mode": "local", "period": day(0), "done": false}));
    // Behind the first note; behind the entry; behind the key's end.
    for (step, entry, held) in [(1, false, true), (2, true, true), (3, true, false)] {
        let keyed = Keyed::local();
        keyed.write().expect_code(0);
        let key = fs::read(keyed.key_file(&day(0))).unwrap();
        let note = keyed.dir.at("state/keys/destroyed.jsonl");
        if entry {
            keyed.keys(&["destroy", &day(0)]).expect_code(0);
            if held {
                put(&keyed.key_file(&day(0)), &key, 0o400);
            }
        }
        put(&note, begun.as_bytes(), 0o600);
        keyed.write().expect_code(0);
        assert!(!keyed.key_file(&day(0)).exists(), "step {step}");
        assert_eq!(keyed.entries(), [day(0)], "step {step}");
        assert!(keyed.incidents().is_empty(), "step {step}");
        assert_eq!(fs::read_to_string(&note).unwrap().lines().filter(|line| line.contains("true")).count(), 1, "step {step}");
        keyed.call(&["ledger", "verify"]).expect_code(0);
    }
}

#[test]
fn no_kill_leaves_a_destroyed_key_without_an_entry() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let (mut cut, mut round) = (0, 0);
    while cut < 8 && round < 60 {
        round += 1;
        let keyed = Keyed::local();
        keyed.write().expect_code(0);
        let state = keyed.dir.arg("state");
        let mut child = logfade(&["--state", &state, "keys", "destroy", &day(0)]).spawn();
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        std::thread::sleep(Duration::from_micros((seed >> 33) % 12_000));
        cut += u32::from(child.try_wait().unwrap().is_none());
        drop(child.kill());
        child.wait().unwrap();
        let told = keyed.entries() == [day(0)];
        let key = fs::read(keyed.key_file(&day(0))).ok();
        assert!(told || key.is_some_and(|key| key.iter().any(|byte| *byte != 0)), "a key went without an entry");
        keyed.keys(&["destroy", &day(0)]).expect_code(0);
        assert_eq!(keyed.entries(), [day(0)]);
        assert!(!keyed.key_file(&day(0)).exists() && keyed.incidents().is_empty());
    }
}

#[test]
fn an_older_key_directory_is_refused_until_its_keys_are_destroyed_again() {
    for (keyed, mode) in [(Keyed::local(), "local"), (Keyed::fleet(b"0123456789abcdefghijklmnopqrstuvwxyz"), "fleet")] {
        keyed.write().expect_code(0);
        let (keys, before) = (keyed.dir.at("state/keys"), keyed.dir.at("before"));
        copy(&keys, &before);
        keyed.keys(&["destroy", &day(0)]).expect_code(0);
        copy(&before, &keys);
        fs::remove_file(keyed.dir.at("out.log")).unwrap();
        let entries = keyed.entries();
        let (state, policy) = (keyed.dir.arg("state"), keyed.dir.file("policy.toml", policy().as_bytes()));
        let log = keyed.dir.file("access.log", line().as_bytes());
        let config = keyed.configured(mode);
        let out = keyed.dir.arg("clean");
        for args in [
            &["pipe", "--policy", &policy, "-o", &keyed.dir.arg("out.log")][..],
            &["batch", &log, "--out", &out, "--policy", &policy],
            &["batch", &log, "--out", &out, "--policy", &policy, "--dry-run"],
            &["explain", "--policy", &policy],
            &["check", "--policy", &policy],
            &["keys", "export", &day(0), "-o", &keyed.dir.arg("export")],
            &["keys", "decrypt", "203.0.113.9", "--period", &day(0)],
            &["-c", &config, "expire"],
        ] {
            let refused = logfade(&[&["--state", state.as_str()], args].concat()).run(line().as_bytes());
            let said = refused.expect_code(4).stderr_text();
            assert!(said.contains("put it back") && said.contains(&format!("logfade keys destroy {}", day(0))), "{args:?}: {said}");
        }
        assert!(!keyed.dir.at("out.log").exists() && !keyed.dir.at("export").exists() && !keyed.dir.at("clean").exists());
        assert!(keyed.keys(&["list"]).expect_code(0).stdout_text().contains("restored"));
        let incidents = keyed.incidents();
        assert_eq!((incidents.len(), &incidents[0]["what"]), (1, &json!("restored")));
        assert!(incidents[0]["note"].as_str().unwrap().contains(&day(0)));
        keyed.keys(&["destroy", &day(0)]).expect_code(0);
        assert!(keyed.entries().len() > entries.len(), "the second end is an entry as well");
        keyed.write().expect_code(0);
        assert_eq!(first(&keyed.dir.read("out.log")), "203.0.113.0");
    }
}

#[test]
fn a_key_directory_that_knows_nothing_makes_no_destroyed_key_anew() {
    let keyed = Keyed::local();
    copy(&keyed.dir.at("state/keys"), &keyed.dir.at("before"));
    keyed.write().expect_code(0);
    keyed.keys(&["destroy", &day(0)]).expect_code(0);
    fs::remove_file(keyed.dir.at("out.log")).unwrap();
    copy(&keyed.dir.at("before"), &keyed.dir.at("state/keys"));
    keyed.write().expect_code(0);
    assert_eq!(first(&keyed.dir.read("out.log")), "203.0.113.0");
    assert!(!keyed.key_file(&day(0)).exists());
    // A fleet that is set up anew begins behind what the ledger says.
    fs::remove_dir_all(keyed.dir.at("state")).unwrap();
    let fleet = Keyed::fleet(b"0123456789abcdefghijklmnopqrstuvwxyz");
    fleet.keys(&["destroy", &day(0)]).expect_code(0);
    fs::remove_dir_all(fleet.dir.at("state/keys")).unwrap();
    put(&fleet.dir.at("seed"), b"0123456789abcdefghijklmnopqrstuvwxyz", 0o600);
    fleet.keys(&["init", "--fleet", &fleet.dir.arg("seed")]).expect_code(0);
    assert_eq!(fleet.keys(&["export", &day(0), "-o", &fleet.dir.arg("out.key")]).code(), Some(2));
}

/// The older ledger agrees with the older keys: only a head that was noted elsewhere tells.
#[test]
fn an_older_state_directory_is_told_by_a_head_noted_elsewhere() {
    let keyed = Keyed::local();
    keyed.call(&["incident", "add", "so that there is a ledger"]).expect_code(0);
    keyed.write().expect_code(0);
    copy(&keyed.dir.at("state"), &keyed.dir.at("before"));
    keyed.keys(&["destroy", &day(0)]).expect_code(0);
    let head = keyed.call(&["ledger", "verify"]).expect_code(0).json()["head"].as_str().unwrap().to_owned();
    copy(&keyed.dir.at("before"), &keyed.dir.at("state"));
    keyed.write().expect_code(0);
    keyed.call(&["ledger", "verify"]).expect_code(0);
    keyed.call(&["ledger", "verify", "--head", &head]).expect_code(4);
}

#[test]
fn no_key_is_used_or_destroyed_beside_a_broken_ledger() {
    let keyed = Keyed::local();
    keyed.write().expect_code(0);
    keyed.keys(&["destroy", &day(-1)]).expect_code(0);
    let ledger = keyed.dir.at("state/ledger.jsonl");
    let whole = fs::read(&ledger).unwrap();
    fs::remove_file(keyed.dir.at("out.log")).unwrap();
    let changed = String::from_utf8(whole.clone()).unwrap().replace(&day(-1), &day(-2)).into_bytes();
    for bytes in [&changed[..], b"", &whole[..whole.len() / 2]] {
        put(&ledger, bytes, 0o600);
        assert_eq!(keyed.write().code(), Some(4));
        assert_eq!(keyed.keys(&["destroy", &day(0)]).code(), Some(4));
        assert_eq!(keyed.keys(&["list"]).code(), Some(4));
        assert!(keyed.key_file(&day(0)).exists() && !keyed.dir.at("out.log").exists());
    }
    put(&ledger, &whole, 0o600);
    keyed.write().expect_code(0);
}

const CONFIG: &str = r#"
[keys]
mode = "MODE"
keep = "48 hours"
[[class]]
name   = "site"
raw    = ["DIR/site.log*"]
format = "combined"
[[class.keep]]
form  = "raw"
until = "30 days"
"#;

impl Keyed {
    fn configured(&self, mode: &str) -> String {
        self.dir.file("logfade.toml", CONFIG.replace("DIR", self.dir.path().to_str().unwrap()).replace("MODE", mode).as_bytes())
    }

    fn over(&self, config: &str, args: &[&str]) -> (Option<i32>, Value) {
        let outcome = self.call(&[&["-c", config], args].concat());
        (outcome.code(), outcome.json()["keys"].clone())
    }
}

#[test]
fn expiry_ends_keys_whose_time_is_over() {
    let keyed = Keyed::local();
    keyed.write().expect_code(0);
    for number in 2..9_u8 {
        put(&keyed.key_file(&day(-i64::from(number))), &[number; 32], 0o400);
    }
    let config = keyed.configured("local");
    let names = |rows: &Value, what: &str| -> Vec<String> { rows.as_array().unwrap().iter().map(|row| row[what].as_str().unwrap_or_default().to_owned()).collect() };
    // The day before yesterday ended less than 48 hours ago.
    let over: Vec<String> = (3..9).rev().map(|number| day(-number)).collect();
    let (code, rows) = keyed.over(&config, &["plan"]);
    assert_eq!((code, names(&rows, "period")), (Some(0), over.clone()));
    assert_eq!(rows[0], json!({"period": day(-8), "reason": "expired", "hold": null, "actions": ["destroy"]}));
    // The first run under a configuration only tells.
    assert_eq!(names(&keyed.over(&config, &["expire"]).1, "outcome"), ["waits"; 6]);
    assert!(keyed.entries().is_empty());
    // A hold keeps the keys of its days, whatever its class.
    keyed.call(&["hold", "add", "case", "--class", "site", "--from", &day(-6), "--to", &format!("{}T12:00:00Z", day(-5)), "--reason", "court"]).expect_code(0);
    assert_eq!(keyed.keys(&["destroy", &day(-5)]).code(), Some(4));
    let kept = [day(-7), day(-6), day(-5)];
    let (_, rows) = keyed.over(&config, &["plan"]);
    assert_eq!(names(&rows, "hold"), ["", "case", "case", "case", "", ""]);
    // A clock that ran ahead destroys nothing.
    let clock = keyed.dir.at("state/clock.json");
    let reading = fs::read(&clock).unwrap();
    let mut wrong: Value = serde_json::from_slice(&reading).unwrap();
    wrong["wall"] = json!("2020-01-01T00:00:00Z");
    put(&clock, wrong.to_string().as_bytes(), 0o600);
    let (code, rows) = keyed.over(&config, &["expire"]);
    assert_eq!((code, names(&rows, "outcome")), (Some(4), ["waits", "kept", "kept", "kept", "waits", "waits"].map(str::to_owned).to_vec()));
    assert!(keyed.entries().is_empty() && keyed.key_file(&day(-8)).exists());
    put(&clock, &reading, 0o600);
    let (code, rows) = keyed.over(&config, &["expire"]);
    assert_eq!((code, names(&rows, "outcome")), (Some(0), ["done", "kept", "kept", "kept", "done", "done"].map(str::to_owned).to_vec()));
    assert_eq!(keyed.entries(), [day(-8), day(-4), day(-3)]);
    assert!(kept.iter().all(|day| keyed.key_file(day).exists()) && keyed.key_file(&day(-2)).exists() && keyed.key_file(&day(0)).exists());
    keyed.call(&["hold", "release", "case", "--reason", "settled"]).expect_code(0);
    keyed.over(&config, &["expire"]);
    assert!(!kept.iter().any(|day| keyed.key_file(day).exists()));
    assert_eq!(keyed.over(&config, &["expire"]), (Some(0), json!([])));
    assert_eq!(keyed.entries().len(), 6);
}
