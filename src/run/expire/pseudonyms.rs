//! Keys whose time is over: what `plan` says of them, and their end behind `expire`.

use super::{ExpireReport, Fate, Standstill};
use crate::scrub::Period;
use crate::store::StoreError;
use crate::store::keys::KeyStore;
use jiff::{SignedDuration, Timestamp};

/// A key whose time is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyVerdict {
    /// The period that it serves.
    pub period: Period,
    /// The hold that keeps it.
    pub hold: Option<String>,
    /// What became of it.
    pub fate: Fate,
}

/// Keys whose `keep` is over at `now`, and what would become of them.
pub fn look_at_keys(store: &KeyStore, (now, keep): (Timestamp, SignedDuration)) -> Result<Vec<KeyVerdict>, StoreError> {
    let verdict = |(period, hold): (Period, Option<String>)| KeyVerdict { period, fate: if hold.is_some() { Fate::Kept } else { Fate::Waits }, hold };
    Ok(store.expired(now, keep)?.into_iter().map(verdict).collect())
}

/// Destroys those that no hold keeps, unless what `report` tells stood still: by a clock that cannot be right, or a
/// configuration whose plan was recorded first, no key goes either. What fails is among the report's failures.
pub fn expire_keys(store: &KeyStore, (now, keep): (Timestamp, SignedDuration), report: &mut ExpireReport) -> Vec<KeyVerdict> {
    let mut verdicts = match look_at_keys(store, (now, keep)) {
        Ok(verdicts) => verdicts,
        Err(error) => {
            report.failures.push(error);
            return Vec::new();
        }
    };
    match report.standstill {
        Some(Standstill::Clock(_) | Standstill::NewConfiguration) => return verdicts,
        None => {}
    }
    let gone = store.destroy_expired(now, keep);
    for verdict in verdicts.iter_mut().filter(|verdict| verdict.hold.is_none()) {
        verdict.fate = match &gone {
            Ok(gone) if gone.contains(&verdict.period) => Fate::Done,
            Ok(_) => Fate::Kept,
            Err(_) => Fate::Failed,
        };
    }
    report.failures.extend(gone.err());
    verdicts
}
