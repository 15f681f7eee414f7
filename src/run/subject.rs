//! `subject`: a person's records found, shown to the person, or erased, over the raw files and the forms of every class.

mod targets;

use super::catalog::{Look, begun, formats, is_ecs, open, settings};
use super::expire::deeds::{wanted, wants};
use super::expire::{open_incident, recover, strict};
use crate::format::Format;
use crate::retain::evidence::Evidence;
use crate::retain::ledger::{Deletion, Entry, Fault, Hold, IdentifierKind, Subject, SubjectRequest};
use crate::retain::{Class, Config, Form, Keep};
use crate::scrub::{Identifier, Period, PeriodKey, Policy, Seeker, Value, Whose};
use crate::store::checkpoint::Begun;
use crate::store::clock::Reading;
use crate::store::kept::{HeldNets, Surveys};
use crate::store::{Chronicle, Cutting, Halt, HoldWatch, Reason as Why, Refusal, Store, StoreError};
use ipnet::IpNet;
use jiff::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use targets::{Target, archives, targets};

/// How often erasing looks again: what an interrupted cut had left is cut in the next round.
const ROUNDS: usize = 3;

/// What is asked.
pub struct SubjectJob<'a> {
    /// Classes and their forms.
    pub config: &'a Config,
    /// The state directory.
    pub state: &'a Path,
    /// Both clocks.
    pub reading: Reading,
    /// Whose records.
    pub identifiers: &'a [Identifier],
    /// How they were named; for the ledger.
    pub by: IdentifierKind,
    /// Records from this time on.
    pub from: Option<Timestamp>,
    /// Records up to this time.
    pub to: Option<Timestamp>,
    /// The keys that exist.
    pub keys: &'a [(Period, Arc<PeriodKey>)],
}

/// What became of a file with records of the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing was asked of it.
    Found,
    /// The records are gone; the others stand in this file, if there are any.
    Erased(Option<PathBuf>),
    /// Not done.
    Refused(Refusal),
    /// The system said no.
    Failed,
}

/// A file with records of the person.
#[derive(Clone, Debug)]
pub struct Found {
    /// The file.
    pub path: PathBuf,
    /// Its class.
    pub class: String,
    /// `raw`, or the name of another form.
    pub form: String,
    /// Numbers of the lines, from 1.
    pub lines: Vec<u64>,
    /// Time of the oldest of the records.
    pub oldest: Timestamp,
    /// Time of the newest.
    pub newest: Timestamp,
    /// A hold that wants one of the records.
    pub held: Option<String>,
    /// What became of it.
    pub fate: Fate,
    /// What was looked for in it.
    kept: Form,
}

/// What was found.
#[derive(Debug, Default)]
pub struct SubjectReport {
    /// Files with records.
    pub files: Vec<Found>,
    /// Files that were looked at.
    pub looked_at: u64,
    /// Lines that were looked at.
    pub lines: u64,
    /// Lines that no format reads: searched for addresses and cookies, not for user names.
    pub unread: u64,
    /// Files that could not be looked at, or not to their end.
    pub not_searched: Vec<PathBuf>,
    /// Records that are left after erasing.
    pub left: u64,
    /// The hold because of which nothing was erased.
    pub held: Option<String>,
    /// What the system refused.
    pub failures: Vec<StoreError>,
}

impl SubjectReport {
    /// Records that were found.
    pub fn records(&self) -> u64 {
        self.files.iter().map(|file| file.lines.len() as u64).sum()
    }

    /// Records that were found and are gone.
    pub fn erased(&self) -> u64 {
        if self.files.iter().all(|file| file.fate == Fate::Found) { 0 } else { self.records().saturating_sub(self.left) }
    }
}

/// A record of the person: where it stands, its time, and its values.
pub type Each<'a> = &'a mut dyn FnMut((&Path, &Class, &Form), (u64, Timestamp), Vec<Value>);

/// Where the person's records stand.
pub fn find(job: &SubjectJob<'_>) -> Result<SubjectReport, StoreError> {
    look(job, SubjectRequest::Find, None)
}

/// The person's records, one by one. Shows raw data to the person who asks.
pub fn export(job: &SubjectJob<'_>, each: Each<'_>) -> Result<SubjectReport, StoreError> {
    look(job, SubjectRequest::Export, Some(each))
}

fn look(job: &SubjectJob<'_>, request: SubjectRequest, each: Option<Each<'_>>) -> Result<SubjectReport, StoreError> {
    let mut chronicle = Chronicle::open(job.state, job.reading.wall)?;
    let report = search(job, (&Store::look(job.state)?, &chronicle, &[]), each)?;
    chronicle.note(&entry(job, request, &report, report.records()))?;
    Ok(report)
}

fn entry(job: &SubjectJob<'_>, request: SubjectRequest, report: &SubjectReport, records: u64) -> Entry {
    Entry::Subject(Subject { request, by: job.by, identifiers: job.identifiers.len() as u64, files: report.looked_at, records, from: job.from, to: job.to })
}

/// Erases the person's records: each file with any is cut, so that the others stand in a proven file before it goes. Nothing is
/// erased while a hold covers one of them.
pub fn erase(job: &SubjectJob<'_>) -> Result<SubjectReport, Halt> {
    let store = Store::open(job.state)?;
    let mut chronicle = Chronicle::open(job.state, job.reading.wall)?;
    if let Some(astray) = job.reading.against(Reading::kept(job.state)?.as_ref(), chronicle.known().latest()) {
        open_incident(&mut chronicle, Fault::Clock, (None, None), Some(astray.describe()))?;
        return Err(Halt::Refused { why: Refusal::Stopped, path: job.state.to_owned() });
    }
    let more = archives(job.config, chronicle.known());
    let mut failures = recover((job.config, &more), job.reading.wall, (&store, &mut chronicle));
    let before = chronicle.known().holds().clone();
    let nets = HeldNets::open(job.state)?;
    let holds: Vec<Holding<'_>> = before.values().map(|hold| (hold, wanted(hold, &nets, &store))).collect();
    let mut report = search(job, (&store, &chronicle, &holds), None)?;
    report.failures.append(&mut failures);
    report.held = report.files.iter().find_map(|file| file.held.clone());
    report.left = report.records();
    if report.held.is_none() && !report.files.is_empty() {
        let mut watch = HoldWatch::new(job.state);
        let mut gate = |_: &Deletion| watch.holds().is_ok_and(|holds| *holds == before);
        let mut todo = report.files.clone();
        for _ in 0..ROUNDS {
            for file in &mut todo {
                file.fate = match erase_file(job, &store, &mut chronicle, (file, &mut gate)) {
                    Ok(into) => Fate::Erased(into),
                    Err(Halt::Refused { why, .. }) => Fate::Refused(why),
                    Err(Halt::Failed(error)) => {
                        report.failures.push(error);
                        Fate::Failed
                    }
                };
            }
            for done in todo {
                match report.files.iter_mut().find(|file| file.path == done.path) {
                    Some(file) => file.fate = done.fate,
                    // Left by a cut that was interrupted; its records were counted in the file that was cut.
                    None => report.files.push(Found { lines: Vec::new(), ..done }),
                }
            }
            let again = search(job, (&store, &chronicle, &holds), None)?;
            report.left = again.records();
            let hopeless = |path: &Path| report.files.iter().any(|file| file.path == path && matches!(file.fate, Fate::Refused(_) | Fate::Failed));
            todo = again.files.into_iter().filter(|file| !hopeless(&file.path)).collect();
            if todo.is_empty() {
                break;
            }
        }
    }
    chronicle.note(&entry(job, SubjectRequest::Erase, &report, report.erased()))?;
    Ok(report)
}

/// Cuts a file. The others' records stand in another before it goes.
fn erase_file(job: &SubjectJob<'_>, store: &Store, chronicle: &mut Chronicle, (file, gate): (&Found, &mut dyn FnMut(&Deletion) -> bool)) -> Result<Option<PathBuf>, Halt> {
    let gone = || Halt::Refused { why: Refusal::Vanished, path: file.path.clone() };
    let class = job.config.class(&file.class).ok_or_else(gone)?;
    let raw = open(store, class, &file.path)?;
    let (formats, is_ecs) = (formats((class, &file.kept), store, &raw)?, is_ecs((class, &file.kept), store, &raw)?);
    let cut = chronicle.known().cut_into(&file.path).map_or(Timestamp::UNIX_EPOCH, |split| split.cut);
    let why = Why { class: &file.class, form: &file.form, required: &[], deadline: None, by_hand: None };
    let proven = store.prove(raw, why, (chronicle.known(), job.reading.wall))?;
    let settings = settings(class, formats.clone(), &strict()?, &class.raw);
    let mut seeker = job.seeker(&file.kept, formats, is_ecs);
    let mut stays = |line: &[u8], at: Timestamp| !(job.is_in_time(at) && seeker.look(line, at) == Whose::Theirs);
    let cutting = Cutting { settings: &settings, at: cut, erased: true, stays: &mut stays, access: None, seal: false };
    store.split(proven, cutting, gate, chronicle).map(|parts| parts.into)
}

impl SubjectJob<'_> {
    fn is_in_time(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.to.is_none_or(|to| at <= to)
    }

    fn look<'l>(&'l self, store: &'l Store, (known, surveys, policy): (&'l Evidence, &'l mut Surveys, &'l Arc<Policy>)) -> Look<'l> {
        let (begun, failures) = begun(self.config, self.state).map_or_else(|error| (Begun::default(), vec![error]), |begun| (begun, Vec::new()));
        Look { config: self.config, store, known, surveys, wall: self.reading.wall, policy, begun, failures }
    }

    /// Whether a hold wants one of the records of a file.
    fn is_wanted(&self, (hold, nets): Holding<'_>, (class, form): (&Class, &Form), (line, at): (&[u8], Timestamp)) -> bool {
        hold.covers(&class.name, (at, at), self.reading.wall)
            && match nets {
                None => true,
                Some(nets) if matches!(form.keep, Keep::Raw) => wants(hold, nets, line, at),
                // No address can be found again there: whoever is named otherwise may be one of those that are held.
                Some(nets) => self.identifiers.iter().any(|identifier| if let Identifier::Ip(ip) = identifier { nets.iter().any(|net| net.contains(ip)) } else { true }),
            }
    }

    fn seeker(&self, form: &Form, formats: Vec<Arc<Format>>, is_ecs: bool) -> Seeker {
        match &form.keep {
            Keep::Clean(policy) if is_ecs => Seeker::ecs(self.identifiers, (policy, self.keys)),
            Keep::Clean(policy) => Seeker::new(formats, self.identifiers, Some((policy, self.keys))),
            Keep::Raw | Keep::Aggregate { .. } => Seeker::new(formats, self.identifiers, None),
        }
    }
}

/// A hold, and its networks if it is one on addresses.
type Holding<'a> = (&'a Hold, Option<&'a [IpNet]>);

fn search(job: &SubjectJob<'_>, (store, chronicle, holds): (&Store, &Chronicle, &[Holding<'_>]), mut each: Option<Each<'_>>) -> Result<SubjectReport, StoreError> {
    let policy = strict()?;
    let mut surveys = Surveys::default();
    let mut look = job.look(store, (chronicle.known(), &mut surveys, &policy));
    let all = targets(&mut look);
    let mut report = SubjectReport { failures: look.failures, ..SubjectReport::default() };
    for target in all {
        match search_file(job, (store, &policy, holds), &target, (&mut report, &mut each)) {
            Ok(true) => {}
            // Rotation renamed it, or it is a link; the next run finds what it is.
            Err(Halt::Refused { why: Refusal::Vanished, .. }) if target.path.symlink_metadata().is_err() => {}
            Ok(false) | Err(Halt::Refused { .. }) => report.not_searched.push(target.path),
            Err(Halt::Failed(error)) => {
                report.not_searched.push(target.path);
                report.failures.push(error);
            }
        }
    }
    Ok(report)
}

/// Whether the whole of a file was looked at.
fn search_file(
    job: &SubjectJob<'_>,
    (store, policy, holds): (&Store, &Arc<Policy>, &[Holding<'_>]),
    Target { class, form, path, known }: &Target<'_>,
    (report, each): (&mut SubjectReport, &mut Option<Each<'_>>),
) -> Result<bool, Halt> {
    report.looked_at += 1;
    if !known {
        return Ok(false);
    }
    if job.seeker(form, Vec::new(), false).is_hopeless() {
        return Ok(true);
    }
    let raw = open(store, class, path)?;
    let (formats, is_ecs) = (formats((class, form), store, &raw)?, is_ecs((class, form), store, &raw)?);
    let settings = settings(class, formats.clone(), policy, &class.raw);
    let mut seeker = job.seeker(form, formats, is_ecs);
    let (mut number, mut unread, mut lines, mut span, mut held) = (0, 0, Vec::new(), None, None);
    let read = store.each_line(&raw, &settings, &mut |line, at| {
        number += 1;
        let whose = seeker.look(line, at);
        unread += u64::from(whose == Whose::Unread);
        if whose == Whose::Theirs && job.is_in_time(at) {
            lines.push(number);
            span = Some(span.map_or((at, at), |(oldest, newest): (Timestamp, Timestamp)| (oldest.min(at), newest.max(at))));
            if held.is_none() {
                held = holds.iter().find(|holding| job.is_wanted(**holding, (class, form), (line, at))).map(|(hold, _)| hold.name.clone());
            }
            if let Some(each) = each {
                each((path, class, form), (number, at), seeker.values(line));
            }
        }
    });
    report.lines += number;
    report.unread += unread;
    if let Some((oldest, newest)) = span {
        report.files.push(Found {
            path: path.clone(),
            class: class.name.clone(),
            form: form.name.clone(),
            lines,
            oldest,
            newest,
            held,
            fate: Fate::Found,
            kept: form.as_ref().clone(),
        });
    }
    read
}
