//! What each action costs per record and of the whole, then each stage on its own beside a newline count and a copy: one invented block.
#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a benchmark that cannot start has nothing to say, and one that can prints it")]

use criterion::{Criterion, Throughput, criterion_group};
use jiff::SignedDuration;
use logfade::format::{Columns, Format, Spans};
use logfade::scrub::{Clean, KeySource, OnReject, Output, Policy, Quarantined, Scrubber, Settings, Tally};
use logfade::store::keys::{KeyRing, KeyStore};
use logfade::store::seal::Keychain;
use logfade::store::sink::{Compress, Encoder, Frame, Sink};
use logfade::store::source::{BLOCK, Block, Filled, Source, Stop};
#[path = "../tests/suite/mmdb.rs"]
#[expect(dead_code, unreachable_pub, clippy::indexing_slicing, reason = "the tests use all of it, from other places")]
mod mmdb;

use logfade::store::places::Atlas;
use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

const AGENTS: [&str; 6] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:{}.0) Gecko/20100101 Firefox/{}.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{} Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (compatible; Examplebot/{}; +https://bot.example/about)",
    "curl/{}.5.0",
];

const PATHS: [&str; 8] = [
    "/",
    "/assets/site.css",
    "/socks/wool/43",
    "/orders/8c1f2e64-0a5b-4d0e-9f3a-5b1d2c7e9a10",
    "/blog/2025/03/14/how-to-darn",
    "/api/v2/basket",
    "/media/cover.jpg",
    "/account/login",
];

const QUERIES: [&str; 4] = ["", "", "?page=2&sort=price", "?email=anna.berg%40mail.example&token=9f86d081884c7d65"];

const REFERRERS: [&str; 4] = ["-", "https://shop.example/socks?q=wool", "https://shop.example/", "https://www.search.example/results?q=wool+socks"];

/// xorshift64*: the same block on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        let at = self.roll(list.len() as u64) as usize;
        list.get(at).copied().unwrap_or_default()
    }
}

/// Combined lines, 15 % of them from IPv6 clients, a block as `pipe` reads them.
fn block() -> String {
    let mut dice = Dice(0x10_6F_AD_E0);
    let mut text = String::new();
    for second in 0_u64.. {
        if text.len() >= BLOCK {
            break;
        }
        let client = match dice.roll(100) {
            0..15 => format!("2001:db8:{:x}:{:x}::{:x}", dice.roll(65_536), dice.roll(65_536), dice.roll(65_536)),
            _ => format!("{}.{}.{}.{}", 1 + dice.roll(223), dice.roll(256), dice.roll(256), dice.roll(256)),
        };
        let user = if dice.roll(100) == 0 { "karin" } else { "-" };
        let (minute, second) = (second / 60 % 60, second % 60);
        let (path, query, status, bytes) = (dice.pick(&PATHS), dice.pick(&QUERIES), dice.pick(&["200", "200", "304", "404"]), dice.roll(200_000));
        let (referrer, agent) = (dice.pick(&REFERRERS), dice.pick(&AGENTS).replace("{}", &(100 + dice.roll(25)).to_string()));
        writeln!(text, r#"{client} - {user} [14/Mar/2025:09:{minute:02}:{second:02} +0000] "GET {path}{query} HTTP/1.1" {status} {bytes} "{referrer}" "{agent}""#).expect("memory");
    }
    text
}

fn settings(policy: Policy, output: Output) -> Settings {
    Settings {
        formats: vec![Format::parse("combined").expect("a named format")],
        policy: Arc::new(policy),
        on_reject: OnReject::Scrub,
        output,
        max_line: 1 << 20,
        moments: false,
        keys: None,
        places: None,
    }
}

fn built_in(name: &str) -> Policy {
    Policy::built_in(name).expect("a built-in policy")
}

/// Every field is kept but for what `lines` decides.
fn keep_but(lines: &str) -> Policy {
    Policy::keyed("bench", "bench", &format!("{lines}\nother = \"keep\"")).expect("a policy")
}

/// Keys of a directory that goes away; its clock stands at the day of the block.
fn keys(dir: &tempfile::TempDir) -> KeySource {
    let now = "2025-03-14T12:00:00Z".parse().expect("a time");
    KeyRing::new(KeyStore::init_local(&dir.path().join("state")).expect("a key directory"), SignedDuration::from_hours(24), Box::new(move || now)).source()
}

/// A scrubber with its buffers, as a worker holds them.
struct Worker {
    scrubber: Scrubber,
    clean: Clean,
    rejected: Quarantined,
    tally: Tally,
}

impl Worker {
    fn new(settings: &Settings) -> Self {
        Self { scrubber: Scrubber::new(settings), clean: Clean::default(), rejected: Quarantined::default(), tally: Tally::default() }
    }

    fn scrub(&mut self, block: &[u8]) -> &Clean {
        self.clean.clear();
        self.scrubber.block(block, &mut self.clean, &mut self.rejected, &mut self.tally);
        assert_eq!(self.tally.keyless, 0, "every record has its key");
        assert_eq!(self.tally.rejected, 0, "every line of the block parses");
        &self.clean
    }
}

/// Bytes of raw log per second, from the ceiling to the whole journey.
fn stages(criterion: &mut Criterion) {
    let text = block();
    let block = text.as_bytes();
    let mut group = criterion.benchmark_group("stage");
    group.throughput(Throughput::Bytes(block.len() as u64));

    group.bench_function("newline count", |bencher| bencher.iter(|| memchr::memchr_iter(b'\n', black_box(block)).count()));
    let mut copy = vec![0; block.len()];
    group.bench_function("copy", |bencher| bencher.iter(|| black_box(&mut copy).copy_from_slice(black_box(block))));
    group.bench_function("cut into lines", |bencher| {
        bencher.iter(|| {
            let mut start = 0;
            for end in memchr::memchr_iter(b'\n', black_box(block)) {
                black_box(block.get(start..end));
                start = end + 1;
            }
        });
    });

    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("raw.log");
    #[expect(clippy::disallowed_methods, reason = "a file of its own")]
    std::fs::write(&path, block).expect("a file");
    let mut raw = Block::default();
    group.bench_function("read", |bencher| {
        bencher.iter(|| {
            let mut source = Source::open(&path, &Stop::default(), 1 << 20, &Keychain::none()).expect("a source");
            while !matches!(source.fill(&mut raw, BLOCK).expect("a file can be read"), Filled::End) {
                black_box(raw.as_bytes());
            }
        });
    });

    let format = Format::parse("combined").expect("a named format");
    let (mut columns, mut spans) = (Columns::default(), Spans::default());
    group.bench_function("split", |bencher| {
        bencher.iter(|| {
            let mut start = 0;
            for end in memchr::memchr_iter(b'\n', block) {
                spans.clear();
                let line = block.get(start..end).unwrap_or_default();
                assert!(format.split(line, &mut columns, &mut spans).is_ok(), "every line of the block parses");
                black_box(spans.as_slice());
                start = end + 1;
            }
        });
    });

    for (name, policy, output) in [
        ("scrub, all kept", keep_but(""), Output::Same),
        ("scrub, default", built_in("default"), Output::Same),
        ("scrub, strict", built_in("strict"), Output::Same),
        ("scrub, default, to JSON", built_in("default"), Output::Json),
    ] {
        let mut worker = Worker::new(&settings(policy, output));
        group.bench_function(name, |bencher| bencher.iter(|| black_box(worker.scrub(black_box(block)).as_bytes().len())));
    }

    let mut worker = Worker::new(&settings(built_in("default"), Output::Same));
    let mut encoder = Encoder::new(Compress::Zstd(3)).expect("an encoder");
    let mut frame = Frame::default();
    group.bench_function("scrub, default, and zstd:3", |bencher| {
        bencher.iter(|| {
            let clean = worker.scrub(black_box(block));
            encoder.encode(clean, &mut frame).expect("memory");
            black_box(&frame);
        });
    });
    group.bench_function("compress, zstd:3", |bencher| {
        worker.scrub(block);
        bencher.iter(|| {
            encoder.encode(&worker.clean, &mut frame).expect("memory");
            black_box(&frame);
        });
    });
    let mut sink = Sink::append("/dev/null".as_ref(), Compress::None).expect("a sink");
    group.bench_function("write, to /dev/null", |bencher| bencher.iter(|| sink.write(black_box(&worker.clean)).expect("nothing is full")));
    group.finish();
}

/// Bytes of raw log per second that one stage alone could do: the time that it adds to a line of which everything else is kept.
fn values(criterion: &mut Criterion) {
    let text = block();
    let block = text.as_bytes();
    let mut group = criterion.benchmark_group("stage alone");
    group.throughput(Throughput::Bytes(block.len() as u64));
    for (name, without, with) in [
        ("address", "query = \"drop\"\nclient_addr = \"drop\"", "query = \"drop\"\nclient_addr = \"truncate/24,32\""),
        ("time", "query = \"drop\"", "query = \"drop\"\ntime = \"hour\""),
        ("request", "", "query = \"drop\"\npath = \"detect\""),
        ("referrer", "query = \"drop\"", "query = \"drop\"\nreferrer = \"origin\""),
        ("agent", "query = \"drop\"", "query = \"drop\"\nuser_agent = \"family\""),
        ("residual scan", "query = \"drop\"", "query = \"drop\"\nclient_addr = \"drop\"\nuser = \"drop\""),
    ] {
        let mut pair = [without, with].map(|lines| Worker::new(&settings(keep_but(lines), Output::Same)));
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|wanted| {
                let [without, with] = fastest(wanted.clamp(8, 40) as usize, &mut pair, block);
                with.saturating_sub(without).max(Duration::from_nanos(1)).mul_f64(wanted as f64)
            });
        });
    }
    group.finish();
}

/// A row of the table: what it is, the policy without it, the policy with it.
type Row = (&'static str, &'static str, &'static str);

/// Where the client's address is touched, the other policy drops it: both look for addresses elsewhere. Without a query the commonest
/// lines take the way that `default` takes; what is keyed does not, so both take the general one.
const ACTIONS: [Row; 21] = [
    ("address truncate", "query = \"drop\"\nclient_addr = \"drop\"", "client_addr = \"truncate/24,32\""),
    ("address black-marker", "query = \"drop\"\nclient_addr = \"drop\"", "client_addr = \"black-marker\""),
    ("address hash", "client_addr = \"drop\"\nsession = \"hash\"", "client_addr = \"hash\""),
    ("address hash/address", "client_addr = \"drop\"\nsession = \"hash\"", "client_addr = \"hash/address\""),
    ("address encrypt-prefix, 15 % IPv6", "client_addr = \"drop\"\nsession = \"hash\"", "client_addr = \"encrypt-prefix\""),
    ("time of the record, for its key", "query = \"drop\"\nident = \"drop\"", "query = \"drop\"\nsession = \"hash\""),
    ("time second", "query = \"drop\"", "query = \"drop\"\ntime = \"second\""),
    ("time hour", "query = \"drop\"", "query = \"drop\"\ntime = \"hour\""),
    ("path detect", "query = \"drop\"", "query = \"drop\"\npath = \"detect\""),
    ("path template", "query = \"drop\"", "query = \"drop\"\npath = \"template\""),
    ("query drop", "", "query = \"drop\""),
    ("query by name", "", "query = { default = \"drop\", keep = [\"page\"] }"),
    ("query hash by name", "session = \"hash\"", "query = { default = \"drop\", hash = [\"page\"] }"),
    ("referrer no-query", "query = \"drop\"", "query = \"drop\"\nreferrer = \"no-query\""),
    ("referrer path", "query = \"drop\"", "query = \"drop\"\nreferrer = \"path\""),
    ("referrer origin", "query = \"drop\"", "query = \"drop\"\nreferrer = \"origin\""),
    ("referrer site", "query = \"drop\"", "query = \"drop\"\nreferrer = \"site\""),
    ("agent family, cached", "query = \"drop\"", "query = \"drop\"\nuser_agent = \"family\""),
    ("agent hash", "session = \"hash\"", "user_agent = \"hash\""),
    ("bytes and status bucket", "query = \"drop\"", "query = \"drop\"\nbytes = \"bucket\"\nstatus = \"bucket\""),
    ("residual scan of what is kept", "query = \"drop\"\nreferrer = \"keep\"", "query = \"drop\"\nclient_addr = \"drop\"\nuser = \"drop\""),
];

/// What each action costs per record, and what share that is of a line under `default`: two policies in turn over the same block, the fastest
/// block of each, and the difference. Unlike the difference of two rows of criterion it does not depend on what else the machine does.
fn actions() {
    let text = block();
    let block = text.as_bytes();
    let records = text.lines().count() as u64;
    let dir = tempfile::tempdir().expect("a directory");
    let whole = {
        let mut pair = [0, 1].map(|_| Worker::new(&settings(built_in("default"), Output::Same)));
        let [first, second] = fastest(200, &mut pair, block);
        nanoseconds(first.min(second), records)
    };
    println!("\n{:<40} {:>10} {:>8}", "action", "ns/record", "share");
    println!("{:<40} {whole:>10.1} {:>7.1}%", "a whole line under `default`", 100.0);
    let row = |name: &str, pair: &mut [Worker; 2]| {
        let [without, with] = fastest(60, pair, block);
        let cost = nanoseconds(with, records) - nanoseconds(without, records);
        println!("{name:<40} {cost:>10.1} {:>7.1}%", cost / whole * 100.0);
    };
    for (name, without, with) in ACTIONS {
        let with = if with.contains("query") || !without.contains("query = \"drop\"") { with.to_owned() } else { format!("query = \"drop\"\n{with}") };
        let mut pair = [without, &with].map(|lines| Worker::new(&Settings { keys: Some(keys(&dir)), ..settings(keep_but(lines), Output::Same) }));
        row(name, &mut pair);
    }
    row("address country, against truncate", &mut countries(&dir));
    println!();
}

/// The fastest of so many blocks for each of two workers, in turn.
fn fastest(rounds: usize, pair: &mut [Worker; 2], block: &[u8]) -> [Duration; 2] {
    let mut best = [Duration::MAX; 2];
    for _ in 0..rounds {
        for (worker, best) in pair.iter_mut().zip(&mut best) {
            let start = Instant::now();
            black_box(worker.scrub(black_box(block)));
            *best = start.elapsed().min(*best);
        }
    }
    best
}

fn nanoseconds(block: Duration, records: u64) -> f64 {
    block.as_secs_f64() * 1e9 / records as f64
}

/// A database of countries with a network for each /16 of IPv4 and for 4,096 of IPv6, asked for addresses that come once.
fn countries(dir: &tempfile::TempDir) -> [Worker; 2] {
    let codes = ["SE", "NO", "DK", "FI", "DE", "FR", "US", "BR"];
    let mut dice = Dice(0x6E_0B);
    let four = (0..223 * 256_u32).map(|number| format!("{}.{}.0.0/16", 1 + number / 256, number % 256));
    let six = (0..4_096_u32).map(|number| format!("2001:db8:{number:x}0::/44"));
    let networks: Vec<(String, Vec<u8>)> = four.chain(six).map(|network| (network, mmdb::country(dice.pick(&codes)))).collect();
    let networks: Vec<(&str, Vec<u8>)> = networks.iter().map(|(network, record)| (network.as_str(), record.clone())).collect();
    let path = dir.path().join("countries.mmdb");
    #[expect(clippy::disallowed_methods, reason = "a file of its own")]
    std::fs::write(&path, mmdb::database("Bench-Country", &networks)).expect("a file");
    let policy = |lines: &str| Policy::parse("bench", "bench", &format!("geoip = {path:?}\n{lines}\nother = \"keep\"")).expect("a policy");
    let atlas = Atlas::open(&policy("client_addr = \"country\""), Box::new(|_| {})).expect("a database").expect("it is needed");
    ["client_addr = \"truncate/24,32\"", "client_addr = \"country\""].map(|lines| Worker::new(&Settings { places: Some(atlas.source()), ..settings(policy(lines), Output::Same) }))
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(1));
    targets = stages, values
}

/// The table first; a filter on the command line leaves it out, unless it says `action`.
fn main() {
    let filters: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if filters.is_empty() || filters.iter().any(|filter| filter.contains("action")) {
        actions();
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
