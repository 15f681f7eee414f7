//! `/metrics` for Prometheus and `/healthz`: what the gauges say, and no byte of a log.

use super::gauge::{ClassReading, FormReading, Gauges, Readings};
use crate::store::StoreError;
use crate::store::source::Stop;
use jiff::Timestamp;
use std::fmt::{Display, Write as _};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long one question may take, from its first byte to its last.
const QUESTION: Duration = Duration::from_secs(2);

/// Bytes of a question that are read.
const HEAD: usize = 8 * 1024;

/// How often it is looked whether it is to end.
const LOOK: Duration = Duration::from_millis(100);

/// Answers on a thread of its own.
#[derive(Debug)]
pub struct Server {
    /// Where; a port 0 has become a real one.
    pub address: SocketAddr,
    /// Its thread.
    pub thread: JoinHandle<()>,
}

/// Serves the gauges until it is told to stop.
pub fn serve(address: SocketAddr, gauges: Gauges, stop: Stop, clock: fn() -> Timestamp) -> Result<Server, StoreError> {
    let path = address.to_string();
    let fail = || StoreError::io("listen on", Path::new(&path));
    let socket = TcpListener::bind(address).map_err(fail())?;
    socket.set_nonblocking(true).map_err(fail())?;
    let address = socket.local_addr().map_err(fail())?;
    let run = move || {
        while !stop.is_stopped() {
            match socket.accept() {
                // Whoever asked has gone, or is too slow.
                Ok((stream, _)) => drop(answer(stream, &gauges, clock)),
                Err(_nobody) => std::thread::sleep(LOOK),
            }
        }
    };
    let thread = std::thread::Builder::new().name("metrics".to_owned()).spawn(run).map_err(fail())?;
    Ok(Server { address, thread })
}

fn answer(mut stream: TcpStream, gauges: &Gauges, clock: fn() -> Timestamp) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(QUESTION))?;
    let until = Instant::now() + QUESTION;
    let mut head = Vec::new();
    let mut part = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < HEAD {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut part)? {
            0 => break,
            count => head.extend_from_slice(part.get(..count).unwrap_or_default()),
        }
    }
    let mut words = head.split(|byte| byte.is_ascii_whitespace());
    let is_get = matches!(words.next(), Some(b"GET" | b"HEAD"));
    let path = words.next().unwrap_or_default().split(|byte| *byte == b'?').next().unwrap_or_default();
    let (status, kind, body) = match path {
        _ if !is_get => ("405 Method Not Allowed", "text/plain", "only GET\n".to_owned()),
        b"/metrics" => ("200 OK", "text/plain; version=0.0.4; charset=utf-8", text(&gauges.read(), clock())),
        b"/healthz" => match health(&gauges.read()) {
            None => ("200 OK", "text/plain", "ok\n".to_owned()),
            Some(why) => ("503 Service Unavailable", "text/plain", why),
        },
        _ => ("404 Not Found", "text/plain", "there are /metrics and /healthz\n".to_owned()),
    };
    let body = if head.starts_with(b"HEAD") { String::new() } else { body };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// What a restart or a hand is needed for; nothing if it works.
pub fn health(readings: &Readings) -> Option<String> {
    let stuck: Vec<&str> = readings.classes.iter().filter(|(_, class)| class.stuck).map(|(name, _)| name.as_str()).collect();
    (!stuck.is_empty()).then(|| format!("stuck: {}\n", stuck.join(", ")))
}

/// The readings in Prometheus' text format, version 0.0.4.
pub fn text(readings: &Readings, now: Timestamp) -> String {
    let mut page = Page::default();
    let seconds = |at: Timestamp| at.as_millisecond() as f64 / 1000.0;
    page.one("build_info", "gauge", "the version that runs", &[(&[("version", env!("CARGO_PKG_VERSION"))], 1)]);
    let outcomes = readings.forms().flat_map(|(class, form, reading)| {
        let tally = &reading.tally;
        [("clean", tally.clean), ("rejected", tally.rejected), ("excluded", tally.excluded)]
            .map(|(outcome, count)| ([("class", class), ("form", form), ("outcome", outcome)], count))
    });
    page.all("lines_total", "counter", "lines read, by what became of them", outcomes);
    page.all(
        "lines_written_total",
        "counter",
        "lines written: clean ones and scrubbed rejects",
        readings.forms().map(|(class, form, reading)| (labels(class, form), reading.tally.written)),
    );
    let reasons = readings
        .forms()
        .flat_map(|(class, form, reading)| reading.tally.reasons().into_iter().map(move |(reason, count)| ([("class", class), ("form", form), ("reason", reason)], count)));
    page.all("rejects_total", "counter", "lines that did not parse, by reason", reasons);
    page.all("masked_total", "counter", "identifiers that the residual scan masked", readings.forms().map(|(class, form, reading)| (labels(class, form), reading.tally.masked)));
    page.all(
        "keyless_total",
        "counter",
        "records with a pseudonym that there was no key for",
        readings.forms().map(|(class, form, reading)| (labels(class, form), reading.tally.keyless)),
    );
    page.all("segments_total", "counter", "segments that were finished", readings.forms().map(|(class, form, reading)| (labels(class, form), reading.segments)));
    page.all("sink_retries_total", "counter", "batches that were sent again", readings.forms().map(|(class, form, reading)| (labels(class, form), reading.retries)));
    page.all("lag_bytes", "gauge", "raw bytes that are there and not committed yet", readings.each(|class| Some(class.lag_bytes)));
    page.all("lag_seconds", "gauge", "how long the oldest of them has waited", readings.each(|class| Some(class.lag_seconds)));
    page.all("open_files", "gauge", "followed files that are open", readings.each(|class| Some(class.open_files)));
    page.all("truncations_total", "counter", "truncations of followed files", readings.each(|class| Some(class.truncations)));
    page.all("lost_bytes_at_most_total", "counter", "raw bytes that truncation may have lost, at most", readings.each(|class| Some(class.lost_at_most)));
    page.all("unbounded_truncations_total", "counter", "truncations of logs that nobody had looked at: no bound is known", readings.each(|class| Some(class.unbounded)));
    page.all("lost_messages_total", "counter", "messages that listeners know to be lost", readings.each(|class| Some(class.lost_messages)));
    page.all("stuck", "gauge", "1 while writing or committing fails", readings.each(|class| Some(u8::from(class.stuck))));
    let age = |at: Timestamp| (seconds(now) - seconds(at)).max(0.0);
    page.all("oldest_raw_age_seconds", "gauge", "age of the oldest raw record", readings.each(|class| class.oldest_raw.map(age)));
    page.all("raw_window_seconds", "gauge", "how long raw may stay", readings.each(|class| class.raw_window));
    page.one("overdue_files", "gauge", "files in which something is due that stays", &[(&[], readings.overdue)]);
    page.one("key_periods", "gauge", "periods that have a pseudonym key", &[(&[], readings.key_periods)]);
    let known = |at: Option<Timestamp>| at.map(|at| ([], seconds(at)));
    page.all("last_expiry_timestamp_seconds", "gauge", "when expiry last ended without a failure", known(readings.expired));
    page.all("last_configuration_timestamp_seconds", "gauge", "when the configuration was last read without a fault", known(readings.configured));
    page.one("configuration_at_fault", "gauge", "1 if the configuration file has a fault: the one before is in force", &[(&[], u64::from(readings.configuration_at_fault))]);
    page.one("confined", "gauge", "1 if the process can open nothing but what its configuration names (Landlock)", &[(&[], u64::from(readings.confined))]);
    page.text
}

const fn labels<'a>(class: &'a str, form: &'a str) -> [(&'static str, &'a str); 2] {
    [("class", class), ("form", form)]
}

impl Readings {
    fn forms(&self) -> impl Iterator<Item = (&str, &str, &FormReading)> + Clone {
        self.classes.iter().flat_map(|(class, reading)| reading.forms.iter().map(move |(form, reading)| (class.as_str(), form.as_str(), reading)))
    }

    fn each<T>(&self, value: impl Fn(&ClassReading) -> Option<T>) -> impl Iterator<Item = ([(&str, &str); 1], T)> {
        self.classes.iter().filter_map(move |(name, reading)| Some(([("class", name.as_str())], value(reading)?)))
    }
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn one<T: Display + Copy>(&mut self, name: &str, kind: &str, help: &str, values: &[(&[(&str, &str)], T)]) {
        self.begin(name, kind, help);
        for (labels, value) in values {
            self.line(name, labels, value);
        }
    }

    fn all<'a, const N: usize, T: Display>(&mut self, name: &str, kind: &str, help: &str, values: impl IntoIterator<Item = ([(&'a str, &'a str); N], T)>) {
        self.begin(name, kind, help);
        for (labels, value) in values {
            self.line(name, &labels, value);
        }
    }

    fn begin(&mut self, name: &str, kind: &str, help: &str) {
        let _infallible = writeln!(self.text, "# HELP logfade_{name} {help}\n# TYPE logfade_{name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let inside: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let inside = if inside.is_empty() { String::new() } else { format!("{{{}}}", inside.join(",")) };
        let _infallible = writeln!(self.text, "logfade_{name}{inside} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scrub::Tally;

    fn readings() -> Gauges {
        let gauges = Gauges::default();
        gauges.class("site\"s", |class| {
            class.lag_seconds = 0.25;
            class.oldest_raw = Some("2024-01-01T00:00:00Z".parse().unwrap());
            class.raw_window = Some(604_800);
            let mut tally = Tally::default();
            (tally.read, tally.clean, tally.rejected) = (3, 2, 1);
            class.forms.insert("default".into(), FormReading { tally, retries: 4, ..FormReading::default() });
        });
        gauges
    }

    #[test]
    fn every_reading_has_its_line() {
        let page = text(&readings().read(), "2024-01-02T00:00:00Z".parse().unwrap());
        for line in [
            "logfade_lines_total{class=\"site\\\"s\",form=\"default\",outcome=\"clean\"} 2",
            "logfade_lines_total{class=\"site\\\"s\",form=\"default\",outcome=\"rejected\"} 1",
            "logfade_sink_retries_total{class=\"site\\\"s\",form=\"default\"} 4",
            "logfade_lag_seconds{class=\"site\\\"s\"} 0.25",
            "logfade_oldest_raw_age_seconds{class=\"site\\\"s\"} 86400",
            "logfade_raw_window_seconds{class=\"site\\\"s\"} 604800",
            "logfade_overdue_files 0",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
        assert!(!page.lines().any(|line| line.starts_with("logfade_last_expiry")), "what is not known is not told");
    }

    #[test]
    fn alerts_ask_for_readings_that_there_are() {
        let page = text(&readings().read(), Timestamp::UNIX_EPOCH);
        let rules = include_str!("../../../samples/prometheus/logfade.rules.yml");
        let names: Vec<&str> = rules.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|word| word.starts_with("logfade_")).collect();
        assert!(names.len() > 8);
        for name in names {
            assert!(page.contains(&format!("# TYPE {name} ")), "{name}");
        }
    }

    fn ask(address: SocketAddr, question: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(question.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn it_answers_and_ends() {
        let (gauges, stop) = (readings(), Stop::default());
        let server = serve("127.0.0.1:0".parse().unwrap(), gauges.clone(), stop.clone(), || Timestamp::UNIX_EPOCH).unwrap();
        let get = |path: &str| ask(server.address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert!(get("/metrics").starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"));
        assert!(get("/healthz").ends_with("\r\n\r\nok\n"));
        gauges.class("site\"s", |class| class.stuck = true);
        assert!(get("/healthz").starts_with("HTTP/1.1 503") && get("/healthz").contains("stuck: site"));
        assert!(get("/").starts_with("HTTP/1.1 404"));
        assert!(ask(server.address, "POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405"));
        assert!(ask(server.address, "HEAD /metrics HTTP/1.1\r\n\r\n").ends_with("\r\n\r\n"));
        drop(TcpStream::connect(server.address).unwrap());
        stop.stop();
        server.thread.join().unwrap();
    }
}
