//! The raw segment in which this program keeps what it hears: lines go in at its end, and forms read them from any place on.
//!
//! What was written and not committed stays, as far as it is whole: nobody can send it again.

use super::listen::Heard;
use super::seal::{Frames, Spot};
use super::segment::{Seals, Segment, open, shorter};
use super::shelf::Access;
use super::source::Block;
use super::trail::Piece;
use super::{Cause, StoreError};
use rustix::fs::OFlags;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes that one taking or reading moves, unless a line is longer.
const CHUNK: usize = 256 * 1024;

/// Bytes that wait at most before they are sealed, unless a line is longer.
const HELD: usize = 512 * 1024;

/// Bytes of lines between two places that are remembered.
const STRIDE: u64 = 1024 * 1024;

/// A raw segment that grows.
pub struct Spool {
    segment: Segment,
    path: PathBuf,
    /// Bytes of lines in the segment.
    written: u64,
    /// Lines that are still to be sealed: they stand behind the written ones.
    held: Vec<u8>,
    back: Option<Back>,
    buffer: Vec<u8>,
    dirty: bool,
}

/// The way back into a sealed segment.
struct Back {
    frames: Frames,
    /// Where frames begin, by the bytes of lines in front of them.
    index: Vec<(u64, Spot)>,
    /// The frame that was read last: the bytes of lines in front of it, and its lines.
    frame: (u64, Vec<u8>),
}

impl Spool {
    /// Opens a segment whose commit was `committed` bytes long; one that is not there is begun, if nothing of it was committed.
    /// Says how many lines stand behind the commit.
    pub fn open(path: &Path, committed: u64, access: Access, seals: Option<&Seals>) -> Result<(Self, u64), StoreError> {
        let file = match open(path, OFlags::RDWR) {
            Ok(file) => file,
            Err(StoreError { cause: Cause::Io(error), .. }) if error.kind() == io::ErrorKind::NotFound && committed == 0 => {
                let segment = Segment::begin(path, access, seals)?;
                let back = seals.map(|seals| Back::new(&segment, seals)).transpose().map_err(StoreError::io("open", path))?;
                return Ok((Self::of(segment, path, (0, back)), 0));
            }
            Err(error) => return Err(error),
        };
        let size = file.metadata().map_err(StoreError::io("read", path))?.len();
        if size < committed {
            return Err(shorter(path));
        }
        match seals {
            None => {
                let (end, lines) = whole(&file, committed, size).map_err(StoreError::io("read", path))?;
                Ok((Self::of(Segment::resume(path, end, None)?, path, (end, None)), lines))
            }
            Some(seals) => {
                let damaged = |error| StoreError { verb: "read", path: path.to_owned(), cause: Cause::Damaged(error) };
                let walked = walk(file, (committed, size), seals).map_err(damaged)?;
                let segment = Segment::resume(path, walked.end, Some(seals))?;
                let mut back = Back::new(&segment, seals).map_err(StoreError::io("open", path))?;
                back.index = walked.index;
                back.frames.seek(back.index.last().map_or_else(Spot::default, |(_, spot)| *spot));
                Ok((Self::of(segment, path, (walked.written, Some(back))), walked.fresh))
            }
        }
    }

    fn of(segment: Segment, path: &Path, (written, back): (u64, Option<Back>)) -> Self {
        Self { segment, path: path.to_owned(), written, held: Vec::new(), back, buffer: Vec::new(), dirty: true }
    }

    /// Takes some of the lines that were heard, about as many bytes as there is room for, and says how many lines; those that it takes
    /// are gone from there. All of them or, behind a failure, none.
    pub fn take(&mut self, heard: &mut Heard, room: u64) -> Result<u64, StoreError> {
        if self.held.len() >= HELD {
            self.write()?;
        }
        let end = cut(&heard.lines, usize::try_from(room).unwrap_or(usize::MAX).min(CHUNK));
        let lines = heard.lines.get(..end).unwrap_or_default();
        let count = memchr::memchr_iter(b'\n', lines).count() as u64;
        if self.back.is_some() {
            self.held.extend_from_slice(lines);
        } else {
            self.segment.put(lines)?;
            self.written = self.segment.len();
        }
        heard.lines.drain(..end);
        self.dirty |= end > 0;
        Ok(count)
    }

    /// Seals what is held.
    fn write(&mut self) -> Result<(), StoreError> {
        if !self.held.is_empty() {
            self.segment.put(&self.held)?;
            self.written += self.held.len() as u64;
            self.held.clear();
        }
        Ok(())
    }

    /// Makes all of it last. Nothing is done where nothing was added.
    pub fn sync(&mut self) -> Result<(), StoreError> {
        if self.dirty {
            self.write()?;
            self.segment.sync()?;
            self.dirty = false;
        }
        Ok(())
    }

    /// Bytes of its lines.
    pub const fn len(&self) -> u64 {
        self.written + self.held.len() as u64
    }

    /// Whether it has none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes in its file: behind [`Spool::sync`], the length to commit.
    pub const fn stored(&self) -> u64 {
        self.segment.len()
    }

    /// Reads whole lines from a position on.
    pub fn read(&mut self, position: u64, block: &mut Block) -> Result<Piece, StoreError> {
        self.buffer.clear();
        if position >= self.len() {
            return Ok(Piece::Nothing);
        }
        if position >= self.written {
            let from = usize::try_from(position - self.written).unwrap_or(usize::MAX);
            let lines = self.held.get(from..).unwrap_or_default();
            self.buffer.extend_from_slice(lines.get(..cut(lines, CHUNK)).unwrap_or_default());
        } else if let Some(back) = &mut self.back {
            back.read(position, self.segment.len(), &mut self.buffer).map_err(StoreError::io("read", &self.path))?;
        } else {
            read_plain(self.segment.file(), position, self.written, &mut self.buffer).map_err(StoreError::io("read", &self.path))?;
        }
        let next = position + self.buffer.len() as u64;
        block.exchange(&mut self.buffer);
        Ok(Piece::Lines(next))
    }
}

impl Back {
    fn new(segment: &Segment, seals: &Seals) -> io::Result<Self> {
        Ok(Self { frames: Frames::new(segment.file().try_clone()?, &seals.keys), index: vec![(0, Spot::default())], frame: (0, Vec::new()) })
    }

    /// Some lines from a position on, which lies in a frame in front of `end`.
    fn read(&mut self, position: u64, end: u64, lines: &mut Vec<u8>) -> io::Result<()> {
        let reach = |frame: &(u64, Vec<u8>)| frame.0 + frame.1.len() as u64;
        if position < self.frame.0 || position > reach(&self.frame) + STRIDE || self.frame.1.is_empty() {
            let known = self.index.partition_point(|(start, _)| *start <= position);
            let (start, spot) = self.index.get(known.saturating_sub(1)).copied().unwrap_or_default();
            self.frames.seek(spot);
            self.frame = (start, Vec::new());
        }
        while reach(&self.frame) <= position {
            let start = reach(&self.frame);
            let spot = self.frames.spot();
            remember(&mut self.index, start, spot);
            self.frame.0 = start;
            if !self.frames.next(end, &mut self.frame.1)? {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the sealed segment is shorter than it was"));
            }
        }
        let from = usize::try_from(position - self.frame.0).unwrap_or(usize::MAX);
        let found = self.frame.1.get(from..).unwrap_or_default();
        lines.extend_from_slice(found.get(..cut(found, CHUNK)).unwrap_or_default());
        Ok(())
    }
}

/// Notes where a frame begins, if it lies far enough behind the last one that is known.
fn remember(index: &mut Vec<(u64, Spot)>, start: u64, spot: Spot) {
    if index.last().is_none_or(|(last, _)| start >= last + STRIDE) {
        index.push((start, spot));
    }
}

/// Where whole lines end that are at most so many bytes, or one that is more.
fn cut(lines: &[u8], most: usize) -> usize {
    let Some(front) = lines.get(..most).filter(|front| front.len() < lines.len()) else { return lines.len() };
    match memchr::memrchr(b'\n', front) {
        Some(end) => end + 1,
        None => memchr::memchr(b'\n', lines).map_or(lines.len(), |end| end + 1),
    }
}

fn read_plain(file: &File, position: u64, end: u64, lines: &mut Vec<u8>) -> io::Result<()> {
    while lines.last() != Some(&b'\n') {
        let at = position + lines.len() as u64;
        let room = usize::try_from(end - at).unwrap_or(usize::MAX).min(CHUNK);
        if room == 0 {
            return Ok(());
        }
        let start = lines.len();
        lines.resize(start + room, 0);
        file.read_exact_at(lines.get_mut(start..).unwrap_or_default(), at)?;
        if let Some(last) = memchr::memrchr(b'\n', lines.get(start..).unwrap_or_default()) {
            lines.truncate(start + last + 1);
        }
    }
    Ok(())
}

/// The end of the whole lines behind a commit, and how many they are. What a power cut left is no line.
fn whole(file: &File, committed: u64, size: u64) -> io::Result<(u64, u64)> {
    let (mut end, mut lines, mut at) = (committed, 0, committed);
    let mut buffer = vec![0; CHUNK];
    while at < size {
        let count = file.read_at(&mut buffer, at)?;
        let read = buffer.get(..count).unwrap_or_default();
        let sound = memchr::memchr(0, read).unwrap_or(count);
        for newline in memchr::memchr_iter(b'\n', read.get(..sound).unwrap_or_default()) {
            end = at + newline as u64 + 1;
            lines += 1;
        }
        if count == 0 || sound < count {
            break;
        }
        at += count as u64;
    }
    Ok((end, lines))
}

/// What a sealed segment holds, as far as it is whole.
struct Walked {
    /// Bytes of its lines.
    written: u64,
    end: u64,
    /// Places in it.
    index: Vec<(u64, Spot)>,
    /// Lines behind the commit.
    fresh: u64,
}

/// Reads a sealed segment as far as it is whole.
fn walk(file: File, (committed, size): (u64, u64), seals: &Seals) -> io::Result<Walked> {
    let mut frames = Frames::new(file, &seals.keys);
    let mut walked = Walked { written: 0, end: 0, index: vec![(0, Spot::default())], fresh: 0 };
    let mut lines = Vec::new();
    loop {
        let spot = frames.spot();
        walked.end = spot.at;
        match frames.next(size, &mut lines) {
            Ok(true) => {}
            Ok(false) if spot.at >= committed => return Ok(walked),
            // What a power cut left of a frame. A key that cannot be had is another matter.
            Err(error) if spot.at >= committed && error.kind() != io::ErrorKind::Other => return Ok(walked),
            Ok(false) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the sealed segment is shorter than what was committed")),
            Err(error) => return Err(error),
        }
        remember(&mut walked.index, walked.written, spot);
        walked.written += lines.len() as u64;
        if spot.at >= committed {
            walked.fresh += memchr::memchr_iter(b'\n', &lines).count() as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::seal::Keychain;
    use std::io::Write;

    fn heard(lines: &str) -> Heard {
        Heard { lines: lines.as_bytes().to_vec(), ..Heard::default() }
    }

    fn all(spool: &mut Spool, mut position: u64) -> String {
        let (mut block, mut found) = (Block::default(), Vec::new());
        while let Piece::Lines(next) = spool.read(position, &mut block).unwrap() {
            assert_eq!(next, position + block.as_bytes().len() as u64);
            assert!(block.as_bytes().ends_with(b"\n"));
            found.extend_from_slice(block.as_bytes());
            position = next;
        }
        String::from_utf8(found).unwrap()
    }

    const ACCESS: Access = Access { mode: 0o600, user: None, group: None };

    fn line(number: usize) -> String {
        format!("line {number} {}\n", "x".repeat(number % 300))
    }

    #[test]
    fn lines_are_read_back_from_any_place_and_after_any_end() {
        let dir = tempfile::tempdir().unwrap();
        let seals = Seals { keys: Keychain::of(&dir.path().join("state")), class: "site".to_owned(), form: "raw".to_owned(), level: 3 };
        for seals in [None, Some(&seals)] {
            let path = dir.path().join(if seals.is_some() { "sealed.part" } else { "plain.part" });
            let (mut spool, fresh) = Spool::open(&path, 0, ACCESS, seals).unwrap();
            assert_eq!(fresh, 0);
            let (mut expected, mut starts, mut committed) = (String::new(), Vec::new(), (0, 0));
            for turn in 0..60 {
                let lines: String = (turn * 300..(turn + 1) * 300).map(line).collect();
                starts.push(expected.len() as u64);
                expected.push_str(&lines);
                let mut heard = heard(&lines);
                let mut count = 0;
                while !heard.lines.is_empty() {
                    count += spool.take(&mut heard, u64::MAX).unwrap();
                }
                assert_eq!(count, 300);
                if turn % 7 == 0 {
                    spool.sync().unwrap();
                    committed = (spool.stored(), expected.len());
                }
            }
            assert_eq!(spool.len(), expected.len() as u64);
            for start in starts.iter().rev().chain(&starts) {
                assert_eq!(all(&mut spool, *start), expected[usize::try_from(*start).unwrap()..], "from {start}");
            }
            // Killed: what was written stays, and half a line or frame does not.
            drop(spool);
            std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"half").unwrap();
            let (mut again, fresh) = Spool::open(&path, committed.0, ACCESS, seals).unwrap();
            let found = all(&mut again, 0);
            assert!(found.len() >= committed.1 && expected.starts_with(&found));
            assert_eq!(found[committed.1..].lines().count() as u64, fresh);
            assert!(seals.is_some() || found == expected);
            let mut more = heard("more\n");
            again.take(&mut more, 1).unwrap();
            again.sync().unwrap();
            assert_eq!(all(&mut again, 0), format!("{found}more\n"));
            assert_eq!(all(&mut again, found.len() as u64), "more\n");
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(seals.is_some(), memchr::memmem::find(&bytes, b"line 1 ").is_none());
            // Somebody shortened it.
            std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(committed.0 - 1).unwrap();
            assert!(Spool::open(&path, committed.0, ACCESS, seals).is_err());
        }
    }
}
