//! Clean bytes out: encoded in independent frames, appended under a lock.

mod stall;

use super::confirm::Confirm;
use super::seal::{Appendix, Keychain, MAGIC};
use super::seek::SeekTable;
use super::source::Codec;
use super::{Cause, StoreError, sync_directory};
use crate::scrub::{Clean, Quarantined};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use stall::Stall;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Clean bytes that one compressed frame holds, unless the input pauses.
pub const FRAME: usize = 1024 * 1024;

/// How the output is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compress {
    /// Not at all.
    #[default]
    None,
    /// gzip members of this level, 1 to 9.
    Gzip(u32),
    /// zstd frames of this level, 1 to 19, with checksum.
    Zstd(i32),
}

/// Compresses one frame at a time; one per thread.
pub struct Encoder {
    compress: Compress,
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

/// An encoded frame: whole clean lines.
#[derive(Debug, Default)]
pub struct Frame {
    bytes: Vec<u8>,
    /// Bytes of the lines.
    decoded: usize,
}

impl Frame {
    /// Encoded bytes, for what writes them.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Tells a table of it; a frame without a line is none.
    pub(super) fn note(&self, table: &mut SeekTable) {
        if self.decoded > 0 {
            table.note(self.bytes.len(), self.decoded);
        }
    }
}

impl Encoder {
    /// An encoder.
    pub fn new(compress: Compress) -> Result<Self, StoreError> {
        let zstd = match compress {
            Compress::Zstd(level) => {
                let build = || {
                    let mut zstd = zstd::bulk::Compressor::new(level)?;
                    zstd.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true))?;
                    Ok(zstd)
                };
                Some(build().map_err(StoreError::io("compress", Path::new("output")))?)
            }
            Compress::None | Compress::Gzip(_) => None,
        };
        Ok(Self { compress, zstd })
    }

    /// A frame without content, for a file without a line: no reader takes a file of no bytes for an archive.
    pub(super) fn empty() -> Result<Vec<u8>, StoreError> {
        zstd::bulk::compress(b"", 0).map_err(StoreError::io("compress", Path::new("output")))
    }

    /// Encodes the lines as one frame in place of what `frame` held.
    pub fn encode(&mut self, clean: &Clean, frame: &mut Frame) -> Result<(), StoreError> {
        self.encode_plain(clean.as_bytes(), frame)
    }

    /// The same for clean lines that stood in a file of ours.
    pub(super) fn encode_plain(&mut self, bytes: &[u8], frame: &mut Frame) -> Result<(), StoreError> {
        frame.bytes.clear();
        frame.decoded = bytes.len();
        if bytes.is_empty() {
            return Ok(());
        }
        let failed = StoreError::io("compress", Path::new("output"));
        match (self.compress, &mut self.zstd) {
            (Compress::Zstd(_), Some(zstd)) => {
                frame.bytes.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
                zstd.compress_to_buffer(bytes, &mut frame.bytes).map(drop).map_err(failed)
            }
            (Compress::Gzip(level), _) => {
                let mut gzip = flate2::write::GzEncoder::new(std::mem::take(&mut frame.bytes), flate2::Compression::new(level));
                gzip.write_all(bytes).and_then(|()| gzip.finish()).map(|done| frame.bytes = done).map_err(failed)
            }
            (Compress::None | Compress::Zstd(_), _) => {
                frame.bytes.extend_from_slice(bytes);
                Ok(())
            }
        }
    }
}

/// Where clean lines go.
pub struct Sink {
    file: File,
    path: PathBuf,
    /// A file of our own: several writers may append to it.
    shared: bool,
    /// Lines as they are: one that begins where an earlier input ended in the middle of a line gets a line of its own.
    plain: bool,
    /// Bytes that the file has taken.
    written: u64,
    /// The patience with it; without one it is waited for without end.
    stall: Option<Stall>,
    /// Its name is on disk.
    named: bool,
}

/// What a sink has written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Bytes after compression.
    pub bytes: u64,
    /// Lines that it did not take in time.
    pub lost: u64,
}

impl Sink {
    /// Standard output. Refuses to write compressed bytes to a terminal.
    pub fn stdout(compress: Compress) -> Result<Self, StoreError> {
        let path = Path::new("stdout");
        let stdout = io::stdout();
        if compress != Compress::None && stdout.is_terminal() {
            return Err(refused(path, "compressed bytes do not belong on a terminal", "name a file with -o, or send the output to one"));
        }
        let file = stdout.as_fd().try_clone_to_owned().map_err(StoreError::io("open", path))?;
        Self::checked(File::from(file), path, false, false)
    }

    /// A file: made with mode 0640 if it is not there, else appended to. Refuses one that is compressed in another way.
    pub fn append(path: &Path, compress: Compress) -> Result<Self, StoreError> {
        let file = open_append(path, 0o640)?;
        let codec = codec_of(&file).map_err(StoreError::io("read", path))?;
        let expected = match compress {
            Compress::None => Codec::Plain,
            Compress::Gzip(_) => Codec::Gzip,
            Compress::Zstd(_) => Codec::Zstd,
        };
        if codec.is_some_and(|codec| codec != expected) {
            return Err(refused(path, "the file is compressed in another way than what would be appended", "name another file, or choose the same --compress"));
        }
        Self::checked(file, path, true, compress == Compress::None)
    }

    /// Whether it is a file to which others may append.
    pub const fn is_appended(&self) -> bool {
        self.shared
    }

    /// Bytes that it has taken so far.
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// Whether the quarantine would write into this output.
    pub fn is_quarantine(&self, quarantine: &Quarantine) -> bool {
        identity(&self.file).is_some_and(|own| identity(&quarantine.file) == Some(own))
    }

    /// Refuses a file that is the input as well.
    fn checked(file: File, path: &Path, shared: bool, plain: bool) -> Result<Self, StoreError> {
        if let (Ok(output), Ok(input)) = (file.metadata(), rustix::fs::fstat(io::stdin()))
            && output.is_file()
            && (output.dev(), output.ino()) == (input.st_dev, input.st_ino)
        {
            return Err(refused(path, "the output is the input", "name another file; a raw log is never overwritten"));
        }
        Ok(Self { file, path: path.to_owned(), shared, plain, written: 0, stall: None, named: false })
    }

    /// Waits for the output only so long; what it does not take then is left out and counted.
    pub fn with_patience(mut self, patience: Option<Duration>) -> Self {
        self.stall = patience.map(Stall::new);
        self
    }

    /// Whether the output is where lines are confirmed.
    pub fn is_confirmation(&self, confirm: &Confirm) -> bool {
        confirm.is(&self.file)
    }

    /// Writes plain clean lines.
    pub fn write(&mut self, clean: &Clean) -> Result<(), StoreError> {
        if self.stall.is_some() { self.put_in_time(clean.as_bytes(), None) } else { self.put(clean.as_bytes()) }
    }

    /// Writes an encoded frame of so many lines.
    pub fn write_frame(&mut self, frame: &Frame, lines: u64) -> Result<(), StoreError> {
        if self.stall.is_some() { self.put_in_time(&frame.bytes, Some(lines)) } else { self.put(&frame.bytes) }
    }

    /// Writes plain lines, or a frame of so many, unless the output stalls.
    fn put_in_time(&mut self, bytes: &[u8], frame: Option<u64>) -> Result<(), StoreError> {
        let Some(stall) = self.stall.as_mut().filter(|_| !bytes.is_empty()) else { return Ok(()) };
        let failed = StoreError::io("write", &self.path);
        let regular = self.shared && self.file.metadata().is_ok_and(|meta| meta.is_file());
        if regular {
            // A file takes everything at once, but another writer may keep the lock.
            if stall.lock(&self.file).map_err(failed)? {
                return self.put(bytes);
            }
            stall.leave_out(frame.unwrap_or_else(|| memchr::memchr_iter(b'\n', bytes).count() as u64));
            return Ok(());
        }
        let put = match frame {
            Some(lines) => stall.unit(&mut self.file, bytes, lines),
            None => stall.lines(&mut self.file, bytes),
        };
        self.written += stall.take_written();
        put.map_err(failed)
    }

    /// Makes what was written durable, the name of the file too.
    pub fn sync(&mut self) -> Result<(), StoreError> {
        if !self.shared {
            return Ok(());
        }
        match self.file.sync_data() {
            // A device such as /dev/null: there is nothing to sync.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(()),
            synced => synced.map_err(StoreError::io("sync", &self.path))?,
        }
        if !self.named {
            sync_directory(self.path.parent().unwrap_or(Path::new(".")))?;
            self.named = true;
        }
        Ok(())
    }

    /// Whole lines or a whole frame under a lock, so that two may append to one file.
    fn put(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let failed = StoreError::io("write", &self.path);
        let result = if self.shared {
            flock(&self.file, FlockOperation::LockExclusive).map_err(io::Error::from).and_then(|()| {
                let before = self.file.metadata().ok().filter(|meta| meta.is_file()).map(|meta| meta.len());
                // Only under the lock does the end stand still: another writer's line may be half there before.
                let healed = match before {
                    Some(len) if self.plain && !ends_whole(&self.file, len)? => self.file.write_all(b"\n"),
                    Some(_) | None => Ok(()),
                };
                let written = healed.and_then(|()| self.file.write_all(bytes));
                // Half a line or half a frame would spoil what is appended later.
                if let (Err(_), Some(len)) = (&written, before) {
                    self.file.set_len(len)?;
                }
                flock(&self.file, FlockOperation::Unlock).map_err(io::Error::from).and(written)
            })
        } else {
            self.file.write_all(bytes)
        };
        result.map_err(failed)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Ends the output and says what was written. Files are synced.
    pub fn finish(mut self) -> Result<Receipt, StoreError> {
        self.named = true;
        if let Some(stall) = &mut self.stall {
            let settled = stall.settle(&mut self.file);
            self.written += stall.take_written();
            settled.map_err(StoreError::io("write", &self.path))?;
        }
        self.sync()?;
        Ok(Receipt { bytes: self.written, lost: self.lost() })
    }

    /// Lines that the output did not take in time.
    pub fn lost(&self) -> u64 {
        self.stall.as_ref().map_or(0, Stall::lost)
    }
}

/// Raw lines that did not parse, kept with mode 0600, and sealed where there are keys.
pub struct Quarantine {
    file: File,
    path: PathBuf,
    sealed: Option<Appendix>,
}

impl Quarantine {
    /// Opens or makes the file; refuses one that others can read. With keys, what is written is sealed, and what stands there has to be.
    pub fn append(path: &Path, keys: Option<&Keychain>) -> Result<Self, StoreError> {
        let file = open_append(path, 0o600)?;
        let meta = file.metadata().map_err(StoreError::io("read", path))?;
        if meta.mode() & 0o077 != 0 && meta.is_file() {
            return Err(refused(path, "others can read this quarantine file", "run chmod 600 on it: raw lines are kept there"));
        }
        let codec = codec_of(&file).map_err(StoreError::io("read", path))?;
        let sealed = match keys {
            None if codec == Some(Codec::Sealed) => {
                return Err(refused(path, "this quarantine file is sealed, and there are no keys to go on with", "name the state directory with --state DIR, or another file"));
            }
            None => None,
            Some(_) if codec.is_some_and(|codec| codec != Codec::Sealed) && !is_torn(&file) => {
                return Err(refused(path, "this quarantine file is not sealed, and what is written from now on would be", "move it away, or name another file"));
            }
            Some(keys) => Some(locked(&file, || Appendix::heal(&file, keys)).map_err(StoreError::io("open", path))?),
        };
        Ok(Self { file, path: path.to_owned(), sealed })
    }

    /// Writes rejected lines.
    pub fn write(&mut self, lines: &Quarantined) -> Result<(), StoreError> {
        let failed = StoreError::io("write", &self.path);
        let Some(appendix) = self.sealed.as_mut().filter(|_| !lines.as_bytes().is_empty()) else {
            return self.file.write_all(lines.as_bytes()).map_err(failed);
        };
        let stream = appendix.wrap(lines.as_bytes())?;
        let mut file = &self.file;
        let appended = locked(file, || {
            let before = file.metadata()?.len();
            // Half a stream would spoil what is appended later.
            file.write_all(&stream).inspect_err(|_| drop(file.set_len(before)))
        });
        appended.map_err(failed)
    }

    /// Makes what was written durable.
    pub fn sync(&mut self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(StoreError::io("sync", &self.path))
    }
}

/// Does something while nobody else appends.
fn locked<T>(file: &File, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    flock(file, FlockOperation::LockExclusive)?;
    let done = act();
    flock(file, FlockOperation::Unlock)?;
    done
}

/// Whether a file is the beginning of a magic number and nothing else: a first append that a crash cut.
fn is_torn(file: &File) -> bool {
    let mut head = [0; 9];
    file.read_at(&mut head, 0).is_ok_and(|count| count > 0 && MAGIC.starts_with(head.get(..count).unwrap_or_default()))
}

fn identity(file: &File) -> Option<(u64, u64)> {
    file.metadata().ok().map(|meta| (meta.dev(), meta.ino()))
}

/// How a file is compressed, unless it is empty or no regular file.
fn codec_of(file: &File) -> io::Result<Option<Codec>> {
    if !file.metadata().is_ok_and(|meta| meta.is_file() && meta.len() > 0) {
        return Ok(None);
    }
    let mut head = [0; 32];
    let count = file.read_at(&mut head, 0)?;
    Ok(Some(Codec::sniff(head.get(..count).unwrap_or_default())))
}

/// Whether a file of this many bytes ends with a line's end.
fn ends_whole(file: &File, len: u64) -> io::Result<bool> {
    let Some(last) = len.checked_sub(1) else { return Ok(true) };
    let mut byte = [0];
    file.read_exact_at(&mut byte, last)?;
    Ok(byte == *b"\n")
}

fn refused(path: &Path, why: &'static str, remedy: &'static str) -> StoreError {
    StoreError { verb: "open", path: path.to_owned(), cause: Cause::Refused { why, remedy } }
}

/// Whether a name holds conversions, as `rotatelogs` and `cronolog` take them.
pub fn is_pattern(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().contains(&b'%')
}

/// The name at a time, in UTC. What is no conversion stays.
pub fn file_at(pattern: &Path, moment: jiff::Timestamp) -> PathBuf {
    let utc = moment.to_zoned(jiff::tz::TimeZone::UTC);
    let text = pattern.to_string_lossy();
    jiff::fmt::strtime::format(text.as_bytes(), &utc).map_or_else(|_error| pattern.to_owned(), PathBuf::from)
}

/// A file for result rows, which name files and count lines: appended to, mode 0640.
pub fn rows(path: &Path) -> Result<File, StoreError> {
    open_append(path, 0o640)
}

/// Opens for appending; the mode holds from the first byte.
fn open_append(path: &Path, mode: u32) -> Result<File, StoreError> {
    // Reading is for the head and the last byte; a pipe or a device may allow writing alone.
    let flags = OFlags::CREATE | OFlags::APPEND | OFlags::CLOEXEC;
    let regular = std::fs::metadata(path).map_or(true, |meta| meta.is_file());
    let access = if regular { OFlags::RDWR } else { OFlags::WRONLY };
    let file = open(path, flags | access, Mode::from_raw_mode(mode)).map_err(|errno| StoreError::io("open", path)(errno.into()))?;
    Ok(File::from(file))
}
