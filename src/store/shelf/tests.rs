//! The verbs stopped at every change, failed at every step, and meddled with between any two steps.

mod aside;
mod erase;
mod proof;

use super::form::{Order, Survey};
use super::{Access, Claim, Cut, Halt, Journal, Refusal, Shelf};
use crate::format::named;
use crate::retain::evidence::Evidence;
use crate::retain::ledger::{Digest, Entry, Quiescence};
use crate::scrub::{OnReject, Output, Policy, Settings};
use crate::store::files::memory::{Fault, Memory, State, Survives};
use crate::store::ledger_key::LedgerKey;
use crate::store::seal::Keychain;
use crate::store::{Cause, StoreError};
use jiff::Timestamp;
use rustix::io::Errno;
use std::path::Path;
use std::sync::Arc;

mod sealed;
mod tables;

const RAW: &str = "/logs/access.log.1";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The wall clock of the tests.
fn wall() -> Timestamp {
    at("2025-03-10T12:00:00Z")
}

/// What is older than this is due.
fn due() -> Timestamp {
    at("2025-03-02T00:00:00Z")
}

fn line(day: u32, number: u32) -> String {
    format!("203.0.113.{number} - alice [{day:02}/Mar/2025:10:00:{number:02} +0000] \"GET /page/{day}/{number} HTTP/1.1\" 200 512 \"-\" \"curl/8.0\"\n")
}

fn clean(day: u32, number: u32) -> String {
    line(day, number).replace(&format!("203.0.113.{number} - alice"), "203.0.113.0 - -").replace("curl/8.0", "curl/8 (Other; bot)")
}

fn settings() -> Settings {
    let formats = vec![named().find("combined").unwrap()];
    Settings {
        formats,
        policy: Arc::new(Policy::built_in("default").unwrap()),
        on_reject: OnReject::Scrub,
        output: Output::Same,
        max_line: 1 << 20,
        moments: false,
        keys: None,
        places: None,
    }
}

struct Entries {
    memory: Memory,
    known: Evidence,
    entries: Vec<Entry>,
    /// Where entries about keys are a ledger as well.
    state: Option<std::path::PathBuf>,
}

impl Journal for Entries {
    fn note(&mut self, entry: Entry) -> Result<(), StoreError> {
        self.memory.change().map_err(|error| StoreError { verb: "write", path: "ledger".into(), cause: Cause::Io(error) })?;
        if let (Some(state), Entry::Key(_)) = (&self.state, &entry) {
            crate::store::ledger::Ledger::open(state)?.append(wall(), &entry)?;
        }
        self.known.note(&entry);
        self.entries.push(entry);
        Ok(())
    }

    fn known(&self) -> &Evidence {
        &self.known
    }
}

struct World {
    memory: Memory,
    shelf: Shelf<Memory>,
    journal: Entries,
    /// Whether everything is written only encrypted.
    sealed: bool,
}

impl World {
    /// A raw file of these days, three lines each, modified an hour ago.
    fn new(days: &[u32]) -> Self {
        let memory = Memory::new(at("2025-03-10T11:00:00Z"));
        for dir in ["/logs", "/out", "/secret", "/elsewhere"] {
            memory.mkdir(dir);
        }
        let text: String = days.iter().flat_map(|day| (1..4).map(|number| line(*day, number))).collect();
        memory.state().put(RAW, text.as_bytes());
        memory.state().put("/secret/access.log.1", b"nobody's business\n");
        memory.state().put("/secret/0.part", b"nobody's business\n");
        let shelf = Shelf { files: memory.clone(), key: LedgerKey::of([7; 32]), seals: Keychain::none() };
        let journal = Entries { memory: memory.clone(), known: Evidence::default(), entries: Vec::new(), state: None };
        Self { memory, shelf, journal, sealed: false }
    }

    /// One run: puts in order what a crash left, makes forms, cuts what straddles, deletes what is due.
    fn run(&mut self) -> Result<(), Halt> {
        let Self { shelf, journal, sealed, .. } = self;
        shelf.seals.recover(&mut |entry| journal.note(entry))?;
        let (logs, out) = (shelf.folder(Path::new("/"), Path::new("logs"))?, shelf.folder(Path::new("/"), Path::new("out"))?);
        shelf.recover(&logs, &|_| false, journal)?;
        shelf.recover(&out, &|_| false, journal)?;
        for name in crate::store::files::Files::names(&shelf.files, &logs.dir).map_err(super::failed("read", &logs.path))? {
            let held = match shelf.hold(&logs, &name) {
                Err(Halt::Refused { why: Refusal::NotPlain, .. }) => continue,
                other => other?,
            };
            shelf.glance(&held, wall())?;
            let survey = shelf.survey(&held, &settings())?;
            if !journal.known.is_scrubbed(survey.digests.bytes, survey.digests.content) {
                let access = Access { mode: 0o640, user: None, group: None };
                let order = Order {
                    form: "default".into(),
                    settings: settings(),
                    select: None,
                    folder: Arc::clone(&out),
                    access,
                    level: 3,
                    policy: Digest::ZERO,
                    seal: sealed.then(|| "site".into()),
                };
                shelf.scrub(&held, "site", &[order], (&survey, &mut |_, _, _| Ok(0)), journal)?;
            }
            let Survey { oldest: Some(oldest), newest: Some(newest), .. } = survey else { continue };
            if oldest >= due() {
                continue;
            }
            let claim = Claim { class: "site", form: "raw", required: &[("default", Path::new("/out"))], deadline: Some(due()), reason: None };
            let sound = shelf.prove(held, &claim, &journal.known, wall())?;
            if newest < due() {
                shelf.delete(sound, &mut |_| true, journal)?;
            } else {
                let cut = Cut { settings: &settings(), at: due(), erased: false, stays: &mut |_, at| at >= due(), access: None, seal: *sealed };
                shelf.split(sound, cut, &mut |_| true, journal)?;
            }
        }
        Ok(())
    }

    /// Whole lines below a folder, decoded, of every file that is whole.
    fn text(&self, folder: &str) -> Vec<String> {
        let tree = self.memory.state().tree();
        let files = tree.iter().filter(|(path, _)| path.starts_with(folder) && !path.ends_with(".part") && !path.ends_with(".open"));
        files
            .flat_map(|(_, bytes)| {
                sealed::plain(bytes, &self.shelf.seals).split_inclusive(|byte| *byte == b'\n').map(|line| String::from_utf8(line.to_vec()).unwrap()).collect::<Vec<_>>()
            })
            .collect()
    }

    /// At any moment: an expired record is raw or clean, a young one is raw; nothing foreign was touched.
    fn nothing_is_lost(&self, days: &[u32], when: &str) {
        let (raw, clean_lines) = (self.text("/logs"), self.text("/out"));
        for (day, number) in days.iter().flat_map(|day| (1..4).map(|number| (*day, number))) {
            let in_raw = raw.contains(&line(day, number));
            assert!(in_raw || (day < 2 && clean_lines.contains(&clean(day, number))), "{when}: day {day} line {number} is lost");
        }
        self.nothing_foreign_is_touched(when);
    }

    fn nothing_foreign_is_touched(&self, when: &str) {
        let tree = self.memory.state().tree();
        let secret: Vec<_> = tree.iter().filter(|(path, _)| path.starts_with("/secret")).collect();
        assert!(secret.iter().filter(|(_, bytes)| bytes.as_slice() == b"nobody's business\n").count() >= 2, "{when}: {secret:?}");
        assert!(secret.iter().all(|(path, _)| !path.contains("zst") && !path.contains("gone")), "{when}: {secret:?}");
    }

    /// In the end: forms once and whole, expired records gone, young ones there once, no temporary file, the ledger consistent.
    fn all_is_done(&self, days: &[u32], when: &str) {
        let lines = |make: fn(u32, u32) -> String, keep: fn(u32) -> bool| {
            days.iter().filter(|day| keep(**day)).flat_map(|day| (1..4).map(move |number| make(*day, number))).collect::<Vec<_>>()
        };
        assert_eq!(self.text("/out"), lines(clean, |_| true), "{when}: the form");
        assert_eq!(self.text("/logs"), lines(line, |day| day >= 2), "{when}: raw");
        let tree = self.memory.state().tree();
        assert!(tree.keys().all(|path| !path.contains("/.logfade/")), "{when}: {:?}", tree.keys());
        assert!(self.journal.known.open().is_empty(), "{when}: a deletion is open");
        let count = |kind: &str| self.journal.entries.iter().filter(|entry| entry.kind() == kind).count();
        assert!(count("scrubbed") >= 1, "{when}");
        if days.contains(&1) {
            let kinds: Vec<&str> = self.journal.entries.iter().map(Entry::kind).collect();
            assert_eq!(count("deleted"), 1, "{when}: {kinds:?}");
            assert_eq!(count("split"), usize::from(days.len() > 1), "{when}");
        } else {
            assert_eq!((count("deleting"), count("deleted")), (0, 0), "{when}");
        }
        self.nothing_foreign_is_touched(when);
    }
}

const CASES: [&[u32]; 3] = [&[1], &[1, 3], &[3]];

#[test]
fn one_run_does_everything() {
    for days in CASES {
        let mut world = World::new(days);
        world.run().unwrap();
        world.all_is_done(days, "at once");
        world.run().unwrap();
        world.all_is_done(days, "and nothing is left to do");
        let modes: Vec<String> = world.memory.state().tree().keys().cloned().collect();
        assert!(modes.iter().any(|path| path.starts_with("/out/access.log.202503")), "{modes:?}");
    }
}

/// Stops the run at its k-th change, for every k, with everything kept, with nothing kept that was not synced, and in between.
#[test]
fn a_crash_at_any_change_loses_nothing() {
    for days in CASES {
        for survives in [Survives::All, Survives::Synced, Survives::Half] {
            let mut k = 1;
            loop {
                let when = format!("{days:?} {survives:?} change {k}");
                let mut world = World::new(days);
                world.memory.arm(k, Fault::Crash);
                let ended = world.run();
                if !world.memory.is_spent() {
                    ended.unwrap();
                    assert!(k > 10, "{when}: the run makes changes");
                    break;
                }
                world.memory.reboot(survives);
                world.nothing_is_lost(days, &when);
                world.run().unwrap_or_else(|halt| panic!("{when}: {halt}"));
                world.all_is_done(days, &when);
                k += 1;
            }
        }
    }
}

/// A crash during the run that mends a crash.
#[test]
fn a_crash_while_a_crash_is_mended_loses_nothing() {
    let days: &[u32] = &[1, 3];
    for first in 1..60 {
        for second in 1..12 {
            let when = format!("changes {first} and {second}");
            let mut world = World::new(days);
            world.memory.arm(first, Fault::Crash);
            drop(world.run());
            world.memory.reboot(Survives::Half);
            world.memory.arm(second, Fault::Crash);
            drop(world.run());
            world.memory.reboot(Survives::Synced);
            world.nothing_is_lost(days, &when);
            world.run().unwrap_or_else(|halt| panic!("{when}: {halt}"));
            world.all_is_done(days, &when);
        }
    }
}

/// A full disk or a broken one at every single step.
#[test]
fn a_failure_at_any_step_loses_nothing_and_heals() {
    for days in CASES {
        for errno in [Errno::NOSPC, Errno::IO] {
            let mut k = 1;
            loop {
                let when = format!("{days:?} {errno:?} step {k}");
                let mut world = World::new(days);
                world.memory.arm(k, Fault::Fail(errno));
                let ended = world.run();
                if !world.memory.is_spent() {
                    ended.unwrap();
                    break;
                }
                world.nothing_is_lost(days, &when);
                world.memory.restart();
                world.run().unwrap_or_else(|halt| panic!("{when}: {halt}"));
                world.all_is_done(days, &when);
                k += 1;
            }
        }
    }
}

type Swap = fn(&mut State);

/// Somebody exchanges files and directories between any two steps: nothing beneath `/secret` changes, and no record is lost.
#[test]
fn swaps_between_any_two_steps_touch_nothing_foreign() {
    let swaps: [(&str, Swap); 9] = [
        ("a link in place of the raw file", |state| {
            state.shift(RAW, "/elsewhere/moved");
            state.point(RAW, "/secret/access.log.1");
        }),
        ("a second name", |state| state.link(RAW, "/elsewhere/twin")),
        ("the foreign file gets the raw file's name", |state| {
            state.shift(RAW, "/elsewhere/moved");
            state.link("/secret/access.log.1", RAW);
        }),
        ("a link in place of the directory", |state| {
            state.shift("/logs", "/elsewhere/logs");
            state.point("/logs", "/secret");
        }),
        ("a link in place of the den", |state| {
            state.shift("/logs/.logfade", "/elsewhere/den");
            state.point("/logs/.logfade", "/secret");
        }),
        ("a link in place of the output directory", |state| {
            state.shift("/out", "/elsewhere/out");
            state.point("/out", "/secret");
        }),
        ("a link in place of the output's den", |state| {
            state.shift("/out/.logfade", "/elsewhere/den");
            state.point("/out/.logfade", "/secret");
        }),
        ("a directory in place of the raw file", |state| {
            state.shift(RAW, "/elsewhere/moved");
            state.folder(RAW);
        }),
        ("rotation", |state| state.shift(RAW, "/logs/access.log.2")),
    ];
    for days in CASES {
        for (what, swap) in swaps {
            let mut k = 1;
            loop {
                let when = format!("{days:?} {what} before step {k}");
                let mut world = World::new(days);
                world.memory.meddle(k, swap);
                drop(world.run());
                if !world.memory.is_spent() {
                    break;
                }
                world.nothing_foreign_is_touched(&when);
                let everywhere = [world.text("/logs"), world.text("/elsewhere"), world.text("/out")].concat();
                for (day, number) in days.iter().flat_map(|day| (1..4).map(|number| (*day, number))) {
                    assert!(everywhere.contains(&line(day, number)) || (day < 2 && everywhere.contains(&clean(day, number))), "{when}: day {day} line {number}");
                }
                k += 1;
            }
        }
    }
}

/// Somebody opens the raw file between any two steps and writes one more line: it is never lost.
#[test]
fn a_writer_between_any_two_steps_loses_nothing() {
    for days in CASES {
        let mut k = 1;
        loop {
            let when = format!("{days:?} before step {k}");
            let mut world = World::new(days);
            let wrote = Arc::new(std::sync::atomic::AtomicBool::new(false));
            let flag = Arc::clone(&wrote);
            world.memory.meddle(k, move |state| flag.store(state.intrude(RAW, line(1, 9).as_bytes()), std::sync::atomic::Ordering::Relaxed));
            drop(world.run());
            if !world.memory.is_spent() {
                break;
            }
            let wrote = wrote.load(std::sync::atomic::Ordering::Relaxed);
            let there = |world: &World| world.text("/logs").contains(&line(1, 9));
            assert!(!wrote || there(&world), "{when}: the line is lost");
            // As long as it is open, it stays.
            drop(world.run());
            assert!(!wrote || there(&world), "{when}: the line is lost");
            world.memory.state().writers.clear();
            world.memory.restart();
            world.run().unwrap_or_else(|halt| panic!("{when}: {halt}"));
            assert!(!wrote || world.text("/out").contains(&clean(1, 9)), "{when}: the line has no form");
            assert!(!there(&world), "{when}: the line outlives its window");
            k += 1;
        }
        assert!(k > 20, "{days:?}: there are steps to come between");
    }
}

/// Without leases: half an hour without a change, and nobody found.
#[test]
fn where_leases_are_impossible_age_and_a_look_around_decide() {
    let mut world = World::new(&[1]);
    world.memory.state().leases_impossible = true;
    world.run().unwrap();
    world.all_is_done(&[1], "an hour of rest");
    let by = world.journal.entries.iter().find_map(|entry| if let Entry::Deleted(deletion) = entry { deletion.quiescence } else { None });
    assert_eq!(by, Some(Quiescence::Age { seconds: 3600 }));

    for (minutes, writer) in [(29, false), (60, true)] {
        let mut world = World::new(&[1]);
        let mut state = world.memory.state();
        state.leases_impossible = true;
        state.touch(RAW, Timestamp::from_second(wall().as_second() - minutes * 60).unwrap());
        if writer {
            state.intrude(RAW, b"");
        }
        drop(state);
        assert!(matches!(world.run(), Err(Halt::Refused { why: Refusal::InUse, .. })), "{minutes} minutes, {writer}");
        assert_eq!(world.journal.entries.len(), 0);
    }
}

#[test]
fn a_leak_withdraws_the_form() {
    let world = World::new(&[1]);
    let World { shelf, mut journal, memory, .. } = world;
    let out = shelf.folder(Path::new("/"), Path::new("out")).unwrap();
    let held = shelf.hold_path(Path::new(RAW)).unwrap();
    let survey = shelf.survey(&held, &settings()).unwrap();
    let access = Access { mode: 0o640, user: None, group: None };
    let order = Order { form: "default".into(), settings: settings(), select: None, folder: out, access, level: 3, policy: Digest::ZERO, seal: None };
    let halt = shelf.scrub(&held, "site", &[order], (&survey, &mut |_, _, _| Ok(1)), &mut journal);
    assert!(matches!(halt, Err(Halt::Refused { why: Refusal::Leak, .. })));
    assert!(journal.entries.is_empty());
    assert!(memory.state().tree().keys().all(|path| !path.starts_with("/out")));
}

#[test]
fn a_gate_that_closes_leaves_everything() {
    let mut world = World::new(&[1]);
    let held = world.shelf.hold_path(Path::new(RAW)).unwrap();
    let claim = Claim { class: "site", form: "raw", required: &[], deadline: None, reason: None };
    let sound = world.shelf.prove(held, &claim, &world.journal.known, wall()).unwrap();
    assert!(matches!(world.shelf.delete(sound, &mut |_| false, &mut world.journal), Err(Halt::Refused { why: Refusal::Stopped, .. })));
    assert!(world.journal.entries.is_empty());
    assert_eq!(world.text("/logs").len(), 3);
}

/// Rotation compresses what was scrubbed already: its lines come out once.
#[test]
fn a_log_that_is_compressed_later_is_the_same_log() {
    let mut world = World::new(&[3]);
    world.run().unwrap();
    let raw = world.memory.state().tree()[RAW].clone();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gzip, &raw).unwrap();
    let mut state = world.memory.state();
    state.shift(RAW, "/elsewhere/old");
    state.put("/logs/access.log.2.gz", &gzip.finish().unwrap());
    drop(state);
    world.run().unwrap();
    assert_eq!(world.text("/out").len(), 3);
    assert_eq!(world.journal.entries.len(), 1);
}

/// What was deleted and comes back from a backup goes again, and is not scrubbed twice.
#[test]
fn a_restored_copy_is_expired_again() {
    let mut world = World::new(&[1]);
    let raw = world.memory.state().tree()[RAW].clone();
    world.run().unwrap();
    world.memory.state().put("/logs/access.log.1", &raw);
    world.run().unwrap();
    assert_eq!((world.text("/logs").len(), world.text("/out").len()), (0, 3));
    let kinds: Vec<&str> = world.journal.entries.iter().map(Entry::kind).collect();
    assert_eq!(kinds, ["scrubbed", "deleting", "deleted", "deleting", "deleted"]);
}

/// The ledger is lost with its key: what exists is proven again, and nothing is written twice.
#[test]
fn a_lost_ledger_is_proven_again() {
    let mut world = World::new(&[3]);
    world.run().unwrap();
    world.shelf.key = LedgerKey::of([8; 32]);
    world.journal.known = Evidence::default();
    world.journal.entries.clear();
    world.run().unwrap();
    world.all_is_done(&[3], "again");
}

/// A file that is cut short, or ends in something else, never goes.
#[test]
fn an_archive_that_does_not_end_is_never_scrubbed_nor_deleted() {
    let raw: String = (1..4).map(|number| line(1, number)).collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gzip, raw.as_bytes()).unwrap();
    let packed = [("gz", gzip.finish().unwrap()), ("zst", zstd_checked(raw.as_bytes()))];
    for (ending, bytes) in packed {
        let spoilt = (1..bytes.len()).map(|cut| bytes[..cut].to_vec()).chain([[&bytes[..], b"trailing garbage\n"].concat()]);
        for spoilt in spoilt {
            let mut world = World::new(&[3]);
            world.memory.state().shift(RAW, "/elsewhere/old");
            let path = format!("/logs/access.log.2.{ending}");
            world.memory.state().put(&path, &spoilt);
            let ended = world.run();
            let tree = world.memory.state().tree();
            assert_eq!(tree.get(&path), Some(&spoilt), "{ending} of {} bytes: {ended:?}", spoilt.len());
            assert!(world.journal.entries.is_empty() || spoilt.len() < 6, "{ending} of {} bytes", spoilt.len());
        }
    }
}

fn zstd_checked(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}
