//! Why lines were rejected, as the ledger counts it: a closed set of words.

use crate::scrub::{Reject, Tally};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;

/// Rejected lines by reason; only reasons that occurred.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasons(BTreeMap<Reject, u64>);

impl Reasons {
    /// Those of a tally.
    pub fn of(tally: &Tally) -> Self {
        let counts = tally.reasons();
        Self(Reject::ALL.into_iter().filter_map(|reject| Some((reject, *counts.get(reject.name())?))).collect())
    }

    /// Whether none occurred, or none was told.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each reason and its lines.
    pub fn iter(&self) -> impl Iterator<Item = (Reject, u64)> {
        self.0.iter().map(|(reject, lines)| (*reject, *lines))
    }

    /// Lines of all reasons.
    pub fn lines(&self) -> u64 {
        self.0.values().sum()
    }

    /// Adds others.
    pub fn add(&mut self, others: &Self) {
        for (reject, lines) in others.iter() {
            *self.0.entry(reject).or_default() += lines;
        }
    }
}

impl Serialize for Reasons {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(reject, lines)| (reject.name(), lines)))
    }
}

impl<'de> Deserialize<'de> for Reasons {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let named = BTreeMap::<String, u64>::deserialize(deserializer)?;
        let reject = |(name, lines)| Some((Reject::ALL.into_iter().find(|reject| reject.name() == name)?, lines));
        // What is not quoted: the ledger is somebody else's text until its chain holds.
        named.into_iter().map(reject).collect::<Option<_>>().map(Self).ok_or_else(|| D::Error::custom("no such reason"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_words_are_read() {
        let reasons: Reasons = serde_json::from_str(r#"{"layout":2,"too_long":1}"#).unwrap();
        assert_eq!((reasons.lines(), serde_json::to_string(&reasons).unwrap()), (3, r#"{"layout":2,"too_long":1}"#.to_owned()));
        assert!(serde_json::from_str::<Reasons>(r#"{"203.0.113.7":1}"#).is_err());
    }
}
