//! How often each of many things was seen: exact up to a bound, beyond it a sample that depends on nothing but the things themselves.

use std::collections::HashMap;

/// Counts by fingerprint. When more than `held` fingerprints are known, only those are kept that end in one more zero bit: so the
/// sample is the same whatever the order, and what is kept was counted from its first record on.
#[derive(Debug)]
pub struct Counts {
    held: usize,
    zeros: u32,
    seen: HashMap<u64, Seen>,
    most: u64,
}

/// What is known of one thing.
#[derive(Clone, Copy, Debug)]
struct Seen {
    records: u64,
    mark: u64,
    /// Whether records had different marks.
    mixed: bool,
}

impl Counts {
    /// Nothing seen; at most `held` fingerprints are kept, about 50 bytes each.
    pub fn new(held: usize) -> Self {
        Self { held: held.max(1), zeros: 0, seen: HashMap::new(), most: 0 }
    }

    /// Counts one record of the thing; `mark` says something else about the record, so that things with one mark can be told.
    pub fn add(&mut self, print: u64, mark: u64) {
        if print.trailing_zeros() < self.zeros {
            return;
        }
        let seen = self.seen.entry(print).or_insert(Seen { records: 0, mark, mixed: false });
        seen.records += 1;
        seen.mixed |= seen.mark != mark;
        self.most = self.most.max(seen.records);
        while self.seen.len() > self.held {
            self.zeros += 1;
            let zeros = self.zeros;
            self.seen.retain(|print, _| print.trailing_zeros() >= zeros);
        }
    }

    /// One of how many things was kept: 1 means all of them, so that everything here is exact.
    pub const fn one_in(&self) -> u64 {
        1 << self.zeros
    }

    /// Different things.
    pub fn distinct(&self) -> u64 {
        self.seen.len() as u64 * self.one_in()
    }

    /// Records of the thing that has most; of a sample, no less than that.
    pub const fn most(&self) -> u64 {
        self.most
    }

    /// Records of the things that were kept.
    fn kept(&self) -> u64 {
        self.seen.values().map(|seen| seen.records).sum()
    }

    /// Share of records whose thing has between `least` and `most` records.
    pub fn share(&self, least: u64, most: u64) -> f64 {
        let within = self.seen.values().map(|seen| seen.records).filter(|records| (least..=most).contains(records)).sum();
        ratio(within, self.kept())
    }

    /// Things that have between `least` and `most` records, and their records.
    pub fn between(&self, least: u64, most: u64) -> (u64, u64) {
        let within = self.seen.values().map(|seen| seen.records).filter(|records| (least..=most).contains(records));
        let (things, records) = within.fold((0, 0), |(things, records), more| (things + 1, records + more));
        (things * self.one_in(), records * self.one_in())
    }

    /// Share of records whose thing has several records, all with the same mark.
    pub fn alike(&self) -> f64 {
        let within = self.seen.values().filter(|seen| seen.records > 1 && !seen.mixed).map(|seen| seen.records).sum();
        ratio(within, self.kept())
    }

    /// Shannon entropy of the things in bits: how much a record's thing says about which record it is.
    pub fn bits(&self) -> f64 {
        let kept = self.kept();
        if kept == 0 {
            return 0.0;
        }
        // In order, so that the sum is the same to the last digit.
        let mut records: Vec<u64> = self.seen.values().map(|seen| seen.records).collect();
        records.sort_unstable();
        let weighted: f64 = records.iter().map(|records| *records as f64 * (*records as f64).log2()).sum();
        let all = kept.saturating_mul(self.one_in());
        ((all as f64).log2() - weighted / kept as f64).max(0.0)
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

    fn print(number: u64) -> u64 {
        BuildHasherDefault::<DefaultHasher>::default().hash_one(number)
    }

    #[test]
    fn small_counts_are_exact() {
        let mut counts = Counts::new(10);
        for thing in [1, 2, 2, 3, 3, 3, 3, 4] {
            counts.add(print(thing), thing % 2);
        }
        assert_eq!((counts.distinct(), counts.most(), counts.one_in()), (4, 4, 1));
        assert_eq!((counts.share(1, 1), counts.share(1, 3), counts.between(2, 4)), (0.25, 0.5, (2, 6)));
        // 1/8, 2/8, 4/8, 1/8: three, two, one and three bits.
        assert_eq!(counts.bits(), 3.0 / 8.0 + 2.0 * 2.0 / 8.0 + 4.0 / 8.0 + 3.0 / 8.0);
        assert_eq!(counts.alike(), 6.0 / 8.0);
        assert_eq!(Counts::new(1).bits(), 0.0);
    }

    #[test]
    fn beyond_the_bound_it_is_a_sample_that_knows_no_order() {
        let sample = |order: &mut dyn Iterator<Item = u64>| {
            let mut counts = Counts::new(500);
            // A third of the things has three records, the others one.
            order.for_each(|thing| (0..if thing % 3 == 0 { 3 } else { 1 }).for_each(|_| counts.add(print(thing), thing)));
            (counts.one_in(), counts.distinct(), counts.share(1, 1), counts.bits())
        };
        let (one_in, distinct, unique, bits) = sample(&mut (0..30_000));
        assert_eq!((one_in, distinct, unique, bits), sample(&mut (0..30_000).rev()));
        assert!(one_in >= 64 && (25_000..35_000).contains(&distinct), "{one_in} {distinct}");
        assert!((0.34..0.46).contains(&unique) && (14.0..15.5).contains(&bits), "{unique} {bits}: 0.4 and 14.7 in truth");
    }
}
