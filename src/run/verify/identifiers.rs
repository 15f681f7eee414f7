//! The words of a raw record that identify somebody: names, users, values of queries and cookies, sessions, request ids.

use super::address::{self, Form};
use super::record::Place;
use super::rules::Rules;
use super::text::{decoded, is_gone, is_nest};
use crate::format::{Field, Slot};
use std::ops::Range;

/// Shorter values say too little to be told from other words.
const SHORTEST: usize = 4;

/// Shortest name of a user.
const SHORTEST_USER: usize = 2;

/// The words, and which field each came from; reuses its buffers.
#[derive(Default)]
pub(super) struct Identifiers {
    words: Vec<u8>,
    list: Vec<(Field, Range<usize>)>,
}

impl Identifiers {
    /// Every word with its field.
    pub(super) fn each(&self) -> impl Iterator<Item = (Field, &[u8])> {
        self.list.iter().filter_map(|(field, range)| Some((*field, self.words.get(range.clone())?)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.words.clear();
        self.list.clear();
    }

    /// Takes the words of a record.
    pub(super) fn collect(&mut self, text: &[u8], places: &[Place], slots: &[Slot], rules: &Rules) {
        self.clear();
        for place in places {
            let value = text.get(place.start..place.end).unwrap_or_default();
            if is_gone(value) || is_nest(place.text) {
                continue;
            }
            let name = slots.get(place.slot).map_or("", |slot| &slot.name);
            self.value(place.field, name, value, rules);
        }
    }

    /// The words of one value.
    fn value(&mut self, field: Field, name: &str, value: &[u8], rules: &Rules) {
        if matches!(field, Field::Query | Field::Cookie) {
            match (field, name.is_empty()) {
                (Field::Query, true) => self.query(field, value, rules),
                (_, true) => self.pairs(field, value, b';', rules),
                (_, false) if !rules.keeps_name(field, name.as_bytes()) => self.add(field, value, SHORTEST),
                (_, false) => {}
            }
        } else if rules.keeps(field) {
            // What the policy keeps names nobody whom it hides.
        } else if matches!(field, Field::ClientAddr | Field::ProxiedAddr) {
            self.names(field, value);
        } else if matches!(field, Field::Ident | Field::User) {
            self.add(field, value, SHORTEST_USER);
            // `user:password` in front of a host.
            if memchr::memchr(b':', value).is_some() {
                value.split(|byte| *byte == b':').for_each(|part| self.add(field, part, SHORTEST_USER));
            }
        } else if matches!(field, Field::Session | Field::RequestId) || (field == Field::Header && Rules::is_secret(name) && !rules.keeps_name(field, name.as_bytes())) {
            self.add(field, value, SHORTEST);
        } else if matches!(field, Field::Referrer | Field::Request | Field::Url)
            && let Some(at) = query_in(value)
        {
            self.query(field, value.get(at..).unwrap_or_default(), rules);
        }
    }

    /// Takes the values of everything that looks like a query: for a line whose format is not known.
    pub(super) fn collect_text(&mut self, text: &[u8], rules: &Rules) {
        self.clear();
        for word in text.split(|byte| matches!(byte, b' ' | b'"' | b'\t')) {
            if let Some(at) = memchr::memchr(b'?', word).filter(|at| *at > 0) {
                self.query(Field::Query, word.get(at..).unwrap_or_default(), rules);
            }
        }
    }

    /// Names of clients; addresses are looked for as such.
    fn names(&mut self, field: Field, value: &[u8]) {
        for hop in value.split(|byte| matches!(byte, b',' | b' ' | b';' | b'"' | b'=')) {
            let mut is_address = false;
            address::scan(hop, |found| is_address |= found.form == Form::Plain);
            let letters = hop.iter().any(u8::is_ascii_alphabetic);
            let known = [&b"unknown"[..], b"unix:", b"proto", b"http", b"https", b"host", b"by"].contains(&hop);
            if letters && !is_address && !known && !hop.contains(&b'\\') {
                self.add(field, hop, SHORTEST);
            }
        }
    }

    fn query(&mut self, field: Field, value: &[u8], rules: &Rules) {
        let value = value.get(mark(value)..).unwrap_or_default();
        self.pairs(field, value, b'&', rules);
    }

    fn pairs(&mut self, field: Field, value: &[u8], separator: u8, rules: &Rules) {
        let names = if field == Field::Cookie { Field::Cookie } else { Field::Query };
        for pair in value.split(|byte| *byte == separator) {
            let (name, value) = halves(pair);
            if !rules.keeps_name(names, name) {
                self.add(field, value, SHORTEST);
            }
        }
    }

    fn add(&mut self, field: Field, value: &[u8], shortest: usize) {
        self.push(field, value, shortest);
        if value.iter().any(|byte| matches!(byte, b'%' | b'\\' | b'&' | b'+')) {
            let plain = decoded(value);
            let blanks: Vec<u8> = plain.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
            if plain != value {
                self.push(field, &plain, shortest);
            }
            if blanks != plain {
                self.push(field, &blanks, shortest);
            }
        }
    }

    fn push(&mut self, field: Field, value: &[u8], shortest: usize) {
        let value = value.trim_ascii();
        let zeros = value.iter().all(|byte| matches!(byte, b'0' | b'-' | b'.'));
        let marks = !value.iter().any(|byte| super::text::is_word(*byte));
        if value.len() < shortest || zeros || marks || is_gone(value) || is_address(value) {
            return;
        }
        if self.list.last().is_some_and(|(last, range)| *last == field && self.words.get(range.clone()) == Some(value)) {
            return;
        }
        let start = self.words.len();
        self.words.extend_from_slice(value);
        self.list.push((field, start..self.words.len()));
    }
}

/// An address and nothing else is looked for as an address.
fn is_address(value: &[u8]) -> bool {
    if !value.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':')) {
        return false;
    }
    let mut whole = false;
    address::scan(value, |found| whole |= found.form == Form::Plain && found.range == (0..value.len()));
    whole
}

/// Name and value of a pair; without a `=`, all of it is a value.
pub(super) fn halves(pair: &[u8]) -> (&[u8], &[u8]) {
    let pair = pair.trim_ascii();
    match memchr::memchr(b'=', pair) {
        Some(at) => (pair.get(..at).unwrap_or_default(), pair.get(at + 1..).unwrap_or_default()),
        None => (b"", pair),
    }
}

/// Where the query of a URL starts: at a mark, also a coded one.
pub(super) fn query_in(value: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr::memchr3(b'?', b'#', b'%', value.get(from..)?)?;
        if mark(value.get(at..)?) > 0 {
            return Some(at);
        }
        from = at + 1;
    }
}

/// Width of the mark that a query starts with.
pub(super) fn mark(query: &[u8]) -> usize {
    match query {
        [b'?' | b'#', ..] => 1,
        [b'%', b'2', b'5', rest @ ..] if coded(rest) => 5,
        [b'%', rest @ ..] if coded(rest) => 3,
        _ => 0,
    }
}

fn coded(rest: &[u8]) -> bool {
    matches!(rest, [b'3', b'F' | b'f', ..] | [b'2', b'3', ..])
}

#[cfg(test)]
mod tests {
    use super::super::record::{Kind, Reader};
    use super::*;
    use crate::format::Format;

    #[test]
    fn every_word_of_a_record_is_taken() {
        let line = br#"pc7.corp.example bo mallory [10/Oct/2000:13:55:36 -0700] "GET /shop/1?id=12345&page=2222&q=a%40b+c&empty= HTTP/1.1" 200 5 "http://r.example/x?tok=zzzz9" "agent/1.0""#;
        let mut reader = Reader::new(&[Format::parse("combined").unwrap()]);
        let Kind::Record(format, _) = reader.read(line) else { panic!("it parses") };
        let mut words = Identifiers::default();
        words.collect(line, &reader.record.places, reader.slots(format), &Rules::new(None, &[]));
        let found: Vec<String> = words.each().map(|(field, word)| format!("{}={}", field.name(), String::from_utf8_lossy(word))).collect();
        assert_eq!(found, ["client_addr=pc7.corp.example", "ident=bo", "user=mallory", "query=12345", "query=a%40b+c", "query=a@b+c", "query=a@b c", "referrer=zzzz9"]);
    }
}
