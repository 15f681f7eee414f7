//! `run` as its surroundings see it: the service manager, Prometheus, a receiver over HTTP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::pipe::combined;
use super::support::{Dir, holds, lines, logfade, signal, wait_at_most};

/// A sidecar that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
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

/// Answers every request with this status while `is_up`, else with 503; keeps the bodies of those it took.
pub fn receiver(is_up: Arc<Mutex<bool>>) -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let taken = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&taken);
    std::thread::spawn(move || {
        'next: for mut stream in socket.incoming().map(Result::unwrap) {
            let mut bytes = Vec::new();
            let mut part = [0; 4096];
            let end = loop {
                let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
                let length = head.and_then(|head| {
                    String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok())
                });
                if let (Some(head), Some(length)) = (head, length)
                    && bytes.len() >= head + length
                {
                    break head;
                }
                // Whoever was killed in between comes again.
                let count = stream.read(&mut part).unwrap_or(0);
                if count == 0 {
                    continue 'next;
                }
                bytes.extend_from_slice(&part[..count]);
            };
            let status = if *is_up.lock().unwrap() { 200 } else { 503 };
            if status == 200 {
                all.lock().unwrap().extend_from_slice(&bytes[end..]);
            }
            drop(write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
        }
    });
    (address, taken)
}

fn page(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn value(page: &str, name: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn the_service_manager_prometheus_and_a_receiver_are_served() {
    let dir = Dir::new();
    let (logs, manager) = (dir.at("logs"), UnixDatagram::bind(dir.at("notify")).unwrap());
    let heard = Arc::new(Mutex::new(String::new()));
    let hears = Arc::clone(&heard);
    std::thread::spawn(move || {
        let mut text = [0; 512];
        while let Ok(count) = manager.recv(&mut text) {
            hears.lock().unwrap().push_str(&format!("{}\n", String::from_utf8_lossy(&text[..count])));
        }
    });
    std::fs::create_dir(&logs).unwrap();
    std::fs::write(logs.join("access.log"), combined(200)).unwrap();
    let is_up = Arc::new(Mutex::new(false));
    let (address, taken) = receiver(Arc::clone(&is_up));
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let configuration = format!(
        "[run]\nmetrics = \"127.0.0.1:{port}\"\n[[class]]\nname = \"site\"\nraw = [\"{}/access.log*\"]\nformat = \"combined\"\n[[class.keep]]\nform = \"raw\"\nuntil = \"100 years\"\n[[class.keep]]\nform = \"default\"\nuntil = \"forever\"\noutput = \"http://{address}/in\"\nlayout = \"json\"\nflush = \"1 second\"\n",
        logs.display()
    );
    let file = dir.file("logfade.toml", configuration.as_bytes());
    let mut command = logfade(&["-c", &file, "--state", &dir.arg("state"), "run"]).command();
    command.env("NOTIFY_SOCKET", dir.at("notify")).env("WATCHDOG_USEC", "200000").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = Running(command.spawn().unwrap());
    let told = |word: &str| eventually(word, || heard.lock().unwrap().contains(word));
    told("READY=1");
    told("WATCHDOG=1");
    eventually("/healthz", || TcpStream::connect(("127.0.0.1", port)).is_ok() && page(port, "/healthz").ends_with("ok\n"));
    let retries = "logfade_sink_retries_total{class=\"site\",form=\"default\"}";
    eventually("retries", || value(&page(port, "/metrics"), retries).is_some_and(|count| count >= 1.0));
    assert!(value(&page(port, "/metrics"), "logfade_lag_bytes{class=\"site\"}").is_some_and(|bytes| bytes > 0.0), "the position waits");
    *is_up.lock().unwrap() = true;
    eventually("all lines at the receiver", || lines(&taken.lock().unwrap()).len() >= 200);
    eventually("no lag", || value(&page(port, "/metrics"), "logfade_lag_bytes{class=\"site\"}") == Some(0.0));
    let metrics = page(port, "/metrics");
    assert_eq!(value(&metrics, "logfade_lines_total{class=\"site\",form=\"default\",outcome=\"clean\"}"), Some(200.0), "{metrics}");
    let got = taken.lock().unwrap().clone();
    assert!(lines(&got).len() == 200 && !holds(&got, b"secret") && !holds(&got, b"frank"));
    assert!(!metrics.contains("203.0.113"));
    signal(&running.0, "TERM");
    told("STOPPING=1");
    assert_eq!(wait_at_most(&mut running.0, Duration::from_secs(60)).and_then(|status| status.code()), Some(0));
}

#[test]
fn the_units_are_hardened() {
    let units = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/systemd");
    for unit in ["logfade.service", "logfade-expire.service"] {
        let checked = Command::new("systemd-analyze").args(["security", "--offline=true", "--threshold=20"]).arg(units.join(unit)).output();
        match checked {
            Ok(checked) => assert!(checked.status.success(), "{unit}: {}", String::from_utf8_lossy(&checked.stdout).lines().last().unwrap_or_default()),
            Err(_absent) => println!("skipped: no systemd-analyze"),
        }
    }
}
