//! Counts of a day: records read for them, the table written, read back, and in the ledger of every file that went into it.

use super::draft::{Access, Expected};
use super::held::{Folder, Held, Piece};
use super::sieve::Sieve;
use super::{Halt, Journal, Shelf, Stamps, Survey};
use crate::retain::aggregate::Table;
use crate::retain::ledger::{Counts, Digest, Entry, Output, Reasons, Scrubbed};
use crate::scrub::{Clean, OnReject, Output as Layout, Quarantined, Scrubber, Selection, Settings, Tally};
use crate::store::files::Files;
use jiff::Timestamp;
use std::ffi::OsStr;
use std::sync::Arc;

/// A table to write.
pub(in crate::store) struct Tabling<'a, F: Files> {
    /// The class.
    pub(in crate::store) class: &'a str,
    /// Name of the form.
    pub(in crate::store) form: &'a str,
    /// Where it goes.
    pub(in crate::store) folder: &'a Arc<Folder<F>>,
    /// Who may read it.
    pub(in crate::store) access: Access,
    /// Of everything besides the raw bytes that decides about it.
    pub(in crate::store) policy: Digest,
    /// Whether it is written only encrypted.
    pub(in crate::store) seal: bool,
}

impl<F: Files> Shelf<F> {
    /// Gives every record of a file with its time, clean, in the layout of the Elastic Common Schema.
    pub(in crate::store) fn records(
        &self,
        held: &Held<F>,
        (settings, select): (&Settings, Option<&Arc<Selection>>),
        each: &mut dyn FnMut(Timestamp, &Clean),
    ) -> Result<super::Digests, Halt> {
        let settings = Settings { on_reject: OnReject::Drop, output: Layout::Json, ..settings.clone() };
        let mut stamps = Stamps::new(&settings, held.look.modified);
        let mut scrubber = Scrubber::new(&settings);
        let mut sieve = Sieve::new(select, &settings);
        let (mut clean, mut rejected, mut tally) = (Clean::default(), Quarantined::default(), Tally::default());
        self.visit(held, settings.max_line, &mut |piece| {
            if let Piece::Lines(bytes) = piece {
                scrubber.refresh();
                for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                    let at = stamps.of(line);
                    if sieve.admits(line) {
                        scrubber.block(line, &mut clean, &mut rejected, &mut tally);
                        each(at, &clean);
                        clean.clear();
                    }
                }
            }
            Ok(())
        })
    }

    /// Writes a table that went through [`Table`]'s counting, and an entry for each of the files that it counts; nothing stays of a failure.
    pub(in crate::store) fn table(&self, tabling: &Tabling<'_, F>, table: &Table, sources: &[(&Held<F>, &Survey)], journal: &mut dyn Journal) -> Result<Output, Halt> {
        let content = self.key.digest(table.as_bytes());
        let digest: String = content.to_string().chars().take(8).collect();
        let name = format!("{}{}", table.name(tabling.class, &digest), if tabling.seal { ".age" } else { "" });
        let path = tabling.folder.path.join(&name);
        // Made before, and stopped before all of its files had their entry.
        let is_whole = |output: &Output| (tabling.seal || output.digest == content) && self.is_there(&path, output.bytes, output.digest);
        let before = journal.known().output(&path).map(|(_, output)| output.clone()).filter(is_whole);
        if let Some(output) = before {
            self.enter(tabling, &output, sources, journal)?;
            return Ok(output);
        }
        let draft = self.draft(tabling.folder, tabling.seal.then_some((tabling.class, tabling.form)))?;
        if let Err(halt) = self.write(&draft, table.as_bytes()).and_then(|()| self.close_seal(&draft).map(drop)) {
            drop(self.discard(&draft));
            return Err(halt);
        }
        let published = self.publish(draft, OsStr::new(&name), tabling.access, journal.known())?;
        let output = self.read_back(&published, Expected { content, lines: table.lines() }).map(|digests| Output {
            path: published.held.path(),
            form: tabling.form.to_owned(),
            policy: tabling.policy,
            digest: digests.bytes,
            bytes: published.held.look.size,
            lines: table.lines(),
            excluded: 0,
        });
        let noted = output.and_then(|output| {
            sources.iter().try_for_each(|(held, _)| self.unchanged(held))?;
            self.enter(tabling, &output, sources, journal)?;
            Ok(output)
        });
        match noted {
            Ok(output) => {
                self.settle(published)?;
                Ok(output)
            }
            Err(halt) => {
                // One entry that speaks of it is enough for it to stay: the next run writes the others.
                if !journal.known().is_known(&published.held.path()) {
                    drop(self.withdraw(&published));
                }
                Err(halt)
            }
        }
    }

    fn enter(&self, tabling: &Tabling<'_, F>, output: &Output, sources: &[(&Held<F>, &Survey)], journal: &mut dyn Journal) -> Result<(), Halt> {
        for (held, survey) in sources {
            let known = journal.known().forms(survey.digests.bytes, survey.digests.content).iter().any(|known| known.path == output.path);
            if known {
                continue;
            }
            let entry = Scrubbed {
                class: Some(tabling.class.to_owned()),
                path: held.path(),
                identity: held.identity(),
                digest: survey.digests.bytes,
                content: Some(survey.digests.content),
                format: None,
                tally: Counts { read: survey.lines, clean: survey.lines - survey.rejected.min(survey.lines), rejected: survey.rejected, excluded: 0 },
                reasons: Reasons::default(),
                oldest: survey.oldest,
                newest: survey.newest,
                outputs: vec![output.clone()],
            };
            journal.note(Entry::Scrubbed(entry))?;
        }
        Ok(())
    }
}
