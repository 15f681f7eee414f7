//! A policy applied in the plainest way, to compare the program with: a regex where one will do, a new string for every step,
//! nothing remembered. Formats are split by the library; what becomes of the values, and how a line is put together, is said here again.

mod address;
mod parts;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use jiff::{Timestamp, tz::TimeZone};
use logfade::format::time::of_record;
use logfade::format::{Columns, Field, Format, Line, Mismatch, Slot, Span, Spans, Text, peel};
use logfade::scrub::{Action, Form, Looks, Names, Policy, Simple, residual, template, tokens};
use regex_automata::meta::Regex;

pub type Bytes = Vec<u8>;

/// A regular expression over bytes.
pub fn regex(pattern: &str) -> Regex {
    let syntax = regex_automata::util::syntax::Config::new().unicode(false).utf8(false);
    Regex::builder().configure(Regex::config().utf8_empty(false)).syntax(syntax).build(pattern).unwrap()
}

/// The groups of a match at the start of `text`; a group that took no part is empty.
pub fn groups<'t>(regex: &Regex, text: &'t [u8]) -> Option<Vec<&'t [u8]>> {
    let mut found = regex.create_captures();
    regex.captures(text, &mut found);
    found.is_match().then(|| (0..found.group_len()).map(|group| found.get_group(group).map_or(&b""[..], |span| &text[span])).collect())
}

/// What becomes of a value.
pub enum New {
    Same,
    Gone,
    Is(Bytes),
}

/// Lines of one input, in turn.
pub struct Reference<'a> {
    pub formats: &'a [Arc<Format>],
    pub policy: &'a Policy,
    pub drop_rejects: bool,
    pub max_line: usize,
    /// The policy's own networks.
    pub except: Vec<ipnet::IpNet>,
    /// Keys by day.
    pub keys: BTreeMap<String, [u8; 32]>,
    pub columns: Vec<Columns>,
    /// Lines that a carrier cut, by stream.
    pub cut: [Bytes; 2],
}

/// Where a value stands, and what takes its place.
type Edits = Vec<(Range<usize>, Bytes)>;

impl<'a> Reference<'a> {
    pub fn new(formats: &'a [Arc<Format>], policy: &'a Policy) -> Self {
        Self {
            formats,
            policy,
            drop_rejects: false,
            max_line: 1 << 20,
            except: Vec::new(),
            keys: BTreeMap::new(),
            columns: vec![Columns::default(); formats.len()],
            cut: Default::default(),
        }
    }

    /// What is written for a line with its end.
    pub fn line(&mut self, whole: &[u8]) -> Bytes {
        let body = whole.strip_suffix(b"\n").unwrap_or(whole);
        let line = body.strip_suffix(b"\r").unwrap_or(body);
        if line.iter().all(u8::is_ascii_whitespace) {
            return whole.to_vec();
        }
        let clean = match self.scrub(line) {
            Err(_) if self.drop_rejects => return Bytes::new(),
            Err(reason) => parts::rejected(line, reason, self.policy.action(Field::Time)),
            Ok(clean) => clean,
        };
        [&clean, &whole[line.len()..]].concat()
    }

    fn scrub(&mut self, line: &[u8]) -> Result<Bytes, &'static str> {
        if line.len() > self.max_line {
            return Err("too_long");
        }
        let first = match self.split(0, line) {
            Ok(found) => return self.bare(0, line, found),
            Err(mismatch) => mismatch.name(),
        };
        let mut around = Spans::default();
        if let Some(peeled) = peel(line, &mut around) {
            let raw = &line[peeled.start..peeled.end];
            let stream = usize::from(memchr::memmem::find(&line[..peeled.start], b" stderr ").is_some());
            let (mut inner, mut origin) = if peeled.coded { parts::unescape(raw) } else { (raw.to_vec(), (0..=raw.len()).collect()) };
            let joined = peeled.partial || !self.cut[stream].is_empty();
            if joined {
                self.cut[stream].extend(inner);
                if self.cut[stream].len() > self.max_line {
                    self.cut[stream].clear();
                    return Err("too_long");
                }
                if peeled.partial {
                    let edits = self.edits(0, line, around.as_slice(), self.time(0, line, around.as_slice()))?;
                    let (before, after): (Edits, Edits) = edits.into_iter().partition(|(range, _)| range.start < peeled.start);
                    return Ok([copied(line, 0..peeled.start, &before), copied(line, peeled.end..line.len(), &after)].concat());
                }
                (inner, origin) = (std::mem::take(&mut self.cut[stream]), Vec::new());
            }
            for at in 0..self.formats.len() {
                let Ok((what, spans)) = self.split(at, &inner) else { continue };
                if what != Line::Record {
                    return Err("envelope");
                }
                let time = self.time(at, &inner, &spans).or_else(|| self.time(at, line, around.as_slice()));
                let (before, after): (Edits, Edits) = self.edits(at, line, around.as_slice(), time)?.into_iter().partition(|(range, _)| range.start < peeled.start);
                let edits = self.edits(at, &inner, &spans, time)?;
                let middle = if peeled.coded { parts::coded(&inner, raw, &origin, &edits) } else { copied(&inner, 0..inner.len(), &edits) };
                return Ok([copied(line, 0..peeled.start, &before), middle, copied(line, peeled.end..line.len(), &after)].concat());
            }
        }
        for at in 1..self.formats.len() {
            if let Ok(found) = self.split(at, line) {
                return self.bare(at, line, found);
            }
        }
        Err(first)
    }

    fn split(&mut self, at: usize, line: &[u8]) -> Result<(Line, Vec<Span>), Mismatch> {
        let mut spans = Spans::default();
        let what = self.formats[at].split(line, &mut self.columns[at], &mut spans)?;
        Ok((what, spans.as_slice().to_vec()))
    }

    fn bare(&mut self, at: usize, line: &[u8], (what, spans): (Line, Vec<Span>)) -> Result<Bytes, &'static str> {
        match what {
            Line::Record => {
                let edits = self.edits(at, line, &spans, self.time(at, line, &spans))?;
                Ok(copied(line, 0..line.len(), &edits))
            }
            Line::Directive(directive) if directive.known => {
                let (name, value) = line.split_at(directive.value.min(line.len()));
                let value = if matches!(value, b"-" | b"") { value.to_vec() } else { self.masked(value, false) };
                Ok([name, &value].concat())
            }
            Line::Directive(directive) => Ok([&line[..directive.value.min(line.len())], b" -"].concat()),
        }
    }

    /// The time of the record, whose day's key is used.
    fn time(&self, at: usize, line: &[u8], spans: &[Span]) -> Option<Timestamp> {
        let times = spans.iter().filter(|span| self.formats[at].slots()[usize::from(span.slot)].field == Field::Time);
        let raw: Vec<&[u8]> = times.map(|span| &line[span.range()]).collect();
        let plain: Vec<Bytes> = raw.iter().map(|raw| parts::unescape(raw).0).collect();
        of_record(raw.into_iter()).or_else(|| of_record(plain.iter().map(Vec::as_slice)))
    }

    /// What changes in a line. A value that stays has no edit.
    fn edits(&self, at: usize, line: &[u8], spans: &[Span], time: Option<Timestamp>) -> Result<Edits, &'static str> {
        let key = time.and_then(|time| self.keys.get(&time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d").to_string()));
        let (mut edits, mut name, mut skipped) = (Edits::new(), &b""[..], 0);
        for span in spans {
            let (slot, raw) = (&self.formats[at].slots()[usize::from(span.slot)], &line[span.range()]);
            if span.range().start < skipped || matches!(raw, b"-" | b"") {
                continue;
            }
            let value = Value { slot, raw, text: span.text, name, after: &line[span.range().end..], key };
            let new = match span.text {
                Text::JsonKey => {
                    name = raw;
                    self.detected(raw)
                }
                Text::JsonNest if self.keeps_members(slot) => continue,
                Text::JsonNest => {
                    skipped = span.range().end;
                    New::Gone
                }
                Text::Bare | Text::Quoted | Text::Plus | Text::Json | Text::JsonScalar | Text::Tail => self.value(&value)?,
            };
            match (new, span.text) {
                (New::Same, _) => {}
                (New::Is(new), _) if new == raw => {}
                (New::Is(new), _) => edits.push((span.range(), new)),
                (New::Gone, Text::Tail) => edits.push((span.range(), Bytes::new())),
                (New::Gone, Text::JsonScalar | Text::JsonNest) => edits.push((span.range(), b"null".to_vec())),
                (New::Gone, _) => edits.push((span.range(), b"-".to_vec())),
            }
        }
        Ok(edits)
    }

    /// Whether the members of an object are looked at one by one, because nobody said that the whole should go.
    fn keeps_members(&self, slot: &Slot) -> bool {
        match self.policy.action(if slot.field.is_composite() { Field::Path } else { slot.field }) {
            Action::Add => true,
            Action::Keep => !matches!(
                slot.field,
                Field::Status | Field::Bytes | Field::Duration | Field::ClientPort | Field::Method | Field::Protocol | Field::Time | Field::Host | Field::UserAgent
            ),
            Action::Named(names) => !slot.name.is_empty() && !slot.name.ends_with('*') && names.decide(slot.name.as_bytes()) == Simple::Keep,
            _ => false,
        }
    }

    fn value(&self, value: &Value<'_>) -> Result<New, &'static str> {
        let field = if value.slot.field.is_composite() { Field::Path } else { value.slot.field };
        let raw = value.raw;
        Ok(match self.policy.action(field) {
            Action::Drop => dropped(value),
            Action::Keep if value.slot.field.is_composite() && *self.policy.action(Field::Query) != Action::Keep => self.torn(value),
            Action::Keep | Action::Add => self.kept(field, value),
            action @ (Action::Hash(_) | Action::Truncate { .. } | Action::BlackMarker | Action::EncryptPrefix) if matches!(field, Field::ClientAddr | Field::ProxiedAddr) => {
                let change = address::Change { action, except: &self.except, key: value.key, domain: field.name() };
                match change.of(value) {
                    Some(new) => new,
                    None if field == Field::ClientAddr => return Err("address"),
                    None => New::Gone,
                }
            }
            Action::Hash(_) if value.slot.field.is_composite() => dropped(value),
            Action::Hash(Form::Hex | Form::Address) => value.hashed(field.name(), field == Field::Query),
            Action::Bucket => parts::bucket(raw),
            Action::Precision(precision) => parts::degraded(raw, *precision),
            Action::Detect | Action::Template if value.slot.field.is_composite() => dropped(value),
            Action::Detect => self.detected(raw),
            Action::Template => New::Is(template(raw, self.policy)),
            action @ (Action::NoQuery | Action::PathOnly | Action::Origin | Action::Site) => self.referrer(action, raw),
            Action::Family => family(value),
            Action::Named(names) => match (field, &*value.slot.name) {
                (Field::Query | Field::Cookie, "") => self.pairs(names, value, field),
                (Field::Header, name) if name.ends_with('*') => {
                    let name = value.name.get(name.len() - 1..).unwrap_or_default();
                    self.named(names, name, value, field)
                }
                (_, name) => self.named(names, name.as_bytes(), value, field),
            },
            Action::Truncate { .. } | Action::BlackMarker | Action::EncryptPrefix | Action::Asn | Action::Country => dropped(value),
        })
    }

    /// What stays is looked through once more.
    fn kept(&self, field: Field, value: &Value<'_>) -> New {
        static NUMBER: LazyLock<Regex> = LazyLock::new(|| regex(r"^\+?(?:-|-?[0-9]+(?:\.[0-9]*)?(?:s|ms|us|ns|m|%|K|M)?)?$"));
        static APART: LazyLock<Regex> = LazyLock::new(|| regex(r"(?s)(?:^|[^,:]) (?:[^:]|$)"));
        static PROTOCOL: LazyLock<Regex> =
            LazyLock::new(|| regex(r"^(?:(?i:HTTPS?|H2C?|H3|SPDY|RTSP|WSS?|GRPCS?|TCP|UDP|QUIC|TLS|SSL|ICY)\\?(?:/[0-9.]{0,7})?|[0-9.]{0,7}\\?/?)$"));
        let unless = |known: bool| if known || !self.masks() { New::Same } else { New::Gone };
        match field {
            Field::ClientAddr | Field::ProxiedAddr => New::Same,
            Field::Status | Field::Bytes | Field::Duration | Field::ClientPort => {
                let numbers = value.raw.len() < 128 && !APART.is_match(value.raw) && value.raw.split(|byte| b" ,:".contains(byte)).all(|one| NUMBER.is_match(one));
                unless(numbers)
            }
            Field::Method => unless(parts::METHODS.iter().any(|method| method.as_bytes() == value.raw)),
            Field::Protocol => unless(PROTOCOL.is_match(value.raw)),
            Field::Host if value.raw.contains(&b'@') => unless(false),
            Field::Host => New::Is(self.masked(value.raw, false)),
            Field::Time if parts::is_plain(value.raw) => New::Same,
            Field::Time => New::Is(self.masked(value.raw, false)),
            Field::UserAgent => New::Is(self.masked(value.raw, true)),
            _ if value.text == Text::JsonScalar => New::Same,
            _ => New::Is(self.masked(value.raw, false)),
        }
    }

    /// A request that nobody could take apart.
    fn torn(&self, value: &Value<'_>) -> New {
        match parts::in_front_of_query(value.raw) {
            _ if value.text == Text::JsonScalar => New::Same,
            b"" => New::Gone,
            front => New::Is(self.masked(front, false)),
        }
    }

    /// What a policy keeps in its own field it does not mask elsewhere.
    fn looks(&self, versions: bool) -> Looks {
        let keeps = |field| *self.policy.action(field) == Action::Keep;
        Looks { addresses: !keeps(Field::ClientAddr), emails: !keeps(Field::User), versions }
    }

    fn masks(&self) -> bool {
        self.looks(false).addresses || self.looks(false).emails
    }

    pub fn masked(&self, raw: &[u8], versions: bool) -> Bytes {
        mask(raw, if self.masks() { residual(raw, self.policy, self.looks(versions)) } else { Vec::new() })
    }

    pub fn detected(&self, raw: &[u8]) -> New {
        New::Is(mask(raw, tokens(raw, self.policy, self.looks(false))))
    }

    fn named(&self, names: &Names, name: &[u8], value: &Value<'_>, field: Field) -> New {
        match names.decide(name) {
            Simple::Keep if value.text == Text::JsonScalar && !value.slot.name.ends_with('*') => New::Same,
            Simple::Keep => New::Is(self.masked(value.raw, false)),
            Simple::Drop => dropped(value),
            Simple::Hash => value.hashed(&parts::domain(names, field, name), field == Field::Query),
        }
    }

    /// The pairs of a query or of cookies that stay.
    fn pairs(&self, names: &Names, value: &Value<'_>, field: Field) -> New {
        let query = field == Field::Query;
        let (mark, pairs) = parts::pairs(value.raw, query);
        let mut kept: Vec<Bytes> = Vec::new();
        for pair in pairs {
            let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
            match names.decide(name) {
                Simple::Keep => kept.push(pair.to_vec()),
                Simple::Drop => {}
                Simple::Hash => kept.extend(self.hashed_pair(names, pair, value, field)),
            }
        }
        if kept.is_empty() {
            return New::Gone;
        }
        let all = kept.join(if query { &b"&"[..] } else { b"; " });
        New::Is(self.masked(&[if query { mark } else { b"" }, &all].concat(), false))
    }

    fn hashed_pair(&self, names: &Names, pair: &[u8], value: &Value<'_>, field: Field) -> Option<Bytes> {
        static PLAIN: LazyLock<Regex> = LazyLock::new(|| regex(r"^[A-Za-z0-9_.\[\]-]{1,64}$"));
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (name, content) = (&pair[..equals], pair[equals + 1..].trim_ascii());
        let listed = names.names.contains_key(&String::from_utf8_lossy(name).to_lowercase());
        let all = Looks { addresses: true, emails: true, versions: false };
        if !listed && (!PLAIN.is_match(name) || !tokens(name, self.policy, all).is_empty()) {
            return None;
        }
        if matches!(content, b"" | b"-") {
            return Some(pair.to_vec());
        }
        let plain = parts::plain(content, field == Field::Query, field == Field::Query);
        Some([name, b"=", parts::pseudonym(value.key?, &parts::domain(names, field, name), &plain).as_bytes()].concat())
    }

    fn referrer(&self, action: &Action, raw: &[u8]) -> New {
        let Some(url) = parts::Url::of(raw) else { return New::Gone };
        let New::Is(path) = self.detected(url.path) else { return New::Gone };
        let host = self.masked(url.host, false);
        New::Is(match action {
            Action::Site => {
                let name = url.host.split(|byte| *byte == b':').next().unwrap_or_default().to_ascii_lowercase();
                match psl::domain(&name).filter(|site| site.suffix().is_known()) {
                    Some(site) => self.masked(site.as_bytes(), false),
                    None => return New::Gone,
                }
            }
            Action::Origin => [url.scheme, &host, url.slash].concat(),
            Action::NoQuery => [url.scheme, &host, &path].concat(),
            _ if path.is_empty() => return New::Gone,
            _ => path,
        })
    }
}

/// One value in its line.
pub struct Value<'a> {
    pub slot: &'a Slot,
    pub raw: &'a [u8],
    pub text: Text,
    /// The key of the object in front of it.
    pub name: &'a [u8],
    /// What follows it in the line.
    pub after: &'a [u8],
    pub key: Option<&'a [u8; 32]>,
}

impl Value<'_> {
    fn hashed(&self, domain: &str, percent: bool) -> New {
        let number = self.text == Text::JsonScalar;
        if number && self.raw == b"null" {
            return New::Same;
        }
        let plain = parts::plain(self.raw, percent || self.text == Text::Plus, percent || self.text == Text::Plus);
        let Some(key) = self.key else { return New::Gone };
        let text = parts::pseudonym(key, domain, &plain);
        New::Is(if number { format!("\"{text}\"") } else { text }.into_bytes())
    }
}

fn dropped(value: &Value<'_>) -> New {
    if value.text == Text::JsonScalar && value.raw == b"null" { New::Same } else { New::Gone }
}

fn copied(line: &[u8], range: Range<usize>, edits: &Edits) -> Bytes {
    let (mut out, mut at) = (Bytes::new(), range.start);
    for (place, new) in edits {
        out.extend_from_slice(&line[at..place.start]);
        out.extend_from_slice(new);
        at = place.end;
    }
    out.extend_from_slice(&line[at..range.end]);
    out
}

fn mask(raw: &[u8], hits: Vec<Range<usize>>) -> Bytes {
    copied(raw, 0..raw.len(), &hits.into_iter().map(|hit| (hit, b"-".to_vec())).collect())
}

/// Blanks in a reduced agent are written as its log writes them.
fn family(value: &Value<'_>) -> New {
    let coded = |raw: &[u8]| !raw.contains(&b' ') && raw.contains(&b'%');
    let plus = value.text == Text::Plus;
    let percent = plus || coded(value.raw);
    let plain = parts::plain(value.raw, percent, plus || (percent && memchr::memmem::find(value.raw, b"%20").is_none()));
    let family = logfade::scrub::family(&plain);
    New::Is(
        match value.text {
            Text::Plus => family.replace(' ', "+"),
            Text::Bare if value.after.starts_with(b" ") => family.replace(' ', "+"),
            Text::Bare if coded(value.raw) => family.replace(' ', "%20"),
            _ => family,
        }
        .into_bytes(),
    )
}
