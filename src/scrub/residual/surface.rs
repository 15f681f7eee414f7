//! One pass over one text: marks the few bytes around which an address or e-mail can stand, and looks only there.

use std::ops::Range;

use super::{Rules, colons, digits, email};

/// Bytes that are judged side by side, and how many must be seen for that: one before, two behind.
const LANES: usize = 16;
const WINDOW: usize = LANES + 3;

/// Finds addresses and e-mails in a text as it stands, appends their ranges, and answers whether it holds a `%` or `\`.
#[inline]
pub(in crate::scrub) fn scan(text: &[u8], rules: &Rules<'_>, found: &mut Vec<Range<usize>>) -> bool {
    // A mark has a byte before it and one behind; only an escape may also come first.
    let mut escaped = matches!(text.first(), Some(b'%' | b'\\'));
    let mut at = 0;
    let mut walk = None;
    let mut look = |mut marks: u128, first: usize| {
        while marks != 0 {
            let centre = first + (marks.trailing_zeros() / 8) as usize;
            marks &= marks - 1;
            match text.get(centre) {
                Some(b'%' | b'\\') => escaped = true,
                _ => walk.get_or_insert_with(|| Walk::new(text, rules)).look_at(centre, found),
            }
        }
    };
    while let Some(window) = text.get(at..).and_then(|rest| rest.first_chunk::<WINDOW>()) {
        look(marks(window), at + 1);
        at += LANES;
    }
    let mut window = [0; WINDOW];
    if let (Some(rest), Some(to)) = (text.last_chunk::<{ WINDOW - 1 }>(), window.first_chunk_mut()) {
        *to = *rest;
        let first = text.len() + 1 - WINDOW;
        let done = 8 * (at - first) as u32;
        look(marks(&window).checked_shr(done).unwrap_or(0), at + 1);
    } else if let Some(to) = window.get_mut(..text.len()) {
        to.copy_from_slice(text);
        look(marks(&window), 1);
    }
    escaped
}

/// One bit, the lowest of its byte, for each of the middle bytes of the window that must be looked at.
///
/// Without a branch, so that the compiler judges all sixteen at once. Every form has a mark inside it: a separator with
/// digits or hexadecimal digits around it, a colon, an `@`, the `x` of `0x`, the second slash before digits.
#[inline]
fn marks(window: &[u8; WINDOW]) -> u128 {
    let [mut before, mut here, mut behind, mut next] = [[0u8; LANES]; 4];
    for (lane, from) in [(&mut before, 0), (&mut here, 1), (&mut behind, 2), (&mut next, 3)] {
        if let Some(&bytes) = window.get(from..).and_then(|rest| rest.first_chunk()) {
            *lane = bytes;
        }
    }
    let mut marks = [0u8; LANES];
    for ((((mark, p), c), n), m) in marks.iter_mut().zip(before).zip(here).zip(behind).zip(next) {
        let (p_digit, n_digit) = (p.wrapping_sub(b'0') < 10, n.wrapping_sub(b'0') < 10);
        let p_hex = p_digit | ((p | 0x20).wrapping_sub(b'a') < 6);
        let n_hex = n_digit | ((n | 0x20).wrapping_sub(b'a') < 6);
        let quad = ((c == b'.') | (c == b'_')) & p_digit & n_digit;
        let nibble = (c == b'.') & (m == b'.') & p_hex & n_hex;
        let dash = (c == b'-') & p_hex & (n_hex | (n == b'-'));
        let alone = (c == b':') | (c == b'@') | (c == b'%') | (c == b'\\');
        let prefix = ((c | 0x20) == b'x') & (p == b'0');
        let decimal = (c == b'/') & (p == b'/') & n_digit;
        *mark = u8::from(quad | nibble | dash | alone | prefix | decimal);
    }
    u128::from_le_bytes(marks)
}

/// The text under the marks, and up to where each kind of run has been judged, so that no run is walked twice.
pub(super) struct Walk<'t> {
    pub(super) text: &'t [u8],
    pub(super) rules: &'t Rules<'t>,
    /// By separator: dots, dashes, underscores.
    pub(super) quads_done: [usize; 3],
    pub(super) nibbles_done: usize,
    pub(super) dashes_done: usize,
    pub(super) colons_done: usize,
    pub(super) prefixed_done: usize,
}

impl<'t> Walk<'t> {
    fn new(text: &'t [u8], rules: &'t Rules<'t>) -> Self {
        Self { text, rules, quads_done: [0; 3], nibbles_done: 0, dashes_done: 0, colons_done: 0, prefixed_done: 0 }
    }

    #[inline(never)]
    fn look_at(&mut self, at: usize, found: &mut Vec<Range<usize>>) {
        let byte = self.at(at);
        if byte == b'@' {
            if self.rules.emails {
                email::around(self.text, at, found);
            }
            return;
        }
        if !self.rules.addresses {
            return;
        }
        match byte {
            b'.' => {
                digits::nibbles(self, at, found);
                digits::quads(self, at, found);
            }
            b'_' => digits::quads(self, at, found),
            b'-' => {
                digits::quads(self, at, found);
                colons::dashed(self, at, found);
            }
            b':' => colons::coloned(self, at, found),
            b'/' => digits::decimal(self, at, found),
            _ => digits::prefixed(self, at, found),
        }
    }

    /// The byte at an offset; 0, which is in no form, outside of the text.
    #[inline]
    pub(super) fn at(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    /// The byte before an offset.
    #[inline]
    pub(super) fn before(&self, at: usize) -> u8 {
        self.at(at.wrapping_sub(1))
    }

    /// The maximal run of bytes of a kind around an offset.
    #[inline]
    pub(super) fn run(&self, at: usize, kind: impl Fn(u8) -> bool) -> Range<usize> {
        let head = self.text.get(..at).unwrap_or_default();
        let tail = self.text.get(at..).unwrap_or_default();
        let start = head.iter().rposition(|&b| !kind(b)).map_or(0, |before| before + 1);
        start..at + tail.iter().position(|&b| !kind(b)).unwrap_or(tail.len())
    }

    /// The bytes of a range.
    #[inline]
    pub(super) fn slice(&self, range: Range<usize>) -> &'t [u8] {
        self.text.get(range).unwrap_or_default()
    }
}
