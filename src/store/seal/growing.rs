//! A sealed file that is still being written: its whole frames, each authenticated before a byte of it is given out.

use super::frame::{HEAD, Head, SealId};
use super::keychain::Keychain;
use super::reader::{damaged, fault};
use age::Decryptor;
use age::x25519::Identity;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

/// The longest frame that is read back, in bytes, packed or not: those that are written here are a fraction of it.
const LONGEST: u64 = 16 * 1024 * 1024;

/// Where a frame begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Spot {
    /// In the file.
    pub(in crate::store) at: u64,
    /// Its number in the stream.
    number: u64,
}

/// The frames of the one stream of a file, in their turn.
pub(in crate::store) struct Frames {
    file: File,
    keys: Keychain,
    opened: Option<(SealId, Identity)>,
    next: Spot,
    packed: Vec<u8>,
}

impl Frames {
    pub(in crate::store) fn new(file: File, keys: &Keychain) -> Self {
        Self { file, keys: keys.clone(), opened: None, next: Spot::default(), packed: Vec::new() }
    }

    /// Where the next frame begins.
    pub(in crate::store) const fn spot(&self) -> Spot {
        self.next
    }

    /// Goes to a frame.
    pub(in crate::store) const fn seek(&mut self, spot: Spot) {
        self.next = spot;
    }

    /// The key of the frame that was read last.
    pub(in crate::store) fn seal(&self) -> Option<SealId> {
        self.opened.as_ref().map(|(seal, _)| *seal)
    }

    /// The lines of the next frame in place of what `lines` held; false if no whole frame begins in front of `end`.
    pub(in crate::store) fn next(&mut self, end: u64, lines: &mut Vec<u8>) -> io::Result<bool> {
        lines.clear();
        let mut head = [0; HEAD];
        let body = self.next.at + HEAD as u64;
        if body > end {
            return Ok(false);
        }
        self.file.read_exact_at(&mut head, self.next.at)?;
        let head = Head::parse(&head).ok_or_else(|| damaged("what stands where a frame should begin is none"))?;
        if head.number != self.next.number || head.length == 0 || head.length > LONGEST || self.opened.as_ref().is_some_and(|(seal, _)| *seal != head.seal) {
            return Err(damaged("a frame of the sealed file is missing, or stands in another's place"));
        }
        if body + head.length > end {
            return Ok(false);
        }
        self.packed.clear();
        self.packed.resize(usize::try_from(head.length).unwrap_or_default(), 0);
        self.file.read_exact_at(&mut self.packed, body)?;
        let (_, identity) = match &mut self.opened {
            Some(opened) => opened,
            empty => empty.insert((head.seal, self.keys.identity(head.seal).map_err(|(gone, _)| io::Error::other(gone))?)),
        };
        let age = Decryptor::new_buffered(self.packed.as_slice()).and_then(|frame| frame.decrypt(std::iter::once(&*identity as &dyn age::Identity))).map_err(fault)?;
        zstd::stream::read::Decoder::new(age)?.take(LONGEST).read_to_end(lines)?;
        self.next = Spot { at: body + head.length, number: head.number + 1 };
        Ok(true)
    }
}
