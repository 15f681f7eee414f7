//! Raw bytes in: recognises the codec, decodes within bounds, cuts blocks of whole lines.

use super::digest::Meter;
use super::seal::{self, AGE, Gone, Keychain, MAGIC, Unsealed};
use super::{Cause, StoreError};
use rustix::event::{PollFd, PollFlags, poll};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Bytes that one block holds unless a line is longer.
pub const BLOCK: usize = 256 * 1024;

/// The largest window that a zstd stream may ask for, as a power of two: 128 MiB.
const WINDOW_LOG: u32 = 27;

/// Memory that an xz stream may ask for, in bytes.
const XZ_MEMORY: u64 = 128 * 1024 * 1024;

/// What a pipe may still hold when a signal ends the reading: it is read, so that no line is lost that was written.
const DRAIN: usize = 1024 * 1024;

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Not at all.
    Plain,
    /// RFC 1952, any number of members.
    Gzip,
    /// RFC 8878, any number of frames.
    Zstd,
    /// bzip2, any number of streams.
    Bzip2,
    /// xz, any number of streams.
    Xz,
    /// Encrypted, in frames; what it holds may be compressed.
    Sealed,
    /// An age file as the `age` tool writes it.
    Age,
}

impl Codec {
    /// Recognises a codec by its magic bytes.
    pub fn sniff(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, 0x08, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            // A skippable frame in front of the first real one.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, ..] => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0x00, ..] => Self::Xz,
            _ if head.starts_with(&MAGIC) => Self::Sealed,
            _ if head.starts_with(AGE) => Self::Age,
            _ => Self::Plain,
        }
    }

    /// That of a whole file: what was cut within its magic bytes is a damaged archive and no plain line.
    pub(super) fn of_file(head: &[u8]) -> Self {
        match head {
            [0x1f] | [0x1f, 0x8b] => Self::Gzip,
            [0x28] | [0x28, 0xb5] | [0x28, 0xb5, 0x2f] | [0x50..=0x5f, 0x2a] | [0x50..=0x5f, 0x2a, 0x4d] => Self::Zstd,
            [b'B'] | [b'B', b'Z'] | [b'B', b'Z', b'h'] | [b'B', b'Z', b'h', b'1'..=b'9'] | [b'B', b'Z', b'h', b'1'..=b'9', 0x31] => Self::Bzip2,
            [0xfd] | [0xfd, b'7'] | [0xfd, b'7', b'z'] | [0xfd, b'7', b'z', b'X'] | [0xfd, b'7', b'z', b'X', b'Z'] => Self::Xz,
            _ if !head.is_empty() && MAGIC.starts_with(head) => Self::Sealed,
            _ => Self::sniff(head),
        }
    }
}

/// Tells a reader to end at the next line; set from a signal.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Ends the reading.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was told to end.
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The flag itself, for a signal handler.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

/// The undecoded bytes: counted, and interruptible where the descriptor is a pipe.
struct Wire {
    file: File,
    wake: Option<File>,
    stop: Stop,
    read: Arc<AtomicU64>,
    /// Bytes read since the signal.
    drained: usize,
}

impl Wire {
    /// Whether a read would block now.
    fn is_idle(file: BorrowedFd<'_>) -> bool {
        let mut fds = [PollFd::new(&file, PollFlags::IN)];
        matches!(poll(&mut fds, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(0))
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.stop.is_stopped() && (self.wake.is_none() || self.drained >= DRAIN || Self::is_idle(self.file.as_fd())) {
                return Ok(0);
            }
            if let Some(wake) = self.wake.as_ref().filter(|_| !self.stop.is_stopped()) {
                // A signal that comes between the check above and the read below wakes this instead.
                let mut fds = [PollFd::new(&self.file, PollFlags::IN), PollFd::new(wake, PollFlags::IN)];
                match poll(&mut fds, None) {
                    Ok(_) if self.stop.is_stopped() => continue,
                    Ok(_) | Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
                if fds.first().is_some_and(|fd| fd.revents().is_empty()) {
                    continue;
                }
            }
            match self.file.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => {
                    if let Ok(count) = other {
                        self.read.fetch_add(count as u64, Ordering::Relaxed);
                        self.drained += if self.stop.is_stopped() { count } else { 0 };
                    }
                    return other;
                }
            }
        }
    }
}

/// Undecoded bytes, counted.
struct Counted<R> {
    reader: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// A stream of raw lines.
pub struct Source {
    reader: Box<dyn Read + Send>,
    path: PathBuf,
    codec: Codec,
    poll: Option<File>,
    stop: Stop,
    read: Arc<AtomicU64>,
    /// Bytes behind the last whole line of the block before.
    rest: Vec<u8>,
    max_line: usize,
    /// Inside a line that is too long: skip to its end.
    skipping: bool,
    ended: bool,
}

/// What a call for a block gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// A block of whole lines; more follows at once.
    Block,
    /// A block of whole lines (or none); the input pauses.
    Pause,
    /// A line longer than the limit begins behind this block; its bytes are skipped.
    TooLong,
    /// The last block.
    End,
}

impl Source {
    /// Standard input.
    pub fn stdin(stop: &Stop, wake: Option<File>, max_line: usize) -> Result<Self, StoreError> {
        let keys = Keychain::none();
        let path = Path::new("stdin");
        let file = io::stdin().as_fd().try_clone_to_owned().map_err(StoreError::io("open", path))?;
        Self::new(File::from(file), path, (stop, wake, &keys), max_line)
    }

    /// A file.
    pub fn open(path: &Path, stop: &Stop, max_line: usize, keys: &Keychain) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(StoreError::io("open", path))?;
        if file.metadata().is_ok_and(|meta| meta.is_dir()) {
            return Err(StoreError { verb: "read", path: path.to_owned(), cause: Cause::Refused { why: "this is a directory", remedy: "name a file" } });
        }
        Self::new(file, path, (stop, None, keys), max_line)
    }

    fn new(file: File, path: &Path, (stop, wake, keys): (&Stop, Option<File>, &Keychain), max_line: usize) -> Result<Self, StoreError> {
        let regular = file.metadata().is_ok_and(|meta| meta.is_file());
        let poll = if regular { None } else { Some(file.try_clone().map_err(StoreError::io("read", path))?) };
        let read = Arc::new(AtomicU64::new(0));
        let mut wire = Wire { file, wake: wake.filter(|_| !regular), stop: stop.clone(), read: Arc::clone(&read), drained: 0 };
        // The first read of a slow pipe may bring less than a magic number.
        let mut head = vec![0; 8192];
        let mut filled = 0;
        loop {
            let count = wire.read(head.get_mut(filled..).unwrap_or_default()).map_err(StoreError::io("read", path))?;
            filled += count;
            let known = head.get(..filled).unwrap_or_default();
            let maybe = matches!(known.first(), Some(0x1f | 0x28 | b'B' | 0xfd | 0x50..=0x5f | 0x89 | b'a'));
            let needed = match known.first() {
                Some(0x89) => MAGIC.len(),
                Some(b'a') if AGE.starts_with(known) => AGE.len(),
                _ => 6,
            };
            if count == 0 || filled >= needed || !maybe || known.contains(&b'\n') {
                break;
            }
        }
        head.truncate(filled);
        let codec = Codec::sniff(&head);
        let reader = decoder(codec, io::Cursor::new(head).chain(wire), keys).map_err(StoreError::io("read", path))?;
        Ok(Self { reader, path: path.to_owned(), codec, poll, stop: stop.clone(), read, rest: Vec::new(), max_line, skipping: false, ended: false })
    }

    /// Bytes from anywhere that ends by itself; `meter` takes what they decode to.
    pub(in crate::store) fn over(reader: impl Read + Send + 'static, path: &Path, max_line: usize, (meter, keys): (&Meter, &Keychain)) -> Result<Self, StoreError> {
        let read = Arc::new(AtomicU64::new(0));
        let mut wire = Counted { reader, read: Arc::clone(&read) };
        let mut head = Vec::new();
        wire.by_ref().take(8192).read_to_end(&mut head).map_err(StoreError::io("read", path))?;
        let codec = Codec::of_file(&head);
        let decoded = decoder(codec, io::Cursor::new(head).chain(wire), keys).map_err(StoreError::io("read", path))?;
        let reader = Box::new(meter.over(decoded));
        Ok(Self { reader, path: path.to_owned(), codec, poll: None, stop: Stop::default(), read, rest: Vec::new(), max_line, skipping: false, ended: false })
    }

    /// How the stream is compressed.
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// Undecoded bytes read so far.
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Fills `block` with whole lines, about `capacity` bytes of them. On an error, `block` holds the whole lines in front of it.
    pub fn fill(&mut self, block: &mut Block, capacity: usize) -> Result<Filled, StoreError> {
        block.restart(&mut self.rest);
        // End of the last whole line, and how far its search has come.
        let (mut lines, mut searched) = (0, 0);
        loop {
            if self.skipping {
                self.skipping = !block.skip_line();
                (lines, searched) = (0, 0);
            }
            if let Some(at) = memchr::memrchr(b'\n', block.as_bytes().get(searched..).unwrap_or_default()) {
                lines = searched + at + 1;
            }
            searched = block.len;
            if !self.skipping && block.len - lines > self.max_line {
                // The line's beginning is not needed: it will be counted, not read.
                block.len = lines;
                self.skipping = true;
                return Ok(Filled::TooLong);
            }
            if self.ended {
                // An interrupted last line is not whole.
                block.len = if self.stop.is_stopped() { lines } else { block.len };
                return Ok(Filled::End);
            }
            let pause = lines > 0 && block.len < capacity && self.poll.as_ref().is_some_and(|file| Wire::is_idle(file.as_fd()));
            if pause || (block.len >= capacity && lines > 0) {
                self.rest.extend_from_slice(block.as_bytes().get(lines..).unwrap_or_default());
                block.len = lines;
                return Ok(if pause { Filled::Pause } else { Filled::Block });
            }
            if let Err(error) = self.read_some(block, capacity) {
                block.len = lines;
                self.ended = true;
                return Err(error);
            }
        }
    }

    fn read_some(&mut self, block: &mut Block, capacity: usize) -> Result<(), StoreError> {
        match self.reader.read(block.room(capacity)) {
            Ok(count) => {
                block.len += count;
                self.ended = count == 0;
                Ok(())
            }
            // A decoder that was cut short by the signal.
            Err(_) if self.stop.is_stopped() => {
                self.ended = true;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(fault(self.codec, &self.path, error)),
        }
    }
}

/// What a decoder's error means.
pub(super) fn fault(codec: Codec, path: &Path, error: io::Error) -> StoreError {
    if let Some(gone) = error.get_ref().and_then(|inner| inner.downcast_ref::<Gone>()) {
        return seal::gone(path, *gone);
    }
    // What zstd says of a window above the limit, and xz of memory above it.
    let greedy = ["Frame requires too much memory", "memory usage limit was reached"].iter().any(|words| error.to_string().contains(words));
    let cause = match codec {
        Codec::Plain => Cause::Io(error),
        _ if greedy => Cause::Refused {
            why: "the stream asks for more than 128 MiB of memory to be decoded",
            remedy: "decode it with its own tool first, for example: zstd -d --long=31 -c FILE | logfade pipe",
        },
        Codec::Gzip | Codec::Zstd | Codec::Bzip2 | Codec::Xz | Codec::Sealed | Codec::Age => Cause::Damaged(error),
    };
    StoreError { verb: if greedy { "decode" } else { "read" }, path: path.to_owned(), cause }
}

/// Whole lines in a buffer that is reused.
#[derive(Debug, Default)]
pub struct Block {
    /// Longer than what is filled, so that nothing is cleared twice.
    buffer: Vec<u8>,
    len: usize,
}

impl Block {
    /// The lines.
    pub fn as_bytes(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }

    /// Exchanges what it holds for other lines.
    pub(super) fn exchange(&mut self, bytes: &mut Vec<u8>) {
        std::mem::swap(&mut self.buffer, bytes);
        self.len = self.buffer.len();
    }

    fn restart(&mut self, rest: &mut Vec<u8>) {
        self.len = rest.len();
        if self.buffer.len() < rest.len() {
            self.buffer.resize(rest.len(), 0);
        }
        if let Some(front) = self.buffer.get_mut(..rest.len()) {
            front.copy_from_slice(rest);
        }
        rest.clear();
    }

    /// Room behind what is filled.
    fn room(&mut self, capacity: usize) -> &mut [u8] {
        let room = capacity.saturating_sub(self.len).clamp(64 * 1024, BLOCK);
        if self.buffer.len() < self.len + room {
            self.buffer.resize(self.len + room, 0);
        }
        self.buffer.get_mut(self.len..self.len + room).unwrap_or_default()
    }

    /// Drops bytes up to a line's end; false if it has not come yet.
    fn skip_line(&mut self) -> bool {
        let end = memchr::memchr(b'\n', self.as_bytes()).map(|at| at + 1);
        let skipped = end.unwrap_or(self.len);
        self.buffer.copy_within(skipped..self.len, 0);
        self.len -= skipped;
        end.is_some()
    }
}

/// The decoder of a codec. Every one reads all members, and ends in an error where the stream is cut.
pub(super) fn decoder(codec: Codec, wire: impl Read + Send + 'static, keys: &Keychain) -> io::Result<Box<dyn Read + Send>> {
    let mut buffered = BufReader::with_capacity(128 * 1024, wire);
    Ok(match codec {
        Codec::Plain => Box::new(Plain(buffered)),
        Codec::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(buffered)),
        Codec::Zstd => {
            buffered.fill_buf()?;
            let mut decoder = zstd::stream::read::Decoder::with_buffer(buffered)?;
            decoder.window_log_max(WINDOW_LOG)?;
            Box::new(decoder)
        }
        Codec::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(buffered)),
        Codec::Xz => {
            let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED).map_err(io::Error::other)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(buffered, stream))
        }
        Codec::Sealed => Box::new(Within::Closed(Box::new(Unsealed::new(buffered, keys, false)))),
        Codec::Age => Box::new(Within::Closed(Box::new(Unsealed::new(buffered, keys, true)))),
    })
}

/// What a sealed file holds, decoded by its own codec, which is known with the first bytes.
enum Within {
    Closed(Box<Unsealed>),
    Open(Box<dyn Read + Send>),
    Failed,
}

impl Read for Within {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            *self = match std::mem::replace(self, Self::Failed) {
                Self::Closed(mut unsealed) => {
                    let mut head = Vec::new();
                    unsealed.by_ref().take(8).read_to_end(&mut head)?;
                    let codec = match Codec::sniff(&head) {
                        // Sealed twice: nobody does that, and it would open without a bound.
                        Codec::Sealed | Codec::Age => Codec::Plain,
                        codec @ (Codec::Plain | Codec::Gzip | Codec::Zstd | Codec::Bzip2 | Codec::Xz) => codec,
                    };
                    Self::Open(decoder(codec, io::Cursor::new(head).chain(unsealed), &Keychain::none())?)
                }
                Self::Open(mut reader) => {
                    let read = reader.read(buffer);
                    *self = Self::Open(reader);
                    return read;
                }
                Self::Failed => return Err(io::Error::new(io::ErrorKind::InvalidData, "the sealed file is damaged")),
            };
        }
    }
}

/// Plain bytes: reads go past the buffer once it is empty.
struct Plain<R>(BufReader<R>);

impl<R: Read> Read for Plain<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.buffer().is_empty() { self.0.get_mut().read(buffer) } else { self.0.read(buffer) }
    }
}
