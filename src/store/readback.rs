//! What is written, decoded again and read again from the disk, so that nothing counts as done because it was meant.

use super::archive::CHUNK;
use super::ledger_key::LedgerKey;
use super::sink::{Compress, Encoder, Frame};
use super::{Cause, StoreError};
use crate::retain::ledger::Keyed;
use crate::scrub::Clean;
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Encodes frames and proves each: one per thread.
pub struct Packer {
    encoder: Encoder,
    decoder: zstd::bulk::Decompressor<'static>,
    decoded: Vec<u8>,
}

impl Packer {
    /// A packer of zstd frames.
    pub fn new(compress: Compress) -> Result<Self, StoreError> {
        let decoder = zstd::bulk::Decompressor::new().map_err(StoreError::io("decode", Path::new("output")))?;
        Ok(Self { encoder: Encoder::new(compress)?, decoder, decoded: Vec::new() })
    }

    /// Encodes the lines as one frame in place of what `frame` held, decodes it again, and holds the one against the other. Says how
    /// many lines they are; a last one without an end is one too.
    pub fn pack(&mut self, clean: &Clean, frame: &mut Frame) -> Result<u64, StoreError> {
        self.encoder.encode(clean, frame)?;
        self.prove(clean.as_bytes(), frame)
    }

    fn prove(&mut self, lines: &[u8], frame: &Frame) -> Result<u64, StoreError> {
        self.decoded.clear();
        if !lines.is_empty() {
            self.decoded.reserve(lines.len());
            self.decoder.decompress_to_buffer(frame.as_bytes(), &mut self.decoded).map_err(StoreError::io("decode", Path::new("output")))?;
        }
        if self.decoded != lines {
            let cause = Cause::Damaged(io::Error::other("what was encoded decodes to something else"));
            return Err(StoreError { verb: "prove", path: "output".into(), cause });
        }
        let open = lines.last().is_some_and(|last| *last != b'\n');
        Ok(memchr::memchr_iter(b'\n', lines).count() as u64 + u64::from(open))
    }
}

/// The digest of a file as it lies on the disk.
pub fn read_back(path: &Path, key: &LedgerKey) -> Result<Keyed, StoreError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let mut file = rustix::fs::open(path, flags, Mode::empty()).map(File::from).map_err(|errno| StoreError::io("open", path)(errno.into()))?;
    // A hint: what can be had from the device is not to come from memory.
    let _hint = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    let (mut hasher, mut buffer) = (key.hasher(), vec![0; CHUNK]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(count) => hasher.update(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(StoreError::io("read back", path)(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_held_against_its_lines() {
        let mut packer = Packer::new(Compress::Zstd(3)).unwrap();
        for (lines, count) in [(b"".as_slice(), 0), (b"one\ntwo\n", 2), (b"one\ntwo", 2)] {
            let mut frame = Frame::default();
            packer.encoder.encode_plain(lines, &mut frame).unwrap();
            assert_eq!(packer.prove(lines, &frame).unwrap(), count);
            for other in [b"one\ntwO\n".as_slice(), b"one\n", b"one\ntwo\nthree\n"] {
                assert!(packer.prove(other, &frame).is_err());
            }
        }
    }
}
