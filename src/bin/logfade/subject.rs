//! `logfade subject`: a person's records found, exported or erased, without the identifier in any report.

use crate::args::Args;
use crate::complain::Complaint;
use crate::exit::Exit;
use crate::show::{sane, say, table};
use crate::{Outcome, config, state};
use clap::{ArgGroup, Args as Group, Subcommand};
use jiff::Timestamp;
use logfade::report::meaning::{WHOLE_LINE, meaning};
use logfade::retain::ledger::IdentifierKind;
use logfade::run::subject::{Fate, Found, SubjectJob, SubjectReport, erase, export, find};
use logfade::scrub::{Identifier, Period, PeriodKey, Value as Field};
use logfade::store::clock::Reading;
use logfade::store::keys::KeyStore;
use logfade::store::{Halt, Refusal};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

/// `logfade subject`
#[derive(Debug, Group)]
pub(crate) struct Subject {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// In which files, lines and times a person's records stand; never shows the identifier
    #[command(after_help = "Examples:
  logfade subject find --ip - < address.txt
  logfade subject find --from-file ids.txt --from 2026-03-01 --json

The raw files and forms of every class are read. In forms, pseudonyms are looked for under the keys that still exist.
A file of identifiers has one in a line: ip ADDR, user NAME, or cookie NAME=VALUE; # begins a comment.
The ledger notes the request without the identifier.")]
    Find(Who),
    /// A person's records as JSON, with an explanation of each field (GDPR Art. 15). Shows raw data to you
    #[command(after_help = "Examples:
  (umask 077; logfade subject export --user - < name.txt > copy.json)
  logfade subject export --cookie 'sid=2f6a' --from 2026-01-01 --to 2026-02-01

Shows raw data to you. What others could be known by may stand in it too: look it through before you hand it over.")]
    Export(Who),
    /// Rewrite the files without a person's records (GDPR Art. 17)
    #[command(after_help = "Examples:
  logfade subject erase --ip - < address.txt
  logfade subject erase --from-file ids.txt --to 2026-03-01

Each file is cut as expiry cuts: the records of others stand in a new file, read back and in the ledger, before the old one
goes. Nothing is erased while a hold covers one of the records, and no file that somebody writes: rotate it first.

Exit codes: 0 done, 3 input or output failed or a file could not be searched, 4 refused (held, in use, locked).")]
    Erase(Who),
}

#[derive(Debug, Group)]
#[group(skip)]
#[command(group = ArgGroup::new("who").required(true).multiple(false).args(["ip", "user", "cookie", "from_file"]))]
struct Who {
    /// An address in any textual form; - reads it from stdin, so that it is in no shell history
    #[arg(long, value_name = "ADDR")]
    ip: Option<String>,
    /// A user name; - reads it from stdin
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// A cookie; - reads it from stdin
    #[arg(long, value_name = "NAME=VALUE")]
    cookie: Option<String>,
    /// One in a line: ip ADDR, user NAME, or cookie NAME=VALUE; - is stdin
    #[arg(long, value_name = "FILE")]
    from_file: Option<String>,
    /// Records from this time on
    #[arg(long, value_name = "TIME", value_parser = state::moment)]
    from: Option<Timestamp>,
    /// Records up to this time
    #[arg(long, value_name = "TIME", value_parser = state::moment)]
    to: Option<Timestamp>,
}

/// Runs the verb.
pub(crate) fn run(args: &Args, typed: &Subject) -> Outcome {
    let (Action::Find(who) | Action::Export(who) | Action::Erase(who)) = &typed.action;
    let config = config::required(args)?;
    let state = state::dir(args)?;
    if who.from.zip(who.to).is_some_and(|(from, to)| to < from) {
        return Err(Complaint::usage("--to lies before --from", "exchange them"));
    }
    let (by, identifiers) = identifiers(who)?;
    let keys = keys(&state, &config)?;
    let reading = Reading::take(state::now());
    let job = SubjectJob { config: &config, state: &state, reading, identifiers: &identifiers, by, from: who.from, to: who.to, keys: &keys };
    match typed.action {
        Action::Find(_) => found(args, &find(&job)?),
        Action::Export(_) => copy(&job),
        Action::Erase(_) => match erase(&job) {
            Ok(report) => erased(args, &report),
            Err(Halt::Refused { why: Refusal::Stopped, .. }) => {
                Err(Complaint::refused("the clock cannot be right, and nothing was erased", "set it; `logfade incident list` says what is wrong"))
            }
            Err(Halt::Refused { why, path }) => Err(Complaint::refused(format!("{} {}", sane(&path.display().to_string()), why.describe()), "nothing was erased")),
            Err(Halt::Failed(error)) => Err(error.into()),
        },
    }
}

/// What was typed, or stands where it says. No message repeats it.
fn identifiers(who: &Who) -> Result<(IdentifierKind, Vec<Identifier>), Complaint> {
    let one = |typed: &str, read: fn(&str) -> Option<Identifier>, remedy: &str| {
        let text = if typed == "-" { stdin()? } else { typed.to_owned() };
        let text = text.trim_end_matches(['\r', '\n']);
        read(text).map(|identifier| vec![identifier]).ok_or_else(|| Complaint::usage("the identifier cannot be read", remedy))
    };
    match (&who.ip, &who.user, &who.cookie, &who.from_file) {
        (Some(ip), ..) => Ok((IdentifierKind::Ip, one(ip, Identifier::ip, "write one address, such as 192.0.2.1 or 2001:db8::1")?)),
        (_, Some(user), ..) => Ok((IdentifierKind::User, one(user, Identifier::user, "write one user name")?)),
        (_, _, Some(cookie), _) => Ok((IdentifierKind::Cookie, one(cookie, Identifier::cookie, "write one cookie as NAME=VALUE")?)),
        (.., Some(file)) => {
            let text = if file == "-" {
                stdin()?
            } else {
                std::fs::read_to_string(file).map_err(|error| Complaint::usage(format!("cannot read {}: {error}", sane(file)), "name a file with one identifier in a line"))?
            };
            let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
            let read = |(at, line): (usize, &str)| {
                Identifier::line(line).ok_or_else(|| {
                    Complaint::usage(
                        format!("{}:{}: this is no identifier", if file == "-" { "stdin".to_owned() } else { sane(file) }, at + 1),
                        "write `ip ADDR`, `user NAME` or `cookie NAME=VALUE`",
                    )
                })
            };
            let all = lines.map(read).collect::<Result<Vec<_>, _>>()?;
            if all.is_empty() {
                Err(Complaint::usage("the file has no identifier", "write `ip ADDR`, `user NAME` or `cookie NAME=VALUE`, one in a line"))
            } else {
                Ok((IdentifierKind::File, all))
            }
        }
        (None, None, None, None) => Err(Complaint::usage("nobody is named", "give --ip, --user, --cookie or --from-file")),
    }
}

fn stdin() -> Result<String, Complaint> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| Complaint::usage(format!("cannot read stdin: {error}"), "send the identifier as text"))?;
    Ok(text)
}

/// The keys that exist; one that others can read, or that was put back, is refused.
fn keys(state: &Path, config: &logfade::retain::Config) -> Result<Vec<(Period, Arc<PeriodKey>)>, Complaint> {
    if !KeyStore::is_there(state) {
        return Ok(Vec::new());
    }
    let store = KeyStore::open(state, config.keys.as_ref().map(|keys| keys.mode))?;
    store.sound()?;
    Ok(store.held(state::now())?.into_iter().map(|(period, key)| (period, Arc::new(key))).collect())
}

fn row(file: &Found) -> Value {
    let (outcome, into) = outcome(&file.fate);
    let mut row = json!({
        "path": file.path.to_string_lossy(), "class": file.class, "form": file.form, "records": file.lines.len(), "lines": file.lines,
        "oldest": file.oldest, "newest": file.newest,
    });
    if let (Some(row), false) = (row.as_object_mut(), file.fate == Fate::Found) {
        row.insert("outcome".into(), json!(outcome));
        row.insert("into".into(), json!(into.map(Path::to_string_lossy)));
    }
    row
}

fn outcome(fate: &Fate) -> (&'static str, Option<&Path>) {
    match fate {
        Fate::Found => ("kept", None),
        Fate::Erased(into) => ("erased", into.as_deref()),
        Fate::Refused(why) => (why.describe(), None),
        Fate::Failed => ("failed", None),
    }
}

fn sums(report: &SubjectReport) -> Value {
    let not: Vec<_> = report.not_searched.iter().map(|path| path.to_string_lossy()).collect();
    json!({
        "records": report.records(), "looked_at": report.looked_at, "lines": report.lines, "unread": report.unread, "not_searched": not,
        "files": report.files.iter().map(row).collect::<Vec<_>>(),
    })
}

fn text(report: &SubjectReport) -> String {
    let mut rows = table();
    rows.set_header(["file", "class", "form", "records", "lines", "oldest", "newest", "outcome"]);
    for file in &report.files {
        let mut lines: Vec<String> = file.lines.iter().take(8).map(u64::to_string).collect();
        lines.extend((file.lines.len() > 8).then(|| "…".to_owned()));
        rows.add_row([
            sane(&file.path.display().to_string()),
            file.class.clone(),
            file.form.clone(),
            file.lines.len().to_string(),
            lines.join(" "),
            format!("{:.0}", file.oldest),
            format!("{:.0}", file.newest),
            outcome(&file.fate).0.to_owned(),
        ]);
    }
    let mut text = if report.files.is_empty() { String::new() } else { format!("{rows}\n") };
    // Writing to a string does not fail.
    let _infallible = writeln!(text, "{} records in {} of {} files", report.records(), report.files.len(), report.looked_at);
    text
}

/// What a person has to know, whatever the report's form.
fn complain(report: &SubjectReport) -> Exit {
    let mut stderr = std::io::stderr().lock();
    let mut line = |text: String| drop(writeln!(stderr, "{text}"));
    report.failures.iter().for_each(|failure| line(format!("error: {failure}")));
    report.not_searched.iter().for_each(|path| line(format!("not searched to its end: {}", sane(&path.display().to_string()))));
    if report.unread > 0 {
        let (lines, they_were) = if report.unread == 1 { ("line has", "it was") } else { ("lines have", "they were") };
        line(format!("{} {lines} no known layout: {they_were} searched for addresses and cookies, not for user names", report.unread));
    }
    if report.failures.is_empty() && report.not_searched.is_empty() { Exit::Done } else { Exit::Io }
}

fn found(args: &Args, report: &SubjectReport) -> Outcome {
    if args.json {
        let mut all = sums(report);
        if let Some(all) = all.as_object_mut() {
            all.insert("request".into(), json!("find"));
        }
        say(&format!("{all}\n"))?;
    } else if !args.quiet {
        say(&text(report))?;
    }
    Ok(complain(report))
}

const NOTICE: &str = "This is a copy of what the logs hold about one person. It shows raw data to the person who asked for it; others may be named in it.";

fn copy(job: &SubjectJob<'_>) -> Outcome {
    drop(writeln!(std::io::stderr(), "this shows raw data to you; keep it where only the person whom it is about can read it"));
    let (mut first, mut failed) = (true, None);
    say(&format!("{{\"request\":\"export\",\"notice\":{},\"records\":[", json!(NOTICE)))?;
    let report = export(job, &mut |(path, class, form), (line, at), values| {
        let fields: Vec<Value> = values.iter().map(field).collect();
        let record = json!({"path": path.to_string_lossy(), "class": class.name, "form": form.name, "purpose": class.purpose, "line": line, "time": at, "fields": fields});
        let comma = if std::mem::take(&mut first) { "\n" } else { ",\n" };
        if failed.is_none() {
            failed = say(&format!("{comma}{record}")).err();
        }
    })?;
    if let Some(complaint) = failed {
        return Err(complaint);
    }
    say(&format!("\n],\"found\":{}}}\n", sums(&report)))?;
    Ok(complain(&report))
}

fn field(value: &Field) -> Value {
    let explanation = value.field.map_or(WHOLE_LINE, meaning);
    let name = if value.name.is_empty() { value.field.map_or("line", |field| field.name()) } else { &value.name };
    json!({"field": value.field.map_or("line", |field| field.name()), "name": name, "value": value.value, "explanation": explanation})
}

fn erased(args: &Args, report: &SubjectReport) -> Outcome {
    if args.json {
        let mut all = sums(report);
        if let Some(all) = all.as_object_mut() {
            all.insert("request".into(), json!("erase"));
            all.insert("erased".into(), json!(report.erased()));
            all.insert("left".into(), json!(report.left));
            all.insert("held".into(), json!(report.held));
        }
        say(&format!("{all}\n"))?;
    } else if !args.quiet {
        say(&format!("{}{} erased, {} left\n", text(report), report.erased(), report.left))?;
    }
    let exit = complain(report);
    if let Some(hold) = &report.held {
        return Err(Complaint::refused(
            format!("the hold {} covers records of this person, and nothing was erased", sane(hold)),
            "release it first: logfade hold release NAME --reason TEXT",
        ));
    }
    if report.files.iter().any(|file| matches!(file.fate, Fate::Refused(_))) {
        return Err(Complaint::refused("some files were not rewritten", "rotate logs that a server writes, and run this again"));
    }
    Ok(if report.left > 0 { Exit::Io } else { exit })
}
