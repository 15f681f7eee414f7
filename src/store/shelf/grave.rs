//! The deletion: announced, moved aside, looked at once more, unlinked, noted.

use super::held::Held;
use super::proof::Sound;
use super::{DEN, GONE, Halt, Journal, Refusal, Shelf, failed, refused};
use crate::retain::ledger::{Deletion, Entry, Quiescence};
use crate::store::files::{Files, Lease, Look};
use std::ffi::{OsStr, OsString};

/// What is asked once more directly in front of the deletion: holds, clock, limit.
pub(in crate::store) type Gate<'a> = &'a mut dyn FnMut(&Deletion) -> bool;

impl<F: Files> Sound<F> {
    /// As the ledger will say it.
    pub(in crate::store) fn deletion(&self) -> Deletion {
        Deletion {
            class: self.class.clone(),
            form: self.form.clone(),
            path: self.held.path(),
            identity: self.held.identity(),
            digest: self.digests.bytes,
            content: Some(self.digests.content),
            deadline: self.deadline,
            quiescence: Some(self.quiescence),
            grave: Some(grave(&self.held).into()),
            reason: self.reason.clone(),
        }
    }
}

impl<F: Files> Shelf<F> {
    /// Deletes a file whose proof this takes. On a refusal the file stands where it stood.
    pub(in crate::store) fn delete(&self, sound: Sound<F>, gate: Gate<'_>, journal: &mut dyn Journal) -> Result<Deletion, Halt> {
        self.guard(&sound)?;
        let result = self.bury(&sound, gate, journal);
        let released = self.disturb(&sound.held, sound.quiescence);
        let deletion = result?;
        released?;
        journal.note(Entry::Deleted(deletion.clone()))?;
        Ok(deletion)
    }

    /// Everything that happens under the lease.
    fn bury(&self, sound: &Sound<F>, gate: Gate<'_>, journal: &mut dyn Journal) -> Result<Deletion, Halt> {
        let held = &sound.held;
        let path = held.path();
        self.unchanged(held)?;
        let deletion = sound.deletion();
        if !gate(&deletion) {
            return Err(refused(Refusal::Stopped, &path));
        }
        let den_path = held.folder.path.join(DEN);
        let den = self.files.private_dir(&held.folder.dir, OsStr::new(DEN)).map_err(failed("make", &den_path))?;
        self.undisturbed(sound)?;
        let grave = grave(held);
        journal.note(Entry::Deleting(deletion.clone()))?;
        self.files.rename((&held.folder.dir, &held.name), (&den, &grave)).map_err(failed("move", &path))?;
        let moved = self.files.look(&den, &grave).map_err(failed("read", &path))?;
        let sound = if self.is_the_one(held, &moved) { self.undisturbed(sound).and_then(|()| self.at_rest(held)) } else { Err(refused(Refusal::Changed, &path)) };
        if let Err(halt) = sound {
            // Not what was proven: back with it, unless its name was taken meanwhile; then the next start decides.
            self.files.rename((&den, &grave), (&held.folder.dir, &held.name)).map_err(failed("move back", &path))?;
            self.files.sync_dir(&held.folder.dir).map_err(failed("sync the directory of", &path))?;
            return Err(halt);
        }
        self.end_seals(held, &den, journal)?;
        self.files.unlink(&den, &grave).map_err(failed("delete", &path))?;
        self.files.sync_dir(&den).map_err(failed("sync the directory of", &path))?;
        self.files.sync_dir(&held.folder.dir).map_err(failed("sync the directory of", &path))?;
        Ok(deletion)
    }

    /// Destroys the keys of a file that lies in its grave, so that every copy of it ends with it. In front of that, it lies there for good:
    /// a crash may bring no file back whose key is gone.
    pub(in crate::store) fn end_seals(&self, held: &Held<F>, den: &F::Dir, journal: &mut dyn Journal) -> Result<(), Halt> {
        let seals = self.seals_in(held)?;
        if !seals.is_empty() {
            self.files.sync_dir(den).map_err(failed("sync the directory of", &held.path()))?;
            self.files.sync_dir(&held.folder.dir).map_err(failed("sync the directory of", &held.path()))?;
            self.seals.end(&seals, &mut |entry| journal.note(entry))?;
        }
        Ok(())
    }

    /// Takes the lease again by which the file was proven quiet.
    pub(in crate::store) fn guard(&self, sound: &Sound<F>) -> Result<(), Halt> {
        let path = sound.held.path();
        let refused = sound.quiescence == Quiescence::Lease && self.files.lease(&sound.held.file).map_err(failed("lease", &path))? != Lease::Granted;
        if refused { Err(super::refused(Refusal::InUse, &path)) } else { Ok(()) }
    }

    /// Whether that lease still holds.
    pub(in crate::store) fn undisturbed(&self, sound: &Sound<F>) -> Result<(), Halt> {
        if sound.quiescence == Quiescence::Lease && !self.files.is_leased(&sound.held.file) { Err(refused(Refusal::InUse, &sound.held.path())) } else { Ok(()) }
    }

    fn is_the_one(&self, held: &Held<F>, look: &Look) -> bool {
        look.identity() == held.identity() && look.kind == held.look.kind && look.links == 1
    }

    /// Once more through the descriptor: nothing came in between.
    fn at_rest(&self, held: &Held<F>) -> Result<(), Halt> {
        let look = self.files.stat(&held.file).map_err(failed("read", &held.path()))?;
        if self.is_the_one(held, &look) { Ok(()) } else { Err(refused(Refusal::Changed, &held.path())) }
    }
}

/// The name by which a file leaves.
pub(in crate::store) fn grave<F: Files>(held: &Held<F>) -> OsString {
    let mut grave = held.name.clone();
    grave.push(format!(".{}{GONE}", held.look.inode));
    grave
}
