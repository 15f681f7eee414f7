//! Counts and digests of what passes by.

use super::ledger_key::{Hasher, LedgerKey};
use crate::retain::ledger::Keyed;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts and digests what is read or written through it; clones share the sum.
#[derive(Clone)]
pub(in crate::store) struct Meter(Arc<Mutex<(Hasher, u64)>>);

impl Meter {
    pub(in crate::store) fn new(key: &LedgerKey) -> Self {
        Self(Arc::new(Mutex::new((key.hasher(), 0))))
    }

    pub(in crate::store) fn take(&self, bytes: &[u8]) {
        let mut sum = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sum.0.update(bytes);
        sum.1 += bytes.len() as u64;
    }

    /// A reader whose bytes are metered.
    pub(in crate::store) fn over<R: Read>(&self, reader: R) -> Metered<R> {
        Metered { reader, meter: self.clone() }
    }

    /// How many bytes so far.
    pub(in crate::store) fn bytes(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Digest and number of the bytes so far.
    pub(in crate::store) fn sum(&self) -> (Keyed, u64) {
        let sum = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (sum.0.clone().finish(), sum.1)
    }
}

/// A reader whose bytes are metered.
pub(in crate::store) struct Metered<R> {
    reader: R,
    meter: Meter,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.meter.take(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}
