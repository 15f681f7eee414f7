//! The seal keys of a state directory: random, never anywhere else, one for each sealed file, destroyed with it.
//!
//! Below the state directory: `seals/0123456789abcdef.key`, an age identity as `age-keygen` writes it, mode 0400. A destruction
//! renames it to `.end`, lets the ledger say so, and then overwrites and unlinks it, so that every start can finish it. What the
//! ledger knows as destroyed is refused wherever it comes from. A key's modification says when it was last written with.

use super::frame::SealId;
use crate::retain::ledger::{Entry, KeyDestroyed, KeyRole};
use crate::store::keys::private::{Dir, TRUST, refused};
use crate::store::ledger::{LEDGER, Reader};
use crate::store::{Cause, StoreError};
use age::secrecy::ExposeSecret;
use age::x25519::{Identity, Recipient};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// Below the state directory.
const FOLDER: &str = "seals";
const SUFFIX: &str = ".key";
/// A key on its way out.
const ENDING: &str = ".end";
/// Bytes of a key file.
const SIZES: std::ops::RangeInclusive<usize> = 74..=4096;
/// The line of a key file that says what it is for.
const OF: &str = "# of: ";

/// Where entries about destroyed keys go: synced when it returns.
pub(in crate::store) type Note<'a> = &'a mut dyn FnMut(Entry) -> Result<(), StoreError>;

/// The public half of a seal key: it writes, and can read nothing.
#[derive(Clone)]
pub struct Seal {
    pub(super) id: SealId,
    pub(super) recipient: Recipient,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Seal").field(&self.id).finish()
    }
}

impl Seal {
    /// The key's name.
    pub const fn id(&self) -> SealId {
        self.id
    }
}

/// What a key is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Use {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    form: String,
}

/// What is known of a seal key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealState {
    /// It is there.
    Held,
    /// It was destroyed.
    Destroyed,
    /// It was destroyed, and somebody put it back.
    Restored,
}

/// A seal key as `keys list` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealKey {
    /// Its name.
    pub id: SealId,
    /// The class of what it seals; none of a quarantine, and of a key that is gone.
    pub class: Option<String>,
    /// The form of what it seals.
    pub form: Option<String>,
    /// Whether it is there.
    pub state: SealState,
    /// When it was last written with; none of a key that is gone.
    pub used: Option<Timestamp>,
    /// Its public half, for the `age` tool.
    pub public: Option<String>,
}

/// Why a sealed file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Gone {
    /// The ledger says that the key was destroyed.
    Destroyed,
    /// The key is not among those of this state directory.
    Elsewhere,
    /// It was destroyed and is there again.
    Restored,
    /// The key file cannot be read, or is not to be trusted.
    Unsound,
}

impl Gone {
    pub(in crate::store) const fn describe(self) -> (&'static str, &'static str) {
        match self {
            Self::Destroyed => {
                ("its seal key was destroyed: nobody can read this file any more", "delete what is left of it; `logfade ledger show --kind key` says when the key ended")
            }
            Self::Elsewhere => ("it is sealed, and its key is not in this state directory", "name the state directory that it was sealed with: --state DIR"),
            Self::Restored => ("its seal key was destroyed, and somebody put it back", "end it again with `logfade expire`, and see who restored it"),
            Self::Unsound => ("its seal key cannot be trusted: others can read it, or it is damaged", "`logfade keys list` says what is wrong with it"),
        }
    }
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.describe().0)
    }
}

impl std::error::Error for Gone {}

/// The seal keys of a state directory. Nothing is read or made before it is needed; clones share what was read.
#[derive(Clone, Default)]
pub struct Keychain(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Option<PathBuf>,
    told: Mutex<Told>,
    #[cfg(test)]
    fuse: Option<Fuse>,
}

#[cfg(test)]
pub(in crate::store) type Fuse = Box<dyn Fn() -> std::io::Result<()> + Send + Sync>;

/// What the ledger says, as of its size.
#[derive(Default)]
struct Told {
    size: u64,
    destroyed: BTreeSet<SealId>,
}

impl fmt::Debug for Keychain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keychain").field(&self.0.state).finish()
    }
}

impl Keychain {
    /// The keys of a state directory.
    pub fn of(state: &Path) -> Self {
        Self(Arc::new(Inner { state: Some(state.to_owned()), ..Inner::default() }))
    }

    /// No keys: what is sealed cannot be read.
    pub fn none() -> Self {
        Self::default()
    }

    #[cfg(test)]
    pub(in crate::store) fn with_fuse(state: &Path, fuse: Fuse) -> Self {
        Self(Arc::new(Inner { state: Some(state.to_owned()), told: Mutex::default(), fuse: Some(fuse) }))
    }

    /// In tests: one more change, which may be the last.
    fn change(&self) -> Result<(), StoreError> {
        #[cfg(test)]
        if let Some(fuse) = &self.0.fuse {
            fuse().map_err(StoreError::io("destroy", Path::new(FOLDER)))?;
        }
        Ok(())
    }

    /// Whether a state directory has keys of any kind, so that a quarantine and what a hold keeps are sealed as well.
    pub fn is_wanted(state: &Path) -> bool {
        super::super::keys::KeyStore::is_there(state) || state.join(FOLDER).symlink_metadata().is_ok()
    }

    fn dir(&self) -> Result<Option<Dir>, StoreError> {
        let Some(state) = &self.0.state else { return Ok(None) };
        // A state directory that others may look into is refused where it holds keys.
        if state.join(FOLDER).symlink_metadata().is_err() {
            return Ok(None);
        }
        match Dir::open(state)? {
            Some(_) => Dir::open(&state.join(FOLDER)),
            None => Ok(None),
        }
    }

    /// Makes a key for one sealed file: of a form of a class, or of a quarantine, which has no class. It is on the disk, synced, before it
    /// is given out.
    pub fn make(&self, class: Option<&str>, form: &str) -> Result<Seal, StoreError> {
        let Some(state) = &self.0.state else {
            return Err(refused("seal", Path::new(FOLDER), "there is no state directory to keep a seal key in", "name one with --state DIR"));
        };
        Dir::make(state)?;
        let dir = Dir::make(&state.join(FOLDER))?;
        let alone = dir.lock()?;
        let identity = Identity::generate();
        let recipient = identity.to_public();
        let of = serde_json::to_string(&Use { class: class.map(str::to_owned), form: form.to_owned() }).unwrap_or_default();
        let secret = identity.to_string();
        loop {
            let id = SealId::random().map_err(StoreError::io("make", dir.path()))?;
            let title = format!("# logfade seal key {id}\n{OF}{of}\n# public key: {recipient}\n");
            let secret = secret.expose_secret().as_bytes();
            // A buffer that grows would leave copies behind.
            let mut text = Zeroizing::new(Vec::with_capacity(title.len() + secret.len() + 1));
            text.extend_from_slice(title.as_bytes());
            text.extend_from_slice(secret);
            text.push(b'\n');
            if !self.destroyed()?.contains(&id) && dir.create(&alone, &file_of(id), &text)? {
                return Ok(Seal { id, recipient });
            }
        }
    }

    /// The public half of a key that is there, to go on writing with.
    pub fn seal(&self, id: SealId) -> Result<Seal, StoreError> {
        match self.identity(id) {
            Ok(identity) => Ok(Seal { id, recipient: identity.to_public() }),
            Err((gone, error)) => Err(error.unwrap_or_else(|| {
                let (why, remedy) = gone.describe();
                refused("seal", &self.0.state.clone().unwrap_or_default().join(FOLDER).join(file_of(id)), why, remedy)
            })),
        }
    }

    /// The key of a frame, or why there is none and what the system says to it.
    pub(super) fn identity(&self, id: SealId) -> Result<Identity, (Gone, Option<StoreError>)> {
        let failed = |error: StoreError| (Gone::Unsound, Some(error));
        let read = match self.dir().map_err(failed)? {
            Some(dir) => read(&dir, id).map_err(failed)?,
            None => None,
        };
        let ended = self.destroyed().map_err(failed)?.contains(&id);
        match (read, ended) {
            (Some(_), true) => Err((Gone::Restored, None)),
            (None, true) => Err((Gone::Destroyed, None)),
            (None, false) => Err((Gone::Elsewhere, None)),
            (Some((identity, _)), false) => Ok(identity),
        }
    }

    /// Every key that is there, for an age file that names none. One that cannot be read is not tried.
    pub(super) fn identities(&self) -> Result<Vec<Identity>, StoreError> {
        let Some(dir) = self.dir()? else { return Ok(Vec::new()) };
        let destroyed = self.destroyed()?;
        let held = names(&dir, SUFFIX)?.into_iter().filter(|id| !destroyed.contains(id));
        Ok(held.filter_map(|id| read(&dir, id).ok().flatten()).map(|(identity, _)| identity).collect())
    }

    /// What the ledger says is destroyed. Read again when it has grown.
    pub(in crate::store) fn destroyed(&self) -> Result<BTreeSet<SealId>, StoreError> {
        let Some(state) = &self.0.state else { return Ok(BTreeSet::new()) };
        let mut told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        let size = state.join(LEDGER).metadata().map_or(0, |meta| meta.len());
        if size != told.size {
            let mut destroyed = BTreeSet::new();
            Reader::open(state)?.fold(&mut |line| {
                if let Entry::Key(KeyDestroyed { role: KeyRole::Seal, period, .. }) = &line.entry {
                    destroyed.extend(period.parse::<SealId>());
                }
            })?;
            *told = Told { size, destroyed };
        }
        Ok(told.destroyed.clone())
    }

    /// Keys that are there or were, by name. One that cannot be trusted is an error.
    pub fn list(&self) -> Result<Vec<SealKey>, StoreError> {
        let destroyed = self.destroyed()?;
        let gone = |id: SealId| (id, SealKey { id, class: None, form: None, state: SealState::Destroyed, used: None, public: None });
        let mut keys: BTreeMap<SealId, SealKey> = destroyed.iter().map(|id| gone(*id)).collect();
        let Some(dir) = self.dir()? else { return Ok(keys.into_values().collect()) };
        for id in names(&dir, SUFFIX)? {
            let Some((identity, of)) = read(&dir, id)? else { continue };
            let state = if destroyed.contains(&id) { SealState::Restored } else { SealState::Held };
            let used = dir.modified(&file_of(id)).and_then(|second| Timestamp::from_second(second).ok());
            keys.insert(id, SealKey { id, class: of.class, form: Some(of.form), state, used, public: Some(identity.to_public().to_string()) });
        }
        Ok(keys.into_values().collect())
    }

    /// Says that a key was written with just now.
    pub(super) fn touch(&self, id: SealId) -> Result<(), StoreError> {
        self.dir()?.map_or(Ok(()), |dir| dir.touch(&file_of(id)))
    }

    /// Destroys keys for good, each with an entry in front of it. One that is not there, or no more, is passed over.
    pub(in crate::store) fn end(&self, ids: &BTreeSet<SealId>, note: Note<'_>) -> Result<Vec<SealId>, StoreError> {
        let mut gone = Vec::new();
        if ids.is_empty() {
            return Ok(gone);
        }
        let Some(dir) = self.dir()? else { return Ok(gone) };
        let alone = dir.lock()?;
        for id in ids {
            self.change()?;
            if dir.rename(&alone, &file_of(*id), &ending(*id))? || dir.modified(&ending(*id)).is_some() {
                self.finish(&dir, *id, note)?;
                gone.push(*id);
            }
        }
        Ok(gone)
    }

    /// Finishes what a crash left of destructions.
    pub(in crate::store) fn recover(&self, note: Note<'_>) -> Result<(), StoreError> {
        let Some(dir) = self.dir()? else { return Ok(()) };
        let _alone = dir.lock()?;
        names(&dir, ENDING)?.into_iter().try_for_each(|id| self.finish(&dir, id, note))
    }

    fn finish(&self, dir: &Dir, id: SealId, note: Note<'_>) -> Result<(), StoreError> {
        if !self.destroyed()?.contains(&id) {
            note(Entry::Key(KeyDestroyed { role: KeyRole::Seal, period: id.to_string(), mode: None }))?;
        }
        self.change()?;
        dir.destroy(&ending(id)).map(drop)
    }
}

fn file_of(id: SealId) -> String {
    format!("{id}{SUFFIX}")
}

fn ending(id: SealId) -> String {
    format!("{id}{ENDING}")
}

fn names(dir: &Dir, suffix: &str) -> Result<BTreeSet<SealId>, StoreError> {
    Ok(dir.names()?.iter().filter_map(|name| name.strip_suffix(suffix)?.parse().ok()).collect())
}

/// A key file, checked: only its owner may read it.
fn read(dir: &Dir, id: SealId) -> Result<Option<(Identity, Use)>, StoreError> {
    let name = file_of(id);
    let Some(bytes) = dir.read(&name, SIZES)? else { return Ok(None) };
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let of = text.lines().find_map(|line| serde_json::from_str(line.strip_prefix(OF)?).ok()).unwrap_or_default();
    let identity = text.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).and_then(|line| line.parse().ok());
    let damaged = || refused(TRUST, &dir.at(&name), "this is no seal key as logfade writes it", "put the key file back that logfade wrote: without it, what it sealed is gone");
    identity.map(|identity| Some((identity, of))).ok_or_else(damaged)
}

/// A sealed file whose key is gone, as an error.
pub(in crate::store) fn gone(path: &Path, gone: Gone) -> StoreError {
    let (why, remedy) = gone.describe();
    let verb = match gone {
        Gone::Destroyed | Gone::Elsewhere => "decode",
        Gone::Restored | Gone::Unsound => TRUST,
    };
    StoreError { verb, path: path.to_owned(), cause: Cause::Refused { why, remedy } }
}
