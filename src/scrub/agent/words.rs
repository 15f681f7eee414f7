//! Finds the first of a few words in a short text.

/// Words, none of them empty, with a mark for each pair of bytes that one of them begins with: most of a text is passed by these.
#[derive(Clone, Copy)]
pub(super) struct Words<'a> {
    all: &'a [&'a [u8]],
    /// First byte → second bytes, both of them by their lower five bits, so that letters of both cases are one.
    pairs: [u32; 32],
}

impl<'a> Words<'a> {
    pub(super) const fn new(all: &'a [&'a [u8]]) -> Words<'a> {
        let mut pairs = [0; 32];
        let mut rest = all;
        while let [word, behind @ ..] = rest {
            let (first, seconds) = match word {
                [first, second, ..] => (*first, 1 << mark(*second)),
                [first] => (*first, u32::MAX),
                [] => (0, 0),
            };
            if let [pair, ..] = pairs.split_at_mut(mark(first)).1 {
                *pair |= seconds;
            }
            rest = behind;
        }
        Words { all, pairs }
    }

    /// Where the first of the words is.
    pub(super) fn find(&self, text: &[u8]) -> Option<usize> {
        self.position(text, <[u8]>::starts_with)
    }

    /// Whether one of the words, which are in lower case, is in `text` in any case.
    pub(super) fn are_in(&self, text: &[u8]) -> bool {
        let folded = |rest: &[u8], word: &[u8]| rest.get(..word.len()).is_some_and(|one| one.eq_ignore_ascii_case(word));
        self.position(text, folded).is_some()
    }

    fn position(&self, text: &[u8], begins: impl Fn(&[u8], &[u8]) -> bool) -> Option<usize> {
        let mut rest = text;
        while let Some((&first, behind)) = rest.split_first() {
            let second = behind.first().copied().unwrap_or_default();
            let seconds = self.pairs.get(mark(first)).copied().unwrap_or_default();
            let marked = seconds >> mark(second) & 1 == 1;
            if marked && self.all.iter().any(|word| begins(rest, word)) {
                return Some(text.len() - rest.len());
            }
            rest = behind;
        }
        None
    }
}

/// Below 32.
const fn mark(byte: u8) -> usize {
    (byte & 31) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_place_counts_whichever_word_it_is() {
        let words = Words::new(&[b"bot", b"+", b"crawl"]);
        assert_eq!(words.find(b"a crawler, a bot"), Some(2));
        assert_eq!(words.find(b"a Crawler +"), Some(10));
        assert_eq!(words.find(b"bo"), None);
        assert_eq!(words.find(b""), None);
    }

    #[test]
    fn case_is_folded_where_it_should() {
        let words = Words::new(&[b"bot", b"@"]);
        assert!(words.are_in(b"FooBOT"));
        assert!(words.are_in(b"a@"));
        assert!(!words.are_in(b"Foo BO T"));
        assert_eq!(words.find(b"FooBOT"), None);
    }
}
