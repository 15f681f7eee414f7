//! Which periods were destroyed: `destroyed.jsonl`, one line before and one after each destruction.

use super::super::StoreError;
use super::KeyMode;
use super::private::{Dir, Lock, TRUST, refused};
use crate::scrub::Period;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Its name in the key directory.
pub(super) const NAME: &str = "destroyed.jsonl";
/// A line is about 90 bytes: more than all days of jiff's calendar.
const MOST: usize = 1 << 30;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    at: Timestamp,
    mode: KeyMode,
    /// In fleet mode: this period and all before it.
    period: String,
    done: bool,
}

/// What must never be made again.
#[derive(Debug, Default)]
pub(super) struct Destroyed {
    /// Periods of local mode.
    pub(super) periods: BTreeSet<Period>,
    /// Local periods whose destruction was begun, and not noted as done.
    pub(super) begun: BTreeSet<Period>,
    /// The last period of fleet mode that is gone, and all before it.
    pub(super) through: Option<Period>,
    /// The same, where it was begun, and not noted as done.
    pub(super) begun_through: Option<Period>,
    /// When the last destruction was begun.
    pub(super) begun_at: Option<Timestamp>,
}

impl Destroyed {
    pub(super) fn read(dir: &Dir) -> Result<Self, StoreError> {
        let mut destroyed = Self::default();
        let Some(bytes) = dir.read(NAME, 0..=MOST)? else { return Ok(destroyed) };
        // A last line without its end was cut by a crash: nothing had been destroyed on its word.
        let whole = memchr::memrchr(b'\n', &bytes).map_or(0, |at| at);
        for line in bytes.get(..whole).unwrap_or_default().split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            destroyed.add(line).ok_or_else(|| {
                let remedy = "put back the file that logfade wrote: without it, keys that were destroyed could be made again";
                refused(TRUST, &dir.at(NAME), "a line of it is not one that logfade writes", remedy)
            })?;
        }
        Ok(destroyed)
    }

    fn add(&mut self, line: &[u8]) -> Option<()> {
        let line: Line = serde_json::from_slice(line).ok()?;
        let period: Period = line.period.parse().ok()?;
        if !line.done {
            self.begun_at = Some(line.at);
        }
        match (line.mode, line.done) {
            (KeyMode::Local, false) => {
                if !self.periods.contains(&period) {
                    self.begun.insert(period);
                }
            }
            (KeyMode::Local, true) => {
                self.begun.remove(&period);
                self.periods.insert(period);
            }
            (KeyMode::Fleet, false) => self.begun_through = self.begun_through.max(Some(period)),
            (KeyMode::Fleet, true) => {
                self.through = self.through.max(Some(period));
                self.begun_through = self.begun_through.filter(|begun| *begun > period);
            }
        }
        Some(())
    }

    /// Notes a step. Synced.
    pub(super) fn note(dir: &Dir, alone: &Lock, mode: KeyMode, periods: &[Period], (now, done): (Timestamp, bool)) -> Result<(), StoreError> {
        let mut lines = Vec::new();
        for period in periods {
            let line = Line { at: now, mode, period: period.to_string(), done };
            serde_json::to_writer(&mut lines, &line).map_err(|error| StoreError::io("write", &dir.at(NAME))(error.into()))?;
            lines.push(b'\n');
        }
        dir.append(alone, NAME, &lines)
    }
}
