//! What the ledger says about output names and raw files, and what follows from it for a file.

use super::{Shop, lock, refused};
use crate::retain::ledger::{Entry, Identity, Scrubbed};
use crate::store::StoreError;
use crate::store::archive::{digest, look};
use crate::store::draft::{Ground, digest_at};
use crate::store::ledger::Entries;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Done work, by where it went and by what it was made of.
#[derive(Default)]
pub(super) struct Catalog {
    by_output: HashMap<PathBuf, Arc<Scrubbed>>,
    by_file: HashMap<(u64, u64), Vec<Arc<Scrubbed>>>,
}

/// What is to be done with a file.
pub(super) enum Fate {
    /// It is done: there.
    Skip(PathBuf),
    /// It is written.
    Write(Ground),
}

impl Catalog {
    /// Folds a ledger.
    pub(super) fn read(entries: Entries) -> Result<Self, StoreError> {
        let mut catalog = Self::default();
        for line in entries {
            match line?.entry {
                Entry::Scrubbed(entry) => catalog.add(entry),
                Entry::Deleted(gone) => {
                    catalog.by_output.remove(&gone.path);
                }
                Entry::Plan(_) | Entry::Deleting(_) | Entry::Split(_) | Entry::Hold(_) | Entry::Release(_) | Entry::Key(_) | Entry::Subject(_) | Entry::Incident(_) => {}
            }
        }
        Ok(catalog)
    }

    pub(super) fn add(&mut self, entry: Scrubbed) {
        let entry = Arc::new(entry);
        for output in &entry.outputs {
            self.by_output.insert(output.path.clone(), Arc::clone(&entry));
        }
        self.by_file.entry((entry.identity.device, entry.identity.inode)).or_default().push(entry);
    }

    /// What was made of this very file, under whatever name it had.
    fn made_of(&self, identity: &Identity) -> Vec<Arc<Scrubbed>> {
        let same = |entry: &&Arc<Scrubbed>| (entry.identity.size, entry.identity.mtime) == (identity.size, identity.mtime);
        self.by_file.get(&(identity.device, identity.inode)).into_iter().flatten().filter(same).cloned().collect()
    }
}

impl Shop {
    /// Whether a file is done, may be written, or has to be refused.
    pub(super) fn decide(&self, source: &Path, target: &Path) -> Result<Fate, StoreError> {
        let identity = look(source)?;
        let (owner, made) = {
            let catalog = lock(&self.catalog);
            (catalog.by_output.get(target).cloned(), catalog.made_of(&identity))
        };
        if owner.is_none() && made.is_empty() {
            return Ok(Fate::Write(Ground::Free));
        }
        let front = owner.as_ref().map_or(0, |owner| owner.identity.size);
        let (identity, now, front) = digest(source, &self.reading, front)?;
        for entry in made.iter().chain(&owner).filter(|entry| entry.digest == now) {
            for output in entry.outputs.iter().filter(|output| output.policy == self.rules && output.path.starts_with(&self.out)) {
                if digest_at(&output.path, &self.key)? == Some(output.digest) {
                    self.recognise(entry, source, identity)?;
                    return Ok(Fate::Skip(output.path.clone()));
                }
            }
        }
        let Some(owner) = owner else { return Ok(Fate::Write(Ground::Free)) };
        // The same content, or the same file with something appended.
        if owner.digest != now && (owner.path != source || front != Some(owner.digest)) {
            return Err(refused(
                target.to_owned(),
                "the ledger gives this name to another source",
                "let logrotate put dates into names (dateext), or choose another --out; `logfade ledger show --path` says which source it was",
            ));
        }
        let ours = owner.outputs.iter().find(|output| output.path == *target).map(|output| output.digest);
        Ok(Fate::Write(ours.map_or(Ground::Free, Ground::Ours)))
    }

    /// A file that was only touched, copied or moved is noted under its new identity, so that others recognise it.
    fn recognise(&self, entry: &Scrubbed, source: &Path, identity: Identity) -> Result<(), StoreError> {
        if entry.identity == identity || self.dry_run {
            return Ok(());
        }
        self.record(Scrubbed { path: source.to_owned(), identity, ..entry.clone() })
    }

    /// Writes an entry and remembers it.
    pub(super) fn record(&self, entry: Scrubbed) -> Result<(), StoreError> {
        if let Some(ledger) = &self.ledger {
            lock(ledger).append((self.clock)(), &Entry::Scrubbed(entry.clone()))?;
        }
        lock(&self.catalog).add(entry);
        Ok(())
    }
}
