//! `logfade verify`: both files, and a verdict that quotes neither.

use crate::args::Args;
use crate::exit::Exit;
use crate::{Outcome, complain, show};
use clap::Args as Group;
use comfy_table::{Table, TableStyle};
use ipnet::IpNet;
use logfade::run::verify::{LISTED, VerifyJob, VerifyReport, verify};
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

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
    /// The policy that made CLEAN: what it keeps is no leak, what it drops must be gone
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
        format: show::format(&typed.format)?,
        policy: typed.policy.as_deref().map(show::policy).transpose()?.map(Arc::new),
        except: typed.except.clone(),
        max_line: typed.max_line as usize,
    };
    let report = verify(&job)?;
    let text = if args.json { format!("{}\n", json(&report)) } else { text(&report, typed.policy.is_some()) };
    if !(args.quiet && !args.json && report.is_clean()) {
        match std::io::stdout().lock().write_all(text.as_bytes()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(complain::output(error)),
            _ => {}
        }
    }
    Ok(if report.is_clean() { Exit::Done } else { Exit::Refused })
}

/// The keys of the contract, and how many there are of everything.
fn json(report: &VerifyReport) -> serde_json::Value {
    let leaks: Vec<_> =
        report.first_leaks.iter().map(|leak| json!({"line": leak.line, "field": leak.field.name(), "stands_in": leak.stands_in.map(logfade::format::Field::name)})).collect();
    let strangers: Vec<_> = report.first_strangers.iter().map(|(line, field)| json!({"line": line, "field": field.name()})).collect();
    json!({
        "ok": report.is_clean(),
        "format": report.format,
        "raw_lines": report.raw_lines,
        "clean_lines": report.clean_lines,
        "rejected": report.rejected,
        "missing": report.missing,
        "extra": report.extra,
        "leak_count": report.leaks,
        "leaks": leaks,
        "stranger_count": report.strangers,
        "strangers": strangers,
    })
}

fn text(report: &VerifyReport, policy: bool) -> String {
    let mut text = String::new();
    if !(report.first_leaks.is_empty() && report.first_strangers.is_empty()) {
        let mut table = Table::new();
        table.load_style(TableStyle::new()).set_header(["line", "field", "stands in", ""]);
        for leak in &report.first_leaks {
            let stands_in = leak.stands_in.map_or("", logfade::format::Field::name);
            table.add_row([leak.line.to_string().as_str(), leak.field.name(), stands_in, "leak"]);
        }
        for (line, field) in &report.first_strangers {
            table.add_row([line.to_string().as_str(), field.name(), "", "is not its record's"]);
        }
        let _infallible = writeln!(text, "{table}\n");
        let more = report.leaks.max(report.strangers);
        if more > LISTED as u64 {
            let _infallible = writeln!(text, "the first {LISTED} of each kind\n");
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
    let parts: Vec<String> = parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    let _infallible = writeln!(text, "not clean: {}; {raw} raw lines, {clean} clean lines, {rejected} rejected; {format}", parts.join(", "));
    let remedy =
        if policy || report.leaks == 0 { "keep RAW, and scrub it again" } else { "if a policy keeps these values, name it with --policy; else keep RAW, and scrub it again" };
    let _infallible = writeln!(text, "{remedy}");
    text
}
