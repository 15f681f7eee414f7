//! Somebody who swaps files and links while `expire` deletes: nothing outside the class is touched, nothing is lost.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, symlink};
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

/// Swaps two names as one step, again and again; they are back where they were when it ends. Now it is for less than a step of the other,
/// now for many of them.
fn swap((one, other): &(PathBuf, PathBuf), mut seed: u64, stop: &AtomicBool, swaps: &AtomicU64) {
    let mut pause = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let longest = if (seed >> 60).is_multiple_of(3) { 20_000 } else { 300 };
        std::thread::sleep(Duration::from_micros((seed >> 33) % longest));
    };
    while !stop.load(Ordering::Relaxed) {
        // What was deleted meanwhile has nothing to be swapped with.
        if renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).is_ok() {
            pause();
            // One of them may have been deleted meanwhile.
            renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).ok();
            swaps.fetch_add(2, Ordering::Relaxed);
        }
        pause();
    }
}

/// `LOGFADE_RACES` swaps at least; 2,000 unless told otherwise.
fn wanted() -> u64 {
    std::env::var("LOGFADE_RACES").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000)
}

/// Files and directories of one round.
struct Round {
    dir: Dir,
    /// What the class has, each file with twenty old records.
    files: Vec<PathBuf>,
    pairs: Vec<(PathBuf, PathBuf)>,
}

/// Swaps while `expire` runs again and again, until there were enough; nothing outside the class changes, and no record is lost.
fn race(round: impl Fn() -> Round) {
    let swaps = AtomicU64::new(0);
    let mut rounds = 0_u64;
    while swaps.load(Ordering::Relaxed) < wanted() || rounds < 3 {
        rounds += 1;
        let Round { dir, files, pairs } = round();
        // Of the same names, and due as well: whoever follows a link would delete them.
        for (number, file) in (0_u32..).zip(&files) {
            fs::write(dir.at("outside").join(file.file_name().unwrap()), old(5000 + number * 100)).unwrap();
        }
        fs::hard_link(dir.at("outside").join(files[1].file_name().unwrap()), dir.at("spare/hard")).unwrap();
        for (number, file) in (0_u32..).zip(&files) {
            fs::write(file, old(200 + number * 100)).unwrap();
        }
        let outside = tree(&dir.at("outside"));
        let stop = AtomicBool::new(false);
        let args = ["-c", &dir.arg("logfade.toml"), "--json", "expire", "--yes", "--now", "2026-03-01T00:00:00Z"];
        std::thread::scope(|scope| {
            for (number, pair) in pairs.iter().enumerate() {
                let (stop, swaps) = (&stop, &swaps);
                scope.spawn(move || swap(pair, rounds * 31 + number as u64, stop, swaps));
            }
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
        let mut found = records(&dir.at("clean"));
        for directory in fs::read_dir(dir.at("log")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).chain([dir.at("log")]) {
            found.extend(records(&directory));
        }
        for id in (0..files.len() as u32).flat_map(|number| (200 + number * 100)..(220 + number * 100)) {
            assert!(found.contains_key(&id), "record {id} is lost: {}", last.stderr_text());
        }
        logfade(&["-c", &dir.arg("logfade.toml"), "ledger", "verify"]).run(b"").expect_code(0);
    }
    println!("{} swaps", swaps.load(Ordering::Relaxed));
}

/// A place with these directories, and a configuration whose raw files are `raw`.
fn place(directories: &[&str], raw: &str) -> Dir {
    let dir = Dir::new();
    for name in directories.iter().chain(&["clean", "outside", "spare"]) {
        fs::create_dir_all(dir.at(name)).unwrap();
    }
    dir.file("logfade.toml", CONFIG.replace("DIR/log/access.log*", raw).replace("DIR", dir.path().to_str().unwrap()).as_bytes());
    dir
}

#[test]
fn files_swapped_while_it_runs_touch_nothing_outside_the_class() {
    race(|| {
        let dir = place(&["log"], "DIR/log/access.log*");
        symlink(dir.at("outside/access.log.3"), dir.at("spare/link")).unwrap();
        let pairs = [("log/access.log.3", "spare/link"), ("log/access.log.4", "spare/hard")].map(|(one, other)| (dir.at(one), dir.at(other)));
        let files = (2..10).map(|number| dir.at(&format!("log/access.log.{number}"))).collect();
        Round { pairs: pairs.into(), files, dir }
    });
}

/// The directory itself may be a link, as an administrator made it; what lies below it may not.
#[test]
fn directories_swapped_while_it_runs_touch_nothing_outside_the_class() {
    race(|| {
        let dir = place(&["log/a", "log/b", "log/c", "spare/empty"], "DIR/log/**/access.log*");
        for link in ["spare/a", "spare/den", "spare/clean-den"] {
            symlink(dir.at("outside"), dir.at(link)).unwrap();
        }
        for den in ["log/c/.logfade", "clean/.logfade"] {
            fs::DirBuilder::new().mode(0o700).create(dir.at(den)).unwrap();
        }
        let pairs = [("log/a", "spare/a"), ("log/b", "spare/empty"), ("log/c/.logfade", "spare/den"), ("clean/.logfade", "spare/clean-den")];
        let files = (0..9).map(|number| dir.at(&format!("log/{}/access.log.{number}", ["a", "b", "c"][number % 3]))).collect();
        Round { pairs: pairs.map(|(one, other)| (dir.at(one), dir.at(other))).into(), files, dir }
    });
}
