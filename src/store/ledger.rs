//! The ledger on disk: one writer at a time, every entry synced before anybody acts on it.
//!
//! Beside it stands `ledger.head`: number and digest of the last entry, so that a changed or missing tail shows without a
//! digest noted elsewhere. It is written after the entry is on the disk and so never names one that is not.

use super::{Cause, StoreError, sync_directory};
use crate::retain::ledger::chain::{Broken, Chain, Fault, Line};
use crate::retain::ledger::{Digest, Entry};
use jiff::Timestamp;
use rustix::fs::{Mode, OFlags};
use std::fs::{DirBuilder, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The ledger's name in the state directory.
pub const LEDGER: &str = "ledger.jsonl";

/// Where its head is noted.
const HEAD: &str = "ledger.head";

/// Bytes that one entry may have.
const LONGEST: usize = 1024 * 1024;

/// The state directory, made with mode 0700 if it is not there. Refuses one that others can write to.
pub fn state(path: &Path) -> Result<(), StoreError> {
    if !path.is_dir() {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(StoreError::io("make", path))?;
        if let Some(parent) = path.parent() {
            sync_directory(parent)?;
        }
    }
    let meta = path.metadata().map_err(StoreError::io("read", path))?;
    if meta.mode() & 0o022 != 0 {
        let cause = Cause::Refused { why: "others can write to the state directory", remedy: "run chmod 700 on it: keys and the ledger are kept there" };
        return Err(StoreError { verb: "open", path: path.to_owned(), cause });
    }
    Ok(())
}

fn open(path: &Path, flags: OFlags) -> Result<File, StoreError> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY;
    rustix::fs::open(path, flags, Mode::from_raw_mode(0o600)).map(File::from).map_err(|errno| StoreError::io("open", path)(errno.into()))
}

/// A ledger that can be read.
pub struct Reader {
    /// None if nothing has been written yet.
    file: Option<File>,
    path: PathBuf,
    head: PathBuf,
}

/// What a whole reading found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The chain as far as it holds.
    pub chain: Chain,
    /// Where it breaks.
    pub broken: Option<Broken>,
}

impl Reader {
    /// The ledger of a state directory; an absent one has no entries.
    pub fn open(state: &Path) -> Result<Self, StoreError> {
        let path = state.join(LEDGER);
        let file = match open(&path, OFlags::RDONLY) {
            Ok(file) => Some(file),
            Err(StoreError { cause: Cause::Io(error), .. }) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self { file, path, head: state.join(HEAD) })
    }

    /// The entries in order, each held against the chain; ends behind the first that does not hold.
    pub fn entries(&self) -> Result<Entries, StoreError> {
        self.entries_behind((0, Chain::default()))
    }

    /// The entries behind a place up to which they are known.
    fn entries_behind(&self, (at, chain): (u64, Chain)) -> Result<Entries, StoreError> {
        let (len, _) = self.snapshot()?;
        let bytes = match &self.file {
            Some(file) => Some(file.try_clone().map_err(StoreError::io("read", &self.path))?),
            None => None,
        };
        Ok(Entries { lines: BufReader::new(Window { file: bytes, at, len: len.max(at) }), at, chain, path: self.path.clone(), ended: false })
    }

    /// Follows the whole chain, up to the noted head, and looks for a digest noted elsewhere.
    pub fn verify(&self, head: Option<Digest>) -> Result<Verdict, StoreError> {
        self.follow(head, &mut |_| {})
    }

    /// Hands out every entry and refuses a ledger that does not hold up to its noted head. Keeps one entry in memory at a time.
    pub fn fold(&self, take: &mut dyn FnMut(&Line)) -> Result<(), StoreError> {
        match self.follow(None, take)?.broken {
            Some(broken) => Err(StoreError { verb: "read", path: self.path.clone(), cause: Cause::Broken(broken) }),
            None => Ok(()),
        }
    }

    fn follow(&self, head: Option<Digest>, take: &mut dyn FnMut(&Line)) -> Result<Verdict, StoreError> {
        let (_, noted) = self.snapshot()?;
        let mut entries = self.entries()?;
        let mut found = head.is_none_or(|head| head == Digest::ZERO);
        let mut broken = None;
        while let Some(line) = entries.next() {
            match line {
                Ok(line) => take(&line),
                Err(StoreError { cause: Cause::Broken(fault), .. }) => broken = Some(fault),
                Err(error) => return Err(error),
            }
            let chain = entries.chain;
            found |= head == Some(chain.head);
            if broken.is_none() && noted.is_some_and(|noted| noted.entries == chain.entries && noted.head != chain.head) {
                broken = Some(Broken { line: chain.entries, fault: Fault::Head });
            }
            if broken.is_some() {
                break;
            }
        }
        let chain = entries.chain;
        if broken.is_none() && (!found || noted.is_some_and(|noted| noted.entries > chain.entries)) {
            broken = Some(Broken { line: chain.entries + 1, fault: Fault::Missing });
        }
        Ok(Verdict { chain, broken })
    }

    /// How long the ledger is and what head is noted, at one moment.
    fn snapshot(&self) -> Result<(u64, Option<Chain>), StoreError> {
        let failed = || StoreError::io("read", &self.path);
        let Some(file) = &self.file else { return Ok((0, noted(&self.head)?)) };
        file.lock_shared().map_err(failed())?;
        let len = file.metadata().map(|meta| meta.len()).map_err(failed());
        let noted = noted(&self.head);
        file.unlock().map_err(failed())?;
        Ok((len?, noted?))
    }
}

/// `ledger.head`: 20 digits, a blank, 64 hex digits. One that was torn by a power failure says nothing.
fn noted(path: &Path) -> Result<Option<Chain>, StoreError> {
    let mut text = String::new();
    match open(path, OFlags::RDONLY).map(|file| file.take(256).read_to_string(&mut text)) {
        Ok(Ok(_)) => {}
        Ok(Err(_)) => return Ok(None),
        Err(StoreError { cause: Cause::Io(error), .. }) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    let parsed = text.trim_end().split_once(' ').and_then(|(entries, head)| Some(Chain { entries: entries.parse().ok()?, head: head.parse().ok()? }));
    Ok(parsed)
}

/// Entries in order.
pub struct Entries {
    lines: BufReader<Window>,
    /// Where the next begins.
    at: u64,
    chain: Chain,
    path: PathBuf,
    ended: bool,
}

impl Entries {
    /// The chain as far as it was followed.
    pub const fn chain(&self) -> Chain {
        self.chain
    }

    /// Up to where they are known.
    pub(super) const fn reached(&self) -> (u64, Chain) {
        (self.at, self.chain)
    }
}

impl Iterator for Entries {
    type Item = Result<Line, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let mut bytes = Vec::new();
        // A tail without a newline is an append that did not happen.
        match (&mut self.lines).take(LONGEST as u64 + 1).read_until(b'\n', &mut bytes) {
            Err(error) => {
                self.ended = true;
                return Some(Err(StoreError::io("read", &self.path)(error)));
            }
            Ok(count) if count <= LONGEST && bytes.pop() != Some(b'\n') => return None,
            Ok(_) => {}
        }
        let linked = self.chain.link(&bytes);
        self.ended = linked.is_err();
        self.at += bytes.len() as u64 + 1;
        Some(linked.map_err(|broken| StoreError { verb: "read", path: self.path.clone(), cause: Cause::Broken(broken) }))
    }
}

/// The first bytes of a file, read without moving anybody's position.
struct Window {
    file: Option<File>,
    at: u64,
    len: u64,
}

impl Read for Window {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len - self.at).unwrap_or(usize::MAX).min(buffer.len());
        let count = match (&self.file, buffer.get_mut(..left)) {
            (Some(file), Some(room)) if left > 0 => file.read_at(room, self.at)?,
            _ => 0,
        };
        self.at += count as u64;
        Ok(count)
    }
}

/// A ledger that can be written.
pub struct Ledger {
    reader: Reader,
    file: File,
    head: File,
    /// The chain at this length, so that the tail is read again only after another writer.
    known: Option<(u64, Chain)>,
}

impl Ledger {
    /// Opens or makes the ledger of a state directory, and heals what a crash tore. Refuses one whose tail is not as it was written.
    pub fn open(state: &Path) -> Result<Self, StoreError> {
        self::state(state)?;
        let (path, head_path) = (state.join(LEDGER), state.join(HEAD));
        let fresh = !path.exists() || !head_path.exists();
        let file = open(&path, OFlags::RDWR | OFlags::CREATE)?;
        let head = open(&head_path, OFlags::RDWR | OFlags::CREATE)?;
        if fresh {
            sync_directory(state)?;
        }
        let mut ledger = Self { reader: Reader::open(state)?, file, head, known: None };
        ledger.locked(|_, _| Ok(()))?;
        Ok(ledger)
    }

    /// Writes an entry and returns its line once it is on the disk.
    pub fn append(&mut self, at: Timestamp, entry: &Entry) -> Result<Line, StoreError> {
        self.locked(|ledger, (len, chain)| {
            let line = chain.next(at, entry.clone());
            let mut bytes = line.encode();
            let head = Digest::of(&bytes);
            if bytes.len() >= LONGEST {
                let cause = Cause::Refused { why: "an entry would be longer than 1 MiB", remedy: "shorten the reason or the note" };
                return Err(StoreError { verb: "write", path: ledger.reader.path.clone(), cause });
            }
            bytes.push(b'\n');
            let written = ledger.file.write_all_at(&bytes, len).and_then(|()| ledger.file.sync_data());
            if let Err(error) = written {
                // The entry may or may not be on the disk: it did not happen.
                let cut = ledger.file.set_len(len);
                drop(cut);
                return Err(StoreError::io("write", &ledger.reader.path)(error));
            }
            let chain = Chain { entries: line.seq, head };
            ledger.known = Some((len + bytes.len() as u64, chain));
            ledger.note(chain)?;
            Ok(line)
        })
    }

    /// The entries in order, each held against the chain.
    pub fn entries(&self) -> Result<Entries, StoreError> {
        self.reader.entries()
    }

    /// The entries behind a place up to which they are known.
    pub(super) fn entries_behind(&self, known: (u64, Chain)) -> Result<Entries, StoreError> {
        self.reader.entries_behind(known)
    }

    /// Follows the whole chain: see [`Reader::verify`].
    pub fn verify(&self, head: Option<Digest>) -> Result<Verdict, StoreError> {
        self.reader.verify(head)
    }

    /// Number and digest of the last entry.
    pub fn head(&mut self) -> Result<Chain, StoreError> {
        self.locked(|_, (_, chain)| Ok(chain))
    }

    /// Does something with the healed tail while no other writer can.
    fn locked<T>(&mut self, deed: impl FnOnce(&mut Self, (u64, Chain)) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.file.lock().map_err(StoreError::io("lock", &self.reader.path))?;
        let done = self.tail().and_then(|tail| deed(self, tail));
        self.file.unlock().map_err(StoreError::io("unlock", &self.reader.path))?;
        done
    }

    /// Length and chain at the end of the last whole line; what follows it is cut.
    fn tail(&mut self) -> Result<(u64, Chain), StoreError> {
        let failed = || StoreError::io("read", &self.reader.path);
        let len = self.file.metadata().map_err(failed())?.len();
        if let Some(known) = self.known.filter(|(known, _)| *known == len) {
            return Ok(known);
        }
        let start = len.saturating_sub(2 * LONGEST as u64);
        let mut bytes = vec![0; usize::try_from(len - start).unwrap_or(0)];
        self.file.read_exact_at(&mut bytes, start).map_err(failed())?;
        let whole = memchr::memrchr(b'\n', &bytes).map_or(0, |at| at + 1);
        bytes.truncate(whole);
        let end = start + whole as u64;
        let chain = match bytes.split_last() {
            Some((_, lines)) => {
                let from = memchr::memrchr(b'\n', lines).map_or(0, |at| at + 1);
                let last = lines.get(from..).unwrap_or_default();
                let line: Option<Line> = serde_json::from_slice(last).ok();
                let seq = line.map(|line| line.seq).ok_or_else(|| self.broken(Broken { line: self.count(), fault: Fault::Unreadable }))?;
                Chain { entries: seq, head: Digest::of(last) }
            }
            None => Chain::default(),
        };
        let noted = noted(&self.reader.head)?;
        match noted {
            // An entry that was acknowledged is not cut: somebody else did that.
            Some(noted) if noted.entries > chain.entries => return Err(self.broken(Broken { line: chain.entries + 1, fault: Fault::Missing })),
            Some(noted) if noted.entries == chain.entries && noted.head != chain.head => return Err(self.broken(Broken { line: chain.entries, fault: Fault::Head })),
            Some(_) | None => {}
        }
        if end < len {
            self.file.set_len(end).and_then(|()| self.file.sync_data()).map_err(StoreError::io("heal", &self.reader.path))?;
        }
        if noted != Some(chain) {
            self.note(chain)?;
        }
        self.known = Some((end, chain));
        Ok((end, chain))
    }

    fn note(&self, chain: Chain) -> Result<(), StoreError> {
        self.head.write_all_at(format!("{:020} {}\n", chain.entries, chain.head).as_bytes(), 0).map_err(StoreError::io("write", &self.reader.head))
    }

    fn broken(&self, broken: Broken) -> StoreError {
        StoreError { verb: "read", path: self.reader.path.clone(), cause: Cause::Broken(broken) }
    }

    /// Lines by their ends, for a message about the last.
    fn count(&self) -> u64 {
        let window = Window { file: self.file.try_clone().ok(), at: 0, len: self.file.metadata().map_or(0, |meta| meta.len()) };
        BufReader::new(window).split(b'\n').map_while(Result::ok).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retain::ledger::{Fault as Kind, Incident};

    fn opened(note: &str) -> Entry {
        Entry::Incident(Incident::Opened { what: Kind::Manual, class: None, path: None, note: Some(note.to_owned()) })
    }

    fn filled(count: u64) -> (tempfile::TempDir, Ledger) {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(&dir.path().join("state")).unwrap();
        for number in 0..count {
            ledger.append(Timestamp::UNIX_EPOCH, &opened(&number.to_string())).unwrap();
        }
        (dir, ledger)
    }

    #[test]
    fn entries_come_back_in_order() {
        let (dir, mut ledger) = filled(3);
        let lines: Vec<Line> = ledger.entries().unwrap().map(Result::unwrap).collect();
        assert_eq!(lines.iter().map(|line| line.seq).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(lines[2].entry, opened("2"));
        let head = ledger.head().unwrap();
        assert_eq!(ledger.verify(Some(head.head)).unwrap(), Verdict { chain: head, broken: None });
        let mode = |name: &str| dir.path().join("state").join(name).metadata().unwrap().mode() & 0o777;
        assert_eq!((mode(""), mode(LEDGER), mode(HEAD)), (0o700, 0o600, 0o600));
    }

    #[test]
    fn what_is_known_is_not_read_again() {
        let (_dir, mut ledger) = filled(3);
        let mut entries = ledger.entries().unwrap();
        assert_eq!(entries.by_ref().count(), 3);
        let known = entries.reached();
        let behind = |ledger: &Ledger| ledger.entries_behind(known).unwrap().map(|line| line.unwrap().seq).collect::<Vec<_>>();
        assert!(behind(&ledger).is_empty());
        ledger.append(Timestamp::UNIX_EPOCH, &opened("more")).unwrap();
        assert_eq!(behind(&ledger), [4]);
    }

    #[test]
    fn every_changed_byte_is_found() {
        let (dir, ledger) = filled(4);
        let path = dir.path().join("state").join(LEDGER);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            for bit in [0x01, 0x20, 0x80] {
                let mut bytes = whole.clone();
                bytes[at] ^= bit;
                std::fs::write(&path, &bytes).unwrap();
                assert!(ledger.verify(None).unwrap().broken.is_some(), "byte {at} ^ {bit}");
            }
        }
        std::fs::write(&path, &whole).unwrap();
        assert!(ledger.verify(None).unwrap().broken.is_none());
    }

    #[test]
    fn lines_that_went_moved_or_came_are_found() {
        let (dir, mut ledger) = filled(4);
        let head = ledger.head().unwrap().head;
        let state = dir.path().join("state");
        let path = state.join(LEDGER);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let found = |lines: &[&str], head| {
            std::fs::write(&path, lines.concat()).unwrap();
            ledger.verify(head).unwrap().broken.map(|broken| (broken.line, broken.fault))
        };
        assert_eq!(found(&[lines[0], lines[2], lines[3]], None), Some((2, Fault::Number)));
        assert_eq!(found(&[lines[0], lines[2], lines[1], lines[3]], None), Some((2, Fault::Number)));
        assert_eq!(found(&[lines[0], lines[1], lines[1], lines[3]], None), Some((3, Fault::Number)));
        assert_eq!(found(&lines[..3], None), Some((4, Fault::Missing)));
        assert_eq!(found(&[lines[0], lines[1], lines[2], &lines[3][..9]], None), Some((4, Fault::Missing)));
        assert_eq!(found(&[], None), Some((1, Fault::Missing)));
        std::fs::remove_file(state.join(HEAD)).unwrap();
        assert_eq!(found(&lines[..3], None), None, "without any noted head");
        assert_eq!(found(&lines[..3], Some(head)), Some((4, Fault::Missing)));
        assert_eq!(found(&lines, Some(head)), None);
    }

    #[test]
    fn a_torn_append_heals_and_a_cut_entry_does_not() {
        let (dir, ledger) = filled(2);
        drop(ledger);
        let state = dir.path().join("state");
        let path = state.join(LEDGER);
        let whole = std::fs::read(&path).unwrap();
        let third = Chain::default().next(Timestamp::UNIX_EPOCH, opened("torn")).encode();
        for cut in 0..third.len() {
            std::fs::write(&path, [&whole, &third[..cut]].concat()).unwrap();
            let mut ledger = Ledger::open(&state).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), whole, "cut at {cut}");
            assert_eq!(ledger.head().unwrap().entries, 2);
        }
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(matches!(Ledger::open(&state), Err(StoreError { cause: Cause::Broken(_), .. })), "an acknowledged entry is missing its end");
        assert_eq!(std::fs::read(&path).unwrap().len(), whole.len() - 1, "and stays as it is");
    }

    #[test]
    fn two_writers_take_turns() {
        let (dir, mut first) = filled(1);
        let mut second = Ledger::open(&dir.path().join("state")).unwrap();
        for _ in 0..5 {
            first.append(Timestamp::UNIX_EPOCH, &opened("a")).unwrap();
            second.append(Timestamp::UNIX_EPOCH, &opened("b")).unwrap();
        }
        let verdict = first.verify(None).unwrap();
        assert_eq!((verdict.chain.entries, verdict.broken), (11, None));
    }
}
