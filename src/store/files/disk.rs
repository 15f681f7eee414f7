//! The real file system: descriptors instead of paths, so that nobody can swap a directory between two steps.

use super::{Files, Kind, Lease, Look, Owner};
use crate::store::lease;
use jiff::Timestamp;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, RenameFlags, Stat, Uid, fchmod, fchown, fstat, fsync, mkdirat, open, openat, renameat_with, statat, unlinkat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The disk.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::store) struct Disk;

const DIR: OFlags = OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC);

/// A name is one step: it neither climbs nor descends.
fn step(name: &OsStr) -> io::Result<&OsStr> {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes == b"." || bytes == b".." || bytes.contains(&b'/') || bytes.contains(&0) { Err(Errno::INVAL.into()) } else { Ok(name) }
}

impl Files for Disk {
    type Dir = OwnedFd;
    type File = File;

    fn root(&self, path: &Path) -> io::Result<OwnedFd> {
        Ok(open(path, DIR, Mode::empty())?)
    }

    fn dir(&self, at: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
        Ok(openat(at, step(name)?, DIR | OFlags::NOFOLLOW, Mode::empty())?)
    }

    fn private_dir(&self, at: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
        match mkdirat(at, step(name)?, Mode::RWXU) {
            Ok(()) => fsync(at)?,
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let dir = self.dir(at, name)?;
        let stat = fstat(&dir)?;
        if stat.st_uid != rustix::process::geteuid().as_raw() || stat.st_mode & 0o077 != 0 {
            return Err(io::Error::new(ErrorKind::PermissionDenied, "the directory is another's, or open to others"));
        }
        Ok(dir)
    }

    fn names(&self, at: &OwnedFd) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(at)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    fn look(&self, at: &OwnedFd, name: &OsStr) -> io::Result<Look> {
        Ok(seen(&statat(at, step(name)?, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    fn open(&self, at: &OwnedFd, name: &OsStr) -> io::Result<File> {
        // A pipe would make the opening wait, a terminal would become ours.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        Ok(File::from(openat(at, step(name)?, flags, Mode::empty())?))
    }

    fn stat(&self, file: &File) -> io::Result<Look> {
        Ok(seen(&fstat(file)?))
    }

    fn read(&self, file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        file.read_at(buffer, offset)
    }

    fn create(&self, at: &OwnedFd, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(openat(at, step(name)?, flags, Mode::RUSR | Mode::WUSR)?))
    }

    fn own(&self, file: &File, owner: Owner) -> io::Result<()> {
        let stat = fstat(file)?;
        let user = (stat.st_uid != owner.user).then(|| Uid::from_raw(owner.user));
        let group = (stat.st_gid != owner.group).then(|| Gid::from_raw(owner.group));
        if user.is_some() || group.is_some() {
            fchown(file, user, group)?;
        }
        // Past the umask: the mode is what was asked for.
        Ok(fchmod(file, Mode::from_raw_mode(owner.mode))?)
    }

    fn write(&self, mut file: &File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn sync_dir(&self, at: &OwnedFd) -> io::Result<()> {
        Ok(fsync(at)?)
    }

    fn rename(&self, from: (&OwnedFd, &OsStr), to: (&OwnedFd, &OsStr)) -> io::Result<()> {
        Ok(renameat_with(from.0, step(from.1)?, to.0, step(to.1)?, RenameFlags::NOREPLACE)?)
    }

    fn unlink(&self, at: &OwnedFd, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(at, step(name)?, AtFlags::empty())?)
    }

    fn lease(&self, file: &File) -> io::Result<Lease> {
        lease::take(file.as_fd())
    }

    fn is_leased(&self, file: &File) -> bool {
        lease::is_held(file.as_fd())
    }

    fn release(&self, file: &File) -> io::Result<()> {
        lease::release(file.as_fd())
    }

    fn is_written(&self, file: &File) -> io::Result<bool> {
        let stat = fstat(file)?;
        lease::has_writer(stat.st_dev, stat.st_ino)
    }
}

fn seen(stat: &Stat) -> Look {
    let at = |seconds: i64, nanoseconds: i64| {
        let clamped = seconds.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
        let rest = i32::try_from(nanoseconds).unwrap_or_default();
        Timestamp::new(clamped, rest).unwrap_or(if clamped < 0 { Timestamp::MIN } else { Timestamp::MAX })
    };
    Look {
        kind: match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Dir,
            FileType::Symlink => Kind::Link,
            FileType::Fifo | FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice | FileType::Unknown => Kind::Other,
        },
        device: stat.st_dev,
        inode: stat.st_ino,
        size: stat.st_size.try_into().unwrap_or_default(),
        modified: at(stat.st_mtime, stat.st_mtime_nsec.try_into().unwrap_or_default()),
        changed: at(stat.st_ctime, stat.st_ctime_nsec.try_into().unwrap_or_default()),
        links: stat.st_nlink,
        owner: Owner { user: stat.st_uid, group: stat.st_gid, mode: stat.st_mode & 0o7777 },
    }
}
