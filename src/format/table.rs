//! Tables: W3C extended logs (IIS, CloudFront, Zeek) whose `#Fields:` may change inside a file, and LTSV.

use super::json::Followers;
use super::kind::Kind;
use super::layout::register;
use super::request;
use super::span::{Mismatch, Slot, Spans, Text};
use super::word::Places;
use super::{Field, variables};
use std::ops::Range;

/// What the lines before say about the next one: belongs to the reader of a file, not to the format.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// The slot and the kind of each column in force.
    columns: Vec<(u16, Kind)>,
    pub(super) followers: Followers,
}

/// Slots by column or label name.
#[derive(Debug)]
pub(crate) struct Names {
    /// Sorted by lower-case name.
    known: Vec<(String, u16)>,
    /// A slot for what each header means.
    headers: Vec<(Field, u16)>,
    user: u16,
    other: u16,
    /// The kind of values of each slot.
    kinds: Vec<Kind>,
    /// What the table calls each slot.
    titles: Vec<String>,
    /// Columns of files that have no `#Fields:`.
    defaults: Vec<Columns>,
}

impl Names {
    pub(crate) fn compile(map: &[(String, Field)], defaults: &[String], slots: &mut Vec<Slot>) -> Self {
        // Where policies decide by name, a column has none: it holds all cookies, or the whole query.
        let shown = |field: Field, name: &str| if matches!(field, Field::Cookie | Field::Query | Field::Header) { String::new() } else { name.to_owned() };
        let mut add = |field: Field, name: &str| register(slots, &Slot { field, name: shown(field, name).into() });
        let other = add(Field::Other, "");
        let user = add(Field::User, "");
        let headers = [
            Field::Header,
            Field::ClientAddr,
            Field::ProxiedAddr,
            Field::User,
            Field::Cookie,
            Field::Referrer,
            Field::UserAgent,
            Field::Host,
            Field::RequestId,
            Field::Session,
            Field::Tls,
            Field::Country,
            Field::Asn,
            Field::Url,
        ];
        let headers = headers.map(|field| (field, add(field, ""))).to_vec();
        let mut known: Vec<(String, u16)> = map.iter().map(|(name, field)| (name.to_lowercase(), add(*field, name))).collect();
        let mut titles = vec![String::new(); slots.len()];
        for ((name, _), (_, slot)) in map.iter().zip(&known) {
            if let Some(title) = titles.get_mut(usize::from(*slot)) {
                *title = name.to_lowercase();
            }
        }
        known.sort();
        let mut names = Self { known, headers, user, other, kinds: slots.iter().map(|slot| Kind::of(slot.field)).collect(), titles, defaults: Vec::new() };
        names.defaults = defaults.iter().filter_map(|line| names.columns(line.as_bytes())).collect();
        names
    }

    fn slot(&self, name: &[u8]) -> u16 {
        let lower = name.to_ascii_lowercase();
        match self.known.binary_search_by(|(known, _)| known.as_bytes().cmp(&lower)) {
            Ok(found) => self.known.get(found).map_or(self.other, |(_, slot)| *slot),
            Err(_) => match lower.strip_suffix(b")").and_then(|rest| rest.strip_prefix(b"cs(").or_else(|| rest.strip_prefix(b"sc("))) {
                Some(header) => self.header(header),
                None => self.other,
            },
        }
    }

    fn header(&self, name: &[u8]) -> u16 {
        let field = std::str::from_utf8(name).map_or(Field::Header, variables::header);
        let found = self.headers.iter().find(|(known, _)| *known == field).or(self.headers.first());
        found.map_or(self.other, |(_, slot)| *slot)
    }

    /// The columns that a `#Fields:` line names.
    fn columns(&self, names: &[u8]) -> Option<Columns> {
        let words = || names.split(|byte| matches!(byte, b' ' | b'\t' | b'\r')).filter(|word| !word.is_empty());
        let sane = |word: &[u8]| word.len() <= 64 && word.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'(' | b')' | b':' | b'/'));
        (words().next().is_some() && words().all(sane)).then(|| Columns { columns: words().map(|word| self.column(self.slot(word))).collect(), followers: Followers::default() })
    }

    fn column(&self, slot: u16) -> (u16, Kind) {
        (slot, self.kinds.get(usize::from(slot)).copied().unwrap_or(Kind::Any))
    }
}

/// Adds the spans of a value.
#[inline]
fn push(line: &[u8], Range { mut start, mut end }: Range<usize>, (slot, kind): (u16, Kind), text: Text, spans: &mut Spans) -> Result<(), Mismatch> {
    let mut value = line.get(start..end).unwrap_or_default();
    match kind {
        Kind::Request => request::request(line, start, end, slot, text, spans),
        Kind::Url => request::url(line, start, end, slot, text, spans),
        Kind::Path => request::path(line, start, end, slot, text, spans),
        // FTP logs of IIS have `[2]USER` for a method.
        Kind::Method | Kind::List | Kind::Any => spans.push(start, end, slot, text),
        Kind::Address | Kind::AddressOnly | Kind::Host | Kind::Number | Kind::Status | Kind::Time | Kind::User => {
            // LTSV and Squid-like writers put the time into brackets.
            if let (Kind::Time, [b'[', inner @ .., b']']) = (kind, value)
                && !inner.is_empty()
            {
                (start, end, value) = (start + 1, end - 1, inner);
            }
            if !matches!(value, b"" | b"-") && !kind.accepts(value) {
                return Err(Mismatch::Value);
            }
            spans.push(start, end, slot, text);
        }
    }
    Ok(())
}

/// W3C directives, and Zeek's.
const DIRECTIVES: [&str; 18] = [
    "version",
    "fields",
    "software",
    "date",
    "start-date",
    "end-date",
    "gmt-offset",
    "remark",
    "system-id",
    "separator",
    "set_separator",
    "empty_field",
    "unset_field",
    "path",
    "open",
    "close",
    "types",
    "computer",
];

/// The value of a directive line: what stands behind `#Name:`. `None` for a remark or an unknown one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directive {
    /// Where its value starts.
    pub value: usize,
    /// Whether the value is about the log and not free text.
    pub known: bool,
}

/// Recognises a directive line.
pub(crate) fn directive(line: &[u8]) -> Option<Directive> {
    let rest = line.strip_prefix(b"#")?;
    let name = rest.iter().position(|byte| matches!(byte, b':' | b'\t' | b' '))?;
    let word = rest.get(..name)?;
    let known = DIRECTIVES.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(word));
    (known && (rest.get(name) != Some(&b' ') || word == b"separator")).then(|| Directive { value: name + 2, known: !word.eq_ignore_ascii_case(b"remark") })
}

/// Takes the columns from a `#Fields:` line.
pub(crate) fn read_fields(names: &Names, line: &[u8], columns: &mut Columns) {
    let rest = line.get(1..).unwrap_or_default();
    if rest.get(..6).is_some_and(|word| word.eq_ignore_ascii_case(b"fields"))
        && let Some(found) = names.columns(rest.get(7..).unwrap_or_default())
    {
        *columns = found;
    }
}

/// Cuts a row of a W3C table.
pub(crate) fn row(names: &Names, line: &[u8], columns: &Columns, spans: &mut Spans) -> Result<(), Mismatch> {
    if !columns.columns.is_empty() {
        return cells(names, line, columns, spans);
    }
    let before = spans.len();
    for columns in &names.defaults {
        if guess(names, line, columns) && cells(names, line, columns, spans).is_ok() {
            return Ok(());
        }
        spans.truncate(before);
    }
    Err(Mismatch::Columns)
}

/// Whether every value looks like its column: without `#Fields:` a row of as many columns may be another one.
fn guess(names: &Names, line: &[u8], columns: &Columns) -> bool {
    let tab = memchr::memchr(b'\t', line).is_some();
    let mut cells = line.split(|byte| *byte == if tab { b'\t' } else { b' ' });
    let fits =
        columns.columns.iter().all(|(slot, _)| cells.next().is_some_and(|cell| cell == b"-" || names.titles.get(usize::from(*slot)).is_none_or(|title| looks_like(title, cell))));
    fits && cells.next().is_none()
}

fn looks_like(title: &str, cell: &[u8]) -> bool {
    let number = || cell.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.') && cell.iter().filter(|byte| **byte == b'.').count() <= 1;
    let holds = |marks: &[u8]| cell.iter().any(|byte| marks.contains(byte));
    match title {
        "date" | "time" => super::time::shape(cell).is_some(),
        "c-ip" | "s-ip" | "c-dns" => holds(b".:") && cell.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':' | b'%')),
        "cs-method" => request::is_method(cell),
        "cs-uri-stem" => cell.starts_with(b"/"),
        "cs-uri-query" => holds(b"=&?") && !cell.starts_with(b"/"),
        "cs(user-agent)" => (holds(b"/") || memchr::memmem::find(cell, b"%2F").is_some()) && !cell.starts_with(b"/") && !holds(b"=\\"),
        "cs(referer)" => memchr::memmem::find(cell, b"://").is_some(),
        "cs(cookie)" => holds(b"="),
        "cs-username" => !holds(b"/=?") && !number(),
        "cs-version" | "cs-protocol-version" => cell.starts_with(b"HTTP/"),
        "sc-status" | "c-status" => matches!(cell, [b'1'..=b'5', _, _]) && number(),
        "s-port" | "c-port" | "x-duration" | "avgbandwidth" | "sc-substatus" | "sc-win32-status" | "sc-bytes" | "cs-bytes" | "time-taken" | "time-to-first-byte"
        | "sc-content-len" => number(),
        "cs-protocol" => matches!(cell, b"http" | b"https" | b"ws" | b"wss" | b"grpcs"),
        "ssl-protocol" => cell.starts_with(b"TLS") || cell.starts_with(b"SSL"),
        "cs(host)" | "x-host-header" | "cs-host" | "s-computername" | "s-sitename" => !holds(b"/=?\\") && !number(),
        _ => true,
    }
}

fn cells(names: &Names, line: &[u8], columns: &Columns, spans: &mut Spans) -> Result<(), Mismatch> {
    if memchr::memchr(b'\t', line).is_some() { parted::<b'\t'>(names, line, columns, spans) } else { parted::<b' '>(names, line, columns, spans) }
}

/// Cuts a row whose values are parted by blanks, of which several may follow each other, or by tabs.
fn parted<const BLANK: u8>(names: &Names, line: &[u8], columns: &Columns, spans: &mut Spans) -> Result<(), Mismatch> {
    let tab = BLANK == b'\t';
    let mut blanks = Places::<BLANK>::new(line);
    let mut at = 0;
    let mut names_user = false;
    for (index, column) in columns.columns.iter().enumerate() {
        // Oracle's Web Cache puts values with blanks into quotes.
        let quoted = !tab && line.get(at) == Some(&b'"');
        let (start, end, text) = if quoted {
            let close = line.get(at + 1..).and_then(|rest| memchr::memchr(b'"', rest)).ok_or(Mismatch::Columns)?;
            (at + 1, at + 1 + close, Text::Quoted)
        } else {
            let end = blanks.next(at).unwrap_or(line.len());
            if end <= at && !tab {
                return Err(Mismatch::Columns);
            }
            (at, end, if tab { Text::Bare } else { Text::Plus })
        };
        // What FTP's USER and PASS say stands in the column of the path.
        let value = line.get(start..end).unwrap_or_default();
        names_user |= column.1 == Kind::Method && (value.ends_with(b"]USER") || value.ends_with(b"]PASS"));
        let column = if names_user && column.1 == Kind::Path { names.column(names.user) } else { *column };
        push(line, start..end, column, text, spans)?;
        at = end + usize::from(quoted);
        if index + 1 < columns.columns.len() {
            at += match line.get(at..).unwrap_or_default() {
                [first, second, ..] if *first == BLANK && (tab || *second != BLANK) => 1,
                rest => Some(rest.iter().take_while(|byte| **byte == BLANK).count()).filter(|gap| *gap > 0).ok_or(Mismatch::Columns)?,
            };
        }
    }
    let rest = line.get(at..).unwrap_or_default();
    if rest.iter().all(|byte| *byte == b' ') { Ok(()) } else { Err(Mismatch::Columns) }
}

/// Cuts a line of LTSV (ltsv.org): `label:value` between tabs.
pub(crate) fn ltsv(names: &Names, line: &[u8], spans: &mut Spans) -> Result<(), Mismatch> {
    let mut at = 0;
    let mut known = 0;
    for cell in line.split(|byte| *byte == b'\t') {
        let colon = cell.iter().take(64).position(|byte| *byte == b':').ok_or(Mismatch::Layout)?;
        let label = cell.get(..colon).unwrap_or_default();
        if !label.first().is_some_and(u8::is_ascii_alphabetic) || !label.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')) {
            return Err(Mismatch::Layout);
        }
        let slot = names.slot(label);
        known += usize::from(slot != names.other);
        push(line, at + colon + 1..at + cell.len(), names.column(slot), Text::Bare, spans)?;
        at += cell.len() + 1;
    }
    if known >= 3 { Ok(()) } else { Err(Mismatch::Required) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> (Names, Vec<Slot>) {
        let mut slots = Vec::new();
        let map = [
            ("date", Field::Time),
            ("time", Field::Time),
            ("c-ip", Field::ClientAddr),
            ("cs-uri-stem", Field::Path),
            ("cs(User-Agent)", Field::UserAgent),
            ("host", Field::ClientAddr),
            ("req", Field::Request),
        ];
        let map = map.map(|(name, field)| (name.to_owned(), field));
        let names = Names::compile(&map, &["date time c-ip cs-uri-stem".to_owned()], &mut slots);
        (names, slots)
    }

    fn show(slots: &[Slot], spans: &Spans, line: &str) -> String {
        let show = |span: &super::super::span::Span| format!("{}={}", slots[span.slot as usize].field.name(), &line[span.range()]);
        spans.as_slice().iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn columns_change_inside_a_file() {
        let (names, slots) = names();
        let mut columns = Columns::default();
        let mut cut = |line: &str| {
            let mut spans = Spans::default();
            if directive(line.as_bytes()).is_some() {
                read_fields(&names, line.as_bytes(), &mut columns);
                return Ok(String::new());
            }
            row(&names, line.as_bytes(), &columns, &mut spans).map(|()| show(&slots, &spans, line))
        };
        assert_eq!(cut("2015-01-13 00:32:17 192.0.2.1 /a").as_deref(), Ok("time=2015-01-13 time=00:32:17 client_addr=192.0.2.1 path=/a"));
        assert_eq!(cut("#Fields: c-ip time x-new cs(User-Agent) cs(X-Y)").as_deref(), Ok(""));
        assert_eq!(cut("192.0.2.1 00:32:17 q A+b h").as_deref(), Ok("client_addr=192.0.2.1 time=00:32:17 other=q user_agent=A+b header=h"));
        assert_eq!(cut("192.0.2.1 00:32:17 q A+b"), Err(Mismatch::Columns));
        assert_eq!(cut("#fields\tc-ip\ttime").as_deref(), Ok(""));
        assert_eq!(cut("192.0.2.1\t00:32:17").as_deref(), Ok("client_addr=192.0.2.1 time=00:32:17"));
        assert_eq!(cut(r#"192.0.2.1      00:32:17"#).as_deref(), Ok("client_addr=192.0.2.1 time=00:32:17"));
    }

    #[test]
    fn only_known_words_are_directives() {
        for line in ["#Fields: a", "#Version: 1.0", "#separator \\x09", "#types\ttime", "#Remark: x"] {
            assert!(directive(line.as_bytes()).is_some(), "{line}");
        }
        for line in ["# failJSON: {}", "#", "#anything: x", "Fields: a", "#date of birth"] {
            assert!(directive(line.as_bytes()).is_none(), "{line}");
        }
    }

    #[test]
    fn ltsv_needs_a_label_everywhere() {
        let (names, slots) = names();
        let mut spans = Spans::default();
        let line = "time:[12/Mar/2023:10:55:36 +0000]\thost:192.0.2.1\treq:GET / HTTP/1.1\tmine:x";
        assert!(ltsv(&names, line.as_bytes(), &mut spans).is_ok());
        assert_eq!(show(&slots, &spans, line), "time=12/Mar/2023:10:55:36 +0000 client_addr=192.0.2.1 method=GET path=/ protocol=HTTP/1.1 other=x");
        assert!(ltsv(&names, b"time:[12/Mar/2023:10:55:36 +0000]\thost:192.0.2.1\treq:GET / HTTP/1.1\t404", &mut spans).is_err());
    }
}
