//! An active log moved aside: stopped and failed at every step, and meddled with between any two.

use super::*;
use std::ffi::OsStr;

const ASIDE: &str = "access.log.1.1767225600";

/// Moves it aside, as a run in front of the command does.
fn move_aside(world: &World) -> Result<(), Halt> {
    let logs = world.shelf.folder(Path::new("/"), Path::new("logs"))?;
    let held = world.shelf.hold(&logs, OsStr::new("access.log.1"))?;
    // It is moved because somebody writes it.
    assert!(matches!(world.shelf.glance(&held, wall()), Err(Halt::Refused { why: Refusal::InUse, .. }) | Err(Halt::Failed(_))));
    world.shelf.set_aside(held, OsStr::new(ASIDE)).map(drop)
}

fn written() -> World {
    let world = World::new(&[1]);
    world.memory.state().intrude(RAW, line(1, 9).as_bytes());
    world
}

fn stands_once(world: &World, when: &str) {
    let expected: Vec<String> = [1, 2, 3, 9].map(|number| line(1, number)).into();
    assert_eq!(world.text("/logs"), expected, "{when}");
    world.nothing_foreign_is_touched(when);
}

#[test]
fn whatever_stops_it_the_log_has_one_name() {
    let faults = [(Fault::Crash, Survives::All), (Fault::Crash, Survives::Synced), (Fault::Crash, Survives::Half), (Fault::Fail(Errno::IO), Survives::All)];
    for (fault, survives) in faults {
        let mut k = 1;
        loop {
            let when = format!("{fault:?} {survives:?} {k}");
            let world = written();
            world.memory.arm(k, fault);
            let ended = move_aside(&world);
            if !world.memory.is_spent() {
                ended.unwrap();
                stands_once(&world, &when);
                assert!(world.memory.state().tree().contains_key(&format!("/logs/{ASIDE}")), "{when}");
                break;
            }
            if fault == Fault::Crash {
                world.memory.reboot(survives)
            } else {
                world.memory.restart()
            }
            stands_once(&world, &when);
            k += 1;
        }
        assert!(k > 2, "there are steps to fail at");
    }
}

#[test]
fn what_somebody_puts_in_its_place_is_not_moved() {
    let swaps: [(&str, Swap); 4] = [
        ("a link", |state| {
            state.shift(RAW, "/elsewhere/moved");
            state.point(RAW, "/secret/access.log.1");
        }),
        ("the foreign file", |state| {
            state.shift(RAW, "/elsewhere/moved");
            state.link("/secret/access.log.1", RAW);
        }),
        ("a link in place of the directory", |state| {
            state.shift("/logs", "/elsewhere/logs");
            state.point("/logs", "/secret");
        }),
        ("the new name is taken", |state| {
            if !state.tree().contains_key(&format!("/logs/{ASIDE}")) {
                state.put(&format!("/logs/{ASIDE}"), b"another's\n");
            }
        }),
    ];
    for (what, swap) in swaps {
        let mut k = 1;
        loop {
            let when = format!("{what} before step {k}");
            let world = written();
            world.memory.meddle(k, swap);
            drop(move_aside(&world));
            if !world.memory.is_spent() {
                break;
            }
            world.nothing_foreign_is_touched(&when);
            let tree = world.memory.state().tree();
            assert!(tree.keys().all(|path| !path.starts_with("/secret") || !path.ends_with(ASIDE)), "{when}: {:?}", tree.keys());
            assert!(!tree.contains_key(&format!("/logs/{ASIDE}")) || tree[&format!("/logs/{ASIDE}")] != b"nobody's business\n", "{when}");
            let everywhere = [world.text("/logs"), world.text("/elsewhere")].concat();
            assert!(everywhere.contains(&line(1, 9)), "{when}: the log is lost");
            k += 1;
        }
    }
}
