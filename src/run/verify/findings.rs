//! What was found: lines and fields, never values.

use super::address::Addr;
use crate::format::Field;
use std::hash::{BuildHasher, RandomState};

/// Findings that are listed; all are counted.
pub const LISTED: usize = 100;

/// Things of unknown origin that are held before the raw file is read again.
pub(super) const SUSPECTS: usize = 1 << 18;

/// An identifier of RAW that stands in CLEAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leak {
    /// Line of CLEAN, from 1.
    pub line: u64,
    /// The field of RAW whose value it is.
    pub field: Field,
    /// The field of CLEAN in which it stands, if the line has fields.
    pub stands_in: Option<Field>,
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

/// Something in CLEAN that its own record does not explain: perhaps another record's identifier. Held as a fingerprint only.
#[derive(Clone, Copy, Debug)]
pub(super) struct Suspect {
    pub print: u64,
    pub line: u64,
    pub stands_in: Option<Field>,
}

/// Everything that was found so far.
pub(super) struct Findings {
    pub leaks: Counted<Leak>,
    /// Lines of CLEAN that are not what a policy could have made of their record.
    pub strangers: Counted<(u64, Field)>,
    pub suspects: Vec<Suspect>,
    /// Random for each run, so that no log can be made to collide.
    key: RandomState,
    /// The leaks of the line at hand: one of each kind is enough.
    current: Vec<Leak>,
}

impl Findings {
    pub(super) fn new() -> Self {
        Self { leaks: Counted::default(), strangers: Counted::default(), suspects: Vec::new(), key: RandomState::new(), current: Vec::new() }
    }

    /// Whether the line already leaks this field: the rest of it need not be searched for more of the same.
    pub(super) fn has(&self, line: u64, field: Field) -> bool {
        self.current.iter().any(|leak| leak.line == line && leak.field == field)
    }

    pub(super) fn leak(&mut self, line: u64, field: Field, stands_in: Option<Field>) {
        if self.current.first().is_some_and(|leak| leak.line != line) {
            self.current.clear();
        }
        let leak = Leak { line, field, stands_in };
        if !self.current.contains(&leak) {
            self.current.push(leak);
            self.leaks.add(leak);
        }
    }

    /// Notes an address that its record does not have.
    pub(super) fn suspect_address(&mut self, addr: Addr, line: u64, stands_in: Option<Field>) {
        let print = self.address_print(addr);
        self.suspects.push(Suspect { print, line, stands_in });
    }

    /// Notes an e-mail, in lower case, that its record does not have.
    pub(super) fn suspect_email(&mut self, email: &[u8], line: u64, stands_in: Option<Field>) {
        let print = self.email_print(email);
        self.suspects.push(Suspect { print, line, stands_in });
    }

    pub(super) fn address_print(&self, addr: Addr) -> u64 {
        self.key.hash_one(addr)
    }

    pub(super) fn email_print(&self, email: &[u8]) -> u64 {
        self.key.hash_one(email)
    }
}
