//! `logfade expire`: what is due goes, and what was to go and could not is said.

use crate::args::Args;
use crate::complain::{Complaint, told};
use crate::exit::Exit;
use crate::show::{sane, say, table};
use crate::{Outcome, config, keys as pseudonyms, seals, show, state};
use clap::Args as Group;
use jiff::Timestamp;
use logfade::retain::Keep;
use logfade::run::expire::{ByHand, ExpireJob, ExpireReport, Fate, KeyVerdict, Standstill, by_hand, expire, expire_keys};
use logfade::store::clock::Reading;
use logfade::store::{Halt, Refusal};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// `logfade expire`
#[derive(Debug, Group)]
#[command(after_help = "Examples:
  logfade expire                                     once a day, from cron or a timer
  logfade expire --yes                               carry out a plan that a new configuration made, without a limit
  logfade --json expire | jq '.files[] | select(.overdue)'
  logfade expire --unproven /var/log/nginx/access.log.4.gz --reason \"cut short when the disk was full\"

A file goes only when its forms were written, read back, counted and matched, when nobody writes it, and when no hold covers it.
After a change of the configuration the first run records its plan and deletes nothing; the next one, or --yes, carries it out.
Pseudonym keys whose keys.keep is over are destroyed behind it, unless a hold covers their day.
A sealed file takes its seal key along, so that copies in backups cannot be read any more.
Without --yes, at most a quarter of a class's files (or 10) go in one run.

Exit codes: 0 done, 1 something is overdue, 3 input or output failed, 4 refused (held, locked, clock, ledger broken).")]
pub(crate) struct Expire {
    /// The time that decides about deadlines; not after the wall clock
    #[arg(long, value_name = "TIME", value_parser = state::moment)]
    now: Option<Timestamp>,
    /// At most so many files are deleted or cut
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// A person stands behind a new configuration, a clock that ran ahead, or many files
    #[arg(long)]
    yes: bool,
    /// Delete this raw file that can never be proven; the ledger keeps the reason
    #[arg(long, value_name = "FILE", requires = "reason")]
    unproven: Option<PathBuf>,
    /// Why; never write raw data here, the ledger stays
    #[arg(long, value_name = "TEXT", requires = "unproven")]
    reason: Option<String>,
}

/// Runs the verb.
pub(crate) fn run(args: &Args, typed: &Expire) -> Outcome {
    let config = config::required(args)?;
    let state_dir = state::dir(args)?;
    let wall = state::now();
    let now = typed.now.unwrap_or(wall);
    if now > wall {
        return Err(Complaint::usage("--now lies after the wall clock", "nothing is deleted for a time that has not come; leave --now out"));
    }
    let clock = || Reading::take(state::now());
    let looked_after = pseudonyms::expiring(args, false)?;
    let (mut keys, mut places) = (None, Vec::new());
    for policy in config.classes.iter().flat_map(|class| &class.forms).filter_map(|form| if let Keep::Clean(policy) = &form.keep { Some(policy) } else { None }) {
        if keys.is_none()
            && let Some(ring) = pseudonyms::ring(args, policy)?
        {
            keys = Some(ring.source());
        }
        if let Some(atlas) = show::atlas(policy)? {
            places.push((Arc::clone(policy), atlas.source()));
        }
    }
    let job = ExpireJob { config: &config, state: &state_dir, now, clock: &clock, limit: typed.limit, yes: typed.yes, keys, places };
    if let (Some(file), Some(reason)) = (&typed.unproven, &typed.reason) {
        return decided(args, &job, (file, reason));
    }
    let mut report = expire(job)?;
    let over = looked_after.map_or_else(Vec::new, |(store, keep)| expire_keys(&store, (now, keep), &mut report));
    if args.json {
        say(&format!("{}\n", report_json(&report, &over)))?;
    } else if !args.quiet {
        say(&format!("{}{}{}", text(&report), pseudonyms::over_text(&over, false), seals::over_text(&report.seals, false)))?;
    }
    complain(&report);
    Ok(exit(&report))
}

fn exit(report: &ExpireReport) -> Exit {
    let leak = report.fates.contains(&Fate::Refused(Refusal::Leak));
    match report.standstill {
        Some(Standstill::Clock(_)) => Exit::Refused,
        _ if leak => Exit::Refused,
        _ if !report.failures.is_empty() => Exit::Io,
        _ if report.plan.overdue > 0 => Exit::Rejects,
        Some(Standstill::NewConfiguration) | None => Exit::Done,
    }
}

fn standstill(report: &ExpireReport) -> Option<&'static str> {
    report.standstill.map(|standstill| match standstill {
        Standstill::NewConfiguration => "the retention part of the configuration is new: this plan is recorded, the next `logfade expire` (or --yes) carries it out",
        Standstill::Clock(astray) => astray.describe(),
    })
}

fn report_json(report: &ExpireReport, over: &[KeyVerdict]) -> Value {
    let mut value = serde_json::to_value(&report.plan).unwrap_or_default();
    if let Some(files) = value.get_mut("files").and_then(Value::as_array_mut) {
        for (file, fate) in files.iter_mut().zip(&report.fates) {
            if let Some(file) = file.as_object_mut() {
                file.insert("outcome".into(), json!(fate.name()));
            }
        }
    }
    if let Some(whole) = value.as_object_mut() {
        whole.insert("standstill".into(), json!(standstill(report)));
        whole.insert("over_limit".into(), json!(report.over_limit));
        whole.insert("keys".into(), pseudonyms::over_json(over, false));
        whole.insert("seals".into(), seals::over_json(&report.seals, false));
        whole.insert("failures".into(), json!(report.failures.len()));
    }
    value
}

fn text(report: &ExpireReport) -> String {
    let mut rows = table();
    rows.set_header(["file", "class", "form", "newest", "deadline", "reason", "actions", "outcome"]);
    let time = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| format!("{at:.0}"));
    for (file, fate) in report.plan.files.iter().zip(&report.fates) {
        let actions: Vec<&str> = file.actions.iter().map(|action| action.name()).collect();
        let path = sane(&file.path.display().to_string());
        rows.add_row([
            path,
            file.class.clone(),
            file.form.clone(),
            time(file.newest),
            time(file.deadline),
            file.reason.name().to_owned(),
            actions.join(" "),
            fate.name().to_owned(),
        ]);
    }
    let count = |fate: Fate| report.fates.iter().filter(|found| **found == fate).count();
    let mut text = format!("{rows}\n");
    // Writing to a string does not fail.
    let _infallible = writeln!(
        text,
        "{} file{}: {} done, {} kept, {} wait",
        report.fates.len(),
        if report.fates.len() == 1 { "" } else { "s" },
        count(Fate::Done),
        count(Fate::Kept),
        count(Fate::Waits)
    );
    text
}

/// What a person has to know, whatever the report's form.
fn complain(report: &ExpireReport) {
    let mut stderr = std::io::stderr().lock();
    let mut line = |text: String| drop(writeln!(stderr, "{text}"));
    if let Some(why) = standstill(report) {
        line(format!("nothing was deleted: {why}"));
    }
    if report.over_limit > 0 {
        line(format!("{} files wait: more than a run deletes without --yes or --limit", report.over_limit));
    }
    report.failures.iter().for_each(|failure| line(format!("error: {}", told(failure))));
    for file in report.plan.files.iter().filter(|file| file.overdue) {
        line(format!("overdue: {} ({})", sane(&file.path.display().to_string()), file.reason.name()));
    }
    if report.plan.overdue > 0 {
        line("`logfade incident list` says what else is known of it; `logfade plan --help` explains each reason".to_owned());
    }
}

/// `--unproven`.
fn decided(args: &Args, job: &ExpireJob<'_>, (file, reason): (&Path, &str)) -> Outcome {
    let path = std::path::absolute(file).unwrap_or_else(|_unnamed| file.to_owned());
    if reason.trim().is_empty() {
        return Err(Complaint::usage("there is no reason", "write why this file goes without proof, in a sentence that can still be understood in a year"));
    }
    match by_hand(job, &path, reason.trim()) {
        Ok(ByHand::Gone(deletion)) if args.json => say(&format!("{}\n", json!({"path": deletion.path.to_string_lossy(), "class": deletion.class, "deleted": true}))),
        Ok(ByHand::Gone(_)) if args.quiet => Ok(Exit::Done),
        Ok(ByHand::Gone(_)) => say("deleted; the ledger says why\n"),
        Ok(ByHand::Foreign) => Err(Complaint::refused(
            format!("{} is no raw file of a class", sane(&path.display().to_string())),
            "only files that a [[class]] of the configuration names are deleted here",
        )),
        Ok(ByHand::Held(hold)) => Err(Complaint::refused(format!("the hold {hold} covers this class"), "release it first: logfade hold release NAME --reason TEXT")),
        Err(Halt::Refused { why, path }) => Err(Complaint::refused(format!("{} {}", sane(&path.display().to_string()), why.describe()), "it stays as it is")),
        Err(Halt::Failed(error)) => Err(error.into()),
    }
}
