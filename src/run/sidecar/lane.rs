//! One form of one raw log: lines from its position on through the gate, into its segment or to its receiver.

use super::plan::FormPlan;
use super::raw::Raw;
use super::sink::{Answer, BATCH, Kind, Remote, Ticket};
use crate::format::Format;
use crate::retain::ledger::Reasons;
use crate::scrub::{Clean, Quarantined, Scrubber, Tally};
use crate::store::checkpoint::{LaneState, SegmentState};
use crate::store::segment::{PART, Segment, stem};
use crate::store::source::Block;
use crate::store::trail::{Head, Piece};
use crate::store::{Sieve, StoreError};
use jiff::{SignedDuration, Timestamp};
use std::ffi::OsString;
use std::sync::Arc;

/// How far behind the clock of the file a record's time may lie: a day and the hour of a clock change.
const AHEAD: SignedDuration = SignedDuration::from_hours(25);

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Everything that is there was read.
    Idle,
    /// There may be more.
    More,
    /// The sink has no room: the position waits.
    Busy,
    /// The log is not what it was.
    Rewritten,
}

/// What a step has to know of the log.
pub(super) struct Scene<'a> {
    /// Names segments.
    pub(super) salt: &'a str,
    pub(super) id: u64,
    pub(super) name: &'a std::ffi::OsStr,
    pub(super) modified: Timestamp,
    pub(super) wall: Timestamp,
    /// Nobody writes any more: a last line without its end counts.
    pub(super) last: bool,
    /// A record that says no time has that of its receipt, and not that of the record in front of it.
    pub(super) receipt: bool,
    /// The sink of forms that are no files.
    pub(super) remote: Option<&'a mut Remote>,
}

/// A form of a log.
pub(super) struct Lane {
    pub(super) plan: Arc<FormPlan>,
    formats: Vec<Arc<Format>>,
    /// Lines say something about those behind them.
    stateful: bool,
    scrubber: Option<Scrubber>,
    /// The time of the last record, while nobody has a scrubber for it.
    moment: Option<Timestamp>,
    sieve: Sieve,
    open: Option<Segment>,
    /// What stood in front of the position.
    tail: Option<Vec<u8>>,
    block: Block,
    one: Clean,
    held: Clean,
    rejected: Quarantined,
    /// Counts since somebody took them.
    pub(super) tally: Tally,
    /// On its way to a receiver, with the state that its acknowledgement makes true.
    sent: Option<(Ticket, LaneState)>,
    /// Scrubbed and not taken by the receiver yet.
    offered: Option<LaneState>,
    pub(super) dirty: bool,
    /// What the log began with when it was read, until somebody took it.
    pub(super) head: Option<Head>,
}

impl Lane {
    pub(super) fn new(plan: &Arc<FormPlan>, formats: &[Arc<Format>], stateful: bool) -> Self {
        let settings = plan.settings(formats);
        Self {
            sieve: Sieve::new(plan.select.as_ref(), &settings),
            plan: Arc::clone(plan),
            formats: formats.to_vec(),
            stateful,
            scrubber: None,
            moment: None,
            open: None,
            tail: None,
            block: Block::default(),
            one: Clean::default(),
            held: Clean::default(),
            rejected: Quarantined::default(),
            tally: Tally::default(),
            sent: None,
            offered: None,
            dirty: false,
            head: None,
        }
    }

    /// Forgets what can be had again: an idle log costs little.
    pub(super) fn rest(&mut self, stateful: bool) {
        if !stateful {
            self.scrubber = None;
            self.plan.stock.clear();
        }
        self.block = Block::default();
        self.one = Clean::default();
        if self.held.as_bytes().is_empty() {
            self.held = Clean::default();
        }
    }

    /// Syncs what was written, so that a commit may speak of it.
    pub(super) fn sync(&mut self, state: &mut LaneState) -> Result<(), StoreError> {
        self.flush(state)?;
        if let Some(open) = self.open.as_mut().filter(|_| self.dirty) {
            open.sync()?;
        }
        self.dirty = false;
        Ok(())
    }

    /// Reads on, once.
    pub(super) fn step(&mut self, raw: &mut Raw<'_>, state: &mut LaneState, scene: Scene<'_>) -> Result<Step, StoreError> {
        let stepped = self.step_on(raw, state, scene);
        // Logs of which each line stands for itself share one: what it remembers takes megabytes.
        if !self.stateful
            && let Some(scrubber) = self.scrubber.take_if(|scrubber| scrubber.is_between_lines())
        {
            self.moment = scrubber.moment();
            self.plan.stock.give_back(&self.formats, scrubber);
        }
        stepped
    }

    fn step_on(&mut self, raw: &mut Raw<'_>, state: &mut LaneState, mut scene: Scene<'_>) -> Result<Step, StoreError> {
        if !matches!(self.plan.kind, Kind::Segment(_)) {
            match self.deliver(state, scene.remote.as_deref_mut())? {
                Step::Idle => {}
                other @ (Step::More | Step::Busy | Step::Rewritten) => return Ok(other),
            }
        }
        if self.scrubber.is_none() {
            self.scrubber =
                Some(if self.stateful { self.primed(raw, state.position)? } else { self.plan.stock.take(&self.formats, self.moment, || self.plan.settings(&self.formats)) });
        }
        if self.tail.is_none() {
            if state.position > 0 && state.seam.is_some() && raw.seam(state.position)? != state.seam {
                return Ok(Step::Rewritten);
            }
            self.tail = Some(raw.tail(state.position)?);
        }
        let seam = state.seam.filter(|_| state.position > 0);
        let (next, too_long) = match raw.read((state.position, seam), scene.last, &mut self.block)? {
            Piece::Nothing => return Ok(Step::Idle),
            Piece::Rewritten => return Ok(Step::Rewritten),
            Piece::Lines(next) => (next, false),
            Piece::TooLong(next) => (next, true),
        };
        if state.position == 0 && !too_long {
            self.head = raw.head_of(self.block.as_bytes());
        }
        let mut after = if matches!(self.plan.kind, Kind::Segment(_)) { None } else { Some(state.clone()) };
        let target = after.as_mut().unwrap_or(&mut *state);
        let done = self.lines(target, &scene, too_long);
        let mut tail = self.tail.take().unwrap_or_default();
        if too_long {
            tail = raw.tail(next)?;
            target.seam = raw.sew(&mut tail, b"");
        } else {
            target.seam = raw.sew(&mut tail, self.block.as_bytes());
        }
        self.tail = Some(tail);
        target.position = next;
        done?;
        if let Some(after) = after {
            self.offered = Some(after);
            return Ok(match self.deliver(state, scene.remote)? {
                Step::Busy => Step::Busy,
                Step::Idle | Step::More | Step::Rewritten => Step::More,
            });
        }
        self.dirty = true;
        Ok(Step::More)
    }

    /// A scrubber that knows what lines in front of the position said about those behind it.
    fn primed(&mut self, raw: &mut Raw<'_>, position: u64) -> Result<Scrubber, StoreError> {
        let mut scrubber = Scrubber::new(&self.plan.settings(&self.formats));
        let mut at = 0;
        while at < position {
            match raw.read((at, None), false, &mut self.block)? {
                Piece::Lines(next) => {
                    let known = usize::try_from(position - at).unwrap_or(usize::MAX).min(self.block.as_bytes().len());
                    scrubber.block(self.block.as_bytes().get(..known).unwrap_or_default(), &mut self.one, &mut self.rejected, &mut Tally::default());
                    self.one.clear();
                    self.rejected.clear();
                    at = next;
                }
                Piece::TooLong(next) => at = next,
                Piece::Nothing | Piece::Rewritten => break,
            }
        }
        Ok(scrubber)
    }

    /// The lines of the block, one by one, so that segments end where they end whatever the blocks are.
    fn lines(&mut self, state: &mut LaneState, scene: &Scene<'_>, too_long: bool) -> Result<(), StoreError> {
        let block = std::mem::take(&mut self.block);
        let done = if too_long { self.line(None, state, scene) } else { self.each(block.as_bytes(), state, scene) };
        self.block = block;
        done?;
        // Each writing is a frame, which costs: what is sealed waits for its commit, or until there is enough of it.
        if self.plan.seals.is_none() { self.flush(state) } else { Ok(()) }
    }

    fn each(&mut self, block: &[u8], state: &mut LaneState, scene: &Scene<'_>) -> Result<(), StoreError> {
        if let Some(scrubber) = &mut self.scrubber {
            scrubber.refresh();
        }
        block.split_inclusive(|byte| *byte == b'\n').try_for_each(|line| self.line(Some(line), state, scene))
    }

    fn line(&mut self, line: Option<&[u8]>, state: &mut LaneState, scene: &Scene<'_>) -> Result<(), StoreError> {
        // A writer that does not append leaves a hole where its file was cut.
        let line = line.map(|line| line.get(line.iter().take_while(|byte| **byte == 0).count()..).unwrap_or_default());
        let admitted = match line {
            Some(line) => self.sieve.admits(line),
            None => self.plan.select.is_none(),
        };
        if !admitted {
            state.counts.read += 1;
            state.counts.excluded += 1;
            self.tally.read += 1;
            self.tally.excluded += 1;
            if let Some(segment) = state.segments.last_mut().filter(|segment| !segment.closed) {
                segment.excluded += 1;
            }
            return Ok(());
        }
        let Some(scrubber) = &mut self.scrubber else { return Ok(()) };
        if scene.receipt {
            scrubber.go_on_from(None);
        }
        let mut tally = Tally::default();
        self.one.clear();
        match line {
            Some(line) => scrubber.block(line, &mut self.one, &mut self.rejected, &mut tally),
            None => scrubber.too_long(&mut self.one, &mut tally),
        }
        self.rejected.clear();
        let ceiling = scene.modified.checked_add(AHEAD).unwrap_or(Timestamp::MAX);
        let record = scrubber.moment().filter(|moment| *moment <= ceiling).unwrap_or(scene.modified);
        state.counts.read += tally.read;
        state.counts.clean += tally.clean;
        state.counts.rejected += tally.rejected;
        if tally.rejected > 0 {
            state.reasons.add(&Reasons::of(&tally));
        }
        state.span = stretched(state.span, record);
        self.tally.add(&tally);
        if self.one.as_bytes().is_empty() {
            return Ok(());
        }
        if matches!(self.plan.kind, Kind::Segment(_)) {
            self.room(state, scene, record)?;
        }
        self.held.append(&self.one);
        if self.held.as_bytes().len() >= BATCH && matches!(self.plan.kind, Kind::Segment(_)) {
            self.flush(state)?;
        }
        Ok(())
    }

    /// Makes sure that there is a segment for a record.
    fn room(&mut self, state: &mut LaneState, scene: &Scene<'_>, record: Timestamp) -> Result<(), StoreError> {
        let held = self.held.as_bytes().len() as u64;
        let ends = |segment: &SegmentState| {
            let full = self.plan.rotate.size.is_some_and(|size| segment.plain() + held >= size);
            full || segment.sealed != self.plan.seals.is_some() || self.plan.parts(segment.span.1, record) || segment.policy != self.plan.rules || !self.is_ours(segment)
        };
        if state.segments.last().is_some_and(|segment| !segment.closed && ends(segment)) {
            self.close(state)?;
        }
        if let Some(segment) = state.segments.last_mut().filter(|segment| !segment.closed) {
            if self.open.is_none() {
                self.open = Some(Segment::resume(&segment.part, segment.length, self.plan.seals.as_ref())?);
            }
            segment.span = stretched(segment.span, record);
            return Ok(());
        }
        let Kind::Segment(directory) = &self.plan.kind else { return Ok(()) };
        let mut name: OsString = stem(scene.name);
        name.push(format!(".{}-{}-{}{PART}", scene.salt, scene.id, state.begun));
        let part = directory.join(name);
        self.open = Some(Segment::begin(&part, self.plan.access, self.plan.seals.as_ref())?);
        state.begun += 1;
        state.segments.push(SegmentState {
            part,
            start: state.position,
            length: 0,
            sealed: self.plan.seals.is_some(),
            packed: 0,
            excluded: 0,
            span: (Some(record), Some(record)),
            opened: scene.wall,
            policy: self.plan.rules,
            closed: false,
        });
        Ok(())
    }

    fn is_ours(&self, segment: &SegmentState) -> bool {
        matches!(&self.plan.kind, Kind::Segment(directory) if segment.part.parent() == Some(directory))
    }

    /// Writes what is held.
    fn flush(&mut self, state: &mut LaneState) -> Result<(), StoreError> {
        if !matches!(self.plan.kind, Kind::Segment(_)) || self.held.as_bytes().is_empty() {
            return Ok(());
        }
        if let (Some(open), Some(segment)) = (&mut self.open, state.segments.last_mut()) {
            open.write(&self.held)?;
            segment.length = open.len();
            if segment.sealed {
                segment.packed += self.held.as_bytes().len() as u64;
            }
        }
        self.held.clear();
        Ok(())
    }

    /// Ends the segment that grows; it is compressed once that is committed.
    pub(super) fn close(&mut self, state: &mut LaneState) -> Result<(), StoreError> {
        self.flush(state)?;
        if let Some(segment) = state.segments.last_mut().filter(|segment| !segment.closed) {
            if let Some(mut open) = self.open.take() {
                open.sync()?;
            }
            segment.closed = true;
            self.dirty = true;
        }
        self.open = None;
        Ok(())
    }

    /// Sees to what is on its way to a receiver. `Idle`: nothing is.
    fn deliver(&mut self, state: &mut LaneState, remote: Option<&mut Remote>) -> Result<Step, StoreError> {
        let Some(remote) = remote else { return Ok(Step::Busy) };
        if let Some(after) = self.offered.take() {
            match if self.held.as_bytes().is_empty() { Answer::Taken(remote.acknowledged()) } else { remote.offer(&self.held)? } {
                Answer::Taken(ticket) => {
                    self.held.clear();
                    self.sent = Some((ticket, after));
                }
                Answer::Busy => {
                    self.offered = Some(after);
                    return Ok(Step::Busy);
                }
            }
        }
        match self.sent.take() {
            Some((ticket, after)) if remote.acknowledged() >= ticket => {
                *state = after;
                self.dirty = true;
                Ok(Step::Idle)
            }
            Some(sent) => {
                self.sent = Some(sent);
                Ok(Step::Busy)
            }
            None => Ok(Step::Idle),
        }
    }
}

fn stretched(span: (Option<Timestamp>, Option<Timestamp>), at: Timestamp) -> (Option<Timestamp>, Option<Timestamp>) {
    (Some(span.0.map_or(at, |oldest| oldest.min(at))), Some(span.1.map_or(at, |newest| newest.max(at))))
}
