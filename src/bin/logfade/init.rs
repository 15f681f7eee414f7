//! `logfade init`: a first configuration for the logs that are there, commented, deleting nothing.

use crate::args::{Args, Init as Typed};
use crate::complain::{Complaint, told};
use crate::exit::Exit;
use crate::show::say;
use crate::{Outcome, state};
use jiff::tz::TimeZone;
use logfade::report::inert;
use logfade::retain::Until;
use logfade::retain::begin::{FoundLogs, begin};
use logfade::run::init::{PLACES, look};
use logfade::store::{StoreError, page};
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Looks, writes one file, and says what is left to a person.
pub(crate) fn run(args: &Args, typed: &Typed) -> Outcome {
    let unknown = |span: &String| Complaint::usage(format!("{span:?} is no span of time"), "say \"6 months\", \"180 days\", \"1 year\" or \"7 years, end of year\"");
    let raw = typed.raw.as_ref().map(|span| Until::parse(span).ok_or_else(|| unknown(span))).transpose()?;
    let named = !typed.places.is_empty();
    let places: Vec<(String, PathBuf)> = if named {
        typed.places.iter().map(|place| (label(place), place.clone())).collect()
    } else {
        PLACES.iter().map(|(label, place)| ((*label).to_owned(), PathBuf::from(place))).collect()
    };
    let (found, failures) = look(&places, named);
    if named && !failures.is_empty() {
        // A configuration of what happens to be readable would be taken for one of everything.
        return tell(&failures);
    }
    let state_dir = std::path::absolute(state::fixed(args)?).unwrap_or_else(|_unnamed| PathBuf::from("/var/lib/logfade"));
    let zone = TimeZone::system();
    let text = begin(&found, &state_dir.to_string_lossy(), zone.iana_name(), raw);
    let path = target(args, typed);
    match path.as_deref() {
        Some(path) => page::begin(path, &text)?,
        None => drop(say(&text)?),
    }
    if args.json && path.is_some() {
        let class = |class: &logfade::retain::begin::FoundClass| json!({"class": class.name, "format": class.format, "raw": class.globs, "files": class.files});
        let unknown: Vec<_> = found.unknown.iter().map(|path| path.to_string_lossy()).collect();
        let path = path.as_deref().map(Path::to_string_lossy);
        say(&format!("{}\n", json!({"path": path, "classes": found.classes.iter().map(class).collect::<Vec<_>>(), "unknown": unknown})))?;
    } else if let Some(path) = path.as_deref().filter(|_| !args.quiet) {
        say(&summary(path, &found, raw))?;
    }
    tell(&failures)
}

/// What could not be looked at.
fn tell(failures: &[StoreError]) -> Outcome {
    let mut stderr = std::io::stderr().lock();
    for failure in failures {
        let _nobody_to_tell = writeln!(stderr, "error: {}", told(failure));
    }
    Ok(if failures.is_empty() { Exit::Done } else { Exit::Io })
}

/// Where it goes: `-o`, else the file that `-c` names, else the default for root, else beside where one stands. None is standard output.
fn target(args: &Args, typed: &Typed) -> Option<PathBuf> {
    let named = typed.output_file.clone().or_else(|| args.config.clone());
    let own = || if rustix::process::geteuid().is_root() { PathBuf::from(crate::config::DEFAULT) } else { PathBuf::from("logfade.toml") };
    Some(named.unwrap_or_else(own)).filter(|path| path != Path::new("-"))
}

/// What the last part of a path that says something calls its logs.
fn label(place: &Path) -> String {
    let says = |name: &String| !matches!(name.as_str(), "log" | "logs" | "") && !name.starts_with('.');
    let names = place.ancestors().filter_map(|part| Some(part.file_name()?.to_string_lossy().into_owned()));
    names.map(|name| name.strip_suffix(".log").map_or_else(|| name.clone(), str::to_owned)).find(says).unwrap_or_else(|| "site".to_owned())
}

fn summary(path: &Path, found: &FoundLogs, raw: Option<Until>) -> String {
    let mut text = format!("wrote {}\n", path.display());
    for class in &found.classes {
        // Writing to a string does not fail.
        let _infallible = writeln!(text, "  class {}: {} ({} file{})", class.name, inert(&class.globs.join(", ")), class.files, if class.files == 1 { "" } else { "s" });
    }
    if found.classes.is_empty() {
        text.push_str("no log was found where servers write them: name directories with `logfade init DIR…`, or fill in the example\n");
    }
    for path in &found.unknown {
        let _infallible = writeln!(text, "  not taken, no known format: {}", inert(&path.to_string_lossy()));
    }
    let next = match raw {
        None => "nothing is deleted by it: decide how long raw logs stay (the lines that say DECIDE), then ask".to_owned(),
        Some(until) => format!("raw records stay {until}; the first `logfade expire` deletes nothing and shows what the next one would; ask"),
    };
    let _infallible = writeln!(text, "{next}\n  logfade -c {0} check\n  logfade -c {0} plan", path.display());
    text
}
