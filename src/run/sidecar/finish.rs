//! What ends: segments are compressed, and a raw log that nobody writes any more is held against its forms and let go.

use super::event::{Event, Level};
use super::follow::{Follower, Shared};
use super::lane::Step;
use super::plan::ClassPlan;
use super::sink::Kind;
use crate::retain::ledger::{Counts, Entry, Fault, Identity, Incident, Keyed, Output, Reasons, Scrubbed};
use crate::run::catalog::MAX_LINE;
use crate::run::verify::{HELD, VerifyJob, verify};
use crate::store::checkpoint::{LaneState, LogState, SegmentState};
use crate::store::segment::{Ending, Seals, discard};
use crate::store::trail::{Trail, Whole};
use crate::store::{Access, Chronicle, Halt, is_rotated};
use jiff::Timestamp;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, TryLockError};

/// How long a log has to be unchanged where nobody can tell that nobody writes it, in seconds: as expiry waits.
const GRACE: i64 = 30 * 60;

/// How long a log that keeps its name has to be unchanged before it is taken for finished, in seconds: a day and an hour.
const QUIET: i64 = 25 * 3600;

/// Looks at everything that may be finished.
pub(super) fn tend(follower: &mut Follower) -> Result<(), Halt> {
    let turn = Arc::clone(&follower.shared.turn);
    // Expiry is at work: what is finished stays finished.
    let _turn = match turn.try_lock() {
        Ok(turn) => turn,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return Ok(()),
    };
    let wall = (follower.shared.clock)();
    for log in &mut follower.logs {
        for lane in &mut log.lanes {
            let every = lane.plan.every();
            let Some(state) = log.state.lanes.get_mut(&lane.plan.name) else { continue };
            if state.segments.last().is_some_and(|segment| !segment.closed && wall.duration_since(segment.opened) >= every) {
                lane.close(state)?;
                follower.dirty = true;
            }
        }
    }
    for at in 0..follower.logs.len() {
        let due = follower.logs.get(at).is_some_and(|log| log.state.lanes.values().any(|lane| lane.segments.iter().any(|segment| segment.closed)));
        if due {
            end_segments(follower, at)?;
        }
        if is_over(follower, at, wall)? {
            let_go(follower, at, wall)?;
        }
    }
    Ok(())
}

/// Whether nobody will add to a log, and all of it was read.
fn is_over(follower: &Follower, at: usize, wall: Timestamp) -> Result<bool, Halt> {
    let Some(log) = follower.logs.get(at).filter(|log| log.state.done.is_none() && log.idle) else { return Ok(false) };
    let Some(trail) = &log.trail else { return Ok(false) };
    let sight = trail.sight()?;
    let still = wall.duration_since(sight.modified).as_secs();
    let moved = sight.links == 0 || log.missing > 1 || is_rotated(&log.state.path) || !trail.is_plain();
    if !moved && still < QUIET {
        return Ok(false);
    }
    match trail.is_quiet()? {
        Some(quiet) => Ok(quiet),
        None => Ok(still >= GRACE),
    }
}

/// Compresses the segments that ended. The checkpoint says first that they ended, then what became of them.
fn end_segments(follower: &mut Follower, at: usize) -> Result<(), Halt> {
    follower.commit()?;
    let mut gone: Vec<PathBuf> = Vec::new();
    let Some(log) = follower.logs.get_mut(at) else { return Ok(()) };
    let (front, path) = (front(&log.state), log.state.path.clone());
    for (form, lane) in &mut log.state.lanes {
        while let Some(segment) = lane.segments.first().filter(|segment| segment.closed).cloned() {
            let output = ended(&follower.shared, &follower.plan, (form, &segment), &Origin { name: path.file_name().unwrap_or_default(), front: &front })?;
            lane.outputs.push(output);
            lane.segments.remove(0);
            gone.push(segment.part);
        }
    }
    follower.dirty = true;
    follower.commit()?;
    gone.iter().try_for_each(|part| discard(part)).map_err(Halt::from)
}

/// What names the files of a raw log, and tells them apart from those of another one.
pub(super) struct Origin<'a> {
    pub(super) name: &'a OsStr,
    pub(super) front: &'a [u8],
}

/// Compresses a segment that has ended under its final name, and seals it if it was or has to be.
pub(super) fn ended(shared: &Shared, plan: &ClassPlan, (form, segment): (&str, &SegmentState), origin: &Origin<'_>) -> Result<Output, Halt> {
    let (of, class) = (plan.forms.iter().find(|plan| plan.name == form), &plan.class.name);
    let before = || Seals { keys: shared.store.keychain().clone(), class: class.clone(), form: form.to_owned(), level: 3 };
    let seals = of.and_then(|plan| plan.seals.clone()).or_else(|| segment.sealed.then(before));
    let salt = salt(segment, origin.front);
    let ending = Ending {
        part: &segment.part,
        length: segment.length,
        plain: segment.plain(),
        sealed: segment.sealed,
        raw: origin.name,
        salt: &salt,
        span: segment.span,
        form,
        policy: segment.policy,
        access: of.map_or(Access { mode: 0o640, user: None, group: None }, |plan| plan.access),
        level: of.map_or(3, |plan| plan.level),
        seals: seals.as_ref(),
        excluded: segment.excluded,
    };
    let output = shared.store.end(&ending)?.output;
    (shared.tell)(Event::new(Level::Info, "segment").class(class).path(&output.path).count("lines", output.lines).count("bytes", output.bytes));
    shared.gauges.class(class, |reading| reading.forms.entry(form.to_owned()).or_default().segments += 1);
    Ok(output)
}

/// What tells a log's segments from another one's.
fn front(log: &LogState) -> Vec<u8> {
    let directory = log.path.parent().map(|parent| parent.as_os_str().as_encoded_bytes()).unwrap_or_default();
    [log.head.digest.0.as_slice(), directory].concat()
}

/// Tells apart what has the same stem, span and content.
pub(super) fn salt(segment: &SegmentState, front: &[u8]) -> Vec<u8> {
    let part = segment.part.file_name().map(OsStr::as_encoded_bytes).unwrap_or_default();
    [front, &segment.start.to_be_bytes(), part].concat()
}

/// Reads the last line without its end, ends the segments, holds the log against them, and writes that into the ledger.
fn let_go(follower: &mut Follower, at: usize, wall: Timestamp) -> Result<(), Halt> {
    let salt = follower.salt.clone();
    let Some(log) = follower.logs.get_mut(at) else { return Ok(()) };
    match log.step(&follower.plan, (&salt, wall, true), &mut BTreeMap::new())? {
        Step::Idle | Step::Busy => {}
        // Somebody wrote after all.
        Step::More | Step::Rewritten => {
            follower.dirty = true;
            if !log.idle && log.step(&follower.plan, (&salt, wall, true), &mut BTreeMap::new())? != Step::Idle {
                return Ok(());
            }
        }
    }
    for lane in &mut log.lanes {
        if let Some(state) = log.state.lanes.get_mut(&lane.plan.name) {
            lane.close(state)?;
        }
    }
    // Forms that are not asked for any more.
    log.state.lanes.values_mut().flat_map(|lane| &mut lane.segments).for_each(|segment| segment.closed = true);
    follower.dirty = true;
    end_segments(follower, at)?;
    let Some(log) = follower.logs.get(at) else { return Ok(()) };
    let Some(trail) = &log.trail else { return Ok(()) };
    let (whole, sight) = (trail.whole()?, trail.sight()?);
    let read = log.state.lanes.values().map(|lane| lane.counts.read).max().unwrap_or(0);
    let slowest = log.lanes.iter().filter_map(|lane| log.state.lanes.get(&lane.plan.name)).map(|lane| lane.counts.read).min().unwrap_or(0);
    if whole.lines > slowest && !log.lanes.is_empty() {
        return Ok(());
    }
    if read != whole.lines && !log.state.truncated {
        follower
            .tell(Event::new(Level::Error, "unproven").path(trail.path()).text("its lines are not those that were read: it stays").count("read", read).count("lines", whole.lines));
        return done(follower, at, whole.size);
    }
    empty_outputs(follower, at, whole)?;
    if leaks(follower, at)? {
        return done(follower, at, whole.size);
    }
    let Some(log) = follower.logs.get(at) else { return Ok(()) };
    let scrubbed = made(&follower.plan, &log.state.lanes, (log.state.path.clone(), sight.identity()), (whole.bytes, whole.content));
    let event = Event::new(Level::Info, "finished").path(&log.state.path).count("lines", whole.lines).count("outputs", scrubbed.outputs.len() as u64);
    if !scrubbed.outputs.is_empty() {
        follower.chronicle.turn((follower.shared.clock)());
        follower.chronicle.note(&Entry::Scrubbed(scrubbed))?;
    }
    follower.tell(event);
    done(follower, at, sight.size)
}

/// What the ledger says of a raw file all of whose forms are made.
pub(super) fn made(plan: &ClassPlan, lanes: &BTreeMap<String, LaneState>, (path, identity): (PathBuf, Identity), (digest, content): (Keyed, Keyed)) -> Scrubbed {
    // A `where` leaves lines out of its form alone.
    let widest = lanes.values().max_by_key(|lane| (lane.counts.read, Reverse(lane.counts.excluded)));
    Scrubbed {
        class: Some(plan.class.name.clone()),
        path,
        identity,
        digest,
        content: Some(content),
        format: plan.class.format.as_ref().map(|format| format.name().to_owned()),
        tally: widest.map_or_else(Counts::default, |lane| lane.counts),
        reasons: widest.map_or_else(Reasons::default, |lane| lane.reasons.clone()),
        oldest: widest.and_then(|lane| lane.span.0),
        newest: widest.and_then(|lane| lane.span.1),
        outputs: lanes.values().flat_map(|lane| lane.outputs.clone()).collect(),
    }
}

fn done(follower: &mut Follower, at: usize, size: u64) -> Result<(), Halt> {
    if let Some(log) = follower.logs.get_mut(at) {
        log.state.done = Some(size);
        log.trail = None;
        log.lanes.clear();
    }
    (follower.dirty, follower.relist) = (true, true);
    follower.commit()
}

fn empty_outputs(follower: &mut Follower, at: usize, whole: Whole) -> Result<(), Halt> {
    let Some(log) = follower.logs.get_mut(at).filter(|_| whole.lines > 0) else { return Ok(()) };
    let name = log.state.path.file_name().unwrap_or_default().to_owned();
    let front = [whole.content.0.as_slice(), name.as_encoded_bytes()].concat();
    empty(&follower.shared, &follower.plan, &mut log.state.lanes, &Origin { name: &name, front: &front })
}

/// A form of which no record was taken is an empty file: nobody could tell it from one that is missing.
pub(super) fn empty(shared: &Shared, plan: &ClassPlan, lanes: &mut BTreeMap<String, LaneState>, origin: &Origin<'_>) -> Result<(), Halt> {
    for form in &plan.forms {
        let (Kind::Segment(directory), Some(lane)) = (&form.kind, lanes.get_mut(&form.name)) else { continue };
        if lane.outputs.is_empty() {
            let (part, access, excluded) = (directory.join(origin.name), form.access, lane.counts.excluded);
            let ending = Ending {
                part: &part,
                length: 0,
                plain: 0,
                sealed: false,
                raw: origin.name,
                salt: origin.front,
                span: lane.span,
                form: &form.name,
                policy: form.rules,
                access,
                level: form.level,
                seals: form.seals.as_ref(),
                excluded,
            };
            lane.outputs.push(shared.store.end(&ending)?.output);
        }
    }
    Ok(())
}

/// Looks for identifiers of the raw log in its forms.
fn leaks(follower: &mut Follower, at: usize) -> Result<bool, Halt> {
    let Some(log) = follower.logs.get(at) else { return Ok(false) };
    let Some(raw) = log.trail.as_ref().map(Trail::descriptor) else { return Ok(false) };
    let path = log.state.path.clone();
    leak(&follower.shared, &follower.plan, (&raw, &path), &log.state.lanes, &mut follower.chronicle)
}

/// Looks for identifiers of a raw log, which may be read at one place and is called after another, in its forms; opens an incident
/// if there are any.
pub(super) fn leak(shared: &Shared, plan: &ClassPlan, (raw, path): (&Path, &Path), lanes: &BTreeMap<String, LaneState>, chronicle: &mut Chronicle) -> Result<bool, Halt> {
    let mut found = 0;
    for form in &plan.forms {
        let outputs = lanes.get(&form.name).map(|lane| lane.outputs.iter().map(|output| output.path.clone()).collect::<Vec<_>>()).unwrap_or_default();
        let Some((first, more)) = outputs.split_first() else { continue };
        let job = VerifyJob {
            raw: raw.to_owned(),
            clean: first.clone(),
            more: more.to_vec(),
            format: plan.class.format.clone(),
            policy: Some(Arc::clone(&form.policy)),
            except: Vec::new(),
            max_line: MAX_LINE,
            held: HELD,
            progress: Arc::default(),
            seals: shared.store.keychain().clone(),
        };
        found += verify(&job)?.leaks;
    }
    if found == 0 {
        return Ok(false);
    }
    let class = plan.class.name.as_str();
    let text = "identifiers of the raw log stand in its forms: it stays, and an incident is open";
    (shared.tell)(Event::new(Level::Error, "leak").class(class).path(path).count("identifiers", found).text(text));
    chronicle.refresh()?;
    if chronicle.known().incidents().open_about(Fault::Leak, Some(class), Some(path)).is_none() {
        chronicle.turn((shared.clock)());
        chronicle.note(&Entry::Incident(Incident::Opened { what: Fault::Leak, class: Some(class.to_owned()), path: Some(path.to_owned()), note: None }))?;
    }
    Ok(true)
}

/// A log whose file nobody finds any more: what was read of it is finished, the rest is lost, and that is said.
pub(super) fn lost(follower: &mut Follower, at: usize) -> Result<(), Halt> {
    let turn = Arc::clone(&follower.shared.turn);
    let Ok(_turn) = turn.try_lock() else { return Ok(()) };
    let Some(log) = follower.logs.get_mut(at) else { return Ok(()) };
    log.state.lanes.values_mut().flat_map(|lane| &mut lane.segments).for_each(|segment| segment.closed = true);
    let (path, position, truncated) = (log.state.path.clone(), log.position(), log.state.truncated);
    follower.dirty = true;
    end_segments(follower, at)?;
    if !truncated {
        let text =
            "this log is gone, and no copy of it is found: what was written behind this position is lost\nlet rotation keep at least one file, and start logfade before the server";
        follower.tell(Event::new(Level::Warning, "vanished").path(&path).count("position", position).text(text));
    }
    done(follower, at, position)
}
