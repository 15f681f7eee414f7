//! What was heard on end: its raw segment, and the forms that follow it.

use super::lane::{Lane, Scene, Step};
use super::log::is_cut;
use super::plan::{ClassPlan, RawPlan};
use super::raw::Raw;
use super::sink::Remote;
use crate::format::Format;
use crate::run::catalog::ranked;
use crate::store::checkpoint::{SegmentState, StretchState};
use crate::store::listen::Heard;
use crate::store::segment::{PART, Seals, stem};
use crate::store::source::Block;
use crate::store::spool::Spool;
use crate::store::trail::Piece;
use crate::store::{Halt, StoreError};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::sync::Arc;

/// Bytes of the sample by which a format is found out.
const SAMPLE: u64 = 1024 * 1024;

/// A stretch.
pub(super) struct Stretch {
    pub(super) state: StretchState,
    spool: Spool,
    pub(super) lanes: Vec<Lane>,
    /// Lines say something about those behind them.
    stateful: bool,
    /// Everything was read, and it is being finished.
    pub(super) over: bool,
}

/// A stretch that is to begin.
pub(super) fn fresh(plan: &RawPlan, class: &str, (salt, id): (&str, u64), wall: Timestamp) -> StretchState {
    let mut name: OsString = stem(OsStr::new(class));
    name.push(format!(".{salt}-{id}-raw{PART}"));
    let raw = SegmentState {
        part: plan.directory.join(name),
        start: 0,
        length: 0,
        sealed: plan.seals.is_some(),
        packed: 0,
        excluded: 0,
        span: (Some(wall), Some(wall)),
        opened: wall,
        policy: plan.rules,
        closed: false,
    };
    StretchState { id, raw, lines: 0, sample: 0, received: wall, lanes: BTreeMap::new() }
}

impl Stretch {
    /// Opens one that a checkpoint knows.
    pub(super) fn open(mut state: StretchState, plan: &RawPlan, before: &Seals) -> Result<Self, StoreError> {
        let seals = state.raw.sealed.then(|| plan.seals.as_ref().unwrap_or(before));
        let (spool, fresh) = Spool::open(&state.raw.part, state.raw.length, plan.access, seals)?;
        state.lines += fresh;
        Ok(Self { state, spool, lanes: Vec::new(), stateful: false, over: false })
    }

    /// Takes some of what was heard, until it is as large as that.
    pub(super) fn take(&mut self, heard: &mut Heard, size: Option<u64>, wall: Timestamp) -> Result<u64, StoreError> {
        let lines = self.spool.take(heard, size.map_or(u64::MAX, |size| size.saturating_sub(self.len())))?;
        self.state.lines += lines;
        self.state.received = wall;
        self.state.raw.span.1 = Some(wall);
        Ok(lines)
    }

    /// Bytes of its lines.
    pub(super) const fn len(&self) -> u64 {
        self.spool.len()
    }

    /// Reads on in every form until nothing more is there. `Busy`: a sink has no room; its form waits in later stretches as well.
    pub(super) fn step(
        &mut self,
        plan: &ClassPlan,
        (salt, wall): (&str, Timestamp),
        (remotes, waiting): (&mut BTreeMap<String, Remote>, &mut BTreeSet<String>),
    ) -> Result<Step, StoreError> {
        if self.spool.is_empty() {
            return Ok(Step::Idle);
        }
        if self.lanes.is_empty() {
            let (formats, stateful) = self.formats(plan)?;
            self.stateful = stateful;
            self.lanes = plan.forms.iter().map(|form| Lane::new(form, &formats, stateful)).collect();
        }
        let mut all = Step::Idle;
        for lane in &mut self.lanes {
            let state = self.state.lanes.entry(lane.plan.name.clone()).or_default();
            if waiting.contains(&lane.plan.name) {
                continue;
            }
            loop {
                let (remote, modified) = (remotes.get_mut(&lane.plan.name), self.state.received);
                let scene = Scene { salt, id: self.state.id, name: OsStr::new(&plan.class.name), modified, wall, last: false, receipt: true, remote };
                match lane.step(&mut Raw::Spool(&mut self.spool), state, scene)? {
                    Step::More => {}
                    // Nobody else writes it.
                    Step::Idle | Step::Rewritten => break,
                    Step::Busy => {
                        all = Step::Busy;
                        waiting.insert(lane.plan.name.clone());
                        break;
                    }
                }
            }
            if self.state.raw.closed {
                lane.rest(self.stateful);
            }
        }
        Ok(all)
    }

    /// The formats of the class, or of its beginning; and whether lines say something about those behind them.
    fn formats(&mut self, plan: &ClassPlan) -> Result<(Vec<Arc<Format>>, bool), StoreError> {
        let wanted = if self.state.sample > 0 { self.state.sample } else { SAMPLE };
        let (mut sample, mut block) = (Vec::new(), Block::default());
        while (sample.len() as u64) < wanted
            && let Piece::Lines(_) = self.spool.read(sample.len() as u64, &mut block)?
        {
            sample.extend_from_slice(block.as_bytes());
        }
        sample.truncate(usize::try_from(wanted).unwrap_or(usize::MAX));
        let formats = match &plan.class.format {
            Some(format) => vec![Arc::clone(format)],
            None => {
                self.state.sample = sample.len() as u64;
                ranked(&sample)
            }
        };
        let stateful = formats.iter().any(|format| format.has_columns()) || is_cut(&sample);
        Ok((formats, stateful))
    }

    /// Makes everything last that was taken and read so far.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        self.spool.sync()?;
        self.state.raw.length = self.spool.stored();
        if self.state.raw.sealed {
            self.state.raw.packed = self.spool.len();
        }
        for lane in &mut self.lanes {
            if let Some(state) = self.state.lanes.get_mut(&lane.plan.name) {
                lane.sync(state)?;
            }
        }
        Ok(())
    }

    /// The position of the slowest form.
    pub(super) fn position(&self, plan: &ClassPlan) -> u64 {
        let position = |name: &str| self.state.lanes.get(name).map_or(0, |lane| lane.position);
        plan.forms.iter().map(|form| position(&form.name)).min().unwrap_or(self.spool.len())
    }

    /// Whether it has ended, and every form has all of it.
    pub(super) fn is_read(&self, plan: &ClassPlan) -> bool {
        self.state.raw.closed && self.position(plan) == self.spool.len()
    }

    /// Ends segments that have been open for long.
    pub(super) fn age(&mut self, wall: Timestamp) -> Result<bool, StoreError> {
        let mut aged = false;
        for lane in &mut self.lanes {
            let every = lane.plan.every();
            let Some(state) = self.state.lanes.get_mut(&lane.plan.name) else { continue };
            if state.segments.last().is_some_and(|segment| !segment.closed && wall.duration_since(segment.opened) >= every) {
                lane.close(state)?;
                aged = true;
            }
        }
        Ok(aged)
    }

    /// Ends every segment.
    pub(super) fn close(&mut self) -> Result<(), Halt> {
        for lane in &mut self.lanes {
            if let Some(state) = self.state.lanes.get_mut(&lane.plan.name) {
                lane.close(state)?;
            }
        }
        // Forms that are not asked for any more.
        self.state.lanes.values_mut().flat_map(|lane| &mut lane.segments).for_each(|segment| segment.closed = true);
        Ok(())
    }
}
