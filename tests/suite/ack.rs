//! `pipe --ack`: a line is confirmed once it is on disk, so that whoever killed the filter between bursts loses and doubles nothing.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::pipe::combined;
use super::support::{Dir, all_of, binary, counts, decoded, lines, logfade, wait_at_most};

/// A filter that confirms, and the side of whoever hands it lines.
struct Filter {
    child: Child,
    input: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Filter {
    fn start(args: &[&str]) -> Self {
        let mut all = vec!["pipe", "--json", "--ack"];
        all.extend_from_slice(args);
        let mut child = logfade(&all).spawn();
        let (input, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut filter = Self { child, input, answers };
        assert_eq!(filter.answer(), "OK\n", "it says that it is ready before it gets anything");
        filter
    }

    fn answer(&mut self) -> String {
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        answer
    }

    /// Hands over a line and waits for the answer, as rsyslog does.
    fn hand(&mut self, line: &[u8]) {
        self.input.write_all(line).unwrap();
        assert_eq!(self.answer(), "OK\n");
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn end(mut self) -> serde_json::Value {
        drop(self.input);
        assert_eq!(all_of(self.answers), b"", "no answer more than lines");
        let stderr = all_of(self.child.stderr.take().unwrap());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        serde_json::from_slice(lines(&stderr).last().unwrap()).unwrap()
    }
}

#[test]
fn every_line_is_confirmed_after_it_is_in_the_file() {
    let dir = Dir::new();
    let input = combined(20);
    for compress in ["none", "zstd"] {
        let out = format!("out.{compress}");
        let mut filter = Filter::start(&["--format", "combined", "--compress", compress, "-o", &dir.arg(&out)]);
        for (count, line) in input.split_inclusive(|byte| *byte == b'\n').enumerate() {
            filter.hand(line);
            assert_eq!(lines(&decoded(&dir.read(&out))).len(), count + 1, "{compress}");
        }
        assert_eq!(counts(&filter.end()).written, 20);
    }
}

#[test]
fn rejected_and_blank_lines_are_confirmed_too() {
    let dir = Dir::new();
    let mut filter = Filter::start(&["--format", "combined", "--on-reject", "quarantine", "--quarantine", &dir.arg("odd"), "-o", &dir.arg("out")]);
    filter.hand(b"no record\n");
    assert_eq!(dir.read("odd"), b"no record\n", "it is in the quarantine by then");
    filter.hand(b"\n");
    filter.hand(&combined(1));
    let counts = counts(&filter.end());
    assert_eq!((counts.read, counts.rejected, counts.written), (3, 1, 2));
}

#[test]
fn a_burst_gets_as_many_answers_as_it_has_lines() {
    let dir = Dir::new();
    let mut filter = Filter::start(&["--format", "combined", "-o", &dir.arg("out-%Y-%m-%d")]);
    filter.input.write_all(&combined(3000)).unwrap();
    for _ in 0..3000 {
        assert_eq!(filter.answer(), "OK\n");
    }
    assert_eq!(lines(&dir.read("out-2023-10-10")).len(), 3000);
    filter.end();
}

#[test]
fn killed_between_bursts_nothing_is_lost_or_doubled() {
    let dir = Dir::new();
    let input = combined(100);
    let all: Vec<&[u8]> = input.split_inclusive(|byte| *byte == b'\n').collect();
    for burst in all.chunks(10) {
        let mut filter = Filter::start(&["--format", "combined", "-o", &dir.arg("out")]);
        for line in burst {
            filter.hand(line);
        }
        filter.kill();
    }
    let whole = logfade(&["pipe", "--format", "combined"]).run(&input).stdout;
    assert!(dir.read("out") == whole);
}

#[test]
fn clean_lines_and_confirmations_do_not_share_a_place() {
    let dir = Dir::new();
    let without = logfade(&["pipe", "--ack"]).run(b"");
    without.expect_code(2);
    assert!(without.stdout.is_empty() && without.stderr_text().contains("-o FILE"));
    assert_eq!(logfade(&["pipe", "--ack", "-o", &dir.arg("x"), "--stall", "1s"]).run(b"").code(), Some(2));
    let same = std::fs::File::create(dir.at("same")).unwrap();
    let mut command = logfade(&["pipe", "--ack", "-o", &dir.arg("same")]).command();
    let outcome = command.stdin(Stdio::null()).stdout(same).output().unwrap();
    assert_eq!(outcome.status.code(), Some(2), "{}", String::from_utf8_lossy(&outcome.stderr));
    assert!(dir.read("same").is_empty());
}

/// rsyslog with a socket of its own, ended with the test.
struct Rsyslog(Child);

impl Drop for Rsyslog {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The running filter of this rsyslog, if there is one.
fn filter_of(rsyslog: u32) -> Option<u32> {
    let processes = std::fs::read_dir("/proc").ok()?;
    let own = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    own.filter(|pid| {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.split(' ').nth(2) == Some(&rsyslog.to_string())))
    })
    .find(|pid| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("--ack")))
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("this does not come: {what}");
}

#[test]
fn rsyslog_hands_over_and_waits() {
    if Command::new("rsyslogd").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        println!("skipped: no rsyslogd");
        return;
    }
    let dir = Dir::new();
    let socket = dir.at("log.sock");
    let configuration = format!(
        r#"global(workDirectory="{dir}")
module(load="imuxsock" SysSock.Use="off")
module(load="omprog")
input(type="imuxsock" Socket="{socket}" RateLimit.Interval="0")
action(type="omprog" template="RSYSLOG_TraditionalFileFormat" confirmMessages="on" confirmTimeout="60000"
       action.resumeRetryCount="-1" action.resumeInterval="1"
       binary="{program} pipe -q --ack --format combined -o {out}")
"#,
        dir = dir.path().display(),
        socket = socket.display(),
        program = binary().canonicalize().unwrap().display(),
        out = dir.arg("clean.log"),
    );
    let file = dir.file("rsyslog.conf", configuration.as_bytes());
    let rsyslog = Command::new("rsyslogd").args(["-n", "-f", &file, "-i", &dir.arg("pid")]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut rsyslog = Rsyslog(rsyslog.unwrap());
    eventually("the socket of rsyslog", || socket.exists() || rsyslog.0.try_wait().unwrap().is_some());
    if let Some(status) = rsyslog.0.try_wait().unwrap() {
        println!("skipped: rsyslogd does not run here ({status})");
        return;
    }
    let sender = std::os::unix::net::UnixDatagram::unbound().unwrap();
    let input = combined(60);
    let all: Vec<&[u8]> = lines(&input);
    let written = || std::fs::read(dir.at("clean.log")).map_or(0, |bytes| lines(&bytes).len());
    let mut sent = 0;
    for burst in all.chunks(20) {
        for line in burst {
            let message = [b"<190>Oct 10 13:55:36 nginx: ".as_slice(), line].concat();
            sender.send_to(&message, &socket).unwrap();
            sent += 1;
        }
        eventually("a burst in the file", || written() == sent);
        // What is in the file is said to be there at once, and rsyslog has to hear it: killed in between, it would come again.
        std::thread::sleep(Duration::from_millis(500));
        let filter = filter_of(rsyslog.0.id()).expect("the filter runs");
        assert!(Command::new("kill").args(["-KILL", &filter.to_string()]).status().unwrap().success());
        eventually("the end of the filter", || !Path::new(&format!("/proc/{filter}")).exists() || filter_of(rsyslog.0.id()) != Some(filter));
    }
    assert!(Command::new("kill").args(["-TERM", &rsyslog.0.id().to_string()]).status().unwrap().success());
    assert!(wait_at_most(&mut rsyslog.0, Duration::from_secs(60)).is_some(), "rsyslog ends");
    let clean = dir.read("clean.log");
    let sizes: Vec<usize> = lines(&clean).iter().filter_map(|line| String::from_utf8_lossy(line).split("\" 200 ").nth(1)?.split(' ').next()?.parse().ok()).collect();
    assert_eq!(sizes, (1000..1060).collect::<Vec<_>>(), "every line once, in order");
    assert!(!clean.windows(5).any(|word| word == b"frank"));
}
