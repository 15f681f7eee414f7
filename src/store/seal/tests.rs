//! Frames cut, turned over and taken out; files that grow again; keys that end.

use super::frame::{Head, walk};
use super::keychain::Gone;
use super::sealer::Appendix;
use super::*;
use crate::store::StoreError;
use crate::store::source::{BLOCK, Block, Codec, Filled, Source, Stop};
use crate::store::{Cause, ledger};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

struct World {
    _dir: tempfile::TempDir,
    state: PathBuf,
    keys: Keychain,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        Self { keys: Keychain::of(&state), state, _dir: dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.state.parent().unwrap().join(name)
    }

    fn sealing(&self) -> Sealing<'_> {
        Sealing { keys: &self.keys, class: "site", form: "raw", level: 3, mode: 0o600 }
    }

    fn key_file(&self, id: SealId) -> PathBuf {
        self.state.join("seals").join(format!("{id}.key"))
    }

    /// One stream of these pieces.
    fn sealed(&self, pieces: &[&[u8]]) -> Vec<u8> {
        let mut envelope = Envelope::new(self.keys.make(Some("site"), "raw").unwrap());
        let mut bytes: Vec<u8> = pieces.iter().flat_map(|piece| envelope.wrap(piece).unwrap().to_vec()).collect();
        bytes.extend(envelope.end());
        bytes
    }

    /// What it holds, as far as it can be read, and whether it ends well.
    fn open(&self, bytes: &[u8]) -> (Vec<u8>, Result<usize, std::io::Error>) {
        let mut plain = Vec::new();
        let end = Unsealed::new(std::io::Cursor::new(bytes.to_vec()), &self.keys, false).read_to_end(&mut plain);
        (plain, end)
    }

    fn end(&self, id: SealId) {
        let mut ledger = ledger::Ledger::open(&self.state).unwrap();
        let gone = self.keys.end(&BTreeSet::from([id]), &mut |entry| ledger.append("2026-11-22T00:00:00Z".parse().unwrap(), &entry).map(drop)).unwrap();
        assert_eq!(gone, [id]);
    }

    fn lines(&self, path: &Path) -> Result<Vec<u8>, StoreError> {
        let mut source = Source::open(path, &Stop::default(), 1 << 20, &self.keys)?;
        let (mut all, mut block) = (Vec::new(), Block::default());
        loop {
            let filled = source.fill(&mut block, BLOCK)?;
            all.extend_from_slice(block.as_bytes());
            if filled == Filled::End {
                return Ok(all);
            }
        }
    }
}

const PIECES: [&[u8]; 3] = [b"192.0.2.1 one\n", b"192.0.2.2 two\n", b"192.0.2.3 three\n"];

fn packed(codec: Codec, plain: &[u8]) -> Vec<u8> {
    match codec {
        Codec::Plain | Codec::Sealed | Codec::Age => plain.to_vec(),
        Codec::Gzip => {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
            writer.write_all(plain).unwrap();
            writer.finish().unwrap()
        }
        Codec::Zstd => zstd::bulk::compress(plain, 3).unwrap(),
        Codec::Bzip2 => {
            let mut writer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::new(6));
            writer.write_all(plain).unwrap();
            writer.finish().unwrap()
        }
        Codec::Xz => {
            let mut writer = liblzma::write::XzEncoder::new(Vec::new(), 3);
            writer.write_all(plain).unwrap();
            writer.finish().unwrap()
        }
    }
}

#[test]
fn every_codec_comes_back_from_under_a_seal() {
    let world = World::new();
    let text: String = (0..50_000).map(|number| format!("192.0.2.{} - - line {number}\n", number % 256)).collect();
    for codec in [Codec::Plain, Codec::Gzip, Codec::Zstd, Codec::Bzip2, Codec::Xz] {
        // A member to a frame, and frames that end anywhere in a member.
        let members: Vec<Vec<u8>> = text.as_bytes().chunks(300_000).map(|part| packed(codec, part)).collect();
        let whole = packed(codec, text.as_bytes());
        for pieces in [members.iter().map(Vec::as_slice).collect::<Vec<_>>(), whole.chunks(777).collect()] {
            let path = world.path("sealed");
            fs::write(&path, world.sealed(&pieces)).unwrap();
            assert_eq!(world.lines(&path).unwrap(), text.as_bytes(), "{codec:?}");
        }
    }
}

#[test]
fn a_cut_at_any_byte_is_said_and_gives_no_wrong_byte() {
    let world = World::new();
    let whole = world.sealed(&PIECES);
    let plain = PIECES.concat();
    assert!(matches!(world.open(&whole), (found, Ok(_)) if found == plain));
    for end in 1..whole.len() {
        let (found, ended) = world.open(&whole[..end]);
        assert!(ended.is_err(), "cut at {end}");
        assert!(plain.starts_with(&found), "cut at {end}");
    }
    // Frames that are whole are given out.
    assert_eq!(world.open(&whole[..whole.len() - 1]).0, plain);
}

#[test]
fn a_flipped_bit_is_an_error() {
    let world = World::new();
    let whole = world.sealed(&PIECES);
    let plain = PIECES.concat();
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            let (found, ended) = world.open(&bytes);
            assert!(ended.is_err(), "bit {bit} of byte {at}");
            assert!(plain.starts_with(&found), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn frames_have_their_place() {
    let world = World::new();
    let whole = world.sealed(&PIECES);
    let mut ends = vec![0];
    let read = &mut |buffer: &mut [u8], at: u64| (&whole[usize::try_from(at).unwrap().min(whole.len())..]).read(buffer);
    let walked = walk(whole.len() as u64, read, &mut |head: Head| ends.push(ends.last().unwrap() + 32 + usize::try_from(head.length).unwrap())).unwrap();
    assert_eq!((walked.end, walked.open, ends.len()), (whole.len() as u64, None, 5));
    let frame = |at: usize| &whole[ends[at]..ends[at + 1]];
    for order in [&[0, 2, 1, 3][..], &[0, 1, 3], &[1, 2, 3], &[0, 1, 1, 2, 3], &[0, 1, 2, 2, 3], &[3, 1, 2], &[0, 1, 2]] {
        let bytes: Vec<u8> = order.iter().flat_map(|at| frame(*at).to_vec()).collect();
        assert!(world.open(&bytes).1.is_err(), "{order:?}");
    }
    // Two streams are one behind the other; a frame of one has no place in the other.
    let other = world.sealed(&PIECES);
    let both = world.open(&[whole.clone(), other.clone()].concat());
    assert_eq!((both.0, both.1.is_ok()), ([PIECES.concat(), PIECES.concat()].concat(), true));
    let mixed = [frame(0), frame(1), &other[ends[2]..]].concat();
    assert!(world.open(&mixed).1.is_err());
    assert_eq!(world.open(&[&whole[..], b"192.0.2.9 plain behind it\n"].concat()).0, PIECES.concat());
}

#[test]
fn lengths_that_lie_take_no_memory() {
    let world = World::new();
    let mut bytes = world.sealed(&PIECES);
    bytes[24..32].copy_from_slice(&u64::MAX.to_be_bytes());
    assert!(world.open(&bytes).1.is_err());
    let mut endless = bytes[..32].to_vec();
    endless.extend_from_slice(AGE);
    endless.extend(std::iter::repeat_n(b'x', 1 << 20));
    assert!(world.open(&endless).1.unwrap_err().to_string().contains("has no end"));
}

#[test]
fn a_frame_without_its_head_is_an_age_file() {
    let world = World::new();
    let whole = world.sealed(&[b"192.0.2.7 hello\n"]);
    let path = world.path("single.age");
    fs::write(&path, &whole[32..whole.len() - 32]).unwrap();
    assert_eq!(world.lines(&path).unwrap(), b"192.0.2.7 hello\n");
    let other = World::new();
    other.keys.make(Some("site"), "raw").unwrap();
    assert!(other.lines(&path).unwrap_err().to_string().contains("not in this state directory"));
}

#[test]
fn a_grown_file_is_cut_back_and_goes_on() {
    let world = World::new();
    let path = world.path("grown.part");
    let mut sealer = Sealer::create(&path, &world.sealing()).unwrap();
    assert!(Sealer::create(&path, &world.sealing()).is_err(), "a file that is there is not overwritten");
    assert!(sealer.is_empty());
    let mut lengths = vec![0];
    for piece in PIECES {
        sealer.write(piece).unwrap();
        lengths.push(sealer.sync().unwrap());
    }
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let whole = fs::read(&path).unwrap();
    assert!(!whole.windows(7).any(|part| part == b"192.0.2"));
    for cut in 0..=whole.len() {
        let kept = lengths.iter().rposition(|length| *length <= cut as u64).unwrap();
        fs::write(&path, &whole[..cut]).unwrap();
        let mut again = Sealer::resume(&path, &world.sealing(), None).unwrap();
        assert_eq!(again.len(), lengths[kept], "cut at {cut}");
        again.write(b"192.0.2.99 after the crash\n").unwrap();
        let sealed = again.finish().unwrap();
        assert_eq!(sealed.bytes, fs::metadata(&path).unwrap().len());
        let expected = [&PIECES[..kept].concat()[..], b"192.0.2.99 after the crash\n"].concat();
        assert_eq!(world.lines(&path).unwrap(), expected, "cut at {cut}");
    }
    for (frames, committed) in lengths.iter().enumerate() {
        fs::write(&path, &whole).unwrap();
        let again = Sealer::resume(&path, &world.sealing(), Some(*committed)).unwrap();
        again.finish().unwrap();
        assert_eq!(world.lines(&path).unwrap(), PIECES[..frames].concat());
    }
    // Less than was committed is damage, not a crash.
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert!(Sealer::resume(&path, &world.sealing(), Some(whole.len() as u64)).is_err());
}

#[test]
fn appended_streams_heal_at_any_cut() {
    let world = World::new();
    let path = world.path("quarantine");
    let mut appendix = Appendix::heal(&File::options().read(true).write(true).create(true).truncate(false).open(&path).unwrap(), &world.keys).unwrap();
    let streams: Vec<Vec<u8>> = PIECES.iter().map(|piece| appendix.wrap(piece).unwrap()).collect();
    let whole = streams.concat();
    for cut in 0..=whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let file = File::options().read(true).append(true).open(&path).unwrap();
        let mut again = Appendix::heal(&file, &world.keys).unwrap();
        (&file).write_all(&again.wrap(b"192.0.2.99 later\n").unwrap()).unwrap();
        let found = world.lines(&path).unwrap();
        let kept = found.strip_suffix(b"192.0.2.99 later\n").unwrap();
        assert!(PIECES.concat().starts_with(kept), "cut at {cut}");
        // What was whole with its frame is there.
        let wholes = streams
            .iter()
            .scan(0, |end, stream| {
                *end += stream.len();
                Some(*end)
            })
            .filter(|end| *end <= cut + 32)
            .count();
        assert!(kept.len() >= PIECES[..wholes].concat().len(), "cut at {cut}");
    }
    fs::write(&path, b"192.0.2.1 plain\n").unwrap();
    assert!(Appendix::heal(&File::open(&path).unwrap(), &world.keys).is_err());
}

#[test]
fn keys_are_private_and_end_for_good() {
    let world = World::new();
    let path = world.path("sealed");
    let mut sealer = Sealer::create(&path, &world.sealing()).unwrap();
    sealer.write(b"192.0.2.1 one\n").unwrap();
    let id = sealer.finish().unwrap().seal;
    let file = world.key_file(id);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&file), mode(&world.state), mode(&world.state.join("seals"))), (0o400, 0o700, 0o700));
    let secret = fs::read_to_string(&file).unwrap();
    assert!(!format!("{:?} {:?}", world.keys, world.keys.seal(id).unwrap()).contains(secret.lines().last().unwrap()));
    let listed = world.keys.list().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].class.as_deref(), listed[0].form.as_deref(), listed[0].state), (Some("site"), Some("raw"), SealState::Held));
    // Readable by others: refused, and not by `chmod` alone made good in silence.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o440)).unwrap();
    assert!(matches!(world.lines(&path).unwrap_err().cause, Cause::Refused { why, .. } if why.contains("others can read")));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
    assert_eq!(world.lines(&path).unwrap(), b"192.0.2.1 one\n");
    world.end(id);
    assert!(!file.exists());
    assert!(matches!(world.lines(&path).unwrap_err().cause, Cause::Refused { why, .. } if why.contains("was destroyed")));
    assert_eq!(world.keys.list().unwrap()[0].state, SealState::Destroyed);
    for entry in fs::read_dir(world.state.join("seals")).unwrap().map(|entry| entry.unwrap().path()) {
        assert!(!fs::read_to_string(&entry).unwrap_or_default().contains("AGE-SECRET-KEY"), "{}", entry.display());
    }
    // Put back from a backup: refused, whoever asks.
    fs::write(&file, &secret).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
    assert!(matches!(world.lines(&path).unwrap_err().cause, Cause::Refused { why, .. } if why.contains("put it back")));
    assert_eq!(world.keys.list().unwrap()[0].state, SealState::Restored);
    assert!(world.keys.identities().unwrap().is_empty());
    world.end(id);
    assert!(!file.exists());
}

#[test]
fn a_destruction_that_was_begun_is_finished() {
    let world = World::new();
    let id = world.keys.make(Some("site"), "raw").unwrap().id();
    let begun = world.state.join("seals").join(format!("{id}.end"));
    fs::rename(world.key_file(id), &begun).unwrap();
    assert!(matches!(world.keys.identity(id), Err((Gone::Elsewhere, None))));
    let mut ledger = ledger::Ledger::open(&world.state).unwrap();
    world.keys.recover(&mut |entry| ledger.append("2026-11-22T00:00:00Z".parse().unwrap(), &entry).map(drop)).unwrap();
    assert!(!begun.exists());
    assert!(matches!(world.keys.identity(id), Err((Gone::Destroyed, None))));
    // Nobody makes one of that name again, and there is no second entry.
    let before = fs::read(world.state.join("ledger.jsonl")).unwrap();
    world.keys.recover(&mut |_| unreachable!("it is in the ledger")).unwrap();
    assert_eq!(fs::read(world.state.join("ledger.jsonl")).unwrap(), before);
}
