//! Scrubbers that nobody uses just now: what one remembers takes megabytes and time, and serves the next log as well.

use crate::format::Format;
use crate::scrub::{Scrubber, Settings};
use jiff::Timestamp;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Scrubbers of settings that differ in their formats alone, for logs of which each line stands for itself.
pub(super) struct Stock {
    /// The newest last.
    idle: Mutex<Vec<(Vec<Arc<Format>>, Scrubber)>>,
    /// So many are kept.
    most: usize,
}

impl Stock {
    pub(super) const fn new(most: usize) -> Self {
        Self { idle: Mutex::new(Vec::new()), most }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Vec<Arc<Format>>, Scrubber)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A scrubber for these formats, which goes on behind a record of this time, if there was one.
    pub(super) fn take(&self, formats: &[Arc<Format>], moment: Option<Timestamp>, settings: impl FnOnce() -> Settings) -> Scrubber {
        let known = {
            let mut idle = self.idle();
            let serves = |of: &[Arc<Format>]| of.len() == formats.len() && of.iter().zip(formats).all(|(one, other)| Arc::ptr_eq(one, other));
            idle.iter().rposition(|(of, _)| serves(of)).map(|at| idle.remove(at).1)
        };
        let mut scrubber = known.unwrap_or_else(|| Scrubber::new(&settings()));
        scrubber.go_on_from(moment);
        scrubber
    }

    /// Another log may go on with it, unless a part of a line waits in it for the next one.
    pub(super) fn give_back(&self, formats: &[Arc<Format>], scrubber: Scrubber) {
        if !scrubber.is_between_lines() {
            return;
        }
        let mut idle = self.idle();
        if idle.len() == self.most {
            idle.remove(0);
        }
        idle.push((formats.to_vec(), scrubber));
    }

    /// Gives back their memory.
    pub(super) fn clear(&self) {
        self.idle().clear();
    }
}
