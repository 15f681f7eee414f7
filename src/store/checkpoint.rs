//! How far the sidecar has come: positions in raw logs and lengths of segments, committed together in one small file per class.

use super::clock::replace;
use super::segment::parts;
use super::trail::{Head, Mark};
use super::{Cause, StoreError};
use crate::retain::ledger::{Counts, Digest, Keyed, Output, Reasons};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};

/// What the file of a class is called: `run-CLASS.json`.
fn name(class: &str) -> String {
    format!("run-{class}.json")
}

/// Everything that one class knows: its own once it is read, borrowed where it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint<L = LogState, S = StretchState> {
    /// Stands in the names of this state directory's segments.
    pub salt: String,
    /// The number of the next log.
    pub next: u64,
    /// Raw logs that are followed, and those that were and may come back under another name.
    pub logs: Vec<L>,
    /// What was heard and is not finished, in the order in which it came.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub stretches: Vec<S>,
}

/// What was heard on end: one raw segment, and the forms that follow it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StretchState {
    /// Its number.
    pub id: u64,
    /// Where it is kept.
    pub raw: SegmentState,
    /// Lines in it.
    pub lines: u64,
    /// Bytes of it by which its format was found out; 0 where the configuration names it.
    pub sample: u64,
    /// When something was last received.
    pub received: Timestamp,
    /// Its forms, by name.
    pub lanes: BTreeMap<String, LaneState>,
}

/// One raw log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogState {
    /// Its number.
    pub id: u64,
    /// Where it was last seen.
    #[serde(with = "crate::retain::ledger::name")]
    pub path: PathBuf,
    /// Which file it is.
    pub mark: Mark,
    /// What it begins with, as far as it is read.
    pub head: Head,
    /// Bytes of it by which its format was found out; 0 where the configuration names it.
    pub sample: u64,
    /// All of it is in the ledger, or can never be: as many bytes as that.
    pub done: Option<u64>,
    /// It was truncated: what comes back of it may be less than what was read.
    pub truncated: bool,
    /// Its forms, by name.
    pub lanes: BTreeMap<String, LaneState>,
}

/// One form of a raw log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneState {
    /// Raw bytes that it has taken.
    pub position: u64,
    /// What stands in front of the position.
    pub seam: Option<Keyed>,
    /// Lines so far.
    pub counts: Counts,
    /// Why lines were rejected.
    #[serde(default)]
    pub reasons: Reasons,
    /// Times of the oldest and newest record so far.
    pub span: (Option<Timestamp>, Option<Timestamp>),
    /// Segments that are being written; only the last one grows, those before it wait to be compressed.
    pub segments: Vec<SegmentState>,
    /// How many segments there were.
    pub begun: u64,
    /// Files that are finished.
    pub outputs: Vec<Output>,
}

/// A segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentState {
    /// Its `.part`.
    #[serde(with = "crate::retain::ledger::name")]
    pub part: PathBuf,
    /// Where in the raw log it begins.
    pub start: u64,
    /// Its committed length.
    pub length: u64,
    /// Whether it is written only encrypted.
    #[serde(default)]
    pub sealed: bool,
    /// Bytes of its lines, if it is sealed.
    #[serde(default)]
    pub packed: u64,
    /// Lines that a `where` left out.
    pub excluded: u64,
    /// Times of its oldest and newest record.
    pub span: (Option<Timestamp>, Option<Timestamp>),
    /// When it was begun.
    pub opened: Timestamp,
    /// Of everything besides the raw bytes that decides about it.
    pub policy: Digest,
    /// Nothing is added any more.
    pub closed: bool,
}

impl SegmentState {
    /// Bytes of its lines.
    pub const fn plain(&self) -> u64 {
        if self.sealed { self.packed } else { self.length }
    }
}

/// What the sidecar has begun in a class and not finished.
#[derive(Clone, Debug, Default)]
pub struct Begun {
    /// Device and inode of raw logs.
    pub logs: HashSet<(u64, u64)>,
    /// By class, when the oldest raw segment was begun that has ended: its file may stand and not be in the ledger yet.
    pub heard: BTreeMap<String, Timestamp>,
}

impl<L: Serialize, S: Serialize> Checkpoint<L, S> {
    /// Makes it last: whole or not at all.
    pub fn commit(&self, state: &Path, class: &str) -> Result<(), StoreError> {
        replace(state, &name(class), &serde_json::to_vec(self).unwrap_or_default())
    }
}

impl Checkpoint {
    /// That of a class; a fresh one where there is none.
    pub fn open(state: &Path, class: &str) -> Result<Self, StoreError> {
        let path = state.join(name(class));
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut salt = [0; 4];
                getrandom::fill(&mut salt).map_err(|error| StoreError::io("make", &path)(error.into()))?;
                return Ok(Self { salt: format!("{:08x}", u32::from_ne_bytes(salt)), next: 1, logs: Vec::new(), stretches: Vec::new() });
            }
            Err(error) => return Err(StoreError::io("read", &path)(error)),
        };
        serde_json::from_slice(&bytes).map_err(|_torn| {
            let cause = Cause::Refused { why: "this checkpoint is damaged", remedy: "restore it from a backup; moved away, every raw log is read again from its beginning" };
            StoreError { verb: "read", path, cause }
        })
    }

    /// Adds what the sidecar has begun in a class and not finished.
    pub fn unfinished(state: &Path, class: &str, begun: &mut Begun) -> Result<(), StoreError> {
        let there = Self::open(state, class)?;
        begun.logs.extend(there.logs.iter().filter(|log| log.done.is_none()).map(|log| (log.mark.device, log.mark.inode)));
        begun.heard.extend(there.stretches.iter().filter(|stretch| stretch.raw.closed).map(|stretch| stretch.raw.opened).min().map(|since| (class.to_owned(), since)));
        Ok(())
    }

    /// The segments of forms, each of which is as long as its commit says once a run has begun.
    pub fn segments(&self) -> impl Iterator<Item = &SegmentState> {
        self.logs.iter().map(|log| &log.lanes).chain(self.stretches.iter().map(|stretch| &stretch.lanes)).flat_map(BTreeMap::values).flat_map(|lane| &lane.segments)
    }

    /// Segments in a directory that a killed run began and never committed: what stands in them is read again.
    pub fn strays(&self, directory: &Path) -> Result<Vec<PathBuf>, StoreError> {
        let raw = self.stretches.iter().map(|stretch| &stretch.raw);
        let known: BTreeSet<&Path> = self.segments().chain(raw).map(|segment| segment.part.as_path()).collect();
        let mut found = parts(directory, &format!(".{}-", self.salt))?;
        found.retain(|part| !known.contains(part.as_path()));
        Ok(found)
    }
}
