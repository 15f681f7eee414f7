//! What is finished: it is handed over to a thread that compresses it and holds it against its forms, and taken in when it comes back.

use super::Follower;
use crate::run::sidecar::event::{Event, Level};
use crate::run::sidecar::lane::Step;
use crate::run::sidecar::settle::{Job, Raw, Settled, Work};
use crate::store::checkpoint::{LogState, SegmentState};
use crate::store::segment::discard;
use crate::store::{Halt, is_rotated};
use jiff::Timestamp;

/// How long a log has to be unchanged where nobody can tell that nobody writes it, in seconds: as expiry waits.
const GRACE: i64 = 30 * 60;

/// How long a log that keeps its name has to be unchanged before it is taken for finished, in seconds: a day and an hour.
const QUIET: i64 = 25 * 3600;

impl Follower {
    /// The log that is being finished: it is neither read nor looked for meanwhile.
    pub(super) fn away(&self) -> Option<u64> {
        self.work.as_ref().filter(|work| work.over).map(|work| work.id)
    }

    /// Takes in what was finished, and looks what may be finished next.
    pub(super) fn tend(&mut self, ending: bool) -> Result<(), Halt> {
        if let Some((id, settled)) = Work::take(&mut self.work) {
            self.settled(id, settled?)?;
        }
        if ending || self.work.is_some() {
            return Ok(());
        }
        let wall = (self.shared.clock)();
        for log in &mut self.logs {
            for lane in &mut log.lanes {
                let every = lane.plan.every();
                let Some(state) = log.state.lanes.get_mut(&lane.plan.name) else { continue };
                if state.segments.last().is_some_and(|segment| !segment.closed && wall.duration_since(segment.opened) >= every) {
                    lane.close(state)?;
                    self.dirty = true;
                }
            }
        }
        for at in 0..self.logs.len() {
            if self.is_over(at, wall)? {
                return self.hand_over(at, true);
            }
        }
        let some = self.logs.iter().position(|log| segments(&log.state).any(|segment| segment.closed));
        some.map_or(Ok(()), |at| self.hand_over(at, false))
    }

    /// Whether nobody will add to a log, and all of it was read.
    fn is_over(&mut self, at: usize, wall: Timestamp) -> Result<bool, Halt> {
        let Some(log) = self.logs.get_mut(at).filter(|log| log.state.done.is_none() && log.idle) else { return Ok(false) };
        let Some(trail) = &log.trail else { return Ok(false) };
        let sight = trail.sight()?;
        let still = wall.duration_since(sight.modified).as_secs();
        let moved = sight.links == 0 || log.missing > 1 || is_rotated(&log.state.path) || !trail.is_plain();
        if !moved && still < QUIET || !trail.is_quiet()?.unwrap_or(still >= GRACE) {
            return Ok(false);
        }
        // A last line without its end, or somebody wrote after all.
        let step = log.step(&self.plan, (&self.salt, wall, true), &mut self.remotes)?;
        self.dirty |= step != Step::Idle;
        Ok(step == Step::Idle)
    }

    /// Has a log's segments that ended finished, and all of it if it is over. The checkpoint says first that they ended, then what
    /// became of them.
    fn hand_over(&mut self, at: usize, over: bool) -> Result<(), Halt> {
        let Some(log) = self.logs.get_mut(at) else { return Ok(()) };
        if over {
            for lane in &mut log.lanes {
                if let Some(state) = log.state.lanes.get_mut(&lane.plan.name) {
                    lane.close(state)?;
                }
            }
            // Forms that are not asked for any more as well.
            close(&mut log.state);
            self.dirty = true;
        }
        self.commit()?;
        let Some(log) = self.logs.get_mut(at) else { return Ok(()) };
        let raw = if over { log.trail.take().map(|trail| Raw::Followed(trail, log.state.truncated)) } else { None };
        if over {
            log.lanes.clear();
        }
        let directory = log.state.path.parent().map(|parent| parent.as_os_str().as_encoded_bytes()).unwrap_or_default();
        let job = Job {
            id: log.state.id,
            name: log.state.path.file_name().unwrap_or_default().to_owned(),
            front: [log.state.head.digest.0.as_slice(), directory].concat(),
            lanes: log.state.lanes.clone(),
            raw,
        };
        self.work = Some(Work::begin(&self.shared, &self.plan, job));
        Ok(())
    }

    /// Takes in what was finished.
    fn settled(&mut self, id: u64, mut settled: Settled) -> Result<(), Halt> {
        let Some(log) = self.logs.iter_mut().find(|log| log.state.id == id) else { return Ok(()) };
        let gone = settled.take_into(&mut log.state.lanes);
        if let Some(mut trail) = settled.trail {
            trail.renamed(&log.state.path);
            (log.trail, log.idle) = (Some(trail), false);
        }
        if settled.done.is_some() {
            (log.state.done, self.relist) = (settled.done, true);
        }
        self.dirty = true;
        self.commit()?;
        gone.iter().try_for_each(|part| discard(part)).map_err(Halt::from)
    }

    /// A log whose file nobody finds any more: what was read of it is finished, the rest is lost, and that is said.
    pub(super) fn lost(&mut self, at: usize) {
        let Some(log) = self.logs.get_mut(at) else { return };
        self.dirty = true;
        if segments(&log.state).next().is_some() {
            close(&mut log.state);
            return;
        }
        let position = log.position();
        log.state.done = Some(position);
        if !log.state.truncated {
            let text = "this log is gone, and no copy of it is found: what was written behind this position is lost\nlet rotation keep at least one file, and start logfade before the server";
            let event = Event::new(Level::Warning, "vanished").path(&log.state.path).count("position", position).text(text);
            self.tell(event);
        }
    }
}

fn segments(log: &LogState) -> impl Iterator<Item = &SegmentState> {
    log.lanes.values().flat_map(|lane| &lane.segments)
}

/// Ends every segment.
fn close(log: &mut LogState) {
    log.lanes.values_mut().flat_map(|lane| &mut lane.segments).for_each(|segment| segment.closed = true);
}
