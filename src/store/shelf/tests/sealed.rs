//! Sealed files stopped at every change: where a deletion and the end of its key meet, no record is lost and no copy outlives its key.

use super::*;
use crate::store::seal::{Envelope, Keychain, MAGIC, SealId, Unsealed};
use std::io::Read;

/// What bytes hold, opened and decoded; nothing of what cannot be opened.
pub(super) fn plain(bytes: &[u8], keys: &Keychain) -> Vec<u8> {
    let mut plain = bytes.to_vec();
    if bytes.starts_with(&MAGIC) {
        plain.clear();
        let opened = Unsealed::new(std::io::Cursor::new(bytes.to_vec()), keys, false).read_to_end(&mut plain);
        plain.truncate(opened.unwrap_or_default());
    }
    if plain.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) { zstd::decode_all(&*plain).unwrap_or_default() } else { plain }
}

struct Sealed {
    world: World,
    _dir: tempfile::TempDir,
    /// The key of the raw file, and a copy of that file, as a backup has it.
    id: SealId,
    copy: Vec<u8>,
}

impl Sealed {
    fn new(days: &[u32]) -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let state = dir.path().join("state");
        let mut world = World::new(days);
        let memory = world.memory.clone();
        world.shelf.seals = Keychain::with_fuse(&state, Box::new(move || memory.change()));
        world.journal.state = Some(state);
        world.sealed = true;
        let seal = world.shelf.seals.make(Some("site"), "raw").unwrap();
        let id = seal.id();
        let mut envelope = Envelope::new(seal);
        let text = world.text("/logs").concat();
        let mut copy = envelope.wrap(text.as_bytes()).unwrap().to_vec();
        copy.extend(envelope.end());
        world.memory.state().put(RAW, &copy);
        Self { world, _dir: dir, id, copy }
    }

    fn opens(&self) -> bool {
        let mut plain = Vec::new();
        Unsealed::new(std::io::Cursor::new(self.copy.clone()), &self.world.shelf.seals, false).read_to_end(&mut plain).is_ok()
    }

    fn nothing_is_plain(&self, when: &str) {
        for (path, bytes) in self.world.memory.state().tree().iter().filter(|(path, _)| !path.starts_with("/secret")) {
            for word in [&b"203.0.113."[..], b"/page/"] {
                assert!(memchr::memmem::find(bytes, word).is_none(), "{when}: {path} holds plain bytes");
            }
        }
    }

    fn check(&self, days: &[u32], when: &str) {
        self.world.nothing_is_lost(days, when);
        self.nothing_is_plain(when);
    }

    fn all_is_done(&self, days: &[u32], when: &str) {
        self.world.all_is_done(days, when);
        self.nothing_is_plain(when);
        assert_eq!(self.opens(), !days.contains(&1), "{when}: the copy and the key");
        let ended = self.world.journal.entries.iter().filter(|entry| matches!(entry, Entry::Key(key) if key.period == self.id.to_string())).count();
        assert_eq!(ended, usize::from(days.contains(&1)), "{when}: entries of the key");
    }
}

#[test]
fn one_run_seals_and_ends() {
    for days in CASES {
        let mut sealed = Sealed::new(days);
        sealed.check(days, "before");
        sealed.world.run().unwrap();
        sealed.all_is_done(days, "at once");
        assert!(sealed.world.memory.state().tree().keys().any(|path| path.starts_with("/out/") && path.ends_with(".zst.age")));
        sealed.world.run().unwrap();
        sealed.all_is_done(days, "and nothing is left to do");
    }
}

#[test]
fn a_crash_at_any_change_loses_nothing_and_leaves_no_key() {
    for days in CASES {
        for survives in [Survives::All, Survives::Synced, Survives::Half] {
            for k in 1.. {
                let when = format!("{days:?} {survives:?} change {k}");
                let mut sealed = Sealed::new(days);
                sealed.world.memory.arm(k, Fault::Crash);
                let ended = sealed.world.run();
                if !sealed.world.memory.is_spent() {
                    ended.unwrap();
                    assert!(k > 10, "{when}: the run makes changes");
                    break;
                }
                sealed.world.memory.reboot(survives);
                sealed.check(days, &when);
                sealed.world.run().unwrap_or_else(|halt| panic!("{when}: {halt}"));
                sealed.all_is_done(days, &when);
            }
        }
    }
}

#[test]
fn a_failure_at_any_step_heals() {
    for days in CASES {
        for k in 1.. {
            let when = format!("{days:?} step {k}");
            let mut sealed = Sealed::new(days);
            sealed.world.memory.arm(k, Fault::Fail(Errno::NOSPC));
            let ended = sealed.world.run();
            if !sealed.world.memory.is_spent() {
                ended.unwrap();
                break;
            }
            sealed.check(days, &when);
            sealed.world.memory.restart();
            sealed.world.run().unwrap_or_else(|halt| panic!("{when}: {halt}"));
            sealed.all_is_done(days, &when);
        }
    }
}

/// A hold that comes between the end of a key and the end of its file comes too late: what nobody can read is not brought back.
#[test]
fn a_hold_behind_the_end_of_a_key_brings_no_file_back() {
    let days: &[u32] = &[1];
    let mut dead = 0;
    for k in 1.. {
        let mut sealed = Sealed::new(days);
        sealed.world.memory.arm(k, Fault::Crash);
        drop(sealed.world.run());
        if !sealed.world.memory.is_spent() {
            break;
        }
        sealed.world.memory.reboot(Survives::Synced);
        let World { shelf, journal, .. } = &mut sealed.world;
        let logs = shelf.folder(Path::new("/"), Path::new("logs")).unwrap();
        shelf.recover(&logs, &|_| true, journal).unwrap();
        let stands = sealed.world.memory.state().tree().contains_key(RAW);
        assert_eq!(stands, sealed.opens(), "change {k}: the file without its key, or the key without its file");
        dead += usize::from(!stands);
    }
    assert!(dead > 0);
}
