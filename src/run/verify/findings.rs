//! What was found: lines and fields, never values.

use super::address::Addr;
use crate::format::Field;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// Findings that are listed; all are counted.
pub const LISTED: usize = 1 << 16;

/// Fingerprints of unknown origin that are held before the raw file is read again: about 8 MiB of memory. Leaves what the words of
/// one line may add until the table would grow beyond 2^17 places, of which it fills seven in eight.
pub const HELD: usize = 100_000;

/// Lines that are held of one fingerprint: what stands everywhere need not be looked for as often.
const SIGHTINGS: usize = 100;

/// Readings of the raw file for lines that are wrong anyway.
const READINGS: u32 = 16;

/// An identifier of RAW that stands in CLEAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leak {
    /// Line of CLEAN, from 1.
    pub line: u64,
    /// The field of CLEAN in which it stands; where the line has no fields, that of RAW.
    pub field: Field,
    /// The field of RAW whose value it is.
    pub origin: Field,
}

/// A list that keeps the first and counts all.
#[derive(Debug)]
pub(super) struct Counted<T> {
    pub count: u64,
    pub first: Vec<T>,
}

impl<T> Default for Counted<T> {
    fn default() -> Self {
        Self { count: 0, first: Vec::new() }
    }
}

impl<T> Counted<T> {
    pub(super) fn add(&mut self, item: T) {
        self.count += 1;
        if self.first.len() < LISTED {
            self.first.push(item);
        }
    }
}

/// Where CLEAN holds something that its own record does not explain: perhaps another record's identifier.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sighting {
    pub line: u64,
    pub stands_in: Option<Field>,
}

/// What is to be looked for in all of RAW, as fingerprints, and where each was seen.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    sightings: HashMap<u64, Vec<Sighting>>,
    /// Sightings that are held.
    pub count: usize,
    /// Whether there are words among them, so that the raw file has to be split.
    pub words: bool,
}

impl Suspects {
    fn add(&mut self, print: u64, line: u64, stands_in: Option<Field>) {
        let seen = self.sightings.entry(print).or_insert_with(|| Vec::with_capacity(1));
        if seen.len() < SIGHTINGS && seen.last().is_none_or(|last| last.line != line || last.stands_in != stands_in) {
            seen.push(Sighting { line, stands_in });
            self.count += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sightings.is_empty()
    }

    /// Where it was seen; it is not looked for any more.
    pub(super) fn take(&mut self, print: u64) -> Vec<Sighting> {
        self.sightings.remove(&print).unwrap_or_default()
    }
}

/// Everything that was found so far.
pub(super) struct Findings {
    pub leaks: Counted<Leak>,
    /// Lines of CLEAN that are not what a policy could have made of their record.
    pub strangers: Counted<(u64, Field)>,
    pub suspects: Suspects,
    /// Random for each run, so that no log can be made to collide.
    key: RandomState,
    /// The leaks of the line at hand: one of each kind is enough.
    current: Vec<Leak>,
    /// How often the raw file was read for suspects.
    pub readings: u32,
}

impl Findings {
    pub(super) fn new() -> Self {
        Self { leaks: Counted::default(), strangers: Counted::default(), suspects: Suspects::default(), key: RandomState::new(), current: Vec::new(), readings: 0 }
    }

    /// Whether the line already leaks this field: the rest of it need not be searched for more of the same.
    pub(super) fn has(&self, line: u64, field: Field) -> bool {
        self.current.iter().any(|leak| leak.line == line && leak.origin == field)
    }

    /// Notes that a value of the raw field `origin` stands in a clean line.
    pub(super) fn leak(&mut self, line: u64, origin: Field, stands_in: Option<Field>) {
        if self.current.first().is_some_and(|leak| leak.line != line) {
            self.current.clear();
        }
        let leak = Leak { line, field: stands_in.unwrap_or(origin), origin };
        if !self.current.contains(&leak) {
            self.current.push(leak);
            self.leaks.add(leak);
        }
    }

    /// Whether a file that is known to be wrong was searched long enough: with every line a stranger's, the search would never end.
    pub(super) const fn is_settled(&self) -> bool {
        self.readings >= READINGS && (self.strangers.count > 0 || self.leaks.count > 0)
    }

    /// Notes an address that its record does not have.
    pub(super) fn suspect_address(&mut self, addr: Addr, line: u64, stands_in: Option<Field>) {
        let print = self.address_print(addr);
        self.suspects.add(print, line, stands_in);
    }

    /// Notes a word that its record does not have.
    pub(super) fn suspect_word(&mut self, word: &[u8], line: u64, stands_in: Option<Field>) {
        let print = self.word_print(word);
        self.suspects.add(print, line, stands_in);
        self.suspects.words = true;
    }

    /// Notes an e-mail, in lower case, that its record does not have.
    pub(super) fn suspect_email(&mut self, email: &[u8], line: u64, stands_in: Option<Field>) {
        let print = self.word_print(email);
        self.suspects.add(print, line, stands_in);
    }

    pub(super) fn address_print(&self, addr: Addr) -> u64 {
        self.key.hash_one(addr)
    }

    pub(super) fn word_print(&self, word: &[u8]) -> u64 {
        self.key.hash_one(word)
    }
}
