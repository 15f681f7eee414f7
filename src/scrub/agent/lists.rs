//! Compact lists and sets of small numbers.

/// Lists of numbers, one after the other.
pub(super) struct Lists {
    ends: Vec<u32>,
    items: Vec<u32>,
}

impl Lists {
    /// From pairs of a list and an item; lists keep the order of their items.
    pub(super) fn new(mut pairs: Vec<(u32, u32)>, len: usize) -> Lists {
        pairs.sort_by_key(|&(list, _)| list);
        let mut ends = vec![0; len];
        for &(list, _) in &pairs {
            if let Some(end) = ends.get_mut(list as usize) {
                *end += 1;
            }
        }
        let mut sum = 0;
        for end in &mut ends {
            sum += *end;
            *end = sum;
        }
        Lists { ends, items: pairs.into_iter().map(|(_, item)| item).collect() }
    }

    /// The items of a list; none, if there is no such list.
    #[inline]
    pub(super) fn list(&self, at: usize) -> &[u32] {
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied();
        let end = self.ends.get(at).copied().unwrap_or_default();
        self.items.get(start.unwrap_or_default() as usize..end as usize).unwrap_or_default()
    }
}

/// A set of numbers below a length.
#[derive(Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn clear(&mut self, len: usize) {
        self.0.clear();
        self.0.resize(len.div_ceil(64), 0);
    }

    pub(super) fn has(&self, bit: usize) -> bool {
        self.0.get(bit / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }

    /// Whether it was not there before.
    pub(super) fn insert(&mut self, bit: usize) -> bool {
        let Some(word) = self.0.get_mut(bit / 64) else {
            return false;
        };
        let fresh = *word >> (bit % 64) & 1 == 0;
        *word |= 1 << (bit % 64);
        fresh
    }

    /// The first member that is not below `from`.
    pub(super) fn next(&self, from: usize) -> Option<usize> {
        let mut at = from / 64;
        let mut word = self.0.get(at)? & (u64::MAX << (from % 64));
        while word == 0 {
            at += 1;
            word = *self.0.get(at)?;
        }
        Some(at * 64 + word.trailing_zeros() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_keep_their_items_in_order() {
        let lists = Lists::new(vec![(2, 7), (0, 1), (2, 3)], 4);
        let all: Vec<_> = (0..5).map(|at| lists.list(at)).collect();
        assert_eq!(all, [&[1][..], &[], &[7, 3], &[], &[]]);
    }

    #[test]
    fn members_come_in_order() {
        let mut bits = Bits::default();
        bits.clear(200);
        assert!([3, 64, 199].into_iter().all(|bit| bits.insert(bit)));
        assert!(!bits.insert(64) && !bits.insert(1000));
        assert!(bits.has(199) && !bits.has(198) && !bits.has(1000));
        let found: Vec<_> = std::iter::successors(bits.next(0), |bit| bits.next(bit + 1)).collect();
        assert_eq!(found, [3, 64, 199]);
    }
}
