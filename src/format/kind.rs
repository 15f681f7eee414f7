//! Kinds of values: what a format checks of them, so that it recognises its own lines and no others.

#![expect(clippy::indexing_slicing, reason = "tables of 256 entries are indexed by a byte, constants are built by the compiler")]

use super::word::{digits, first};
use super::{Field, time};
use memchr::memmem;

/// What a value has to look like, so that a format recognises its own lines and no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Address,
    /// An address behind the virtual host: without one the host would be the client's.
    AddressOnly,
    Host,
    Method,
    Number,
    Status,
    Time,
    User,
    Request,
    Url,
    Path,
    List,
    Any,
}

impl Kind {
    pub(crate) const fn of(field: Field) -> Self {
        match field {
            Field::ClientAddr => Self::Address,
            Field::Host => Self::Host,
            Field::Method => Self::Method,
            Field::Bytes | Field::ClientPort | Field::Duration => Self::Number,
            Field::Status => Self::Status,
            Field::Time => Self::Time,
            Field::User => Self::User,
            Field::Request => Self::Request,
            Field::Url => Self::Url,
            Field::Path => Self::Path,
            Field::Server | Field::Other => Self::List,
            Field::ProxiedAddr
            | Field::Ident
            | Field::Query
            | Field::Protocol
            | Field::Referrer
            | Field::UserAgent
            | Field::Cookie
            | Field::Header
            | Field::RequestId
            | Field::Session
            | Field::Tls
            | Field::Message
            | Field::Country
            | Field::Asn => Self::Any,
        }
    }
}

/// One number of a list: `-`, or digits with a fraction and a unit.
fn is_number(one: &[u8]) -> bool {
    let one = one.strip_prefix(b"+").unwrap_or(one);
    if matches!(one, b"-" | b"-1" | b"") {
        return true;
    }
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let one = one.strip_prefix(b"-").unwrap_or(one);
    let whole = digits(one);
    let rest = one.get(whole..).unwrap_or_default();
    let rest = rest.strip_prefix(b".").map_or(rest, |fraction| fraction.get(digits(fraction)..).unwrap_or_default());
    whole > 0 && (rest.is_empty() || matches!(rest, b"s" | b"ms" | b"us" | b"ns" | b"m" | b"%" | b"K" | b"M"))
}

/// What may stand in addresses, their ports and zones, and in host names.
const ADDRESS: [bool; 256] = table(b".:%_-[]\\");
/// Numeric addresses alone.
const DIGITS: [bool; 256] = {
    let mut digits = table(b".:");
    let mut byte = 0;
    while byte < 256 {
        digits[byte] &= !(byte as u8).is_ascii_alphabetic() || matches!(byte as u8, b'a'..=b'f');
        byte += 1;
    }
    digits
};
const HOST: [bool; 256] = table(b".:_-[]*~");

const fn table(extra: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < extra.len() {
        table[extra[at] as usize] = true;
        at += 1;
    }
    table
}

impl Kind {
    pub(super) const fn is_list(self) -> bool {
        matches!(self, Self::List | Self::Number | Self::Status)
    }

    /// How many bytes at the start are a value of this kind, where its own bytes tell; the literal must follow.
    #[inline]
    pub(super) fn width(self, rest: &[u8]) -> Option<usize> {
        match self {
            Self::Address | Self::AddressOnly => {
                let width = rest.iter().position(|byte| !DIGITS[*byte as usize])?;
                (width > 1).then_some(width)
            }
            Self::Status => matches!(rest, [b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', ..]).then_some(3),
            Self::Number => {
                let width = digits(rest);
                (1..20).contains(&width).then_some(width)
            }
            Self::Time => rest.first_chunk().is_some_and(time::is_clf).then_some(26),
            // Absent, as nearly always.
            Self::User | Self::Any => (rest.first() == Some(&b'-')).then_some(1),
            Self::Host | Self::Method | Self::Request | Self::Url | Self::Path | Self::List => None,
        }
    }

    #[inline]
    pub(crate) fn accepts(self, value: &[u8]) -> bool {
        match self {
            Self::Address => {
                !value.is_empty() && (value.iter().all(|byte| ADDRESS[*byte as usize]) || value.starts_with(b"unix:")) && !matches!(value.first(), Some(b'.' | b'%' | b']' | b'_'))
            }
            Self::AddressOnly => value != b"-" && Self::Address.accepts(value),
            Self::Host => !value.is_empty() && value.iter().all(|byte| HOST[*byte as usize]),
            Self::Method => value == b"-" || (!value.is_empty() && value.iter().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_'))),
            Self::Number => match value {
                [] => false,
                short if short.len() <= 20 && digits(short) == short.len() => true,
                list => list.len() < 128 && !holds_blank(list) && list.split(|byte| matches!(byte, b' ' | b',' | b':')).all(is_number),
            },
            Self::Status => match value {
                b"-" | b"0" => true,
                [a, b, c] => a.is_ascii_digit() && b.is_ascii_digit() && c.is_ascii_digit(),
                list => {
                    list.len() > 3
                        && !holds_blank(list)
                        && list
                            .split(|byte| matches!(byte, b' ' | b',' | b':'))
                            .all(|one| matches!(one.len(), 0 | 1 | 3) && one.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-'))
                }
            },
            Self::Time => value == b"-" || time::shape(value).is_some(),
            Self::User => {
                let quote = first([b'"'], value).is_some_and(|at| at == 0 || value.get(at - 1) != Some(&b'\\'));
                // A name may hold blanks, but not what looks like more columns.
                let columns = first([b' '], value).is_some()
                    && (value.starts_with(b"- ") || value.ends_with(b" -") || memmem::find(value, b": ").is_some() || memmem::find(value, b" - ").is_some());
                !quote && !columns
            }
            Self::Request | Self::Url | Self::Path | Self::List | Self::Any => true,
        }
    }
}

/// A blank that does not belong to a list: a bare value has none.
pub(super) fn holds_blank(value: &[u8]) -> bool {
    memchr::memchr_iter(b' ', value).any(|at| !matches!(at.checked_sub(1).and_then(|before| value.get(before)), Some(b',' | b':')) && value.get(at + 1) != Some(&b':'))
}
