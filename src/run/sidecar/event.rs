//! What the sidecar says while it runs: a word, where, and numbers. No byte of a log has a place in it.

use std::path::PathBuf;
use std::sync::Arc;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For whoever asks for more.
    Detail,
    /// What was done.
    Info,
    /// What somebody should look at.
    Warning,
    /// What does not work.
    Error,
}

impl Level {
    /// The word in log lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Detail => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// How much it matters.
    pub level: Level,
    /// What: one word, such as `finished`.
    pub what: &'static str,
    /// The class.
    pub class: Option<String>,
    /// The file.
    pub path: Option<PathBuf>,
    /// In words: the cause, and the remedy on a line of its own.
    pub text: Option<String>,
    /// Counts, by name.
    pub counts: Vec<(&'static str, u64)>,
}

impl Event {
    /// Something that happened.
    pub const fn new(level: Level, what: &'static str) -> Self {
        Self { level, what, class: None, path: None, text: None, counts: Vec::new() }
    }

    /// In a class.
    #[must_use]
    pub fn class(mut self, class: &str) -> Self {
        self.class = Some(class.to_owned());
        self
    }

    /// To a file.
    #[must_use]
    pub fn path(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// In words.
    #[must_use]
    pub fn text(mut self, text: impl std::fmt::Display) -> Self {
        self.text = Some(text.to_string());
        self
    }

    /// With a count.
    #[must_use]
    pub fn count(mut self, name: &'static str, count: u64) -> Self {
        self.counts.push((name, count));
        self
    }
}

/// Whom it is told.
pub type Tell = Arc<dyn Fn(Event) + Send + Sync>;
