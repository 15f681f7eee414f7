//! Whether a file begins with what another one was.

use super::cut::LONGEST;
use super::held::{Held, Piece};
use super::{Halt, Shelf};
use crate::retain::ledger::Keyed;
use crate::store::digest::Meter;
use crate::store::files::Files;
use std::collections::{BTreeMap, BTreeSet};

impl<F: Files> Shelf<F> {
    /// Digests of the first so many decoded bytes of a file, of those numbers that it has.
    pub(in crate::store) fn fronts(&self, held: &Held<F>, sizes: &BTreeSet<u64>) -> Result<BTreeMap<u64, Keyed>, Halt> {
        let meter = Meter::new(&self.key);
        let mut fronts = BTreeMap::new();
        let mut whole = true;
        self.visit(held, LONGEST, &mut |piece| {
            let Piece::Lines(mut bytes) = piece else {
                whole = false;
                return Ok(());
            };
            let passed = meter.bytes();
            for size in sizes.range(passed + 1..=passed + bytes.len() as u64) {
                let room = usize::try_from(*size - meter.bytes()).unwrap_or(usize::MAX);
                let (front, rest) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
                meter.take(front);
                bytes = rest;
                if whole {
                    fronts.insert(*size, meter.sum().0);
                }
            }
            meter.take(bytes);
            Ok(())
        })?;
        Ok(fronts)
    }
}
