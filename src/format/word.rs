//! Many bytes at a time: no guess for each byte, which is what values of unknown width cost.

#![expect(clippy::indexing_slicing, reason = "constants are built by the compiler")]

use wide::{u8x16, u8x64};

/// Bytes that are looked at together.
const WIDE: usize = 64;
const NARROW: usize = 16;

const HIGH: u64 = 0x8080_8080_8080_8080;

/// What eight bytes side by side have to be: a digit where `d` stands, a letter where `a`, anything where `z`, else itself.
pub(crate) struct Masks {
    digits: u64,
    letters: u64,
    exact: u64,
    expected: u64,
}

impl Masks {
    pub(crate) const fn of(shape: &[u8; 8]) -> Self {
        let mut masks = Self { digits: 0, letters: 0, exact: 0, expected: 0 };
        let mut at = 0;
        while at < 8 {
            let place = 0xff << (8 * at);
            match shape[at] {
                b'd' => masks.digits |= place,
                b'a' => masks.letters |= place,
                b'z' => {}
                byte => {
                    masks.exact |= place;
                    masks.expected |= (byte as u64) << (8 * at);
                }
            }
            at += 1;
        }
        masks
    }

    #[inline(always)]
    pub(crate) const fn fit(&self, word: u64) -> bool {
        let letters = (word ^ 0x4040_4040_4040_4040) & 0xc0c0_c0c0_c0c0_c0c0 & self.letters;
        (no_digits(word) & self.digits) | letters | ((word & self.exact) ^ self.expected) == 0
    }
}

/// The highest bit of each byte that is no digit.
#[inline]
const fn no_digits(word: u64) -> u64 {
    // A digit is 0 to 9 behind the exclusive or; 0x76 lifts everything above into the high bit.
    let below = word ^ 0x3030_3030_3030_3030;
    ((below & !HIGH).wrapping_add(0x7676_7676_7676_7676) | below) & HIGH
}

/// How many digits the bytes begin with.
#[inline]
pub(crate) fn digits(rest: &[u8]) -> usize {
    match rest.first_chunk().map(|front| no_digits(u64::from_le_bytes(*front))) {
        Some(marks) if marks != 0 => marks.trailing_zeros() as usize / 8,
        Some(_) | None => rest.iter().take_while(|byte| byte.is_ascii_digit()).count(),
    }
}

/// Where the first of these bytes stands. Its loops are written out: closures in their place were not inlined, and a line took a fifth
/// more time.
#[inline(always)]
pub(crate) fn first<const N: usize>(bytes: [u8; N], rest: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(front) = rest.get(at..)?.first_chunk() {
        let front = u8x64::new(*front);
        let mut marks = u8x64::ZERO;
        for byte in bytes {
            marks |= front.simd_eq(u8x64::splat(byte));
        }
        let marks = marks.to_bitmask();
        if marks != 0 {
            return Some(at + marks.trailing_zeros() as usize);
        }
        at += WIDE;
    }
    first_in_end(bytes, rest, at)
}

/// The places of a byte, one behind the other: each byte of the text is looked at once, many at a time.
pub(crate) struct Places<'a, const BYTE: u8> {
    text: &'a [u8],
    /// Where the window begins whose places are in `marks`.
    at: usize,
    marks: u64,
}

impl<'a, const BYTE: u8> Places<'a, BYTE> {
    #[inline]
    pub(crate) fn new(text: &'a [u8]) -> Self {
        let mut places = Self { text, at: 0, marks: 0 };
        places.look();
        places
    }

    #[inline(always)]
    fn look(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        // No byte that somebody looks for is beyond the end.
        let mut last = [!BYTE; WIDE];
        let front = rest.first_chunk().unwrap_or_else(|| {
            last.get_mut(..rest.len()).map(|room| room.copy_from_slice(rest)).unwrap_or_default();
            &last
        });
        self.marks = u8x64::new(*front).simd_eq(u8x64::splat(BYTE)).to_bitmask();
    }

    /// The first place at or behind `from`, which never goes back.
    #[inline(always)]
    pub(crate) fn next(&mut self, from: usize) -> Option<usize> {
        while from >= self.at + WIDE || self.marks >> (from.max(self.at) - self.at) == 0 {
            self.at += WIDE;
            self.look();
            if self.at >= self.text.len() {
                return None;
            }
        }
        let from = from.max(self.at) - self.at;
        Some(self.at + from + (self.marks >> from).trailing_zeros() as usize)
    }
}

/// Apart, because most searches end before.
#[inline(never)]
fn first_in_end<const N: usize>(bytes: [u8; N], rest: &[u8], mut at: usize) -> Option<usize> {
    while let Some(front) = rest.get(at..)?.first_chunk() {
        let front = u8x16::new(*front);
        let mut marks = u8x16::ZERO;
        for byte in bytes {
            marks |= front.simd_eq(u8x16::splat(byte));
        }
        let marks = marks.to_bitmask();
        if marks != 0 {
            return Some(at + marks.trailing_zeros() as usize);
        }
        at += NARROW;
    }
    rest.get(at..)?.iter().position(|byte| bytes.contains(byte)).map(|place| at + place)
}

/// Where the first byte stands that ends a run of plain bytes in a JSON string: a quote, a backslash, or one below a blank. Most are
/// short.
#[inline]
pub(crate) fn stop(rest: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(front) = rest.get(at..)?.first_chunk() {
        let front = u8x16::new(*front);
        let marks = (front.simd_lt(u8x16::splat(b' ')) | front.simd_eq(u8x16::splat(b'"')) | front.simd_eq(u8x16::splat(b'\\'))).to_bitmask();
        if marks != 0 {
            return Some(at + marks.trailing_zeros() as usize);
        }
        at += NARROW;
    }
    rest.get(at..)?.iter().position(|byte| *byte < b' ' || matches!(byte, b'"' | b'\\')).map(|place| at + place)
}

/// Whether both begin with the same `len` bytes.
#[inline(always)]
pub(crate) fn same(one: &[u8], other: &[u8], len: usize) -> bool {
    let mut at = 0;
    while at < len {
        let fronts = one.get(at..).and_then(|one| one.first_chunk::<WIDE>()).zip(other.get(at..).and_then(|other| other.first_chunk::<WIDE>()));
        let Some((front, of)) = fronts else { return one.get(at..len).is_some_and(|one| Some(one) == other.get(at..len)) };
        let marks = u8x64::new(*front).simd_eq(u8x64::new(*of)).to_bitmask();
        if (marks.trailing_ones() as usize) < WIDE.min(len - at) {
            return false;
        }
        at += WIDE;
    }
    true
}

/// Where the fourth number of an IPv4 address begins and ends that a blank follows; `None` for every other way to write one, and
/// where less than four bytes follow its last dot.
#[inline]
pub(crate) fn dotted(line: &[u8]) -> Option<(usize, usize)> {
    let front = u128::from_le_bytes(*line.first_chunk()?);
    // One bit for each byte: the product brings those of eight bytes side by side.
    let marks = |word: u64| (no_digits(word) >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    let mut marks = marks(front as u64) | marks((front >> 64) as u64) << 8;
    let (mut start, mut fits) = (0, true);
    for last in [b'.', b'.', b'.', b' '] {
        let end = marks.trailing_zeros() as usize;
        marks &= marks.wrapping_sub(1);
        let number = u32::from_be_bytes(*line.get(start..)?.first_chunk()?);
        let width = end.wrapping_sub(start);
        fits &= line.get(end) == Some(&last) && width.wrapping_sub(1) < 3;
        fits &= width == 1 || number >> 24 != u32::from(b'0');
        fits &= width != 3 || number >> 8 <= 0x32_35_35;
        if last == b' ' {
            return fits.then_some((start, end));
        }
        start = end + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    #[test]
    fn shapes() {
        let masks = Masks::of(b"da-z:dda");
        for (bytes, fits) in [(b"1B-?:90x", true), (b"xB-?:90x", false), (b"1B+?:90x", false), (b"1B-?:9/x", false), (b"1B-?:9:x", false), (b"12-?:90x", false)] {
            assert_eq!(masks.fit(u64::from_le_bytes(*bytes)), fits, "{bytes:?}");
        }
    }

    #[test]
    fn digits_end_where_they_end() {
        for width in 0..20 {
            for behind in [&b""[..], b" ", b"/0123456", b":0123456", b"\xb0123456", b"\0"] {
                let text = [&b"98765432109876543210"[..width], behind].concat();
                assert_eq!(digits(&text), width, "{text:?}");
            }
        }
    }

    #[test]
    fn numbers_of_every_width() {
        for number in 0..1200_u32 {
            for text in [format!("{number}"), format!("0{number}")] {
                for place in 0..4 {
                    let mut parts = ["10", "9", "8", "7"].map(str::to_owned);
                    parts[place].clone_from(&text);
                    let address = parts.join(".");
                    let line = format!("{address} - - [10/Oct/2000");
                    let expected = address.parse::<Ipv4Addr>().ok().map(|_| (address.len() - parts[3].len(), address.len()));
                    assert_eq!(dotted(line.as_bytes()), expected, "{line}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn the_first_is_found(text in "[ab?\"]{0,300}") {
            let text = text.as_bytes();
            prop_assert_eq!(first([b'?'], text), text.iter().position(|byte| *byte == b'?'));
            prop_assert_eq!(first([b'?', b'"'], text), text.iter().position(|byte| matches!(byte, b'?' | b'"')));
            prop_assert_eq!(first([b'!'], text), None);
        }

        #[test]
        fn every_place_is_found(text in "[ab]{0,300}", steps in proptest::collection::vec(0..90_usize, 0..20)) {
            let text = text.as_bytes();
            let (mut places, mut from) = (Places::<b'b'>::new(text), 0);
            for step in steps {
                from += step;
                let expected = text.iter().skip(from).position(|byte| *byte == b'b').map(|at| from + at);
                prop_assert_eq!(places.next(from), expected);
            }
        }

        #[test]
        fn the_first_stop_is_found(text in "[a-z\u{20}\u{7f}-\u{ff}]{0,100}", stop_byte: u8, more in "[a-z]{0,100}") {
            let mut bytes = text.clone().into_bytes();
            bytes.push(stop_byte);
            bytes.extend_from_slice(more.as_bytes());
            let is_stop = stop_byte < b' ' || stop_byte == b'"' || stop_byte == b'\\';
            prop_assert_eq!(stop(&bytes), is_stop.then_some(text.len()));
        }

        #[test]
        fn the_same_are_the_same(text in "[ab]{1,300}", more in "[ab]{0,100}", at: proptest::sample::Index, len: proptest::sample::Index) {
            let (one, mut other) = ([text.as_bytes(), more.as_bytes()].concat(), text.clone().into_bytes());
            let len = len.index(text.len() + 1);
            prop_assert!(same(&one, &other, len));
            let at = at.index(text.len());
            other[at] = b'c';
            prop_assert_eq!(same(&one, &other, len), at >= len);
            prop_assert_eq!(same(&other, &one, len), at >= len);
        }

        #[test]
        fn only_addresses_are_dotted(line in "[0-9.: a]{0,24}( - - \\[)?") {
            let address = line.split(' ').next().unwrap_or_default();
            if let Some((start, end)) = dotted(line.as_bytes()) {
                prop_assert!(address.parse::<Ipv4Addr>().is_ok());
                prop_assert_eq!(end, address.len());
                prop_assert_eq!(start, address.rfind('.').map_or(0, |at| at + 1));
            }
        }

        #[test]
        fn every_address_is_dotted(address: u32) {
            let line = format!("{} - - [10/Oct/2000", Ipv4Addr::from(address));
            prop_assert!(dotted(line.as_bytes()).is_some());
        }
    }
}
