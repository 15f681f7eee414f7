//! The ledger's own key: digests of files under it say nothing to whoever could guess what stood in them.

use super::{Cause, StoreError, ledger, sync_directory};
use crate::retain::ledger::Keyed;
use hmac::{Hmac, KeyInit, Mac};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use sha2::Sha256;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use zeroize::Zeroizing;

/// Its name in the state directory.
const NAME: &str = "ledger.key";

/// The key of a state directory.
#[derive(Clone)]
pub struct LedgerKey {
    keyed: Hmac<Sha256>,
}

impl LedgerKey {
    /// The key that is there; else one that is forgotten again, under which nothing is recognised.
    pub fn existing(state: &Path) -> Result<Self, StoreError> {
        if state.join(NAME).exists() {
            return Self::open(state);
        }
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut()).map_err(|error| StoreError::io("make", state)(error.into()))?;
        Ok(Self { keyed: keyed(&key) })
    }

    /// Reads the key, or makes it: 32 bytes from the operating system, mode 0400. Refuses one that others can read.
    pub fn open(state: &Path) -> Result<Self, StoreError> {
        ledger::state(state)?;
        let path = state.join(NAME);
        if !path.exists() {
            make(state, &path)?;
        }
        let failed = || StoreError::io("read", &path);
        let refused = |why, remedy| StoreError { verb: "read", path: path.clone(), cause: Cause::Refused { why, remedy } };
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut file = rustix::fs::open(&path, flags, Mode::empty()).map(File::from).map_err(|errno| failed()(errno.into()))?;
        let meta = file.metadata().map_err(failed())?;
        if meta.mode() & 0o077 != 0 {
            return Err(refused("others can read the key of the ledger", "run chmod 400 on it; whoever has it can test guesses against the ledger's digests"));
        }
        if !meta.is_file() || meta.len() != 32 {
            return Err(refused("this is no key of 32 bytes", "put the right file back: with another key no file is recognised"));
        }
        let mut key = Zeroizing::new([0; 32]);
        file.read_exact(key.as_mut()).map_err(failed())?;
        Ok(Self { keyed: keyed(&key) })
    }

    /// Its name in the state directory.
    pub(in crate::store) const NAME: &str = NAME;

    /// A key that nothing is kept under.
    pub(in crate::store) fn passing() -> Self {
        Self { keyed: keyed(&[0; 32]) }
    }

    #[cfg(test)]
    pub(in crate::store) fn of(key: [u8; 32]) -> Self {
        Self { keyed: keyed(&key) }
    }

    /// Begins a digest.
    pub fn hasher(&self) -> Hasher {
        Hasher { keyed: self.keyed.clone() }
    }

    /// The digest of bytes that are at hand.
    pub fn digest(&self, bytes: &[u8]) -> Keyed {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.finish()
    }
}

/// A digest on its way.
#[derive(Clone)]
pub struct Hasher {
    keyed: Hmac<Sha256>,
}

impl Hasher {
    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.keyed.update(bytes);
    }

    /// The digest of all of them.
    pub fn finish(self) -> Keyed {
        Keyed(self.keyed.finalize().into_bytes().into())
    }
}

/// RFC 2104 fills a short key up to the block's 64 bytes with zeros.
fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    let mut block = Zeroizing::new([0; 64]);
    for (slot, byte) in block.iter_mut().zip(key) {
        *slot = *byte;
    }
    Hmac::new((&*block).into())
}

/// Whole or not at all; when two make it at once, the first one counts.
fn make(state: &Path, path: &Path) -> Result<(), StoreError> {
    let failed = StoreError::io("make", path);
    let mut key = Zeroizing::new([0; 32]);
    let mut salt = [0; 8];
    if let Err(error) = getrandom::fill(key.as_mut()).and_then(|()| getrandom::fill(&mut salt)) {
        return Err(failed(error.into()));
    }
    let draft = state.join(format!(".{NAME}.{:016x}", u64::from_ne_bytes(salt)));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut file = rustix::fs::open(&draft, flags, Mode::RUSR).map(File::from).map_err(|errno| StoreError::io("make", &draft)(errno.into()))?;
    file.write_all(key.as_ref()).and_then(|()| file.sync_all()).map_err(failed)?;
    match rustix::fs::renameat_with(CWD, &draft, CWD, path, RenameFlags::NOREPLACE) {
        Ok(()) => {}
        Err(Errno::EXIST) => rustix::fs::unlinkat(CWD, &draft, AtFlags::empty()).map_err(|errno| StoreError::io("make", &draft)(errno.into()))?,
        Err(errno) => return Err(StoreError::io("make", path)(errno.into())),
    }
    sync_directory(state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_key_stays_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let first = LedgerKey::open(&state).unwrap().digest(b"203.0.113.9");
        assert_eq!(LedgerKey::open(&state).unwrap().digest(b"203.0.113.9"), first);
        assert_ne!(LedgerKey::open(&dir.path().join("other")).unwrap().digest(b"203.0.113.9"), first);
        let path = state.join(NAME);
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o400);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o440)).unwrap();
        assert!(LedgerKey::open(&state).is_err());
        assert_eq!(std::fs::read_dir(&state).unwrap().count(), 1, "nothing else is left");
    }
}
