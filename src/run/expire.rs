//! `plan` and `expire`: what is due goes, by the plan that both show, in front of a clock that can be believed.

pub(super) mod deeds;
mod grown;
mod pseudonyms;
pub(super) mod reopen;
mod seals;
pub(super) mod tables;

use super::catalog::{Item, Look, begun, directories, each_place};
use crate::retain::evidence::Evidence;
use crate::retain::ledger::{Deletion, Entry, Fault, Incident, Planned};
use crate::retain::plan::{Plan, Reason, plan};
use crate::retain::{Class, Config, Form};
use crate::scrub::{KeySource, PlaceSource, Policy};
use crate::store::clock::{Astray, Reading};
use crate::store::draft::make_directories;
use crate::store::kept::{HeldNets, Surveys};
use crate::store::{Cause, Chronicle, Halt, HoldWatch, Reason as Why, Refusal, Store, StoreError};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use pseudonyms::{KeyVerdict, expire_keys, look_at_keys};
pub use reopen::is_found;
pub use seals::{SealVerdict, destroy_seal};

/// Files of a class that one run deletes unless somebody says otherwise, whatever a quarter of it is.
const FEW: usize = 10;

/// What is to be done.
pub struct ExpireJob<'a> {
    /// Classes and their forms.
    pub config: &'a Config,
    /// The state directory.
    pub state: &'a Path,
    /// The time that decides about deadlines.
    pub now: Timestamp,
    /// Reads both clocks; asked again in front of every deletion.
    pub clock: &'a dyn Fn() -> Reading,
    /// Files that may be deleted or cut.
    pub limit: Option<u64>,
    /// A person stands behind a changed configuration, a clock that ran ahead, and more files than usual.
    pub yes: bool,
    /// Where pseudonyms come from, if a form has any.
    pub keys: Option<KeySource>,
    /// Databases of places, for the policies that name one.
    pub places: Vec<(Arc<Policy>, PlaceSource)>,
}

/// Why nothing was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standstill {
    /// The retention part of the configuration is new: the plan is recorded, the next run carries it out.
    NewConfiguration,
    /// The clock cannot be right.
    Clock(Astray),
}

/// What became of a file's actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing was to be done.
    Kept,
    /// All actions were carried out.
    Done,
    /// Not in this run: only planned, or over the limit.
    Waits,
    /// Not done.
    Refused(Refusal),
    /// The system said no.
    Failed,
}

impl Fate {
    /// The word in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Done => "done",
            Self::Waits => "waits",
            Self::Refused(_) => "refused",
            Self::Failed => "failed",
        }
    }
}

/// What was done.
#[derive(Debug)]
pub struct ExpireReport {
    /// The plan, with what was found out while it was carried out.
    pub plan: Plan,
    /// What became of each of its files, in the same order.
    pub fates: Vec<Fate>,
    /// Why nothing was deleted.
    pub standstill: Option<Standstill>,
    /// Files over the limit.
    pub over_limit: usize,
    /// What the system refused.
    pub failures: Vec<StoreError>,
    /// Seal keys that have no file any more, and whose time is over.
    pub seals: Vec<SealVerdict>,
}

/// What would be done; changes nothing but what it remembers of the files that it read.
pub fn look(config: &Config, state: &Path, (now, wall): (Timestamp, Timestamp)) -> Result<ExpireReport, StoreError> {
    let (store, known) = (Store::look(state)?, Chronicle::read(state)?);
    let mut surveys = Surveys::open(state);
    let mut failures = Vec::new();
    let items = catalog((config, state), (&store, &known), (&mut surveys, wall), &mut failures)?;
    // What was read need not be read again; whoever cannot write reads it again.
    if state.is_dir() {
        drop(surveys.keep(state));
    }
    let plan = planned(config, &items, &known, now);
    let fates = waiting(&plan);
    let seals = seals::over(config, (&store, &known), &items, now).unwrap_or_else(|error| {
        failures.push(error);
        Vec::new()
    });
    Ok(ExpireReport { plan, fates, standstill: None, over_limit: 0, failures, seals })
}

/// The raw files that stand, class by class, whether they can be opened or not.
pub fn raw_files(config: &Config, state: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let (store, known, policy) = (Store::look(state)?, Chronicle::read(state)?, strict()?);
    let mut look = Look {
        config,
        store: &store,
        known: &known,
        surveys: &mut Surveys::default(),
        wall: Timestamp::UNIX_EPOCH,
        policy: &policy,
        begun: begun(config, state)?,
        failures: Vec::new(),
    };
    Ok(config.classes.iter().flat_map(|class| look.raw_paths(class)).collect())
}

fn catalog(
    (config, state): (&Config, &Path),
    (store, known): (&Store, &Evidence),
    (surveys, wall): (&mut Surveys, Timestamp),
    failures: &mut Vec<StoreError>,
) -> Result<Vec<Item>, StoreError> {
    let policy = strict()?;
    let begun = begun(config, state)?;
    let mut look = Look { config, store, known, surveys, wall, policy: &policy, begun, failures: Vec::new() };
    let items = look.catalog();
    failures.append(&mut look.failures);
    Ok(items)
}

/// A policy for reading times: what it does with the rest is thrown away.
pub(super) fn strict() -> Result<Arc<Policy>, StoreError> {
    let cause = || Cause::Refused { why: "the built-in policy cannot be read", remedy: "install logfade again" };
    Policy::built_in("strict").map(Arc::new).ok_or_else(|| StoreError { verb: "read", path: "strict".into(), cause: cause() })
}

/// Before anything is done.
fn waiting(plan: &Plan) -> Vec<Fate> {
    plan.files.iter().map(|file| if file.actions.is_empty() { Fate::Kept } else { Fate::Waits }).collect()
}

fn planned(config: &Config, items: &[Item], known: &Evidence, now: Timestamp) -> Plan {
    let found: Vec<_> = items.iter().map(|item| item.found.clone()).collect();
    plan(config, &found, known.holds(), now)
}

/// Carries the plan out. The error is one of setting up: the lock, the ledger.
pub fn expire(job: ExpireJob<'_>) -> Result<ExpireReport, StoreError> {
    let store = Store::open(job.state)?;
    let mut chronicle = Chronicle::open(job.state, (job.clock)().wall)?;
    expire_in(job, (&store, &mut chronicle), Awaits::Nobody)
}

/// Who has to have seen the plan of a new configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaits {
    /// Whoever runs this: the plan is recorded, and the next run carries it out.
    Nobody,
    /// A person: nothing is recorded, and nothing deleted, until somebody has run `expire`.
    Person,
}

/// The same for whoever has the lock and the ledger already.
pub fn expire_in(job: ExpireJob<'_>, (store, chronicle): (&Store, &mut Chronicle), awaits: Awaits) -> Result<ExpireReport, StoreError> {
    let reading = (job.clock)();
    let before = Reading::kept(job.state)?;
    let astray = reading.against(before.as_ref(), chronicle.known().latest()).filter(|astray| !job.yes || *astray == Astray::Behind);
    let mut failures = Vec::new();
    if astray.is_none() {
        failures.extend(seals::recover(store, chronicle).err());
        failures.extend(recover((job.config, &BTreeSet::new()), job.now, (store, chronicle)));
    }
    let mut surveys = Surveys::open(job.state);
    let mut items = catalog((job.config, job.state), (store, chronicle.known()), (&mut surveys, reading.wall), &mut failures)?;
    surveys.keep(job.state)?;
    let plan = planned(job.config, &items, chronicle.known(), job.now);
    let mut report = ExpireReport { fates: waiting(&plan), plan, standstill: None, over_limit: 0, failures, seals: Vec::new() };
    if let Some(astray) = astray {
        report.standstill = Some(Standstill::Clock(astray));
        open_incident(chronicle, Fault::Clock, (None, None), Some(astray.describe()))?;
        return Ok(report);
    }
    reading.keep(job.state)?;
    let configuration = job.config.retention_digest();
    if chronicle.known().planned().is_none_or(|planned| planned.configuration != configuration) {
        let count = |count: usize| count as u64;
        let entry = Planned { configuration, plan: report.plan.digest(), files: count(report.plan.files.len()), due: count(report.plan.due().count()) };
        if awaits == Awaits::Nobody {
            chronicle.note(&Entry::Plan(entry))?;
        }
        if !job.yes {
            report.standstill = Some(Standstill::NewConfiguration);
        }
    }
    if report.standstill.is_none() {
        // Without it a form has no place, and nothing of its class is deleted.
        for directory in job.config.classes.iter().flat_map(Class::all_forms).filter_map(Form::directory) {
            report.failures.extend(make_directories(directory).err());
        }
        if reopen::reopen(&job, (store, chronicle), (&report.plan, &items), &mut report.failures)? {
            items = catalog((job.config, job.state), (store, chronicle.known()), (&mut surveys, reading.wall), &mut report.failures)?;
            surveys.keep(job.state)?;
            report.plan = planned(job.config, &items, chronicle.known(), job.now);
            report.fates = waiting(&report.plan);
        }
        let nets = HeldNets::open(job.state)?;
        let (config, now) = (job.config, job.now);
        deeds::carry_out(job, (store, chronicle), (&items, &nets, &reading, &strict()?), &mut report);
        if let Some(Standstill::Clock(astray)) = report.standstill {
            open_incident(chronicle, Fault::Clock, (None, None), Some(astray.describe()))?;
        } else {
            chronicle.refresh()?;
            match seals::over(config, (store, chronicle.known()), &items, now) {
                Ok(over) => report.seals = over,
                Err(error) => report.failures.push(error),
            }
            seals::end(store, chronicle, &mut report);
        }
    }
    incidents(chronicle, &items, &mut report)?;
    Ok(report)
}

impl Astray {
    /// In words, for an incident.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Behind => "the wall clock lies behind the last entry of the ledger",
            Self::Ahead => "the wall clock ran further than the machine did",
        }
    }
}

/// Finishes or undoes what a crash left, in the directories of all classes and in `more`.
pub(super) fn recover((config, more): (&Config, &BTreeSet<PathBuf>), now: Timestamp, (store, chronicle): (&Store, &mut Chronicle)) -> Vec<StoreError> {
    let holds = chronicle.known().holds().clone();
    // Which records it has is not looked up again: any hold on the class that has not ended counts.
    let is_held = |deletion: &Deletion| holds.values().any(|hold| hold.covers(&deletion.class, (Timestamp::MIN, Timestamp::MAX), now));
    let mut failures = Vec::new();
    let mut all = directories(config);
    for directory in more {
        all.entry(directory.clone()).or_default();
    }
    for (directory, deep) in all {
        each_place(store, (&directory, deep), &mut failures, &mut |_, place, _| store.recover(place, &is_held, chronicle).map(drop));
    }
    failures
}

/// Opens an incident unless it is open.
pub(super) fn open_incident(chronicle: &mut Chronicle, what: Fault, (class, path): (Option<&str>, Option<&Path>), note: Option<&str>) -> Result<(), StoreError> {
    if chronicle.known().incidents().open_about(what, class, path).is_some() {
        return Ok(());
    }
    chronicle.note(&Entry::Incident(Incident::Opened { what, class: class.map(str::to_owned), path: path.map(Path::to_owned), note: note.map(str::to_owned) }))
}

/// What broke a promise, and what is settled.
fn incidents(chronicle: &mut Chronicle, items: &[Item], report: &mut ExpireReport) -> Result<(), StoreError> {
    for (file, fate) in report.plan.files.iter().zip(&report.fates) {
        let about = (Some(file.class.as_str()), Some(file.path.as_path()));
        if file.reason == Reason::Vanished {
            // Once for every file, also after a person has closed it.
            let identity = items.iter().find(|item| item.found.path == file.path).and_then(|item| item.identity);
            let note = identity.map_or_else(String::new, |identity| format!("inode {}, {} bytes, modified {}", identity.inode, identity.size, identity.mtime));
            let told = chronicle.known().incidents().iter().any(|case| case.what == Fault::Vanished && case.path.as_deref() == about.1 && case.note.as_deref() == Some(&note));
            if !told {
                open_incident(chronicle, Fault::Vanished, about, Some(&note))?;
            }
        }
        match fate {
            Fate::Refused(Refusal::Leak) => open_incident(chronicle, Fault::Leak, about, None)?,
            Fate::Refused(Refusal::Damaged) => open_incident(chronicle, Fault::Unreadable, about, None)?,
            Fate::Kept | Fate::Done | Fate::Waits | Fate::Refused(_) | Fate::Failed => {}
        }
        if file.overdue {
            open_incident(chronicle, Fault::Overdue, about, Some(file.reason.name()))?;
        }
    }
    let settled: Vec<u64> = chronicle
        .known()
        .incidents()
        .iter()
        .filter(|case| case.closed.is_none() && case.what == Fault::Overdue)
        .filter(|case| !report.plan.files.iter().any(|file| file.overdue && Some(&file.path) == case.path.as_ref()))
        .map(|case| case.number)
        .collect();
    for incident in settled {
        chronicle.note(&Entry::Incident(Incident::Closed { incident, reason: "nothing in this place is overdue any more".to_owned() }))?;
    }
    Ok(())
}

/// What came of a person's decision about a file that cannot be proven.
#[derive(Debug)]
pub enum ByHand {
    /// It is gone.
    Gone(Box<Deletion>),
    /// It is no raw file of a class.
    Foreign,
    /// A hold covers it.
    Held(String),
}

/// Deletes a raw file that can never be proven, on a person's word: nobody writes it, no hold on its class, and the ledger says why.
pub fn by_hand(job: &ExpireJob<'_>, path: &Path, reason: &str) -> Result<ByHand, Halt> {
    let reading = (job.clock)();
    let store = Store::open(job.state)?;
    let mut chronicle = Chronicle::open(job.state, reading.wall)?;
    if let Some(astray) = reading.against(Reading::kept(job.state)?.as_ref(), chronicle.known().latest()).filter(|astray| !job.yes || *astray == Astray::Behind) {
        open_incident(&mut chronicle, Fault::Clock, (None, None), Some(astray.describe()))?;
        return Err(Halt::Refused { why: Refusal::Stopped, path: path.to_owned() });
    }
    let of = |path: &Path| {
        job.config
            .classes
            .iter()
            .find(|class| class.is_raw(path) || chronicle.known().cut_into(path).is_some_and(|split| split.class == class.name && split.form == class.raw.name))
    };
    let (Some(class), Some(directory), Some(name)) = (of(path), path.parent(), path.file_name()) else { return Ok(ByHand::Foreign) };
    let (base, beneath) = class.way(path).unwrap_or((directory, Path::new("")));
    // Nobody knows its times: any hold on the class that has not ended counts.
    let blocks = |known: &Evidence| known.holds().values().find(|hold| hold.covers(&class.name, (Timestamp::MIN, Timestamp::MAX), job.now)).map(|hold| hold.name.clone());
    if let Some(hold) = blocks(chronicle.known()) {
        return Ok(ByHand::Held(hold));
    }
    let place = store.place(base, beneath)?;
    store.recover(&place, &|_| true, &mut chronicle)?;
    let why = Why { class: &class.name, form: &class.raw.name, required: &[], deadline: None, by_hand: Some(reason) };
    let proven = store.prove(store.file(&place, name)?, why, (chronicle.known(), reading.wall))?;
    let mut watch = HoldWatch::new(job.state);
    let before = chronicle.known().holds().clone();
    let gone = store.delete(proven, &mut |_| watch.holds().is_ok_and(|holds| *holds == before), &mut chronicle)?;
    Ok(ByHand::Gone(Box::new(gone)))
}
