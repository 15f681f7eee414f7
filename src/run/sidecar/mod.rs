//! `run`: the sidecar. It follows and listens, writes the forms of every class, and expires on its own clock.
//!
//! One thread per class (files or listeners in, [`sink`] out) and one that finishes what it has written, one for expiry. What a thread
//! knows is in its checkpoint; what others may know of it is in [`gauge::Gauges`].

mod ears;
pub mod event;
mod expiry;
mod follow;
pub mod gauge;
mod ground;
mod lane;
mod listen;
mod log;
pub mod metrics;
pub mod notify;
mod plan;
mod raw;
mod settle;
mod shared;
pub mod sink;
mod stretch;

pub use plan::Lookups;

use crate::retain::{Class, Config, Source};
use crate::scrub::Policy;
use crate::store::confine::Ground;
use crate::store::keys::KeyStore;
use crate::store::source::Stop;
use crate::store::{Store, StoreError};
use event::{Event, Level, Tell};
use gauge::Gauges;
use jiff::{SignedDuration, Timestamp};
use plan::ClassPlan;
use shared::Shared;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often it is looked whether a signal came.
const TICK: Duration = Duration::from_millis(50);

/// Finds the keys and places of a policy.
pub type Lookup = Box<dyn Fn(&Arc<Policy>) -> Lookups + Send + Sync>;

/// What a configuration comes down to.
pub struct Setup {
    /// The configuration.
    pub config: Config,
    /// Finds the keys and places of a policy.
    pub lookups: Lookup,
    /// Keys whose time may end, and how long each stays behind its period.
    pub keys: Option<(KeyStore, SignedDuration)>,
}

/// What a signal asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Nothing.
    Nothing,
    /// Read the configuration again.
    Reload,
    /// End.
    End,
}

/// What the sidecar is given.
pub struct SidecarJob<'a> {
    /// The state directory.
    pub state: PathBuf,
    /// Files that [`Self::load`] reads.
    pub reads: Vec<PathBuf>,
    /// Reads the configuration; the error is what is said of a fault.
    pub load: Box<dyn Fn() -> Result<Setup, String> + 'a>,
    /// What a signal asked for since the last call.
    pub asked: Box<dyn Fn() -> Asked + 'a>,
    /// The wall clock.
    pub clock: fn() -> Timestamp,
    /// How long it may take to end.
    pub drain: Duration,
    /// Does without the kernel's word about files.
    pub polling: bool,
    /// Whom it tells.
    pub tell: Tell,
    /// What others look at.
    pub gauges: Gauges,
}

/// What runs under one configuration.
struct Crew {
    stop: Stop,
    threads: Vec<JoinHandle<()>>,
}

/// Runs until it is asked to end. The error is one of setting up: the lock, the state directory.
pub fn run(job: &SidecarJob<'_>, first: Setup) -> Result<(), StoreError> {
    let shared = Shared::new(Store::open(&job.state)?, job);
    shared.doors.want(Some(&first.config));
    // There is no other thread yet: what is made from here on is closed off as well.
    let given = ground::confine(job, &first);
    let mut crew = start(&shared, first);
    (job.tell)(Event::new(Level::Info, "started"));
    // A service manager that cannot be told is none of this process's troubles.
    let _told = notify::ready();
    let watched = notify::watchdog_every();
    let mut alive = Instant::now();
    // What takes over when everything under the configuration before it has ended: two must never be at work on one log.
    let mut next: Option<Setup> = None;
    loop {
        if let Some(setup) = next.take_if(|_| crew.has_ended()) {
            crew.end(&shared);
            crew = start(&shared, setup);
            let _told = notify::ready();
            (job.tell)(Event::new(Level::Info, "reloaded"));
        }
        if watched.is_some_and(|every| alive.elapsed() >= every) {
            let _told = notify::watchdog();
            alive = Instant::now();
        }
        match (job.asked)() {
            Asked::Nothing => std::thread::sleep(TICK),
            Asked::Reload => match (job.load)().and_then(|setup| within(job, given.as_ref(), setup)) {
                Ok(setup) => {
                    let _told = notify::reloading();
                    shared.doors.want(Some(&setup.config));
                    crew.stop.stop();
                    next = Some(setup);
                }
                Err(fault) => {
                    job.gauges.with(|readings| readings.configuration_at_fault = true);
                    (job.tell)(Event::new(Level::Error, "configuration").text(format!("{fault}\nthe configuration before it stays in force")));
                }
            },
            Asked::End => {
                (job.tell)(Event::new(Level::Info, "draining"));
                let _told = notify::stopping();
                shared.doors.want(None);
                crew.end(&shared);
                (job.tell)(Event::new(Level::Info, "ended"));
                return Ok(());
            }
        }
    }
}

/// A configuration that asks for no more than the process has left itself.
fn within(job: &SidecarJob<'_>, given: Option<&Ground>, setup: Setup) -> Result<Setup, String> {
    given.and_then(|given| ground::fault(job, given, &setup)).map_or(Ok(setup), Err)
}

fn start(shared: &Shared, setup: Setup) -> Crew {
    let wall = (shared.clock)();
    shared.gauges.with(|readings| (readings.configured, readings.configuration_at_fault) = (Some(wall), false));
    let stop = Stop::default();
    let setup = Arc::new(setup);
    let mut threads = Vec::new();
    if let Some(address) = setup.config.run.metrics {
        match metrics::serve(address, shared.gauges.clone(), stop.clone(), shared.clock) {
            Ok(server) => threads.push(server.thread),
            Err(error) => (shared.tell)(Event::new(Level::Error, "metrics").text(error.to_string())),
        }
    }
    threads.extend(setup.config.classes.iter().map(|class| employ(shared, &setup, class.clone(), &stop)));
    let (shared, its_stop) = (shared.clone(), stop.clone());
    threads.push(std::thread::spawn(move || expiry::keep(&shared, &setup, &its_stop)));
    Crew { stop, threads }
}

fn employ(shared: &Shared, setup: &Arc<Setup>, class: Class, stop: &Stop) -> JoinHandle<()> {
    let (shared, setup, stop) = (shared.clone(), Arc::clone(setup), stop.clone());
    std::thread::spawn(move || {
        let plan = || ClassPlan::new(&class, &*setup.lookups, shared.store.keychain());
        match &class.source {
            Source::Raw(globs) => follow::follow(&shared, (&class.name, &plan), globs, &stop),
            Source::Listen(listens) => listen::listen(&shared, (&class.name, &plan), listens, &stop),
        }
    })
}

impl Crew {
    fn has_ended(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Tells everybody to end, and waits for them; not for ever.
    fn end(self, shared: &Shared) {
        self.stop.stop();
        let until = Instant::now() + shared.drain + Duration::from_secs(5);
        for thread in self.threads {
            while !thread.is_finished() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(5));
            }
            if thread.is_finished() {
                // What a thread had to say it has said.
                drop(thread.join());
            } else {
                (shared.tell)(Event::new(Level::Warning, "drain").text("not everything ended in time; the next start goes on at the last commit"));
            }
        }
    }
}
