//! Which texts of an agent may be the name of a product.

use super::class::has_bot_word;

/// The longest name that is taken from an agent.
const NAME_BYTES_MAX: usize = 64;

const WORDS_MAX: usize = 6;
/// All over a name; more may number a device or a person.
const DIGITS_MAX: usize = 3;
const LETTERS_MIN: usize = 2;

/// The captured text, if it may be a name: neither a version, a serial, a device nor an address is in it.
pub(super) fn name(captured: &[u8]) -> Option<&[u8]> {
    let text = captured.trim_ascii();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b" -_.!:[]%'+&".contains(byte);
    let version = |three: &[u8]| matches!(three, [a, b'.', b] if a.is_ascii_digit() && b.is_ascii_digit());
    if text.is_empty() || text.len() > NAME_BYTES_MAX || !text.iter().all(plain) || text.windows(3).any(version) {
        return None;
    }
    let mut room = [b' '; NAME_BYTES_MAX];
    let words = unescape(text, &mut room)?.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    let count = words.clone().count();
    let total: usize = words.clone().map(digits).sum();
    let letters = words.clone().flatten().filter(|byte| byte.is_ascii_alphabetic()).count();
    let fits = count <= WORDS_MAX && total <= DIGITS_MAX && letters >= LETTERS_MIN;
    (fits && words.clone().all(is_word)).then_some(text)
}

/// Undoes percent escapes, as in `Mark%20Levin%20Show`: marks become spaces, letters beyond ASCII become `x`, and
/// what may not stand in a name makes it none.
fn unescape<'a>(text: &[u8], room: &'a mut [u8; NAME_BYTES_MAX]) -> Option<&'a [u8]> {
    let mut rest = text;
    let mut len = 0;
    for place in room.iter_mut() {
        let Some((&first, behind)) = rest.split_first() else {
            break;
        };
        (*place, rest) = match (first, behind) {
            (b'%', [high, low, after @ ..]) => (escaped(*high, *low)?, after),
            _ => (first, behind),
        };
        len += 1;
    }
    room.get(..len)
}

fn escaped(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = (digit(high)? * 16 + digit(low)?) as u8;
    match byte {
        _ if byte.is_ascii_alphanumeric() => Some(byte),
        b' ' | b'!' | b'&' | b'\'' | b'(' | b')' | b'+' | b',' | b'-' | b':' => Some(b' '),
        0x80.. => Some(b'x'),
        _ => None,
    }
}

/// Digits stand in a word of a name as in `360Spider`, `m65bot` or `KNBR 680`, not as in `SM-G991B`.
fn is_word(word: &[u8]) -> bool {
    digits(word) <= 1 || word.iter().all(u8::is_ascii_digit) || has_bot_word(word)
}

fn digits(word: &[u8]) -> usize {
    word.iter().filter(|byte| byte.is_ascii_digit()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken() {
        for text in ["360Spider", "m65bot", "Screaming Frog SEO Spider", "KNBR%20680", "envolk[ITS]spider"] {
            assert_eq!(name(text.as_bytes()), Some(text.as_bytes()), "{text}");
        }
        assert_eq!(name(b" A bot "), Some(&b"A bot"[..]));
    }

    #[test]
    fn what_may_tell_one_person_from_another_is_not_a_name() {
        let not = [
            "",
            "SM-G991B Bot",
            "Foo 1.2 bot",
            "bot 192.0.2.7",
            "anna@example.org bot",
            "4f9d2c81-bot",
            "Bot 20240131",
            "/srv/bot",
            "a b c d e f bot",
            "Bot\u{e9}",
            "Bot\"x",
            "%34%39%31%32%30 bot",
            "anna%40example.org bot",
        ];
        for text in not {
            assert_eq!(name(text.as_bytes()), None, "{text}");
        }
        assert_eq!(name(&[b'a'; NAME_BYTES_MAX + 1]), None);
    }
}
