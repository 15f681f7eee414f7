//! A million records with a unique token in every removed field: none of them may be seen again.

use std::io::Write;

use super::addresses::{scan, unescaped};
use super::keys::{Keyed, today};
use super::samples::{Client, SAMPLES, Sample};
use super::support::{Dir, counts, holds, lines, pipe};

/// Stands in every token, and in nothing that a policy keeps.
const MARK: &str = "cnry";

/// Client addresses are drawn from 100.64.0.0/10, so that whatever of it is seen whole was leaked.
fn four(number: u32) -> [u32; 4] {
    [100, 64 + (number / 64_770) % 64, (number / 254) % 255, 1 + number % 254]
}

/// Writes values into slots; every value is used once.
struct Planter {
    number: u32,
    token: u32,
    /// Whether the policy under test drops the paths of referrers.
    in_referrer_paths: bool,
}

impl Planter {
    fn record(&mut self, sample: &Sample, out: &mut Vec<u8>) {
        self.number += 1;
        let number = self.number;
        let (token, in_paths) = (&mut self.token, self.in_referrer_paths);
        sample.write(out, |slot, out| {
            let written = match slot {
                "ip" => write_client(out, number, sample.client),
                "path" => write_path(out, number),
                "ref" => write_referrer(out, number, in_paths),
                "ua" => write!(out, "{MARK}{number}Agent/7.{}", number % 10),
                "query" => write!(out, "id={MARK}{number}&email={MARK}{number}%40example.net&page=3&ip={}", dotted(number, ".")),
                _ => {
                    *token += 1;
                    write!(out, "{MARK}{number}x{token}")
                }
            };
            written.expect("memory takes it");
        });
    }
}

/// The last two groups of an IPv6 address.
fn groups(number: u32) -> String {
    format!("{:x}:{:x}", number >> 16, number & 0xffff)
}

fn dotted(number: u32, separator: &str) -> String {
    four(number).map(|octet| octet.to_string()).join(separator)
}

fn reversed(number: u32, separator: &str) -> String {
    let [a, b, c, d] = four(number).map(|octet| octet.to_string());
    [d, c, b, a].join(separator)
}

fn write_client(out: &mut Vec<u8>, number: u32, client: Client) -> std::io::Result<()> {
    let [a, b, c, d] = four(number);
    let (high, low) = (a << 8 | b, c << 8 | d);
    let forms = match client {
        Client::Four => 1,
        Client::Address => 7,
        Client::Any => 10,
    };
    match number % forms {
        1 => write!(out, "2001:db8::{}:1", groups(number)),
        2 => write!(out, "2001:0DB8:0000:0000:0000:0000:{:04X}:{:04X}", number >> 16, number & 0xffff),
        3 => write!(out, "::ffff:{}", dotted(number, ".")),
        4 => write!(out, "2002:{high:x}:{low:x}::7"),
        5 => write!(out, "64:ff9b::{high:x}:{low:x}"),
        6 => write!(out, "2001:db8:77:{:x}:250:56ff:fe{:02x}:{:x}", number >> 24, (number >> 16) & 0xff, number & 0xffff),
        7 => write!(out, "host-{}.dsl.{MARK}.example", dotted(number, "-")),
        8 => write!(out, "{}.in-addr.arpa", reversed(number, ".")),
        9 => write!(out, "{MARK}{number}.dialup.example.net"),
        _ => write!(out, "{}", dotted(number, ".")),
    }
}

fn write_path(out: &mut Vec<u8>, number: u32) -> std::io::Result<()> {
    match number % 11 {
        1 => write!(out, "/from/{}/x", dotted(number, ".")),
        2 => write!(out, "/from/{}", dotted(number, "%2E")),
        3 => write!(out, "/from/{}/", dotted(number, "%252E")),
        4 => write!(out, "/host-{}.dsl.example/x", dotted(number, "-")),
        5 => write!(out, "/{}.in-addr.arpa", reversed(number, ".")),
        6 => write!(out, "/{}.dyn.example/", reversed(number, "-")),
        7 => write!(out, "/2001:db8::{}/x", groups(number)),
        8 => write!(out, "/2001%3Adb8%3A%3A{}/x", groups(number).replace(':', "%3A")),
        9 => write!(out, "/user/{MARK}{number}@example.net/profile"),
        10 => write!(out, "/user/{MARK}{number}%40example.net"),
        _ => write!(out, "/index.html"),
    }
}

fn write_referrer(out: &mut Vec<u8>, number: u32, in_paths: bool) -> std::io::Result<()> {
    let path = if in_paths { format!("{MARK}{number}") } else { "article".to_owned() };
    match number % 7 {
        1 => write!(out, "http://{}/{path}", dotted(number, ".")),
        2 => write!(out, "http://host-{}.dsl.example/", dotted(number, "-")),
        3 => write!(out, "http://{}.dyn.example/", reversed(number, "-")),
        4 => write!(out, "http://[2001:db8::{}]/", groups(number)),
        5 => write!(out, "https://{MARK}{number}:{MARK}@www.example.org/"),
        6 => write!(out, "https://www.example.org/a?from={}", dotted(number, "%2E")),
        _ => write!(out, "https://www.example.org/{path}/page?u={MARK}{number}"),
    }
}

/// Why a line of output is a leak, if it is one.
fn leak(line: &[u8]) -> Option<&'static str> {
    if holds(line, MARK.as_bytes()) {
        return Some("a token");
    }
    let text = unescaped(line);
    if holds(&text, MARK.as_bytes()) {
        return Some("an escaped token");
    }
    for hit in scan(&text) {
        let whole = match hit.address {
            std::net::IpAddr::V4(four) => match four.octets() {
                [100, 64..=127, _, last] => last != 0,
                [last, _, 64..=127, 100] => last != 0,
                _ => false,
            },
            std::net::IpAddr::V6(six) => six.segments()[..2] == [0x2001, 0xdb8] && six.segments()[2..] != [0; 6],
        };
        if whole {
            return Some("an address");
        }
    }
    dashed(&text).then_some("an address in a name")
}

/// Whether four numbers joined by dashes, the first or the last of them 100, stand in the text.
fn dashed(text: &[u8]) -> bool {
    let mut run: Vec<u32> = Vec::new();
    let mut number: Option<u32> = None;
    for &byte in text.iter().chain(b" ") {
        match byte {
            b'0'..=b'9' => number = Some(number.unwrap_or(0).saturating_mul(10).saturating_add(u32::from(byte - b'0'))),
            b'-' if number.is_some() => run.extend(number.take()),
            _ => {
                run.extend(number.take());
                let ours = |quad: &[u32]| matches!(quad, [100, 64..=127, _, 1..=254] | [1..=254, _, 64..=127, 100]);
                if run.windows(4).any(ours) {
                    return true;
                }
                run.clear();
            }
        }
    }
    false
}

/// Sends `records` of one sample through one policy; says what is wrong with what comes back.
fn check(sample: &Sample, policy: &str, records: usize, first: u32) -> Result<(), String> {
    let mut planter = Planter { number: first, token: 0, in_referrer_paths: policy != "analytics" };
    let mut input = sample.header.as_bytes().to_vec();
    for _ in 0..records {
        planter.record(sample, &mut input);
    }
    let outcome = pipe(&["--format", sample.format, "--policy", policy], &input);
    let directives = lines(sample.header.as_bytes()).len();
    if outcome.code() != Some(0) {
        return Err(format!("exit {:?}: {}", outcome.code(), outcome.stderr_text()));
    }
    for (number, line) in lines(&outcome.stdout).into_iter().enumerate() {
        if let Some(what) = leak(line) {
            return Err(format!("record {} leaks {what}", (number + 1).saturating_sub(directives)));
        }
    }
    let counts = counts(&outcome.report());
    let told = holds(&outcome.stderr, MARK.as_bytes());
    let all = counts.read as usize == records + directives && lines(&outcome.stdout).len() as u64 == counts.written;
    match (told, all, counts.rejected) {
        (true, ..) => Err("a token on stderr".to_owned()),
        (_, false, _) => Err(format!("lines are missing: {counts:?}")),
        (_, _, 0) => Ok(()),
        (_, _, rejected) => Err(format!("{rejected} of {records} records of the format are rejected: {}", outcome.report()["reasons"])),
    }
}

fn over_all(policy: &str, records: usize) -> usize {
    let mut failures = Vec::new();
    for (index, sample) in SAMPLES.iter().enumerate() {
        let first = u32::try_from(index * records).expect("few samples");
        failures.extend(check(sample, policy, records, first).err().map(|why| format!("{} under {policy}: {why}", sample.name())));
    }
    assert!(failures.is_empty(), "{} of {} samples fail:\n{}", failures.len(), SAMPLES.len(), failures.join("\n"));
    records * SAMPLES.len()
}

#[test]
fn a_million_records_leave_no_token_behind() {
    let each = 1_000_000_usize.div_ceil(SAMPLES.len());
    let total = over_all("default", each);
    println!("{total} records over {} samples", SAMPLES.len());
    assert!(total >= 1_000_000);
}

#[test]
fn the_other_policies_leave_no_token_behind() {
    over_all("strict", 500);
    over_all("analytics", 500);
}

/// Everything that can be hashed is; today's records, so that there is a key.
const HASHED: &str = "client_addr = \"hash\"\nproxied_addr = \"hash\"\nident = \"hash\"\nuser = \"hash\"\ntime = \"keep\"\nmethod = \"keep\"\npath = \"detect\"\n\
    query = { default = \"drop\", keep = [\"page\"], hash = [\"id\", \"email\", \"ip\"] }\nprotocol = \"keep\"\nstatus = \"keep\"\nbytes = \"keep\"\nhost = \"keep\"\nserver = \"keep\"\n\
    referrer = \"origin\"\nuser_agent = \"hash\"\ncookie = { default = \"drop\", hash = [\"sid\", \"session\"] }\nheader = { default = \"hash\" }\nother = \"hash\"\n";

#[test]
fn keyed_policies_leave_no_token_behind() {
    let keyed = Keyed::local();
    let mut without = Vec::new();
    for (index, sample) in SAMPLES.iter().enumerate() {
        let mut planter = Planter { number: index as u32 * 300, token: 0, in_referrer_paths: true };
        let mut input = sample.header.as_bytes().to_vec();
        for _ in 0..300 {
            planter.record(sample, &mut input);
        }
        for policy in [HASHED.to_owned(), HASHED.replace("addr = \"hash\"", "addr = \"hash/address\"")] {
            for output in ["same", "json"] {
                let outcome = keyed.pipe(&policy, &["--format", sample.format, "--output", output], &today(&input));
                assert_eq!(outcome.code(), Some(0), "{}: {}", sample.name(), outcome.stderr_text());
                let keyless = outcome.report()["keyless"].as_u64().expect("a count");
                assert_eq!((counts(&outcome.report()).rejected, holds(&outcome.stderr, MARK.as_bytes())), (0, false), "{}", sample.name());
                if keyless > 0 && output == "same" {
                    without.push(sample.name());
                }
                for line in lines(&outcome.stdout) {
                    assert_eq!(leak(line), None, "{} {output}: {}", sample.name(), String::from_utf8_lossy(line));
                }
            }
        }
    }
    without.dedup();
    assert_eq!(without, Vec::<String>::new(), "every sample but these has a time");
}

#[test]
fn json_output_leaves_no_token_behind() {
    for sample in SAMPLES {
        let mut planter = Planter { number: 0, token: 0, in_referrer_paths: true };
        let mut input = sample.header.as_bytes().to_vec();
        for _ in 0..200 {
            planter.record(sample, &mut input);
        }
        let outcome = pipe(&["--format", sample.format, "--output", "json"], &input);
        assert_eq!(outcome.code(), Some(0), "{}", sample.name());
        for line in lines(&outcome.stdout) {
            assert_eq!(leak(line), None, "{}", sample.name());
        }
    }
}

#[test]
fn rejects_leave_no_token_behind_and_only_the_quarantine_keeps_them() {
    let dir = Dir::new();
    for (index, sample) in SAMPLES.iter().enumerate() {
        let mut planter = Planter { number: 0, token: 0, in_referrer_paths: true };
        let mut input = sample.header.as_bytes().to_vec();
        for _ in 0..100 {
            let start = input.len();
            planter.record(sample, &mut input);
            let half = start + (input.len() - start) / 2;
            input.truncate(half);
            input.extend_from_slice(b" broken\n");
        }
        for mode in ["scrub", "drop", "quarantine"] {
            let file = dir.arg(&format!("rejects-{index}"));
            let mut args = vec!["--format", sample.format, "--on-reject", mode];
            if mode == "quarantine" {
                args.extend(["--quarantine", &file]);
            }
            let outcome = pipe(&args, &input);
            assert_eq!(outcome.code(), Some(0), "{} {mode}: {}", sample.name(), outcome.stderr_text());
            assert!(!holds(&outcome.stderr, MARK.as_bytes()), "{} {mode}: a token on stderr", sample.name());
            for line in lines(&outcome.stdout) {
                assert_eq!(leak(line), None, "{} {mode}", sample.name());
            }
        }
    }
    for entry in std::fs::read_dir(dir.path()).expect("the directory is there") {
        let name = entry.expect("an entry").file_name();
        assert!(!holds(name.as_encoded_bytes(), MARK.as_bytes()), "a token in a file name");
    }
}

#[test]
fn the_check_itself_sees_every_planted_form() {
    for sample in SAMPLES {
        let mut planter = Planter { number: 0, token: 0, in_referrer_paths: true };
        for _ in 0..80 {
            let mut line = Vec::new();
            planter.record(sample, &mut line);
            assert!(leak(&line).is_some(), "{}: {}", sample.name(), String::from_utf8_lossy(&line));
        }
    }
    for number in 1..12 {
        for path in [true, false] {
            let mut value = Vec::new();
            let written = if path { write_path(&mut value, number) } else { write_referrer(&mut value, number, true) };
            written.expect("memory takes it");
            let plain = value == b"/index.html";
            assert_eq!(leak(&value).is_some(), !plain, "{}", String::from_utf8_lossy(&value));
        }
    }
}
