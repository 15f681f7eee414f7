//! `logfade batch` under strain: killed at any time, told to end, short of memory; the next run completes the work.

use std::fs;
use std::io::Write;
use std::time::Duration;

use super::batch::{Place, gzip};
use super::limits::with_peak;
use super::pipe::combined;
use super::support::{decoded, logfade, pipe, signal, wait_at_most};

/// Files for a run of some tenths of a second.
fn filled(place: &Place) -> Vec<(String, Vec<u8>)> {
    (0..8)
        .map(|number| {
            let plain = combined(4000 + 997 * number);
            place.raw(&format!("{}/a{number}.log.gz", number % 3), &gzip(&plain));
            (format!("{}/a{number}.log.zst", number % 3), pipe(&["--format", "combined"], &plain).stdout)
        })
        .collect()
}

fn complete(place: &Place, expected: &[(String, Vec<u8>)]) {
    place.all(&[]).expect_code(0);
    let mut names: Vec<String> = expected.iter().map(|(name, _)| name.clone()).collect();
    names.sort();
    assert_eq!(place.outputs(), names, "nothing else is left");
    for (name, clean) in expected {
        assert!(decoded(&place.clean(name)) == *clean, "{name}: every line once");
    }
    place.verified();
}

#[test]
fn killed_at_any_time_the_next_run_completes() {
    let place = Place::new();
    let expected = filled(&place);
    let (state, input, out) = (place.dir.arg("state"), place.dir.arg("in"), place.dir.arg("out"));
    for round in 0..40_u64 {
        if round % 10 == 0 {
            drop(fs::remove_dir_all(&state));
            drop(fs::remove_dir_all(&out));
        }
        let mut child = logfade(&["--state", &state, "batch", &input, "--out", &out, "--format", "combined"]).spawn();
        std::thread::sleep(Duration::from_micros(round * 7919 % 120_000));
        drop(child.kill());
        child.wait().unwrap();
        if round % 10 == 9 {
            complete(&place, &expected);
        }
    }
}

#[test]
fn killed_runs_leave_nothing_even_of_files_that_are_gone_since() {
    let place = Place::new();
    place.raw("sub/a.log", &combined(3));
    fs::create_dir_all(place.dir.at("out/sub")).unwrap();
    for folder in ["out", "out/sub"] {
        fs::write(place.dir.at(&format!("{folder}/.logfade-0123456789abcdef.part")), b"begun").unwrap();
    }
    place.all(&[]).expect_code(0);
    assert_eq!(place.outputs(), ["sub/a.log.zst"]);
}

#[test]
fn a_signal_takes_back_what_is_begun() {
    for (name, code) in [("TERM", 143), ("INT", 130)] {
        let place = Place::new();
        let expected = filled(&place);
        let endless: Vec<u8> = combined(2000).repeat(60);
        place.raw("endless.log", &endless);
        let (state, input, out) = (place.dir.arg("state"), place.dir.arg("in"), place.dir.arg("out"));
        let mut child = logfade(&["--state", &state, "batch", &input, "--out", &out, "--format", "combined", "--threads", "1", "--jobs", "1", "--compress", "zstd:12"]).spawn();
        while !place.outputs().iter().any(|name| name.contains(".part")) {
            assert!(child.try_wait().unwrap().is_none(), "it ended before it was told to");
            std::thread::sleep(Duration::from_millis(1));
        }
        signal(&child, name);
        let status = wait_at_most(&mut child, Duration::from_secs(60)).expect("it ends");
        assert_eq!(status.code(), Some(code));
        assert!(!place.outputs().iter().any(|name| name.contains(".part")), "no draft is left");
        fs::remove_file(place.dir.at("in/endless.log")).unwrap();
        place.all(&["--compress", "zstd:12"]).expect_code(0);
        for (name, clean) in &expected {
            assert!(decoded(&place.clean(name)) == *clean);
        }
    }
}

#[test]
fn two_runs_at_the_same_time_do_the_work_once() {
    let place = Place::new();
    let expected = filled(&place);
    let (state, input, out) = (place.dir.arg("state"), place.dir.arg("in"), place.dir.arg("out"));
    let mut children: Vec<_> = (0..3).map(|_| logfade(&["--state", &state, "batch", &input, "--out", &out, "--format", "combined"]).spawn()).collect();
    for child in &mut children {
        // One that met a file in the other's hands says so; it is no success of its own.
        assert!(matches!(child.wait().unwrap().code(), Some(0 | 4)));
    }
    complete(&place, &expected);
}

#[test]
fn memory_stays_bounded_whatever_the_archive_says() {
    let place = Place::new();
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..192 {
        bomb.write_all(&[b'0'; 1 << 20]).unwrap();
    }
    bomb.write_all(b"\n").unwrap();
    bomb.write_all(&combined(4000).repeat(20)).unwrap();
    place.raw("bomb.log.gz", &bomb.finish().unwrap());
    let (state, input, out) = (place.dir.arg("state"), place.dir.arg("in"), place.dir.arg("out"));
    let (outcome, peak) = with_peak(&["--json", "--state", &state, "batch", &input, "--out", &out, "--format", "combined", "--threads", "4"], |_| Ok(()));
    outcome.expect_code(0);
    assert_eq!(outcome.json()["read"], 80_001);
    assert_eq!(outcome.json()["reasons"]["too_long"], 1);
    if let Some(kibi) = peak {
        assert!(kibi <= 64 * 1024, "{kibi} KiB");
    }
}
