//! Tables of a day, stopped and failed at every step: raw never goes without its counts, and each day has one table in the end.

use super::super::Tabling;
use super::*;
use crate::retain::aggregate::{CELLS, Extent, Record, Tables};
use crate::store::shelf::Held;

const LATE: &str = "/logs/access.log.2";

/// The shelf's part of a run of `expire` over one closed day: the table of all files that stand, in place of earlier ones, and then raw goes
/// if the gate is open.
fn run(world: &mut World, is_open: bool) -> Result<(), Halt> {
    let World { shelf, journal, sealed, .. } = world;
    shelf.seals.recover(&mut |entry| journal.note(entry))?;
    let (logs, out) = (shelf.folder(Path::new("/"), Path::new("logs"))?, shelf.folder(Path::new("/"), Path::new("out"))?);
    shelf.recover(&logs, &|_| false, journal)?;
    shelf.recover(&out, &|_| false, journal)?;
    let mut raw: Vec<(Held<Memory>, Survey)> = Vec::new();
    for name in crate::store::files::Files::names(&shelf.files, &logs.dir).map_err(super::super::failed("read", &logs.path))? {
        match shelf.hold(&logs, &name) {
            Err(Halt::Refused { why: Refusal::NotPlain, .. }) => {}
            held => {
                let held = held?;
                shelf.glance(&held, wall())?;
                let survey = shelf.survey(&held, &settings())?;
                raw.push((held, survey));
            }
        }
    }
    let is_counted = |survey: &Survey, journal: &Entries| !journal.known.forms(survey.digests.bytes, survey.digests.content).is_empty();
    if !raw.is_empty() && !raw.iter().all(|(_, survey)| is_counted(survey, journal)) {
        let mut tables = Tables::new(jiff::civil::date(2025, 3, 1), (1, &[]), CELLS);
        for (held, survey) in &raw {
            let found = shelf.records(held, (&settings(), None), &mut |at, clean| {
                if let Some(record) = Record::read(clean.as_bytes()) {
                    tables.add(&record, at.to_zoned(jiff::tz::TimeZone::UTC).hour());
                }
            })?;
            assert_eq!(found, survey.digests);
        }
        // What is gone already was counted apart.
        let known: usize = journal.known.standing().count();
        let extent = if known <= raw.len() { Extent::Whole } else { Extent::Part };
        let table = tables.finish(extent, Output::Same);
        let access = Access { mode: 0o640, user: None, group: None };
        let tabling = Tabling { class: "site", form: "aggregate", folder: &out, access, policy: Digest::ZERO, seal: *sealed };
        let sources: Vec<(&Held<Memory>, &Survey)> = raw.iter().map(|(held, survey)| (held, survey)).collect();
        shelf.table(&tabling, &table, &sources, journal)?;
    }
    // Of several tables of one day, that of most files stays.
    let mut made: Vec<(usize, std::path::PathBuf)> = journal.known.outputs().map(|(path, ..)| (journal.known.sources(path).count(), path.to_owned())).collect();
    made.sort();
    made.pop();
    for (_, path) in made {
        match shelf.hold_path(&path) {
            Ok(old) => {
                let claim = Claim { class: "site", form: "aggregate", required: &[], deadline: None, reason: None };
                let old = shelf.prove(old, &claim, &journal.known, wall())?;
                shelf.delete(old, &mut |_| true, journal)?;
            }
            Err(Halt::Refused { why: Refusal::Vanished, .. }) => {}
            Err(halt) => return Err(halt),
        }
    }
    for (held, _) in raw {
        let claim = Claim { class: "site", form: "raw", required: &[("aggregate", Path::new("/out"))], deadline: Some(due()), reason: None };
        let sound = shelf.prove(held, &claim, &journal.known, wall())?;
        match shelf.delete(sound, &mut |_| is_open, journal) {
            Err(Halt::Refused { why: Refusal::Stopped, .. }) if !is_open => {}
            done => drop(done?),
        }
    }
    Ok(())
}

/// Two files of one day; of the first one a table was made already where it came `late`.
fn day(late: bool) -> World {
    let mut world = World::new(&[1]);
    if late {
        run(&mut world, false).unwrap();
    }
    let more: String = (4..7).map(|number| line(1, number)).collect();
    world.memory.state().put(LATE, more.as_bytes());
    world
}

/// Records that the tables tell, in each table of the day.
fn counted(world: &World) -> Vec<u64> {
    let tree = world.memory.state().tree();
    let tables = tree.iter().filter(|(path, _)| path.starts_with("/out/site.2025-03-01.aggregate.") && !path.contains("/.logfade/"));
    let hours = |bytes: &[u8]| -> u64 {
        let text = String::from_utf8(sealed::plain(bytes, &world.shelf.seals)).unwrap();
        text.lines().filter(|line| line.contains(",hour,")).map(|line| line.split(',').nth(4).unwrap().parse::<u64>().unwrap()).sum()
    };
    tables.map(|(_, bytes)| hours(bytes)).collect()
}

/// A record is raw, or a table of the whole day counts it.
fn nothing_is_lost(world: &World, when: &str) {
    let raw = world.text("/logs");
    let all = (1..7).all(|number| raw.contains(&line(1, number)));
    assert!(all || counted(world).contains(&6), "{when}: raw went without its counts: {} lines, {:?}", raw.len(), counted(world));
    world.nothing_foreign_is_touched(when);
}

fn all_is_done(world: &World, when: &str) {
    assert_eq!(counted(world), [6], "{when}: one table of all records");
    assert_eq!(world.text("/logs").len(), 0, "{when}: raw is gone");
    let tree = world.memory.state().tree();
    assert!(tree.keys().all(|path| !path.contains("/.logfade/")), "{when}: {:?}", tree.keys());
    assert!(world.journal.known.open().is_empty(), "{when}: a deletion is open");
    world.nothing_foreign_is_touched(when);
}

#[test]
fn a_day_is_counted_once_and_raw_goes() {
    for late in [false, true] {
        let mut world = day(late);
        run(&mut world, true).unwrap();
        all_is_done(&world, "at once");
        run(&mut world, true).unwrap();
        all_is_done(&world, "and nothing is left to do");
    }
}

#[test]
fn a_crash_at_any_change_of_a_table_loses_no_count() {
    for late in [false, true] {
        for survives in [Survives::All, Survives::Synced, Survives::Half] {
            let mut k = 1;
            loop {
                let when = format!("late {late} {survives:?} change {k}");
                let mut world = day(late);
                world.memory.arm(k, Fault::Crash);
                let ended = run(&mut world, true);
                if !world.memory.is_spent() {
                    ended.unwrap();
                    assert!(k > 15, "{when}: the run makes changes");
                    break;
                }
                world.memory.reboot(survives);
                nothing_is_lost(&world, &when);
                run(&mut world, true).unwrap_or_else(|halt| panic!("{when}: {halt}"));
                all_is_done(&world, &when);
                k += 1;
            }
        }
    }
}

#[test]
fn a_crash_while_a_crash_of_a_table_is_mended_loses_no_count() {
    for (first, second) in (1..40).flat_map(|first| (1..12).map(move |second| (first, second))) {
        let when = format!("changes {first} and {second}");
        let mut world = day(true);
        world.memory.arm(first, Fault::Crash);
        drop(run(&mut world, true));
        world.memory.reboot(Survives::Half);
        world.memory.arm(second, Fault::Crash);
        drop(run(&mut world, true));
        world.memory.reboot(Survives::Synced);
        nothing_is_lost(&world, &when);
        run(&mut world, true).unwrap_or_else(|halt| panic!("{when}: {halt}"));
        all_is_done(&world, &when);
    }
}

#[test]
fn a_failure_at_any_step_of_a_table_loses_no_count_and_heals() {
    for (late, errno) in [(false, Errno::NOSPC), (true, Errno::NOSPC), (false, Errno::IO), (true, Errno::IO)] {
        let mut k = 1;
        loop {
            let when = format!("late {late} {errno:?} step {k}");
            let mut world = day(late);
            world.memory.arm(k, Fault::Fail(errno));
            let ended = run(&mut world, true);
            if !world.memory.is_spent() {
                ended.unwrap();
                break;
            }
            nothing_is_lost(&world, &when);
            world.memory.restart();
            run(&mut world, true).unwrap_or_else(|halt| panic!("{when}: {halt}"));
            all_is_done(&world, &when);
            k += 1;
        }
    }
}
