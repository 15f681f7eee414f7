//! What was written, read again from the disk and decoded, so that nothing counts as done because it was meant.

use super::ledger_key::LedgerKey;
use super::{Cause, StoreError};
use crate::retain::ledger::Keyed;
use rayon::prelude::*;
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::hash::BuildHasher;
use std::io::{self, Read};
use std::path::Path;
use zstd::zstd_safe;

/// Encoded bytes that are held at once, unless a frame is larger.
const HELD: usize = 2 * 1024 * 1024;

/// Decoded bytes that one frame may have: a block, a longest line, and what JSON makes of control bytes.
const LARGEST: u64 = 512 * 1024 * 1024;

/// Decoded content: its frames in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    sum: u64,
    /// Decoded bytes.
    pub bytes: u64,
    /// Lines; a last one without an end is one too.
    pub lines: u64,
    open: bool,
}

impl Content {
    /// Of one frame.
    pub fn of(bytes: &[u8]) -> Self {
        let sum = foldhash::quality::FixedState::default().hash_one(bytes);
        let open = bytes.last().is_some_and(|last| *last != b'\n');
        Self { sum, bytes: bytes.len() as u64, lines: memchr::memchr_iter(b'\n', bytes).count() as u64 + u64::from(open), open }
    }

    /// Followed by another frame.
    pub fn push(&mut self, next: &Self) {
        if next.bytes == 0 {
            return;
        }
        self.sum = (self.sum.rotate_left(29) ^ next.sum).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.lines += next.lines - u64::from(self.open);
        self.bytes += next.bytes;
        self.open = next.open;
    }
}

/// Reads and decodes a whole file of frames.
pub fn read_back(path: &Path, key: &LedgerKey, pool: &rayon::ThreadPool) -> Result<(Keyed, Content), StoreError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let mut file = rustix::fs::open(path, flags, Mode::empty()).map(File::from).map_err(|errno| StoreError::io("open", path)(errno.into()))?;
    // A hint: what can be had from the device is not to come from memory.
    let _hint = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    let damaged = |what: &'static str| StoreError { verb: "read back", path: path.to_owned(), cause: Cause::Damaged(io::Error::other(what)) };
    let mut hasher = key.hasher();
    let mut content = Content::default();
    let mut held: Vec<u8> = Vec::new();
    let mut wanted = HELD;
    loop {
        let len = held.len();
        held.resize(len.max(wanted), 0);
        let mut filled = len;
        while let Some(room) = held.get_mut(filled..).filter(|room| !room.is_empty()) {
            match file.read(room).map_err(StoreError::io("read back", path))? {
                0 => break,
                count => filled += count,
            }
        }
        held.truncate(filled);
        if held.is_empty() {
            return Ok((hasher.finish(), content));
        }
        let ended = filled < wanted;
        hasher.update(held.get(len..).unwrap_or_default());
        let mut frames = Vec::new();
        let mut rest = held.as_slice();
        while let Ok(size) = zstd_safe::find_frame_compressed_size(rest)
            && let Some((frame, behind)) = rest.split_at_checked(size).filter(|_| size > 0)
        {
            frames.push(frame);
            rest = behind;
        }
        if frames.is_empty() && ended {
            return Err(damaged("what was written is no whole frame"));
        }
        let decoded: Vec<Option<Content>> =
            pool.install(|| frames.par_iter().map_init(zstd::bulk::Decompressor::new, |decoder, frame| decode(decoder.as_mut().ok()?, frame)).collect());
        for frame in decoded {
            content.push(&frame.ok_or_else(|| damaged("what was written cannot be decoded"))?);
        }
        wanted = if frames.is_empty() { wanted * 2 } else { HELD.max(rest.len() + 1) };
        let done = held.len() - rest.len();
        held.drain(..done);
    }
}

/// One frame; its checksum is held against its content.
fn decode(decoder: &mut zstd::bulk::Decompressor<'_>, frame: &[u8]) -> Option<Content> {
    let size = zstd_safe::get_frame_content_size(frame).ok().flatten().filter(|size| *size <= LARGEST)?;
    let bytes = decoder.decompress(frame, usize::try_from(size).ok()?).ok()?;
    (bytes.len() as u64 == size).then(|| Content::of(&bytes))
}
