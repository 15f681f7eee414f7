//! Whose a record is: identifiers of a person, looked for in raw lines as they stand and in clean ones as what a policy made of them.

mod spelling;
mod wanted;

use super::policy::Policy;
use super::pseudonym::{Period, PeriodKey};
use super::{address, ecs};
use crate::format::{Columns, Field, Format, Line, Span, Spans, escape, peel};
use jiff::Timestamp;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use wanted::Wanted;

/// Keys with their periods.
pub(super) type Keys<'a> = &'a [(Period, Arc<PeriodKey>)];

/// By what a person is found. `Debug` says nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub enum Identifier {
    /// An address; an IPv4 address inside an IPv6 address is that IPv4 address.
    Ip(IpAddr),
    /// A user name, compared exactly.
    User(String),
    /// A cookie: name and value, compared exactly.
    Cookie(String, String),
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identifier")
    }
}

impl Identifier {
    /// An address in any textual form.
    pub fn ip(text: &str) -> Option<Self> {
        address::parse(text.trim().as_bytes()).and_then(|endpoint| endpoint.ip()).map(Self::Ip)
    }

    /// A user name; `-` is what stands where there is none.
    pub fn user(text: &str) -> Option<Self> {
        (!text.is_empty() && text != "-").then(|| Self::User(text.to_owned()))
    }

    /// `NAME=VALUE`
    pub fn cookie(text: &str) -> Option<Self> {
        let (name, value) = text.split_once('=')?;
        (!name.trim().is_empty() && !value.trim().is_empty()).then(|| Self::Cookie(name.trim().to_owned(), value.trim().to_owned()))
    }

    /// A line of a file of identifiers: `ip ADDR`, `user NAME` or `cookie NAME=VALUE`.
    pub fn line(text: &str) -> Option<Self> {
        let (kind, value) = text.trim().split_once(char::is_whitespace)?;
        match kind {
            "ip" => Self::ip(value),
            "user" => Self::user(value.trim()),
            "cookie" => Self::cookie(value),
            _ => None,
        }
    }
}

/// Whose a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// One of the identifiers stands in it.
    Theirs,
    /// None does.
    Others,
    /// No format reads it, and none of the identifiers stands in its text; user names are not looked for there.
    Unread,
}

/// A value of a record, for the person whom it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// What it means; none for the whole of a line that no format reads.
    pub field: Option<Field>,
    /// Name of the header, cookie or directive; may be empty.
    pub name: String,
    /// What stands there, without escapes.
    pub value: String,
}

/// Looks for a person's records in the lines of one file.
pub struct Seeker {
    formats: Vec<Arc<Format>>,
    columns: Vec<Columns>,
    spans: Spans,
    /// What an envelope carries, without its escapes.
    carried: Vec<u8>,
    plain: Vec<u8>,
    wanted: Wanted,
    /// Lines are records with the names of the Elastic Common Schema.
    is_ecs: bool,
}

/// What a line turned out to be.
enum Read {
    /// A record of the format of this number, in the line itself or carried by it.
    Record(usize, bool),
    /// It is about the log.
    Directive,
    Unread,
}

impl Seeker {
    /// For files of these formats. Without a policy they are raw; with one, what it leaves of an identifier is looked for, and what it
    /// makes of one under each of `keys`.
    pub fn new(formats: Vec<Arc<Format>>, identifiers: &[Identifier], made: Option<(&Policy, Keys<'_>)>) -> Self {
        let wanted = made.map_or_else(|| Wanted::raw(identifiers), |(policy, keys)| Wanted::clean(identifiers, policy, keys));
        let columns = formats.iter().map(|_| Columns::default()).collect();
        Self { formats, columns, spans: Spans::default(), carried: Vec::new(), plain: Vec::new(), wanted, is_ecs: false }
    }

    /// For what `--output json` and `layout = "json"` write.
    pub fn ecs(identifiers: &[Identifier], (policy, keys): (&Policy, Keys<'_>)) -> Self {
        let mut seeker = Self::new(Vec::new(), identifiers, Some((policy, keys)));
        seeker.wanted.label(ecs::label);
        Self { is_ecs: true, ..seeker }
    }

    /// Whether nothing can be found: the policy leaves nothing of these identifiers, or the keys are gone.
    pub fn is_hopeless(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Whose a line is; `at` is the time of its record.
    pub fn look(&mut self, line: &[u8], at: Timestamp) -> Whose {
        let line = trimmed(line);
        if self.is_ecs {
            return match ecs::values(line) {
                Some(values) if values.iter().any(|(field, name, value)| self.wanted.stands_as(*field, name, value.as_bytes(), at)) => Whose::Theirs,
                Some(_) => Whose::Others,
                None => Whose::Unread,
            };
        }
        match self.read(line) {
            Read::Directive => Whose::Others,
            Read::Unread if self.wanted.stands_in(line) => Whose::Theirs,
            Read::Unread if line.trim_ascii().is_empty() => Whose::Others,
            Read::Unread => Whose::Unread,
            Read::Record(number, carried) => {
                let Self { formats, spans, carried: inner, plain, wanted, .. } = self;
                let line = if carried { inner.as_slice() } else { line };
                let values = values(formats.get(number), spans.as_slice(), line);
                let mut theirs = false;
                for (field, name, raw) in values {
                    plain.clear();
                    escape::text(raw, plain);
                    theirs = theirs || wanted.stands_as(field, name, plain, at);
                }
                if theirs { Whose::Theirs } else { Whose::Others }
            }
        }
    }

    /// The values of a line. Shows them to the person who asks.
    pub fn values(&mut self, line: &[u8]) -> Vec<Value> {
        let line = trimmed(line);
        if let Some(values) = self.is_ecs.then(|| ecs::values(line)).flatten() {
            return values.into_iter().map(|(field, name, value)| Value { field: Some(field), name, value }).collect();
        }
        match self.read(line) {
            Read::Record(number, carried) => {
                let source = if carried { self.carried.as_slice() } else { line };
                let text = |raw: &[u8]| {
                    let mut plain = Vec::new();
                    escape::text(raw, &mut plain);
                    String::from_utf8_lossy(&plain).into_owned()
                };
                let values = values(self.formats.get(number), self.spans.as_slice(), source);
                values.filter(|(.., raw)| !matches!(raw, [] | [b'-'])).map(|(field, name, raw)| Value { field: Some(field), name: name.to_owned(), value: text(raw) }).collect()
            }
            Read::Directive | Read::Unread => vec![Value { field: None, name: String::new(), value: String::from_utf8_lossy(line).into_owned() }],
        }
    }

    fn read(&mut self, line: &[u8]) -> Read {
        if let Some(read) = self.split(line, false) {
            return read;
        }
        self.spans.clear();
        let Some(peeled) = peel(line, &mut self.spans) else { return Read::Unread };
        let value = line.get(peeled.start..peeled.end).unwrap_or_default();
        let mut inner = std::mem::take(&mut self.carried);
        inner.clear();
        if peeled.coded {
            escape::json(value, &mut inner);
        } else {
            inner.extend_from_slice(value);
        }
        inner.truncate(trimmed(&inner).len());
        let read = self.split(&inner, true);
        self.carried = inner;
        read.unwrap_or(Read::Unread)
    }

    fn split(&mut self, line: &[u8], carried: bool) -> Option<Read> {
        for (number, (format, columns)) in self.formats.iter().zip(&mut self.columns).enumerate() {
            self.spans.clear();
            match format.split(line, columns, &mut self.spans) {
                Ok(Line::Record) => return Some(Read::Record(number, carried)),
                Ok(Line::Directive(_)) => return Some(Read::Directive),
                Err(_) => {}
            }
        }
        None
    }
}

/// The values that spans name.
fn values<'a>(format: Option<&'a Arc<Format>>, spans: &'a [Span], line: &'a [u8]) -> impl Iterator<Item = (Field, &'a str, &'a [u8])> {
    spans.iter().filter_map(move |span| {
        let slot = format?.slots().get(usize::from(span.slot))?;
        Some((slot.field, &*slot.name, line.get(span.range())?))
    })
}

/// A line without its end.
fn trimmed(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whose(format: &str, line: &str, identifier: Option<Identifier>) -> Whose {
        let mut seeker = Seeker::new(vec![Format::parse(format).unwrap()], &[identifier.unwrap()], None);
        seeker.look(line.as_bytes(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn raw_records_are_known_by_their_values() {
        let format = "nginx:$remote_addr $remote_user [$time_local] \"$request\" $status \"$http_user_agent\" \"$http_x_forwarded_for\" \"$http_cookie\" $cookie_uid";
        let line = "::ffff:cb00:7107 ann [10/Oct/2000:13:55:36 +0000] \"GET /a?from=192.0.2.9 HTTP/1.1\" 200 \"x/198.51.100.4\" \"2001:DB8:0::9, 10.0.0.1\" \"a=b; sid=s1\" u1\n";
        for (identifier, expected) in [
            (Identifier::ip("203.0.113.7"), Whose::Theirs),
            (Identifier::ip("[2001:db8::9]:443"), Whose::Theirs),
            (Identifier::ip("10.0.0.1"), Whose::Theirs),
            (Identifier::ip("192.0.2.9"), Whose::Theirs),
            // A version of a product is no address.
            (Identifier::ip("198.51.100.4"), Whose::Others),
            (Identifier::ip("203.0.113.70"), Whose::Others),
            (Identifier::user("ann"), Whose::Theirs),
            (Identifier::user("an"), Whose::Others),
            (Identifier::cookie("sid=s1"), Whose::Theirs),
            (Identifier::cookie("uid=u1"), Whose::Theirs),
            (Identifier::cookie("sid=s"), Whose::Others),
            (Identifier::cookie("id=s1"), Whose::Others),
        ] {
            assert_eq!(whose(format, line, identifier.clone()), expected, "{}", matches!(identifier, Some(Identifier::Ip(_))));
        }
    }

    #[test]
    fn what_no_format_reads_is_searched_as_text() {
        let line = "broken from 203.0.113.7:80 with sid=s1; ann";
        assert_eq!(whose("combined", line, Identifier::ip("203.0.113.7")), Whose::Theirs);
        assert_eq!(whose("combined", line, Identifier::cookie("sid=s1")), Whose::Theirs);
        assert_eq!(whose("combined", line, Identifier::cookie("sid=s")), Whose::Unread);
        assert_eq!(whose("combined", line, Identifier::user("ann")), Whose::Unread);
        let carried = "{\"log\":\"203.0.113.7 - ann [10/Oct/2000:13:55:36 +0000] \\\"GET / HTTP/1.1\\\" 200 1 \\\"-\\\" \\\"-\\\"\\n\",\"stream\":\"stdout\",\"time\":\"2000-10-10T13:55:36Z\"}";
        assert_eq!(whose("combined", carried, Identifier::user("ann")), Whose::Theirs);
    }

    #[test]
    fn records_of_ndjson_are_known_by_their_values() {
        let policy = Policy::parse("p", "p", "client_addr = \"keep\"\nuser = \"keep\"\ncookie = \"keep\"\nother = \"keep\"\n").unwrap();
        let line = br#"{"@timestamp":"2000-10-10T13:55:36Z","client":{"address":"203.0.113.7"},"user":{"name":"a\"nn"},"labels":{"cookie":"a=b; sid=s1","cookie_shop_id":"v1"}}"#;
        for (identifier, expected) in [
            (Identifier::ip("203.0.113.7"), Whose::Theirs),
            (Identifier::ip("203.0.113.70"), Whose::Others),
            (Identifier::user("a\"nn"), Whose::Theirs),
            (Identifier::user("nn"), Whose::Others),
            (Identifier::cookie("sid=s1"), Whose::Theirs),
            // Labels cannot tell these names apart.
            (Identifier::cookie("Shop-ID=v1"), Whose::Theirs),
            (Identifier::cookie("shop=v1"), Whose::Others),
        ] {
            let identifiers = [identifier.unwrap()];
            let mut seeker = Seeker::ecs(&identifiers, (&policy, &[]));
            assert_eq!(seeker.look(line, Timestamp::UNIX_EPOCH), expected, "{}", matches!(identifiers[0], Identifier::Ip(_)));
            assert_eq!(seeker.look(b"{\"reason\":\"format\"}", Timestamp::UNIX_EPOCH), Whose::Others);
            assert_eq!(seeker.look(b"no object", Timestamp::UNIX_EPOCH), Whose::Unread);
        }
    }

    #[test]
    fn a_pseudonym_of_another_period_is_another_person() {
        let policy = Policy::keyed("p", "p", "client_addr = \"encrypt-prefix\"\nother = \"keep\"\n").unwrap();
        let keys: Vec<_> = [(20_000, 1), (20_001, 2)].map(|(day, byte)| (Period::from_day(day), Arc::new(PeriodKey::from_bytes(&[byte; 32])))).into();
        let ip = Identifier::ip("203.0.113.7").unwrap();
        let Identifier::Ip(addr) = ip else { panic!("an address") };
        let mut seeker = Seeker::new(vec![Format::parse("nginx:$remote_addr [$time_local]").unwrap()], &[ip], Some((&policy, &keys)));
        let noon = |day: i64| Timestamp::from_second(day * 86_400 + 43_200).unwrap();
        for (made, day, expected) in [(0, 20_000, Whose::Theirs), (1, 20_001, Whose::Theirs), (0, 20_001, Whose::Others), (1, 20_002, Whose::Others)] {
            let line = format!("{} [{}]\n", keys[made].1.encrypt_prefix(addr), noon(day).strftime("%d/%b/%Y:%H:%M:%S +0000"));
            assert_eq!(seeker.look(line.as_bytes(), noon(day)), expected, "key {made}, day {day}");
        }
    }

    #[test]
    fn a_file_of_identifiers_has_one_in_a_line() {
        assert!(Identifier::line("ip ::ffff:203.0.113.7") == Identifier::ip("203.0.113.7") && Identifier::line("user a b") == Identifier::user("a b"));
        assert!(Identifier::line("cookie sid=x=y") == Identifier::cookie("sid=x=y"));
        for text in ["", "ip", "ip host.example", "user -", "cookie sid", "mail a@b.example", "203.0.113.7"] {
            assert!(Identifier::line(text).is_none(), "{text}");
        }
    }
}
