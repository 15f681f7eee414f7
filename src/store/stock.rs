//! The store as the verbs see it: files of classes on the disk, and deletions that take a proof.

use super::files::Files;
use super::files::disk::Disk;
use super::ledger::{self, Ledger, Reader};
use super::ledger_key::LedgerKey;
use super::seal::{Keychain, SealId};
use super::shelf::{self, Claim, Cut, Folder, Held, Journal, Order, Shelf, Sound};
use super::trail::Trail;
use super::{Cause, StoreError};
use crate::retain::evidence::Evidence;
use crate::retain::ledger::chain::{Chain, Line};
use crate::retain::ledger::{Deletion, Digest, Entry, Hold, Identity, Keyed, Quiescence};
use crate::scrub::{Selection, Settings, Tally};
use crate::store::source::Source;
use jiff::Timestamp;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use super::shelf::{Access, Digests, Halt, Parts, Recovered, Refusal, Sieve, Survey};

/// What `run` and `expire` exclude each other by.
const LOCK: &str = "expire.lock";

/// Files of classes, opened, read, turned into forms, cut and deleted. One at a time for a state directory.
pub struct Store {
    pub(super) shelf: Shelf<Disk>,
    _lock: Option<Lock>,
}

/// A lock that ends with its holder, also where a process that was started meanwhile still has a copy of the descriptor.
struct Lock(OwnedFd);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the descriptor is what remains where this fails.
        let _closed = flock(&self.0, FlockOperation::Unlock);
    }
}

/// A directory held open.
pub struct Place(pub(super) Arc<Folder<Disk>>);

/// A regular file with one name, held open.
pub struct Raw(pub(super) Held<Disk>);

/// A file that may go: every form of it stands, nobody writes it. Only the store makes one; it cannot be copied, and the
/// deletion consumes it.
///
/// ```no_run
/// use logfade::store::{Chronicle, Halt, Proven, Store};
/// fn once(store: &Store, proven: Proven, chronicle: &mut Chronicle) -> Result<(), Halt> {
///     store.delete(proven, &mut |_| true, chronicle).map(drop)
/// }
/// ```
///
/// Not twice:
///
/// ```compile_fail,E0382
/// use logfade::store::{Chronicle, Halt, Proven, Store};
/// fn twice(store: &Store, proven: Proven, chronicle: &mut Chronicle) -> Result<(), Halt> {
///     store.delete(proven, &mut |_| true, chronicle)?;
///     store.delete(proven, &mut |_| true, chronicle).map(drop)
/// }
/// ```
///
/// Not copied, not made elsewhere, and nothing is deleted by its name:
///
/// ```compile_fail,E0599
/// fn copied(proven: &logfade::store::Proven) -> logfade::store::Proven {
///     proven.clone()
/// }
/// ```
///
/// ```compile_fail,E0423
/// let proven = logfade::store::Proven(());
/// ```
///
/// ```compile_fail,E0308
/// use logfade::store::{Chronicle, Store};
/// fn by_name(store: &Store, chronicle: &mut Chronicle) {
///     let _ = store.delete(std::path::Path::new("/var/log/nginx/access.log.1"), &mut |_| true, chronicle);
/// }
/// ```
pub struct Proven(Sound<Disk>);

/// The ledger with everything that it says, folded; each entry is synced and known when it is noted.
pub struct Chronicle {
    ledger: Ledger,
    known: Evidence,
    wall: Timestamp,
    /// Up to where it is folded.
    read: (u64, Chain),
}

/// A form to make.
pub struct Form<'a> {
    /// Its name.
    pub name: String,
    /// What becomes of the lines.
    pub settings: Settings,
    /// The records it takes; none takes all.
    pub select: Option<Arc<Selection>>,
    /// Where it goes.
    pub place: &'a Place,
    /// Who may read it.
    pub access: Access,
    /// Level of zstd, 1 to 19.
    pub level: i32,
    /// Of everything besides the raw bytes that decides about it.
    pub policy: Digest,
    /// Whether it is written only encrypted.
    pub seal: bool,
}

/// What a raw file is turned into, and who looks for leaks.
pub struct Making<'a> {
    /// The class.
    pub class: &'a str,
    /// Its forms.
    pub forms: &'a [Form<'a>],
    /// What reading the file found.
    pub survey: &'a Survey,
    /// Counts identifiers of the raw log that stand in the clean one: name of the form, raw file, clean file.
    pub leaks: &'a mut dyn FnMut(&str, &Path, &Path) -> Result<u64, StoreError>,
}

/// Why a file shall go.
#[derive(Clone, Copy, Debug)]
pub struct Reason<'a> {
    /// Its class.
    pub class: &'a str,
    /// `raw`, or the name of another form.
    pub form: &'a str,
    /// Forms that have to be proven.
    pub required: &'a [(&'a str, &'a Path)],
    /// When it was due.
    pub deadline: Option<Timestamp>,
    /// A person's reason, which takes the place of forms and of a readable end.
    pub by_hand: Option<&'a str>,
}

/// How a straddling file is cut.
pub struct Cutting<'a> {
    /// Names the formats, so that records have times.
    pub settings: &'a Settings,
    /// Records older than this are due; for the ledger.
    pub at: Timestamp,
    /// A person asked for it.
    pub erased: bool,
    /// Whether a record, whose time is this, stays.
    pub stays: &'a mut dyn FnMut(&[u8], Timestamp) -> bool,
    /// Who may read what stays; the file's own owner and mode if there is none.
    pub access: Option<Access>,
    /// Whether what stays is written only encrypted, under a key of its own; what is cut out of a sealed file always is.
    pub seal: bool,
}

impl Chronicle {
    /// Opens the ledger of a state directory and folds it; `wall` is the time that entries carry. Refuses a broken one.
    pub fn open(state: &Path, wall: Timestamp) -> Result<Self, StoreError> {
        let mut opened = Self { ledger: Ledger::open(state)?, known: Evidence::default(), wall, read: (0, Chain::default()) };
        opened.refresh()?;
        Ok(opened)
    }

    /// What the ledger of a state directory says.
    pub fn read(state: &Path) -> Result<Evidence, StoreError> {
        let mut known = Evidence::default();
        for line in Reader::open(state)?.entries()? {
            known.take(&line?);
        }
        Ok(known)
    }

    /// The time that entries carry from now on.
    pub const fn turn(&mut self, wall: Timestamp) {
        self.wall = wall;
    }

    /// Takes in what was written since.
    pub fn refresh(&mut self) -> Result<(), StoreError> {
        if self.ledger.head()?.entries < self.read.1.entries {
            (self.known, self.read) = (Evidence::default(), (0, Chain::default()));
        }
        let mut entries = self.ledger.entries_behind(self.read)?;
        while let Some(line) = entries.next() {
            self.known.take(&line?);
            self.read = entries.reached();
        }
        Ok(())
    }

    /// Writes an entry.
    pub fn note(&mut self, entry: &Entry) -> Result<(), StoreError> {
        self.ledger.append(self.wall, entry)?;
        self.refresh()
    }

    /// Everything written so far.
    pub const fn known(&self) -> &Evidence {
        &self.known
    }
}

/// Holds as they are just now, whoever writes them.
pub struct HoldWatch {
    path: PathBuf,
    read: u64,
    holds: BTreeMap<String, Hold>,
}

impl HoldWatch {
    /// Of the ledger of a state directory.
    pub fn new(state: &Path) -> Self {
        Self { path: state.join(ledger::LEDGER), read: 0, holds: BTreeMap::new() }
    }

    /// The holds that were not released. Reads what was written since the last call.
    pub fn holds(&mut self) -> Result<&BTreeMap<String, Hold>, StoreError> {
        let failed = || StoreError::io("read", &self.path);
        let mut file = File::open(&self.path).map_err(failed())?;
        file.seek(SeekFrom::Start(self.read)).map_err(failed())?;
        let mut fresh = Vec::new();
        file.read_to_end(&mut fresh).map_err(failed())?;
        // A line without its end is an append that did not happen yet.
        let whole = memchr::memrchr(b'\n', &fresh).map_or(0, |at| at + 1);
        for line in fresh.get(..whole).unwrap_or_default().split(|byte| *byte == b'\n') {
            match serde_json::from_slice::<Line>(line).map(|line| line.entry) {
                Ok(Entry::Hold(hold)) => drop(self.holds.insert(hold.name.clone(), hold)),
                Ok(Entry::Release(release)) => drop(self.holds.remove(&release.name)),
                // The chain is held elsewhere; here only holds count.
                Ok(_) | Err(_) => {}
            }
        }
        self.read += whole as u64;
        Ok(&self.holds)
    }
}

impl Journal for Chronicle {
    fn note(&mut self, entry: Entry) -> Result<(), StoreError> {
        Self::note(self, &entry)
    }

    fn known(&self) -> &Evidence {
        &self.known
    }
}

impl Raw {
    /// Where it stands.
    pub fn path(&self) -> PathBuf {
        self.0.path()
    }

    /// Which file it is.
    pub const fn identity(&self) -> Identity {
        self.0.identity()
    }
}

impl Proven {
    /// What the ledger will say of its deletion.
    pub fn deletion(&self) -> Deletion {
        self.0.deletion()
    }
}

impl Store {
    /// Takes the lock of a state directory and reads or makes the key of its digests. Refuses while another holds the lock.
    pub fn open(state: &Path) -> Result<Self, StoreError> {
        ledger::state(state)?;
        let path = state.join(LOCK);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = open(&path, flags, Mode::RUSR | Mode::WUSR).map_err(|errno| StoreError::io("open", &path)(errno.into()))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|errno| match errno {
            rustix::io::Errno::WOULDBLOCK => StoreError {
                verb: "lock",
                path: path.clone(),
                cause: Cause::Refused {
                    why: "another logfade expires with this state directory",
                    remedy: "wait for it, or look for a `logfade run` that does it on its own clock",
                },
            },
            other => StoreError::io("lock", &path)(other.into()),
        })?;
        Ok(Self { shelf: Shelf { files: Disk, key: LedgerKey::open(state)?, seals: Keychain::of(state) }, _lock: Some(Lock(lock)) })
    }

    /// For looking only: takes no lock, makes nothing in the state directory.
    pub fn look(state: &Path) -> Result<Self, StoreError> {
        let key = if state.join(LedgerKey::NAME).exists() { LedgerKey::open(state)? } else { LedgerKey::passing() };
        Ok(Self { shelf: Shelf { files: Disk, key, seals: Keychain::of(state) }, _lock: None })
    }

    /// Opens a directory beneath `base`; links are followed in `base` alone.
    pub fn place(&self, base: &Path, beneath: &Path) -> Result<Place, Halt> {
        self.shelf.folder(base, beneath).map(Place)
    }

    /// The names in a directory, in order, without the store's own.
    pub fn names(&self, place: &Place) -> Result<Vec<OsString>, Halt> {
        let mut names = self.shelf.files.names(&place.0.dir).map_err(|error| Halt::Failed(StoreError::io("read", &place.0.path)(error)))?;
        names.retain(|name| name != shelf::DEN);
        Ok(names)
    }

    /// Whether a name is a directory's; links are none.
    pub fn is_directory(&self, place: &Place, name: &OsStr) -> bool {
        self.shelf.files.look(&place.0.dir, name).is_ok_and(|look| look.kind == super::files::Kind::Dir)
    }

    /// Opens a file of a directory.
    pub fn file(&self, place: &Place, name: &OsStr) -> Result<Raw, Halt> {
        self.shelf.hold(&place.0, name).map(Raw)
    }

    /// Gives a raw file another name in its directory, as rotation does.
    pub fn set_aside(&self, raw: Raw, name: &OsStr) -> Result<Raw, Halt> {
        self.shelf.set_aside(raw.0, name).map(Raw)
    }

    /// Says that nobody writes a file just now, and how that is known.
    pub fn quiet(&self, raw: &Raw, wall: Timestamp) -> Result<Quiescence, Halt> {
        self.shelf.glance(&raw.0, wall)
    }

    /// Its lines, decoded.
    pub fn lines(&self, raw: &Raw, max_line: usize) -> Result<Source, Halt> {
        self.shelf.source(&raw.0, max_line).map(|(source, ..)| source)
    }

    /// Looks at every line of a file, decoded, and the time of its record. Of a damaged file the lines in front of the damage come
    /// first; false says that a line was too long to be looked at.
    pub fn each_line(&self, raw: &Raw, settings: &Settings, each: &mut dyn FnMut(&[u8], Timestamp)) -> Result<bool, Halt> {
        self.shelf.each_line(&raw.0, settings, each)
    }

    /// Digests of the first so many decoded bytes of a file, of those numbers that it has.
    pub fn fronts(&self, raw: &Raw, sizes: &BTreeSet<u64>) -> Result<BTreeMap<u64, Keyed>, Halt> {
        self.shelf.fronts(&raw.0, sizes)
    }

    /// Whether a file has another one's name but for what rotation and compression add.
    pub fn is_namesake(&self, raw: &Raw, path: &Path) -> bool {
        path.file_name().is_some_and(|name| shelf::stem(name) == shelf::stem(&raw.0.name))
    }

    /// Reads a whole file: digests, lines, and the times of its oldest and newest record.
    pub fn survey(&self, raw: &Raw, settings: &Settings) -> Result<Survey, Halt> {
        self.shelf.survey(&raw.0, settings)
    }

    /// Makes the forms of a quiescent raw file; nothing stays of a failure. One tally for each form.
    pub fn scrub(&self, raw: &Raw, making: Making<'_>, chronicle: &mut Chronicle) -> Result<Vec<Tally>, Halt> {
        let order = |form: &Form<'_>| Order {
            form: form.name.clone(),
            settings: form.settings.clone(),
            select: form.select.clone(),
            folder: Arc::clone(&form.place.0),
            access: form.access,
            level: form.level,
            policy: form.policy,
            seal: form.seal.then(|| making.class.to_owned()),
        };
        let orders: Vec<_> = making.forms.iter().map(order).collect();
        self.shelf.scrub(&raw.0, making.class, &orders, (making.survey, making.leaks), chronicle)
    }

    /// Proves that a file may go.
    pub fn prove(&self, raw: Raw, reason: Reason<'_>, (known, wall): (&Evidence, Timestamp)) -> Result<Proven, Halt> {
        let Reason { class, form, required, deadline, by_hand } = reason;
        self.shelf.prove(raw.0, &Claim { class, form, required, deadline, reason: by_hand }, known, wall).map(Proven)
    }

    /// Deletes a file. `gate` is asked once more directly in front of it: holds, clock, limit.
    pub fn delete(&self, proven: Proven, gate: &mut dyn FnMut(&Deletion) -> bool, chronicle: &mut Chronicle) -> Result<Deletion, Halt> {
        self.shelf.delete(proven.0, gate, chronicle)
    }

    /// Cuts a file: what stays is in another file and in the ledger before this one goes.
    pub fn split(&self, proven: Proven, cutting: Cutting<'_>, gate: &mut dyn FnMut(&Deletion) -> bool, chronicle: &mut Chronicle) -> Result<Parts, Halt> {
        let Cutting { settings, at, erased, stays, access, seal } = cutting;
        let seal = seal || !self.shelf.seals_in(&proven.0.held)?.is_empty();
        self.shelf.split(proven.0, Cut { settings, at, erased, stays, access, seal }, gate, chronicle)
    }

    /// Puts a directory in order after a crash.
    pub fn recover(&self, place: &Place, is_held: &dyn Fn(&Deletion) -> bool, chronicle: &mut Chronicle) -> Result<Recovered, Halt> {
        self.shelf.recover(&place.0, is_held, chronicle)
    }

    /// Opens a log that is to be followed; none if there is no regular file.
    pub fn trail(&self, path: &Path) -> Result<Option<Trail>, StoreError> {
        Trail::open(path, &self.shelf.key)
    }

    /// The seal keys that a file needs; none of one that is not sealed.
    pub fn seals(&self, raw: &Raw) -> Result<BTreeSet<SealId>, Halt> {
        self.shelf.seals_in(&raw.0)
    }

    /// Whether nobody can read a file any more, because its seal keys were destroyed.
    pub fn is_dead(&self, raw: &Raw) -> Result<bool, Halt> {
        self.shelf.is_dead(&raw.0)
    }

    /// The seal keys of the state directory.
    pub const fn keychain(&self) -> &Keychain {
        &self.shelf.seals
    }

    /// Finishes destructions of seal keys that a crash left.
    pub fn recover_seals(&self, chronicle: &mut Chronicle) -> Result<(), StoreError> {
        self.shelf.seals.recover(&mut |entry| chronicle.note(&entry))
    }

    /// Destroys seal keys for good; an entry in front of each. Whatever they sealed, in whatever copy, cannot be read any more.
    pub fn end_seals(&self, ids: &BTreeSet<SealId>, chronicle: &mut Chronicle) -> Result<Vec<SealId>, StoreError> {
        self.shelf.seals.end(ids, &mut |entry| chronicle.note(&entry))
    }

    /// A keyed digest of something that is no file.
    pub fn keyed(&self, bytes: &[u8]) -> Keyed {
        self.shelf.key.digest(bytes)
    }
}
