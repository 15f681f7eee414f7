//! Which clean line belongs to which record: side by side, and found again where one of them is missing.

use super::compare::{Compare, Pair};
use super::explain::{View, align, is_reject, may_be_own, unexplained};
use super::findings::Findings;
use super::lines::Lines;
use super::prefix::Prefixes;
use super::record::{Kind, Reader};
use super::rules::Rules;
use super::{VerifyJob, address, elsewhere};
use crate::format::{Field, Format};
use crate::store::StoreError;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Lines that are looked ahead for where both files agree again.
const NEAR: usize = 64;

/// After a search that found nothing, this many lines are taken as they come; doubled each time, up to [`PATIENCE_MOST`].
const PATIENCE: u32 = 1;
const PATIENCE_MOST: u32 = 4096;

/// Lines without a layout that are the same for longer than this belong together.
const ALIKE: usize = 20;

/// Counts of lines.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub raw: u64,
    pub clean: u64,
    pub rejected: u64,
    pub missing: u64,
    pub extra: u64,
}

/// What a pair of lines is to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Match {
    /// The clean line is the record's.
    Own,
    /// It cannot be, because of this field.
    Stranger(Field),
    /// It is what keeps the place of a reject.
    Rejected,
    /// It has a layout of its own: nothing can be said.
    Loose,
    /// It lost its layout, by masking or because it is another line.
    Broken,
}

/// What is to be passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Both,
    Raw,
    Clean,
}

/// The walk through both files.
pub(super) struct Walk<'r> {
    job: &'r VerifyJob,
    rules: &'r Rules,
    raw: Reader,
    clean: Reader,
    /// For looking ahead, so that the readers keep their state.
    ahead: [Reader; 2],
    compare: Compare<'r>,
    findings: Findings,
    counts: Counts,
    map: Vec<usize>,
    /// Whether most lines have a known format.
    believed: bool,
    /// Lines whose format is not known and that were written all the same.
    unknown: u64,
    /// Lines until the next search, and how many after it.
    wait: u32,
    patience: u32,
}

impl<'r> Walk<'r> {
    pub(super) fn new(job: &'r VerifyJob, rules: &'r Rules, formats: &[Arc<Format>], believed: bool) -> Self {
        let reader = Reader::new(formats);
        Self {
            job,
            rules,
            raw: reader.clone(),
            clean: reader.clone(),
            ahead: [reader.clone(), reader],
            compare: Compare::new(rules),
            findings: Findings::new(),
            counts: Counts::default(),
            map: Vec::new(),
            believed,
            unknown: 0,
            wait: 0,
            patience: PATIENCE,
        }
    }

    /// What was found, what became of addresses, and a reader for looking again.
    pub(super) fn end(self) -> (Findings, Prefixes, Reader) {
        (self.findings, self.compare.prefixes, self.raw.anew())
    }

    /// Compares line by line until both files end.
    pub(super) fn through(&mut self, mut raw: Lines, mut clean: Lines) -> Result<Counts, StoreError> {
        loop {
            match (raw.reach(0)?, clean.reach(0)?) {
                (true, true) => match self.step(&mut raw, &mut clean)? {
                    Step::Both => {
                        raw.pass();
                        clean.pass();
                    }
                    Step::Raw => raw.pass(),
                    Step::Clean => clean.pass(),
                },
                (true, false) => {
                    self.without_clean(raw.line(0));
                    raw.pass();
                }
                (false, true) => {
                    self.counts.extra += 1;
                    self.alone(clean.line(0), clean.number());
                    clean.pass();
                }
                (false, false) => break,
            }
            self.job.progress.store(raw.bytes() + clean.bytes(), Ordering::Relaxed);
            if self.findings.suspects.count >= self.job.held {
                elsewhere::search(self.job, self.rules, self.raw.anew(), &mut self.findings)?;
            }
        }
        (self.counts.raw, self.counts.clean) = (raw.passed(), clean.passed());
        Ok(self.counts)
    }

    /// One pair.
    fn step(&mut self, raw: &mut Lines, clean: &mut Lines) -> Result<Step, StoreError> {
        let (before, after, number) = (raw.line(0), clean.line(0), clean.number());
        let kind = self.raw.read(before);
        let object = after.first() == Some(&b'{');
        match kind {
            Kind::Blank if after.iter().all(u8::is_ascii_whitespace) => Ok(Step::Both),
            // NDJSON has no line for what is about the log, nor for the beginning of a cut line.
            Kind::Directive if object => Ok(Step::Raw),
            Kind::Part if object => Ok(Step::Raw),
            Kind::Directive if after.first() == Some(&b'#') => {
                self.clean.read(after);
                self.loose(before, after, number);
                Ok(Step::Both)
            }
            Kind::Part if is_reject(after) => {
                self.counts.rejected += 1;
                Ok(Step::Both)
            }
            Kind::Part if self.clean.takes_part(after) => {
                self.loose(before, after, number);
                Ok(Step::Both)
            }
            Kind::Record(format, carrier) => {
                let found = if self.clean.read_as(after, format, carrier) { self.fits(before, after, format) } else { other_layout(after) };
                match found {
                    Match::Own => {
                        (self.wait, self.patience) = (0, PATIENCE);
                        let (raw, clean) = views(&self.raw, &self.clean, before, after, format);
                        self.compare.pair(Pair { raw, clean, map: &self.map }, number, &mut self.findings);
                        Ok(Step::Both)
                    }
                    Match::Rejected => {
                        self.counts.rejected += 1;
                        Ok(Step::Both)
                    }
                    Match::Loose => {
                        self.loose(before, after, number);
                        Ok(Step::Both)
                    }
                    Match::Stranger(field) => self.stranger(raw, clean, Some(format), Some(field)),
                    Match::Broken => self.stranger(raw, clean, Some(format), None),
                }
            }
            Kind::Unknown if is_reject(after) => {
                self.counts.rejected += 1;
                Ok(Step::Both)
            }
            Kind::Unknown => {
                // A record here belongs to the next raw line: this one was dropped.
                if self.ahead_is_record(after) {
                    self.counts.rejected += 1;
                    return Ok(Step::Raw);
                }
                let own = alike(before, after);
                if raw.reach(1)? && alike(raw.line(1), clean.line(0)) > own.max(ALIKE) {
                    self.counts.rejected += 1;
                    return Ok(Step::Raw);
                }
                let (before, after) = (raw.line(0), clean.line(0));
                if self.believed {
                    // What does not parse is never written as it is.
                    self.counts.rejected += 1;
                    self.findings.leak(number, Field::Other, Some(Field::Other));
                } else {
                    self.unknown += 1;
                }
                self.loose(before, after, number);
                Ok(Step::Both)
            }
            Kind::Blank | Kind::Directive | Kind::Part => self.stranger(raw, clean, None, Some(Field::Other)),
        }
    }

    fn ahead_is_record(&mut self, line: &[u8]) -> bool {
        let [_, reader] = &mut self.ahead;
        reader.clone_from(&self.clean);
        matches!(reader.read(line), Kind::Record(..) | Kind::Directive | Kind::Blank | Kind::Part)
    }

    /// Whether the clean record, just read, can be the raw one's.
    fn fits(&mut self, before: &[u8], after: &[u8], format: usize) -> Match {
        let (raw, clean) = views(&self.raw, &self.clean, before, after, format);
        if !align(raw, clean, &mut self.map) {
            return match (is_object(after), may_be_own(raw, clean)) {
                (true, _) => Match::Loose,
                (false, true) => Match::Broken,
                (false, false) => Match::Stranger(Field::Other),
            };
        }
        match unexplained(raw, clean, &self.map) {
            None => Match::Own,
            Some(field) => Match::Stranger(field),
        }
    }

    fn loose(&mut self, before: &[u8], after: &[u8], number: u64) {
        let slots = match self.raw.record.places.first() {
            Some(_) => self.raw.last_slots(),
            None => &[],
        };
        let raw = View { text: self.raw.record.text(before), places: &self.raw.record.places, slots };
        self.compare.loose(raw, after, number, &mut self.findings);
    }

    /// A clean line that is not its record's: one of both files lacks a line, or the line is wrong.
    fn stranger(&mut self, raw: &mut Lines, clean: &mut Lines, format: Option<usize>, field: Option<Field>) -> Result<Step, StoreError> {
        if self.wait > 0 {
            self.wait -= 1;
        } else if let Some(step) = self.again(raw, clean)? {
            self.patience = PATIENCE;
            match step {
                Step::Raw => self.without_clean(raw.line(0)),
                Step::Clean => {
                    self.counts.extra += 1;
                    self.alone(clean.line(0), clean.number());
                }
                Step::Both => {}
            }
            return Ok(step);
        } else {
            self.wait = self.patience;
            self.patience = (self.patience * 2).min(PATIENCE_MOST);
        }
        let (before, after, number) = (raw.line(0), clean.line(0), clean.number());
        if let Some(field) = field {
            self.findings.strangers.add((number, field));
        }
        self.compare.odd = true;
        match format.filter(|_| field.is_some()) {
            Some(format) => {
                let (raw, clean) = views(&self.raw, &self.clean, before, after, format);
                // What could not be aligned is compared as text.
                if align(raw, clean, &mut self.map) {
                    self.compare.pair(Pair { raw, clean, map: &self.map }, number, &mut self.findings);
                } else {
                    self.compare.loose(raw, after, number, &mut self.findings);
                }
            }
            None => self.loose(before, after, number),
        }
        self.compare.odd = false;
        Ok(Step::Both)
    }

    /// Where both files agree again: the nearest place at which two lines in a row fit.
    fn again(&mut self, raw: &mut Lines, clean: &mut Lines) -> Result<Option<Step>, StoreError> {
        // A wrong line in its right place, or two that changed places: nothing is missing.
        for same in 1..=2 {
            if raw.reach(same)? && clean.reach(same)? && self.agree(raw, clean, [same, same])? {
                return Ok(None);
            }
        }
        for ahead in 1..=NEAR {
            if raw.reach(ahead)? && self.agree(raw, clean, [ahead, 0])? {
                return Ok(Some(Step::Raw));
            }
            if clean.reach(ahead)? && self.agree(raw, clean, [0, ahead])? {
                return Ok(Some(Step::Clean));
            }
        }
        Ok(None)
    }

    /// Whether two lines in a row fit from here on; where a file ends, one is enough.
    fn agree(&mut self, raw: &mut Lines, clean: &mut Lines, from: [usize; 2]) -> Result<bool, StoreError> {
        let [at_raw, at_clean] = from;
        if !self.fit_ahead(raw.line(at_raw), clean.line(at_clean)) {
            return Ok(false);
        }
        let (more_raw, more_clean) = (raw.reach(at_raw + 1)?, clean.reach(at_clean + 1)?);
        Ok(match (more_raw, more_clean) {
            (true, true) => self.fit_ahead(raw.line(at_raw + 1), clean.line(at_clean + 1)),
            (more_raw, more_clean) => more_raw == more_clean,
        })
    }

    /// Whether a clean line further on can be that of a raw line further on.
    fn fit_ahead(&mut self, before: &[u8], after: &[u8]) -> bool {
        let [reader, second] = &mut self.ahead;
        reader.clone_from(&self.raw);
        second.clone_from(&self.clean);
        match reader.read(before) {
            Kind::Record(format, carrier) => {
                if !second.read_as(after, format, carrier) {
                    return is_reject(after) || alike(before, after) > ALIKE;
                }
                let (raw, clean) = views(reader, second, before, after, format);
                let mut map = Vec::new();
                align(raw, clean, &mut map) && unexplained(raw, clean, &map).is_none() && related(raw, clean, &map)
            }
            Kind::Unknown => is_reject(after),
            Kind::Blank => after.iter().all(u8::is_ascii_whitespace),
            Kind::Directive => after.first() == Some(&b'#'),
            Kind::Part => false,
        }
    }

    /// A raw line without a clean one: explained if it was one to be rejected.
    fn without_clean(&mut self, line: &[u8]) {
        let rejectable = match self.raw.read(line) {
            Kind::Unknown => self.believed || self.unknown == 0,
            Kind::Directive | Kind::Part => true,
            Kind::Record(format, _) => is_rejectable(View { text: self.raw.record.text(line), places: &self.raw.record.places, slots: self.raw.slots(format) }),
            Kind::Blank => false,
        };
        if rejectable {
            self.counts.rejected += 1;
        } else {
            self.counts.missing += 1;
        }
    }

    /// A clean line without a record: whatever it holds is of unknown origin.
    fn alone(&mut self, line: &[u8], number: u64) {
        let nothing = View { text: b"", places: &[], slots: &[] };
        self.compare.odd = true;
        self.compare.loose(nothing, line, number, &mut self.findings);
        self.compare.odd = false;
    }
}

/// How long both lines are the same from their beginning.
fn alike(before: &[u8], after: &[u8]) -> usize {
    before.iter().zip(after).take_while(|(before, after)| before == after).count()
}

fn views<'a>(raw: &'a Reader, clean: &'a Reader, before: &'a [u8], after: &'a [u8], format: usize) -> (View<'a>, View<'a>) {
    let slots = raw.slots(format);
    let view = |reader: &'a Reader, line: &'a [u8]| View { text: reader.record.text(line), places: &reader.record.places, slots };
    (view(raw, before), view(clean, after))
}

/// What a clean line is that does not have the layout of its record.
fn other_layout(after: &[u8]) -> Match {
    if is_reject(after) {
        Match::Rejected
    } else if is_object(after) {
        Match::Loose
    } else {
        Match::Broken
    }
}

/// Whether a line is an object of the schema that `--output json` writes.
fn is_object(line: &[u8]) -> bool {
    const MEMBERS: [&[u8]; 4] = [b"\"@timestamp\":", b"\"client\":", b"\"http\":", b"\"url\":"];
    line.starts_with(b"{") && line.ends_with(b"}") && (line == b"{}" || MEMBERS.iter().any(|member| memchr::memmem::find(line, member).is_some()))
}

/// A record that a policy may refuse: its client is neither an address nor a name.
fn is_rejectable(raw: View<'_>) -> bool {
    raw.places.iter().filter(|place| place.field == Field::ClientAddr).any(|place| {
        let value = raw.value(place);
        let name = value.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
        let mut found = false;
        address::named(value, |_| found = true);
        !found && !name
    })
}

/// Whether the addresses of both lines are kin, so that neighbours that agree in all else are told apart.
fn related(raw: View<'_>, clean: View<'_>, map: &[usize]) -> bool {
    let addr = |view: View<'_>, place| {
        let mut first = None;
        address::named(view.value(place), |found| first = first.or(Some(found.addr)));
        first
    };
    let own = |(place, origin): (_, &usize)| Some((addr(raw, raw.places.get(*origin)?)?, addr(clean, place)?));
    clean
        .places
        .iter()
        .zip(map)
        .filter(|(place, _)| place.field == Field::ClientAddr)
        .filter_map(own)
        .all(|(before, after)| after.is_nobody() || after.may_be_pseudonym() || !matches!(super::prefix::kinship(before, after), super::prefix::Kinship::Foreign))
}
