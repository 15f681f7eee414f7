//! What other parsers' own tests expect of a line, against our slots.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use serde_json::Value;

use super::addresses::{scan, unescaped};
use super::expectations::{Expected, crowdsec, datadog, epoch_millis, logparser, vrl};
use super::support::{Dir, corpora, counts, lines, logfade, pipe};

/// Where we differ on purpose: file, line of the case, field, and why.
const DIFFERENCES: &[(&str, usize, &str, &str)] = &[
    ("aws/crowdsec_aws-alb-logs", 6, "path", "an escaped `#` ends our path: what follows may be a query"),
    ("aws/crowdsec_aws-alb-logs", 13, "path", "an escaped `#` ends our path: what follows may be a query"),
    ("combined/vrl_parse_apache_log", 8, "ok", "dashes alone: no server writes it, so it is a reject"),
    ("combined/vrl_parse_apache_log", 10, "ok", "dashes alone: no server writes it, so it is a reject"),
    ("combined/vrl_parse_apache_log", 10, "time", "the upstream test shifts the time by a zone of its own"),
    ("combined/vrl_parse_common_log", 2, "ok", "dashes alone: no server writes it, so it is a reject"),
    ("hostile/logparser_EdgeCasesTest", 1, "path", "the upstream test names a placeholder, not the text of the line"),
    ("traefik/crowdsec_traefik_json", 6, "*", "the row tells the fields of the record after it; this line is a message"),
];

/// Whether a difference is on the list.
fn is_known(file: &str, number: usize, field: &str) -> bool {
    DIFFERENCES.iter().any(|(stem, case, name, _)| file == *stem && number == *case && (*name == field || *name == "*"))
}

/// One line with what is expected of it.
struct Case {
    number: usize,
    input: Vec<u8>,
    format: String,
    ok: Option<bool>,
    expected: Vec<Expected>,
}

fn rows(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).expect("a row is JSON")).collect()
}

/// Every file whose name ends so, as (name without the end, rows).
fn files(root: &Path, end: &str) -> Vec<(String, Vec<Value>)> {
    let mut found = Vec::new();
    for family in std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        for file in std::fs::read_dir(&family).unwrap().map(|entry| entry.unwrap().path()) {
            let name = file.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if let Some(stem) = name.strip_suffix(end) {
                found.push((stem.to_owned(), rows(&file)));
            }
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

/// `before` of every slot of every line, by field.
fn slots(format: &str, inputs: &[&[u8]]) -> Result<Vec<BTreeMap<String, Vec<String>>>, String> {
    let dir = Dir::new();
    let mut text = inputs.join(&b'\n');
    text.push(b'\n');
    let path = dir.file("cases.log", &text);
    let count = inputs.len().to_string();
    let outcome = logfade(&["explain", "--json", "--lines", &count, "--format", format, &path]).run(b"");
    if outcome.code() != Some(0) {
        return Err(format!("explain --format {format}: {}", outcome.stderr_text()));
    }
    let mut by_line = vec![BTreeMap::new(); inputs.len()];
    for entry in outcome.json().as_array().expect("a list of lines") {
        let line = entry["line"].as_u64().expect("a line number") as usize;
        let fields: &mut BTreeMap<String, Vec<String>> = &mut by_line[line - 1];
        for slot in entry["fields"].as_array().into_iter().flatten() {
            let before = slot["before"].as_str().map_or_else(|| slot["before"].to_string(), str::to_owned);
            fields.entry(slot["field"].as_str().expect("a field").to_owned()).or_default().push(before);
        }
    }
    Ok(by_line)
}

fn absent(text: &str) -> bool {
    matches!(text, "" | "-" | "null")
}

fn agrees(expected: &Expected, seen: &[String]) -> bool {
    let decoded = |text: &str| unescaped(text.as_bytes());
    match expected {
        Expected::Text(_, want) if absent(want) => seen.is_empty() || seen.iter().any(|have| absent(have)),
        Expected::Text(field, want) => seen.iter().any(|have| {
            let have = if *field == "query" { have.trim_start_matches('?') } else { have };
            have == want || decoded(have) == decoded(want) || (field.ends_with("_addr") && addresses(have).contains(want))
        }),
        Expected::Number(_, want) => seen.iter().any(|have| have.parse::<f64>().is_ok_and(|have| have == *want)),
        Expected::Millis(want) => {
            let joined = seen.join(" ");
            let times = seen.iter().map(String::as_str).chain([joined.as_str()]).filter_map(epoch_millis);
            times.into_iter().any(|have| (have - want).abs() < 1000)
        }
    }
}

/// The addresses of a slot, which may hold a port, a list, or four bytes.
fn addresses(slot: &str) -> Vec<String> {
    let bytes = unescaped(slot.as_bytes());
    let binary = <[u8; 4]>::try_from(&bytes[..]).ok().map(|octets| IpAddr::V4(Ipv4Addr::from(octets)));
    binary.into_iter().chain(scan(&bytes).iter().map(|hit| hit.address)).map(|address| address.to_string()).collect()
}

/// Compares the cases of one file; appends what disagrees and says how much was compared.
fn compare(file: &str, cases: &[Case], failures: &mut Vec<String>) -> usize {
    let mut compared = 0;
    let mut groups: BTreeMap<&str, Vec<&Case>> = BTreeMap::new();
    for case in cases.iter().filter(|case| case.ok != Some(false) && !case.expected.is_empty()) {
        groups.entry(&case.format).or_default().push(case);
    }
    for (format, group) in groups {
        let inputs: Vec<&[u8]> = group.iter().map(|case| case.input.as_slice()).collect();
        let slots = match slots(format, &inputs) {
            Ok(slots) => slots,
            Err(why) => {
                failures.push(format!("{file}: {why}"));
                continue;
            }
        };
        for (case, seen) in group.iter().zip(slots) {
            for expected in &case.expected {
                let field = expected.field();
                if is_known(file, case.number, field) {
                    continue;
                }
                compared += 1;
                let values = seen.get(field).map(Vec::as_slice).unwrap_or_default();
                if !agrees(expected, values) {
                    let what = if seen.is_empty() { "the line is a reject".to_owned() } else { format!("{} slots of that field", values.len()) };
                    failures.push(format!("{file} case {} --format {format}: {field} ({what})", case.number));
                }
            }
        }
    }
    for case in cases.iter().filter(|case| case.ok.is_some() && !is_known(file, case.number, "ok")) {
        let input = [&case.input[..], b"\n"].concat();
        let outcome = pipe(&["--format", &case.format, "--on-reject", "drop"], &input);
        let rejected = outcome.code() == Some(0) && counts(&outcome.report()).rejected == 1;
        compared += 1;
        if rejected == case.ok.unwrap_or_default() {
            let wanted = if rejected { "a record" } else { "a reject" };
            failures.push(format!("{file} case {} --format {}: meant as {wanted}", case.number, case.format));
        }
    }
    compared
}

/// The format of a case that names none: what its family is, where a bare line could be more than one thing.
fn format_of(stem: &str, row: &Value) -> String {
    let given = row["format"].as_str().unwrap_or_default();
    let refused = row["ok"] == false;
    match (stem, given) {
        ("combined/vrl_parse_nginx_log", "main") => {
            r#"nginx:$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" "$http_x_forwarded_for""#.to_owned()
        }
        ("combined/vrl_parse_apache_log", "error") => "apache-error".to_owned(),
        ("combined/vrl_parse_nginx_log", "ingress_upstreaminfo") => "ingress-nginx".to_owned(),
        ("combined/vrl_parse_nginx_log", "error") => "nginx-error".to_owned(),
        ("combined/vrl_parse_apache_log", name) if refused => name.to_owned(),
        ("combined/vrl_parse_common_log", _) => "common".to_owned(),
        (stem, _) if stem.contains("vrl_parse") => "auto".to_owned(),
        ("aws/nekrassov_alb", _) => "aws-alb".to_owned(),
        ("aws/nekrassov_cf", _) => "aws-cloudfront".to_owned(),
        ("aws/nekrassov_clb", _) => "aws-elb".to_owned(),
        ("aws/nekrassov_nlb", _) => "aws-nlb".to_owned(),
        ("aws/nekrassov_s3", _) => "aws-s3".to_owned(),
        (_, "combined" | "common") => given.to_owned(),
        (_, layout) if layout.contains('$') => format!("nginx:{layout}"),
        (_, layout) if layout.contains('%') => format!("apache:{layout}"),
        _ => "auto".to_owned(),
    }
}

#[test]
fn our_slots_agree_with_other_parsers_cases() {
    let Some(root) = corpora() else { return };
    let (mut failures, mut compared) = (Vec::new(), 0);
    for (stem, rows) in files(&root, ".cases.jsonl") {
        let cases: Vec<Case> = (1..)
            .zip(&rows)
            .map(|(number, row)| {
                let expected = if stem.contains("datadog") {
                    datadog(row)
                } else if stem.contains("logparser") {
                    logparser(&row["expect"])
                } else if stem.contains("vrl") {
                    vrl(&row["expect"])
                } else {
                    Vec::new()
                };
                let input = row["input"].as_str().expect("an input").as_bytes().to_vec();
                Case { number, input, format: format_of(&stem, row), ok: row["ok"].as_bool(), expected }
            })
            .filter(|case| !case.input.contains(&b'\n'))
            .collect();
        let before = compared;
        compared += compare(&stem, &cases, &mut failures);
        println!("{stem:<55} {:>4} cases {:>5} comparisons", cases.len(), compared - before);
    }
    assert!(compared > 600, "only {compared} comparisons");
    assert!(failures.is_empty(), "{} of {compared} comparisons fail:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn our_slots_agree_with_crowdsecs_parsers() {
    let Some(root) = corpora() else { return };
    let (mut failures, mut compared) = (Vec::new(), 0);
    for (stem, rows) in files(&root, ".expected.jsonl") {
        let raw = std::fs::read(root.join(format!("{stem}.log"))).expect("the log is beside its rows");
        let records: Vec<&[u8]> = lines(&raw).into_iter().filter(|line| !line.trim_ascii().is_empty()).collect();
        let cases: Vec<Case> = rows
            .iter()
            .map(|row| {
                let index = row["index"].as_u64().expect("an index") as usize;
                Case { number: index + 1, input: records[index].to_vec(), format: "auto".to_owned(), ok: None, expected: crowdsec(row) }
            })
            .collect();
        let before = compared;
        compared += compare(&stem, &cases, &mut failures);
        println!("{stem:<55} {:>4} cases {:>5} comparisons", cases.len(), compared - before);
    }
    assert!(compared > 500, "only {compared} comparisons");
    assert!(failures.is_empty(), "{} of {compared} comparisons fail:\n{}", failures.len(), failures.join("\n"));
}
