//! Where the values of a line stand, bare or inside what carried the line.

use super::text;
use crate::format::{Columns, Field, Format, Line, Slot, Spans, Text, time};
use std::sync::Arc;

/// Words in front of a carried line that are tried as its carrier's.
const WORDS: usize = 16;

/// Bytes of a cut line that are kept until its last part comes.
const PENDING: usize = 1024 * 1024;

/// A value of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::run) struct Place {
    pub start: usize,
    pub end: usize,
    pub slot: usize,
    pub field: Field,
    pub text: Text,
}

/// How a line is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::run) enum Carrier {
    /// Not at all.
    Bare,
    /// Behind this many words: syslog, CRI, compose.
    Words(usize),
    /// In a string of an object: docker, journald.
    Json,
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::run) enum Kind {
    Blank,
    Directive,
    /// The beginning of a line that its carrier cut.
    Part,
    Record(usize, Carrier),
    Unknown,
}

/// Reads lines of one file.
#[derive(Clone)]
pub(in crate::run) struct Reader {
    formats: Vec<Arc<Format>>,
    columns: Vec<Columns>,
    /// How the last carried line was.
    last: Option<Carrier>,
    /// Parts of a line that its carrier cut.
    pending: Vec<u8>,
    pub(in crate::run) record: Record,
    /// The format of the record.
    format: usize,
}

/// The values of a line.
#[derive(Default)]
pub(in crate::run) struct Record {
    spans: Spans,
    pub(in crate::run) places: Vec<Place>,
    /// The line with what it carries decoded, if that is not the line itself.
    flat: Vec<u8>,
    is_flat: bool,
}

impl Clone for Record {
    /// Buffers are not worth copying: they are filled anew for each line.
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Record {
    /// The text that the places are of.
    #[inline]
    pub(in crate::run) fn text<'a>(&'a self, line: &'a [u8]) -> &'a [u8] {
        if self.is_flat { &self.flat } else { line }
    }

    fn clear(&mut self) {
        self.places.clear();
        self.is_flat = false;
    }
}

impl Reader {
    pub(in crate::run) fn new(formats: &[Arc<Format>]) -> Self {
        Self { formats: formats.to_vec(), columns: vec![Columns::default(); formats.len()], last: None, pending: Vec::new(), record: Record::default(), format: 0 }
    }

    /// A reader of the same formats that has read nothing.
    pub(in crate::run) fn anew(&self) -> Self {
        Self::new(&self.formats)
    }

    /// The slots of the record that was read last.
    pub(in crate::run) fn last_slots(&self) -> &[Slot] {
        self.slots(self.format)
    }

    pub(in crate::run) fn slots(&self, format: usize) -> &[Slot] {
        self.formats.get(format).map_or(&[], |format| format.slots())
    }

    /// Reads a raw line: the best format first, then the way of the last carried line, then everything.
    pub(in crate::run) fn read(&mut self, line: &[u8]) -> Kind {
        self.record.clear();
        if line.iter().all(u8::is_ascii_whitespace) {
            return Kind::Blank;
        }
        if let Some(kind) = self.bare(0, line) {
            return kind;
        }
        if let Some(carrier) = self.last
            && let Some(kind) = self.any_carried(std::iter::once(carrier), line)
        {
            return kind;
        }
        if self.is_part(line) {
            return Kind::Part;
        }
        // What carries lines in strings would pass as an object of its own.
        let json = [&b"\"log\":"[..], b"\"MESSAGE\":"].iter().any(|key| line.starts_with(b"{") && memchr::memmem::find(line, key).is_some());
        let inside = json.then_some(Carrier::Json);
        if let Some(kind) = self.any_carried(inside.into_iter(), line) {
            return kind;
        }
        if let Some(kind) = (1..self.formats.len()).find_map(|format| self.bare(format, line)) {
            return kind;
        }
        self.any_carried((1..WORDS).map(Carrier::Words), line).unwrap_or(Kind::Unknown)
    }

    /// The first carrier and format that fit; the next line is likely to have both as well.
    fn any_carried(&mut self, carriers: impl Iterator<Item = Carrier>, line: &[u8]) -> Option<Kind> {
        for carrier in carriers {
            for format in 0..self.formats.len() {
                if let Some(kind) = self.carried(format, carrier, line) {
                    self.last = Some(carrier);
                    return Some(kind);
                }
            }
        }
        None
    }

    /// Reads a clean line in the way of its raw one.
    pub(in crate::run) fn read_as(&mut self, line: &[u8], format: usize, carrier: Carrier) -> bool {
        self.record.clear();
        let kind = match carrier {
            Carrier::Bare => self.bare(format, line),
            Carrier::Words(_) | Carrier::Json => self.carried(format, carrier, line),
        };
        matches!(kind, Some(Kind::Record(..)))
    }

    #[inline]
    fn bare(&mut self, format: usize, line: &[u8]) -> Option<Kind> {
        let (known, columns) = self.formats.get(format).zip(self.columns.get_mut(format))?;
        self.record.spans.clear();
        match known.split(line, columns, &mut self.record.spans).ok()? {
            Line::Directive(_) => Some(Kind::Directive),
            Line::Record => {
                self.places(format, 0);
                Some(Kind::Record(format, Carrier::Bare))
            }
        }
    }

    fn places(&mut self, format: usize, base: usize) {
        let slots = self.formats.get(format).map_or(&[][..], |format| format.slots());
        let place = |span: &crate::format::Span| Place {
            start: span.start as usize + base,
            end: span.end as usize + base,
            slot: usize::from(span.slot),
            field: slots.get(usize::from(span.slot)).map_or(Field::Other, |slot| slot.field),
            text: span.text,
        };
        self.format = format;
        self.record.places.clear();
        self.record.places.extend(self.record.spans.as_slice().iter().map(place));
    }

    /// The line inside a carrier; a record only, because what a carrier says about other lines is not known here.
    fn carried(&mut self, format: usize, carrier: Carrier, line: &[u8]) -> Option<Kind> {
        let known = Arc::clone(self.formats.get(format)?);
        let columns = self.columns.get_mut(format)?;
        let spans = &mut self.record.spans;
        let mut splits = |text: &[u8]| {
            spans.clear();
            matches!(known.split(text, columns, spans), Ok(Line::Record))
        };
        let base = match carrier {
            Carrier::Bare => return None,
            Carrier::Words(words) => {
                let start = word(line, words)?;
                let (head, rest) = line.split_at_checked(start)?;
                if !is_carrier(head, rest) {
                    return None;
                }
                if self.pending.is_empty() {
                    splits(rest).then_some(start)?
                } else {
                    // The last part of a cut line: all of them are the line.
                    self.record.flat.clear();
                    self.record.flat.extend_from_slice(head);
                    self.record.flat.extend_from_slice(&self.pending);
                    self.record.flat.extend_from_slice(rest);
                    splits(self.record.flat.get(start..)?).then_some(())?;
                    self.record.is_flat = true;
                    self.pending.clear();
                    start
                }
            }
            Carrier::Json => {
                if line.first() != Some(&b'{') {
                    return None;
                }
                let (start, end) = strings(line).find(|(start, end)| {
                    let value = line.get(*start..*end).unwrap_or_default();
                    let value = text::from_json(value);
                    splits(value.trim_ascii_end())
                })?;
                let value = text::from_json(line.get(start..end)?);
                self.record.flat.clear();
                self.record.flat.extend_from_slice(line.get(..start)?);
                self.record.flat.extend_from_slice(value.trim_ascii_end());
                self.record.flat.extend_from_slice(line.get(end..)?);
                self.record.is_flat = true;
                start
            }
        };
        self.places(format, base);
        Some(Kind::Record(format, carrier))
    }

    /// Kubernetes' runtimes write `TIME stdout P beginning` for a line that goes on.
    fn is_part(&mut self, line: &[u8]) -> bool {
        let Some(start) = word(line, 3) else { return false };
        let head = line.get(..start).unwrap_or_default();
        if !(head.ends_with(b" stdout P ") || head.ends_with(b" stderr P ")) || !head.first().is_some_and(u8::is_ascii_digit) {
            return false;
        }
        self.pending.extend_from_slice(line.get(start..).unwrap_or_default());
        if self.pending.len() > PENDING {
            self.pending.clear();
        }
        true
    }

    /// Whether a clean line is the empty place of a part.
    pub(in crate::run) fn takes_part(&mut self, line: &[u8]) -> bool {
        self.is_part(line)
    }
}

/// Whether the words in front of a line are what syslog, Kubernetes and compose put there.
fn is_carrier(head: &[u8], rest: &[u8]) -> bool {
    let pri = head.first() == Some(&b'<') && head.get(1).is_some_and(u8::is_ascii_digit);
    let first = head.split(|byte| *byte == b' ').next().unwrap_or_default();
    let short = head.get(..15).is_some_and(|stamp| stamp.first().is_some_and(u8::is_ascii_alphabetic) && time::shape(stamp).is_some());
    let timed = pri || short || (first.len() > 18 && time::shape(first).is_some());
    match head {
        [.., b':', b' '] | [.., b' ', b'F', b' '] => timed,
        [.., b'-' | b']', b' '] if pri => true,
        [b'[', b'p', b'o', b'd', b'/', .., b']', b' '] => true,
        [.., b'|', b' '] => !timed,
        // A program that logs objects has no tag of its own.
        _ => timed && (rest.first() == Some(&b'{') || pri && rest.starts_with(b"\xEF\xBB\xBF")),
    }
}

/// Where the word behind `count` others starts.
fn word(line: &[u8], count: usize) -> Option<usize> {
    let mut at = 0;
    for _ in 0..count {
        at += memchr::memchr(b' ', line.get(at..)?)?;
        at += line.get(at..)?.iter().take_while(|byte| **byte == b' ').count();
    }
    Some(at)
}

/// The strings of an object that are long enough to be lines.
fn strings(line: &[u8]) -> impl Iterator<Item = (usize, usize)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at + memchr::memchr(b'"', line.get(at..)?)? + 1;
            let mut end = start;
            loop {
                end += memchr::memchr2(b'"', b'\\', line.get(end..)?)?;
                if line.get(end) == Some(&b'"') {
                    break;
                }
                end = (end + 2).min(line.len());
            }
            at = end + 1;
            if end - start >= 20 {
                return Some((start, end));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"203.0.113.9 - bob [10/Oct/2023:13:55:36 +0000] "GET /a?b=c HTTP/1.1" 200 5"#;

    fn fields(reader: &Reader, line: &str) -> String {
        let text = reader.record.text(line.as_bytes());
        reader.record.places.iter().map(|place| format!("{}={}", place.field.name(), String::from_utf8_lossy(&text[place.start..place.end]))).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_line_is_read_bare_and_carried() {
        let formats = [Format::parse("common").unwrap()];
        let mut reader = Reader::new(&formats);
        let json = LINE.replace('"', "\\\"");
        for (line, carrier) in [
            (LINE.to_owned(), Carrier::Bare),
            (format!("<190>Oct 10 13:55:36 web1 nginx: {LINE}"), Carrier::Words(5)),
            (format!("2023-10-10T13:55:36.413656027Z stdout F {LINE}"), Carrier::Words(3)),
            (format!("web-1  | {LINE}"), Carrier::Words(2)),
            (format!(r#"{{"log":"{json}\n","stream":"stdout","time":"2023-10-10T13:55:36Z"}}"#), Carrier::Json),
        ] {
            assert_eq!(reader.read(line.as_bytes()), Kind::Record(0, carrier), "{line}");
            let shown = fields(&reader, &line);
            assert!(shown.contains("client_addr=203.0.113.9 ") && shown.contains("user=bob") && shown.contains("query=?b=c"), "{shown}");
        }
        assert_eq!(reader.read(b"nothing of ours"), Kind::Unknown);
        assert_eq!(reader.read(b" "), Kind::Blank);
    }

    #[test]
    fn parts_are_joined() {
        let mut reader = Reader::new(&[Format::parse("common").unwrap()]);
        let (first, last) = LINE.split_at(30);
        assert_eq!(reader.read(format!("2023-10-10T13:55:36Z stdout P {first}").as_bytes()), Kind::Part);
        let line = format!("2023-10-10T13:55:36Z stdout F {last}");
        assert_eq!(reader.read(line.as_bytes()), Kind::Record(0, Carrier::Words(3)));
        assert!(fields(&reader, &line).contains("user=bob"));
    }
}
