//! Expiry on the sidecar's own clock: the same plan and the same deeds as `expire`.

use super::Setup;
use super::event::{Event, Level};
use super::shared::Shared;
use crate::retain::Keep;
use crate::run::expire::{Awaits, ExpireJob, ExpireReport, Fate, Standstill, expire_in, expire_keys};
use crate::store::clock::Reading;
use crate::store::source::Stop;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// How often it is looked whether it is time, or over.
const TICK: Duration = Duration::from_millis(100);

/// Expires until it is told to stop, the first time at once.
pub(super) fn keep(shared: &Shared, setup: &Setup, stop: &Stop) {
    let every = Duration::try_from(setup.config.run.expire_every).unwrap_or(Duration::from_secs(3600));
    let mut next = Instant::now();
    while !stop.is_stopped() {
        if Instant::now() < next {
            std::thread::sleep(TICK);
            continue;
        }
        once(shared, setup);
        next = Instant::now() + every;
    }
}

fn once(shared: &Shared, setup: &Setup) {
    let _turn = shared.turn.lock().unwrap_or_else(PoisonError::into_inner);
    let _alone = shared.admission.write().unwrap_or_else(PoisonError::into_inner);
    let now = (shared.clock)();
    let clock = || Reading::take((shared.clock)());
    let (mut keys, mut places) = (None, Vec::new());
    for form in setup.config.classes.iter().flat_map(|class| &class.forms) {
        if let Keep::Clean(policy) = &form.keep {
            let (its_keys, its_places) = (setup.lookups)(policy);
            keys = keys.or(its_keys);
            places.extend(its_places.map(|places| (Arc::clone(policy), places)));
        }
    }
    let job = ExpireJob { config: &setup.config, state: &shared.state, now, clock: &clock, limit: None, yes: false, keys, places };
    match shared.ledger(|chronicle| expire_in(job, (&shared.store, chronicle), Awaits::Person)) {
        Ok(mut report) => {
            if let Some((store, keep)) = &setup.keys {
                expire_keys(store, (now, *keep), &mut report);
            }
            tell(shared, &report);
            let done = report.failures.is_empty() && report.standstill.is_none();
            shared.gauges.with(|readings| {
                readings.overdue = report.plan.overdue as u64;
                readings.expired = if done { Some(now) } else { readings.expired };
                for class in &setup.config.classes {
                    let oldest = report.plan.files.iter().filter(|file| file.class == class.name && file.form == class.raw.name).filter_map(|file| file.oldest).min();
                    let reading = readings.classes.entry(class.name.clone()).or_default();
                    reading.oldest_raw = oldest;
                    reading.raw_window = oldest.and_then(|oldest| class.deadline(&class.raw, oldest).map(|deadline| deadline.duration_since(oldest).as_secs()));
                }
            });
        }
        Err(error) => (shared.tell)(Event::new(Level::Error, "expire").text(error)),
    }
}

fn tell(shared: &Shared, report: &ExpireReport) {
    let count = |fate: Fate| report.fates.iter().filter(|found| **found == fate).count() as u64;
    let event = Event::new(Level::Info, "expired").count("files", report.fates.len() as u64).count("done", count(Fate::Done)).count("overdue", report.plan.overdue as u64);
    (shared.tell)(event);
    match report.standstill {
        None => {}
        Some(Standstill::NewConfiguration) => {
            let due = report.plan.due().count() as u64;
            let text =
                "the retention part of the configuration is new: nothing is deleted until somebody has seen its plan\nstop the sidecar, run `logfade expire`, and start it again";
            (shared.tell)(Event::new(Level::Warning, "expire").count("due", due).text(text));
        }
        Some(Standstill::Clock(astray)) => (shared.tell)(Event::new(Level::Error, "clock").text(astray.describe())),
    }
    for failure in &report.failures {
        (shared.tell)(Event::new(Level::Error, "expire").text(failure));
    }
    for file in report.plan.files.iter().filter(|file| file.overdue) {
        (shared.tell)(Event::new(Level::Warning, "overdue").class(&file.class).path(&file.path).text(file.reason.name()));
    }
}
