//! A directory that only its owner can read, and the files in it: made whole or not at all, destroyed before they are unlinked.

use super::super::{Cause, StoreError};
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, RawDir, RenameFlags, Stat, Timespec, Timestamps};
use rustix::io::Errno;
use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A file that is being made. One at a time, because whoever makes one holds the lock.
const NEW: &str = ".new";
/// The other name of a file that is being replaced, until it is destroyed.
const OLD: &str = ".old";
/// Whoever holds a lock on it is alone with the directory.
const LOCK: &str = ".lock";

const READ_ONLY: u32 = 0o400;
const READ_WRITE: u32 = 0o600;

/// An open directory.
pub(in crate::store) struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

/// Nobody else changes the directory while it lives.
pub(in crate::store) struct Lock {
    _file: File,
}

/// The verb of refusals that say: somebody has been here, and keys may be known or put back.
pub(in crate::store) const TRUST: &str = "trust";

pub(in crate::store) fn refused(verb: &'static str, path: &Path, why: &'static str, remedy: &'static str) -> StoreError {
    StoreError { verb, path: path.to_owned(), cause: Cause::Refused { why, remedy } }
}

fn failed(verb: &'static str, path: &Path) -> impl FnOnce(Errno) -> StoreError {
    let error = StoreError::io(verb, path);
    move |errno| error(errno.into())
}

/// The system's word for a symbolic link that `O_NOFOLLOW` met.
fn opened<T>(result: Result<T, Errno>, path: &Path) -> Result<Option<T>, StoreError> {
    match result {
        Ok(opened) => Ok(Some(opened)),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::LOOP | Errno::NOTDIR) => Err(refused(TRUST, path, "a symbolic link, or no directory, stands here", "put the directory or file itself in its place")),
        Err(errno) => Err(failed("open", path)(errno)),
    }
}

fn owned(stat: &Stat, path: &Path) -> Result<(), StoreError> {
    if stat.st_uid == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    Err(refused(TRUST, path, "it belongs to another user", "run logfade as its owner, or give it to the user that logfade runs as"))
}

const fn is_shared(stat: &Stat) -> bool {
    stat.st_mode & 0o077 != 0
}

impl Dir {
    /// Opens a private directory; `None` if nothing is there.
    pub(in crate::store) fn open(path: &Path) -> Result<Option<Self>, StoreError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Some(fd) = opened(rustix::fs::open(path, flags, Mode::empty()), path)? else { return Ok(None) };
        let stat = rustix::fs::fstat(&fd).map_err(failed("read", path))?;
        owned(&stat, path)?;
        if is_shared(&stat) {
            return Err(refused(TRUST, path, "others can look into this directory, and it holds keys", "run chmod 700 on it, and destroy keys that others may have read"));
        }
        Ok(Some(Self { fd, path: path.to_owned() }))
    }

    /// Makes it with mode 0700, and what leads to it, unless it is there; then opens it.
    pub(in crate::store) fn make(path: &Path) -> Result<Self, StoreError> {
        if let Some(dir) = Self::open(path)? {
            return Ok(dir);
        }
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(StoreError::io("make", path))?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent).and_then(|parent| parent.sync_all()).map_err(StoreError::io("sync", parent))?;
        }
        Self::open(path)?.ok_or_else(|| failed("open", path)(Errno::NOENT))
    }

    /// The directory that holds a file of somebody else's choosing: not looked at.
    fn around(path: &Path) -> Result<Self, StoreError> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        let fd = rustix::fs::open(parent, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(failed("open", parent))?;
        Ok(Self { fd, path: parent.to_owned() })
    }

    pub(in crate::store) fn path(&self) -> &Path {
        &self.path
    }

    pub(in crate::store) fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn open_file(&self, name: &str, flags: OFlags, mode: u32) -> Result<OwnedFd, Errno> {
        // Without O_NONBLOCK a FIFO in the place of a file would wait for a writer.
        rustix::fs::openat(&self.fd, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::from_raw_mode(mode))
    }

    /// Waits until nobody else is at work here, and finishes what a crash left.
    pub(in crate::store) fn lock(&self) -> Result<Lock, StoreError> {
        let path = self.at(LOCK);
        let file = self.open_file(LOCK, OFlags::RDWR | OFlags::CREATE, READ_WRITE).map_err(failed("open", &path))?;
        rustix::fs::flock(&file, FlockOperation::LockExclusive).map_err(failed("lock", &path))?;
        // A file that was being made never had a name, and nothing was written under its key.
        self.destroy(NEW)?;
        self.destroy_replaced()?;
        Ok(Lock { _file: File::from(file) })
    }

    /// The bytes of a private file; `None` if nothing is there.
    pub(in crate::store) fn read(&self, name: &str, sizes: RangeInclusive<usize>) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let path = self.at(name);
        let Some(fd) = opened(self.open_file(name, OFlags::RDONLY, 0), &path)? else { return Ok(None) };
        let stat = rustix::fs::fstat(&fd).map_err(failed("read", &path))?;
        owned(&stat, &path)?;
        if !FileType::from_raw_mode(stat.st_mode).is_file() {
            return Err(refused("read", &path, "a key is a regular file, and this is none", "name a regular file"));
        }
        if is_shared(&stat) {
            return Err(refused(TRUST, &path, "others can read this key file", "run chmod 400 on it, and destroy the key if others may have read it"));
        }
        let size = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
        if !sizes.contains(&size) {
            return Err(refused("read", &path, "it has not the size of a key file", "destroy it, or put the key file back that logfade wrote"));
        }
        // A buffer that grows would leave copies behind.
        let mut bytes = Zeroizing::new(vec![0; size]);
        File::from(fd).read_exact(&mut bytes).map_err(StoreError::io("read", &path))?;
        if !bytes.is_empty() && bytes.iter().all(|byte| *byte == 0) {
            return Err(refused(TRUST, &path, "it was overwritten and holds no key", "destroy it: the key is gone"));
        }
        Ok(Some(bytes))
    }

    /// Writes and syncs a file that is not there, without a name that anybody reads.
    fn write_new(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.at(NEW);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let mut file = File::from(self.open_file(NEW, flags, READ_ONLY).map_err(failed("make", &path))?);
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(StoreError::io("write", &path))
    }

    /// Makes a file, whole and synced; `false` if one of that name is there.
    pub(in crate::store) fn create(&self, _alone: &Lock, name: &str, bytes: &[u8]) -> Result<bool, StoreError> {
        let path = self.at(name);
        self.write_new(bytes)?;
        let renamed = match rustix::fs::renameat_with(&self.fd, NEW, &self.fd, name, RenameFlags::NOREPLACE) {
            // A file system without that flag: the lock stands in for it.
            Err(Errno::INVAL | Errno::NOSYS) => match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => Err(Errno::EXIST),
                Err(Errno::NOENT) => rustix::fs::renameat(&self.fd, NEW, &self.fd, name),
                Err(errno) => Err(errno),
            },
            other => other,
        };
        match renamed {
            Ok(()) => self.sync().map(|()| true),
            Err(Errno::EXIST) => self.destroy(NEW).map(|_| false),
            Err(errno) => Err(failed("make", &path)(errno)),
        }
    }

    /// Puts new bytes in the place of a file, and destroys the old ones. There is always one of both under the name.
    pub(in crate::store) fn replace(&self, _alone: &Lock, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.at(name);
        self.write_new(bytes)?;
        rustix::fs::linkat(&self.fd, name, &self.fd, OLD, AtFlags::empty()).map_err(failed("replace", &path))?;
        rustix::fs::renameat(&self.fd, NEW, &self.fd, name).map_err(failed("replace", &path))?;
        self.sync()?;
        self.destroy(OLD).map(drop)
    }

    /// After a crash in [`Dir::replace`]: the old name may still be the file itself, which then stays.
    fn destroy_replaced(&self) -> Result<(), StoreError> {
        let stat = |name: &str| rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW);
        let Ok(old) = stat(OLD) else { return Ok(()) };
        let alive = self.names()?.iter().filter(|name| *name != OLD).any(|name| stat(name).is_ok_and(|other| (other.st_dev, other.st_ino) == (old.st_dev, old.st_ino)));
        if alive {
            return rustix::fs::unlinkat(&self.fd, OLD, AtFlags::empty()).map_err(failed("delete", &self.at(OLD)));
        }
        self.destroy(OLD).map(drop)
    }

    /// Overwrites a file, syncs, unlinks it, syncs the directory; `false` if nothing was there. What is no regular file is
    /// unlinked only. Other links are overwritten with it; copies and snapshots are out of reach.
    pub(in crate::store) fn destroy(&self, name: &str) -> Result<bool, StoreError> {
        let path = self.at(name);
        let fd = match self.open_file(name, OFlags::RDONLY, 0) {
            Ok(fd) => Some(fd),
            Err(Errno::NOENT) => return Ok(false),
            Err(Errno::LOOP) => None,
            Err(errno) => return Err(failed("destroy", &path)(errno)),
        };
        if let Some(fd) = fd {
            let stat = rustix::fs::fstat(&fd).map_err(failed("destroy", &path))?;
            if FileType::from_raw_mode(stat.st_mode).is_file() {
                self.overwrite(&fd, &stat, name)?;
            }
        }
        rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()).map_err(failed("delete", &path))?;
        self.sync().map(|()| true)
    }

    fn overwrite(&self, fd: &OwnedFd, stat: &Stat, name: &str) -> Result<(), StoreError> {
        let path = self.at(name);
        owned(stat, &path)?;
        // Its mode forbids writing even to its owner.
        rustix::fs::fchmod(fd, Mode::from_raw_mode(READ_WRITE)).map_err(failed("destroy", &path))?;
        let writable = self.open_file(name, OFlags::WRONLY, 0).map_err(failed("destroy", &path))?;
        let again = rustix::fs::fstat(&writable).map_err(failed("destroy", &path))?;
        if (again.st_dev, again.st_ino) != (stat.st_dev, stat.st_ino) {
            return Err(refused(TRUST, &path, "it was replaced while it was being destroyed", "see who writes into this directory, and run it again"));
        }
        let mut file = File::from(writable);
        io::copy(&mut io::repeat(0).take(stat.st_size.unsigned_abs()), &mut file).and_then(|_| file.sync_all()).map_err(StoreError::io("overwrite", &path))
    }

    /// Appends whole lines, synced. A last line that a crash cut is no line and goes.
    pub(in crate::store) fn append(&self, _alone: &Lock, name: &str, lines: &[u8]) -> Result<(), StoreError> {
        let path = self.at(name);
        let io = || StoreError::io("write", &path);
        let fd = self.open_file(name, OFlags::RDWR | OFlags::CREATE | OFlags::APPEND, READ_WRITE).map_err(failed("open", &path))?;
        let mut file = File::from(fd);
        let mut before = Vec::new();
        file.read_to_end(&mut before).map_err(io())?;
        let whole = memchr::memrchr(b'\n', &before).map_or(0, |at| at + 1);
        if whole < before.len() {
            file.set_len(whole as u64).map_err(io())?;
        }
        file.write_all(lines).and_then(|()| file.sync_all()).map_err(io())?;
        if before.is_empty() { self.sync() } else { Ok(()) }
    }

    /// The size of a file; nothing if it is not there.
    pub(in crate::store) fn size(&self, name: &str) -> u64 {
        rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).map_or(0, |stat| stat.st_size.unsigned_abs())
    }

    /// Gives a file another name; `false` if it is not there. One of that other name is destroyed first.
    pub(in crate::store) fn rename(&self, _alone: &Lock, from: &str, to: &str) -> Result<bool, StoreError> {
        if rustix::fs::statat(&self.fd, from, AtFlags::SYMLINK_NOFOLLOW).is_err() {
            return Ok(false);
        }
        self.destroy(to)?;
        rustix::fs::renameat(&self.fd, from, &self.fd, to).map_err(failed("rename", &self.at(from)))?;
        self.sync().map(|()| true)
    }

    /// Lets a file's modification say that it was used now.
    pub(in crate::store) fn touch(&self, name: &str) -> Result<(), StoreError> {
        let at = |nanoseconds| Timespec { tv_sec: 0, tv_nsec: nanoseconds };
        let times = Timestamps { last_access: at(rustix::fs::UTIME_OMIT), last_modification: at(rustix::fs::UTIME_NOW) };
        rustix::fs::utimensat(&self.fd, name, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(failed("touch", &self.at(name)))
    }

    /// Seconds since 1970 of a file's modification; none if it is not there.
    pub(in crate::store) fn modified(&self, name: &str) -> Option<i64> {
        rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).ok().map(|stat| stat.st_mtime)
    }

    /// Names of what is in it, sorted.
    pub(in crate::store) fn names(&self) -> Result<Vec<String>, StoreError> {
        let again = rustix::fs::openat(&self.fd, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(failed("read", &self.path))?;
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut entries = RawDir::new(again.as_fd(), &mut buffer);
        let mut names = Vec::new();
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(failed("read", &self.path))?;
            names.extend(entry.file_name().to_str().ok().map(str::to_owned));
        }
        names.sort_unstable();
        Ok(names)
    }

    fn sync(&self) -> Result<(), StoreError> {
        rustix::fs::fsync(&self.fd).map_err(failed("sync", &self.path))
    }
}

/// A secret file that somebody handed over.
pub(in crate::store) fn read_handed(path: &Path, sizes: RangeInclusive<usize>) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let bytes = Dir::around(path)?.read(file_name(path)?, sizes)?;
    bytes.ok_or_else(|| failed("read", path)(Errno::NOENT))
}

/// Destroys a secret file that was taken over.
pub(in crate::store) fn destroy_handed(path: &Path) -> Result<(), StoreError> {
    Dir::around(path)?.destroy(file_name(path)?).map(drop)
}

/// Writes a secret to a new file of mode 0400.
pub(in crate::store) fn write_handed(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let dir = Dir::around(path)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let fd = match dir.open_file(file_name(path)?, flags, READ_ONLY) {
        Err(Errno::EXIST) => return Err(refused("write", path, "a file is there already", "name a file that is not there: nothing is overwritten")),
        other => other.map_err(failed("write", path))?,
    };
    let mut file = File::from(fd);
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(StoreError::io("write", path))?;
    dir.sync()
}

fn file_name(path: &Path) -> Result<&str, StoreError> {
    path.file_name().and_then(|name| name.to_str()).ok_or_else(|| refused("open", path, "this is no name of a file", "name a file"))
}
