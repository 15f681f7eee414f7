//! The one module with a system call of its own: the kernel's promise that nobody writes a file (`fcntl(2)`, "Leases").

use super::files::Lease;
use signal_hook::consts::SIGIO;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

/// Whoever breaks a lease makes the kernel send SIGIO, which would end the process.
static BROKEN: OnceLock<Result<Arc<AtomicBool>, ErrorKind>> = OnceLock::new();

fn command(file: BorrowedFd<'_>, command: libc::c_int, argument: libc::c_int) -> io::Result<libc::c_int> {
    #[expect(unsafe_code, reason = "no crate in use wraps F_SETLEASE; the call takes a valid descriptor and two integers, and touches no memory")]
    // SAFETY: the descriptor is borrowed, hence open; both commands take integers and no pointer.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), command, argument) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Takes a read lease: granted only while nobody has the file open for writing or mapped shared and writable.
pub(in crate::store) fn take(file: BorrowedFd<'_>) -> io::Result<Lease> {
    let ready = BROKEN.get_or_init(|| {
        let flag = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGIO, Arc::clone(&flag)).map(|_id| flag).map_err(|error| error.kind())
    });
    if let Err(kind) = ready {
        return Err(io::Error::from(*kind));
    }
    match command(file, libc::F_SETLEASE, libc::F_RDLCK) {
        Ok(_) => Ok(Lease::Granted),
        Err(error) => match error.raw_os_error() {
            Some(libc::EAGAIN) => Ok(Lease::Writer),
            // Another owner; not a file; no leases on this file system.
            Some(libc::EACCES | libc::EPERM | libc::EINVAL | libc::ENOLCK | libc::EOPNOTSUPP | libc::ENOSYS) => Ok(Lease::Impossible),
            _ => Err(error),
        },
    }
}

/// Whether the lease still stands: one that somebody is breaking is none.
pub(in crate::store) fn is_held(file: BorrowedFd<'_>) -> bool {
    command(file, libc::F_GETLEASE, 0).is_ok_and(|kind| kind == libc::F_RDLCK)
}

/// Gives it back.
pub(in crate::store) fn release(file: BorrowedFd<'_>) -> io::Result<()> {
    command(file, libc::F_SETLEASE, libc::F_UNLCK).map(drop)
}

/// Looks through the processes that this one may see for a descriptor or a mapping that can write the file.
pub(in crate::store) fn has_writer(device: u64, inode: u64) -> io::Result<bool> {
    for process in fs::read_dir("/proc")?.flatten() {
        if process.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit) && writes(&process.path(), device, inode) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Processes come and go, and those of others may not be looked into: what cannot be read tells nothing.
fn writes(process: &Path, device: u64, inode: u64) -> bool {
    use std::os::unix::fs::MetadataExt;
    let descriptors = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    let open = descriptors.filter(|fd| fs::metadata(fd.path()).is_ok_and(|meta| (meta.dev(), meta.ino()) == (device, inode))).any(|fd| {
        let info = fs::read_to_string(process.join("fdinfo").join(fd.file_name())).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok());
        flags.is_some_and(|flags| flags & libc::O_ACCMODE != libc::O_RDONLY)
    });
    // address perms offset device inode path: `rw-s` is shared and writable.
    let mapped = || {
        let maps = fs::read_to_string(process.join("maps")).unwrap_or_default();
        maps.lines().map(|line| line.split_ascii_whitespace()).any(|mut words| {
            let shared = words.nth(1).is_some_and(|perms| perms.contains('w') && perms.contains('s'));
            shared && words.nth(2).and_then(|number| number.parse().ok()) == Some(inode)
        })
    };
    open || mapped()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    /// A writer that closed its descriptor and keeps a shared mapping still blocks.
    #[test]
    fn a_shared_mapping_is_a_writer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("raw");
        fs::write(&path, [b'x'; 4096]).unwrap();
        let writer = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        #[expect(unsafe_code, reason = "the test maps a file as a writer would")]
        // SAFETY: a fresh mapping at an address of the kernel's choice; it is not read or written, and unmapped below.
        let map = unsafe { libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, writer.as_raw_fd(), 0) };
        assert_ne!(map, libc::MAP_FAILED);
        drop(writer);
        let (moved, reader) = (dir.path().join("raw.1"), fs::File::open(&path).unwrap());
        fs::rename(&path, &moved).unwrap();
        use std::os::unix::fs::MetadataExt;
        let meta = reader.metadata().unwrap();
        assert_eq!(take(reader.as_fd()).unwrap(), Lease::Writer);
        assert!(has_writer(meta.dev(), meta.ino()).unwrap());
        #[expect(unsafe_code, reason = "the test unmaps what it mapped")]
        // SAFETY: exactly the mapping made above.
        let unmapped = unsafe { libc::munmap(map, 4096) };
        assert_eq!(unmapped, 0);
        assert!(!has_writer(meta.dev(), meta.ino()).unwrap());
        assert_eq!(take(reader.as_fd()).unwrap(), Lease::Granted);
        assert!(is_held(reader.as_fd()));
        release(reader.as_fd()).unwrap();
    }
}
