//! Reports: one line for people, one JSON object for machines.

use logfade::run::pipe::PipeReport;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;

/// The keys of the contract, and `masked`: what the residual scan found.
pub(crate) fn json(report: &PipeReport, took: Duration) -> Value {
    let tally = &report.tally;
    json!({
        "format": report.format,
        "read": tally.read,
        "clean": tally.clean,
        "rejected": tally.rejected,
        "excluded": tally.excluded,
        "written": tally.written,
        "lost": report.lost,
        "reasons": tally.reasons(),
        "masked": tally.masked,
        "keyless": tally.keyless,
        "bytes_in": report.bytes_in,
        "bytes_out": report.bytes_out,
        "seconds": took.as_secs_f64(),
    })
}

/// `read 1204, clean 1200, rejected 4 (layout 3, value 1); combined; 240 kB in, 190 kB out, 0.01 s`
pub(crate) fn line(report: &PipeReport, took: Duration) -> String {
    let tally = &report.tally;
    let mut text = format!("read {}, clean {}, rejected {}", tally.read, tally.clean, tally.rejected);
    let reasons: Vec<String> = tally.reasons().into_iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    // Writing to a string does not fail.
    let _infallible = match reasons.is_empty() {
        true => Ok(()),
        false => write!(text, " ({})", reasons.join(", ")),
    };
    if tally.keyless > 0 {
        let _infallible = write!(text, ", keyless {}", tally.keyless);
    }
    let format = report.format.as_deref().unwrap_or("no known format");
    let _infallible = write!(text, "; {format}; {} in, {} out, {:.2} s", size(report.bytes_in), size(report.bytes_out), took.as_secs_f64());
    text
}

fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}
