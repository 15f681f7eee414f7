//! One pass over one text of a path for tokens: JWTs, UUIDs, random text, session parameters.

use std::ops::Range;

use memchr::memchr2_iter;

use super::numbers;
use super::random::{SHORTEST_WORD, Word};

/// How `{"` starts in Base64.
const JWT: &[u8] = b"eyJ";

/// A run of words is judged as a whole from this many letters and digits on, by a higher measure than one word.
const WHOLE: usize = 18;
const WHOLE_PERMILLE: usize = 450;

/// Appends the ranges of tokens in a text as it stands.
#[inline]
pub(super) fn scan(text: &[u8], found: &mut Vec<Range<usize>>) {
    let seen = Seen::of(text);
    if seen.special {
        parameters(text, found);
    }
    // Words change between letters, digits and capitals once or twice; a token does it all the time.
    if seen.changes >= 3 || seen.digits >= SHORTEST_WORD {
        runs(text, found);
    }
    if seen.digits >= 7 {
        numbers::scan(text, seen.digits, found);
    }
}

/// What decides whether a second look is worth it.
#[derive(Default)]
struct Seen {
    digits: usize,
    /// Neighbours of which one is a letter and the other a digit, or the second a capital and the first a letter.
    changes: usize,
    /// `=` or `(`, without which there is no parameter.
    special: bool,
}

const LANES: usize = 16;

impl Seen {
    /// Counts sixteen bytes at once, without a branch; a pair that two parts share is lost, which may cost one change.
    #[inline]
    fn of(text: &[u8]) -> Self {
        let mut seen = Self::default();
        // So few that the sum of all the counters, which are bytes, fits one.
        for part in text.chunks(15 * LANES) {
            let mut counters = Counters::default();
            let mut at = 0;
            while let Some(window) = part.get(at..).and_then(|rest| rest.first_chunk()) {
                counters.add(window);
                at += LANES;
            }
            let mut window = [0; LANES + 1];
            let rest = part.get(at..).unwrap_or_default();
            if let Some(to) = window.get_mut(..rest.len()) {
                to.copy_from_slice(rest);
            }
            counters.add(&window);
            seen.digits += sum(counters.digits);
            seen.changes += sum(counters.changes);
            seen.special |= u128::from_le_bytes(counters.special) != 0;
        }
        seen
    }
}

/// One counter for each of the bytes that are seen at once.
#[derive(Default)]
struct Counters {
    digits: [u8; LANES],
    changes: [u8; LANES],
    special: [u8; LANES],
}

impl Counters {
    /// One loop per counter, which is what the compiler turns into instructions for all sixteen.
    #[inline]
    fn add(&mut self, window: &[u8; LANES + 1]) {
        let (Some(&here), Some(&next)) = (window.first_chunk::<LANES>(), window.last_chunk::<LANES>()) else { return };
        let digit = |b: u8| u8::from(b.wrapping_sub(b'0') < 10);
        let capital = |b: u8| u8::from(b.wrapping_sub(b'A') < 26);
        let letter = |b: u8| u8::from((b | 0x20).wrapping_sub(b'a') < 26);
        for (counter, c) in self.digits.iter_mut().zip(here) {
            *counter += digit(c);
        }
        for ((counter, c), n) in self.changes.iter_mut().zip(here).zip(next) {
            *counter += (digit(c) & letter(n)) | (letter(c) & (digit(n) | capital(n)));
        }
        for (counter, c) in self.special.iter_mut().zip(here) {
            *counter |= u8::from(c == b'=') | u8::from(c == b'(');
        }
    }
}

#[inline]
fn sum(counters: [u8; LANES]) -> usize {
    let bytes = u128::from_le_bytes(counters);
    let halves = (bytes as u64).wrapping_add((bytes >> 64) as u64);
    (halves.wrapping_mul(0x0101_0101_0101_0101) >> 56) as usize
}

/// Letters, digits, `-` and `_`, which a run consists of.
#[expect(clippy::indexing_slicing, reason = "evaluated at compile time, where a panic is a failed build")]
static IN_RUN: [bool; 256] = {
    let mut table = [false; 256];
    let mut n = 0;
    while n < 256 {
        let byte = n as u8;
        table[n] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        n += 1;
    }
    table
};

/// Words of letters and digits, joined by `-` or `_`, of at least the length of a token.
fn runs(text: &[u8], found: &mut Vec<Range<usize>>) {
    let is_in = |b: &u8| IN_RUN.get(usize::from(*b)).copied().unwrap_or(false);
    let mut at = 0;
    // A run starts at `at`. Seen from where it would be long enough, most are over at once.
    while let Some(window) = text.get(at..at + SHORTEST_WORD) {
        if let Some(outside) = window.iter().rposition(|b| !is_in(b)) {
            at += outside + 1;
            continue;
        }
        let rest = text.get(at..).unwrap_or_default();
        let len = rest.iter().position(|b| !is_in(b)).unwrap_or(rest.len());
        // The digits of an escape belong to no word; they are read in the next layer.
        let escaped = match (text.get(..at).and_then(<[u8]>::last), rest) {
            (Some(b'%'), [a, b, ..]) if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => 2,
            (Some(b'\\'), [b'x', ..]) => 3,
            (Some(b'\\'), [b'u', ..]) => 5,
            _ => 0,
        };
        let run = at + escaped..at + len;
        at = if may_hold_token(text.get(run.clone()).unwrap_or_default()) { look_at_run(text, run, found) } else { run.end };
    }
}

/// Whether a run is long enough to be judged as a whole, or has a word that is long enough for itself.
fn may_hold_token(run: &[u8]) -> bool {
    let long = |word: &[u8]| word.len() >= SHORTEST_WORD;
    run.len() >= WHOLE || run.split(|b| matches!(b, b'-' | b'_')).any(long)
}

/// Judges the words of a run, and returns up to where the text is settled.
fn look_at_run(text: &[u8], run: Range<usize>, found: &mut Vec<Range<usize>>) -> usize {
    let (mut open, mut pending): (Option<Range<usize>>, Option<usize>) = (None, None);
    let mut uuid = Uuid::default();
    let mut whole = Word::default();
    let before = found.len();
    let mut start = run.start;
    for text_of_word in text.get(run.clone()).unwrap_or_default().split(|&b| b == b'-' || b == b'_') {
        let range = start..start + text_of_word.len();
        start = range.end + 1;
        if text_of_word.starts_with(JWT) && text_of_word.len() >= SHORTEST_WORD {
            let end = jwt_end(text, range.end);
            found.push(range.start..end);
            return end;
        }
        let word = Word::of(text_of_word);
        found.extend(uuid.add(&range, word.hex));
        whole.pairs += word.pairs;
        whole.odd += word.odd;
        whole.letters += word.letters + word.digits;
        if word.is_random() {
            let start = open.as_ref().map_or(pending.unwrap_or(range.start), |open| open.start);
            open = Some(start..range.end);
        } else if word.is_mixed() {
            pending = pending.or(Some(range.start));
            if let Some(open) = &mut open {
                open.end = range.end;
            }
        } else if !range.is_empty() {
            pending = None;
            found.extend(open.take());
        }
    }
    found.extend(open);
    if found.len() == before && whole.letters >= WHOLE && whole.odd * 1000 >= whole.pairs * WHOLE_PERMILLE {
        found.push(run.clone());
    }
    run.end
}

/// Up to four more parts follow, each behind a dot (RFC 7515, 7516).
fn jwt_end(text: &[u8], from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    let is_part = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'=' | b'+' | b'~');
    from + rest.iter().position(|&b| !is_part(b)).unwrap_or(rest.len())
}

/// The lengths of the words of a UUID, so far.
#[derive(Default)]
struct Uuid {
    matched: usize,
    start: usize,
    next: usize,
}

impl Uuid {
    /// Takes the next word; the range of the UUID if that was its last one. Letters may touch it at both ends.
    fn add(&mut self, word: &Range<usize>, hex: usize) -> Option<Range<usize>> {
        const LENGTHS: [usize; 5] = [8, 4, 4, 4, 12];
        let all_hex = hex == word.len();
        let continues = self.matched > 0 && word.start == self.next + 1;
        let fits = LENGTHS.get(self.matched).is_some_and(|&len| all_hex && word.len() == len);
        let last = self.matched == 4 && hex >= 12;
        self.next = word.end;
        if continues && last {
            self.matched = 0;
            return Some(self.start..word.end);
        }
        if continues && fits {
            self.matched += 1;
        } else {
            self.matched = usize::from(hex >= 8);
            self.start = if all_hex { word.start } else { word.end.saturating_sub(8).max(word.start) };
        }
        None
    }
}

/// `;jsessionid=…` and the like, wherever the name stands, and `(S(…))` of ASP.NET.
fn parameters(text: &[u8], found: &mut Vec<Range<usize>>) {
    let mut done = 0;
    for at in memchr2_iter(b'=', b'(', text) {
        let Some(head) = text.get(done..at) else { continue };
        let ends: fn(&u8) -> bool = if text.get(at) == Some(&b'(') {
            if !matches!(head, [.., b'(' | b')', letter] if letter.is_ascii_uppercase()) {
                continue;
            }
            |b| matches!(b, b')' | b'/' | b';')
        } else {
            if !names_session(head) {
                continue;
            }
            |b| matches!(b, b'/' | b';' | b'?' | b'#' | b'&' | b',' | b' ' | b'"')
        };
        let tail = text.get(at + 1..).unwrap_or_default();
        done = at + 1 + tail.iter().position(ends).unwrap_or(tail.len());
        if !matches!(text.get(at + 1..done), Some([] | [b'-']) | None) {
            found.push(at + 1..done);
        }
    }
}

/// Whether the text ends in the name of a parameter that holds a session or a credential.
fn names_session(text: &[u8]) -> bool {
    const LONGEST: usize = 64;
    const ANYWHERE: [&[u8]; 4] = [b"session", b"token", b"passw", b"secret"];
    const AT_THE_END: [&[u8]; 7] = [b"sid", b"sess", b"cfid", b"apikey", b"auth", b"ticket", b"uuid"];
    let near = text.get(text.len().saturating_sub(LONGEST)..).unwrap_or_default();
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let start = near.iter().rposition(|b| !is_name(b)).map_or(0, |at| at + 1);
    let name = near.get(start..).unwrap_or_default();
    let ends_in = |known: &&[u8]| name.len().checked_sub(known.len()).and_then(|at| name.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(known));
    let contains = |known: &&[u8]| name.windows(known.len()).any(|part| part.eq_ignore_ascii_case(known));
    AT_THE_END.iter().any(ends_in) || ANYWHERE.iter().any(contains)
}
