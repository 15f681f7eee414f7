//! A thousand mangled variants of each sample: counted whole, survived, and their addresses not seen again.

use super::addresses::{scan, unescaped};
use super::samples::SAMPLES;
use super::support::{counts, holds, lines, pipe};

const VARIANTS: usize = 1000;

/// The addresses that stand in every sample; none of them truncates to itself.
const CLIENT: &str = "203.0.113.77";
const PLANTED: &str = "198.51.100.99";
const EMAIL: &str = "eve.lastname@mail.example.net";

/// A small generator (xorshift), so that a failure can be had again.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (sides.max(1) as u64)).expect("small")
    }
}

/// A record with everything in it that must go.
fn record(index: usize) -> Vec<u8> {
    let mut line = Vec::new();
    SAMPLES[index].write(&mut line, |slot, out| {
        let value = match slot {
            "ip" => CLIENT.to_owned(),
            "path" => format!("/a/{PLANTED}/{EMAIL}/b"),
            "ref" => format!("https://www.example.org/{EMAIL}?from={PLANTED}"),
            "query" => format!("ip={PLANTED}&mail={EMAIL}"),
            "ua" => "Agent/1.0".to_owned(),
            other => format!("{other}4711"),
        };
        out.extend_from_slice(value.as_bytes());
    });
    line.pop();
    line
}

/// One mistake that a disk, a network or an attacker makes.
pub fn mangled(line: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = line.to_vec();
    match dice.roll(6) {
        0 => {
            let at = dice.roll(bytes.len());
            bytes[at] ^= 1 << dice.roll(8);
        }
        1 => {
            let at = dice.roll(bytes.len());
            bytes[at] = u8::try_from(dice.roll(256)).expect("a byte");
        }
        2 => bytes.truncate(dice.roll(bytes.len())),
        3 => {
            let start = dice.roll(bytes.len());
            let end = (start + dice.roll(40)).min(bytes.len());
            bytes.drain(start..end);
        }
        4 => {
            let at = dice.roll(bytes.len());
            let from = dice.roll(other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        _ => {
            let at = dice.roll(bytes.len());
            let from = dice.roll(other.len());
            let to = (from + dice.roll(60)).min(other.len());
            bytes.splice(at..at, other[from..to].iter().copied());
        }
    }
    bytes
}

fn leak(line: &[u8]) -> Option<&'static str> {
    let text = unescaped(line);
    if scan(&text).iter().any(|hit| [CLIENT, PLANTED].contains(&hit.address.to_string().as_str())) {
        return Some("an address");
    }
    holds(&text, EMAIL.as_bytes()).then_some("an e-mail")
}

/// Where a whole address may stay: as the host that was asked for, which every built-in policy keeps.
fn kept_as_host(line: &[u8], format: &str) -> bool {
    let text = String::from_utf8_lossy(line).into_owned();
    let asked = [CLIENT, PLANTED].iter().any(|address| text.contains(&format!("://{address}")));
    let first = format.ends_with("_vhost") && [CLIENT, PLANTED].iter().any(|address| text.starts_with(address));
    asked || first
}

#[test]
fn mangled_records_are_counted_and_never_leak() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut failures = Vec::new();
    for (index, sample) in SAMPLES.iter().enumerate() {
        let (line, other) = (record(index), record(dice.roll(SAMPLES.len())));
        let mut input = sample.header.as_bytes().to_vec();
        for _ in 0..VARIANTS {
            input.extend_from_slice(&mangled(&line, &other, &mut dice));
            input.push(b'\n');
        }
        for mode in ["scrub", "drop"] {
            let outcome = pipe(&["--format", sample.format, "--on-reject", mode], &input);
            assert_eq!(outcome.code(), Some(0), "{} {mode}: {}", sample.name(), outcome.stderr_text());
            let counts = counts(&outcome.report());
            assert_eq!(counts.read as usize, lines(&input).len(), "{} {mode}", sample.name());
            let written = lines(&outcome.stdout);
            assert_eq!(counts.written as usize, written.len(), "{} {mode}", sample.name());
            for (number, line) in written.iter().enumerate() {
                if let Some(what) = leak(line).filter(|_| !kept_as_host(line, sample.format)) {
                    failures.push(format!("{} {mode}: output line {} holds {what}", sample.name(), number + 1));
                }
            }
            assert!(leak(&outcome.stderr).is_none(), "{} {mode}: stderr", sample.name());
        }
    }
    let few: Vec<_> = failures.iter().take(40).collect();
    assert!(failures.is_empty(), "{} leaks: {few:#?}", failures.len());
}

#[test]
fn mangled_records_survive_detection_too() {
    let mut dice = Dice(4711);
    let mut input = Vec::new();
    for _ in 0..VARIANTS * 4 {
        let (line, other) = (record(dice.roll(SAMPLES.len())), record(dice.roll(SAMPLES.len())));
        input.extend_from_slice(&mangled(&line, &other, &mut dice));
        input.push(b'\n');
    }
    let outcome = pipe(&["--format", "auto"], &input);
    outcome.expect_code(0);
    let counts = counts(&outcome.report());
    assert_eq!(counts.read as usize, lines(&input).len());
    for (number, line) in lines(&outcome.stdout).into_iter().enumerate() {
        let leaked = leak(line).filter(|_| !kept_as_host(line, "combined_vhost"));
        assert_eq!(leaked, None, "output line {}", number + 1);
    }
}

#[test]
fn noise_in_every_format_is_only_rejects() {
    let mut dice = Dice(77);
    let mut noise: Vec<u8> = (0..1 << 16).map(|_| u8::try_from(dice.roll(256)).expect("a byte")).collect();
    noise.extend_from_slice("\n{\n\"\n[\n\n<\n\t\t\t\n\\x\n%\n\u{feff}{\"a\n#Fields:\n#fields\t\n- - -\n".as_bytes());
    noise.extend_from_slice(&[b"{\"a\":".repeat(5000), b"[".repeat(5000), b"\"".repeat(5000), b" ".repeat(5000)].join(&b'\n'));
    for sample in SAMPLES {
        let input = [sample.header.as_bytes(), &noise].concat();
        for output in ["same", "json"] {
            let outcome = pipe(&["--format", sample.format, "--output", output], &input);
            assert_eq!(outcome.code(), Some(0), "{} {output}: {}", sample.name(), outcome.stderr_text());
            let counts = counts(&outcome.report());
            assert_eq!(counts.read as usize, lines(&input).len(), "{} {output}", sample.name());
            assert_eq!(counts.written as usize, lines(&outcome.stdout).len(), "{} {output}", sample.name());
        }
    }
}
