//! `report`: looks at configuration, files, ledger and keys, and changes nothing.

use super::expire::look;
use super::risk::sample;
use crate::report::status::{K, KeysStatus, LedgerStatus, MOST, Sample, SealsStatus, Sources, Status, Volumes};
use crate::retain::evidence::Evidence;
use crate::retain::plan::{Plan, Reason};
use crate::retain::{Config, Keep};
use crate::scrub::Output as Layout;
use crate::store::keys::{KeyState, KeyStore};
use crate::store::ledger::Reader;
use crate::store::seal::{Keychain, SealState};
use crate::store::{Cause, StoreError};
use jiff::Timestamp;
use std::cmp::Reverse;
use std::path::Path;

/// The state at `now`, and what could not be looked at. A ledger that does not hold is part of the state, and no ground to look at files.
pub fn status(config: &Config, state: &Path, now: Timestamp) -> Result<(Status, Vec<StoreError>), StoreError> {
    let reader = Reader::open(state)?;
    let verdict = reader.verify(None)?;
    let ledger = LedgerStatus {
        entries: verdict.chain.entries,
        ok: verdict.broken.is_none(),
        head: verdict.chain.head.to_string(),
        error: verdict.broken.map(|broken| broken.to_string()),
        latest: None,
        verified: Some(now),
    };
    let (mut known, mut volumes) = (Evidence::default(), Volumes::default());
    for line in reader.entries()? {
        match line {
            Ok(line) => {
                known.take(&line);
                volumes.take(&line);
            }
            Err(StoreError { cause: Cause::Broken(_), .. }) => break,
            Err(error) => return Err(error),
        }
    }
    let ledger = LedgerStatus { latest: known.latest(), ..ledger };
    let (looked, failures) = if ledger.ok {
        let seen = look(config, state, (now, now))?;
        (Some(seen.plan), seen.failures)
    } else {
        (None, Vec::new())
    };
    // Gone between looking and here: it takes no place any more.
    let bytes: Vec<u64> = looked.iter().flat_map(|plan| &plan.files).map(|file| file.path.symlink_metadata().map_or(0, |meta| meta.len())).collect();
    let mut failures = failures;
    let samples = looked.as_ref().map_or_else(Vec::new, |plan| samples(config, plan, (&Keychain::of(state), &mut failures)));
    let plan = looked.as_ref().map(|plan| (plan, bytes.as_slice()));
    let status = Status::of(Sources { config, plan, samples, known: &known, volumes, ledger, keys: keys(config, state) }, now);
    Ok((status, failures))
}

/// Measures every clean form on its newest files.
fn samples(config: &Config, plan: &Plan, (keys, failures): (&Keychain, &mut Vec<StoreError>)) -> Vec<(String, String, Sample)> {
    let mut found = Vec::new();
    for (class, form) in config.classes.iter().flat_map(|class| class.forms.iter().map(move |form| (class, form))) {
        if !matches!(form.keep, Keep::Clean(_)) {
            continue;
        }
        let mut files: Vec<_> = plan.files.iter().filter(|file| file.class == class.name && file.form == form.name && file.reason != Reason::Vanished).collect();
        files.sort_by_key(|file| Reverse((file.newest, &file.path)));
        let paths: Vec<&Path> = files.iter().map(|file| file.path.as_path()).collect();
        let format = class.format.as_ref().filter(|_| form.layout == Layout::Same);
        match sample(&paths, format, (K, MOST), keys) {
            Ok(sample) => found.push((class.name.clone(), form.name.clone(), sample)),
            Err(error) => failures.push(error),
        }
    }
    found
}

fn keys(config: &Config, state: &Path) -> KeysStatus {
    match Keychain::of(state).list() {
        Ok(keys) => {
            let of = |wanted: SealState| keys.iter().filter(|key| key.state == wanted).count() as u64;
            let seals = SealsStatus { alive: of(SealState::Held), destroyed: of(SealState::Destroyed), restored: of(SealState::Restored) };
            KeysStatus { seals, ..pseudonyms(config, state) }
        }
        Err(error) => KeysStatus { error: Some(error.to_string()), ..pseudonyms(config, state) },
    }
}

fn pseudonyms(config: &Config, state: &Path) -> KeysStatus {
    if !KeyStore::is_there(state) {
        return KeysStatus { meaning: KeysStatus::meaning(None), ..KeysStatus::default() };
    }
    let inventory = match KeyStore::open(state, config.keys.map(|keys| keys.mode)).and_then(|store| store.list()) {
        Ok(inventory) => inventory,
        Err(error) => return KeysStatus { meaning: "the keys could not be looked at".to_owned(), error: Some(error.to_string()), ..KeysStatus::default() },
    };
    let of = |wanted: KeyState| inventory.periods.iter().filter(|(_, state)| *state == wanted).map(|(period, _)| period.to_string()).collect();
    KeysStatus {
        mode: Some(inventory.mode.name()),
        alive: of(KeyState::Held),
        destroyed: of(KeyState::Destroyed),
        restored: of(KeyState::Restored),
        meaning: KeysStatus::meaning(Some(inventory.mode)),
        ..KeysStatus::default()
    }
}
