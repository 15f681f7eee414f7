//! `logfade incident`: what broke a promise, and how it ended.

use crate::args::Args;
use crate::complain::Complaint;
use crate::exit::Exit;
use crate::show::{sane, say};
use crate::{Outcome, state};
use clap::{Args as Group, Subcommand};
use logfade::retain::ledger::incidents::{Case, Incidents};
use logfade::retain::ledger::{Entry, Fault, Incident as Event};
use logfade::store::ledger::{Ledger, Reader};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// `logfade incident`
#[derive(Debug, Group)]
#[command(after_help = "Examples:
  logfade incident list
  logfade incident add --class site --reason \"backup of the raw log was copied to a laptop\"
  logfade incident close 17 --reason \"the copy was destroyed\"

The program opens incidents by itself: overdue, vanished, unreadable, clock, leak, restored, reopen. What you add is `manual`.")]
pub(crate) struct Incident {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Open incidents; with --all closed ones too
    List {
        /// Closed ones too
        #[arg(long)]
        all: bool,
    },
    /// Open an incident by hand
    Add {
        /// What happened; never write raw data here, the ledger stays
        #[arg(value_name = "TEXT", required_unless_present = "reason")]
        text: Option<String>,
        /// The same as TEXT
        #[arg(long, value_name = "TEXT", conflicts_with = "text")]
        reason: Option<String>,
        /// The class that it concerns
        #[arg(long, value_name = "CLASS")]
        class: Option<String>,
        /// The file that it concerns
        #[arg(long, value_name = "FILE")]
        path: Option<PathBuf>,
    },
    /// Close an incident
    Close {
        /// Its number, as `incident list` shows it
        #[arg(value_name = "NUMBER", value_parser = number)]
        number: u64,
        /// How it ended
        #[arg(value_name = "TEXT", required_unless_present = "reason")]
        text: Option<String>,
        /// The same as TEXT
        #[arg(long, value_name = "TEXT", conflicts_with = "text")]
        reason: Option<String>,
    },
}

/// Runs the verb.
pub(crate) fn run(args: &Args, typed: &Incident) -> Outcome {
    let state = state::dir(args)?;
    match &typed.action {
        Action::List { all } => list(args, &state, *all),
        Action::Add { text, reason, class, path } => {
            let note = said(text, reason)?;
            let entry = Event::Opened { what: Fault::Manual, class: class.clone(), path: path.clone(), note: Some(note) };
            let line = Ledger::open(&state)?.append(state::now(), &Entry::Incident(entry))?;
            tell(args, &json!({"incident": line.seq}), &format!("incident {} is open\n", line.seq))
        }
        Action::Close { number, text, reason } => {
            let reason = said(text, reason)?;
            let mut ledger = Ledger::open(&state)?;
            let incidents = ledger.entries()?.collect::<Result<Incidents, _>>()?;
            match incidents.case(*number).map(|case| &case.closed) {
                Some(None) => {}
                Some(Some((at, _))) => return Err(Complaint::usage(format!("incident {number} was closed at {at:.0}"), "open a new one if it is back")),
                None => return Err(Complaint::usage(format!("no incident has the number {number}"), "`logfade incident list --all` shows them")),
            }
            ledger.append(state::now(), &Entry::Incident(Event::Closed { incident: *number, reason }))?;
            tell(args, &json!({"closed": number}), &format!("incident {number} is closed\n"))
        }
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_none| "write the number that `logfade incident list` shows".to_owned())
}

fn said(text: &Option<String>, reason: &Option<String>) -> Result<String, Complaint> {
    let said = text.as_deref().or(reason.as_deref()).unwrap_or_default().trim();
    if said.is_empty() { Err(Complaint::usage("nothing is said", "write what happened, in a sentence that can still be understood in a year")) } else { Ok(said.to_owned()) }
}

fn tell(args: &Args, report: &Value, text: &str) -> Outcome {
    if args.json {
        say(&format!("{report}\n"))
    } else if args.quiet {
        Ok(Exit::Done)
    } else {
        say(text)
    }
}

fn list(args: &Args, state: &Path, all: bool) -> Outcome {
    let incidents = Reader::open(state)?.entries()?.collect::<Result<Incidents, _>>()?;
    let cases: Vec<&Case> = incidents.iter().filter(|case| all || case.closed.is_none()).collect();
    if args.json {
        let row = |case: &&Case| {
            let (at, reason) = case.closed.as_ref().map_or((None, None), |(at, reason)| (Some(at.to_string()), Some(reason)));
            json!({"incident": case.number, "what": case.what.name(), "opened": case.opened.to_string(), "class": case.class, "path": case.path.as_ref().map(|path| path.to_string_lossy()), "note": case.note, "closed": at, "reason": reason})
        };
        return say(&format!("{}\n", Value::from(cases.iter().map(row).collect::<Vec<_>>())));
    }
    let mut text = String::new();
    for case in cases {
        let about: Vec<String> = [case.class.clone(), case.path.as_ref().map(|path| path.display().to_string()), case.note.clone()].into_iter().flatten().collect();
        let closed = case.closed.as_ref().map_or_else(String::new, |(at, reason)| format!("; closed {at:.0}: {reason}"));
        // Writing to a string does not fail.
        let _infallible = writeln!(text, "{:>6}  {:.0}  {:<10} {}", case.number, case.opened, case.what.name(), sane(&format!("{}{closed}", about.join(", "))));
    }
    say(if text.is_empty() { "no incident is open\n" } else { &text })
}
