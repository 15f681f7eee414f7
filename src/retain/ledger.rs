//! What the ledger says: a closed set of entries, none of which can hold a byte of a log.
//!
//! One entry is one line of JSON: `{"seq":1,"at":"…","prev":"…","kind":"scrubbed",…}`; [`chain`] holds the lines together.

pub mod chain;
mod digest;
pub mod incidents;
pub(crate) mod name;
mod reasons;

pub use digest::{Digest, Keyed};
pub use reasons::Reasons;

use super::KeyMode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    /// The forms of a raw file were written, synced, read back, decoded, counted and matched.
    Scrubbed(Scrubbed),
    /// A plan was made under a configuration for the first time.
    Plan(Planned),
    /// A file is about to be deleted.
    Deleting(Deletion),
    /// It is gone.
    Deleted(Deletion),
    /// The expired records of a file went, the young ones stay in another.
    Split(Split),
    /// Deletions are blocked from now on.
    Hold(Hold),
    /// A hold ended.
    Release(Release),
    /// A key is being destroyed: written in front of the deed, which every later start finishes.
    Key(KeyDestroyed),
    /// A request of a person was carried out.
    Subject(Subject),
    /// Something broke a promise, or that was settled.
    Incident(Incident),
}

impl Entry {
    /// The words in the field `kind`.
    pub const KINDS: [&'static str; 10] = ["scrubbed", "plan", "deleting", "deleted", "split", "hold", "release", "key", "subject", "incident"];

    /// The word in the field `kind`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Scrubbed(_) => "scrubbed",
            Self::Plan(_) => "plan",
            Self::Deleting(_) => "deleting",
            Self::Deleted(_) => "deleted",
            Self::Split(_) => "split",
            Self::Hold(_) => "hold",
            Self::Release(_) => "release",
            Self::Key(_) => "key",
            Self::Subject(_) => "subject",
            Self::Incident(_) => "incident",
        }
    }

    /// The class that it concerns.
    pub fn class(&self) -> Option<&String> {
        match self {
            Self::Scrubbed(entry) => entry.class.as_ref(),
            Self::Deleting(entry) | Self::Deleted(entry) => Some(&entry.class),
            Self::Split(entry) => Some(&entry.class),
            Self::Hold(entry) => Some(&entry.class),
            Self::Incident(Incident::Opened { class, .. }) => class.as_ref(),
            Self::Incident(Incident::Closed { .. }) | Self::Plan(_) | Self::Release(_) | Self::Key(_) | Self::Subject(_) => None,
        }
    }

    /// The files that it speaks of.
    pub fn paths(&self) -> Vec<&PathBuf> {
        match self {
            Self::Scrubbed(entry) => std::iter::once(&entry.path).chain(entry.outputs.iter().map(|output| &output.path)).collect(),
            Self::Deleting(entry) | Self::Deleted(entry) => vec![&entry.path],
            Self::Split(entry) => vec![&entry.path, &entry.into],
            Self::Incident(Incident::Opened { path: Some(path), .. }) => vec![path],
            Self::Incident(_) | Self::Plan(_) | Self::Hold(_) | Self::Release(_) | Self::Key(_) | Self::Subject(_) => Vec::new(),
        }
    }
}

/// Which file it was, whatever its name: what a crash, a rotation or an exchange cannot keep the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// The device.
    pub device: u64,
    /// The inode.
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// Last modification, to the nanosecond.
    pub mtime: Timestamp,
}

/// Lines of a file: `read = clean + rejected + excluded`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Lines read.
    pub read: u64,
    /// Lines that came through the policy.
    pub clean: u64,
    /// Lines that did not parse.
    pub rejected: u64,
    /// Lines that a `where` left out.
    pub excluded: u64,
}

/// A raw file with proven forms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scrubbed {
    /// The class; none for `batch` without a configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The raw file.
    #[serde(with = "name")]
    pub path: PathBuf,
    /// Which file that was when it was read.
    pub identity: Identity,
    /// Of the raw bytes as they lie on the disk, compressed or not.
    pub digest: Keyed,
    /// Of the decoded bytes: a log that is compressed later is the same log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Keyed>,
    /// Name of the format; none if there was no line to tell.
    pub format: Option<String>,
    /// The lines of the raw file, in the form that leaves out fewest.
    pub tally: Counts,
    /// Why lines were rejected, as far as it was told.
    #[serde(default, skip_serializing_if = "Reasons::is_empty")]
    pub reasons: Reasons,
    /// Time of the oldest record; none if no record has one.
    pub oldest: Option<Timestamp>,
    /// Time of the newest record.
    pub newest: Option<Timestamp>,
    /// Every form that was made and proven.
    pub outputs: Vec<Output>,
}

impl Scrubbed {
    /// The files that are a form of a class; what `batch` made counts where the form has its files, and nowhere else.
    pub fn files_of(&self, class: &str, (form, directory): (&str, &Path)) -> impl Iterator<Item = &Output> {
        let for_class = self.class.as_deref() == Some(class);
        self.outputs.iter().filter(move |output| output.form == form && (for_class || output.path.starts_with(directory)))
    }
}

/// A form of a raw file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The file.
    #[serde(with = "name")]
    pub path: PathBuf,
    /// Name of the form: a policy's, or what `name` in the configuration says.
    pub form: String,
    /// Of everything besides the raw bytes that decides about the output: policy, format, options, version, key.
    pub policy: Digest,
    /// Of the file's bytes as they lie on the disk.
    pub digest: Keyed,
    /// The file's size.
    pub bytes: u64,
    /// Lines in it: clean ones and scrubbed rejects.
    pub lines: u64,
    /// Lines that this form's `where` left out.
    pub excluded: u64,
}

/// A deletion, about to be made or made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// The class.
    pub class: String,
    /// `raw`, or the name of another form.
    pub form: String,
    /// The file.
    #[serde(with = "name")]
    pub path: PathBuf,
    /// Which file.
    pub identity: Identity,
    /// Of its bytes as they lay on the disk.
    pub digest: Keyed,
    /// Of its decoded bytes, where they could be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Keyed>,
    /// When it was due; none where a person decided (`reason`).
    pub deadline: Option<Timestamp>,
    /// How it is known that nobody writes it; none for a form that nobody but this program writes.
    pub quiescence: Option<Quiescence>,
    /// Under which name below `.logfade/` it is moved before it goes.
    #[serde(default, with = "name::optional", skip_serializing_if = "Option::is_none")]
    pub grave: Option<PathBuf>,
    /// Why a person deleted a file that could not be proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How it is known that nobody writes a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Quiescence {
    /// The system gave a read lease, which it does only without writers.
    Lease,
    /// A lease was impossible; size and times have not changed for so long.
    Age {
        /// Seconds without a change.
        seconds: u64,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// A file that was cut: at its deadline, or at a person's request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// The class.
    pub class: String,
    /// `raw`, or the name of another form.
    pub form: String,
    /// The file that straddled.
    #[serde(with = "name")]
    pub path: PathBuf,
    /// Which file.
    pub identity: Identity,
    /// Of its bytes as they lay on the disk.
    pub digest: Keyed,
    /// Of its decoded bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Keyed>,
    /// Records older than this went.
    pub cut: Timestamp,
    /// What went were a person's records instead, of whatever time.
    #[serde(default, skip_serializing_if = "is_false")]
    pub erased: bool,
    /// Lines that went.
    pub expired: u64,
    /// Lines that stay.
    pub kept: u64,
    /// Where they stay.
    #[serde(with = "name")]
    pub into: PathBuf,
    /// Which file that is.
    pub into_identity: Identity,
    /// Of its bytes.
    pub into_digest: Keyed,
    /// Of its decoded bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into_content: Option<Keyed>,
    /// Time of the oldest record that stays.
    pub oldest: Option<Timestamp>,
    /// Time of the newest record that stays.
    pub newest: Option<Timestamp>,
}

/// A plan under a configuration that no run has carried out yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Of the retention part of the configuration.
    pub configuration: Digest,
    /// Of the plan.
    pub plan: Digest,
    /// Files in it.
    pub files: u64,
    /// Files that it would delete or split.
    pub due: u64,
}

/// What blocks deletions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Its name.
    pub name: String,
    /// The class that it blocks.
    pub class: String,
    /// Records from this time on; none: from the first.
    pub from: Option<Timestamp>,
    /// Records up to this time; none: to the last.
    pub to: Option<Timestamp>,
    /// There are addresses, kept elsewhere; this is the digest of their list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Keyed>,
    /// Why.
    pub reason: String,
    /// When it ends by itself; none: when it is released.
    pub until: Option<Timestamp>,
}

/// The end of a hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The hold's name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// A destroyed key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyDestroyed {
    /// What it was for.
    pub role: KeyRole,
    /// The period that it served, or what it sealed.
    pub period: String,
    /// Of pseudonyms: whose keys. In fleet mode every period in front of it is gone as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<KeyMode>,
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyRole {
    /// Pseudonyms of a period.
    Pseudonym,
    /// Sealed files.
    Seal,
}

/// A request of a person. Nothing in it says which person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// What was asked for.
    pub request: SubjectRequest,
    /// By what kind of identifier.
    pub by: IdentifierKind,
    /// How many identifiers were asked about.
    pub identifiers: u64,
    /// Files looked at.
    pub files: u64,
    /// Records found, exported or erased.
    pub records: u64,
    /// Records from this time on.
    pub from: Option<Timestamp>,
    /// Records up to this time.
    pub to: Option<Timestamp>,
}

/// What a person asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectRequest {
    /// Whether there is anything.
    Find,
    /// A copy (GDPR Art. 15).
    Export,
    /// Erasure (GDPR Art. 17).
    Erase,
}

/// Kinds of identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentifierKind {
    /// An address.
    Ip,
    /// A user name.
    User,
    /// A cookie.
    Cookie,
    /// A file of identifiers.
    File,
}

/// What broke a promise, and how it ended. An incident's number is the `seq` of the line that opened it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Incident {
    /// It was noticed.
    Opened {
        /// What it is.
        what: Fault,
        /// The class that it concerns.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        class: Option<String>,
        /// The file that it concerns.
        #[serde(default, with = "name::optional", skip_serializing_if = "Option::is_none")]
        path: Option<PathBuf>,
        /// In a person's or the program's words; never bytes of a log.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// It was settled.
    Closed {
        /// Its number.
        incident: u64,
        /// How.
        reason: String,
    },
}

/// What can break a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A record outlived its window.
    Overdue,
    /// Somebody else deleted a file.
    Vanished,
    /// A file cannot be read to a proven end.
    Unreadable,
    /// The clock cannot be right.
    Clock,
    /// An identifier stands in a clean file.
    Leak,
    /// A destroyed key is there again.
    Restored,
    /// The command that makes a server reopen its log failed.
    Reopen,
    /// Opened by a person.
    Manual,
}

impl Fault {
    /// The word in entries and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Overdue => "overdue",
            Self::Vanished => "vanished",
            Self::Unreadable => "unreadable",
            Self::Clock => "clock",
            Self::Leak => "leak",
            Self::Restored => "restored",
            Self::Reopen => "reopen",
            Self::Manual => "manual",
        }
    }
}
