//! The state of fleet mode as a file: three lines, so that an exported one is recognised where a seed is expected.

use super::super::StoreError;
use super::private::{Dir, refused};
use crate::scrub::{Period, Ratchet};
use std::ops::RangeInclusive;
use std::path::Path;
use zeroize::Zeroizing;

/// Its name in the key directory.
pub(super) const NAME: &str = "fleet.state";
/// Its first line.
const TITLE: &str = "logfade fleet state 1";
/// Bytes of the file: title, day, 64 hex digits, and an end of line for each.
const SIZE: usize = TITLE.len() + 1 + 10 + 1 + 64 + 1;
/// Bytes of a seed. Fewer can be guessed; more than a page is no seed.
pub(super) const SEED: RangeInclusive<usize> = 32..=4096;

pub(super) fn write(ratchet: &Ratchet) -> Zeroizing<Vec<u8>> {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or_default();
    let mut text = Zeroizing::new(Vec::with_capacity(SIZE));
    text.extend_from_slice(format!("{TITLE}\n{}\n", Period::from_day(ratchet.day())).as_bytes());
    for byte in ratchet.state() {
        text.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    text.push(b'\n');
    text
}

/// Whether the text poses as a state.
pub(super) fn is_state(text: &[u8]) -> bool {
    text.starts_with(TITLE.as_bytes())
}

pub(super) fn parse(text: &[u8]) -> Option<Ratchet> {
    let rest = text.strip_prefix(TITLE.as_bytes())?.strip_prefix(b"\n")?;
    let (day, rest) = rest.split_at_checked(10)?;
    let day = std::str::from_utf8(day).ok()?.parse::<Period>().ok()?.day()?;
    let digits = rest.strip_prefix(b"\n")?.strip_suffix(b"\n")?;
    if digits.len() != 64 {
        return None;
    }
    let mut state = Zeroizing::new([0; 32]);
    for (byte, pair) in state.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            *byte = *byte << 4 | char::from(*digit).to_digit(16)? as u8;
        }
    }
    Some(Ratchet::from_state(day, &state))
}

pub(super) fn read(dir: &Dir) -> Result<Option<Ratchet>, StoreError> {
    let Some(text) = dir.read(NAME, SIZE..=SIZE)? else { return Ok(None) };
    parse(&text).map(Some).ok_or_else(|| damaged(&dir.at(NAME)))
}

pub(super) fn damaged(path: &Path) -> StoreError {
    refused(
        "read",
        path,
        "this is not a fleet state as logfade writes it",
        "export the current state of another machine with `logfade keys export --current`, and take it over with `logfade keys init --fleet`",
    )
}
