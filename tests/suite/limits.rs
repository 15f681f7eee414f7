//! `logfade pipe` under strain: codecs that end early, bombs, endless lines, readers that go, signals.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::pipe::combined;
use super::support::{Dir, Outcome, all_of, binary, counts, decoded, lines, logfade, pipe, signal, wait_at_most};

const MEBI: usize = 1 << 20;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A frame that carries a checksum, as every tool writes it.
fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

type Codec = (&'static str, fn(&[u8]) -> Vec<u8>);
const CODECS: [Codec; 4] = [("gzip", gzip), ("bzip2", bzip2), ("xz", xz), ("zstd", zstd)];

#[test]
fn compressed_input_is_known_by_its_first_bytes() {
    let plain = combined(3000);
    let expected = pipe(&["--format", "combined"], &plain);
    for (name, pack) in CODECS {
        let packed = pack(&plain);
        for (what, input) in [("one", packed.clone()), ("two", [&packed[..], &packed[..]].concat())] {
            let outcome = pipe(&["--format", "combined"], &input);
            outcome.expect_code(0);
            let times = input.len() / packed.len();
            assert_eq!(counts(&outcome.report()).read as usize, 3000 * times, "{name}, {what} members");
            assert!(outcome.stdout == expected.stdout.repeat(times), "{name}, {what} members");
        }
    }
}

#[test]
fn a_line_may_cross_the_border_between_two_members() {
    let plain = combined(10);
    let middle = plain.len() / 2 + 7;
    let expected = pipe(&["--format", "combined"], &plain).stdout;
    for (name, pack) in CODECS {
        let input = [pack(&plain[..middle]), pack(b""), pack(&plain[middle..])].concat();
        let outcome = pipe(&["--format", "combined"], &input);
        outcome.expect_code(0);
        assert!(outcome.stdout == expected, "{name}");
    }
}

#[test]
fn truncated_input_is_never_silent() {
    let plain = combined(3000);
    for (name, pack) in CODECS {
        let packed = pack(&plain);
        for kept in [packed.len() / 2, packed.len() - 3, packed.len() - 1] {
            let outcome = pipe(&["--format", "combined"], &packed[..kept]);
            assert_eq!(outcome.code(), Some(3), "{name} cut after {kept} of {} bytes", packed.len());
            let report = counts(&outcome.report());
            assert!(report.read <= 3000 && outcome.stderr.len() > 2, "{name}");
            assert_eq!(lines(&outcome.stdout).len() as u64, report.written, "{name}");
        }
    }
}

#[test]
fn damaged_input_is_never_silent() {
    let plain = combined(3000);
    for (name, pack) in CODECS {
        let mut packed = pack(&plain);
        let middle = packed.len() / 2;
        packed[middle] ^= 0x55;
        let outcome = pipe(&["--format", "combined"], &packed);
        assert_eq!(outcome.code(), Some(3), "{name}");
    }
}

#[test]
fn trailing_garbage_after_a_member_is_never_silent() {
    for (name, pack) in CODECS {
        let mut packed = pack(&combined(10));
        packed.extend_from_slice(b"203.0.113.9 leftovers");
        let outcome = pipe(&["--format", "combined"], &packed);
        assert_eq!(outcome.code(), Some(3), "{name}");
        assert!(!super::support::holds(&outcome.stdout, b"leftovers"), "{name}");
    }
}

/// Feeds a call and measures its highest resident size in KiB; none where the system does not tell.
pub fn with_peak<F>(args: &[&str], feed: F) -> (Outcome, Option<u64>)
where
    F: FnOnce(&mut dyn Write) -> std::io::Result<()> + Send,
{
    let mut child = logfade(args).spawn();
    let mut stdin = child.stdin.take().unwrap();
    let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let status_file = format!("/proc/{}/status", child.id());
    let (peak, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let outcome = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let text = fs::read_to_string(&status_file).unwrap_or_default();
                let line = text.lines().find(|line| line.starts_with("VmHWM"));
                let kibi = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|number| number.parse().ok());
                peak.fetch_max(kibi.unwrap_or(0), Ordering::Relaxed);
                thread::sleep(Duration::from_millis(2));
            }
        });
        scope.spawn(move || {
            let fed = feed(&mut stdin);
            drop(fed);
        });
        let errors = scope.spawn(|| all_of(stderr));
        let stdout = all_of(stdout);
        let status = child.wait().unwrap();
        over.store(true, Ordering::Relaxed);
        Outcome { status, stdout, stderr: errors.join().unwrap() }
    });
    let peak = peak.into_inner();
    (outcome, (peak > 0).then_some(peak))
}

pub fn assert_small(peak: Option<u64>, limit_mebi: u64) {
    match peak {
        Some(peak) => assert!(peak <= limit_mebi * 1024, "peak memory {peak} KiB"),
        None => println!("skipped: this system does not tell peak memory"),
    }
}

#[test]
fn a_line_of_a_gibibyte_is_one_reject_in_bounded_memory() {
    for threads in ["1", "2"] {
        let (outcome, peak) = with_peak(&["pipe", "--json", "--format", "combined", "--threads", threads], |sink| {
            let chunk = vec![b'a'; MEBI];
            sink.write_all(&combined(2))?;
            for _ in 0..1024 {
                sink.write_all(&chunk)?;
            }
            sink.write_all(b"\n")?;
            sink.write_all(&combined(2))
        });
        outcome.expect_code(0);
        let counts = counts(&outcome.report());
        assert_eq!((counts.read, counts.clean, counts.rejected), (5, 4, 1));
        assert!(outcome.stdout.len() < MEBI, "what is skipped is not written");
        assert_small(peak, 32);
    }
}

#[test]
fn a_line_longer_than_max_line_is_rejected_and_a_shorter_one_is_not() {
    for (length, clean) in [(1000, 1), (MEBI - 4096, 1), (MEBI + 4096, 0), (5 * MEBI, 0)] {
        let line = format!("203.0.113.9 - - [10/Oct/2023:13:55:36 +0000] \"GET /{} HTTP/1.1\" 200 5 \"-\" \"-\"\n", "a/".repeat(length / 2));
        let counts = counts(&pipe(&["--format", "combined"], line.as_bytes()).expect_code(0).report());
        assert_eq!((counts.read, counts.clean), (1, clean), "{length} bytes");
    }
}

#[test]
fn a_decompression_bomb_stays_small() {
    let zeros = vec![0_u8; MEBI];
    let mut gzipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut packed = zstd::Encoder::new(Vec::new(), 1).unwrap();
    for _ in 0..256 {
        gzipped.write_all(&zeros).unwrap();
        packed.write_all(&zeros).unwrap();
    }
    for bomb in [gzipped.finish().unwrap(), packed.finish().unwrap()] {
        let (outcome, peak) = with_peak(&["pipe", "--json", "--format", "combined"], |sink| sink.write_all(&bomb));
        outcome.expect_code(0);
        let counts = counts(&outcome.report());
        assert_eq!((counts.read, counts.rejected), (1, 1));
        assert_small(peak, 40);
    }
}

#[test]
fn a_window_above_128_mebibytes_is_refused() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.long_distance_matching(true).unwrap();
    encoder.window_log(28).unwrap();
    for _ in 0..2 {
        encoder.write_all(&combined(20_000)).unwrap();
        encoder.flush().unwrap();
    }
    let frame = encoder.finish().unwrap();
    let outcome = pipe(&["--format", "combined"], &frame);
    assert!(matches!(outcome.code(), Some(3 | 4)), "exit code {:?}", outcome.code());
    assert!(outcome.stdout.is_empty());
}

#[test]
fn a_line_comes_out_while_the_writer_stays() {
    for format in ["combined", "auto"] {
        let mut child = logfade(&["pipe", "--format", format]).spawn();
        let mut stdin = child.stdin.take().unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let mut quickest = Duration::MAX;
        for round in 0..5 {
            thread::sleep(Duration::from_millis(30));
            let begun = Instant::now();
            stdin.write_all(&combined(1)).unwrap();
            stdin.flush().unwrap();
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            assert!(line.starts_with("203.0.113.0 - - "), "{format}, line {round}");
            quickest = quickest.min(begun.elapsed());
        }
        drop(stdin);
        assert!(child.wait().unwrap().success());
        assert!(quickest <= Duration::from_millis(100), "{format}: {quickest:?}");
    }
}

#[test]
fn a_fifo_is_read_like_any_stream() {
    let dir = Dir::new();
    let fifo = dir.arg("log.fifo");
    if !Command::new("mkfifo").arg(&fifo).status().is_ok_and(|status| status.success()) {
        println!("skipped: no mkfifo");
        return;
    }
    let script = format!("exec '{}' pipe --format combined < '{fifo}'", binary().display());
    let mut child = Command::new("sh").args(["-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut writer = fs::OpenOptions::new().write(true).open(&fifo).unwrap();
    writer.write_all(&combined(1)).unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert!(line.starts_with("203.0.113.0"), "the line is there while the writer holds the FIFO open");
    drop(writer);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let mut child = logfade(&["-q", "pipe", "--format", "combined"]).spawn();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let feeder = thread::spawn(move || {
        let lines = combined(1000);
        while stdin.write_all(&lines).is_ok() {}
    });
    let mut some = [0_u8; 64];
    stdout.read_exact(&mut some).unwrap();
    drop(stdout);
    let status = wait_at_most(&mut child, Duration::from_secs(20)).expect("it ends");
    feeder.join().unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&all_of(child.stderr.take().unwrap())), "", "nothing to say");
}

#[test]
fn signals_finish_the_line_and_the_frame() {
    for (name, code) in [("TERM", 143), ("INT", 130)] {
        for codec in ["none", "gzip", "zstd"] {
            let dir = Dir::new();
            let file = dir.arg("out");
            let mut child = logfade(&["pipe", "--json", "--format", "combined", "--compress", codec, "-o", &file]).spawn();
            let mut stdin = child.stdin.take().unwrap();
            let feeder = thread::spawn(move || {
                let lines = combined(500);
                while stdin.write_all(&lines).is_ok() {}
            });
            thread::sleep(Duration::from_millis(300));
            signal(&child, name);
            let status = wait_at_most(&mut child, Duration::from_secs(20)).expect("it ends");
            feeder.join().unwrap();
            assert!(status.code() == Some(code) || status.signal() == Some(code - 128), "{name} {codec}: {status:?}");
            let written = decoded(&dir.read("out"));
            assert!(!written.is_empty() && written.ends_with(b"\n"), "{name} {codec}: whole lines");
            let stderr = all_of(child.stderr.take().unwrap());
            let report: serde_json::Value = serde_json::from_slice(lines(&stderr).last().expect("a report")).expect("JSON");
            assert_eq!(report["written"], lines(&written).len(), "{name} {codec}: what was written is counted");
            let read = report["read"].as_u64();
            assert_eq!(read, Some(report["clean"].as_u64().unwrap() + report["rejected"].as_u64().unwrap()), "{name} {codec}");
        }
    }
}

#[test]
fn a_signal_while_the_input_pauses_ends_it_at_once() {
    let mut child = logfade(&["pipe", "--format", "combined"]).spawn();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&combined(3)).unwrap();
    thread::sleep(Duration::from_millis(300));
    signal(&child, "TERM");
    let status = wait_at_most(&mut child, Duration::from_secs(5)).expect("it does not wait for the next line");
    assert!(status.code() == Some(143) || status.signal() == Some(15), "{status:?}");
    assert_eq!(lines(&all_of(child.stdout.take().unwrap())).len(), 3);
    drop(stdin);
}

#[test]
fn compressed_output_to_a_terminal_is_refused() {
    let dir = Dir::new();
    let input = dir.file("in", &combined(3));
    let inner = format!("'{}' pipe --format combined --compress gzip < '{input}'", binary().display());
    let Ok(outcome) = Command::new("script").args(["-qec", &inner, "/dev/null"]).stdin(Stdio::null()).output() else {
        println!("skipped: no `script` to make a terminal");
        return;
    };
    assert_eq!(outcome.status.code(), Some(2), "{}", String::from_utf8_lossy(&outcome.stdout));
    assert!(!super::support::holds(&outcome.stdout, &[0x1f, 0x8b]));
}

#[test]
fn a_full_disk_is_an_error_and_not_a_loss() {
    if !std::path::Path::new("/dev/full").exists() {
        println!("skipped: no /dev/full");
        return;
    }
    let mut command = logfade(&["pipe", "--format", "combined"]).command();
    command.stdin(Stdio::piped()).stderr(Stdio::piped()).stdout(fs::File::create("/dev/full").unwrap());
    let mut child = command.spawn().unwrap();
    let fed = child.stdin.take().unwrap().write_all(&combined(100));
    drop(fed);
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

#[test]
fn two_writers_may_append_to_one_file() {
    for codec in ["none", "gzip", "zstd"] {
        let dir = Dir::new();
        let file = dir.arg("out");
        let count = 20_000;
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let outcome = pipe(&["--format", "combined", "--compress", codec, "-o", &file], &combined(count));
                    outcome.expect_code(0);
                });
            }
        });
        let written = decoded(&dir.read("out"));
        let whole = lines(&written).iter().filter(|line| line.starts_with(b"203.0.113.0 - - [") && line.ends_with(b"desktop)\"")).count();
        assert_eq!((lines(&written).len(), whole), (2 * count, 2 * count), "{codec}");
    }
}

#[test]
fn comparing_two_files_stays_small() {
    let dir = Dir::new();
    let raw = combined(40_000);
    // Every line is wrong and full of words that its record does not have.
    let text = String::from_utf8(raw.clone()).unwrap();
    let wrong: String = text.lines().enumerate().map(|(number, line)| format!("{}\n", line.replace("/shop/", &format!("/a{number}/b{number}x/c{number}y/z-{number}/")))).collect();
    let (raw, wrong, zipped) = (dir.file("raw", &raw), dir.file("wrong", wrong.as_bytes()), dir.file("raw.zst", &zstd::encode_all(&raw[..], 1).unwrap()));
    for (clean, code) in [(&wrong, 4), (&zipped, 4)] {
        let (outcome, peak) = with_peak(&["verify", "--json", &raw, clean], |_| Ok(()));
        assert_eq!(outcome.code(), Some(code));
        assert_small(peak, 32);
    }
}
