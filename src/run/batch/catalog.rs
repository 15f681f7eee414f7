//! What the ledger says about output names and raw files, and what follows from it for a file.

use super::{Shop, lock, refused};
use crate::retain::evidence::OUTGROWN;
use crate::retain::ledger::{Deletion, Digest, Entry, Identity, Keyed, Output, Scrubbed, Split};
use crate::store::StoreError;
use crate::store::archive::{decoded_front, digest, look};
use crate::store::draft::{Ground, digest_at, retire};
use crate::store::ledger::Entries;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// In the deletion of an output of `batch`, which has none.
const NO_CLASS: &str = "-";

/// Done work, by where it went and by what it was made of.
#[derive(Default)]
pub(super) struct Catalog {
    by_output: HashMap<PathBuf, Arc<Scrubbed>>,
    by_file: HashMap<(u64, u64), Vec<Arc<Scrubbed>>>,
    by_digest: HashMap<Keyed, Vec<Arc<Scrubbed>>>,
    /// What cuts left, by which file it is.
    left: HashMap<Identity, Split>,
    /// The same, by what was cut.
    cut: HashMap<Keyed, Split>,
}

/// What is to be done with a file.
pub(super) enum Fate {
    /// It is done: there. What was made of its front has to go, if there is any.
    Skip(PathBuf, Option<Outgrown>),
    /// It is written.
    Write(Ground, Option<Outgrown>),
}

/// What was made of a raw file before it grew.
pub(super) struct Outgrown {
    identity: Identity,
    output: Output,
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
                Entry::Split(split) => {
                    catalog.cut.insert(split.digest, split.clone());
                    catalog.left.insert(split.into_identity, split);
                }
                Entry::Plan(_) | Entry::Deleting(_) | Entry::Hold(_) | Entry::Release(_) | Entry::Key(_) | Entry::Subject(_) | Entry::Incident(_) => {}
            }
        }
        Ok(catalog)
    }

    pub(super) fn add(&mut self, entry: Scrubbed) {
        let entry = Arc::new(entry);
        for output in &entry.outputs {
            self.by_output.insert(output.path.clone(), Arc::clone(&entry));
        }
        self.by_digest.entry(entry.digest).or_default().push(Arc::clone(&entry));
        self.by_file.entry((entry.identity.device, entry.identity.inode)).or_default().push(entry);
    }

    /// What was made of this very file, under whatever name it had.
    fn made_of(&self, identity: &Identity) -> Vec<Arc<Scrubbed>> {
        let same = |entry: &&Arc<Scrubbed>| (entry.identity.size, entry.identity.mtime) == (identity.size, identity.mtime);
        self.by_file.get(&(identity.device, identity.inode)).into_iter().flatten().filter(same).cloned().collect()
    }

    /// What was made of this file when it was shorter, and stands under a name of its own; the digest is what its front has to have.
    fn made_of_front(&self, identity: &Identity, (rules, target): (Digest, &Path)) -> Option<(Keyed, Outgrown)> {
        let earlier = self.by_file.get(&(identity.device, identity.inode)).into_iter().flatten().filter(|entry| entry.class.is_none() && entry.identity.size < identity.size);
        let outputs = earlier.flat_map(|entry| entry.outputs.iter().map(move |output| (entry, output)));
        let stands = |(entry, output): &(&Arc<Scrubbed>, &Output)| {
            output.policy == rules && output.path != target && entry.identity.size > 0 && self.by_output.get(&output.path).is_some_and(|owner| Arc::ptr_eq(owner, entry))
        };
        let (entry, output) = outputs.filter(stands).max_by_key(|(entry, _)| entry.identity.size)?;
        Some((entry.digest, Outgrown { identity: entry.identity, output: output.clone() }))
    }

    /// What was made of the file that this one is left of: all of its records stand there. The digest is what this one has to have.
    fn made_of_whole(&self, identity: &Identity) -> Option<(Keyed, Vec<Arc<Scrubbed>>)> {
        let left = self.left.get(identity)?;
        let mut whole = left.digest;
        // A cut file may be cut again; the ledger is finite, and so is this.
        for _ in 0..self.left.len() {
            let Some(before) = self.left.values().find(|split| split.into_digest == whole) else { break };
            whole = before.digest;
        }
        Some((left.into_digest, self.by_digest.get(&whole)?.clone()))
    }

    /// Where an output's records stand now, if it was cut: the last of its remains.
    fn remains(&self, output: Keyed) -> Option<(PathBuf, Keyed)> {
        let mut last = self.cut.get(&output)?;
        for _ in 0..self.cut.len() {
            let Some(next) = self.cut.get(&last.into_digest) else { break };
            last = next;
        }
        Some((last.into.clone(), last.into_digest))
    }
}

impl Shop {
    /// Whether a file is done, may be written, or has to be refused.
    pub(super) fn decide(&self, source: &Path, target: &Path) -> Result<Fate, StoreError> {
        let identity = look(source)?;
        let (owner, made, whole, front) = {
            let catalog = lock(&self.catalog);
            let front = catalog.made_of_front(&identity, (self.rules, target));
            (catalog.by_output.get(target).cloned(), catalog.made_of(&identity), catalog.made_of_whole(&identity), front)
        };
        let outgrown = match front {
            Some((wanted, outgrown)) => {
                let (.., found) = digest(source, &self.reading, outgrown.identity.size)?;
                Some(outgrown).filter(|_| found == Some(wanted))
            }
            None => None,
        };
        if owner.is_none() && made.is_empty() && whole.is_none() {
            return Ok(Fate::Write(Ground::Free, outgrown));
        }
        let front = owner.as_ref().map_or(0, |owner| owner.identity.size);
        let (identity, now, front) = digest(source, &self.reading, front)?;
        // What stays of a raw file that was cut stands in what was made of the whole of it.
        let whole = whole.into_iter().filter(|(left, _)| *left == now).flat_map(|(_, entries)| entries).map(|entry| (entry, false));
        for (entry, own) in made.into_iter().chain(owner.clone()).filter(|entry| entry.digest == now).map(|entry| (entry, true)).chain(whole) {
            for output in entry.outputs.iter().filter(|output| output.policy == self.rules && output.path.starts_with(&self.out)) {
                if let Some(stands) = self.standing(output)? {
                    if own {
                        self.recognise(&entry, source, identity)?;
                    }
                    return Ok(Fate::Skip(stands, outgrown));
                }
            }
        }
        let Some(owner) = owner else { return Ok(Fate::Write(Ground::Free, outgrown)) };
        let ours = owner.outputs.iter().find(|output| output.path == *target).map(|output| output.digest);
        // The same log, which rotation has packed since, perhaps with something appended before.
        if owner.digest != now
            && let Some((_, is_whole)) = decoded_front(source, &self.reading, owner.identity.size)?.filter(|(front, _)| *front == owner.digest)
        {
            if is_whole && owner.outputs.iter().any(|output| output.path == *target && output.policy == self.rules) && ours.is_some() && digest_at(target, &self.key)? == ours {
                self.record(Scrubbed { path: source.to_owned(), identity, digest: now, content: Some(owner.digest), ..(*owner).clone() })?;
                return Ok(Fate::Skip(target.to_owned(), outgrown));
            }
            return Ok(Fate::Write(ours.map_or(Ground::Free, Ground::Ours), outgrown));
        }
        // The same content, or the same file with something appended.
        if owner.digest != now && (owner.path != source || front != Some(owner.digest)) {
            return Err(refused(
                target.to_owned(),
                "the ledger gives this name to another source",
                "let logrotate put dates into names (dateext), or choose another --out; `logfade ledger show --path` says which source it was",
            ));
        }
        Ok(Fate::Write(ours.map_or(Ground::Free, Ground::Ours), outgrown))
    }

    /// Takes away what was made of the front of a file of which the whole is proven.
    pub(super) fn outgrow(&self, outgrown: Outgrown) -> Result<(), StoreError> {
        let Outgrown { identity, output } = outgrown;
        let Some(ledger) = self.ledger.as_ref().filter(|_| !self.dry_run) else { return Ok(()) };
        let there = digest_at(&output.path, &self.key)?;
        if there.is_some_and(|there| there != output.digest) {
            // Somebody changed it: it is not ours to take away.
            return Ok(());
        }
        let deletion = Deletion {
            class: NO_CLASS.to_owned(),
            form: output.form,
            identity: look(&output.path).unwrap_or(identity),
            path: output.path,
            digest: output.digest,
            content: None,
            deadline: None,
            quiescence: None,
            grave: None,
            reason: Some(OUTGROWN.to_owned()),
        };
        if there.is_some() {
            lock(ledger).append((self.clock)(), &Entry::Deleting(deletion.clone()))?;
            retire(&deletion.path)?;
        }
        lock(ledger).append((self.clock)(), &Entry::Deleted(deletion.clone()))?;
        lock(&self.catalog).by_output.remove(&deletion.path);
        Ok(())
    }

    /// Where the records of an output stand: in it, or in what a cut left of it.
    fn standing(&self, output: &Output) -> Result<Option<PathBuf>, StoreError> {
        if digest_at(&output.path, &self.key)? == Some(output.digest) {
            return Ok(Some(output.path.clone()));
        }
        let remains = lock(&self.catalog).remains(output.digest);
        Ok(match remains {
            Some((path, digest)) if digest_at(&path, &self.key)? == Some(digest) => Some(path),
            Some(_) | None => None,
        })
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
