//! When a record was: for outputs that rotate by it, and for the key of its period.

use super::super::watch::Watch;
use super::Scrubber;
use crate::format::{ENVELOPE_SLOTS, Field, Span, escape, time};
use jiff::Timestamp;

impl Scrubber {
    /// The time of the last line that had one, if the settings ask for it.
    pub const fn moment(&self) -> Option<Timestamp> {
        self.moment
    }

    /// Goes on behind a record of this time, maybe of another log; without one, the next line has the time that it says itself, or none.
    pub const fn go_on_from(&mut self, moment: Option<Timestamp>) {
        self.moment = moment;
    }

    /// Whether no part of a line waits for the next one.
    pub fn is_between_lines(&self) -> bool {
        self.pending.iter().all(Vec::is_empty)
    }

    /// Notes the record's time, which is also that of its keys.
    pub(super) fn note(&mut self, plan: usize, line: &[u8], carried: bool) {
        let Some(plan) = self.plans.get(plan) else { return };
        let is_time = |span: &&Span| plan.format.slots().get(usize::from(span.slot)).is_some_and(|slot| slot.field == Field::Time);
        let Self { spans, inner, decoded, watch, .. } = self;
        let outer = || spans.as_slice().iter().filter(is_time);
        let is_own = |span: &&Span| usize::from(span.slot) >= ENVELOPE_SLOTS;
        // The line's own time before its carrier's.
        let own = if carried { instant(watch, decoded, inner.as_slice().iter().filter(is_time)) } else { instant(watch, line, outer().filter(is_own)) };
        let own = own.or_else(|| instant(watch, line, outer().filter(|span| carried || !is_own(span))));
        // Pseudonyms take no other record's time: which one came before depends on how the input was cut into blocks.
        self.tools.turn(own);
        self.moment = own.or(self.moment);
    }
}

/// The instant of the record that these spans name; escapes are read where it cannot be had otherwise.
fn instant<'a>(watch: &mut Watch, line: &[u8], spans: impl Iterator<Item = &'a Span> + Clone) -> Option<Timestamp> {
    let values = spans.filter_map(|span| line.get(span.range()));
    let first = watch.read(values.clone().next()?);
    if first.is_some() {
        return first;
    }
    time::of_record(values.clone()).or_else(|| {
        let plain: Vec<Vec<u8>> = values
            .map(|value| {
                let mut plain = Vec::new();
                escape::text(value, &mut plain);
                plain
            })
            .collect();
        time::of_record(plain.iter().map(Vec::as_slice))
    })
}
