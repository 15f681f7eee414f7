//! The only folder that opens files: raw bytes come in through [`source`], clean bytes go out through [`sink`].
//!
//! What leaves it are verbs that take a [`crate::scrub::Clean`], a finished table of counts, the quarantine's own buffer, or what a listener heard,
//! for the raw form; none takes other raw bytes.

pub mod archive;
pub mod checkpoint;
pub mod clock;
pub mod confine;
pub mod confirm;
mod digest;
pub mod draft;
mod files;
pub mod http;
pub mod kept;
pub mod keys;
mod lease;
pub mod ledger;
pub mod ledger_key;
pub mod listen;
pub mod page;
pub mod places;
pub mod readback;
pub mod rights;
pub mod seal;
mod seek;
pub mod segment;
mod shelf;
pub mod sink;
pub mod source;
pub mod spool;
mod stock;
mod tables;
pub mod trail;
pub mod walk;
pub mod watch;

pub use stock::{Access, Chronicle, Cutting, Digests, Form, Halt, HoldWatch, Making, Parts, Place, Proven, Raw, Reason, Recovered, Refusal, Sieve, Store, Survey};
pub use tables::TableOf;

/// Whether rotation or compression has given a file its name.
pub fn is_rotated(path: &Path) -> bool {
    path.file_name().is_some_and(|name| shelf::stem(name) != name)
}

use crate::retain::ledger::chain::Broken;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// An I/O error with its verb and path.
#[derive(Debug)]
pub struct StoreError {
    /// What was tried: `read`, `write`, `open` …
    pub verb: &'static str,
    /// On what; `stdin` and `stdout` are names too.
    pub path: PathBuf,
    /// Why it failed.
    pub cause: Cause,
}

/// Why an operation failed.
#[derive(Debug)]
pub enum Cause {
    /// The system said no.
    Io(io::Error),
    /// The compressed stream is damaged or ends early.
    Damaged(io::Error),
    /// The operation would destroy or expose something.
    Refused {
        /// What is wrong.
        why: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// The ledger is not as it was written.
    Broken(Broken),
}

impl StoreError {
    pub(crate) fn io(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self { verb, path, cause: Cause::Io(error) }
    }

    /// Nobody reads any more: a quiet end.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(&self.cause, Cause::Io(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.cause {
            Cause::Io(error) => write!(f, "cannot {} {path}: {error}", self.verb),
            Cause::Damaged(error) if self.verb == "decode" => write!(f, "{path} is damaged or cut short: {error}\nnothing of it is written; get an undamaged copy and run again"),
            Cause::Damaged(error) => write!(f, "{path} is damaged or cut short: {error}\nwhat was readable in front of the damage is written; get an undamaged copy and run again"),
            Cause::Broken(broken) => {
                write!(f, "{path}: {broken}\nnothing is written behind it: keep this file as it is, find out who changed it, and move the state directory away to begin anew")
            }
            Cause::Refused { why, remedy } => write!(f, "{path}: {why}\n{remedy}"),
        }
    }
}

impl std::error::Error for StoreError {}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> Result<(), StoreError> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    std::fs::File::open(path).and_then(|directory| directory.sync_all()).map_err(StoreError::io("sync", path))
}
