//! What the ledger says about keys: a destruction is an entry before it is done, and what is an entry is never a key again.

use super::super::StoreError;
use super::super::ledger::{Ledger, Reader};
use super::{KeyMode, Period};
use crate::retain::ledger::incidents::Incidents;
use crate::retain::ledger::{Entry, Fault, Hold, Incident, KeyDestroyed, KeyRole};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The ledger, read for its keys and for what blocks their end.
pub(super) struct Told {
    state: PathBuf,
    mode: KeyMode,
    /// Destroyed periods of this mode.
    pub(super) destroyed: BTreeSet<Period>,
    holds: BTreeMap<String, Hold>,
    incidents: Incidents,
}

impl Told {
    /// Reads it entry by entry. A ledger that does not hold is refused; one that is not there says nothing.
    pub(super) fn read(state: &Path, mode: KeyMode) -> Result<Self, StoreError> {
        let mut told = Self { state: state.to_owned(), mode, destroyed: BTreeSet::new(), holds: BTreeMap::new(), incidents: Incidents::default() };
        Reader::open(state)?.fold(&mut |line| {
            told.incidents.take(line);
            match &line.entry {
                Entry::Key(KeyDestroyed { role: KeyRole::Pseudonym, period, mode: whose }) if whose.is_none_or(|whose| whose == mode) => {
                    told.destroyed.extend(period.parse::<Period>())
                }
                Entry::Hold(hold) => drop(told.holds.insert(hold.name.clone(), hold.clone())),
                Entry::Release(release) => drop(told.holds.remove(&release.name)),
                Entry::Key(_) | Entry::Scrubbed(_) | Entry::Plan(_) | Entry::Deleting(_) | Entry::Deleted(_) | Entry::Split(_) | Entry::Subject(_) | Entry::Incident(_) => {}
            }
        })?;
        Ok(told)
    }

    /// Whether it says that a period is destroyed.
    pub(super) fn has(&self, period: Period) -> bool {
        match self.mode {
            KeyMode::Local => self.destroyed.contains(&period),
            KeyMode::Fleet => self.destroyed.last().is_some_and(|last| period <= *last),
        }
    }

    /// The hold that blocks the end of a period's key. What is destroyed already is not held: a hold cannot bring it back.
    pub(super) fn hold_on(&self, period: Period, now: Timestamp) -> Option<&str> {
        let covering = self.holds.values().find(|hold| hold.covers_time((period.start(), period.end()), now));
        covering.filter(|_| !self.has(period)).map(|hold| hold.name.as_str())
    }

    /// One synced entry for each period whose key is about to go.
    pub(super) fn note(&self, periods: &[Period], at: Timestamp) -> Result<(), StoreError> {
        if periods.is_empty() {
            return Ok(());
        }
        let mut ledger = Ledger::open(&self.state)?;
        for period in periods {
            ledger.append(at, &Entry::Key(KeyDestroyed { role: KeyRole::Pseudonym, period: period.to_string(), mode: Some(self.mode) }))?;
        }
        Ok(())
    }

    /// Opens an incident about keys that are there again, unless it is open.
    pub(super) fn accuse(&self, restored: &[Period], at: Timestamp) -> Result<(), StoreError> {
        if restored.is_empty() || self.incidents.open_about(Fault::Restored, None, None).is_some() {
            return Ok(());
        }
        let periods: Vec<String> = restored.iter().map(Period::to_string).collect();
        let note = format!("destroyed and there again: the key of {}", periods.join(", "));
        let opened = Incident::Opened { what: Fault::Restored, class: None, path: None, note: Some(note) };
        Ledger::open(&self.state)?.append(at, &Entry::Incident(opened)).map(drop)
    }
}
