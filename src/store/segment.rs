//! The file that a form grows in: a `.part` of whole lines, plain or sealed, cut back to what was committed, compressed when it ends.

use super::files::disk::Disk;
use super::files::{Files, Owner};
use super::seal::{Frames, Keychain, Seal, Sealer, Sealing, put};
use super::seek::SeekTable;
use super::shelf::{self, Access, Halt, Refusal, Shelf};
use super::sink::{Compress, Encoder, FRAME, Frame};
use super::{Cause, Store, StoreError, sync_directory};
use crate::retain::ledger::{Digest, Identity, Keyed, Output};
use crate::scrub::Clean;
use crate::store::digest::Meter;
use jiff::Timestamp;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File};
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Ends the name of a segment that grows.
pub const PART: &str = ".part";

/// Whose segments are written only encrypted, and with which keys.
#[derive(Clone, Debug)]
pub struct Seals {
    /// Where a key for each is made.
    pub keys: Keychain,
    /// The class.
    pub class: String,
    /// The form.
    pub form: String,
    /// Level of zstd.
    pub level: i32,
}

impl Seals {
    const fn sealing(&self, mode: u32) -> Sealing<'_> {
        Sealing { keys: &self.keys, class: self.class.as_str(), form: self.form.as_str(), level: self.level, mode }
    }
}

/// A segment that grows.
pub struct Segment {
    body: Body,
    path: PathBuf,
    len: u64,
}

enum Body {
    Plain(File),
    Sealed(Box<Sealer>),
}

/// What ends a segment.
#[derive(Clone, Debug)]
pub struct Ending<'a> {
    /// Where the `.part` stands.
    pub part: &'a Path,
    /// Its committed length.
    pub length: u64,
    /// Bytes of its lines: the same, unless it is sealed.
    pub plain: u64,
    /// Whether it is sealed.
    pub sealed: bool,
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
    /// Whether, and for whom, the finished file is sealed. It keeps the key of its segment.
    pub seals: Option<&'a Seals>,
    /// Lines that the form's `where` left out.
    pub excluded: u64,
}

/// What became of a segment.
#[derive(Clone, Debug)]
pub struct Ended {
    /// As the ledger writes it.
    pub output: Output,
    /// Of its lines.
    pub content: Keyed,
    /// Which file it is.
    pub identity: Identity,
}

impl Segment {
    /// Begins a segment, in place of what a killed run left under this name before it was committed. Makes the directory, 0750.
    pub fn begin(path: &Path, access: Access, seals: Option<&Seals>) -> Result<Self, StoreError> {
        let parent = directory_of(path)?;
        let body = match seals {
            None => {
                let file = open(path, OFlags::RDWR | OFlags::CREATE)?;
                file.set_len(0).map_err(StoreError::io("make", path))?;
                Body::Plain(file)
            }
            Some(seals) => {
                discard(path)?;
                // Whoever may read it in the end may not before it is theirs.
                Body::Sealed(Box::new(Sealer::create(path, &seals.sealing(0o600))?))
            }
        };
        let segment = Self { body, path: path.to_owned(), len: 0 };
        let own = Disk.stat(segment.file()).map_err(StoreError::io("read", path))?;
        let owner = Owner { user: access.user.unwrap_or(own.owner.user), group: access.group.unwrap_or(own.owner.group), mode: access.mode };
        Disk.own(segment.file(), owner).map_err(StoreError::io("set the owner and mode of", path))?;
        sync_directory(parent)?;
        Ok(segment)
    }

    /// Opens a segment again and cuts it back to its commit. One that is shorter was changed by somebody.
    pub fn resume(path: &Path, committed: u64, seals: Option<&Seals>) -> Result<Self, StoreError> {
        let file = open(path, OFlags::RDWR)?;
        let there = file.metadata().map_err(StoreError::io("read", path))?.len();
        if there < committed {
            return Err(shorter(path));
        }
        let body = match seals {
            None => {
                file.set_len(committed).map_err(StoreError::io("cut", path))?;
                Body::Plain(file)
            }
            Some(seals) => Body::Sealed(Box::new(Sealer::resume(path, &seals.sealing(0o600), Some(committed))?)),
        };
        Ok(Self { body, path: path.to_owned(), len: committed })
    }

    /// Appends whole lines; sealed ones as one frame.
    pub fn write(&mut self, clean: &Clean) -> Result<(), StoreError> {
        self.put(clean.as_bytes())
    }

    /// The same for lines of any kind: all of them or none.
    pub(super) fn put(&mut self, lines: &[u8]) -> Result<(), StoreError> {
        match &mut self.body {
            Body::Plain(file) => {
                put(file, lines, self.len).map_err(StoreError::io("write", &self.path))?;
                self.len += lines.len() as u64;
            }
            Body::Sealed(sealer) => {
                sealer.write(lines)?;
                self.len = sealer.len();
            }
        }
        Ok(())
    }

    /// Makes what was written last.
    pub fn sync(&mut self) -> Result<(), StoreError> {
        match &mut self.body {
            Body::Plain(file) => file.sync_data().map_err(StoreError::io("sync", &self.path)),
            Body::Sealed(sealer) => sealer.sync().map(drop),
        }
    }

    pub(super) fn file(&self) -> &File {
        match &self.body {
            Body::Plain(file) => file,
            Body::Sealed(sealer) => sealer.file(),
        }
    }

    /// Bytes in it, as they lie on the disk.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

pub(super) fn open(path: &Path, flags: OFlags) -> Result<File, StoreError> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).map(File::from).map_err(|errno| StoreError::io("open", path)(errno.into()))
}

pub(super) fn shorter(path: &Path) -> StoreError {
    let cause = Cause::Refused { why: "this segment is shorter than what was committed", remedy: "somebody changed it: put it back as it was; nothing is written behind it" };
    StoreError { verb: "open", path: path.to_owned(), cause }
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

/// Cuts a segment back to its commit, whether anybody goes on with it or not.
pub fn cut_back(path: &Path, committed: u64) -> Result<(), StoreError> {
    match open(path, OFlags::RDWR) {
        Ok(file) if file.metadata().is_ok_and(|there| there.len() > committed) => file.set_len(committed).map_err(StoreError::io("cut", path)),
        Err(StoreError { cause: Cause::Io(error), .. }) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other.map(drop),
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
    pub fn end(&self, ending: &Ending<'_>) -> Result<Ended, Halt> {
        let shelf = &self.shelf;
        let directory = directory_of(ending.part)?;
        let folder = shelf.folder(directory, Path::new(""))?;
        let draft = match (ending.seals, key_of(shelf, ending)?) {
            (None, _) => shelf.draft(&folder, None)?,
            (Some(seals), None) => shelf.draft(&folder, Some((&seals.class, &seals.form)))?,
            (Some(_), Some(seal)) => shelf.draft_under(&folder, seal)?,
        };
        let (content, lines) = match compress(shelf, ending, &draft) {
            Ok(done) => done,
            Err(halt) => {
                drop(shelf.discard(&draft));
                return Err(halt);
            }
        };
        let digest = shelf.key.digest(&[ending.salt, content.0.as_slice(), ending.form.as_bytes()].concat());
        let name = shelf::name(ending.raw, ending.span, digest, ending.seals.is_some());
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
        let (identity, bytes) = (held.identity(), held.look.size);
        let output = Output { path: held.path(), form: ending.form.to_owned(), policy: ending.policy, digest: digests.bytes, bytes, lines, excluded: ending.excluded };
        Ok(Ended { output, content, identity })
    }
}

/// The key of a sealed segment, public half: what comes of it goes with the same key.
fn key_of(shelf: &Shelf<Disk>, ending: &Ending<'_>) -> Result<Option<Seal>, StoreError> {
    if !ending.sealed || ending.length == 0 {
        return Ok(None);
    }
    let mut frames = Frames::new(open(ending.part, OFlags::RDONLY)?, &shelf.seals);
    frames.next(ending.length, &mut Vec::new()).map_err(StoreError::io("read", ending.part))?;
    frames.seal().map(|seal| shelf.seals.seal(seal)).transpose()
}

/// The committed bytes of a segment in frames whose limits are those of a whole file's.
fn compress(shelf: &Shelf<Disk>, ending: &Ending<'_>, draft: &shelf::Draft<Disk>) -> Result<(Keyed, u64), Halt> {
    let content = Meter::new(&shelf.key);
    let mut encoder = Encoder::new(Compress::Zstd(ending.level))?;
    let (mut frame, mut seek) = (Frame::default(), SeekTable::default());
    let (mut held, mut lines, mut empty) = (Vec::new(), 0, true);
    each_line(shelf, ending, &mut |line| {
        held.extend_from_slice(line);
        lines += 1;
        if held.len() >= FRAME {
            encoder.encode_plain(&held, &mut frame)?;
            frame.note(&mut seek);
            content.take(&held);
            shelf.write(draft, frame.as_bytes())?;
            held.clear();
            empty = false;
        }
        Ok(())
    })?;
    if !held.is_empty() {
        encoder.encode_plain(&held, &mut frame)?;
        frame.note(&mut seek);
        content.take(&held);
        shelf.write(draft, frame.as_bytes())?;
    } else if empty {
        shelf.write(draft, &Encoder::empty()?)?;
    }
    shelf.end(draft, seek)?;
    shelf.close_seal(draft)?;
    let (content, bytes) = content.sum();
    if bytes != ending.plain {
        return Err(Halt::Refused { why: Refusal::Changed, path: ending.part.to_owned() });
    }
    Ok((content, lines))
}

/// The committed lines of a segment.
fn each_line(shelf: &Shelf<Disk>, ending: &Ending<'_>, each: &mut dyn FnMut(&[u8]) -> Result<(), Halt>) -> Result<(), Halt> {
    if ending.length == 0 {
        return Ok(());
    }
    let failed = || StoreError::io("read", ending.part);
    let file = open(ending.part, OFlags::RDONLY)?;
    let mut held = Vec::new();
    if ending.sealed {
        let mut frames = Frames::new(file, &shelf.seals);
        while frames.next(ending.length, &mut held).map_err(failed())? {
            held.split_inclusive(|byte| *byte == b'\n').try_for_each(&mut *each)?;
        }
        return Ok(());
    }
    let mut reader = BufReader::with_capacity(128 * 1024, file.take(ending.length));
    while reader.read_until(b'\n', &mut held).map_err(failed())? > 0 {
        each(&held)?;
        held.clear();
    }
    Ok(())
}

impl Shelf<Disk> {
    /// Gives a draft its mode and its name. A file that is there already with the same bytes, or the same sealed ones, is the one
    /// that a killed run made.
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
                let same = self.is_copy(&draft, &held)?;
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
