//! What is known of the running sidecar: counts and times, for metrics and health; no byte of a log.

use crate::scrub::Tally;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Shared by everything that runs.
#[derive(Clone, Debug, Default)]
pub struct Gauges(Arc<Mutex<Readings>>);

/// All readings at one moment.
#[derive(Clone, Debug, Default)]
pub struct Readings {
    /// By class.
    pub classes: BTreeMap<String, ClassReading>,
    /// When expiry last ended without a failure.
    pub expired: Option<Timestamp>,
    /// Files in which something is due that stays.
    pub overdue: u64,
    /// Periods that have a pseudonym key.
    pub key_periods: u64,
    /// When the configuration was last read without a fault.
    pub configured: Option<Timestamp>,
    /// The last reading of the configuration failed: the one before is in force.
    pub configuration_at_fault: bool,
    /// The process has closed itself off from every file that it does not need.
    pub confined: bool,
}

/// One class.
#[derive(Clone, Debug, Default)]
pub struct ClassReading {
    /// Lines by form, since the start.
    pub forms: BTreeMap<String, FormReading>,
    /// Raw bytes that are there and not committed yet, by the slowest form.
    pub lag_bytes: u64,
    /// How long the oldest of them has waited, in seconds.
    pub lag_seconds: f64,
    /// Followed files that are open.
    pub open_files: u64,
    /// Raw bytes that may be lost to truncation, at most, since the start.
    pub lost_at_most: u64,
    /// Truncations that were seen.
    pub truncations: u64,
    /// Truncations of logs that nobody had looked at before, so that no bound is known.
    pub unbounded: u64,
    /// Messages that listeners know to be lost.
    pub lost_messages: u64,
    /// Time of the oldest raw record that still exists.
    pub oldest_raw: Option<Timestamp>,
    /// How long raw may stay, in seconds; none if it has not been worked out.
    pub raw_window: Option<i64>,
    /// Writing or committing fails just now.
    pub stuck: bool,
}

/// One form of a class.
#[derive(Clone, Debug, Default)]
pub struct FormReading {
    /// Counts of lines.
    pub tally: Tally,
    /// Segments that were finished.
    pub segments: u64,
    /// Batches that were sent again.
    pub retries: u64,
}

impl Gauges {
    /// Changes or reads them.
    pub fn with<T>(&self, change: impl FnOnce(&mut Readings) -> T) -> T {
        change(&mut self.lock())
    }

    /// Changes a class's.
    pub fn class<T>(&self, name: &str, change: impl FnOnce(&mut ClassReading) -> T) -> T {
        change(self.lock().classes.entry(name.to_owned()).or_default())
    }

    /// A copy.
    pub fn read(&self) -> Readings {
        self.lock().clone()
    }

    /// Nothing that is locked here is left half changed by a panic.
    fn lock(&self) -> MutexGuard<'_, Readings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
