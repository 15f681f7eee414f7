//! Every real log file under every policy that removes: named right, parsed, counted, and without a leak.

use std::collections::{BTreeMap, BTreeSet};

use super::families::{LOGS, Log};
use super::identity::KEEP_ALL;
use super::oracle::{First, Rules, Shape, leaks};
use super::support::{Counts, Dir, corpora, counts, decoded, lines, logfade, pipe};

/// What one file gave under one policy.
struct Seen {
    format: String,
    counts: Counts,
    /// Line numbers and kinds, never values.
    leaks: Vec<String>,
}

fn rules(policy: &str) -> Rules {
    let shown = logfade(&["policies", "show", policy]).run(b"");
    Rules::of_policy(&shown.expect_code(0).stdout_text())
}

fn see(log: &Log, raw: &[u8], policy: &str, rules: &Rules) -> Seen {
    let outcome = pipe(&["--format", "auto", "--policy", policy], raw);
    assert_eq!(outcome.code(), Some(0), "{} under {policy}: {}", log.path, outcome.stderr_text());
    let report = outcome.report();
    let counts = counts(&report);
    let plain = decoded(raw);
    let (before, after) = (lines(&plain), lines(&outcome.stdout));
    assert_eq!(counts.read as usize, before.len(), "{}: lines read", log.path);
    assert_eq!(counts.written as usize, after.len(), "{}: lines written", log.path);
    assert_eq!(before.len(), after.len(), "{}: scrubbed rejects keep their place", log.path);
    let mut shape = Shape::new(log.first);
    let mut leaked = Vec::new();
    for (index, (raw, clean)) in before.iter().zip(&after).enumerate() {
        shape.notice(raw);
        for kind in leaks(raw, clean, rules, &shape) {
            leaked.push(format!("{}:{} {kind:?} under {policy}", log.path, index + 1));
        }
    }
    Seen { format: report["format"].as_str().unwrap_or_default().to_owned(), counts, leaks: leaked }
}

/// The numbers of the lines that come out changed where every field is kept: the rejects.
fn rejected_lines(log: &Log, raw: &[u8], keep: &str) -> Vec<usize> {
    let kept = pipe(&["--format", "auto", "--policy", keep], raw);
    let plain = decoded(raw);
    let (before, after) = (lines(&plain), lines(&kept.stdout));
    assert_eq!(before.len(), after.len(), "{}: lines under a policy that keeps all", log.path);
    (1..).zip(before.iter().zip(&after)).filter(|(_, (raw, kept))| raw != kept).map(|(number, _)| number).collect()
}

#[test]
fn every_file_is_named_parsed_and_counted() {
    let Some(root) = corpora() else { return };
    let dir = Dir::new();
    let keep = dir.file("keep.toml", KEEP_ALL.as_bytes());
    let mut failures = Vec::new();
    let mut families: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    println!("{:<66} {:<22} {:>6} {:>6} {:>6} {:>6} {:>7}", "file", "format", "read", "clean", "reject", "whole", "parsed");
    let rules = rules("default");
    for log in LOGS {
        let raw = log.read(&root);
        let seen = see(log, &raw, "default", &rules);
        let plain = decoded(&raw);
        let records = (1..).zip(lines(&plain)).filter(|(number, line)| log.is_record(*number, line)).map(|(number, _)| number);
        let records: BTreeSet<usize> = records.collect();
        let missed: Vec<usize> = rejected_lines(log, &raw, &keep).into_iter().filter(|number| records.contains(number)).collect();
        let (whole, parsed) = (records.len(), records.len() - missed.len());
        let share = if whole == 0 { 100.0 } else { parsed as f64 * 100.0 / whole as f64 };
        let Counts { read, clean, rejected, .. } = seen.counts;
        println!("{:<66} {:<22} {read:>6} {clean:>6} {rejected:>6} {whole:>6} {share:>6.1}% {}", log.path, seen.format, log.why);
        if share < 98.0 {
            let few: Vec<_> = missed.iter().take(12).collect();
            failures.push(format!("{}: {parsed} of {whole} complete records parsed; missed lines {few:?}", log.path));
        }
        if !log.accepts(&seen.format) {
            failures.push(format!("{}: named `{}`, meant {:?}", log.path, seen.format, log.formats));
        }
        let family = families.entry(log.family()).or_default();
        *family = (family.0 + parsed, family.1 + whole);
    }
    println!("\n{:<20} {:>8} {:>8} {:>7}", "family", "whole", "parsed", "share");
    for (family, (parsed, whole)) in families {
        let share = if whole == 0 { 100.0 } else { parsed as f64 * 100.0 / whole as f64 };
        println!("{family:<20} {whole:>8} {parsed:>8} {share:>6.1}%");
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn no_identifier_stands_in_a_clean_file() {
    let Some(root) = corpora() else { return };
    let mut leaked = Vec::new();
    for policy in ["default", "strict", "analytics"] {
        let rules = rules(policy);
        for log in LOGS {
            leaked.extend(see(log, &log.read(&root), policy, &rules).leaks);
        }
    }
    assert!(leaked.is_empty(), "{} leaks:\n{}", leaked.len(), leaked.join("\n"));
}

#[test]
fn json_output_of_every_file_is_json_without_an_identifier() {
    let Some(root) = corpora() else { return };
    let rules = Rules { copies: 3, ..rules("default") };
    let mut failures = Vec::new();
    for log in LOGS {
        let raw = log.read(&root);
        let outcome = pipe(&["--format", "auto", "--output", "json"], &raw);
        assert_eq!(outcome.code(), Some(0), "{}: {}", log.path, outcome.stderr_text());
        let counts = counts(&outcome.report());
        let plain = decoded(&raw);
        let (before, after) = (lines(&plain), lines(&outcome.stdout));
        assert_eq!(counts.written as usize, after.len(), "{}: lines written", log.path);
        let broken = after.iter().position(|line| !line.is_empty() && serde_json::from_slice::<serde_json::Value>(line).is_err());
        failures.extend(broken.map(|index| format!("{}: output line {} is not JSON", log.path, index + 1)));
        if before.len() != after.len() {
            // Directives and blank lines have no object; which line became which is then open.
            continue;
        }
        let mut shape = Shape::new(log.first);
        for (index, (raw, clean)) in before.iter().zip(&after).enumerate() {
            shape.notice(raw);
            for kind in leaks(raw, clean, &rules, &shape) {
                failures.push(format!("{}:{} {kind:?} as JSON", log.path, index + 1));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn no_file_of_the_corpora_is_forgotten() {
    let Some(root) = corpora() else { return };
    let aside = ["formats", "geoip", "lists", "useragents", "vectors-filters", "vectors-ip"];
    let mut unknown = Vec::new();
    for family in std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        let name = family.file_name().unwrap().to_str().unwrap().to_owned();
        if aside.contains(&name.as_str()) {
            continue;
        }
        for file in std::fs::read_dir(&family).unwrap().map(|entry| entry.unwrap().file_name()) {
            let path = format!("{name}/{}", file.to_str().unwrap());
            let listed = LOGS.iter().any(|log| log.path == path);
            if !listed && !path.ends_with(".jsonl") {
                unknown.push(path);
            }
        }
    }
    assert!(unknown.is_empty(), "not in the table: {unknown:?}");
}

/// Without this, an oracle that sees nothing would pass everything.
#[test]
fn the_oracle_sees_the_identifiers_of_unchanged_files() {
    let Some(root) = corpora() else { return };
    let rules = Rules::of_policy("client_addr = \"truncate/24,32\"\nquery = \"drop\"\nother = \"drop\"\n");
    for log in LOGS.iter().filter(|log| log.first == First::Client && log.is_whole()) {
        let plain = decoded(&log.read(&root));
        let shape = Shape::new(log.first);
        let records: Vec<_> = lines(&plain).into_iter().filter(|line| !line.is_empty() && !line.starts_with(b"#") && !line.starts_with(b"0.0.0.0")).collect();
        let seen = records.iter().filter(|line| !leaks(line, line, &rules, &shape).is_empty()).count();
        let names = records.iter().filter(|line| line.first().is_some_and(u8::is_ascii_alphanumeric)).count();
        assert!(seen * 2 >= names, "{}: {seen} of {names} records", log.path);
    }
}
