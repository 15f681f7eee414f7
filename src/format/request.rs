//! Cuts request lines and URLs into method, host, path, query and protocol.
//!
//! A composite slot takes [`PARTS`] consecutive slots: itself (for what is no request line), then its parts.

#![expect(clippy::indexing_slicing, reason = "tables of 256 entries are indexed by a byte, constants are built by the compiler")]

use super::span::{Spans, Text};

/// Slots that a composite takes.
pub(crate) const PARTS: u16 = 7;
pub(crate) const METHOD: u16 = 1;
pub(crate) const PATH: u16 = 2;
pub(crate) const QUERY: u16 = 3;
pub(crate) const PROTOCOL: u16 = 4;
pub(crate) const HOST: u16 = 5;
pub(crate) const USER: u16 = 6;

/// RFC 9112, section 3: `method SP request-target SP HTTP-version`. What has another form becomes one span of the composite
/// itself, which only a policy that keeps paths lets through.
#[inline]
pub(crate) fn request(line: &[u8], start: usize, end: usize, slot: u16, text: Text, spans: &mut Spans) {
    let value = line.get(start..end).unwrap_or_default();
    let blank = match value {
        [b'G', b'E', b'T', b' ', ..] => Some(3),
        [b'P', b'O', b'S', b'T', b' ', ..] | [b'H', b'E', b'A', b'D', b' ', ..] => Some(4),
        _ => value.iter().take(24).position(|byte| *byte == b' '),
    };
    let Some(blank) = blank else {
        spans.push(start, end, slot, text);
        return;
    };
    let method = value.get(..blank).unwrap_or_default();
    if !is_method(method) {
        spans.push(start, end, slot, text);
        return;
    }
    let target = start + blank + 1;
    // The protocol is the last word, if it is one: a target may hold blanks.
    let rest = line.get(target..end).unwrap_or_default();
    let (target_end, protocol) = match rest.len().checked_sub(9).map(|at| rest.split_at(at)) {
        Some((_, tail)) if is_protocol(tail) => (end - 9, Some(end - 8)),
        _ => match memchr::memrchr(b' ', rest) {
            Some(at) if is_protocol(rest.get(at..).unwrap_or_default()) => (target + at, Some(target + at + 1)),
            _ => (end, None),
        },
    };
    if protocol.is_none() && memchr::memchr(b' ', rest).is_some() {
        spans.push(start, end, slot, text);
        return;
    }
    spans.push(start, start + blank, slot + METHOD, text);
    url(line, target, target_end, slot, text, spans);
    if let Some(protocol) = protocol {
        spans.push(protocol, end, slot + PROTOCOL, text);
    }
}

/// ` HTTP/1.1`, ` HTTP/2`, ` RTSP/1.0` with the blank in front.
#[inline]
fn is_protocol(tail: &[u8]) -> bool {
    if let [b' ', b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] = tail {
        return true;
    }
    is_other_protocol(tail)
}

fn is_other_protocol(tail: &[u8]) -> bool {
    const NAMES: [&[u8]; 6] = [b"HTTP", b"HTTPS", b"RTSP", b"SPDY", b"ICY", b"WS"];
    let Some((b' ', word)) = tail.split_first() else { return false };
    let Some(slash) = word.iter().take(8).position(|byte| *byte == b'/') else { return false };
    let (name, version) = word.split_at(slash);
    let version = version.get(1..).unwrap_or_default();
    // Some writers of JSON put a backslash in front of every slash.
    let name = name.strip_suffix(b"\\").unwrap_or(name);
    NAMES.contains(&name) && matches!(version.len(), 1 | 3) && version.iter().enumerate().all(|(at, byte)| if at == 1 { *byte == b'.' } else { byte.is_ascii_digit() })
}

/// Methods of the IANA registry, of RTSP and UPnP, and a few of servers and caches. Others are what a client made up.
pub fn is_method(method: &[u8]) -> bool {
    const KNOWN: [&[u8]; 49] = [
        b"PUT",
        b"DELETE",
        b"OPTIONS",
        b"PATCH",
        b"CONNECT",
        b"TRACE",
        b"PROPFIND",
        b"PROPPATCH",
        b"MKCOL",
        b"COPY",
        b"MOVE",
        b"LOCK",
        b"UNLOCK",
        b"SEARCH",
        b"REPORT",
        b"QUERY",
        b"PURGE",
        b"BAN",
        b"MERGE",
        b"CHECKOUT",
        b"CHECKIN",
        b"UNCHECKOUT",
        b"MKACTIVITY",
        b"MKWORKSPACE",
        b"MKCALENDAR",
        b"VERSION-CONTROL",
        b"BASELINE-CONTROL",
        b"UPDATE",
        b"LABEL",
        b"LINK",
        b"UNLINK",
        b"ACL",
        b"BIND",
        b"REBIND",
        b"UNBIND",
        b"ORDERPATCH",
        b"PRI",
        b"SOURCE",
        b"STATS",
        b"NOTIFY",
        b"SUBSCRIBE",
        b"UNSUBSCRIBE",
        b"M-SEARCH",
        b"DESCRIBE",
        b"ANNOUNCE",
        b"SETUP",
        b"PLAY",
        b"PAUSE",
        b"TEARDOWN",
    ];
    matches!(method, b"GET" | b"POST" | b"HEAD") || KNOWN.contains(&method) || matches!(method, b"DEBUG" | b"TRACK" | b"RPC_IN_DATA" | b"RPC_OUT_DATA" | b"BITS_POST")
}

/// Whether a value names a protocol and its version: `HTTP/1.1`, `h2`, `2.0`, `https`.
pub fn is_protocol_name(value: &[u8]) -> bool {
    const NAMES: [&[u8]; 17] = [b"HTTP", b"HTTPS", b"H2", b"H2C", b"H3", b"SPDY", b"RTSP", b"WS", b"WSS", b"GRPC", b"GRPCS", b"TCP", b"UDP", b"QUIC", b"TLS", b"SSL", b"ICY"];
    let (name, version) =
        value.iter().position(|byte| *byte == b'/').map_or((value, &b""[..]), |at| (value.get(..at).unwrap_or_default(), value.get(at + 1..).unwrap_or_default()));
    let name = name.strip_suffix(b"\\").unwrap_or(name);
    let number = |text: &[u8]| text.len() <= 7 && text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    (NAMES.iter().any(|known| known.eq_ignore_ascii_case(name)) || (version.is_empty() && number(name))) && number(version)
}

/// RFC 3986: `[scheme://[user@]host[:port]]path[?query]`, or `host:port` of CONNECT.
#[inline]
pub(crate) fn url(line: &[u8], start: usize, end: usize, slot: u16, text: Text, spans: &mut Spans) {
    let value = line.get(start..end).unwrap_or_default();
    let mut path = start;
    if !matches!(value, [b'/', ..] | [b'\\', b'/', ..]) {
        if let Some(authority) = scheme(value).or_else(|| is_authority(value).then_some(0)) {
            path = start + authority_spans(value, start, authority, slot, text, spans);
        }
    } else if value.starts_with(b"//") && value.get(2).is_some_and(|byte| *byte != b'/') {
        path = start + authority_spans(value, start, 2, slot, text, spans);
    }
    parts(line, path, end, (slot + PATH, slot + QUERY), text, spans);
}

/// A path that may hold a query all the same: what follows it takes the slot behind the path's.
#[inline]
pub(crate) fn path(line: &[u8], start: usize, end: usize, slot: u16, text: Text, spans: &mut Spans) {
    parts(line, start, end, (slot, slot + 1), text, spans);
}

#[inline]
fn parts(line: &[u8], start: usize, end: usize, (path, query): (u16, u16), text: Text, spans: &mut Spans) {
    let cut = query_start(line.get(start..end).unwrap_or_default()).map_or(end, |at| start + at);
    if start < cut || cut == end {
        spans.push(start, cut, path, text);
    }
    if cut < end {
        spans.push(cut, end, query, Text::Tail);
    }
}

/// The offset behind `scheme://`, also where its marks are percent-encoded.
pub(crate) fn scheme(value: &[u8]) -> Option<usize> {
    let name = value.iter().take(20).position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'.' | b'-')))?;
    let rest = value.get(name..)?;
    if name == 0 {
        return None;
    }
    if rest.starts_with(b"://") {
        return Some(name + 3);
    }
    // A solidus may be escaped in JSON.
    if rest.starts_with(br":\/\/") {
        return Some(name + 5);
    }
    let coded = rest.get(..9)?;
    coded.eq_ignore_ascii_case(b"%3A%2F%2F").then_some(name + 9)
}

/// `host:port` and nothing else.
fn is_authority(value: &[u8]) -> bool {
    let Some(colon) = memchr::memrchr(b':', value) else { return false };
    let (host, port) = value.split_at(colon);
    let port = port.get(1..).unwrap_or_default();
    let port = port.strip_suffix(b"/").unwrap_or(port);
    !host.is_empty()
        && (1..=5).contains(&port.len())
        && port.iter().all(u8::is_ascii_digit)
        && host
            .rsplit(|byte| *byte == b'@')
            .next()
            .is_some_and(|host| !host.is_empty() && host.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'[' | b']' | b':')))
}

/// Spans of user and host; returns the offset of the path.
fn authority_spans(value: &[u8], start: usize, at: usize, slot: u16, text: Text, spans: &mut Spans) -> usize {
    let rest = value.get(at..).unwrap_or_default();
    let end = at + authority_len(rest);
    let authority = value.get(at..end).unwrap_or_default();
    let mut host = at;
    if let Some(sign) = memchr::memrchr(b'@', authority) {
        spans.push(start + at, start + at + sign, slot + USER, text);
        host = at + sign + 1;
    }
    spans.push(start + host, start + end, slot + HOST, text);
    end
}

/// Length of the authority: up to a slash, query or fragment, or anything escaped, which no host name holds.
pub(crate) fn authority_len(rest: &[u8]) -> usize {
    rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#' | b'%' | b'\\')).unwrap_or(rest.len())
}

/// Where the query starts: `?`, `#`, or one of them percent-encoded once or twice or escaped (`\u003f`, `\x3f`), because
/// servers log what was sent and writers of JSON escape what they like.
#[inline]
pub(crate) fn query_start(value: &[u8]) -> Option<usize> {
    const STOPS: [bool; 256] = {
        let mut stops = [false; 256];
        stops[b'?' as usize] = true;
        stops[b'#' as usize] = true;
        stops[b'%' as usize] = true;
        stops[b'\\' as usize] = true;
        stops
    };
    let mut from = 0;
    loop {
        let at = from + value.get(from..)?.iter().position(|byte| STOPS[*byte as usize])?;
        let tail = value.get(at..)?;
        let found = match tail {
            [b'%', ..] => coded(tail, b"3F") || coded(tail, b"23"),
            [b'\\', ..] => escape_of(tail).is_some_and(|(byte, _)| matches!(byte, b'?' | b'#')),
            _ => true,
        };
        if found {
            return Some(at);
        }
        from = at + 1;
    }
}

/// The byte that `\u00HH` or `\xHH` stands for, and the width of the escape.
pub(crate) fn escape_of(tail: &[u8]) -> Option<(u8, usize)> {
    let (digits, width) = match tail {
        [b'\\', b'u', b'0', b'0', digits @ ..] => (digits, 6),
        [b'\\', b'x', digits @ ..] => (digits, 4),
        _ => return None,
    };
    let digit = |byte: &u8| char::from(*byte).to_digit(16).map(|value| value as u8);
    Some((digit(digits.first()?)? << 4 | digit(digits.get(1)?)?, width))
}

/// `%HH` or `%25HH` with these two digits.
fn coded(tail: &[u8], digits: &[u8; 2]) -> bool {
    let rest = tail.get(1..).unwrap_or_default();
    let rest = rest.strip_prefix(b"25").unwrap_or(rest);
    rest.get(..2).is_some_and(|found| found.eq_ignore_ascii_case(digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(value: &str) -> String {
        let mut spans = Spans::default();
        request(value.as_bytes(), 0, value.len(), 0, Text::Quoted, &mut spans);
        let names = ["request", "method", "path", "query", "protocol", "host", "user"];
        let text = |span: &super::super::span::Span| format!("{}={}", names[span.slot as usize], &value[span.range()]);
        spans.as_slice().iter().map(text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn request_lines_are_cut_into_their_parts() {
        assert_eq!(parts("GET /a?b=1 HTTP/1.1"), "method=GET path=/a query=?b=1 protocol=HTTP/1.1");
        assert_eq!(parts("GET /a HTTP/2"), "method=GET path=/a protocol=HTTP/2");
        assert_eq!(parts("GET /a b HTTP/1.1"), "method=GET path=/a b protocol=HTTP/1.1");
        assert_eq!(parts("GET /"), "method=GET path=/");
        assert_eq!(parts("GET /a%3Fid=7 HTTP/1.0"), "method=GET path=/a query=%3Fid=7 protocol=HTTP/1.0");
        assert_eq!(parts("GET /a%253fid HTTP/1.0"), "method=GET path=/a query=%253fid protocol=HTTP/1.0");
        assert_eq!(parts("GET http://u:p@h.example:80/a?b HTTP/1.1"), "method=GET user=u:p host=h.example:80 path=/a query=?b protocol=HTTP/1.1");
        assert_eq!(parts("GET http://h.example?b HTTP/1.1"), "method=GET host=h.example query=?b protocol=HTTP/1.1");
        assert_eq!(parts("CONNECT h.example:443 HTTP/1.1"), "method=CONNECT host=h.example:443 path= protocol=HTTP/1.1");
        assert_eq!(parts("OPTIONS * HTTP/1.0"), "method=OPTIONS path=* protocol=HTTP/1.0");
    }

    #[test]
    fn what_is_no_request_line_stays_whole() {
        for odd in ["-", "", r"\x16\x03\x01 \x02", "HELP", "145.ll|'|'|x y", "GET a b c"] {
            assert_eq!(parts(odd), format!("request={odd}"), "{odd}");
        }
    }
}
