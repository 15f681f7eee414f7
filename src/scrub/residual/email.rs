//! E-mail addresses, and the user part of URLs, around an `@`.

use std::ops::Range;

/// The longest quoted local part that is searched back for (RFC 5321 allows 64 bytes).
const LONGEST_QUOTED: usize = 66;

/// File name suffixes that are no top-level domains: `logo@2x.png` is no e-mail.
const SUFFIXES: [&[u8]; 18] =
    [b"png", b"jpg", b"jpeg", b"gif", b"webp", b"svg", b"avif", b"ico", b"css", b"js", b"mjs", b"woff", b"woff2", b"ttf", b"html", b"json", b"xml", b"bmp"];

/// Appends the range of the e-mail or user part around the `@` at `at`.
pub(super) fn around(text: &[u8], at: usize, found: &mut Vec<Range<usize>>) {
    let (head, tail) = (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default());
    let start = local_start(head);
    if start == at {
        return;
    }
    let start = user_start(head, start);
    let end = at + 1 + domain_len(tail);
    let user = head.get(..start).is_some_and(|before| before.ends_with(b"//"));
    if user || is_domain(text.get(at + 1..end).unwrap_or_default()) {
        found.push(start..end);
    }
}

/// What RFC 5322 allows in a local part, without what separates values in URLs, and everything outside of ASCII.
fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || matches!(byte, b'.' | b'_' | b'-' | b'+' | b'!' | b'#' | b'$' | b'*' | b'^' | b'`' | b'{' | b'|' | b'}' | b'~' | b'\'')
}

fn run_start(text: &[u8], is_part: impl Fn(u8) -> bool) -> usize {
    text.iter().rposition(|&b| !is_part(b)).map_or(0, |at| at + 1)
}

fn local_start(head: &[u8]) -> usize {
    if let Some(quoted) = head.strip_suffix(b"\"") {
        let near = quoted.len().saturating_sub(LONGEST_QUOTED);
        let open = quoted.get(near..).unwrap_or_default().iter().rposition(|&b| b == b'"');
        return open.map_or(head.len(), |open| near + open);
    }
    let mut start = run_start(head, is_local);
    // `john@corp@example.com`: a second `@` inside of a local part.
    if start < head.len()
        && let Some(outer) = head.get(..start).and_then(|head| head.strip_suffix(b"@"))
    {
        start = run_start(outer, is_local);
    }
    // A bounce address carries another one: `bounce+user=example.com@list.example`.
    let before = head.get(..start).unwrap_or_default();
    let Some(name) = before.strip_suffix(b"=") else { return start };
    let outer = run_start(name, is_local);
    let tagged = name.get(outer..).unwrap_or_default().iter().any(|b| matches!(b, b'+' | b'-'));
    if tagged && is_domain(head.get(start..).unwrap_or_default()) { outer } else { start }
}

/// `//user:password@host`: the user too.
fn user_start(head: &[u8], start: usize) -> usize {
    let before = head.get(..start).unwrap_or_default();
    let Some(user) = before.strip_suffix(b":") else { return start };
    let outer = run_start(user, is_local);
    if user.get(..outer).unwrap_or_default().ends_with(b"//") { outer } else { start }
}

fn domain_len(tail: &[u8]) -> usize {
    if tail.first() == Some(&b'[') {
        let is_part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b':');
        let end = tail.iter().skip(1).position(|b| !is_part(b)).unwrap_or(0) + 1;
        return if tail.get(end) == Some(&b']') { end + 1 } else { 0 };
    }
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b >= 0x80 || matches!(b, b'.' | b'-' | b'_');
    let len = tail.iter().position(|&b| !is_part(b)).unwrap_or(tail.len());
    let trimmed = tail.get(..len).unwrap_or_default();
    trimmed.iter().rposition(|b| !matches!(b, b'.' | b'-' | b'_')).map_or(0, |last| last + 1)
}

/// At least one dot, and behind it a label that starts like a top-level domain.
fn is_domain(domain: &[u8]) -> bool {
    if domain.first() == Some(&b'[') {
        return domain.len() > 2;
    }
    let mut labels = domain.split(|&b| b == b'.');
    if labels.next().is_none_or(<[u8]>::is_empty) {
        return false;
    }
    let mut rest = labels.peekable();
    while let Some(label) = rest.next() {
        let last = rest.peek().is_none();
        let suffix = last && SUFFIXES.iter().any(|suffix| suffix.eq_ignore_ascii_case(label));
        let top = matches!(label, [a, b, ..] if is_letter(*a) && is_letter(*b));
        if top && !suffix {
            return true;
        }
    }
    false
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte >= 0x80
}
