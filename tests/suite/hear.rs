//! The sidecar listens: whatever is handed over is written once into every form, kills and reloads included, and what is sealed is
//! never on the disk in clear. Nothing here depends on speed.

use super::ops::receiver;
use super::run::{Site, line};
use super::support::{holds, lines, logfade};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

/// A record in its envelope.
pub fn message(id: usize) -> String {
    format!("<190>Oct 10 13:55:36 web nginx: {}", line(id))
}

/// A class that listens at these places in its directory; `raw` and `clean` are more lines of its two forms.
pub fn configuration(listens: &[&str], raw: &str, clean: &str) -> String {
    let listens: Vec<String> = listens.iter().map(|listen| format!("\"{listen}\"")).collect();
    format!(
        "[[class]]\nname = \"site\"\nlisten = [{}]\nformat = \"combined\"\n[[class.keep]]\nform = \"raw\"\nuntil = \"40 years\"\noutput = \"ROOT/raw\"\n{raw}\
         [[class.keep]]\nform = \"default\"\nuntil = \"50 years\"\noutput = \"ROOT/clean\"\n{clean}",
        listens.join(", ")
    )
}

fn call(site: &Site, more: &[&str]) -> super::support::Outcome {
    let (config, state) = (site.dir.arg("logfade.toml"), site.dir.arg("state"));
    logfade(&[&["-c", &config, "--state", &state], more].concat()).run(b"")
}

/// Files of a directory, without what the store keeps beside them.
fn files(site: &Site, directory: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(site.dir.at(directory)) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    paths.sort();
    paths
}

/// How often each record stands in the finished sealed files and open segments of a directory.
fn opened(site: &Site, directory: &str) -> BTreeMap<usize, usize> {
    let mut found = BTreeMap::new();
    for path in files(site, directory) {
        let outcome = call(site, &["open", path.to_str().unwrap()]);
        let grows = path.extension().is_some_and(|end| end == "part");
        assert!(grows || outcome.code() == Some(0), "{}: {}", path.display(), outcome.stderr_text());
        for line in outcome.stdout_text().lines() {
            let id = line.split("/item/r").nth(1).and_then(|rest| rest.split('r').next()).and_then(|id| id.parse().ok());
            *found.entry(id.unwrap_or_else(|| panic!("no record: {line}"))).or_default() += 1;
        }
    }
    found
}

fn once_each(found: &BTreeMap<usize, usize>, ids: impl IntoIterator<Item = usize>, what: &str) {
    let odd: Vec<_> = ids.into_iter().filter(|id| found.get(id) != Some(&1)).map(|id| (id, found.get(&id))).take(10).collect();
    assert!(odd.is_empty(), "{what}: not once: {odd:?}");
}

fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn fifo(site: &Site, name: &str) -> fs::File {
    site.until("the named pipe", |site| fs::symlink_metadata(site.dir.at(name)).is_ok_and(|meta| meta.file_type().is_fifo()));
    OpenOptions::new().write(true).open(site.dir.at(name)).unwrap()
}

fn socket(site: &Site, name: &str) -> PathBuf {
    site.until("the socket", |site| fs::symlink_metadata(site.dir.at(name)).is_ok_and(|meta| meta.file_type().is_socket()));
    site.dir.at(name)
}

#[test]
fn every_listener_feeds_every_form() {
    let (tcp, udp) = (port(), port());
    let listens = [
        "syslog+unix://ROOT/datagram.sock?mode=0620",
        "syslog+unix-stream://ROOT/stream.sock",
        &format!("syslog+tcp://127.0.0.1:{tcp}"),
        &format!("syslog+udp://127.0.0.1:{udp}"),
        "fifo://ROOT/pipe.fifo?mode=0600",
    ];
    let strict = "[[class.keep]]\nform = \"default\"\nname = \"fives\"\nuntil = \"50 years\"\noutput = \"ROOT/strict\"\nwhere = { path = \"/item/*5r\" }\nmode = \"0644\"\n";
    let mut site = Site::of(&configuration(&listens, "rotate = [\"20 KiB\"]\n", &format!("rotate = [\"8 KiB\"]\n{strict}")));
    site.start();
    let mut pipe = fifo(&site, "pipe.fifo");
    let mut stream = UnixStream::connect(socket(&site, "stream.sock")).unwrap();
    let datagram = UnixDatagram::unbound().unwrap();
    socket(&site, "datagram.sock");
    let mut connection = None;
    site.until("tcp", |_| TcpStream::connect(("127.0.0.1", tcp)).map(|open| connection = Some(open)).is_ok());
    let (mut connection, packets) = (connection.unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let modes: Vec<u32> = ["datagram.sock", "stream.sock", "pipe.fifo"].iter().map(|name| fs::symlink_metadata(site.dir.at(name)).unwrap().mode() & 0o777).collect();
    assert_eq!(modes, [0o620, 0o660, 0o600]);
    let count = 500;
    for id in 0..count {
        match id % 5 {
            0 => datagram.send_to(message(id).as_bytes(), site.dir.at("datagram.sock")).map(drop).unwrap(),
            1 => stream.write_all(message(id).as_bytes()).unwrap(),
            2 => write!(connection, "{} {}", message(id).trim_end().len(), message(id).trim_end()).unwrap(),
            3 => packets.send_to(message(id).as_bytes(), ("127.0.0.1", udp)).map(drop).unwrap(),
            _ => pipe.write_all(line(id).as_bytes()).unwrap(),
        }
        // Nothing else keeps datagrams of UDP from being dropped.
        if id % 50 == 49 {
            site.until_records(id + 1);
        }
    }
    site.until("segments are finished", |site| site.told("finished") >= 2);
    site.end();
    site.expect_each_once("clean", count);
    once_each(&site.records("raw"), 0..count, "raw");
    let fives: BTreeSet<usize> = (0..count).filter(|id| id % 10 == 5).collect();
    assert_eq!(site.records("strict").into_keys().collect::<BTreeSet<_>>(), fives);
    site.expect_no_identifier();
    let raw = String::from_utf8(site.content("raw")).unwrap();
    assert!(raw.lines().any(|found| found == message(1).trim_end()) && raw.lines().any(|found| found == line(4).trim_end()), "raw lines are what was handed over");
    for (directory, mode) in [("raw", 0o600), ("clean", 0o640), ("strict", 0o644)] {
        assert!(files(&site, directory).len() > 1 || directory == "strict");
        for path in files(&site, directory) {
            let name = path.file_name().unwrap().to_str().unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode, "{name}");
            assert!(name.starts_with("site.") && (name.ends_with(".part") || name.ends_with(".zst") && name.contains(".20251010T13") && name.contains("Z--20251010T13")), "{name}");
        }
    }
    assert!(!site.dir.at("datagram.sock").exists() && !site.dir.at("stream.sock").exists(), "sockets go with the sidecar");
    assert!(site.dir.at("pipe.fifo").exists(), "a server that opens its log would make a file in the place of a pipe");
    call(&site, &["ledger", "verify"]).expect_code(0);
}

/// Raw files are proven by the forms that were made beside them: they go when they are due, and nothing is made a second time.
#[test]
fn expiry_takes_what_was_heard_and_makes_nothing_twice() {
    for seal in ["", "seal = true\n"] {
        let mut site = Site::of(&configuration(&["fifo://ROOT/pipe.fifo"], &format!("rotate = [\"10 KiB\"]\n{seal}"), ""));
        site.start();
        let mut pipe = fifo(&site, "pipe.fifo");
        for id in 0..300 {
            pipe.write_all(line(id).as_bytes()).unwrap();
            if id % 100 == 99 {
                site.until_records(id + 1);
            }
        }
        site.until("finished", |site| site.told("finished") >= 2);
        site.end();
        let finished = files(&site, "raw").iter().filter(|path| path.extension().is_none_or(|end| end != "part")).count();
        assert!(finished >= 2);
        let keys =
            || fs::read_dir(site.dir.at("state/seals")).map_or(0, |keys| keys.filter(|key| key.as_ref().unwrap().path().extension().is_some_and(|end| end == "key")).count());
        let before = keys();
        let text = String::from_utf8(site.dir.read("logfade.toml")).unwrap().replace("until = \"40 years\"", "until = \"1 day\"");
        site.dir.file("logfade.toml", text.as_bytes());
        call(&site, &["expire", "--yes"]).expect_code(0);
        let left = files(&site, "raw");
        assert!(left.iter().all(|path| path.extension().is_some_and(|end| end == "part")), "only what still grows stays: {left:?}");
        assert!(seal.is_empty() || keys() + finished <= before, "each key went with its file: {} of {before} are left", keys());
        site.expect_each_once("clean", 300);
        // It goes on where it was.
        site.start();
        let mut pipe = fifo(&site, "pipe.fifo");
        pipe.write_all(line(300).as_bytes()).unwrap();
        site.until_records(301);
        site.end();
        site.expect_each_once("clean", 301);
        call(&site, &["ledger", "verify"]).expect_code(0);
    }
}

/// What the checkpoint says to be in the form's files: finished ones, and segments as long as they were.
fn committed(site: &Site) -> BTreeSet<usize> {
    let Ok(bytes) = fs::read(site.dir.at("state/run-site.json")) else { return BTreeSet::new() };
    let checkpoint: Value = serde_json::from_slice(&bytes).unwrap();
    let mut found = BTreeSet::new();
    for segment in checkpoint["stretches"].as_array().into_iter().flatten().filter_map(|stretch| stretch["lanes"]["default"]["segments"].as_array()).flatten() {
        let (part, length) = (segment["part"].as_str().unwrap(), usize::try_from(segment["length"].as_u64().unwrap()).unwrap());
        let Ok(bytes) = fs::read(part) else { continue };
        let text = String::from_utf8_lossy(&bytes[..length.min(bytes.len())]).into_owned();
        found.extend(text.lines().filter_map(|line| line.split("/item/r").nth(1)?.split('r').next()?.parse::<usize>().ok()));
    }
    found
}

/// Lines that the checkpoint knows in raw segments that are not finished.
fn received(site: &Site) -> u64 {
    let checkpoint: Value = serde_json::from_slice(&site.dir.read("state/run-site.json")).unwrap();
    checkpoint["stretches"].as_array().into_iter().flatten().filter_map(|stretch| stretch["lines"].as_u64()).sum()
}

/// Kills it at any time while others hand lines over. Each way carries numbers of its own.
#[test]
fn killed_anywhere_it_doubles_nothing_and_keeps_what_it_committed() {
    let kills = std::env::var("LOGFADE_KILLS").ok().and_then(|count| count.parse().ok()).unwrap_or(24);
    for (seal, kills) in [("", kills / 2), ("seal = true\n", kills - kills / 2)] {
        let listens = ["syslog+unix://ROOT/datagram.sock", "syslog+unix-stream://ROOT/stream.sock", "fifo://ROOT/pipe.fifo"];
        let mut site = Site::of(&configuration(&listens, &format!("rotate = [\"30 KiB\"]\nflush = \"0 seconds\"\n{seal}"), "rotate = [\"8 KiB\"]\nflush = \"0 seconds\"\n"));
        let (stop, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let senders: Vec<_> = (0..3)
            .map(|way| {
                let (stop, next) = (Arc::clone(&stop), Arc::clone(&next));
                let at = |name: &str| site.dir.at(name);
                let (pipe, stream, datagram) = (at("pipe.fifo"), at("stream.sock"), at("datagram.sock"));
                std::thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let open: Option<Box<dyn Write>> = match way {
                            // For want of a reader it would wait.
                            0 => OpenOptions::new().read(true).write(true).open(&pipe).ok().map(|file| Box::new(file) as Box<dyn Write>),
                            1 => UnixStream::connect(&stream).ok().map(|stream| Box::new(stream) as Box<dyn Write>),
                            _ => Some(Box::new(Datagrams(UnixDatagram::unbound().unwrap(), datagram.clone())) as Box<dyn Write>),
                        };
                        let Some(mut open) = open else {
                            sleep(Duration::from_millis(5));
                            continue;
                        };
                        while !stop.load(Ordering::Relaxed) {
                            let id = next.fetch_add(1, Ordering::Relaxed);
                            if open.write_all(message(id).as_bytes()).is_err() {
                                break;
                            }
                            if id % 7 == 0 {
                                sleep(Duration::from_millis(1));
                            }
                        }
                        sleep(Duration::from_millis(5));
                    }
                })
            })
            .collect();
        let mut sure = BTreeSet::new();
        for kill in 0..kills {
            let known = sure.len();
            site.start();
            // Long enough to commit something, every third time.
            if kill % 3 == 0 {
                site.until("something is committed", |site| committed(site).len() > known.min(1));
            }
            sleep(Duration::from_millis(30 + (kill as u64 * 37) % 200));
            sure.extend(committed(&site));
            site.kill();
        }
        stop.store(true, Ordering::Relaxed);
        site.start();
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        site.until("everything is read", |site| {
            let before = site.content("clean").len();
            sleep(Duration::from_millis(300));
            before == site.content("clean").len()
        });
        site.end();
        assert!(!site.said().contains("panicked"), "{}", site.said());
        let clean = site.records("clean");
        let doubled: Vec<_> = clean.iter().filter(|(_, count)| **count > 1).take(10).collect();
        assert!(doubled.is_empty(), "twice: {doubled:?}");
        let missing: Vec<_> = sure.iter().filter(|id| !clean.contains_key(id)).take(10).collect();
        assert!(missing.is_empty() && sure.len() > 10, "committed, and not there: {missing:?} of {}", sure.len());
        let raw = if seal.is_empty() { site.records("raw") } else { opened(&site, "raw") };
        assert_eq!(raw, clean, "what was received stands in both forms");
        site.expect_no_identifier();
        if !seal.is_empty() {
            dark(&site);
        }
        call(&site, &["ledger", "verify"]).expect_code(0);
    }
}

/// Writes each piece as a datagram; waits for room.
struct Datagrams(UnixDatagram, PathBuf);

impl Write for Datagrams {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.send_to(bytes, &self.1)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// No identifier in clear in any file of the state and of the outputs.
pub fn dark(site: &Site) {
    let mut open: Vec<PathBuf> = ["state", "raw", "clean", "err"].iter().map(|name| site.dir.at(name)).collect();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if let Ok(bytes) = fs::read(&path) {
            is_dark(&bytes, &path);
        }
    }
}

fn is_dark(bytes: &[u8], path: &Path) {
    for word in ["zebra", "secret"] {
        assert!(!holds(bytes, word.as_bytes()), "{word} stands in {}", path.display());
    }
}

/// A sealed raw form, and a sealed clean one, while they grow, finished, and after a kill.
#[test]
fn what_is_sealed_is_never_in_clear_and_can_be_read() {
    let mut site = Site::of(&configuration(&["fifo://ROOT/pipe.fifo"], "rotate = [\"20 KiB\"]\nseal = true\n", "rotate = [\"10 KiB\"]\nseal = true\n"));
    site.start();
    let mut pipe = fifo(&site, "pipe.fifo");
    let mut id = 0;
    for turn in 0..6 {
        for _ in 0..100 {
            pipe.write_all(line(id).as_bytes()).unwrap();
            id += 1;
        }
        site.until("committed", |site| opened(site, "clean").len() >= id);
        dark(&site);
        if turn == 3 {
            site.kill();
            dark(&site);
            site.start();
            pipe = fifo(&site, "pipe.fifo");
        }
    }
    site.until("finished", |site| site.told("finished") >= 3);
    site.end();
    dark(&site);
    once_each(&opened(&site, "raw"), 0..id, "raw");
    once_each(&opened(&site, "clean"), 0..id, "clean");
    let names: Vec<String> = ["raw", "clean"].iter().flat_map(|name| files(&site, name)).map(|path| path.to_string_lossy().into_owned()).collect();
    assert!(names.iter().all(|name| name.ends_with(".part") || name.ends_with(".zst.age")), "{names:?}");
    let found = call(&site, &["--json", "subject", "find", "--ip", "198.51.100.7"]);
    let records: u64 = found.expect_code(0).json()["files"].as_array().unwrap().iter().filter_map(|file| file["records"].as_u64()).sum();
    assert!(records > 0, "a person's records are found in sealed files: {}", found.stdout_text());
    call(&site, &["ledger", "verify"]).expect_code(0);
}

/// The same for files that somebody else writes.
#[test]
fn forms_of_followed_files_are_sealed_too() {
    let mut site = Site::new("rotate = [\"8 KiB\"]\nflush = \"0 seconds\"\nseal = true\n");
    let log = site.log();
    let mut id = 0;
    for turn in 0..6 {
        site.start();
        for _ in 0..60 {
            super::run::open(&log).write_all(line(id).as_bytes()).unwrap();
            id += 1;
        }
        if turn % 2 == 0 {
            site.until("committed", |site| opened(site, "clean").len() >= id);
        } else {
            sleep(Duration::from_millis(100));
        }
        site.kill();
        if turn == 4 {
            super::run::rotate(&log);
        }
    }
    site.start();
    site.until("all are read", |site| opened(site, "clean").len() >= id);
    site.until("finished", |site| site.told("finished") >= 1);
    site.end();
    once_each(&opened(&site, "clean"), 0..id, "clean");
    for path in files(&site, "clean") {
        let bytes = fs::read(&path).unwrap();
        assert!(!holds(&bytes, b"/item/") && bytes.starts_with(b"\x89LFSEAL\x01"), "{}", path.display());
    }
    let text = String::from_utf8(site.dir.read("logfade.toml")).unwrap().replace("until = \"40 years\"", "until = \"1 day\"");
    site.dir.file("logfade.toml", text.as_bytes());
    // The log that is not rotated is due as well, and the sidecar has not let it go.
    call(&site, &["expire", "--yes"]).expect_code(1);
    assert!(!site.dir.at("log/access.log.1").exists(), "raw went on the proof of sealed files");
    once_each(&opened(&site, "clean"), 0..id, "clean");
}

#[test]
fn a_record_is_chosen_within_what_carries_it() {
    let mut site = Site::new("where = { path = \"/a*\" }\n");
    let mut text = String::new();
    for path in ["/a", "/b", "/ab?x"] {
        let bare = format!("203.0.113.7 - - [10/Oct/2025:13:55:36 +0000] \"GET {path} HTTP/1.1\" 200 5 \"-\" \"x\"");
        let docker = format!("{{\"log\":\"{}\\n\",\"stream\":\"stdout\",\"time\":\"2025-10-10T13:55:36.5Z\"}}", bare.replace('"', "\\\""));
        for line in [bare.clone(), format!("<190>Oct 10 13:55:36 web nginx: {bare}"), format!("2025-10-10T13:55:36.5Z stdout F {bare}"), docker] {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text.push_str("<190>Oct 10 13:55:36 web nginx: who knows\n");
    fs::write(site.log(), text).unwrap();
    site.start();
    site.until_lines("clean", 8);
    site.end();
    let clean = String::from_utf8(site.content("clean")).unwrap();
    assert_eq!((clean.lines().count(), clean.matches("GET /a").count(), clean.matches("GET /b").count()), (8, 8, 0), "{clean}");
}

#[test]
fn reading_the_configuration_again_keeps_what_is_open() {
    let mut site = Site::of(&configuration(&["syslog+unix://ROOT/kept.sock", "syslog+unix-stream://ROOT/gone.sock"], "", ""));
    site.start();
    let (kept, gone) = (socket(&site, "kept.sock"), socket(&site, "gone.sock"));
    let inode = fs::symlink_metadata(&kept).unwrap().ino();
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let sender = {
        let (stop, sent, kept) = (Arc::clone(&stop), Arc::clone(&sent), kept.clone());
        std::thread::spawn(move || {
            let socket = UnixDatagram::unbound().unwrap();
            socket.connect(&kept).unwrap();
            while !stop.load(Ordering::Relaxed) {
                let id = sent.load(Ordering::Relaxed);
                socket.send(message(id).as_bytes()).expect("it is listened to throughout");
                sent.store(id + 1, Ordering::Relaxed);
                sleep(Duration::from_micros(300));
            }
        })
    };
    UnixStream::connect(&gone).unwrap().write_all(b"<13>last words\n").unwrap();
    for turn in 1..=4 {
        site.until_lines("raw", sent.load(Ordering::Relaxed));
        site.rewrite(&configuration(&["syslog+unix://ROOT/kept.sock", "syslog+unix-stream://ROOT/new.sock"], "", &format!("rotate = [\"{turn} MiB\"]\n")));
        site.signal("HUP");
        site.until("it is read again", |site| site.told("reloaded") == turn);
    }
    let mut fresh = UnixStream::connect(socket(&site, "new.sock")).unwrap();
    stop.store(true, Ordering::Relaxed);
    sender.join().unwrap();
    let count = sent.load(Ordering::Relaxed);
    fresh.write_all(message(count).as_bytes()).unwrap();
    assert_eq!(fs::symlink_metadata(&kept).unwrap().ino(), inode, "the socket is the same");
    assert!(!gone.exists(), "and the other one is gone");
    site.until("all are there", |site| site.content("raw").split(|byte| *byte == b'\n').count() >= count + 3);
    site.end();
    let raw = String::from_utf8(site.content("raw")).unwrap();
    assert_eq!(raw.matches("last words").count(), 1);
    assert_eq!(raw.lines().filter(|line| line.contains("/item/")).count(), count + 1, "nothing is lost and nothing doubled");
    assert_eq!(site.told("lost"), 0);
}

#[test]
fn a_socket_of_a_dead_process_is_taken_over_and_a_live_one_is_not() {
    let listens = ["syslog+unix://ROOT/site.sock"];
    let mut site = Site::of(&configuration(&listens, "", ""));
    site.start();
    socket(&site, "site.sock");
    site.kill();
    assert!(site.dir.at("site.sock").exists(), "a killed process leaves its name behind");
    site.start();
    let sender = UnixDatagram::unbound().unwrap();
    site.until("it listens again", |site| sender.send_to(message(0).as_bytes(), site.dir.at("site.sock")).is_ok());
    site.until_records(1);
    let mut other = Site::of(&configuration(&["syslog+unix://OTHER/site.sock"], "", "").replace("OTHER", site.dir.path().to_str().unwrap()));
    other.start();
    other.until("it is refused", |other| other.said().contains("somebody listens on this socket already"));
    sender.send_to(message(1).as_bytes(), site.dir.at("site.sock")).unwrap();
    site.until_records(2);
    site.end();
    // Now it is free.
    other.until("it is taken", |other| other.told("listening") == 1);
    sender.send_to(message(2).as_bytes(), site.dir.at("site.sock")).unwrap();
    other.until_records(1);
    other.end();
    site.expect_each_once("clean", 2);
    assert_eq!(other.told("listen"), 1, "the same trouble is told once\n{}", other.said());
}

/// A receiver that is not there for a while: what it is to get waits on the disk, and nobody else waits for it.
#[test]
fn a_form_whose_sink_is_down_waits_and_the_others_do_not() {
    for seal in ["", "seal = true\n"] {
        let is_up = Arc::new(Mutex::new(false));
        let (address, got) = receiver(Arc::clone(&is_up));
        let shipped = format!("[[class.keep]]\nform = \"default\"\nname = \"shipped\"\nuntil = \"50 years\"\noutput = \"http://{address}/\"\nlayout = \"json\"\n");
        let configuration = configuration(&["fifo://ROOT/pipe.fifo"], &format!("rotate = [\"40 KiB\"]\n{seal}"), &shipped);
        let mut site = Site::of(&configuration.replace("format = \"combined\"\n", "format = \"combined\"\nunproven = \"allow\"\n"));
        site.start();
        let mut pipe = fifo(&site, "pipe.fifo");
        let count = 2000;
        for id in 0..count {
            pipe.write_all(line(id).as_bytes()).unwrap();
        }
        site.until_records(count);
        site.until("committed", |site| received(site) >= count as u64);
        assert_eq!(site.told("finished"), 0, "no raw file is finished before every form has it");
        site.kill();
        site.start();
        *is_up.lock().unwrap() = true;
        site.until("everything arrives", |_| lines(&got.lock().unwrap()).len() >= count);
        site.until("and raw files are finished", |site| site.told("finished") >= 2);
        site.end();
        let text = String::from_utf8(got.lock().unwrap().clone()).unwrap();
        let ids: BTreeSet<usize> = text.lines().filter_map(|line| line.split("/item/r").nth(1)?.split('r').next()?.parse().ok()).collect();
        assert_eq!(ids.len(), count, "every record arrives");
        is_dark(text.as_bytes(), Path::new("what was shipped"));
        site.expect_each_once("clean", count);
    }
}
