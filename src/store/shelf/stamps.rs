//! The time of each record of a file, by the rules for records that have none, or one that cannot be.

use crate::scrub::{Clean, OnReject, Output, Quarantined, Scrubber, Settings, Tally};
use jiff::{SignedDuration, Timestamp};

/// How far behind the file's modification a record's time may lie: a day and the hour of a clock change.
const AHEAD: SignedDuration = SignedDuration::from_hours(25);

/// Times of lines in order.
pub(in crate::store) struct Stamps {
    scrubber: Scrubber,
    modified: Timestamp,
    clean: Clean,
    rejected: Quarantined,
    tally: Tally,
}

impl Stamps {
    /// Of a file that was modified then; `settings` name its formats.
    pub(in crate::store) fn new(settings: &Settings, modified: Timestamp) -> Self {
        let settings = Settings { moments: true, on_reject: OnReject::Drop, output: Output::Same, ..settings.clone() };
        Self { scrubber: Scrubber::new(&settings), modified, clean: Clean::default(), rejected: Quarantined::default(), tally: Tally::default() }
    }

    /// A record without a time takes the previous line's, else the file's; one that lies too far ahead is clamped to the file's.
    pub(in crate::store) fn of(&mut self, line: &[u8]) -> Timestamp {
        self.scrubber.block(line, &mut self.clean, &mut self.rejected, &mut self.tally);
        self.clean.clear();
        self.last()
    }

    /// Lines that did not parse.
    pub(in crate::store) const fn rejected(&self) -> u64 {
        self.tally.rejected
    }

    /// The time of the line before, which a line that cannot be read takes over.
    pub(in crate::store) fn last(&self) -> Timestamp {
        let moment = self.scrubber.moment().unwrap_or(self.modified);
        let ceiling = self.modified.checked_add(AHEAD).unwrap_or(Timestamp::MAX);
        if moment > ceiling { self.modified } else { moment }
    }
}
