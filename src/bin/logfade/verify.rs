//! `logfade verify`: both files, and a verdict that quotes neither.

use crate::args::Args;
use crate::exit::Exit;
use crate::{Outcome, complain, show, state};
use clap::Args as Group;
use comfy_table::{Table, TableStyle};
use indicatif::{ProgressBar, ProgressStyle};
use ipnet::IpNet;
use logfade::format::Field;
use logfade::run::verify::{HELD, LISTED, Leak, VerifyJob, VerifyReport, verify};
use logfade::store::StoreError;
use serde::{Serialize, Serializer};
use std::fmt::Write as _;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Findings of each kind that are shown to people.
const SHOWN: usize = 20;

/// `logfade verify`
#[derive(Debug, Group)]
#[command(after_help = "Examples:
  logfade verify access.log clean.log
  logfade verify access.log.1.gz clean.log.zst --policy analytics
  logfade verify access.log clean.log --except 10.0.0.0/8 --json

Names lines and fields, never values. Ends with 0 if nothing leaked and every line is accounted for, else with 4.")]
pub(crate) struct Verify {
    /// The log as the server wrote it, plain or compressed
    #[arg(value_name = "RAW")]
    pub(crate) raw: PathBuf,
    /// What became of it, plain or compressed
    #[arg(value_name = "CLEAN")]
    pub(crate) clean: PathBuf,
    /// A name from `logfade formats`, nginx:LOG_FORMAT, apache:LOGFORMAT, or auto
    #[arg(long, default_value = "auto", value_name = "F")]
    pub(crate) format: String,
    /// The policy that made CLEAN: what it keeps is no leak, what it drops must be gone; without it, CLEAN may be what any
    /// built-in policy but `security` makes
    #[arg(long, value_name = "P")]
    pub(crate) policy: Option<String>,
    /// Network whose addresses are left alone; may be repeated
    #[arg(long, value_name = "NET", value_parser = net)]
    pub(crate) except: Vec<IpNet>,
    /// Longest line in bytes; what a longer one names is not looked for
    #[arg(long, value_name = "BYTES", default_value_t = 1024 * 1024, value_parser = clap::value_parser!(u32).range(64..=64 * 1024 * 1024))]
    pub(crate) max_line: u32,
}

fn net(text: &str) -> Result<IpNet, String> {
    let host = || text.parse::<std::net::IpAddr>().map(IpNet::from).ok();
    text.parse::<IpNet>().ok().or_else(host).ok_or_else(|| "write a network as 10.0.0.0/8 or 2001:db8::/32".to_owned())
}

/// Compares and tells.
pub(crate) fn run(args: &Args, typed: &Verify) -> Outcome {
    let job = VerifyJob {
        raw: typed.raw.clone(),
        clean: typed.clean.clone(),
        more: Vec::new(),
        format: show::format(&typed.format)?,
        policy: typed.policy.as_deref().map(show::past_policy).transpose()?.map(Arc::new),
        except: typed.except.clone(),
        max_line: typed.max_line as usize,
        held: HELD,
        progress: Arc::default(),
        seals: state::seals(args),
    };
    let report = watched(args, &job)?;
    if args.json || !args.quiet || !report.is_clean() {
        let mut out = BufWriter::new(std::io::stdout().lock());
        let written = if args.json { json(&report, &mut out) } else { out.write_all(text(&report, typed.policy.is_some()).as_bytes()) };
        match written.and_then(|()| out.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(complain::output(error)),
            _ => {}
        }
    }
    Ok(if report.is_clean() { Exit::Done } else { Exit::Refused })
}

/// Shows on a terminal how far it has come.
fn watched(args: &Args, job: &VerifyJob) -> Result<VerifyReport, StoreError> {
    if args.quiet || args.json || !std::io::stderr().is_terminal() {
        return verify(job);
    }
    let bytes = [&job.raw, &job.clean].into_iter().filter_map(|path| std::fs::metadata(path).ok()).map(|meta| meta.len()).sum();
    let bar = ProgressBar::new(bytes).with_style(ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {eta}").unwrap_or_else(|_| ProgressStyle::default_bar()));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                bar.set_position(job.progress.load(Ordering::Relaxed));
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let report = verify(job);
        done.store(true, Ordering::Relaxed);
        bar.finish_and_clear();
        report
    })
}

/// The keys of the contract, and how many there are of everything. Written straight from the lists: a tree
/// of them would need ten times the memory, a text of them three times.
#[derive(Serialize)]
struct Report<'a> {
    raw_lines: u64,
    clean_lines: u64,
    rejected: u64,
    leaks: Listed<'a, Leak>,
    ok: bool,
    format: Option<&'a str>,
    missing: u64,
    extra: u64,
    leak_count: u64,
    stranger_count: u64,
    strangers: Listed<'a, (u64, Field)>,
}

/// Written one by one.
struct Listed<'a, T>(&'a [T]);

impl<T> Serialize for Listed<'_, T>
where
    for<'t> &'t T: Into<Found>,
{
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(Into::into))
    }
}

#[derive(Serialize)]
struct Found {
    line: u64,
    field: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'static str>,
}

impl From<&Leak> for Found {
    fn from(leak: &Leak) -> Self {
        Self { line: leak.line, field: leak.field.name(), origin: Some(leak.origin.name()) }
    }
}

impl From<&(u64, Field)> for Found {
    fn from((line, field): &(u64, Field)) -> Self {
        Self { line: *line, field: field.name(), origin: None }
    }
}

fn json(report: &VerifyReport, out: &mut impl Write) -> std::io::Result<()> {
    let report = Report {
        raw_lines: report.raw_lines,
        clean_lines: report.clean_lines,
        rejected: report.rejected,
        leaks: Listed(&report.first_leaks),
        ok: report.is_clean(),
        format: report.format.as_deref(),
        missing: report.missing,
        extra: report.extra,
        leak_count: report.leaks,
        stranger_count: report.strangers,
        strangers: Listed(&report.first_strangers),
    };
    serde_json::to_writer(&mut *out, &report)?;
    out.write_all(b"\n")
}

fn text(report: &VerifyReport, policy: bool) -> String {
    let mut text = String::new();
    if !(report.first_leaks.is_empty() && report.first_strangers.is_empty()) {
        let mut table = Table::new();
        table.load_style(TableStyle::new()).set_header(["line", "field", "value of", ""]);
        for leak in report.first_leaks.iter().take(SHOWN) {
            table.add_row([leak.line.to_string().as_str(), leak.field.name(), leak.origin.name(), "leak"]);
        }
        for (line, field) in report.first_strangers.iter().take(SHOWN) {
            table.add_row([line.to_string().as_str(), field.name(), "", "is not its record's"]);
        }
        let _infallible = writeln!(text, "{table}\n");
        let more = report.leaks.max(report.strangers);
        if more > SHOWN as u64 {
            let _infallible = writeln!(text, "the first {SHOWN} of each kind; --json lists {LISTED}\n");
        }
    }
    let (raw, clean, rejected) = (report.raw_lines, report.clean_lines, report.rejected);
    let format = report.format.as_deref().unwrap_or("no known format");
    if report.is_clean() {
        let _infallible = writeln!(text, "no leak: {raw} raw lines, {clean} clean lines, {rejected} rejected; {format}");
        return text;
    }
    let parts = [
        (report.leaks, "leaks"),
        (report.strangers, "lines that are not their record's"),
        (report.missing, "records without a clean line"),
        (report.extra, "clean lines without a record"),
    ];
    let parts: Vec<String> = parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{what} {count}")).collect();
    let _infallible = writeln!(text, "not clean: {}; {raw} raw lines, {clean} clean lines, {rejected} rejected; {format}", parts.join(", "));
    let remedy =
        if policy || report.leaks == 0 { "keep RAW, and scrub it again" } else { "if a policy keeps these values, name it with --policy; else keep RAW, and scrub it again" };
    let _infallible = writeln!(text, "{remedy}");
    text
}
