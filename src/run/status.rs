//! `report`: looks at configuration, files, ledger and keys, and changes nothing.

use super::expire::look;
use crate::report::status::{KeysStatus, LedgerStatus, Sources, Status, Volumes};
use crate::retain::Config;
use crate::retain::evidence::Evidence;
use crate::store::keys::{KeyState, KeyStore};
use crate::store::ledger::Reader;
use crate::store::{Cause, StoreError};
use jiff::Timestamp;
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
    let plan = looked.as_ref().map(|plan| (plan, bytes.as_slice()));
    let status = Status::of(Sources { config, plan, known: &known, volumes, ledger, keys: keys(config, state) }, now);
    Ok((status, failures))
}

fn keys(config: &Config, state: &Path) -> KeysStatus {
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
        error: None,
    }
}
