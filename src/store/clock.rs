//! Two clocks side by side: one that anybody can set, and one that only runs.

use super::{Cause, StoreError, sync_directory};
use jiff::{SignedDuration, Timestamp};
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Where the last reading is kept.
const NAME: &str = "clock.json";

/// What two clocks said at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The wall clock.
    pub wall: Timestamp,
    /// Seconds since the machine started, asleep or not.
    pub running: i64,
    /// Which start that was.
    pub start: String,
}

/// How far the clocks may come apart: corrections, leap seconds and the hour that a person may have set.
const APART: SignedDuration = SignedDuration::from_hours(1);

/// How long a machine may have been switched off without anybody saying so.
const OFF: SignedDuration = SignedDuration::from_hours(31 * 24);

/// What is wrong with a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Astray {
    /// It lies behind the last entry of the ledger.
    Behind,
    /// It ran further than the machine did.
    Ahead,
}

impl Reading {
    /// Reads both clocks; `wall` was read by whoever may.
    pub fn take(wall: Timestamp) -> Self {
        let running = rustix::time::clock_gettime(rustix::time::ClockId::Boottime).tv_sec;
        let start = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned();
        Self { wall, running, start }
    }

    /// Holds this reading against an earlier one and against the ledger's last entry.
    pub fn against(&self, before: Option<&Self>, latest: Option<Timestamp>) -> Option<Astray> {
        let latest = latest.max(before.map(|before| before.wall));
        if latest.is_some_and(|latest| self.wall < latest) {
            return Some(Astray::Behind);
        }
        let before = before?;
        let passed = self.wall.duration_since(before.wall);
        let unexplained = if self.start == before.start {
            passed - SignedDuration::from_secs(self.running - before.running) > APART
        } else {
            passed - SignedDuration::from_secs(self.running) > OFF
        };
        unexplained.then_some(Astray::Ahead)
    }

    /// The last reading that was kept; one that was torn says nothing.
    pub fn kept(state: &Path) -> Result<Option<Self>, StoreError> {
        let path = state.join(NAME);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("read", &path)(error)),
        }
    }

    /// Keeps this reading.
    pub fn keep(&self, state: &Path) -> Result<(), StoreError> {
        replace(state, NAME, &serde_json::to_vec(self).unwrap_or_default())
    }
}

/// Replaces a small file of the state directory, mode 0600: whole or not at all.
pub(in crate::store) fn replace(state: &Path, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let (path, draft) = (state.join(name), state.join(format!(".{name}.new")));
    let failed = || StoreError::io("write", &path);
    // Nobody else writes here: the directory is ours, and so is the lock.
    match rustix::fs::unlink(&draft) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(errno) => return Err(failed()(errno.into())),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = rustix::fs::open(&draft, flags, Mode::RUSR | Mode::WUSR).map(File::from).map_err(|errno| failed()(errno.into()))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed())?;
    rustix::fs::rename(&draft, &path).map_err(|errno| StoreError { verb: "write", path: path.clone(), cause: Cause::Io(errno.into()) })?;
    sync_directory(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(wall: &str, running: i64, start: &str) -> Reading {
        Reading { wall: wall.parse().unwrap(), running, start: start.to_owned() }
    }

    #[test]
    fn jumps_are_noticed() {
        let before = reading("2026-05-01T12:00:00Z", 1000, "a");
        let latest = Some(before.wall);
        let table = [
            ("an hour later", reading("2026-05-01T13:00:00Z", 4600, "a"), None),
            ("asleep for a month", reading("2026-06-01T12:00:00Z", 1000 + 31 * 86_400, "a"), None),
            ("a correction", reading("2026-05-01T13:00:30Z", 4600, "a"), None),
            ("1970", reading("1970-01-01T00:00:10Z", 10, "b"), Some(Astray::Behind)),
            ("a day back", reading("2026-04-30T12:00:00Z", 1060, "a"), Some(Astray::Behind)),
            ("a second back", reading("2026-05-01T11:59:59Z", 1060, "a"), Some(Astray::Behind)),
            ("a day ahead", reading("2026-05-02T12:00:00Z", 1060, "a"), Some(Astray::Ahead)),
            ("ten years ahead", reading("2036-05-01T12:00:00Z", 1060, "a"), Some(Astray::Ahead)),
            ("ten years ahead after a start", reading("2036-05-01T12:00:00Z", 60, "b"), Some(Astray::Ahead)),
            ("2038", reading("2038-01-19T03:14:08Z", 60, "b"), Some(Astray::Ahead)),
            ("ten years back", reading("2016-05-01T12:00:00Z", 1060, "a"), Some(Astray::Behind)),
            ("off for a week", reading("2026-05-08T12:00:00Z", 60, "b"), None),
        ];
        for (what, now, expected) in table {
            assert_eq!(now.against(Some(&before), latest), expected, "{what}");
        }
        assert_eq!(before.against(None, None), None);
        assert_eq!(before.against(None, Some("2026-05-01T12:00:01Z".parse().unwrap())), Some(Astray::Behind));
    }

    #[test]
    fn what_was_kept_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Reading::kept(dir.path()).unwrap(), None);
        let reading = Reading::take("2026-05-01T12:00:00Z".parse().unwrap());
        reading.keep(dir.path()).unwrap();
        reading.keep(dir.path()).unwrap();
        assert_eq!(Reading::kept(dir.path()).unwrap(), Some(reading));
    }
}
