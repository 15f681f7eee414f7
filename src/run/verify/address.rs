//! Addresses in texts, in every reading that somebody could undo. Own work: nothing of it is shared with what writes clean bytes.
//!
//! The scan is generous. What it finds in a clean line counts only if the raw record names the same address, so that a version
//! or a number that merely looks like one does no harm.

#![expect(clippy::indexing_slicing, reason = "a table of 256 entries is built by the compiler and indexed by a byte")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// An address; one of IPv4 that an IPv6 address carries is that of IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Addr(u128);

const MAPPED: u128 = 0xffff_0000_0000;

impl Addr {
    const fn four(bits: u32) -> Self {
        Self(MAPPED | bits as u128)
    }

    /// Unwraps what carries IPv4: mapped and compatible, NAT64, 6to4, Teredo.
    fn six(bits: u128) -> Self {
        let low = bits as u32;
        let compatible = bits >> 32 == 0 && low > 0xffff;
        let nat64 = bits >> 32 == 0x0064_ff9b_0000_0000_0000_0000 || bits >> 80 == 0x0064_ff9b_0001;
        match bits >> 112 {
            _ if bits >> 32 == 0xffff || bits >> 32 == 0xffff_0000 || compatible || nat64 => Self::four(low),
            0x2002 => Self::four((bits >> 80) as u32),
            0x2001 if bits >> 96 == 0x2001_0000 => Self::four(!low),
            _ => Self(bits),
        }
    }

    /// Bits, and how many of them there are.
    pub(super) const fn bits(self) -> (u128, u32) {
        if self.0 >> 32 == 0xffff { (self.0 & 0xffff_ffff, 32) } else { (self.0, 128) }
    }

    /// Whether it names nobody: zero.
    pub(super) const fn is_nobody(self) -> bool {
        matches!(self.bits(), (0, _))
    }

    /// Whether a keyed pseudonym may be written like this: an address of `fd00::/8`.
    pub(super) const fn may_be_pseudonym(self) -> bool {
        self.0 >> 120 == 0xfd
    }

    /// For comparing with networks.
    pub(super) fn ip(self) -> IpAddr {
        match self.bits() {
            (bits, 32) => IpAddr::V4(Ipv4Addr::from_bits(bits as u32)),
            (bits, _) => IpAddr::V6(Ipv6Addr::from_bits(bits)),
        }
    }
}

/// How an address is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As everybody writes it: a dotted quad, or colons.
    Plain,
    /// As host names and programs write it: dashes, nibbles, `0x`, reversed behind an `in-addr.arpa`.
    Named,
    /// A reading that only a comparison justifies: bare hex, one number, reversed.
    Remote,
}

/// An address in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub addr: Addr,
    pub form: Form,
    pub range: Range<usize>,
}

/// The longest text of an IPv6 address with a quad at its end.
const LONGEST_SIX: usize = 45;

/// What a byte does in the runs that are looked at: 0 ends one.
const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        class[byte] = match byte as u8 {
            b'0'..=b'9' => DIGIT,
            b'a'..=b'f' | b'A'..=b'F' => HEX,
            b'g'..=b'z' | b'G'..=b'Z' => LETTER,
            b'.' => DOT,
            b':' => COLON,
            b'-' | b'_' => DASH,
            _ => 0,
        };
        byte += 1;
    }
    class
};
const DIGIT: u8 = 1;
const HEX: u8 = 2;
const LETTER: u8 = 4;
const DOT: u8 = 8;
const COLON: u8 = 16;
const DASH: u8 = 32;

#[inline]
const fn class(byte: u8) -> u8 {
    CLASS[byte as usize]
}

/// Shows every address in `text`.
pub(super) fn scan(text: &[u8], mut see: impl FnMut(Found)) {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        if class(*byte) == 0 {
            at += 1;
            continue;
        }
        let start = at;
        let (mut digits, mut dots, mut colons, mut dashes, mut hexes) = (0_usize, 0_usize, 0_usize, 0_usize, 0_usize);
        for byte in text.get(start..).unwrap_or_default() {
            let class = class(*byte);
            if class == 0 {
                break;
            }
            at += 1;
            digits += usize::from(class == DIGIT);
            hexes += usize::from(class & (DIGIT | HEX) != 0);
            dots += usize::from(class == DOT);
            colons += usize::from(class == COLON);
            dashes += usize::from(class == DASH);
        }
        let run = start..at;
        if (digits >= 4 && (dots >= 3 || dashes >= 3)) || digits >= 8 {
            numbers(text, run.clone(), &mut see);
        }
        if colons >= 2 {
            colons_in(text, run.clone(), &mut see);
        }
        if dashes >= 2 && hexes >= 2 {
            dashes_in(text, run.clone(), &mut see);
        }
        if hexes >= 32 && dots >= 31 {
            nibbles(text, run.clone(), &mut see);
        }
        if hexes >= 7 {
            hex(text, run, &mut see);
        }
    }
}

/// Every address in a text, plain and named forms only: what a raw text names.
pub(super) fn named(text: &[u8], mut see: impl FnMut(Found)) {
    scan(text, |found| {
        if found.form != Form::Remote {
            see(found);
        }
    });
}

/// Digits between equal marks: dotted and dashed quads, both ways; a number alone.
fn numbers(text: &[u8], run: Range<usize>, see: &mut impl FnMut(Found)) {
    // The last four groups, the mark between them, and how many they are.
    let mut last: [(usize, Option<u8>); 4] = [(0, None); 4];
    let (mut mark, mut count, mut first) = (0, 0_usize, run.start);
    let mut at = run.start;
    while at < run.end {
        let digits = |from: usize| text.get(from..run.end).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count();
        let width = digits(at);
        if width == 0 {
            count = 0;
            at += 1;
            continue;
        }
        let (start, end) = (at, at + width);
        let group = text.get(start..end).unwrap_or_default();
        let value = || group.iter().fold(0_u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
        last.rotate_left(1);
        if let Some(newest) = last.last_mut() {
            *newest = (start, if width <= 3 { u8::try_from(value()).ok() } else { None });
        }
        count += 1;
        let next = text.get(end).copied().unwrap_or_default();
        let joins = end < run.end && matches!(next, b'.' | b'-' | b'_') && text.get(end + 1).is_some_and(u8::is_ascii_digit);
        if count == 1 {
            first = start;
        }
        if count >= 4
            && let [(from, Some(a)), (_, Some(b)), (_, Some(c)), (_, Some(d))] = last
        {
            let reversed = text.get(end..).unwrap_or_default().get(..9).is_some_and(|name| name.eq_ignore_ascii_case(b".in-addr."));
            // More than four groups between dashes are a date, unless a name's own digits begin them: `ec2-192-0-2-1`.
            let glued = count == 5 && first.checked_sub(1).and_then(|at| text.get(at)).is_some_and(u8::is_ascii_alphabetic);
            let ends = !(joins && next == mark);
            let form = match mark {
                b'.' => Form::Plain,
                _ if ends && (count == 4 || glued) => Form::Named,
                _ => Form::Remote,
            };
            see(Found { addr: Addr::four(u32::from_be_bytes([a, b, c, d])), form, range: from..end });
            let form = if reversed { Form::Named } else { Form::Remote };
            see(Found { addr: Addr::four(u32::from_be_bytes([d, c, b, a])), form, range: from..end });
        }
        if (8..=10).contains(&width)
            && let Ok(number @ 0x0100_0000..) = u32::try_from(value())
        {
            see(Found { addr: Addr::four(number), form: Form::Remote, range: start..end });
        }
        at = end;
        if !joins {
            count = 0;
        } else if count > 1 && next != mark {
            // The group in front of the new mark begins a new row.
            count = 1;
            first = start;
        }
        mark = next;
        at += usize::from(joins);
    }
}

/// The longest address from each place on, where `text` has colons.
fn colons_in(text: &[u8], run: Range<usize>, see: &mut impl FnMut(Found)) {
    let part = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let mut at = run.start;
    while at < run.end {
        let width = text.get(at..run.end).unwrap_or_default().iter().take_while(|byte| part(byte)).count();
        let piece = text.get(at..at + width).unwrap_or_default();
        let colons = memchr::memchr_iter(b':', piece).count();
        if colons >= 7 || (colons >= 2 && memchr::memmem::find(piece, b"::").is_some()) {
            let glued = |start: usize| start.checked_sub(1).and_then(|before| text.get(before)).is_some_and(u8::is_ascii_alphanumeric);
            sixes(piece, at, &|start, _| if glued(start) { Form::Remote } else { Form::Plain }, see);
        }
        at += width.max(1);
    }
}

/// Groups of an IPv6 address between dashes, as `ipv6-literal.net` and reverse names write them.
fn dashes_in(text: &[u8], run: Range<usize>, see: &mut impl FnMut(Found)) {
    let part = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'-');
    let mut at = run.start;
    while at < run.end {
        let width = text.get(at..run.end).unwrap_or_default().iter().take_while(|byte| part(byte)).count();
        let piece = text.get(at..at + width).unwrap_or_default();
        let dashes = memchr::memchr_iter(b'-', piece).count();
        if dashes >= 7 || (dashes >= 2 && memchr::memmem::find(piece, b"--").is_some()) {
            let colons: Vec<u8> = piece.iter().map(|byte| if *byte == b'-' { b':' } else { *byte }).collect();
            // Words of names may be hex, and `xn--` begins foreign ones: a dashed address starts like one that is given out.
            sixes(&colons, at, &|_, bits| if bits >> 125 == 1 || bits >> 121 == 0x7e || bits >> 118 == 0x3fa { Form::Named } else { Form::Remote }, see);
        }
        at += width.max(1);
    }
}

/// Texts of IPv6 within a piece of hex, colons and dots.
fn sixes(piece: &[u8], base: usize, form: &impl Fn(usize, u128) -> Form, see: &mut impl FnMut(Found)) {
    let mut at = 0;
    while at < piece.len() {
        let begins = at == 0 || piece.get(at - 1) == Some(&b':') || piece.get(at..at + 2) == Some(b"::");
        let window = piece.get(at..).unwrap_or_default();
        let window = window.get(..LONGEST_SIX).unwrap_or(window);
        let found = if begins { longest_six(window) } else { None };
        match found {
            Some((bits, width)) => {
                // `::` alone is a mark of programs.
                if bits > 0 {
                    see(Found { addr: Addr::six(bits), form: form(base + at, bits), range: base + at..base + at + width });
                }
                at += width;
            }
            None => at += 1,
        }
    }
}

fn longest_six(window: &[u8]) -> Option<(u128, usize)> {
    let mut end = window.len();
    loop {
        let text = std::str::from_utf8(window.get(..end)?).ok()?;
        if let Ok(found) = text.parse::<Ipv6Addr>() {
            return Some((found.to_bits(), end));
        }
        // A shorter one ends in front of a mark, or behind the two colons that end it.
        let before = window.get(..end)?.iter().rposition(|byte| matches!(byte, b':' | b'.'))?;
        end = if before + 1 < end && window.get(..before + 1)?.ends_with(b"::") { before + 1 } else { before };
        if end < 2 {
            return None;
        }
    }
}

/// 32 nibbles between dots: `ip6.arpa`, and the same forward.
fn nibbles(text: &[u8], run: Range<usize>, see: &mut impl FnMut(Found)) {
    let mut bits = 0_u128;
    let mut backward = 0_u128;
    let mut count = 0_usize;
    let mut at = run.start;
    while at < run.end {
        let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        let alone = at == run.start || text.get(at - 1) == Some(&b'.');
        let ends = at + 1 == run.end || text.get(at + 1) == Some(&b'.');
        match digit(at).filter(|_| alone && ends) {
            Some(nibble) => {
                bits = bits << 4 | u128::from(nibble);
                backward = backward >> 4 | u128::from(nibble) << 124;
                count += 1;
                if count >= 32 {
                    let range = at - 62..at + 1;
                    see(Found { addr: Addr::six(backward), form: Form::Named, range: range.clone() });
                    see(Found { addr: Addr::six(bits), form: Form::Remote, range });
                }
                at += 2;
            }
            None => {
                count = 0;
                at += 1;
            }
        }
    }
}

/// Hex digits in one piece: 8 of them are IPv4, 32 are IPv6; `0x` says so.
fn hex(text: &[u8], run: Range<usize>, see: &mut impl FnMut(Found)) {
    let mut at = run.start;
    while at < run.end {
        let width = text.get(at..run.end).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let word = text.get(at..at + width).unwrap_or_default();
        let (digits, marked) = match word {
            [b'0', b'x' | b'X', digits @ ..] => (digits, true),
            _ => (word, false),
        };
        let form = if marked { Form::Named } else { Form::Remote };
        let range = at..at + width;
        let bits = || std::str::from_utf8(digits).ok().and_then(|digits| u128::from_str_radix(digits, 16).ok());
        if (digits.len() == 8 || (digits.len() == 7 && marked))
            && let Some(bits) = bits()
        {
            see(Found { addr: Addr::four(bits as u32), form, range });
        } else if digits.len() == 32
            && let Some(bits) = bits()
        {
            see(Found { addr: Addr::six(bits), form, range });
        }
        at += width.max(1);
    }
}

/// The address that a text is, as everybody writes it and with nothing around it.
#[inline]
pub(super) fn alone(text: &[u8]) -> Option<Addr> {
    match std::str::from_utf8(text).ok()?.parse::<IpAddr>().ok()? {
        IpAddr::V4(four) => Some(Addr::four(four.to_bits())),
        IpAddr::V6(six) => Some(Addr::six(six.to_bits())),
    }
}

/// The address that four or sixteen bytes are, as `$binary_remote_addr` writes it.
pub(super) fn binary(bytes: &[u8]) -> Option<Addr> {
    match bytes.len() {
        4 => bytes.try_into().ok().map(|bytes| Addr::four(u32::from_be_bytes(bytes))),
        16 => bytes.try_into().ok().map(|bytes| Addr::six(u128::from_be_bytes(bytes))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(text: &str, addr: &str) -> Option<Form> {
        let wanted = match addr.parse::<IpAddr>().unwrap() {
            IpAddr::V4(four) => Addr::four(four.to_bits()),
            IpAddr::V6(six) => Addr::six(six.to_bits()),
        };
        let mut form = None;
        scan(text.as_bytes(), |found| {
            if found.addr == wanted && (form.is_none() || found.form != Form::Remote) {
                form = Some(found.form);
            }
        });
        form
    }

    #[test]
    fn every_way_to_write_an_address_is_read() {
        for (text, addr, form) in [
            ("203.0.113.9", "203.0.113.9", Form::Plain),
            ("x203.0.113.9:8080y", "203.0.113.9", Form::Plain),
            ("203.000.113.009", "203.0.113.9", Form::Plain),
            ("p203-0-113-9.dsl.example", "203.0.113.9", Form::Named),
            ("host_203_0_113_9", "203.0.113.9", Form::Named),
            ("9.113.0.203.in-addr.arpa", "203.0.113.9", Form::Named),
            ("9-113-0-203.dsl.example", "203.0.113.9", Form::Remote),
            ("0xcb007109", "203.0.113.9", Form::Named),
            ("id=CB007109;", "203.0.113.9", Form::Remote),
            ("3405803785", "203.0.113.9", Form::Remote),
            ("::ffff:203.0.113.9", "203.0.113.9", Form::Plain),
            ("::FFFF:cb00:7109", "203.0.113.9", Form::Plain),
            ("64:ff9b::cb00:7109", "203.0.113.9", Form::Plain),
            ("2002:cb00:7109::1", "203.0.113.9", Form::Plain),
            ("2001:0:4136:e378:8000:63bf:34ff:8ef6", "203.0.113.9", Form::Plain),
            ("2001:DB8:0:0:0:0:0:5", "2001:db8::5", Form::Plain),
            ("[2001:db8::5]:443", "2001:db8::5", Form::Plain),
            ("client:2001:db8::5%eth0", "2001:db8::5", Form::Plain),
            ("2001:db8:1:2:3:4:5:6:49225", "2001:db8:1:2:3:4:5:6", Form::Plain),
            ("x 2001:db8::5: y", "2001:db8::5", Form::Plain),
            ("2001:db8:7::", "2001:db8:7::", Form::Plain),
            ("2001-db8--5.ipv6-literal.net", "2001:db8::5", Form::Named),
            ("h-2001-db8-1-2-3-4-5-6.example", "2001:db8:1:2:3:4:5:6", Form::Named),
            ("5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", "2001:db8::5", Form::Named),
            ("20010db8000000000000000000000005", "2001:db8::5", Form::Remote),
            ("1.2.3.4.5.6", "3.4.5.6", Form::Plain),
            ("2020-01-02-203.0.113.9", "203.0.113.9", Form::Plain),
        ] {
            assert_eq!(holds(text, addr), Some(form), "{text}");
        }
    }

    #[test]
    fn parts_of_other_numbers_are_no_addresses() {
        for (text, addr) in
            [("203.0.113.91", "203.0.113.9"), ("1203.0.113.9", "203.0.113.9"), ("203.0.113-9", "203.0.113.9"), ("13:55:36", "::13"), ("2001:db8::55", "2001:db8::5")]
        {
            assert_eq!(holds(text, addr), None, "{text}");
        }
    }

    #[test]
    fn no_text_makes_it_fail() {
        let marks = b"019af.:-_gx%[] ";
        let mut state = 1_u64;
        for _ in 0..20_000 {
            let text: Vec<u8> = (0..80)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    marks[(state >> 33) as usize % marks.len()]
                })
                .collect();
            scan(&text, |found| assert!(found.range.end <= text.len() && found.range.start < found.range.end));
        }
    }

    #[test]
    fn binary_addresses_have_four_or_sixteen_bytes() {
        assert_eq!(binary(&[203, 0, 113, 9]), Some(Addr::four(0xcb00_7109)));
        assert_eq!(binary(&[0; 5]), None);
    }
}
