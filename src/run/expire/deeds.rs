//! The plan carried out: forms made, files cut and deleted, each in front of holds, clock and limit as they are at that moment.

use super::{ExpireJob, ExpireReport, FEW, Fate, Standstill};
use crate::retain::ledger::{Deletion, Digest, Hold};
use crate::retain::plan::{Action, Reason, Verdict};
use crate::retain::{Class, Form as Kept, Keep};
use crate::run::catalog::{Item, MAX_LINE, Need, formats, is_made, open, required, settings};
use crate::run::verify::{HELD, VerifyJob, verify};
use crate::scrub::{Policy, Settings};
use crate::store::clock::Reading;
use crate::store::kept::{HeldNets, account};
use crate::store::seal::Keychain;
use crate::store::{Access, Cause, Chronicle, Cutting, Form, Halt, HoldWatch, Making, Place, Reason as Why, Refusal, Store, StoreError};
use ipnet::IpNet;
use jiff::Timestamp;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

/// Everything a deed needs besides the file.
pub(super) struct Scene<'a, 'j> {
    pub(super) job: ExpireJob<'j>,
    pub(super) store: &'a Store,
    /// What the catalog found when this run began.
    pub(super) items: &'a [Item],
    nets: &'a HeldNets,
    pub(super) reading: &'a Reading,
    holds: BTreeMap<String, Hold>,
    watch: RefCell<HoldWatch>,
    /// For reading times.
    policy: &'a Arc<Policy>,
}

/// Carries out what the plan says, file by file; one that fails does not stop the others.
pub(super) fn carry_out(
    job: ExpireJob<'_>,
    (store, chronicle): (&Store, &mut Chronicle),
    (items, nets, reading, policy): (&[Item], &HeldNets, &Reading, &Arc<Policy>),
    report: &mut ExpireReport,
) {
    let mut left = limits(&job, report);
    let mut total = job.limit;
    let watch = RefCell::new(HoldWatch::new(job.state));
    let mut scene = Scene { job, store, items, nets, reading, holds: BTreeMap::new(), watch, policy };
    for item in items {
        let Some(verdict) = report.plan.files.iter().position(|file| file.path == item.found.path) else { continue };
        let Some(file) = report.plan.files.get(verdict).filter(|file| !file.actions.is_empty()).cloned() else { continue };
        if file.actions.contains(&Action::Reopen) {
            // The server was told already, and has not let go.
            mark(report, verdict, Fate::Refused(Refusal::InUse));
            continue;
        }
        let room = left.entry(file.class.clone()).or_insert(usize::MAX);
        if *room == 0 || total == Some(0) {
            report.over_limit += 1;
            mark(report, verdict, Fate::Waits);
            continue;
        }
        let done = chronicle.refresh().map_err(Halt::from).and_then(|()| {
            scene.holds = chronicle.known().holds().clone();
            scene.deed(item, &file, chronicle)
        });
        let fate = match done {
            Ok(()) => {
                *room -= 1;
                total = total.map(|total| total - 1);
                Fate::Done
            }
            Err(Halt::Refused { why, .. }) => Fate::Refused(why),
            Err(Halt::Failed(error)) => {
                report.failures.push(error);
                Fate::Failed
            }
        };
        mark(report, verdict, fate);
        if scene.is_astray() {
            report.standstill = Some(Standstill::Clock(crate::store::clock::Astray::Ahead));
            return;
        }
    }
}

/// Notes what became of a file; what is due and stays is overdue.
fn mark(report: &mut ExpireReport, at: usize, fate: Fate) {
    if let (Some(file), Some(slot)) = (report.plan.files.get_mut(at), report.fates.get_mut(at)) {
        *slot = fate;
        let reason = match fate {
            Fate::Done | Fate::Kept => return,
            Fate::Waits | Fate::Failed => file.reason,
            Fate::Refused(Refusal::InUse | Refusal::Changed) => Reason::InUse,
            Fate::Refused(Refusal::Stopped) => Reason::Held,
            Fate::Refused(Refusal::Vanished) => Reason::Vanished,
            Fate::Refused(Refusal::NotPlain | Refusal::Damaged | Refusal::Unproven | Refusal::Mismatch | Refusal::Leak | Refusal::Taken) => Reason::Unproven,
        };
        file.reason = reason;
        report.plan.overdue += usize::from(!file.overdue);
        file.overdue = true;
    }
}

/// How many files of each class may go.
fn limits(job: &ExpireJob<'_>, report: &ExpireReport) -> BTreeMap<String, usize> {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    if job.yes || job.limit.is_some() {
        return count;
    }
    for file in &report.plan.files {
        *count.entry(file.class.clone()).or_default() += 1;
    }
    count.values_mut().for_each(|files| *files = FEW.max(files.div_ceil(4)));
    count
}

impl Scene<'_, '_> {
    /// Whether the clock was set while this ran.
    fn is_astray(&self) -> bool {
        (self.job.clock)().against(Some(self.reading), None).is_some()
    }

    fn deed(&mut self, item: &Item, file: &Verdict, chronicle: &mut Chronicle) -> Result<(), Halt> {
        let gone = || Halt::Refused { why: Refusal::Vanished, path: file.path.clone() };
        let class = self.job.config.class(&file.class).ok_or_else(gone)?;
        let form = class.all_forms().find(|form| form.name == file.form).ok_or_else(gone)?;
        let raw = open(self.store, class, &file.path)?;
        if Some(raw.identity()) != item.identity {
            return Err(Halt::Refused { why: Refusal::Changed, path: file.path.clone() });
        }
        let is_raw = form.name == class.raw.name;
        let before = match &item.survey {
            Some(survey) if is_raw => self.grown(class, (&raw, survey), chronicle.known())?,
            Some(_) | None => Vec::new(),
        };
        if !before.is_empty() && self.is_held(&class.name) {
            // Old lines would stand twice.
            return Err(Halt::Refused { why: Refusal::Stopped, path: file.path.clone() });
        }
        if file.actions.contains(&Action::Scrub) {
            self.store.quiet(&raw, self.reading.wall)?;
            self.scrub(class, item, &raw, chronicle)?;
        }
        if is_raw {
            // Also where the plan saw one: a day may lack one of its files.
            self.tables(class, item, &raw, chronicle)?;
        }
        if let (Some(survey), false) = (&item.survey, before.is_empty()) {
            self.outgrow(class, (&raw, survey), &before, chronicle)?;
        }
        let needed = class.forms.iter().filter(|form| is_raw && matches!(required(class, form), Need::File | Need::Tables));
        let needed: Vec<_> = needed.filter_map(|form| Some((form.name.as_str(), form.directory()?))).collect();
        // Of a form that the ledger knows, nothing was read so far.
        let formats = if file.actions.contains(&Action::Split) && item.formats.is_empty() { formats((class, form), self.store, &raw)? } else { item.formats.clone() };
        let why = Why { class: &file.class, form: &file.form, required: &needed, deadline: file.deadline, by_hand: None };
        let proven = self.store.prove(raw, why, (chronicle.known(), self.reading.wall))?;
        let boundary = class.boundary(form, self.job.now);
        let due = item.found.span.map_or((Timestamp::MIN, Timestamp::MAX), |(oldest, newest)| (oldest, boundary.map_or(newest, |boundary| boundary.min(newest))));
        let covering = self.covering(&file.class, due, is_raw);
        let whole_holds = covering.iter().any(|hold| self.wanted(hold).is_none());
        if file.actions.contains(&Action::Split) {
            let boundary = boundary.ok_or_else(gone)?;
            let nets: Vec<(&Hold, &[IpNet])> = covering.iter().map(|hold| (hold, self.wanted(hold).unwrap_or_default())).collect();
            let settings = settings(class, formats, &self.policy(form), form);
            let blur = form.blur();
            let mut stays = |line: &[u8], at: Timestamp| at.checked_add(blur).unwrap_or(Timestamp::MAX) >= boundary || nets.iter().any(|(hold, nets)| wants(hold, nets, line, at));
            let access = (file.reason == Reason::Held).then_some(Access { mode: 0o600, user: None, group: None });
            let seal = form.seal || file.reason == Reason::Held && Keychain::is_wanted(self.job.state);
            let cutting = Cutting { settings: &settings, at: boundary, erased: false, stays: &mut stays, access, seal };
            self.store.split(proven, cutting, &mut |deletion| !whole_holds && self.is_open(deletion), chronicle)?;
        } else {
            self.store.delete(proven, &mut |deletion| covering.is_empty() && self.is_open(deletion), chronicle)?;
        }
        Ok(())
    }

    /// Whether a hold on a whole class, of whatever time, is open.
    pub(super) fn is_held(&self, class: &str) -> bool {
        !self.covering(class, (Timestamp::MIN, Timestamp::MAX), false).is_empty()
    }

    /// Asked directly in front of a deletion.
    pub(super) fn is_open(&self, deletion: &Deletion) -> bool {
        !self.is_astray() && !self.held_meanwhile(deletion)
    }

    /// A hold that somebody else wrote since the plan was made.
    fn held_meanwhile(&self, deletion: &Deletion) -> bool {
        // What cannot be read says nothing against a hold.
        let Ok(fresh) = self.watch.borrow_mut().holds().cloned() else { return true };
        fresh.values().any(|hold| hold.class == deletion.class && self.holds.get(&hold.name) != Some(hold))
    }

    /// The networks of a hold on addresses. One whose list is lost, or is another than the ledger's, holds everything.
    fn wanted(&self, hold: &Hold) -> Option<&[IpNet]> {
        wanted(hold, self.nets, self.store)
    }

    /// Holds that cover the due part of a file.
    fn covering(&self, class: &str, span: (Timestamp, Timestamp), is_raw: bool) -> Vec<Hold> {
        self.holds.values().filter(|hold| (is_raw || hold.addresses.is_none()) && hold.covers(class, span, self.job.now)).cloned().collect()
    }

    fn policy(&self, form: &Kept) -> Arc<Policy> {
        match &form.keep {
            Keep::Clean(policy) => Arc::clone(policy),
            Keep::Raw | Keep::Aggregate { .. } => Arc::clone(self.policy),
        }
    }

    /// Makes the forms that are missing.
    fn scrub(&mut self, class: &Class, item: &Item, raw: &crate::store::Raw, chronicle: &mut Chronicle) -> Result<(), Halt> {
        let Some(survey) = &item.survey else { return Err(Halt::Refused { why: Refusal::Damaged, path: raw.path() }) };
        let mut places: Vec<(&Kept, &Arc<Policy>, Place)> = Vec::new();
        for form in class.forms.iter().filter(|form| matches!(required(class, form), Need::File) && !is_made(chronicle.known(), (class, form), survey)) {
            if let (Keep::Clean(policy), Some(directory)) = (&form.keep, form.directory()) {
                places.push((form, policy, self.store.place(directory, Path::new(""))?));
            }
        }
        if places.is_empty() {
            return Ok(());
        }
        let mut forms = Vec::new();
        for (form, policy, place) in &places {
            let places = self.job.places.iter().find(|(of, _)| Arc::ptr_eq(of, policy)).map(|(_, places)| places.clone());
            let settings = Settings { keys: self.job.keys.clone(), places, ..settings(class, item.formats.clone(), policy, form) };
            forms.push(Form {
                name: form.name.clone(),
                settings,
                select: form.select.clone(),
                place,
                access: access(form)?,
                level: form.compress,
                policy: rules(class, form, policy),
                seal: form.seal,
            });
        }
        let mut leaks = |form: &str, raw: &Path, clean: &Path| {
            let policy = places.iter().find(|(kept, ..)| kept.name == form).map(|(_, policy, _)| Arc::clone(policy));
            let except = Vec::new();
            let format = item.formats.first().filter(|_| class.format.is_some()).cloned();
            let job = VerifyJob {
                raw: raw.to_owned(),
                clean: clean.to_owned(),
                more: Vec::new(),
                format,
                policy,
                except,
                max_line: MAX_LINE,
                held: HELD,
                progress: Arc::default(),
                seals: Keychain::of(self.job.state),
            };
            verify(&job).map(|report| report.leaks)
        };
        let making = Making { class: &class.name, forms: &forms, survey, leaks: &mut leaks };
        self.store.scrub(raw, making, chronicle).map(drop)
    }
}

/// The networks of a hold on addresses; none where it holds everything: without addresses, or when their list is not the ledger's.
pub(in crate::run) fn wanted<'a>(hold: &Hold, nets: &'a HeldNets, store: &Store) -> Option<&'a [IpNet]> {
    let nets = nets.of(&hold.name)?;
    let list: Vec<String> = nets.iter().map(ToString::to_string).collect();
    (hold.addresses == Some(store.keyed(list.join("\n").as_bytes()))).then_some(nets)
}

/// Of everything besides the raw bytes that decides about a form.
pub(in crate::run) fn rules(class: &Class, form: &Kept, policy: &Policy) -> Digest {
    let said = format!("{}\n{policy:?}\n{:?}\n{:?}\n{}\n{}", class.format_text, form.layout, form.select, form.compress, env!("CARGO_PKG_VERSION"));
    Digest::of(said.as_bytes())
}

/// Who may read the files of a form.
pub(in crate::run) fn access(form: &Kept) -> Result<Access, Halt> {
    let lookup = |names: &str, wanted: &Option<String>| match wanted {
        None => Ok(None),
        Some(name) => account(names, name).map(Some).ok_or_else(|| {
            let cause = Cause::Refused { why: "owner or group of a form is not known on this machine", remedy: "add the account, or change `owner` or `group`" };
            Halt::Failed(StoreError { verb: "read", path: names.into(), cause })
        }),
    };
    Ok(Access { mode: form.mode, user: lookup("/etc/passwd", &form.owner)?, group: lookup("/etc/group", &form.group)? })
}

/// Whether a hold wants a record: of its time, and with one of its addresses anywhere in it.
pub(in crate::run) fn wants(hold: &Hold, nets: &[IpNet], line: &[u8], at: Timestamp) -> bool {
    hold.from.is_none_or(|from| from <= at) && hold.to.is_none_or(|to| at <= to) && (hold.addresses.is_none() || has_address(line, nets))
}

/// Whether an address of these networks stands in a line, as text, with or without a port.
fn has_address(line: &[u8], nets: &[IpNet]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
    line.split(|byte| !is_part(byte)).filter(|word| word.len() > 1).any(|word| {
        let Ok(word) = std::str::from_utf8(word) else { return false };
        let word = word.trim_matches('.');
        let whole = word.trim_end_matches(':').parse::<IpAddr>().ok();
        let socket = || word.rsplit_once(':').and_then(|(addr, _port)| addr.parse::<IpAddr>().ok());
        [whole, socket()].into_iter().flatten().map(|addr| addr.to_canonical()).any(|addr| nets.iter().any(|net| net.contains(&addr)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_wherever_they_stand() {
        let nets: Vec<IpNet> = vec!["203.0.113.7/32".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        for line in ["203.0.113.7 - -", "x \"203.0.113.7:4711\"", "::ffff:203.0.113.7 -", "[2001:db8::1]:80 -", "2001:DB8:0::9 -", "for=203.0.113.7, x", "10.0.0.1, 203.0.113.7"] {
            assert!(has_address(line.as_bytes(), &nets), "{line}");
        }
        for line in ["203.0.113.70 - -", "203.0.113.8 -", "2001:db9::1 -", "1203.0.113.7 -", "10:00:00 -", ""] {
            assert!(!has_address(line.as_bytes(), &nets), "{line}");
        }
    }
}
