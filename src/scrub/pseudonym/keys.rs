//! The keys that one scrubber uses: asked for when a record's period changes, and again with every block.

use super::{Period, PeriodKey};
use jiff::Timestamp;
use std::fmt;
use std::sync::Arc;

/// Where the key of a period comes from. `None`: it is gone, or was never there, and the record is truncated.
///
/// It is shared by the workers and called for a few records of a block at most; what it does (mint, read, refuse) is not
/// known here.
#[derive(Clone)]
pub struct KeySource {
    ask: Arc<Ask>,
}

type Ask = dyn Fn(Period) -> Option<Arc<PeriodKey>> + Send + Sync;

impl KeySource {
    /// A source that asks `ask`.
    pub fn new(ask: impl Fn(Period) -> Option<Arc<PeriodKey>> + Send + Sync + 'static) -> Self {
        Self { ask: Arc::new(ask) }
    }

    /// The key of a period.
    pub fn key(&self, period: Period) -> Option<Arc<PeriodKey>> {
        (self.ask)(period)
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySource").finish_non_exhaustive()
    }
}

/// The key of the record that is being scrubbed.
pub(crate) struct Keys {
    source: KeySource,
    last: Option<(Period, Option<Arc<PeriodKey>>)>,
}

impl Keys {
    pub(crate) const fn new(source: KeySource) -> Self {
        Self { source, last: None }
    }

    /// At the start of each block: so that a key whose time is over, or that was destroyed, is used to the end of a block
    /// at most.
    pub(crate) fn forget(&mut self) {
        self.last = None;
    }

    /// The key of a record's own time.
    #[inline]
    pub(crate) fn of(&mut self, time: Option<Timestamp>) -> Option<&PeriodKey> {
        let period = Period::of(time?);
        if self.last.as_ref().is_none_or(|(last, _)| *last != period) {
            self.last = Some((period, self.source.key(period)));
        }
        self.last.as_ref().and_then(|(_, key)| key.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn asked_once_per_period_and_block() {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let source = KeySource::new(move |period: Period| {
            count.fetch_add(1, Ordering::Relaxed);
            (period.day() == Some(1)).then(|| Arc::new(PeriodKey::from_bytes(&[1; 32])))
        });
        let mut keys = Keys::new(source);
        let at = |second| Timestamp::from_second(second).ok();
        assert!(keys.of(None).is_none());
        for second in 86_400..86_500 {
            assert!(keys.of(at(second)).is_some());
        }
        assert!(keys.of(at(86_399)).is_none());
        assert!(keys.of(at(86_398)).is_none());
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        keys.forget();
        assert!(keys.of(at(86_400)).is_some());
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }
}
