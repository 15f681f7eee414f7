//! Raw into forms: surveyed, scrubbed, written, read back, looked through for leaks, and then in the ledger.

use super::draft::{Access, Draft, Expected, Published};
use super::held::{Digests, Folder, Held, Piece, lines};
use super::sieve::Sieve;
use super::{Halt, Journal, Refusal, Shelf, Stamps, refused};
use crate::retain::evidence::Evidence;
use crate::retain::ledger::{Counts, Digest, Entry, Keyed, Output, Reasons, Scrubbed};
use crate::scrub::{Clean, Quarantined, Scrubber, Selection, Settings, Tally};
use crate::store::StoreError;
use crate::store::digest::Meter;
use crate::store::files::Files;
use crate::store::seal::SealId;
use crate::store::seek::SeekTable;
use crate::store::sink::{Compress, Encoder, FRAME, Frame};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;

/// What a whole reading of a file found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// Of its bytes and of what they decode to.
    pub digests: Digests,
    /// Lines.
    pub lines: u64,
    /// Time of the oldest record; none without a line.
    pub oldest: Option<Timestamp>,
    /// Time of the newest record; none without a line.
    pub newest: Option<Timestamp>,
    /// Lines that do not parse.
    pub rejected: u64,
}

/// Counts the identifiers of a raw log that stand in a clean one: name of the form, raw file, clean file.
pub(in crate::store) type Leaks<'a> = &'a mut dyn FnMut(&str, &Path, &Path) -> Result<u64, StoreError>;

/// A form to make.
pub(in crate::store) struct Order<F: Files> {
    /// Name of the form.
    pub(in crate::store) form: String,
    /// What becomes of the lines.
    pub(in crate::store) settings: Settings,
    /// The records it takes; none takes all.
    pub(in crate::store) select: Option<Arc<Selection>>,
    /// Where it goes.
    pub(in crate::store) folder: Arc<Folder<F>>,
    /// Who may read it.
    pub(in crate::store) access: Access,
    /// Level of zstd.
    pub(in crate::store) level: i32,
    /// Of everything besides the raw bytes that decides about it.
    pub(in crate::store) policy: Digest,
    /// The class, if it is written only encrypted.
    pub(in crate::store) seal: Option<String>,
}

/// A form that is made and not in the ledger yet.
struct Made<F: Files> {
    published: Published<F>,
    output: Output,
    tally: Tally,
}

impl<F: Files> Shelf<F> {
    /// Reads a whole file: digests, lines, and the times of its oldest and newest record.
    pub(in crate::store) fn survey(&self, held: &Held<F>, settings: &Settings) -> Result<Survey, Halt> {
        let mut stamps = Stamps::new(settings, held.look.modified);
        let (mut count, mut too_long) = (0, 0);
        let mut span: Option<(Timestamp, Timestamp)> = None;
        let digests = self.visit(held, settings.max_line, &mut |piece| {
            let mut see = |at: Timestamp| span = Some(span.map_or((at, at), |(oldest, newest)| (oldest.min(at), newest.max(at))));
            match piece {
                Piece::Lines(bytes) => {
                    count += lines(bytes);
                    bytes.split_inclusive(|byte| *byte == b'\n').for_each(|line| see(stamps.of(line)));
                }
                Piece::TooLong => {
                    count += 1;
                    too_long += 1;
                    see(stamps.last());
                }
            }
            Ok(())
        })?;
        Ok(Survey { digests, lines: count, oldest: span.map(|span| span.0), newest: span.map(|span| span.1), rejected: stamps.rejected() + too_long })
    }

    /// Makes the forms of a quiescent raw file and writes what was made into the ledger; nothing stays of a failure.
    pub(in crate::store) fn scrub(
        &self,
        held: &Held<F>,
        class: &str,
        orders: &[Order<F>],
        (survey, leaks): (&Survey, Leaks<'_>),
        journal: &mut dyn Journal,
    ) -> Result<Vec<Tally>, Halt> {
        let mut made = Vec::new();
        let mut result = Ok(());
        // Without a line there is nothing to keep.
        for order in orders.iter().filter(|_| survey.lines > 0) {
            match self.make((held, survey), order, leaks, journal.known()) {
                Ok(form) => made.push(form),
                Err(halt) => {
                    result = Err(halt);
                    break;
                }
            }
        }
        let format = orders.first().and_then(|order| order.settings.formats.first()).map(|format| format.name().to_owned());
        let entry = made_entry(held, class, format, survey, &made);
        let result = result.and_then(|()| journal.note(Entry::Scrubbed(entry)).map_err(Halt::from));
        if let Err(halt) = result {
            // What cannot be withdrawn now is by the next start: its mark stands.
            for form in &made {
                drop(self.withdraw(&form.published));
            }
            return Err(halt);
        }
        let tallies = made.iter().map(|form| form.tally).collect();
        for form in made {
            self.settle(form.published)?;
        }
        Ok(tallies)
    }

    fn make(&self, (held, survey): (&Held<F>, &Survey), order: &Order<F>, leaks: Leaks<'_>, known: &Evidence) -> Result<Made<F>, Halt> {
        let draft = self.draft(&order.folder, order.seal.as_deref().map(|class| (class, order.form.as_str())))?;
        let written = match self.pour(held, order, &draft) {
            Ok(written) if written.digests == survey.digests && written.tally.read == survey.lines => written,
            other => {
                drop(self.discard(&draft));
                return Err(other.err().unwrap_or_else(|| refused(Refusal::Changed, &held.path())));
            }
        };
        let seal = self.close_seal(&draft)?;
        let digest = self.key.digest(&[survey.digests.content.0.as_slice(), order.form.as_bytes(), label(seal).as_bytes()].concat());
        let published = self.publish(draft, &name(&held.name, (survey.oldest, survey.newest), digest, seal.is_some()), order.access, known)?;
        let checked = self.read_back(&published, written.expected).and_then(|digests| {
            if leaks(&order.form, &held.path(), &published.held.path())? > 0 {
                return Err(refused(Refusal::Leak, &published.held.path()));
            }
            // The names still mean what was looked through.
            self.unchanged(held)?;
            self.unchanged(&published.held)?;
            Ok(digests)
        });
        match checked {
            Ok(digests) => {
                let held = &published.held;
                let output = Output {
                    path: held.path(),
                    form: order.form.clone(),
                    policy: order.policy,
                    digest: digests.bytes,
                    bytes: held.look.size,
                    lines: written.expected.lines,
                    excluded: written.tally.excluded,
                };
                Ok(Made { published, output, tally: written.tally })
            }
            Err(halt) => {
                drop(self.withdraw(&published));
                Err(halt)
            }
        }
    }

    /// Scrubs the whole file into the draft.
    fn pour(&self, held: &Held<F>, order: &Order<F>, draft: &Draft<F>) -> Result<Written, Halt> {
        let mut scrubber = Scrubber::new(&order.settings);
        let mut sieve = Sieve::new(order.select.as_ref(), &order.settings);
        let mut encoder = Encoder::new(Compress::Zstd(order.level))?;
        let (content, mut seek) = (Meter::new(&self.key), SeekTable::default());
        let (mut clean, mut rejected, mut tally, mut frame) = (Clean::default(), Quarantined::default(), Tally::default(), Frame::default());
        let mut flush = |clean: &mut Clean| {
            encoder.encode(clean, &mut frame)?;
            frame.note(&mut seek);
            content.take(clean.as_bytes());
            clean.clear();
            self.write(draft, frame.as_bytes())
        };
        let digests = self.visit(held, order.settings.max_line, &mut |piece| {
            match piece {
                // Whatever the blocks are, the frames are the same: their lines come one by one.
                Piece::Lines(bytes) => {
                    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                        if !sieve.admits(line) {
                            tally.read += 1;
                            tally.excluded += 1;
                            continue;
                        }
                        scrubber.block(line, &mut clean, &mut rejected, &mut tally);
                        rejected.clear();
                        if clean.as_bytes().len() >= FRAME {
                            flush(&mut clean)?;
                        }
                    }
                }
                // What cannot be read cannot be among the records that are taken.
                Piece::TooLong if order.select.is_some() => {
                    tally.read += 1;
                    tally.excluded += 1;
                }
                Piece::TooLong => scrubber.too_long(&mut clean, &mut tally),
            }
            Ok(())
        })?;
        if !clean.as_bytes().is_empty() {
            flush(&mut clean)?;
        }
        self.end(draft, seek)?;
        Ok(Written { digests, tally, expected: Expected { content: content.sum().0, lines: tally.written } })
    }
}

/// What went into a draft.
struct Written {
    digests: Digests,
    tally: Tally,
    expected: Expected,
}

fn made_entry<F: Files>(held: &Held<F>, class: &str, format: Option<String>, survey: &Survey, made: &[Made<F>]) -> Scrubbed {
    // A `where` leaves lines out of its form alone.
    let tally = made.iter().map(|form| form.tally).min_by_key(|tally| tally.excluded).unwrap_or_default();
    Scrubbed {
        class: Some(class.to_owned()),
        path: held.path(),
        identity: held.identity(),
        digest: survey.digests.bytes,
        content: Some(survey.digests.content),
        format,
        tally: Counts { read: tally.read, clean: tally.clean, rejected: tally.rejected, excluded: tally.excluded },
        reasons: Reasons::of(&tally),
        oldest: survey.oldest,
        newest: survey.newest,
        outputs: made.iter().map(|form| form.output.clone()).collect(),
    }
}

/// What makes two sealed files of the same content two names.
pub(in crate::store) fn label(seal: Option<SealId>) -> String {
    seal.map_or_else(String::new, |seal| seal.to_string())
}

/// `STEM.OLDEST--NEWEST.DIGEST8.zst`, and `.age` behind it if it is sealed.
pub(in crate::store) fn name(raw: &OsStr, (oldest, newest): (Option<Timestamp>, Option<Timestamp>), digest: Keyed, sealed: bool) -> OsString {
    let time = |at: Option<Timestamp>| at.map_or_else(|| "none".to_owned(), |at| at.strftime("%Y%m%dT%H%M%SZ").to_string());
    let digest: String = digest.to_string().chars().take(8).collect();
    let mut name = stem(raw);
    name.push(format!(".{}--{}.{digest}.zst", time(oldest), time(newest)));
    if sealed {
        name.push(".age");
    }
    name
}

/// A name without what rotation, compression and this program add to it.
pub(in crate::store) fn stem(name: &OsStr) -> OsString {
    use std::os::unix::ffi::OsStrExt;
    let mut rest = name.as_bytes();
    let is_number = |part: &[u8]| !part.is_empty() && part.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-');
    let is_span = |part: &[u8]| part.len() == 34 && part.get(16..18) == Some(b"--".as_slice());
    let is_digest = |part: &[u8]| part.len() == 8 && part.iter().all(u8::is_ascii_hexdigit);
    while let Some(dot) = memchr::memrchr(b'.', rest).filter(|dot| *dot > 0) {
        let (front, part) = (rest.get(..dot).unwrap_or_default(), rest.get(dot + 1..).unwrap_or_default());
        let added =
            matches!(part, b"gz" | b"zst" | b"bz2" | b"xz" | b"age") || is_number(part) || is_span(part) || (is_digest(part) && memchr::memmem::find(front, b"--").is_some());
        if !added {
            break;
        }
        rest = front;
    }
    // logrotate's dateext: access.log-20260101, access.log-2026-01-01, access.log-20260101-1767225600.
    if let Some(dash) = memchr::memmem::find(rest, b"-20").filter(|dash| *dash > 0)
        && rest.get(dash + 1..).is_some_and(|date| date.len() >= 8 && is_number(date))
    {
        rest = rest.get(..dash).unwrap_or(rest);
    }
    OsStr::from_bytes(rest).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems_lose_what_rotation_adds() {
        let table = [
            ("access.log", "access.log"),
            ("access.log.1", "access.log"),
            ("access.log.12.gz", "access.log"),
            ("access.log-20260101.gz", "access.log"),
            ("access.log-2026-01-01", "access.log"),
            ("access.log-20260101-1767225600.zst", "access.log"),
            ("shop-2000.example.log", "shop-2000.example.log"),
            ("access.log.20250101T000000Z--20250102T000000Z.0a1b2c3d.zst", "access.log"),
            ("access.log.20250101T000000Z--20250102T000000Z.0a1b2c3d.zst.age", "access.log"),
            ("12345678", "12345678"),
            (".1", ".1"),
            ("deadbeef.cafebabe", "deadbeef.cafebabe"),
        ];
        for (name, expected) in table {
            assert_eq!(stem(OsStr::new(name)), expected, "{name}");
        }
    }
}
