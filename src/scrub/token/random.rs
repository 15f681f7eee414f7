//! Tells random text from words.

/// Pairs of letters that words hardly contain, one bit for each second letter, counted in English text; pairs that are
/// usual in other European languages or in transcriptions were taken out.
const RARE: [u32; 26] = [
    0x281_4290, 0x3e9_b4ee, 0x0e1_b26a, 0x1c9_84e6, 0x210_0680, 0x2e5_b4ce, 0x3e1_9426, 0x3e1_806e, 0x151_0480, 0x3e7_9aee, 0x1d3_dc6e, 0x2c3_30e6, 0x3eb_20ec, 0x0c3_9082,
    0x181_0090, 0x2e1_144e, 0x3ef_fefe, 0x0c1_0082, 0x0a3_200a, 0x0e1_b062, 0x2a1_04a0, 0x3f9_94ee, 0x3f9_966e, 0x3e7_7eeb, 0x2fb_5cff, 0x3bb_da6d,
];

/// No shorter word is taken for a token.
pub(super) const SHORTEST_WORD: usize = 16;

/// What one word of letters and digits consists of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Word {
    /// Neighbours, and how many of them words do not have: a letter beside a digit, a capital behind a small letter, a
    /// rare pair.
    pub(super) pairs: usize,
    pub(super) odd: usize,
    pub(super) letters: usize,
    pub(super) digits: usize,
    /// Capitals behind small letters.
    pub(super) humps: usize,
    /// The longest run of hexadecimal digits.
    pub(super) hex: usize,
}

impl Word {
    pub(super) fn of(text: &[u8]) -> Self {
        let mut word = Self::default();
        let (mut hex, mut last) = (0, None);
        for &byte in text {
            let digit = byte.is_ascii_digit();
            word.digits += usize::from(digit);
            word.letters += usize::from(!digit);
            hex = if byte.is_ascii_hexdigit() { hex + 1 } else { 0 };
            word.hex = word.hex.max(hex);
            if let Some(last) = last {
                let hump = u8::is_ascii_lowercase(&last) && byte.is_ascii_uppercase();
                let letters = last.is_ascii_alphabetic() && !digit;
                word.pairs += 1;
                word.humps += usize::from(hump);
                word.odd += usize::from(last.is_ascii_digit() != digit || hump || letters && is_rare(last, byte));
            }
            last = Some(byte);
        }
        word
    }

    /// Whether this is a token, not a word, a file name or a number. Random text has two odd pairs in three.
    pub(super) fn is_random(&self) -> bool {
        let len = self.letters + self.digits;
        let hexadecimal = self.hex >= 16 && self.hex == len && self.letters >= 2 && self.digits >= 2;
        let permille = match len {
            0..SHORTEST_WORD => return false,
            SHORTEST_WORD..20 => 450,
            _ => 340,
        };
        self.hex >= 32 || hexadecimal || self.odd * 1000 >= self.pairs * permille
    }

    /// Whether it may be a part of a token that a separator cut off.
    pub(super) fn is_mixed(&self) -> bool {
        self.letters > 0 && self.digits > 0 || self.humps > 0
    }
}

/// Two letters; a small one behind a capital starts a word and is judged like any other.
fn is_rare(first: u8, second: u8) -> bool {
    let index = |letter: u8| usize::from((letter | 0x20).wrapping_sub(b'a'));
    RARE.get(index(first)).is_some_and(|bits| bits >> index(second) & 1 != 0)
}
