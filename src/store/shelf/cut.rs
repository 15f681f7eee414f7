//! A straddling file in two: what stays is written, proven and in the ledger before the file that held it goes.

use super::draft::{Access, Expected};
use super::form::{label, name};
use super::grave::Gate;
use super::held::{Held, Piece, lines};
use super::proof::{Claim, Sound};
use super::{Halt, Journal, Refusal, Shelf, Stamps, refused};
use crate::retain::ledger::{Deletion, Entry, Keyed, Split};
use crate::scrub::Settings;
use crate::store::digest::Meter;
use crate::store::files::Files;
use crate::store::seek::SeekTable;
use crate::store::source::{BLOCK, Block, Filled};
use jiff::Timestamp;
use std::io::Write;
use std::path::PathBuf;

/// The longest line that a cut carries over, in bytes.
pub(super) const LONGEST: usize = 64 * 1024 * 1024;

/// Level of zstd for what stays: it is raw, and will go.
const LEVEL: i32 = 3;

/// How a file is cut.
pub(in crate::store) struct Cut<'a> {
    /// Names the formats, so that records have times.
    pub(in crate::store) settings: &'a Settings,
    /// Records older than this are due; for the ledger.
    pub(in crate::store) at: Timestamp,
    /// A person asked for it; for the ledger.
    pub(in crate::store) erased: bool,
    /// Whether a record stays.
    pub(in crate::store) stays: &'a mut dyn FnMut(&[u8], Timestamp) -> bool,
    /// Who may read what stays; the raw file's own owner and mode if there is none.
    pub(in crate::store) access: Option<Access>,
    /// Whether what stays is written only encrypted, under a key of its own.
    pub(in crate::store) seal: bool,
}

/// What became of a cut.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Where the records stay; none if none does.
    pub into: Option<PathBuf>,
    /// Lines that went.
    pub expired: u64,
    /// Lines that stay.
    pub kept: u64,
    /// What went.
    pub deletion: Deletion,
}

impl<F: Files> Shelf<F> {
    /// Looks at every line of a file and the time of its record, as a cut would. False: a line was too long to be looked at.
    pub(in crate::store) fn each_line(&self, held: &Held<F>, settings: &Settings, each: &mut dyn FnMut(&[u8], Timestamp)) -> Result<bool, Halt> {
        let (mut source, ..) = self.source(held, LONGEST)?;
        let mut stamps = Stamps::new(settings, held.look.modified);
        let (mut block, mut whole) = (Block::default(), true);
        loop {
            let filled = source.fill(&mut block, BLOCK);
            block.as_bytes().split_inclusive(|byte| *byte == b'\n').for_each(|line| each(line, stamps.of(line)));
            match filled? {
                Filled::Block | Filled::Pause => {}
                Filled::TooLong => whole = false,
                Filled::End => return Ok(whole),
            }
        }
    }

    /// Cuts a file whose proof this takes. At no moment are the records that stay in no file.
    pub(in crate::store) fn split(&self, sound: Sound<F>, cut: Cut<'_>, gate: Gate<'_>, journal: &mut dyn Journal) -> Result<Parts, Halt> {
        // Whoever wants to write meanwhile waits, so that nothing is added to the one file that is missing in the other.
        self.guard(&sound)?;
        let (into, expired, kept) = match self.carry(&sound, cut, gate, journal) {
            Ok(carried) => carried,
            Err(halt) => {
                drop(self.disturb(&sound.held, sound.quiescence));
                return Err(halt);
            }
        };
        let deletion = self.delete(sound, gate, journal)?;
        Ok(Parts { into, expired, kept, deletion })
    }

    /// Digest of what would stay.
    fn left(&self, sound: &Sound<F>, cut: &mut Cut<'_>) -> Result<Keyed, Halt> {
        let content = Meter::new(&self.key);
        let mut stamps = Stamps::new(cut.settings, sound.held.look.modified);
        self.visit(&sound.held, LONGEST, &mut |piece| {
            let Piece::Lines(bytes) = piece else { return Err(refused(Refusal::Damaged, &sound.held.path())) };
            bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| (cut.stays)(line, stamps.of(line))).for_each(|line| content.take(line));
            Ok(())
        })?;
        Ok(content.sum().0)
    }

    /// Writes what stays and the entry about it.
    fn carry(&self, sound: &Sound<F>, mut cut: Cut<'_>, gate: Gate<'_>, journal: &mut dyn Journal) -> Result<(Option<PathBuf>, u64, u64), Halt> {
        let held = &sound.held;
        let path = held.path();
        if !gate(&sound.deletion()) {
            return Err(refused(Refusal::Stopped, &path));
        }
        // Cut before, and stopped before the file went.
        let done =
            journal.known().splits_of(sound.digests.bytes, sound.digests.content).find(|split| self.is_there(&split.into, split.into_identity.size, split.into_digest)).cloned();
        if let Some(split) = done {
            if split.into_content == Some(self.left(sound, &mut cut)?) {
                return Ok((Some(split.into), split.expired, split.kept));
            }
            // Since then other records are to stay. All of that copy stand in this file, so that it can go.
            let claim = Claim { class: &sound.class, form: &sound.form, required: &[], deadline: None, reason: None };
            let copy = self.prove(self.hold_path(&split.into)?, &claim, journal.known(), sound.wall)?;
            self.delete(copy, gate, journal)?;
        }
        let draft = self.draft(&held.folder, cut.seal.then_some((sound.class.as_str(), sound.form.as_str())))?;
        let content = Meter::new(&self.key);
        let mut stamps = Stamps::new(cut.settings, held.look.modified);
        let (mut expired, mut kept, mut span) = (0, 0, None);
        let (mut block, mut seek) = (Vec::new(), SeekTable::default());
        let mut flush = |block: &mut Vec<u8>| {
            let failed = crate::store::StoreError::io("compress", &path);
            let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL).map_err(crate::store::StoreError::io("compress", &path))?;
            let encoded = encoder.include_checksum(true).and_then(|()| encoder.write_all(block)).and_then(|()| encoder.finish()).map_err(failed)?;
            seek.note(encoded.len(), block.len());
            content.take(block);
            block.clear();
            self.write(&draft, &encoded)
        };
        let read = self.visit(held, LONGEST, &mut |piece| {
            let Piece::Lines(bytes) = piece else { return Err(refused(Refusal::Damaged, &path)) };
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                let at = stamps.of(line);
                if (cut.stays)(line, at) {
                    kept += 1;
                    span = Some(span.map_or((at, at), |(oldest, newest): (Timestamp, Timestamp)| (oldest.min(at), newest.max(at))));
                    block.extend_from_slice(line);
                } else {
                    expired += 1;
                }
            }
            debug_assert!(lines(bytes) > 0, "a block of lines has one");
            if block.is_empty() { Ok(()) } else { flush(&mut block) }
        });
        let failure = match read {
            Ok(digests) if digests == sound.digests => None,
            Ok(_) => Some(refused(Refusal::Changed, &path)),
            Err(halt) => Some(halt),
        };
        if failure.is_some() || kept == 0 {
            self.discard(&draft)?;
            return failure.map_or(Ok((None, expired, kept)), Err);
        }
        let access = cut.access.unwrap_or(Access { mode: held.look.owner.mode, user: Some(held.look.owner.user), group: Some(held.look.owner.group) });
        let content = content.sum().0;
        self.end(&draft, seek)?;
        let seal = self.close_seal(&draft)?;
        let digest = if seal.is_some() { self.key.digest(&[content.0.as_slice(), label(seal).as_bytes()].concat()) } else { content };
        let published = self.publish(draft, &name(&held.name, (span.map(|span| span.0), span.map(|span| span.1)), digest, seal.is_some()), access, journal.known())?;
        let noted = self.read_back(&published, Expected { content, lines: kept }).and_then(|digests| {
            let split = Split {
                class: sound.class.clone(),
                form: sound.form.clone(),
                path: path.clone(),
                identity: held.identity(),
                digest: sound.digests.bytes,
                content: Some(sound.digests.content),
                cut: cut.at,
                erased: cut.erased,
                expired,
                kept,
                into: published.held.path(),
                into_identity: published.held.identity(),
                into_digest: digests.bytes,
                into_content: Some(digests.content),
                oldest: span.map(|span| span.0),
                newest: span.map(|span| span.1),
            };
            self.undisturbed(sound)?;
            journal.note(Entry::Split(split)).map_err(Halt::from)
        });
        if let Err(halt) = noted {
            drop(self.withdraw(&published));
            return Err(halt);
        }
        Ok((Some(self.settle(published)?.path()), expired, kept))
    }
}
