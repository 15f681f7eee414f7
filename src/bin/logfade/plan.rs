//! `logfade plan`: what expiry would do with every file, and why.

use crate::args::{Args, Plan as Typed};
use crate::complain::Complaint;
use crate::exit::Exit;
use crate::show::{sane, say, table};
use crate::{Outcome, config, keys, seals, state};
use jiff::Timestamp;
use logfade::retain::plan::{Action, Plan};
use logfade::run::expire::{ExpireReport, look, look_at_keys};
use std::fmt::Write as _;
use std::io::Write as _;

/// Prints the plan; changes nothing.
pub(crate) fn run(args: &Args, typed: &Typed) -> Outcome {
    let wall = state::now();
    let now = as_of(typed.now, wall)?;
    let config = config::required(args)?;
    let ExpireReport { plan, failures, seals, .. } = look(&config, &state::dir(args)?, (now, wall))?;
    let over = keys::expiring(args, true)?.map_or_else(|| Ok(Vec::new()), |(store, keep)| look_at_keys(&store, (now, keep)))?;
    let done = if args.json {
        let mut value = serde_json::to_value(&plan).map_err(|error| crate::complain::output(error.into()))?;
        if let Some(whole) = value.as_object_mut() {
            whole.insert("keys".into(), keys::over_json(&over, true));
            whole.insert("seals".into(), seals::over_json(&seals, true));
        }
        say(&format!("{value}\n"))?
    } else {
        say(&format!("{}{}{}", shown(&plan), keys::over_text(&over, true), seals::over_text(&seals, true)))?
    };
    let mut stderr = std::io::stderr().lock();
    for failure in &failures {
        let _nobody_to_tell = writeln!(stderr, "error: {}", crate::complain::told(failure));
    }
    if plan.overdue > 0 {
        let _nobody_to_tell = writeln!(stderr, "overdue: {}", alarm(&plan));
    }
    Ok(if !failures.is_empty() {
        Exit::Io
    } else if plan.overdue > 0 {
        Exit::Rejects
    } else {
        done
    })
}

/// `--now`, which may not lie after the wall clock: nothing is due before its time.
pub(crate) fn as_of(typed: Option<Timestamp>, wall: Timestamp) -> Result<Timestamp, Complaint> {
    match typed {
        Some(now) if now > wall => Err(Complaint::usage(format!("--now {now} lies in the future"), format!("leave it out, or name a time up to {wall:.0}"))),
        Some(now) => Ok(now),
        None => Ok(wall),
    }
}

/// One line that says how many files, and why.
pub(crate) fn alarm(plan: &Plan) -> String {
    let mut reasons = std::collections::BTreeMap::new();
    for file in plan.files.iter().filter(|file| file.overdue) {
        *reasons.entry(file.reason.name()).or_insert(0_usize) += 1;
    }
    let reasons: Vec<String> = reasons.into_iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    format!("{} {} records that are due and stay ({})", plan.overdue, if plan.overdue == 1 { "file has" } else { "files have" }, reasons.join(", "))
}

/// The plan as a table.
pub(crate) fn shown(plan: &Plan) -> String {
    if plan.files.is_empty() {
        return "no file of any class is there\n".to_owned();
    }
    let mut rows = table();
    rows.set_header(["file", "class", "form", "newest", "deadline", "reason", "actions"]);
    let time = |time: Option<Timestamp>, none: &str| time.map_or_else(|| none.to_owned(), |time| format!("{time:.0}"));
    for file in &plan.files {
        let reason = match (&file.hold, file.overdue) {
            (Some(hold), _) => format!("{} ({})", file.reason.name(), sane(hold)),
            (None, true) => format!("{}, overdue", file.reason.name()),
            (None, false) => file.reason.name().to_owned(),
        };
        let actions = if file.actions.is_empty() { "-".to_owned() } else { file.actions.iter().map(|action| Action::name(*action)).collect::<Vec<_>>().join(", ") };
        rows.add_row([sane(&file.path.to_string_lossy()), file.class.clone(), file.form.clone(), time(file.newest, "-"), time(file.deadline, "never"), reason, actions]);
    }
    let mut text = format!("{rows}\n");
    let _infallible = writeln!(
        text,
        "\nas of {:.0}: {} file{}, {} to be cut or deleted, {} overdue",
        plan.now,
        plan.files.len(),
        if plan.files.len() == 1 { "" } else { "s" },
        plan.due().count(),
        plan.overdue
    );
    text
}
