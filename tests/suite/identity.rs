//! A policy that keeps everything is the identity: outside what an action changes, no byte moves.

use super::families::LOGS;
use super::samples::SAMPLES;
use super::support::{Dir, corpora, counts, decoded, lines, pipe};

/// Every field of the vocabulary, kept.
pub const KEEP_ALL: &str = "\
client_addr = \"keep\"\nproxied_addr = \"keep\"\nclient_port = \"keep\"\nident = \"keep\"\nuser = \"keep\"\ntime = \"keep\"\n\
method = \"keep\"\npath = \"keep\"\nquery = \"keep\"\nprotocol = \"keep\"\nreferrer = \"keep\"\nuser_agent = \"keep\"\n\
cookie = \"keep\"\nheader = \"keep\"\nrequest_id = \"keep\"\nsession = \"keep\"\ntls = \"keep\"\nstatus = \"keep\"\n\
bytes = \"keep\"\nduration = \"keep\"\nhost = \"keep\"\nserver = \"keep\"\nmessage = \"keep\"\ncountry = \"keep\"\n\
asn = \"keep\"\nother = \"keep\"\n";

#[test]
fn keeping_everything_changes_nothing_in_the_corpora() {
    let Some(root) = corpora() else { return };
    let dir = Dir::new();
    let policy = dir.file("keep.toml", KEEP_ALL.as_bytes());
    let mut failures = Vec::new();
    for log in LOGS {
        let raw = log.read(&root);
        let outcome = pipe(&["--format", "auto", "--policy", &policy], &raw);
        assert_eq!(outcome.code(), Some(0), "{}: {}", log.path, outcome.stderr_text());
        let counts = counts(&outcome.report());
        let plain = decoded(&raw);
        let (before, after) = (lines(&plain), lines(&outcome.stdout));
        assert_eq!(before.len(), after.len(), "{}", log.path);
        let pairs = (1..).zip(before.iter().zip(&after));
        let differs = pairs.filter(|(_, (raw, kept))| raw != kept && !is_partial(raw, kept));
        let changed: Vec<usize> = differs.map(|(number, _)| number).collect();
        if changed.len() as u64 > counts.rejected {
            let few: Vec<_> = changed.iter().take(8).collect();
            failures.push(format!("{}: {} lines differ, {} rejected; lines {few:?}", log.path, changed.len(), counts.rejected));
        }
        assert_eq!(plain.ends_with(b"\n"), outcome.stdout.ends_with(b"\n"), "{}: the end of the file", log.path);
        let dropped = pipe(&["--format", "auto", "--policy", &policy, "--on-reject", "drop"], &raw);
        let kept = lines(&dropped.stdout).len() as u64;
        if kept != counts.clean {
            failures.push(format!("{}: {kept} lines kept, {} clean", log.path, counts.clean));
        }
        let mut rest = before.iter();
        if let Some(line) = lines(&dropped.stdout).iter().position(|kept| !rest.any(|raw| raw == kept || is_partial(raw, kept))) {
            failures.push(format!("{}: kept line {} is no line of the input", log.path, line + 1));
        }
    }
    assert!(failures.is_empty(), "{} files:\n{}", failures.len(), failures.join("\n"));
}

/// A partial CRI line gives its content to the line that completes it, and may be written without.
fn is_partial(raw: &[u8], kept: &[u8]) -> bool {
    let tagged = |line: &[u8]| line.split(|byte| *byte == b' ').nth(2) == Some(b"P");
    tagged(raw) && raw.starts_with(kept.trim_ascii_end())
}

#[test]
fn keeping_everything_changes_nothing_in_any_format() {
    let dir = Dir::new();
    let policy = dir.file("keep.toml", KEEP_ALL.as_bytes());
    for sample in SAMPLES {
        let mut input = sample.header.as_bytes().to_vec();
        for number in 0..20 {
            sample.write(&mut input, |slot, out| {
                let value = match slot {
                    "ip" => format!("203.0.113.{number}"),
                    "path" => format!("/a%20b/caf%C3%A9/{number}/203.0.113.9/eve@example.net"),
                    "query" => format!("a={number}&b=%22x%22&&c"),
                    "ref" => format!("https://203.0.113.9:8443/x?y={number}#z"),
                    "ua" => format!("Agent/{number}.0.0.1"),
                    other => format!("{other}{number}"),
                };
                out.extend_from_slice(value.as_bytes());
            });
        }
        let outcome = pipe(&["--format", sample.format, "--policy", &policy], &input);
        assert_eq!(outcome.code(), Some(0), "{}: {}", sample.name(), outcome.stderr_text());
        assert_eq!(counts(&outcome.report()).rejected, 0, "{}", sample.name());
        let differs = lines(&input).into_iter().zip(lines(&outcome.stdout)).position(|(raw, kept)| raw != kept);
        assert_eq!(differs, None, "{}: the index of the first line that differs", sample.name());
        assert!(outcome.stdout == input, "{}", sample.name());
    }
}
