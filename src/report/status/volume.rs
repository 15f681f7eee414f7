//! What the ledger counts: lines, files and bytes by class and by day.

use crate::retain::ledger::chain::Line;
use crate::retain::ledger::{Entry, Keyed, Reasons, Scrubbed};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// Days that a report shows.
const DAYS: usize = 31;

/// What was done: `read = clean + rejected + excluded`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// Raw files whose forms were made.
    pub scrubbed: u64,
    /// Lines read.
    pub read: u64,
    /// Lines that came through the policy.
    pub clean: u64,
    /// Lines that did not parse.
    pub rejected: u64,
    /// Lines that a `where` left out.
    pub excluded: u64,
    /// Bytes of the raw files on the disk.
    pub bytes_raw: u64,
    /// Bytes of everything that was made of them.
    pub bytes_made: u64,
    /// Files that were deleted, raw ones and others.
    pub deleted: u64,
    /// Their bytes.
    pub bytes_deleted: u64,
    /// Files that were cut at their deadline.
    pub cut: u64,
    /// Lines that went by that.
    pub lines_cut: u64,
}

impl Volume {
    /// `first`: no entry in front of this one spoke of the raw file; `made`: bytes of outputs that are new.
    fn add(&mut self, entry: &Entry, (first, made): (bool, u64)) {
        match entry {
            Entry::Scrubbed(scrubbed) => {
                self.bytes_made += made;
                if first {
                    self.scrubbed += 1;
                    self.read += scrubbed.tally.read;
                    self.clean += scrubbed.tally.clean;
                    self.rejected += scrubbed.tally.rejected;
                    self.excluded += scrubbed.tally.excluded;
                    self.bytes_raw += scrubbed.identity.size;
                }
            }
            Entry::Deleted(deletion) => {
                self.deleted += 1;
                self.bytes_deleted += deletion.identity.size;
            }
            Entry::Split(split) => {
                self.cut += 1;
                self.lines_cut += split.expired;
            }
            Entry::Plan(_) | Entry::Deleting(_) | Entry::Hold(_) | Entry::Release(_) | Entry::Key(_) | Entry::Subject(_) | Entry::Incident(_) => {}
        }
    }
}

/// A UTC day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Day {
    /// The day on which it was done.
    pub day: Date,
    /// What was done.
    #[serde(flatten)]
    pub volume: Volume,
}

/// Counts of a whole ledger.
#[derive(Clone, Debug, Default)]
pub struct Volumes {
    by_class: ByClass,
    by_day: BTreeMap<Date, Volume>,
    /// Raw files and outputs that were counted: a table of a day is entered for every raw file that went into it.
    seen: HashSet<(Option<String>, Keyed)>,
}

/// Classes by name; `None` stands for what was cleaned without a configuration.
type ByClass = BTreeMap<Option<String>, (Volume, Reasons)>;

impl Volumes {
    /// Takes the next line of the ledger into account.
    pub fn take(&mut self, line: &Line) {
        if !matches!(line.entry, Entry::Scrubbed(_) | Entry::Deleted(_) | Entry::Split(_)) {
            return;
        }
        let mut new = (false, 0);
        if let Entry::Scrubbed(scrubbed) = &line.entry {
            new = self.novelty(scrubbed);
            if new.0 {
                self.by_class.entry(scrubbed.class.clone()).or_default().1.add(&scrubbed.reasons);
            }
        }
        if let Entry::Split(split) = &line.entry {
            // What a cut left was counted before it was cut.
            self.seen.extend([Some(split.into_digest), split.into_content].into_iter().flatten().map(|digest| (Some(split.class.clone()), digest)));
        }
        self.by_class.entry(line.entry.class().cloned()).or_default().0.add(&line.entry, new);
        self.by_day.entry(line.at.to_zoned(TimeZone::UTC).date()).or_default().add(&line.entry, new);
    }

    /// Whether the raw file is a new one, and the bytes of outputs that are.
    fn novelty(&mut self, scrubbed: &Scrubbed) -> (bool, u64) {
        let class = &scrubbed.class;
        let mut is_new = |digest: Keyed| self.seen.insert((class.clone(), digest));
        let by_bytes = is_new(scrubbed.digest);
        // A log that was compressed meanwhile is the same log.
        let by_content = scrubbed.content.is_none_or(&mut is_new) || scrubbed.content == Some(scrubbed.digest);
        let made = scrubbed.outputs.iter().filter(|output| is_new(output.digest)).map(|output| output.bytes).sum();
        (by_bytes && by_content, made)
    }

    /// By class, and the last days.
    pub(super) fn into_parts(self) -> (ByClass, Vec<Day>) {
        let earlier = self.by_day.len().saturating_sub(DAYS);
        (self.by_class, self.by_day.into_iter().skip(earlier).map(|(day, volume)| Day { day, volume }).collect())
    }
}
