//! Files of classes: opened without following a link, read to a proven end, turned into forms, cut, and deleted when proven.
//!
//! Everything here is written against [`Files`], so that the tests can stop it at every step.

mod aside;
mod cut;
mod draft;
mod form;
mod grave;
mod grown;
mod held;
mod proof;
mod recover;
mod sieve;
mod stamps;
mod table;
#[cfg(test)]
mod tests;

pub(in crate::store) use cut::Cut;
pub(in crate::store) use draft::Draft;
pub(in crate::store) use form::{Order, name, stem};
pub(in crate::store) use held::{Folder, Held};
pub(in crate::store) use proof::{Claim, Sound};
pub(in crate::store) use stamps::Stamps;
pub(in crate::store) use table::Tabling;

pub use cut::Parts;
pub use draft::Access;
pub use form::Survey;
pub use held::Digests;
pub use recover::Recovered;
pub use sieve::Sieve;

use super::files::Files;
use super::ledger_key::LedgerKey;
use super::seal::Keychain;
use super::{Cause, StoreError};
use crate::retain::evidence::Evidence;
use crate::retain::ledger::Entry;
use rustix::io::Errno;
use std::io;
use std::path::{Path, PathBuf};

/// The directory beside the files where drafts are written and graves are dug; nobody but its owner may enter.
pub(in crate::store) const DEN: &str = ".logfade";

/// A draft.
const PART: &str = ".part";
/// The mark of an output that is published and not in the ledger yet: `NAME.INODE.open`.
const OPEN: &str = ".open";
/// A file on its way out: `NAME.INODE.gone`.
const GONE: &str = ".gone";

/// The verbs over one file system.
pub(in crate::store) struct Shelf<F: Files> {
    pub(in crate::store) files: F,
    pub(in crate::store) key: LedgerKey,
    pub(in crate::store) seals: Keychain,
}

/// Where entries go: each is synced when `note` returns, and known from then on.
pub(in crate::store) trait Journal {
    /// Writes an entry.
    fn note(&mut self, entry: Entry) -> Result<(), StoreError>;
    /// Everything written so far.
    fn known(&self) -> &Evidence;
}

/// Why something was not done.
#[derive(Debug)]
pub enum Halt {
    /// It may not be done, or not now; nothing has changed.
    Refused {
        /// Why.
        why: Refusal,
        /// The file.
        path: PathBuf,
    },
    /// The system said no.
    Failed(StoreError),
}

/// Why a file stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is not there.
    Vanished,
    /// It is a link, a directory, a pipe, or has a second name.
    NotPlain,
    /// Somebody writes it, or may.
    InUse,
    /// It is not the file that was looked at, or not its bytes.
    Changed,
    /// It cannot be read to a proven end.
    Damaged,
    /// A form of it is missing or not what the ledger says.
    Unproven,
    /// What was read back is not what was written.
    Mismatch,
    /// An identifier of the raw file stands in the clean one.
    Leak,
    /// Another file has the name.
    Taken,
    /// A hold, the clock or a limit came in between.
    Stopped,
}

impl Refusal {
    /// In words.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Vanished => "is not there any more",
            Self::NotPlain => "is no regular file with one name",
            Self::InUse => "is written by somebody, or may be",
            Self::Changed => "has changed since it was looked at",
            Self::Damaged => "cannot be read to a proven end",
            Self::Unproven => "lacks a proven form",
            Self::Mismatch => "does not read back as it was written",
            Self::Leak => "would leave an identifier in a clean file",
            Self::Taken => "would take the name of another file",
            Self::Stopped => "is held, or a limit was reached",
        }
    }
}

impl std::fmt::Display for Halt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused { why, path } => write!(f, "{} {}", path.display(), why.describe()),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Halt {}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        match error.cause {
            Cause::Damaged(_) => Self::Refused { why: Refusal::Damaged, path: error.path },
            Cause::Refused { .. } if error.verb == "decode" => Self::Refused { why: Refusal::Damaged, path: error.path },
            Cause::Io(_) | Cause::Refused { .. } | Cause::Broken(_) => Self::Failed(error),
        }
    }
}

fn refused(why: Refusal, path: &Path) -> Halt {
    Halt::Refused { why, path: path.to_owned() }
}

/// What the system says of a file that ought to be there.
fn failed(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Halt {
    let path = path.to_owned();
    move |error| match Errno::from_io_error(&error) {
        Some(Errno::NOENT) => Halt::Refused { why: Refusal::Vanished, path },
        // O_NOFOLLOW, O_DIRECTORY.
        Some(Errno::LOOP | Errno::NOTDIR) => Halt::Refused { why: Refusal::NotPlain, path },
        _ => Halt::Failed(StoreError { verb, path, cause: Cause::Io(error) }),
    }
}
