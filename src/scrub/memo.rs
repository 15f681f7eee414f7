//! Values and what became of them: exact, of fixed size, the oldest are overwritten.

use std::hash::{BuildHasher, Hasher};

use crate::format::word::same;
use foldhash::fast::RandomState;
use wide::u32x8;

/// Longer values are worked on each time.
const VALUE_BYTES_MAX: usize = 512;

/// Values and results, one behind the other; when it is full, again from the front.
const RING_BYTES: usize = 1 << 20;
/// Places that a value may be in: one cache line.
const WAYS: usize = 8;
const SETS: usize = 1 << 12;
/// After so many bytes everything is forgotten, so that `Set::at` never means another place than the one it was written for.
const EPOCH_BYTES: u32 = 1 << 31;

/// What became of values; each has room of its own, so that many addresses do not drive a few agents out.
#[derive(Default)]
pub(crate) struct Memos {
    pub(super) addresses: Memo,
    pub(super) paths: Memo,
    pub(super) referrers: Memo,
    pub(super) agents: Memo,
}

/// What the lane keeps: of values that hold no quote and, of paths, no mark that asks for a closer look.
#[derive(Clone, Copy)]
pub(crate) enum Kept {
    Path,
    Origin,
    Agent,
}

/// The kind of the lane's values.
const LANE: u8 = 8;

impl Memos {
    const fn of(&self, kept: Kept) -> &Memo {
        match kept {
            Kept::Path => &self.paths,
            Kept::Origin => &self.referrers,
            Kept::Agent => &self.agents,
        }
    }

    /// Asks for where the lane would have kept a value: what [`Self::spot`] takes a while later.
    #[inline(always)]
    pub(super) fn ask(&self, kept: Kept, value: &[u8]) -> u64 {
        let memo = self.of(kept);
        let hash = memo.hash(LANE, value);
        memo.sets.get(set(hash)).into_iter().for_each(ask);
        hash
    }

    /// Where the lane would have kept a value; see [`Memo::spot`].
    #[inline(always)]
    pub(super) fn spot(&self, kept: Kept, hash: u64, len: usize) -> Spot {
        self.of(kept).spot(hash, len)
    }

    /// What the lane keeps for the value of `len` bytes that `rest` begins with, with its length; other bytes are behind it.
    #[inline]
    pub(super) fn recall(&self, kept: Kept, spot: Spot, (rest, len): (&[u8], usize)) -> Option<(&[u8], usize)> {
        self.of(kept).look(spot, (rest, len))
    }

    pub(super) fn remember(&mut self, kept: Kept, value: &[u8], result: &[u8]) {
        let memo = match kept {
            Kept::Path => &mut self.paths,
            Kept::Origin => &mut self.referrers,
            Kept::Agent => &mut self.agents,
        };
        memo.keep(memo.hash(LANE, value), value, result);
    }
}

/// Where a value would be.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    at: u32,
    known: bool,
}

/// What remembers; memory is taken with the first value.
#[derive(Default)]
pub(super) struct Memo {
    hasher: RandomState,
    sets: Box<[Set]>,
    ring: Box<[u8]>,
    /// Bytes written in this epoch, skipped ones included.
    head: u32,
}

/// The newest first. Where a value is; behind it are the length of its result, in two bytes, and the result.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Set {
    /// Length and part of the hash: see [`tag`].
    tags: [u32; WAYS],
    /// `head` when they were written.
    at: [u32; WAYS],
}

impl Set {
    /// The newest place with this tag. All are compared at once, as nobody could guess which one it will be.
    #[inline(always)]
    fn spot(&self, tag: u32) -> Spot {
        let way = u32x8::new(self.tags).simd_eq(u32x8::splat(tag)).to_bitmask().trailing_zeros() as usize;
        Spot { at: self.at.get(way % WAYS).copied().unwrap_or_default(), known: way < WAYS }
    }
}

impl Memo {
    /// The hash of a value of a kind; kinds are worked on differently, so their results are kept apart: for one value, two
    /// kinds never have the same tag.
    #[inline]
    pub(super) fn hash(&self, kind: u8, value: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(value);
        hasher.finish() ^ u64::from(kind) << 48
    }

    /// The result that was kept for `value`.
    #[inline]
    pub(super) fn find(&self, hash: u64, value: &[u8]) -> Option<&[u8]> {
        let (behind, len) = self.look(self.spot(hash, value.len()), (value, value.len()))?;
        behind.get(..len)
    }

    /// Where a value of this hash and length would be. Its bytes are asked for and not waited for: between here and [`Self::look`] is
    /// the time that far memory takes.
    #[inline(always)]
    fn spot(&self, hash: u64, len: usize) -> Spot {
        let Some(set) = self.sets.get(set(hash)) else { return Spot { at: 0, known: false } };
        let spot = set.spot(tag(hash, len));
        self.ring.get(spot.at as usize % RING_BYTES).into_iter().for_each(ask);
        spot
    }

    /// The result that was kept for the value of `len` bytes that `rest` begins with, and more behind it: to copy more than there is
    /// can be cheaper than to look at how much there is.
    #[inline(always)]
    fn look(&self, spot: Spot, (rest, len): (&[u8], usize)) -> Option<(&[u8], usize)> {
        if !spot.known || self.head.wrapping_sub(spot.at) > RING_BYTES as u32 {
            return None;
        }
        let kept = self.ring.get(spot.at as usize % RING_BYTES..)?;
        if !same(rest, kept, len) || len == 0 {
            return None;
        }
        let (result, behind) = kept.get(len..)?.split_first_chunk()?;
        Some((behind, usize::from(u16::from_ne_bytes(*result))))
    }

    /// Keeps `result` for `value`, if neither is too long.
    pub(super) fn keep(&mut self, hash: u64, value: &[u8], result: &[u8]) {
        let len = value.len() + 2 + result.len();
        if value.is_empty() || value.len() > VALUE_BYTES_MAX || len > RING_BYTES / 2 {
            return;
        }
        let Ok(result_len) = u16::try_from(result.len()) else { return };
        if self.ring.is_empty() {
            self.ring = vec![0; RING_BYTES].into_boxed_slice();
            self.sets = vec![Set::default(); SETS].into_boxed_slice();
        }
        if self.head >= EPOCH_BYTES {
            self.head = 0;
            self.sets.fill(Set::default());
        }
        let mut from = self.head as usize % RING_BYTES;
        if from + len > RING_BYTES {
            self.head += (RING_BYTES - from) as u32;
            from = 0;
        }
        let (Some(room), Some(set)) = (self.ring.get_mut(from..from + len), self.sets.get_mut(set(hash))) else {
            return;
        };
        let (value_room, room) = room.split_at_mut(value.len());
        let (len_room, result_room) = room.split_at_mut(2);
        value_room.copy_from_slice(value);
        len_room.copy_from_slice(&result_len.to_ne_bytes());
        result_room.copy_from_slice(result);
        set.tags.rotate_right(1);
        set.at.rotate_right(1);
        set.tags[0] = tag(hash, value.len());
        set.at[0] = self.head;
        self.head += len as u32;
    }
}

/// Memory that is needed soon is asked for, and not waited for.
#[inline(always)]
pub(super) fn ask<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    safe_arch::prefetch_t0(place);
    #[cfg(not(target_arch = "x86_64"))]
    let _unasked = place;
}

const fn set(hash: u64) -> usize {
    hash as usize % SETS
}

/// Not 0 for a value of any length but 0, so that an empty place has a tag of its own.
const fn tag(hash: u64, value_len: usize) -> u32 {
    ((hash >> 32) as u32) & 0xffff_0000 | value_len as u32 & 0xffff
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
        assert_eq!(seen.find(7, b"one"), None);
        assert_eq!(seen.find(7, b"two"), Some(&b"2"[..]));
        seen.keep(7, b"three", b"3");
        assert_eq!(seen.find(7, b"two"), Some(&b"2"[..]));
        for number in 0..WAYS {
            seen.keep(7, format!("six {number}").as_bytes(), b"6");
        }
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
        assert!(seen.ring.len() == RING_BYTES && seen.sets.len() == SETS);
    }
}
