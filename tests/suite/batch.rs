//! `logfade batch`: archives become clean archives, each once, whatever the codec, the order of threads and the run before.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::pipe::combined;
use super::support::{Dir, Outcome, counts, decoded, holds, lines, logfade, pipe};

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn packed(name: &str, bytes: &[u8]) -> Vec<u8> {
    match name.rsplit('.').next().unwrap() {
        "gz" => gzip(bytes),
        "zst" => zstd::encode_all(bytes, 3).unwrap(),
        "xz" => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "bz2" => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        _ => bytes.to_vec(),
    }
}

/// A place with `in/`, `out/` and a state directory.
pub struct Place {
    pub dir: Dir,
}

impl Place {
    pub fn new() -> Self {
        Self { dir: Dir::new() }
    }

    pub fn raw(&self, name: &str, bytes: &[u8]) -> String {
        let name = format!("in/{name}");
        fs::create_dir_all(self.dir.at(&name).parent().unwrap()).unwrap();
        self.dir.file(&name, bytes)
    }

    pub fn run(&self, args: &[&str]) -> Outcome {
        let (state, out) = (self.dir.arg("state"), self.dir.arg("out"));
        logfade(&[&["--json", "--state", &state, "batch", "--out", &out][..], args].concat()).run(b"")
    }

    /// Over the whole of `in/`.
    pub fn all(&self, args: &[&str]) -> Outcome {
        let input = self.dir.arg("in");
        self.run(&[&[input.as_str(), "--format", "combined"][..], args].concat())
    }

    pub fn clean(&self, name: &str) -> Vec<u8> {
        self.dir.read(&format!("out/{name}"))
    }

    /// What stands below `out/`, hidden names too.
    pub fn outputs(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![self.dir.at("out")];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()) {
                if entry.is_dir() { open.push(entry) } else { found.push(entry.strip_prefix(self.dir.at("out")).unwrap().to_str().unwrap().to_owned()) }
            }
        }
        found.sort();
        found
    }

    pub fn verified(&self) -> u64 {
        let outcome = logfade(&["--json", "--state", &self.dir.arg("state"), "ledger", "verify"]).run(b"");
        outcome.expect_code(0);
        outcome.json()["entries"].as_u64().unwrap()
    }
}

/// Path below `in/`, status and lines read of every row.
fn rows(outcome: &Outcome) -> Vec<(String, String, u64)> {
    let report = outcome.json();
    let row = |row: &Value| {
        let path = Path::new(row["path"].as_str().unwrap()).file_name().unwrap_or_default().to_str().unwrap().to_owned();
        (path, row["status"].as_str().unwrap().to_owned(), row["read"].as_u64().unwrap())
    };
    report["files"].as_array().unwrap().iter().map(row).collect()
}

fn statuses(outcome: &Outcome) -> Vec<String> {
    rows(outcome).into_iter().map(|(_, status, _)| status).collect()
}

#[test]
fn every_codec_becomes_the_same_clean_file() {
    let place = Place::new();
    let plain = combined(20_000);
    let expected = pipe(&["--format", "combined"], &plain).stdout;
    for name in ["plain/a.log", "b.log.1.gz", "c.log.zst", "d/e/c.log.xz", "f.log.bz2"] {
        place.raw(name, &packed(name, &plain));
    }
    let middle = plain.len() / 2;
    place.raw("members.gz", &[gzip(&plain[..middle]), gzip(b""), gzip(&plain[middle..])].concat());
    let outcome = place.all(&[]);
    outcome.expect_code(0);
    let report = outcome.json();
    assert_eq!(counts(&report).read, 6 * 20_000);
    assert_eq!((&report["format"], report["files"].as_array().unwrap().len()), (&Value::from("combined"), 6));
    for row in report["files"].as_array().unwrap() {
        let counts = counts(row);
        assert_eq!((counts.read, counts.written, &row["status"]), (20_000, 20_000, &Value::from("done")));
        assert_eq!(row["bytes_out"], fs::metadata(row["output"].as_str().unwrap()).unwrap().len());
        assert_eq!(row["oldest"], "2023-10-10T13:00:00Z");
    }
    assert_eq!(place.outputs(), ["b.log.1.zst", "c.log.zst", "d/e/c.log.zst", "f.log.zst", "members.zst", "plain/a.log.zst"]);
    let first = place.clean("b.log.1.zst");
    for name in place.outputs() {
        assert!(place.clean(&name) == first, "{name}: the codec does not show in the clean bytes");
        assert_eq!(place.dir.at("out").join(&name).metadata().unwrap().permissions().mode() & 0o777, 0o640);
    }
    assert!(decoded(&first) == expected);
    assert_eq!(place.verified(), 6);
    assert!(!holds(&place.dir.read("state/ledger.jsonl"), b"203.0.113."));
}

#[test]
fn frames_stand_alone_and_do_not_depend_on_threads() {
    let mut plain = combined(12_000);
    plain.extend_from_slice(&[b'x'; 3 << 20]);
    plain.extend_from_slice(b" 203.0.113.77\r\n");
    plain.extend_from_slice(&combined(12_000));
    let mut outputs = Vec::new();
    for (jobs, threads, codec) in [("1", "1", "a.log"), ("4", "3", "a.log"), ("2", "7", "a.log.gz"), ("1", "2", "a.log.xz")] {
        let place = Place::new();
        place.raw(codec, &packed(codec, &plain));
        place.all(&["--jobs", jobs, "--threads", threads]).expect_code(0);
        outputs.push(place.clean("a.log.zst"));
    }
    assert!(outputs.windows(2).all(|pair| pair[0] == pair[1]), "bytes are a function of the content");
    let (mut rest, mut frames, mut whole) = (outputs[0].as_slice(), 0, Vec::new());
    while !rest.is_empty() {
        let size = zstd::zstd_safe::find_frame_compressed_size(rest).unwrap();
        let frame = zstd::decode_all(&rest[..size]).unwrap();
        if size == rest.len() {
            // The seek table, which says nothing of the content.
            assert!(frame.is_empty());
            break;
        }
        assert!(frame.ends_with(b"\n"), "a frame holds whole lines");
        whole.extend(frame);
        (rest, frames) = (&rest[size..], frames + 1);
    }
    assert!(frames >= 4, "{frames} frames");
    assert_eq!(lines(&whole).len(), 24_001);
    assert!(!holds(&whole, b"203.0.113.77") && !holds(&whole, b"xxx"));
}

#[test]
fn what_is_done_is_skipped_and_what_changed_is_done_again() {
    let place = Place::new();
    place.raw("a.log", &combined(100));
    place.raw("b.log.gz", &gzip(&combined(200)));
    assert_eq!(statuses(&place.all(&[])), ["done", "done"]);
    let again = place.all(&[]);
    again.expect_code(0);
    assert_eq!(rows(&again), [("a.log".into(), "skipped".into(), 0), ("b.log.gz".into(), "skipped".into(), 0)]);
    assert_eq!(place.verified(), 2);
    // Touched, but the same.
    place.raw("a.log", &combined(100));
    assert_eq!(statuses(&place.all(&[])), ["skipped", "skipped"]);
    // Appended to.
    place.raw("a.log", &combined(150));
    assert_eq!(rows(&place.all(&[]))[0], ("a.log".into(), "done".into(), 150));
    assert_eq!(lines(&decoded(&place.clean("a.log.zst"))).len(), 150);
    // Another policy, other options.
    assert_eq!(statuses(&place.all(&["--policy", "strict"])), ["done", "done"]);
    assert_eq!(statuses(&place.all(&["--policy", "strict"])), ["skipped", "skipped"]);
    assert_eq!(statuses(&place.all(&["--policy", "strict", "--compress", "zstd:7"])), ["done", "done"]);
    assert_eq!(statuses(&place.all(&["--policy", "strict", "--compress", "zstd:7", "--jobs", "1", "--threads", "1"])), ["skipped", "skipped"]);
    // A clean file that is gone is made again.
    fs::remove_file(place.dir.at("out/a.log.zst")).unwrap();
    assert_eq!(statuses(&place.all(&["--policy", "strict", "--compress", "zstd:7"])), ["done", "skipped"]);
    place.verified();
}

#[test]
fn a_name_of_another_source_is_refused() {
    let place = Place::new();
    place.raw("access.log.1", &combined(50));
    place.all(&[]).expect_code(0);
    let yesterday = place.clean("access.log.1.zst");
    // Rotated: yesterday's file is known under its new name, today's cannot take its place.
    fs::rename(place.dir.at("in/access.log.1"), place.dir.at("in/access.log.2")).unwrap();
    place.raw("access.log.1", &combined(70)[1000..]);
    let outcome = place.all(&[]);
    outcome.expect_code(4);
    assert_eq!(statuses(&outcome), ["failed", "skipped"]);
    assert!(outcome.stderr_text().contains("another source"));
    assert!(place.clean("access.log.1.zst") == yesterday && place.outputs() == ["access.log.1.zst"]);
}

#[test]
fn files_of_others_are_never_overwritten() {
    let place = Place::new();
    place.raw("a.log", &combined(50));
    place.raw("b.log", &combined(60));
    fs::create_dir_all(place.dir.at("out")).unwrap();
    place.dir.file("out/a.log.zst", b"mine");
    let outcome = place.all(&[]);
    outcome.expect_code(4);
    assert_eq!(statuses(&outcome), ["failed", "done"]);
    assert_eq!(place.clean("a.log.zst"), b"mine");
    // One that was ours and was changed.
    place.dir.file("out/b.log.zst", b"changed");
    assert_eq!(statuses(&place.all(&[])), ["failed", "failed"]);
    assert_eq!(place.clean("b.log.zst"), b"changed");
    assert_eq!(place.outputs(), ["a.log.zst", "b.log.zst"], "no draft is left");
    // A link is not followed.
    fs::remove_file(place.dir.at("out/a.log.zst")).unwrap();
    std::os::unix::fs::symlink(place.dir.at("elsewhere"), place.dir.at("out/a.log.zst")).unwrap();
    assert_ne!(place.all(&[]).code(), Some(0));
    assert!(!place.dir.at("elsewhere").exists());
}

#[test]
fn two_sources_of_one_name_and_outputs_among_inputs_are_refused() {
    let place = Place::new();
    place.raw("a.log", &combined(50));
    place.raw("a.log.gz", &gzip(&combined(60)));
    let outcome = place.all(&[]);
    outcome.expect_code(4);
    assert_eq!(rows(&outcome), [("a.log".into(), "done".into(), 50), ("a.log.gz".into(), "failed".into(), 0)]);
    let input = place.dir.arg("in");
    for out in ["in", "in/clean"] {
        let outcome = logfade(&["--state", &place.dir.arg("s2"), "batch", &input, "--out", &place.dir.arg(out)]).run(b"");
        outcome.expect_code(2);
        assert!(outcome.stderr_text().contains("output lies in"));
    }
    let raw = place.raw("z/b.log.zst", &packed("b.zst", &combined(9)));
    let outcome = logfade(&["--state", &place.dir.arg("s3"), "batch", &raw, "--out", &place.dir.arg("in/z")]).run(b"");
    outcome.expect_code(4);
    assert!(outcome.stderr_text().contains("output is the input"));
}

#[test]
fn a_bad_file_stops_no_other() {
    let place = Place::new();
    let whole = gzip(&combined(500));
    place.raw("cut.log.gz", &whole[..whole.len() - 9]);
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x10;
    place.raw("flipped.log.gz", &flipped);
    place.raw("garbage.log.gz", &[&whole[..], b"203.0.113.9 leftovers"].concat());
    place.raw("good.log.gz", &whole);
    let zst = zstd::encode_all(&combined(500)[..], 3).unwrap();
    place.raw("cut2.log.zst", &zst[..zst.len() - 1]);
    let missing = place.dir.arg("in/missing.log");
    let outcome = place.all(&[&missing]);
    outcome.expect_code(3);
    let done: Vec<String> = rows(&outcome).into_iter().filter(|(_, status, _)| status == "done").map(|(path, ..)| path).collect();
    assert_eq!((done, place.outputs()), (vec!["good.log.gz".to_owned()], vec!["good.log.zst".to_owned()]));
    assert_eq!(counts(&outcome.json()).read, 500);
    assert!(!holds(&outcome.stderr, b"203.0.113"), "errors quote no raw data");
    for row in outcome.json()["files"].as_array().unwrap() {
        assert_eq!(row["error"].is_string(), row["status"] == "failed");
    }
}

#[test]
fn a_cut_archive_is_never_done() {
    let place = Place::new();
    let gz = gzip(&combined(300));
    let zst = {
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(&combined(300)).unwrap();
        encoder.finish().unwrap()
    };
    let mut number = 0;
    for whole in [&gz, &zst] {
        for cut in (8..whole.len()).step_by(whole.len() / 60) {
            place.raw(&format!("{number}.log"), &whole[..cut]);
            number += 1;
        }
    }
    let outcome = place.all(&[]);
    outcome.expect_code(3);
    assert!(statuses(&outcome).iter().all(|status| status == "failed"));
    assert_eq!(place.outputs(), Vec::<String>::new());
}

#[test]
fn manifests_and_rows_let_others_drive_it() {
    let place = Place::new();
    let (a, b) = (place.raw("x/access.log", &combined(10)), place.raw("y/access.log", &combined(20)));
    let manifest = place.dir.file("manifest", format!("{a}\n{b}\n\n/nowhere/access.log\n").as_bytes());
    let (state, out, results) = (place.dir.arg("state"), place.dir.arg("out"), place.dir.arg("rows"));
    let call = |extra: &[&str], input: &[u8]| logfade(&[&["--state", &state, "batch", "--out", &out, "--manifest"][..], extra].concat()).run(input);
    call(&[&manifest, "--results", &results], b"").expect_code(0);
    let read = |bytes: &[u8]| -> Vec<Value> { lines(bytes).into_iter().map(|line| serde_json::from_slice(line).unwrap()).collect() };
    let by_path = |rows: &[Value], path: &str| rows.iter().find(|row| row["path"] == path).unwrap().clone();
    let first = read(&place.dir.read("rows"));
    assert_eq!(first.len(), 3);
    assert_eq!((&by_path(&first, &a)["status"], &by_path(&first, &a)["read"]), (&Value::from("done"), &Value::from(10)));
    assert_eq!(&by_path(&first, "/nowhere/access.log")["status"], "failed");
    let output = PathBuf::from(by_path(&first, &b)["output"].as_str().unwrap());
    assert_eq!(lines(&decoded(&fs::read(&output).unwrap())).len(), 20);
    let input = fs::read(&manifest).unwrap();
    let again = call(&["-", "--results", "-"], &input);
    again.expect_code(0);
    assert_eq!(by_path(&read(&again.stdout), &b)["status"], "skipped");
    call(&[&manifest], b"").expect_code(3);
    assert_eq!(call(&["-"], b"../up.log\n").code(), Some(4));
}

#[test]
fn a_dry_run_writes_nothing() {
    let place = Place::new();
    place.raw("a.log", &combined(10));
    let outcome = place.all(&["--dry-run"]);
    outcome.expect_code(0);
    assert_eq!(statuses(&outcome), ["planned"]);
    assert!(!place.dir.at("out").exists() && !place.dir.at("state").exists());
    place.all(&[]).expect_code(0);
    assert_eq!((statuses(&place.all(&["--dry-run"])), place.verified()), (vec!["skipped".to_owned()], 1));
}

#[test]
fn a_lost_state_directory_is_recovered_from_what_stands_there() {
    let place = Place::new();
    place.raw("a.log.gz", &gzip(&combined(5000)));
    place.all(&[]).expect_code(0);
    let before = place.dir.at("out/a.log.zst").metadata().unwrap();
    fs::remove_dir_all(place.dir.at("state")).unwrap();
    assert_eq!(statuses(&place.all(&[])), ["done"]);
    let after = place.dir.at("out/a.log.zst").metadata().unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::ino(&before), std::os::unix::fs::MetadataExt::ino(&after), "the same bytes are not written again");
    assert_eq!((statuses(&place.all(&[])), place.verified()), (vec!["skipped".to_owned()], 1));
}

#[test]
fn rejects_are_counted_and_limited() {
    let place = Place::new();
    let odd = b"these are secret words of 203.0.113.44 that nobody decided about\n";
    place.raw("a.log", &[&combined(99)[..], odd].concat());
    place.all(&["--max-rejects", "1"]).expect_code(0);
    place.all(&["--policy", "strict", "--max-rejects", "0.5%"]).expect_code(1);
    let kept = place.dir.arg("odd.log");
    place.all(&["--on-reject", "quarantine", "--quarantine", &kept]).expect_code(0);
    assert_eq!(place.dir.read("odd.log"), odd);
    assert_eq!(place.dir.at("odd.log").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(lines(&decoded(&place.clean("a.log.zst"))).len(), 99);
    assert_eq!(place.all(&["--compress", "gzip"]).code(), Some(2));
}

#[test]
fn json_and_tables_keep_their_order() {
    let place = Place::new();
    place.raw("a.log", &combined(8000));
    place.all(&["--output", "json"]).expect_code(0);
    let expected = pipe(&["--format", "combined", "--output", "json"], &combined(8000)).stdout;
    assert!(decoded(&place.clean("a.log.zst")) == expected);
    let mut table = b"#Fields: date time c-ip cs-method cs-uri-stem sc-status\n".to_vec();
    for number in 0..60_000 {
        if number % 20_000 == 9_999 {
            table.extend_from_slice(b"#Fields: date time cs-method cs-uri-stem sc-status c-ip\n");
        }
        let swapped = number % 20_000 >= 9_999 || number >= 20_000;
        let line = if swapped { "2023-10-10 13:55:36 GET /a 200 203.0.113.9\n" } else { "2023-10-10 13:55:36 203.0.113.9 GET /a 200\n" };
        table.extend_from_slice(line.as_bytes());
    }
    let other = Place::new();
    other.raw("w.log", &table);
    other.run(&[&other.dir.arg("in"), "--format", "w3c"]).expect_code(0);
    let clean = decoded(&other.clean("w.log.zst"));
    assert!(clean == pipe(&["--format", "w3c"], &table).stdout && !holds(&clean, b"203.0.113.9"));
}

/// On a terminal, the run and each file that is being read have a bar.
#[test]
fn progress_is_shown_for_every_file() {
    let place = Place::new();
    for name in ["first.log", "second.log.gz"] {
        let plain = combined(4000).repeat(30);
        place.raw(name, &if name.ends_with("gz") { gzip(&plain) } else { plain });
    }
    let (state, input, out) = (place.dir.arg("state"), place.dir.arg("in"), place.dir.arg("out"));
    let command = format!("'{}' --state '{state}' batch '{input}' --out '{out}' --format combined --threads 1 --compress zstd:15", super::support::binary().display());
    let Ok(shown) = std::process::Command::new("script").args(["-qec", &command, "/dev/null"]).env("TERM", "xterm").stdin(std::process::Stdio::null()).output() else {
        println!("skipped: no script");
        return;
    };
    assert!(shown.status.success());
    let text = String::from_utf8_lossy(&shown.stdout);
    for word in ["first.log", "second.log.gz", "eta", "lines", "rejected", "/2 files"] {
        assert!(text.contains(word), "{word} is not shown: {text}");
    }
}

/// Rotation packs a log that was cleaned before, as `delaycompress` does: it is the same log, also where the server still wrote a line.
#[test]
fn a_log_that_is_packed_later_is_the_same_log() {
    let place = Place::new();
    let (front, whole) = (combined(40), combined(45));
    assert!(whole.starts_with(&front));
    for (name, later, status) in [("a.log-20260101", &front, "skipped"), ("b.log-20260101", &whole, "done")] {
        let raw = place.raw(name, &front);
        place.all(&[]).expect_code(0);
        fs::remove_file(raw).unwrap();
        place.raw(&format!("{name}.gz"), &gzip(later));
        let again = place.all(&[]).expect_code(0).json();
        let row = again["files"].as_array().unwrap().iter().find(|file| file["path"].as_str().unwrap().ends_with(&format!("{name}.gz"))).unwrap().clone();
        assert_eq!(row["status"], status, "{again}");
        assert!(decoded(&place.clean(&format!("{name}.zst"))) == pipe(&["--format", "combined"], later).stdout, "{name}: every line once");
        let third = place.all(&[]).expect_code(0).json();
        assert!(third["files"].as_array().unwrap().iter().all(|file| file["status"] == "skipped"), "{third}");
    }
    // Another log of that name is none of it.
    fs::remove_file(place.dir.at("in/a.log-20260101.gz")).unwrap();
    place.raw("a.log-20260101.gz", &gzip(&combined(41)[200..]));
    place.all(&[]).expect_code(4);
    place.verified();
}
