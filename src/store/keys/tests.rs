//! The key directory from the outside: modes, refusals, crashes, races, and what can be made again.

mod together;

use super::*;
use std::fs;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

const KEEP: SignedDuration = SignedDuration::from_hours(24);
const SEED: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn noon() -> Timestamp {
    at("2026-11-22T12:00:00Z")
}

fn day(text: &str) -> Period {
    text.parse().unwrap()
}

fn today() -> Period {
    day("2026-11-22")
}

fn name(key: &PeriodKey) -> String {
    let mut out = Vec::new();
    key.hex("client_addr", &[192, 0, 2, 1], &mut out);
    String::from_utf8(out).unwrap()
}

struct Place {
    temp: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { temp: tempfile::tempdir().unwrap() }
    }

    fn state(&self) -> PathBuf {
        self.temp.path().join("state")
    }

    fn key(&self, name: &str) -> PathBuf {
        self.state().join("keys").join(name)
    }

    fn seed(&self, mode: u32) -> PathBuf {
        let path = self.temp.path().join("seed");
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&path).unwrap();
        file.write_all(SEED).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn fleet(&self) -> KeyStore {
        KeyStore::init_fleet(&self.state(), &self.seed(0o600), noon(), KEEP).unwrap()
    }

    fn chmod(&self, name: &str, mode: u32) {
        fs::set_permissions(self.key(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Everything below the state directory, as one text.
    fn all_bytes(&self) -> Vec<u8> {
        fs::read_dir(self.state().join("keys")).unwrap().flat_map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect()
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn refusal<T: fmt::Debug>(result: Result<T, StoreError>) -> String {
    let error = result.unwrap_err();
    assert!(matches!(error.cause, Cause::Refused { .. }), "{error}");
    let text = error.to_string();
    assert_eq!(text.lines().count(), 2, "cause and remedy: {text}");
    text
}

#[test]
fn a_key_is_made_once_with_mode_0400_in_directories_of_mode_0700() {
    let place = Place::new();
    let store = KeyStore::init_local(&place.state()).unwrap();
    let one = name(&store.period_key(today(), noon(), KEEP).unwrap().unwrap());
    assert_eq!((mode(&place.state()), mode(&place.state().join("keys")), mode(&place.key("2026-11-22.key"))), (0o700, 0o700, 0o400));
    assert_eq!(fs::read(place.key("2026-11-22.key")).unwrap().len(), 32);
    let again = KeyStore::open(&place.state(), Some(KeyMode::Local)).unwrap();
    assert_eq!(name(&again.period_key(today(), noon(), KEEP).unwrap().unwrap()), one);
    assert_ne!(name(&again.period_key(day("2026-11-21"), noon(), KEEP).unwrap().unwrap()), one);
    assert_eq!(again.list().unwrap().periods, [(day("2026-11-21"), KeyState::Held), (today(), KeyState::Held)]);
    let left: Vec<_> = fs::read_dir(place.state().join("keys")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "two keys and the lock: {left:?}");
}

#[test]
fn keys_are_made_within_keep_only() {
    let place = Place::new();
    let store = KeyStore::init_local(&place.state()).unwrap();
    for (period, made) in [("2026-11-20", false), ("2026-11-21", true), ("2026-11-23", true), ("2026-11-24", false), ("1969-05-05", false), ("9999-12-30", false)] {
        assert_eq!(store.period_key(day(period), noon(), KEEP).unwrap().is_some(), made, "{period}");
        assert_eq!(place.key(&format!("{period}.key")).exists(), made, "{period}");
    }
    // What is there but too old is not used either, so that it does not matter whether it was destroyed in time.
    assert!(store.period_key(day("2026-11-21"), at("2026-11-23T00:00:01Z"), KEEP).unwrap().is_none());
    assert!(store.held_key(day("2026-11-21"), at("2026-11-23T00:00:01Z")).unwrap().is_some());
    assert!(store.held_key(day("2026-11-22"), noon()).unwrap().is_none());
}

#[test]
fn what_others_can_read_is_refused() {
    let place = Place::new();
    let store = KeyStore::init_local(&place.state()).unwrap();
    store.period_key(today(), noon(), KEEP).unwrap();
    for shared in [0o440, 0o404, 0o644, 0o420] {
        place.chmod("2026-11-22.key", shared);
        assert!(refusal(store.period_key(today(), noon(), KEEP)).contains("others can read"), "{shared:o}");
    }
    place.chmod("2026-11-22.key", 0o400);
    assert!(store.period_key(today(), noon(), KEEP).unwrap().is_some());
    for folder in [place.state(), place.state().join("keys")] {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o750)).unwrap();
        assert!(refusal(KeyStore::open(&place.state(), None)).contains("others can look into"));
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn links_odd_files_and_odd_sizes_are_refused() {
    let place = Place::new();
    let store = KeyStore::init_local(&place.state()).unwrap();
    let file = place.key("2026-11-22.key");
    symlink("/dev/zero", &file).unwrap();
    assert!(refusal(store.period_key(today(), noon(), KEEP)).contains("symbolic link"));
    fs::rename(&file, place.temp.path().join("moved")).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(refusal(store.period_key(today(), noon(), KEEP)).contains("regular file"));
    fs::remove_dir(&file).unwrap();
    for (bytes, words) in [(vec![7; 31], "size"), (vec![7; 33], "size"), (vec![], "size"), (vec![0; 32], "overwritten")] {
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&file).unwrap().write_all(&bytes).unwrap();
        assert!(refusal(store.period_key(today(), noon(), KEEP)).contains(words));
    }
    let real = place.temp.path().join("real");
    fs::rename(place.state(), &real).unwrap();
    symlink(&real, place.state()).unwrap();
    assert!(refusal(KeyStore::open(&place.state(), None)).contains("symbolic link"));
    assert!(refusal(KeyStore::open(&place.temp.path().join("none"), None)).contains("keys init"));
}

#[test]
fn what_belongs_to_another_user_is_refused() {
    let place = Place::new();
    let store = KeyStore::init_local(&place.state()).unwrap();
    store.period_key(today(), noon(), KEEP).unwrap();
    // Only root can give files away.
    if std::os::unix::fs::chown(place.key("2026-11-22.key"), Some(12_345), None).is_ok() {
        assert!(refusal(store.period_key(today(), noon(), KEEP)).contains("another user"));
        std::os::unix::fs::chown(place.state().join("keys"), Some(12_345), None).unwrap();
        assert!(refusal(KeyStore::open(&place.state(), None)).contains("another user"));
    }
}

#[test]
fn a_destroyed_period_is_overwritten_noted_and_never_made_again() {
    let place = Place::new();
    let store = KeyStore::init_local(&place.state()).unwrap();
    store.period_key(today(), noon(), KEEP).unwrap();
    let file = place.key("2026-11-22.key");
    let copy = fs::read(&file).unwrap();
    // Another name of the same file shows what became of its bytes.
    let witness = place.temp.path().join("witness");
    fs::hard_link(&file, &witness).unwrap();
    assert_eq!(store.destroy(today(), noon()).unwrap(), [today()]);
    assert_eq!(fs::read(&witness).unwrap(), [0; 32]);
    assert!(!file.exists());
    assert!(store.period_key(today(), noon(), KEEP).unwrap().is_none());
    assert!(KeyStore::open(&place.state(), None).unwrap().period_key(today(), noon(), KEEP).unwrap().is_none());
    assert!(!file.exists());
    assert_eq!(store.list().unwrap().periods, [(today(), KeyState::Destroyed)]);

    fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o400).open(&file).unwrap().write_all(&copy).unwrap();
    assert!(refusal(store.period_key(today(), noon(), KEEP)).contains("put it back"));
    assert!(refusal(store.held_key(today(), noon())).contains("put it back"));
    assert!(refusal(store.export(Export::Period(today()), Some(&place.temp.path().join("out")), (noon(), KEEP))).contains("put it back"));
    assert_eq!(store.list().unwrap().periods, [(today(), KeyState::Restored)]);
    assert_eq!(store.destroy(today(), noon()).unwrap(), [today()]);
    assert!(store.period_key(today(), noon(), KEEP).unwrap().is_none());
    // A period without a key is noted as well.
    assert_eq!(store.destroy(day("2026-11-21"), noon()).unwrap(), []);
    assert!(store.period_key(day("2026-11-21"), noon(), KEEP).unwrap().is_none());
    assert!(refusal(store.destroy(day("2026-11-23"), noon())).contains("not begun"));
}

#[test]
fn a_restored_state_directory_is_known_by_the_ledger() {
    let (place, backup) = (Place::new(), Place::new());
    let store = KeyStore::init_local(&place.state()).unwrap();
    store.period_key(today(), noon(), KEEP).unwrap();
    assert!(Command::new("cp").arg("-a").arg(place.state()).arg(backup.state()).status().unwrap().success());
    let ledger: BTreeSet<Period> = store.destroy(today(), noon()).unwrap().into_iter().collect();
    assert_eq!(store.restored(&ledger).unwrap(), []);
    assert_eq!(KeyStore::open(&backup.state(), None).unwrap().restored(&ledger).unwrap(), [today()]);
}

#[test]
fn expired_keys_go_and_the_others_stay() {
    let place = Place::new();
    let store = KeyStore::init_local(&place.state()).unwrap();
    for period in ["2026-11-21", "2026-11-22", "2026-11-23"] {
        store.period_key(day(period), noon(), KEEP).unwrap().unwrap();
    }
    assert_eq!(store.destroy_expired(at("2026-11-23T00:00:00Z"), KEEP).unwrap(), []);
    assert_eq!(store.destroy_expired(at("2026-11-24T00:00:00.1Z"), KEEP).unwrap(), [day("2026-11-21"), day("2026-11-22")]);
    assert_eq!(store.destroy_expired(at("2026-11-24T00:00:00.1Z"), KEEP).unwrap(), []);
    let states: Vec<_> = store.list().unwrap().periods.into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, [KeyState::Destroyed, KeyState::Destroyed, KeyState::Held]);
    // A clock that goes back makes none of them anew.
    assert!(store.period_key(today(), noon(), KEEP).unwrap().is_none());
}

#[test]
fn a_crash_at_any_step_of_a_destruction_is_finished_by_the_next_start() {
    for (cut, line) in [(false, true), (true, true), (true, false)] {
        let place = Place::new();
        let store = KeyStore::init_local(&place.state()).unwrap();
        store.period_key(today(), noon(), KEEP).unwrap();
        let note = "{\"at\":\"2026-11-22T12:00:00Z\",\"mode\":\"local\",\"period\":\"2026-11-22\",\"done\":false}";
        // Noted; noted and half overwritten; the note itself cut.
        let text = if line { format!("{note}\n") } else { note[..40].to_owned() };
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(place.key("destroyed.jsonl")).unwrap().write_all(text.as_bytes()).unwrap();
        if cut && line {
            place.chmod("2026-11-22.key", 0o600);
            fs::OpenOptions::new().write(true).open(place.key("2026-11-22.key")).unwrap().write_all(&[0; 32]).unwrap();
        }
        let store = KeyStore::open(&place.state(), None).unwrap();
        assert_eq!(place.key("2026-11-22.key").exists(), !line);
        assert_eq!(store.period_key(today(), noon(), KEEP).unwrap().is_some(), !line);
        store.destroy(day("2026-11-21"), noon()).unwrap();
        KeyStore::open(&place.state(), None).unwrap();
    }
}

#[test]
fn leftovers_of_a_crash_are_destroyed_and_do_no_harm() {
    let place = Place::new();
    let store = KeyStore::init_local(&place.state()).unwrap();
    fs::OpenOptions::new().write(true).create_new(true).mode(0o400).open(place.key(".new")).unwrap().write_all(&[7; 12]).unwrap();
    fs::hard_link(place.key(".new"), place.temp.path().join("witness")).unwrap();
    assert!(store.period_key(today(), noon(), KEEP).unwrap().is_some());
    assert!(!place.key(".new").exists());
    assert_eq!(fs::read(place.temp.path().join("witness")).unwrap(), [0; 12]);

    // Fleet: the crash came between the second name and the rename, or behind the rename.
    let place = Place::new();
    let store = place.fleet();
    let one = name(&store.period_key(today(), noon(), KEEP).unwrap().unwrap());
    fs::hard_link(place.key("fleet.state"), place.key(".old")).unwrap();
    let store = KeyStore::open(&place.state(), Some(KeyMode::Fleet)).unwrap();
    assert_eq!(name(&store.period_key(today(), noon(), KEEP).unwrap().unwrap()), one);
    assert!(!place.key(".old").exists());
    fs::copy(place.key("fleet.state"), place.key(".old")).unwrap();
    fs::hard_link(place.key(".old"), place.temp.path().join("witness")).unwrap();
    assert_eq!(name(&store.period_key(today(), noon(), KEEP).unwrap().unwrap()), one);
    assert!(!place.key(".old").exists());
    assert!(fs::read(place.temp.path().join("witness")).unwrap().iter().all(|byte| *byte == 0));
}

#[test]
fn a_damaged_record_of_destructions_is_refused() {
    let place = Place::new();
    let store = KeyStore::init_local(&place.state()).unwrap();
    store.destroy(day("2026-11-21"), noon()).unwrap();
    let file = place.key("destroyed.jsonl");
    assert_eq!(mode(&file), 0o600);
    let text = fs::read_to_string(&file).unwrap();
    fs::OpenOptions::new().write(true).truncate(true).open(&file).unwrap().write_all(text.replace("2026-11-21", "2026-11-2x").as_bytes()).unwrap();
    assert!(refusal(store.period_key(today(), noon(), KEEP)).contains("destroyed.jsonl"));
}

#[test]
fn a_seed_is_taken_over_and_destroyed() {
    let place = Place::new();
    let seed = place.seed(0o400);
    fs::hard_link(&seed, place.temp.path().join("witness")).unwrap();
    let store = KeyStore::init_fleet(&place.state(), &seed, noon(), KEEP).unwrap();
    assert!(!seed.exists());
    assert_eq!(fs::read(place.temp.path().join("witness")).unwrap(), [0; 32]);
    assert_eq!(mode(&place.key("fleet.state")), 0o400);
    assert_eq!(store.list().unwrap().periods, [(day("2026-11-21"), KeyState::Held)]);
    assert!(!place.all_bytes().windows(8).any(|bytes| SEED.windows(8).any(|part| part == bytes)));
    // Once more, as after a crash in front of the seed's end.
    let again = KeyStore::init_fleet(&place.state(), &place.seed(0o400), noon(), KEEP).unwrap();
    assert_eq!(name(&again.period_key(today(), noon(), KEEP).unwrap().unwrap()), name(&store.period_key(today(), noon(), KEEP).unwrap().unwrap()));
    assert!(!seed.exists());

    let other = Place::new();
    let path = other.seed(0o600);
    fs::OpenOptions::new().write(true).open(&path).unwrap().write_all(b"X").unwrap();
    assert!(refusal(KeyStore::init_fleet(&place.state(), &path, noon(), KEEP)).contains("another fleet"));
    assert!(path.exists());
    assert!(refusal(KeyStore::init_local(&place.state())).contains("fleet mode"));
    assert!(refusal(KeyStore::open(&place.state(), Some(KeyMode::Local))).contains("another mode"));
}

#[test]
fn bad_seeds_are_refused_and_stay() {
    let place = Place::new();
    let path = place.seed(0o644);
    assert!(refusal(KeyStore::init_fleet(&place.state(), &path, noon(), KEEP)).contains("others can read"));
    for (bytes, words) in [(&SEED[..31], "32 bytes"), (&[b'a'; 64][..], "random"), (&b"logfade fleet state 1\n2026-11-22\nnot the digits"[..], "fleet state")] {
        let path = place.seed(0o600);
        fs::OpenOptions::new().write(true).truncate(true).open(&path).unwrap().write_all(bytes).unwrap();
        assert!(refusal(KeyStore::init_fleet(&place.state(), &path, noon(), KEEP)).contains(words));
        assert!(path.exists() && !place.key("fleet.state").exists());
    }
    assert!(KeyStore::init_fleet(&place.state(), &place.temp.path().join("none"), noon(), KEEP).is_err());
    KeyStore::init_local(&place.state()).unwrap().period_key(today(), noon(), KEEP).unwrap();
    assert!(refusal(KeyStore::init_fleet(&place.state(), &place.seed(0o600), noon(), KEEP)).contains("local mode"));
}

#[test]
fn a_fleet_writes_one_pseudonym_for_400_days_and_forgets_each() {
    let (one, other) = (Place::new(), Place::new());
    let (one_store, other_store) = (one.fleet(), other.fleet());
    let exported = other.temp.path().join("state.txt");
    let mut seen = BTreeSet::new();
    for passed in 0..400_i64 {
        let now = noon() + SignedDuration::from_hours(24 * passed);
        let period = Period::of(now);
        let name_of = |store: &KeyStore| store.period_key(period, now, KEEP).unwrap().map(|key| name(&key));
        let here = name_of(&one_store);
        assert!(here.is_some());
        assert_eq!(here, name_of(&other_store), "{period}");
        assert!(seen.insert(here));
        one_store.destroy_expired(now, KEEP).unwrap();
    }
    let now = noon() + SignedDuration::from_hours(24 * 399);
    // The one has stepped on, the other has not; what it exports has.
    assert!(one_store.held_key(today(), now).unwrap().is_none());
    assert!(other_store.held_key(today(), now).unwrap().is_some());
    other_store.export(Export::Current, Some(&exported), (now, KEEP)).unwrap();
    assert_eq!(mode(&exported), 0o400);
    assert_eq!(fs::read(&exported).unwrap(), fs::read(one.key("fleet.state")).unwrap());
    let third = Place::new();
    let store = KeyStore::init_fleet(&third.state(), &exported, now, KEEP).unwrap();
    assert!(!exported.exists());
    assert_eq!(name(&store.period_key(Period::of(now), now, KEEP).unwrap().unwrap()), name(&one_store.period_key(Period::of(now), now, KEEP).unwrap().unwrap()));
    assert!(store.held_key(today(), now).unwrap().is_none());
}

/// Takes every 32 bytes of every file, binary and as hex, for a key, for a seed, and for the state of every day from the
/// first that was kept to the one after.
fn can_make(place: &Place, secret: &str) -> bool {
    can_be_made_of(&place.all_bytes(), secret)
}

fn can_be_made_of(bytes: &[u8], secret: &str) -> bool {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let unhex = |text: &[u8]| text.chunks(2).map(byte).collect::<Option<Vec<u8>>>();
    let parts = bytes.windows(32).map(<[u8]>::to_vec).chain(bytes.windows(64).filter_map(unhex));
    let last = today().day().unwrap();
    parts.flat_map(|part| part.try_into().ok()).any(|part: [u8; 32]| {
        let states = (last - 2..=last + 1).map(|start| Ratchet::from_state(start, &part));
        let made = states.chain([Ratchet::from_seed(&part)]).filter_map(|ratchet| ratchet.key_bytes(today()));
        made.map(|bytes| PeriodKey::from_bytes(&bytes)).chain([PeriodKey::from_bytes(&part)]).any(|key| name(&key) == secret)
    })
}

#[test]
fn after_a_day_is_destroyed_nothing_in_the_state_directory_makes_its_key() {
    let place = Place::new();
    let store = place.fleet();
    let secret = name(&store.period_key(today(), noon(), KEEP).unwrap().unwrap());
    let before = fs::read(place.key("fleet.state")).unwrap();
    assert!(can_make(&place, &secret), "the search finds what is there");
    assert_eq!(store.destroy(today(), noon()).unwrap(), [day("2026-11-21"), today()]);
    assert!(store.period_key(today(), noon(), KEEP).unwrap().is_none());
    assert!(store.held_key(day("2026-11-21"), noon()).unwrap().is_none());
    assert!(store.period_key(day("2026-11-23"), noon(), KEEP).unwrap().is_some());
    assert!(!can_make(&place, &secret));
    // A restored state is refused, and so is a restored file by the ledger's word.
    place.chmod("fleet.state", 0o600);
    fs::OpenOptions::new().write(true).truncate(true).open(place.key("fleet.state")).unwrap().write_all(&before).unwrap();
    assert!(refusal(store.period_key(day("2026-11-23"), noon(), KEEP)).contains("put it back"));
    assert!(refusal(store.export(Export::Current, Some(&place.temp.path().join("out")), (noon(), KEEP))).contains("put it back"));
    assert_eq!(store.restored(&[today()].into()).unwrap(), [today()]);
    assert_eq!(store.list().unwrap().periods.last(), Some(&(day("2026-11-21"), KeyState::Restored)));
    store.destroy(today(), noon()).unwrap();
    assert_eq!(store.restored(&[today()].into()).unwrap(), []);
    assert!(store.period_key(day("2026-11-23"), noon(), KEEP).unwrap().is_some());
}

#[test]
fn an_exported_period_key_is_the_key_and_no_state() {
    for fleet in [false, true] {
        let place = Place::new();
        let store = if fleet { place.fleet() } else { KeyStore::init_local(&place.state()).unwrap() };
        let key = name(&store.period_key(today(), noon(), KEEP).unwrap().unwrap());
        let out = place.temp.path().join("out");
        store.export(Export::Period(today()), Some(&out), (noon(), KEEP)).unwrap();
        assert_eq!(mode(&out), 0o400);
        let bytes: [u8; 32] = fs::read(&out).unwrap().try_into().unwrap();
        assert_eq!(name(&PeriodKey::from_bytes(&bytes)), key);
        assert_ne!(name(&PeriodKey::from_bytes(&Ratchet::from_state(20_779, &bytes).key_bytes(today()).unwrap())), key);
        assert!(refusal(store.export(Export::Period(today()), Some(&out), (noon(), KEEP))).contains("already"));
        assert!(refusal(store.export(Export::Period(day("2026-11-25")), None, (noon(), KEEP))).contains("no such key"));
        if !fleet {
            assert!(refusal(store.export(Export::Current, None, (noon(), KEEP))).contains("no such key"));
        }
    }
}

#[test]
fn no_key_material_in_debug_and_errors() {
    let place = Place::new();
    let store = place.fleet();
    let text = fs::read_to_string(place.key("fleet.state")).unwrap();
    let digits = text.lines().nth(2).unwrap();
    place.chmod("fleet.state", 0o600);
    fs::OpenOptions::new().write(true).truncate(true).open(place.key("fleet.state")).unwrap().write_all(text.replace("2026-11-21", "2026-11-21 ").trim_end().as_bytes()).unwrap();
    let error = store.period_key(today(), noon(), KEEP).unwrap_err();
    for shown in [format!("{store:?}"), format!("{error:?}"), error.to_string()] {
        assert!(!digits.as_bytes().windows(6).any(|part| shown.contains(std::str::from_utf8(part).unwrap())), "{shown}");
    }
}
