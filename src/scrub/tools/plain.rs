//! Values that are too plain to hold an identifier, and what a bucket makes of them.

/// Numbers, methods, protocols and times cannot hold an address: at most one dot and few marks.
#[inline]
#[expect(clippy::indexing_slicing, reason = "a table of 256 entries is indexed by a byte")]
pub(in crate::scrub) fn is_plain(bytes: &[u8]) -> bool {
    // One count in each byte of a word: dots, dashes, colons, and what has no place here.
    const WEIGHTS: [u32; 256] = {
        let mut weights = [1 << 24; 256];
        let mut byte = 0;
        while byte < 128 {
            weights[byte] = match byte as u8 {
                b'.' => 1,
                b'-' => 1 << 8,
                b':' => 1 << 16,
                b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b' ' | b'/' | b'+' | b',' => 0,
                _ => 1 << 24,
            };
            byte += 1;
        }
        weights
    };
    if bytes.len() > 64 {
        return false;
    }
    let sum: u32 = bytes.iter().map(|byte| WEIGHTS[*byte as usize]).sum();
    let [dots, dashes, colons, others] = sum.to_le_bytes();
    others == 0 && dots <= 1 && dashes <= 2 && (colons == 0 || (colons <= 3 && memchr::memmem::find(bytes, b"::").is_none()))
}

/// Appends a value with one significant digit in each number: 200 stays 200, 404 becomes 400, 2326 becomes 2000, 0.057 becomes 0.050.
/// `false`, and nothing appended, where the value is not plain.
pub(in crate::scrub) fn bucket(bytes: &[u8], out: &mut Vec<u8>) -> bool {
    if !is_plain(bytes) {
        return false;
    }
    let mut kept = false;
    for byte in bytes {
        if !byte.is_ascii_digit() {
            kept = kept && matches!(byte, b'.');
            out.push(*byte);
        } else if kept {
            out.push(b'0');
        } else {
            kept = *byte != b'0';
            out.push(*byte);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_words_and_times_are_plain_and_addresses_are_not() {
        for plain in ["", "200", "-", "0.057", "+5", "GET", "HTTP/1.1", "10/Oct/2000:13:55:36 -0700", "2019-03-06T09:31:27.354Z", "1570784654.576", &"7".repeat(64)] {
            assert!(is_plain(plain.as_bytes()), "{plain}");
        }
        for other in ["1.2.3", "203.0.113.9", "203-0-113-9", "2001:db8::1", "1:2:3:4:5", "a@b", "a_b", "a%20b", "\\x41", "\u{e5}", "[1]", "a\tb", &"7".repeat(65)] {
            assert!(!is_plain(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn a_bucket_has_one_significant_digit() {
        let show = |value: &str| {
            let mut out = Vec::new();
            bucket(value.as_bytes(), &mut out).then(|| String::from_utf8(out).unwrap_or_default())
        };
        for (value, expected) in [
            ("200", "200"),
            ("404", "400"),
            ("2326", "2000"),
            ("0", "0"),
            ("0.057", "0.050"),
            ("10.25", "10.00"),
            ("007", "007"),
            ("-15", "-10"),
            ("12, 345", "10, 300"),
            ("12:34", "10:30"),
            ("1500ms", "1000ms"),
            ("HTTP/1.15", "HTTP/1.00"),
        ] {
            assert_eq!(show(value).as_deref(), Some(expected), "{value}");
        }
        assert_eq!(show("203.0.113.9"), None);
    }
}
