//! Seal keys beside their files: one that came back ends again, and one whose file is gone ends when all that it wrote is due.

use super::super::catalog::{Item, directories};
use super::{ExpireReport, Fate, open_incident};
use crate::retain::Config;
use crate::retain::evidence::Evidence;
use crate::retain::ledger::{Fault, Hold};
use crate::store::seal::{SealId, SealKey, SealState};
use crate::store::{Cause, Chronicle, Store, StoreError};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// How far behind the last use of a key the time of a record may lie that it sealed: a day and the hour of a clock change.
const AHEAD: SignedDuration = SignedDuration::from_hours(25);

/// A seal key without a file whose time is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealVerdict {
    /// Its name.
    pub id: SealId,
    /// The class of what it sealed; none of a quarantine.
    pub class: Option<String>,
    /// The form of what it sealed.
    pub form: String,
    /// The hold that keeps it.
    pub hold: Option<String>,
    /// What became of it.
    pub fate: Fate,
}

/// Finishes what a crash left, and ends keys again that were destroyed and put back.
pub(super) fn recover(store: &Store, chronicle: &mut Chronicle) -> Result<(), StoreError> {
    store.recover_seals(chronicle)?;
    let restored: BTreeSet<SealId> = store.keychain().list()?.iter().filter(|key| key.state == SealState::Restored).map(|key| key.id).collect();
    if !restored.is_empty() {
        let names: Vec<String> = restored.iter().map(SealId::to_string).collect();
        let note = format!("destroyed and there again, and destroyed once more: the seal key {}", names.join(", "));
        open_incident(chronicle, Fault::Restored, (None, None), Some(&note))?;
        store.end_seals(&restored, chronicle)?;
    }
    Ok(())
}

/// Keys without a file, all of whose records are due by the time when they were written with last.
pub(super) fn over(config: &Config, (store, known): (&Store, &Evidence), items: &[Item], now: Timestamp) -> Result<Vec<SealVerdict>, StoreError> {
    let keys = store.keychain().list()?;
    if !keys.iter().any(|key| key.state == SealState::Held) {
        return Ok(Vec::new());
    }
    let used = in_use(config, store, items);
    let free = keys.into_iter().filter(|key| key.state == SealState::Held && !used.contains(&key.id) && is_due(config, key, now));
    let verdict = |key: SealKey| {
        let covers = |class: &str| known.holds().values().find(|hold| hold.covers(class, (Timestamp::MIN, Timestamp::MAX), now));
        let hold = match &key.class {
            Some(class) => covers(class),
            // Nobody knows of which class a quarantined line is.
            None => config.classes.iter().find_map(|class| covers(&class.name)),
        };
        let hold = hold.map(|hold| hold.name.clone());
        let fate = if hold.is_some() { Fate::Kept } else { Fate::Waits };
        SealVerdict { id: key.id, class: key.class, form: key.form.unwrap_or_default(), hold, fate }
    };
    Ok(free.map(verdict).collect())
}

/// Ends those that no hold keeps.
pub(super) fn end(store: &Store, chronicle: &mut Chronicle, report: &mut ExpireReport) {
    for verdict in report.seals.iter_mut().filter(|verdict| verdict.hold.is_none()) {
        match store.end_seals(&BTreeSet::from([verdict.id]), chronicle) {
            Ok(_) => verdict.fate = Fate::Done,
            Err(error) => {
                verdict.fate = Fate::Failed;
                report.failures.push(error);
            }
        }
    }
}

fn is_due(config: &Config, key: &SealKey, now: Timestamp) -> bool {
    let Some(last) = key.used.map(|used| used.checked_add(AHEAD).unwrap_or(Timestamp::MAX)) else { return false };
    match &key.class {
        Some(name) => config.class(name).is_some_and(|class| {
            let form = class.all_forms().find(|form| Some(&form.name) == key.form.as_ref());
            form.and_then(|form| class.deadline(form, last)).is_some_and(|deadline| deadline <= now)
        }),
        // A quarantine has raw lines, and goes with the raw log that stays longest.
        None => !config.classes.is_empty() && config.classes.iter().all(|class| class.deadline(&class.raw, last).is_some_and(|deadline| deadline <= now)),
    }
}

/// Keys of files that stand, of those that are still written as well.
fn in_use(config: &Config, store: &Store, items: &[Item]) -> BTreeSet<SealId> {
    let mut paths: BTreeSet<PathBuf> = items.iter().map(|item| item.found.path.clone()).collect();
    for directory in directories(config).into_keys() {
        let names = store.place(&directory, Path::new("")).and_then(|place| store.names(&place)).unwrap_or_default();
        paths.extend(names.into_iter().map(|name| directory.join(name)).filter(|path| path.extension().is_some_and(|end| end == "part")));
    }
    let seals = |path: &PathBuf| {
        let place = store.place(path.parent()?, Path::new("")).ok()?;
        store.seals(&store.file(&place, path.file_name()?).ok()?).ok()
    };
    paths.iter().filter_map(seals).flatten().collect()
}

/// Destroys a seal key on a person's word; false if there is none. Refused while a hold covers its class.
pub fn destroy_seal(state: &Path, id: SealId, now: Timestamp) -> Result<bool, StoreError> {
    let store = Store::open(state)?;
    let mut chronicle = Chronicle::open(state, now)?;
    let Some(key) = store.keychain().list()?.into_iter().find(|key| key.id == id && key.state != SealState::Destroyed) else { return Ok(false) };
    let blocks = |hold: &&Hold| key.class.as_ref().is_none_or(|class| hold.class == *class) && hold.covers_time((Timestamp::MIN, Timestamp::MAX), now);
    if key.state == SealState::Held && chronicle.known().holds().values().find(blocks).is_some() {
        let cause = Cause::Refused { why: "a hold covers what this key sealed", remedy: "see `logfade hold list`, and release it first: logfade hold release NAME --reason TEXT" };
        return Err(StoreError { verb: "hold", path: state.to_owned(), cause });
    }
    store.end_seals(&BTreeSet::from([id]), &mut chronicle).map(|gone| !gone.is_empty())
}
