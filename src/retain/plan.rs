//! A reason for every file: which goes, which is cut, which stays and why. The same plan is shown and carried out.

use super::class::{Class, Form};
use super::config::Config;
use super::ledger::{Digest, Hold};
use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// How far ahead of the clock a record may lie: a day and the hour of a clock change.
const AHEAD: SignedDuration = SignedDuration::from_hours(25);

/// A file of a class as the catalog found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it stands, or stood.
    pub path: PathBuf,
    /// Its class.
    pub class: String,
    /// `raw`, or the name of another form.
    pub form: String,
    /// Times of its oldest and newest record, by the rules for records that have none; the file's own without a record.
    pub span: Option<(Timestamp, Timestamp)>,
    /// What can be done with it.
    pub state: State,
    /// Of raw: whether everything that is to be made of it is proven.
    pub forms: Forms,
    /// Of raw: whether more lines do not parse than the class allows.
    pub too_many_rejects: bool,
    /// It is what an earlier cut left: the records that were older than this stayed because of a hold.
    pub cut: Option<Timestamp>,
    /// Of raw that somebody writes: the class has a command that makes the server let go of it.
    pub lets_go: bool,
    /// There is no record in it.
    pub empty: bool,
}

/// What can be done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody writes it.
    Quiet,
    /// Somebody writes it, or may.
    InUse,
    /// It cannot be read to a proven end, or is not a plain file with one name.
    Unreadable,
    /// The ledger knows it, and it is not there.
    Gone,
}

/// What became of the forms that are made of a raw file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forms {
    /// All of them are proven, or there are none.
    Proven,
    /// They can be made.
    ToMake,
    /// They cannot be made here: their output proves nothing, or is somebody else's to write.
    Missing,
}

/// Why a file stays or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No record of it is due.
    Young,
    /// A hold covers it.
    Held,
    /// Somebody writes it, or may.
    InUse,
    /// Its forms are not made and cannot be made here.
    NotScrubbed,
    /// It cannot be read to its end, so nothing made of it can be proven.
    Unproven,
    /// More of its lines do not parse than the class allows.
    TooManyRejects,
    /// It has records of a time to come.
    FutureDated,
    /// Some of its records are due, others are not.
    Straddles,
    /// All of its records are due.
    Expired,
    /// Somebody else deleted it.
    Vanished,
}

impl Reason {
    /// The word in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Young => "young",
            Self::Held => "held",
            Self::InUse => "in_use",
            Self::NotScrubbed => "not_scrubbed",
            Self::Unproven => "unproven",
            Self::TooManyRejects => "too_many_rejects",
            Self::FutureDated => "future_dated",
            Self::Straddles => "straddles",
            Self::Expired => "expired",
            Self::Vanished => "vanished",
        }
    }
}

/// What is to be done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Move it aside, unless it is rotated already, and make the server begin a new one; then this run or the next goes on with it.
    Reopen,
    /// Make its forms.
    Scrub,
    /// Keep what is young, or what a hold covers, in another file; the rest goes.
    Split,
    /// Delete it.
    Delete,
}

impl Action {
    /// The word in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reopen => "reopen",
            Self::Scrub => "scrub",
            Self::Split => "split",
            Self::Delete => "delete",
        }
    }
}

/// What the plan says about one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The file.
    #[serde(serialize_with = "path")]
    pub path: PathBuf,
    /// Its class.
    pub class: String,
    /// `raw`, or the name of another form.
    pub form: String,
    /// Time of its oldest record.
    pub oldest: Option<Timestamp>,
    /// Time of its newest record.
    pub newest: Option<Timestamp>,
    /// When all of it has to be gone; none: never.
    pub deadline: Option<Timestamp>,
    /// Why it stays or goes.
    pub reason: Reason,
    /// What is to be done, in this order; empty where it is kept.
    pub actions: Vec<Action>,
    /// Something in it is due and stays.
    pub overdue: bool,
    /// The hold that keeps it.
    pub hold: Option<String>,
}

/// A reason for every file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// As of when.
    pub now: Timestamp,
    /// Files in which something is due that stays.
    pub overdue: usize,
    /// Every file, in the order of the catalog.
    pub files: Vec<Verdict>,
}

fn path<S: Serializer>(path: &std::path::Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

impl Plan {
    /// Files that are to be deleted or cut.
    pub fn due(&self) -> impl Iterator<Item = &Verdict> {
        self.files.iter().filter(|file| file.actions.iter().any(|action| matches!(action, Action::Delete | Action::Split)))
    }

    /// Digest of what is to be done to which files: two plans that do the same have the same.
    pub fn digest(&self) -> Digest {
        let mut text = Vec::new();
        for file in &self.files {
            text.extend_from_slice(file.path.as_os_str().as_encoded_bytes());
            text.extend_from_slice(format!("\0{}\0{}\0{:?}\n", file.class, file.form, file.actions).as_bytes());
        }
        Digest::of(&text)
    }
}

impl Class {
    /// The first record time that stays in a form at `now`: whatever is older is due. `None` if nothing is due, however old.
    ///
    /// Found by bisection, because calendar spans cannot be subtracted: 28 and 31 January and a month end on the same day.
    pub fn boundary(&self, form: &Form, now: Timestamp) -> Option<Timestamp> {
        let due = |second: i64| Timestamp::from_second(second).ok().and_then(|record| self.deadline(form, record)).is_some_and(|deadline| deadline <= now);
        // A deadline lies behind its record, so that what is not older than now cannot be due.
        let (mut low, mut high) = (Timestamp::MIN.as_second(), now.as_second());
        if !due(low) {
            return None;
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if due(middle) { low = middle } else { high = middle }
        }
        Timestamp::from_second(high).ok()
    }

    fn form(&self, name: &str) -> Option<&Form> {
        self.all_forms().find(|form| form.name == name)
    }
}

impl Hold {
    /// Whether it blocks deletions at `now` of records of a class between two times.
    pub fn covers(&self, class: &str, (oldest, newest): (Timestamp, Timestamp), now: Timestamp) -> bool {
        self.class == class && self.covers_time((oldest, newest), now)
    }

    /// The same, of whatever class: a key serves records of all of them.
    pub fn covers_time(&self, (oldest, newest): (Timestamp, Timestamp), now: Timestamp) -> bool {
        let open = self.until.is_none_or(|until| now < until);
        open && self.from.is_none_or(|from| from <= newest) && self.to.is_none_or(|to| oldest <= to)
    }
}

/// The plan for what was found, under the holds of the ledger. `now` decides about deadlines.
pub fn plan(config: &Config, found: &[Found], holds: &BTreeMap<String, Hold>, now: Timestamp) -> Plan {
    let files: Vec<Verdict> = found.iter().filter_map(|file| verdict(config, file, holds, now)).collect();
    Plan { now, overdue: files.iter().filter(|file| file.overdue).count(), files }
}

fn verdict(config: &Config, file: &Found, holds: &BTreeMap<String, Hold>, now: Timestamp) -> Option<Verdict> {
    let class = config.class(&file.class)?;
    let form = class.form(&file.form)?;
    let (oldest, newest) = (file.span.map(|span| span.0), file.span.map(|span| span.1));
    let deadline = newest.and_then(|newest| class.deadline(form, newest));
    let mut verdict = Verdict {
        path: file.path.clone(),
        class: file.class.clone(),
        form: file.form.clone(),
        oldest,
        newest,
        deadline,
        reason: Reason::Young,
        actions: Vec::new(),
        overdue: false,
        hold: None,
    };
    if file.state == State::Gone {
        verdict.reason = Reason::Vanished;
        return Some(verdict);
    }
    if file.empty && file.state == State::InUse && !file.lets_go {
        // What comes is of a time to come, and nothing is there that could be due.
        return Some(verdict);
    }
    let Some(span) = file.span else {
        // Nobody knows its times: it may hold anything, and is somebody's to look at.
        verdict.reason = Reason::Unproven;
        verdict.overdue = true;
        return Some(verdict);
    };
    let is_due = |record: Timestamp| class.deadline(form, record).is_some_and(|deadline| deadline <= now);
    // What a line says may be the begin of the hour or day of its record: what it was cut from is due later.
    let latest = span.0.checked_add(form.blur()).unwrap_or(Timestamp::MAX).min(span.1);
    let (some, all) = (is_due(latest), is_due(span.1));
    let (due, reason) = match (all, some) {
        (true, _) => (true, Reason::Expired),
        // Whole files, when the newest record is due.
        (false, true) => (class.split, Reason::Straddles),
        (false, false) => (false, Reason::Young),
    };
    verdict.reason = reason;
    if span.1 > now.checked_add(AHEAD).unwrap_or(Timestamp::MAX) {
        verdict.reason = Reason::FutureDated;
        verdict.overdue = due;
        return Some(verdict);
    }
    if !due {
        return Some(verdict);
    }
    let is_raw = file.form == class.raw.name;
    let holding = holds.values().filter(|hold| hold.covers(&file.class, due_span(class, form, span, now), now));
    // A hold on addresses says nothing about forms in which no address can be found again.
    let holding: Vec<&Hold> = holding.filter(|hold| is_raw || hold.addresses.is_none()).collect();
    verdict.hold = holding.iter().find(|hold| hold.addresses.is_none()).or_else(|| holding.first()).map(|hold| hold.name.clone());
    let only_some = !holding.is_empty() && holding.iter().all(|hold| hold.addresses.is_some());
    let stays = if !holding.is_empty() && !only_some {
        Some(Reason::Held)
    } else {
        match (file.state, file.forms) {
            (State::InUse, _) => Some(Reason::InUse),
            (State::Unreadable, _) => Some(Reason::Unproven),
            (State::Quiet | State::Gone, _) if file.too_many_rejects => Some(Reason::TooManyRejects),
            (State::Quiet | State::Gone, Forms::Missing) => Some(Reason::NotScrubbed),
            (State::Quiet | State::Gone, Forms::Proven | Forms::ToMake) => None,
        }
    };
    if let Some(reason) = stays {
        verdict.reason = reason;
        if reason == Reason::InUse && file.lets_go {
            verdict.actions.push(Action::Reopen);
        }
        verdict.overdue = verdict.actions.is_empty();
        return Some(verdict);
    }
    if only_some {
        verdict.reason = Reason::Held;
        // What an earlier cut at this boundary left is what the hold wants.
        if file.cut.is_some_and(|cut| class.boundary(form, now).is_none_or(|boundary| boundary <= cut)) {
            verdict.overdue = true;
            return Some(verdict);
        }
    }
    if file.forms == Forms::ToMake {
        verdict.actions.push(Action::Scrub);
    }
    verdict.actions.push(if all && !only_some { Action::Delete } else { Action::Split });
    Some(verdict)
}

/// The part of a file's span that is due: a hold on its young records keeps nothing from going.
fn due_span(class: &Class, form: &Form, (oldest, newest): (Timestamp, Timestamp), now: Timestamp) -> (Timestamp, Timestamp) {
    match class.boundary(form, now) {
        Some(boundary) if boundary <= newest => (oldest, boundary),
        Some(_) | None => (oldest, newest),
    }
}

#[cfg(test)]
mod tests;
