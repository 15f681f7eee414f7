//! A class of files: finds them, reads on in them, commits, and lets go of what is finished.

mod admit;
mod finish;

use super::event::{Event, Level};
use super::lane::Step;
use super::log::Log;
use super::plan::ClassPlan;
use super::settle::Work;
use super::shared::{Shared, Trouble};
use super::sink::Remote;
use crate::retain::RawGlob;
use crate::store::checkpoint::{Checkpoint, StretchState};
use crate::store::source::Stop;
use crate::store::trail::{Mark, Sight, Trail, listing};
use crate::store::watch::DirectoryWatch;
use crate::store::{Halt, is_rotated};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the thread sleeps at most.
const NAP: Duration = Duration::from_millis(500);

/// How often names are listed although nobody said that they changed.
const LISTED: Duration = Duration::from_secs(5);

/// How often it is looked whether something is finished.
const TENDED: Duration = Duration::from_millis(250);

/// After how long it is looked again at a log that may have been cut, and at what is being finished.
const AGAIN: Duration = Duration::from_millis(20);

/// How long a log whose file is gone is looked for under another name, in seconds.
const LOST: i64 = 10;

/// How long the copy of a log that was truncated is waited for, in seconds: a day and an hour.
const AWAITED: i64 = 25 * 3600;

/// The work of one class.
struct Follower {
    shared: Shared,
    plan: Arc<ClassPlan>,
    globs: Vec<RawGlob>,
    salt: String,
    next: u64,
    logs: Vec<Log>,
    remotes: BTreeMap<String, Remote>,
    watch: DirectoryWatch,
    /// Files that are not read, and what they looked like when that was decided.
    passed: HashMap<Mark, Sight>,
    work: Option<Work>,
    dirty: bool,
    /// Names have to be listed again.
    relist: bool,
    /// Rotated logs wait until others are read.
    crowded: bool,
    /// Logs wait until expiry has had its turn.
    waiting: bool,
    /// What was there at the start was taken up.
    listed: bool,
}

/// Runs a class until it is told to stop; a failure sends it back to its last commit.
pub(super) fn follow(shared: &Shared, (name, plan): (&str, &dyn Fn() -> Result<ClassPlan, Halt>), globs: &[RawGlob], stop: &Stop) {
    let (mut trouble, mut work) = (Trouble::default(), None);
    loop {
        let ended = plan().and_then(|plan| Follower::open(shared.clone(), plan, globs.to_vec())).and_then(|mut follower| {
            // What was begun goes on, whatever failed beside it.
            follower.work = work.take();
            let ran = follower.run(stop);
            work = follower.work;
            ran
        });
        let Err(halt) = ended else { return };
        trouble.wait((shared, name), &halt, || stop.is_stopped());
        if stop.is_stopped() {
            return;
        }
    }
}

impl Follower {
    /// Goes on where the last commit stood.
    fn open(shared: Shared, plan: ClassPlan, globs: Vec<RawGlob>) -> Result<Self, Halt> {
        let wall = (shared.clock)();
        let class = plan.class.name.clone();
        let checkpoint = Checkpoint::open(&shared.state, &class)?;
        plan.clear(&checkpoint)?;
        let logs: Vec<Log> = checkpoint.logs.into_iter().map(|state| Log::kept(state, wall)).collect();
        let remotes = plan.remotes()?;
        let watch = DirectoryWatch::new(shared.polling);
        let follower = Self {
            shared,
            plan: Arc::new(plan),
            globs,
            salt: checkpoint.salt,
            next: checkpoint.next,
            logs,
            remotes,
            watch,
            passed: HashMap::new(),
            work: None,
            dirty: true,
            relist: false,
            crowded: false,
            waiting: false,
            listed: false,
        };
        follower.commit_now()?;
        follower.shared.gauges.class(&class, |reading| reading.stuck = false);
        Ok(follower)
    }

    fn tell(&self, event: Event) {
        (self.shared.tell)(event.class(&self.plan.class.name));
    }

    fn run(&mut self, stop: &Stop) -> Result<(), Halt> {
        let (mut listed, mut committed, mut tended) = (None::<Instant>, Instant::now(), Instant::now());
        let mut changed = true;
        let mut ending: Option<Instant> = None;
        loop {
            if stop.is_stopped() && ending.is_none() {
                ending = Some(Instant::now() + self.shared.drain);
                changed = true;
            }
            let relist = std::mem::take(&mut self.relist);
            if changed || relist || listed.is_none_or(|at| at.elapsed() >= if self.waiting { TENDED } else { LISTED }) {
                self.list()?;
                listed = Some(Instant::now());
            }
            let more = self.read()?;
            if self.dirty && (committed.elapsed() >= self.plan.flush || !more) {
                self.commit()?;
                committed = Instant::now();
            }
            if tended.elapsed() >= TENDED || self.work.as_ref().is_some_and(Work::is_ended) {
                self.tend(ending.is_some())?;
                tended = Instant::now();
            }
            if let Some(until) = ending
                && (!more && self.work.is_none() || Instant::now() >= until)
            {
                self.commit()?;
                return Ok(());
            }
            self.gauge();
            changed = if more {
                self.watch.wait(Duration::ZERO).names
            } else {
                let nap = match (self.relist, self.dirty) {
                    (true, _) => Duration::ZERO,
                    _ if self.work.is_some() || self.logs.iter().any(|log| log.emptied) => AGAIN,
                    _ if self.waiting || self.backlog().next().is_some() => TENDED,
                    (false, true) => self.plan.flush.min(NAP),
                    (false, false) => NAP,
                };
                let woken = self.watch.wait(nap);
                if woken.written {
                    // Lines come in bursts: what comes next is read with it.
                    std::thread::sleep(Duration::from_millis(10));
                }
                woken.names
            };
        }
    }

    /// Reads on once in every log; whether there may be more.
    fn read(&mut self) -> Result<bool, Halt> {
        let wall = (self.shared.clock)();
        let (mut more, mut busy) = (false, false);
        for at in 0..self.logs.len() {
            let Some(log) = self.logs.get_mut(at).filter(|log| log.trail.is_some() && log.state.done.is_none()) else { continue };
            let before = log.position();
            match log.step(&self.plan, (&self.salt, wall, false), &mut self.remotes)? {
                Step::Rewritten => self.truncated(at, wall, None)?,
                Step::More => more = true,
                Step::Busy => busy = true,
                Step::Idle => {}
            }
            self.logs.get_mut(at).into_iter().for_each(|log| log.rest(wall));
            self.dirty |= self.logs.get(at).is_some_and(|log| log.position() != before || log.lanes.iter().any(|lane| lane.dirty));
        }
        if !more && !busy {
            self.relist |= std::mem::take(&mut self.crowded);
        }
        Ok(more)
    }

    /// A log was cut since it was read. What was not read yet may stand in a copy; its file, if it is open already, begins a new log.
    fn truncated(&mut self, at: usize, wall: Timestamp, fresh: Option<Trail>) -> Result<(), Halt> {
        let Some(log) = self.logs.get_mut(at) else { return Ok(()) };
        log.sync()?;
        let bound = log.loss_bound();
        let (path, mark) = (log.state.path.clone(), log.state.mark);
        let cause = "the log was cut while it was open (copytruncate); lines written between the copy and the cut are lost";
        let remedy = "rotate by rename, and let the server open its log again";
        let event = Event::new(Level::Warning, "truncated").path(&path);
        let event = match bound {
            Some(bound) => event.count("lost_at_most_bytes", bound).text(format!("{cause}\n{remedy}")),
            None => event.text(format!("{cause}; how many is not known, because nobody looked\n{remedy}")),
        };
        if log.position() > 0 {
            log.cut(wall);
            // Opened anew: it may be shorter than a head by now.
            let fresh = match fresh {
                Some(fresh) => Some(fresh),
                None => self.shared.store.trail(&path)?.filter(|fresh| fresh.mark() == mark),
            };
            fresh.map_or(Ok(()), |fresh| self.begin(fresh, wall))?;
        } else {
            // Nothing was read of it: nothing goes on in a copy, which is a log of its own.
            log.renew()?;
        }
        self.tell(event);
        self.shared.gauges.class(&self.plan.class.name, |reading| {
            reading.truncations += 1;
            reading.lost_at_most += bound.unwrap_or(0);
            reading.unbounded += u64::from(bound.is_none());
        });
        (self.dirty, self.relist) = (true, true);
        Ok(())
    }

    fn begin(&mut self, trail: Trail, wall: Timestamp) -> Result<(), Halt> {
        let log = Log::new(self.next, trail, wall)?;
        self.tell(Event::new(Level::Detail, "found").path(&log.state.path));
        self.next += 1;
        self.logs.push(log);
        self.dirty = true;
        Ok(())
    }

    /// Looks what stands where.
    fn list(&mut self) -> Result<(), Halt> {
        let wall = (self.shared.clock)();
        let mut seen: BTreeMap<Mark, (PathBuf, Sight)> = BTreeMap::new();
        for glob in &self.globs {
            let deep = glob.text.contains("**") || glob.text.matches('/').count() > glob.directory.components().count();
            for (path, sight) in listing(&glob.directory, deep, &|path| glob.matcher.is_match(path))? {
                seen.entry(sight.mark).or_insert((path, sight));
            }
        }
        let above = self.globs.iter().map(|glob| glob.directory.as_path());
        self.watch.all(above.chain(seen.values().filter_map(|(path, _)| path.parent())).collect::<BTreeSet<_>>().into_iter());
        let mut fresh = Vec::new();
        for log in &mut self.logs {
            if seen.contains_key(&log.state.mark) { log.missing = 0 } else { log.missing = log.missing.saturating_add(1) }
        }
        let places: HashMap<Mark, usize> = self.logs.iter().enumerate().map(|(at, log)| (log.state.mark, at)).collect();
        for (mark, (path, sight)) in &seen {
            match places.get(mark) {
                Some(at) => self.seen_again(*at, path, *sight, wall)?,
                None => fresh.push((path.clone(), *sight)),
            }
        }
        self.passed.retain(|mark, _| seen.contains_key(mark));
        fresh.retain(|(_, sight)| self.passed.get(&sight.mark) != Some(sight));
        // The names that servers write to first: what else comes may be a copy of one of them.
        fresh.sort_by_key(|(path, sight)| (is_rotated(path), sight.modified));
        self.admit_all(&fresh, wall)?;
        self.forget(wall);
        Ok(())
    }

    /// A log that is known stands under a path.
    fn seen_again(&mut self, at: usize, path: &Path, sight: Sight, wall: Timestamp) -> Result<(), Halt> {
        let away = self.away();
        let Some(log) = self.logs.get_mut(at).filter(|log| log.state.mark == sight.mark) else { return Ok(()) };
        if log.state.path != path {
            path.clone_into(&mut log.state.path);
            log.trail.iter_mut().for_each(|trail| trail.renamed(path));
            self.dirty = true;
        }
        log.known = wall;
        match log.state.done {
            Some(size) if size == sight.size => return Ok(()),
            // Grown by a late writer, or written anew.
            Some(_) => log.state.done = None,
            None if log.trail.is_some() || away == Some(log.state.id) => return Ok(()),
            None => {}
        }
        let Some(trail) = self.shared.store.trail(path)?.filter(|trail| trail.mark() == sight.mark) else { return Ok(()) };
        if log.is_continued_by(&trail)? {
            // A copy that is shorter than what was read of the original stays as it is.
            log.trail = Some(trail);
            return Ok(());
        }
        if log.position() == 0 {
            // Begun and not read: it is whatever it is now.
            log.trail = Some(trail);
            return log.renew().map_err(Halt::from);
        }
        self.truncated(at, wall, Some(trail))
    }

    /// Lets go of logs whose files are gone.
    fn forget(&mut self, wall: Timestamp) {
        let missing = |log: &Log, seconds: i64| log.missing > 1 && wall.duration_since(log.known).as_secs() >= seconds;
        let overdue = |log: &Log| missing(log, LOST);
        let before = self.logs.len();
        // The copy of a log that was truncated may come late: without what is known of the log, it would be read as another one.
        self.logs.retain(|log| !(log.state.done.is_some() && missing(log, if log.awaits_copy() { AWAITED } else { LOST })));
        self.dirty |= self.logs.len() != before;
        let away = self.away();
        for at in 0..self.logs.len() {
            // What was not taken up yet may be one of them.
            if !self.waiting && self.logs.get(at).is_some_and(|log| log.trail.is_none() && log.state.done.is_none() && away != Some(log.state.id) && overdue(log)) {
                self.lost(at);
            }
        }
    }

    /// Makes everything that was read so far last.
    fn commit(&mut self) -> Result<(), Halt> {
        if !self.dirty {
            return Ok(());
        }
        self.logs.iter_mut().try_for_each(Log::sync)?;
        self.commit_now()?;
        self.dirty = false;
        Ok(())
    }

    fn commit_now(&self) -> Result<(), Halt> {
        let logs = self.logs.iter().map(|log| &log.state).collect();
        Checkpoint { salt: self.salt.clone(), next: self.next, logs, stretches: Vec::<StretchState>::new() }.commit(&self.shared.state, &self.plan.class.name)?;
        Ok(())
    }

    /// Tells how it goes.
    fn gauge(&mut self) {
        let wall = (self.shared.clock)();
        let (mut lag, mut open, mut waited) = (0, u64::from(self.away().is_some()), 0.0_f64);
        for log in self.logs.iter().filter(|log| log.trail.is_some()) {
            open += 1;
            let behind = log.looked.map_or(0, |(size, _)| size.saturating_sub(log.committed()));
            if behind > 0 && !log.idle {
                lag += behind;
                waited = waited.max(log.even.map_or(0.0, |(at, _)| wall.duration_since(at).as_secs_f64()));
            }
        }
        let mut tallies = Vec::new();
        for lane in self.logs.iter_mut().flat_map(|log| &mut log.lanes) {
            tallies.push((lane.plan.name.clone(), std::mem::take(&mut lane.tally)));
        }
        self.shared.gauges.class(&self.plan.class.name, |reading| {
            (reading.lag_bytes, reading.lag_seconds, reading.open_files) = (lag, waited, open);
            for (form, tally) in tallies {
                reading.forms.entry(form).or_default().tally.add(&tally);
            }
            for (form, remote) in &self.remotes {
                reading.forms.entry(form.clone()).or_default().retries = remote.retries();
            }
        });
    }
}
