//! Tables of closed days: made of every raw file that has records of the day, in front of the first of them to go.

use super::deeds::{Scene, access};
use crate::retain::aggregate::{CELLS, Extent, Record, Table, Tables};
use crate::retain::evidence::OUTGROWN;
use crate::retain::ledger::{Digest, Output, Scrubbed};
use crate::retain::plan::State;
use crate::retain::{Class, Dimension, Form as Kept, Keep};
use crate::run::catalog::{Item, Need, open, required, settings};
use crate::scrub::{PlaceSource, Policy, Settings};
use crate::store::{Cause, Chronicle, Halt, Raw, Reason as Why, Refusal, Store, StoreError, Survey, TableOf};
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// What becomes of the fields that are counted. The client stays in memory; a path is its template, a referrer its site, an agent its family.
const COUNTED: &str = r#"
client_addr = "keep"
time        = "second"
method      = "keep"
path        = "template"
status      = "keep"
host        = "keep"
referrer    = "site"
user_agent  = "family"
other       = "drop"
"#;

/// A raw file that has records of a day, opened.
struct Source<'a> {
    item: &'a Item,
    survey: &'a Survey,
    raw: Raw,
}

/// A form of a class, and how its records are read.
struct Counting<'a> {
    class: &'a Class,
    form: &'a Kept,
    k: u32,
    by: &'a [Dimension],
    policy: Arc<Policy>,
    places: Option<PlaceSource>,
}

impl Counting<'_> {
    fn settings(&self, item: &Item) -> Settings {
        Settings { places: self.places.clone(), ..settings(self.class, item.formats.clone(), &self.policy, self.form) }
    }

    fn day(&self, at: Timestamp) -> Date {
        at.to_zoned(self.class.zone.clone()).date()
    }
}

impl Scene<'_, '_> {
    /// Makes the tables of all days of which a raw file has records that are due, as far as they are missing. Fails unless all of them stand.
    pub(super) fn tables(&self, class: &Class, item: &Item, raw: &Raw, chronicle: &mut Chronicle) -> Result<(), Halt> {
        let Some(survey) = &item.survey else { return Err(Halt::Refused { why: Refusal::Damaged, path: raw.path() }) };
        for form in class.forms.iter().filter(|form| matches!(required(class, form), Need::Tables)) {
            let Keep::Aggregate { k, by } = &form.keep else { continue };
            let (policy, places) = self.counted()?;
            let counting = Counting { class, form, k: *k, by, policy, places };
            for day in self.days(&counting, (item, survey), raw)? {
                self.table(&counting, day, chronicle)?;
                let known = chronicle.known();
                let stands = known.forms(survey.digests.bytes, survey.digests.content).into_iter().any(|output| is_of(output, form, day) && self.store.stands(output, known));
                if !stands {
                    return Err(Halt::Refused { why: Refusal::Unproven, path: raw.path() });
                }
            }
        }
        Ok(())
    }

    /// The days of which a file has records that are due.
    fn days(&self, counting: &Counting<'_>, (item, survey): (&Item, &Survey), raw: &Raw) -> Result<BTreeSet<Date>, Halt> {
        let Some(boundary) = counting.class.boundary(&counting.class.raw, self.job.now) else { return Ok(BTreeSet::new()) };
        let (Some(oldest), Some(newest)) = (survey.oldest, survey.newest) else { return Ok(BTreeSet::new()) };
        if counting.day(oldest) == counting.day(newest) {
            return Ok(BTreeSet::from([counting.day(oldest)]));
        }
        let mut days = BTreeSet::new();
        let found = self.store.records(raw, (&counting.settings(item), None), &mut |at, _| {
            if at < boundary {
                days.insert(counting.day(at));
            }
        })?;
        unchanged(found, survey, raw)?;
        Ok(days)
    }

    /// One day: nothing where every file that has it is counted; else the whole day again, or what was not counted yet.
    fn table(&self, counting: &Counting<'_>, day: Date, chronicle: &mut Chronicle) -> Result<(), Halt> {
        let (class, form) = (counting.class, counting.form);
        let sources = self.sources(counting, day, chronicle)?;
        let known = chronicle.known();
        let is_counted = |source: &Source<'_>| known.forms(source.survey.digests.bytes, source.survey.digests.content).into_iter().any(|output| is_of(output, form, day));
        if sources.iter().all(is_counted) {
            return Ok(());
        }
        let earlier: Vec<Output> =
            known.outputs().filter(|(_, scrubbed, output)| scrubbed.class.as_ref() == Some(&class.name) && is_of(output, form, day)).map(|(.., output)| output.clone()).collect();
        let mut outgrown = Vec::new();
        for source in &sources {
            outgrown.extend(self.grown(class, (&source.raw, source.survey), known)?.into_iter().map(|scrubbed| scrubbed.digest));
        }
        let is_here = |scrubbed: &Scrubbed| {
            let digests = |source: &Source<'_>| [Some(source.survey.digests.bytes), Some(source.survey.digests.content)];
            outgrown.contains(&scrubbed.digest) || sources.iter().any(|source| digests(source).contains(&Some(scrubbed.digest)) || digests(source).contains(&scrubbed.content))
        };
        let whole = earlier.iter().all(|output| known.sources(&output.path).all(is_here));
        let taken: Vec<&Source<'_>> = sources.iter().filter(|source| whole || !is_counted(source)).collect();
        let table = self.count(counting, day, &taken, if whole { Extent::Whole } else { Extent::Part })?;
        let place = self.store.place(form.directory().unwrap_or(Path::new("/")), Path::new(""))?;
        let said = format!("{}\n{:?}\n{:?}\n{:?}\n{COUNTED}\n{}", class.format_text, form.keep, form.layout, form.select, env!("CARGO_PKG_VERSION"));
        let of = TableOf { class: &class.name, form: &form.name, place: &place, access: access(form)?, policy: Digest::of(said.as_bytes()), seal: form.seal };
        let files: Vec<(&Raw, &Survey)> = taken.iter().map(|source| (&source.raw, source.survey)).collect();
        let made = self.store.table(&of, &table, &files, chronicle)?;
        if whole {
            for output in earlier.iter().filter(|output| output.path != made.path && chronicle.known().deletion(output.digest).is_none()).cloned().collect::<Vec<_>>() {
                self.supersede(counting, (&output, (!outgrown.is_empty()).then_some(OUTGROWN)), chronicle)?;
            }
        }
        Ok(())
    }

    /// The raw files that may have records of a day. One that somebody writes keeps its day open; copies of one log count once.
    fn sources(&self, counting: &Counting<'_>, day: Date, chronicle: &Chronicle) -> Result<Vec<Source<'_>>, Halt> {
        let mut sources: Vec<Source<'_>> = Vec::new();
        for item in self.items.iter().filter(|item| item.found.class == counting.class.name && item.found.form == counting.class.raw.name) {
            if !item.found.span.is_some_and(|span| counting.day(span.0) <= day && day <= counting.day(span.1)) {
                continue;
            }
            match (item.found.state, &item.survey) {
                (State::Gone | State::Unreadable, _) => {}
                (State::InUse, _) | (State::Quiet, None) => return Err(Halt::Refused { why: Refusal::InUse, path: item.found.path.clone() }),
                (State::Quiet, Some(survey)) => {
                    let known = chronicle.known();
                    let went = known.deletion(survey.digests.bytes).is_some() || known.splits_of(survey.digests.bytes, survey.digests.content).next().is_some();
                    if survey.lines == 0 || went || sources.iter().any(|source| source.survey.digests.content == survey.digests.content) {
                        continue;
                    }
                    sources.push(Source { item, survey, raw: self.opened(item)? });
                }
            }
        }
        Ok(sources)
    }

    /// The file of the catalog, if it still is the one.
    fn opened(&self, item: &Item) -> Result<Raw, Halt> {
        let changed = || Halt::Refused { why: Refusal::Changed, path: item.found.path.clone() };
        let class = self.job.config.class(&item.found.class).ok_or_else(changed)?;
        let raw = open(self.store, class, &item.found.path)?;
        self.store.quiet(&raw, self.reading.wall)?;
        if Some(raw.identity()) == item.identity { Ok(raw) } else { Err(changed()) }
    }

    fn count(&self, counting: &Counting<'_>, day: Date, sources: &[&Source<'_>], extent: Extent) -> Result<Table, Halt> {
        let mut tables = Tables::new(day, (counting.k, counting.by), CELLS);
        for source in sources {
            let found = self.store.records(&source.raw, (&counting.settings(source.item), counting.form.select.as_ref()), &mut |at, clean| {
                let at = at.to_zoned(counting.class.zone.clone());
                if at.date() == day
                    && let Some(record) = Record::read(clean.as_bytes())
                {
                    tables.add(&record, at.hour());
                }
            })?;
            unchanged(found, source.survey, &source.raw)?;
        }
        Ok(tables.finish(extent, counting.form.layout))
    }

    /// Takes away the table of a day that was made again with more. Where a hold keeps it, or somebody else took it, both stay as they are.
    fn supersede(&self, counting: &Counting<'_>, (output, why): (&Output, Option<&str>), chronicle: &mut Chronicle) -> Result<(), Halt> {
        let deleted = |store: &Store, chronicle: &mut Chronicle| {
            let raw = open(store, counting.class, &output.path)?;
            let why = Why { class: &counting.class.name, form: &counting.form.name, required: &[], deadline: None, by_hand: why };
            let proven = store.prove(raw, why, (chronicle.known(), self.reading.wall))?;
            let is_held = self.is_held(&counting.class.name);
            store.delete(proven, &mut |deletion| !is_held && self.is_open(deletion), chronicle)
        };
        match deleted(self.store, chronicle) {
            Ok(_) | Err(Halt::Refused { .. }) => Ok(()),
            Err(halt) => Err(halt),
        }
    }

    /// The policy that records are counted by, and the first database that a policy of the configuration brings.
    fn counted(&self) -> Result<(Arc<Policy>, Option<PlaceSource>), Halt> {
        let (names, places) =
            self.job.places.iter().find(|(policy, _)| policy.needs_places().0).map_or((&[][..], None), |(policy, places)| (policy.databases(), Some(places.clone())));
        let text = if places.is_some() { format!("geoip = {names:?}\ncountry = \"add\"\n{COUNTED}") } else { format!("country = \"keep\"\n{COUNTED}") };
        let policy = Policy::parse("aggregate", "aggregate", &text).map_err(|_fault| {
            let cause = Cause::Refused { why: "the policy of aggregates cannot be read", remedy: "install logfade again" };
            Halt::Failed(StoreError { verb: "read", path: "aggregate".into(), cause })
        })?;
        Ok((Arc::new(policy), places))
    }
}

/// Whether an output is a form's table of a day.
fn is_of(output: &Output, form: &Kept, day: Date) -> bool {
    output.form == form.name && output.path.file_name().and_then(|name| Table::day_of(name.to_str()?)) == Some(day)
}

fn unchanged(found: crate::store::Digests, survey: &Survey, raw: &Raw) -> Result<(), Halt> {
    if found == survey.digests { Ok(()) } else { Err(Halt::Refused { why: Refusal::Changed, path: raw.path() }) }
}

/// The last moment of the day that a table is of: what it counts is due when that is.
pub(in crate::run) fn last_moment(class: &Class, name: &str) -> Option<Timestamp> {
    let next = Table::day_of(name)?.checked_add(1.day()).ok()?;
    let start = next.to_zoned(class.zone.clone()).ok()?.timestamp();
    start.checked_sub(1.nanosecond()).ok()
}
