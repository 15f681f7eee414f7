//! What stands in front of every frame, and the name of the key that it needs.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::str::FromStr;

/// What a frame begins with; the last byte is the version.
pub(in crate::store) const MAGIC: [u8; 8] = *b"\x89LFSEAL\x01";
/// What an age file begins with.
pub(in crate::store) const AGE: &[u8] = b"age-encryption.org/v1\n";
/// Bytes in front of an age file.
pub(super) const HEAD: usize = 32;

/// The name of a seal key: 16 hex digits, which say nothing about the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SealId([u8; 8]);

impl SealId {
    /// A new one.
    pub(super) fn random() -> io::Result<Self> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for SealId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl FromStr for SealId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = "a seal key is called by 16 hex digits";
        if text.len() != 16 || !text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f')) {
            return Err(fault);
        }
        u64::from_str_radix(text, 16).map(|number| Self(number.to_be_bytes())).map_err(|_not_hex| fault)
    }
}

/// What stands in front of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) seal: SealId,
    /// The frame's place in its stream, from 0.
    pub(super) number: u64,
    /// Bytes of the age file; 0: the stream ends here.
    pub(super) length: u64,
}

impl Head {
    pub(super) fn to_bytes(self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        let parts = [MAGIC, self.seal.0, self.number.to_be_bytes(), self.length.to_be_bytes()];
        for (room, part) in bytes.chunks_exact_mut(8).zip(parts) {
            room.copy_from_slice(&part);
        }
        bytes
    }

    /// None if this is no frame.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut parts = bytes.chunks_exact(8).map(|part| <[u8; 8]>::try_from(part).unwrap_or_default());
        if bytes.len() != HEAD || parts.next()? != MAGIC {
            return None;
        }
        Some(Self { seal: SealId(parts.next()?), number: u64::from_be_bytes(parts.next()?), length: u64::from_be_bytes(parts.next()?) })
    }
}

/// Where the frames of a stream stand that is whole up to there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Walked {
    /// End of the last whole frame or end mark.
    pub(super) end: u64,
    /// The key of the stream that is open there, and how many frames it has.
    pub(super) open: Option<(SealId, u64)>,
}

/// Hops from frame to frame through a file of `size` bytes, as far as they are whole; `read` fills a buffer from an offset.
/// Nothing is decrypted.
pub(super) fn walk(size: u64, read: &mut dyn FnMut(&mut [u8], u64) -> io::Result<usize>, each: &mut dyn FnMut(Head)) -> io::Result<Walked> {
    let mut walked = Walked::default();
    let mut bytes = [0; HEAD];
    loop {
        let mut filled = 0;
        while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
            match read(room, walked.end + filled as u64)? {
                0 => return Ok(walked),
                count => filled += count,
            }
        }
        let Some(head) = Head::parse(&bytes) else { return Ok(walked) };
        let next = walked.open.map_or(0, |(_, frames)| frames);
        let fits = walked.open.is_none_or(|(seal, _)| seal == head.seal) && head.number == next;
        let end = walked.end.saturating_add(HEAD as u64).saturating_add(head.length);
        if !fits || end > size {
            return Ok(walked);
        }
        each(head);
        walked = Walked { end, open: (head.length > 0).then_some((head.seal, next + 1)) };
    }
}

/// The keys that a sealed file needs; empty for any other file.
pub(in crate::store) fn seals_of(size: u64, read: &mut dyn FnMut(&mut [u8], u64) -> io::Result<usize>) -> io::Result<BTreeSet<SealId>> {
    let mut seals = BTreeSet::new();
    walk(size, read, &mut |head| {
        seals.insert(head.seal);
    })?;
    Ok(seals)
}
