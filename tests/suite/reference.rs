//! A policy applied in the plainest way, one value after the other, to compare the program with: a new string for every step, nothing remembered.
//!
//! Said here again: the action that a value gets and what comes of it, pairs, URLs, pseudonyms, members and nulls of JSON, what takes the place of what
//! is gone, lines that others carry, and how a line is put together. Asked of the library, each time as if it were the first: where a format has its
//! values, what an action makes of addresses, what a text holds that tells who somebody is, what an agent is reduced to, what is left of a time, of a
//! number in a bucket and of a rejected line.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use logfade::format::time::of_record;
use logfade::format::{Columns, Field, Format, Line, Mismatch, Peeled, Slot, Span, Spans, Text, is_method, is_number, is_protocol_name, peel};
use logfade::scrub::{
    Action, Looks, Names, Policy, Reject, Simple, addresses, bucket, cut_time, is_plain, json_escaped, percent_decoded, rejected, residual, template, tokens, unescaped,
};
use regex_automata::meta::Regex;
use sha2::Sha256;

type Bytes = Vec<u8>;
/// What takes the place of a value; `None` if it is gone.
type New = Option<Bytes>;
/// Where a value stands that changes, and what takes its place; in the order of the line.
type Edits = Vec<(Range<usize>, Bytes)>;
/// The format of a line, by its number, and where its values stand.
type Split = (usize, Line, Vec<Span>);

/// Lines of one input, in turn.
pub struct Reference<'a> {
    formats: &'a [Arc<Format>],
    policy: &'a Arc<Policy>,
    /// Keys for pseudonyms, by day.
    keys: BTreeMap<String, [u8; 32]>,
    /// What is masked in values that stay: not what the policy keeps in a field of its own.
    looks: Looks,
    /// What each format knows from lines before.
    columns: Vec<Columns>,
    /// What there is of lines that a carrier cut, by stream.
    cut: [Bytes; 2],
}

/// One value in its line.
struct Value<'a> {
    slot: &'a Slot,
    field: Field,
    raw: &'a [u8],
    text: Text,
    /// The key of the JSON object in front of it.
    name: &'a [u8],
    /// What follows it in the line.
    after: &'a [u8],
    /// The key for pseudonyms.
    key: Option<&'a [u8; 32]>,
}

/// Lines: formats, envelopes, and what changes in a line.
impl<'a> Reference<'a> {
    pub fn new(formats: &'a [Arc<Format>], policy: &'a Arc<Policy>, keys: BTreeMap<String, [u8; 32]>) -> Self {
        let keeps = |field| *policy.action(field) == Action::Keep;
        let looks = Looks { addresses: !keeps(Field::ClientAddr), emails: !keeps(Field::User), versions: false };
        Self { formats, policy, keys, looks, columns: vec![Columns::default(); formats.len()], cut: Default::default() }
    }

    /// What is written for a line with its end.
    pub fn line(&mut self, whole: &[u8]) -> Bytes {
        let body = whole.strip_suffix(b"\n").unwrap_or(whole);
        let line = body.strip_suffix(b"\r").unwrap_or(body);
        if line.iter().all(u8::is_ascii_whitespace) {
            return whole.to_vec();
        }
        let clean = self.scrub(line).unwrap_or_else(|reason| rejected(line, reason, self.policy.action(Field::Time)));
        [&clean, &whole[line.len()..]].concat()
    }

    /// The first format bare, then every format within an envelope, then the other formats bare.
    fn scrub(&mut self, line: &[u8]) -> Result<Bytes, Reject> {
        let mismatch = match self.split(0, line) {
            Ok(found) => return self.bare(line, found),
            Err(mismatch) => Reject::Mismatch(mismatch),
        };
        let mut around = Spans::default();
        if let Some(peeled) = peel(line, &mut around)
            && let Some(clean) = self.enveloped(line, peeled, around.as_slice())?
        {
            return Ok(clean);
        }
        let found = (1..self.formats.len()).find_map(|at| self.split(at, line).ok()).ok_or(mismatch)?;
        self.bare(line, found)
    }

    /// Where the values of a line stand, if it is one of a format.
    fn split(&mut self, at: usize, line: &[u8]) -> Result<Split, Mismatch> {
        let mut spans = Spans::default();
        let what = self.formats[at].split(line, &mut self.columns[at], &mut spans)?;
        Ok((at, what, spans.as_slice().to_vec()))
    }

    /// A line by itself. Of a line about the log the name stays, and the value of a known one but for what is masked.
    fn bare(&self, line: &[u8], (at, what, spans): Split) -> Result<Bytes, Reject> {
        let Line::Directive(directive) = what else { return Ok(edited(line, &self.edits(at, line, &spans, self.time(at, line, &spans))?)) };
        let (name, value) = line.split_at(directive.value.min(line.len()));
        Ok([name, &if directive.known { self.masked(value) } else { b" -".to_vec() }].concat())
    }

    /// A line within another: `around` is what the carrier says itself. `None` if no format is that of the carried line.
    fn enveloped(&mut self, line: &[u8], peeled: Peeled, around: &[Span]) -> Result<Option<Bytes>, Reject> {
        let raw = &line[peeled.start..peeled.end];
        let (inner, origin) = if peeled.coded { unescaped(raw) } else { (raw.to_vec(), Vec::new()) };
        let cut = &mut self.cut[usize::from(memchr::memmem::find(&line[..peeled.start], b" stderr ").is_some())];
        let joined = !cut.is_empty();
        cut.extend(inner);
        let (at, time, carried) = if peeled.partial {
            // Its place is left empty: the whole line stands in that of the last part.
            (0, self.time(0, line, around), Bytes::new())
        } else {
            let inner = std::mem::take(cut);
            let Some((at, what, spans)) = (0..self.formats.len()).find_map(|at| self.split(at, &inner).ok()) else { return Ok(None) };
            if what != Line::Record {
                return Err(Reject::Envelope);
            }
            let time = self.time(at, &inner, &spans).or_else(|| self.time(at, line, around));
            let edits = self.edits(at, &inner, &spans, time)?;
            let carried = match (peeled.coded, joined) {
                (false, _) => edited(&inner, &edits),
                (true, true) => json_escaped(&edited(&inner, &edits)),
                // What does not change is written as its carrier wrote it.
                (true, false) => {
                    let place = |range: &Range<usize>| origin[range.start]..origin[range.end];
                    edited(raw, &edits.iter().map(|(range, new)| (place(range), json_escaped(new))).collect())
                }
            };
            (at, time, carried)
        };
        let mut edits = self.edits(at, line, around, time)?;
        edits.push((peeled.start..peeled.end, carried));
        edits.sort_by_key(|(range, _)| range.start);
        Ok(Some(edited(line, &edits)))
    }

    /// The time of a record, as it stands or without its escapes: the key of that day is used.
    fn time(&self, at: usize, line: &[u8], spans: &[Span]) -> Option<Timestamp> {
        let times = spans.iter().filter(|span| self.formats[at].slots()[usize::from(span.slot)].field == Field::Time);
        let raw: Vec<&[u8]> = times.map(|span| &line[span.range()]).collect();
        let plain: Vec<Bytes> = raw.iter().map(|raw| unescaped(raw).0).collect();
        of_record(raw.into_iter()).or_else(|| of_record(plain.iter().map(Vec::as_slice)))
    }

    /// What changes in a line.
    fn edits(&self, at: usize, line: &[u8], spans: &[Span], time: Option<Timestamp>) -> Result<Edits, Reject> {
        let key = time.and_then(|time| self.keys.get(&time.strftime("%Y-%m-%d").to_string()));
        let (mut edits, mut name, mut skipped) = (Edits::new(), &b""[..], 0);
        for span in spans {
            let (slot, raw) = (&self.formats[at].slots()[usize::from(span.slot)], &line[span.range()]);
            if span.range().start < skipped || matches!(raw, b"-" | b"") {
                continue;
            }
            // A request or URL that nobody could take apart goes the way of its path.
            let field = if slot.field.is_composite() { Field::Path } else { slot.field };
            let value = Value { slot, field, raw, text: span.text, name, after: &line[span.range().end..], key };
            let new = match span.text {
                Text::JsonNest if self.keeps_members(&value) => continue,
                Text::JsonNest => {
                    skipped = span.range().end;
                    None
                }
                Text::JsonKey => {
                    name = raw;
                    Some(self.detected(raw))
                }
                _ => self.value(&value)?,
            };
            let new = match (new, span.text) {
                (Some(new), _) => new,
                (None, Text::Tail) => Bytes::new(),
                (None, Text::JsonScalar | Text::JsonNest) => b"null".to_vec(),
                (None, _) => b"-".to_vec(),
            };
            if new != raw {
                edits.push((span.range(), new));
            }
        }
        Ok(edits)
    }
}

/// Values: the action of each, and what comes of it.
impl Reference<'_> {
    /// Whether the members of an object or a list are looked at one by one, because nobody said that the whole should go.
    fn keeps_members(&self, value: &Value<'_>) -> bool {
        match (self.policy.action(value.field), &*value.slot.name) {
            (Action::Keep, _) => !matches!(
                value.field,
                Field::Status | Field::Bytes | Field::Duration | Field::ClientPort | Field::Method | Field::Protocol | Field::Time | Field::Host | Field::UserAgent
            ),
            (Action::Named(names), name) => !name.is_empty() && !name.ends_with('*') && names.decide(name.as_bytes()) == Simple::Keep,
            (action, _) => *action == Action::Add,
        }
    }

    /// What takes the place of a value; an error rejects the line.
    fn value(&self, value: &Value<'_>) -> Result<New, Reject> {
        let Value { slot, field, raw, .. } = *value;
        let is_address = matches!(field, Field::ClientAddr | Field::ProxiedAddr);
        Ok(match self.policy.action(field) {
            Action::Keep | Action::Add => self.kept(value),
            Action::Hash(_) | Action::EncryptPrefix if is_address && value.text == Text::JsonScalar => None,
            Action::Hash(_) | Action::Truncate { .. } | Action::BlackMarker | Action::EncryptPrefix if is_address => match addresses(raw, field, self.policy, value.key) {
                None if field == Field::ClientAddr => return Err(Reject::Address),
                found => found.flatten(),
            },
            Action::Detect | Action::Template | Action::Hash(_) if slot.field.is_composite() => None,
            Action::Detect => Some(self.detected(raw)),
            Action::Template => Some(template(raw, self.policy)),
            Action::Hash(_) => hashed(value, field.name()),
            Action::Bucket => bucket(raw),
            Action::Precision(precision) => cut_time(raw, *precision),
            action @ (Action::NoQuery | Action::PathOnly | Action::Origin | Action::Site) => self.referrer(action, raw),
            Action::Family => Some(family(value)),
            Action::Named(names) => match (field, &*slot.name) {
                (Field::Query | Field::Cookie, "") => self.pairs(names, value),
                (Field::Header, prefix) if prefix.ends_with('*') => self.named(names, value.name.get(prefix.len() - 1..).unwrap_or_default(), value),
                (_, name) => self.named(names, name.as_bytes(), value),
            },
            Action::Drop | Action::Truncate { .. } | Action::BlackMarker | Action::EncryptPrefix | Action::Asn | Action::Country => None,
        })
    }

    /// What stays is looked through once more; what is not what its field holds goes, unless nothing would be masked.
    fn kept(&self, value: &Value<'_>) -> New {
        let (raw, is_torn) = (value.raw, value.slot.field.is_composite());
        let stays_if = |known: bool| (known || !(self.looks.addresses || self.looks.emails)).then(|| raw.to_vec());
        match value.field {
            Field::Status | Field::Bytes | Field::Duration | Field::ClientPort => stays_if(is_number(raw)),
            Field::Method => stays_if(is_method(raw)),
            Field::Protocol => stays_if(is_protocol_name(raw)),
            Field::Host if raw.contains(&b'@') => stays_if(false),
            Field::Time if is_plain(raw) => stays_if(true),
            Field::Host | Field::Time => Some(self.masked(raw)),
            Field::UserAgent => Some(masked(raw, residual(raw, self.policy, Looks { versions: true, ..self.looks }))),
            Field::ClientAddr | Field::ProxiedAddr => stays_if(true),
            _ if value.text == Text::JsonScalar => stays_if(true),
            _ if is_torn && *self.policy.action(Field::Query) != Action::Keep => Some(self.masked(in_front_of_query(raw))).filter(|front| !front.is_empty()),
            _ => Some(self.masked(raw)),
        }
    }

    /// Addresses and e-mails of a text masked.
    fn masked(&self, raw: &[u8]) -> Bytes {
        masked(raw, residual(raw, self.policy, self.looks))
    }

    /// What tells who somebody is masked, as in a path.
    fn detected(&self, raw: &[u8]) -> Bytes {
        masked(raw, tokens(raw, self.policy, self.looks))
    }

    /// A parameter, cookie or header.
    fn named(&self, names: &Names, name: &[u8], value: &Value<'_>) -> New {
        match names.decide(name) {
            Simple::Keep if value.text == Text::JsonScalar && !value.slot.name.ends_with('*') => Some(value.raw.to_vec()),
            Simple::Keep => Some(self.masked(value.raw)),
            Simple::Drop => None,
            Simple::Hash => hashed(value, &names.domain_of(value.field, name)),
        }
    }

    /// The pairs of a query or of cookies that stay, behind the mark of a query.
    fn pairs(&self, names: &Names, value: &Value<'_>) -> New {
        static MARK: LazyLock<Regex> = LazyLock::new(|| regex(r"(?s)^(?:[?#]|%25.{0,2}|%.{0,2}|\\u00[0-9A-Fa-f]{2}|\\x[0-9A-Fa-f]{2})"));
        static QUERY: LazyLock<Regex> = LazyLock::new(|| regex(r"[;&?#]|%(?:26|3[BbFf]|23)|\\(?:u00|x)(?:3[BbFf]|26|23)"));
        static COOKIE: LazyLock<Regex> = LazyLock::new(|| regex(r";|\\(?:u00|x)3[Bb]"));
        let (separator, joint, mark): (&Regex, &[u8], _) = match value.field {
            Field::Query => (&QUERY, b"&", MARK.find(value.raw).map_or(0, |mark| mark.end())),
            _ => (&COOKIE, b"; ", 0),
        };
        let (mark, list) = value.raw.split_at(mark);
        let blanks = |text: &[u8]| text.iter().take_while(|byte| **byte == b' ').count();
        let pairs = separator.split(list).map(|range| &list[range.start + blanks(&list[range.range()])..range.end]);
        let stays = |pair: &[u8]| match names.decide(pair.split(|byte| *byte == b'=').next().unwrap_or_default()) {
            Simple::Keep => Some(pair.to_vec()),
            Simple::Drop => None,
            Simple::Hash => self.hashed_pair(names, pair, value),
        };
        let kept: Vec<Bytes> = pairs.filter(|pair| !pair.is_empty()).filter_map(stays).collect();
        (!kept.is_empty()).then(|| self.masked(&[mark, &kept.join(joint)].concat()))
    }

    /// A pair with the pseudonym of its value. A name that the policy does not list is the client's: it must not look like a value.
    fn hashed_pair(&self, names: &Names, pair: &[u8], value: &Value<'_>) -> New {
        static PLAIN: LazyLock<Regex> = LazyLock::new(|| regex(r"^[A-Za-z0-9_.\[\]-]{1,64}$"));
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (name, content) = (&pair[..equals], pair[equals + 1..].trim_ascii());
        let may_be_value = !PLAIN.is_match(name) || !tokens(name, self.policy, Looks { addresses: true, emails: true, versions: false }).is_empty();
        if !names.lists(name) && may_be_value {
            return None;
        }
        if matches!(content, b"" | b"-") {
            return Some(pair.to_vec());
        }
        let coded = value.field == Field::Query;
        Some([name, b"=", pseudonym(value.key?, &names.domain_of(value.field, name), &plain(content, coded, coded)).as_bytes()].concat())
    }

    /// What is left of an absolute URL: never who asked for it, nor a query, nor a fragment.
    fn referrer(&self, action: &Action, raw: &[u8]) -> New {
        static URL: LazyLock<Regex> = LazyLock::new(|| {
            let scheme = r"[A-Za-z0-9+.-]{1,19}(?:://|:\\/\\/|%3[Aa]%2[Ff]%2[Ff])";
            let (name, any) = (r"(?:[A-Za-z0-9._\[\]-]|[\x80-\xff])", r"(?:[A-Za-z0-9._\[\]:-]|[\x80-\xff])");
            regex(&format!(r"(?s)^({scheme})(?:[^/?#%\\]*@)?({name}+|{any}*\]|{any}*:[0-9]*)((?:[/?#]|\\/|%(?:2[Ff]|3[Ff]|23)).*)?$"))
        });
        let mut found = URL.create_captures();
        URL.captures(raw, &mut found);
        let [scheme, host, rest] = [1, 2, 3].map(|group| found.get_group(group).map_or(&b""[..], |span| &raw[span]));
        let coded = scheme.contains(&b'%');
        if !found.is_match() || (rest.starts_with(b"%") && !coded) {
            return None;
        }
        let path = self.detected(in_front_of_query(rest));
        match action {
            Action::Site => {
                let name = host.split(|byte| *byte == b':').next().unwrap_or_default().to_ascii_lowercase();
                psl::domain(&name).filter(|site| site.suffix().is_known()).map(|site| self.masked(site.as_bytes()))
            }
            Action::NoQuery => Some([scheme, &self.masked(host), &path].concat()),
            Action::Origin => {
                let slash: &[u8] = if coded { b"%2F" } else { rest.get(..2).filter(|front| *front == b"\\/").unwrap_or(b"/") };
                Some([scheme, &self.masked(host), slash].concat())
            }
            _ => Some(path).filter(|path| !path.is_empty()),
        }
    }
}

/// A regular expression over bytes.
fn regex(pattern: &str) -> Regex {
    let syntax = regex_automata::util::syntax::Config::new().unicode(false).utf8(false);
    Regex::builder().configure(Regex::config().utf8_empty(false)).syntax(syntax).build(pattern).unwrap()
}

/// A line with what changes in it.
fn edited(line: &[u8], edits: &Edits) -> Bytes {
    let (mut out, mut at) = (Bytes::new(), 0);
    for (place, new) in edits {
        out.extend([&line[at..place.start], new].concat());
        at = place.end;
    }
    [&out, &line[at..]].concat()
}

fn masked(raw: &[u8], hits: Vec<Range<usize>>) -> Bytes {
    edited(raw, &hits.into_iter().map(|hit| (hit, b"-".to_vec())).collect())
}

/// What stands in front of a query or fragment, however its mark is written.
fn in_front_of_query(raw: &[u8]) -> &[u8] {
    static MARK: LazyLock<Regex> = LazyLock::new(|| regex(r"[?#]|%(?:25)?(?:3[Ff]|23)|\\(?:u00|x)(?:3[Ff]|23)"));
    &raw[..MARK.find(raw).map_or(raw.len(), |query| query.start())]
}

/// A value without its escapes, and with `%HH` and perhaps `+` read where it is coded so.
fn plain(raw: &[u8], coded: bool, plus: bool) -> Bytes {
    let text = unescaped(raw).0;
    if coded { percent_decoded(&text, plus) } else { text }
}

/// A pseudonym; a string in JSON where the value was none. `null` stays.
fn hashed(value: &Value<'_>, domain: &str) -> New {
    let scalar = value.text == Text::JsonScalar;
    if scalar && value.raw == b"null" {
        return None;
    }
    let coded = value.field == Field::Query || value.text == Text::Plus;
    let text = pseudonym(value.key?, domain, &plain(value.raw, coded, coded));
    Some(if scalar { format!("\"{text}\"") } else { text }.into_bytes())
}

/// HMAC-SHA-256 over the domain with its length in front, and the value: 128 bits. Its key is derived from the day's (RFC 5869).
pub fn pseudonym(key: &[u8; 32], domain: &str, value: &[u8]) -> String {
    let hmac = |key: &[u8]| Hmac::<Sha256>::new_from_slice(key).unwrap();
    let key = hmac(key).chain_update(b"logfade hash 1").chain_update([1]).finalize().into_bytes();
    let bytes = hmac(&key).chain_update((domain.len() as u32).to_be_bytes()).chain_update(domain).chain_update(value).finalize().into_bytes();
    bytes[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An agent reduced, its blanks written as its log writes them.
fn family(value: &Value<'_>) -> Bytes {
    let is_plus = value.text == Text::Plus;
    let coded = !value.raw.contains(&b' ') && value.raw.contains(&b'%');
    let plus = is_plus || memchr::memmem::find(value.raw, b"%20").is_none();
    let blank = match value.text {
        Text::Plus => "+",
        Text::Bare if value.after.starts_with(b" ") => "+",
        Text::Bare if coded => "%20",
        _ => " ",
    };
    logfade::scrub::family(&plain(value.raw, coded || is_plus, plus)).replace(' ', blank).into_bytes()
}
