//! What was typed.

use crate::batch::Batch;
use crate::expire::Expire;
use crate::hold::Hold;
use crate::incident::Incident;
use crate::keys::Keys;
use crate::ledger::Ledger;
use crate::run::Run;
use crate::subject::Subject;
use crate::verify::Verify;
use clap::{Args as Group, Parser, Subcommand, ValueEnum};
use logfade::store::sink::Compress;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

/// Takes web-server access logs from raw to gone.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100, after_help = EXAMPLES, disable_help_subcommand = true)]
pub(crate) struct Args {
    /// Configuration file (default: /etc/logfade/logfade.toml, if it is there)
    #[arg(short, long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Directory of what logfade keeps between runs: the ledger and keys
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Say nothing but errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Say more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Colour of messages and tables
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(crate) color: Color,
    /// Machine-readable report on stdout (for `pipe`: the last line of stderr)
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

const EXAMPLES: &str = "Examples:
  logfade explain access.log                     what would become of your log, field by field
  logfade pipe < access.log > clean.log          clean it
  logfade pipe --policy strict --compress zstd < access.log > clean.log.zst
  logfade batch /var/log/nginx --out /srv/logs   archives, directories of them too
  CustomLog \"|/usr/bin/logfade pipe -o /srv/logs/clean.log\" combined

Exit codes: 0 done, 1 done but more lines rejected than --max-rejects allows, 2 usage, configuration or policy,
3 input or output failed and the work is partly done, 4 refused, 130 and 143 interrupted with everything whole.";

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Whether standard error gets colour.
    pub(crate) fn on_stderr(self) -> bool {
        self.on(std::io::stderr().is_terminal())
    }

    /// Whether standard output gets colour.
    pub(crate) fn on_stdout(self) -> bool {
        self.on(std::io::stdout().is_terminal())
    }

    fn on(self, terminal: bool) -> bool {
        match self {
            Self::Auto => terminal && std::env::var_os("NO_COLOR").is_none(),
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Filter: raw lines on stdin, clean lines on stdout
    Pipe(Pipe),
    /// Whether an identifier of a raw file stands in its clean file
    Verify(Verify),
    /// Archives: files, directories and globs to clean .zst files
    Batch(Batch),
    /// The sidecar: follow logs, write their forms, expire on its own clock
    Run(Run),
    /// Which format each file has
    Detect(Detect),
    /// The named formats
    Formats,
    /// The built-in policies
    Policies(Policies),
    /// What would become of a log's first lines, field by field
    Explain(Explain),
    /// Check a policy, a format and the configuration without touching a log
    Check(Check),
    /// Delete what is due, with proof
    Expire(Expire),
    /// Legal holds: what may not be deleted
    Hold(Hold),
    /// Evidence: what was done, and whether the record of it is whole
    Ledger(Ledger),
    /// What broke a promise, and how it ended
    Incident(Incident),
    /// Keys of pseudonyms: make, list, export, destroy, and undo encrypt-prefix
    Keys(Keys),
    /// A sealed file, decrypted to stdout. Shows raw data to you
    Open(Open),
    /// What expiry would do with every file, and why; changes nothing
    Plan(Plan),
    /// The state of retention: what is kept until when, what was done, what is open
    Report(Report),
    /// The record of processing (GDPR Art. 30), from the configuration
    Register(Register),
    /// Write a first configuration for the logs of this machine
    Init(Init),
    /// A person's records: find, export, erase (GDPR Art. 15 and 17)
    Subject(Subject),
    /// The manual page (roff); with DIR, a page for each command into it
    Man {
        /// Write logfade.1, logfade-pipe.1 … into this directory
        dir: Option<PathBuf>,
    },
    /// Completions for a shell
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
}

/// What decides about lines.
#[derive(Debug, Group)]
pub(crate) struct Rules {
    /// A name from `logfade formats`, nginx:LOG_FORMAT, apache:LOGFORMAT, or auto
    #[arg(long, default_value = "auto", value_name = "F")]
    pub(crate) format: String,
    /// A built-in policy or a policy file
    #[arg(long, default_value = "default", value_name = "P")]
    pub(crate) policy: String,
}

/// `logfade pipe`
#[derive(Debug, Group)]
#[command(after_help = "Examples:
  logfade pipe < access.log > clean.log
  zcat old.log.gz | logfade pipe --format combined --policy strict --compress zstd -o clean.log.zst
  logfade pipe --format 'nginx:$remote_addr [$time_local] \"$request\" $status' < my.log
  logfade keys init && logfade pipe --policy keyed.toml < access.log > clean.log
  logfade pipe --on-reject quarantine --quarantine odd.log --max-rejects 0.1% < access.log
  logfade pipe --stall 5s < access.fifo | slow-reader        drops and counts rather than hold the server up
  logfade pipe --ack -q --format combined -o clean.log       as the binary of rsyslog's omprog")]
pub(crate) struct Pipe {
    #[command(flatten)]
    pub(crate) rules: Rules,
    /// Append to FILE instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output_file: Option<PathBuf>,
    /// none, gzip[:LEVEL] or zstd[:LEVEL]
    #[arg(long, default_value = "none", value_name = "C", value_parser = compress)]
    pub(crate) compress: Compress,
    /// Layout of the output: as the input, or NDJSON with ECS names
    #[arg(long, value_enum, default_value_t = Output::Same)]
    pub(crate) output: Output,
    /// What becomes of a line that does not parse
    #[arg(long, value_enum, default_value_t = OnReject::Scrub, value_name = "WHAT")]
    pub(crate) on_reject: OnReject,
    /// Where `--on-reject quarantine` keeps raw lines (mode 0600)
    #[arg(long, value_name = "FILE")]
    pub(crate) quarantine: Option<PathBuf>,
    /// More rejected lines than N, or than P% of those read, end in exit code 1
    #[arg(long, value_name = "N|P%", value_parser = limit)]
    pub(crate) max_rejects: Option<Limit>,
    /// Threads that scrub (default: the processors, at most 2)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) threads: Option<u16>,
    /// Longest line in bytes; a longer one is rejected
    #[arg(long, value_name = "BYTES", default_value_t = 1024 * 1024, value_parser = clap::value_parser!(u32).range(64..=64 * 1024 * 1024))]
    pub(crate) max_line: u32,
    /// Wait for an output that takes nothing only so long, then drop lines and count them as lost
    #[arg(long, value_name = "DURATION", value_parser = stall)]
    pub(crate) stall: Option<Duration>,
    /// Confirm each line that is on disk with OK on stdout: rsyslog's omprog with confirmMessages="on"; needs -o
    #[arg(long, conflicts_with = "stall")]
    pub(crate) ack: bool,
    /// Files, which it does not take: typed so often that the answer has to say what helps
    #[arg(hide = true)]
    pub(crate) files: Vec<PathBuf>,
}

/// Layout of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// As the input.
    Same,
    /// NDJSON.
    Json,
}

/// What becomes of rejects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnReject {
    /// Keep the place, with allow-listed tokens only.
    Scrub,
    /// Leave out.
    Drop,
    /// Leave out and keep raw in the quarantine.
    Quarantine,
}

/// How many rejects are too many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Limit {
    /// Lines.
    Lines(u64),
    /// Percent of the lines read.
    Percent(f64),
}

impl Limit {
    /// Whether the counts exceed it.
    pub(crate) fn is_exceeded(self, rejected: u64, read: u64) -> bool {
        match self {
            Self::Lines(limit) => rejected > limit,
            Self::Percent(limit) => rejected as f64 * 100.0 > limit * read as f64,
        }
    }
}

pub(crate) fn limit(text: &str) -> Result<Limit, String> {
    let fault = || "write a number of lines, or a percentage such as 0.1%".to_owned();
    match text.strip_suffix('%') {
        Some(percent) => percent.parse().ok().filter(|percent| (0.0..=100.0).contains(percent)).map(Limit::Percent).ok_or_else(fault),
        None => text.parse().ok().map(Limit::Lines).ok_or_else(fault),
    }
}

fn stall(text: &str) -> Result<Duration, String> {
    let fault = || "write a time such as 500ms, 5s or \"1 minute\"".to_owned();
    let duration: jiff::SignedDuration = text.parse().ok().ok_or_else(fault)?;
    Duration::try_from(duration).ok().filter(|duration| !duration.is_zero()).ok_or_else(fault)
}

pub(crate) fn compress(text: &str) -> Result<Compress, String> {
    let (name, level) = text.split_once(':').map_or((text, None), |(name, level)| (name, Some(level)));
    let level = |default: i32, most: i32| match level {
        None => Ok(default),
        Some(level) => level.parse().ok().filter(|level| (1..=most).contains(level)).ok_or_else(|| format!("the level of {name} lies between 1 and {most}")),
    };
    match name {
        "none" => Ok(Compress::None),
        "gzip" => level(6, 9).map(|level| Compress::Gzip(level.unsigned_abs())),
        "zstd" => level(3, 19).map(Compress::Zstd),
        _ => Err("write none, gzip, gzip:1 … gzip:9, zstd, or zstd:1 … zstd:19".to_owned()),
    }
}

/// `logfade detect`
#[derive(Debug, Group)]
pub(crate) struct Detect {
    /// Files, plain or compressed; - is stdin
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

/// `logfade policies`
#[derive(Debug, Group)]
pub(crate) struct Policies {
    #[command(subcommand)]
    pub(crate) action: Option<PoliciesAction>,
}

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub(crate) enum PoliciesAction {
    /// Print a built-in policy as a file to start from
    Show {
        /// Its name
        name: String,
    },
}

/// `logfade explain`
#[derive(Debug, Group)]
#[command(after_help = "Examples:
  logfade explain access.log --lines 1
  logfade explain access.log --policy strict --no-raw
  logfade pipe --policy strict < access.log | logfade explain --risk --policy strict

Shows raw data to you, on your terminal; --no-raw leaves it out, and --risk shows none.")]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) rules: Rules,
    /// A log, plain or compressed; stdin if left out
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Lines to explain
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub(crate) lines: usize,
    /// Do not show raw values
    #[arg(long)]
    pub(crate) no_raw: bool,
    /// FILE is a clean one: how far its records single people out and can be linked, in figures and in words
    #[arg(long, conflicts_with = "lines")]
    pub(crate) risk: bool,
    /// With --risk: how many records should at least share address, user agent and hour
    #[arg(long, default_value_t = 10, value_name = "N", requires = "risk", value_parser = clap::value_parser!(u64).range(2..))]
    pub(crate) k: u64,
}

/// `logfade check`
#[derive(Debug, Group)]
#[command(after_help = "Examples:
  logfade check                                  the configuration in /etc/logfade/logfade.toml
  logfade -c logfade.toml check                  another one: what it keeps, what it leaves undecided, what expiry will lack
  logfade check --policy mine.toml --format 'nginx:$remote_addr [$time_local] \"$request\" $status'
  logfade check --schema > logfade.schema.json   the keys of the configuration, for an editor")]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) rules: Rules,
    /// Print the JSON schema of the configuration instead
    #[arg(long)]
    pub(crate) schema: bool,
}

/// `logfade open`
#[derive(Debug, Group)]
#[command(after_help = "Examples:
  logfade open access.20261122T000000Z--20261122T235959Z.0a1b2c3d.zst.age | less
  logfade open quarantine.log | logfade explain --lines 1
  logfade --state /var/lib/logfade open old.zst.age > old.log
  age -r age1… -o note.age note.txt && logfade open note.age     made for the public half of a seal key (`logfade keys list`)

What the file holds is decompressed as well. On a terminal, control characters are shown as `?`. Compressed or not, a cut or damaged
file ends in an error behind what could be read. Every other verb reads sealed files by itself where the keys are.

Exit codes: 0 done, 3 damaged, cut, or still being written, 4 its key was destroyed, or is not here.")]
pub(crate) struct Open {
    /// A sealed file, or an age file made for one of the seal keys
    pub(crate) file: PathBuf,
}

/// `logfade plan`
#[derive(Debug, Group)]
#[command(after_help = "Reasons:
  young            no record of it is due
  expired          all of its records are due
  straddles        some are due, others not: it is cut, unless the class says split = false
  held             a hold covers it
  in_use           somebody writes it; with the action reopen, it is moved aside and its server told to let go of it
  not_scrubbed     its forms are not made and cannot be made here
  unproven         it cannot be read to its end, or is no plain file with one name
  too_many_rejects more of its lines do not parse than max_rejects allows
  future_dated     it has records of a time to come
  vanished         somebody else deleted it

Examples:
  logfade plan
  logfade -c logfade.toml plan --now 2026-01-01T00:00:00Z --json

Exit code 1: something is due and stays.")]
pub(crate) struct Plan {
    /// As of this time, which may not lie after the wall clock
    #[arg(long, value_name = "TIME", value_parser = crate::state::moment)]
    pub(crate) now: Option<jiff::Timestamp>,
}

/// `logfade report`
#[derive(Debug, Group)]
#[command(after_help = "Examples:
  logfade report
  logfade report --html /srv/www/retention.html  one page for the data-protection officer; loads nothing from elsewhere
  logfade --json report | jq '.classes[].forms[] | {form, oldest, deadline, overdue}'

With --json and --html both are written, with the same figures. Changes nothing. Exit code 1: something is due and stays;
4: the ledger does not hold.")]
pub(crate) struct Report {
    /// Write the report as one HTML page; takes the place of an older one, and of nothing else. - is stdout
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// `logfade init`
#[derive(Debug, Group)]
#[command(after_help = "Examples:
  logfade init                                   /etc/logfade/logfade.toml as root, else ./logfade.toml
  logfade init -o -                              on standard output
  logfade init -o logfade.toml /srv/www/logs     for the logs of other directories

Looks where servers write their logs, and finds out their formats by what stands in them. Nothing is overwritten, and nothing is
deleted by what it writes: how long raw logs stay is left to you, and until you decide it `logfade check` says what is missing.")]
pub(crate) struct Init {
    /// Where to write the configuration; - is stdout
    #[arg(short, long = "output-file", value_name = "FILE")]
    pub(crate) output_file: Option<PathBuf>,
    /// How long raw logs stay, such as "6 months" or "7 days"; left for you to fill in if it is not said
    #[arg(long, value_name = "SPAN")]
    pub(crate) raw: Option<String>,
    /// Directories or files to look at (default: where servers write them, such as /var/log/nginx)
    #[arg(value_name = "DIR")]
    pub(crate) places: Vec<PathBuf>,
}

/// `logfade register`
#[derive(Debug, Group)]
#[command(after_help = "Examples:
  logfade register > register.md
  logfade -c logfade.toml register --as html > register.html")]
pub(crate) struct Register {
    /// Markdown, JSON, or one HTML page [default: md]
    #[arg(long = "as", value_enum, value_name = "FORM")]
    pub(crate) form: Option<As>,
}

/// How the record is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum As {
    /// Markdown.
    Md,
    /// JSON.
    Json,
    /// HTML.
    Html,
}
