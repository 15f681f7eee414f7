//! Error logs of nginx and Apache: they carry client addresses, requests, referrers and user names as access logs do.

use super::kind::Kind;
use super::layout::register;
use super::request;
use super::span::{Mismatch, Slot, Spans, Text};
use super::{Field, time};
use memchr::memmem;

/// Slots of both layouts.
#[derive(Debug)]
pub(crate) struct ErrorSlots {
    time: u16,
    connection: u16,
    message: u16,
    client: u16,
    port: u16,
    host: u16,
    request: u16,
    url: u16,
    upstream: u16,
    referrer: u16,
}

impl ErrorSlots {
    pub(crate) fn compile(slots: &mut Vec<Slot>) -> Self {
        let mut add = |field: Field, name: &str| register(slots, &Slot { field, name: name.into() });
        Self {
            time: add(Field::Time, ""),
            connection: add(Field::RequestId, "connection"),
            message: add(Field::Message, ""),
            client: add(Field::ClientAddr, ""),
            port: add(Field::ClientPort, ""),
            host: add(Field::Host, ""),
            request: add(Field::Request, ""),
            url: add(Field::Url, "subrequest"),
            upstream: add(Field::Url, "upstream"),
            referrer: add(Field::Referrer, ""),
        }
    }
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// `2021/11/18 08:34:27 [info] 8659#8659: *1083 message, client: A, server: S, request: "R", upstream: "U", host: "H", referrer: "F"`.
/// Source: `ngx_http_log_error` and `ngx_log_error_core`.
pub(crate) fn nginx(slots: &ErrorSlots, line: &[u8], spans: &mut Spans) -> Result<(), Mismatch> {
    let stamp = line.get(..19).ok_or(Mismatch::Layout)?;
    if stamp.get(4) != Some(&b'/') || time::shape(stamp).is_none() {
        return Err(Mismatch::Layout);
    }
    spans.push(0, 19, slots.time, Text::Bare);
    let rest = line.get(19..).and_then(|rest| rest.strip_prefix(b" [")).ok_or(Mismatch::Layout)?;
    let level = rest.iter().take(8).position(|byte| *byte == b']').ok_or(Mismatch::Layout)?;
    let mut at = 21 + level;
    if !is_level(line.get(21..at).unwrap_or_default()) {
        return Err(Mismatch::Layout);
    }
    let rest = line.get(at..).and_then(|rest| rest.strip_prefix(b"] ")).ok_or(Mismatch::Layout)?;
    at += 2;
    let pid = digits(rest);
    let tid = digits(rest.get(pid + 1..).unwrap_or_default());
    let colon = pid + 1 + tid;
    if pid == 0 || tid == 0 || rest.get(pid) != Some(&b'#') || !rest.get(colon..).is_some_and(|rest| rest.starts_with(b": ")) {
        return Err(Mismatch::Layout);
    }
    at += colon + 2;
    if let Some(rest) = line.get(at..).and_then(|rest| rest.strip_prefix(b"*")) {
        // A connection number that was dropped is a dash.
        let id = if rest.first() == Some(&b'-') { 1 } else { digits(rest) };
        spans.push(at + 1, at + 1 + id, slots.connection, Text::Bare);
        at += 1 + id;
    }
    let blank = line.get(at..).unwrap_or_default().first() == Some(&b' ');
    at += usize::from(blank);
    let client = client_at(line, at);
    spans.push(at, client.unwrap_or(line.len()), slots.message, Text::Bare);
    if let Some(client) = client {
        details(slots, line, client, spans)?;
    }
    Ok(())
}

const CLIENT: &[u8] = b", client: ";

/// The first `, client: ` that an address follows: a message may quote the user.
fn client_at(line: &[u8], from: usize) -> Option<usize> {
    memchr::memchr_iter(b',', line.get(from..)?).map(|at| at + from).find(|at| {
        let Some(value) = line.get(*at..).and_then(|rest| rest.strip_prefix(CLIENT)) else { return false };
        let width = value.iter().position(|byte| *byte == b',').unwrap_or(value.len());
        Kind::of(Field::ClientAddr).accepts(value.get(..width).unwrap_or_default())
    })
}

/// The `, key: value` pairs behind the message.
fn details(slots: &ErrorSlots, line: &[u8], mut at: usize, spans: &mut Spans) -> Result<(), Mismatch> {
    while at < line.len() {
        let rest = line.get(at..).and_then(|rest| rest.strip_prefix(b", ")).ok_or(Mismatch::Layout)?;
        let colon = rest.windows(2).take(15).position(|two| two == b": ").ok_or(Mismatch::Layout)?;
        let start = at + 2 + colon + 2;
        let (slot, field) = match rest.get(..colon).unwrap_or_default() {
            b"client" => (slots.client, Field::ClientAddr),
            b"server" => (slots.host, Field::Host),
            b"request" => (slots.request, Field::Request),
            b"subrequest" => (slots.url, Field::Url),
            b"upstream" => (slots.upstream, Field::Url),
            b"host" => (slots.host, Field::Host),
            b"referrer" => (slots.referrer, Field::Referrer),
            // An unknown pair and what follows it is free text.
            _ => {
                spans.push(at + 2, line.len(), slots.message, Text::Bare);
                return Ok(());
            }
        };
        let value = line.get(start..).unwrap_or_default();
        let (from, to, next) = if value.first() == Some(&b'"') {
            // Quotes inside are not escaped here: the value ends where the next pair or the line's end follows.
            let mut ends = memchr::memchr_iter(b'"', value).skip(1);
            let close = ends.find(|close| is_pair(value.get(close + 1..).unwrap_or_default())).ok_or(Mismatch::Layout)?;
            (start + 1, start + close, start + close + 1)
        } else {
            let width = memchr::memchr_iter(b',', value).find(|at| value.get(at + 1) == Some(&b' ')).unwrap_or(value.len());
            (start, start + width, start + width)
        };
        if field == Field::Request {
            request::request(line, from, to, slot, Text::Quoted, spans);
        } else if field == Field::Url {
            request::url(line, from, to, slot, Text::Quoted, spans);
        } else {
            spans.push(from, to, slot, Text::Bare);
        }
        at = next;
    }
    Ok(())
}

/// The end of the line, or another `, key: `.
fn is_pair(rest: &[u8]) -> bool {
    const KEYS: [&[u8]; 5] = [b", subrequest: ", b", upstream: ", b", host: ", b", referrer: ", b", request: "];
    rest.is_empty() || KEYS.iter().any(|key| rest.starts_with(key))
}

/// `[time] [module:level] [pid 1:tid 2] … [client A:port] message, referer: F`. Source: Apache `ErrorLogFormat` defaults of 2.2 and 2.4.
pub(crate) fn apache(slots: &ErrorSlots, line: &[u8], spans: &mut Spans) -> Result<(), Mismatch> {
    let group = |at: usize| -> Option<(usize, usize)> {
        let rest = line.get(at..)?.strip_prefix(b"[")?;
        let close = memchr::memchr(b']', rest)?;
        Some((at + 1, at + 1 + close))
    };
    let (start, end) = group(0).ok_or(Mismatch::Layout)?;
    if time::shape(line.get(start..end).unwrap_or_default()).is_none() {
        return Err(Mismatch::Layout);
    }
    spans.push(start, end, slots.time, Text::Bare);
    let (start, end) = group(end + 2).ok_or(Mismatch::Layout)?;
    if !is_level(line.get(start..end).unwrap_or_default()) {
        return Err(Mismatch::Layout);
    }
    let mut at = end + 1;
    let skip_blank = |at: usize| at + usize::from(line.get(at) == Some(&b' '));
    if let Some((start, end)) = group(skip_blank(at))
        && line.get(start..end).and_then(|text| text.strip_prefix(b"pid ")).is_some_and(|rest| rest.iter().all(|byte| byte.is_ascii_digit() || b":tid ".contains(byte)))
    {
        at = end + 1;
    }
    at = skip_blank(at);
    let rest = line.get(at..).unwrap_or_default();
    let found = [&b"[client "[..], b"[remote "].iter().filter_map(|mark| memmem::find(rest, mark).map(|found| at + found)).min();
    if let Some(mark) = found
        && let Some((_, end)) = group(mark)
    {
        if mark > at {
            spans.push(at, mark, slots.message, Text::Bare);
        }
        let start = mark + 8;
        let value = line.get(start..end).unwrap_or_default();
        if !Kind::of(Field::ClientAddr).accepts(value) {
            return Err(Mismatch::Value);
        }
        // 2.4 writes the port behind the address, v6 without brackets: eight groups and one more, or dots and one colon.
        let colons = memchr::memchr_iter(b':', value).count();
        let port = memchr::memrchr(b':', value).filter(|_| colons == 1 || (colons == 8 && memmem::find(value, b"::").is_none()));
        match port {
            Some(port) => {
                spans.push(start, start + port, slots.client, Text::Bare);
                spans.push(start + port + 1, end, slots.port, Text::Bare);
            }
            None => spans.push(start, end, slots.client, Text::Bare),
        }
        at = skip_blank(end + 1);
    }
    let rest = line.get(at..).unwrap_or_default();
    const REFERER: &[u8] = b", referer: ";
    match memmem::rfind(rest, REFERER) {
        Some(mark) => {
            spans.push(at, at + mark, slots.message, Text::Bare);
            spans.push(at + mark + REFERER.len(), line.len(), slots.referrer, Text::Bare);
        }
        None => spans.push(at, line.len(), slots.message, Text::Bare),
    }
    Ok(())
}

fn is_level(text: &[u8]) -> bool {
    // Module and level, which name no person: they stay.
    const LEVELS: [&[u8]; 9] = [b"emerg", b"alert", b"crit", b"error", b"warn", b"notice", b"info", b"debug", b"trace"];
    let level = text.rsplit(|byte| *byte == b':').next().unwrap_or_default();
    let module = text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'_'));
    text.len() < 40 && module && LEVELS.iter().any(|known| level.starts_with(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(split: fn(&ErrorSlots, &[u8], &mut Spans) -> Result<(), Mismatch>, line: &str) -> Result<String, Mismatch> {
        let mut slots = Vec::new();
        let errors = ErrorSlots::compile(&mut slots);
        let mut spans = Spans::default();
        split(&errors, line.as_bytes(), &mut spans)?;
        let show = |span: &super::super::span::Span| format!("{}={}", slots[span.slot as usize].field.name(), &line[span.range()]);
        Ok(spans.as_slice().iter().skip(1).map(show).collect::<Vec<_>>().join("|"))
    }

    #[test]
    fn nginx_errors_are_cut_into_message_and_details() {
        let line = r#"2021/11/18 08:34:27 [error] 31#0: *3 user "a, client: b" was not found, client: 192.0.2.4, server: s.example, request: "GET /x?q=1 HTTP/1.1", upstream: "http://198.51.100.1:80/", host: "h.example", referrer: "https://r.example/"p""#;
        let expected = "request_id=3|message=user \"a, client: b\" was not found|client_addr=192.0.2.4|host=s.example|method=GET|path=/x|query=?q=1|protocol=HTTP/1.1|host=198.51.100.1:80|path=/|host=h.example|referrer=https://r.example/\"p";
        assert_eq!(cut(nginx, line).as_deref(), Ok(expected));
        assert_eq!(cut(nginx, "2021/06/17 19:25:59 [notice] 1#1: signal process started").as_deref(), Ok("message=signal process started"));
        assert!(cut(nginx, "2021/06/17 19:25:59 notice 1#1: x").is_err());
    }

    #[test]
    fn apache_errors_of_both_generations_are_cut() {
        assert_eq!(
            cut(apache, "[Tue Jul 22 06:48:30 2008] [error] [client 192.0.2.4] File does not exist: /x").as_deref(),
            Ok("client_addr=192.0.2.4|message=File does not exist: /x")
        );
        assert_eq!(
            cut(apache, "[Tue Jul 22 06:48:30.000001 2008] [core:info] [pid 4:tid 5] (13)denied: [client 192.0.2.4:5000] AH1: x, referer: https://r.example/").as_deref(),
            Ok("message=(13)denied: |client_addr=192.0.2.4|client_port=5000|message=AH1: x|referrer=https://r.example/")
        );
        assert_eq!(
            cut(apache, "[Tue Jul 22 06:48:30 2008] [error] [client 2001:db8:1:2:3:4:5:6:900] x").as_deref(),
            Ok("client_addr=2001:db8:1:2:3:4:5:6|client_port=900|message=x")
        );
        assert!(cut(apache, "[2018-06-22 09:33:24 +0000] [17] [INFO] Booting").is_err());
    }
}
