//! One raw log that is followed: its file, its forms, and how far each has come.

use super::lane::{Lane, Scene, Step};
use super::plan::ClassPlan;
use super::raw::Raw;
use super::sink::Remote;
use crate::format::{Envelope, Format, Spans, peel};
use crate::run::catalog::ranked;
use crate::store::StoreError;
use crate::store::checkpoint::LogState;
use crate::store::trail::{HEAD, Head, Mark, Sight, Trail};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of the sample by which a format is found out.
const SAMPLE: u64 = 1024 * 1024;

/// After how long without a line a log gives back memory, in seconds.
const REST: i64 = 10;

/// Over how long it is looked how fast a log grows, at least.
const PACED: Duration = Duration::from_millis(50);

/// What may pass between a truncation and the look that finds it, besides the time since the last look, in seconds.
const SLACK: f64 = 0.1;

/// Bytes that may come at once in a log that was slow so far.
const BURST: u64 = 64 * 1024;

/// No file at all.
const NOWHERE: Mark = Mark { device: 0, inode: 0, born: None };

/// A raw log.
pub(super) struct Log {
    pub(super) state: LogState,
    /// None while nobody knows where it is, or when it is done.
    pub(super) trail: Option<Trail>,
    pub(super) lanes: Vec<Lane>,
    /// In how many listings in a row it was missing.
    pub(super) missing: u32,
    /// When everything that was there had been read for the last time, and how many bytes that were.
    pub(super) even: Option<(Timestamp, u64)>,
    /// The most bytes that came in a second.
    pub(super) pace: f64,
    /// When it was last known where it is.
    pub(super) known: Timestamp,
    /// Its size and the time of the last look.
    pub(super) looked: Option<(u64, Instant)>,
    /// The same, of the look from which the pace is taken.
    paced: Option<(u64, Instant)>,
    /// When it was last modified, as of the last look.
    modified: Option<Timestamp>,
    /// It was changed and is empty, and nothing of it was read.
    pub(super) emptied: bool,
    /// Every lane has read all there is.
    pub(super) idle: bool,
    /// When lines last came, until it is at rest.
    grown: Option<Timestamp>,
    /// Its lines say something about those behind them.
    stateful: bool,
}

impl Log {
    pub(super) fn new(id: u64, trail: Trail, wall: Timestamp) -> Result<Self, StoreError> {
        let state = LogState { id, path: trail.path().to_owned(), mark: trail.mark(), head: trail.beginning()?, sample: 0, done: None, truncated: false, lanes: BTreeMap::new() };
        let modified = Some(trail.sight()?.modified);
        Ok(Self { trail: Some(trail), modified, ..Self::kept(state, wall) })
    }

    /// One that a checkpoint knows.
    pub(super) const fn kept(state: LogState, wall: Timestamp) -> Self {
        Self {
            state,
            trail: None,
            lanes: Vec::new(),
            missing: 0,
            even: None,
            pace: 0.0,
            known: wall,
            looked: None,
            paced: None,
            modified: None,
            emptied: false,
            idle: false,
            grown: None,
            stateful: false,
        }
    }

    /// The furthest position of a form.
    pub(super) fn position(&self) -> u64 {
        self.state.lanes.values().map(|lane| lane.position).max().unwrap_or(0)
    }

    /// The position of the slowest form.
    pub(super) fn committed(&self) -> u64 {
        self.lanes.iter().map(|lane| self.state.lanes.get(&lane.plan.name).map_or(0, |state| state.position)).min().unwrap_or(0)
    }

    /// Whether a file is this log as far as it was read. The copy of one that was truncated may be shorter.
    pub(super) fn is_continued_by(&self, trail: &Trail) -> Result<bool, StoreError> {
        let head = &self.state.head;
        if trail.head(head.bytes)?.as_ref() != Some(head) {
            return Ok(false);
        }
        for lane in self.state.lanes.values().filter(|lane| lane.position > 0) {
            let Some(seam) = lane.seam else { continue };
            if !trail.fits(lane.position, seam)?.unwrap_or(self.state.truncated) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether its file was cut, or written anew, since it was read.
    pub(super) fn is_cut(&self) -> Result<bool, StoreError> {
        match self.trail.as_ref().filter(|trail| trail.is_plain() && !self.state.truncated) {
            Some(trail) => self.stands(trail).map(|stands| !stands),
            None => Ok(false),
        }
    }

    /// Its file was cut: what was not read of it yet can only stand in a copy.
    pub(super) fn cut(&mut self, wall: Timestamp) {
        (self.state.truncated, self.state.mark, self.state.done) = (true, NOWHERE, None);
        (self.trail, self.missing, self.known) = (None, 1, wall);
        self.lanes.clear();
    }

    /// It begins anew, and nothing of it was read.
    pub(super) fn renew(&mut self) -> Result<(), StoreError> {
        if let Some(trail) = &self.trail {
            (self.state.head, self.state.sample) = (trail.beginning()?, 0);
        }
        (self.state.done, self.emptied) = (None, false);
        self.state.lanes.clear();
        self.lanes.clear();
        Ok(())
    }

    /// Whether it was cut, and no copy of it is found yet.
    pub(super) fn awaits_copy(&self) -> bool {
        self.state.truncated && self.trail.is_none() && self.state.mark == NOWHERE
    }

    /// Whether a file begins as this log did when it was read, or does now.
    pub(super) fn begins_like(&self, trail: &Trail) -> Result<bool, StoreError> {
        let is_head_of = |head: Head| Ok::<_, StoreError>(head.bytes > 0 && trail.head(head.bytes)?.as_ref() == Some(&head));
        if is_head_of(self.state.head)? {
            return Ok(true);
        }
        match &self.trail {
            // What it begins with may have come since it was read.
            Some(own) if self.state.head.bytes < HEAD => is_head_of(own.beginning()?),
            Some(_) | None => Ok(false),
        }
    }

    /// It is this file from now on.
    pub(super) fn adopt(&mut self, trail: Trail, wall: Timestamp) {
        self.state.mark = trail.mark();
        trail.path().clone_into(&mut self.state.path);
        if !trail.is_plain() {
            // In front of a position in a compressed log stands what was there when it was compressed.
            self.state.lanes.values_mut().filter(|lane| lane.position > 0).for_each(|lane| lane.seam = None);
        }
        self.trail = Some(trail);
        (self.state.done, self.missing, self.known) = (None, 0, wall);
        self.lanes.clear();
    }

    /// Reads on in every form, once. Some: what the slowest needs next; the log was rewritten if any form says so.
    pub(super) fn step(&mut self, plan: &ClassPlan, shared: (&str, Timestamp, bool), remotes: &mut BTreeMap<String, Remote>) -> Result<Step, StoreError> {
        let (salt, wall, last) = shared;
        let Some(mut trail) = self.trail.take() else { return Ok(Step::Idle) };
        let stepped = self.step_in(&mut trail, plan, (salt, wall, last), remotes);
        self.trail = Some(trail);
        stepped
    }

    fn step_in(&mut self, trail: &mut Trail, plan: &ClassPlan, (salt, wall, last): (&str, Timestamp, bool), remotes: &mut BTreeMap<String, Remote>) -> Result<Step, StoreError> {
        let sight = trail.sight()?;
        let position = self.position();
        let cut = sight.size < position && !self.state.truncated;
        // Written and cut before anybody looked. The system notes the time of a write before the size: that is no cut.
        let emptied = sight.size == 0 && position == 0 && (self.emptied || self.modified.is_some_and(|modified| modified != sight.modified));
        let passed = emptied && self.emptied;
        self.modified = Some(sight.modified);
        self.emptied = emptied && !passed;
        if trail.is_plain() && (cut || passed) {
            return Ok(Step::Rewritten);
        }
        self.look(sight);
        if sight.size == 0 {
            self.idle = true;
            return Ok(Step::Idle);
        }
        if self.lanes.is_empty() {
            let formats = self.formats(plan, trail)?;
            self.stateful = formats.iter().any(|format| format.has_columns()) || is_cut(&trail.sample(64 * 1024)?);
            self.lanes = plan.forms.iter().map(|form| Lane::new(form, &formats, self.stateful)).collect();
            if self.lanes.is_empty() {
                self.idle = true;
                return Ok(Step::Idle);
            }
        }
        let name = self.state.path.file_name().unwrap_or_default().to_owned();
        let mut all = Step::Idle;
        for lane in &mut self.lanes {
            let state = self.state.lanes.entry(lane.plan.name.clone()).or_default();
            // The copy ends in front of what was read of the log itself.
            if self.state.truncated && trail.is_plain() && sight.size <= state.position {
                continue;
            }
            let scene = Scene { salt, id: self.state.id, name: &name, modified: sight.modified, wall, last, receipt: false, remote: remotes.get_mut(&lane.plan.name) };
            let stepped = lane.step(&mut Raw::Trail(trail), state, scene);
            // Of what was read, whatever the file is by now.
            self.state.head = lane.head.take().unwrap_or(self.state.head);
            match stepped? {
                Step::Rewritten => return Ok(Step::Rewritten),
                Step::More => all = Step::More,
                Step::Busy if all == Step::Idle => all = Step::Busy,
                Step::Busy | Step::Idle => {}
            }
        }
        self.idle = all == Step::Idle;
        if all == Step::More {
            self.grown = Some(wall);
        }
        if self.idle {
            self.even = Some((wall, self.position()));
        }
        if self.state.head.bytes < HEAD && self.state.head.bytes < self.position() {
            let head = trail.beginning()?;
            // Of the same log, or it was cut in between.
            if trail.is_plain() && !self.stands(trail)? {
                return Ok(Step::Rewritten);
            }
            self.state.head = head;
        }
        Ok(all)
    }

    /// Syncs what was written, so that a commit may speak of it.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        for lane in &mut self.lanes {
            if let Some(state) = self.state.lanes.get_mut(&lane.plan.name) {
                lane.sync(state)?;
            }
        }
        Ok(())
    }

    /// Gives back what an idle log does not need.
    pub(super) fn rest(&mut self, wall: Timestamp) {
        let still = self.grown.is_some_and(|at| wall.duration_since(at).as_secs() >= REST);
        if self.idle && still {
            self.grown = None;
            let stateful = self.stateful;
            self.lanes.iter_mut().for_each(|lane| lane.rest(stateful));
        }
    }

    /// Whether everything that was read still stands in front of where the forms are.
    fn stands(&self, trail: &Trail) -> Result<bool, StoreError> {
        for lane in self.state.lanes.values().filter(|lane| lane.position > 0) {
            if let Some(seam) = lane.seam
                && trail.fits(lane.position, seam)? != Some(true)
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Notes how fast it grows.
    fn look(&mut self, sight: Sight) {
        let now = Instant::now();
        self.looked = Some((sight.size, now));
        match self.paced {
            Some((_, at)) if now.duration_since(at) < PACED => {}
            before => {
                if let Some((size, at)) = before {
                    self.pace = self.pace.max(sight.size.saturating_sub(size) as f64 / now.duration_since(at).as_secs_f64());
                }
                self.paced = Some((sight.size, now));
            }
        }
    }

    /// The formats of the class, or of the beginning of this log: of the same bytes of it after every start.
    fn formats(&mut self, plan: &ClassPlan, trail: &Trail) -> Result<Vec<Arc<Format>>, StoreError> {
        if let Some(format) = &plan.class.format {
            return Ok(vec![Arc::clone(format)]);
        }
        let sample = trail.sample(if self.state.sample > 0 { self.state.sample } else { SAMPLE })?;
        let whole = memchr::memrchr(b'\n', &sample).map_or(0, |at| at + 1);
        self.state.sample = whole as u64;
        if whole == 0 {
            return Ok(Vec::new());
        }
        Ok(ranked(sample.get(..whole).unwrap_or_default()))
    }

    /// Raw bytes that may be lost at most when it was found truncated just now: what was seen and not read, and twice what came in
    /// as long a time when it grew fastest. None if nobody looked at it before.
    pub(super) fn loss_bound(&self) -> Option<u64> {
        let (size, at) = self.looked?;
        let taken = self.lanes.iter().map(|lane| self.state.lanes.get(&lane.plan.name).map_or(0, |state| state.position)).min();
        let unread = size.saturating_sub(taken.unwrap_or_else(|| self.position()));
        let unseen = at.elapsed().as_secs_f64() + SLACK;
        Some(unread + (2.0 * self.pace * unseen) as u64 + BURST)
    }
}

/// Whether lines are cut by what carries them, so that one may need what stood before it.
pub(super) fn is_cut(sample: &[u8]) -> bool {
    let carried = |line: &[u8]| matches!(peel(line, &mut Spans::default()), Some(peeled) if matches!(peeled.envelope, Envelope::Cri | Envelope::Docker));
    sample.split(|byte| *byte == b'\n').take(100).any(carried)
}
