//! A file before it has its name: written beside its place, synced, renamed without replacing, read back.

use super::held::{Digests, Folder, Held, Piece, lines};
use super::{DEN, Halt, OPEN, PART, Refusal, Shelf, failed, refused};
use crate::retain::evidence::Evidence;
use crate::retain::ledger::Keyed;
use crate::store::StoreError;
use crate::store::digest::Meter;
use crate::store::files::{Files, Owner, Reader};
use crate::store::seal::{Envelope, Keychain, Seal, SealId, Unsealed, seals_of};
use crate::store::seek::SeekTable;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::sync::{Arc, Mutex, PoisonError};

/// Who may read a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Permission bits.
    pub mode: u32,
    /// Another user than the one who runs this.
    pub user: Option<u32>,
    /// Another group.
    pub group: Option<u32>,
}

/// A file without a name of its own.
pub(in crate::store) struct Draft<F: Files> {
    pub(in crate::store) folder: Arc<Folder<F>>,
    pub(in crate::store) den: F::Dir,
    pub(in crate::store) part: OsString,
    pub(in crate::store) file: F::File,
    pub(in crate::store) meter: Meter,
    wrap: Option<Mutex<Wrap>>,
}

/// A draft that is written only encrypted.
struct Wrap {
    /// Whose file it is: class and form.
    of: (String, String),
    /// Made with the first byte.
    envelope: Option<Envelope>,
    /// Of what was wrapped.
    plain: Meter,
    ended: bool,
}

/// A file that has its name and is not in the ledger yet.
pub(in crate::store) struct Published<F: Files> {
    pub(in crate::store) held: Held<F>,
    /// None where the file was there already, byte for byte.
    mark: Option<(F::Dir, OsString)>,
}

/// What a draft has to read back as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Expected {
    pub(in crate::store) content: Keyed,
    pub(in crate::store) lines: u64,
}

impl Wrap {
    fn envelope(&mut self, keys: &Keychain) -> Result<&mut Envelope, StoreError> {
        match &mut self.envelope {
            Some(envelope) => Ok(envelope),
            empty => Ok(empty.insert(Envelope::new(keys.make(Some(&self.of.0), &self.of.1)?))),
        }
    }
}

impl<F: Files> Shelf<F> {
    /// Begins a file; with class and form, it is written only encrypted, under a key of its own.
    pub(in crate::store) fn draft(&self, folder: &Arc<Folder<F>>, seal: Option<(&str, &str)>) -> Result<Draft<F>, Halt> {
        let den_path = folder.path.join(DEN);
        let den = self.files.private_dir(&folder.dir, OsStr::new(DEN)).map_err(failed("make", &den_path))?;
        let taken = self.files.names(&den).map_err(failed("read", &den_path))?;
        let free = (0_u64..).map(|number| OsString::from(format!("{number}{PART}"))).find(|name| !taken.contains(name));
        let part = free.unwrap_or_else(|| PART.into());
        let file = self.files.create(&den, &part).map_err(failed("create", &den_path.join(&part)))?;
        let wrap = seal.map(|(class, form)| Mutex::new(Wrap { of: (class.to_owned(), form.to_owned()), envelope: None, plain: Meter::new(&self.key), ended: false }));
        Ok(Draft { folder: Arc::clone(folder), den, part, file, meter: Meter::new(&self.key), wrap })
    }

    /// Begins a file that is written only encrypted, under a key that is there.
    pub(in crate::store) fn draft_under(&self, folder: &Arc<Folder<F>>, seal: Seal) -> Result<Draft<F>, Halt> {
        let draft = self.draft(folder, Some(("", "")))?;
        if let Some(wrap) = &draft.wrap {
            wrap.lock().unwrap_or_else(PoisonError::into_inner).envelope = Some(Envelope::new(seal));
        }
        Ok(draft)
    }

    /// Whether a file has the bytes of a draft, or sealed ones that say the same.
    pub(in crate::store) fn is_copy(&self, draft: &Draft<F>, held: &Held<F>) -> Result<bool, Halt> {
        let (digest, size) = draft.meter.sum();
        Ok(match &draft.wrap {
            None => held.look.size == size && self.visit_bytes(held)? == digest,
            // No two have the same bytes.
            Some(wrap) => self.visit_sealed(held).is_some_and(|found| found == wrap.lock().unwrap_or_else(PoisonError::into_inner).plain.sum()),
        })
    }

    /// Appends.
    pub(in crate::store) fn write(&self, draft: &Draft<F>, bytes: &[u8]) -> Result<(), Halt> {
        let Some(wrap) = &draft.wrap else { return self.put(draft, bytes) };
        let mut wrap = wrap.lock().unwrap_or_else(PoisonError::into_inner);
        wrap.plain.take(bytes);
        let frame = wrap.envelope(&self.seals)?.wrap(bytes).map_err(failed("seal", &draft.folder.path))?;
        self.put(draft, frame)
    }

    /// Appends the table of its frames.
    pub(in crate::store) fn end(&self, draft: &Draft<F>, seek: SeekTable) -> Result<(), Halt> {
        let table = seek.finish();
        if table.is_empty() { Ok(()) } else { self.write(draft, &table) }
    }

    /// Ends what is written only encrypted, and says under which key; behind it, nothing is appended.
    pub(in crate::store) fn close_seal(&self, draft: &Draft<F>) -> Result<Option<SealId>, Halt> {
        let Some(wrap) = &draft.wrap else { return Ok(None) };
        let mut wrap = wrap.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = std::mem::replace(&mut wrap.ended, true);
        let envelope = wrap.envelope(&self.seals)?;
        if !ended {
            let end = envelope.end();
            self.put(draft, &end)?;
        }
        Ok(Some(envelope.id()))
    }

    fn put(&self, draft: &Draft<F>, bytes: &[u8]) -> Result<(), Halt> {
        draft.meter.take(bytes);
        self.files.write(&draft.file, bytes).map_err(failed("write", &draft.folder.path.join(DEN).join(&draft.part)))
    }

    /// Takes a draft away.
    pub(in crate::store) fn discard(&self, draft: &Draft<F>) -> Result<(), Halt> {
        let path = draft.folder.path.join(DEN).join(&draft.part);
        self.files.unlink(&draft.den, &draft.part).map_err(failed("remove", &path))
    }

    /// Gives a draft its mode and then its name. A file of the same stem and the same bytes that is there already is taken instead:
    /// that is what is left when the ledger was lost.
    pub(in crate::store) fn publish(&self, draft: Draft<F>, name: &OsStr, access: Access, known: &Evidence) -> Result<Published<F>, Halt> {
        let path = draft.folder.path.join(name);
        if let Some(held) = self.twin(&draft, name, known)? {
            self.discard(&draft)?;
            return Ok(Published { held, mark: None });
        }
        let fail = |verb| failed(verb, &path);
        let own = self.files.stat(&draft.file).map_err(fail("read"))?;
        let owner = Owner { user: access.user.unwrap_or(own.owner.user), group: access.group.unwrap_or(own.owner.group), mode: access.mode };
        self.files.own(&draft.file, owner).map_err(fail("set the owner and mode of"))?;
        self.files.sync(&draft.file).map_err(fail("sync"))?;
        let mut mark = name.to_owned();
        mark.push(format!(".{}{OPEN}", own.inode));
        self.files.create(&draft.den, &mark).map_err(fail("mark"))?;
        self.files.sync_dir(&draft.den).map_err(fail("mark"))?;
        let renamed = self.files.rename((&draft.den, &draft.part), (&draft.folder.dir, name));
        match renamed {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                self.files.unlink(&draft.den, &mark).map_err(fail("unmark"))?;
                self.discard(&draft)?;
                return Err(refused(Refusal::Taken, &path));
            }
            other => other.map_err(fail("rename"))?,
        }
        self.files.sync_dir(&draft.folder.dir).map_err(fail("sync the directory of"))?;
        self.files.sync_dir(&draft.den).map_err(fail("sync the directory of"))?;
        let held = self.hold(&draft.folder, name)?;
        if held.look.inode == own.inode { Ok(Published { held, mark: Some((draft.den, mark)) }) } else { Err(refused(Refusal::Changed, &path)) }
    }

    /// A finished file with the draft's bytes whose name differs at most in the digest, and which the ledger gives to no other file.
    fn twin(&self, draft: &Draft<F>, name: &OsStr, known: &Evidence) -> Result<Option<Held<F>>, Halt> {
        let span = |name: &OsStr| {
            let bytes = name.as_encoded_bytes();
            let bytes = bytes.strip_suffix(b".age").unwrap_or(bytes);
            bytes.len().checked_sub("12345678.zst".len()).and_then(|end| bytes.get(..end)).map(<[u8]>::to_vec)
        };
        for other in self.files.names(&draft.folder.dir).map_err(failed("read", &draft.folder.path))? {
            if span(&other).is_none() || span(&other) != span(name) || known.is_known(&draft.folder.path.join(&other)) {
                continue;
            }
            let Ok(held) = self.hold(&draft.folder, &other) else { continue };
            if self.is_copy(draft, &held)? {
                return Ok(Some(held));
            }
        }
        Ok(None)
    }

    /// The digest of a file's bytes, whatever they are.
    pub(in crate::store) fn visit_bytes(&self, held: &Held<F>) -> Result<Keyed, Halt> {
        let meter = Meter::new(&self.key);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let at = meter.bytes();
            let count = self.files.read(&held.file, &mut buffer, at).map_err(failed("read", &held.path()))?;
            if count == 0 {
                self.unchanged(held)?;
                return Ok(meter.sum().0);
            }
            meter.take(buffer.get(..count).unwrap_or_default());
        }
    }

    /// Digest and size of what a sealed file holds; none of a file that is not, or cannot be opened.
    fn visit_sealed(&self, held: &Held<F>) -> Option<(Keyed, u64)> {
        self.seals_in(held).ok().filter(|seals| !seals.is_empty())?;
        let meter = Meter::new(&self.key);
        let unsealed = Unsealed::new(Reader::new(&self.files, &held.file), &self.seals, false);
        std::io::copy(&mut meter.over(unsealed), &mut std::io::sink()).ok()?;
        Some(meter.sum())
    }

    /// The keys that a file needs; none of one that is not sealed.
    pub(in crate::store) fn seals_in(&self, held: &Held<F>) -> Result<BTreeSet<SealId>, Halt> {
        seals_of(held.look.size, &mut |buffer, offset| self.files.read(&held.file, buffer, offset)).map_err(failed("read", &held.path()))
    }

    /// Whether nobody can read a file any more, because its keys were destroyed.
    pub(in crate::store) fn is_dead(&self, held: &Held<F>) -> Result<bool, Halt> {
        let seals = self.seals_in(held)?;
        Ok(!seals.is_empty() && seals.is_subset(&self.seals.destroyed()?))
    }

    /// Reads a published file back and holds it against what was written.
    pub(in crate::store) fn read_back(&self, published: &Published<F>, expected: Expected) -> Result<Digests, Halt> {
        let mut found = 0;
        let digests = self.visit(&published.held, usize::MAX, &mut |piece| {
            found += match piece {
                Piece::Lines(bytes) => lines(bytes),
                Piece::TooLong => 1,
            };
            Ok(())
        })?;
        if (Expected { content: digests.content, lines: found }) == expected { Ok(digests) } else { Err(refused(Refusal::Mismatch, &published.held.path())) }
    }

    /// The ledger knows it: the mark goes.
    pub(in crate::store) fn settle(&self, published: Published<F>) -> Result<Held<F>, Halt> {
        if let Some((den, mark)) = &published.mark {
            self.files.unlink(den, mark).map_err(failed("unmark", &published.held.path()))?;
        }
        Ok(published.held)
    }

    /// The ledger will never know it: it goes, and the mark behind it.
    pub(in crate::store) fn withdraw(&self, published: &Published<F>) -> Result<(), Halt> {
        let Some((den, mark)) = &published.mark else { return Ok(()) };
        let path = published.held.path();
        self.unchanged(&published.held)?;
        self.files.unlink(&published.held.folder.dir, &published.held.name).map_err(failed("remove", &path))?;
        self.files.sync_dir(&published.held.folder.dir).map_err(failed("sync the directory of", &path))?;
        self.files.unlink(den, mark).map_err(failed("unmark", &path))
    }
}
