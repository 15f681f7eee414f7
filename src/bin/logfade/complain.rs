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
        Self { exit: exit_of(&error), text: Text::Plain(told(&error)) }
    }
}

/// The error, and what helps against it where the system alone said no.
pub(crate) fn told(error: &StoreError) -> String {
    match &error.cause {
        Cause::Io(cause) => remedy(cause).map_or_else(|| error.to_string(), |remedy| format!("{error}\n{remedy}")),
        Cause::Damaged(_) | Cause::Broken(_) | Cause::Refused { .. } => error.to_string(),
    }
}

/// What helps against the refusals of an operating system that people meet.
const REMEDIES: [(io::ErrorKind, &str); 6] = [
    (io::ErrorKind::NotFound, "check the name; one without a / in front begins at the current directory"),
    (io::ErrorKind::PermissionDenied, "run it as somebody who may: logs of Debian are for the group adm, the state directory is for its owner alone"),
    (io::ErrorKind::IsADirectory, "name a file in it"),
    (io::ErrorKind::NotADirectory, "a part of this path is a file: check the name"),
    (io::ErrorKind::StorageFull, "make room, and run it again"),
    (io::ErrorKind::ReadOnlyFilesystem, "under systemd, name the directory in ReadWritePaths of the unit"),
];

fn remedy(error: &io::Error) -> Option<&'static str> {
    REMEDIES.iter().find(|(kind, _)| *kind == error.kind()).map(|(_, remedy)| *remedy)
}

/// Standard output failed.
pub(crate) fn output(error: io::Error) -> Complaint {
    Complaint { exit: Exit::Io, text: Text::Plain(format!("cannot write stdout: {error}")) }
}
