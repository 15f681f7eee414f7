//! The seek table at the end of finished `.zst` files: readers enter in the middle, decoders pass over it, and bytes stay the same.

use std::fs;
use std::process::Command;

use super::batch::{Place, gzip};
use super::expire::{at, line};
use super::full_disk::CONFIG;
use super::pipe::combined;
use super::support::{Dir, decoded, logfade, pipe};

/// Offsets and sizes, encoded and decoded, of each frame, read from the end as the format's description says.
fn frames(file: &[u8]) -> Vec<(usize, usize, usize)> {
    let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let end = file.len();
    assert_eq!(number(end - 4), 0x8f92_eab1, "Seekable_Magic_Number");
    assert_eq!(file[end - 5] & 0xfc, 0, "no checksums, nothing reserved");
    let count = number(end - 9) as usize;
    let table = end - 9 - 8 * count;
    assert_eq!((number(table - 8), number(table - 4) as usize), (0x184d_2a5e, 8 * count + 9), "skippable frame of the whole table");
    let mut at = 0;
    let found = (0..count).map(|frame| {
        let (encoded, decoded) = (number(table + 8 * frame) as usize, number(table + 8 * frame + 4) as usize);
        at += encoded;
        (at - encoded, encoded, decoded)
    });
    let found: Vec<_> = found.collect();
    assert_eq!(at, table - 8, "the frames are all that stands in front of it");
    found
}

/// Each frame alone is its part of the whole.
fn is_seekable(file: &[u8], whole: &[u8], least: usize) {
    let frames = frames(file);
    assert!(frames.len() >= least, "{} frames", frames.len());
    let mut at = 0;
    for (offset, encoded, decoded) in &frames {
        let part = zstd::bulk::decompress(&file[*offset..offset + encoded], *decoded).unwrap();
        assert!(part == whole[at..at + decoded], "the frame at {offset}");
        assert!(part.ends_with(b"\n"), "frames end with lines");
        at += decoded;
    }
    assert_eq!(at, whole.len());
    // Whoever reads from the beginning passes over it.
    assert!(decoded(file) == whole);
}

#[test]
fn what_batch_writes_can_be_entered_at_every_frame() {
    let place = Place::new();
    let plain = combined(30_000);
    place.raw("a.log.gz", &gzip(&plain));
    place.raw("b.log", &combined(3));
    place.raw("empty.log", b"");
    place.all(&[]).expect_code(0);
    let whole = pipe(&["--format", "combined"], &plain).stdout;
    let file = place.clean("a.log.zst");
    is_seekable(&file, &whole, 2);
    is_seekable(&place.clean("b.log.zst"), &pipe(&["--format", "combined"], &combined(3)).stdout, 1);
    assert_eq!(decoded(&place.clean("empty.log.zst")), b"");
    // Other threads, the same bytes.
    for threads in ["1", "3"] {
        let out = place.dir.arg(&format!("out{threads}"));
        let state = place.dir.arg(&format!("state{threads}"));
        logfade(&["--state", &state, "batch", &place.dir.arg("in"), "--out", &out, "--format", "combined", "--threads", threads]).run(b"").expect_code(0);
        assert!(fs::read(place.dir.at(&format!("out{threads}/a.log.zst"))).unwrap() == file, "{threads} threads");
    }
    // What it has written it reads.
    let again = place.dir.arg("again");
    logfade(&["--state", &place.dir.arg("state2"), "batch", &place.dir.arg("out"), "--out", &again, "--format", "combined"]).run(b"").expect_code(0);
    assert!(decoded(&fs::read(place.dir.at("again/a.log.zst")).unwrap()) == pipe(&["--format", "combined"], &whole).stdout);
    place.dir.file("whole", &whole);
    others_read(&place.dir.arg("out/a.log.zst"), &place.dir.arg("whole"));
}

/// Decoders of others, where they are installed.
fn others_read(path: &str, whole: &str) {
    let python = "import sys, zstandard\nwith open(sys.argv[1], 'rb') as file, zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as reader:\n    sys.stdout.buffer.write(reader.read())";
    for (program, args) in [("zstd", vec!["-dcq", path]), ("zstd", vec!["-tq", path]), ("/usr/bin/python3", vec!["-c", python, path])] {
        match Command::new(program).args(&args).output() {
            Ok(done) if done.status.success() => assert!(args[0] == "-tq" || done.stdout == fs::read(whole).unwrap(), "{program}"),
            Ok(done) if program.ends_with("python3") && String::from_utf8_lossy(&done.stderr).contains("ModuleNotFoundError") => println!("skipped: no zstandard for python3"),
            Ok(done) => panic!("{program}: {}", String::from_utf8_lossy(&done.stderr)),
            Err(_absent) => println!("skipped: no {program}"),
        }
    }
}

#[test]
fn forms_and_what_a_cut_leaves_can_be_entered_as_well() {
    let dir = Dir::new();
    for name in ["log", "clean"] {
        fs::create_dir(dir.at(name)).unwrap();
    }
    dir.file("logfade.toml", CONFIG.replace("DIR", dir.path().to_str().unwrap()).as_bytes());
    let (old, young) = (at("2026-01-05T10:00:00Z"), at("2026-02-20T10:00:00Z"));
    let text: String = (0..30_000).map(|id| line(id, if id % 3 == 0 { old } else { young })).collect();
    dir.file("log/access.log.1", text.as_bytes());
    logfade(&["-c", &dir.arg("logfade.toml"), "expire", "--yes", "--now", "2026-03-01T00:00:00Z"]).run(b"").expect_code(0);
    let only = |name: &str| {
        let files: Vec<_> = fs::read_dir(dir.at(name)).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        fs::read(&files[0]).unwrap()
    };
    let stays: String = text.lines().enumerate().filter(|(id, _)| id % 3 != 0).map(|(_, line)| format!("{line}\n")).collect();
    is_seekable(&only("log"), stays.as_bytes(), 2);
    is_seekable(&only("clean"), &pipe(&["--format", "combined"], text.as_bytes()).stdout, 2);
}
