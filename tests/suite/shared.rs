//! Logs of one class share what cleans them, and nothing of one gets into another.

use super::run::Site;
use super::support::{Dir, logfade};
use std::fs::OpenOptions;
use std::io::Write;

fn record(id: usize, time: Option<&str>) -> String {
    let time = time.map(|time| format!("\"time\":\"{time}\",")).unwrap_or_default();
    format!("{{{time}\"remote_addr\":\"198.51.100.{}\",\"request\":\"GET /item/r{id}r?token=secret{id} HTTP/1.1\",\"status\":200}}\n", id % 250 + 1)
}

/// A line without a time has that of the line before it in its own log. Were it another log's, it would begin a new segment.
#[test]
fn a_line_without_a_time_goes_by_its_own_log() {
    let mut site = Site::of(
        "[[class]]\nname = \"site\"\nraw = [\"ROOT/log/*.log\"]\nformat = \"json\"\n[[class.keep]]\nform = \"raw\"\nuntil = \"40 years\"\n\
         [[class.keep]]\nform = \"default\"\nuntil = \"50 years\"\noutput = \"ROOT/clean\"\nrotate = [\"1 day\"]\nflush = \"0 seconds\"\n",
    );
    std::fs::create_dir(site.dir.at("log")).unwrap();
    let logs = [("early", "2025-01-01T10:00:00Z"), ("late", "2025-06-01T10:00:00Z"), ("between", "2025-03-01T10:00:00Z")];
    let append = |site: &Site, name: &str, text: &str| {
        let mut log = OpenOptions::new().create(true).append(true).open(site.dir.at(&format!("log/{name}.log"))).unwrap();
        log.write_all(text.as_bytes()).unwrap();
    };
    for (id, (name, time)) in logs.iter().enumerate() {
        append(&site, name, &record(id, Some(time)));
    }
    site.start();
    site.until_records(logs.len());
    let mut written = logs.len();
    for turn in 0..4 {
        for (name, time) in logs {
            // Twice, as a time that is said again may not hide what came in between.
            let texts = if turn == 2 { vec![Some(time), None] } else { vec![None] };
            for text in texts {
                append(&site, name, &record(written, text));
                written += 1;
                site.until_records(written);
            }
        }
    }
    site.end();
    assert!(site.records("clean").into_values().eq(std::iter::repeat_n(1, written)));
    let segments = std::fs::read_dir(site.dir.at("clean")).unwrap().count();
    assert_eq!(segments, logs.len(), "a segment for each log: {}", site.said());
}

#[test]
fn a_file_without_times_goes_by_no_other_file() {
    let dir = Dir::new();
    let files = [("a.log", record(1, Some("2025-01-01T10:00:00Z"))), ("b.log", record(2, None)), ("c.log", record(3, Some("2025-03-01T10:00:00Z")))];
    let files = files.map(|(name, text)| dir.file(name, text.as_bytes()));
    let (state, out, results) = (dir.arg("state"), dir.arg("out"), dir.arg("results"));
    let mut words = vec!["--state", &state, "batch", "--format", "json", "--threads", "1", "--jobs", "1", "--out", &out, "--results", &results];
    words.extend(files.iter().map(String::as_str));
    assert_eq!(logfade(&words).run(b"").code(), Some(0));
    let rows = String::from_utf8(dir.read("results")).unwrap();
    let oldest: Vec<serde_json::Value> = rows.lines().map(|row| serde_json::from_str::<serde_json::Value>(row).unwrap()["oldest"].clone()).collect();
    assert_eq!(oldest, ["2025-01-01T10:00:00Z".into(), serde_json::Value::Null, "2025-03-01T10:00:00Z".into()]);
}
