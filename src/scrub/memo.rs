//! Values and what became of them: exact, of fixed size, the oldest are overwritten.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;

/// Longer values are worked on each time.
const VALUE_BYTES_MAX: usize = 512;

/// Values and results, one behind the other; when it is full, again from the front.
const RING_BYTES: usize = 1 << 20;
/// Pairs of slots that a value may be in.
const PAIRS: usize = 1 << 12;

/// What remembers; memory is taken with the first value.
#[derive(Default)]
pub(super) struct Memo {
    hasher: RandomState,
    pairs: Box<[[Slot; 2]]>,
    ring: Box<[u8]>,
    /// Bytes ever written, skipped ones included.
    head: u64,
}

/// Where a value and, behind it, its result are.
#[derive(Clone, Copy, Default)]
struct Slot {
    /// `head` when they were written.
    at: u64,
    tag: u32,
    value_len: u16,
    result_len: u16,
}

impl Memo {
    /// The hash of a value of a kind; kinds are worked on differently, so their results are kept apart.
    #[inline]
    pub(super) fn hash(&self, kind: u8, value: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(value);
        hasher.finish() & !0xff_0000_0000 | u64::from(kind) << 32
    }

    /// The result that was kept for `value`.
    #[inline]
    pub(super) fn find(&self, hash: u64, value: &[u8]) -> Option<&[u8]> {
        let pair = self.pairs.get(pair(hash))?;
        pair.iter().find_map(|slot| {
            if slot.tag != tag(hash) || usize::from(slot.value_len) != value.len() {
                return None;
            }
            if self.head - slot.at > RING_BYTES as u64 {
                return None;
            }
            let from = (slot.at % RING_BYTES as u64) as usize;
            let (kept, behind) = self.ring.get(from..)?.split_at_checked(value.len())?;
            if kept != value {
                return None;
            }
            behind.get(..usize::from(slot.result_len))
        })
    }

    /// Keeps `result` for `value`, if neither is too long.
    pub(super) fn keep(&mut self, hash: u64, value: &[u8], result: &[u8]) {
        let len = value.len() + result.len();
        if value.len() > VALUE_BYTES_MAX {
            return;
        }
        let (Ok(value_len), Ok(result_len)) = (u16::try_from(value.len()), u16::try_from(result.len())) else {
            return;
        };
        if self.ring.is_empty() {
            self.ring = vec![0; RING_BYTES].into_boxed_slice();
            self.pairs = vec![[Slot::default(); 2]; PAIRS].into_boxed_slice();
        }
        let mut from = (self.head % RING_BYTES as u64) as usize;
        if from + len > RING_BYTES {
            self.head += (RING_BYTES - from) as u64;
            from = 0;
        }
        let (Some(room), Some(pair)) = (self.ring.get_mut(from..from + len), self.pairs.get_mut(pair(hash))) else {
            return;
        };
        let (value_room, result_room) = room.split_at_mut(value.len());
        value_room.copy_from_slice(value);
        result_room.copy_from_slice(result);
        let [newer, older] = pair;
        *older = *newer;
        *newer = Slot { at: self.head, tag: tag(hash), value_len, result_len };
        self.head += len as u64;
    }
}

fn pair(hash: u64) -> usize {
    hash as usize % PAIRS
}

fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find<'a>(seen: &'a Memo, value: &[u8]) -> Option<&'a [u8]> {
        seen.find(seen.hash(0, value), value)
    }

    fn keep(seen: &mut Memo, value: &[u8], result: &[u8]) {
        seen.keep(seen.hash(0, value), value, result);
    }

    #[test]
    fn what_was_kept_is_found_and_nothing_else() {
        let mut seen = Memo::default();
        assert_eq!(find(&seen, b"a"), None);
        keep(&mut seen, b"a", b"A");
        keep(&mut seen, b"ab", b"");
        assert_eq!(find(&seen, b"a"), Some(&b"A"[..]));
        assert_eq!(find(&seen, b"ab"), Some(&b""[..]));
        assert_eq!(find(&seen, b"aA"), None);
        assert_eq!(find(&seen, b""), None);
    }

    #[test]
    fn one_hash_for_two_agents_gives_no_wrong_result() {
        let mut seen = Memo::default();
        seen.keep(7, b"one", b"1");
        seen.keep(7, b"two", b"2");
        assert_eq!(seen.find(7, b"one"), Some(&b"1"[..]));
        assert_eq!(seen.find(7, b"two"), Some(&b"2"[..]));
        seen.keep(7, b"six", b"6");
        assert_eq!(seen.find(7, b"one"), None);
    }

    #[test]
    fn the_oldest_give_way_and_never_turn_into_others() {
        let mut seen = Memo::default();
        let agent = |number: usize| format!("agent {number} {}", "x".repeat(number % 400)).into_bytes();
        let result = |number: usize| format!("result {number}").into_bytes();
        for number in 0..20_000 {
            keep(&mut seen, &agent(number), &result(number));
            for back in [0, 1, 1000, 5000, 9000] {
                let Some(before) = number.checked_sub(back) else {
                    continue;
                };
                if let Some(found) = find(&seen, &agent(before)) {
                    assert_eq!(found, result(before));
                }
            }
            assert_eq!(find(&seen, &agent(number)), Some(&result(number)[..]));
        }
        assert_eq!(find(&seen, &agent(0)), None);
        assert!(seen.ring.len() == RING_BYTES && seen.pairs.len() == PAIRS);
    }
}
