//! The sidecar that listens, on a disk of its own: what lies on it byte for byte, and what happens when it is full.

use super::hear::configuration;
use super::run::{Site, line};
use super::support::holds;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

/// Something mounted over the directory of a site.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    fn at(path: &'a Path, arguments: &[&str]) -> Option<Self> {
        let mounted = Command::new("mount").args(arguments).arg(path).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(path))
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").args(["-l".as_ref(), self.0.as_os_str()]).output());
    }
}

/// Every byte of the disk behind state and outputs, deleted files, segments and the journal included.
#[test]
fn a_sealed_log_is_nowhere_on_the_disk_in_clear() {
    let seals = ["seal = true\nrotate = [\"20 KiB\"]\n", "rotate = [\"20 KiB\"]\n"];
    for (round, seal) in seals.into_iter().enumerate() {
        let text = configuration(&["fifo://ROOT/pipe.fifo"], seal, seal);
        let image = super::support::Dir::new();
        let disk = image.at("disk");
        fs::File::create(&disk).unwrap().set_len(48 * 1024 * 1024).unwrap();
        let made = Command::new("mkfs.ext4").arg("-q").arg(&disk).output().is_ok_and(|output| output.status.success());
        let mut site = Site::of("");
        let path = site.dir.path().to_owned();
        let mounted = if made { Mounted::at(&path, &["-o", "loop", disk.to_str().unwrap()]) } else { None };
        let Some(mounted) = mounted else {
            println!("skipped: no right to mount a file system, or no mkfs.ext4");
            return;
        };
        site.rewrite(&text);
        for turn in 0..3 {
            site.start();
            site.until("the named pipe", |site| site.dir.at("pipe.fifo").exists());
            let mut pipe = OpenOptions::new().write(true).open(site.dir.at("pipe.fifo")).unwrap();
            for id in turn * 200..(turn + 1) * 200 {
                pipe.write_all(line(id).as_bytes()).unwrap();
            }
            drop(pipe);
            site.until("finished", |site| site.told("finished") > turn);
            if turn == 0 { site.kill() } else { site.end() }
        }
        assert!(Command::new("sync").arg("-f").arg(&path).status().unwrap().success());
        drop(mounted);
        let bytes = fs::read(&disk).unwrap();
        let found = ["zebra", "secret", "198.51.100."].map(|word| holds(&bytes, word.as_bytes()));
        // Without a seal they are found: it is looked in the right place.
        assert_eq!(found, [round == 1; 3]);
    }
}

/// Waits for so many records. Half a line may stand there for a moment: what had no room is cut off again.
fn until_there(site: &Site, count: usize) {
    site.until("all are there", |site| String::from_utf8_lossy(&site.content("clean")).matches("/item/r").count() >= count);
}

#[test]
fn a_full_disk_makes_senders_wait_and_loses_nothing() {
    for seal in ["", "seal = true\n"] {
        let text = configuration(&["syslog+unix-stream://ROOT/stream.sock"], &format!("rotate = [\"100 KiB\"]\n{seal}"), "");
        let mut site = Site::of("");
        let path = site.dir.path().to_owned();
        let Some(_disk) = Mounted::at(&path, &["-t", "tmpfs", "-o", "size=8m", "none"]) else {
            println!("skipped: no right to mount a small file system");
            return;
        };
        site.rewrite(&text);
        site.start();
        site.until("the socket", |site| site.dir.at("stream.sock").exists());
        let mut stream = UnixStream::connect(site.dir.at("stream.sock")).unwrap();
        let count = 12_000;
        for id in 0..100 {
            stream.write_all(line(id).as_bytes()).unwrap();
        }
        until_there(&site, 100);
        let mut filler = fs::File::create(site.dir.at("filler")).unwrap();
        while filler.write_all(&[0; 4096]).is_ok() {}
        let sender = std::thread::spawn(move || (100..count).for_each(|id| stream.write_all(line(id).as_bytes()).unwrap()));
        // Its log lines have no room on this disk either: what is asked is whether it goes on.
        std::thread::sleep(std::time::Duration::from_secs(3));
        drop(filler);
        fs::remove_file(site.dir.at("filler")).unwrap();
        sender.join().unwrap();
        until_there(&site, count);
        site.end();
        site.expect_each_once("clean", count);
        if seal.is_empty() {
            site.expect_each_once("raw", count);
        }
    }
}
