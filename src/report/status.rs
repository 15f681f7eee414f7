//! The state of retention at one moment: what is kept until when, what was done, and what is still open.

mod html;
mod pictures;
mod risk;
mod volume;

pub use html::{MARK, html};
pub use risk::{K, MOST, RiskStatus, Sample};
pub use volume::{Day, Volume, Volumes};

use crate::retain::evidence::Evidence;
use crate::retain::ledger::{Fault, Reasons};
use crate::retain::plan::{Plan, Reason, Verdict};
use crate::retain::{Class, Config, Form, Keep, KeyMode, Output};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeSet;

/// What no deletion can promise, in the words of the report.
const NOT_PROMISED: [&str; 6] = [
    "that clean logs are anonymous: they are pseudonymised while the raw log or a key exists anywhere, and a candidate for anonymisation after that",
    "anything about other hard links of a deleted file, or programs that still have it open",
    "anything about snapshots and backups: what was copied before its deadline expires there, or not at all",
    "anything about what flash memory keeps of deleted blocks",
    "anything about what the server writes elsewhere: its other logs, the journal, core dumps",
    "that nobody wrote the ledger anew: that shows only against a head that was noted on another machine",
];

/// The state of retention.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// As of when.
    pub now: Timestamp,
    /// Files in which something is due that stays.
    pub overdue: u64,
    /// Whether the files could be looked at; without a ledger that holds, they are not.
    pub looked: bool,
    /// The configuration decides otherwise than the one that was last carried out: the next expiry records its plan and deletes nothing.
    pub changed: bool,
    /// Every class of the configuration, then those that only the ledger knows.
    pub classes: Vec<ClassStatus>,
    /// The files in which something is due that stays.
    pub overdue_files: Vec<Overdue>,
    /// What each form still says about single people.
    pub risk: Vec<RiskStatus>,
    /// What was done on each UTC day of the last 31 that have entries.
    pub days: Vec<Day>,
    /// Keys of pseudonyms.
    pub keys: KeysStatus,
    /// Holds that were not released.
    pub holds: Vec<HoldStatus>,
    /// Incidents that nobody has closed.
    pub incidents: Vec<IncidentStatus>,
    /// The evidence.
    pub ledger: LedgerStatus,
    /// What is not promised.
    pub not_promised: Vec<&'static str>,
}

/// A class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassStatus {
    /// Its name; none: what was cleaned without a configuration.
    pub class: Option<String>,
    /// Whether the configuration has it.
    pub configured: bool,
    /// What the log is for.
    pub purpose: Option<String>,
    /// What was done with it, by the ledger.
    pub volume: Volume,
    /// Why lines were rejected.
    pub reasons: Reasons,
    /// Rejected lines of which the ledger does not say why: older entries, and counts alone.
    pub rejected_untold: u64,
    /// The forms that are kept.
    pub forms: Vec<FormStatus>,
}

/// A form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FormStatus {
    /// Its name.
    pub form: String,
    /// What it keeps.
    pub keeps: String,
    /// How long, from the record's own time.
    pub until: String,
    /// Where it goes; none: where the server writes it.
    pub place: Option<String>,
    /// Files of it; none where this report cannot look into them.
    pub files: Option<u64>,
    /// Their bytes on the disk.
    pub bytes: Option<u64>,
    /// Time of the oldest record.
    pub oldest: Option<Timestamp>,
    /// Time of the newest record.
    pub newest: Option<Timestamp>,
    /// When the oldest record has to be gone; none: never.
    pub deadline: Option<Timestamp>,
    /// When the newest record has to be gone; none: never.
    pub gone_by: Option<Timestamp>,
    /// Files that the next expiry deletes or cuts.
    pub due: u64,
    /// Files in which something is due that stays.
    pub overdue: u64,
    /// Files that somebody else deleted.
    pub vanished: u64,
    /// How it stands, in words.
    pub state: String,
}

/// A file in which something is due that stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Overdue {
    /// The file.
    pub path: String,
    /// Its class.
    pub class: String,
    /// Its form.
    pub form: String,
    /// Why it stays.
    pub reason: Reason,
    /// The hold that keeps it.
    pub hold: Option<String>,
    /// Time of its oldest record.
    pub oldest: Option<Timestamp>,
    /// When the oldest of it had to be gone.
    pub since: Option<Timestamp>,
}

/// Keys of pseudonyms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KeysStatus {
    /// `local` or `fleet`; none where there is no key directory.
    pub mode: Option<&'static str>,
    /// Periods whose key is there; in fleet mode the first, and every later one can be made.
    pub alive: Vec<String>,
    /// Periods whose key was destroyed; in fleet mode the last, and all before it.
    pub destroyed: Vec<String>,
    /// Periods whose destroyed key somebody put back.
    pub restored: Vec<String>,
    /// What that means.
    pub meaning: String,
    /// Keys of sealed files.
    pub seals: SealsStatus,
    /// Why the keys could not be looked at.
    pub error: Option<String>,
}

/// How many keys of sealed files there are; what is sealed with a destroyed one can be read nowhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SealsStatus {
    /// Keys that are there.
    pub alive: u64,
    /// Keys that were destroyed.
    pub destroyed: u64,
    /// Destroyed keys that somebody put back.
    pub restored: u64,
}

impl KeysStatus {
    /// What keys of a mode, or none at all, mean for what they keyed.
    pub fn meaning(mode: Option<KeyMode>) -> String {
        match mode {
            None => "there are no keys: nothing was pseudonymised with one here",
            Some(KeyMode::Local) => "a pseudonym can be traced while the key of its period is alive, and not by a key of this machine after that",
            Some(KeyMode::Fleet) => {
                "a copy of the seed kept anywhere can recompute every later key, also those that were destroyed here: what it keyed stays pseudonymised, and is no candidate for anonymisation on the evidence of this machine"
            }
        }
        .to_owned()
    }
}

/// A hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HoldStatus {
    /// Its name.
    pub name: String,
    /// The class that it blocks.
    pub class: String,
    /// Records from this time on; none: from the first.
    pub from: Option<Timestamp>,
    /// Records up to this time; none: to the last.
    pub to: Option<Timestamp>,
    /// Whether only records with some addresses are held.
    pub some_addresses: bool,
    /// When it ends by itself; none: when it is released.
    pub until: Option<Timestamp>,
    /// Whether it has not ended yet.
    pub active: bool,
    /// Why.
    pub reason: String,
}

/// An open incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IncidentStatus {
    /// Its number.
    pub number: u64,
    /// What it is.
    pub what: Fault,
    /// When it was opened.
    pub opened: Timestamp,
    /// The class that it concerns.
    pub class: Option<String>,
    /// The file that it concerns.
    pub path: Option<String>,
    /// What was said about it.
    pub note: Option<String>,
}

/// The ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LedgerStatus {
    /// Entries that hold.
    pub entries: u64,
    /// Whether all of them do.
    pub ok: bool,
    /// Digest of the last entry that holds.
    pub head: String,
    /// Where and why it breaks.
    pub error: Option<String>,
    /// When the last entry was written.
    pub latest: Option<Timestamp>,
    /// When the chain was followed for this report.
    pub verified: Option<Timestamp>,
}

/// What the state is made of.
pub struct Sources<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The plan, and the bytes of each of its files; none where the files were not looked at.
    pub plan: Option<(&'a Plan, &'a [u64])>,
    /// What was measured of forms, by class and form.
    pub samples: Vec<(String, String, Sample)>,
    /// The ledger, folded.
    pub known: &'a Evidence,
    /// What the ledger counts.
    pub volumes: Volumes,
    /// Whether the ledger holds.
    pub ledger: LedgerStatus,
    /// The keys.
    pub keys: KeysStatus,
}

impl Status {
    /// The state at `now`.
    pub fn of(sources: Sources<'_>, now: Timestamp) -> Self {
        let Sources { config, plan, samples, known, volumes, ledger, keys } = sources;
        let rows: Vec<(&Verdict, u64)> = plan.map(|(plan, bytes)| plan.files.iter().zip(bytes.iter().copied()).collect()).unwrap_or_default();
        let (mut by_class, days) = volumes.into_parts();
        let foreign: Vec<Option<String>> = by_class.keys().filter(|name| name.as_deref().is_none_or(|name| config.class(name).is_none())).cloned().collect();
        let mut counted = |class: Option<String>, of: Option<&Class>| {
            let (volume, reasons) = by_class.remove(&class).unwrap_or_default();
            ClassStatus {
                class,
                configured: of.is_some(),
                purpose: of.and_then(|class| class.purpose.clone()),
                volume,
                rejected_untold: volume.rejected.saturating_sub(reasons.lines()),
                reasons,
                forms: of.map_or_else(Vec::new, |class| class.all_forms().map(|form| kept(class, form, plan.is_some().then_some(&rows))).collect()),
            }
        };
        let mut classes: Vec<ClassStatus> = config.classes.iter().map(|class| counted(Some(class.name.clone()), Some(class))).collect();
        classes.extend(foreign.into_iter().map(|class| counted(class, None)));
        let forms = config.classes.iter().flat_map(|class| class.all_forms().map(move |form| (class, form)));
        let sample = |class: &Class, form: &Form| samples.iter().find(|(of, name, _)| *of == class.name && *name == form.name).map(|(.., sample)| sample.clone());
        let risk = forms.map(|(class, form)| RiskStatus::of(class, form, sample(class, form))).collect();
        let overdue_files: Vec<Overdue> = rows.iter().filter(|(file, _)| file.overdue).map(|(file, _)| overdue(config, file)).collect();
        let hold = |hold: &crate::retain::ledger::Hold| HoldStatus {
            name: hold.name.clone(),
            class: hold.class.clone(),
            from: hold.from,
            to: hold.to,
            some_addresses: hold.addresses.is_some(),
            until: hold.until,
            active: hold.until.is_none_or(|until| now < until),
            reason: hold.reason.clone(),
        };
        let incidents = known.incidents().iter().filter(|case| case.closed.is_none()).map(|case| IncidentStatus {
            number: case.number,
            what: case.what,
            opened: case.opened,
            class: case.class.clone(),
            path: case.path.as_ref().map(|path| path.to_string_lossy().into_owned()),
            note: case.note.clone(),
        });
        Self {
            now,
            overdue: overdue_files.len() as u64,
            looked: plan.is_some(),
            changed: known.planned().is_none_or(|planned| planned.configuration != config.retention_digest()),
            classes,
            overdue_files,
            risk,
            days,
            keys,
            holds: known.holds().values().map(hold).collect(),
            incidents: incidents.collect(),
            ledger,
            not_promised: NOT_PROMISED.to_vec(),
        }
    }
}

/// Whether the catalog lists the files of a form.
fn is_listed(class: &Class, form: &Form) -> bool {
    match (&form.keep, &form.output) {
        (Keep::Raw, _) => form.name == class.raw.name && !form.seal,
        (Keep::Clean(_) | Keep::Aggregate { .. }, Some(Output::Directory(_))) => true,
        (Keep::Clean(_) | Keep::Aggregate { .. }, _) => false,
    }
}

fn kept(class: &Class, form: &Form, rows: Option<&Vec<(&Verdict, u64)>>) -> FormStatus {
    let all: Vec<&(&Verdict, u64)> = rows.into_iter().flatten().filter(|(file, _)| file.class == class.name && file.form == form.name).collect();
    let there: Vec<&(&Verdict, u64)> = all.iter().copied().filter(|(file, _)| file.reason != Reason::Vanished).collect();
    let looked = rows.is_some() && is_listed(class, form);
    let oldest = there.iter().filter_map(|(file, _)| file.oldest).min();
    let newest = there.iter().filter_map(|(file, _)| file.newest).max();
    let count = |wants: &dyn Fn(&Verdict) -> bool| there.iter().filter(|(file, _)| wants(file)).count() as u64;
    let mut status = FormStatus {
        form: form.name.clone(),
        keeps: match &form.keep {
            Keep::Raw => "the lines as the server wrote them".to_owned(),
            Keep::Clean(policy) => format!("policy {}", policy.name()),
            Keep::Aggregate { k, .. } => format!("counts of at least {k} clients"),
        },
        until: form.until.to_string(),
        place: form.output.as_ref().map(|output| match output {
            Output::Directory(path) => path.to_string_lossy().into_owned(),
            Output::Stdout => "stdout:".to_owned(),
            Output::Http(address) => address.clone(),
        }),
        files: looked.then_some(there.len() as u64),
        bytes: looked.then_some(there.iter().map(|(_, bytes)| *bytes).sum()),
        oldest,
        newest,
        deadline: oldest.and_then(|oldest| class.deadline(form, oldest)),
        gone_by: newest.and_then(|newest| class.deadline(form, newest)),
        due: count(&|file| !file.overdue && file.actions.iter().any(|action| action.name() != "scrub")),
        overdue: count(&|file| file.overdue),
        vanished: (all.len() - there.len()) as u64,
        state: String::new(),
    };
    let reasons: BTreeSet<&str> = there.iter().filter(|(file, _)| file.overdue).map(|(file, _)| file.reason.name()).collect();
    status.state = words(&status, &reasons.into_iter().collect::<Vec<_>>().join(", "));
    status
}

fn words(status: &FormStatus, reasons: &str) -> String {
    let files = |count: u64| if count == 1 { "1 file".to_owned() } else { format!("{count} files") };
    let Some(there) = status.files else { return "not looked into".to_owned() };
    let mut parts = Vec::new();
    if status.overdue > 0 {
        parts.push(format!("overdue: {} with records that are due and stay ({reasons})", files(status.overdue)));
    }
    if status.due > 0 {
        parts.push(format!("due: {} for the next expiry", files(status.due)));
    }
    if status.vanished > 0 {
        parts.push(format!("vanished: {} deleted by somebody else", files(status.vanished)));
    }
    match (parts.is_empty(), there) {
        (true, 0) => "nothing is there".to_owned(),
        (true, _) => "within its window".to_owned(),
        (false, _) => parts.join("; "),
    }
}

fn overdue(config: &Config, file: &Verdict) -> Overdue {
    let class = config.class(&file.class);
    let form = class.and_then(|class| class.all_forms().find(|form| form.name == file.form).map(|form| (class, form)));
    Overdue {
        path: file.path.to_string_lossy().into_owned(),
        class: file.class.clone(),
        form: file.form.clone(),
        reason: file.reason,
        hold: file.hold.clone(),
        oldest: file.oldest,
        since: file.oldest.zip(form).and_then(|(oldest, (class, form))| class.deadline(form, oldest)),
    }
}
