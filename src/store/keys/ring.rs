//! Keys that are loaded: shared by all workers, made on demand, forgotten when their time is over.

use super::{KeyStore, StoreError};
use crate::scrub::{KeySource, Period, PeriodKey};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What says the time: the binary's clock.
type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// The keys of a key directory as the gate asks for them.
pub struct KeyRing {
    store: KeyStore,
    keep: SignedDuration,
    clock: Clock,
    /// Whether keys that it makes are forgotten with it.
    trial: bool,
    loaded: Mutex<Loaded>,
}

#[derive(Default)]
struct Loaded {
    keys: BTreeMap<Period, Option<Arc<PeriodKey>>>,
    revision: u64,
    failed: Option<StoreError>,
    /// After a failure nothing is tried again: what is written behind it would have other pseudonyms.
    broken: bool,
}

impl KeyRing {
    /// Keys of `store`, each for `keep` after its period.
    pub fn new(store: KeyStore, keep: SignedDuration, clock: Clock) -> Arc<Self> {
        Arc::new(Self { store, keep, clock, trial: false, loaded: Mutex::default() })
    }

    /// The same for a look ahead: it leaves no key behind.
    pub fn trial(store: KeyStore, keep: SignedDuration, clock: Clock) -> Arc<Self> {
        Arc::new(Self { store, keep, clock, trial: true, loaded: Mutex::default() })
    }

    /// For [`crate::scrub::Settings`].
    pub fn source(self: &Arc<Self>) -> KeySource {
        let ring = Arc::clone(self);
        KeySource::new(move |period| ring.key(period))
    }

    /// Why keys are missing that should be there. The run ends with it: records were truncated in the meantime.
    pub fn failure(&self) -> Option<StoreError> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).failed.take()
    }

    fn key(&self, period: Period) -> Option<Arc<PeriodKey>> {
        let now = (self.clock)();
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        // Times outside `keep` are refused without a trace of them, so that odd times cannot fill the memory.
        loaded.keys.retain(|period, _| period.is_kept(now, self.keep));
        if loaded.broken || !period.is_kept(now, self.keep) {
            return None;
        }
        let revision = self.store.revision();
        if loaded.revision != revision {
            loaded.keys.clear();
            loaded.revision = revision;
        }
        if let Some(key) = loaded.keys.get(&period) {
            return key.clone();
        }
        let asked = if self.trial { self.store.trial_key(period, now, self.keep) } else { self.store.period_key(period, now, self.keep) };
        match asked {
            Ok(key) => {
                let key = key.map(Arc::new);
                loaded.keys.insert(period, key.clone());
                key
            }
            Err(error) => {
                loaded.failed = Some(error);
                loaded.broken = true;
                None
            }
        }
    }
}
