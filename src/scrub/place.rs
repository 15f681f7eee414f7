//! Where an address is: the country and the network that a database has for it, asked for before anything of it is cut.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// What a database says about an address. Nothing in it can hold any other text than a code and a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The country.
    pub country: Option<Country>,
    /// The number of the autonomous system.
    pub asn: Option<u32>,
}

/// Two capital letters (ISO 3166-1 alpha-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Country([u8; 2]);

impl Country {
    /// `None` for anything else than two capital letters.
    pub fn new(code: &str) -> Option<Self> {
        let code = <[u8; 2]>::try_from(code.as_bytes()).ok()?;
        code.iter().all(u8::is_ascii_uppercase).then_some(Self(code))
    }

    /// The letters.
    pub const fn as_bytes(&self) -> &[u8; 2] {
        &self.0
    }
}

/// Looks addresses up; each worker has one of its own, with what it remembers.
pub type Lookup = Box<dyn FnMut(IpAddr) -> Place + Send>;

/// Where look-ups come from. It is asked once per block: databases change while a program runs.
#[derive(Clone)]
pub struct PlaceSource {
    ask: Arc<Ask>,
}

type Ask = dyn Fn(u64) -> Option<(u64, Lookup)> + Send + Sync;

impl PlaceSource {
    /// A source that asks `ask` for the edition after the known one; `None` if there is none.
    pub fn new(ask: impl Fn(u64) -> Option<(u64, Lookup)> + Send + Sync + 'static) -> Self {
        Self { ask: Arc::new(ask) }
    }
}

impl fmt::Debug for PlaceSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlaceSource").finish_non_exhaustive()
    }
}

/// The look-ups of one scrubber.
pub(crate) struct Places {
    source: PlaceSource,
    edition: u64,
    lookup: Option<Lookup>,
}

impl Places {
    pub(crate) fn new(source: PlaceSource) -> Self {
        let mut places = Self { source, edition: 0, lookup: None };
        places.refresh();
        places
    }

    /// At the start of each block.
    pub(crate) fn refresh(&mut self) {
        if let Some((edition, lookup)) = (self.source.ask)(self.edition) {
            self.edition = edition;
            self.lookup = Some(lookup);
        }
    }

    #[inline]
    pub(crate) fn of(&mut self, ip: IpAddr) -> Place {
        self.lookup.as_mut().map_or_else(Place::default, |lookup| lookup(ip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_is_two_letters_and_nothing_else() {
        assert_eq!(Country::new("SE").map(|country| *country.as_bytes()), Some(*b"SE"));
        for text in ["", "S", "SWE", "se", "S1", "\u{c4}", "-\n"] {
            assert_eq!(Country::new(text), None, "{text}");
        }
    }

    #[test]
    fn another_edition_takes_over_with_the_next_block() {
        let now = Arc::new(std::sync::atomic::AtomicU64::new(1));
        let edition = Arc::clone(&now);
        let source = PlaceSource::new(move |known| {
            let edition = edition.load(std::sync::atomic::Ordering::Relaxed);
            (edition != known).then(|| (edition, Box::new(move |_| Place { country: None, asn: Some(edition as u32) }) as Lookup))
        });
        let mut places = Places::new(source);
        let ip = "192.0.2.1".parse().unwrap();
        now.store(2, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(places.of(ip).asn, Some(1));
        places.refresh();
        assert_eq!(places.of(ip).asn, Some(2));
    }
}
