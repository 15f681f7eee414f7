//! Cuts that take single records out of a file, stopped at every change, and followed by another one.

use super::super::{Claim, Cut, Halt, Refusal};
use super::{Fault, RAW, Survives, World, line, settings, wall};
use jiff::Timestamp;
use std::path::Path;

impl World {
    /// Erases every record that contains one of these texts, wherever it stands.
    fn erase(&mut self, texts: &[String]) -> Result<(), Halt> {
        let Self { shelf, journal, .. } = self;
        let logs = shelf.folder(Path::new("/"), Path::new("logs"))?;
        shelf.recover(&logs, &|_| false, journal)?;
        let is_theirs = |line: &[u8]| texts.iter().any(|text| memchr::memmem::find(line, text.as_bytes()).is_some());
        // What an interrupted cut had left is cut in the next round.
        for _ in 0..3 {
            for name in crate::store::files::Files::names(&shelf.files, &logs.dir).map_err(super::super::failed("read", &logs.path))? {
                let held = match shelf.hold(&logs, &name) {
                    Err(Halt::Refused { why: Refusal::NotPlain | Refusal::Vanished, .. }) => continue,
                    other => other?,
                };
                let mut found = false;
                shelf.each_line(&held, &settings(), &mut |line, _| found |= is_theirs(line))?;
                if found {
                    let claim = Claim { class: "site", form: "raw", required: &[], deadline: None, reason: None };
                    let sound = shelf.prove(held, &claim, &journal.known, wall())?;
                    let cut = Cut { settings: &settings(), at: Timestamp::UNIX_EPOCH, erased: true, stays: &mut |line, _| !is_theirs(line), access: None, seal: false };
                    shelf.split(sound, cut, &mut |_| true, journal)?;
                }
            }
        }
        Ok(())
    }

    fn count(&self, text: &str) -> usize {
        self.text("/logs").iter().filter(|line| *line == text).count()
    }
}

const DAYS: &[u32] = &[1, 3];

fn page(day: u32, number: u32) -> String {
    format!("/page/{day}/{number} ")
}

#[test]
fn a_crash_at_any_change_leaves_the_others_once() {
    for survives in [Survives::All, Survives::Synced, Survives::Half] {
        // The same request again, and one for another record while the first is to stay now.
        for again in [page(1, 2), page(3, 1)] {
            let mut k = 1;
            loop {
                let when = format!("{survives:?} change {k} then {again}");
                let mut world = World::new(DAYS);
                world.memory.arm(k, Fault::Crash);
                let ended = world.erase(&[page(1, 2)]);
                if !world.memory.is_spent() {
                    ended.unwrap();
                    assert!(k > 10, "{when}: there are changes");
                    break;
                }
                world.memory.reboot(survives);
                let announced = !world.journal.known.open().is_empty();
                let stood = world.memory.state().tree().contains_key(RAW) && !announced;
                world.erase(std::slice::from_ref(&again)).unwrap_or_else(|halt| panic!("{when}: {halt}"));
                for (day, number) in DAYS.iter().flat_map(|day| (1..4).map(move |number| (*day, number))) {
                    let expected = match page(day, number) {
                        asked if asked == again => 0,
                        first if first == page(1, 2) && !stood => continue,
                        _ => 1,
                    };
                    assert_eq!(world.count(&line(day, number)), expected, "{when}: {day}/{number}");
                }
                assert!(world.count(&line(1, 2)) <= 1, "{when}");
                assert!(world.memory.state().tree().keys().all(|path| !path.starts_with("/logs/.logfade/")), "{when}: nothing half done is left");
                k += 1;
            }
        }
    }
}

/// A line that comes between any two steps is in the file or in what is left of it, and nothing is there twice.
#[test]
fn a_file_that_grows_meanwhile_loses_nothing() {
    let mut k = 1;
    loop {
        let when = format!("before step {k}");
        let mut world = World::new(DAYS);
        world.memory.meddle(k, |state| {
            state.intrude(RAW, line(2, 9).as_bytes());
        });
        drop(world.erase(&[page(1, 2)]));
        if !world.memory.is_spent() {
            assert!(k > 10);
            break;
        }
        let grown = world.count(&line(2, 9));
        world.memory.state().writers.clear();
        world.memory.restart();
        world.erase(&[page(1, 2)]).unwrap_or_else(|halt| panic!("{when}: {halt}"));
        assert_eq!(world.count(&line(2, 9)), grown, "{when}: the line that came");
        assert_eq!((world.count(&line(1, 2)), world.count(&line(1, 1)), world.count(&line(3, 3))), (0, 1, 1), "{when}");
        k += 1;
    }
}
