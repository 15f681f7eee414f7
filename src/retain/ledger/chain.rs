//! Lines that hold each other: each carries its number and the digest of the line in front of it.

use super::{Digest, Entry};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its number, from 1.
    pub seq: u64,
    /// When it was written.
    pub at: Timestamp,
    /// SHA-256 of the bytes of the line in front of it, without its newline; zeros for the first.
    pub prev: Digest,
    /// What happened.
    #[serde(flatten)]
    pub entry: Entry,
}

impl Line {
    /// The line's bytes, without a newline.
    pub fn encode(&self) -> Vec<u8> {
        // Strings, numbers and maps with text keys: nothing in it that JSON cannot say.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// Why a line does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is no entry.
    Unreadable,
    /// It has another number than its place.
    Number,
    /// The line in front of it is not the one that it was written behind.
    Link,
    /// Lines that were written are not there.
    Missing,
    /// It is not the line that was last written at this place.
    Head,
}

impl Fault {
    /// In words.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Unreadable => "is no ledger entry",
            Self::Number => "has another number than its place: an entry is missing, added or moved",
            Self::Link => "does not follow the line in front of it: that line was changed, or entries were exchanged",
            Self::Missing => "is missing: the end of the ledger was cut off",
            Self::Head => "is not the entry that the noted head stands for: it was changed, or what followed it was cut off",
        }
    }
}

/// A broken chain: the line, counted from 1, and what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The line.
    pub line: u64,
    /// What is wrong with it.
    pub fault: Fault,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} {}", self.line, self.fault.describe())
    }
}

/// The chain as far as it was followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Lines so far.
    pub entries: u64,
    /// Digest of the last of them; zeros if there is none.
    pub head: Digest,
}

impl Chain {
    /// Follows the chain by one line (bytes without the newline).
    pub fn link(&mut self, bytes: &[u8]) -> Result<Line, Broken> {
        let number = self.entries + 1;
        let broken = |fault| Broken { line: number, fault };
        let line: Line = serde_json::from_slice(bytes).ok().ok_or_else(|| broken(Fault::Unreadable))?;
        if line.seq != number {
            return Err(broken(Fault::Number));
        }
        if line.prev != self.head {
            return Err(broken(Fault::Link));
        }
        *self = Self { entries: number, head: Digest::of(bytes) };
        Ok(line)
    }

    /// The line that comes next.
    pub const fn next(&self, at: Timestamp, entry: Entry) -> Line {
        Line { seq: self.entries + 1, at, prev: self.head, entry }
    }
}
