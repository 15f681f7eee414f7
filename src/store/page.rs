//! Pages for people: written whole or not at all, and never in the place of something else.

use super::{Cause, StoreError, sync_directory};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// Bytes of an old page in which its mark has to stand.
const HEAD: u64 = 4096;

/// Bytes of a configuration that is looked through for whether it says anything.
const CONFIGURATION: u64 = 64 * 1024;

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

/// Writes a new file, and the directory that it lies in where that is missing. Of what has its name already, only a file that says
/// nothing gives way, one of comments and blank lines.
pub fn begin(path: &Path, text: &str) -> Result<(), StoreError> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(StoreError::io("make", parent))?;
    }
    let mut file = match create(path, PUBLIC) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return match head(path, CONFIGURATION)? {
                Some(old) if says_nothing(&old) => replace(path, text, PUBLIC),
                _ => Err(refused(path, "a file is there already, and it is not of comments alone", "name another one, or move it away: nothing is overwritten")),
            };
        }
        made => made.map_err(StoreError::io("write", path))?,
    };
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(StoreError::io("write", path))?;
    sync_directory(path.parent().unwrap_or(Path::new("")))
}

/// Writes a file that holds `mark` near its beginning, in the place of an older one that does. Refuses anything else in that place.
pub fn renew(path: &Path, text: &str, mark: &str) -> Result<(), StoreError> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(StoreError::io("read", path)(error)),
        Ok(_) => {
            if head(path, HEAD)?.is_none_or(|old| memchr::memmem::find(&old, mark.as_bytes()).is_none()) {
                return Err(refused(path, "something is there that is no such report", "name another file: nothing else is overwritten"));
            }
        }
    }
    replace(path, text, PAGE)
}

/// What a regular file begins with; none of anything else.
fn head(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
    if !path.symlink_metadata().map_err(StoreError::io("read", path))?.is_file() {
        return Ok(None);
    }
    let mut head = Vec::new();
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let old = rustix::fs::open(path, flags, Mode::empty()).map(File::from).map_err(|errno| StoreError::io("read", path)(errno.into()))?;
    old.take(limit).read_to_end(&mut head).map_err(StoreError::io("read", path))?;
    Ok(Some(head))
}

/// Whether a configuration has comments alone; one that goes on behind what was read of it says something.
fn says_nothing(text: &[u8]) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_start);
    (text.len() as u64) < CONFIGURATION && lines.all(|line| line.first().is_none_or(|first| *first == b'#'))
}

/// The new file takes the name at once, and whole.
fn replace(path: &Path, text: &str, mode: u32) -> Result<(), StoreError> {
    let Some(name) = path.file_name() else { return Err(refused(path, "this is no name of a file", "name a file")) };
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(hidden);
    let written = create(&part, mode).and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all())).and_then(|()| std::fs::rename(&part, path));
    if let Err(error) = written {
        #[expect(clippy::disallowed_methods, reason = "its own part, which this process alone has named")]
        let _what_failed_is_told = std::fs::remove_file(&part);
        return Err(StoreError::io("write", path)(error));
    }
    sync_directory(path.parent().unwrap_or(Path::new("")))
}
