//! What came through the gate, and the counts of what did not.

use crate::format::Mismatch;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Bytes that a policy has decided about. Only this folder can write them.
///
/// ```compile_fail
/// let mut clean = logfade::scrub::Clean::default();
/// clean.put(b"192.0.2.1"); // private to the gate
/// ```
///
/// ```compile_fail
/// let clean = logfade::scrub::Clean { bytes: Vec::new() }; // its fields are private
/// ```
#[derive(Debug, Default)]
pub struct Clean {
    bytes: Vec<u8>,
}

impl Clean {
    /// The bytes: whole lines.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets them and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Ends the last line, where others may be appended behind it.
    pub(crate) fn end_line(&mut self) {
        if !self.bytes.is_empty() && !self.bytes.ends_with(b"\n") {
            self.bytes.push(b'\n');
        }
    }

    /// Adds what came through the gate elsewhere.
    pub(crate) fn append(&mut self, other: &Self) {
        self.bytes.extend_from_slice(&other.bytes);
    }

    pub(in crate::scrub) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes a line back that was begun.
    pub(in crate::scrub) fn rewind(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    #[inline]
    pub(in crate::scrub) fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Adds the first `len` bytes of `rest`. More are copied where that is cheaper than to look at how many there are, and taken back.
    #[inline]
    pub(in crate::scrub) fn put_front(&mut self, rest: &[u8], len: usize) {
        match rest.first_chunk::<64>() {
            Some(chunk) if len <= 64 => {
                let end = self.bytes.len() + len;
                self.bytes.extend_from_slice(chunk);
                self.bytes.truncate(end);
            }
            _ => self.bytes.extend_from_slice(rest.get(..len).unwrap_or_default()),
        }
    }

    pub(in crate::scrub) const fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

/// Raw lines on their way to the quarantine: only the gate fills it, only the quarantine's sink takes it.
#[derive(Debug, Default)]
pub struct Quarantined {
    bytes: Vec<u8>,
}

impl Quarantined {
    /// The raw lines, for the sink that writes them with mode 0600.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Every line ends, so that the next one does not become part of it.
    pub(in crate::scrub) fn put(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        if !line.ends_with(b"\n") {
            self.bytes.push(b'\n');
        }
    }
}

/// Why a line was not written as parsed. Carries no bytes of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reject {
    /// It has another layout.
    Mismatch(Mismatch),
    /// An address slot holds something else.
    Address,
    /// Longer than `--max-line`.
    TooLong,
    /// The carrier's own JSON cannot be put back.
    Envelope,
}

impl Reject {
    /// Every reason, in the order of the tally's counts.
    pub const ALL: [Self; 8] = [
        Self::Mismatch(Mismatch::Layout),
        Self::Mismatch(Mismatch::Value),
        Self::Mismatch(Mismatch::Json),
        Self::Mismatch(Mismatch::Required),
        Self::Mismatch(Mismatch::Columns),
        Self::Address,
        Self::TooLong,
        Self::Envelope,
    ];

    /// The word in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mismatch(mismatch) => mismatch.name(),
            Self::Address => "address",
            Self::TooLong => "too_long",
            Self::Envelope => "envelope",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Mismatch(Mismatch::Layout) => 0,
            Self::Mismatch(Mismatch::Value) => 1,
            Self::Mismatch(Mismatch::Json) => 2,
            Self::Mismatch(Mismatch::Required) => 3,
            Self::Mismatch(Mismatch::Columns) => 4,
            Self::Address => 5,
            Self::TooLong => 6,
            Self::Envelope => 7,
        }
    }
}

/// Counts of physical lines: `read = clean + rejected + excluded`, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lines read.
    pub read: u64,
    /// Lines that came through the policy; directives and blank lines too.
    pub clean: u64,
    /// Lines that did not parse.
    pub rejected: u64,
    /// Lines that a `where` left out.
    pub excluded: u64,
    /// Lines written: clean ones and scrubbed rejects.
    pub written: u64,
    /// Identifiers that the residual scan masked.
    pub masked: u64,
    /// Records with a value that should have become a pseudonym and was cut or dropped, because there was no key for it.
    pub keyless: u64,
    /// Time of the oldest record, if times are wanted: [`super::Settings::moments`].
    pub oldest: Option<Timestamp>,
    /// Time of the newest record.
    pub newest: Option<Timestamp>,
    reasons: [u64; Reject::ALL.len()],
}

impl Tally {
    /// Stretches the times to this record's.
    #[inline]
    pub(in crate::scrub) fn seen(&mut self, moment: Option<Timestamp>) {
        let Some(moment) = moment else { return };
        self.oldest = Some(self.oldest.map_or(moment, |oldest| oldest.min(moment)));
        self.newest = Some(self.newest.map_or(moment, |newest| newest.max(moment)));
    }

    pub(in crate::scrub) fn reject(&mut self, reject: Reject) {
        self.rejected += 1;
        if let Some(count) = self.reasons.get_mut(reject.index()) {
            *count += 1;
        }
    }

    /// Counts lines that are rejected without having been seen.
    pub fn unseen(&mut self, reject: Reject, lines: u64) {
        self.read += lines;
        self.rejected += lines;
        if let Some(count) = self.reasons.get_mut(reject.index()) {
            *count += lines;
        }
    }

    /// Rejected lines by reason; only reasons that occurred.
    pub fn reasons(&self) -> BTreeMap<&'static str, u64> {
        Reject::ALL.into_iter().zip(self.reasons).filter(|(_, count)| *count > 0).map(|(reject, count)| (reject.name(), count)).collect()
    }

    /// Adds the counts of another part of the same log.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.clean += other.clean;
        self.rejected += other.rejected;
        self.excluded += other.excluded;
        self.written += other.written;
        self.masked += other.masked;
        self.keyless += other.keyless;
        self.seen(other.oldest);
        self.seen(other.newest);
        for (sum, count) in self.reasons.iter_mut().zip(other.reasons) {
            *sum += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_place() {
        for (at, reject) in Reject::ALL.into_iter().enumerate() {
            assert_eq!(reject.index(), at);
        }
    }
}
