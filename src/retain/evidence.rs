//! What the ledger proves about files: folded from its entries, by digest, so that a name or a compression changes nothing.

use super::ledger::incidents::Incidents;
use super::ledger::{Deletion, Entry, Hold, Identity, Keyed, Output, Scrubbed, Split};
use super::ledger::{Planned, chain::Line};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why an output goes when its raw file grew: one of all lines, old and new, is proven.
pub const OUTGROWN: &str = "its raw file grew, and another output has all of its lines";

/// The ledger, folded.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    scrubbed: Vec<Scrubbed>,
    splits: Vec<Split>,
    /// From digests, of the bytes and of what they decode to, into `scrubbed`.
    by_digest: HashMap<Keyed, Vec<usize>>,
    by_identity: HashMap<Identity, usize>,
    /// From digests of what a split left, into `splits`.
    left: HashMap<Keyed, usize>,
    /// From digests of what was split, into `splits`.
    split: HashMap<Keyed, Vec<usize>>,
    /// Where outputs stand, into `scrubbed` and its outputs.
    outputs: BTreeMap<PathBuf, (usize, usize)>,
    /// Digests of outputs that went because their raw file grew.
    outgrown: HashSet<Keyed>,
    /// Digests of what was deleted, with the deletion.
    deleted: HashMap<Keyed, Arc<Deletion>>,
    /// Deletions that were begun and not ended.
    open: Vec<Deletion>,
    holds: BTreeMap<String, Hold>,
    incidents: Incidents,
    planned: Option<Planned>,
    latest: Option<Timestamp>,
}

impl Evidence {
    /// Takes the next line.
    pub fn take(&mut self, line: &Line) {
        // An entry whose clock ran ahead counts as well: the clock gate needs the highest.
        self.latest = self.latest.max(Some(line.at));
        self.incidents.take(line);
        self.note(&line.entry);
    }

    /// Takes an entry whose number and time do not matter.
    pub fn note(&mut self, entry: &Entry) {
        match entry {
            Entry::Scrubbed(scrubbed) => {
                let at = self.scrubbed.len();
                for digest in [Some(scrubbed.digest), scrubbed.content].into_iter().flatten() {
                    let found = self.by_digest.entry(digest).or_default();
                    if found.last() != Some(&at) {
                        found.push(at);
                    }
                }
                self.by_identity.insert(scrubbed.identity, at);
                self.outputs.extend(scrubbed.outputs.iter().enumerate().map(|(form, output)| (output.path.clone(), (at, form))));
                self.scrubbed.push(scrubbed.clone());
            }
            Entry::Split(split) => {
                let at = self.splits.len();
                self.left.extend([Some(split.into_digest), split.into_content].into_iter().flatten().map(|digest| (digest, at)));
                for digest in [Some(split.digest), split.content].into_iter().flatten() {
                    self.split.entry(digest).or_default().push(at);
                }
                self.splits.push(split.clone());
            }
            Entry::Deleting(deletion) => {
                self.open.retain(|open| !is_same(open, deletion));
                self.open.push(deletion.clone());
            }
            Entry::Deleted(deletion) => {
                self.open.retain(|open| !is_same(open, deletion));
                if deletion.reason.as_deref() == Some(OUTGROWN) {
                    self.outgrown.insert(deletion.digest);
                }
                let known = Arc::new(deletion.clone());
                self.deleted.extend([Some(deletion.digest), deletion.content].into_iter().flatten().map(|digest| (digest, Arc::clone(&known))));
            }
            Entry::Hold(hold) => drop(self.holds.insert(hold.name.clone(), hold.clone())),
            Entry::Release(release) => drop(self.holds.remove(&release.name)),
            Entry::Plan(planned) => self.planned = Some(*planned),
            Entry::Key(_) | Entry::Subject(_) | Entry::Incident(_) => {}
        }
    }

    /// What was made of a file with these bytes, or of the file that it was cut from: the forms of all its records.
    pub fn forms(&self, digest: Keyed, content: Keyed) -> Vec<&Output> {
        self.makings(digest, content).into_iter().flat_map(|scrubbed| &scrubbed.outputs).collect()
    }

    /// Each time that forms were made of it: a form is there if all of its outputs of one time are.
    pub fn makings(&self, digest: Keyed, content: Keyed) -> Vec<&Scrubbed> {
        let mut seek = vec![digest, content];
        let mut seen = Vec::new();
        let mut forms = Vec::new();
        while let Some(digest) = seek.pop() {
            if seen.contains(&digest) {
                continue;
            }
            seen.push(digest);
            forms.extend(self.by_digest.get(&digest).into_iter().flatten().filter_map(|at| self.scrubbed.get(*at)));
            if let Some(split) = self.left.get(&digest).and_then(|at| self.splits.get(*at)) {
                seek.push(split.digest);
                seek.extend(split.content);
            }
        }
        forms
    }

    /// What the ledger says about a file of this identity, without reading it.
    pub fn seen(&self, identity: &Identity) -> Option<&Scrubbed> {
        self.by_identity.get(identity).and_then(|at| self.scrubbed.get(*at))
    }

    /// Whether forms were made of a file with these bytes.
    pub fn is_scrubbed(&self, digest: Keyed, content: Keyed) -> bool {
        [digest, content].iter().any(|digest| self.by_digest.contains_key(digest) || self.left.contains_key(digest))
    }

    /// Cuts of a file with these bytes, the latest last.
    pub fn splits_of(&self, digest: Keyed, content: Keyed) -> impl Iterator<Item = &Split> {
        let found = [digest, content].into_iter().filter_map(|digest| self.split.get(&digest)).flatten();
        let mut found: Vec<usize> = found.copied().collect();
        found.sort_unstable();
        found.dedup();
        found.into_iter().filter_map(|at| self.splits.get(at))
    }

    /// What was left by a cut and may still stand, by path.
    pub fn remains(&self) -> impl Iterator<Item = &Split> {
        self.splits.iter().filter(|split| !self.deleted.contains_key(&split.into_digest))
    }

    /// The output at a path, and the raw file that it was made of.
    pub fn output(&self, path: &Path) -> Option<(&Scrubbed, &Output)> {
        let (at, form) = self.outputs.get(path)?;
        let scrubbed = self.scrubbed.get(*at)?;
        Some((scrubbed, scrubbed.outputs.get(*form)?))
    }

    /// Every output, by path.
    pub fn outputs(&self) -> impl Iterator<Item = (&Path, &Scrubbed, &Output)> {
        self.outputs.iter().filter_map(|(path, (at, form))| {
            let scrubbed = self.scrubbed.get(*at)?;
            Some((path.as_path(), scrubbed, scrubbed.outputs.get(*form)?))
        })
    }

    /// The raw files that went into the output at a path.
    pub fn sources<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = &'a Scrubbed> {
        self.scrubbed.iter().filter(move |scrubbed| scrubbed.outputs.iter().any(|output| output.path == path))
    }

    /// What is known of the file that a cut left at a path.
    pub fn cut_into(&self, path: &Path) -> Option<&Split> {
        self.splits.iter().rev().find(|split| split.into == path)
    }

    /// Raw files of classes whose forms were made, without those that went.
    pub fn standing(&self) -> impl Iterator<Item = &Scrubbed> {
        let gone = |digest: &Keyed| self.deleted.contains_key(digest);
        self.scrubbed
            .iter()
            .filter(move |scrubbed| scrubbed.class.is_some() && !gone(&scrubbed.digest) && !scrubbed.content.as_ref().is_some_and(gone) && !self.is_outgrown(scrubbed))
    }

    /// Whether a raw file grew, and everything that was made of its front went for what was made of the whole.
    fn is_outgrown(&self, scrubbed: &Scrubbed) -> bool {
        let made = || self.by_digest.get(&scrubbed.digest).into_iter().flatten().filter_map(|at| self.scrubbed.get(*at)).flat_map(|scrubbed| &scrubbed.outputs);
        !self.outgrown.is_empty() && made().any(|output| self.outgrown.contains(&output.digest)) && made().all(|output| self.deleted.contains_key(&output.digest))
    }

    /// Plain raw files of a class that stand nowhere else than in the front of a file with so many lines, if at all.
    pub fn shorter(&self, class: &str, content: Keyed, lines: u64) -> impl Iterator<Item = &Scrubbed> {
        let is_plain = move |scrubbed: &Scrubbed| scrubbed.content == Some(scrubbed.digest) && scrubbed.digest != content && !self.split.contains_key(&scrubbed.digest);
        self.standing().filter(move |scrubbed| scrubbed.class.as_deref() == Some(class) && is_plain(scrubbed) && (1..=lines).contains(&scrubbed.tally.read))
    }

    /// Whether the ledger knows a file that this program published at a path.
    pub fn is_known(&self, path: &Path) -> bool {
        self.outputs.contains_key(path) || self.splits.iter().any(|split| split.into == path)
    }

    /// The deletion of a file with these bytes.
    pub fn deletion(&self, digest: Keyed) -> Option<&Deletion> {
        self.deleted.get(&digest).map(Arc::as_ref)
    }

    /// Deletions that were begun and not ended.
    pub fn open(&self) -> &[Deletion] {
        &self.open
    }

    /// The holds that were not released, by name.
    pub const fn holds(&self) -> &BTreeMap<String, Hold> {
        &self.holds
    }

    /// The incidents.
    pub const fn incidents(&self) -> &Incidents {
        &self.incidents
    }

    /// The last plan under a new configuration.
    pub const fn planned(&self) -> Option<Planned> {
        self.planned
    }

    /// The latest time in the ledger.
    pub const fn latest(&self) -> Option<Timestamp> {
        self.latest
    }
}

/// Whether both speak of one file.
fn is_same(one: &Deletion, other: &Deletion) -> bool {
    one.path == other.path && one.digest == other.digest
}
