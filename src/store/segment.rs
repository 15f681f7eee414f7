//! The file that a form grows in: plain clean lines in a `.part`, cut back to what was committed, compressed when it ends.

use super::files::disk::Disk;
use super::files::{Files, Owner};
use super::seek::SeekTable;
use super::shelf::{self, Access, Halt, Refusal, Shelf};
use super::sink::{Compress, Encoder, FRAME, Frame};
use super::{Cause, Store, StoreError, sync_directory};
use crate::retain::ledger::{Digest, Keyed, Output};
use crate::scrub::Clean;
use crate::store::digest::Meter;
use jiff::Timestamp;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File};
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Ends the name of a segment that grows.
pub const PART: &str = ".part";

/// A segment that grows.
pub struct Segment {
    file: File,
    path: PathBuf,
    len: u64,
}

/// What ends a segment.
#[derive(Clone, Debug)]
pub struct Ending<'a> {
    /// Where the `.part` stands.
    pub part: &'a Path,
    /// Its committed length.
    pub length: u64,
    /// Name of the raw log that it was made of.
    pub raw: &'a OsStr,
    /// What tells two segments with the same name, span and content apart: the raw log and the place in it.
    pub salt: &'a [u8],
    /// Times of the oldest and newest record.
    pub span: (Option<Timestamp>, Option<Timestamp>),
    /// Name of the form.
    pub form: &'a str,
    /// Of everything besides the raw bytes that decided about it.
    pub policy: Digest,
    /// Who may read the file.
    pub access: Access,
    /// Level of zstd.
    pub level: i32,
    /// Lines that the form's `where` left out.
    pub excluded: u64,
}

impl Segment {
    /// Begins a segment, in place of what a killed run left under this name before it was committed. Makes the directory, 0750.
    pub fn begin(path: &Path, access: Access) -> Result<Self, StoreError> {
        let failed = || StoreError::io("make", path);
        let parent = directory_of(path)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).map(File::from).map_err(|errno| failed()(errno.into()))?;
        file.set_len(0).map_err(failed())?;
        let own = Disk.stat(&file).map_err(failed())?;
        let owner = Owner { user: access.user.unwrap_or(own.owner.user), group: access.group.unwrap_or(own.owner.group), mode: access.mode };
        Disk.own(&file, owner).map_err(StoreError::io("set the owner and mode of", path))?;
        sync_directory(parent)?;
        Ok(Self { file, path: path.to_owned(), len: 0 })
    }

    /// Opens a segment again and cuts it back to its commit. One that is shorter was changed by somebody.
    pub fn resume(path: &Path, committed: u64) -> Result<Self, StoreError> {
        let failed = || StoreError::io("open", path);
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = rustix::fs::open(path, flags, Mode::empty()).map(File::from).map_err(|errno| failed()(errno.into()))?;
        let there = file.metadata().map_err(failed())?.len();
        if there < committed {
            let cause =
                Cause::Refused { why: "this segment is shorter than what was committed", remedy: "somebody changed it: put it back as it was; nothing is written behind it" };
            return Err(StoreError { verb: "open", path: path.to_owned(), cause });
        }
        file.set_len(committed).and_then(|()| file.seek(SeekFrom::Start(committed))).map_err(failed())?;
        Ok(Self { file, path: path.to_owned(), len: committed })
    }

    /// Appends whole lines.
    pub fn write(&mut self, clean: &Clean) -> Result<(), StoreError> {
        self.file.write_all(clean.as_bytes()).map_err(StoreError::io("write", &self.path))?;
        self.len += clean.as_bytes().len() as u64;
        Ok(())
    }

    /// Makes what was written last.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(StoreError::io("sync", &self.path))
    }

    /// Bytes in it.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// The directory of a file, made if it is not there.
fn directory_of(path: &Path) -> Result<&Path, StoreError> {
    let parent = path.parent().unwrap_or_else(|| Path::new("/"));
    if !parent.is_dir() {
        DirBuilder::new().recursive(true).mode(0o750).create(parent).map_err(StoreError::io("make", parent))?;
    }
    Ok(parent)
}

/// Takes a `.part` away that is finished, or that no commit knows.
pub fn discard(path: &Path) -> Result<(), StoreError> {
    match rustix::fs::unlinkat(CWD, path, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(StoreError::io("remove", path)(errno.into())),
    }
}

/// The `.part` files of a directory whose names begin with, or hold, a text.
pub fn parts(directory: &Path, with: &str) -> Result<Vec<PathBuf>, StoreError> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StoreError::io("read", directory)(error)),
    };
    let names = entries.filter_map(Result::ok).map(|entry| entry.path());
    Ok(names.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(PART) && name.to_string_lossy().contains(with))).collect())
}

/// A raw log's name without what rotation and compression add to it.
pub fn stem(name: &OsStr) -> OsString {
    shelf::stem(name)
}

impl Store {
    /// Compresses a committed segment in fixed frames under its final name, reads it back, and says what it is. The `.part` stays.
    /// Done again after a crash, it finds what it made.
    pub fn end(&self, ending: &Ending<'_>) -> Result<Output, Halt> {
        let shelf = &self.shelf;
        let directory = directory_of(ending.part)?;
        let folder = shelf.folder(directory, Path::new(""))?;
        let draft = shelf.draft(&folder, None)?;
        let (content, lines) = match compress(shelf, ending, &draft) {
            Ok(done) => done,
            Err(halt) => {
                drop(shelf.discard(&draft));
                return Err(halt);
            }
        };
        let digest = shelf.key.digest(&[ending.salt, content.0.as_slice(), ending.form.as_bytes()].concat());
        let name = shelf::name(ending.raw, ending.span, digest, false);
        shelf.present(draft, &name, ending.access)?;
        let held = shelf.hold(&folder, &name)?;
        let mut found = 0;
        let digests = shelf.visit(&held, usize::MAX, &mut |piece| {
            found += piece.lines();
            Ok(())
        })?;
        if digests.content != content || found != lines {
            return Err(Halt::Refused { why: Refusal::Mismatch, path: held.path() });
        }
        Ok(Output { path: held.path(), form: ending.form.to_owned(), policy: ending.policy, digest: digests.bytes, bytes: held.look.size, lines, excluded: ending.excluded })
    }
}

/// The committed bytes of a segment in frames whose limits are those of a whole file's.
fn compress(shelf: &Shelf<Disk>, ending: &Ending<'_>, draft: &shelf::Draft<Disk>) -> Result<(Keyed, u64), Halt> {
    let failed = || StoreError::io("read", ending.part);
    let content = Meter::new(&shelf.key);
    let mut encoder = Encoder::new(Compress::Zstd(ending.level))?;
    let (mut frame, mut seek) = (Frame::default(), SeekTable::default());
    let (mut held, mut lines, mut empty) = (Vec::new(), 0, true);
    if ending.length > 0 {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(ending.part, flags, Mode::empty()).map(File::from).map_err(|errno| failed()(errno.into()))?;
        let mut reader = BufReader::with_capacity(128 * 1024, file.take(ending.length));
        while reader.read_until(b'\n', &mut held).map_err(failed())? > 0 {
            lines += 1;
            if held.len() >= FRAME {
                encoder.encode_plain(&held, &mut frame)?;
                frame.note(&mut seek);
                content.take(&held);
                shelf.write(draft, frame.as_bytes())?;
                held.clear();
                empty = false;
            }
        }
    }
    if !held.is_empty() {
        encoder.encode_plain(&held, &mut frame)?;
        frame.note(&mut seek);
        content.take(&held);
        shelf.write(draft, frame.as_bytes())?;
    } else if empty {
        shelf.write(draft, &Encoder::empty()?)?;
    }
    shelf.end(draft, seek)?;
    let (content, bytes) = content.sum();
    if bytes != ending.length {
        return Err(Halt::Refused { why: Refusal::Changed, path: ending.part.to_owned() });
    }
    Ok((content, lines))
}

impl Shelf<Disk> {
    /// Gives a draft its mode and its name. A file that is there already, byte for byte, is the one that a killed run made.
    fn present(&self, draft: shelf::Draft<Disk>, name: &OsStr, access: Access) -> Result<(), Halt> {
        let path = draft.folder.path.join(name);
        let fail = |verb| StoreError::io(verb, &path);
        let own = Disk.stat(&draft.file).map_err(fail("read"))?;
        let owner = Owner { user: access.user.unwrap_or(own.owner.user), group: access.group.unwrap_or(own.owner.group), mode: access.mode };
        Disk.own(&draft.file, owner).map_err(fail("set the owner and mode of"))?;
        Disk.sync(&draft.file).map_err(fail("sync"))?;
        match rustix::fs::renameat_with(&draft.den, &draft.part, &draft.folder.dir, name, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let held = self.hold(&draft.folder, name)?;
                let same = self.visit_bytes(&held)? == draft.meter.sum().0;
                self.discard(&draft)?;
                if !same {
                    return Err(Halt::Refused { why: Refusal::Taken, path });
                }
            }
            Err(errno) => return Err(fail("rename")(errno.into()).into()),
        }
        Disk.sync_dir(&draft.folder.dir).map_err(fail("sync the directory of"))?;
        Disk.sync_dir(&draft.den).map_err(fail("sync the directory of"))?;
        Ok(())
    }
}
