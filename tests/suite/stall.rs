//! `pipe --stall`: an output that takes nothing does not hold the input up for ever, and every line that it missed is counted.

use std::io::Write;

use super::pipe::combined;
use super::support::{Dir, all_of, counts, decoded, lines, logfade};

#[test]
fn what_a_stalled_reader_misses_is_counted_as_lost() {
    let input = combined(40_000);
    for args in [&["--threads", "1"][..], &["--threads", "2"], &["--compress", "zstd"], &["--compress", "gzip", "--threads", "1"]] {
        let mut all = vec!["pipe", "--json", "--format", "combined", "--stall", "50ms"];
        all.extend_from_slice(args);
        let mut child = logfade(&all).spawn();
        child.stdin.take().unwrap().write_all(&input).unwrap();
        let stderr = all_of(child.stderr.take().unwrap());
        assert_eq!(child.wait().unwrap().code(), Some(0), "it ends although nobody reads");
        let report = serde_json::from_slice(lines(&stderr).last().unwrap()).unwrap();
        let counts = counts(&report);
        let got = all_of(child.stdout.take().unwrap());
        assert_eq!(report["bytes_out"], got.len(), "{args:?}");
        assert_eq!((counts.read, counts.written + counts.lost), (40_000, 40_000), "{args:?}");
        if args[0] == "--threads" {
            assert!(counts.lost > 0 && got.ends_with(b"\n"), "{args:?}: whole lines");
            assert_eq!(lines(&got).len() as u64, counts.written, "{args:?}");
        }
    }
}

#[test]
fn a_reader_that_is_only_slow_misses_nothing() {
    let input = combined(5000);
    let whole = logfade(&["pipe", "--format", "combined"]).run(&input).stdout;
    for compress in ["none", "zstd"] {
        let outcome = logfade(&["pipe", "--json", "--format", "combined", "--compress", compress, "--stall", "1 hour"]).run(&input);
        outcome.expect_code(0);
        assert_eq!(counts(&outcome.report()).lost, 0);
        assert!(decoded(&outcome.stdout) == whole, "{compress}");
    }
}

#[test]
fn a_file_that_another_writer_keeps_locked_is_an_output_that_stalls() {
    let dir = Dir::new();
    let path = dir.file("out", b"");
    let other = std::fs::File::open(&path).unwrap();
    other.lock().unwrap();
    let outcome = logfade(&["pipe", "--json", "--format", "combined", "--stall", "20ms", "-o", &path]).run(&combined(10));
    outcome.expect_code(0);
    let counts = counts(&outcome.report());
    assert_eq!((counts.read, counts.written, counts.lost), (10, 0, 10));
    assert!(dir.read("out").is_empty());
}

#[test]
fn a_time_that_is_none_is_refused() {
    for text in ["0s", "soon", "-5s"] {
        assert_eq!(logfade(&["pipe", &format!("--stall={text}")]).run(b"").code(), Some(2), "{text}");
    }
}
