//! What becomes of a file that no log is known for: a new one, a copy of one, or one that is finished already.

use super::Follower;
use crate::run::sidecar::event::{Event, Level};
use crate::run::sidecar::log::Log;
use crate::store::trail::{HEAD, Sight, Trail};
use crate::store::{Halt, StoreError, is_rotated};
use jiff::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::{Arc, TryLockError};

/// How long a rotated log that nobody knows has to be unchanged where nobody can tell who writes it, in seconds.
const SETTLED: i64 = 10;

/// Rotated logs that are read at the same time.
const BACKLOG: usize = 4;

/// Rotated logs that are open at the same time, to be read or to be finished.
const OPEN: usize = 16;

impl Follower {
    /// Takes up what is new, in turn with expiry: neither makes the forms of a file that the other is about to read.
    pub(super) fn admit_all(&mut self, fresh: &[(PathBuf, Sight)], wall: Timestamp) -> Result<(), Halt> {
        self.waiting = false;
        if fresh.is_empty() {
            self.listed = true;
            return Ok(());
        }
        let admission = Arc::clone(&self.shared.admission);
        let turn = match admission.try_read() {
            Ok(turn) => Some(turn),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        if fresh.iter().any(|(path, _)| is_rotated(path)) {
            // One that was cut a moment ago waits for its copy, which may be among these.
            for at in 0..self.logs.len() {
                if self.logs.get(at).map_or(Ok(false), Log::is_cut)? {
                    self.truncated(at, wall, None)?;
                }
            }
        }
        for (path, sight) in fresh {
            // A log that is new, or that a server writes to, is nothing that expiry would make forms of.
            if turn.is_some() || !is_rotated(path) && (self.listed || self.is_written(path)?) {
                self.admit(path, *sight, wall)?;
            } else {
                self.waiting = true;
            }
        }
        self.listed |= turn.is_some();
        // Whatever was begun is committed before expiry has its turn.
        self.commit()
    }

    /// A file that no log is: a new one, a copy of one, or one that is finished already.
    fn admit(&mut self, path: &Path, sight: Sight, wall: Timestamp) -> Result<(), Halt> {
        let Some(trail) = self.shared.store.trail(path)? else { return Ok(()) };
        if self.logs.iter().any(|log| log.state.mark == trail.mark()) {
            return Ok(());
        }
        let rotated = is_rotated(path) || !trail.is_plain();
        if !rotated {
            // A log that was put back. Another one may begin with the same line, but not go on like it.
            return match self.waiting(&trail)?.filter(|at| self.logs.get(*at).is_some_and(|log| log.state.head.bytes >= HEAD && !log.state.truncated)) {
                Some(at) => self.adopt(at, trail, wall),
                None => self.begin(trail, wall),
            };
        }
        for log in &self.logs {
            // A copy that is being made of what is still read, or being finished.
            if log.state.done.is_none() && (log.trail.is_some() || self.away() == Some(log.state.id)) && log.begins_like(&trail)? {
                return Ok(());
            }
        }
        // A copy, or what compresses it, is not whole before it is closed: half of one looks like nothing that is known.
        let fresh = wall.duration_since(sight.modified).as_secs() < SETTLED;
        if sight.size == 0 || trail.is_quiet()?.map_or(fresh, |quiet| !quiet) {
            return Ok(());
        }
        if let Some(at) = self.waiting(&trail)? {
            return self.adopt(at, trail, wall);
        }
        // The rest has its turn when some of these are read, or done.
        let reading = self.backlog().filter(|log| !log.idle).count() >= BACKLOG;
        if reading || self.backlog().count() >= OPEN {
            self.crowded |= reading;
            return Ok(());
        }
        let sight = trail.sight()?;
        match trail.whole() {
            Ok(whole) => {
                if self.shared.ledger(|chronicle| Ok::<_, StoreError>(chronicle.known().is_scrubbed(whole.bytes, whole.content)))? {
                    self.passed.insert(sight.mark, sight);
                    return Ok(());
                }
            }
            // Not whole, or never will be: somebody has to look at it, and expiry says so when it is due.
            Err(error) if !trail.is_plain() => {
                self.tell(Event::new(Level::Warning, "unreadable").path(path).text(error));
                self.passed.insert(sight.mark, sight);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        self.begin(trail, wall)
    }

    /// Whether somebody writes a file just now.
    fn is_written(&self, path: &Path) -> Result<bool, StoreError> {
        self.shared.store.trail(path)?.map_or(Ok(false), |trail| trail.is_quiet().map(|quiet| quiet == Some(false)))
    }

    /// Rotated logs that are open.
    pub(super) fn backlog(&self) -> impl Iterator<Item = &Log> {
        self.logs.iter().filter(|log| log.state.done.is_none() && log.trail.is_some() && is_rotated(&log.state.path))
    }

    /// A log that nobody knows the file of, and that this file is.
    fn waiting(&self, trail: &Trail) -> Result<Option<usize>, StoreError> {
        for (at, log) in self.logs.iter().enumerate() {
            let waits = log.awaits_copy() || log.state.done.is_none() && log.trail.is_none() && log.missing > 0 && self.away() != Some(log.state.id);
            if waits && log.begins_like(trail)? && log.is_continued_by(trail)? {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    fn adopt(&mut self, at: usize, trail: Trail, wall: Timestamp) -> Result<(), Halt> {
        if let Some(log) = self.logs.get_mut(at) {
            log.adopt(trail, wall);
            let event = Event::new(Level::Info, "found_again").path(&log.state.path).count("position", log.position());
            self.tell(event);
        }
        self.dirty = true;
        Ok(())
    }
}
