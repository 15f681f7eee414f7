//! `logfade run`: signals, log lines, and the sidecar between them.

use crate::args::Args;
use crate::complain::Complaint;
use crate::exit::Exit;
use crate::{Outcome, config, keys, show, state};
use clap::Args as Group;
use logfade::retain::Keep;
use logfade::run::sidecar::event::{Event, Level};
use logfade::run::sidecar::gauge::Gauges;
use logfade::run::sidecar::{Asked, Setup, SidecarJob, run as sidecar};
use logfade::scrub::{KeySource, PlaceSource, Policy};
use serde_json::{Map, Value, json};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// `logfade run`
#[derive(Debug, Group)]
#[command(after_help = "Examples:
  logfade check && logfade run                        in the foreground, as systemd wants it
  logfade -c logfade.toml --state ./state run         another configuration, another state directory
  logfade --json run 2>> run.jsonl                    log lines as JSON
  kill -HUP $(pidof logfade)                          read the configuration again; an invalid one is not taken

It follows the files of every class through rename, copytruncate, compression and deletion, or listens (syslog on sockets, named
pipes), and writes the forms of each: the segment that grows is a .part file, and a finished one a .zst, or a .zst.age if the form is
sealed. Kill it anywhere: it goes on where its last commit stood. SIGTERM and SIGINT drain it, SIGHUP keeps its sockets open. Log
lines on stderr never hold raw data.

While it runs it also expires, every run.expire_every, as `logfade expire` does; the two exclude each other. Behind a change of the
retention part of the configuration it deletes nothing until somebody has run `logfade expire` and seen its plan.

Exit codes: 0 drained, 2 configuration, 3 input or output failed, 4 another run or expire has the state directory.")]
pub(crate) struct Run {
    /// How long reading and writing may go on after SIGTERM, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=3600))]
    drain: u64,
    /// Look at files by the clock, where the kernel does not tell of changes (network file systems)
    #[arg(long)]
    polling: bool,
}

/// Runs the sidecar.
pub(crate) fn run(args: &Args, typed: &Run) -> Outcome {
    // Raw lines are in its memory.
    without_core_dumps()?;
    let state = state::dir(args)?;
    let first = setup(args)?;
    let (end, reload) = (flag(&[SIGTERM, SIGINT])?, flag(&[SIGHUP])?);
    let asked = move || match (end.load(Ordering::Relaxed), reload.swap(false, Ordering::Relaxed)) {
        (true, _) => Asked::End,
        (false, true) => Asked::Reload,
        (false, false) => Asked::Nothing,
    };
    let least = match (args.quiet, args.verbose) {
        (true, _) => Level::Error,
        (false, 0) => Level::Info,
        (false, _) => Level::Detail,
    };
    let json = args.json;
    let job = SidecarJob {
        state,
        reads: config::path(args).into_iter().collect(),
        load: Box::new(|| setup(args).map_err(|complaint| complaint.text())),
        asked: Box::new(asked),
        clock: state::now,
        drain: Duration::from_secs(typed.drain),
        polling: typed.polling,
        tell: Arc::new(move |event: Event| {
            if event.level >= least {
                tell(&event, json);
            }
        }),
        gauges: Gauges::default(),
    };
    sidecar(&job, first)?;
    Ok(Exit::Done)
}

fn flag(signals: &[i32]) -> Result<Arc<AtomicBool>, Complaint> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in signals {
        signal_hook::flag::register(*signal, Arc::clone(&flag)).map_err(|error| Complaint::usage(format!("cannot listen to signals: {error}"), "run it again"))?;
    }
    Ok(flag)
}

fn without_core_dumps() -> Result<(), Complaint> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let failed = |error: rustix::io::Errno| Complaint::usage(format!("cannot forbid core dumps: {error}"), "raw lines would be in them; run it where it may");
    setrlimit(Resource::Core, none).map_err(failed)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(failed)
}

fn setup(args: &Args) -> Result<Setup, Complaint> {
    let config = config::required(args)?;
    let mut found: Vec<(Arc<Policy>, Option<KeySource>, Option<PlaceSource>)> = Vec::new();
    for form in config.classes.iter().flat_map(|class| &class.forms) {
        if let Keep::Clean(policy) = &form.keep {
            let ring = keys::ring(args, policy)?.map(|ring| ring.source());
            let atlas = show::atlas(policy)?.map(|atlas| atlas.source());
            found.push((Arc::clone(policy), ring, atlas));
        }
    }
    let lookups = move |policy: &Arc<Policy>| {
        let of = found.iter().find(|(known, ..)| Arc::ptr_eq(known, policy));
        of.map_or((None, None), |(_, keys, places)| (keys.clone(), places.clone()))
    };
    Ok(Setup { config, lookups: Box::new(lookups), keys: keys::expiring(args, false)? })
}

/// One line on standard error: never raw data, no control characters.
fn tell(event: &Event, as_json: bool) {
    let path = event.path.as_ref().map(|path| path.display().to_string());
    let line = if as_json {
        let mut object = Map::new();
        object.insert("at".into(), json!(format!("{:.3}", state::now())));
        object.insert("level".into(), json!(event.level.name()));
        object.insert("event".into(), json!(event.what));
        let texts = [("class", &event.class), ("path", &path), ("text", &event.text)];
        object.extend(texts.into_iter().filter_map(|(key, value)| value.as_ref().map(|value| (key.to_owned(), json!(value)))));
        object.extend(event.counts.iter().map(|(key, count)| ((*key).to_owned(), json!(count))));
        format!("{}\n", Value::Object(object))
    } else {
        let mut line = format!("{:.3} {} {}", state::now(), event.level.name(), event.what);
        let counts = event.counts.iter().map(|(key, count)| format!(" {key}={count}"));
        line.extend(event.class.iter().map(|class| format!(" class={class}")));
        line.extend(path.iter().map(|path| format!(" path={}", show::sane(path))));
        line.extend(counts);
        line.extend(event.text.iter().map(|text| format!(": {}", text.lines().map(show::sane).collect::<Vec<_>>().join("\n  "))));
        line.push('\n');
        line
    };
    // A reader that has gone cannot be told.
    drop(std::io::stderr().lock().write_all(line.as_bytes()));
}
