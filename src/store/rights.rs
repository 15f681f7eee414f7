//! What expiry will need of the system: looked at beforehand, changed nowhere.

use rustix::fs::{Access, AtFlags, CWD, accessat};
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Something that will be lacking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// On what.
    pub path: PathBuf,
    /// What it is.
    pub what: Missing,
}

/// What can be lacking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Missing {
    /// It is not there.
    Absent,
    /// Names in it cannot be changed: nothing in it can be moved or removed.
    Write,
    /// Others can change names in it.
    Exposed,
    /// Its files cannot be read.
    Read,
    /// Its files belong to somebody else and the right to lease them is not there: deletions wait until 30 minutes pass without a change.
    Lease,
    /// A program of `reopen` is not there.
    Program,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "is not there yet",
            Self::Write => "cannot be written to: nothing in it can be deleted; give this user write access, or run as another",
            Self::Exposed => "can be written to by everybody: whoever exchanges a file there decides what is deleted; run chmod o-w on it",
            Self::Read => "cannot be read",
            Self::Program => "is not there: logs that a server has open are not let go of; correct `reopen`",
            Self::Lease => "belongs to somebody else, and CAP_LEASE is missing: that nobody writes it can only be told from 30 minutes without a change",
        })
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path.display(), self.what)
    }
}

/// What deleting files of a directory will lack.
pub fn directory(path: &Path) -> Vec<Lack> {
    let lack = |what| Lack { path: path.to_owned(), what };
    let Ok(meta) = path.metadata() else { return vec![lack(Missing::Absent)] };
    let mut found = Vec::new();
    if accessat(CWD, path, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS).is_err() {
        found.push(lack(Missing::Write));
    }
    // With the sticky bit, only the owner of a file can exchange it.
    if meta.mode() & 0o1002 == 0o002 {
        found.push(lack(Missing::Exposed));
    }
    found
}

/// What reading and leasing a file will lack.
pub fn file(path: &Path) -> Option<Lack> {
    let lack = |what| Some(Lack { path: path.to_owned(), what });
    let Ok(meta) = path.symlink_metadata() else { return lack(Missing::Absent) };
    if accessat(CWD, path, Access::READ_OK, AtFlags::EACCESS).is_err() {
        return lack(Missing::Read);
    }
    if meta.uid() != rustix::process::geteuid().as_raw() && !has_lease() {
        return lack(Missing::Lease);
    }
    None
}

/// Whether this process may lease files of others (CAP_LEASE, bit 28 of the effective set).
fn has_lease() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).is_some_and(|set| set & (1 << 28) != 0)
}
