//! The keys that one scrubber uses: asked for when a record's period changes, and again with every block.

use super::super::address::write::{write_v4, write_v6};
use super::super::memo::{Memo, ask};
use super::{Period, PeriodKey, hex};
use foldhash::fast::RandomState;
use jiff::Timestamp;
use std::fmt;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;

/// Where the key of a period comes from. `None`: it is gone, or was never there, and the record is truncated.
///
/// It is shared by the workers and called for a few records of a block at most; what it does (mint, read, refuse) is not
/// known here.
#[derive(Clone)]
pub struct KeySource {
    ask: Arc<Ask>,
}

type Ask = dyn Fn(Period) -> Option<Arc<PeriodKey>> + Send + Sync;

impl KeySource {
    /// A source that asks `ask`.
    pub fn new(ask: impl Fn(Period) -> Option<Arc<PeriodKey>> + Send + Sync + 'static) -> Self {
        Self { ask: Arc::new(ask) }
    }

    /// The key of a period.
    pub fn key(&self, period: Period) -> Option<Arc<PeriodKey>> {
        (self.ask)(period)
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySource").finish_non_exhaustive()
    }
}

/// The key of the record that is being scrubbed.
pub(crate) struct Keys {
    source: KeySource,
    last: Option<(Period, Option<Arc<PeriodKey>>)>,
    known: Known,
}

/// Keys, methods and domains of which answers are known at once: one byte says which.
const KINDS_MAX: usize = 255;

/// The key by its name, the method, and the domain of a question.
type Question = ([u8; 16], u8, Box<str>);

/// An address that was asked for, and where it is if it is known.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    octets: [u8; 4],
    place: usize,
}

/// Answers that were given.
#[derive(Default)]
struct Known {
    asked: Vec<Question>,
    answers: Memo,
    question: Vec<u8>,
    addresses: Addresses,
}

/// The addresses of most clients, and what became of them.
#[derive(Default)]
struct Addresses {
    hasher: RandomState,
    /// Memory is taken with the first address.
    places: Box<[Place]>,
}

const PLACES: usize = 1 << 14;

/// Three addresses in one cache line, the newest first: far memory is asked once.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Place {
    addresses: [u32; 3],
    /// Above 0: what was asked of each.
    kinds: [u8; 3],
    bits: [[u8; 16]; 3],
}

impl Addresses {
    /// Memory is asked for, and not waited for.
    #[inline]
    fn ask(&self, octets: [u8; 4]) -> Asked {
        let place = self.hasher.hash_one(u32::from_ne_bytes(octets)) as usize % PLACES;
        self.places.get(place).into_iter().for_each(ask);
        Asked { octets, place }
    }

    #[inline]
    fn bits(&mut self, kind: u8, Asked { octets, place }: Asked, answer: impl FnOnce() -> [u8; 16]) -> [u8; 16] {
        if self.places.is_empty() {
            self.places = vec![Place::default(); PLACES].into_boxed_slice();
        }
        let address = u32::from_ne_bytes(octets);
        let Some(Place { addresses, kinds, bits }) = self.places.get_mut(place) else { return answer() };
        let kept = addresses.iter().zip(&*kinds).zip(&*bits).find(|((kept, of), _)| **kept == address && **of == kind + 1);
        if let Some((_, bits)) = kept {
            return *bits;
        }
        let fresh = answer();
        addresses.rotate_right(1);
        kinds.rotate_right(1);
        bits.rotate_right(1);
        (addresses[0], kinds[0], bits[0]) = (address, kind + 1, fresh);
        fresh
    }
}

/// The key of a record, with what became of values under it and others.
pub(crate) struct Keyed<'a> {
    key: &'a PeriodKey,
    known: &'a mut Known,
}

impl Keys {
    pub(crate) fn new(source: KeySource) -> Self {
        Self { source, last: None, known: Known::default() }
    }

    /// At the start of each block: so that a key whose time is over, or that was destroyed, is used to the end of a block
    /// at most.
    pub(crate) fn forget(&mut self) {
        self.last = None;
    }

    /// See [`Keyed::hex_v4`].
    #[inline]
    pub(crate) fn ask(&self, octets: [u8; 4]) -> Asked {
        self.known.addresses.ask(octets)
    }

    /// The key of a record's own time.
    #[inline]
    pub(crate) fn of(&mut self, time: Option<Timestamp>) -> Option<Keyed<'_>> {
        let period = Period::of(time?);
        if self.last.as_ref().is_none_or(|(last, _)| *last != period) {
            self.last = Some((period, self.source.key(period)));
        }
        let key = self.last.as_ref().and_then(|(_, key)| key.as_deref())?;
        Some(Keyed { key, known: &mut self.known })
    }
}

impl Keyed<'_> {
    /// Appends [`PeriodKey::hex`].
    pub(crate) fn hex(&mut self, domain: &str, value: &[u8], out: &mut Vec<u8>) {
        let Ok(octets) = <[u8; 4]>::try_from(value) else { return self.once((0, domain), value, out, |key, out| key.hex(domain, value, out)) };
        out.extend_from_slice(&self.hex_v4(domain, self.known.addresses.ask(octets)));
    }

    /// [`PeriodKey::hex`] of an IPv4 address.
    #[inline]
    pub(crate) fn hex_v4(&mut self, domain: &str, asked: Asked) -> [u8; 32] {
        let (kind, key) = (self.kind(0, domain), self.key);
        hex(&self.known.addresses.bits(kind, asked, || key.bits(domain, &asked.octets)))
    }

    /// Appends [`PeriodKey::address`].
    pub(crate) fn address(&mut self, domain: &str, value: &[u8], out: &mut Vec<u8>) {
        self.once((1, domain), value, out, |key, out| key.address(domain, value, out));
    }

    /// Appends [`PeriodKey::encrypt_prefix`]. Whatever it looks like, it is written as what it is: an IPv4 address in an IPv6 one is
    /// none.
    pub(crate) fn encrypt_prefix(&mut self, addr: IpAddr, out: &mut Vec<u8>) {
        let (v4, v6);
        let octets: &[u8] = match addr {
            IpAddr::V4(addr) => (v4 = addr.octets(), &v4).1,
            IpAddr::V6(addr) => (v6 = addr.octets(), &v6).1,
        };
        self.once((2, ""), octets, out, |key, out| match key.encrypt_prefix(addr) {
            IpAddr::V4(addr) => write_v4(addr, out),
            IpAddr::V6(addr) => write_v6(addr, out),
        });
    }

    /// A byte for a key, a method and a domain.
    #[inline]
    fn kind(&mut self, method: u8, domain: &str) -> u8 {
        let known = &mut *self.known;
        let is_asked = |(key, by, of): &Question| *key == self.key.name && *by == method && **of == *domain;
        let kind = known.asked.iter().position(is_asked).unwrap_or_else(|| {
            // Few periods are in a log at once; where they are many, all is asked again.
            if known.asked.len() == KINDS_MAX {
                *known = Known::default();
            }
            known.asked.push((self.key.name, method, domain.into()));
            known.asked.len() - 1
        });
        kind as u8
    }

    /// A pseudonym is a function of key, domain and value: where all three are those of an earlier question, so is the answer.
    fn once(&mut self, (method, domain): (u8, &str), value: &[u8], out: &mut Vec<u8>, answer: impl FnOnce(&PeriodKey, &mut Vec<u8>)) {
        let kind = self.kind(method, domain);
        let Known { answers, question, .. } = &mut *self.known;
        question.clear();
        question.push(kind);
        question.extend_from_slice(value);
        let hash = answers.hash(0, question);
        if let Some(known) = answers.find(hash, question) {
            return out.extend_from_slice(known);
        }
        let start = out.len();
        answer(self.key, out);
        answers.keep(hash, question, out.get(start..).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn asked_once_per_period_and_block() {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let source = KeySource::new(move |period: Period| {
            count.fetch_add(1, Ordering::Relaxed);
            (period.day() == Some(1)).then(|| Arc::new(PeriodKey::from_bytes(&[1; 32])))
        });
        let mut keys = Keys::new(source);
        let at = |second| Timestamp::from_second(second).ok();
        assert!(keys.of(None).is_none());
        for second in 86_400..86_500 {
            assert!(keys.of(at(second)).is_some());
        }
        assert!(keys.of(at(86_399)).is_none());
        assert!(keys.of(at(86_398)).is_none());
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        keys.forget();
        assert!(keys.of(at(86_400)).is_some());
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn an_answer_is_that_of_its_own_key_domain_and_method() {
        let source = KeySource::new(|period: Period| period.day().map(|day| Arc::new(PeriodKey::from_bytes(&[day as u8; 32]))));
        let mut keys = Keys::new(source);
        let addresses: [IpAddr; 3] = ["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        for turn in 0..3 {
            for day in 0..100_i64 {
                let key = PeriodKey::from_bytes(&[day as u8; 32]);
                for domain in ["user", "client_addr", ""] {
                    for value in [&b"a"[..], b"b", b"ra", b"", &[192, 0, 2, 1], &[192, 0, 2, 2]] {
                        let mut keyed = keys.of(Timestamp::from_second(day * 86_400).ok()).unwrap();
                        let (mut out, mut expected) = (b"x".to_vec(), b"x".to_vec());
                        keyed.hex(domain, value, &mut out);
                        keyed.address(domain, value, &mut out);
                        key.hex(domain, value, &mut expected);
                        key.address(domain, value, &mut expected);
                        assert_eq!(out, expected, "{turn} {day} {domain} {value:?}");
                    }
                }
                for address in addresses {
                    let mut out = Vec::new();
                    keys.of(Timestamp::from_second(day * 86_400).ok()).unwrap().encrypt_prefix(address, &mut out);
                    assert_eq!(String::from_utf8(out).unwrap().parse(), Ok(key.encrypt_prefix(address)));
                }
            }
        }
    }
}
