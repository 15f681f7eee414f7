//! Databases of places (MaxMind's format): read whole, looked through before they are believed, and read again when they change.
//!
//! A database that cannot be had is an error before anything is written. One that breaks while the program runs changes
//! nothing: the edition that was read before stays, and that is said once.

use super::{Cause, StoreError};
use crate::retain::ledger::Digest;
use crate::scrub::{Country, Lookup, Place, PlaceSource, Policy};
use maxminddb::{PathElement, Reader, WithinOptions};
use std::collections::{HashMap, HashSet};
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Files are looked at this often at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A larger file is not read into memory.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// Networks that are looked at to find out what a database holds.
const PROBE: usize = 20_000;
/// Addresses that a worker remembers.
const ADDRESSES: usize = 2_048;
/// Records that a worker remembers.
const RECORDS_MAX: usize = 1 << 16;

/// Where countries stand in a record: MaxMind's place first, then those of others.
const COUNTRIES: [&[&str]; 3] = [&["country", "iso_code"], &["country_code"], &["country"]];
/// Where the number of the autonomous system stands.
const NUMBERS: [&[&str]; 3] = [&["autonomous_system_number"], &["traits", "autonomous_system_number"], &["asn"]];

/// The databases of a policy.
pub struct Atlas {
    paths: Vec<PathBuf>,
    /// Whether countries, and whether numbers are needed.
    needs: (bool, bool),
    tell: Box<dyn Fn(&StoreError) + Send + Sync>,
    state: Mutex<State>,
}

struct State {
    edition: u64,
    books: Arc<Vec<Book>>,
    looked: Instant,
    /// What stood at each path when it was last looked at, whether it could be read or not.
    seen: Vec<Option<Identity>>,
}

/// What tells a file from the one that stood there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Identity {
    fn of(meta: &Metadata) -> Self {
        Self { device: meta.dev(), inode: meta.ino(), size: meta.len(), modified: (meta.mtime(), meta.mtime_nsec()) }
    }
}

impl Atlas {
    /// Opens the databases that a policy names; `None` if none of its actions needs one. `tell` hears of a database that
    /// cannot be read any more.
    pub fn open(policy: &Policy, tell: Box<dyn Fn(&StoreError) + Send + Sync>) -> Result<Option<Arc<Self>>, StoreError> {
        let needs = policy.needs_places();
        if needs == (false, false) {
            return Ok(None);
        }
        let paths: Vec<PathBuf> = policy.databases().iter().map(PathBuf::from).collect();
        let (books, seen) = read_all(&paths, needs)?;
        let state = State { edition: 1, books: Arc::new(books), looked: Instant::now(), seen };
        Ok(Some(Arc::new(Self { paths, needs, tell, state: Mutex::new(state) })))
    }

    /// What tells these editions from others, wherever their files lie: what is made with others is made anew.
    pub fn editions(&self) -> Vec<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.books.iter().map(|book| book.digest.to_string()).collect()
    }

    /// For [`crate::scrub::Settings`].
    pub fn source(self: &Arc<Self>) -> PlaceSource {
        let atlas = Arc::clone(self);
        PlaceSource::new(move |known| atlas.current(known))
    }

    fn current(&self, known: u64) -> Option<(u64, Lookup)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= LOOK_EVERY {
            self.look(&mut state);
            state.looked = Instant::now();
        }
        (state.edition != known).then(|| (state.edition, lookup(Arc::clone(&state.books))))
    }

    /// Reads again what has changed. A file that cannot be read is not tried again until it changes once more.
    fn look(&self, state: &mut State) {
        let now: Vec<Option<Identity>> = self.paths.iter().map(|path| path.metadata().ok().map(|meta| Identity::of(&meta))).collect();
        if now == state.seen {
            return;
        }
        match read_all(&self.paths, self.needs) {
            Ok((books, seen)) => {
                state.books = Arc::new(books);
                state.edition += 1;
                state.seen = seen;
            }
            Err(error) => {
                state.seen = now;
                (self.tell)(&error);
            }
        }
    }
}

fn refused(path: &Path, why: &'static str, remedy: &'static str) -> StoreError {
    StoreError { verb: "open", path: path.to_owned(), cause: Cause::Refused { why, remedy } }
}

fn read_all(paths: &[PathBuf], (country, asn): (bool, bool)) -> Result<(Vec<Book>, Vec<Option<Identity>>), StoreError> {
    let (mut books, mut seen) = (Vec::new(), Vec::new());
    for path in paths {
        let (book, identity) = Book::read(path)?;
        books.push(book);
        seen.push(Some(identity));
    }
    let first = paths.first().map_or(Path::new("geoip"), PathBuf::as_path);
    if country && books.iter().all(|book| book.country.is_none()) {
        return Err(refused(first, "there are no countries in this database", "name a database of countries or cities, such as GeoLite2-Country.mmdb"));
    }
    if asn && books.iter().all(|book| book.asn.is_none()) {
        return Err(refused(first, "there are no autonomous systems in this database", "name a database of them, such as GeoLite2-ASN.mmdb; geoip takes a list as well"));
    }
    Ok((books, seen))
}

/// One database, and where in its records an answer stands.
struct Book {
    reader: Reader<Vec<u8>>,
    /// Of the file's bytes.
    digest: Digest,
    country: Option<&'static [&'static str]>,
    asn: Option<&'static [&'static str]>,
}

impl Book {
    fn read(path: &Path) -> Result<(Self, Identity), StoreError> {
        let remedy = "see geoip in the policy: it names a file in MaxMind's format, as seen from where logfade runs";
        let unread = |error: io::Error| {
            if error.kind() == ErrorKind::NotFound {
                refused(path, "there is no such database", remedy)
            } else if error.kind() == ErrorKind::PermissionDenied {
                refused(path, "this user may not read the database", "let the user that logfade runs as read it")
            } else {
                refused(path, "the database cannot be read", remedy)
            }
        };
        // Without O_NONBLOCK a FIFO in the place of the file would wait for a writer.
        let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
        let mut file = File::options().read(true).custom_flags(flags).open(path).map_err(unread)?;
        let meta = file.metadata().map_err(unread)?;
        if !meta.is_file() {
            return Err(refused(path, "a database is a regular file, and this is none", remedy));
        }
        if meta.len() > FILE_BYTES_MAX {
            return Err(refused(path, "the database is larger than 1 GiB", "name a smaller one: a database of countries has about 10 MiB"));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or_default());
        (&mut file).take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(unread)?;
        let identity = Identity::of(&meta);
        if Identity::of(&file.metadata().map_err(unread)?) != identity {
            return Err(refused(path, "the database was written to while it was read", "replace it by renaming a whole file over it"));
        }
        let broken = |_error: maxminddb::MaxMindDbError| refused(path, "this is no database in MaxMind's format, or a damaged one", "get it again from where it came from");
        let digest = Digest::of(&bytes);
        let reader = Reader::from_source(bytes).map_err(broken)?;
        reader.verify().map_err(broken)?;
        let mut book = Self { reader, digest, country: None, asn: None };
        book.probe().map_err(broken)?;
        Ok((book, identity))
    }

    /// Finds out by its first records what the database holds: its name says what it is called.
    fn probe(&mut self) -> Result<(), maxminddb::MaxMindDbError> {
        let mut offsets = HashSet::new();
        let (mut country, mut asn) = (None, None);
        for found in self.reader.networks(WithinOptions::default())?.take(PROBE) {
            let found = found?;
            if !found.offset().is_some_and(|offset| offsets.insert(offset)) {
                continue;
            }
            country = country.or_else(|| COUNTRIES.into_iter().find(|path| country_at(&found, path).is_some()));
            asn = asn.or_else(|| NUMBERS.into_iter().find(|path| number_at(&found, path).is_some()));
            if country.is_some() && asn.is_some() {
                break;
            }
        }
        (self.country, self.asn) = (country, asn);
        Ok(())
    }

    fn place(&self, found: &Found<'_>) -> Place {
        Place { country: self.country.and_then(|path| country_at(found, path)), asn: self.asn.and_then(|path| number_at(found, path)) }
    }
}

type Found<'a> = maxminddb::LookupResult<'a, Vec<u8>>;

fn elements<'p>(path: &[&'p str]) -> Vec<PathElement<'p>> {
    path.iter().map(|key| PathElement::Key(key)).collect()
}

fn country_at(found: &Found<'_>, path: &[&str]) -> Option<Country> {
    found.decode_path::<&str>(&elements(path)).ok().flatten().and_then(Country::new)
}

/// A number, or `AS` and a number.
fn number_at(found: &Found<'_>, path: &[&str]) -> Option<u32> {
    let path = elements(path);
    let number = found.decode_path::<u32>(&path).ok().flatten();
    number.or_else(|| found.decode_path::<&str>(&path).ok().flatten()?.strip_prefix("AS")?.parse().ok())
}

/// A look-up for one worker. It is exact: what it remembers belongs to this edition.
fn lookup(books: Arc<Vec<Book>>) -> Lookup {
    let mut addresses: Vec<Option<(IpAddr, Place)>> = vec![None; ADDRESSES];
    let mut records: HashMap<(usize, usize), Place, foldhash::fast::FixedState> = HashMap::default();
    Box::new(move |ip| {
        let bits = match ip {
            IpAddr::V4(v4) => u128::from(v4.to_bits()),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let mixed = (bits as u64 ^ (bits >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let slot = addresses.get_mut((mixed >> 53) as usize);
        if let Some(Some((known, place))) = slot.as_deref()
            && *known == ip
        {
            return *place;
        }
        let mut place = Place::default();
        for (index, book) in books.iter().enumerate() {
            let Ok(found) = book.reader.lookup(ip) else { continue };
            let Some(offset) = found.offset() else { continue };
            if records.len() >= RECORDS_MAX {
                records.clear();
            }
            let says = *records.entry((index, offset)).or_insert_with(|| book.place(&found));
            place = Place { country: place.country.or(says.country), asn: place.asn.or(says.asn) };
        }
        if let Some(slot) = slot {
            *slot = Some((ip, place));
        }
        place
    })
}

#[cfg(test)]
mod tests;
