//! Lines through the gate: which format, which envelope, which act, and back into the line's layout.

mod moment;

use super::act::Act;
use super::clean::{Clean, Quarantined, Reject, Tally};
use super::explain::FieldChange;
use super::lane::{self, Lane};
use super::place::{PlaceSource, Places};
use super::policy::Policy;
use super::pseudonym::{KeySource, Keys};
use super::tools::{Edit, Tools, Value};
use super::watch::Watch;
use super::{ecs, reject, splice};
use crate::format::{Columns, Field, Format, Line, Mismatch, Peeled, Span, Spans, Text, escape, peel};
use jiff::Timestamp;
use std::sync::Arc;

/// What becomes of a line that does not parse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnReject {
    /// Its place is kept by the tokens that an allow-list lets through.
    #[default]
    Scrub,
    /// It is left out.
    Drop,
    /// It is left out here and kept raw in the quarantine.
    Quarantine,
}

/// How clean lines are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// As the input.
    #[default]
    Same,
    /// NDJSON with the names of the Elastic Common Schema.
    Json,
}

/// What a [`Scrubber`] is to do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Formats in the order in which they are tried.
    pub formats: Vec<Arc<Format>>,
    /// What becomes of each field.
    pub policy: Arc<Policy>,
    /// What becomes of lines that do not parse.
    pub on_reject: OnReject,
    /// Layout of the output.
    pub output: Output,
    /// The longest line, in bytes.
    pub max_line: usize,
    /// Whether the time of each record is wanted: [`Scrubber::moment`].
    pub moments: bool,
    /// Where keys come from. Without them a keyed policy truncates, and counts [`Tally::keyless`].
    pub keys: Option<KeySource>,
    /// Where countries and networks of addresses come from. Without it none is known.
    pub places: Option<PlaceSource>,
}

/// A format with the act for each of its slots.
pub(super) struct Plan {
    pub format: Arc<Format>,
    pub acts: Vec<Act>,
    /// The number of its first slot among those of all plans.
    pub first: usize,
}

impl Plan {
    fn all(formats: &[Arc<Format>], policy: &Policy) -> Vec<Self> {
        let mut first = 0;
        let plan = |format: &Arc<Format>| {
            let acts: Vec<Act> = format.slots().iter().map(|slot| Act::compile(slot, policy, format)).collect();
            first += acts.len();
            Self { format: Arc::clone(format), first: first - acts.len(), acts }
        };
        formats.iter().map(plan).collect()
    }
}

/// So many bytes of the lane's lines are copied at once: several lines, and less than copying takes another way for.
const POUR: usize = 2048;

/// Lines in, clean lines out; one per thread.
pub struct Scrubber {
    plans: Vec<Plan>,
    columns: Vec<Columns>,
    tools: Tools,
    on_reject: OnReject,
    output: Output,
    max_line: usize,
    spans: Spans,
    inner: Spans,
    /// The carried line without its JSON escapes, and where each byte came from.
    decoded: Vec<u8>,
    origin: Vec<u32>,
    nested: Clean,
    /// Parts of lines that a carrier cut, by stream.
    pending: [Vec<u8>; 2],
    record: ecs::Record,
    moments: bool,
    keyed: bool,
    watch: Watch,
    moment: Option<Timestamp>,
    lane: Option<Lane>,
}

/// How a line was recognised.
struct Found {
    plan: usize,
    line: Line,
}

impl Scrubber {
    /// Compiles the policy for each format.
    pub fn new(settings: &Settings) -> Self {
        let plans = Plan::all(&settings.formats, &settings.policy);
        Self {
            columns: vec![Columns::default(); plans.len()],
            plans,
            tools: Tools::new(Arc::clone(&settings.policy), settings.keys.clone().map(Keys::new), settings.places.clone().map(Places::new)),
            on_reject: settings.on_reject,
            output: settings.output,
            max_line: settings.max_line,
            spans: Spans::default(),
            inner: Spans::default(),
            decoded: Vec::new(),
            origin: Vec::new(),
            nested: Clean::default(),
            pending: Default::default(),
            record: ecs::Record::default(),
            moments: settings.moments,
            keyed: settings.policy.is_keyed(),
            watch: Watch::default(),
            moment: None,
            lane: settings.formats.first().filter(|_| settings.output == Output::Same).and_then(|format| Lane::new(format, &settings.policy)),
        }
    }

    /// Asks for keys and databases again, once per block that was read: so that none is used longer than that after its end.
    pub fn refresh(&mut self) {
        self.tools.refresh();
    }

    /// Scrubs a block of whole lines (the last one may lack its end).
    pub fn block(&mut self, block: &[u8], clean: &mut Clean, quarantine: &mut Quarantined, tally: &mut Tally) {
        let mut rest = block;
        while !rest.is_empty() {
            if let Some(width) = self.lane.as_ref().and_then(|lane| lane.line((rest, self.max_line), &mut self.watch, &mut self.tools, tally)) {
                let (line, after) = rest.split_at(width);
                tally.read += 1;
                tally.clean += 1;
                tally.written += 1;
                if self.moments {
                    self.moment = lane::stamp(line).and_then(|stamp| self.watch.read(stamp)).or(self.moment);
                    tally.seen(self.moment);
                }
                rest = after;
                if self.tools.filled >= POUR {
                    self.pour(clean);
                }
                continue;
            }
            self.pour(clean);
            let width = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let (line, after) = rest.split_at(width);
            self.line(line, clean, quarantine, tally);
            rest = after;
        }
        self.pour(clean);
    }

    /// The lines that the lane put together go in front of what comes next.
    fn pour(&mut self, clean: &mut Clean) {
        clean.put(self.tools.room.get(..self.tools.filled).unwrap_or_default());
        self.tools.filled = 0;
    }

    /// Counts a line that was too long to be held; its place is kept.
    pub fn too_long(&mut self, clean: &mut Clean, tally: &mut Tally) {
        tally.read += 1;
        tally.reject(Reject::TooLong);
        if self.on_reject == OnReject::Scrub {
            reject::line(b"-", Reject::TooLong, self.output == Output::Json, self.tools.policy().action(Field::Time), clean.buffer());
            clean.put(b"\n");
            tally.written += 1;
        }
    }

    fn line(&mut self, whole: &[u8], clean: &mut Clean, quarantine: &mut Quarantined, tally: &mut Tally) {
        tally.read += 1;
        let body = whole.strip_suffix(b"\n").unwrap_or(whole);
        let line = body.strip_suffix(b"\r").unwrap_or(body);
        let ending = whole.get(line.len()..).unwrap_or_default();
        if line.iter().all(u8::is_ascii_whitespace) {
            tally.clean += 1;
            tally.written += 1;
            clean.put(whole);
            return;
        }
        let start = clean.len();
        self.tools.turn(None);
        match self.scrub(line, clean, tally) {
            Ok(()) => {
                tally.keyless += u64::from(self.tools.is_keyless());
                tally.seen(self.moment.filter(|_| self.moments));
                // What `--output json` has nothing to say about (directives) leaves no line.
                tally.clean += 1;
                if clean.len() > start || self.output == Output::Same {
                    clean.put(if self.output == Output::Json && ending.is_empty() { b"\n" } else { ending });
                    tally.written += 1;
                }
            }
            Err(reason) => {
                clean.rewind(start);
                tally.reject(reason);
                match self.on_reject {
                    OnReject::Scrub => {
                        reject::line(line, reason, self.output == Output::Json, self.tools.policy().action(Field::Time), clean.buffer());
                        clean.put(ending);
                        tally.written += 1;
                    }
                    OnReject::Drop => {}
                    OnReject::Quarantine => quarantine.put(whole),
                }
            }
        }
    }

    /// One line without its end.
    #[inline]
    fn scrub(&mut self, line: &[u8], clean: &mut Clean, tally: &mut Tally) -> Result<(), Reject> {
        if line.len() > self.max_line || line.len() > u32::MAX as usize / 4 {
            return Err(Reject::TooLong);
        }
        self.spans.clear();
        let Some(first) = self.plans.first() else { return Err(Reject::Mismatch(Mismatch::Layout)) };
        // The common case first: the best format, bare.
        match first.format.split(line, self.columns.first_mut().unwrap_or(&mut Columns::default()), &mut self.spans) {
            Ok(Line::Record) => self.bare(0, line, clean, tally),
            Ok(Line::Directive(directive)) => self.directive(line, directive, clean, tally),
            Err(mismatch) => self.others(line, mismatch, clean, tally),
        }
    }

    /// A line that the best format does not split bare.
    #[cold]
    fn others(&mut self, line: &[u8], mismatch: Mismatch, clean: &mut Clean, tally: &mut Tally) -> Result<(), Reject> {
        let (found, peeled) = self.recognise(line, mismatch)?;
        match (peeled, found.line) {
            (Some(peeled), _) => self.enveloped(&found, line, peeled, clean, tally),
            (None, Line::Record) => self.bare(found.plan, line, clean, tally),
            (None, Line::Directive(directive)) => self.directive(line, directive, clean, tally),
        }
    }

    /// The best format within an envelope, then every other format bare or within it.
    fn recognise(&mut self, line: &[u8], mismatch: Mismatch) -> Result<(Found, Option<Peeled>), Reject> {
        self.spans.clear();
        if let Some(peeled) = peel(line, &mut self.spans) {
            let outer = self.spans.len();
            if let Some(found) = self.carried(line, peeled, outer)? {
                return Ok((found, Some(peeled)));
            }
        }
        for (index, plan) in self.plans.iter().enumerate().skip(1) {
            self.spans.clear();
            let Some(columns) = self.columns.get_mut(index) else { break };
            if let Ok(line) = plan.format.split(line, columns, &mut self.spans) {
                return Ok((Found { plan: index, line }, None));
            }
        }
        Err(Reject::Mismatch(mismatch))
    }

    /// What the policy does with each value of a line, in the order of the line. Shows raw values.
    pub(super) fn changes(&mut self, whole: &[u8]) -> Result<Vec<FieldChange>, Reject> {
        let line = whole.trim_ascii_end();
        self.spans.clear();
        let Some(first) = self.plans.first() else { return Err(Reject::Mismatch(Mismatch::Layout)) };
        let (found, peeled) = match first.format.split(line, self.columns.first_mut().unwrap_or(&mut Columns::default()), &mut self.spans) {
            Ok(line) => (Found { plan: 0, line }, None),
            Err(mismatch) => self.recognise(line, mismatch)?,
        };
        if found.line != Line::Record || found.plan == usize::MAX {
            return Ok(Vec::new());
        }
        let separate = peeled.is_some_and(|peeled| peeled.coded) || (peeled.is_some() && !self.decoded.is_empty());
        if self.keyed {
            self.tools.refresh();
            self.note(found.plan, line, separate);
        }
        let Some(plan) = self.plans.get(found.plan) else { return Err(Reject::Envelope) };
        let mut changes = super::explain::changes(plan, &mut self.tools, line, self.spans.as_slice())?;
        if separate {
            changes.extend(super::explain::changes(plan, &mut self.tools, &self.decoded, self.inner.as_slice())?);
        }
        Ok(changes)
    }

    /// Splits the carried line; its spans go behind the envelope's, or into `inner` where it has to be decoded.
    fn carried(&mut self, line: &[u8], peeled: Peeled, outer: usize) -> Result<Option<Found>, Reject> {
        let value = line.get(peeled.start..peeled.end).unwrap_or_default();
        let stream = usize::from(memchr::memmem::find(line.get(..peeled.start).unwrap_or_default(), b" stderr ").is_some());
        let joined = peeled.partial || self.pending.get(stream).is_some_and(|pending| !pending.is_empty());
        self.decoded.clear();
        self.origin.clear();
        if peeled.coded {
            escape::json_with_origin(value, &mut self.decoded, &mut self.origin);
        }
        if joined && let Some(pending) = self.pending.get_mut(stream) {
            pending.extend_from_slice(if peeled.coded { &self.decoded } else { value });
            if pending.len() > self.max_line {
                pending.clear();
                return Err(Reject::TooLong);
            }
            if peeled.partial {
                return Ok(Some(Found { plan: usize::MAX, line: Line::Record }));
            }
            self.decoded.clear();
            self.decoded.append(pending);
            self.origin.clear();
        }
        for (index, plan) in self.plans.iter().enumerate() {
            let Some(columns) = self.columns.get_mut(index) else { break };
            let split = if peeled.coded || joined {
                self.inner.clear();
                plan.format.split(&self.decoded, columns, &mut self.inner)
            } else {
                self.spans.truncate(outer);
                self.spans.set_base(peeled.start);
                plan.format.split(value, columns, &mut self.spans)
            };
            self.spans.set_base(0);
            if let Ok(line) = split {
                return Ok(Some(Found { plan: index, line }));
            }
        }
        self.spans.truncate(outer);
        Ok(None)
    }

    fn bare(&mut self, plan: usize, line: &[u8], clean: &mut Clean, tally: &mut Tally) -> Result<(), Reject> {
        if self.moments || self.keyed {
            self.note(plan, line, false);
        }
        let Some(plan) = self.plans.get(plan) else { return Err(Reject::Envelope) };
        if self.output == Output::Json {
            return ecs::record(plan, &mut self.tools, &mut self.record, &[(line, self.spans.as_slice())], clean);
        }
        let mut at = 0;
        splice::values(plan, &mut self.tools, line, self.spans.as_slice(), &mut at, clean, tally, None)?;
        clean.put(line.get(at..).unwrap_or_default());
        Ok(())
    }

    /// The line of an envelope: what it says itself, and the line that it carries.
    fn enveloped(&mut self, found: &Found, line: &[u8], peeled: Peeled, clean: &mut Clean, tally: &mut Tally) -> Result<(), Reject> {
        // A part of a cut line leaves an empty place; the whole comes with its last part.
        let empty = found.plan == usize::MAX;
        if let Line::Directive(_) = found.line {
            return Err(Reject::Envelope);
        }
        let separate = peeled.coded || !self.decoded.is_empty();
        if self.moments || self.keyed {
            self.note(if empty { 0 } else { found.plan }, line, separate && !empty);
        }
        let Some(plan) = self.plans.get(if empty { 0 } else { found.plan }) else { return Err(Reject::Envelope) };
        if self.output == Output::Json {
            if empty {
                return Ok(());
            }
            let mut parts: Vec<(&[u8], &[Span])> = vec![(line, self.spans.as_slice())];
            if separate {
                parts.push((&self.decoded, self.inner.as_slice()));
            }
            return ecs::record(plan, &mut self.tools, &mut self.record, &parts, clean);
        }
        let mut at = 0;
        if !separate && !empty {
            splice::values(plan, &mut self.tools, line, self.spans.as_slice(), &mut at, clean, tally, None)?;
            clean.put(line.get(at..).unwrap_or_default());
            return Ok(());
        }
        let spans = self.spans.as_slice();
        let before = spans.iter().position(|span| span.start as usize >= peeled.start).unwrap_or(spans.len());
        let (front, back) = spans.split_at(before);
        splice::values(plan, &mut self.tools, line, front, &mut at, clean, tally, None)?;
        clean.put(line.get(at..peeled.start).unwrap_or_default());
        if !empty {
            self.nested.clear();
            let mut journal = Vec::new();
            let mut inner_at = 0;
            splice::values(plan, &mut self.tools, &self.decoded, self.inner.as_slice(), &mut inner_at, &mut self.nested, tally, Some(&mut journal))?;
            journal.push((self.nested.len(), inner_at, self.decoded.len()));
            self.nested.put(self.decoded.get(inner_at..).unwrap_or_default());
            let raw = line.get(peeled.start..peeled.end).unwrap_or_default();
            splice::put_back(&self.nested, &journal, raw, &self.origin, peeled.coded, clean);
        }
        at = peeled.end;
        splice::values(plan, &mut self.tools, line, back, &mut at, clean, tally, None)?;
        clean.put(line.get(at..).unwrap_or_default());
        Ok(())
    }

    /// A line about the log: its name stays, its value goes through the scan.
    fn directive(&mut self, line: &[u8], directive: crate::format::Directive, clean: &mut Clean, tally: &mut Tally) -> Result<(), Reject> {
        if self.output == Output::Json {
            return Ok(());
        }
        let (name, value) = line.split_at(directive.value.min(line.len()));
        clean.put(name);
        if !directive.known {
            clean.put(b" -");
            return Ok(());
        }
        let value = Value { bytes: value, text: Text::Bare, after: b"", key: b"" };
        let edit = self.tools.apply(&Act::Scan, value)?;
        splice::put(edit, value, 0, value.bytes.len(), &self.tools, &mut 0, value.bytes, clean, tally);
        if edit == Edit::Same {
            clean.put(value.bytes);
        }
        Ok(())
    }
}
