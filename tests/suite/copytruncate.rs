//! Logs that are copied and cut, and what comes back under another name while nobody looked: nothing stands twice, nothing of a
//! copy is lost, and what the cut itself loses stays within what is said of it.

use super::run::{Site, in_batches, line, open, rotate};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

impl Site {
    /// Writes records from one number to another.
    fn write(&self, file: &mut File, ids: std::ops::Range<usize>) {
        file.write_all(ids.map(line).collect::<String>().as_bytes()).unwrap();
    }

    /// The sum of what was said to be lost at most.
    fn bound(&self) -> u64 {
        let said = self.said();
        said.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).filter_map(|event| event["lost_at_most_bytes"].as_u64()).sum()
    }

    /// Nothing stands twice; what is missing of `count` records is within the bound. Returns the bytes that are lost.
    fn expect_bounded(&self, count: usize) -> u64 {
        let found = self.records("clean");
        let doubled: Vec<_> = found.iter().filter(|(_, times)| **times > 1).take(10).collect();
        assert!(doubled.is_empty(), "twice: {doubled:?}\n{}", self.said());
        let lost: u64 = (0..count).filter(|id| !found.contains_key(id)).map(|id| line(id).len() as u64).sum();
        assert!(self.bound() >= lost, "at most {} bytes, but {lost} are lost\n{}", self.bound(), self.said());
        lost
    }

    fn rotated(&self, number: usize) -> std::path::PathBuf {
        self.dir.at(&format!("log/access.log.{number}"))
    }
}

#[test]
fn copytruncate_is_seen_and_its_loss_is_bounded() {
    in_batches("LOGFADE_CYCLES", (25, 100), copy_and_cut);
}

fn copy_and_cut(cycles: usize) {
    let mut site = Site::new("");
    site.start();
    let log = site.log();
    let mut file = open(&log);
    let mut id = 0;
    for cycle in 0..cycles {
        for _ in 0..50 {
            file.write_all(line(id).as_bytes()).unwrap();
            id += 1;
        }
        if cycle % 2 == 0 {
            site.until("read", |site| site.records("clean").contains_key(&(id - 1)));
        }
        fs::copy(&log, site.rotated(cycle + 1)).unwrap();
        // These are in no copy: whether they are lost depends on who is faster.
        for _ in 0..5 {
            file.write_all(line(id).as_bytes()).unwrap();
            id += 1;
        }
        file.set_len(0).unwrap();
        site.until("the truncation is seen", |site| site.told("truncated") > cycle);
    }
    site.until("the last are read", |site| site.told("finished") >= cycles);
    site.end();
    let lost = site.expect_bounded(id);
    let found = site.records("clean");
    let copied = (0..id).filter(|id| id % 55 < 50 && !found.contains_key(id)).count();
    assert_eq!(copied, 0, "what stands in a copy is not lost\n{}", site.said());
    assert_eq!(site.told("truncated"), cycles);
    site.expect_no_identifier();
    println!("{cycles} cycles, {id} lines, {lost} bytes lost, at most {} said", site.bound());
}

/// The copy takes its time, stands still in the middle, and is opened and closed more than once.
#[test]
fn a_copy_that_takes_long_is_not_another_log() {
    for (turn, late) in [false, true].into_iter().enumerate() {
        let mut site = Site::new("");
        site.start();
        let mut file = open(&site.log());
        site.write(&mut file, 0..100);
        if turn == 0 {
            site.until_records(100);
        }
        let bytes = fs::read(site.log()).unwrap();
        for part in bytes.chunks(4000) {
            open(&site.rotated(1)).write_all(part).unwrap();
            sleep(Duration::from_millis(120));
        }
        if late {
            fs::rename(site.rotated(1), site.dir.at("aside")).unwrap();
        }
        file.set_len(0).unwrap();
        site.write(&mut file, 100..150);
        site.until("the truncation is seen", |site| site.told("truncated") == 1);
        if late {
            // Longer than a missing log is looked for.
            sleep(Duration::from_secs(13));
            fs::rename(site.dir.at("aside"), site.rotated(1)).unwrap();
        }
        site.until_records(150);
        site.until("the copy is finished", |site| site.told("finished") == 1);
        site.end();
        site.expect_each_once("clean", 150);
    }
}

/// Killed, and then its log is copied and cut, compressed, or cut to nothing.
#[test]
fn what_happens_while_nobody_runs_is_found_out_afterwards() {
    let gzip = |from: &Path, to: &Path| {
        let mut encoder = flate2::write::GzEncoder::new(File::create(to).unwrap(), flate2::Compression::default());
        encoder.write_all(&fs::read(from).unwrap()).unwrap();
        encoder.finish().unwrap();
        fs::remove_file(from).unwrap();
    };
    for manner in ["copytruncate", "copytruncate, compressed", "compressed", "cut before it was read"] {
        let mut site = Site::new("");
        site.start();
        let mut file = open(&site.log());
        let begun = if manner.starts_with("cut") { 0 } else { 100 };
        site.write(&mut file, 0..begun);
        site.until_records(begun);
        let size = format!("\"position\":{}", site.log().metadata().unwrap().len());
        site.until("the log is committed", |site| {
            let checkpoint = fs::read_to_string(site.dir.at("state/run-site.json")).unwrap_or_default();
            if begun == 0 { checkpoint.contains("access.log") } else { checkpoint.contains(&size) }
        });
        site.kill();
        let gz = site.dir.at("log/access.log.1.gz");
        match manner {
            "cut before it was read" => {
                site.write(&mut file, 500..505);
                file.set_len(0).unwrap();
            }
            "compressed" => {
                site.write(&mut file, 100..120);
                rotate(&site.log());
                gzip(&site.rotated(1), &gz);
                file = open(&site.log());
            }
            _ => {
                site.write(&mut file, 100..120);
                fs::copy(site.log(), site.rotated(1)).unwrap();
                file.set_len(0).unwrap();
                if manner.ends_with("compressed") {
                    gzip(&site.rotated(1), &gz);
                }
            }
        }
        let end = if begun == 0 { 30 } else { 150 };
        let start = if begun == 0 { 0 } else { 120 };
        site.write(&mut file, start..end);
        site.start();
        site.until_records(end);
        if begun > 0 {
            site.until("the old one is finished", |site| site.told("finished") == 1);
        }
        // More looks: whatever would be read again is read again.
        site.write(&mut file, end..end + 10);
        fs::write(site.dir.at("log/access.log.9"), line(end + 10)).unwrap();
        site.until_records(end + 11);
        sleep(Duration::from_millis(600));
        site.end();
        site.expect_each_once("clean", end + 11);
        let unknown = site.said().matches("how many is not known").count();
        assert_eq!(unknown, usize::from(manner.starts_with("copytruncate")), "{manner}\n{}", site.said());
    }
}

/// Debian's own, if this machine has it, while a server writes as fast as it can.
#[test]
fn logrotate_copies_and_cuts_under_load() {
    if !Path::new("/usr/sbin/logrotate").exists() {
        println!("skipped: no logrotate");
        return;
    }
    let cycles = std::env::var("LOGFADE_LOGROTATES").ok().and_then(|count| count.parse().ok()).unwrap_or(8);
    for manner in ["copytruncate", "copytruncate\ncompress"] {
        let mut site = Site::new("");
        site.start();
        let log = site.log();
        let rules = site.dir.file("rotate.conf", format!("{} {{\nrotate 1000\n{manner}\n}}\n", log.display()).as_bytes());
        let status = site.dir.arg("rotate.state");
        let mut file = open(&log);
        let over = AtomicBool::new(false);
        let count = scope(|scope| {
            let writer = scope.spawn(|| {
                let mut id = 0;
                while !over.load(Ordering::Relaxed) {
                    site.write(&mut file, id..id + 20);
                    id += 20;
                    sleep(Duration::from_millis(4));
                }
                id
            });
            // What is cut before it was ever seen is cut unseen.
            site.until("it is read", |site| !site.content("clean").is_empty());
            for cycle in 0..cycles {
                sleep(Duration::from_millis(150));
                let done = Command::new("/usr/sbin/logrotate").args(["-f", "-s", &status, &rules]).status().unwrap();
                assert!(done.success());
                site.until("the truncation is seen", |site| site.told("truncated") > cycle);
            }
            over.store(true, Ordering::Relaxed);
            writer.join().unwrap()
        });
        site.until("the copies are finished", |site| site.told("finished") >= cycles);
        site.until("the last is read", |site| site.records("clean").contains_key(&(count - 1)));
        site.end();
        let lost = site.expect_bounded(count);
        assert_eq!(site.told("truncated"), cycles);
        site.expect_no_identifier();
        println!("{}: {cycles} cycles, {count} lines, {lost} bytes lost, at most {} said", manner.replace('\n', ", "), site.bound());
    }
}
