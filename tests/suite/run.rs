//! The sidecar: rotation in every manner, kills at any time, signals, and what expiry makes of its files. Nothing here depends on
//! speed: a condition is waited for, up to three minutes.

use crate::suite::support::{Dir, decoded, holds, logfade, signal, wait_at_most};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a condition is waited for.
const PATIENCE: Duration = Duration::from_secs(180);

/// A directory with a configuration, raw logs and whatever the sidecar makes of them.
pub struct Site {
    pub dir: Dir,
    child: Option<Child>,
}

/// A record with a number that stays, and with what may not.
pub fn line(id: usize) -> String {
    let (minute, second) = (id / 60 % 60, id % 60);
    format!("198.51.100.{} - zebra{id} [10/Oct/2025:13:{minute:02}:{second:02} +0000] \"GET /item/r{id}r?token=secret{id} HTTP/1.1\" 200 512 \"-\" \"curl/8.0\"\n", id % 250 + 1)
}

impl Site {
    /// With one class over `log/access.log*`, and more lines in its form.
    pub fn new(more: &str) -> Self {
        let dir = Dir::new();
        fs::create_dir(dir.at("log")).unwrap();
        let site = Self { dir, child: None };
        site.configure(more);
        site
    }

    /// With a configuration of one's own; `ROOT` in it is the directory.
    pub fn of(configuration: &str) -> Self {
        let site = Self { dir: Dir::new(), child: None };
        site.rewrite(configuration);
        site
    }

    pub fn rewrite(&self, configuration: &str) {
        self.dir.file("logfade.toml", configuration.replace("ROOT", self.dir.path().to_str().unwrap()).as_bytes());
    }

    pub fn configure(&self, more: &str) {
        let root = self.dir.path().display();
        self.dir.file(
            "logfade.toml",
            format!(
                "[[class]]\nname = \"site\"\nraw = [\"{root}/log/access.log*\"]\nformat = \"combined\"\n[[class.keep]]\nform = \"raw\"\nuntil = \"40 years\"\n\
                 [[class.keep]]\nform = \"default\"\nuntil = \"50 years\"\noutput = \"{root}/clean\"\n{more}"
            )
            .as_bytes(),
        );
    }

    /// Starts the sidecar; its log lines are appended to `err`.
    pub fn start(&mut self) {
        let (config, state) = (self.dir.arg("logfade.toml"), self.dir.arg("state"));
        let err = OpenOptions::new().create(true).append(true).open(self.dir.at("err")).unwrap();
        let mut command = logfade(&["-c", &config, "--state", &state, "--json", "-v", "run"]).command();
        self.child = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(err).spawn().unwrap());
    }

    pub fn signal(&self, name: &str) {
        signal(self.child.as_ref().unwrap(), name);
    }

    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Drains it.
    pub fn end(&mut self) {
        self.signal("TERM");
        let mut child = self.child.take().unwrap();
        let status = wait_at_most(&mut child, PATIENCE).expect("it ends");
        assert_eq!(status.code(), Some(0), "{}", self.said());
    }

    pub fn log(&self) -> PathBuf {
        self.dir.at("log/access.log")
    }

    pub fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.dir.at("err")).unwrap_or_default()).into_owned()
    }

    /// How often something was said.
    pub fn told(&self, event: &str) -> usize {
        self.said().matches(&format!("\"event\":\"{event}\"")).count()
    }

    /// Everything that stands in the files of a directory.
    pub fn content(&self, directory: &str) -> Vec<u8> {
        let Ok(entries) = fs::read_dir(self.dir.at(directory)) else { return Vec::new() };
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
        paths.sort();
        // A segment may be finished between the listing and the reading; of one that grows, the last line may not be whole yet.
        let read = |path: &PathBuf| fs::read(path).ok().map(|bytes| (path.extension().is_some_and(|end| end == "part"), bytes));
        let whole = |(grows, mut bytes): (bool, Vec<u8>)| {
            if grows {
                bytes.truncate(memchr::memrchr(b'\n', &bytes).map_or(0, |at| at + 1));
            }
            decoded(&bytes)
        };
        paths.iter().filter_map(read).flat_map(whole).collect()
    }

    /// How often each record stands in the clean files.
    pub fn records(&self, directory: &str) -> BTreeMap<usize, usize> {
        let content = self.content(directory);
        let mut found = BTreeMap::new();
        for line in String::from_utf8_lossy(&content).lines() {
            let id = line.split("/item/r").nth(1).and_then(|rest| rest.split('r').next()).and_then(|id| id.parse().ok());
            *found.entry(id.unwrap_or_else(|| panic!("no record: {line}"))).or_default() += 1;
        }
        found
    }

    /// Waits until something is so.
    pub fn until(&self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let (begun, mut looked) = (Instant::now(), Instant::now());
        while !is_so(self) {
            assert!(begun.elapsed() < PATIENCE, "{what}\n{}", self.said());
            // A look that takes long is taken less often.
            sleep(Duration::from_millis(20).max(looked.elapsed()));
            looked = Instant::now();
        }
    }

    /// Waits until as many records are there.
    pub fn until_records(&self, count: usize) {
        self.until(&format!("{count} records"), |site| site.records("clean").len() >= count);
    }

    /// Waits until as many lines are in a directory.
    pub fn until_lines(&self, directory: &str, count: usize) {
        self.until(&format!("{count} lines"), |site| site.content(directory).iter().filter(|byte| **byte == b'\n').count() >= count);
    }

    /// Every record from 0 on, each once.
    pub fn expect_each_once(&self, directory: &str, count: usize) {
        let found = self.records(directory);
        let odd: Vec<_> = (0..count).filter(|id| found.get(id) != Some(&1)).map(|id| (id, found.get(&id).copied().unwrap_or(0))).take(20).collect();
        assert!(odd.is_empty() && found.len() == count, "{} of {count} records; not once: {odd:?}\n{}", found.len(), self.said());
    }

    /// No identifier of the raw lines anywhere else.
    pub fn expect_no_identifier(&self) {
        let mut open = vec![self.dir.at("state"), self.dir.at("clean"), self.dir.at("err")];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else {
                let bytes = decoded(&fs::read(&path).unwrap());
                for word in ["zebra", "secret"] {
                    assert!(!holds(&bytes, word.as_bytes()), "{word} stands in {}", path.display());
                }
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let whole = text.split("198.51.100.").skip(1).any(|rest| !rest.starts_with("0 "));
                assert!(!whole, "an address stands in {}", path.display());
            }
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Runs `each` as often as an environment variable asks for, a bounded number of times in one site; else `short` times.
pub fn in_batches(variable: &str, (short, most): (usize, usize), each: impl Fn(usize)) {
    let mut left = std::env::var(variable).ok().and_then(|count| count.parse().ok()).unwrap_or(short);
    while left > 0 {
        let now = left.min(most);
        each(now);
        left -= now;
    }
}

/// Opens the log as a server does.
pub fn open(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}

/// Renames `access.log.1` to `.2` and so on, and `access.log` to `.1`.
pub fn rotate(log: &Path) {
    let at = |number: usize| PathBuf::from(format!("{}.{number}", log.display()));
    let last = (1..).find(|number| !at(*number).exists()).unwrap();
    (1..last).rev().for_each(|number| fs::rename(at(number), at(number + 1)).unwrap());
    fs::rename(log, at(1)).unwrap();
}

/// A server that writes on into the old file for a while, as nginx does before it opens its log again.
#[test]
fn rotation_by_rename_loses_nothing_and_doubles_nothing() {
    // More lines at once in a long run.
    in_batches("LOGFADE_ROTATIONS", (120, 1000), |rotations| rotate_by_rename(rotations, if rotations > 120 { 150 } else { 20 }));
}

fn rotate_by_rename(rotations: usize, lines: usize) {
    let begun = Instant::now();
    let mut site = Site::new("");
    site.start();
    let log = site.log();
    let (mut id, mut late) = (0, None::<File>);
    for turn in 0..rotations {
        let mut file = open(&log);
        for number in 0..lines {
            file.write_all(line(id).as_bytes()).unwrap();
            id += 1;
            if number % 3 == 0
                && let Some(old) = &mut late
            {
                old.write_all(line(id).as_bytes()).unwrap();
                id += 1;
            }
        }
        // Some lines come in two pieces.
        let cut = line(id);
        file.write_all(&cut.as_bytes()[..40]).unwrap();
        sleep(Duration::from_millis(if turn % 10 == 0 { 15 } else { 2 }));
        file.write_all(&cut.as_bytes()[40..]).unwrap();
        id += 1;
        rotate(&log);
        late = Some(file);
        if turn % 5 == 4 {
            // What is finished goes, as logrotate would have it: only what stands in the ledger.
            site.until("finished", |site| site.told("finished") + 3 >= turn);
            (10..).map(|number| site.dir.at(&format!("log/access.log.{number}"))).take_while(|path| path.exists()).for_each(|path| fs::remove_file(path).unwrap());
        }
    }
    drop(late);
    site.until_records(id);
    site.until("all are finished", |site| site.told("finished") >= rotations);
    site.end();
    println!("{rotations} rotations, {id} lines, {:.0} a second", id as f64 / begun.elapsed().as_secs_f64());
    site.expect_each_once("clean", id);
    site.expect_no_identifier();
    assert!(fs::read_dir(site.dir.at("clean")).unwrap().all(|entry| !entry.unwrap().path().to_string_lossy().ends_with(".part")), "nothing grows any more");
}

/// Lines that come while a big log is being finished are in the clean directory before it is.
#[test]
fn a_log_that_is_being_finished_holds_up_no_other() {
    let mut site = Site::new("");
    site.start();
    let log = site.log();
    let big: String = (0..300_000).map(line).collect();
    open(&log).write_all(big.as_bytes()).unwrap();
    site.until("it is read", |site| site.content("clean").iter().filter(|byte| **byte == b'\n').count() == 300_000);
    rotate(&log);
    let mut file = open(&log);
    site.until("its segment is finished, and it is held against it", |site| site.told("segment") == 1);
    // What compresses it meanwhile is no other log.
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(big.as_bytes()).unwrap();
    fs::write(site.dir.at("aside"), gzip.finish().unwrap()).unwrap();
    fs::rename(site.dir.at("aside"), site.dir.at("log/access.log.1.gz")).unwrap();
    let (mut id, mut beside) = (300_000, 0);
    while site.told("finished") == 0 {
        file.write_all(line(id).as_bytes()).unwrap();
        let read = format!("/item/r{id}r ");
        let is_there = |site: &Site| {
            let mut paths = fs::read_dir(site.dir.at("clean")).unwrap().map(|entry| entry.unwrap().path());
            paths.any(|path| {
                path.extension().is_some_and(|end| end == "part") && path.metadata().is_ok_and(|meta| meta.len() < 1 << 20) && holds(&fs::read(path).unwrap(), read.as_bytes())
            })
        };
        site.until("it is read", |site| is_there(site));
        beside += usize::from(site.told("finished") == 0);
        id += 1;
    }
    site.end();
    println!("{beside} lines were read meanwhile");
    assert!(beside > 0, "{}", site.said());
    site.expect_each_once("clean", id);
}

/// Whatever comes while a log is being finished, it is finished in the end, and once.
#[test]
fn a_log_that_is_being_finished_outlives_signals() {
    for signal in ["HUP", "TERM", "KILL"] {
        let mut site = Site::new("");
        site.start();
        let log = site.log();
        open(&log).write_all((0..60_000).map(line).collect::<String>().as_bytes()).unwrap();
        site.until_lines("clean", 60_000);
        rotate(&log);
        site.until("its segment is finished", |site| site.told("segment") == 1);
        // A late line.
        open(&site.dir.at("log/access.log.1")).write_all(line(60_000).as_bytes()).unwrap();
        match signal {
            "HUP" => {
                site.signal(signal);
                site.until("it is read again", |site| site.told("reloaded") == 1);
            }
            "TERM" => site.end(),
            _ => site.kill(),
        }
        if site.child.is_none() {
            site.start();
        }
        site.until("all of it is finished", |site| fs::read_to_string(site.dir.at("state/ledger.jsonl")).is_ok_and(|ledger| ledger.contains("\"read\":60001,")));
        site.end();
        site.expect_each_once("clean", 60_001);
        let ledger = String::from_utf8(site.dir.read("state/ledger.jsonl")).unwrap();
        let entries = ledger.lines().filter(|line| line.contains("\"kind\":\"scrubbed\""));
        assert!(entries.clone().filter(|line| line.contains("\"read\":60001,")).count() == 1 && entries.count() <= 2, "{signal}: {ledger}");
    }
}

/// Killed behind the entry in the ledger and before the checkpoint knows of it.
#[test]
fn what_a_killed_run_has_entered_is_not_entered_again() {
    let mut site = Site::new("");
    site.start();
    let log = site.log();
    fs::write(&log, (0..100).map(line).collect::<String>()).unwrap();
    let size = format!("\"position\":{}", log.metadata().unwrap().len());
    site.until("it is committed", |site| fs::read_to_string(site.dir.at("state/run-site.json")).is_ok_and(|checkpoint| checkpoint.contains(&size)));
    site.kill();
    let part = fs::read_dir(site.dir.at("clean")).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.extension().is_some_and(|end| end == "part")).unwrap();
    let before = [site.dir.at("state/run-site.json"), part].map(|path| (fs::read(&path).unwrap(), path));
    rotate(&log);
    for times in 1..3 {
        before.iter().for_each(|(bytes, path)| fs::write(path, bytes).unwrap());
        site.start();
        site.until("it is finished", |site| site.told("finished") == times);
        site.end();
        site.expect_each_once("clean", 100);
        let ledger = String::from_utf8(site.dir.read("state/ledger.jsonl")).unwrap();
        assert_eq!(ledger.matches("\"kind\":\"scrubbed\"").count(), 1, "{ledger}");
    }
}

#[test]
fn an_inode_that_comes_back_is_another_log() {
    in_batches("LOGFADE_REUSES", (40, 200), exchange);
}

fn exchange(times: usize) {
    let mut site = Site::new("");
    let log = site.log();
    let mut id = 1;
    for turn in 0..times {
        // Running or not when the file is exchanged; with one first line, and sometimes with nothing else.
        if turn % 8 == 0 {
            site.start();
        }
        let mut file = File::create_new(&log).unwrap();
        file.write_all(line(0).as_bytes()).unwrap();
        for _ in 0..turn % 3 {
            file.write_all(line(id).as_bytes()).unwrap();
            id += 1;
        }
        drop(file);
        // In a segment of its own: what is being finished may stand in two files for a moment.
        let lines: String = std::iter::once(0).chain(id - turn % 3..id).map(line).collect();
        let expected = logfade(&["pipe", "--format", "combined"]).run(lines.as_bytes()).stdout;
        let is_read = |site: &Site| {
            let mut paths = fs::read_dir(site.dir.at("clean")).into_iter().flatten().map(|entry| entry.unwrap().path());
            paths.any(|path| path.extension().is_some_and(|end| end == "part") && fs::read(path).is_ok_and(|bytes| bytes == expected))
        };
        site.until("read", |site| site.told("found") > turn && is_read(site));
        if turn % 8 == 7 {
            site.end();
        }
        fs::remove_file(&log).unwrap();
    }
    if site.child.is_some() {
        site.end();
    }
    let found = site.records("clean");
    assert!(found.get(&0) == Some(&times) && (1..id).all(|id| found.get(&id) == Some(&1)), "{}", site.said());
    println!("{times} exchanged files, {id} lines");
}

/// Kills it at any time while a server writes and rotates: what it has written in the end is what it would have written anyway.
#[test]
fn killed_anywhere_it_writes_every_line_once() {
    let seed = std::cell::Cell::new(0x9e37_79b9_7f4a_7c15_u64);
    in_batches("LOGFADE_KILLS", (30, 50), |kills| seed.set(kill_anywhere(kills, seed.get())));
}

/// Returns a seed for the next.
fn kill_anywhere(kills: usize, seed: u64) -> u64 {
    let mut site = Site::new("rotate = [\"8 KiB\"]\nflush = \"0 seconds\"\n");
    let log = site.log();
    let mut seed = seed;
    let mut random = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let (mut id, mut file, mut raw) = (0, open(&log), String::new());
    for _ in 0..kills {
        site.start();
        let life = Duration::from_millis(20 + random(250));
        let begun = Instant::now();
        while begun.elapsed() < life {
            for _ in 0..=random(40) {
                file.write_all(line(id).as_bytes()).unwrap();
                raw.push_str(&line(id));
                id += 1;
            }
            if random(12) == 0 {
                drop(file);
                rotate(&log);
                file = open(&log);
            }
            sleep(Duration::from_millis(random(6)));
        }
        site.kill();
    }
    drop(file);
    site.start();
    site.until_records(id);
    site.end();
    site.expect_each_once("clean", id);
    let content = site.content("clean");
    let mut found: Vec<&[u8]> = content.split_inclusive(|byte| *byte == b'\n').collect();
    let expected = logfade(&["pipe", "--format", "combined"]).run(raw.as_bytes()).stdout;
    let mut expected: Vec<&[u8]> = expected.split_inclusive(|byte| *byte == b'\n').collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found.len(), expected.len());
    assert!(found == expected, "the same lines as without a kill");
    site.expect_no_identifier();
    println!("{kills} kills, {id} lines");
    random(u64::MAX)
}

/// Debian's own, if this machine has it.
#[test]
fn logrotate_rotates_in_every_manner() {
    if !Path::new("/usr/sbin/logrotate").exists() {
        println!("skipped: no logrotate");
        return;
    }
    for manner in
        ["create 0640", "create 0640\ncompress", "create 0640\ncompress\ndelaycompress", "create 0640\ndateext\ndateformat -%Y%m%d-%s", "copytruncate", "copytruncate\ncompress"]
    {
        let mut site = Site::new("");
        site.start();
        let log = site.log();
        let rules = site.dir.file("rotate.conf", format!("{} {{\nrotate 50\n{manner}\n}}\n", log.display()).as_bytes());
        let status = site.dir.arg("rotate.state");
        let mut id = 0;
        let mut turns = 0;
        for round in 0..6 {
            let mut file = open(&log);
            for _ in 0..30 {
                file.write_all(line(id).as_bytes()).unwrap();
                id += 1;
            }
            drop(file);
            // With copytruncate, what is not read before may be lost, and nothing else may.
            if manner.starts_with("copytruncate") || round % 2 == 0 {
                site.until_records(id);
            }
            let done = Command::new("/usr/sbin/logrotate").args(["-f", "-s", &status, &rules]).status().unwrap();
            assert!(done.success(), "{manner}");
            turns += 1;
            // dateext names files by the second.
            sleep(Duration::from_millis(if manner.contains("dateext") { 1100 } else { 50 }));
        }
        site.until_records(id);
        site.until("all are finished", |site| site.told("finished") >= turns);
        site.end();
        site.expect_each_once("clean", id);
        site.expect_no_identifier();
    }
}

#[test]
fn a_broken_configuration_is_not_taken() {
    let mut site = Site::new("");
    site.start();
    fs::write(site.log(), line(0)).unwrap();
    site.until_records(1);
    site.configure("rotate = [\"1 parsec\"]\n");
    site.signal("HUP");
    site.until("it is told", |site| site.told("configuration") == 1);
    assert!(site.said().contains("1 parsec") && site.said().contains("stays in force"), "{}", site.said());
    open(&site.log()).write_all(line(1).as_bytes()).unwrap();
    site.until_records(2);
    let root = site.dir.path().display().to_string();
    let with = |output: &str| format!("[[class.keep]]\nform = \"strict\"\nuntil = \"50 years\"\noutput = \"{root}/{output}\"\n");
    if site.told("confined") > 0 {
        // It has closed itself off from what it did not need.
        site.configure(&with("strict"));
        site.signal("HUP");
        site.until("it is told", |site| site.told("configuration") == 2);
        assert!(site.said().contains("closed itself off") && site.said().contains("restart logfade"), "{}", site.said());
        site.end();
        site.configure("");
        site.start();
        site.until("it runs again", |site| site.told("started") == 2);
    } else {
        println!("skipped: this kernel has no Landlock");
    }
    site.configure(&with("clean/strict"));
    site.signal("HUP");
    site.until("it is read again", |site| site.told("reloaded") == 1);
    site.until("the new form has everything", |site| site.content("clean/strict").split(|byte| *byte == b'\n').count() == 3);
    site.end();
    site.expect_each_once("clean", 2);
}

#[test]
fn expiry_takes_its_outputs_as_proof() {
    let mut site = Site::new("");
    let log = site.log();
    fs::write(&log, (0..100).map(line).collect::<String>()).unwrap();
    site.start();
    site.until_records(100);
    let (config, state) = (site.dir.arg("logfade.toml"), site.dir.arg("state"));
    logfade(&["-c", &config, "--state", &state, "expire"]).run(b"").expect_code(4);
    rotate(&log);
    site.until("finished", |site| site.told("finished") == 1);
    site.end();
    let root = site.dir.path().display().to_string();
    let text = String::from_utf8(site.dir.read("logfade.toml")).unwrap().replace("until = \"40 years\"", "until = \"1 day\"");
    site.dir.file("logfade.toml", text.as_bytes());
    let before = fs::read_dir(site.dir.at("clean")).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_file()).count();
    logfade(&["-c", &config, "--state", &state, "expire", "--yes"]).run(b"").expect_code(0);
    assert!(!Path::new(&format!("{root}/log/access.log.1")).exists(), "raw went on the proof of the sidecar's files");
    let after = fs::read_dir(site.dir.at("clean")).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_file()).count();
    assert_eq!((before, after), (1, 1), "nothing was made twice");
    site.expect_each_once("clean", 100);
    logfade(&["--state", &state, "ledger", "verify"]).run(b"").expect_code(0);
}
