//! The HTTP sink: a receiver that fails, delays, refuses or resets gets every line at last, and nothing is taken meanwhile.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use logfade::format::Format;
use logfade::scrub::{Clean, OnReject, Output, Policy, Quarantined, Scrubber, Settings, Tally};
use logfade::store::http::{Http, Retry};
use serde_json::Value;

use super::pipe::combined;
use super::support::{holds, lines};

/// What the receiver does with one request.
#[derive(Clone, Copy)]
enum Turn {
    /// Answers with this status, these further headers and this body.
    Answer(u16, &'static str, &'static str),
    /// Closes the connection with the request unread.
    Reset,
    /// Takes all of it and answers nothing.
    Silent,
}

/// One request, as it came.
#[derive(Clone)]
struct Request {
    head: String,
    body: Vec<u8>,
}

/// A receiver on the loopback: does as it was told, then answers 204.
struct Receiver {
    address: SocketAddr,
    got: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    fn with(turns: &[Turn]) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let got = Arc::new(Mutex::new(Vec::new()));
        let turns = Arc::new(Mutex::new(VecDeque::from(turns.to_vec())));
        let all = Arc::clone(&got);
        std::thread::spawn(move || {
            for stream in socket.incoming() {
                let (all, turns) = (Arc::clone(&all), Arc::clone(&turns));
                std::thread::spawn(move || serve(stream.unwrap(), &all, &turns));
            }
        });
        Self { address, got }
    }

    fn url(&self, path: &str) -> String {
        format!("http://me:secret@{}{path}", self.address)
    }

    fn got(&self) -> Vec<Request> {
        self.got.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, got: &Mutex<Vec<Request>>, turns: &Mutex<VecDeque<Turn>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let turn = turns.lock().unwrap().pop_front().unwrap_or(Turn::Answer(204, "", ""));
        if matches!(turn, Turn::Reset) {
            return;
        }
        let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok()).unwrap();
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        got.lock().unwrap().push(Request { head, body });
        match turn {
            Turn::Answer(status, headers, text) => {
                let length = if status == 204 { String::new() } else { format!("Content-Length: {}\r\n", text.len()) };
                write!(stream, "HTTP/1.1 {status} X\r\n{length}{headers}\r\n{text}").unwrap();
            }
            Turn::Silent => std::thread::sleep(Duration::from_secs(3600)),
            Turn::Reset => return,
        }
    }
}

fn clean(count: usize, output: Output) -> Clean {
    let settings = Settings {
        formats: vec![Format::parse("combined").unwrap()],
        policy: Arc::new(Policy::built_in("default").unwrap()),
        on_reject: OnReject::Scrub,
        output,
        max_line: 65536,
        moments: false,
        keys: None,
        places: None,
    };
    let mut clean = Clean::default();
    Scrubber::new(&settings).block(&combined(count), &mut clean, &mut Quarantined::default(), &mut Tally::default());
    clean
}

fn quick() -> Retry {
    Retry { first: Duration::from_millis(2), most: Duration::from_millis(20), attempt: Duration::from_secs(20) }
}

fn open(receiver: &Receiver, path: &str) -> Http {
    Http::open(&receiver.url(path), &[("class", "site")], quick()).unwrap_or_else(|error| panic!("it opens: {error}"))
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_batch_is_sent_until_it_is_acknowledged() {
    let failing = [
        Turn::Answer(500, "", "no"),
        Turn::Answer(429, "Retry-After: 0\r\n", ""),
        Turn::Reset,
        Turn::Answer(302, "Location: http://127.0.0.1:1/\r\n", ""),
        Turn::Answer(401, "", ""),
    ];
    let receiver = Receiver::with(&failing);
    let mut http = open(&receiver, "/in?token=x");
    let batch = clean(10, Output::Json);
    assert_eq!(http.offer(&batch), Some(1));
    while http.acknowledged() == 0 {
        assert!(http.acknowledged() == 1 || http.offer(&batch).is_none() || http.acknowledged() == 1, "nothing is taken while a batch is on its way");
        std::thread::yield_now();
    }
    let got = receiver.got();
    let retries = http.retries();
    assert!(got.len() >= 5 && retries >= 5, "{} requests, {retries} retries", got.len());
    assert!(got.iter().all(|request| request.body == batch.as_bytes()), "every attempt is the whole batch");
    assert!(got[0].head.starts_with("POST /in?token=x HTTP/1.1\r\n") && got[0].head.to_ascii_lowercase().contains("authorization: basic "));
    assert!(http.finish(MINUTE));
}

#[test]
fn batches_come_in_order_and_none_is_lost() {
    let receiver = Receiver::with(&[Turn::Answer(200, "", "fine"), Turn::Answer(503, "", ""), Turn::Reset]);
    let mut http = open(&receiver, "/");
    let mut sent = Vec::new();
    for count in 1..=8 {
        let batch = clean(count, Output::Same);
        while http.offer(&batch).is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        sent.push(batch.as_bytes().to_vec());
    }
    assert!(http.finish(MINUTE));
    let mut got: Vec<Vec<u8>> = receiver.got().into_iter().map(|request| request.body).collect();
    got.dedup();
    assert!(got == sent, "as they were offered, but for repetitions");
    assert!(receiver.got()[0].head.contains("text/plain"));
}

#[test]
fn a_receiver_that_is_away_keeps_the_position_where_it_is() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://me:secret@{}/", nobody.local_addr().unwrap());
    drop(nobody);
    let mut http = Http::open(&url, &[], quick()).unwrap_or_else(|error| panic!("it opens: {error}"));
    let batch = clean(1, Output::Json);
    assert_eq!(http.offer(&batch), Some(1));
    while http.retries() < 3 {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!((http.acknowledged(), http.offer(&batch)), (0, None));
    let failure = http.failure().unwrap();
    assert!(failure.contains("connection") && !failure.contains("secret"), "{failure}");
    assert!(!http.finish(Duration::from_millis(1)), "it says that not all was taken");
}

#[test]
fn a_receiver_that_never_answers_is_given_up_and_tried_again() {
    let receiver = Receiver::with(&[Turn::Silent]);
    let retry = Retry { attempt: Duration::from_millis(200), ..quick() };
    let mut http = Http::open(&receiver.url("/"), &[], retry).unwrap_or_else(|error| panic!("it opens: {error}"));
    http.offer(&clean(1, Output::Json)).unwrap();
    assert!(http.finish(MINUTE));
    assert!(receiver.got().len() >= 2);
}

#[test]
fn what_is_too_much_at_once_is_sent_in_halves() {
    let receiver = Receiver::with(&[Turn::Answer(413, "", ""), Turn::Answer(413, "", "")]);
    let mut http = open(&receiver, "/");
    let batch = clean(8, Output::Json);
    http.offer(&batch).unwrap();
    assert!(http.finish(MINUTE));
    let got = receiver.got();
    assert_eq!(got.iter().map(|request| lines(&request.body).len()).collect::<Vec<_>>(), [8, 4, 2, 2, 4]);
    let taken: Vec<u8> = got[2..].iter().flat_map(|request| request.body.clone()).collect();
    assert!(taken == batch.as_bytes(), "in order");
}

#[test]
fn a_receiver_that_knows_only_plain_json_gets_that() {
    let receiver = Receiver::with(&[Turn::Answer(400, "", "error: invalid 'Content-Type'\n")]);
    let mut http = open(&receiver, "/app.log");
    http.offer(&clean(3, Output::Json)).unwrap();
    while http.acknowledged() == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    http.offer(&clean(3, Output::Json)).unwrap();
    assert!(http.finish(MINUTE));
    let types: Vec<bool> = receiver.got().iter().map(|request| request.head.contains("application/json")).collect();
    assert_eq!(types, [false, true, true], "and it is remembered");
}

#[test]
fn elasticsearch_gets_the_lines_again_that_it_refused() {
    let partly = r#"{"errors":true,"items":[{"create":{"status":201}},{"create":{"status":429}},{"create":{"status":201}}]}"#;
    let receiver = Receiver::with(&[Turn::Answer(200, "", partly), Turn::Answer(200, "", r#"{"errors":false}"#)]);
    let mut http = open(&receiver, "/logs/_bulk");
    let batch = clean(3, Output::Json);
    http.offer(&batch).unwrap();
    assert!(http.finish(MINUTE));
    let got = receiver.got();
    assert_eq!(got.len(), 2);
    assert!(got[0].head.starts_with("POST /logs/_bulk?filter_path=") && got[0].head.contains("application/x-ndjson"));
    let again = lines(&got[1].body);
    assert_eq!(again.len(), 2);
    assert!(again[0] == b"{\"create\":{}}" && again[1] == lines(batch.as_bytes())[1], "only the one that was refused");
}

#[test]
fn loki_gets_streams() {
    let receiver = Receiver::with(&[]);
    let mut http = open(&receiver, "/loki/api/v1/push");
    http.offer(&clean(2, Output::Json)).unwrap();
    assert!(http.finish(MINUTE));
    let push: Value = serde_json::from_slice(&receiver.got()[0].body).unwrap();
    let stream = &push["streams"][0];
    assert_eq!((stream["stream"]["job"].as_str(), stream["stream"]["class"].as_str()), (Some("logfade"), Some("site")));
    assert_eq!(stream["values"].as_array().map(Vec::len), Some(2));
    assert_eq!(stream["values"][0][0], "1696942800000000000", "the record's own time");
    assert!(!holds(&receiver.got()[0].body, b"frank"));
}

#[test]
fn what_is_no_address_is_refused_without_telling_its_password() {
    for url in ["ftp://me:secret@host/", "http:///x", "http://me:secret@host:port/", "host"] {
        let error = Http::open(url, &[], quick()).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("no address of a receiver") && !error.contains("secret"), "{url}: {error}");
    }
}
