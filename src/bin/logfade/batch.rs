//! `logfade batch`: which files, under which rules, and what became of each.

mod progress;

use crate::args::{Args, Limit, OnReject, Output, Rules, compress, limit};
use crate::complain::Complaint;
use crate::exit::Exit;
use crate::show::{sane, say};
use crate::{Outcome, complain, config, keys, pipe, report, show, state};
use clap::{Args as Group, ValueEnum};
use logfade::retain::ledger::Digest;
use logfade::run::batch::{BatchJob, FileReport, Status, Watch, batch};
use logfade::run::pipe::{PipeJob, PipeReport};
use logfade::scrub::{self, BUILT_IN};
use logfade::store::places::Atlas;
use logfade::store::sink::{Compress, Quarantine, rows};
use logfade::store::walk::{Found, absolute, listed, walk};
use serde_json::{Value, json};
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// `logfade batch`
#[derive(Debug, Group)]
#[command(after_help = "Examples:
  logfade batch /var/log/nginx --out /srv/logs/clean
  logfade batch '/var/log/*/access.log-*.gz' --out /srv/logs/clean --policy strict --format combined
  find /archive -name '*.gz' -newer stamp | logfade batch --manifest - --results rows.ndjson --out /srv/logs/clean
  logfade batch /var/log/nginx --out /srv/logs/clean --dry-run

Reads plain, gzip, zstd, bzip2 and xz; writes zstd in independent frames. What the ledger says is done and unchanged is skipped,
so run it again whenever it was interrupted. Raw files are never changed or deleted. A directory keeps its tree below --out, a
file its name, a quoted glob what stands behind its first wildcard, and a path of a manifest stays whole.")]
pub(crate) struct Batch {
    /// Files, directories, quoted globs
    #[arg(value_name = "PATH", required_unless_present = "manifest")]
    paths: Vec<PathBuf>,
    /// Directory of the clean files; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    rules: Rules,
    /// zstd or zstd:LEVEL, 1 to 19
    #[arg(long, default_value = "zstd", value_name = "C", value_parser = compress)]
    compress: Compress,
    /// Layout of the output: as the input, or NDJSON with ECS names
    #[arg(long, value_enum, default_value_t = Output::Same)]
    output: Output,
    /// What becomes of a line that does not parse
    #[arg(long, value_enum, default_value_t = OnReject::Scrub, value_name = "WHAT")]
    on_reject: OnReject,
    /// Where rejected lines are kept raw (mode 0600); a file that is done again is kept there again
    #[arg(long, value_name = "FILE")]
    quarantine: Option<PathBuf>,
    /// More rejected lines than N, or than P% of those read, end in exit code 1
    #[arg(long, value_name = "N|P%", value_parser = limit)]
    max_rejects: Option<Limit>,
    /// Threads that scrub and compress (default: the processors)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: Option<u16>,
    /// Longest line in bytes; a longer one is rejected
    #[arg(long, value_name = "BYTES", default_value_t = 1024 * 1024, value_parser = clap::value_parser!(u32).range(64..=64 * 1024 * 1024))]
    max_line: u32,
    /// Files at the same time (default: the processors)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Progress bar on a terminal
    #[arg(long, value_enum, default_value_t = Progress::Auto, value_name = "WHEN")]
    progress: Progress,
    /// Say what would be done and write nothing
    #[arg(long)]
    dry_run: bool,
    /// One more path per line; - is stdin
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// One JSON row per file, appended as soon as it is done; - is stdout. A bad file is then a row and no exit code
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
}

/// When to show progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Progress {
    /// On a terminal.
    Auto,
    /// Never.
    Never,
}

/// Runs the verb.
pub(crate) fn run(args: &Args, typed: &Batch) -> Outcome {
    let started = Instant::now();
    // A configuration at fault must not be taken for none.
    config::load(args)?;
    let job = job(args, typed)?;
    let quarantine = typed.on_reject == OnReject::Quarantine;
    let found = found(typed, &job.out)?;
    let watch = Watch::default();
    let (_wake, signal) = pipe::signals(&watch.stop)?;
    let rows = match &typed.results {
        Some(path) if path == Path::new("-") => Some(Mutex::new(Box::new(std::io::stdout()) as Box<dyn Write + Send>)),
        Some(path) => Some(Mutex::new(Box::new(rows(path)?) as Box<dyn Write + Send>)),
        None => None,
    };
    let lost = Mutex::new(None);
    let bar = progress::Bars::new(typed.progress == Progress::Auto && !args.quiet && !args.json && typed.results.as_deref() != Some(Path::new("-")), &found, &watch);
    let done = batch(job, found, &watch, &|file| {
        if let Some(rows) = &rows {
            let line = format!("{}\n", row(file));
            let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = rows.write_all(line.as_bytes()).and_then(|()| rows.flush()) {
                // Whoever drives this would not learn what was done.
                watch.stop.stop();
                *lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        }
    });
    drop(bar);
    let files = done?;
    if let Some(error) = lost.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(complain::output(error));
    }
    let sum = sum(&files);
    tell(args, &files, &sum, started.elapsed())?;
    if quarantine && sum.tally.rejected > 0 && !args.quiet {
        drop(writeln!(std::io::stderr(), "logfade: {} raw lines are in the quarantine", sum.tally.rejected));
    }
    Ok(match signal.load(Ordering::Relaxed) {
        0 => exit(typed, &files, &sum),
        number => Exit::Signal(number as u8),
    })
}

fn job(args: &Args, typed: &Batch) -> Result<BatchJob, Complaint> {
    if !matches!(typed.compress, Compress::Zstd(_)) {
        return Err(Complaint::usage("batch writes zstd: its frames can be read side by side", "leave --compress out, or choose zstd:1 to zstd:19"));
    }
    let format = show::format(&typed.rules.format)?;
    let policy = show::policy(args, &typed.rules.policy)?;
    // Before anything is made, so that a refusal leaves nothing behind.
    let keys = if typed.dry_run { keys::trial(args, &policy)? } else { keys::ring(args, &policy)? };
    let places = show::atlas(&policy)?;
    let rules = rules(typed, places.as_deref());
    let quarantine = match (typed.on_reject, &typed.quarantine) {
        (OnReject::Quarantine, Some(path)) => Some(Quarantine::append(path, state::quarantine(args).as_ref())?),
        (OnReject::Quarantine, None) => return Err(Complaint::usage("--on-reject quarantine needs a file", "name one with --quarantine FILE")),
        (OnReject::Scrub | OnReject::Drop, Some(_)) => return Err(Complaint::usage("--quarantine is not used", "add --on-reject quarantine")),
        (OnReject::Scrub | OnReject::Drop, None) => None,
    };
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let pipe = PipeJob {
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
        max_line: typed.max_line as usize,
        keys,
        places,
    };
    Ok(BatchJob { rules, pipe, jobs: typed.jobs.map_or(processors, usize::from), dry_run: typed.dry_run, out: absolute(&typed.out)?, state: state::dir(args)?, clock: state::now })
}

/// What decides about output bytes, besides the raw ones: whoever changes it gets new files.
fn rules(typed: &Batch, places: Option<&Atlas>) -> Digest {
    let name = &typed.rules.policy;
    let built_in = BUILT_IN.iter().find(|(known, _)| known == name).map(|(_, text)| (*text).to_owned());
    let policy = built_in.or_else(|| std::fs::read_to_string(name).ok()).unwrap_or_default();
    let mut parts = vec![json!([policy, typed.rules.format, format!("{:?}", typed.compress), format!("{:?}", typed.output), format!("{:?}", typed.on_reject), typed.max_line])];
    // Without a database the digest is what it was before there were any.
    parts.extend(places.map(|places| json!(places.editions())));
    Digest::of(parts.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n").as_bytes())
}

fn found(typed: &Batch, out: &Path) -> Result<Vec<Found>, Complaint> {
    let mut found: Vec<Found> = typed.paths.iter().flat_map(|path| walk(path, out)).collect();
    if let Some(manifest) = &typed.manifest {
        let failed = |error| Complaint::usage(format!("cannot read {}: {error}", manifest.display()), "name a file with one path per line, or - for stdin");
        let lines: Box<dyn BufRead> =
            if manifest == Path::new("-") { Box::new(std::io::stdin().lock()) } else { Box::new(std::io::BufReader::new(std::fs::File::open(manifest).map_err(failed)?)) };
        for line in lines.split(b'\n') {
            let line = line.map_err(failed)?;
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            if !line.is_empty() {
                found.push(listed(line));
            }
        }
    }
    // What cannot be right for any file is refused before the first.
    if let [Err(_)] = found.as_slice()
        && typed.manifest.is_none()
        && typed.results.is_none()
        && let Some(Err(error)) = found.pop()
    {
        return Err(error.into());
    }
    Ok(found)
}

fn sum(files: &[FileReport]) -> PipeReport {
    let mut sum = PipeReport::default();
    for FileReport { report, .. } in files {
        sum.tally.add(&report.tally);
        sum.bytes_in += report.bytes_in;
        sum.bytes_out += report.bytes_out;
        sum.lost += report.lost;
    }
    let mut formats: Vec<&String> = files.iter().filter_map(|file| file.report.format.as_ref()).collect();
    formats.dedup();
    // Several formats have no common name.
    sum.format = if let [format] = formats.as_slice() { Some((*format).clone()) } else { None };
    sum
}

fn row(file: &FileReport) -> Value {
    let mut row = json!({
        "path": file.path.to_string_lossy(),
        "output": file.output.as_ref().map(|output| output.to_string_lossy()),
        "status": file.status.name(),
    });
    let error = file.report.error.as_ref().map(ToString::to_string);
    if let (Some(row), Value::Object(counts)) = (row.as_object_mut(), report::json(&file.report, file.took)) {
        row.extend(counts);
        row.insert("oldest".into(), json!(file.report.tally.oldest.map(|time| time.to_string())));
        row.insert("newest".into(), json!(file.report.tally.newest.map(|time| time.to_string())));
        row.extend(error.map(|error| ("error".to_owned(), error.into())));
    }
    row
}

fn tell(args: &Args, files: &[FileReport], sum: &PipeReport, took: Duration) -> Result<(), Complaint> {
    let mut stderr = std::io::stderr().lock();
    for file in files {
        if let Some(error) = &file.report.error {
            let place = if error.path.ends_with(&file.path) { String::new() } else { format!("{}: ", file.path.display()) };
            // Nobody can be told when standard error is gone.
            drop(writeln!(stderr, "error: {}", lines(&format!("{place}{error}"))));
        } else if file.status == Status::Done && file.report.format.is_none() && sum.tally.rejected > 0 && !args.quiet {
            drop(writeln!(stderr, "warning: {}: no format was recognised; name it with --format", sane(&file.path.display().to_string())));
        }
    }
    if args.json {
        let mut total = report::json(sum, took);
        if let Some(total) = total.as_object_mut() {
            total.insert("files".into(), files.iter().map(row).collect());
        }
        say(&format!("{total}\n"))?;
        return Ok(());
    }
    if !args.quiet {
        let count = |status| files.iter().filter(|file| file.status == status).count();
        for file in files.iter().filter(|file| file.status == Status::Planned) {
            let output = file.output.as_ref().map(|output| output.display().to_string()).unwrap_or_default();
            say(&format!("{} -> {}\n", sane(&file.path.display().to_string()), sane(&output)))?;
        }
        let kinds = [Status::Done, Status::Skipped, Status::Planned, Status::Failed].into_iter().filter(|status| count(*status) > 0);
        let counts: Vec<String> = kinds.map(|status| format!("{} {}", count(status), status.name())).collect();
        let counts = if counts.is_empty() { "no files".to_owned() } else { counts.join(", ") };
        drop(writeln!(stderr, "logfade: {counts}; {}", report::line(sum, took)));
    }
    Ok(())
}

/// Keeps the line breaks of an error, and nothing else that a terminal would obey.
fn lines(text: &str) -> String {
    text.lines().map(sane).collect::<Vec<_>>().join("\n")
}

fn exit(typed: &Batch, files: &[FileReport], sum: &PipeReport) -> Exit {
    let errors = files.iter().filter_map(|file| file.report.error.as_ref());
    let worst = errors.map(complain::exit_of).map(|exit| if exit == Exit::Usage { Exit::Refused } else { exit });
    let worst = worst.fold(None, |worst, exit| if worst == Some(Exit::Io) { worst } else { Some(exit) });
    match worst {
        Some(exit) if typed.results.is_none() => exit,
        _ if typed.max_rejects.is_some_and(|limit| limit.is_exceeded(sum.tally.rejected, sum.tally.read)) => Exit::Rejects,
        Some(_) | None => Exit::Done,
    }
}
