//! Pages for people: written whole or not at all, and never in the place of something else.

use super::{Cause, StoreError, sync_directory};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// Bytes of an old page in which its mark has to stand.
const HEAD: u64 = 4096;

/// Of a report, which says where logs lie.
const PAGE: u32 = 0o640;

/// Of a configuration, which whoever runs the program has to read, and which holds no secret.
const PUBLIC: u32 = 0o644;

fn create(path: &Path, mode: u32) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(rustix::fs::open(path, flags, Mode::from_raw_mode(mode)).map(File::from)?)
}

fn refused(path: &Path, why: &'static str, remedy: &'static str) -> StoreError {
    StoreError { verb: "write", path: path.to_owned(), cause: Cause::Refused { why, remedy } }
}

/// Writes a new file, and the directory that it lies in where that is missing. Refuses a name that is taken.
pub fn begin(path: &Path, text: &str) -> Result<(), StoreError> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(StoreError::io("make", parent))?;
    }
    let mut file = match create(path, PUBLIC) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(refused(path, "a file is there already", "name another one, or move it away: nothing is overwritten"));
        }
        made => made.map_err(StoreError::io("write", path))?,
    };
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(StoreError::io("write", path))?;
    sync_directory(path.parent().unwrap_or(Path::new("")))
}

/// Writes a file that holds `mark` near its beginning, in the place of an older one that does. Refuses anything else in that place.
pub fn renew(path: &Path, text: &str, mark: &str) -> Result<(), StoreError> {
    let foreign = || refused(path, "something is there that is no such report", "name another file: nothing else is overwritten");
    let Some(name) = path.file_name() else { return Err(refused(path, "this is no name of a file", "name a file")) };
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(StoreError::io("read", path)(error)),
        Ok(meta) if !meta.is_file() => return Err(foreign()),
        Ok(_) => {
            let mut head = Vec::new();
            let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
            let old = rustix::fs::open(path, flags, Mode::empty()).map(File::from).map_err(|errno| StoreError::io("read", path)(errno.into()))?;
            old.take(HEAD).read_to_end(&mut head).map_err(StoreError::io("read", path))?;
            if memchr::memmem::find(&head, mark.as_bytes()).is_none() {
                return Err(foreign());
            }
        }
    }
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(hidden);
    let written = create(&part, PAGE).and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all())).and_then(|()| std::fs::rename(&part, path));
    if let Err(error) = written {
        #[expect(clippy::disallowed_methods, reason = "its own part, which this process alone has named")]
        let _what_failed_is_told = std::fs::remove_file(&part);
        return Err(StoreError::io("write", path)(error));
    }
    sync_directory(path.parent().unwrap_or(Path::new("")))
}
