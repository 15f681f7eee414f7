//! A file held open, and everything that is asked of it before somebody acts on it.

use super::{DEN, Halt, Refusal, Shelf, failed, refused};
use crate::retain::ledger::{Identity, Keyed, Quiescence};
use crate::store::digest::Meter;
use crate::store::files::{Files, Kind, Lease, Look, Reader};
use crate::store::source::{BLOCK, Block, Filled, Source};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// How long a file has to be unchanged where no lease can be had, in seconds: 30 minutes, as Filebeat waits.
const GRACE: i64 = 30 * 60;

/// A directory held open.
pub(in crate::store) struct Folder<F: Files> {
    pub(in crate::store) dir: F::Dir,
    pub(in crate::store) path: PathBuf,
}

/// A regular file with one name, held open.
pub(in crate::store) struct Held<F: Files> {
    pub(in crate::store) folder: Arc<Folder<F>>,
    pub(in crate::store) name: OsString,
    pub(in crate::store) file: Arc<F::File>,
    pub(in crate::store) look: Look,
}

impl<F: Files> Held<F> {
    pub(in crate::store) fn path(&self) -> PathBuf {
        self.folder.path.join(&self.name)
    }

    pub(in crate::store) const fn identity(&self) -> Identity {
        self.look.identity()
    }
}

/// Whole lines, or the place of one that was too long.
pub(in crate::store) enum Piece<'a> {
    Lines(&'a [u8]),
    TooLong,
}

impl Piece<'_> {
    /// Lines of it.
    pub(in crate::store) fn lines(&self) -> u64 {
        match self {
            Self::Lines(bytes) => lines(bytes),
            Self::TooLong => 1,
        }
    }
}

/// Digests of a file: of its bytes, and of what they decode to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests {
    /// Of the bytes as they lie on the disk.
    pub bytes: Keyed,
    /// Of what they decode to.
    pub content: Keyed,
}

impl<F: Files> Shelf<F> {
    /// Opens a directory beneath `base`, following links in `base` alone.
    pub(in crate::store) fn folder(&self, base: &Path, beneath: &Path) -> Result<Arc<Folder<F>>, Halt> {
        let mut path = base.to_owned();
        let mut dir = self.files.root(base).map_err(failed("open", base))?;
        for part in beneath.components() {
            path.push(part);
            match part {
                Component::Normal(name) if name != DEN => dir = self.files.dir(&dir, name).map_err(failed("open", &path))?,
                Component::CurDir => {}
                Component::Normal(_) | Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(refused(Refusal::NotPlain, &path)),
            }
        }
        Ok(Arc::new(Folder { dir, path }))
    }

    /// Opens a file of a directory.
    pub(in crate::store) fn hold(&self, folder: &Arc<Folder<F>>, name: &OsStr) -> Result<Held<F>, Halt> {
        let path = folder.path.join(name);
        // What opening a device does is nothing that is wanted.
        let seen = self.files.look(&folder.dir, name).map_err(failed("open", &path))?;
        if seen.kind != Kind::File {
            return Err(refused(Refusal::NotPlain, &path));
        }
        let file = self.files.open(&folder.dir, name).map_err(failed("open", &path))?;
        let look = self.files.stat(&file).map_err(failed("read", &path))?;
        if look.kind != Kind::File || look.links != 1 {
            return Err(refused(Refusal::NotPlain, &path));
        }
        Ok(Held { folder: Arc::clone(folder), name: name.to_owned(), file: Arc::new(file), look })
    }

    /// Opens the file of a whole path, beneath its own directory.
    pub(in crate::store) fn hold_path(&self, path: &Path) -> Result<Held<F>, Halt> {
        let (Some(base), Some(name)) = (path.parent(), path.file_name()) else { return Err(refused(Refusal::NotPlain, path)) };
        self.hold(&self.folder(base, Path::new(""))?, name)
    }

    /// Whether the descriptor still is the file that was opened, and the name still means it.
    pub(in crate::store) fn unchanged(&self, held: &Held<F>) -> Result<(), Halt> {
        let path = held.path();
        let now = self.files.stat(&held.file).map_err(failed("read", &path))?;
        let same = |look: &Look| look.identity() == held.look.identity() && look.kind == held.look.kind;
        if !same(&now) {
            return Err(refused(Refusal::Changed, &path));
        }
        if now.links != 1 {
            return Err(refused(Refusal::NotPlain, &path));
        }
        let named = self.files.look(&held.folder.dir, &held.name).map_err(failed("read", &path))?;
        if same(&named) { Ok(()) } else { Err(refused(Refusal::Changed, &path)) }
    }

    /// How it is known that nobody writes the file. A lease that was granted is held until it is released.
    pub(in crate::store) fn quiet(&self, held: &Held<F>, wall: Timestamp) -> Result<Quiescence, Halt> {
        let path = held.path();
        match self.files.lease(&held.file).map_err(failed("lease", &path))? {
            Lease::Granted => Ok(Quiescence::Lease),
            Lease::Writer => Err(refused(Refusal::InUse, &path)),
            Lease::Impossible => {
                let age = wall.as_second() - held.look.modified.max(held.look.changed).as_second();
                let written = self.files.is_written(&held.file).map_err(failed("read", &path))?;
                if written || age < GRACE { Err(refused(Refusal::InUse, &path)) } else { Ok(Quiescence::Age { seconds: age.unsigned_abs() }) }
            }
        }
    }

    /// Gives a lease back, if there is one: a server that wants to open its log would wait for it.
    pub(in crate::store) fn disturb(&self, held: &Held<F>, quiescence: Quiescence) -> Result<(), Halt> {
        match quiescence {
            Quiescence::Lease => self.files.release(&held.file).map_err(failed("release", &held.path())),
            Quiescence::Age { .. } => Ok(()),
        }
    }

    /// Says that nobody writes just now, without keeping anybody from it.
    pub(in crate::store) fn glance(&self, held: &Held<F>, wall: Timestamp) -> Result<Quiescence, Halt> {
        let quiescence = self.quiet(held, wall)?;
        self.disturb(held, quiescence)?;
        Ok(quiescence)
    }

    /// Raw or clean lines of a file, and the meters of its bytes and of what they decode to.
    pub(in crate::store) fn source(&self, held: &Held<F>, max_line: usize) -> Result<(Source, Meter, Meter), Halt> {
        let (bytes, content) = (Meter::new(&self.key), Meter::new(&self.key));
        let reader = bytes.over(Reader::new(&self.files, &held.file));
        let source = Source::over(reader, &held.path(), max_line, (&content, &self.seals))?;
        Ok((source, bytes, content))
    }

    /// Reads to a proven end: every trailer of the codec, every byte of the file, and nothing changed meanwhile.
    pub(in crate::store) fn visit(&self, held: &Held<F>, max_line: usize, each: &mut dyn FnMut(Piece<'_>) -> Result<(), Halt>) -> Result<Digests, Halt> {
        let (mut source, bytes, content) = self.source(held, max_line)?;
        let mut block = Block::default();
        loop {
            let filled = source.fill(&mut block, BLOCK)?;
            if !block.as_bytes().is_empty() {
                each(Piece::Lines(block.as_bytes()))?;
            }
            match filled {
                Filled::Block | Filled::Pause => {}
                Filled::TooLong => each(Piece::TooLong)?,
                Filled::End => break,
            }
        }
        let (digest, read) = bytes.sum();
        if read != held.look.size {
            return Err(refused(Refusal::Changed, &held.path()));
        }
        self.unchanged(held)?;
        Ok(Digests { bytes: digest, content: content.sum().0 })
    }
}

/// Lines of whole lines, the last of which may lack its end.
pub(in crate::store) fn lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64 + u64::from(!bytes.is_empty() && !bytes.ends_with(b"\n"))
}
