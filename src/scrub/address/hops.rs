//! The hops of `X-Forwarded-For` and `Forwarded` values.

use std::ops::Range;

use super::is_name;

/// The value holds something that is neither a hop nor a known separator, so nothing of it may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAList;

/// The hops of an `X-Forwarded-For` or `Forwarded` (RFC 7239) value, in order.
///
/// Between the hops stand only separators, quotes (also escaped as `\"`, `\x22`, `%22`) and the keywords of RFC 7239;
/// anything else ends the iteration with an error, and the caller drops the whole value. A hop may still fail to
/// [`parse`](super::parse), which must have the same consequence.
pub(crate) fn list(text: &[u8]) -> Hops<'_> {
    Hops { text, at: 0 }
}

/// Iterator of [`list`].
#[derive(Clone, Debug)]
pub(crate) struct Hops<'a> {
    text: &'a [u8],
    at: usize,
}

impl Iterator for Hops<'_> {
    type Item = Result<Range<usize>, NotAList>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
            if let Some(skip) = separator(rest) {
                self.at += skip;
                continue;
            }
            match parameter(rest) {
                Parameter::Skip(skip) => self.at += skip,
                Parameter::Hop(len) if rest.get(len..).is_some_and(|r| r.is_empty() || separator(r).is_some()) => {
                    let start = self.at;
                    self.at += len;
                    return Some(Ok(start..self.at));
                }
                Parameter::Hop(_) | Parameter::Unknown => {
                    self.at = self.text.len();
                    return Some(Err(NotAList));
                }
            }
        }
    }
}

fn separator(rest: &[u8]) -> Option<usize> {
    match rest {
        [b' ' | b'\t' | b',' | b';' | b'"' | b'+', ..] => Some(1),
        [b'\\', b'"', ..] => Some(2),
        [b'\\', b'x', b'2', b'2', ..] => Some(4),
        [b'%', b'2', b'0' | b'2' | b'C' | b'c', ..] | [b'%', b'3', b'B' | b'b', ..] => Some(3),
        _ => None,
    }
}

enum Parameter {
    Skip(usize),
    Hop(usize),
    Unknown,
}

/// `for=`, `by=` and `host=` introduce a hop, `proto=` a word without a person in it.
fn parameter(rest: &[u8]) -> Parameter {
    const INTRODUCE: [&[u8]; 3] = [b"for", b"by", b"host"];
    const PROTOCOLS: [&[u8]; 7] = [b"http", b"https", b"ws", b"wss", b"h2", b"h3", b"tcp"];
    let hop = |text: &[u8]| {
        let mut end = 0;
        while let Some(tail) = text.get(end..)
            && let [byte, ..] = tail
            && separator(tail).is_none()
            && (is_name(*byte) || matches!(byte, b':' | b'[' | b']' | b'%' | b'/' | b'~'))
        {
            end += 1;
        }
        end
    };
    let word = rest.iter().position(|b| !b.is_ascii_alphabetic()).unwrap_or(rest.len());
    let is = |word: &[u8], all: &[&[u8]]| all.iter().any(|one| one.eq_ignore_ascii_case(word));
    let after = match rest.get(word..) {
        Some([b'=', ..]) => word + 1,
        Some([b'%', b'3', b'D' | b'd', ..]) => word + 3,
        _ => {
            return match hop(rest) {
                0 => Parameter::Unknown,
                len => Parameter::Hop(len),
            };
        }
    };
    let key = rest.get(..word).unwrap_or_default();
    if is(key, &INTRODUCE) {
        return Parameter::Skip(after);
    }
    let mut value = rest.get(after..).unwrap_or_default();
    let quote = if value.starts_with(b"\"") { 1 } else { 0 };
    value = value.get(quote..).unwrap_or_default();
    let len = value.iter().position(|b| !b.is_ascii_alphanumeric()).unwrap_or(value.len());
    if key.eq_ignore_ascii_case(b"proto") && is(value.get(..len).unwrap_or_default(), &PROTOCOLS) {
        return Parameter::Skip(after + quote + len);
    }
    Parameter::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hops(text: &str) -> Result<Vec<&str>, NotAList> {
        list(text.as_bytes()).map(|hop| hop.map(|range| &text[range])).collect()
    }

    #[test]
    fn lists() {
        for (text, expected) in [
            ("", &[][..]),
            ("-", &["-"]),
            ("192.0.2.1", &["192.0.2.1"]),
            ("192.0.2.1, 2001:db8::1,\"[2001:db8::2]:80\"", &["192.0.2.1", "2001:db8::1", "[2001:db8::2]:80"]),
            ("192.0.2.1 192.0.2.2", &["192.0.2.1", "192.0.2.2"]),
            ("192.0.2.1,+192.0.2.2:80", &["192.0.2.1", "192.0.2.2:80"]),
            ("192.0.2.1%2C%20192.0.2.2", &["192.0.2.1", "192.0.2.2"]),
            ("unknown, _hidden", &["unknown", "_hidden"]),
            ("fe80::1%eth0, unix:/run/x", &["fe80::1%eth0", "unix:/run/x"]),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", &["192.0.2.60", "203.0.113.43"]),
            ("For=\"[2001:db8:cafe::17]:4711\"", &["[2001:db8:cafe::17]:4711"]),
            ("for=192.0.2.43, for=\\x22[2001:db8::1]\\x22;proto=https", &["192.0.2.43", "[2001:db8::1]"]),
            ("for=\\\"_gazonk\\\";proto=\"wss\";host=example.com:8080", &["_gazonk", "example.com:8080"]),
            ("for%3D192.0.2.1%3Bproto%3Dhttp", &["192.0.2.1"]),
            (" , ,", &[]),
        ] {
            assert_eq!(hops(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn something_else() {
        for text in [
            "192.0.2.1 (john)",
            "for=192.0.2.1;secret=john",
            "for=192.0.2.1;proto=john",
            "john@example.com",
            "a=b",
            "'x'",
            "192.0.2.1|192.0.2.2",
            "\u{1F600}",
            "=",
            "192.0.2.1=2",
            "\\x41",
        ] {
            assert_eq!(hops(text), Err(NotAList), "{text}");
        }
    }

    mod properties {
        use super::*;
        use proptest::prelude::*;

        proptest! {
            #[test]
            fn any_bytes(text in prop::collection::vec(any::<u8>(), 0..80), near in "(for=|by=|[0-9.:a-f\\[\\]\"]|, |;|%2|\\\\x22|=){0,20}") {
                for text in [text.as_slice(), near.as_bytes()] {
                    let mut end = 0;
                    for hop in list(text) {
                        let Ok(hop) = hop else { break };
                        prop_assert!(end <= hop.start && hop.start < hop.end && hop.end <= text.len());
                        end = hop.end;
                    }
                }
            }
        }
    }
}
