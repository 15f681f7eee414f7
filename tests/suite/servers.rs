//! Real servers hand over what they log: every line arrives, and is the line that stands in the server's own file.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use logfade::retain::Listen;

use super::listen::{Ear, door};
use super::support::{Dir, binary, holds, lines};

/// A server that ends with the test.
pub struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // As the administrator would: workers and piped programs end with it.
        drop(Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status());
        drop(self.0.wait());
    }
}

/// Starts a server of the system, if there is one.
pub fn start(program: &str, args: &[&str]) -> Option<Server> {
    let child = Command::new(program).args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    match child {
        Ok(child) => Some(Server(child)),
        Err(_absent) => {
            println!("skipped: no {program}");
            None
        }
    }
}

/// Whether something has come to be; not, if the server has ended before.
pub fn comes(server: &mut Server, mut is_there: impl FnMut() -> bool) -> bool {
    for _ in 0..6000 {
        if is_there() {
            return true;
        }
        if let Some(status) = server.0.try_wait().unwrap() {
            println!("skipped: it does not run here ({status})");
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it does not come up");
}

/// Asks for a page; the connection ends with the answer.
pub fn ask(mut stream: impl Read + Write, number: usize) {
    write!(stream, "GET /page/{number}?secret={number} HTTP/1.0\r\nHost: site\r\nUser-Agent: probe\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1."), "the server answers");
}

/// A port that nobody uses just now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What stands behind the envelope of each line.
pub fn carried(heard: &str, tag: &str) -> Vec<String> {
    heard.lines().map(|line| line.split_once(&format!("{tag}: ")).map(|(_, rest)| rest.to_owned()).unwrap_or_else(|| panic!("{line}"))).collect()
}

/// Servers drop root where the tests run as root: they have to get at their directory.
pub fn open_to_all(dir: &Dir) {
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
}

#[test]
fn nginx_writes_to_a_socket_what_it_writes_to_its_file() {
    let dir = Dir::new();
    open_to_all(&dir);
    let mut place = door(dir.at("log.sock"));
    place.mode = 0o666;
    let mut ear = Ear::at(&Listen::SyslogUnix(place));
    let at = |name: &str| dir.arg(name);
    let configuration = format!(
        "daemon off; master_process off; pid {pid}; error_log {errors};
events {{}}
http {{
  client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  access_log {file} combined;
  access_log syslog:server=unix:{socket},nohostname,tag=nginx combined;
  server {{ listen unix:{http}; location / {{ return 204; }} }}
}}",
        pid = at("pid"),
        errors = at("errors"),
        dir = dir.path().display(),
        file = at("access.log"),
        socket = at("log.sock"),
        http = at("http.sock"),
    );
    let file = dir.file("nginx.conf", configuration.as_bytes());
    let Some(mut nginx) = start("nginx", &["-c", &file, "-p", &at("")]) else { return };
    if !comes(&mut nginx, || UnixStream::connect(dir.at("http.sock")).is_ok()) {
        return;
    }
    for number in 0..400 {
        ask(UnixStream::connect(dir.at("http.sock")).unwrap(), number);
        // nginx does not wait for a full socket, and some systems let only ten datagrams stand in one.
        if number % 8 == 7 {
            ear.lines(number + 1);
        }
    }
    drop(nginx);
    let (heard, too_long, lost) = ear.end();
    assert_eq!((too_long, lost), (0, 0));
    let written = String::from_utf8(dir.read("access.log")).unwrap();
    assert_eq!(carried(&heard, "nginx"), written.lines().filter(|line| line.contains("GET")).collect::<Vec<_>>());
    let clean = super::support::pipe(&["--format", "combined"], heard.as_bytes());
    let counts = super::support::counts(&clean.report());
    assert_eq!((counts.read, counts.clean, counts.written), (400, 400, 400), "and every one of them is understood in its envelope");
    assert!(!holds(&clean.stdout, b"secret"));
}

#[test]
fn apache_pipes_its_log() {
    let dir = Dir::new();
    open_to_all(&dir);
    let port = free_port();
    let modules = "/usr/lib/apache2/modules";
    let configuration = format!(
        r#"ServerRoot "{dir}"
ServerName site
Listen 127.0.0.1:{port}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
PidFile "{dir}/pid"
User www-data
Group www-data
DocumentRoot "{dir}"
ErrorLog "{dir}/errors"
LogFormat "%h %l %u %t \"%r\" %>s %O \"%{{Referer}}i\" \"%{{User-Agent}}i\"" combined
CustomLog "{dir}/access.log" combined
CustomLog "|{program} pipe -q --format combined -o {dir}/clean.log" combined
"#,
        dir = dir.path().display(),
        program = binary().canonicalize().unwrap().display(),
    );
    if !Path::new(modules).join("mod_mpm_event.so").exists() {
        println!("skipped: no modules of apache2");
        return;
    }
    let file = dir.file("apache.conf", configuration.as_bytes());
    let Some(mut apache) = start("apache2", &["-DFOREGROUND", "-f", &file]) else { return };
    if !comes(&mut apache, || TcpStream::connect(("127.0.0.1", port)).is_ok()) {
        return;
    }
    for number in 0..300 {
        ask(TcpStream::connect(("127.0.0.1", port)).unwrap(), number);
    }
    let written = || std::fs::read(dir.at("clean.log")).map_or(0, |bytes| lines(&bytes).iter().filter(|line| holds(line, b"/page/")).count());
    assert!(comes(&mut apache, || written() >= 300));
    drop(apache);
    let (raw, clean) = (dir.read("access.log"), dir.read("clean.log"));
    let pages = |bytes: &[u8]| lines(bytes).iter().filter(|line| holds(line, b"/page/")).count();
    assert_eq!((pages(&raw), pages(&clean)), (300, 300));
    assert!(holds(&raw, b"secret") && !holds(&clean, b"secret"));
}

#[test]
fn haproxy_logs_to_a_socket() {
    let dir = Dir::new();
    open_to_all(&dir);
    let mut place = door(dir.at("log.sock"));
    place.mode = 0o666;
    let mut ear = Ear::at(&Listen::SyslogUnix(place));
    let configuration = format!(
        "global
  log {socket} local0
defaults
  log global
  mode http
  option httplog
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend site
  bind unix@{http}
  http-request return status 204
",
        socket = dir.arg("log.sock"),
        http = dir.arg("http.sock"),
    );
    let file = dir.file("haproxy.cfg", configuration.as_bytes());
    let Some(mut haproxy) = start("haproxy", &["-db", "-f", &file]) else { return };
    if !comes(&mut haproxy, || UnixStream::connect(dir.at("http.sock")).is_ok()) {
        return;
    }
    for number in 0..200 {
        ask(UnixStream::connect(dir.at("http.sock")).unwrap(), number);
        if number % 4 == 3 {
            ear.wait_for("GET /page/", number + 1);
        }
    }
    drop(haproxy);
    let (heard, too_long, lost) = ear.end();
    assert_eq!((too_long, lost), (0, 0));
    let requests: String = heard.lines().filter(|line| line.contains("GET /page/")).map(|line| format!("{line}\n")).collect();
    let clean = super::support::pipe(&["--format", "haproxy-http"], requests.as_bytes());
    let counts = super::support::counts(&clean.report());
    assert_eq!((counts.read, counts.clean), (200, 200), "{requests}");
    assert!(!holds(&clean.stdout, b"secret"));
}

#[test]
fn rsyslog_forwards_over_tcp_and_udp_in_either_framing() {
    let dir = Dir::new();
    let mut counted = Ear::at(&Listen::SyslogTcp("127.0.0.1:0".parse().unwrap()));
    let mut lined = Ear::at(&Listen::SyslogTcp("127.0.0.1:0".parse().unwrap()));
    let mut datagrams = Ear::at(&Listen::SyslogUdp("127.0.0.1:0".parse().unwrap()));
    let forward = |port: u16, rest: &str| {
        format!("action(type=\"omfwd\" target=\"127.0.0.1\" port=\"{port}\" template=\"RSYSLOG_SyslogProtocol23Format\" {rest} action.resumeRetryCount=\"-1\")\n")
    };
    let configuration = format!(
        "global(workDirectory=\"{dir}\")
module(load=\"imuxsock\" SysSock.Use=\"off\")
input(type=\"imuxsock\" Socket=\"{socket}\" RateLimit.Interval=\"0\")
{a}{b}{c}",
        dir = dir.path().display(),
        socket = dir.arg("in.sock"),
        a = forward(counted.address().port(), "protocol=\"tcp\" TCP_Framing=\"octet-counted\""),
        b = forward(lined.address().port(), "protocol=\"tcp\" TCP_Framing=\"traditional\""),
        c = forward(datagrams.address().port(), "protocol=\"udp\""),
    );
    let file = dir.file("rsyslog.conf", configuration.as_bytes());
    let Some(mut rsyslog) = start("rsyslogd", &["-n", "-f", &file, "-i", &dir.arg("pid")]) else { return };
    if !comes(&mut rsyslog, || dir.at("in.sock").exists()) {
        return;
    }
    let sender = std::os::unix::net::UnixDatagram::unbound().unwrap();
    let input = super::pipe::combined(150);
    for (number, line) in lines(&input).into_iter().enumerate() {
        sender.send_to(&[b"<190>Oct 10 13:55:36 nginx: ".as_slice(), line].concat(), dir.at("in.sock")).unwrap();
        // Datagrams are given time: nothing else keeps them from being dropped.
        datagrams.wait_for(" /shop/item-", number + 1);
    }
    let expected: Vec<String> = String::from_utf8(input.clone()).unwrap().lines().map(str::to_owned).collect();
    counted.wait_for(" /shop/item-", 150);
    lined.wait_for(" /shop/item-", 150);
    drop(rsyslog);
    for ear in [counted, lined, datagrams] {
        let (heard, too_long, lost) = ear.end();
        assert_eq!((too_long, lost), (0, 0));
        let heard: String = heard.lines().filter(|line| line.contains(" nginx ")).map(|line| format!("{line}\n")).collect();
        let bare: Vec<String> = heard.lines().filter_map(|line| Some(line.split_once(" nginx - - - ")?.1.trim_start().to_owned())).collect();
        assert_eq!(bare, expected);
        let clean = super::support::pipe(&["--format", "combined"], heard.as_bytes());
        assert_eq!(super::support::counts(&clean.report()).clean, 150);
    }
}
