//! A clean file that is being made: complete, synced and under its final name, or not there at all.
//!
//! It grows under a hidden name and a lock. Whatever kills the process leaves that name without its lock, and the next run takes
//! it away. Rename never replaces a file that was not handed over as ours.

use super::ledger_key::{Hasher, LedgerKey};
use super::seek::SeekTable;
use super::sink::{Encoder, Frame};
use super::{Cause, StoreError, sync_directory};
use crate::retain::ledger::Keyed;
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

const FRONT: &[u8] = b".logfade-";
const BACK: &[u8] = b".part";

/// What may stand under the final name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// Nothing, or exactly these bytes from a run that was killed before it could say so.
    Free,
    /// A file of ours with this digest, which the new one replaces.
    Ours(Keyed),
}

/// A finished file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Of its bytes.
    pub digest: Keyed,
    /// Its size.
    pub bytes: u64,
}

/// A clean file on its way. Dropped unfinished, it is gone.
pub struct Draft {
    dir: OwnedFd,
    file: File,
    hidden: OsString,
    name: OsString,
    path: PathBuf,
    key: LedgerKey,
    hasher: Hasher,
    bytes: u64,
    seek: SeekTable,
}

impl Draft {
    /// Begins the file, and makes the directories that lead to it with mode 0750. The file's mode is 0640.
    pub fn begin(path: &Path, key: &LedgerKey) -> Result<Self, StoreError> {
        let parent = path.parent().unwrap_or_else(|| Path::new("."));
        make_directories(parent)?;
        let failed = |errno: Errno| StoreError::io("open", path)(errno.into());
        let dir = rustix::fs::open(parent, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
        let name = path.file_name().unwrap_or_default().to_owned();
        let hidden = hidden(&name);
        let busy = || StoreError { verb: "write", path: path.to_owned(), cause: Cause::Refused { why: "another run is writing this file", remedy: "wait until it has ended" } };
        for _ in 0..100 {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match rustix::fs::openat(&dir, &hidden, flags, Mode::from_raw_mode(0o640)) {
                Ok(fd) => {
                    let file = File::from(fd);
                    // Another run may have taken it for a left-over before it was locked.
                    if file.try_lock().is_ok() && is_at(&dir, &hidden, &file) {
                        return Ok(Self { dir, file, hidden, name, path: path.to_owned(), hasher: key.hasher(), key: key.clone(), bytes: 0, seek: SeekTable::default() });
                    }
                }
                Err(Errno::EXIST) => match sweep_one(&dir, &hidden) {
                    Ok(true) => {}
                    Ok(false) => return Err(busy()),
                    Err(error) => return Err(StoreError::io("open", path)(error)),
                },
                Err(errno) => return Err(failed(errno)),
            }
        }
        Err(busy())
    }

    /// Appends an encoded frame.
    pub fn write_frame(&mut self, frame: &Frame) -> Result<(), StoreError> {
        frame.note(&mut self.seek);
        self.put(frame.as_bytes())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(StoreError::io("write", &self.path))?;
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Ends it with a seek table, syncs it, gives it its name and syncs the directory. A file without a line is one empty frame.
    pub fn finish(mut self, ground: Ground) -> Result<Finished, StoreError> {
        if self.bytes == 0 {
            self.put(&Encoder::empty()?)?;
        }
        let table = std::mem::take(&mut self.seek).finish();
        self.put(&table)?;
        self.file.sync_all().map_err(StoreError::io("sync", &self.path))?;
        let finished = Finished { digest: self.hasher.clone().finish(), bytes: self.bytes };
        let refused = |why, remedy| Err(StoreError { verb: "write", path: self.path.clone(), cause: Cause::Refused { why, remedy } });
        let failed = |errno: Errno| StoreError::io("rename", &self.path)(errno.into());
        match (self.standing()?, ground) {
            (None, _) => rustix::fs::renameat_with(&self.dir, &self.hidden, &self.dir, &self.name, RenameFlags::NOREPLACE).map_err(failed)?,
            // The draft goes when it is dropped.
            (Some(there), _) if there == finished.digest => {}
            (Some(there), Ground::Ours(ours)) if there == ours => rustix::fs::renameat(&self.dir, &self.hidden, &self.dir, &self.name).map_err(failed)?,
            (Some(_), Ground::Ours(_)) => return refused("this file was changed since logfade wrote it", "move it away, and run again"),
            (Some(_), Ground::Free) => return refused("this file was not written by logfade, or by another policy, and is not replaced", "move it away, or choose another --out"),
        }
        rustix::fs::fsync(&self.dir).map_err(|errno| StoreError::io("sync", &self.path)(errno.into()))?;
        Ok(finished)
    }

    /// The digest of what stands under the final name, synced.
    fn standing(&self) -> Result<Option<Keyed>, StoreError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let failed = || StoreError::io("read", &self.path);
        let file = match rustix::fs::openat(&self.dir, &self.name, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(failed()(errno.into())),
        };
        let digest = digest(&file, &self.key).map_err(failed())?;
        file.sync_all().map_err(failed())?;
        Ok(Some(digest))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if is_at(&self.dir, &self.hidden, &self.file) {
            // What cannot be taken away now is taken away by the next run.
            let _next_run = rustix::fs::unlinkat(&self.dir, &self.hidden, AtFlags::empty());
        }
    }
}

/// The digest of a file under a name, and its size; none if there is no regular file.
pub fn digest_at(path: &Path, key: &LedgerKey) -> Result<Option<Keyed>, StoreError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => digest(&File::from(fd), key).map(Some).map_err(StoreError::io("read", path)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(StoreError::io("open", path)(errno.into())),
    }
}

/// Takes a file that does not read back out of sight; the next run takes it away.
pub fn withdraw(path: &Path) -> Result<(), StoreError> {
    let failed = |errno: Errno| StoreError::io("withdraw", path)(errno.into());
    rustix::fs::rename(path, path.with_file_name(hidden(path.file_name().unwrap_or_default()))).map_err(failed)
}

/// Takes away a clean file of ours whose lines stand in another one.
pub fn retire(path: &Path) -> Result<(), StoreError> {
    match rustix::fs::unlink(path) {
        Ok(()) | Err(Errno::NOENT) => sync_directory(path.parent().unwrap_or_else(|| Path::new("."))),
        Err(errno) => Err(StoreError::io("remove", path)(errno.into())),
    }
}

fn digest(mut file: &File, key: &LedgerKey) -> io::Result<Keyed> {
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("this is no regular file"));
    }
    let mut hasher = key.hasher();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(buffer.get(..count).unwrap_or_default()),
        }
    }
}

/// A hidden name for a name, never longer than the file system allows.
fn hidden(name: &OsStr) -> OsString {
    let digest = crate::retain::ledger::Digest::of(name.as_bytes()).to_string();
    let mut hidden = OsString::from(OsStr::from_bytes(FRONT));
    hidden.push(digest.get(..16).unwrap_or_default());
    hidden.push(OsStr::from_bytes(BACK));
    hidden
}

fn is_at(dir: &OwnedFd, name: &OsStr, file: &File) -> bool {
    match (rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW), file.metadata()) {
        (Ok(there), Ok(ours)) => (there.st_dev, there.st_ino) == (ours.dev(), ours.ino()),
        _ => false,
    }
}

/// Takes a left-over away; false if a living run holds it.
fn sweep_one(dir: &OwnedFd, name: &OsStr) -> io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::openat(dir, name, flags, Mode::empty()) {
        Ok(fd) => File::from(fd),
        Err(Errno::NOENT) => return Ok(true),
        Err(errno) => return Err(errno.into()),
    };
    match file.try_lock() {
        Ok(()) if is_at(dir, name, &file) => rustix::fs::unlinkat(dir, name, AtFlags::empty())?,
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(false),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    Ok(true)
}

/// Takes away what killed runs left in a directory.
pub fn sweep(directory: &Path) -> Result<(), StoreError> {
    let failed = || StoreError::io("clear", directory);
    let dir = match rustix::fs::open(directory, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
        Ok(dir) => dir,
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(failed()(errno.into())),
    };
    let mut below = Vec::new();
    for entry in rustix::fs::Dir::read_from(&dir).map_err(|errno| failed()(errno.into()))? {
        let entry = entry.map_err(|errno| failed()(errno.into()))?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        let bytes = name.as_bytes();
        if bytes.len() == FRONT.len() + 16 + BACK.len() && bytes.starts_with(FRONT) && bytes.ends_with(BACK) {
            sweep_one(&dir, name).map_err(failed())?;
        } else if !bytes.starts_with(b".") && directory.join(name).symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
            below.push(directory.join(name));
        }
    }
    below.iter().try_for_each(|directory| sweep(directory))
}

/// Makes a directory and what leads to it with mode 0750, each name made durable.
pub fn make_directories(path: &Path) -> Result<(), StoreError> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().unwrap_or_else(|| Path::new("/"));
    make_directories(parent)?;
    match DirBuilder::new().mode(0o750).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(StoreError::io("make", path)(error)),
        Ok(()) | Err(_) => sync_directory(parent),
    }
}
