//! Places in the file system where others hand lines over: made with their final permissions, and only where nobody else listens.

use super::{failed, refused};
use crate::retain::Door;
use crate::store::StoreError;
use crate::store::kept::account;
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, chownat, fchmod, mkfifoat, open, rename, statat};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 128;

/// The name of a socket; it goes with this, unless another one has taken its place.
#[derive(Debug)]
pub(super) struct Name {
    path: PathBuf,
    is: (u64, u64),
}

impl Drop for Name {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.is) {
            // A stale name is taken over by the next one who listens.
            let _gone = rustix::fs::unlink(&self.path);
        }
    }
}

fn identity(path: &Path) -> rustix::io::Result<(u64, u64)> {
    statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).map(|stat| (stat.st_dev, stat.st_ino))
}

/// Binds a socket. One that a dead process left is replaced; one that somebody listens on, and anything that is no socket, is not.
pub(super) fn socket(door: &Door, kind: SocketType) -> Result<(OwnedFd, Name), StoreError> {
    let path = door.path.as_path();
    match kind_of(path)? {
        None => {}
        Some(FileType::Socket) if is_listened_on(path) => {
            return Err(refused(door, "somebody listens on this socket already", "stop the other process, or name another socket"));
        }
        Some(FileType::Socket) => {}
        Some(_) => return Err(refused(door, "there is something else in the place of the socket", "move it away, or name another path")),
    }
    // The name appears when everything else about the socket is as it is to be, and takes the place of a stale one.
    let draft = draft(path);
    let fail = |path| failed(path);
    if kind_of(&draft)? == Some(FileType::Socket) && !is_listened_on(&draft) {
        rustix::fs::unlink(&draft).map_err(fail(path))?;
    }
    let address = SocketAddrUnix::new(&draft).map_err(fail(path))?;
    let socket = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None).map_err(fail(path))?;
    // Linux gives the name the permissions of the socket.
    fchmod(&socket, Mode::from_raw_mode(0)).map_err(fail(path))?;
    bind(&socket, &address).map_err(fail(path))?;
    let mut name = Name { is: identity(&draft).map_err(fail(path))?, path: draft };
    admit(&name.path, door)?;
    if kind == SocketType::STREAM {
        listen(&socket, BACKLOG).map_err(fail(path))?;
    }
    rename(&name.path, path).map_err(fail(path))?;
    path.clone_into(&mut name.path);
    Ok((socket, name))
}

/// A named pipe, made if it is not there.
pub(super) fn fifo(door: &Door) -> Result<(), StoreError> {
    let path = door.path.as_path();
    match kind_of(path)? {
        Some(FileType::Fifo) => Ok(()),
        Some(_) => Err(refused(door, "there is something else in the place of the named pipe", "move it away, or name another path")),
        None => {
            let draft = draft(path);
            mkfifoat(CWD, &draft, Mode::from_raw_mode(0)).map_err(failed(path))?;
            admit(&draft, door)?;
            rename(&draft, path).map_err(failed(path))
        }
    }
}

/// Opens a named pipe to read from, whether somebody writes to it or not.
pub(super) fn reader(path: &Path) -> Result<OwnedFd, StoreError> {
    open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty()).map_err(failed(path))
}

/// Gives a name its group and permissions.
fn admit(path: &Path, door: &Door) -> Result<(), StoreError> {
    if let Some(name) = &door.group {
        let unknown = || refused(door, "the group is not known on this machine", "add the group, or change `group` behind the path");
        let group = account("/etc/group", name).ok_or_else(unknown)?;
        chownat(CWD, path, None, Some(Gid::from_raw(group)), AtFlags::SYMLINK_NOFOLLOW).map_err(failed(&door.path))?;
    }
    rustix::fs::chmod(path, Mode::from_raw_mode(door.mode)).map_err(failed(&door.path))
}

/// A name of our own beside the real one.
fn draft(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    path.with_file_name(name)
}

fn kind_of(path: &Path) -> Result<Option<FileType>, StoreError> {
    match statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(errno) => Err(failed(path)(errno)),
    }
}

/// Whether a process has this socket open. Only a refused connection says that none has.
fn is_listened_on(path: &Path) -> bool {
    let Ok(address) = SocketAddrUnix::new(path) else { return true };
    [SocketType::DGRAM, SocketType::STREAM].into_iter().any(|kind| {
        let probe = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None);
        match probe.and_then(|probe| connect(&probe, &address)) {
            // Of the other kind: the second try tells.
            Err(rustix::io::Errno::CONNREFUSED | rustix::io::Errno::PROTOTYPE) => false,
            Ok(()) | Err(_) => true,
        }
    })
}
