//! A class, a kind of log with rules of its own, and the forms of it that are kept.

use super::recipient::Recipient;
use super::until::{CalendarSpan, Until};
use crate::format::Format;
use crate::scrub::{OnReject, Output as Layout, Policy, Selection};
use globset::GlobMatcher;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A kind of log (ISO/IEC 27555: deletion class).
#[derive(Clone, Debug)]
pub struct Class {
    /// Its name, unique in the configuration.
    pub name: String,
    /// Where its raw lines come from.
    pub source: Source,
    /// The layout of its lines; `None` finds out.
    pub format: Option<Arc<Format>>,
    /// How the configuration asks for the layout.
    pub format_text: String,
    /// What the log is for.
    pub purpose: Option<String>,
    /// Legal basis.
    pub basis: Option<String>,
    /// Whom the log is about.
    pub categories: Vec<String>,
    /// Where days end.
    pub zone: TimeZone,
    /// Command that makes the server reopen its log; empty if there is none.
    pub reopen: Vec<String>,
    /// Whether files that straddle a deadline are split.
    pub split: bool,
    /// Nothing of it goes before.
    pub at_least: Option<CalendarSpan>,
    /// Whether raw may go on the word of outputs that prove nothing.
    pub unproven: bool,
    /// More rejected lines than this keep a raw file; `None` sets no limit.
    pub max_rejects: Option<RejectLimit>,
    /// What becomes of lines that do not parse.
    pub on_reject: OnReject,
    /// The raw form.
    pub raw: Form,
    /// The forms that are made of raw.
    pub forms: Vec<Form>,
}

/// Where raw lines come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Files that somebody else writes.
    Raw(Vec<RawGlob>),
    /// Addresses that the sidecar listens on.
    Listen(Vec<Listen>),
}

/// A glob of raw files: an absolute path whose directory is literal.
#[derive(Clone, Debug)]
pub struct RawGlob {
    /// As it was written.
    pub text: String,
    /// The directory in front of the first wildcard: whatever matches lies in it or beneath it.
    pub directory: PathBuf,
    /// Whole paths; a wildcard takes no slash, `**` does.
    pub matcher: GlobMatcher,
}

impl RawGlob {
    /// Whether it reaches into directories below its own.
    pub fn is_deep(&self) -> bool {
        self.text.contains("**") || self.text.matches('/').count() > self.directory.components().count()
    }
}

/// Something to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Syslog datagrams on a socket in the file system.
    SyslogUnix(Door),
    /// Syslog over a stream socket in the file system.
    SyslogUnixStream(Door),
    /// Syslog datagrams.
    SyslogUdp(SocketAddr),
    /// Syslog over a stream.
    SyslogTcp(SocketAddr),
    /// A named pipe.
    Fifo(Door),
}

impl Listen {
    /// Its place in the file system, if it has one.
    pub const fn door(&self) -> Option<&Door> {
        match self {
            Self::SyslogUnix(door) | Self::SyslogUnixStream(door) | Self::Fifo(door) => Some(door),
            Self::SyslogUdp(_) | Self::SyslogTcp(_) => None,
        }
    }
}

/// A place in the file system where others hand lines over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// Where it is.
    pub path: PathBuf,
    /// Its permissions: who may write may hand over.
    pub mode: u32,
    /// Its group, by name or number.
    pub group: Option<String>,
}

/// A version of a log that is kept until its own deadline.
#[derive(Clone, Debug)]
pub struct Form {
    /// Unique within the class: `name`, else `raw`, the policy's name or `aggregate`.
    pub name: String,
    /// What it keeps.
    pub keep: Keep,
    /// How long a record of it stays.
    pub until: Until,
    /// Where it goes; the raw form of files that somebody else writes has none.
    pub output: Option<Output>,
    /// Who gets it.
    pub recipients: Vec<Recipient>,
    /// The records it takes; `None` takes all.
    pub select: Option<Arc<Selection>>,
    /// Permissions of its files.
    pub mode: u32,
    /// Owner of its files, by name or number.
    pub owner: Option<String>,
    /// Group of its files, by name or number.
    pub group: Option<String>,
    /// When a segment of it ends.
    pub rotate: Rotate,
    /// How long a line may wait before it is written.
    pub flush: SignedDuration,
    /// Whether it is written only encrypted.
    pub seal: bool,
    /// How its lines are laid out.
    pub layout: Layout,
    /// Level of zstd, 1 to 19.
    pub compress: i32,
}

/// What a form keeps.
#[derive(Clone, Debug)]
pub enum Keep {
    /// The bytes as the server wrote them.
    Raw,
    /// What came through a policy.
    Clean(Arc<Policy>),
    /// Counts per day and dimension.
    Aggregate {
        /// Cells with fewer distinct clients are suppressed.
        k: u32,
        /// What is counted; empty: all that the format has.
        by: Vec<Dimension>,
    },
}

/// What an aggregate counts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// Hour of the day.
    Hour,
    /// Virtual host.
    Host,
    /// Class of the status, `2xx`.
    Status,
    /// Request method.
    Method,
    /// Template of the path.
    Path,
    /// Family of the user agent.
    Family,
    /// Country.
    Country,
    /// Site that the visitor came from.
    Referrer,
}

impl Dimension {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 8] = [Self::Hour, Self::Host, Self::Status, Self::Method, Self::Path, Self::Family, Self::Country, Self::Referrer];

    /// The word in the configuration and in the tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Host => "host",
            Self::Status => "status",
            Self::Method => "method",
            Self::Path => "path",
            Self::Family => "family",
            Self::Country => "country",
            Self::Referrer => "referrer",
        }
    }
}

/// Where a form goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Files in a directory.
    Directory(PathBuf),
    /// Standard output, which proves nothing.
    Stdout,
    /// A receiver that acknowledges, by its address.
    Http(String),
}

/// When a segment ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotate {
    /// After this long.
    pub every: Option<SignedDuration>,
    /// At this many bytes before compression.
    pub size: Option<u64>,
}

/// How many rejected lines are too many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RejectLimit {
    /// Lines.
    Lines(u64),
    /// Percent of the lines read, 0 to 100.
    Percent(f64),
}

impl RejectLimit {
    /// Whether the counts exceed it.
    pub fn is_exceeded(self, rejected: u64, read: u64) -> bool {
        match self {
            Self::Lines(limit) => rejected > limit,
            Self::Percent(limit) => rejected as f64 * 100.0 > limit * read as f64,
        }
    }
}

impl Class {
    /// Every form, raw first.
    pub fn all_forms(&self) -> impl Iterator<Item = &Form> {
        std::iter::once(&self.raw).chain(&self.forms)
    }

    /// The first moment at which a record of this time may not exist any more in this form; `None`: it may stay for ever.
    /// Never before `at_least` is over.
    pub fn deadline(&self, form: &Form, record: Timestamp) -> Option<Timestamp> {
        let due = super::deadline(record, form.until, &self.zone)?;
        match self.at_least {
            Some(span) => Some(due.max(super::deadline(record, Until::Span(span), &self.zone)?)),
            None => Some(due),
        }
    }

    /// The directory that the configuration names for a file of this path, and the way from there to the file's own: of that, no part may
    /// be a link. None for a path that lies in none of them.
    pub fn way<'p>(&self, path: &'p Path) -> Option<(&Path, &'p Path)> {
        let parent = path.parent()?;
        let raw = match &self.source {
            Source::Raw(globs) => globs.as_slice(),
            Source::Listen(_) => &[],
        };
        let raw = raw.iter().map(|glob| (glob.matcher.is_match(path), glob.directory.as_path()));
        let forms = self.all_forms().filter_map(Form::directory).map(|directory| (false, directory));
        let found = raw.chain(forms).filter(|(_, directory)| parent.starts_with(directory)).max_by_key(|(matches, directory)| (*matches, directory.components().count()));
        let (_, directory) = found?;
        Some((directory, parent.strip_prefix(directory).ok()?))
    }

    /// Whether a file of this path is one of its raw files.
    pub fn is_raw(&self, path: &Path) -> bool {
        match &self.source {
            Source::Raw(globs) => globs.iter().any(|glob| glob.matcher.is_match(path)),
            Source::Listen(_) => matches!(&self.raw.output, Some(Output::Directory(directory)) if path.parent() == Some(directory)),
        }
    }
}
