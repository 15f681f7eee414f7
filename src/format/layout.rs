//! Text layouts: literals and slots in turn, compiled to steps that know where they end.

use super::Field;
use super::kind::{Kind, holds_blank};
use super::request::{self, PARTS};
use super::span::{Mismatch, Slot, Spans, Text};
use super::word::first;
use memchr::memmem;

/// A piece of a layout, as the directive languages give it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text that every line has.
    Literal(Vec<u8>),
    /// A value.
    Slot(Slot),
}

/// The layouts of a format, tried in turn. Most are longer and shorter ones of the same, so each goes on where the one in front was
/// stuck, as far as both are the same.
#[derive(Debug)]
pub(crate) struct Layouts(Box<[Layout]>);

/// A compiled layout. Slots are indices into the format's slots.
#[derive(Debug)]
struct Layout {
    head: Box<[u8]>,
    steps: Box<[Step]>,
    /// A blank in a literal stands for a run of blanks and tabs.
    loose: bool,
    /// How many steps it begins with that the layout in front of it begins with, too.
    shared: usize,
}

/// Where a layout did not fit.
#[derive(Clone, Copy)]
struct Stuck {
    step: usize,
    /// Where the value of that step begins.
    at: usize,
    /// How many spans there were before that step.
    spans: usize,
}

#[derive(Debug, PartialEq, Eq)]
struct Step {
    slot: u16,
    kind: Kind,
    text: Text,
    stop: Stop,
    /// What follows the value; empty at the end of the line.
    literal: Box<[u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// First occurrence of a one-byte literal.
    Byte(u8),
    /// First unescaped double quote; the literal must stand there.
    Quote,
    /// First occurrence of the whole literal.
    Literal,
    /// First slash, which belongs to the next value: `$host$request_uri`.
    Slash,
    /// The rest of the line.
    End,
}

/// What is wrong with `$a$b`.
pub(crate) const TOUCHING: &str = "two values stand side by side, and nothing says where the first ends";

/// Registers a slot and, for a composite, its parts behind it.
pub(crate) fn register(slots: &mut Vec<Slot>, slot: &Slot) -> u16 {
    let index = slots.len() as u16;
    slots.push(slot.clone());
    if slot.field == Field::Path {
        slots.push(Slot { field: Field::Query, name: Box::default() });
    }
    if slot.field.is_composite() {
        let parts = [Field::Method, Field::Path, Field::Query, Field::Protocol, Field::Host, Field::User];
        slots.extend(parts.map(|field| Slot { field, name: Box::default() }));
        debug_assert_eq!(slots.len(), usize::from(index + PARTS));
    }
    index
}

impl Layouts {
    /// Compiles the pieces of each layout; the error names the fault, and the layout's number.
    pub(crate) fn compile(layouts: &[Vec<Piece>], loose: bool, slots: &mut Vec<Slot>) -> Result<Self, (usize, &'static str)> {
        let mut compiled: Vec<Layout> = Vec::new();
        for (number, pieces) in layouts.iter().enumerate() {
            let layout = Layout::compile(pieces, loose, slots, compiled.last()).map_err(|cause| (number, cause))?;
            compiled.push(layout);
        }
        Ok(Self(compiled.into()))
    }

    /// Cuts a line; pushes nothing that the caller keeps when it fails.
    #[inline]
    pub(crate) fn split(&self, line: &[u8], spans: &mut Spans) -> Result<(), Mismatch> {
        let start = Stuck { step: 0, at: 0, spans: spans.len() };
        let (mut stuck, mut fault) = (start, Mismatch::Layout);
        for layout in &self.0 {
            // Where the step that did not fit is shared, it does not fit again.
            if layout.shared > stuck.step {
                continue;
            }
            stuck = if layout.shared == stuck.step { stuck } else { start };
            spans.truncate(stuck.spans);
            match layout.split(line, spans, &mut stuck) {
                Ok(()) => return Ok(()),
                Err(mismatch) => fault = mismatch,
            }
        }
        Err(fault)
    }
}

impl Layout {
    fn compile(pieces: &[Piece], loose: bool, slots: &mut Vec<Slot>, front: Option<&Self>) -> Result<Self, &'static str> {
        let mut head: Vec<u8> = Vec::new();
        let mut steps: Vec<Step> = Vec::new();
        let mut touching = false;
        let mut hosts = false;
        let mut alike = true;
        for piece in &join(pieces) {
            match piece {
                Piece::Literal(text) => {
                    match steps.last_mut() {
                        Some(step) => step.literal = [&step.literal, text.as_slice()].concat().into_boxed_slice(),
                        None => head.extend_from_slice(text),
                    }
                    touching = false;
                }
                Piece::Slot(slot) => {
                    let path = matches!(slot.field, Field::Url | Field::Path);
                    if touching && path && steps.last().is_some_and(|step| step.kind == Kind::Host) {
                        steps.last_mut().map(|step| step.stop = Stop::Slash).unwrap_or_default();
                    } else if touching {
                        return Err(TOUCHING);
                    }
                    let quoted = steps.last().map_or(&head[..], |step| &step.literal).ends_with(b"\"");
                    let text = if quoted { Text::Quoted } else { Text::Bare };
                    // The same beginning has the same slots.
                    let same = front.and_then(|front| front.steps.get(steps.len())).filter(|step| alike && slots.get(usize::from(step.slot)) == Some(slot));
                    alike = same.is_some();
                    let slot_index = same.map_or_else(|| register(slots, slot), |step| step.slot);
                    let kind = if hosts && slot.field == Field::ClientAddr { Kind::AddressOnly } else { Kind::of(slot.field) };
                    hosts |= slot.field == Field::Host;
                    steps.push(Step { slot: slot_index, kind, text, stop: Stop::End, literal: Box::default() });
                    touching = true;
                }
            }
        }
        if steps.is_empty() {
            return Err("the format has no value in it");
        }
        for step in &mut steps {
            step.stop = match &*step.literal {
                [] if step.stop == Stop::Slash => Stop::Slash,
                [] => Stop::End,
                [b'"', ..] if step.text == Text::Quoted => Stop::Quote,
                [byte] => Stop::Byte(*byte),
                _ => Stop::Literal,
            };
            // A blank ends the value even where more literal follows only if values of that kind hold none.
            if step.text == Text::Quoted && !matches!(step.stop, Stop::Quote | Stop::Slash) {
                step.text = Text::Bare;
            }
        }
        let mut layout = Self { head: head.into(), steps: steps.into(), loose, shared: 0 };
        if let Some(front) = front.filter(|front| front.head == layout.head && front.loose == loose) {
            layout.shared = front.steps.iter().zip(&layout.steps).take_while(|(one, other)| one == other).count();
        }
        Ok(layout)
    }

    /// Goes on from where `stuck` says, or from the line's start; says there where it did not fit.
    #[inline]
    fn split(&self, line: &[u8], spans: &mut Spans, stuck: &mut Stuck) -> Result<(), Mismatch> {
        if stuck.step == 0 {
            stuck.at = self.literal_end(line, 0, &self.head).ok_or(Mismatch::Layout)?;
        }
        let mut at = stuck.at;
        for (number, step) in self.steps.iter().enumerate().skip(stuck.step) {
            *stuck = Stuck { step: number, at, spans: spans.len() };
            // Short values are checked and measured in one go; where the literal does not follow, the search decides.
            if let Some(width) = step.kind.width(line.get(at..).unwrap_or_default())
                && begins(line.get(at + width..).unwrap_or_default(), &step.literal)
                && (step.stop != Stop::End || at + width == line.len())
                && !self.loose
            {
                spans.push(at, at + width, step.slot, step.text);
                at += width + step.literal.len();
                continue;
            }
            let (end, next) = self.end_of(step, line, at).ok_or(Mismatch::Layout)?;
            let value = line.get(at..end).unwrap_or_default();
            match step.kind {
                Kind::Request => request::request(line, at, end, step.slot, step.text, spans),
                Kind::Url => request::url(line, at, end, step.slot, step.text, spans),
                Kind::Path => request::path(line, at, end, step.slot, step.text, spans),
                kind @ (Kind::Address | Kind::AddressOnly | Kind::Host | Kind::Method | Kind::Number | Kind::Status | Kind::Time | Kind::User | Kind::List | Kind::Any) => {
                    let bare = step.text == Text::Bare && !matches!(step.stop, Stop::End);
                    if !kind.accepts(value) || (bare && kind == Kind::List && holds_blank(value)) {
                        return Err(Mismatch::Value);
                    }
                    spans.push(at, end, step.slot, step.text);
                }
            }
            at = next;
        }
        *stuck = Stuck { step: self.steps.len(), at, spans: spans.len() };
        if at == line.len() { Ok(()) } else { Err(Mismatch::Layout) }
    }

    /// Where the value at `at` ends, and where the next one starts.
    #[inline]
    fn end_of(&self, step: &Step, line: &[u8], at: usize) -> Option<(usize, usize)> {
        let rest = line.get(at..)?;
        match step.stop {
            Stop::End => Some((line.len(), line.len())),
            Stop::Slash => first([b'/'], rest).map(|found| (at + found, at + found)),
            Stop::Byte(b' ') if self.loose => {
                let mut end = at + first([b' ', b'\t'], rest)?;
                if step.kind.is_list() {
                    end = list_end(line, at, end)?;
                }
                Some((end, self.literal_end(line, end, b" ")?))
            }
            Stop::Byte(byte) => {
                let mut end = at + first([byte], rest)?;
                if byte == b' ' && step.kind.is_list() {
                    end = list_end(line, at, end)?;
                }
                Some((end, end + 1))
            }
            Stop::Quote => {
                let mut from = at;
                loop {
                    let end = from + first([b'"'], line.get(from..)?)?;
                    if !is_escaped(line, at, end) {
                        return Some((end, self.literal_end(line, end, &step.literal)?));
                    }
                    from = end + 1;
                }
            }
            Stop::Literal if self.loose => {
                let mut from = at;
                loop {
                    let first = *step.literal.first()?;
                    let found = line.get(from..)?.iter().position(|byte| *byte == first || (first == b' ' && *byte == b'\t'))?;
                    let end = from + found;
                    if let Some(next) = self.literal_end(line, end, &step.literal) {
                        return Some((end, next));
                    }
                    from = end + 1;
                }
            }
            Stop::Literal => {
                let start = *step.literal.first()?;
                let mut from = at;
                loop {
                    let end = from + first([start], line.get(from..)?)?;
                    if begins(line.get(end..)?, &step.literal) {
                        return Some((end, end + step.literal.len()));
                    }
                    from = end + 1;
                }
            }
        }
    }

    /// The offset behind `literal` at `at`, if it stands there.
    #[inline]
    fn literal_end(&self, line: &[u8], at: usize, literal: &[u8]) -> Option<usize> {
        if !self.loose {
            return begins(line.get(at..)?, literal).then_some(at + literal.len());
        }
        let mut at = at;
        for byte in literal {
            let rest = line.get(at..)?;
            at += match (byte, rest.first()?) {
                (b' ', b' ' | b'\t') => rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count(),
                (expected, found) if expected == found => 1,
                _ => return None,
            };
        }
        Some(at)
    }
}

/// Literals are a few bytes long: a loop is faster than a call.
#[inline]
fn begins(rest: &[u8], literal: &[u8]) -> bool {
    rest.len() >= literal.len() && rest.iter().zip(literal).all(|(a, b)| a == b)
}

/// A quote behind an odd number of backslashes belongs to the value.
#[inline]
fn is_escaped(line: &[u8], start: usize, quote: usize) -> bool {
    let before = line.get(start..quote).unwrap_or_default();
    before.last() == Some(&b'\\') && before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// nginx writes several upstreams as `a, b : c` without quotes: a list goes on behind a comma or a colon.
fn list_end(line: &[u8], start: usize, mut end: usize) -> Option<usize> {
    loop {
        let value = line.get(start..end)?;
        let colon = line.get(end..)?.starts_with(b" : ");
        if !colon && value.last() != Some(&b',') {
            return Some(end);
        }
        let from = end + if colon { 3 } else { 1 };
        end = memmem::find(line.get(from..)?, b" ").map(|found| from + found)?;
    }
}

/// nginx writes a URL in parts: `$uri$is_args$args` is one.
fn join(pieces: &[Piece]) -> Vec<Piece> {
    let mut joined: Vec<Piece> = Vec::new();
    let mut rest = pieces;
    while let Some((piece, after)) = rest.split_first() {
        let name = |piece: Option<&Piece>| match piece {
            Some(Piece::Slot(slot)) => slot.field,
            _ => Field::Message,
        };
        let mark = matches!(after.first(), Some(Piece::Slot(slot)) if &*slot.name == "is_args") || matches!(after.first(), Some(Piece::Literal(text)) if text == b"?");
        if matches!(piece, Piece::Slot(slot) if slot.field == Field::Path) && mark && name(after.get(1)) == Field::Query {
            joined.push(Piece::Slot(Slot { field: Field::Url, name: Box::default() }));
            rest = after.get(2..).unwrap_or_default();
        } else {
            joined.push(piece.clone());
            rest = after;
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::directive;

    fn split(layout: &str, loose: bool, line: &str) -> Result<Vec<String>, Mismatch> {
        let mut slots = Vec::new();
        let layout = Layouts::compile(&[directive::braces(layout).unwrap_or_default()], loose, &mut slots).map_err(|_| Mismatch::Layout)?;
        let mut spans = Spans::default();
        layout.split(line.as_bytes(), &mut spans)?;
        Ok(spans.as_slice().iter().map(|span| format!("{}={}", slots[span.slot as usize].field.name(), &line[span.range()])).collect())
    }

    const COMBINED: &str = r#"{client_addr} {ident} {user} [{time}] "{request}" {status} {bytes} "{referrer}" "{user_agent}""#;

    #[test]
    fn a_combined_line_is_cut_at_its_literals() {
        let line = r#"192.0.2.7 - frank zappa [10/Oct/2000:13:55:36 -0700] "GET /a?b HTTP/1.0" 200 2326 "-" "A \"b\" [en]""#;
        let expected = "client_addr=192.0.2.7 ident=- user=frank zappa time=10/Oct/2000:13:55:36 -0700 method=GET path=/a query=?b protocol=HTTP/1.0 status=200 bytes=2326 referrer=- user_agent=A \\\"b\\\" [en]";
        assert_eq!(split(COMBINED, false, line).map(|fields| fields.join(" ")).as_deref(), Ok(expected));
    }

    #[test]
    fn what_has_another_layout_or_other_values_is_refused() {
        let refuse = [
            r#"192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326 "-" "A" extra"#,
            r#"192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326 "-" "A"#,
            r#"192.0.2.7 - - [yesterday] "GET / HTTP/1.0" 200 2326 "-" "A""#,
            r#"192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" abc 2326 "-" "A""#,
            r#"www.example 192.0.2.7 - bob [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326 "-" "A""#,
            r#"192.0.2.7" - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326 "-" "A""#,
            "",
        ];
        for line in refuse {
            assert!(split(COMBINED, false, line).is_err(), "{line}");
        }
    }

    #[test]
    fn loose_layouts_take_runs_of_blanks() {
        let fields = split("{time} {duration} {client_addr} {server:code}/{status} {bytes}", true, "1570784654.576    111 192.0.2.1\tTCP_MISS/301 491");
        assert_eq!(fields.map(|fields| fields.len()), Ok(6));
    }

    #[test]
    fn layouts_go_on_where_the_one_in_front_was_stuck() {
        let texts = [
            "{client_addr} [{time}] {other:x} \"{referrer}\" {tls}",
            "{client_addr} [{time}] {other:x} \"{referrer}\"",
            "{client_addr} [{time}] \"{host}\"",
            "{client_addr} [{time}] \"{host}\"{url}",
            "{client_addr}",
        ];
        let mut slots = Vec::new();
        let pieces = texts.map(|text| directive::braces(text).unwrap());
        let layouts = Layouts::compile(&pieces, false, &mut slots).unwrap();
        assert_eq!(layouts.0.iter().map(|layout| layout.shared).collect::<Vec<_>>(), [0, 3, 1, 3, 0]);
        // Each has what it would have had alone.
        let lines = [
            ("192.0.2.1 [00:00:01] a \"b\" c", Ok(5)),
            ("192.0.2.1 [00:00:01] a \"b\"", Ok(4)),
            ("192.0.2.1 [00:00:01] a b", Err(Mismatch::Value)),
            ("192.0.2.1 [00:00:01] \"b\"/c", Ok(4)),
            ("192.0.2.1 [00:00:01] \"b\"", Ok(3)),
            ("192.0.2.1", Ok(1)),
            ("192.0.2.1 [never] a \"b\" c", Err(Mismatch::Value)),
        ];
        for (line, expected) in lines {
            let mut spans = Spans::default();
            let found = layouts.split(line.as_bytes(), &mut spans).map(|()| spans.as_slice().len());
            let alone = pieces.iter().map(|pieces| {
                let mut spans = Spans::default();
                let layout = Layouts::compile(std::slice::from_ref(pieces), false, &mut Vec::new()).unwrap();
                layout.split(line.as_bytes(), &mut spans).map(|()| spans.as_slice().len())
            });
            assert_eq!(found, alone.reduce(|before, next| before.or(next)).unwrap(), "{line}");
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn lists_of_upstreams_go_on_behind_commas() {
        let fields = split("{server} {bytes} {duration} {status}", false, "192.0.2.1:9, 192.0.2.2:9 : 192.0.2.3:9 298, -, 0 0.1, -, 2 200, -");
        assert_eq!(fields.map(|fields| fields.join("|")).as_deref(), Ok("server=192.0.2.1:9, 192.0.2.2:9 : 192.0.2.3:9|bytes=298, -, 0|duration=0.1, -, 2|status=200, -"));
    }
}
