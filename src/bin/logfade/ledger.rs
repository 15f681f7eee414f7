//! `logfade ledger`: what was done, and whether the record of it is whole.

use crate::args::Args;
use crate::exit::Exit;
use crate::show::{sane, say};
use crate::{Outcome, complain, state};
use clap::{Args as Group, Subcommand};
use jiff::Timestamp;
use logfade::retain::ledger::chain::Line;
use logfade::retain::ledger::{Digest, Entry, Incident, Quiescence};
use logfade::store::ledger::Reader;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};

/// `logfade ledger`
#[derive(Debug, Group)]
pub(crate) struct Ledger {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print entries, oldest first
    #[command(after_help = "Examples:
  logfade ledger show --kind deleted --since 2026-01-01
  logfade ledger show --path /var/log/nginx/access.log.1
  logfade --json ledger show | jq -r 'select(.kind == \"hold\") | .name'

With --json the entries are printed as they stand in the ledger, one object per line.")]
    Show(Show),
    /// Find any entry that was changed, removed, moved or cut off
    #[command(after_help = "Examples:
  logfade ledger verify
  logfade ledger verify --head $(cat /mnt/elsewhere/head)

The head is the digest of the last entry. Note it somewhere that this machine cannot write to: against a noted head, verify
also finds that the ledger was cut off or written anew. Exit code 4 when the ledger is broken.")]
    Verify {
        /// A head that was noted earlier: it has to be in the chain
        #[arg(long, value_name = "DIGEST")]
        head: Option<Digest>,
    },
}

#[derive(Debug, Group)]
struct Show {
    /// Only entries of this kind; may be repeated
    #[arg(long, value_name = "KIND", value_parser = clap::builder::PossibleValuesParser::new(Entry::KINDS))]
    kind: Vec<String>,
    /// Only entries written at or after this time
    #[arg(long, value_name = "TIME", value_parser = state::moment)]
    since: Option<Timestamp>,
    /// Only entries written before this time
    #[arg(long, value_name = "TIME", value_parser = state::moment)]
    until: Option<Timestamp>,
    /// Only entries about this file, or about files below this directory
    #[arg(long, value_name = "PATH")]
    path: Option<PathBuf>,
    /// Only entries about this class
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
}

impl Show {
    fn wants(&self, line: &Line) -> bool {
        let kind = self.kind.is_empty() || self.kind.iter().any(|kind| kind == line.entry.kind());
        let time = self.since.is_none_or(|since| line.at >= since) && self.until.is_none_or(|until| line.at < until);
        let path = self.path.as_ref().is_none_or(|path| line.entry.paths().iter().any(|known| known.starts_with(path)));
        kind && time && path && self.class.as_ref().is_none_or(|class| line.entry.class() == Some(class))
    }
}

/// Runs the verb.
pub(crate) fn run(args: &Args, typed: &Ledger) -> Outcome {
    let reader = Reader::open(&state::dir(args)?)?;
    match &typed.action {
        Action::Show(show) => print(args, show, &reader),
        Action::Verify { head } => verify(args, &reader, *head),
    }
}

fn print(args: &Args, show: &Show, reader: &Reader) -> Outcome {
    let mut stdout = std::io::BufWriter::new(std::io::stdout().lock());
    for line in reader.entries()? {
        let line = line?;
        if !show.wants(&line) {
            continue;
        }
        let text = if args.json {
            String::from_utf8_lossy(&line.encode()).into_owned()
        } else {
            format!("{:>6}  {:.0}  {:<9} {}", line.seq, line.at, line.entry.kind(), sane(&words(&line.entry)))
        };
        match writeln!(stdout, "{text}") {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(Exit::Done),
            written => written.map_err(complain::output)?,
        }
    }
    stdout.flush().map_err(complain::output)?;
    Ok(Exit::Done)
}

fn verify(args: &Args, reader: &Reader, head: Option<Digest>) -> Outcome {
    let verdict = reader.verify(head)?;
    let (entries, head) = (verdict.chain.entries, verdict.chain.head);
    let error = verdict.broken.map(|broken| broken.to_string());
    if args.json {
        say(&format!("{}\n", json!({"entries": entries, "ok": error.is_none(), "head": head.to_string(), "error": error})))?;
    } else {
        say(&match &error {
            None if entries == 0 => format!("no entry: nothing was done with this state directory, or it is another one (--state)\nhead {head}\n"),
            None => format!("{entries} entries, every one holds\nhead {head}\n"),
            Some(error) => format!("broken: {error}\n{entries} entries in front of it hold\n"),
        })?;
    }
    Ok(if error.is_none() { Exit::Done } else { Exit::Refused })
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

/// An entry in one line for people.
fn words(entry: &Entry) -> String {
    let time = |time: &Option<Timestamp>, none: &str| time.map_or_else(|| none.to_owned(), |time| format!("{time:.0}"));
    match entry {
        Entry::Scrubbed(entry) => {
            let outputs: Vec<String> = entry.outputs.iter().map(|output| format!("{} ({}, {} lines)", show(&output.path), output.form, output.lines)).collect();
            format!("{} -> {}; read {}, clean {}, rejected {}", show(&entry.path), outputs.join(", "), entry.tally.read, entry.tally.clean, entry.tally.rejected)
        }
        Entry::Plan(entry) => format!("{} of {} files due under a new configuration", entry.due, entry.files),
        Entry::Deleting(entry) | Entry::Deleted(entry) => {
            let quiet = match entry.quiescence {
                Some(Quiescence::Lease) => "nobody had it open for writing".to_owned(),
                Some(Quiescence::Age { seconds }) => format!("unchanged for {seconds} s"),
                None => "written by logfade alone".to_owned(),
            };
            let why = entry.reason.as_ref().map_or_else(|| format!("due {}", time(&entry.deadline, "never")), |reason| format!("unproven: {reason}"));
            format!("{} ({}, {}); {why}; {quiet}", show(&entry.path), entry.class, entry.form)
        }
        Entry::Split(entry) => {
            format!("{} ({}, {}) at {:.0}: {} lines went, {} stay in {}", show(&entry.path), entry.class, entry.form, entry.cut, entry.expired, entry.kept, show(&entry.into))
        }
        Entry::Hold(entry) => {
            let which = if entry.addresses.is_some() { ", some addresses" } else { "" };
            let until = entry.until.map_or_else(String::new, |until| format!(" until {until:.0}"));
            format!("{} on {}, {} to {}{which}{until}: {}", entry.name, entry.class, time(&entry.from, "the first record"), time(&entry.to, "the last"), entry.reason)
        }
        Entry::Release(entry) => format!("{}: {}", entry.name, entry.reason),
        Entry::Key(entry) => format!("of {} destroyed", entry.period),
        Entry::Subject(entry) => format!("{} by {}: {} identifiers, {} files, {} records", lower(&entry.request), lower(&entry.by), entry.identifiers, entry.files, entry.records),
        Entry::Incident(Incident::Opened { what, class, path, note }) => {
            let parts = [class.clone(), path.as_deref().map(show), note.clone()];
            let about: Vec<String> = parts.into_iter().flatten().collect();
            format!("opened: {}{}{}", what.name(), if about.is_empty() { "" } else { ": " }, about.join(", "))
        }
        Entry::Incident(Incident::Closed { incident, reason }) => format!("closed {incident}: {reason}"),
    }
}

fn lower(word: &impl std::fmt::Debug) -> String {
    format!("{word:?}").to_lowercase()
}
