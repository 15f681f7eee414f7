//! How much of its addresses a clean file kept, found out from all of its records, so that one that kept more stands out.

use super::address::Addr;
use crate::format::Field;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Lines that are remembered of one kind of deviation.
const REMEMBERED: usize = 100;

/// What a clean address is of its raw one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kinship {
    /// The raw one cut to any number of bits between these.
    Cut(u32, u32),
    /// Another address: encrypted, or of another record.
    Foreign,
}

/// Compares an address with what became of it.
pub(super) fn kinship(raw: Addr, clean: Addr) -> Kinship {
    let ((raw, width), (clean, clean_width)) = (raw.bits(), clean.bits());
    if clean == 0 {
        return Kinship::Cut(0, 0);
    }
    if width != clean_width {
        return Kinship::Foreign;
    }
    let least = width - clean.trailing_zeros().min(width);
    let common = (raw ^ clean).leading_zeros() - (128 - width);
    let most = common.min(width);
    if least <= most { Kinship::Cut(least, most) } else { Kinship::Foreign }
}

/// The longest prefixes that still hide somebody, where no policy says how long they are.
const LONGEST: [u32; 2] = [24, 64];

/// Counts of kinships for one field and family.
#[derive(Default)]
struct Kinships {
    cut: BTreeMap<(u32, u32), Lines>,
    foreign: Lines,
}

#[derive(Default)]
struct Lines {
    count: u64,
    /// Lines, and what their address became.
    first: Vec<(u64, Addr)>,
}

impl Lines {
    fn add(&mut self, line: u64, addr: Addr) {
        self.count += 1;
        if self.first.len() < REMEMBERED {
            self.first.push((line, addr));
        }
    }
}

/// All kinships of a file.
#[derive(Default)]
pub(super) struct Prefixes {
    fields: BTreeMap<(Field, bool), Kinships>,
}

/// Records whose address deviates: how many, and the first of their lines.
pub(super) struct Deviation {
    pub field: Field,
    pub count: u64,
    pub lines: Vec<(u64, Addr)>,
    /// Not cut less than the others, but another address.
    pub foreign: bool,
}

impl Prefixes {
    /// Notes what became of one address.
    pub(super) fn add(&mut self, field: Field, raw: Addr, clean: Addr, line: u64) {
        let kinds = self.fields.entry((field, raw.bits().1 == 32)).or_default();
        match kinship(raw, clean) {
            // Black-marked addresses fit any prefix.
            Kinship::Cut(0, 0) => {}
            Kinship::Cut(least, most) => kinds.cut.entry((least, most)).or_default().add(line, clean),
            Kinship::Foreign => kinds.foreign.add(line, clean),
        }
    }

    /// What does not fit. `policy` says how many bits stay, and `encrypts` whether they were encrypted; without them, what most
    /// records have in common says it.
    pub(super) fn deviations(self, policy: impl Fn(Field, bool) -> Option<u32>, encrypts: impl Fn(Field) -> Option<bool>) -> Vec<Deviation> {
        let mut found = Vec::new();
        for ((field, four), kinds) in self.fields {
            let longest = if four { LONGEST[0] } else { LONGEST[1] };
            let fits = |bits: u32| kinds.cut.iter().filter(|((least, most), _)| (*least..=*most).contains(&bits)).map(|(_, lines)| lines.count).sum::<u64>();
            let bits = policy(field, four).unwrap_or_else(|| (1..=longest).max_by_key(|bits| (fits(*bits), Reverse(*bits))).unwrap_or(longest));
            let cut: u64 = kinds.cut.values().map(|lines| lines.count).sum();
            // Where nearly all are other addresses, they were encrypted.
            let encrypted = encrypts(field).unwrap_or(kinds.foreign.count > cut);
            for ((least, most), lines) in kinds.cut {
                let fits = (least..=most).contains(&bits) || (encrypted && most < longest);
                if !fits {
                    // One that kept less gives nothing away, but another policy made it.
                    found.push(Deviation { field, count: lines.count, lines: lines.first, foreign: most < bits });
                }
            }
            if !encrypted && kinds.foreign.count > 0 {
                found.push(Deviation { field, count: kinds.foreign.count, lines: kinds.foreign.first, foreign: true });
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::super::address;
    use super::*;

    fn addr(text: &str) -> Addr {
        let mut addr = None;
        address::named(text.as_bytes(), |found| addr = addr.or(Some(found.addr)));
        addr.unwrap_or_else(|| address::binary(&[0; 4]).unwrap())
    }

    #[test]
    fn kinships_are_told() {
        for (raw, clean, kin) in [
            ("203.0.113.9", "203.0.113.0", Kinship::Cut(24, 28)),
            ("203.0.113.200", "203.0.113.128", Kinship::Cut(25, 25)),
            ("203.0.113.9", "203.0.0.0", Kinship::Cut(8, 17)),
            ("203.0.113.9", "203.0.113.9", Kinship::Cut(32, 32)),
            ("203.0.113.9", "0.0.0.0", Kinship::Cut(0, 0)),
            ("203.0.113.9", "198.51.100.0", Kinship::Foreign),
            ("2001:db8:1::5", "2001:db8::", Kinship::Cut(29, 47)),
        ] {
            assert_eq!(kinship(addr(raw), addr(clean)), kin, "{raw} {clean}");
        }
    }

    fn lines(pairs: &[(&str, &str)], policy: Option<u32>) -> Vec<u64> {
        let mut prefixes = Prefixes::default();
        for (line, (raw, clean)) in pairs.iter().enumerate() {
            prefixes.add(Field::ClientAddr, addr(raw), addr(clean), line as u64 + 1);
        }
        prefixes.deviations(|_, _| policy, |_| policy.map(|_| false)).into_iter().flat_map(|deviation| deviation.lines).map(|(line, _)| line).collect()
    }

    #[test]
    fn the_one_that_kept_more_stands_out() {
        let fine = [("203.0.113.9", "203.0.113.0"), ("198.51.100.77", "198.51.100.0"), ("192.0.2.0", "192.0.2.0")];
        assert!(lines(&fine, None).is_empty() && lines(&fine, Some(24)).is_empty());
        let odd = [fine[0], fine[1], ("203.0.113.200", "203.0.113.128")];
        assert_eq!(lines(&odd, None), [3]);
        let strict = [("203.0.113.9", "203.0.0.0"), ("198.51.100.7", "198.51.0.0"), ("192.0.2.0", "192.0.2.0")];
        assert_eq!(lines(&strict, None), [3]);
        assert_eq!(lines(&[("203.0.113.200", "203.0.113.128")], None), [1], "alone, it is longer than any that hides somebody");
        assert_eq!(lines(&[("203.0.113.200", "203.0.113.128")], Some(25)), [0; 0], "a policy may say so");
    }

    #[test]
    fn encrypted_addresses_are_compared_with_their_own_record_only() {
        let encrypted = [("203.0.113.9", "17.4.9.1"), ("198.51.100.77", "99.1.2.3"), ("203.0.113.10", "203.0.113.10")];
        assert_eq!(lines(&encrypted, None), [3]);
        let stray = [("203.0.113.9", "203.0.113.0"), ("198.51.100.77", "198.51.100.0"), ("203.0.113.10", "192.0.2.0")];
        assert_eq!(lines(&stray, None), [3]);
    }

    #[test]
    fn a_policy_says_whether_addresses_were_encrypted() {
        let deviate = |encrypts: Option<bool>| {
            let mut prefixes = Prefixes::default();
            // Two whose key was gone were cut; one was encrypted.
            for (line, (raw, clean)) in [("203.0.113.9", "203.0.113.0"), ("203.0.113.10", "203.0.113.0"), ("198.51.100.77", "17.4.9.1")].into_iter().enumerate() {
                prefixes.add(Field::ClientAddr, addr(raw), addr(clean), line as u64 + 1);
            }
            prefixes.deviations(|_, _| None, |_| encrypts).iter().map(|deviation| deviation.count).sum::<u64>()
        };
        assert_eq!([Some(true), Some(false), None].map(deviate), [0, 1, 1]);
    }
}
