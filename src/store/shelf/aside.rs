//! An active log under another name, as rotation does it: whoever has it open goes on writing it there.

use super::held::Held;
use super::{Halt, Refusal, Shelf, failed, refused};
use crate::store::files::{Files, Kind, Look};
use std::ffi::OsStr;

impl<F: Files> Shelf<F> {
    /// Renames a file in its directory. Nothing is replaced, and what turns out to be another file goes back.
    pub(in crate::store) fn set_aside(&self, held: Held<F>, name: &OsStr) -> Result<Held<F>, Halt> {
        let (path, folder) = (held.path(), &held.folder);
        // It may be written meanwhile: size and time say nothing.
        let is_it = |look: &Look| look.kind == Kind::File && look.links == 1 && (look.device, look.inode) == (held.look.device, held.look.inode);
        if !is_it(&self.files.look(&folder.dir, &held.name).map_err(failed("read", &path))?) {
            return Err(refused(Refusal::Changed, &path));
        }
        match self.files.rename((&folder.dir, &held.name), (&folder.dir, name)) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Err(refused(Refusal::Taken, &folder.path.join(name))),
            other => other.map_err(failed("rename", &path))?,
        }
        let moved = self.files.look(&folder.dir, name).map_err(failed("read", &path))?;
        if !is_it(&moved) {
            self.files.rename((&folder.dir, name), (&folder.dir, &held.name)).map_err(failed("move back", &path))?;
            return Err(refused(Refusal::Changed, &path));
        }
        self.files.sync_dir(&folder.dir).map_err(failed("sync the directory of", &path))?;
        Ok(Held { name: name.to_owned(), ..held })
    }
}
