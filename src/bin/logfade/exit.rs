//! Exit codes.

use std::process::ExitCode;

/// What a command ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done,
    /// Done, but more lines were rejected than allowed.
    Rejects,
    /// Usage, configuration or policy.
    Usage,
    /// Input or output failed; partly done.
    Io,
    /// Refused: held, unproven, locked, the ledger broken, a leak found.
    Refused,
    /// Ended by this signal; what was written is whole.
    Signal(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Rejects => 1,
            Exit::Usage => 2,
            Exit::Io => 3,
            Exit::Refused => 4,
            Exit::Signal(signal) => 128 + signal,
        })
    }
}
