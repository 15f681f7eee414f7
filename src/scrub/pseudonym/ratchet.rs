//! The one-way chain of fleet mode: whoever holds the state of a day can make that day's key and all later ones, and none before.

use super::{Period, expand, extract};
use std::fmt;
use zeroize::Zeroizing;

/// From one day's state to the next.
const STEP: &[u8] = b"logfade fleet step 1";
/// From a day's state to its key: the key says nothing about the state.
const KEY: &[u8] = b"logfade fleet period key 1";

/// The state of one day; zeroized on drop.
pub(crate) struct Ratchet {
    /// Days since 1970-01-01.
    day: u32,
    state: Zeroizing<[u8; 32]>,
}

impl Ratchet {
    /// The state of 1970-01-01: HKDF-Extract without salt (RFC 5869).
    pub(crate) fn from_seed(seed: &[u8]) -> Self {
        Self { day: 0, state: extract(seed) }
    }

    /// A state that was kept.
    pub(crate) fn from_state(day: u32, state: &[u8; 32]) -> Self {
        Self { day, state: Zeroizing::new(*state) }
    }

    /// The oldest day whose key it can make.
    pub(crate) const fn day(&self) -> u32 {
        self.day
    }

    /// The state itself, for the file that keeps it.
    pub(crate) fn state(&self) -> &[u8; 32] {
        &self.state
    }

    /// Steps on; a day that lies behind changes nothing.
    pub(crate) fn advance_to(&mut self, day: u32) {
        while self.day < day {
            self.state = expand(&self.state, STEP);
            self.day += 1;
        }
    }

    /// The 32 bytes of a period's key; `None` for a day before the state.
    pub(crate) fn key_bytes(&self, period: Period) -> Option<Zeroizing<[u8; 32]>> {
        let day = period.day().filter(|day| *day >= self.day)?;
        let mut later = Self::from_state(self.day, &self.state);
        later.advance_to(day);
        Some(expand(&later.state, KEY))
    }
}

impl fmt::Debug for Ratchet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ratchet").field("day", &self.day).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::PeriodKey;
    use super::*;

    fn name(ratchet: &Ratchet, day: u32) -> Option<String> {
        let mut out = Vec::new();
        PeriodKey::from_bytes(&*ratchet.key_bytes(Period::from_day(day))?).hex("client_addr", &[192, 0, 2, 1], &mut out);
        String::from_utf8(out).ok()
    }

    #[test]
    fn two_with_one_seed_agree_for_400_days() {
        let seed = [0x42; 32];
        let (mut stepping, still) = (Ratchet::from_seed(&seed), Ratchet::from_seed(&seed));
        let mut names = std::collections::BTreeSet::new();
        for day in 0..400 {
            stepping.advance_to(day);
            let one = name(&stepping, day);
            assert!(one.is_some());
            assert_eq!(one, name(&still, day), "{day}");
            names.insert(one);
        }
        assert_eq!(names.len(), 400);
        assert_ne!(name(&Ratchet::from_seed(&[0x43; 32]), 7), name(&still, 7));
    }

    #[test]
    fn nothing_before_the_state_can_be_made() {
        let mut ratchet = Ratchet::from_seed(b"a seed of more than thirty-two bytes, for tests");
        let before: Vec<_> = (0..20).map(|day| name(&ratchet, day)).collect();
        ratchet.advance_to(20);
        for day in 0..20 {
            assert_eq!(name(&ratchet, day), None);
        }
        // Nor by taking the state, or a later key, for that of another day.
        let later: Vec<_> = (20..60).map(|day| name(&ratchet, day)).collect();
        let posing: Vec<_> = (0..40).map(|day| name(&Ratchet::from_state(0, &ratchet.state), day)).collect();
        assert!(before.iter().all(|name| !later.contains(name) && !posing.contains(name)));
        ratchet.advance_to(3);
        assert_eq!(ratchet.day(), 20);
    }

    #[test]
    fn a_day_that_other_versions_must_repeat() {
        // Made with the HMAC of another language.
        let ratchet = Ratchet::from_seed(b"a seed of more than thirty-two bytes, for tests");
        assert_eq!(name(&ratchet, 20_780).as_deref(), Some("1e5c43550131dc5461751e3b94e518f1"));
    }

    #[test]
    fn debug_says_the_day_and_nothing_else() {
        assert_eq!(format!("{:?}", Ratchet::from_state(3, &[0xab; 32])), "Ratchet { day: 3, .. }");
    }
}
