//! Each stage on its own over one invented block: bytes per second beside a newline count, and nanoseconds per record of each action.
#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that cannot start has nothing to say")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiff::SignedDuration;
use logfade::format::{Columns, Format, Spans};
use logfade::scrub::{Clean, KeySource, OnReject, Output, Policy, Quarantined, Scrubber, Settings, Tally};
use logfade::store::keys::{KeyRing, KeyStore};
use logfade::store::sink::{Compress, Encoder, Frame};
use logfade::store::source::BLOCK;
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
    group.finish();
}

/// Time per record under a policy in which one action is awake; what it costs is the difference to the first row.
///
/// A policy that keeps addresses or users looks for none elsewhere: the residual scan is awake where `client_addr` is not kept.
fn actions(criterion: &mut Criterion) {
    let text = block();
    let block = text.as_bytes();
    let records = text.lines().count() as u64;
    let dir = tempfile::tempdir().expect("a directory");
    let mut group = criterion.benchmark_group("record");
    for (name, lines) in [
        ("all kept", ""),
        ("residual scan", "client_addr = \"drop\"\nuser = \"drop\""),
        ("residual scan and address", "client_addr = \"truncate/24,32\"\nuser = \"drop\""),
        ("path detect", "path = \"detect\""),
        ("path template", "path = \"template\""),
        ("query by name", "query = { default = \"drop\", keep = [\"page\"] }"),
        ("referrer origin", "referrer = \"origin\""),
        ("agent family", "user_agent = \"family\""),
        ("address hash", "client_addr = \"hash\""),
        ("time to the hour", "time = \"hour\""),
    ] {
        let mut worker = Worker::new(&Settings { keys: Some(keys(&dir)), ..settings(keep_but(lines), Output::Same) });
        group.bench_function(name, |bencher| bencher.iter_custom(|wanted| per_record(wanted, records, || _ = black_box(worker.scrub(black_box(block))))));
    }
    group.finish();
}

/// What one act costs per record: two policies in turn over the same block, the fastest block of each, and the difference.
///
/// Unlike the difference of two rows above it does not depend on what else the machine does meanwhile. Where the client's
/// address is touched, the other policy drops it: both look for addresses elsewhere.
fn acts(criterion: &mut Criterion) {
    let text = block();
    let block = text.as_bytes();
    let records = text.lines().count() as u64;
    let dir = tempfile::tempdir().expect("a directory");
    let mut group = criterion.benchmark_group("act");
    const DROPPED: &str = "client_addr = \"drop\"";
    for (name, without, with) in [
        ("time of the record, for its key", "", "session = \"hash\""),
        ("address truncate", DROPPED, "client_addr = \"truncate/24,32\""),
        ("address hash, and the time", DROPPED, "client_addr = \"hash\""),
        ("address hash", "client_addr = \"drop\"\nsession = \"hash\"", "client_addr = \"hash\""),
        ("address hash/address", "client_addr = \"drop\"\nsession = \"hash\"", "client_addr = \"hash/address\""),
        ("address encrypt-prefix, 15 % IPv6", "client_addr = \"drop\"\nsession = \"hash\"", "client_addr = \"encrypt-prefix\""),
        ("agent hash", "session = \"hash\"", "user_agent = \"hash\""),
        ("agent family, cached", "", "user_agent = \"family\""),
        ("query by name", "query = \"drop\"", "query = { default = \"drop\", keep = [\"page\"] }"),
        ("query hash by name", "query = \"drop\"\nsession = \"hash\"", "query = { default = \"drop\", hash = [\"page\"] }"),
        ("path detect", "", "path = \"detect\""),
        ("referrer origin", "", "referrer = \"origin\""),
    ] {
        let mut pair = [without, with].map(|lines| Worker::new(&Settings { keys: Some(keys(&dir)), ..settings(keep_but(lines), Output::Same) }));
        group.bench_function(name, |bencher| bencher.iter_custom(|wanted| difference(wanted, records, &mut pair, block)));
    }
    group.finish();
}

/// A database of countries with a network for each /16 of IPv4 and for 4,096 of IPv6, asked for addresses that come once.
fn places(criterion: &mut Criterion) {
    let codes = ["SE", "NO", "DK", "FI", "DE", "FR", "US", "BR"];
    let mut dice = Dice(0x6E_0B);
    let four = (0..223 * 256_u32).map(|number| format!("{}.{}.0.0/16", 1 + number / 256, number % 256));
    let six = (0..4_096_u32).map(|number| format!("2001:db8:{number:x}0::/44"));
    let networks: Vec<(String, Vec<u8>)> = four.chain(six).map(|network| (network, mmdb::country(dice.pick(&codes)))).collect();
    let networks: Vec<(&str, Vec<u8>)> = networks.iter().map(|(network, record)| (network.as_str(), record.clone())).collect();
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("countries.mmdb");
    #[expect(clippy::disallowed_methods, reason = "a file of its own")]
    std::fs::write(&path, mmdb::database("Bench-Country", &networks)).expect("a file");
    let policy = |lines: &str| Policy::parse("bench", "bench", &format!("geoip = {path:?}\n{lines}\nother = \"keep\"")).expect("a policy");
    let atlas = Atlas::open(&policy("client_addr = \"country\""), Box::new(|_| {})).expect("a database").expect("it is needed");
    let text = block();
    let block = text.as_bytes();
    let records = text.lines().count() as u64;
    let mut pair = ["client_addr = \"truncate/24,32\"", "client_addr = \"country\""]
        .map(|lines| Worker::new(&Settings { places: Some(atlas.source()), ..settings(policy(lines), Output::Same) }));
    let mut group = criterion.benchmark_group("act");
    group.bench_function("address country, against truncate", |bencher| bencher.iter_custom(|wanted| difference(wanted, records, &mut pair, block)));
    group.finish();
}

/// What the second worker needs for `wanted` records more than the first.
fn difference(wanted: u64, records: u64, pair: &mut [Worker; 2], block: &[u8]) -> Duration {
    let mut best = [Duration::MAX; 2];
    for _ in 0..wanted.div_ceil(2 * records).max(8) {
        for (worker, best) in pair.iter_mut().zip(&mut best) {
            let start = Instant::now();
            black_box(worker.scrub(black_box(block)));
            *best = start.elapsed().min(*best);
        }
    }
    best[1].saturating_sub(best[0]).mul_f64(wanted as f64 / records as f64)
}

/// The time of `wanted` records, measured over whole blocks.
fn per_record(wanted: u64, records: u64, mut block: impl FnMut()) -> Duration {
    let rounds = wanted.div_ceil(records);
    let start = Instant::now();
    for _ in 0..rounds {
        block();
    }
    start.elapsed().mul_f64(wanted as f64 / (rounds * records) as f64)
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(1));
    targets = stages, actions, acts, places
}
criterion_main!(benches);
