//! `logfade pipe`: the job from what was typed, signals, the report.

use crate::args::{Args, OnReject, Output, Pipe};
use crate::complain::Complaint;
use crate::exit::Exit;
use crate::{Outcome, config, keys, report, show, state};
use logfade::run::pipe::{Delivery, PipeJob, Target, open, pipe};
use logfade::scrub;
use logfade::store::confirm::Confirm;
use logfade::store::sink::{Quarantine, Sink, is_pattern};
use logfade::store::source::{Source, Stop};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Runs the filter.
pub(crate) fn run(args: &Args, typed: &Pipe) -> Outcome {
    let started = Instant::now();
    if let Some(file) = typed.files.first() {
        let file = show::sane(&file.display().to_string());
        return Err(Complaint::usage("pipe reads standard input, and opens no file", format!("logfade pipe < {file}, or for archives: logfade batch {file} --out DIR")));
    }
    if typed.ack && typed.output_file.is_none() {
        return Err(Complaint::usage("--ack needs standard output for confirmations", "name the file of clean lines with -o FILE"));
    }
    // A configuration at fault must not be taken for none.
    config::load(args)?;
    let format = show::format(&typed.rules.format)?;
    let policy = show::policy(args, &typed.rules.policy)?;
    // Before the output, so that a refusal leaves no empty file.
    let ring = keys::ring(args, &policy)?;
    let places = show::atlas(&policy)?;
    if typed.output == Output::Same && policy.adds() != (false, false) && !args.quiet && !args.json {
        drop(writeln!(
            std::io::stderr(),
            "warning: what country and asn add has no place in a line of the log's own layout\nadd --output json, or write client_addr = \"country\" or \"asn\" in the policy"
        ));
    }
    let quarantine = match (typed.on_reject, &typed.quarantine) {
        (OnReject::Quarantine, Some(path)) => Some(Quarantine::append(path, state::quarantine(args).as_ref())?),
        (OnReject::Quarantine, None) => return Err(Complaint::usage("--on-reject quarantine needs a file", "name one with --quarantine FILE")),
        (OnReject::Scrub | OnReject::Drop, Some(_)) => return Err(Complaint::usage("--quarantine is not used", "add --on-reject quarantine")),
        (OnReject::Scrub | OnReject::Drop, None) => None,
    };
    let target = match &typed.output_file {
        Some(path) if is_pattern(path) => Target::Dated(path.clone(), now()),
        Some(path) => Target::One(open(path, typed.compress, quarantine.as_ref())?),
        None => {
            let sink = Sink::stdout(typed.compress)?;
            if quarantine.as_ref().is_some_and(|quarantine| sink.is_quarantine(quarantine)) {
                return Err(Complaint::usage("the output is the quarantine", "name two files: raw lines have no place among clean ones"));
            }
            Target::One(sink)
        }
    };
    let mut confirm = if typed.ack { Some(Confirm::stdout()?) } else { None };
    if let (Some(confirm), Target::One(sink)) = (&confirm, &target)
        && sink.is_confirmation(confirm)
    {
        return Err(Complaint::usage("clean lines and confirmations would go to the same place", "name another file with -o: with --ack, standard output is for confirmations"));
    }
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get().min(2));
    let max_line = typed.max_line as usize;
    let stop = Stop::default();
    let (wake, signal) = signals(&stop)?;
    // Nobody hands a line over before this, and the source waits for the first.
    if let Some(confirm) = &mut confirm {
        confirm.ready()?;
    }
    if std::io::stdin().is_terminal() && !args.quiet && !args.json {
        drop(writeln!(std::io::stderr(), "logfade: reads lines from the terminal until Ctrl-D; a file: logfade pipe < access.log"));
    }
    let source = Source::stdin(&stop, Some(wake), max_line)?;
    let job = PipeJob {
        format,
        policy: Arc::new(policy),
        on_reject: match typed.on_reject {
            OnReject::Scrub => scrub::OnReject::Scrub,
            OnReject::Drop => scrub::OnReject::Drop,
            OnReject::Quarantine => scrub::OnReject::Quarantine,
        },
        output: match typed.output {
            Output::Same => scrub::Output::Same,
            Output::Json => scrub::Output::Json,
        },
        compress: typed.compress,
        quarantine,
        threads: typed.threads.map_or(processors, usize::from),
        max_line,
        keys: ring,
        places,
    };
    let mut done = pipe(job, source, Delivery { target, patience: typed.stall, confirm });
    let error = done.error.take().filter(|error| !error.is_broken_pipe());
    let took = started.elapsed();
    let mut stderr = std::io::stderr().lock();
    // A reader that has gone cannot be told.
    let said = match (args.json, args.quiet) {
        (true, _) => Ok(()),
        (false, true) => Ok(()),
        (false, false) => writeln!(stderr, "logfade: {}", report::line(&done, took)),
    };
    drop(said);
    if done.format.is_none() && done.tally.rejected > 0 && !args.quiet && !args.json {
        drop(writeln!(
            stderr,
            "warning: no format was recognised, so nothing but times, methods and status codes was kept\nname the format with --format; `logfade explain` shows what it makes of your log"
        ));
    }
    if done.lost > 0 && typed.stall.is_some() && !args.quiet && !args.json {
        drop(writeln!(stderr, "warning: the output did not take {} lines in time\nlet it read faster, or give it longer with --stall", done.lost));
    }
    let complaint = error.map(Complaint::from);
    if let Some(complaint) = &complaint {
        drop(stderr);
        drop(complaint.print(args.color.on_stderr()));
        stderr = std::io::stderr().lock();
    }
    if args.json {
        drop(writeln!(stderr, "{}", report::json(&done, took)));
    }
    if let Some(complaint) = complaint {
        return Ok(complaint.exit);
    }
    match signal.load(Ordering::Relaxed) {
        0 => {}
        number => return Ok(Exit::Signal(number as u8)),
    }
    let exceeded = typed.max_rejects.is_some_and(|limit| limit.is_exceeded(done.tally.rejected, done.tally.read));
    Ok(if exceeded { Exit::Rejects } else { Exit::Done })
}

/// The one place that reads the clock: for lines in front of the first that has a time.
#[expect(clippy::disallowed_methods, reason = "the binary reads the clock, so that nothing below has to")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// SIGTERM and SIGINT end the reading at a line's end; returns what wakes a read, and where the signal's number will stand.
pub(crate) fn signals(stop: &Stop) -> Result<(File, Arc<AtomicUsize>), Complaint> {
    let failed = |error: std::io::Error| Complaint::usage(format!("cannot listen to signals: {error}"), "run it again");
    let (reader, writer) = rustix::pipe::pipe().map_err(|error| failed(error.into()))?;
    let number = Arc::new(AtomicUsize::new(0));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, stop.flag()).map_err(failed)?;
        signal_hook::flag::register_usize(signal, Arc::clone(&number), signal as usize).map_err(failed)?;
        let writer: OwnedFd = writer.try_clone().map_err(failed)?;
        signal_hook::low_level::pipe::register(signal, writer).map_err(failed)?;
    }
    Ok((File::from(reader), number))
}
