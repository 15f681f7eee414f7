//! Which records of a log a form takes: conditions on the raw values, ANDed by key, ORed within a list.

use super::address::{self, Nets};
use crate::format::{ENVELOPE_SLOTS, Field, Format, Slot, Span, header_field};
use globset::GlobMatcher;
use ipnet::IpNet;
use std::fmt;

/// One condition: a record passes if its value is one of these.
#[derive(Clone, Debug)]
pub enum Condition {
    /// Inclusive ranges of status codes.
    Status(Vec<(u16, u16)>),
    /// Methods, compared exactly.
    Method(Vec<String>),
    /// Globs of the path without its query; `*` also takes slashes.
    Path(Vec<GlobMatcher>),
    /// Networks of the client.
    Network(Vec<IpNet>),
    /// Virtual hosts, without port, compared without case.
    Host(Vec<String>),
    /// A cookie of this name with one of these values.
    Cookie(String, Vec<String>),
    /// A header of this name with one of these values, compared without case.
    Header(String, Vec<String>),
}

/// Conditions that a record must meet, all of them. A record that lacks the value meets none.
#[derive(Clone, Debug)]
pub struct Selection {
    conditions: Vec<Condition>,
    /// Of every `Network`, in the order of the conditions.
    nets: Vec<Nets>,
}

impl Condition {
    /// What a slot must mean to be asked.
    fn concerns(&self, slot: &Slot) -> bool {
        match self {
            Self::Status(_) => slot.field == Field::Status,
            Self::Method(_) => slot.field == Field::Method,
            Self::Path(_) => slot.field == Field::Path,
            Self::Network(_) => slot.field == Field::ClientAddr,
            Self::Host(_) => slot.field == Field::Host,
            Self::Cookie(name, _) => slot.field == Field::Cookie && (slot.name.is_empty() || &*slot.name == name),
            Self::Header(name, _) => {
                let field = header_field(name);
                slot.field == field && (field != Field::Header || slot.name.is_empty() || slot.name.ends_with('*') || is_header(&slot.name, name))
            }
        }
    }

    /// The key in the configuration.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::Method(_) => "method",
            Self::Path(_) => "path",
            Self::Network(_) => "network",
            Self::Host(_) => "host",
            Self::Cookie(..) => "cookie",
            Self::Header(..) => "header",
        }
    }

    fn holds(&self, slot: &Slot, value: &[u8], nets: Option<&Nets>) -> bool {
        let is_one = |wanted: &[String]| wanted.iter().any(|wanted| value.eq_ignore_ascii_case(wanted.as_bytes()));
        match self {
            Self::Status(ranges) => {
                std::str::from_utf8(value).ok().and_then(|text| text.parse::<u16>().ok()).is_some_and(|code| ranges.iter().any(|(low, high)| (*low..=*high).contains(&code)))
            }
            Self::Method(wanted) => wanted.iter().any(|wanted| wanted.as_bytes() == value),
            Self::Path(globs) => {
                let path = value.split(|byte| *byte == b'?').next().unwrap_or_default();
                let path = String::from_utf8_lossy(path);
                globs.iter().any(|glob| glob.is_match(&*path))
            }
            Self::Network(_) => address::parse(value).and_then(|endpoint| endpoint.ip()).is_some_and(|ip| nets.is_some_and(|nets| nets.contains(ip))),
            Self::Host(wanted) => {
                let host = if value.starts_with(b"[") { value } else { value.split(|byte| *byte == b':').next().unwrap_or_default() };
                wanted.iter().any(|wanted| host.eq_ignore_ascii_case(wanted.as_bytes()))
            }
            Self::Cookie(name, wanted) if slot.name.is_empty() => value
                .split(|byte| *byte == b';')
                .filter_map(|pair| pair.split_at_checked(pair.iter().position(|byte| *byte == b'=')?))
                .any(|(key, value)| key.trim_ascii() == name.as_bytes() && wanted.iter().any(|wanted| value.get(1..).unwrap_or_default().trim_ascii() == wanted.as_bytes())),
            Self::Cookie(_, wanted) => wanted.iter().any(|wanted| value == wanted.as_bytes()),
            Self::Header(_, wanted) => is_one(wanted),
        }
    }
}

fn is_header(slot: &str, name: &str) -> bool {
    slot.len() == name.len() && slot.bytes().zip(name.bytes()).all(|(a, b)| a.eq_ignore_ascii_case(&b) || (matches!(a, b'_' | b'-') && matches!(b, b'_' | b'-')))
}

impl Selection {
    /// Conditions that must all be met.
    pub fn new(conditions: Vec<Condition>) -> Self {
        let nets = conditions.iter().map(|condition| if let Condition::Network(nets) = condition { Nets::new(nets) } else { Nets::new(&[]) }).collect();
        Self { conditions, nets }
    }

    /// The conditions.
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// The first condition about a value that lines of this format do not have.
    pub fn lacking(&self, format: &Format) -> Option<&Condition> {
        let slots = format.slots();
        // A request line names a host only where the server is a proxy.
        let is_part = |at: usize| slots.get(at.saturating_sub(6)..at).unwrap_or_default().iter().any(|slot| slot.field == Field::Request);
        let says = |condition: &Condition, at: usize, slot: &Slot| condition.concerns(slot) && !(slot.field == Field::Host && is_part(at));
        self.conditions.iter().find(|condition| !slots.iter().enumerate().skip(ENVELOPE_SLOTS).any(|(at, slot)| says(condition, at, slot)))
    }

    /// Whether the record is one of them. `spans` are those of `line` in `format`; the first value of a field counts.
    pub fn admits(&self, format: &Format, line: &[u8], spans: &[Span]) -> bool {
        self.conditions.iter().zip(&self.nets).all(|(condition, nets)| {
            let concerned = spans.iter().filter(|span| usize::from(span.slot) >= ENVELOPE_SLOTS);
            let mut concerned = concerned.filter_map(|span| format.slots().get(usize::from(span.slot)).filter(|slot| condition.concerns(slot)).map(|slot| (slot, span)));
            concerned.next().is_some_and(|(slot, span)| condition.holds(slot, line.get(span.range()).unwrap_or_default(), Some(nets)))
        })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = match self {
            Self::Status(ranges) => ranges.iter().map(|(low, high)| if low == high { low.to_string() } else { format!("{low}-{high}") }).collect(),
            Self::Path(globs) => globs.iter().map(|glob| glob.glob().glob().to_owned()).collect(),
            Self::Network(nets) => nets.iter().map(ToString::to_string).collect(),
            Self::Method(list) | Self::Host(list) | Self::Cookie(_, list) | Self::Header(_, list) => list.clone(),
        };
        match self {
            Self::Cookie(name, _) | Self::Header(name, _) => write!(f, "{} {name} = {}", self.key(), list.join(" or ")),
            Self::Status(_) | Self::Method(_) | Self::Path(_) | Self::Network(_) | Self::Host(_) => write!(f, "{} {}", self.key(), list.join(" or ")),
        }
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let conditions: Vec<String> = self.conditions.iter().map(ToString::to_string).collect();
        f.write_str(&conditions.join(" and "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Columns, Spans};
    use std::sync::Arc;

    fn admits(format: &Arc<Format>, line: &str, conditions: Vec<Condition>) -> bool {
        let mut spans = Spans::default();
        assert!(format.split(line.as_bytes(), &mut Columns::default(), &mut spans).is_ok());
        Selection::new(conditions).admits(format, line.as_bytes(), spans.as_slice())
    }

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn records_are_taken_by_their_values() {
        let format = Format::parse("nginx:$remote_addr [$time_local] \"$request\" $status $host \"$http_cookie\" \"$http_x_part\" $cookie_consent").unwrap();
        let line = "::ffff:192.0.2.7 [10/Oct/2000:13:55:36 +0000] \"POST /login/now?a=b HTTP/1.1\" 403 Shop.example:443 \"a=b; consent=analytics\" \"Blue\" yes";
        let glob = |text: &str| vec![globset::Glob::new(text).unwrap().compile_matcher()];
        let net = |text: &str| vec![text.parse::<IpNet>().unwrap()];
        for (condition, expected) in [
            (Condition::Status(vec![(200, 299), (400, 403)]), true),
            (Condition::Status(vec![(404, 499)]), false),
            (Condition::Method(texts(&["GET", "POST"])), true),
            (Condition::Method(texts(&["post"])), false),
            (Condition::Path(glob("/login*")), true),
            (Condition::Path(glob("/login")), false),
            (Condition::Network(net("192.0.2.0/24")), true),
            (Condition::Network(net("198.51.100.0/24")), false),
            (Condition::Host(texts(&["shop.example"])), true),
            (Condition::Host(texts(&["example"])), false),
            (Condition::Header("X-Part".into(), texts(&["blue"])), true),
            (Condition::Header("X-Part".into(), texts(&["red"])), false),
            (Condition::Cookie("consent".into(), texts(&["analytics"])), true),
            (Condition::Cookie("a".into(), texts(&["b"])), true),
            (Condition::Cookie("a".into(), texts(&["c"])), false),
        ] {
            assert_eq!(admits(&format, line, vec![condition.clone()]), expected, "{condition}");
            let both = vec![condition.clone(), Condition::Method(texts(&["POST"]))];
            assert_eq!(admits(&format, line, both), expected, "{condition} and POST");
            assert!(!admits(&format, line, vec![condition, Condition::Method(texts(&["PUT"]))]));
        }
    }

    #[test]
    fn a_format_without_the_value_is_told() {
        let lacking = |condition| Selection::new(vec![condition]).lacking(&Format::parse("combined").unwrap()).is_some();
        assert!(lacking(Condition::Cookie("consent".into(), Vec::new())));
        assert!(lacking(Condition::Host(Vec::new())));
        assert!(lacking(Condition::Header("X-Part".into(), Vec::new())));
        assert!(!lacking(Condition::Header("User-Agent".into(), Vec::new())));
        assert!(Selection::new(vec![Condition::Host(Vec::new())]).lacking(&Format::parse("combined_vhost").unwrap()).is_none());
        assert!(!lacking(Condition::Status(Vec::new())) && !lacking(Condition::Network(Vec::new())) && !lacking(Condition::Path(Vec::new())));
    }
}
