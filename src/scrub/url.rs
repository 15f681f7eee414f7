//! Referrers, queries and cookies: what stays of values that have parts.

use super::action::{Names, Simple};
use crate::format::escape_of;
use crate::format::request::{authority_len, query_start, scheme};
use std::ops::Range;

/// The parts of a referrer.
pub(crate) struct Referrer {
    /// `scheme://`, as it is written.
    pub scheme: usize,
    /// Host and port, without user information.
    pub host: Range<usize>,
}

impl Referrer {
    /// Cuts an absolute URL; `None` for anything else.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let scheme = scheme(value)?;
        let rest = value.get(scheme..)?;
        let end = scheme + authority_len(rest);
        let authority = value.get(scheme..end)?;
        let host = memchr::memrchr(b'@', authority).map_or(scheme, |at| scheme + at + 1);
        // What follows a host is a path, a query or nothing; anything else may have been half of a user's name.
        let coded = value.get(..scheme)?.contains(&b'%');
        let follows = match value.get(end..)? {
            [] | [b'/' | b'?' | b'#', ..] | [b'\\', b'/', ..] => true,
            [b'%', digits @ ..] => coded && digits.get(..2).is_some_and(|digits| [b"2F", b"3F", b"23"].iter().any(|known| digits.eq_ignore_ascii_case(*known))),
            _ => false,
        };
        if !follows {
            return None;
        }
        // A port is a number; what else follows a colon is half of a user's name and password.
        let name = value.get(host..end)?;
        let port = memchr::memrchr(b':', name).map(|at| name.split_at(at)).filter(|(_, port)| !port.ends_with(b"]") && !name.ends_with(b"]"));
        if port.is_some_and(|(_, port)| !port.iter().skip(1).all(u8::is_ascii_digit)) {
            return None;
        }
        let sane = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']') || !byte.is_ascii();
        if host == end || !value.get(host..end)?.iter().all(sane) {
            return None;
        }
        Some(Self { scheme, host: host..end })
    }

    /// The path, without query and fragment.
    pub(crate) fn path(&self, value: &[u8]) -> Range<usize> {
        let path = value.get(self.host.end..).unwrap_or_default();
        self.host.end..self.host.end + query_start(path).unwrap_or(path.len())
    }
}

/// Whether `scheme://` ends within the first eight bytes: the first slash behind those ends the host. Not so `android-app://`.
pub(crate) fn has_short_scheme(value: &[u8]) -> bool {
    [value.get(4..7), value.get(5..8)].contains(&Some(b"://".as_slice()))
}

/// Width of the query's mark: `?`, `#`, `%3F`, `%253F`.
fn mark(query: &[u8]) -> usize {
    match query {
        [b'?' | b'#', ..] => 1,
        [b'%', b'2', b'5', ..] => 5.min(query.len()),
        [b'%', ..] => 3.min(query.len()),
        [b'\\', ..] => escape_of(query).map_or(0, |(_, width)| width),
        _ => 0,
    }
}

/// Ends a pair of a query, plain or escaped, and how wide it is. What a server would read as a separator is one, and so is
/// what would start another query: when in doubt, the rest is another name that nobody decided about.
fn separator(tail: &[u8], query: bool) -> Option<usize> {
    match tail {
        [b';', ..] => Some(1),
        [b'&' | b'?' | b'#', ..] if query => Some(1),
        [b'%', b'2', b'6', ..] | [b'%', b'3', b'B' | b'b' | b'F' | b'f', ..] | [b'%', b'2', b'3', ..] if query => Some(3),
        [b'\\', ..] => escape_of(tail).filter(|(byte, _)| *byte == b';' || (query && matches!(byte, b'&' | b'?' | b'#'))).map(|(_, width)| width),
        _ => None,
    }
}

/// Calls back with every pair that does not go.
pub(crate) fn keep_pairs(value: &[u8], names: &Names, query: bool, mut keep: impl FnMut(Range<usize>, Simple)) {
    let mut at = if query { mark(value) } else { 0 };
    while at < value.len() {
        let rest = value.get(at..).unwrap_or_default();
        let stop = (0..rest.len()).find_map(|end| separator(rest.get(end..).unwrap_or_default(), query).map(|width| (end, width)));
        let (len, width) = stop.unwrap_or((rest.len(), 0));
        let pair = rest.get(..len).unwrap_or_default();
        let blanks = pair.iter().take_while(|byte| **byte == b' ').count();
        let trimmed = pair.get(blanks..).unwrap_or_default();
        let name = trimmed.iter().position(|byte| *byte == b'=').map_or(trimmed, |end| trimmed.get(..end).unwrap_or_default());
        match names.decide(name) {
            _ if trimmed.is_empty() => {}
            Simple::Drop => {}
            decided @ (Simple::Keep | Simple::Hash) => keep(at + blanks..at + len, decided),
        }
        at += len + width.max(1);
    }
}

/// The mark of a query, to be written in front of what stays.
pub(crate) fn query_mark(value: &[u8]) -> &[u8] {
    value.get(..mark(value)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn referrers_are_cut() {
        let show = |value: &str| {
            Referrer::parse(value.as_bytes()).map(|url| (value[..url.scheme].to_owned(), value[url.host.clone()].to_owned(), value[url.path(value.as_bytes())].to_owned()))
        };
        let own = |a: &str, b: &str, c: &str| Some((a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(show("https://user:pw@www.example.com:8080/a/b?c=d#e"), own("https://", "www.example.com:8080", "/a/b"));
        assert_eq!(show("http://example.com"), own("http://", "example.com", ""));
        assert_eq!(show("https%3A%2F%2Fr.example%2Fa%3Fb"), own("https%3A%2F%2F", "r.example", "%2Fa"));
        assert_eq!(show(r"http:\/\/r.example\/a?b"), own(r"http:\/\/", "r.example", r"\/a"));
        assert_eq!(show("android-app://com.example.app/"), own("android-app://", "com.example.app", "/"));
        for other in ["-", "", "/relative", "${jndi:ldap://x}", "http://", "http:// x/"] {
            assert_eq!(show(other), None, "{other}");
        }
    }

    #[test]
    fn pairs_stay_by_name() {
        let names = Names { default: Simple::Drop, names: BTreeMap::from([("page".to_owned(), Simple::Keep)]), domain: None };
        let show = |value: &str, query: bool| {
            let mut kept = Vec::new();
            keep_pairs(value.as_bytes(), &names, query, |range, _| kept.push(value[range].to_owned()));
            kept.join("&")
        };
        assert_eq!(show("?id=1&page=2&x&Page=3", true), "page=2&Page=3");
        assert_eq!(show("page=2", true), "page=2");
        assert_eq!(show("%3Fid=1&page=2", true), "page=2");
        assert_eq!(show("a=1; page=x; b", false), "page=x");
        assert_eq!(show(r"?page=1\u0026email=a", true), "page=1");
        assert_eq!(show("?page=1%26email=a;id=2?x#y", true), "page=1");
    }
}
