//! Confirmations to whoever hands lines over: the protocol of rsyslog's `omprog` with `confirmMessages="on"`.

use super::StoreError;
use rustix::fs::fstat;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;

/// One confirmation. The manual of `omprog` says: "a line with the word OK".
const OK: &[u8] = b"OK\n";

/// Confirmations that are written at once.
const MANY: u64 = 1024;

/// Standard output as the place where lines are confirmed.
pub struct Confirm {
    file: File,
}

impl Confirm {
    /// Takes standard output.
    pub fn stdout() -> Result<Self, StoreError> {
        let file = io::stdout().as_fd().try_clone_to_owned().map_err(StoreError::io("open", Path::new("stdout")))?;
        Ok(Self { file: File::from(file) })
    }

    /// Says that lines may come.
    pub fn ready(&mut self) -> Result<(), StoreError> {
        self.lines(1)
    }

    /// Confirms so many lines, which are on disk.
    pub fn lines(&mut self, count: u64) -> Result<(), StoreError> {
        let mut left = count;
        while left > 0 {
            let now = left.min(MANY);
            self.file.write_all(&OK.repeat(now as usize)).map_err(StoreError::io("write", Path::new("stdout")))?;
            left -= now;
        }
        Ok(())
    }

    /// Whether standard output is the file that lines are written to.
    pub(super) fn is(&self, file: &File) -> bool {
        matches!((fstat(&self.file), fstat(file)), (Ok(own), Ok(other)) if (own.st_dev, own.st_ino) == (other.st_dev, other.st_ino))
    }
}
