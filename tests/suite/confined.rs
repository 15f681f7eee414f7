//! What a process that has raw lines in its memory cannot do: be dumped, read what it has no business with.

use super::run::{Site, line, open};
use super::support::{Dir, logfade};
use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// Its configuration is replaced by one that asks for a secret: what comes back says nothing of it.
#[test]
fn the_sidecar_reads_nothing_that_it_was_not_told_of() {
    let mut site = Site::new("");
    // Elsewhere: in a directory of its own, because that of the configuration is read again.
    let other = Dir::new();
    let secret = other.file("hidden.toml", b"client_addr = \"canary-action\"\nother = \"drop\"\n");
    site.start();
    open(&site.log()).write_all(line(0).as_bytes()).unwrap();
    site.until_records(1);
    if site.told("unconfined") > 0 {
        println!("skipped: this kernel has no Landlock");
        return;
    }
    assert_eq!(site.told("confined"), 1, "{}", site.said());
    let before = String::from_utf8(site.dir.read("logfade.toml")).unwrap();
    let hostile = before.replace("form = \"default\"", &format!("form = \"{secret}\""));
    site.dir.file("logfade.toml", hostile.as_bytes());
    let outside = logfade(&["-c", &site.dir.arg("logfade.toml"), "check"]).run(b"");
    assert!(outside.stderr_text().contains("canary-action"), "whoever may read it is told what is wrong with it: {}", outside.stderr_text());
    site.signal("HUP");
    site.until("it is told", |site| site.told("configuration") == 1);
    assert!(!site.said().contains("canary-action"), "{}", site.said());
    // A log elsewhere.
    fs::create_dir(other.at("log")).unwrap();
    fs::write(other.at("log/access.log"), line(1)).unwrap();
    site.dir.file("logfade.toml", before.replace(&format!("{}/log", site.dir.path().display()), &other.arg("log")).as_bytes());
    site.signal("HUP");
    site.until("it is told", |site| site.told("configuration") == 2);
    assert!(site.said().contains("closed itself off"), "{}", site.said());
    // The one before is in force, and a start takes the new one.
    open(&site.log()).write_all(line(2).as_bytes()).unwrap();
    site.until("the old log is read on", |site| site.records("clean").contains_key(&2));
    site.end();
    site.start();
    site.until("the other log is read", |site| site.records("clean").contains_key(&1));
    site.end();
    site.expect_no_identifier();
}

/// A command opens what it needs: a process that is to run one is not closed off, and one that is closed off takes none on.
#[test]
fn a_command_and_confinement_exclude_each_other() {
    let mut site = Site::new("");
    site.start();
    site.until("it says whether it is closed off", |site| site.told("confined") + site.told("unconfined") > 0);
    let confined = site.told("confined") > 0;
    let text = String::from_utf8(site.dir.read("logfade.toml")).unwrap();
    site.dir.file("logfade.toml", text.replacen("format =", "reopen = [\"true\"]\nformat =", 1).as_bytes());
    site.signal("HUP");
    if confined {
        site.until("the command is refused", |site| site.told("configuration") == 1);
        assert!(site.said().contains("restart logfade"), "{}", site.said());
    }
    site.end();
    site.start();
    site.until("it says why", |site| site.told("unconfined") > 0);
    site.end();
}

/// Rotated and deleted while it is read, finished, expired: all of it works from inside.
#[test]
fn a_confined_sidecar_finishes_what_is_deleted_and_expires() {
    let mut site = Site::new("");
    let text = String::from_utf8(site.dir.read("logfade.toml")).unwrap().replace("until = \"40 years\"", "until = \"1 day\"");
    site.dir.file("logfade.toml", text.as_bytes());
    fs::write(site.dir.at("log/access.log.1"), (0..50).map(line).collect::<String>()).unwrap();
    // Somebody has seen the plan.
    logfade(&["-c", &site.dir.arg("logfade.toml"), "--state", &site.dir.arg("state"), "expire"]).run(b"");
    site.start();
    site.until_records(50);
    // By this run's first expiry, or by the next one's.
    site.until("finished", |site| site.told("finished") == 1 || !site.dir.at("log/access.log.1").exists());
    site.end();
    site.start();
    site.until("expired", |site| !site.dir.at("log/access.log.1").exists());
    let mut late = open(&site.log());
    late.write_all((50..80).map(line).collect::<String>().as_bytes()).unwrap();
    site.until_records(80);
    fs::remove_file(site.log()).unwrap();
    late.write_all((80..90).map(line).collect::<String>().as_bytes()).unwrap();
    drop(late);
    let is_end = |line: &str| line.contains("\"event\":\"finished\"") && line.contains("access.log\"");
    site.until("what was deleted is read to its end", |site| site.said().lines().any(is_end));
    site.end();
    site.expect_each_once("clean", 90);
    assert_eq!(site.told("stuck"), 0, "{}", site.said());
}

fn with_core_dumps(command: &Command, dir: &Dir) -> Child {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -c unlimited && exec \"$@\"", "sh"]).args(words).current_dir(dir.path());
    shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_core_dump_cannot_be_taken() {
    let dumped = |mut child: Child, ready: &dyn Fn() -> bool| {
        while !ready() {
            sleep(Duration::from_millis(20));
        }
        super::support::signal(&child, "ABRT");
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(6), "it dies of it");
        status.core_dumped()
    };
    let dir = Dir::new();
    let mut control = Command::new("sleep");
    control.arg("60");
    let control = with_core_dumps(&control, &dir);
    sleep(Duration::from_millis(300));
    if !dumped(control, &|| true) {
        println!("skipped: this machine dumps no process");
        return;
    }
    let site = Site::new("");
    fs::write(site.log(), line(0)).unwrap();
    let command = logfade(&["-c", &site.dir.arg("logfade.toml"), "--state", &site.dir.arg("state"), "run"]).command();
    let dir = Dir::new();
    let child = with_core_dumps(&command, &dir);
    assert!(!dumped(child, &|| site.records("clean").len() == 1), "the process was dumped");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing lies where it ran");
}
