//! What the store asks of a file system: single steps beneath a directory that is held open.
//!
//! Two sides: [`disk::Disk`], and in tests a double in memory whose fuse fails or "crashes" at any step. One contract suite runs
//! over both. Nothing outside `store/` can name the trait: whoever deletes has to bring a proof.

#[cfg(test)]
mod contract;
pub(in crate::store) mod disk;
#[cfg(test)]
pub(in crate::store) mod memory;

use crate::retain::ledger::Identity;
use jiff::Timestamp;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

/// Steps. Each takes a directory that is held open and one name without a slash, and follows no link.
pub(in crate::store) trait Files: Clone + Send + Sync + 'static {
    /// A directory that is held open.
    type Dir: Send + Sync;
    /// A file that is held open.
    type File: Send + Sync + 'static;

    /// Opens a directory by its path, as an administrator wrote it: here alone links are followed.
    fn root(&self, path: &Path) -> io::Result<Self::Dir>;
    /// Opens a directory in a directory.
    fn dir(&self, at: &Self::Dir, name: &OsStr) -> io::Result<Self::Dir>;
    /// Makes a directory of mode 0700; one that is there already has to be ours alone.
    fn private_dir(&self, at: &Self::Dir, name: &OsStr) -> io::Result<Self::Dir>;
    /// The names in a directory, in order.
    fn names(&self, at: &Self::Dir) -> io::Result<Vec<OsString>>;
    /// What stands under a name.
    fn look(&self, at: &Self::Dir, name: &OsStr) -> io::Result<Look>;
    /// Opens what is there for reading; never waits.
    fn open(&self, at: &Self::Dir, name: &OsStr) -> io::Result<Self::File>;
    /// What is held open.
    fn stat(&self, file: &Self::File) -> io::Result<Look>;
    /// Reads at an offset.
    fn read(&self, file: &Self::File, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Makes a file that was not there; until [`Files::own`], only its owner can open it.
    fn create(&self, at: &Self::Dir, name: &OsStr) -> io::Result<Self::File>;
    /// Gives a new file its owner, group and mode.
    fn own(&self, file: &Self::File, owner: Owner) -> io::Result<()>;
    /// Appends bytes.
    fn write(&self, file: &Self::File, bytes: &[u8]) -> io::Result<()>;
    /// Makes the content last.
    fn sync(&self, file: &Self::File) -> io::Result<()>;
    /// Makes the names last.
    fn sync_dir(&self, at: &Self::Dir) -> io::Result<()>;
    /// Renames without replacing.
    fn rename(&self, from: (&Self::Dir, &OsStr), to: (&Self::Dir, &OsStr)) -> io::Result<()>;
    /// Takes a name away.
    fn unlink(&self, at: &Self::Dir, name: &OsStr) -> io::Result<()>;
    /// Asks for the promise that nobody writes.
    fn lease(&self, file: &Self::File) -> io::Result<Lease>;
    /// Whether the promise still holds.
    fn is_leased(&self, file: &Self::File) -> bool;
    /// Gives the promise back.
    fn release(&self, file: &Self::File) -> io::Result<()>;
    /// Looks for a process that can write the file, as far as this process may see others.
    fn is_written(&self, file: &Self::File) -> io::Result<bool>;
}

/// What stands under a name, or behind a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Look {
    pub(in crate::store) kind: Kind,
    pub(in crate::store) device: u64,
    pub(in crate::store) inode: u64,
    /// Bytes.
    pub(in crate::store) size: u64,
    pub(in crate::store) modified: Timestamp,
    /// When content, name count, owner or mode last changed.
    pub(in crate::store) changed: Timestamp,
    pub(in crate::store) links: u64,
    pub(in crate::store) owner: Owner,
}

impl Look {
    /// As the ledger writes it.
    pub(in crate::store) const fn identity(&self) -> Identity {
        Identity { device: self.device, inode: self.inode, size: self.size, mtime: self.modified }
    }
}

/// Kinds of what stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Kind {
    File,
    Dir,
    /// A symbolic link.
    Link,
    /// A pipe, a socket, a device.
    Other,
}

/// Who may do what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Owner {
    pub(in crate::store) user: u32,
    pub(in crate::store) group: u32,
    /// Permission bits.
    pub(in crate::store) mode: u32,
}

/// What came of asking for a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Lease {
    /// Nobody has it open for writing, nor mapped; whoever tries from now on breaks the lease.
    Granted,
    /// Somebody writes.
    Writer,
    /// Not here, or not for us: another file system, another owner.
    Impossible,
}

/// Reads a file that is held open from its beginning.
pub(in crate::store) struct Reader<F: Files> {
    files: F,
    file: Arc<F::File>,
    offset: u64,
}

impl<F: Files> Reader<F> {
    pub(in crate::store) fn new(files: &F, file: &Arc<F::File>) -> Self {
        Self { files: files.clone(), file: Arc::clone(file), offset: 0 }
    }
}

impl<F: Files> Read for Reader<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.files.read(&self.file, buffer, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}
