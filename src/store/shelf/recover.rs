//! What a crash left: drafts go, marks are settled, graves are closed or opened again.

use super::held::{Folder, Held};
use super::{DEN, GONE, Halt, Journal, OPEN, PART, Shelf, failed};
use crate::retain::ledger::{Deletion, Entry};
use crate::store::files::{Files, Kind};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

/// What was found and put in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Drafts that were taken away.
    pub drafts: u64,
    /// Outputs that the ledger does not know, taken away: their raw file stands.
    pub outputs: u64,
    /// Deletions that were finished.
    pub finished: u64,
    /// Deletions that were undone.
    pub undone: u64,
}

impl<F: Files> Shelf<F> {
    /// Puts a directory in order. `is_held` says whether something blocks a deletion that was begun.
    pub(in crate::store) fn recover(&self, folder: &Arc<Folder<F>>, is_held: &dyn Fn(&Deletion) -> bool, journal: &mut dyn Journal) -> Result<Recovered, Halt> {
        // A key that was ending is gone: what is decided below has to know.
        self.seals.recover(&mut |entry| journal.note(entry))?;
        let mut recovered = Recovered::default();
        let den_path = folder.path.join(DEN);
        let den = match self.files.look(&folder.dir, OsStr::new(DEN)) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            _ => Some(self.files.private_dir(&folder.dir, OsStr::new(DEN)).map_err(failed("open", &den_path))?),
        };
        for name in den.as_ref().map(|den| self.files.names(den)).transpose().map_err(failed("read", &den_path))?.unwrap_or_default() {
            let Some(den) = &den else { break };
            let bytes = name.as_bytes();
            if bytes.ends_with(PART.as_bytes()) {
                self.files.unlink(den, &name).map_err(failed("remove", &den_path.join(&name)))?;
                recovered.drafts += 1;
            } else if let Some((output, inode)) = parse(bytes, OPEN) {
                recovered.outputs += u64::from(self.unpublish(folder, (output, inode), journal)?);
                self.files.unlink(den, &name).map_err(failed("unmark", &den_path.join(&name)))?;
            } else if let Some((original, inode)) = parse(bytes, GONE) {
                self.close((folder, den), (&name, original, inode), is_held, journal)?.count(&mut recovered);
            }
        }
        // Begun, and neither here nor there: it was unlinked, and the entry is missing. Or it never left its place.
        let open: Vec<Deletion> = journal.known().open().iter().filter(|open| open.path.parent() == Some(&*folder.path)).cloned().collect();
        for deletion in open {
            let look = |dir: &F::Dir, name: Option<&OsStr>| match name.map(|name| self.files.look(dir, name)) {
                None => Ok(None),
                Some(Err(error)) if error.kind() == ErrorKind::NotFound => Ok(None),
                Some(other) => other.map(Some).map_err(failed("read", &deletion.path)),
            };
            // Under any name: rotation goes on renaming.
            let mut stands = false;
            for name in self.files.names(&folder.dir).map_err(failed("read", &folder.path))? {
                stands |= look(&folder.dir, Some(&name))?.is_some_and(|look| look.identity() == deletion.identity);
            }
            let buried = match &den {
                Some(den) => look(den, deletion.grave.as_ref().map(|grave| grave.as_os_str()))?.is_some(),
                None => false,
            };
            if !stands && !buried {
                self.files.sync_dir(&folder.dir).map_err(failed("sync the directory of", &deletion.path))?;
                journal.note(Entry::Deleted(deletion))?;
                recovered.finished += 1;
            }
        }
        Ok(recovered)
    }

    /// Takes an output away that was published and never came into the ledger.
    fn unpublish(&self, folder: &Arc<Folder<F>>, (name, inode): (&OsStr, u64), journal: &dyn Journal) -> Result<bool, Halt> {
        let path = folder.path.join(name);
        let look = match self.files.look(&folder.dir, name) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            other => other.map_err(failed("read", &path))?,
        };
        if look.kind != Kind::File || look.inode != inode || journal.known().is_known(&path) {
            return Ok(false);
        }
        self.files.unlink(&folder.dir, name).map_err(failed("remove", &path))?;
        self.files.sync_dir(&folder.dir).map_err(failed("sync the directory of", &path))?;
        Ok(true)
    }

    /// A file on its way out: finished if the ledger announced it, else put back.
    fn close(
        &self,
        (folder, den): (&Arc<Folder<F>>, &F::Dir),
        (grave, original, inode): (&OsStr, &OsStr, u64),
        is_held: &dyn Fn(&Deletion) -> bool,
        journal: &mut dyn Journal,
    ) -> Result<Closed, Halt> {
        let path = folder.path.join(original);
        let look = self.files.look(den, grave).map_err(failed("read", &path))?;
        let announced = journal.known().open().iter().find(|open| open.path == path && (open.identity.device, open.identity.inode) == (look.device, look.inode)).cloned();
        let intact = announced.filter(|open| look.inode == inode && look.links == 1 && open.identity == look.identity());
        let file = self.files.open(den, grave).map_err(failed("read", &path))?;
        let held = Held { folder: Arc::clone(folder), name: original.to_owned(), file: Arc::new(file), look };
        // Where its key went already, a hold came too late.
        let is_dead = self.is_dead(&held)?;
        if let Some(deletion) = intact.filter(|deletion| is_dead || !is_held(deletion)) {
            self.end_seals(&held, den, journal)?;
            self.files.unlink(den, grave).map_err(failed("delete", &path))?;
            self.files.sync_dir(den).map_err(failed("sync the directory of", &path))?;
            self.files.sync_dir(&folder.dir).map_err(failed("sync the directory of", &path))?;
            journal.note(Entry::Deleted(deletion))?;
            return Ok(Closed::Finished);
        }
        // Its own name, or that and its number where rotation has given the name away.
        let mut other = original.to_owned();
        other.push(format!(".{inode}"));
        for name in [original, &other] {
            match self.files.rename((den, grave), (&folder.dir, name)) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                done => {
                    done.map_err(failed("move back", &path))?;
                    self.files.sync_dir(&folder.dir).map_err(failed("sync the directory of", &path))?;
                    return Ok(Closed::Undone);
                }
            }
        }
        Ok(Closed::Waits)
    }
}

/// What became of a grave.
enum Closed {
    Finished,
    Undone,
    Waits,
}

impl Closed {
    const fn count(&self, recovered: &mut Recovered) {
        match self {
            Self::Finished => recovered.finished += 1,
            Self::Undone => recovered.undone += 1,
            Self::Waits => {}
        }
    }
}

/// `NAME.INODE.suffix`.
fn parse<'a>(bytes: &'a [u8], suffix: &str) -> Option<(&'a OsStr, u64)> {
    let front = bytes.strip_suffix(suffix.as_bytes())?;
    let dot = memchr::memrchr(b'.', front)?;
    let inode = std::str::from_utf8(front.get(dot + 1..)?).ok()?.parse().ok()?;
    Some((OsStr::from_bytes(front.get(..dot)?), inode))
}
