//! Waits until something happens in some directories: told by the kernel where it can, else for a moment.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use std::collections::HashSet;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a look waits where nobody tells.
const POLL: Duration = Duration::from_millis(200);

/// What happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Woken {
    /// Something was written.
    pub written: bool,
    /// Names came, went or changed, or nobody can say that they did not.
    pub names: bool,
}

/// Directories that are watched.
pub struct DirectoryWatch {
    inotify: Option<OwnedFd>,
    watched: HashSet<PathBuf>,
    /// Some directory cannot be watched: it is looked at now and then.
    blind: bool,
}

impl DirectoryWatch {
    /// Watches nothing yet. Where the kernel does not tell, everything is looked at now and then.
    pub fn new(polling: bool) -> Self {
        let inotify = if polling { None } else { inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok() };
        Self { blind: inotify.is_none(), inotify, watched: HashSet::new() }
    }

    /// Watches a directory from now on.
    pub fn add(&mut self, directory: &Path) {
        let Some(inotify) = &self.inotify else { return };
        let flags = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE | WatchFlags::CLOSE_WRITE | WatchFlags::MOVE_SELF | WatchFlags::DELETE_SELF;
        match inotify::add_watch(inotify, directory, flags) {
            Ok(_) => drop(self.watched.insert(directory.to_owned())),
            // Not there yet, or no watch left.
            Err(_) => self.blind = true,
        }
    }

    /// Watches these directories and tries again those that could not be watched.
    pub fn all<'a>(&mut self, directories: impl Iterator<Item = &'a Path>) {
        self.blind = self.inotify.is_none();
        for directory in directories {
            // A directory that was exchanged for another of the same name is watched anew: adding twice costs nothing.
            self.add(directory);
        }
    }

    /// Waits for `most` at most.
    pub fn wait(&mut self, most: Duration) -> Woken {
        let most = if self.blind { most.min(POLL) } else { most };
        let timeout = Timespec { tv_sec: most.as_secs().try_into().unwrap_or(1), tv_nsec: most.subsec_nanos().into() };
        let mut fds: Vec<PollFd<'_>> = self.inotify.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        // An interrupted wait is a wait that ended.
        let _woken = poll(&mut fds, Some(&timeout));
        let mut woken = Woken { written: false, names: self.blind };
        let Some(inotify) = &self.inotify else { return woken };
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let mut reader = inotify::Reader::new(inotify, &mut buffer);
        while let Ok(event) = reader.next() {
            let kind = event.events();
            woken.written = true;
            woken.names |= !kind.difference(inotify::ReadFlags::MODIFY | inotify::ReadFlags::CLOSE_WRITE).is_empty();
        }
        woken
    }
}
