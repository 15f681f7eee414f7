//! Reads a value as it stands and with its escapes undone, layer by layer, and maps what is found back to the value.

use std::ops::Range;

use memchr::memchr2;

/// How many escapes inside escapes are undone; deeper nesting is nobody's text and is given up whole.
const MAX_DEPTH: usize = 6;

/// `\uHHHH`.
const LONGEST_ESCAPE: usize = 6;

/// How often masking may uncover something new before the value is given up whole.
const MAX_ROUNDS: usize = 8;

/// Finds ranges in a text and says whether it saw an escape character.
type Look<'a> = &'a mut dyn FnMut(&[u8], &mut Vec<Range<usize>>) -> bool;

/// Buffers for the layers of one value.
#[derive(Clone, Debug, Default)]
pub(in crate::scrub) struct Layers {
    /// What the look found in one layer, in offsets of that layer.
    found: Vec<Range<usize>>,
    /// What was found in all layers, in offsets of the value.
    total: Vec<Range<usize>>,
    upper: Layer,
    lower: Layer,
}

/// A text made from the value, with the offset in the value of each of its bytes and of its end.
#[derive(Clone, Debug, Default)]
struct Layer {
    text: Vec<u8>,
    origin: Vec<u32>,
}

impl Layers {
    /// Appends what `look` finds in the value and in its layers to `hits`, ascending and disjoint.
    ///
    /// `look` appends ranges in any order and answers whether it saw a `%` or `\`. It is called again on the value with
    /// the hits replaced by `-`, until it finds nothing more: what it says of its own result is that it is clean.
    #[inline]
    pub(in crate::scrub) fn find(&mut self, value: &[u8], hits: &mut Vec<Range<usize>>, mut look: impl FnMut(&[u8], &mut Vec<Range<usize>>) -> bool) {
        self.found.clear();
        let escaped = look(value, &mut self.found);
        if escaped || !self.found.is_empty() {
            self.find_below(value, escaped, &mut look);
            hits.append(&mut self.total);
        }
    }

    #[cold]
    fn find_below(&mut self, value: &[u8], escaped: bool, look: Look<'_>) {
        self.total.clear();
        self.total.append(&mut self.found);
        let mut sound = u32::try_from(value.len()).is_ok();
        if sound && escaped {
            self.upper.mask(value, &[]);
            self.total.retain_mut(|range| keep_escapes(value, range));
            if self.lower.unescape(&self.upper) {
                std::mem::swap(&mut self.upper, &mut self.lower);
                sound = self.look_through(look);
            }
        }
        merge(&mut self.total);
        let mut rounds = 0;
        while sound && !self.total.is_empty() {
            let before = self.total.len();
            self.upper.mask(value, &self.total);
            sound = self.look_through(look) && rounds < MAX_ROUNDS;
            if self.total.len() == before {
                break;
            }
            merge(&mut self.total);
            rounds += 1;
        }
        if !sound {
            self.total.clear();
            self.total.push(0..value.len());
        }
    }

    /// The text with all its escapes undone.
    pub(in crate::scrub) fn plain<'a>(&'a mut self, text: &'a [u8]) -> &'a [u8] {
        if memchr2(b'%', b'\\', text).is_none() || u32::try_from(text.len()).is_err() {
            return text;
        }
        self.upper.mask(text, &[]);
        for _ in 0..MAX_DEPTH {
            if !self.lower.unescape(&self.upper) {
                break;
            }
            std::mem::swap(&mut self.upper, &mut self.lower);
        }
        &self.upper.text
    }

    /// Looks at `upper` and all layers below it; `false` if the last one is still escaped.
    fn look_through(&mut self, look: Look<'_>) -> bool {
        for _ in 0..MAX_DEPTH {
            self.found.clear();
            let escaped = look(&self.upper.text, &mut self.found);
            self.found.retain_mut(|range| keep_escapes(&self.upper.text, range));
            self.total.extend(self.found.iter().map(|range| self.upper.range(range)));
            if !escaped || !self.lower.unescape(&self.upper) {
                return true;
            }
            std::mem::swap(&mut self.upper, &mut self.lower);
        }
        false
    }
}

/// Moves the ends of a range out of escapes; `false` if nothing is left.
///
/// What starts inside of an escape was made up of its digits, as `201.2.3.4` in `%201.2.3.4`; the next layer knows better.
fn keep_escapes(text: &[u8], range: &mut Range<usize>) -> bool {
    let end_of = |at: usize| {
        let from = at.saturating_sub(LONGEST_ESCAPE - 1);
        (from..at).find_map(|start| Some(start + escape(text.get(start..)?).1).filter(|&end| end > at))
    };
    range.start = end_of(range.start).unwrap_or(range.start);
    range.end = end_of(range.end).unwrap_or(range.end);
    range.start < range.end
}

/// Sorts ranges and joins those that overlap or touch.
pub(in crate::scrub) fn merge(ranges: &mut Vec<Range<usize>>) {
    ranges.sort_unstable_by_key(|range| range.start);
    ranges.dedup_by(|next, kept| {
        let joined = next.start <= kept.end;
        if joined {
            kept.end = kept.end.max(next.end);
        }
        joined
    });
}

impl Layer {
    fn range(&self, range: &Range<usize>) -> Range<usize> {
        let origin = |at: usize| self.origin.get(at).map_or(0, |&at| at as usize);
        origin(range.start)..origin(range.end)
    }

    /// The value with each of the ranges replaced by `-`; offsets fit because the caller checked the length.
    fn mask(&mut self, value: &[u8], ranges: &[Range<usize>]) {
        self.text.clear();
        self.origin.clear();
        let mut at = 0;
        for range in ranges {
            self.copy(value, at..range.start);
            self.text.push(b'-');
            self.origin.push(range.start as u32);
            at = range.end;
        }
        self.copy(value, at..value.len());
        self.origin.push(value.len() as u32);
    }

    fn copy(&mut self, value: &[u8], range: Range<usize>) {
        self.text.extend_from_slice(value.get(range.clone()).unwrap_or_default());
        self.origin.extend(range.start as u32..range.end as u32);
    }

    /// Takes the other layer with one level of escapes undone; `false` if there were none.
    fn unescape(&mut self, escaped: &Self) -> bool {
        self.text.clear();
        self.origin.clear();
        let (text, origin) = (escaped.text.as_slice(), escaped.origin.as_slice());
        let mut at = 0;
        while let Some(rest) = text.get(at..) {
            let plain = memchr2(b'%', b'\\', rest).unwrap_or(rest.len());
            self.text.extend_from_slice(rest.get(..plain).unwrap_or_default());
            self.origin.extend_from_slice(origin.get(at..at + plain).unwrap_or_default());
            at += plain;
            let Some(&start) = origin.get(at).filter(|_| at < text.len()) else { break };
            let (byte, len) = escape(rest.get(plain..).unwrap_or_default());
            self.text.push(byte);
            self.origin.push(start);
            at += len;
        }
        self.origin.extend(origin.last());
        self.text.len() < text.len()
    }
}

/// The byte that an escape at the start of the text stands for, and the length of the escape; a character that is not
/// one byte becomes 0xff, which is in no address.
fn escape(text: &[u8]) -> (u8, usize) {
    let wide = |code: u32| if code < 0x80 { code as u8 } else { 0xff };
    let (first, code, len) = match *text {
        [first @ (b'%' | b'\\'), b'u' | b'U', a, b, c, d, ..] => (first, hex(&[a, b, c, d]).map(wide), 6),
        [b'%', a, b, ..] => (b'%', hex(&[a, b]).map(|code| code as u8), 3),
        [b'\\', b'x' | b'X', a, b, ..] => (b'\\', hex(&[a, b]).map(|code| code as u8), 4),
        [b'\\', b'n' | b'r' | b't' | b'b' | b'f' | b'v', ..] => (b'\\', Some(b' '), 2),
        [b'\\', next @ (b'"' | b'\'' | b'\\' | b'/'), ..] => (b'\\', Some(next), 2),
        [first, ..] => (first, None, 1),
        [] => (0xff, None, 1),
    };
    code.map_or((first, 1), |byte| (byte, len))
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, &digit| Some(value << 4 | char::from(digit).to_digit(16)?))
}
