//! Seal keys as `plan`, `expire` and `keys list` show them.

use crate::show::sane;
use logfade::run::expire::{Fate, SealVerdict};
use logfade::store::seal::{SealKey, SealState};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Keys that have no file any more and whose time is over.
pub(crate) fn over_json(verdicts: &[SealVerdict], is_plan: bool) -> Value {
    let row = |verdict: &SealVerdict| {
        let (reason, actions) = if verdict.hold.is_some() { ("held", vec![]) } else { ("expired", vec!["destroy"]) };
        let mut row = json!({"seal": verdict.id.to_string(), "class": verdict.class, "form": verdict.form, "reason": reason, "hold": verdict.hold, "actions": actions});
        if let (false, Some(row)) = (is_plan, row.as_object_mut()) {
            row.insert("outcome".into(), json!(verdict.fate.name()));
        }
        row
    };
    verdicts.iter().map(row).collect()
}

/// The same for people, one line for each key.
pub(crate) fn over_text(verdicts: &[SealVerdict], is_plan: bool) -> String {
    let mut text = String::new();
    for SealVerdict { id, hold, fate, .. } in verdicts {
        let what = match (hold, fate) {
            (Some(hold), _) => format!("kept by the hold {}", sane(hold)),
            (None, Fate::Done) => "destroyed".to_owned(),
            (None, _) if is_plan => "expired, to be destroyed".to_owned(),
            (None, fate) => format!("expired, {}", fate.name()),
        };
        let _infallible = writeln!(text, "seal key {id}, which has no file: {what}");
    }
    text
}

const fn word(state: SealState) -> &'static str {
    match state {
        SealState::Held => "held",
        SealState::Destroyed => "destroyed",
        SealState::Restored => "restored",
    }
}

/// Every seal key.
pub(crate) fn list_json(keys: &[SealKey]) -> Value {
    let row = |key: &SealKey| json!({"seal": key.id.to_string(), "state": word(key.state), "class": key.class, "form": key.form, "used": key.used, "public": key.public});
    keys.iter().map(row).collect()
}

/// The same for people.
pub(crate) fn list_text(keys: &[SealKey]) -> String {
    let mut text = String::new();
    for key in keys {
        let what = match (&key.class, &key.form) {
            (Some(class), Some(form)) => format!("  {} {}", sane(class), sane(form)),
            (None, Some(form)) => format!("  {}", sane(form)),
            (_, None) => String::new(),
        };
        let used = key.used.map_or_else(String::new, |used| format!("  last written with {used:.0}"));
        let _infallible = writeln!(text, "seal {}  {}{what}{used}", key.id, word(key.state));
    }
    text
}
