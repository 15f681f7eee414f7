//! What values consist of, for the reference: escapes, pairs, URLs, times, pseudonyms, and what survives of a rejected line.

use std::sync::LazyLock;

use hmac::{Hmac, KeyInit, Mac};
use logfade::format::Field;
use logfade::format::time::{Shape, shape};
use logfade::scrub::{Action, Names, Precision};
use regex_automata::meta::Regex;
use sha2::Sha256;

use super::{Bytes, New, groups, regex};

pub static METHODS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    "GET POST HEAD PUT DELETE OPTIONS PATCH CONNECT TRACE PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK SEARCH REPORT QUERY PURGE BAN MERGE CHECKOUT CHECKIN UNCHECKOUT
     MKACTIVITY MKWORKSPACE MKCALENDAR VERSION-CONTROL BASELINE-CONTROL UPDATE LABEL LINK UNLINK ACL BIND REBIND UNBIND ORDERPATCH PRI SOURCE STATS NOTIFY SUBSCRIBE
     UNSUBSCRIBE M-SEARCH DESCRIBE ANNOUNCE SETUP PLAY PAUSE TEARDOWN DEBUG TRACK RPC_IN_DATA RPC_OUT_DATA BITS_POST"
        .split_whitespace()
        .collect()
});

/// The bytes that the escape at the start of a text stands for, and its width.
pub fn escape(text: &[u8]) -> Option<(Bytes, usize)> {
    static FORM: LazyLock<Regex> = LazyLock::new(|| regex(r#"^\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})(?:\\u([0-9A-Fa-f]{4}))?|(["\\/'bfnrtv]))"#));
    let found = groups(&FORM, text)?;
    let number = |group: usize| u32::from_str_radix(std::str::from_utf8(found[group]).unwrap(), 16).ok();
    if let Some(byte) = number(1) {
        return Some((vec![byte as u8], 4));
    }
    if let Some(unit) = number(2) {
        let (code, width) = match (unit, number(3)) {
            (0xd800..0xdc00, Some(low @ 0xdc00..0xe000)) => (0x10000 + (unit - 0xd800) * 1024 + low - 0xdc00, 12),
            _ => (unit, 6),
        };
        return Some((char::from_u32(code).unwrap_or('\u{fffd}').to_string().into_bytes(), width));
    }
    let plain = match found[4] {
        b"b" => 8,
        b"f" => 12,
        b"n" => b'\n',
        b"r" => b'\r',
        b"t" => b'\t',
        b"v" => 11,
        other => other[0],
    };
    Some((vec![plain], 2))
}

/// A value without its escapes, and where each byte of it came from.
pub fn unescape(raw: &[u8]) -> (Bytes, Vec<usize>) {
    let (mut out, mut origin, mut at) = (Bytes::new(), Vec::new(), 0);
    while at < raw.len() {
        let (plain, width) = escape(&raw[at..]).unwrap_or((vec![raw[at]], 1));
        origin.extend(plain.iter().map(|_| at));
        out.extend(plain);
        at += width;
    }
    origin.push(raw.len());
    (out, origin)
}

/// `%HH` read, and `+` as a blank where that is so.
pub fn percent(text: &[u8], plus: bool) -> Bytes {
    static FORM: LazyLock<Regex> = LazyLock::new(|| regex("^%([0-9A-Fa-f]{2})"));
    let (mut out, mut at) = (Bytes::new(), 0);
    while at < text.len() {
        match groups(&FORM, &text[at..]) {
            Some(found) => out.push(u8::from_str_radix(std::str::from_utf8(found[1]).unwrap(), 16).unwrap()),
            None => out.push(if plus && text[at] == b'+' { b' ' } else { text[at] }),
        }
        at += if FORM.is_match(&text[at..]) { 3 } else { 1 };
    }
    out
}

/// A value without its escapes.
pub fn plain(raw: &[u8], coded: bool, plus: bool) -> Bytes {
    let (text, _) = unescape(raw);
    if coded { percent(&text, plus) } else { text }
}

/// One of the two keys that are derived from a day's (RFC 5869).
pub fn secret(key: &[u8; 32], what: &[u8]) -> [u8; 32] {
    Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(what).chain_update([1]).finalize().into_bytes().into()
}

/// HMAC-SHA-256 over the domain with its length in front, and the value: 128 bits.
pub fn pseudonym(key: &[u8; 32], domain: &str, value: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(&secret(key, b"logfade hash 1")).unwrap();
    let bytes = mac.chain_update((domain.len() as u32).to_be_bytes()).chain_update(domain).chain_update(value).finalize().into_bytes();
    bytes[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn domain(names: &Names, field: Field, name: &[u8]) -> String {
    names.domain.clone().unwrap_or_else(|| format!("{}:{}", field.name(), String::from_utf8_lossy(name).to_lowercase()))
}

/// The mark in front of a query, and the pairs of a query or of cookies.
pub fn pairs(raw: &[u8], query: bool) -> (&[u8], Vec<&[u8]>) {
    static MARK: LazyLock<Regex> = LazyLock::new(|| regex(r"(?s)^(?:[?#]|%25.{0,2}|%.{0,2}|\\u00[0-9A-Fa-f]{2}|\\x[0-9A-Fa-f]{2})"));
    static QUERY: LazyLock<Regex> = LazyLock::new(|| regex(r"[;&?#]|%(?:26|3[BbFf]|23)|\\(?:u00|x)(?:3[BbFf]|26|23)"));
    static COOKIES: LazyLock<Regex> = LazyLock::new(|| regex(r";|\\(?:u00|x)3[Bb]"));
    let mark = if query { groups(&MARK, raw).map_or(0, |found| found[0].len()) } else { 0 };
    let (mut found, mut at) = (Vec::new(), mark);
    for stop in if query { &QUERY } else { &COOKIES }.find_iter(&raw[mark..]) {
        found.push(&raw[at..mark + stop.start()]);
        at = mark + stop.end();
    }
    found.push(&raw[at..]);
    let trimmed = found.into_iter().map(|pair: &[u8]| &pair[pair.iter().take_while(|byte| **byte == b' ').count()..]);
    (&raw[..mark], trimmed.filter(|pair| !pair.is_empty()).collect())
}

/// What stands in front of a query, however its mark is written.
pub fn in_front_of_query(raw: &[u8]) -> &[u8] {
    static MARK: LazyLock<Regex> = LazyLock::new(|| regex(r"[?#]|%(?:25)?(?:3[Ff]|23)|\\(?:u00|x)(?:3[Ff]|23)"));
    &raw[..MARK.find(raw).map_or(raw.len(), |query| query.start())]
}

/// An absolute URL without who asked for it, its query and its fragment.
pub struct Url<'a> {
    pub scheme: &'a [u8],
    pub host: &'a [u8],
    pub path: &'a [u8],
    /// A slash as this URL writes it.
    pub slash: &'a [u8],
}

impl<'a> Url<'a> {
    pub fn of(raw: &'a [u8]) -> Option<Self> {
        static FORM: LazyLock<Regex> = LazyLock::new(|| {
            let host = r"(?:[A-Za-z0-9._:\[\]-]|[\x80-\xff])+";
            regex(&format!(r"(?s)^([A-Za-z0-9+.-]{{1,19}}(?:://|:\\/\\/|%3[Aa]%2[Ff]%2[Ff]))(?:[^/?#%\\]*@)?({host})((?:[/?#%]|\\/).*)?$"))
        });
        static PORT: LazyLock<Regex> = LazyLock::new(|| regex(r"(?s)^(?:.*\]|[^:]*|.*:[0-9]*|.*:[^:]*\])$"));
        static FRONT: LazyLock<Regex> = LazyLock::new(|| regex("^%(?:2[Ff]|3[Ff]|23)"));
        let found = groups(&FORM, raw)?;
        let (scheme, host, rest) = (found[1], found[2], found[3]);
        let coded = scheme.contains(&b'%');
        if !PORT.is_match(host) || (rest.starts_with(b"%") && !(coded && FRONT.is_match(rest))) {
            return None;
        }
        let path = in_front_of_query(rest);
        let slash: &[u8] = match rest {
            [b'%', ..] => b"%2F",
            _ if coded => b"%2F",
            [b'\\', ..] => b"\\/",
            _ => b"/",
        };
        Some(Self { scheme, host, path, slash })
    }
}

/// Digits below the precision become zeros; what no time can be read from goes.
pub fn degraded(raw: &[u8], precision: Precision) -> New {
    match (cut_time(raw, precision), cut_time(&unescape(raw).0, precision)) {
        // JSON may put a backslash in front of every slash.
        (New::Gone, New::Is(new)) => New::Is(String::from_utf8_lossy(&new).replace('/', "\\/").into_bytes()),
        (New::Gone, escaped) => escaped,
        (new, _) => new,
    }
}

/// Digits below the precision become zeros; gone if it is no time.
pub fn cut_time(value: &[u8], precision: Precision) -> New {
    let below = [Precision::Second, Precision::Minute, Precision::Hour, Precision::Day].iter().position(|one| *one == precision).unwrap();
    match shape(value) {
        None => New::Gone,
        Some(Shape::Date) => New::Same,
        Some(Shape::Clock { fraction, .. }) if below == 0 && fraction.is_empty() => New::Same,
        Some(Shape::Clock { at, fraction }) => {
            let mut new = value.to_vec();
            let zeros = [fraction, at + 6..at + 8, at + 3..at + 5, at..at + 2].into_iter().take(below + 1).flatten();
            zeros.for_each(|digit| new[digit] = b'0');
            New::Is(new)
        }
        Some(Shape::Epoch { below: digits, fraction }) => {
            let whole = String::from_utf8_lossy(value).split('.').next().unwrap().parse::<u64>().unwrap();
            let step = 10_u64.pow(digits as u32) * [1, 60, 3600, 86400][below];
            let zeros = if fraction.is_empty() { String::new() } else { format!(".{}", "0".repeat(fraction.len())) };
            New::Is(format!("{}{zeros}", whole / step * step).into_bytes())
        }
    }
}

/// Numbers, methods, protocols and times: nothing in which an address could hide.
pub fn is_plain(raw: &[u8]) -> bool {
    let most = |mark: u8, count: usize| raw.iter().filter(|byte| **byte == mark).count() <= count;
    let known = raw.iter().all(|byte| byte.is_ascii_alphanumeric() || b".-: /+,".contains(byte));
    raw.len() <= 64 && known && most(b'.', 1) && most(b'-', 2) && most(b':', 3) && !raw.windows(2).any(|two| two == b"::")
}

/// One significant digit.
pub fn bucket(raw: &[u8]) -> New {
    if !is_plain(raw) {
        return New::Gone;
    }
    let mut seen = false;
    let digit = |byte: &u8| {
        let zero = seen && byte.is_ascii_digit();
        seen = if byte.is_ascii_digit() { seen || *byte != b'0' } else { seen && *byte == b'.' };
        if zero { b'0' } else { *byte }
    };
    New::Is(raw.iter().map(digit).collect())
}

/// A scrubbed line in the JSON string that carried it: what was copied keeps its own way of escaping.
pub fn coded(line: &[u8], raw: &[u8], origin: &[usize], edits: &[(std::ops::Range<usize>, Bytes)]) -> Bytes {
    let (mut out, mut at) = (Bytes::new(), 0);
    let run = |from: usize, to: usize| match (origin.get(from), origin.get(to)) {
        (Some(from), Some(to)) => raw[*from..*to].to_vec(),
        _ => json(&line[from..to]),
    };
    for (place, new) in edits {
        out.extend([run(at, place.start), json(new)].concat());
        at = place.end;
    }
    [out, run(at, line.len())].concat()
}

/// The inside of a JSON string.
fn json(text: &[u8]) -> Bytes {
    let mut out = String::new();
    for chunk in text.utf8_chunks() {
        for char in chunk.valid().chars() {
            let quoted = serde_json::to_string(&char).unwrap();
            out.push_str(match char {
                '\u{8}' => "\\u0008",
                '\u{c}' => "\\u000c",
                _ => &quoted[1..quoted.len() - 1],
            });
        }
        out.push_str(if chunk.invalid().is_empty() { "" } else { "\u{fffd}" });
    }
    out.into_bytes()
}

/// What survives of a line that does not parse: methods, times, and numbers of up to three digits, of which at most two in a row.
pub fn rejected(line: &[u8], reason: &str, time: &Action) -> Bytes {
    static TIME: LazyLock<Regex> = LazyLock::new(|| regex(r"(?s)^\[([^\]]{0,39})\]"));
    if line.trim_ascii_start().starts_with(b"{") {
        return format!("{{\"rejected\":\"{reason}\"}}").into_bytes();
    }
    let moment = |value: &[u8]| match time {
        Action::Keep => value.to_vec(),
        Action::Precision(precision) => match cut_time(value, *precision) {
            New::Same => value.to_vec(),
            New::Is(new) => new,
            New::Gone => b"-".to_vec(),
        },
        _ => b"-".to_vec(),
    };
    let (mut words, mut rest, mut numbers): (Vec<Bytes>, _, _) = (Vec::new(), line.trim_ascii_start(), 0);
    while !rest.is_empty() {
        if words.len() == 64 || reason == "too_long" {
            words.push(b"-".to_vec());
            break;
        }
        if let Some(found) = groups(&TIME, rest).filter(|found| shape(found[1]).is_some()) {
            words.push([b"[", moment(found[1]).as_slice(), b"]"].concat());
            numbers = 0;
            rest = rest[found[0].len()..].trim_ascii_start();
            continue;
        }
        let (word, behind) = rest.split_at(rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len()));
        let word = word.strip_prefix(b"\"").unwrap_or(word);
        let digits = word.iter().all(u8::is_ascii_digit);
        let number = digits && (1..=3).contains(&word.len());
        numbers = if number { numbers + 1 } else { 0 };
        let method = [&b"GET"[..], b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH"].contains(&word);
        let epoch = word.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
        words.push(match () {
            () if method || (number && numbers <= 2) => word.to_vec(),
            () if !epoch && shape(word).is_some() => moment(word),
            () => b"-".to_vec(),
        });
        rest = behind.trim_ascii_start();
    }
    let out = words.join(&b' ');
    if out.is_empty() { b"-".to_vec() } else { out }
}
