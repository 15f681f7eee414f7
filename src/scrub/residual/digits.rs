//! IPv4 addresses as four numbers with dots, dashes or underscores, reversed names of IPv6, and numbers after `0x`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::surface::Walk;

/// Consecutive octets inside a run of numbers.
#[derive(Default)]
struct Octets {
    range: Range<usize>,
    count: usize,
    /// The first four; `None` once a leading zero leaves it open whether they are decimal or octal.
    v4: Option<u32>,
}

/// Runs of at least four numbers up to 255 that are joined by the separator at `at`, masked whole.
pub(super) fn quads(walk: &mut Walk<'_>, at: usize, found: &mut Vec<Range<usize>>) {
    let separator = walk.at(at);
    let kind = usize::from(separator == b'-') + 2 * usize::from(separator == b'_');
    if walk.quads_done.get(kind).is_none_or(|&done| at < done) {
        return;
    }
    // The first mark of a run: at most one number stands before it, so too few separators behind it settle the matter.
    let (mut end, mut separators) = (at, 0);
    for &byte in walk.slice(at..walk.text.len()) {
        if !byte.is_ascii_digit() {
            if byte != separator {
                break;
            }
            separators += 1;
        }
        end += 1;
    }
    if let Some(done) = walk.quads_done.get_mut(kind) {
        *done = end;
    }
    if separators < 3 {
        return;
    }
    let run = walk.run(at, |b| b.is_ascii_digit() || b == separator);
    let mut octets = Octets::default();
    let mut start = run.start;
    for part in walk.slice(run.clone()).split(|&b| b == separator) {
        let end = start + part.len();
        match octet(part) {
            Some((value, plain)) => {
                if octets.count == 0 {
                    octets = Octets { range: start..end, count: 0, v4: Some(0) };
                }
                octets.range.end = end;
                octets.count += 1;
                octets.v4 = octets.v4.filter(|_| plain).map(|v4| v4 << 8 | u32::from(value));
            }
            None => judge(walk, &std::mem::take(&mut octets), separator, found),
        }
        start = end + 1;
    }
    judge(walk, &octets, separator, found);
}

fn judge(walk: &Walk<'_>, octets: &Octets, separator: u8, found: &mut Vec<Range<usize>>) {
    let range = octets.range.clone();
    let harmless = match separator {
        _ if octets.count < 4 => true,
        b'.' => walk.rules.versions && is_version(walk, &range) || octets.count == 4 && is_excepted(walk, octets),
        _ => is_timestamp(walk, octets, separator) || octets.count == 4 && is_excepted(walk, octets),
    };
    if !harmless {
        found.push(range);
    }
}

/// A number up to 255, and whether it can only be decimal. Zero padding and octal (`0301`) count.
fn octet(part: &[u8]) -> Option<(u8, bool)> {
    let padded = part.len() > 1 && part.first() == Some(&b'0');
    let start = part.iter().position(|&b| b != b'0').unwrap_or(part.len());
    let digits = part.get(start..)?;
    if part.is_empty() || digits.len() > 3 {
        return None;
    }
    let number = |base: u32| digits.iter().try_fold(0, |n, &b| Some(n * base + char::from(b).to_digit(base)?));
    let decimal = number(10).and_then(|n| u8::try_from(n).ok());
    let octal = || number(8).filter(|_| padded).and_then(|n| u8::try_from(n).ok());
    decimal.or_else(octal).map(|value| (value, !padded))
}

/// Whether both readings of four numbers are excepted, as far as there are two: names also carry addresses reversed.
fn is_excepted(walk: &Walk<'_>, octets: &Octets) -> bool {
    let nets = walk.rules.except;
    let Some(forward) = octets.v4.filter(|_| !nets.is_empty()) else { return false };
    let is_in = |bits: u32| nets.contains(IpAddr::V4(Ipv4Addr::from_bits(bits)));
    let behind = walk.slice(octets.range.end..octets.range.end + 9);
    let named = matches!(behind, [b'.' | b'-' | b'_', next, ..] if next.is_ascii_alphabetic());
    if behind.eq_ignore_ascii_case(b".in-addr.") {
        return is_in(forward.swap_bytes());
    }
    let start = octets.range.start;
    let amazon = walk.slice(start.saturating_sub(3)..start).eq_ignore_ascii_case(b"ip-");
    let dashed = !walk.slice(octets.range.clone()).contains(&b'.');
    is_in(forward) && ((!named && !dashed) || amazon || is_in(forward.swap_bytes()))
}

/// `2024-05-06-12-30-00`: a year before, then months, days, hours, minutes, perhaps seconds, each of two digits.
fn is_timestamp(walk: &Walk<'_>, octets: &Octets, separator: u8) -> bool {
    const HIGHEST: [u8; 5] = [12, 31, 23, 59, 60];
    let Some(start) = octets.range.start.checked_sub(5) else { return false };
    let year = walk.slice(start..octets.range.start);
    let is_year = matches!(year, [b'1', b'9', _, _, last] | [b'2', b'0', _, _, last] if *last == separator) && !walk.before(start).is_ascii_digit();
    is_year
        && matches!(octets.count, 4 | 5)
        && walk.slice(octets.range.clone()).split(|&b| b == separator).zip(HIGHEST).all(|(part, highest)| part.len() == 2 && octet(part).is_some_and(|(value, _)| value <= highest))
}

/// `Chrome/120.0.0.0`, `Name/v1.2.3.4` or `rv:1.9.2.3`; not `http://1.2.3.4`, `/1.2.3.4`, `1.2.3.0/24` or `Name/1.2.3.4:80`.
fn is_version(walk: &Walk<'_>, range: &Range<usize>) -> bool {
    if walk.at(range.end) == b':' {
        return false;
    }
    let head = walk.slice(0..range.start);
    let (name, slashed) = match head {
        [.., b'r', b'v', b':'] => (head.len() - 1, false),
        [.., b'/'] => (head.len() - 1, true),
        [.., b'/', b'v' | b'V'] => (head.len() - 2, true),
        _ => return false,
    };
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'!' | b'~');
    let start = head.get(..name).unwrap_or_default().iter().rposition(|&b| !is_name(b)).map_or(0, |at| at + 1);
    let named = walk.slice(start..name).iter().any(u8::is_ascii_alphabetic);
    let opened = matches!(walk.before(start), 0 | b' ' | b'(' | b'[' | b';' | b',' | b'"' | b'\'' | b'+' | b'%' | b'\\');
    named && opened && (slashed || name - start == 2)
}

/// Reversed names under `ip6.arpa`: single hexadecimal digits with dots between them.
pub(super) fn nibbles(walk: &mut Walk<'_>, at: usize, found: &mut Vec<Range<usize>>) {
    if at < walk.nibbles_done || walk.at(at + 2) != b'.' {
        return;
    }
    let (mut start, mut end) = (at, at + 2);
    while start >= 1 && walk.before(start).is_ascii_hexdigit() {
        start -= 1;
        if start == 0 || walk.before(start) != b'.' {
            break;
        }
        start -= 1;
    }
    if walk.at(start) == b'.' {
        start += 1;
    }
    while walk.at(end) == b'.' && walk.at(end + 1).is_ascii_hexdigit() && !walk.at(end + 2).is_ascii_alphanumeric() {
        end += 2;
    }
    walk.nibbles_done = end;
    let count = (end - start).div_ceil(2);
    let arpa = walk.slice(end..end + 10).eq_ignore_ascii_case(b".ip6.arpa");
    let ip6 = arpa || walk.slice(end..end + 5).eq_ignore_ascii_case(b".ip6.");
    if count >= 16 || ip6 && count >= 4 {
        found.push(start..end);
    }
}

/// `0x01020304`, `0x` and 32 digits, `0x1.0x2.0x3.0x4` (also with some parts decimal). Any longer hexadecimal number
/// goes as well: what it is cannot be told.
pub(super) fn prefixed(walk: &mut Walk<'_>, at: usize, found: &mut Vec<Range<usize>>) {
    let start = at - 1;
    if at < walk.prefixed_done || walk.before(start).is_ascii_digit() {
        return;
    }
    let digits = walk.slice(at + 1..walk.text.len());
    let count = digits.iter().position(|b| !b.is_ascii_hexdigit()).unwrap_or(digits.len());
    let end = at + 1 + count;
    walk.prefixed_done = end;
    if count >= 7 {
        let value = digits.get(..count).unwrap_or_default().iter().take(32).fold(0u128, |value, &b| value << 4 | u128::from(char::from(b).to_digit(16).unwrap_or(0)));
        let ip = match count {
            7 | 8 => Some(IpAddr::V4(Ipv4Addr::from_bits(value as u32))),
            32 => Some(IpAddr::V6(Ipv6Addr::from_bits(value))),
            _ => None,
        };
        if !ip.is_some_and(|ip| walk.rules.except.contains(ip)) {
            found.push(start..end);
        }
        return;
    }
    let run = walk.run(at, |b| b.is_ascii_hexdigit() || matches!(b, b'.' | b'x' | b'X'));
    walk.prefixed_done = run.end;
    let mut chain = Octets::default();
    let mut part_start = run.start;
    for part in walk.slice(run).split(|&b| b == b'.') {
        let part_end = part_start + part.len();
        if is_hex_octet(part) || octet(part).is_some() {
            if chain.count == 0 {
                chain.range.start = part_start;
            }
            chain.range.end = part_end;
            chain.count += 1;
        } else {
            chain.count = 0;
        }
        if chain.count >= 4 {
            found.push(chain.range.clone());
        }
        part_start = part_end + 1;
    }
}

fn is_hex_octet(part: &[u8]) -> bool {
    let digits = match part {
        [b'0', b'x' | b'X', digits @ ..] => digits,
        _ => return false,
    };
    let significant = digits.iter().position(|&b| b != b'0').unwrap_or(digits.len());
    !digits.is_empty() && digits.len() - significant <= 2 && digits.iter().all(u8::is_ascii_hexdigit)
}

/// `//16909060` and `//0100401404`: a host that is one number, decimal or octal.
pub(super) fn decimal(walk: &mut Walk<'_>, at: usize, found: &mut Vec<Range<usize>>) {
    let digits = walk.slice(at + 1..walk.text.len());
    let count = digits.iter().position(|b| !b.is_ascii_digit()).unwrap_or(digits.len());
    let next = digits.get(count).copied().unwrap_or(0);
    if !(8..=14).contains(&count) || next.is_ascii_alphabetic() || matches!(next, b'-' | b'_' | b'.') {
        return;
    }
    let number = digits.get(..count).unwrap_or_default();
    let base = if number.starts_with(b"0") { 8 } else { 10 };
    let value = number.iter().try_fold(0u64, |value, &b| value.checked_mul(base)?.checked_add(char::from(b).to_digit(base as u32)?.into()));
    if value.is_some_and(|value| (1 << 24..1 << 32).contains(&value)) {
        found.push(at + 1..at + 1 + count);
    }
}
