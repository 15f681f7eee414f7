//! The key directory: the only place where keys are made, kept and destroyed.
//!
//! Below the state directory (both 0700): `keys/2026-11-22.key`, 32 random bytes for one period of local mode;
//! `keys/fleet.state`, the oldest state still needed of fleet mode; `keys/destroyed.jsonl`, what must never be made again.
//! A destruction is noted as begun, then in the ledger, then done, then noted as done: each start finishes what was begun.
//! Every verb holds the directory's lock, so that two processes make one key and nobody reads half a destroyed one.
//! No error, no `Debug` and no message holds key material.

mod destroyed;
mod end;
mod fleet;
pub(in crate::store) mod private;
mod ring;
mod told;

use super::{Cause, StoreError};
use crate::scrub::{Period, PeriodKey, Ratchet};
use destroyed::Destroyed;
use jiff::{SignedDuration, Timestamp};
use private::{Dir, Lock, TRUST, refused};
use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use told::Told;
use zeroize::Zeroizing;

pub use ring::KeyRing;

/// Below the state directory.
const FOLDER: &str = "keys";
const SUFFIX: &str = ".key";
/// The verb of refusals because of a hold.
const HELD: &str = "hold";

pub use crate::retain::KeyMode;

/// What is known of a period's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It is there.
    Held,
    /// It was destroyed.
    Destroyed,
    /// It was destroyed, and somebody put it back.
    Restored,
}

/// What a key directory holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inventory {
    /// Its mode.
    pub mode: KeyMode,
    /// Periods with a file, and destroyed ones; in fleet mode the first period that can be made and the last destroyed one.
    pub periods: Vec<(Period, KeyState)>,
}

/// What [`KeyStore::export`] writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Export {
    /// The 32 bytes of one period's key.
    Period(Period),
    /// In fleet mode: the oldest state still needed, for a new machine. Never the seed.
    Current,
}

/// An open key directory.
pub struct KeyStore {
    /// Where the ledger is.
    root: PathBuf,
    dir: Dir,
    mode: KeyMode,
}

impl fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyStore").field("path", &self.dir.path()).field("mode", &self.mode).finish()
    }
}

impl KeyStore {
    /// Whether a state directory has a place for keys; what is wrong with it is for [`KeyStore::open`] to say.
    pub fn is_there(state: &Path) -> bool {
        state.join(FOLDER).symlink_metadata().is_ok()
    }

    /// Opens the keys of a state directory and finishes what a crash left. `expected` is the configuration's word.
    pub fn open(state: &Path, expected: Option<KeyMode>) -> Result<Self, StoreError> {
        let store = Self::look(state, expected)?;
        let lock = store.dir.lock()?;
        store.finish_destruction(&lock)?;
        drop(lock);
        Ok(store)
    }

    /// The same for a look ahead: what a crash left stays for the next start.
    pub fn look(state: &Path, expected: Option<KeyMode>) -> Result<Self, StoreError> {
        let missing = || {
            let remedy = "run `logfade keys init`, or `logfade keys init --fleet SEEDFILE` where several machines write the same pseudonyms";
            refused("open", &state.join(FOLDER), "there is no key directory", remedy)
        };
        Dir::open(state)?.ok_or_else(missing)?;
        let dir = Dir::open(&state.join(FOLDER))?.ok_or_else(missing)?;
        let lock = dir.lock()?;
        let mode = if fleet::read(&dir)?.is_some() { KeyMode::Fleet } else { KeyMode::Local };
        if expected.is_some_and(|expected| expected != mode) {
            let remedy = "set keys.mode to the one it was made for, or name another state directory";
            return Err(refused("open", dir.path(), "these keys are of another mode than the configuration says", remedy));
        }
        drop(lock);
        Ok(Self { root: state.to_owned(), dir, mode })
    }

    /// Makes the directories of local mode. Keys are made when they are needed.
    pub fn init_local(state: &Path) -> Result<Self, StoreError> {
        let dir = Self::make(state)?;
        let lock = dir.lock()?;
        if fleet::read(&dir)?.is_some() {
            return Err(refused("make", dir.path(), "these keys are of fleet mode", "name another state directory for local keys"));
        }
        drop(lock);
        Ok(Self { root: state.to_owned(), dir, mode: KeyMode::Local })
    }

    /// Takes over a seed, or the state that another machine exported, and destroys the file. Of the chain only the oldest
    /// state that is needed at `now` stays. Repeating it after a crash finishes it.
    pub fn init_fleet(state: &Path, handed: &Path, now: Timestamp, keep: SignedDuration) -> Result<Self, StoreError> {
        let mut ratchet = Self::take(handed)?;
        let dir = Self::make(state)?;
        let lock = dir.lock()?;
        if dir.names()?.iter().any(|name| name.ends_with(SUFFIX)) {
            return Err(refused("make", dir.path(), "these keys are of local mode", "destroy them with `logfade keys destroy PERIOD`, or name another state directory"));
        }
        let destroyed = Destroyed::read(&dir)?;
        let told = Told::read(state, KeyMode::Fleet)?.destroyed.last().copied();
        let first = destroyed.through.max(destroyed.begun_through).max(told).map(Period::next).max(Some(Period::oldest_kept(now, keep)));
        ratchet.advance_to(first.and_then(Period::day).unwrap_or_default());
        match fleet::read(&dir)? {
            None => {
                dir.create(&lock, fleet::NAME, &fleet::write(&ratchet))?;
            }
            Some(mut known) => {
                known.advance_to(ratchet.day());
                ratchet.advance_to(known.day());
                if known.state() != ratchet.state() {
                    return Err(refused("make", dir.path(), "it holds the keys of another fleet", "name another state directory, or the seed file that it was made from"));
                }
            }
        }
        private::destroy_handed(handed)?;
        drop(lock);
        Ok(Self { root: state.to_owned(), dir, mode: KeyMode::Fleet })
    }

    fn take(handed: &Path) -> Result<Ratchet, StoreError> {
        let bytes = private::read_handed(handed, fleet::SEED).map_err(|error| match error.cause {
            Cause::Refused { why, .. } if why.contains("size") => {
                let remedy = "make one with `head -c 32 /dev/urandom`, under umask 077; at most 4096 bytes";
                refused("read", handed, "a seed has at least 32 bytes", remedy)
            }
            Cause::Refused { .. } | Cause::Io(_) | Cause::Damaged(_) | Cause::Broken(_) => error,
        })?;
        if fleet::is_state(&bytes) {
            return fleet::parse(&bytes).ok_or_else(|| fleet::damaged(handed));
        }
        if bytes.iter().collect::<BTreeSet<_>>().len() < 8 {
            return Err(refused("read", handed, "this is no random seed: it repeats a few bytes", "make one with `head -c 32 /dev/urandom`, under umask 077"));
        }
        Ok(Ratchet::from_seed(&bytes))
    }

    fn make(state: &Path) -> Result<Dir, StoreError> {
        Dir::make(state)?;
        Dir::make(&state.join(FOLDER))
    }

    /// Its mode.
    pub const fn mode(&self) -> KeyMode {
        self.mode
    }

    /// What it holds.
    pub fn list(&self) -> Result<Inventory, StoreError> {
        let _alone = self.dir.lock()?;
        let mut destroyed = Destroyed::read(&self.dir)?;
        let told = Told::read(&self.root, self.mode)?;
        match self.mode {
            KeyMode::Local => destroyed.periods.extend(&told.destroyed),
            KeyMode::Fleet => destroyed.through = destroyed.through.max(told.destroyed.last().copied()),
        }
        let mut periods = Vec::new();
        match self.mode {
            KeyMode::Local => {
                let held = self.files()?;
                periods.extend(destroyed.periods.difference(&held).map(|period| (*period, KeyState::Destroyed)));
                let state = |period| if destroyed.periods.contains(period) { KeyState::Restored } else { KeyState::Held };
                periods.extend(held.iter().map(|period| (*period, state(period))));
            }
            KeyMode::Fleet => {
                let first = Period::from_day(self.state()?.day());
                let restored = destroyed.through.is_some_and(|through| first <= through);
                periods.extend(destroyed.through.filter(|_| !restored).map(|through| (through, KeyState::Destroyed)));
                periods.push((first, if restored { KeyState::Restored } else { KeyState::Held }));
            }
        }
        periods.sort_unstable_by_key(|(period, _)| *period);
        Ok(Inventory { mode: self.mode, periods })
    }

    /// Periods that the ledger knows as destroyed and whose key is here again: what a restored backup of the whole state
    /// directory looks like. The caller refuses to write under any of them.
    pub fn restored(&self, ledger: &BTreeSet<Period>) -> Result<Vec<Period>, StoreError> {
        let _alone = self.dir.lock()?;
        self.again(ledger)
    }

    /// Holds the keys against the ledger, in front of anything that is written under one: returns the periods of
    /// [`KeyStore::restored`], about which an incident is open then. What the ledger alone still knows as destroyed, because
    /// an older key directory was put back, is noted here too, so that it is not made anew.
    pub fn guard(&self, now: Timestamp) -> Result<Vec<Period>, StoreError> {
        let alone = self.dir.lock()?;
        let told = Told::read(&self.root, self.mode)?;
        let restored = self.again(&told.destroyed)?;
        told.accuse(&restored, now)?;
        let destroyed = Destroyed::read(&self.dir)?;
        let forgotten: Vec<Period> = match self.mode {
            KeyMode::Local => told.destroyed.iter().filter(|period| !destroyed.periods.contains(period) && !restored.contains(period)).copied().collect(),
            KeyMode::Fleet => told.destroyed.last().filter(|last| destroyed.through < Some(**last) && restored.is_empty()).copied().into_iter().collect(),
        };
        if !forgotten.is_empty() {
            Destroyed::note(&self.dir, &alone, self.mode, &forgotten, (now, true))?;
        }
        Ok(restored)
    }

    fn again(&self, ledger: &BTreeSet<Period>) -> Result<Vec<Period>, StoreError> {
        match self.mode {
            KeyMode::Local => Ok(self.files()?.intersection(ledger).copied().collect()),
            KeyMode::Fleet => {
                let first = Period::from_day(self.state()?.day());
                Ok(ledger.range(first..).copied().collect())
            }
        }
    }

    /// Looks at every key that is here: one that others can read, or that was put back after its end, is refused before
    /// anything is written under any.
    pub fn sound(&self) -> Result<(), StoreError> {
        let _alone = self.dir.lock()?;
        let destroyed = Destroyed::read(&self.dir)?;
        let periods = match self.mode {
            KeyMode::Local => self.files()?,
            KeyMode::Fleet => BTreeSet::from([Period::from_day(self.state()?.day())]),
        };
        periods.into_iter().try_for_each(|period| self.bytes(period, &destroyed).map(drop))
    }

    /// The key for records of a period, made if this is local mode and its time. `None`: destroyed, or outside `keep`.
    pub fn period_key(&self, period: Period, now: Timestamp, keep: SignedDuration) -> Result<Option<PeriodKey>, StoreError> {
        if !period.is_kept(now, keep) {
            return Ok(None);
        }
        let alone = self.dir.lock()?;
        let destroyed = Destroyed::read(&self.dir)?;
        if let Some(bytes) = self.bytes(period, &destroyed)? {
            return Ok(Some(PeriodKey::from_bytes(&bytes)));
        }
        if self.never_makes(period, &destroyed) {
            return Ok(None);
        }
        let bytes = self.random(period)?;
        if !self.dir.create(&alone, &file_of(period), &*bytes)? {
            return Ok(self.bytes(period, &destroyed)?.map(|bytes| PeriodKey::from_bytes(&bytes)));
        }
        Ok(Some(PeriodKey::from_bytes(&bytes)))
    }

    /// The key that [`KeyStore::period_key`] would give. One that it would make is made here as well, and kept nowhere.
    pub fn trial_key(&self, period: Period, now: Timestamp, keep: SignedDuration) -> Result<Option<PeriodKey>, StoreError> {
        if !period.is_kept(now, keep) {
            return Ok(None);
        }
        let _alone = self.dir.lock()?;
        let destroyed = Destroyed::read(&self.dir)?;
        match self.bytes(period, &destroyed)? {
            Some(bytes) => Ok(Some(PeriodKey::from_bytes(&bytes))),
            None if self.never_makes(period, &destroyed) => Ok(None),
            None => Ok(Some(PeriodKey::from_bytes(&*self.random(period)?))),
        }
    }

    fn never_makes(&self, period: Period, destroyed: &Destroyed) -> bool {
        self.mode == KeyMode::Fleet || destroyed.periods.contains(&period) || destroyed.begun.contains(&period)
    }

    fn random(&self, period: Period) -> Result<Zeroizing<[u8; 32]>, StoreError> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes).map_err(|error| StoreError::io("make", &self.dir.at(&file_of(period)))(error.into()))?;
        Ok(bytes)
    }

    /// The key of a period if it is there: nothing is made, and `keep` does not matter to its holder.
    pub fn held_key(&self, period: Period, now: Timestamp) -> Result<Option<PeriodKey>, StoreError> {
        Ok(self.held_bytes(period, now)?.map(|bytes| PeriodKey::from_bytes(&bytes)))
    }

    /// Every key that is here, of the newest 1,100 days at most. Nothing is made.
    pub fn held(&self, now: Timestamp) -> Result<Vec<(Period, PeriodKey)>, StoreError> {
        let periods: Vec<Period> = match self.mode {
            KeyMode::Local => self.files()?.into_iter().collect(),
            KeyMode::Fleet => {
                let last = Period::of(now).day().unwrap_or_default();
                let first = self.state()?.day().max(last.saturating_sub(1100));
                (first..=last.saturating_add(1)).map(Period::from_day).collect()
            }
        };
        let mut held = Vec::new();
        for period in periods {
            held.extend(self.held_key(period, now)?.map(|key| (period, key)));
        }
        Ok(held)
    }

    fn held_bytes(&self, period: Period, now: Timestamp) -> Result<Option<Zeroizing<[u8; 32]>>, StoreError> {
        let _alone = self.dir.lock()?;
        // A chain has a key for every day to come; none of them is anybody's yet.
        if period > Period::of(now).next() {
            return Ok(None);
        }
        self.bytes(period, &Destroyed::read(&self.dir)?)
    }

    fn bytes(&self, period: Period, destroyed: &Destroyed) -> Result<Option<Zeroizing<[u8; 32]>>, StoreError> {
        match self.mode {
            KeyMode::Local => {
                let name = file_of(period);
                let Some(read) = self.dir.read(&name, 32..=32)? else { return Ok(None) };
                if destroyed.periods.contains(&period) {
                    return Err(restored(&self.dir.at(&name)));
                }
                if destroyed.begun.contains(&period) {
                    return Ok(None);
                }
                let mut bytes = Zeroizing::new([0; 32]);
                bytes.copy_from_slice(&read);
                Ok(Some(bytes))
            }
            KeyMode::Fleet => {
                let state = self.state()?;
                let first = Period::from_day(state.day());
                if destroyed.through.is_some_and(|through| first <= through) {
                    return Err(restored(&self.dir.at(fleet::NAME)));
                }
                if destroyed.begun_through.is_some_and(|through| period <= through) {
                    return Ok(None);
                }
                Ok(state.key_bytes(period))
            }
        }
    }

    /// Writes key material to a new file of mode 0400, or to standard output if that is no terminal.
    pub fn export(&self, what: Export, to: Option<&Path>, (now, keep): (Timestamp, SignedDuration)) -> Result<(), StoreError> {
        let bytes = match what {
            Export::Period(period) => self.held_bytes(period, now)?.map(|bytes| Zeroizing::new(bytes.to_vec())),
            Export::Current => self.current(now, keep)?,
        };
        let bytes =
            bytes.ok_or_else(|| refused("export", self.dir.path(), "there is no such key", "`logfade keys list` shows what there is; only fleet mode has a current state"))?;
        let Some(path) = to else {
            let (path, mut stdout) = (Path::new("stdout"), io::stdout());
            if stdout.is_terminal() {
                return Err(refused("write", path, "a key does not belong on a terminal", "name a file with -o, or send the output to one"));
            }
            return stdout.write_all(&bytes).and_then(|()| stdout.flush()).map_err(StoreError::io("write", path));
        };
        private::write_handed(path, &bytes)
    }

    fn current(&self, now: Timestamp, keep: SignedDuration) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        if self.mode == KeyMode::Local {
            return Ok(None);
        }
        let _alone = self.dir.lock()?;
        let mut state = self.state()?;
        if Destroyed::read(&self.dir)?.through.is_some_and(|through| Period::from_day(state.day()) <= through) {
            return Err(restored(&self.dir.at(fleet::NAME)));
        }
        // Not more of the past than is needed.
        state.advance_to(Period::oldest_kept(now, keep).day().unwrap_or_default());
        Ok(Some(fleet::write(&state)))
    }

    /// Changes when a key is destroyed, by whatever process.
    fn revision(&self) -> u64 {
        self.dir.size(destroyed::NAME)
    }

    fn state(&self) -> Result<Ratchet, StoreError> {
        fleet::read(&self.dir)?.ok_or_else(|| refused("read", &self.dir.at(fleet::NAME), "the fleet state is gone", "take it over again with `logfade keys init --fleet`"))
    }

    /// Periods with a key file.
    fn files(&self) -> Result<BTreeSet<Period>, StoreError> {
        Ok(self.dir.names()?.iter().filter_map(|name| name.strip_suffix(SUFFIX)?.parse().ok()).collect())
    }
}

fn file_of(period: Period) -> String {
    format!("{period}{SUFFIX}")
}

fn restored(path: &Path) -> StoreError {
    let remedy = "destroy it again with `logfade keys destroy`, and see who restored it: pseudonyms of a destroyed key are not to be made again";
    refused(TRUST, path, "this key was destroyed, and somebody put it back", remedy)
}

#[cfg(test)]
mod tests;
