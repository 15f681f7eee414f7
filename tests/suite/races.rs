//! Somebody who swaps files and links while `expire` deletes: nothing outside the class is touched, nothing is lost.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::expire::{at, line, records};
use super::full_disk::CONFIG;
use super::support::{Dir, logfade};

/// Old records, from this number on.
fn old(from: u32) -> String {
    (from..from + 20).map(|id| line(id, at("2026-01-05T10:00:00Z"))).collect()
}

fn tree(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
}

/// Ends the swapping, also where a test fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Swaps two names as one step, again and again; they are back where they were when it ends.
fn swap(pairs: &[(PathBuf, PathBuf)], stop: &AtomicBool, swaps: &AtomicU64) {
    let mut seed = 5_u64;
    while !stop.load(Ordering::Relaxed) {
        for (one, other) in pairs {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let pause = Duration::from_micros((seed >> 33) % 300);
            // What was deleted meanwhile has nothing to be swapped with.
            if renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).is_ok() {
                std::thread::sleep(pause);
                // One of them may have been deleted meanwhile.
                renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).ok();
                swaps.fetch_add(2, Ordering::Relaxed);
            }
            std::thread::sleep(pause);
        }
    }
}

/// `LOGFADE_RACES` swaps at least; 2,000 unless told otherwise.
#[test]
fn swaps_while_it_runs_touch_nothing_outside_the_class() {
    let wanted: u64 = std::env::var("LOGFADE_RACES").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000);
    let swaps = AtomicU64::new(0);
    let mut round = 0;
    while swaps.load(Ordering::Relaxed) < wanted || round < 3 {
        round += 1;
        let dir = Dir::new();
        for name in ["log", "clean", "outside", "spare"] {
            fs::create_dir(dir.at(name)).unwrap();
        }
        dir.file("logfade.toml", CONFIG.replace("DIR", dir.path().to_str().unwrap()).as_bytes());
        for number in 2..10 {
            dir.file(&format!("log/access.log.{number}"), old(number * 100).as_bytes());
            // Of the same names, and due as well: whoever follows a link would delete them.
            dir.file(&format!("outside/access.log.{number}"), old(5000 + number * 100).as_bytes());
        }
        let outside = tree(&dir.at("outside"));
        symlink(dir.at("outside/access.log.3"), dir.at("spare/link")).unwrap();
        fs::hard_link(dir.at("outside/access.log.4"), dir.at("spare/hard")).unwrap();
        let pairs = [("log/access.log.3", "spare/link"), ("log/access.log.4", "spare/hard")].map(|(one, other)| (dir.at(one), dir.at(other)));
        let stop = AtomicBool::new(false);
        let args = ["-c", &dir.arg("logfade.toml"), "--json", "expire", "--yes", "--now", "2026-03-01T00:00:00Z"];
        std::thread::scope(|scope| {
            scope.spawn(|| swap(&pairs, &stop, &swaps));
            let _ends = Ends(&stop);
            for _ in 0..6 {
                logfade(&args).run(b"");
                assert_eq!(tree(&dir.at("outside")), outside, "something outside the class was touched");
            }
        });
        // Somebody's link keeps its file: it has two names, and is not deleted by one of them.
        fs::remove_file(dir.at("spare/hard")).ok();
        let last = logfade(&args).run(b"");
        assert_eq!(tree(&dir.at("outside")), outside);
        let (raw, clean) = (records(&dir.at("log")), records(&dir.at("clean")));
        for id in (2..10).flat_map(|number| number * 100..number * 100 + 20) {
            assert!(raw.contains_key(&id) || clean.contains_key(&id), "record {id} is lost: {}", last.stderr_text());
        }
        logfade(&["-c", &dir.arg("logfade.toml"), "ledger", "verify"]).run(b"").expect_code(0);
    }
    println!("{} swaps", swaps.load(Ordering::Relaxed));
}
