//! A disk that fills up at any point of `batch` and `expire`: nothing is lost, and the next run completes by itself.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::expire::{at, line, records};
use super::support::{Dir, logfade};

/// A file system of its own, gone with the test.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    fn mount(path: &'a Path) -> Option<Self> {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "none"]).arg(path).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(path))
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").args(["-l".as_ref(), self.0.as_os_str()]).output());
    }
}

/// One class; its raw goes after 30 days. `DIR` is the directory.
pub const CONFIG: &str = r#"
state = "DIR/state"
[[class]]
name   = "site"
raw    = ["DIR/log/access.log*"]
format = "combined"
[[class.keep]]
form  = "raw"
until = "30 days"
[[class.keep]]
form   = "default"
until  = "forever"
output = "DIR/clean"
"#;

#[test]
fn a_disk_that_fills_up_loses_nothing() {
    let dir = Dir::new();
    let Some(disk) = Small::mount(dir.path()) else {
        println!("skipped: no right to mount a small file system");
        return;
    };
    let mut refused = 0;
    for round in 0..40_u64 {
        for name in ["log", "clean", "state"] {
            drop(fs::remove_dir_all(dir.at(name)));
        }
        fs::create_dir(dir.at("log")).unwrap();
        dir.file("logfade.toml", CONFIG.replace("DIR", dir.path().to_str().unwrap()).as_bytes());
        for number in 1..9_u32 {
            // Some straddle: they are cut, which needs room as well.
            let moment = |row: u32| if number % 3 == 0 && row > 10 { at("2026-02-20T10:00:00Z") } else { at("2026-01-05T10:00:00Z") };
            dir.file(&format!("log/access.log.{number}"), (0..20).map(|row| line(number * 100 + row, moment(row))).collect::<String>().as_bytes());
        }
        let mut args = vec!["-c".to_owned(), dir.arg("logfade.toml"), "--json".to_owned()];
        args.extend(["expire", "--yes", "--now", "2026-03-01T00:00:00Z"].map(str::to_owned));
        // All but some pages are taken by somebody else.
        let free = statvfs(dir.path());
        fs::write(dir.at("filler"), vec![b'x'; usize::try_from(free.saturating_sub(round * 4096)).unwrap()]).ok();
        let outcome = logfade(&args).run(b"");
        refused += u32::from(outcome.code() != Some(0));
        let expected: Vec<u32> = (1..9).flat_map(|number| (0..20).map(move |row| number * 100 + row)).collect();
        let somewhere = |when: &str| {
            let (raw, clean, den) = (records(&dir.at("log")), existing(&dir.at("clean")), existing(&dir.at("log/.logfade")));
            for id in &expected {
                assert!([&raw, &clean, &den].iter().any(|found| found.contains_key(id)), "record {id} is lost {when}, round {round}: {}", outcome.stderr_text());
            }
        };
        somewhere("on the full disk");
        fs::remove_file(dir.at("filler")).unwrap();
        let again = logfade(&args).run(b"");
        assert_eq!(again.code(), Some(0), "round {round}: {}", again.stderr_text());
        somewhere("when there is room again");
        let clean = existing(&dir.at("clean"));
        assert!(expected.iter().all(|id| clean.get(id) == Some(&1)), "a record stands twice, or not in the form, round {round}");
        assert!(!dir.at("log/access.log.1").exists() && existing(&dir.at("log/.logfade")).is_empty(), "round {round}");
        logfade(&["-c", &dir.arg("logfade.toml"), "ledger", "verify"]).run(b"").expect_code(0);
    }
    assert!(refused > 5, "the disk was never full");
    drop(disk);
}

fn existing(directory: &Path) -> std::collections::BTreeMap<u32, u32> {
    if directory.exists() { records(directory) } else { Default::default() }
}

fn statvfs(path: &Path) -> u64 {
    let stat = rustix::fs::statvfs(path).unwrap();
    stat.f_bavail * stat.f_frsize
}
