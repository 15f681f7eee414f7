//! The lines of one file, read once in bounded memory, with a short look ahead.

use crate::store::StoreError;
use crate::store::seal::Keychain;
use crate::store::source::{BLOCK, Block, Filled, Source, Stop};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

/// Bytes held for looking ahead; a line beyond them is not seen before its turn.
const AHEAD: usize = 4 * 1024 * 1024;

/// Stands for a line that is too long to be held: no format splits it, so that its clean form may say nothing of it.
const TOO_LONG: &[u8] = b"\0\n";

/// Lines in turn.
pub(in crate::run) struct Lines {
    source: Source,
    block: Block,
    buffer: Vec<u8>,
    /// First byte of the next line.
    at: usize,
    /// Where lines end, newline included; the first is the next line's.
    ends: VecDeque<usize>,
    ended: bool,
    /// Lines that were passed.
    passed: u64,
    /// Files that follow, the last one first.
    more: Vec<PathBuf>,
    keys: Keychain,
    max_line: usize,
    /// Bytes of the files before.
    before: u64,
}

impl Lines {
    /// Opens a file in any codec.
    pub(in crate::run) fn open(path: &Path, max_line: usize, keys: &Keychain) -> Result<Self, StoreError> {
        Ok(Self::new(Source::open(path, &Stop::default(), max_line, keys)?, max_line, keys))
    }

    /// Standard input, in any codec.
    pub(in crate::run) fn stdin(max_line: usize) -> Result<Self, StoreError> {
        Ok(Self::new(Source::stdin(&Stop::default(), None, max_line)?, max_line, &Keychain::none()))
    }

    /// Goes on with further files, as if they were one.
    pub(in crate::run) fn then(mut self, more: &[PathBuf]) -> Self {
        self.more = more.iter().rev().cloned().collect();
        self
    }

    fn new(source: Source, max_line: usize, keys: &Keychain) -> Self {
        Self {
            source,
            block: Block::default(),
            buffer: Vec::new(),
            at: 0,
            ends: VecDeque::new(),
            ended: false,
            passed: 0,
            more: Vec::new(),
            keys: keys.clone(),
            max_line,
            before: 0,
        }
    }

    /// Bytes read, as they lie on the disk.
    pub(in crate::run) fn bytes(&self) -> u64 {
        self.before + self.source.bytes_read()
    }

    /// Number of the next line, from 1.
    pub(in crate::run) const fn number(&self) -> u64 {
        self.passed + 1
    }

    /// Lines that were passed.
    pub(in crate::run) const fn passed(&self) -> u64 {
        self.passed
    }

    /// Makes the line `ahead` of the next one present; false if there is none, or none within reach.
    #[inline]
    pub(in crate::run) fn reach(&mut self, ahead: usize) -> Result<bool, StoreError> {
        while self.ends.len() <= ahead && !self.ended && self.buffer.len() - self.at < AHEAD.max(BLOCK) {
            self.more()?;
        }
        Ok(self.ends.len() > ahead)
    }

    /// The line `ahead` of the next one, without its end; empty unless [`Lines::reach`] said that it is there.
    #[inline]
    pub(in crate::run) fn line(&self, ahead: usize) -> &[u8] {
        let start = match ahead.checked_sub(1) {
            None => Some(self.at),
            Some(before) => self.ends.get(before).copied(),
        };
        let end = self.ends.get(ahead).copied();
        let line = start.zip(end).and_then(|(start, end)| self.buffer.get(start..end)).unwrap_or_default();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        line.strip_suffix(b"\r").unwrap_or(line)
    }

    /// Goes on to the next line.
    #[inline]
    pub(in crate::run) fn pass(&mut self) {
        if let Some(end) = self.ends.pop_front() {
            self.at = end;
            self.passed += 1;
        }
    }

    fn more(&mut self) -> Result<(), StoreError> {
        if self.at > 0 {
            self.buffer.drain(..self.at);
            self.ends.iter_mut().for_each(|end| *end -= self.at);
            self.at = 0;
        }
        let filled = self.source.fill(&mut self.block, BLOCK)?;
        let start = self.buffer.len();
        self.buffer.extend_from_slice(self.block.as_bytes());
        self.ends.extend(memchr::memchr_iter(b'\n', self.block.as_bytes()).map(|end| start + end + 1));
        match filled {
            Filled::Block | Filled::Pause => {}
            Filled::TooLong => {
                self.buffer.extend_from_slice(TOO_LONG);
                self.ends.push_back(self.buffer.len());
            }
            Filled::End => {
                match self.more.pop() {
                    Some(next) => {
                        self.before += self.source.bytes_read();
                        self.source = Source::open(&next, &Stop::default(), self.max_line, &self.keys)?;
                    }
                    None => self.ended = true,
                }
                // The last line may lack its end.
                if self.buffer.len() > self.ends.back().copied().unwrap_or(0) {
                    self.ends.push_back(self.buffer.len());
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn lines_come_in_turn_and_may_be_seen_ahead() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"a\r\nbb\n\nlast").unwrap();
        let mut lines = Lines::open(file.path(), 1024, &Keychain::none()).unwrap();
        assert!(lines.reach(3).unwrap() && !lines.reach(4).unwrap());
        let seen: Vec<&[u8]> = (0..4).map(|ahead| lines.line(ahead)).collect();
        assert_eq!(seen, [&b"a"[..], b"bb", b"", b"last"]);
        lines.pass();
        assert_eq!((lines.line(0), lines.number()), (&b"bb"[..], 2));
        for _ in 0..3 {
            lines.pass();
        }
        assert!(!lines.reach(0).unwrap());
        assert_eq!(lines.passed(), 4);
    }

    #[test]
    fn a_line_that_is_too_long_keeps_its_place() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&[b"a\n".as_slice(), &[b'x'; 3_000_000], b"\nb\n"].concat()).unwrap();
        let mut lines = Lines::open(file.path(), 1024 * 1024, &Keychain::none()).unwrap();
        let mut seen = Vec::new();
        while lines.reach(0).unwrap() {
            seen.push(lines.line(0).to_vec());
            lines.pass();
        }
        assert_eq!(seen, [&b"a"[..], b"\0", b"b"]);
    }
}
