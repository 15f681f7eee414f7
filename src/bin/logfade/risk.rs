//! `logfade explain --risk`: what a clean file still says about single people, in figures and in words.

use crate::args::{Args, Explain};
use crate::complain::{self, Complaint};
use crate::{Outcome, show, state};
use comfy_table::{ContentArrangement, Table, TableStyle};
use logfade::report::questions::{Question, percent, questions, standing};
use logfade::report::risk::Figures;
use logfade::run::risk::{RiskReport, risk};
use logfade::scrub::Policy;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::Path;

/// Reads the whole file and tells.
pub(crate) fn run(args: &Args, typed: &Explain) -> Outcome {
    let format = show::format(&typed.rules.format)?;
    let policy = show::past_policy(&typed.rules.policy)?;
    let path = typed.file.as_deref().filter(|path| *path != Path::new("-"));
    let report = risk(path, format.as_ref(), typed.k, &state::seals(args))?;
    let text = if args.json { json(&report, &policy)? } else { text(&report, &policy) };
    show::say(&text)
}

/// The report for machines.
#[derive(Serialize)]
struct Told<'a> {
    format: Option<&'a str>,
    policy: &'a str,
    unparsed: u64,
    #[serde(flatten)]
    figures: &'a Figures,
    questions: [Question; 3],
    standing: String,
}

fn json(report: &RiskReport, policy: &Policy) -> Result<String, Complaint> {
    let told = Told {
        format: report.format.as_deref(),
        policy: policy.name(),
        unparsed: report.unparsed,
        figures: &report.figures,
        questions: questions(policy, &report.figures),
        standing: standing(policy),
    };
    serde_json::to_string(&told).map(|text| text + "\n").map_err(|error| complain::output(error.into()))
}

fn text(report: &RiskReport, policy: &Policy) -> String {
    let Figures { records, k, groups, chains, fields } = &report.figures;
    let format = report.format.as_deref().unwrap_or("no known format");
    let mut text = format!("{records} records, {} lines that say nothing; {format}, policy {}\n\n", report.unparsed, policy.name());
    // Writing to a string does not fail.
    let _infallible = writeln!(text, "Who shares address, user agent and hour with how many ({} groups{}):\n", groups.distinct, sample(groups.one_in));
    let mut table = table(["group of", "groups", "records", "share"]);
    for bar in &groups.histogram {
        let all = groups.histogram.iter().map(|bar| bar.records).sum::<u64>().max(1);
        let about = about(groups.one_in);
        table.add_row([bar.size(), format!("{about}{}", bar.groups), format!("{about}{}", bar.records), percent(bar.records as f64 / all as f64)]);
    }
    let _infallible = writeln!(text, "{table}\n");
    let _infallible = writeln!(text, "alone: {} of the records; with fewer than {k}: {}", percent(groups.unique), percent(groups.below_k));
    if let Some(chains) = chains {
        let at_least = if chains.one_in > 1 { "at least " } else { "" };
        let _infallible = writeln!(
            text,
            "longest chain under one client_addr: {at_least}{} records; {} values, {:.1} records each{}",
            chains.longest,
            chains.distinct,
            chains.mean,
            sample(chains.one_in)
        );
    }
    let mut table = self::table(["field", "records", "values", "entropy"]);
    for field in fields {
        let about = about(field.one_in);
        table.add_row([field.field.name().to_owned(), field.records.to_string(), format!("{about}{}", field.distinct), format!("{about}{:.2} bits", field.bits)]);
    }
    if !fields.is_empty() {
        let all = (*records as f64).max(1.0).log2();
        let _infallible = writeln!(text, "\nWhat each field tells; {all:.2} bits tell every record from all others:\n\n{table}");
    }
    text.push_str("\nThe three questions of WP216:\n");
    for question in questions(policy, &report.figures) {
        let _infallible = writeln!(text, "\n{}? {}\n  {}.", question.name, question.verdict.name(), question.answer);
    }
    let _infallible = writeln!(text, "\nThis file is {}.", standing(policy));
    text
}

fn sample(one_in: u64) -> String {
    if one_in > 1 { format!(", from a sample of one in {one_in}") } else { String::new() }
}

fn about(one_in: u64) -> &'static str {
    if one_in > 1 { "about " } else { "" }
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Dynamic).set_header(header);
    table
}
