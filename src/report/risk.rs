//! What a clean file still says about single people: how many records stand alone, how far they can be followed, what each field tells.

use super::counts::Counts;
use crate::format::{FIELDS, Field};
use serde::{Serialize, Serializer};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

/// Fingerprints of groups and of addresses that are counted exactly; beyond them it is a sample.
pub const HELD: usize = 1 << 18;

/// The share of them that each field gets.
const OF_FIELD: usize = 8;

/// Group sizes that the histogram tells apart: from, to.
const BARS: [(u64, u64); 6] = [(1, 1), (2, 4), (5, 9), (10, 49), (50, 99), (100, u64::MAX)];

/// Collects the figures, record by record. Holds fingerprints, never values.
#[derive(Debug)]
pub struct Risk {
    k: u64,
    records: u64,
    /// Not keyed, so that a sample is the same each time; it holds nothing that outlives the process.
    hasher: BuildHasherDefault<DefaultHasher>,
    groups: Counts,
    chains: Counts,
    fields: Vec<(Field, u64, Counts)>,
}

/// The figures of one clean file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Records that were counted.
    pub records: u64,
    /// The size that a group should at least have.
    pub k: u64,
    /// Records by truncated address, user agent and hour.
    pub groups: Groups,
    /// Records by address or pseudonym; `None` if no record has one.
    pub chains: Option<Chains>,
    /// The fields that have values, in the order of the documentation.
    pub fields: Vec<FieldFigures>,
}

/// Groups of records that agree in address, user agent and hour.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Groups {
    /// What the records of a group share.
    pub by: [&'static str; 3],
    /// Different groups.
    pub distinct: u64,
    /// Share of records that are alone in their group, 0 to 1.
    pub unique: f64,
    /// Share of records in groups of fewer than `k`, 0 to 1.
    pub below_k: f64,
    /// Share of records in groups of several that all ask for one path, 0 to 1: who is known to be in the group is known to have read it.
    pub alike: f64,
    /// Groups by size.
    pub histogram: Vec<Bar>,
    /// One of how many groups was looked at; 1 means that the figures are exact.
    pub one_in: u64,
}

/// Groups of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bar {
    /// Smallest size, in records.
    pub from: u64,
    /// Largest size; `u64::MAX` for no limit.
    #[serde(serialize_with = "limit")]
    pub to: u64,
    /// Groups of such a size.
    pub groups: u64,
    /// Records in them.
    pub records: u64,
}

/// Records that share a value of `client_addr`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Chains {
    /// Different values.
    pub distinct: u64,
    /// Records of the value that has most; of a sample, no less than that.
    pub longest: u64,
    /// Records of a value on average.
    pub mean: f64,
    /// One of how many values was looked at.
    pub one_in: u64,
}

/// What one field tells.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FieldFigures {
    /// The field.
    #[serde(serialize_with = "name")]
    pub field: Field,
    /// Records that have a value.
    pub records: u64,
    /// Different values.
    pub distinct: u64,
    /// Shannon entropy in bits, of the records that have a value.
    #[serde(rename = "entropy_bits")]
    pub bits: f64,
    /// One of how many values was looked at.
    pub one_in: u64,
}

impl Bar {
    /// `1`, `2 to 4`, `100 or more`.
    pub fn size(&self) -> String {
        match self.to {
            to if to == self.from => to.to_string(),
            u64::MAX => format!("{} or more", self.from),
            to => format!("{} to {to}", self.from),
        }
    }
}

fn limit<S: Serializer>(to: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    Some(*to).filter(|to| *to < u64::MAX).serialize(serializer)
}

fn name<S: Serializer>(field: &Field, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(field.name())
}

impl Risk {
    /// Nothing counted. `k` is the size a group should have; `held` bounds memory, usually [`HELD`]: about 50 bytes for each, four times.
    pub fn new(k: u64, held: usize) -> Self {
        let fields = FIELDS.into_iter().map(|field| (field, 0, Counts::new(held / OF_FIELD))).collect();
        Self { k, records: 0, hasher: BuildHasherDefault::default(), groups: Counts::new(held), chains: Counts::new(held), fields }
    }

    /// Counts one record: its values, perhaps several of one field, and its time in hours since 1970 if it has one.
    pub fn add<'a>(&mut self, values: impl Iterator<Item = (Field, &'a [u8])>, hour: Option<i64>) {
        let mut prints = [None::<u64>; FIELDS.len()];
        for (field, value) in values.filter(|(_, value)| !is_gone(value)) {
            if let Some(print) = prints.get_mut(field as usize) {
                *print = Some(self.hasher.hash_one((*print, value)));
            }
        }
        let print = |field: Field| prints.get(field as usize).copied().flatten();
        let (client, path) = (print(Field::ClientAddr), print(Field::Path));
        self.records += 1;
        self.groups.add(self.hasher.hash_one((client, print(Field::UserAgent), hour)), path.unwrap_or_default());
        if let Some(client) = client {
            self.chains.add(client, 0);
        }
        for (field, records, counts) in &mut self.fields {
            if let Some(print) = print(*field) {
                *records += 1;
                counts.add(print, 0);
            }
        }
    }

    /// The figures so far.
    pub fn figures(&self) -> Figures {
        let groups = &self.groups;
        let bar = |(from, to): (u64, u64)| {
            let (distinct, records) = groups.between(from, to);
            Bar { from, to, groups: distinct, records }
        };
        let with_client = self.fields.iter().find(|(field, ..)| *field == Field::ClientAddr).map_or(0, |(_, records, _)| *records);
        let chains = &self.chains;
        let figures = |(field, records, counts): &(Field, u64, Counts)| FieldFigures {
            field: *field,
            records: *records,
            distinct: counts.distinct(),
            bits: counts.bits(),
            one_in: counts.one_in(),
        };
        Figures {
            records: self.records,
            k: self.k,
            groups: Groups {
                by: ["client_addr", "user_agent", "hour"],
                distinct: groups.distinct(),
                unique: groups.share(1, 1),
                below_k: groups.share(1, self.k.saturating_sub(1)),
                alike: groups.alike(),
                histogram: BARS.into_iter().map(bar).collect(),
                one_in: groups.one_in(),
            },
            chains: (with_client > 0).then(|| Chains {
                distinct: chains.distinct(),
                longest: chains.most(),
                mean: with_client as f64 / chains.distinct().max(1) as f64,
                one_in: chains.one_in(),
            }),
            fields: self.fields.iter().filter(|(_, records, _)| *records > 0).map(figures).collect(),
        }
    }
}

/// A dropped value, and an address of which nothing is left.
fn is_gone(value: &[u8]) -> bool {
    matches!(value, b"" | b"-" | b"null" | b"0.0.0.0" | b"::")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Six records of two networks: `client agent hour path`.
    const RECORDS: [(&str, &str, i64, &str); 6] = [
        ("203.0.113.0", "Firefox/128", 9, "/a"),
        ("203.0.113.0", "Firefox/128", 9, "/a"),
        ("203.0.113.0", "Firefox/128", 10, "/b"),
        ("203.0.113.0", "curl/8", 9, "/a"),
        ("198.51.100.0", "curl/8", 9, "/c"),
        ("-", "curl/8", 9, "/d"),
    ];

    fn figures(k: u64) -> Figures {
        let mut risk = Risk::new(k, HELD);
        for (client, agent, hour, path) in RECORDS {
            let values = [(Field::ClientAddr, client), (Field::UserAgent, agent), (Field::Path, path), (Field::User, "-")];
            risk.add(values.iter().map(|(field, value)| (*field, value.as_bytes())), Some(hour));
        }
        risk.figures()
    }

    #[test]
    fn figures_can_be_checked_by_hand() {
        let found = figures(2);
        // Groups: two records, and four of one.
        assert_eq!((found.records, found.groups.distinct), (6, 5));
        assert_eq!((found.groups.unique, found.groups.below_k, found.groups.alike), (4.0 / 6.0, 4.0 / 6.0, 2.0 / 6.0));
        assert_eq!(figures(3).groups.below_k, 1.0);
        assert_eq!(
            found.groups.histogram[..3],
            [Bar { from: 1, to: 1, groups: 4, records: 4 }, Bar { from: 2, to: 4, groups: 1, records: 2 }, Bar { from: 5, to: 9, groups: 0, records: 0 }]
        );
        assert_eq!(found.chains, Some(Chains { distinct: 2, longest: 4, mean: 2.5, one_in: 1 }));
        let field = |wanted| found.fields.iter().find(|figures| figures.field == wanted).copied();
        // Half of the agents each: one bit.
        assert_eq!(field(Field::UserAgent), Some(FieldFigures { field: Field::UserAgent, records: 6, distinct: 2, bits: 1.0, one_in: 1 }));
        // Four of five and one of five: 0.722 bits.
        assert!(field(Field::ClientAddr).is_some_and(|figures| figures.records == 5 && (figures.bits - 0.7219).abs() < 1e-4));
        assert_eq!(field(Field::User), None);
    }

    #[test]
    fn several_values_of_a_field_are_one() {
        let mut risk = Risk::new(5, HELD);
        for date in [&b"2025-03-14"[..], b"2025-03-15"] {
            risk.add([(Field::Time, date), (Field::Time, b"09:00:00")].into_iter(), None);
        }
        let found = risk.figures();
        assert_eq!((found.fields[0].distinct, found.fields[0].bits, found.chains), (2, 1.0, None));
    }
}
