//! Cuts request lines and URLs into method, host, path, query and protocol.
//!
//! A composite slot takes [`PARTS`] consecutive slots: itself (for what is no request line), then its parts.

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
    if method.is_empty() || !method.iter().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_')) {
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
    let Some((b' ', word)) = tail.split_first() else { return false };
    let Some(slash) = word.iter().take(8).position(|byte| *byte == b'/') else { return false };
    let (name, version) = word.split_at(slash);
    let version = version.get(1..).unwrap_or_default();
    // Some writers of JSON put a backslash in front of every slash.
    let name = name.strip_suffix(b"\\").unwrap_or(name);
    !name.is_empty()
        && name.iter().all(u8::is_ascii_uppercase)
        && matches!(version.len(), 1 | 3)
        && version.iter().enumerate().all(|(at, byte)| if at == 1 { *byte == b'.' } else { byte.is_ascii_digit() })
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
    let query = query_start(line.get(path..end).unwrap_or_default()).map_or(end, |at| path + at);
    if path < query || query == end {
        spans.push(path, query, slot + PATH, text);
    }
    if query < end {
        spans.push(query, end, slot + QUERY, Text::Tail);
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
        && host.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'[' | b']' | b':'))
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

/// Where the query starts: `?`, `#`, or one of them percent-encoded once or twice, because servers log what was sent.
#[inline]
pub(crate) fn query_start(value: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr::memchr3(b'?', b'#', b'%', value.get(from..)?)?;
        let tail = value.get(at..)?;
        if tail.first() != Some(&b'%') || coded(tail, b"3F") || coded(tail, b"23") {
            return Some(at);
        }
        from = at + 1;
    }
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
