//! What all threads share: the store, the ledger, turns, and whom they tell.

use super::ears::Doors;
use super::event::{Event, Level, Tell};
use super::gauge::Gauges;
use crate::store::{Chronicle, Halt, Store, StoreError};
use jiff::Timestamp;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// How long a class waits behind a failure.
const BACKOFF: Duration = Duration::from_secs(1);

/// What all threads share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) store: Arc<Store>,
    pub(super) state: PathBuf,
    /// Held by whoever finishes something, and by expiry: one at a time, so that expiry sees nothing half done.
    pub(super) turn: Arc<Mutex<()>>,
    /// Held by whoever takes up files, and alone by expiry: neither makes the forms of a file that the other is about to read.
    pub(super) admission: Arc<RwLock<()>>,
    /// Opened when it is first needed, and read on from there.
    chronicle: Arc<Mutex<Option<Chronicle>>>,
    pub(super) gauges: Gauges,
    pub(super) tell: Tell,
    pub(super) clock: fn() -> Timestamp,
    /// How long what is there may still be read once it has to stop.
    pub(super) drain: Duration,
    pub(super) polling: bool,
    /// Where others hand lines over; kept open while the configuration is read again.
    pub(super) doors: Doors,
}

impl Shared {
    pub(super) fn new(store: Store, job: &super::SidecarJob<'_>) -> Self {
        Self {
            store: Arc::new(store),
            state: job.state.clone(),
            turn: Arc::default(),
            admission: Arc::default(),
            chronicle: Arc::default(),
            gauges: job.gauges.clone(),
            tell: Arc::clone(&job.tell),
            clock: job.clock,
            drain: job.drain,
            polling: job.polling,
            doors: Doors::default(),
        }
    }

    /// Does something with the ledger as it is now.
    pub(super) fn ledger<T, E: From<StoreError>>(&self, deed: impl FnOnce(&mut Chronicle) -> Result<T, E>) -> Result<T, E> {
        let mut chronicle = self.chronicle.lock().unwrap_or_else(PoisonError::into_inner);
        let wall = (self.clock)();
        let chronicle = match &mut *chronicle {
            Some(chronicle) => chronicle,
            none => none.insert(Chronicle::open(&self.state, wall)?),
        };
        chronicle.turn(wall);
        chronicle.refresh()?;
        deed(chronicle)
    }
}

/// What keeps a class from working: told once, not every second.
#[derive(Default)]
pub(super) struct Trouble(Option<String>);

impl Trouble {
    /// Tells of a failure, and waits a while, or until it has to stop.
    pub(super) fn wait(&mut self, (shared, class): (&Shared, &str), halt: &Halt, stops: impl Fn() -> bool) {
        let text = halt.to_string();
        shared.gauges.class(class, |reading| reading.stuck = true);
        if self.0.as_ref() != Some(&text) {
            (shared.tell)(Event::new(Level::Error, "stuck").class(class).text(&text));
            self.0 = Some(text);
        }
        let until = Instant::now() + BACKOFF;
        while Instant::now() < until && !stops() {
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// It works again.
    pub(super) fn over(&mut self) {
        self.0 = None;
    }
}
