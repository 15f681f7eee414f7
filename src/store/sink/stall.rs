//! An output that is waited for only so long: what it does not take in time is left out, in whole lines or frames, and counted.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// Bytes that a pipe takes at once: Linux calls one writable when a page of it is free.
const CHUNK: usize = 4096;

/// How long a lock that another writer holds is left alone before it is asked for again.
const LOCK_STEP: Duration = Duration::from_millis(10);

/// The patience with an output, and what it left out.
pub(super) struct Stall {
    patience: Duration,
    /// It took nothing for that long: until it takes something again, nothing waits for it.
    stalled: bool,
    /// What is left of a line or frame that the output took in part: it comes first, whatever follows.
    rest: Vec<u8>,
    rest_lines: u64,
    lost: u64,
    written: u64,
}

impl Stall {
    pub(super) const fn new(patience: Duration) -> Self {
        Self { patience, stalled: false, rest: Vec::new(), rest_lines: 0, lost: 0, written: 0 }
    }

    /// Lines that were left out; also those of which only a part was taken.
    pub(super) const fn lost(&self) -> u64 {
        self.lost + self.rest_lines
    }

    /// Bytes taken since this was last asked.
    pub(super) const fn take_written(&mut self) -> u64 {
        std::mem::replace(&mut self.written, 0)
    }

    /// Writes plain lines, in parts that a pipe takes whole or not at all.
    pub(super) fn lines(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        let mut left = bytes;
        while !left.is_empty() {
            let reach = left.get(..CHUNK).unwrap_or(left);
            let end = memchr::memrchr(b'\n', reach).or_else(|| memchr::memchr(b'\n', left)).map_or(left.len(), |at| at + 1);
            let (part, after) = left.split_at(end);
            let count = memchr::memchr_iter(b'\n', part).count() as u64 + u64::from(!part.ends_with(b"\n"));
            self.unit(file, part, count)?;
            left = after;
        }
        Ok(())
    }

    /// Writes all of it or nothing: `count` lines.
    pub(super) fn unit(&mut self, file: &mut File, bytes: &[u8], count: u64) -> io::Result<()> {
        if !self.settle(file)? {
            self.lost += count;
            return Ok(());
        }
        let taken = self.push(file, bytes)?;
        match bytes.get(taken..) {
            Some([]) | None => {}
            Some(_) if taken == 0 => self.lost += count,
            Some(rest) => {
                self.rest.extend_from_slice(rest);
                self.rest_lines = count;
            }
        }
        Ok(())
    }

    /// Writes what is left of a line or frame that was begun; false if the output does not take it now.
    pub(super) fn settle(&mut self, file: &mut File) -> io::Result<bool> {
        if self.rest.is_empty() {
            return Ok(true);
        }
        let rest = std::mem::take(&mut self.rest);
        let taken = self.push(file, &rest)?;
        self.rest.extend_from_slice(rest.get(taken..).unwrap_or_default());
        if self.rest.is_empty() {
            self.rest_lines = 0;
        }
        Ok(self.rest.is_empty())
    }

    /// Takes the lock of a file that others append to; false if one of them keeps it for too long.
    pub(super) fn lock(&mut self, file: &File) -> io::Result<bool> {
        let began = Instant::now();
        loop {
            match flock(file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(true),
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if self.stalled || began.elapsed() >= self.patience {
                self.stalled = true;
                return Ok(false);
            }
            std::thread::sleep(LOCK_STEP.min(self.patience));
        }
    }

    /// Leaves lines out that were not even begun.
    pub(super) const fn leave_out(&mut self, count: u64) {
        self.lost += count;
    }

    /// Bytes that the output takes before it stalls.
    fn push(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<usize> {
        let mut taken = 0;
        while let Some(left) = bytes.get(taken..).filter(|left| !left.is_empty()) {
            if !self.is_ready(file)? {
                break;
            }
            match file.write(left.get(..CHUNK).unwrap_or(left)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.stalled = false;
                    self.written += count as u64;
                    taken += count;
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    /// Waits until the output takes something, for as long as the patience lasts.
    fn is_ready(&mut self, file: &File) -> io::Result<bool> {
        let began = Instant::now();
        loop {
            let left = if self.stalled { Duration::ZERO } else { self.patience.saturating_sub(began.elapsed()) };
            let timeout = Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() };
            match poll(&mut [PollFd::new(file, PollFlags::OUT)], Some(&timeout)) {
                Ok(0) if left.is_zero() => {
                    self.stalled = true;
                    return Ok(false);
                }
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn pipe() -> (File, File) {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        (File::from(reader), File::from(writer))
    }

    #[test]
    fn what_is_not_taken_is_left_out_in_whole_lines() {
        let (mut reader, mut writer) = pipe();
        let mut stall = Stall::new(Duration::from_millis(1));
        let line = [[b'x'; 99].as_slice(), b"\n"].concat();
        stall.lines(&mut writer, &line.repeat(5000)).unwrap();
        assert!(stall.settle(&mut writer).unwrap(), "a pipe takes parts of this size whole");
        drop(writer);
        let mut got = Vec::new();
        reader.read_to_end(&mut got).unwrap();
        assert_eq!(got.len() as u64 % 100, 0);
        assert_eq!(got.len() as u64, stall.take_written());
        assert_eq!(got.len() as u64 / 100 + stall.lost(), 5000);
        assert!(stall.lost() > 0);
    }

    #[test]
    fn what_was_begun_is_ended_before_anything_else() {
        let (mut reader, mut writer) = pipe();
        let mut stall = Stall::new(Duration::from_millis(1));
        let long = vec![b'a'; 200_000];
        stall.unit(&mut writer, &long, 7).unwrap();
        stall.unit(&mut writer, b"between", 1).unwrap();
        assert_eq!(stall.lost(), 8, "as long as it is not whole, it is not written");
        let mut got = vec![0; 200_000];
        let mut filled = 0;
        while filled < got.len() {
            filled += reader.read(&mut got[filled..]).unwrap();
            stall.settle(&mut writer).unwrap();
        }
        assert_eq!(stall.lost(), 1);
        stall.unit(&mut writer, b"after", 1).unwrap();
        drop(writer);
        let mut last = Vec::new();
        reader.read_to_end(&mut last).unwrap();
        assert!(got == long && last == b"after");
    }

    #[test]
    fn a_line_longer_than_a_part_is_one_unit() {
        let (mut reader, mut writer) = pipe();
        let mut stall = Stall::new(Duration::from_millis(1));
        let text = [vec![b'l'; 10_000], b"\nshort\nno end".to_vec()].concat();
        stall.lines(&mut writer, &text).unwrap();
        drop(writer);
        let mut got = Vec::new();
        reader.read_to_end(&mut got).unwrap();
        assert!(got == text && stall.lost() == 0);
    }
}
