//! One pass over a line: strict about JSON, bytes in, places out.

use super::{Followers, Node, OTHER, Tree};
use crate::format::word::stop;
use crate::format::{Field, Mismatch, Spans, Text, escape, request};

/// Objects nested deeper than this are refused.
const DEEPEST: usize = 32;

pub(super) struct Scan<'a> {
    pub tree: &'a Tree,
    pub line: &'a [u8],
    pub at: usize,
    pub found: u64,
    /// A key without its escapes, where it has some.
    pub key: Vec<u8>,
    pub followers: &'a mut Followers,
}

impl Scan<'_> {
    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.line.get(self.at).copied()
    }

    #[inline]
    pub(super) fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Result<(), Mismatch> {
        if self.peek() != Some(byte) {
            return Err(Mismatch::Json);
        }
        self.at += 1;
        Ok(())
    }

    pub(super) fn value(&mut self, at: u16, depth: usize, spans: &mut Spans) -> Result<(), Mismatch> {
        let Some(node) = self.tree.nodes.get(usize::from(at)) else { return Err(Mismatch::Json) };
        self.found |= node.bit;
        match self.peek().ok_or(Mismatch::Json)? {
            b'"' => {
                let (start, end, _) = self.string()?;
                match node.composite {
                    Some(Field::Request) => request::request(self.line, start, end, node.slot, Text::Json, spans),
                    Some(Field::Path) => request::path(self.line, start, end, node.slot, Text::Json, spans),
                    Some(_) => request::url(self.line, start, end, node.slot, Text::Json, spans),
                    None => spans.push(start, end, node.slot, Text::Json),
                }
                Ok(())
            }
            open @ (b'{' | b'[') => {
                if depth == DEEPEST {
                    return Err(Mismatch::Json);
                }
                // What nothing is known about goes or stays as a whole; of a known list, each element for itself.
                let nest = (node.is_leaf() && (open == b'{' || at == OTHER)).then(|| {
                    spans.push(self.at, self.at, node.slot, Text::JsonNest);
                    spans.len() - 1
                });
                self.at += 1;
                if open == b'{' {
                    self.object(at, node, depth, spans)?
                } else {
                    self.array(at, depth, spans)?
                }
                if let Some(index) = nest {
                    spans.close(index, self.at);
                }
                Ok(())
            }
            _ => {
                let start = self.at;
                self.scalar()?;
                spans.push(start, self.at, node.slot, Text::JsonScalar);
                Ok(())
            }
        }
    }

    fn array(&mut self, node: u16, depth: usize, spans: &mut Spans) -> Result<(), Mismatch> {
        self.blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.blanks();
            self.value(node, depth + 1, spans)?;
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(Mismatch::Json),
            }
        }
    }

    fn object(&mut self, own: u16, node: &Node, depth: usize, spans: &mut Spans) -> Result<(), Mismatch> {
        let mut seen = 0_u128;
        let mut before = (own, true);
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.blanks();
            let (index, child) = match self.guessed(node, before) {
                Some((index, child)) => (Some(index), child),
                None => self.key(own, node, before, spans)?,
            };
            if let Some(index) = index {
                let bit = 1_u128.checked_shl(index as u32).unwrap_or(0);
                if seen & bit != 0 {
                    return Err(Mismatch::Json);
                }
                seen |= bit;
                before = (child, false);
            }
            self.blanks();
            self.expect(b':')?;
            self.blanks();
            self.value(child, depth + 1, spans)?;
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(Mismatch::Json),
            }
        }
    }

    /// The child whose key came behind `before` in the line before, if it does again: then the key need not be read.
    #[inline]
    fn guessed(&mut self, node: &Node, (before, inside): (u16, bool)) -> Option<(usize, u16)> {
        let place = self.followers.get(before, inside)?;
        let (known, child) = node.children.get(place)?;
        let rest = self.line.get(self.at..)?.strip_prefix(b"\"")?.strip_prefix(&**known)?;
        if rest.first() != Some(&b'"') {
            return None;
        }
        self.at += known.len() + 2;
        Some((place, *child))
    }

    /// Reads a key: where it is among the children of the object, if it is known there, and the node of its value.
    fn key(&mut self, own: u16, node: &Node, (before, inside): (u16, bool), spans: &mut Spans) -> Result<(Option<usize>, u16), Mismatch> {
        let (start, end, escaped) = self.string()?;
        let mut plain = std::mem::take(&mut self.key);
        let raw = self.line.get(start..end).unwrap_or_default();
        let key = if escaped {
            plain.clear();
            escape::json(raw, &mut plain);
            &plain
        } else {
            raw
        };
        let found = match node.child(key) {
            Some((index, child)) => {
                // Without escapes in it, it is a key whose text says where it ends.
                if !escaped {
                    self.followers.set(before, inside, index);
                }
                (Some(index), child)
            }
            None => {
                let wild = node.wild(key).map(|(wild, prefix)| self.tree.meant(wild, key, prefix));
                let child = wild.unwrap_or(if node.is_leaf() { own } else { OTHER });
                let slot = self.tree.nodes.get(usize::from(child)).map_or(0, |node| node.slot);
                spans.push(start, end, slot, Text::JsonKey);
                (None, child)
            }
        };
        self.key = plain;
        Ok(found)
    }

    /// The inside of a string, and whether an escape stands in it.
    #[inline]
    fn string(&mut self) -> Result<(usize, usize, bool), Mismatch> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = self.line.get(self.at..).unwrap_or_default();
            let stop = stop(rest).ok_or(Mismatch::Json)?;
            self.at += stop;
            match rest.get(stop) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok((start, self.at - 1, escaped));
                }
                Some(b'\\') => {
                    escaped = true;
                    self.at += match rest.get(stop + 1..).unwrap_or_default() {
                        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 2,
                        [b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) => 6,
                        // Apache and nginx without escape=json write \xHH into hand-made JSON.
                        [b'x', a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => 4,
                        _ => return Err(Mismatch::Json),
                    };
                }
                _ => return Err(Mismatch::Json),
            }
        }
    }

    /// A number, `true`, `false` or `null`.
    fn scalar(&mut self) -> Result<(), Mismatch> {
        let rest = self.line.get(self.at..).unwrap_or_default();
        let word = rest.iter().position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n')).unwrap_or(rest.len());
        let word = rest.get(..word).unwrap_or_default();
        if !(matches!(word, b"true" | b"false" | b"null") || is_number(word)) {
            return Err(Mismatch::Json);
        }
        self.at += word.len();
        Ok(())
    }
}

/// `[ "-" ] int [ "." digits ] [ e [ sign ] digits ]`
fn is_number(word: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = word.strip_prefix(b"-").unwrap_or(word);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest.first() == Some(&b'0')) {
        return false;
    }
    let mut rest = rest.get(whole..).unwrap_or_default();
    if let Some(fraction) = rest.strip_prefix(b".") {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = fraction.get(count..).unwrap_or_default();
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = exponent.strip_prefix(b"+").or(exponent.strip_prefix(b"-")).unwrap_or(exponent);
        return !exponent.is_empty() && digits(exponent) == exponent.len();
    }
    rest.is_empty()
}
