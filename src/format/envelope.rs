//! What carriers put around a line: peeled before the format, put back after, fields of its own.

use super::json::{Followers, Tree};
use super::span::{Slot, Spans, Text};
use super::{Field, time};
use std::sync::OnceLock;

/// Slots that every format has in front of its own.
pub(crate) const TIME: u16 = 0;
const HOST: u16 = 1;
const TAG: u16 = 2;
const OTHER: u16 = 3;
const NESTED: u16 = 4;
/// How many they are.
pub(crate) const SLOTS: usize = 5;
/// The name of what they say themselves.
const OWN: &str = "envelope";

/// The slots of envelopes, in the order of their numbers.
pub(crate) fn slots() -> Vec<Slot> {
    let slot = |field, name: &str| Slot { field, name: name.into() };
    vec![slot(Field::Time, OWN), slot(Field::Host, OWN), slot(Field::Server, OWN), slot(Field::Other, OWN), slot(Field::Other, "line")]
}

/// Whether a slot is one of these.
pub(crate) fn is_envelope(slot: &Slot) -> bool {
    &*slot.name == OWN
}

/// A carrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Envelope {
    /// BSD syslog, also with an RFC 3339 time in front (rsyslog's file format).
    Rfc3164,
    /// Syslog with structured data.
    Rfc5424,
    /// Kubernetes container runtime: `TIME stdout F line`.
    Cri,
    /// Docker's json-file driver.
    Docker,
    /// `journalctl -o json`.
    Journald,
    /// `docker compose logs`: `name-1  | line`; `kubectl logs --prefix`: `[pod/x/y] line`.
    Prefix,
}

/// Where the carried line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peeled {
    /// What carries it.
    pub envelope: Envelope,
    /// First byte of the carried line.
    pub start: usize,
    /// Byte after its last.
    pub end: usize,
    /// It is the inside of a JSON string.
    pub coded: bool,
    /// The carrier cut the line; the rest comes with the next one.
    pub partial: bool,
}

/// Peels the outermost envelope; pushes the spans of what it says itself. For JSON carriers the spans behind the
/// carried line are pushed too.
pub fn peel(line: &[u8], spans: &mut Spans) -> Option<Peeled> {
    let before = spans.len();
    let found = match line.first()? {
        b'{' => json(line, spans),
        b'<' => priority(line, spans),
        b'[' => bracket(line, spans),
        b'0'..=b'9' => cri(line, spans).or_else(|| {
            spans.truncate(before);
            bsd(line, 0, spans)
        }),
        _ => bsd(line, 0, spans).or_else(|| {
            spans.truncate(before);
            compose(line, spans)
        }),
    };
    if found.is_none() {
        spans.truncate(before);
    }
    found
}

fn word_end(line: &[u8], at: usize) -> Option<usize> {
    let width = line.get(at..)?.iter().take(256).position(|byte| *byte == b' ')?;
    (width > 0).then_some(at + width)
}

fn text(envelope: Envelope, line: &[u8], start: usize) -> Option<Peeled> {
    Some(Peeled { envelope, start, end: line.len(), coded: false, partial: false })
}

/// RFC 3164 section 4.1 and RFC 5424 section 6: `<PRI>` first.
fn priority(line: &[u8], spans: &mut Spans) -> Option<Peeled> {
    let close = line.iter().take(5).position(|byte| *byte == b'>')?;
    let digits = line.get(1..close)?;
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let at = close + 1;
    if line.get(at..)?.starts_with(b"1 ") { rfc5424(line, at + 2, spans) } else { bsd(line, at, spans) }
}

/// `TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG`
fn rfc5424(line: &[u8], mut at: usize, spans: &mut Spans) -> Option<Peeled> {
    for slot in [TIME, HOST, TAG, OTHER, OTHER] {
        let end = word_end(line, at)?;
        let value = line.get(at..end)?;
        if slot == TIME && value != b"-" && time::shape(value).is_none() {
            return None;
        }
        spans.push(at, end, slot, Text::Bare);
        at = end + 1;
    }
    if line.get(at) == Some(&b'-') {
        at += 1;
    } else {
        let start = at;
        while line.get(at) == Some(&b'[') {
            // SD-ELEMENT ends at an unescaped bracket.
            let mut from = at;
            loop {
                from += memchr::memchr(b']', line.get(from..)?)?;
                if line.get(from - 1) != Some(&b'\\') {
                    break;
                }
                from += 1;
            }
            at = from + 1;
        }
        if at == start {
            return None;
        }
        spans.push(start, at, OTHER, Text::Bare);
    }
    let rest = line.get(at..)?;
    let rest = rest.strip_prefix(b" ")?;
    let rest = rest.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(rest);
    // rsyslog keeps the blank that stood behind the tag of an RFC 3164 message.
    let blanks = rest.iter().take_while(|byte| **byte == b' ').count();
    text(Envelope::Rfc5424, line, line.len() - rest.len() + blanks)
}

/// `Mmm dd HH:MM:SS HOST TAG[PID]: line`, `2019-01-14T21:49:23+00:00 HOST TAG[PID]: line`, `TIME HOST {json}`.
fn bsd(line: &[u8], at: usize, spans: &mut Spans) -> Option<Peeled> {
    let short = line.get(at..at + 15).filter(|stamp| stamp.first().is_some_and(u8::is_ascii_alphabetic) && time::shape(stamp).is_some());
    let end = match short {
        Some(_) => at + 15,
        None => word_end(line, at).filter(|end| line.get(at..*end).is_some_and(|stamp| stamp.len() > 18 && time::shape(stamp).is_some()))?,
    };
    spans.push(at, end, TIME, Text::Bare);
    let host = end + 1;
    if line.get(end) != Some(&b' ') {
        return None;
    }
    let host_end = word_end(line, host)?;
    let sane = |text: &[u8]| !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/' | b'@' | b'%'));
    let word = line.get(host..host_end)?;
    if !sane(word) && !word.strip_suffix(b":").is_some_and(is_tag) {
        return None;
    }
    // Over a local socket nobody names the host: HAProxy, nginx with `nohostname`, syslog(3).
    let has_host = !word.strip_suffix(b":").is_some_and(is_tag);
    let mut start = host;
    if has_host {
        spans.push(host, host_end, HOST, Text::Bare);
        start = host_end + line.get(host_end..)?.iter().take_while(|byte| **byte == b' ').count();
    }
    if line.get(start) == Some(&b'{') {
        return text(Envelope::Rfc3164, line, start);
    }
    // TAG: up to `[` or `:`.
    let width = line.get(start..)?.iter().take(64).position(|byte| matches!(byte, b'[' | b':' | b' '))?;
    if !sane(line.get(start..start + width)?) {
        return None;
    }
    spans.push(start, start + width, TAG, Text::Bare);
    start += width;
    if line.get(start) == Some(&b'[') {
        let close = line.get(start..)?.iter().take(16).position(|byte| *byte == b']')?;
        spans.push(start + 1, start + close, OTHER, Text::Bare);
        start += close + 1;
    }
    line.get(start..)?.starts_with(b": ").then_some(())?;
    text(Envelope::Rfc3164, line, start + 2)
}

/// Whether this is `TAG` or `TAG[PID]`: an address is none.
fn is_tag(word: &[u8]) -> bool {
    let name = match word.strip_suffix(b"]") {
        None => word,
        Some(inner) => match inner.iter().rposition(|byte| *byte == b'[').map(|open| inner.split_at(open)) {
            Some((name, [_, pid @ ..])) if !pid.is_empty() && pid.iter().all(u8::is_ascii_digit) => name,
            Some(_) | None => return false,
        },
    };
    name.iter().any(u8::is_ascii_alphabetic) && name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/'))
}

/// Kubernetes `CRI` log format: `TIME stdout|stderr P|F line`.
fn cri(line: &[u8], spans: &mut Spans) -> Option<Peeled> {
    let end = word_end(line, 0)?;
    time::shape(line.get(..end)?)?;
    let rest = line.get(end..)?;
    let rest = rest.strip_prefix(b" stdout ").or_else(|| rest.strip_prefix(b" stderr "))?;
    let (partial, rest) = match rest {
        [b'F', b' ', rest @ ..] => (false, rest),
        [b'P', b' ', rest @ ..] => (true, rest),
        _ => return None,
    };
    spans.push(0, end, TIME, Text::Bare);
    text(Envelope::Cri, line, line.len() - rest.len()).map(|peeled| Peeled { partial, ..peeled })
}

/// `kubectl logs --prefix`
fn bracket(line: &[u8], spans: &mut Spans) -> Option<Peeled> {
    let close = line.iter().take(256).position(|byte| *byte == b']')?;
    let name = line.get(1..close)?;
    (name.starts_with(b"pod/") && line.get(close + 1) == Some(&b' ')).then_some(())?;
    spans.push(1, close, TAG, Text::Bare);
    text(Envelope::Prefix, line, close + 2)
}

/// `name-1  | line`, with or without terminal colours around the name.
fn compose(line: &[u8], spans: &mut Spans) -> Option<Peeled> {
    let bar = line.iter().take(160).position(|byte| *byte == b'|')?;
    let mut start = 0;
    while let Some([0x1b, b'[', rest @ ..]) = line.get(start..bar) {
        let code = rest.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b';').count();
        start += 3 + code;
    }
    let name = line.get(start..bar)?;
    let width = name.iter().position(|byte| *byte == b' ')?;
    let (name, blanks) = name.split_at(width);
    let sane = !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    (sane && blanks.iter().all(|byte| *byte == b' ')).then_some(())?;
    spans.push(start, start + width, TAG, Text::Bare);
    let mut at = bar + 1;
    while let Some([0x1b, b'[', rest @ ..]) = line.get(at..) {
        let code = rest.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b';').count();
        at += 3 + code;
    }
    line.get(at..)?.strip_prefix(b" ")?;
    text(Envelope::Prefix, line, at + 1)
}

/// The maps of both JSON carriers, and which of this module's slots each of their slots is.
fn carriers() -> &'static [(Envelope, Tree, Vec<u16>); 2] {
    static CARRIERS: OnceLock<[(Envelope, Tree, Vec<u16>); 2]> = OnceLock::new();
    CARRIERS.get_or_init(|| {
        let build = |envelope, map: &[(&str, Field)], required: &str| {
            let mut slots = Vec::new();
            let map: Vec<(String, Field)> = map.iter().map(|(path, field)| ((*path).to_owned(), *field)).collect();
            let tree = Tree::compile(&map, &[required.to_owned()], &mut slots);
            let numbers = [(Field::Time, TIME), (Field::Host, HOST), (Field::Server, TAG), (Field::Message, NESTED)];
            let number = |slot: &Slot| numbers.iter().find(|(field, _)| *field == slot.field).map_or(OTHER, |(_, number)| *number);
            (envelope, tree, slots.iter().map(number).collect())
        };
        [
            build(Envelope::Docker, &[("log", Field::Message), ("time", Field::Time), ("stream", Field::Server)], "log"),
            build(
                Envelope::Journald,
                &[
                    ("MESSAGE", Field::Message),
                    ("_HOSTNAME", Field::Host),
                    ("__REALTIME_TIMESTAMP", Field::Time),
                    ("_SOURCE_REALTIME_TIMESTAMP", Field::Time),
                    ("SYSLOG_TIMESTAMP", Field::Time),
                    ("SYSLOG_IDENTIFIER", Field::Server),
                    ("_SYSTEMD_UNIT", Field::Server),
                    ("_COMM", Field::Server),
                    ("_TRANSPORT", Field::Server),
                    ("PRIORITY", Field::Server),
                    ("SYSLOG_FACILITY", Field::Server),
                ],
                "MESSAGE",
            ),
        ]
    })
}

/// A JSON carrier holds the line in a string of its top level.
fn json(line: &[u8], spans: &mut Spans) -> Option<Peeled> {
    let probe = line.get(..4096.min(line.len()))?;
    let index = if memchr::memmem::find(probe, b"\"log\"").is_some() {
        0
    } else if memchr::memmem::find(line, b"\"MESSAGE\"").is_some() {
        1
    } else {
        return None;
    };
    let (envelope, tree, numbers) = carriers().get(index)?;
    let mut found = Spans::default();
    tree.split(line, &mut Followers::default(), &mut found).ok()?;
    let mut nested = None;
    for span in found.as_slice() {
        let slot = numbers.get(usize::from(span.slot)).copied().unwrap_or(OTHER);
        if slot != NESTED {
            spans.push(span.start as usize, span.end as usize, slot, span.text);
        } else if span.text == Text::Json && nested.is_none() {
            nested = Some(span.range());
        } else {
            return None;
        }
    }
    let inner = nested?;
    let mut end = inner.end;
    let mut partial = false;
    if *envelope == Envelope::Docker {
        // Docker keeps the line's own end inside the string, and leaves it out where it cut a long line.
        let value = line.get(inner.clone())?;
        let tail = value.strip_suffix(b"\\n").map(|rest| rest.strip_suffix(b"\\r").unwrap_or(rest));
        partial = tail.is_none();
        end = inner.start + tail.unwrap_or(value).len();
    }
    Some(Peeled { envelope: *envelope, start: inner.start, end, coded: true, partial })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(line: &str) -> Option<String> {
        let mut spans = Spans::default();
        let peeled = peel(line.as_bytes(), &mut spans)?;
        let outer: Vec<&str> = spans.as_slice().iter().map(|span| &line[span.range()]).collect();
        Some(format!("{:?} [{}] {}{}", peeled.envelope, outer.join(","), &line[peeled.start..peeled.end], if peeled.partial { " …" } else { "" }))
    }

    #[test]
    fn every_carrier_is_peeled() {
        let table = [
            ("<190>Nov  2 01:02:03 web1 nginx: L", "Rfc3164 [Nov  2 01:02:03,web1,nginx] L"),
            ("Feb  1 18:34:10 192.0.2.4 haproxy[42]: L x", "Rfc3164 [Feb  1 18:34:10,192.0.2.4,haproxy,42] L x"),
            ("<134>Feb  1 18:34:10 haproxy[42]: L x", "Rfc3164 [Feb  1 18:34:10,haproxy,42] L x"),
            ("<190>Feb  1 18:34:10 nginx: 192.0.2.1 L", "Rfc3164 [Feb  1 18:34:10,nginx] 192.0.2.1 L"),
            ("<190>Feb  1 18:34:10 2001:db8::1 nginx: L", "Rfc3164 [Feb  1 18:34:10,2001:db8::1,nginx] L"),
            ("<13>1 2019-01-14T21:49:23Z h app - - -  L", "Rfc5424 [2019-01-14T21:49:23Z,h,app,-,-] L"),
            ("2019-01-14T21:49:23+00:00 h haproxy[6]: L", "Rfc3164 [2019-01-14T21:49:23+00:00,h,haproxy,6] L"),
            ("2021-11-12T16:59:46.613304+00:00 192.0.2.1  {\"a\":1}", "Rfc3164 [2021-11-12T16:59:46.613304+00:00,192.0.2.1] {\"a\":1}"),
            ("<13>1 2019-01-14T21:49:23Z h app 12 ID7 [x@1 a=\"b\\]\"] L", "Rfc5424 [2019-01-14T21:49:23Z,h,app,12,ID7,[x@1 a=\"b\\]\"]] L"),
            ("<13>1 - h app - - - L", "Rfc5424 [-,h,app,-,-] L"),
            ("2022-01-28T16:04:05.413656027Z stdout F L", "Cri [2022-01-28T16:04:05.413656027Z] L"),
            ("2022-01-28T16:04:05.413656027Z stderr P L", "Cri [2022-01-28T16:04:05.413656027Z] L …"),
            (r#"{"log":"a \"b\"\n","stream":"stdout","time":"2021-08-24T09:52:13.2Z"}"#, r#"Docker [stdout,2021-08-24T09:52:13.2Z] a \"b\""#),
            (r#"{"log":"a","stream":"stdout"}"#, "Docker [stdout] a …"),
            (r#"{"_HOSTNAME":"h","MESSAGE":"m","X":"1"}"#, "Journald [h,X,1] m"),
            ("web-1  | L", "Prefix [web-1] L"),
            ("\u{1b}[33mweb-1  | \u{1b}[0mL", "Prefix [web-1] L"),
            ("[pod/a/b] L", "Prefix [pod/a/b] L"),
        ];
        for (line, expected) in table {
            // A colour behind the bar stands after the blank, so it stays with the line.
            let expected = if line.contains("[0mL") { "Prefix [web-1] \u{1b}[0mL" } else { expected };
            assert_eq!(show(line).as_deref(), Some(expected), "{line}");
        }
        for bare in ["192.0.2.1 - - [x] y", "", "{\"a\":1}", "www.example.com 192.0.2.1 - -", "<a>", "2021/11/18 08:34:27 [info] x"] {
            assert_eq!(show(bare), None, "{bare}");
        }
    }
}
