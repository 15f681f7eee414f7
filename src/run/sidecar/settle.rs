//! What was heard and has ended: its segments get their final names, the raw one is held against its forms, and the ledger knows.
//!
//! On a thread of its own, because listeners do not wait. Whatever is done here can be done again.

use super::event::{Event, Level};
use super::finish::{Origin, empty, ended, leak, made, salt};
use super::follow::Shared;
use super::plan::ClassPlan;
use crate::retain::ledger::{Entry, Output};
use crate::store::checkpoint::StretchState;
use crate::store::segment::{Ending, Seals};
use crate::store::{Chronicle, Halt};
use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::PoisonError;

/// What was finished.
pub(super) struct Settled {
    /// Form, `.part`, and what became of it.
    pub(super) outputs: Vec<(String, PathBuf, Output)>,
    /// All of it is.
    pub(super) over: bool,
}

/// Finishes the segments of a stretch that have ended, and, if it is over, all of it.
pub(super) fn settle(shared: &Shared, plan: &ClassPlan, salt: &str, (mut state, over): (StretchState, bool)) -> Result<Settled, Halt> {
    // Expiry sees nothing half done.
    let _turn = shared.turn.lock().unwrap_or_else(PoisonError::into_inner);
    let front = format!("{salt} {}", state.id).into_bytes();
    let origin = Origin { name: OsStr::new(&plan.class.name), front: &front };
    let mut outputs = Vec::new();
    for (form, lane) in &mut state.lanes {
        for segment in std::mem::take(&mut lane.segments).into_iter().filter(|segment| segment.closed) {
            let output = ended(shared, plan, (form, &segment), &origin)?;
            lane.outputs.push(output.clone());
            outputs.push((form.clone(), segment.part, output));
        }
    }
    if over {
        conclude(shared, plan, &mut state, &origin)?;
    }
    Ok(Settled { outputs, over })
}

fn conclude(shared: &Shared, plan: &ClassPlan, state: &mut StretchState, origin: &Origin<'_>) -> Result<(), Halt> {
    let (Some(raw), form) = (&plan.raw, &plan.class.raw.name) else { return Ok(()) };
    let before = || Seals { keys: shared.store.keychain().clone(), class: plan.class.name.clone(), form: form.clone(), level: raw.level };
    let seals = raw.seals.clone().or_else(|| state.raw.sealed.then(before));
    let spans = || state.lanes.values().map(|lane| lane.span);
    let said = (spans().filter_map(|span| span.0).min(), spans().filter_map(|span| span.1).max());
    let salt = salt(&state.raw, origin.front);
    let ending = Ending {
        part: &state.raw.part,
        length: state.raw.length,
        plain: state.raw.plain(),
        sealed: state.raw.sealed,
        raw: origin.name,
        salt: &salt,
        // Without a form nobody has looked: what is known is when it came.
        span: if said.0.is_some() { said } else { state.raw.span },
        form,
        policy: state.raw.policy,
        access: raw.access,
        level: raw.level,
        seals: seals.as_ref(),
        excluded: 0,
    };
    let ended = shared.store.end(&ending)?;
    empty(shared, plan, &mut state.lanes, origin)?;
    let path = ended.output.path.clone();
    let mut chronicle = Chronicle::open(&shared.state, (shared.clock)())?;
    if leak(shared, plan, (&path, &path), &state.lanes, &mut chronicle)? {
        return Ok(());
    }
    let scrubbed = made(plan, &state.lanes, (path.clone(), ended.identity), (ended.output.digest, ended.content));
    let event = Event::new(Level::Info, "finished").class(&plan.class.name).path(path).count("lines", ended.output.lines).count("outputs", scrubbed.outputs.len() as u64);
    // A killed run may have said so before.
    if scrubbed.outputs.iter().any(|output| chronicle.known().output(&output.path).is_none()) {
        chronicle.note(&Entry::Scrubbed(scrubbed))?;
    }
    (shared.tell)(event);
    Ok(())
}
