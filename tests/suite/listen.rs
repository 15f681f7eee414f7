//! Listeners: whatever arrives whole is handed over once, in order, and what does not is counted.

use std::io::Write;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use logfade::retain::{Door, Listen};
use logfade::store::StoreError;
use logfade::store::listen::{Heard, Hearing, Listener, open};
use logfade::store::source::Stop;

use super::support::Dir;

/// A listener, and what it has handed over so far.
pub struct Ear {
    listener: Option<Listener>,
    from: Receiver<Heard>,
    stop: Stop,
    all: Heard,
}

impl Ear {
    pub fn open(listen: &Listen, waiting: usize) -> Result<Self, StoreError> {
        let (to, from) = sync_channel(waiting);
        let stop = Stop::default();
        let listener = open(listen, Hearing { to, stop: stop.clone(), max_line: 4096 })?;
        Ok(Self { listener: Some(listener), from, stop, all: Heard::default() })
    }

    pub fn at(listen: &Listen) -> Self {
        Self::open(listen, 4).unwrap_or_else(|error| panic!("it listens: {error}"))
    }

    /// Waits until so many lines are there.
    pub fn lines(&mut self, count: usize) {
        while self.all.lines.iter().filter(|byte| **byte == b'\n').count() < count {
            self.take(self.from.recv_timeout(Duration::from_secs(60)).expect("lines arrive"));
        }
    }

    /// Waits until so many lines hold this.
    pub fn wait_for(&mut self, word: &str, count: usize) {
        while self.all.lines.split(|byte| *byte == b'\n').filter(|line| memchr::memmem::find(line, word.as_bytes()).is_some()).count() < count {
            self.take(self.from.recv_timeout(Duration::from_secs(60)).expect("lines arrive"));
        }
    }

    fn take(&mut self, heard: Heard) {
        self.all.lines.extend_from_slice(&heard.lines);
        self.all.too_long += heard.too_long;
        self.all.lost += heard.lost;
    }

    /// Ends it and tells everything that it has heard.
    pub fn end(mut self) -> (String, u64, u64) {
        self.stop.stop();
        while let Ok(heard) = self.from.recv() {
            self.take(heard);
        }
        self.listener.take().unwrap().thread.join().unwrap();
        (String::from_utf8_lossy(&self.all.lines).into_owned(), self.all.too_long, self.all.lost)
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.as_ref().unwrap().place.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

pub fn door(path: PathBuf) -> Door {
    Door { path, mode: 0o660, group: None }
}

fn numbered(count: usize) -> (Vec<String>, String) {
    let lines: Vec<String> = (0..count).map(|number| format!("<190>Oct 10 13:55:36 web nginx: line {number}")).collect();
    let whole = lines.iter().map(|line| format!("{line}\n")).collect();
    (lines, whole)
}

#[test]
fn datagrams_are_lines() {
    let dir = Dir::new();
    let (lines, whole) = numbered(500);
    let mut ear = Ear::at(&Listen::SyslogUnix(door(dir.at("s"))));
    let sender = UnixDatagram::unbound().unwrap();
    for line in &lines {
        sender.send_to(line.as_bytes(), dir.at("s")).unwrap();
    }
    ear.lines(500);
    sender.send_to(&[b'x'; 5000], dir.at("s")).unwrap();
    sender.send_to(b"two\nlines\n", dir.at("s")).unwrap();
    sender.send_to(b"", dir.at("s")).unwrap();
    assert_eq!(ear.end(), (format!("{whole}two#012lines\n"), 1, 0), "what was sent before the end is read");
}

#[test]
fn udp_carries_lines_too() {
    let mut ear = Ear::at(&Listen::SyslogUdp("127.0.0.1:0".parse().unwrap()));
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (lines, whole) = numbered(50);
    for line in &lines {
        sender.send_to(line.as_bytes(), ear.address()).unwrap();
    }
    ear.lines(50);
    assert_eq!(ear.end(), (whole, 0, 0));
}

#[test]
fn streams_are_framed_either_way_on_every_connection() {
    let dir = Dir::new();
    let tcp = Ear::at(&Listen::SyslogTcp("127.0.0.1:0".parse().unwrap()));
    let unix = Ear::at(&Listen::SyslogUnixStream(door(dir.at("s"))));
    let (lines, whole) = numbered(300);
    let counted: String = lines.iter().map(|line| format!("{} {line}", line.len())).collect();
    let over = |mut stream: Box<dyn Write>, bytes: &str| {
        for part in bytes.as_bytes().chunks(7) {
            stream.write_all(part).unwrap();
        }
    };
    let address = tcp.address();
    for (mut ear, connect) in [
        (tcp, Box::new(move || Box::new(TcpStream::connect(address).unwrap()) as Box<dyn Write>) as Box<dyn Fn() -> Box<dyn Write>>),
        (unix, Box::new(|| Box::new(UnixStream::connect(dir.at("s")).unwrap()) as Box<dyn Write>)),
    ] {
        over(connect(), &whole);
        ear.lines(300);
        over(connect(), &counted);
        ear.lines(600);
        over(connect(), "<13>no end");
        ear.lines(601);
        over(connect(), "99 <13>torn");
        over(connect(), "<13>last\n");
        ear.lines(602);
        assert_eq!(ear.end(), (format!("{whole}{whole}<13>no end\n<13>last\n"), 0, 1));
    }
}

#[test]
fn who_is_not_heard_waits_and_loses_nothing() {
    let dir = Dir::new();
    let mut ear = Ear::open(&Listen::SyslogUnixStream(door(dir.at("s"))), 1).unwrap();
    let line = format!("<13>{}\n", "x".repeat(995));
    let text = line.repeat(20_000);
    let mut stream = UnixStream::connect(dir.at("s")).unwrap();
    let sender = std::thread::spawn(move || stream.write_all(text.as_bytes()).unwrap());
    ear.lines(20_000);
    sender.join().unwrap();
    assert_eq!(ear.end(), (line.repeat(20_000), 0, 0));
}

#[test]
fn many_connections_with_half_messages_do_not_keep_others_out() {
    let mut ear = Ear::at(&Listen::SyslogTcp("127.0.0.1:0".parse().unwrap()));
    let mut halves: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(ear.address()).unwrap()).collect();
    for half in &mut halves {
        half.write_all(b"4000 <13>half").unwrap();
    }
    let mut stream = TcpStream::connect(ear.address()).unwrap();
    stream.write_all(b"999999999 <13>").unwrap();
    let mut other = TcpStream::connect(ear.address()).unwrap();
    other.write_all(b"<13>whole\n").unwrap();
    ear.lines(1);
    drop(halves);
    assert_eq!(ear.end(), ("<13>whole\n".to_owned(), 1, 200));
}

#[test]
fn a_named_pipe_is_made_and_serves_one_writer_after_the_other() {
    let dir = Dir::new();
    let path = dir.at("fifo");
    let mut ear = Ear::at(&Listen::Fifo(door(path.clone())));
    let meta = std::fs::metadata(&path).unwrap();
    assert!(meta.file_type().is_fifo() && meta.permissions().mode() & 0o777 == 0o660);
    for turn in 0..20 {
        let mut writer = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        writer.write_all(format!("line {turn}\n\nno end {turn}").as_bytes()).unwrap();
        drop(writer);
        ear.lines(3 * (turn + 1));
    }
    let expected: String = (0..20).map(|turn| format!("line {turn}\n\nno end {turn}\n")).collect();
    assert_eq!(ear.end(), (expected, 0, 0));
    let ear = Ear::at(&Listen::Fifo(door(path.clone())));
    let mut writer = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    writer.write_all(b"whole\nhalf").unwrap();
    assert_eq!(ear.end(), ("whole\n".to_owned(), 0, 1), "the half line cannot be ended any more, and is counted");
}

#[test]
fn a_dead_socket_is_replaced_and_nothing_else_is() {
    let dir = Dir::new();
    let refused = |path: PathBuf| Ear::open(&Listen::SyslogUnix(door(path)), 1).err().map(|error| error.to_string()).unwrap_or_default();
    drop(UnixDatagram::bind(dir.at("dead")).unwrap());
    drop(UnixListener::bind(dir.at("dead stream")).unwrap());
    for name in ["dead", "dead stream"] {
        let ear = Ear::at(&Listen::SyslogUnix(door(dir.at(name))));
        UnixDatagram::unbound().unwrap().send_to(b"x", dir.at(name)).unwrap();
        let mode = std::fs::symlink_metadata(dir.at(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        assert_eq!(ear.end(), ("x\n".to_owned(), 0, 0));
        assert!(!dir.at(name).exists(), "the name goes with the listener");
    }
    let _datagram = UnixDatagram::bind(dir.at("live")).unwrap();
    let _stream = UnixListener::bind(dir.at("live stream")).unwrap();
    for name in ["live", "live stream"] {
        assert!(refused(dir.at(name)).contains("somebody listens"), "{name}");
    }
    std::fs::write(dir.at("file"), b"precious").unwrap();
    std::os::unix::fs::symlink(dir.at("file"), dir.at("link")).unwrap();
    for name in ["file", "link"] {
        assert!(refused(dir.at(name)).contains("something else"), "{name}");
        assert!(Ear::open(&Listen::Fifo(door(dir.at(name))), 1).is_err(), "{name}");
        assert_eq!(dir.read(name), b"precious");
    }
    let unknown = Listen::SyslogUnix(Door { path: dir.at("grouped"), mode: 0o660, group: Some("no-such-group".to_owned()) });
    assert!(Ear::open(&unknown, 1).err().is_some_and(|error| error.to_string().contains("group is not known")));
    assert!(std::fs::read_dir(dir.path()).unwrap().all(|entry| !entry.unwrap().file_name().to_string_lossy().contains("grouped")), "nothing is left of it");
    assert!(!dir.at("grouped").exists(), "the name appears when everything about it is as it is to be");
}

#[test]
fn the_configuration_says_who_may_hand_lines_over() {
    let dir = Dir::new();
    let text = |listen: &str| format!("[[class]]\nname = \"site\"\nlisten = [\"{listen}\"]\n[[class.keep]]\nform = \"raw\"\nuntil = \"7 days\"\noutput = \"/var/lib/x\"\n");
    for (listen, code) in [
        ("syslog+unix:///run/x.sock?mode=0666&group=adm", 0),
        ("syslog+unix-stream:///run/x.sock", 0),
        ("fifo:///run/x.fifo?mode=0600", 0),
        ("syslog+unix:///run/x.sock?mode=1777", 2),
        ("syslog+unix:///run/x.sock?mode=rw", 2),
        ("syslog+unix:///run/x.sock?owner=x", 2),
        ("syslog+unix:///run/x.sock?", 2),
        ("syslog+unix://run/x.sock", 2),
    ] {
        let file = dir.file("logfade.toml", text(listen).as_bytes());
        let outcome = super::support::logfade(&["-c", &file, "check"]).run(b"");
        assert_eq!(outcome.code(), Some(code), "{listen}: {}", outcome.stderr_text());
    }
}
