//! Escapes of text and JSON values, read.

use super::word::stop;

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

fn pair(high: u8, low: u8) -> Option<u8> {
    Some(hex(high)? << 4 | hex(low)?)
}

/// Appends the inside of a JSON string without its escapes, as UTF-8. A lone surrogate becomes U+FFFD.
pub(crate) fn json(raw: &[u8], out: &mut Vec<u8>) {
    unescape(raw, out, None);
}

/// Like [`json`], and notes for every byte appended where it came from; `origin` gets one more entry for the end.
pub(crate) fn json_with_origin(raw: &[u8], out: &mut Vec<u8>, origin: &mut Vec<u32>) {
    unescape(raw, out, Some(origin));
}

/// Appends a value without `\"`, `\\`, `\xHH`, `\uHHHH` and control escapes; unknown escapes stay.
pub(crate) fn text(raw: &[u8], out: &mut Vec<u8>) {
    unescape(raw, out, None);
}

fn unescape(raw: &[u8], out: &mut Vec<u8>, mut origin: Option<&mut Vec<u32>>) {
    let mut rest = raw;
    while !rest.is_empty() {
        let at = (raw.len() - rest.len()) as u32;
        let plain = memchr::memchr(b'\\', rest).unwrap_or(rest.len());
        if plain > 0 {
            let (run, behind) = rest.split_at(plain);
            out.extend_from_slice(run);
            if let Some(origin) = origin.as_deref_mut() {
                origin.extend(at..at + plain as u32);
            }
            rest = behind;
            continue;
        }
        let before = out.len();
        let width = escaped(rest, out);
        if width == 0 {
            out.push(b'\\');
        }
        if let Some(origin) = origin.as_deref_mut() {
            origin.extend((before..out.len()).map(|_| at));
        }
        rest = rest.get(width.max(1)..).unwrap_or_default();
    }
    if let Some(origin) = origin {
        origin.push(raw.len() as u32);
    }
}

/// Appends what the escape at the start stands for; returns its width, or 0 if it is none.
fn escaped(raw: &[u8], out: &mut Vec<u8>) -> usize {
    let simple = |byte: u8| match byte {
        b'"' | b'\\' | b'/' | b'\'' => Some(byte),
        b'b' => Some(8),
        b'f' => Some(12),
        b'n' => Some(b'\n'),
        b'r' => Some(b'\r'),
        b't' => Some(b'\t'),
        b'v' => Some(11),
        _ => None,
    };
    match raw {
        [_, b'x', a, b, ..] => match pair(*a, *b) {
            Some(byte) => {
                out.push(byte);
                4
            }
            None => 0,
        },
        [_, b'u', ..] => {
            let Some(unit) = unit(raw) else { return 0 };
            let (char, width) = match unit {
                0xD800..0xDC00 => match raw.get(6..).and_then(self::unit) {
                    Some(low @ 0xDC00..0xE000) => (char::from_u32(0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00)), 12),
                    _ => (None, 6),
                },
                other => (char::from_u32(other), 6),
            };
            let char = char.unwrap_or(char::REPLACEMENT_CHARACTER);
            out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
            width
        }
        [_, byte, ..] => match simple(*byte) {
            Some(byte) => {
                out.push(byte);
                2
            }
            None => 0,
        },
        _ => 0,
    }
}

/// The code unit of `\uHHHH`.
fn unit(raw: &[u8]) -> Option<u32> {
    let [b'\\', b'u', a, b, c, d, ..] = raw else { return None };
    Some(u32::from(pair(*a, *b)?) << 8 | u32::from(pair(*c, *d)?))
}

/// Appends `value` as the inside of a JSON string. Bytes that are not UTF-8 become U+FFFD, because JSON has no other bytes.
pub(crate) fn to_json(value: &[u8], out: &mut Vec<u8>) {
    for chunk in value.utf8_chunks() {
        let mut rest = chunk.valid().as_bytes();
        while let Some((run, [byte, behind @ ..])) = stop(rest).and_then(|at| rest.split_at_checked(at)) {
            out.extend_from_slice(run);
            match byte {
                b'"' => out.extend_from_slice(b"\\\""),
                b'\\' => out.extend_from_slice(b"\\\\"),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                control => out.extend_from_slice(format!("\\u{control:04x}").as_bytes()),
            }
            rest = behind;
        }
        out.extend_from_slice(rest);
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{FFFD}".as_bytes());
        }
    }
}

/// Appends `value` with `%HH` read, and `+` as a blank where `plus`.
pub(crate) fn percent(value: &[u8], plus: bool, out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(byte) = value.get(at) {
        let coded = match value.get(at..) {
            Some([b'%', a, b, ..]) => pair(*a, *b),
            _ => None,
        };
        match coded {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(if plus && *byte == b'+' { b' ' } else { *byte });
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str) -> String {
        let mut out = Vec::new();
        text(raw.as_bytes(), &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn escapes_of_all_servers_are_read() {
        assert_eq!(read(r#"a\"b\\c\x41\u0042\ud83d\ude00\/"#), "a\"b\\cAB\u{1F600}/");
        assert_eq!(read(r"\q\x4"), r"\q\x4");
        assert_eq!(read(r"\ud800x"), "\u{FFFD}x");
    }

    #[test]
    fn origins_point_at_the_escape() {
        let (mut out, mut origin) = (Vec::new(), Vec::new());
        json_with_origin(br#"a\"b"#, &mut out, &mut origin);
        assert_eq!((out.as_slice(), origin), (&b"a\"b"[..], vec![0, 1, 3, 4]));
    }

    #[test]
    fn json_is_written_valid_whatever_the_bytes() {
        let mut out = b"\"".to_vec();
        to_json(b"a\"\\\n\x01\xff\xe4\xb8\xad", &mut out);
        out.push(b'"');
        assert_eq!(serde_json::from_slice::<String>(&out).ok().as_deref(), Some("a\"\\\n\u{1}\u{FFFD}\u{4E2D}"));
    }
}
