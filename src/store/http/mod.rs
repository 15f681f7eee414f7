//! Clean lines to a receiver over HTTP: batch after batch, each sent until it is acknowledged. At least once.

mod shape;

use super::{Cause, StoreError};
use crate::scrub::Clean;
use jiff::Timestamp;
use shape::{Shape, Verdict, halves};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use ureq::tls::{RootCerts, TlsConfig};

/// The longest answer that is read, in bytes.
const ANSWER: u64 = 4 * 1024 * 1024;

/// The longest that a receiver may ask to be left alone.
const ALONE: Duration = Duration::from_secs(300);

/// How a batch is tried again.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// The first pause; each next one is twice as long.
    pub first: Duration,
    /// No pause is longer.
    pub most: Duration,
    /// How long one attempt may take.
    pub attempt: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { first: Duration::from_millis(250), most: Duration::from_secs(30), attempt: Duration::from_secs(30) }
    }
}

/// A receiver.
pub struct Http {
    to: Sender<Batch>,
    offered: u64,
    shared: Arc<Shared>,
}

struct Batch {
    number: u64,
    lines: Vec<u8>,
}

/// What both sides know.
#[derive(Default)]
struct Shared {
    acknowledged: AtomicU64,
    retries: AtomicU64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    failure: Option<String>,
    is_stopped: bool,
}

impl Http {
    /// A receiver at an address, which may hold a user and a password. The labels are for receivers that want some.
    pub fn open(url: &str, labels: &[(&str, &str)], retry: Retry) -> Result<Self, StoreError> {
        let shown = shown(url);
        let refused = |remedy| StoreError { verb: "open", path: shown.clone().into(), cause: Cause::Refused { why: "this is no address of a receiver", remedy } };
        let shape = Shape::of(url, labels);
        let address = shape.address(url);
        let uri: ureq::http::Uri = address.parse().map_err(|_cause| refused("write it as https://host:port/path"))?;
        let is_whole = uri.host().is_some_and(|host| !host.is_empty()) && uri.authority().is_some_and(|authority| !has_odd_port(authority.as_str()));
        if !is_whole || !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(refused("write it as https://host:port/path"));
        }
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // Lines go where the configuration says, and nowhere else: no redirect, no proxy of the environment.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_global(Some(retry.attempt))
            .timeout_connect(Some(retry.attempt.min(Duration::from_secs(10))))
            .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
            .user_agent(concat!("logfade/", env!("CARGO_PKG_VERSION")))
            .build();
        let shared = Arc::new(Shared::default());
        let (to, batches) = channel();
        let courier = Courier { agent: config.into(), shape, address, retry, shared: Arc::clone(&shared), plain_json: false };
        std::thread::Builder::new().name("http".to_owned()).spawn(move || courier.run(&batches)).map_err(StoreError::io("open", shown.as_ref()))?;
        Ok(Self { to, offered: 0, shared })
    }

    /// Offers whole lines: their number, or none while others are on their way. Never waits for the network.
    pub fn offer(&mut self, clean: &Clean) -> Option<u64> {
        if self.acknowledged() != self.offered {
            return None;
        }
        if clean.as_bytes().is_empty() {
            return Some(self.offered);
        }
        let batch = Batch { number: self.offered + 1, lines: clean.as_bytes().to_vec() };
        // A thread that has ended acknowledges nothing, so that the position waits.
        self.to.send(batch).ok()?;
        self.offered += 1;
        Some(self.offered)
    }

    /// The last batch that the receiver has acknowledged; it has those in front of it too.
    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::Acquire)
    }

    /// How often something was sent again.
    pub fn retries(&self) -> u64 {
        self.shared.retries.load(Ordering::Relaxed)
    }

    /// Why a batch is being sent again just now.
    pub fn failure(&self) -> Option<String> {
        self.shared.lock().failure.clone()
    }

    /// Waits for what is on its way, but no longer than this; whether all was acknowledged.
    pub fn finish(self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let mut state = self.shared.lock();
        while self.acknowledged() != self.offered {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.shared.lock().is_stopped = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    /// Nothing that is locked here is left half changed by a panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, number: u64) {
        let mut state = self.lock();
        state.failure = None;
        self.acknowledged.store(number, Ordering::Release);
        self.changed.notify_all();
    }

    /// Notes why, and pauses; false if it is to end.
    fn pause(&self, why: String, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        let mut state = self.lock();
        state.failure = Some(why);
        self.retries.fetch_add(1, Ordering::Relaxed);
        while !state.is_stopped {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        false
    }
}

/// What sends.
struct Courier {
    agent: ureq::Agent,
    shape: Shape,
    address: String,
    retry: Retry,
    shared: Arc<Shared>,
    /// The receiver takes JSON lines only as `application/json`.
    plain_json: bool,
}

impl Courier {
    fn run(mut self, batches: &Receiver<Batch>) {
        for batch in batches {
            if !self.deliver(batch.lines) {
                return;
            }
            self.shared.settle(batch.number);
        }
    }

    /// Sends until the receiver has everything; false if it is to end before.
    fn deliver(&mut self, lines: Vec<u8>) -> bool {
        let received = now();
        let mut parts = vec![lines];
        let mut pause = self.retry.first;
        let mut is_other_type_tried = false;
        while let Some(lines) = parts.pop() {
            let (verdict, alone) = self.attempt(&lines, received);
            let (rest, why) = match verdict {
                Verdict::Taken => {
                    pause = self.retry.first;
                    continue;
                }
                Verdict::OtherType if !is_other_type_tried => {
                    is_other_type_tried = true;
                    self.plain_json = !self.plain_json;
                    parts.push(lines);
                    continue;
                }
                Verdict::TooMuch => match halves(&lines) {
                    Some((front, back)) => {
                        // The front goes first, as the lines came.
                        parts.extend([back, front].into_iter().filter_map(|half| lines.get(half).map(<[u8]>::to_vec)));
                        continue;
                    }
                    None => (lines, "status 413 for one line".to_owned()),
                },
                Verdict::OtherType => {
                    is_other_type_tried = false;
                    (lines, "status 400 or 415".to_owned())
                }
                Verdict::Again(why) => (lines, why),
                Verdict::Rest(rest, why) => (rest, why),
            };
            parts.push(rest);
            if !self.shared.pause(why, alone.unwrap_or_else(|| jittered(pause))) {
                return false;
            }
            pause = (pause * 2).min(self.retry.most);
        }
        true
    }

    /// One request, and how long the receiver wants to be left alone.
    fn attempt(&self, lines: &[u8], received: Timestamp) -> (Verdict, Option<Duration>) {
        let body = self.shape.body(lines, received);
        let request = self.agent.post(&self.address).header("content-type", self.shape.content_type(lines, self.plain_json));
        let mut response = match request.send(body.as_slice()) {
            Ok(response) => response,
            Err(error) => return (Verdict::Again(reason(&error)), None),
        };
        let status = response.status().as_u16();
        let alone = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok()).map(|seconds| Duration::from_secs(seconds).min(ALONE));
        // The answer is read so that the connection serves the next batch as well.
        match response.body_mut().with_config().limit(ANSWER).read_to_vec() {
            Ok(answer) => (self.shape.verdict(status, &answer, lines), alone),
            Err(error) => (Verdict::Again(reason(&error)), alone),
        }
    }
}

/// In words that hold neither the address nor what was sent.
fn reason(error: &ureq::Error) -> String {
    if let ureq::Error::Timeout(_) = error {
        return "no answer in time".to_owned();
    }
    if let ureq::Error::HostNotFound = error {
        return "the host is not known".to_owned();
    }
    if let ureq::Error::Tls(_) | ureq::Error::Rustls(_) = error {
        return "no secure connection".to_owned();
    }
    if let ureq::Error::Io(error) = error {
        return format!("the connection failed: {}", error.kind());
    }
    "the connection failed".to_owned()
}

/// Between half of it and all of it, so that many senders do not come back together.
fn jittered(pause: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(u32::MAX);
    pause / 2 + (pause / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// Whether something stands behind the colon that is no port.
fn has_odd_port(authority: &str) -> bool {
    let host = authority.rsplit('@').next().unwrap_or_default();
    let port = host.rsplit(']').next().unwrap_or_default().split_once(':').map(|(_, port)| port);
    port.is_some_and(|port| port.parse::<u16>().is_err())
}

/// An address without its user, password and query.
fn shown(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

/// Stands in for the time of records that have none, towards receivers that want one.
#[expect(clippy::disallowed_methods, reason = "no clean byte depends on it: it goes to the receiver beside the line")]
fn now() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        assert_eq!(shown("https://me:secret@host:1/a/b?key=secret#x"), "https://host:1/a/b");
        assert_eq!(shown("http://host"), "http://host");
    }

    #[test]
    fn pauses_lie_between_half_and_whole() {
        for _ in 0..100 {
            let pause = jittered(Duration::from_secs(8));
            assert!((4.0..=8.0).contains(&pause.as_secs_f64()));
        }
    }
}
