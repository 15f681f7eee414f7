//! E-mails in texts.

use super::text::is_word;
use std::ops::Range;

/// What a file's name ends with, so that `logo@2x.png` is none.
const FILES: [&[u8]; 20] =
    [b"png", b"jpg", b"jpeg", b"gif", b"webp", b"svg", b"avif", b"ico", b"css", b"js", b"mjs", b"woff", b"woff2", b"ttf", b"html", b"htm", b"json", b"xml", b"bmp", b"php"];

/// Shows where each e-mail in `text` stands.
#[inline]
pub(super) fn each(text: &[u8], mut see: impl FnMut(Range<usize>)) {
    for at in memchr::memchr_iter(b'@', text) {
        if let Some(found) = around(text, at) {
            see(found);
        }
    }
}

fn around(text: &[u8], at: usize) -> Option<Range<usize>> {
    let local = |byte: &u8| is_word(*byte) || matches!(byte, b'.' | b'_' | b'-' | b'+');
    let before = text.get(..at)?.iter().rev().take_while(|byte| local(byte)).count();
    let domain = text.get(at + 1..)?;
    let width = domain.iter().take_while(|byte| is_word(**byte) || matches!(byte, b'.' | b'-')).count();
    let name = domain.get(..width)?;
    let name = name.iter().rposition(|byte| is_word(*byte)).and_then(|last| name.get(..=last))?;
    let mut labels = name.rsplit(|byte| *byte == b'.');
    let top = labels.next()?;
    let inner = labels.next()?;
    let file = FILES.iter().any(|file| file.eq_ignore_ascii_case(top));
    let letters = top.len() >= 2 && top.iter().all(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80);
    (before > 0 && letters && !file && !inner.is_empty()).then(|| at - before..at + 1 + name.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emails_are_found_and_files_are_not() {
        let show = |text: &str| {
            let mut found = Vec::new();
            each(text.as_bytes(), |range| found.push(text[range].to_owned()));
            found.join(" ")
        };
        assert_eq!(show("/u/eve.x+1@mail.example.org/inbox"), "eve.x+1@mail.example.org");
        assert_eq!(show("a@b.de, c@d.fr."), "a@b.de c@d.fr");
        for other in ["logo@2x.png", "npm/vue@3.2.1/x", "@scope/pkg", "a@b", "x@.org", "@"] {
            assert_eq!(show(other), "", "{other}");
        }
    }
}
