//! A line that does not parse keeps its place: only tokens from an allow-list survive in it.

use super::action::Action;
use super::clean::Reject;
use super::time::{Degraded, degrade};
use crate::format::time::shape;

const METHODS: [&[u8]; 9] = [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH"];

/// Tokens of a line that are looked at; what follows becomes one `-`.
const MOST: usize = 64;

/// Appends what survives of `line`: methods, times, status codes and numbers of up to three digits; everything else becomes `-`.
/// A line that starts an object becomes an object that names the reason, so that readers of JSON go on reading.
pub(crate) fn line(line: &[u8], reject: Reject, json: bool, time: &Action, out: &mut Vec<u8>) {
    if json || line.trim_ascii_start().starts_with(b"{") {
        out.extend_from_slice(b"{\"rejected\":\"");
        out.extend_from_slice(reject.name().as_bytes());
        out.extend_from_slice(b"\"}");
        return;
    }
    let start = out.len();
    let mut rest = line;
    // Short numbers in a row may be an address or a telephone number in pieces.
    let mut numbers = 0;
    for count in 0.. {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            break;
        }
        if count > 0 {
            out.push(b' ');
        }
        if count == MOST || reject == Reject::TooLong {
            out.push(b'-');
            break;
        }
        // A time in brackets holds a blank.
        let (token, width, bracket) = match rest {
            [b'[', inside @ ..] => match inside.iter().take(40).position(|byte| *byte == b']') {
                Some(close) if shape(inside.get(..close).unwrap_or_default()).is_some() => (inside.get(..close).unwrap_or_default(), close + 2, true),
                _ => (rest, 0, false),
            },
            _ => (rest, 0, false),
        };
        if bracket {
            out.push(b'[');
            moment(token, time, out);
            out.push(b']');
            numbers = 0;
            rest = rest.get(width..).unwrap_or_default();
            continue;
        }
        let width = rest.iter().position(|byte| byte.is_ascii_whitespace()).unwrap_or(rest.len());
        let word = rest.get(..width).unwrap_or_default();
        rest = rest.get(width..).unwrap_or_default();
        let bare = word.strip_prefix(b"\"").unwrap_or(word);
        let number = is_small(bare);
        numbers = if number { numbers + 1 } else { 0 };
        if METHODS.contains(&bare) || (number && numbers <= 2) {
            out.extend_from_slice(bare);
        } else if !number && is_moment(bare) {
            moment(bare, time, out);
        } else {
            out.push(b'-');
        }
    }
    if out.len() == start {
        out.push(b'-');
    }
}

fn is_small(word: &[u8]) -> bool {
    (1..=3).contains(&word.len()) && word.iter().all(u8::is_ascii_digit)
}

/// Epochs are no survivors: a decimal address looks like one.
fn is_moment(word: &[u8]) -> bool {
    !word.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.') && shape(word).is_some()
}

/// A time as precise as the policy lets it be.
fn moment(value: &[u8], time: &Action, out: &mut Vec<u8>) {
    if *time == Action::Keep {
        return out.extend_from_slice(value);
    }
    let Action::Precision(precision) = time else { return out.push(b'-') };
    match degrade(value, *precision, out) {
        Degraded::Same => out.extend_from_slice(value),
        Degraded::Piece => {}
        Degraded::Unknown => out.push(b'-'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Mismatch;
    use crate::scrub::action::Precision;

    #[test]
    fn only_tokens_of_the_list_survive() {
        let show = |text: &str| {
            let mut out = Vec::new();
            line(text.as_bytes(), Reject::Mismatch(Mismatch::Layout), false, &Action::Precision(Precision::Second), &mut out);
            String::from_utf8(out).unwrap_or_default()
        };
        assert_eq!(show(r#"192.0.2.1 bob [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.1" 200 2326"#), "- - [10/Oct/2000:13:55:36 -0700] GET - - 200 -");
        assert_eq!(show("2021-06-17T19:25:59Z user@example.org 3232235777 16909060 [client 1.2.3.4]"), "2021-06-17T19:25:59Z - - - - -");
        assert_eq!(show("192 0 2 77 and +49 170 123 456 7"), "192 0 - - - - 170 123 - -");
        assert_eq!(show("{\"a\":\"b\"}"), "{\"rejected\":\"layout\"}");
        assert_eq!(show("\u{0}"), "-");
        assert_eq!(show(&"x ".repeat(500)).len(), 2 * MOST + 1);
    }
}
