//! Errors as a user meets them: cause first, remedy on the next line.

use crate::exit::Exit;
use logfade::diagnostic::Diagnostic;
use logfade::store::{Cause, StoreError};
use std::io::{self, Write};

/// An error with its exit code.
#[derive(Debug)]
pub(crate) struct Complaint {
    /// What the process ends with.
    pub(crate) exit: Exit,
    text: Text,
}

#[derive(Debug)]
enum Text {
    Plain(String),
    Shown(Box<Diagnostic>),
}

impl Complaint {
    /// A fault of usage: cause and remedy.
    pub(crate) fn usage(cause: impl Into<String>, remedy: impl AsRef<str>) -> Self {
        Self { exit: Exit::Usage, text: Text::Plain(format!("{}\n{}", cause.into(), remedy.as_ref())) }
    }

    /// Something that is not done: cause and remedy.
    pub(crate) fn refused(cause: impl Into<String>, remedy: impl AsRef<str>) -> Self {
        Self { exit: Exit::Refused, text: Text::Plain(format!("{}\n{}", cause.into(), remedy.as_ref())) }
    }

    /// What it says, for a log line.
    pub(crate) fn text(&self) -> String {
        match &self.text {
            Text::Plain(text) => text.clone(),
            Text::Shown(diagnostic) => diagnostic.render(false),
        }
    }

    /// Writes it to standard error.
    pub(crate) fn print(&self, color: bool) -> io::Result<()> {
        let mut stderr = io::stderr().lock();
        match &self.text {
            Text::Plain(text) => writeln!(stderr, "error: {text}"),
            Text::Shown(diagnostic) => writeln!(stderr, "{}", diagnostic.render(color)),
        }
    }
}

impl From<Box<Diagnostic>> for Complaint {
    fn from(diagnostic: Box<Diagnostic>) -> Self {
        Self { exit: Exit::Usage, text: Text::Shown(diagnostic) }
    }
}

/// What a process ends with that met this error.
pub(crate) fn exit_of(error: &StoreError) -> Exit {
    match error.cause {
        // Found in the middle of the work, not when it was set up.
        Cause::Refused { .. } if error.verb == "decode" => Exit::Io,
        // Keys that others may know, that were put back, or that a hold keeps.
        Cause::Refused { .. } if matches!(error.verb, "trust" | "lock" | "hold") => Exit::Refused,
        Cause::Refused { .. } => Exit::Usage,
        Cause::Broken(_) => Exit::Refused,
        Cause::Io(_) | Cause::Damaged(_) => Exit::Io,
    }
}

impl From<StoreError> for Complaint {
    fn from(error: StoreError) -> Self {
        Self { exit: exit_of(&error), text: Text::Plain(error.to_string()) }
    }
}

/// Standard output failed.
pub(crate) fn output(error: io::Error) -> Complaint {
    Complaint { exit: Exit::Io, text: Text::Plain(format!("cannot write stdout: {error}")) }
}
