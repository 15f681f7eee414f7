//! The gate against the reference: the same bytes for every line, whatever was seen before it and however the input was cut.
//!
//! `LOGFADE_DIFFERENTIAL` is the number of generated lines, and perhaps a seed behind a colon: `tests/long/differential` sets it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::SignedDuration;
use logfade::format::{FIELDS, Field, Format, detect};
use logfade::scrub::{BUILT_IN, Clean, OnReject, Output, Policy, Quarantined, Scrubber, Settings, Tally};
use logfade::store::keys::{KeyRing, KeyStore};

use super::families::LOGS;
use super::mangle::{Dice, mangled};
use super::reference::Reference;
use super::samples::{Envelope, SAMPLES, Sample};
use super::support::{Dir, corpora, decoded, lines, pipe};

/// Beside the built-in ones: every action at least once. Each leaves its own networks alone.
const POLICIES: [(&str, &str); 8] = [
    ("kept", "other = \"keep\""),
    ("scanned", "client_addr = \"black-marker\"\nproxied_addr = \"truncate/8,16\"\nuser = \"drop\"\nother = \"keep\""),
    (
        "named",
        "client_addr = \"drop\"\nproxied_addr = \"black-marker\"\npath = \"template\"\nreferrer = \"path\"\ntime = \"minute\"\nstatus = \"bucket\"\nbytes = \"bucket\"\nduration = \"bucket\"\n\
         query = { default = \"keep\", drop = [\"mail\", \"ip\"] }\ncookie = { default = \"drop\", keep = [\"sid\", \"theme\"] }\nheader = { default = \"keep\" }\nother = \"keep\"",
    ),
    (
        "sites",
        "client_addr = \"truncate/24,32\"\nproxied_addr = \"truncate/32,128\"\nreferrer = \"site\"\ntime = \"day\"\npath = \"detect\"\nuser_agent = \"keep\"\nother = \"drop\"",
    ),
    (
        "default but kept agents",
        "client_addr = \"truncate/20,48\"\nreferrer = \"origin\"\ntime = \"second\"\nquery = \"drop\"\npath = \"keep\"\nuser_agent = \"family\"\nother = \"keep\"",
    ),
    (
        "hashed",
        "client_addr = \"hash\"\nproxied_addr = \"hash/address\"\nuser = \"hash\"\nident = \"hash\"\nuser_agent = \"hash\"\nsession = \"hash\"\nrequest_id = \"hash\"\ntls = \"hash\"\n\
         query = { default = \"hash\", keep = [\"page\"] }\ncookie = { default = \"drop\", hash = [\"sid\"] }\nheader = { default = \"hash\" }\npath = \"detect\"\nother = \"keep\"",
    ),
    (
        "encrypted",
        "client_addr = \"encrypt-prefix\"\nproxied_addr = \"encrypt-prefix\"\nuser = \"drop\"\npath = \"detect\"\nreferrer = \"origin\"\nuser_agent = \"family\"\ntime = \"second\"\nother = \"hash\"",
    ),
    (
        "hashed addresses",
        "client_addr = \"hash/address\"\nproxied_addr = \"truncate/24,32\"\nquery = \"drop\"\nuser = \"drop\"\npath = \"detect\"\nreferrer = \"origin\"\nuser_agent = \"family\"\ntime = \"second\"\nother = \"keep\"",
    ),
];

const EXCEPT: [&str; 2] = ["198.51.100.0/25", "2001:db8:5::/48"];

/// A policy, and the keys that it is used with.
struct Rules {
    name: String,
    policy: Arc<Policy>,
    ring: Arc<KeyRing>,
    dir: Dir,
}

impl Rules {
    fn new(name: &str, text: &str) -> Self {
        let dir = Dir::new();
        let now = "2023-10-10T14:00:00Z".parse().unwrap();
        let store = KeyStore::init_local(&dir.at("state")).unwrap();
        let ring = KeyRing::new(store, SignedDuration::from_hours(24), Box::new(move || now));
        let policy = Policy::keyed(name, name, text).unwrap_or_else(|fault| panic!("{fault}"));
        Self { name: name.to_owned(), policy: Arc::new(policy), ring, dir }
    }

    fn all() -> Vec<Self> {
        let built_in = BUILT_IN.iter().map(|(name, text)| Self::new(name, text));
        let own = POLICIES.iter().enumerate().map(|(at, (name, text))| {
            let except = if at % 2 == 0 { &EXCEPT[..] } else { &[] };
            Self::new(name, &format!("except = {except:?}\n{text}"))
        });
        built_in.chain(own).collect()
    }

    /// What the library writes; blocks of some lines are dealt to the workers in turn, as `pipe` deals them.
    fn product(&self, formats: &[Arc<Format>], input: &[u8], (workers, block): (usize, usize)) -> Vec<u8> {
        let settings = Settings {
            formats: formats.to_vec(),
            policy: Arc::clone(&self.policy),
            on_reject: OnReject::Scrub,
            output: Output::Same,
            max_line: 1 << 20,
            moments: false,
            keys: Some(self.ring.source()),
            places: None,
        };
        let mut scrubbers: Vec<Scrubber> = (0..workers).map(|_| Scrubber::new(&settings)).collect();
        let (mut clean, mut tally) = (Clean::default(), Tally::default());
        let all: Vec<&[u8]> = input.split_inclusive(|byte| *byte == b'\n').collect();
        for (turn, part) in all.chunks(block).enumerate() {
            scrubbers[turn % workers].block(&part.concat(), &mut clean, &mut Quarantined::default(), &mut tally);
        }
        clean.as_bytes().to_vec()
    }

    fn reference<'a>(&'a self, formats: &'a [Arc<Format>]) -> Reference<'a> {
        let files = std::fs::read_dir(self.dir.at("state").join("keys")).unwrap().map(|file| file.unwrap().path());
        let keys = files.filter(|file| file.extension().is_some_and(|extension| extension == "key"));
        let day = |file: &Path| file.file_stem().unwrap().to_str().unwrap().to_owned();
        Reference::new(formats, &self.policy, keys.map(|file| (day(&file), std::fs::read(&file).unwrap().try_into().unwrap())).collect())
    }

    /// Lines that differ, as text: raw, written, expected.
    fn differences(&self, what: &str, formats: &[Arc<Format>], input: &[u8], written: &[u8]) -> Vec<String> {
        let mut reference = self.reference(formats);
        let mut written = written.split_inclusive(|byte| *byte == b'\n');
        let mut found = Vec::new();
        for raw in input.split_inclusive(|byte| *byte == b'\n') {
            let (expected, clean) = (reference.line(raw), written.next().unwrap_or_default());
            if expected != clean {
                let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
                found.push(format!("{what} under {}:\n  raw      {}\n  written  {}\n  expected {}", self.name, text(raw), text(clean), text(&expected)));
            }
        }
        assert!(written.next().is_none(), "{what} under {}: more lines were written than read", self.name);
        found
    }
}

fn report(differences: Vec<String>) {
    let few: Vec<&String> = differences.iter().take(20).collect();
    assert!(differences.is_empty(), "{} lines differ:\n{}", differences.len(), few.into_iter().cloned().collect::<Vec<_>>().join("\n"));
}

/// The formats that `auto` tries, in its order.
fn ranked(input: &[u8]) -> Vec<Arc<Format>> {
    let sample = &input[..input.len().min(1 << 20)];
    detect::rank(sample).into_iter().filter(|fit| !fit.format.has_columns() || fit.score > 0.0).map(|fit| fit.format).collect()
}

#[test]
fn the_program_writes_of_real_logs_what_the_reference_writes() {
    let Some(root) = corpora() else { return };
    let rules = Rules::all();
    let mut found = Vec::new();
    for log in LOGS {
        let raw = log.read(&root);
        let plain = decoded(&raw);
        let formats = ranked(&plain);
        for rules in &rules {
            let written = rules.product(&formats, &plain, (1, 64));
            found.extend(rules.differences(log.path, &formats, &plain, &written));
        }
        for (rules, threads) in rules.iter().take(BUILT_IN.len()).zip(["2", "1", "2", "1"]) {
            let out = pipe(&["--format", "auto", "--policy", &rules.name, "--threads", threads], &raw);
            found.extend(rules.differences(&format!("{} ({threads} threads)", log.path), &formats, &plain, &out.expect_code(0).stdout));
        }
    }
    report(found);
}

/// Values that logs hold, ordinary and odd; what is in `<>` is made up anew each time.
const CLIENTS: [&str; 24] = [
    "203.0.113.<8>",
    "<8>.<8>.<8>.<8>",
    "<8>.<8>.<8>.<8>",
    "198.51.100.<8>",
    "2001:db8:<x>:<x>::<x>",
    "2001:db8:5:<x>:<x>:<x>:<x>:<x>",
    "::ffff:203.0.113.<8>",
    "64:ff9b::203.0.113.<8>",
    "2002:cb00:71<2>::1",
    "FE80::<x>%eth0",
    "[2001:db8::<x>]:<p>",
    "203.0.113.<8>:<p>",
    "host-<8>.example.org",
    "203-0-113-<8>.dsl.example.net",
    "-",
    "unix:",
    "003.020.113.<8>",
    "2001:0:1:2:3:4:<x>:<x>",
    "999.1.2.3",
    "1.2.3.4.<8>",
    "203.0.113.<8>, 10.0.0.<8>",
    "for=203.0.113.<8>;proto=https",
    "203%2e0%2e113%2e<8>",
    "unknown",
];
const PATHS: [&str; 26] = [
    "/",
    "/index.html",
    "/a/b/c",
    "/assets/site.<8>.css",
    "/user/<n>/cart",
    "/o/<uuid>",
    "/reset/<hex32>",
    "/v/<b64>",
    "/pay/4111111111111111",
    "/call/+46701234567",
    "/m/<word>@<word>.example",
    "/x/203.0.113.<8>/y",
    "/x/<8>-<8>-<8>-<8>.dsl/",
    "/cart;jsessionid=<hex32>",
    "/a%20b",
    "/a%2Fb%3Fc",
    "/%252e%252e/",
    "/2001:db8::<x>/",
    "/<word>/<word>-<word>",
    "/~<word>/",
    "/img/<n>.png",
    "//host.example/a",
    "/blog/2024/05/06/<word>",
    "/0x<hex8>",
    "/%c3%a5",
    "*",
];
const QUERIES: [&str; 18] = [
    "page=<n>",
    "page=2&sort=price",
    "mail=<word>%40<word>.example",
    "ip=203.0.113.<8>",
    "uid=<n>",
    "a=b;c=d",
    "",
    "=",
    "&&",
    "q=<word>+<word>",
    "page=203.0.113.<8>",
    "page=1%26ip=203.0.113.<8>",
    "x?page=3#f",
    "PAGE=<word>@<word>.example",
    "page",
    "utm_source=<word>&utm_medium=mail",
    "<hex32>=1",
    "page=<b64>&token=<hex32>",
];
const REFERRERS: [&str; 22] = [
    "-",
    "",
    "https://www.example.org/a/b?c=<n>",
    "https://<word>.example/",
    "http://h",
    "https://shop.example.co.uk/p/<uuid>?q",
    "http:///a",
    "https://u:p@h.example/x",
    "https://203.0.113.<8>/a",
    "android-app://com.google.android.gm/",
    "http://a.b/c#<word>@<word>.example",
    "https%3A%2F%2Fwww.example.org%2Fa",
    "https://[2001:db8::<x>]:8080/a",
    "https://h.example:80a/x",
    "ftp://files.example/<n>",
    "about:blank",
    "https://xn--<word>.example/%3Fa",
    "/relative/path",
    "https://h.example%2F<word>",
    "app://x",
    "https://www.example.org",
    "h://a/b",
];
const AGENTS: [&str; 20] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/1<2>.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:1<2>.0) Gecko/20100101 Firefox/1<2>.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1",
    "curl/8.5.<8>",
    "Wget/1.21",
    "Googlebot/2.1 (+http://www.google.com/bot.html)",
    "-",
    "",
    "Agent/1.0 203.0.113.<8>",
    "Chrome/120.0.0.0",
    "<word>",
    "<word>/<n> (<word>@<word>.example)",
    "Mozilla%2F5.0%20(X11;%20Linux%20x86_64;%20rv:128.0)%20Gecko/20100101%20Firefox/128.0",
    "Mozilla/5.0+(X11;+Linux+x86_64;+rv:128.0)+Gecko/20100101+Firefox/128.0",
    "python-requests/2.31.0",
    "rv:1.2.3.4 Name/1.2.3.4",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/1<2>.0.0.0 Mobile Safari/537.36",
    "kube-probe/1.28",
    "${jndi:ldap://203.0.113.<8>/a}",
    "okhttp/4.<n>",
];
const USERS: [&str; 8] = ["-", "-", "-", "<word>", "<word>@<word>.example", "frank zappa", "DOMAIN_<word>", "203.0.113.<8>"];
const TOKENS: [&str; 8] = ["<hex32>", "-", "<uuid>", "<n>", "<word>", "0.<n>", "203.0.113.<8>", "<b64>"];
const WORDS: [&str; 12] = ["anna", "berg", "lamp", "sock", "Wool", "kitchen", "review", "data", "x", "ewe", "garden", "fedora"];
/// What is put into a value now and then.
const ODDITIES: [&str; 16] = ["\\x22", "\\\"", "%22", "\\u003f", "%3F", "%", "\\", "\t", "\u{e5}", "@", "203.0.113.9", "2001:db8::9", "-", " ", "'", "%2540"];

/// Fills a template.
fn made(template: &str, dice: &mut Dice, out: &mut String) {
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('<') {
        let Some((kind, behind)) = after.split_once('>') else { break };
        out.push_str(before);
        let mut some = |count: usize, letters: &[u8]| (0..count).map(|_| char::from(letters[dice.roll(letters.len())])).collect::<String>();
        let mut hex = |count: usize| some(count, b"0123456789abcdef");
        out.push_str(&match kind {
            "8" => dice.roll(256).to_string(),
            "2" => format!("{:02}", dice.roll(100)),
            "x" => format!("{:x}", dice.roll(65_536)),
            "p" => dice.roll(65_536).to_string(),
            "n" => {
                let digits = 1 + dice.roll(8) as u32;
                dice.roll(10_usize.pow(digits)).to_string()
            }
            "word" => WORDS[dice.roll(WORDS.len())].to_owned(),
            "hex8" => hex(8),
            "hex32" => hex(32),
            "uuid" => format!("{}-{}-4{}-a{}-{}", hex(8), hex(4), hex(3), hex(3), hex(12)),
            _ => some(24, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
        });
        rest = behind;
    }
    out.push_str(rest);
}

/// A record of a sample with values of the lists; a few of them come again and again.
fn record(sample: &Sample, dice: &mut Dice, recent: &mut BTreeMap<&'static str, Vec<String>>, out: &mut Vec<u8>) {
    let json = sample.record.starts_with('{');
    sample.write(out, |slot, out| {
        let (slot, list): (_, &[&str]) = match slot {
            "ip" => ("ip", &CLIENTS),
            "path" => ("path", &PATHS),
            "query" => ("query", &QUERIES),
            "ref" => ("ref", &REFERRERS),
            "ua" => ("ua", &AGENTS),
            "user" => ("user", &USERS),
            _ => ("token", &TOKENS),
        };
        let known = recent.entry(slot).or_default();
        if known.is_empty() || dice.roll(3) == 0 {
            let mut value = String::new();
            // Ordinary values come first in the lists, and more often.
            let most = if dice.roll(2) == 0 { list.len().min(6) } else { list.len() };
            made(list[dice.roll(most)], dice, &mut value);
            if dice.roll(12) == 0 {
                let at = (0..=dice.roll(value.len() + 1)).rev().find(|at| value.is_char_boundary(*at)).unwrap_or(0);
                value.insert_str(at, ODDITIES[dice.roll(ODDITIES.len())]);
            }
            if json && dice.roll(4) > 0 {
                value = value.replace('\\', "\\\\").replace('"', "\\\"");
            }
            if known.len() < 64 {
                known.push(value);
            } else {
                let at = dice.roll(64);
                known[at] = value;
            }
            out.extend_from_slice(known.last().map_or(&b""[..], String::as_bytes));
        } else {
            out.extend_from_slice(known[dice.roll(known.len())].as_bytes());
        }
    });
}

/// How many lines, and the seed.
fn wanted() -> (usize, u64) {
    let text = std::env::var("LOGFADE_DIFFERENTIAL").unwrap_or_default();
    let (lines, seed) = text.split_once(':').unwrap_or((&text, ""));
    (lines.parse().unwrap_or(if cfg!(debug_assertions) { 40_000 } else { 300_000 }), seed.parse().unwrap_or(0x9e37_79b9_7f4a_7c15))
}

/// Lines of one sample and policy at a time.
const ROUND: usize = 200;

/// Generated lines of every format under every policy; `mangle` of eight are damaged.
fn generated(seed: u64, share: usize, mangle: usize) {
    let (total, own) = wanted();
    let mut dice = Dice(own ^ seed);
    let rules = Rules::all();
    let formats: Vec<[Arc<Format>; 1]> = SAMPLES.iter().map(|sample| [Format::parse(sample.format).unwrap()]).collect();
    let (mut made, mut turn, mut found, mut recent) = (0, 0, Vec::new(), BTreeMap::new());
    while made < total / share {
        let at = turn % SAMPLES.len();
        let (sample, rules) = (&SAMPLES[at], &rules[turn / SAMPLES.len() % rules.len()]);
        turn += 1;
        let mut input = sample.header.as_bytes().to_vec();
        for _ in 0..ROUND {
            let start = input.len();
            record(sample, &mut dice, &mut recent, &mut input);
            if dice.roll(8) < mangle {
                let mut other = Vec::new();
                record(&SAMPLES[dice.roll(SAMPLES.len())], &mut dice, &mut recent, &mut other);
                let line = mangled(&input[start..input.len() - 1], &other[..other.len() - 1], &mut dice);
                input.truncate(start);
                input.extend_from_slice(&line);
                input.push(b'\n');
            }
            if dice.roll(20) == 0 {
                input.insert(input.len() - 1, b'\r');
            }
        }
        made += lines(&input).len();
        // Lines that depend on lines before them stay with one worker; damage may make such ones.
        let alone = mangle > 0 || !sample.header.is_empty() || sample.envelope != Envelope::Bare;
        let workers = if alone { 1 } else { 2 };
        let written = rules.product(&formats[at], &input, (workers, 1 + dice.roll(50)));
        found.extend(rules.differences(&sample.name(), &formats[at], &input, &written));
        if found.len() > 2000 {
            break;
        }
    }
    println!("{made} lines");
    report(found);
}

/// What once came out otherwise than the reference has it: each line comes twice, so that a memo may err, too.
#[test]
fn lines_that_once_differed_do_not_any_more() {
    let line = |client: &str, referrer: &str| format!("{client} - - [10/Oct/2023:13:55:36 +0000] \"GET /a HTTP/1.1\" 200 5 \"{referrer}\" \"curl/8.5.0\"\n");
    let docker = |line: &str, time: &str| format!("{{\"log\":\"{}\\n\",\"stream\":\"stdout\",\"time\":\"{time}\"}}\n", line.trim_end().replace('"', "\\\""));
    let mut input = String::new();
    for _ in 0..2 {
        for referrer in ["android-app://com.example.one/x", "android-app://com.example.two/x", r"https:\/\/www.example.org\/a", "https://www.example.org/a", "httpw.x://h/a"] {
            input += &line("203.0.113.9", referrer);
        }
        for client in ["for=203.0.113.9;proto=https", "203.0.113.9\t203.0.113.10", "1:2:3:4:5:6:7:8::", "1:2:3:4:5:6:7:8::9"] {
            input += &line(client, "-");
        }
        for time in ["2023-10-10T13:55:36Z", "2023-10-10T13 203.0.113.77 and eve@mail.example", "203.0.113.77"] {
            input += &docker(&line("203.0.113.9", "-"), time);
        }
        input += &docker(&line("203.0.113.9", "https://www.\u{1}.example/"), "2023-10-10T13:55:36Z");
    }
    // A byte that is no UTF-8 stays one where the value stays.
    let input: Vec<u8> = input.bytes().map(|byte| if byte == 1 { 0xf0 } else { byte }).collect();
    let mut found = Vec::new();
    let formats = [Format::parse("combined").unwrap()];
    for rules in Rules::all() {
        let written = rules.product(&formats, &input, (1, 7));
        found.extend(rules.differences("odd lines", &formats, &input, &written));
    }
    report(found);
}

/// Members of every field and of every kind: of two days, and of a day whose key nobody has.
#[test]
fn members_of_every_kind_come_out_as_the_reference_writes_them() {
    const VALUES: [&str; 11] = [
        "null",
        "true",
        "7",
        "2326.5",
        "\"\"",
        "\"anna\"",
        "\"203.0.113.9\"",
        "\"https:\\/\\/h.example\\/a?page=1&mail=anna@mail.example\"",
        "{\"page\":\"203.0.113.9\",\"sid\":null,\"x\":[1,{\"anna@mail.example\":true}]}",
        "[\"203.0.113.9\",null]",
        "{}",
    ];
    let map: Vec<(String, Field)> = FIELDS.iter().map(|field| (field.name().to_owned(), *field)).collect();
    let formats = [Format::json(&map)];
    let mut input = String::new();
    for field in FIELDS {
        for value in VALUES {
            for day in ["10-10", "10-09", "09-01"] {
                let time = if field == Field::Time { String::new() } else { format!("\"time\":\"2023-{day}T13:55:36.5Z\",") };
                input += &format!("{{{time}\"{}\":{value}}}\n", field.name());
            }
        }
    }
    let mut found = Vec::new();
    for rules in Rules::all() {
        let written = rules.product(&formats, input.as_bytes(), (1, 50));
        found.extend(rules.differences("members", &formats, input.as_bytes(), &written));
    }
    report(found);
}

#[test]
fn generated_lines_of_every_format_come_out_as_the_reference_writes_them() {
    generated(0, 2, 0);
}

#[test]
fn damaged_lines_of_every_format_come_out_as_the_reference_writes_them() {
    generated(0x00da_3a6e, 2, 6);
}
