//! What sysadmins look at before they trust it: formats, policies, detection, and what would become of a log.

use crate::args::{Args, Detect, Explain, Policies, PoliciesAction};
use crate::complain::{self, Complaint};
use crate::config::{self, Unread};
use crate::exit::Exit;
use crate::{Outcome, keys, state};
use clap::CommandFactory;
use comfy_table::{Cell, Color, ContentArrangement, Table, TableStyle};
use logfade::diagnostic::Diagnostic;
use logfade::format::{Format, FormatError, detect, named};
use logfade::scrub::{self, BUILT_IN, OnReject, Output, Policy, Settings};
use logfade::store::StoreError;
use logfade::store::keys::{KeyRing, KeyStore};
use logfade::store::places::Atlas;
use logfade::store::source::{Block, Source, Stop};
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// Bytes of a log that are looked at.
const SAMPLE: usize = 1024 * 1024;

/// Writes text to standard output; a reader that has had enough is no error.
pub(crate) fn say(text: &str) -> Outcome {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(complain::output(error)),
        _ => Ok(Exit::Done),
    }
}

/// The format that was asked for; `None` for `auto`.
pub(crate) fn format(text: &str) -> Result<Option<Arc<Format>>, Complaint> {
    if text == "auto" {
        return Ok(None);
    }
    Format::parse(text).map(Some).map_err(|error| match error {
        FormatError::Unknown { name } => {
            let names: Vec<&str> = named().names().collect();
            let near = names.iter().map(|known| (strsim::damerau_levenshtein(known, &name), known)).min().filter(|(distance, _)| *distance <= 3).map(|(_, known)| known);
            let remedy = near.map_or_else(
                || format!("use auto, nginx:LOG_FORMAT, apache:LOGFORMAT, or one of: {}", names.join(" ")),
                |near| format!("did you mean {near}? `logfade formats` lists them all"),
            );
            Complaint::usage(format!("no format is called `{name}`"), remedy)
        }
        FormatError::Directive { text, fault } => {
            let end = (fault.at + 1).min(text.len());
            let diagnostic =
                Diagnostic { cause: fault.cause.into(), origin: "--format".into(), source: text, span: fault.at..end, label: "here".into(), remedy: fault.remedy.into() };
            Complaint::from(Box::new(diagnostic))
        }
    })
}

/// The policy that was asked for: built in, or a file. One that needs keys is refused where there are none.
pub(crate) fn policy(args: &Args, text: &str) -> Result<Policy, Complaint> {
    let keyed = state::dir(args).is_ok_and(|state| KeyStore::is_there(&state));
    read_policy(text, keyed)
}

/// The policy that made something already: its keys may be elsewhere, or destroyed.
pub(crate) fn past_policy(text: &str) -> Result<Policy, Complaint> {
    read_policy(text, true)
}

fn read_policy(text: &str, keyed: bool) -> Result<Policy, Complaint> {
    if let Some(policy) = Policy::built_in(text) {
        return Ok(policy);
    }
    let path = Path::new(text);
    let source = config::text(path, "policy").map_err(|unread| {
        let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
        match unread {
            Unread::Io(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Complaint::usage(format!("no policy is called `{text}`, and no file is there"), format!("use {}, or the path of a policy file", names.join(", ")))
            }
            Unread::Io(error) => {
                Complaint::usage(format!("cannot read the policy {}: {error}", path.display()), format!("use {}, or a policy file that can be read", names.join(", ")))
            }
            Unread::Foreign(complaint) => complaint,
        }
    })?;
    let name = path.file_stem().map_or_else(|| text.to_owned(), |stem| stem.to_string_lossy().into_owned());
    Ok(if keyed { Policy::keyed(&name, text, &source)? } else { Policy::parse(&name, text, &source)? })
}

/// The databases that a policy needs; what happens to them later is said on standard error.
pub(crate) fn atlas(policy: &Policy) -> Result<Option<Arc<Atlas>>, Complaint> {
    let tell = |error: &StoreError| drop(writeln!(std::io::stderr(), "warning: {error}\nwhat was read of it before is used until it changes again"));
    Ok(Atlas::open(policy, Box::new(tell))?)
}

/// The first lines of a file, or of standard input.
fn sample(args: &Args, path: Option<&Path>) -> Result<Block, Complaint> {
    let stop = Stop::default();
    let mut source = match path {
        Some(path) if path != Path::new("-") => Source::open(path, &stop, SAMPLE, &state::seals(args))?,
        _ => Source::stdin(&stop, None, SAMPLE)?,
    };
    let mut block = Block::default();
    source.fill(&mut block, SAMPLE)?;
    Ok(block)
}

/// `logfade detect`
pub(crate) fn detect(args: &Args, typed: &Detect) -> Outcome {
    let mut rows = Vec::new();
    let mut text = String::new();
    let mut done = Exit::Done;
    for path in &typed.files {
        let block = match sample(args, Some(path)) {
            Ok(block) => block,
            Err(complaint) => {
                // The other files have their answer all the same; nobody can be told when standard error is gone.
                drop(complaint.print(args.color.on_stderr()));
                done = complaint.exit;
                continue;
            }
        };
        let ranked = detect::rank(block.as_bytes());
        let fits: Vec<(&str, f64)> = ranked.iter().filter(|fit| fit.score > 0.0).map(|fit| (fit.format.name(), fit.score)).collect();
        let best = fits.first().copied();
        let equals = best.map_or(&[][..], |(name, _)| named().equals(name));
        let others: Vec<(&str, f64)> = equals
            .iter()
            .map(|name| (name.as_str(), best.map_or(0.0, |(_, score)| score)))
            .chain(fits.iter().skip(1).copied().filter(|(name, _)| !equals.iter().any(|equal| equal == name)))
            .collect();
        let runners: Vec<_> = others.iter().map(|(name, score)| json!({"format": name, "score": score})).collect();
        rows.push(json!({"path": path.to_string_lossy(), "format": best.map(|(name, _)| name), "score": best.map_or(0.0, |(_, score)| score), "runners_up": runners}));
        let shown = best.map_or_else(|| "no known format".to_owned(), |(name, score)| format!("{name} ({:.0} %)", score * 100.0));
        let rest: Vec<String> = others.iter().take(4).map(|(name, score)| format!("{name} {:.0} %", score * 100.0)).collect();
        let rest = if rest.is_empty() { String::new() } else { format!("   also: {}", rest.join(", ")) };
        let _infallible = writeln!(text, "{}: {shown}{rest}", path.display());
    }
    if args.json { say(&format!("{}\n", serde_json::Value::from(rows))) } else { say(&text) }?;
    Ok(done)
}

/// A table as wide as the terminal.
pub(crate) fn table() -> Table {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Dynamic);
    if table.width().is_none() {
        table.set_width(120);
    }
    table
}

/// `logfade formats`
pub(crate) fn formats(args: &Args) -> Outcome {
    if args.json {
        let rows: Vec<_> = named().describe().map(|(name, about, example)| json!({"name": name, "about": about, "example": example})).collect();
        return say(&format!("{}\n", serde_json::Value::from(rows)));
    }
    let mut table = table();
    for (name, about, _) in named().describe() {
        table.add_row([name, about]);
    }
    say(&format!("{table}\n\nand nginx:LOG_FORMAT, apache:LOGFORMAT with your own format string\n"))
}

/// `logfade policies [show NAME]`
pub(crate) fn policies(typed: &Policies) -> Outcome {
    if let Some(PoliciesAction::Show { name }) = &typed.action {
        let found = BUILT_IN.iter().find(|(known, _)| known == name);
        let (_, text) = found.ok_or_else(|| Complaint::usage(format!("no policy is called `{name}`"), "`logfade policies` lists them"))?;
        return say(text);
    }
    let mut table = table();
    for (name, text) in BUILT_IN {
        let about = text.lines().find_map(|line| line.strip_prefix("about")).and_then(|rest| rest.split('"').nth(1)).unwrap_or_default();
        table.add_row([name, about]);
    }
    say(&format!("{table}\n\n`logfade policies show NAME` prints one as a file to start from\n"))
}

fn settings(format: Option<Arc<Format>>, policy: Policy, (keys, places): (Option<&Arc<KeyRing>>, Option<&Arc<Atlas>>), sample: &[u8]) -> Settings {
    let formats = format.map_or_else(|| detect::rank(sample).into_iter().map(|fit| fit.format).collect(), |format| vec![format]);
    Settings {
        formats,
        policy: Arc::new(policy),
        on_reject: OnReject::Scrub,
        output: Output::Same,
        max_line: SAMPLE,
        moments: false,
        keys: keys.map(KeyRing::source),
        places: places.map(Atlas::source),
    }
}

/// `logfade explain`
pub(crate) fn explain(args: &Args, typed: &Explain) -> Outcome {
    let format = format(&typed.rules.format)?;
    let policy = policy(args, &typed.rules.policy)?;
    let ring = keys::trial(args, &policy)?;
    let atlas = atlas(&policy)?;
    let block = sample(args, typed.file.as_deref())?;
    let settings = settings(format, policy, (ring.as_ref(), atlas.as_ref()), block.as_bytes());
    let name = settings.formats.first().map_or("unknown", |format| format.name()).to_owned();
    let explained = scrub::explain(&settings, block.as_bytes()).take(typed.lines);
    if block.as_bytes().is_empty() && !args.json {
        return say("no line: there is nothing to explain\n");
    }
    let raw = |text: &str| if typed.no_raw { String::new() } else { sane(text) };
    if args.json {
        let rows: Vec<_> = explained
            .map(|(line, changes)| match changes {
                Ok(changes) => {
                    let fields: Vec<_> = changes.iter().map(|change| json!({"field": change.field.name(), "name": change.name, "action": change.action, "before": if typed.no_raw { "" } else { &change.before }, "after": change.after, "keyless": change.keyless})).collect();
                    json!({"line": line, "fields": fields})
                }
                Err(reject) => json!({"line": line, "fields": [], "rejected": reject.name()}),
            })
            .collect();
        return say(&format!("{}\n", serde_json::Value::from(rows)));
    }
    let color = args.color.on_stdout();
    let mut text = format!("format {name}, policy {}\n", settings.policy.name());
    let mut keyless = false;
    for (line, changes) in explained {
        let _infallible = writeln!(text, "\nline {line}");
        let Ok(changes) = changes else {
            text.push_str("  does not parse: it would be rejected, and only times, methods and status codes of it kept\n");
            continue;
        };
        let mut table = table();
        if color {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        for change in &changes {
            let field = if change.name.is_empty() || change.name == change.field.name() {
                change.field.name().to_owned()
            } else {
                format!("{} {}", change.field.name(), sane(&change.name))
            };
            let (mark, tint) = if change.before == change.after { ("=", Color::Green) } else { ("→", Color::Yellow) };
            let after = if change.after.is_empty() { "(nothing)".to_owned() } else { sane(&change.after) };
            keyless |= change.keyless;
            let action = if change.keyless { format!("{}, no key", change.action) } else { change.action.clone() };
            table.add_row([
                Cell::new(format!("  {field}")),
                Cell::new(action),
                Cell::new(raw(&change.before)).fg(if change.before == change.after { Color::Reset } else { Color::Red }),
                Cell::new(mark),
                Cell::new(after).fg(tint),
            ]);
        }
        let _infallible = writeln!(text, "{table}");
    }
    if keyless {
        text.push_str("\nno key: the record has no time, or its day is over for longer than keys are kept; addresses are truncated, other values dropped\n");
    }
    say(&text)
}

/// Log data may hold terminal escapes.
pub(crate) fn sane(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '\u{FFFD}' } else { char }).collect()
}

/// `logfade man`
pub(crate) fn man(dir: Option<&Path>) -> Outcome {
    if let Some(dir) = dir {
        let failed = |error: std::io::Error| Complaint::usage(format!("cannot write manual pages into {}: {error}", dir.display()), "name a directory that is there");
        return clap_mangen::generate_to(Args::command(), dir).map(|()| Exit::Done).map_err(failed);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(Args::command()).render(&mut page).map_err(complain::output)?;
    say(&String::from_utf8_lossy(&page))
}

/// `logfade completions`
pub(crate) fn completions(shell: clap_complete::Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "logfade", &mut script);
    say(&String::from_utf8_lossy(&script))
}

/// `logfade` alone says what to try.
pub(crate) fn start(command: &clap::Command) -> Outcome {
    let version = command.get_version().unwrap_or_default();
    say(&format!(
        "logfade {version} takes web-server access logs from raw to gone.\n\n\
         What would become of a log of yours, field by field; nothing is changed:\n  logfade explain /var/log/nginx/access.log\n\n\
         Clean it:\n  logfade pipe < /var/log/nginx/access.log > clean.log\n\n\
         Keep all logs of this machine clean, and delete the raw ones in time; a configuration to start from, and what it lacks:\n  logfade init\n  logfade check\n\n\
         `logfade --help` lists the commands.\n"
    ))
}
