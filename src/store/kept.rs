//! Small files of the state directory: the addresses of holds, and what reading the files of classes found.

use super::clock::replace;
use super::shelf::Survey;
use super::{Cause, StoreError};
use crate::retain::ledger::Identity;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The addresses of holds: beside the ledger, never in it.
const HOLDS: &str = "holds.json";

/// What reading found.
const SURVEYS: &str = "catalog.json";

/// Networks that holds want, by the hold's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HeldNets(BTreeMap<String, Vec<IpNet>>);

impl HeldNets {
    /// Those of a state directory. Refuses a file that others can read.
    pub fn open(state: &Path) -> Result<Self, StoreError> {
        Ok(read(state, HOLDS)?.unwrap_or_default())
    }

    /// The networks of a hold.
    pub fn of(&self, hold: &str) -> Option<&[IpNet]> {
        self.0.get(hold).map(Vec::as_slice)
    }

    /// Takes in those of a hold.
    pub fn add(&mut self, hold: &str, nets: Vec<IpNet>) {
        self.0.insert(hold.to_owned(), nets);
    }

    /// Forgets those of a hold.
    pub fn remove(&mut self, hold: &str) {
        self.0.remove(hold);
    }

    /// Writes them, mode 0600.
    pub fn keep(&self, state: &Path) -> Result<(), StoreError> {
        replace(state, HOLDS, &serde_json::to_vec(self).unwrap_or_default())
    }
}

/// What reading found, by file and by how it was read.
#[derive(Clone, Debug, Default)]
pub struct Surveys {
    before: HashMap<(Identity, String), Survey>,
    now: Vec<(Identity, String, Survey)>,
}

impl Surveys {
    /// Those of a state directory; one that cannot be read is none.
    pub fn open(state: &Path) -> Self {
        let rows: Vec<(Identity, String, Survey)> = read(state, SURVEYS).ok().flatten().unwrap_or_default();
        Self { before: rows.into_iter().map(|(identity, how, survey)| ((identity, how), survey)).collect(), now: Vec::new() }
    }

    /// What was found in a file that has not changed since.
    pub fn find(&mut self, identity: Identity, how: &str) -> Option<Survey> {
        let found = *self.before.get(&(identity, how.to_owned()))?;
        self.now.push((identity, how.to_owned(), found));
        Some(found)
    }

    /// Takes in what was found.
    pub fn add(&mut self, identity: Identity, how: &str, survey: Survey) {
        self.now.push((identity, how.to_owned(), survey));
    }

    /// Writes what was asked for this time; the rest is of files that are gone.
    pub fn keep(&self, state: &Path) -> Result<(), StoreError> {
        replace(state, SURVEYS, &serde_json::to_vec(&self.now).unwrap_or_default())
    }
}

fn read<T: for<'de> Deserialize<'de>>(state: &Path, name: &str) -> Result<Option<T>, StoreError> {
    let path = state.join(name);
    let refused = |why, remedy| StoreError { verb: "read", path: path.clone(), cause: Cause::Refused { why, remedy } };
    match std::fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io("read", &path)(error)),
        Ok(meta) if meta.mode() & 0o077 != 0 || !meta.is_file() => return Err(refused("others can read this file", "run chmod 600 on it")),
        Ok(_) => {}
    }
    let bytes = std::fs::read(&path).map_err(StoreError::io("read", &path))?;
    serde_json::from_slice(&bytes).map(Some).map_err(|_torn| refused("this file is damaged", "restore it from a backup"))
}

/// The number of a user or group by its name or number.
pub fn account(names: &str, wanted: &str) -> Option<u32> {
    let by_name = || {
        let text = std::fs::read_to_string(names).ok()?;
        let line = text.lines().find(|line| line.split(':').next() == Some(wanted))?;
        line.split(':').nth(2)?.parse().ok()
    };
    wanted.parse().ok().or_else(by_name)
}
