//! A file read to its proven end: digested as it lies on the disk, decoded within bounds, cut where its content alone says.
//!
//! Every block but the last ends with the first line end at or behind a fixed number of decoded bytes. Neither the codec nor how
//! much a read brought moves that border, so that whoever does the work again writes the same frames.

use super::ledger_key::{Hasher, LedgerKey};
use super::seal::Keychain;
use super::source::{Block, Codec, Stop, decoder, fault};
use super::{Cause, StoreError};
use crate::retain::ledger::{Identity, Keyed};
use jiff::Timestamp;
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Decoded bytes that one block holds, up to the next line end.
pub const LAYOUT: u64 = 1024 * 1024;

/// Bytes of one read.
pub(super) const CHUNK: usize = 128 * 1024;

/// What every reading of a run shares.
#[derive(Clone)]
pub struct Reading {
    /// The key of digests.
    pub key: LedgerKey,
    /// Ends the reading.
    pub stop: Stop,
    /// Bytes read so far, as they lie on the disk: of the run and of the file.
    pub meters: [Arc<AtomicU64>; 2],
    /// The longest line, in bytes; what a longer one has behind that is dropped here, and rejected later.
    pub max_line: usize,
    /// For what is sealed.
    pub seals: Keychain,
}

/// Which file this is.
pub fn identity(file: &File, path: &Path) -> Result<Identity, StoreError> {
    let meta = file.metadata().map_err(StoreError::io("read", path))?;
    if !meta.is_file() {
        let cause = Cause::Refused { why: "this is no regular file", remedy: "name files or directories; a pipe goes through `logfade pipe`" };
        return Err(StoreError { verb: "read", path: path.to_owned(), cause });
    }
    let nanosecond = i32::try_from(meta.mtime_nsec()).unwrap_or_default();
    let mtime = Timestamp::new(meta.mtime(), nanosecond).unwrap_or(Timestamp::UNIX_EPOCH);
    Ok(Identity { device: meta.dev(), inode: meta.ino(), size: meta.len(), mtime })
}

/// Opens without waiting for anybody. A link that was named is followed.
fn open(path: &Path) -> Result<File, StoreError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    rustix::fs::open(path, flags, Mode::empty()).map(File::from).map_err(|errno| StoreError::io("open", path)(errno.into()))
}

/// How a file is packed, by its magic bytes.
fn codec(file: &File, path: &Path) -> Result<Codec, StoreError> {
    let mut head = [0; 32];
    let known = file.read_at(&mut head, 0).map_err(StoreError::io("read", path))?;
    Ok(Codec::of_file(head.get(..known).unwrap_or_default()))
}

/// Which file stands under a name.
pub fn look(path: &Path) -> Result<Identity, StoreError> {
    identity(&open(path)?, path)
}

/// Which file it is, its digest as it lies on the disk, and that of its first `front` bytes, if it has so many.
pub fn digest(path: &Path, reading: &Reading, front: u64) -> Result<(Identity, Keyed, Option<Keyed>), StoreError> {
    let file = open(path)?;
    let identity = identity(&file, path)?;
    let mut tap = Tap { file, left: identity.size, hasher: reading.key.hasher(), meters: None, stop: reading.stop.clone() };
    let mut buffer = vec![0; CHUNK];
    let mut at = 0;
    let mut prefix = None;
    loop {
        let room = usize::try_from(front.saturating_sub(at)).unwrap_or(CHUNK).min(CHUNK);
        let room = buffer.get_mut(..if room == 0 { CHUNK } else { room }).unwrap_or_default();
        if at == front {
            prefix = Some(tap.hasher.clone().finish());
        }
        match tap.read(room).map_err(StoreError::io("read", path))? {
            0 => return Ok((identity, tap.hasher.finish(), prefix)),
            count => at += count as u64,
        }
    }
}

/// The digest of the first bytes that a packed file decodes to, and whether there are no more; none of a plain file, and of one that has less.
pub fn decoded_front(path: &Path, reading: &Reading, front: u64) -> Result<Option<(Keyed, bool)>, StoreError> {
    let file = open(path)?;
    let left = identity(&file, path)?.size;
    let codec = codec(&file, path)?;
    if codec == Codec::Plain {
        return Ok(None);
    }
    let tap = Tap { file, left, hasher: reading.key.hasher(), meters: None, stop: reading.stop.clone() };
    let mut reader = decoder(codec, tap, &reading.seals).map_err(|error| fault(codec, path, error))?;
    let (mut hasher, mut buffer, mut rest) = (reading.key.hasher(), vec![0; CHUNK], front);
    while rest > 0 {
        let room = usize::try_from(rest).unwrap_or(CHUNK).min(CHUNK);
        let room = buffer.get_mut(..room).unwrap_or_default();
        match reader.read(room).map_err(|error| fault(codec, path, error))? {
            0 => return Ok(None),
            count => {
                hasher.update(room.get(..count).unwrap_or_default());
                rest -= count as u64;
            }
        }
    }
    let more = reader.read(buffer.get_mut(..1).unwrap_or_default()).map_err(|error| fault(codec, path, error))?;
    Ok(Some((hasher.finish(), more == 0)))
}

/// The undecoded bytes of a file, as many as it had when it was opened.
struct Tap {
    file: File,
    left: u64,
    hasher: Hasher,
    meters: Option<[Arc<AtomicU64>; 2]>,
    stop: Stop,
}

impl Read for Tap {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.is_stopped() {
            return Err(io::Error::other("interrupted by a signal"));
        }
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(room) = buffer.get_mut(..room).filter(|room| !room.is_empty()) else { return Ok(0) };
        let count = loop {
            match self.file.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        if count == 0 {
            return Err(io::Error::other("the file was cut while it was read"));
        }
        self.hasher.update(room.get(..count).unwrap_or_default());
        self.left -= count as u64;
        for meter in self.meters.iter().flatten() {
            meter.fetch_add(count as u64, Ordering::Relaxed);
        }
        Ok(count)
    }
}

struct Shared(Arc<Mutex<Tap>>);

impl Read for Shared {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).read(buffer)
    }
}

/// A file on its way.
pub struct Archive {
    reader: Box<dyn Read + Send>,
    tap: Arc<Mutex<Tap>>,
    codec: Codec,
    path: PathBuf,
    identity: Identity,
    max_line: usize,
    /// Decoded bytes behind the last block.
    rest: Vec<u8>,
    ended: bool,
}

impl Archive {
    /// Opens a regular file.
    pub fn open(path: &Path, reading: &Reading) -> Result<Self, StoreError> {
        let file = open(path)?;
        let identity = identity(&file, path)?;
        let codec = codec(&file, path)?;
        let tap = Tap { file, left: identity.size, hasher: reading.key.hasher(), meters: Some(reading.meters.clone()), stop: reading.stop.clone() };
        let tap = Arc::new(Mutex::new(tap));
        let reader = decoder(codec, Shared(Arc::clone(&tap)), &reading.seals).map_err(|error| fault(codec, path, error))?;
        Ok(Self { reader, tap, codec, path: path.to_owned(), identity, max_line: reading.max_line, rest: Vec::new(), ended: false })
    }

    /// Which file it was when it was opened.
    pub const fn identity(&self) -> Identity {
        self.identity
    }

    /// Undecoded bytes read so far.
    pub fn bytes_read(&self) -> u64 {
        self.identity.size - self.tap.lock().unwrap_or_else(PoisonError::into_inner).left
    }

    /// Fills `block` with whole lines; false behind the last.
    pub fn block(&mut self, block: &mut Block) -> Result<bool, StoreError> {
        let mut bytes = Vec::new();
        block.exchange(&mut bytes);
        bytes.clear();
        std::mem::swap(&mut bytes, &mut self.rest);
        let more = self.fill(&mut bytes);
        block.exchange(&mut bytes);
        more
    }

    fn fill(&mut self, bytes: &mut Vec<u8>) -> Result<bool, StoreError> {
        // Bytes of long lines that were dropped count as if they were there.
        let mut dropped = 0_u64;
        let mut searched = 0;
        // Begin of the last line that has no end yet.
        let mut open = memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1);
        loop {
            let due = usize::try_from(LAYOUT.saturating_sub(dropped + 1)).unwrap_or_default().max(searched);
            if let Some(at) = bytes.get(due..).and_then(|behind| memchr::memchr(b'\n', behind)) {
                let end = due + at + 1;
                self.rest.clear();
                self.rest.extend_from_slice(bytes.get(end..).unwrap_or_default());
                bytes.truncate(end);
                return Ok(true);
            }
            searched = bytes.len();
            if bytes.len() - open > self.max_line {
                let keep = open + self.max_line + 1;
                dropped += self.skip_line(bytes, keep)?;
                // Its end may be the block's.
                searched = keep;
                open = memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1);
                if searched < bytes.len() {
                    continue;
                }
            }
            if self.ended {
                return Ok(false);
            }
            let len = bytes.len();
            self.read_some(bytes)?;
            if let Some(at) = bytes.get(len..).and_then(|fresh| memchr::memrchr(b'\n', fresh)) {
                open = len + at + 1;
            }
        }
    }

    /// Drops what a line has behind its longest length, up to its end; says how many bytes.
    fn skip_line(&mut self, bytes: &mut Vec<u8>, keep: usize) -> Result<u64, StoreError> {
        let mut dropped = (bytes.len() - keep) as u64;
        let mut last = bytes.last().copied();
        bytes.truncate(keep);
        let mut chunk = Vec::new();
        while !self.ended {
            chunk.clear();
            self.read_some(&mut chunk)?;
            let Some(at) = memchr::memchr(b'\n', &chunk) else {
                dropped += chunk.len() as u64;
                last = chunk.last().copied().or(last);
                continue;
            };
            let (line, rest) = chunk.split_at(at + 1);
            let before = if at > 0 { line.get(at - 1).copied() } else { last };
            let end: &[u8] = if before == Some(b'\r') { b"\r\n" } else { b"\n" };
            dropped = (dropped + line.len() as u64).saturating_sub(end.len() as u64);
            bytes.extend_from_slice(end);
            bytes.extend_from_slice(rest);
            return Ok(dropped);
        }
        Ok(dropped)
    }

    fn read_some(&mut self, bytes: &mut Vec<u8>) -> Result<(), StoreError> {
        let len = bytes.len();
        bytes.resize(len + CHUNK, 0);
        let read = self.reader.read(bytes.get_mut(len..).unwrap_or_default());
        bytes.truncate(len + read.as_ref().map_or(0, |count| *count));
        match read {
            Ok(0) => {
                self.ended = true;
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => {
                self.ended = true;
                let fault = fault(self.codec, &self.path, error);
                // A file is written whole or not at all.
                Err(if matches!(fault.cause, Cause::Damaged(_)) { StoreError { verb: "decode", ..fault } } else { fault })
            }
        }
    }

    /// Behind the last block: nothing is left over, nothing was changed, and this is the digest.
    pub fn finish(self) -> Result<Keyed, StoreError> {
        let refused = |why: &'static str| StoreError { verb: "read", path: self.path.clone(), cause: Cause::Io(io::Error::other(why)) };
        let tap = self.tap.lock().unwrap_or_else(PoisonError::into_inner);
        if tap.left > 0 {
            return Err(refused("the stream ends before the file does"));
        }
        let now = identity(&tap.file, &self.path)?;
        // What was appended since is for the next run.
        if now.size < self.identity.size || (now.size == self.identity.size && now.mtime != self.identity.mtime) {
            return Err(refused("the file was changed while it was read"));
        }
        Ok(tap.hasher.clone().finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// The decoded content, if the end is proven.
    fn proven(path: &Path, reading: &Reading) -> Option<Vec<u8>> {
        let mut archive = Archive::open(path, reading).ok()?;
        let (mut block, mut content) = (Block::default(), Vec::new());
        loop {
            let more = archive.block(&mut block).ok()?;
            content.extend_from_slice(block.as_bytes());
            if !more {
                return archive.finish().ok().map(|_| content);
            }
        }
    }

    /// Numbers that nobody can compress away, the same in each run.
    fn next(state: &mut u64) -> u64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state ^ (*state >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 16
    }

    fn lines(bytes: usize) -> Vec<u8> {
        let (mut text, mut state) = (Vec::new(), 7);
        while text.len() < bytes {
            text.extend_from_slice(b"203.0.113.9 - - [10/Oct/2000:13:55:36 +0000] \"GET /");
            text.extend((0..120).map(|_| b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"[next(&mut state) as usize % 64]));
            text.extend_from_slice(b" HTTP/1.1\" 200 5\n");
        }
        text
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        gzip.write_all(content).unwrap();
        gzip.finish().unwrap()
    }

    fn zstd(content: &[u8]) -> Vec<u8> {
        let mut zstd = zstd::bulk::Compressor::new(3).unwrap();
        zstd.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true)).unwrap();
        zstd.compress(content).unwrap()
    }

    #[test]
    fn an_archive_cut_anywhere_or_with_one_wrong_bit_is_never_proven_with_other_content() {
        let dir = tempfile::tempdir().unwrap();
        let content = lines(132 * 1024);
        let reading = Reading { key: LedgerKey::existing(dir.path()).unwrap(), stop: Stop::default(), meters: Default::default(), max_line: 1 << 20, seals: Keychain::none() };
        let (front, back) = content.split_at(content.len() / 2);
        let two = |half: &dyn Fn(&[u8]) -> Vec<u8>| [half(front), half(back)].concat();
        std::thread::scope(|scope| {
            let last = [gzip(back).len(), zstd(back).len()];
            for (name, packed, last) in [("gz", gzip(&content), 0), ("zst", zstd(&content), 0), ("members.gz", two(&gzip), last[0]), ("frames.zst", two(&zstd), last[1])] {
                let (content, reading, path) = (&content, &reading, dir.path().join(name));
                scope.spawn(move || {
                    assert!(packed.len() > 64 * 1024, "{} bytes", packed.len());
                    std::fs::write(&path, &packed).unwrap();
                    assert_eq!(proven(&path, reading).as_deref(), Some(&content[..]));
                    let file = File::options().write(true).open(&path).unwrap();
                    // A cut between two members leaves an archive that is whole: only its digest, kept in the ledger, tells.
                    let every = if cfg!(debug_assertions) || last > 0 { 61 } else { 1 };
                    let whole = (1..packed.len()).rev().filter(|len| len % every == 0 || *len == packed.len() - last).filter(|len| {
                        file.set_len(*len as u64).unwrap();
                        proven(&path, reading).is_some()
                    });
                    assert_eq!(whole.count(), usize::from(last > 0), "{name}");
                    file.write_all_at(&packed, 0).unwrap();
                    let mut state = 11;
                    for _ in 0..2_500 {
                        let (at, bit) = (next(&mut state) as usize % packed.len(), next(&mut state) % 8);
                        file.write_all_at(&[packed[at] ^ (1 << bit)], at as u64).unwrap();
                        let read = proven(&path, reading);
                        assert!(read.is_none() || read.as_deref() == Some(&content[..]), "{name}: bit {bit} of byte {at}");
                        file.write_all_at(&packed[at..=at], at as u64).unwrap();
                    }
                });
            }
        });
    }
}
