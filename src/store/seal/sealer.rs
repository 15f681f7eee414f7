//! Bytes into sealed files: compressed and encrypted in memory, so that the disk never sees them plain.

use super::frame::{HEAD, Head, SealId, walk};
use super::keychain::{Keychain, Seal};
use crate::store::{Cause, StoreError, sync_directory};
use rustix::fs::{Mode, OFlags, fchmod};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Frames of one stream in their turn.
pub(in crate::store) struct Envelope {
    seal: Seal,
    number: u64,
    bytes: Vec<u8>,
}

impl Envelope {
    /// A stream from its beginning.
    pub(in crate::store) const fn new(seal: Seal) -> Self {
        Self { seal, number: 0, bytes: Vec::new() }
    }

    /// The next frame, which holds these bytes.
    pub(in crate::store) fn wrap(&mut self, plain: &[u8]) -> io::Result<&[u8]> {
        self.bytes.clear();
        self.bytes.resize(HEAD, 0);
        let recipient: &dyn age::Recipient = &self.seal.recipient;
        let encryptor = age::Encryptor::with_recipients(std::iter::once(recipient)).map_err(io::Error::other)?;
        let mut writer = encryptor.wrap_output(&mut self.bytes)?;
        writer.write_all(plain)?;
        writer.finish()?;
        let length = self.bytes.len().saturating_sub(HEAD) as u64;
        let head = Head { seal: self.seal.id, number: self.number, length }.to_bytes();
        if let Some(room) = self.bytes.get_mut(..HEAD) {
            room.copy_from_slice(&head);
        }
        self.number += 1;
        Ok(&self.bytes)
    }

    /// Its key.
    pub(in crate::store) const fn id(&self) -> SealId {
        self.seal.id
    }

    /// The end mark; another stream may follow.
    pub(in crate::store) fn end(&mut self) -> [u8; 32] {
        let head = Head { seal: self.seal.id, number: self.number, length: 0 };
        self.number = 0;
        head.to_bytes()
    }
}

/// What a sealed file is for, and how it is written.
#[derive(Clone, Copy, Debug)]
pub struct Sealing<'a> {
    /// Where its key is kept.
    pub keys: &'a Keychain,
    /// The class.
    pub class: &'a str,
    /// Name of the form, `raw` for raw.
    pub form: &'a str,
    /// Level of zstd, 1 to 19.
    pub level: i32,
    /// Permissions.
    pub mode: u32,
}

/// What a finished sealed file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Its key.
    pub seal: SealId,
    /// Its size.
    pub bytes: u64,
}

/// A sealed file that grows: each block of lines becomes a zstd frame inside a frame of its own, so that a crash costs at most the last one.
pub struct Sealer {
    envelope: Envelope,
    keys: Keychain,
    zstd: zstd::bulk::Compressor<'static>,
    file: File,
    path: PathBuf,
    len: u64,
}

impl Sealer {
    /// Begins a file that is not there yet, under a key of its own. The key is on the disk before the file.
    pub fn create(path: &Path, of: &Sealing<'_>) -> Result<Self, StoreError> {
        let seal = of.keys.make(Some(of.class), of.form)?;
        let file = open(path, OFlags::CREATE | OFlags::EXCL)?;
        fchmod(&file, Mode::from_raw_mode(of.mode)).map_err(|errno| StoreError::io("set the mode of", path)(errno.into()))?;
        sync_directory(path.parent().unwrap_or_else(|| Path::new(".")))?;
        Self::begin(path, of, (file, Envelope::new(seal), 0))
    }

    /// Goes on with a file. What lies behind `committed`, a length that [`Sealer::sync`] gave, is cut off, and a torn last frame as well;
    /// without a commit, whole frames stay. A file that has none gets a key of its own.
    pub fn resume(path: &Path, of: &Sealing<'_>, committed: Option<u64>) -> Result<Self, StoreError> {
        let file = open(path, OFlags::empty())?;
        let size = file.metadata().map_err(StoreError::io("read", path))?.len();
        let reach = committed.unwrap_or(size).min(size);
        let mut last = None;
        let walked = walk(reach, &mut |buffer, offset| read_up_to(&file, buffer, offset, reach), &mut |head| last = Some(head.seal)).map_err(StoreError::io("read", path))?;
        if committed.is_some_and(|committed| committed != walked.end) {
            let cause = Cause::Damaged(io::Error::other("the sealed file is shorter than what was committed, or damaged in front of it"));
            return Err(StoreError { verb: "read", path: path.to_owned(), cause });
        }
        file.set_len(walked.end).and_then(|()| file.sync_all()).map_err(StoreError::io("cut", path))?;
        let seal = match last {
            Some(id) => of.keys.seal(id)?,
            None => of.keys.make(Some(of.class), of.form)?,
        };
        let mut envelope = Envelope::new(seal);
        envelope.number = walked.open.map_or(0, |(_, frames)| frames);
        Self::begin(path, of, (file, envelope, walked.end))
    }

    fn begin(path: &Path, of: &Sealing<'_>, (file, envelope, len): (File, Envelope, u64)) -> Result<Self, StoreError> {
        let build = || {
            let mut zstd = zstd::bulk::Compressor::new(of.level)?;
            zstd.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true))?;
            Ok(zstd)
        };
        let zstd = build().map_err(StoreError::io("compress", path))?;
        Ok(Self { envelope, keys: of.keys.clone(), zstd, file, path: path.to_owned(), len })
    }

    /// Its key.
    pub const fn seal(&self) -> SealId {
        self.envelope.seal.id
    }

    /// The file, to be read while it grows and to be given to somebody.
    pub(in crate::store) const fn file(&self) -> &File {
        &self.file
    }

    /// Bytes of whole frames so far. They last only behind [`Sealer::sync`].
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was written.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Writes whole lines, raw or clean, as one frame. About a megabyte is best: each frame costs 240 bytes and a tenth of a millisecond.
    pub fn write(&mut self, lines: &[u8]) -> Result<(), StoreError> {
        if lines.is_empty() {
            return Ok(());
        }
        let packed = self.zstd.compress(lines).map_err(StoreError::io("compress", &self.path))?;
        let frame = self.envelope.wrap(&packed).map_err(StoreError::io("seal", &self.path))?;
        put(&self.file, frame, self.len).map_err(StoreError::io("write", &self.path))?;
        self.len += frame.len() as u64;
        Ok(())
    }

    /// Makes what was written last, and says how long the file is then: the length to commit.
    pub fn sync(&mut self) -> Result<u64, StoreError> {
        self.file.sync_data().map_err(StoreError::io("sync", &self.path))?;
        self.keys.touch(self.seal())?;
        Ok(self.len)
    }

    /// Ends the file. Its name is the caller's to give.
    pub fn finish(mut self) -> Result<Sealed, StoreError> {
        let end = self.envelope.end();
        put(&self.file, &end, self.len).map_err(StoreError::io("write", &self.path))?;
        self.len += end.len() as u64;
        self.file.sync_all().map_err(StoreError::io("sync", &self.path))?;
        self.keys.touch(self.seal())?;
        Ok(Sealed { seal: self.seal(), bytes: self.len })
    }
}

/// Writes all or nothing: half a frame would spoil what comes behind it.
pub(in crate::store) fn put(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    file.write_all_at(bytes, at).inspect_err(|_| drop(file.set_len(at)))
}

fn read_up_to(file: &File, buffer: &mut [u8], offset: u64, end: u64) -> io::Result<usize> {
    let room = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX).min(buffer.len());
    file.read_at(buffer.get_mut(..room).unwrap_or_default(), offset)
}

fn open(path: &Path, flags: OFlags) -> Result<File, StoreError> {
    let flags = flags | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).map(File::from).map_err(|errno| StoreError::io("open", path)(errno.into()))?;
    if !file.metadata().map_err(StoreError::io("read", path))?.is_file() {
        return Err(StoreError { verb: "open", path: path.to_owned(), cause: Cause::Refused { why: "this is no regular file", remedy: "name a file in a directory of its own" } });
    }
    Ok(file)
}

/// A file to which sealed lines are appended, by several processes if need be: each append is a stream of its own.
pub(in crate::store) struct Appendix {
    keys: Keychain,
    envelope: Option<Envelope>,
}

impl Appendix {
    /// Cuts back what a crash tore; refuses a file that holds anything else than sealed streams.
    pub(in crate::store) fn heal(file: &File, keys: &Keychain) -> io::Result<Self> {
        let size = file.metadata()?.len();
        let walked = walk(size, &mut |buffer, offset| file.read_at(buffer, offset), &mut |_| {})?;
        if size > 0 && walked.end == 0 && !is_torn_head(file, size)? {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not sealed"));
        }
        if walked.end < size {
            file.set_len(walked.end)?;
        }
        if let Some((seal, frames)) = walked.open {
            // A stream without its end mark would swallow the next.
            let mut file = file;
            file.write_all(&Head { seal, number: frames, length: 0 }.to_bytes())?;
        }
        Ok(Self { keys: keys.clone(), envelope: None })
    }

    /// The bytes of a stream that holds these lines.
    pub(in crate::store) fn wrap(&mut self, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let envelope = match &mut self.envelope {
            Some(envelope) => envelope,
            empty => empty.insert(Envelope::new(self.keys.make(None, "quarantine")?)),
        };
        let failed = || StoreError::io("seal", Path::new("quarantine"));
        let packed = zstd::bulk::compress(plain, 3).map_err(failed())?;
        let mut stream = envelope.wrap(&packed).map_err(failed())?.to_vec();
        stream.extend_from_slice(&envelope.end());
        self.keys.touch(envelope.seal.id)?;
        Ok(stream)
    }
}

/// Whether a file is the beginning of a first frame and nothing else.
fn is_torn_head(file: &File, size: u64) -> io::Result<bool> {
    let mut head = [0; 8];
    let count = file.read_at(&mut head, 0)?;
    let known = head.get(..count).unwrap_or_default();
    Ok(size > 0 && super::frame::MAGIC.starts_with(known))
}
