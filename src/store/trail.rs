//! A raw log that is read while it grows: which file it is whatever it is called, and its whole lines from any place on.
//!
//! It is held open, so that neither renaming nor deleting takes a line away, and its inode is nobody else's meanwhile.

use super::lease;
use super::ledger_key::LedgerKey;
use super::seal::Keychain;
use super::source::{Block, Codec, Filled, Source, decoder};
use super::{Cause, StoreError};
use crate::retain::ledger::{Identity, Keyed};
use crate::store::digest::Meter;
use crate::store::files::Lease;
use jiff::Timestamp;
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags, statx};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes at the beginning of a log by which it is recognised under another inode, or compressed.
pub const HEAD: u64 = 1024;

/// Bytes in front of a position that have to be what they were, or somebody wrote the file anew.
const SEAM: u64 = 96;

/// Bytes that one reading takes, unless a line is longer.
const CHUNK: usize = 256 * 1024;

/// The longest line that is held whole where lines are counted, in bytes.
const LONGEST: usize = 1024 * 1024;

/// Which file it is. A freed inode comes back with another time of birth, where the file system knows one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark {
    /// The device.
    pub device: u64,
    /// The inode.
    pub inode: u64,
    /// When it was made.
    pub born: Option<Timestamp>,
}

/// What a log begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// How many bytes.
    pub bytes: u64,
    /// Their keyed digest.
    pub digest: Keyed,
}

/// What the system says of it just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Which file it is.
    pub mark: Mark,
    /// Bytes.
    pub size: u64,
    /// Last modification.
    pub modified: Timestamp,
    /// How many names it has.
    pub links: u64,
}

impl Sight {
    /// As the ledger writes it.
    pub const fn identity(&self) -> Identity {
        Identity { device: self.mark.device, inode: self.mark.inode, size: self.size, mtime: self.modified }
    }
}

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Whole lines; the next position.
    Lines(u64),
    /// A line that is longer than the limit, skipped whole; the next position.
    TooLong(u64),
    /// No whole line is there yet.
    Nothing,
    /// What stood in front of the position is not there any more: the file was cut, or written anew.
    Rewritten,
}

/// A raw log held open.
pub struct Trail {
    file: File,
    path: PathBuf,
    key: LedgerKey,
    mark: Mark,
    codec: Codec,
    /// The decoded stream of a compressed log, and how far it has come.
    stream: Option<(Box<dyn Read + Send>, u64)>,
    buffer: Vec<u8>,
}

/// What reading all of it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Of the bytes as they lie on the disk.
    pub bytes: Keyed,
    /// Of what they decode to.
    pub content: Keyed,
    /// Lines.
    pub lines: u64,
    /// Decoded bytes.
    pub size: u64,
}

/// What stands under a path, without opening it; none for what is no regular file.
pub fn sight_at(path: &Path) -> Result<Option<Sight>, StoreError> {
    match sighted(rustix::fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(sight) => Ok(sight),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(StoreError::io("read", path)(errno.into())),
    }
}

fn sighted(at: impl AsFd, path: &Path, flags: AtFlags) -> Result<Option<Sight>, Errno> {
    let found = statx(at, path, flags, StatxFlags::BASIC_STATS | StatxFlags::BTIME)?;
    if rustix::fs::FileType::from_raw_mode(found.stx_mode.into()) != rustix::fs::FileType::RegularFile {
        return Ok(None);
    }
    let time = |seconds: i64, nanoseconds: u32| Timestamp::new(seconds, i32::try_from(nanoseconds).unwrap_or_default()).unwrap_or(Timestamp::UNIX_EPOCH);
    let born = (found.stx_mask & StatxFlags::BTIME.bits() != 0).then(|| time(found.stx_btime.tv_sec, found.stx_btime.tv_nsec));
    let device = rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor);
    Ok(Some(Sight {
        mark: Mark { device, inode: found.stx_ino, born },
        size: found.stx_size,
        modified: time(found.stx_mtime.tv_sec, found.stx_mtime.tv_nsec),
        links: found.stx_nlink.into(),
    }))
}

impl Trail {
    /// Opens a log; none if there is no regular file. Follows no link and never waits.
    pub fn open(path: &Path, key: &LedgerKey) -> Result<Option<Self>, StoreError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        // What opening a device does is nothing that is wanted.
        if sight_at(path)?.is_none() {
            return Ok(None);
        }
        let file = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(errno) => return Err(StoreError::io("open", path)(errno.into())),
        };
        let mut magic = [0; 8];
        let Some(sight) = sighted(&file, Path::new(""), AtFlags::EMPTY_PATH).map_err(|errno| StoreError::io("read", path)(errno.into()))? else { return Ok(None) };
        let filled = file.read_at(&mut magic, 0).map_err(StoreError::io("read", path))?;
        let codec = Codec::sniff(magic.get(..filled).unwrap_or_default());
        Ok(Some(Self { file, path: path.to_owned(), key: key.clone(), mark: sight.mark, codec, stream: None, buffer: Vec::new() }))
    }

    /// Which file it is.
    pub const fn mark(&self) -> Mark {
        self.mark
    }

    /// Whether its bytes are lines as they lie there.
    pub fn is_plain(&self) -> bool {
        self.codec == Codec::Plain
    }

    /// Under which path it was last seen.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// It is seen under another path.
    pub fn renamed(&mut self, path: &Path) {
        path.clone_into(&mut self.path);
    }

    /// A path by which this very file can be opened again, also when it has no name any more.
    pub fn descriptor(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }

    /// What the system says of it.
    pub fn sight(&self) -> Result<Sight, StoreError> {
        let seen = sighted(&self.file, Path::new(""), AtFlags::EMPTY_PATH).map_err(|errno| StoreError::io("read", &self.path)(errno.into()))?;
        seen.ok_or_else(|| StoreError::io("read", &self.path)(io::Error::other("this is no regular file any more")))
    }

    /// The digest of its first bytes; none if it does not have as many.
    pub fn head(&self, bytes: u64) -> Result<Option<Head>, StoreError> {
        let mut head = Vec::new();
        let mut reader = self.reader()?.take(bytes);
        match reader.read_to_end(&mut head) {
            Ok(_) => {}
            // A compressed copy that is still being made.
            Err(_) if !self.is_plain() => return Ok(None),
            Err(error) => return Err(StoreError::io("read", &self.path)(error)),
        }
        Ok((head.len() as u64 == bytes).then(|| Head { bytes, digest: self.key.digest(&head) }))
    }

    /// That of bytes which were read at its beginning.
    pub fn head_of(&self, bytes: &[u8]) -> Head {
        let head = bytes.get(..usize::try_from(HEAD).unwrap_or(usize::MAX)).unwrap_or(bytes);
        Head { bytes: head.len() as u64, digest: self.key.digest(head) }
    }

    /// What it begins with just now, at most [`HEAD`] bytes of it.
    pub fn beginning(&self) -> Result<Head, StoreError> {
        let mut head = Vec::new();
        self.reader()?.take(HEAD).read_to_end(&mut head).map_err(StoreError::io("read", &self.path))?;
        Ok(Head { bytes: head.len() as u64, digest: self.key.digest(&head) })
    }

    /// Its first bytes, decoded: what a format is found out from.
    pub fn sample(&self, bytes: u64) -> Result<Vec<u8>, StoreError> {
        let mut sample = Vec::new();
        self.reader()?.take(bytes).read_to_end(&mut sample).map_err(StoreError::io("read", &self.path))?;
        Ok(sample)
    }

    /// The digest of what stands in front of a position; none if it is not there. Compressed logs do not change there.
    pub fn seam(&self, position: u64) -> Result<Option<Keyed>, StoreError> {
        if !self.is_plain() {
            return Ok(Some(self.key.digest(b"compressed")));
        }
        let width = position.min(SEAM);
        let mut seam = vec![0; usize::try_from(width).unwrap_or_default()];
        match self.file.read_exact_at(&mut seam, position - width) {
            Ok(()) => Ok(Some(self.key.digest(&seam))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(StoreError::io("read", &self.path)(error)),
        }
    }

    /// Whether what stands in front of a position is what it was; none if the log does not reach so far. A compressed one is
    /// decoded for it.
    pub fn fits(&self, position: u64, seam: Keyed) -> Result<Option<bool>, StoreError> {
        if self.is_plain() || self.seam(position)? == Some(seam) {
            return Ok(self.seam(position)?.map(|found| found == seam));
        }
        let (mut reader, mut tail, mut read) = (self.reader()?.take(position), Vec::new(), 0);
        let (mut room, width) = (vec![0; CHUNK], usize::try_from(SEAM).unwrap_or(usize::MAX));
        loop {
            match reader.read(&mut room) {
                // A compressed copy that is still being made, or damaged, reaches nowhere.
                Ok(0) | Err(_) => return Ok((read == position).then(|| self.key.digest(&tail) == seam)),
                Ok(count) => {
                    tail.extend_from_slice(room.get(..count).unwrap_or_default());
                    tail.drain(..tail.len().saturating_sub(width));
                    read += count as u64;
                }
            }
        }
    }

    /// What stands in front of a position.
    pub fn tail(&self, position: u64) -> Result<Vec<u8>, StoreError> {
        let width = if self.is_plain() { position.min(SEAM) } else { 0 };
        let mut tail = vec![0; usize::try_from(width).unwrap_or_default()];
        self.file.read_exact_at(&mut tail, position - width).map_err(StoreError::io("read", &self.path))?;
        Ok(tail)
    }

    /// Moves a tail on over lines that were read, and says what has to stand in front of the next position.
    pub fn sew(&self, tail: &mut Vec<u8>, lines: &[u8]) -> Keyed {
        if !self.is_plain() {
            return self.key.digest(b"compressed");
        }
        let width = usize::try_from(SEAM).unwrap_or(usize::MAX);
        let fresh = lines.get(lines.len().saturating_sub(width)..).unwrap_or_default();
        tail.extend_from_slice(fresh);
        tail.drain(..tail.len().saturating_sub(width));
        self.key.digest(tail)
    }

    /// Reads whole lines from a position on into `block`; `last` takes a line without its end as well. `seam` is what has to
    /// stand in front of the position, looked at before and behind the reading: what was read in between is of the same log.
    pub fn read(&mut self, (position, seam): (u64, Option<Keyed>), (max_line, last): (usize, bool), block: &mut Block) -> Result<Piece, StoreError> {
        if seam.is_some() && self.seam(position)? != seam {
            return Ok(Piece::Rewritten);
        }
        self.buffer.clear();
        let mut searched = 0;
        let read = loop {
            let taken = self.some(position + self.buffer.len() as u64)?;
            let end = memchr::memrchr(b'\n', self.buffer.get(searched..).unwrap_or_default()).map(|at| searched + at + 1);
            if let Some(end) = end {
                let first = memchr::memchr(b'\n', &self.buffer).map_or(end, |at| at + 1);
                // Of a line that is too long only its place is kept.
                if first > max_line.saturating_add(1) {
                    break Piece::TooLong(position + first as u64);
                }
                self.buffer.truncate(end);
                break Piece::Lines(position + end as u64);
            }
            searched = self.buffer.len();
            if self.buffer.len() > max_line.saturating_add(CHUNK) {
                break self.skip(position, last)?;
            }
            if taken == 0 {
                break match (last, self.buffer.len()) {
                    (false, _) | (_, 0) => Piece::Nothing,
                    (true, len) if len > max_line => Piece::TooLong(position + len as u64),
                    (true, len) => Piece::Lines(position + len as u64),
                };
            }
        };
        if seam.is_some() && self.seam(position)? != seam {
            return Ok(Piece::Rewritten);
        }
        if matches!(read, Piece::Lines(_)) {
            block.exchange(&mut self.buffer);
        }
        Ok(read)
    }

    /// Looks for the end of a line that is longer than what is held; its bytes are not kept.
    fn skip(&mut self, position: u64, last: bool) -> Result<Piece, StoreError> {
        let mut at = position + self.buffer.len() as u64;
        loop {
            self.buffer.clear();
            let taken = self.some(at)?;
            if let Some(end) = memchr::memchr(b'\n', &self.buffer) {
                return Ok(Piece::TooLong(at + end as u64 + 1));
            }
            at += taken as u64;
            if taken == 0 {
                return Ok(if last { Piece::TooLong(at) } else { Piece::Nothing });
            }
        }
    }

    /// Appends what stands at a place to the buffer.
    fn some(&mut self, at: u64) -> Result<usize, StoreError> {
        let failed = StoreError::io("read", &self.path);
        let start = self.buffer.len();
        self.buffer.resize(start + CHUNK, 0);
        let room = self.buffer.get_mut(start..).unwrap_or_default();
        let read = if self.codec == Codec::Plain {
            self.file.read_at(room, at)
        } else {
            // Streams cannot be entered in the middle: one that is elsewhere is read anew.
            let stream = match self.stream.take().filter(|(_, reached)| *reached <= at) {
                Some(stream) => Ok(stream),
                None => whole(&self.file, self.codec).map(|stream| (stream, 0)),
            };
            stream.and_then(|(mut stream, reached)| {
                io::copy(&mut (&mut stream).take(at - reached), &mut io::sink())?;
                let count = stream.read(room)?;
                self.stream = Some((stream, at + count as u64));
                Ok(count)
            })
        };
        let count = *read.as_ref().unwrap_or(&0);
        self.buffer.truncate(start + count);
        read.map_err(failed)
    }

    fn reader(&self) -> Result<Box<dyn Read + Send>, StoreError> {
        whole(&self.file, self.codec).map_err(StoreError::io("read", &self.path))
    }

    /// Whether nobody writes it; none where the system does not tell. Nobody is kept from writing afterwards.
    pub fn is_quiet(&self) -> Result<Option<bool>, StoreError> {
        let failed = || StoreError::io("lease", &self.path);
        match lease::take(self.file.as_fd()).map_err(failed())? {
            Lease::Granted => lease::release(self.file.as_fd()).map(|()| Some(true)).map_err(failed()),
            Lease::Writer => Ok(Some(false)),
            Lease::Impossible => match lease::has_writer(self.mark.device, self.mark.inode).map_err(failed())? {
                true => Ok(Some(false)),
                false => Ok(None),
            },
        }
    }

    /// Reads all of it to a proven end; one that is damaged, or is not whole yet, is an error.
    pub fn whole(&self) -> Result<Whole, StoreError> {
        let (bytes, content) = (Meter::new(&self.key), Meter::new(&self.key));
        let reader = bytes.over(Offset { file: self.file.try_clone().map_err(StoreError::io("read", &self.path))?, at: 0 });
        let mut source = Source::over(reader, &self.path, LONGEST, (&content, &Keychain::none()))?;
        let mut block = Block::default();
        let mut lines = 0;
        loop {
            let filled = source.fill(&mut block, CHUNK)?;
            lines += memchr::memchr_iter(b'\n', block.as_bytes()).count() as u64;
            lines += u64::from(!block.as_bytes().is_empty() && !block.as_bytes().ends_with(b"\n"));
            match filled {
                Filled::Block | Filled::Pause => {}
                Filled::TooLong => lines += 1,
                Filled::End => break,
            }
        }
        let (content, size) = content.sum();
        Ok(Whole { bytes: bytes.sum().0, content, lines, size })
    }
}

/// Reads a file at an offset of its own, whatever others do with the descriptor.
struct Offset {
    file: File,
    at: u64,
}

impl Read for Offset {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

fn whole(file: &File, codec: Codec) -> io::Result<Box<dyn Read + Send>> {
    decoder(codec, Offset { file: file.try_clone()?, at: 0 }, &Keychain::none())
}

/// The regular files in a directory, or beneath it, that are wanted, each with what the system says of it. What comes and goes
/// meanwhile is left out.
pub fn listing(directory: &Path, deep: bool, wants: &dyn Fn(&Path) -> bool) -> Result<Vec<(PathBuf, Sight)>, StoreError> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => continue,
            Err(error) => return Err(StoreError { verb: "read", path: directory, cause: Cause::Io(error) }),
        };
        for entry in entries {
            let entry = entry.map_err(StoreError::io("read", &directory))?;
            let path = entry.path();
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if deep && !hidden && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(path);
            } else if wants(&path)
                && let Some(sight) = sight_at(&path)?
            {
                found.push((path, sight));
            }
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(found)
}
