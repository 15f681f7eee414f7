//! Texts as this check reads them: escapes undone layer by layer, words between their marks.

use crate::format::Text;
use std::ops::Range;

/// Escapes within escapes are undone this often.
const LAYERS: usize = 4;

/// Reads a text with its escapes undone; reuses its buffers.
#[derive(Default)]
pub(super) struct Layers {
    text: Vec<u8>,
    origin: Vec<u32>,
    next: Vec<u8>,
    next_origin: Vec<u32>,
}

/// One reading of a text.
#[derive(Clone, Copy)]
pub(super) struct Layer<'a> {
    /// The text.
    pub text: &'a [u8],
    /// Where each byte came from; empty for the text itself.
    origin: &'a [u32],
}

impl Layer<'_> {
    /// Where a byte of this reading stands in the text itself.
    pub(super) fn place(&self, at: usize) -> usize {
        if self.origin.is_empty() { at } else { self.origin.get(at).map_or(usize::MAX, |place| *place as usize) }
    }
}

impl Layers {
    /// Shows the text as it is, then with its escapes undone, until nothing changes.
    #[inline]
    pub(super) fn each(&mut self, text: &[u8], mut see: impl FnMut(Layer<'_>)) {
        see(Layer { text, origin: &[] });
        if memchr::memchr2(b'%', b'\\', text).is_some() || memchr::memmem::find(text, b"&#").is_some() {
            self.undo(text, &mut see);
        }
    }

    #[cold]
    fn undo(&mut self, text: &[u8], see: &mut impl FnMut(Layer<'_>)) {
        self.text.clear();
        self.origin.clear();
        if !unescape(text, &[], &mut self.text, &mut self.origin) {
            return;
        }
        see(Layer { text: &self.text, origin: &self.origin });
        for _ in 1..LAYERS {
            self.next.clear();
            self.next_origin.clear();
            if !unescape(&self.text, &self.origin, &mut self.next, &mut self.next_origin) {
                return;
            }
            std::mem::swap(&mut self.text, &mut self.next);
            std::mem::swap(&mut self.origin, &mut self.next_origin);
            see(Layer { text: &self.text, origin: &self.origin });
        }
    }
}

/// The innermost reading of a value.
pub(super) fn decoded(value: &[u8]) -> Vec<u8> {
    let mut last = Vec::new();
    Layers::default().each(value, |layer| {
        last.clear();
        last.extend_from_slice(layer.text);
    });
    last
}

/// The inside of a JSON string without its escapes.
pub(super) fn from_json(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(byte) = value.get(at) {
        let (char, width) = if *byte == b'\\' { escape(value.get(at..).unwrap_or_default()).unwrap_or((u32::from(*byte), 1)) } else { (u32::from(*byte), 1) };
        match char::from_u32(char).filter(|_| width == 6) {
            Some(char) => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
            None => out.push(char as u8),
        }
        at += width;
    }
    out
}

/// Undoes one layer of `%HH`, `%uHHHH`, `\xHH`, `\uHHHH`, `\"` and `&#NN;`; false if there is none.
fn unescape(text: &[u8], before: &[u32], out: &mut Vec<u8>, origin: &mut Vec<u32>) -> bool {
    let mut at = 0;
    let mut any = false;
    while let Some(byte) = text.get(at) {
        let rest = text.get(at..).unwrap_or_default();
        let (char, width) = match byte {
            b'%' | b'\\' | b'&' => escape(rest).unwrap_or((u32::from(*byte), 0)),
            other => (u32::from(*other), 0),
        };
        any |= width > 0;
        let start = out.len();
        let wide = width >= 5 && char > 0x7F;
        match char::from_u32(char).filter(|_| wide) {
            Some(char) => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
            None => out.push(char as u8),
        }
        let from = if before.is_empty() { at as u32 } else { before.get(at).copied().unwrap_or(u32::MAX) };
        origin.extend((start..out.len()).map(|_| from));
        at += width.max(1);
    }
    any
}

/// The character that an escape at the start stands for, and its width.
fn escape(rest: &[u8]) -> Option<(u32, usize)> {
    let hex = |digits: &[u8]| digits.iter().try_fold(0_u32, |sum, digit| Some(sum << 4 | char::from(*digit).to_digit(16)?));
    match rest {
        [b'%', b'u' | b'U', digits @ ..] | [b'\\', b'u', digits @ ..] => Some((hex(digits.get(..4)?)?, 6)),
        [b'%', digits @ ..] => Some((hex(digits.get(..2)?)?, 3)),
        [b'\\', b'x' | b'X', digits @ ..] => Some((hex(digits.get(..2)?)?, 4)),
        [b'\\', b'n', ..] => Some((10, 2)),
        [b'\\', b'r', ..] => Some((13, 2)),
        [b'\\', b't', ..] => Some((9, 2)),
        [b'\\', byte @ (b'"' | b'\\' | b'/' | b'\''), ..] => Some((u32::from(*byte), 2)),
        [b'&', b'#', digits @ ..] => {
            let end = digits.iter().take(8).position(|byte| *byte == b';')?;
            let digits = std::str::from_utf8(digits.get(..end)?).ok()?;
            let char = match digits.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => digits.parse().ok()?,
            };
            Some((char, end + 3))
        }
        _ => None,
    }
}

/// Letters, digits and everything outside of ASCII hold a word together.
#[inline]
pub(super) const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}

/// Where `word` stands whole: not within a longer word.
pub(super) fn whole<'a>(text: &'a [u8], word: &'a [u8]) -> impl Iterator<Item = Range<usize>> + 'a {
    let first = word.first().is_some_and(|byte| is_word(*byte));
    let last = word.last().is_some_and(|byte| is_word(*byte));
    memchr::memmem::find_iter(text, word).map(|at| at..at + word.len()).filter(move |hit| {
        let before = hit.start.checked_sub(1).and_then(|at| text.get(at)).is_some_and(|byte| is_word(*byte));
        let after = text.get(hit.end).is_some_and(|byte| is_word(*byte));
        let longer = (first && before) || (last && after);
        !(longer || word.is_empty())
    })
}

/// Whether every word of `clean` stands whole in `raw`, or is a pseudonym.
pub(super) fn is_gathered(raw: &[u8], clean: &[u8]) -> bool {
    clean.split(|byte| !is_word(*byte)).all(|word| word.is_empty() || is_pseudonym(word) || whole(raw, word).next().is_some())
}

/// Shows what may be an identifier in a text: all of it, what stands between marks of URLs and lists, and its words.
pub(super) fn pieces(text: &[u8], mut see: impl FnMut(&[u8])) {
    let mut show = |piece: &[u8]| {
        let number = piece.len() < 4 && piece.iter().all(u8::is_ascii_digit);
        if piece.len() > 1 && !number && piece.iter().any(|byte| is_word(*byte)) {
            see(piece);
        }
    };
    let text = text.trim_ascii();
    show(text);
    let coarse = |byte: &u8| matches!(byte, b'/' | b'?' | b'&' | b'=' | b';' | b',' | b'"' | b' ' | b'#' | b'\t' | b'\n' | b'[' | b']');
    for piece in text.split(coarse).filter(|piece| piece.len() < text.len()) {
        show(piece);
        piece.split(|byte| !is_word(*byte)).filter(|word| word.len() < piece.len()).for_each(&mut show);
    }
    text.split(|byte| !is_word(*byte)).filter(|word| word.len() < text.len()).for_each(&mut show);
}

/// Whether a value is a key, or holds other values.
pub(in crate::run) const fn is_nest(text: Text) -> bool {
    matches!(text, Text::JsonNest | Text::JsonKey)
}

/// What a dropped value looks like.
#[inline]
pub(super) fn is_gone(value: &[u8]) -> bool {
    matches!(value, b"" | b"-" | b"null" | b"\"-\"" | b"?")
}

/// A pseudonym of 128 bits.
pub(super) fn is_pseudonym(value: &[u8]) -> bool {
    value.len() == 32 && value.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'))
}

/// Whether `clean` is `raw` with parts replaced by `-` or `{…}`.
pub(super) fn is_masked(raw: &[u8], clean: &[u8]) -> bool {
    let (mut at, mut rest) = (0, clean);
    while !rest.is_empty() {
        let width = rest.iter().position(|byte| matches!(byte, b'-' | b'{')).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(width);
        let Some(found) = raw.get(at..).and_then(|raw| memchr::memmem::find(raw, piece)) else { return false };
        // What stands in front of the first mask stands in front of everything.
        if at == 0 && found > 0 && rest.len() == clean.len() && width > 0 {
            return false;
        }
        at += found + width;
        rest = match after {
            [b'{', ..] => after.iter().position(|byte| *byte == b'}').map_or(&[], |end| after.get(end + 1..).unwrap_or_default()),
            [_, after @ ..] => after,
            [] => after,
        };
    }
    true
}

/// Whether `clean` is the number `raw` with its last digits made zeros.
pub(super) fn is_rounded(raw: &[u8], clean: &[u8]) -> bool {
    raw.len() == clean.len() && raw.iter().zip(clean).all(|(raw, clean)| raw == clean || (*clean == b'0' && raw.is_ascii_digit()))
}

/// The values of a JSON object, without keys and marks, each on a line of its own.
pub(super) fn json_values(line: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(byte) = line.get(at) {
        let start = at;
        if *byte == b'"' {
            at += 1;
            while let Some(byte) = line.get(at).filter(|byte| **byte != b'"') {
                at += if *byte == b'\\' { 2 } else { 1 };
            }
            at += 1;
            let blanks = line.get(at..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            if line.get(at + blanks) != Some(&b':') {
                out.extend_from_slice(line.get(start + 1..(at - 1).min(line.len())).unwrap_or_default());
                out.push(b'\n');
            }
        } else if matches!(byte, b'{' | b'}' | b'[' | b']' | b',' | b':' | b' ') {
            at += 1;
        } else {
            let width = line.get(at..).unwrap_or_default().iter().position(|byte| matches!(byte, b',' | b'}' | b']' | b'"' | b'{' | b'[' | b':'));
            at = width.map_or(line.len(), |width| at + width);
            out.extend_from_slice(line.get(start..at).unwrap_or_default());
            out.push(b'\n');
            at = at.max(start + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_layer_by_layer() {
        let read = |text: &str| String::from_utf8_lossy(&decoded(text.as_bytes())).into_owned();
        assert_eq!(read("a%2540b"), "a@b");
        assert_eq!(read(r"\x32\x30\u0033.0"), "203.0");
        assert_eq!(read(r#"\\x41 \" %u0041 &#46;&#x2e;"#), "A \" A ..");
        assert_eq!(read("100% & more\\"), "100% & more\\");
    }

    #[test]
    fn layers_know_where_bytes_came_from() {
        let mut seen = Vec::new();
        Layers::default().each(b"x%2540", |layer| seen.push((layer.text.to_vec(), layer.place(1))));
        assert_eq!(seen, [(b"x%2540".to_vec(), 1), (b"x%40".to_vec(), 1), (b"x@".to_vec(), 1)]);
    }

    #[test]
    fn words_stand_whole_or_not_at_all() {
        let count = |text: &str, word: &str| whole(text.as_bytes(), word.as_bytes()).count();
        assert_eq!(count("bob, bobby bob/x=bob", "bob"), 3);
        assert_eq!(count("12345 2345", "2345"), 1);
        assert_eq!(count("a=", "a="), 1);
        assert_eq!(count("aa", ""), 0);
    }

    #[test]
    fn masks_and_zeros_are_explained() {
        for (raw, clean) in [("/a/x@y.z/b", "/a/-/b"), ("/user/7/cart", "/user/{id}/cart"), ("/a-b", "/a-b"), ("/a", "-"), ("/a/1.2.3.4", "/a/-")] {
            assert!(is_masked(raw.as_bytes(), clean.as_bytes()), "{raw} {clean}");
        }
        for (raw, clean) in [("/a", "/b"), ("/a", "/a/c"), ("/x/a", "/a")] {
            assert!(!is_masked(raw.as_bytes(), clean.as_bytes()), "{raw} {clean}");
        }
        assert!(is_rounded(b"2326", b"2000") && is_rounded(b"0.057", b"0.050") && !is_rounded(b"404", b"200") && !is_rounded(b"5", b"50"));
    }

    #[test]
    fn json_gives_its_values() {
        let mut out = Vec::new();
        json_values(br#"{"a":"b\"c","d":{"e":[1,"x"],"f" : null}}"#, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), "b\\\"c\n1\nx\nnull\n");
    }
}
