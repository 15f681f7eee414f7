//! Acts whose results change with time: pseudonyms under the key of the record's own period, and places by a database.
//!
//! Without its key less of a record stays, and it is counted.
//!
//! What is remembered from one record to the next is remembered with its key ([`Keyed`]): what was right yesterday is another
//! period's pseudonym today.

use super::super::act::{AddressAct, Hashed};
use super::super::action::{Form, Names, Simple};
use super::super::address::{self, Endpoint, Host};
use super::super::place::Place;
use super::super::pseudonym::{Asked, Keyed, Keys};
use super::super::residual::Rules;
use super::super::url;
use super::{Edit, Tools, Value};
use crate::format::{Field, Text, escape};
use jiff::Timestamp;
use std::net::IpAddr;

/// What stays of an address whose key is gone: bits of IPv4 and of IPv6.
const KEYLESS: (u8, u8) = (24, 32);
/// A parameter's name that is longer than this is a value.
const NAME_BYTES_MAX: usize = 64;

fn key(keys: &mut Option<Keys>, time: Option<Timestamp>) -> Option<Keyed<'_>> {
    keys.as_mut()?.of(time)
}

impl Tools {
    /// At the start of each record, with the record's own time.
    #[inline]
    pub(in crate::scrub) const fn turn(&mut self, time: Option<Timestamp>) {
        self.time = time;
        self.keyless = false;
    }

    /// Whether a value of this record should have become a pseudonym, and there was no key for it.
    pub(in crate::scrub) const fn is_keyless(&self) -> bool {
        self.keyless
    }

    /// At the start of each block: keys are asked for again, because one may have been destroyed.
    pub(in crate::scrub) fn refresh(&mut self) {
        if let Some(keys) = &mut self.keys {
            keys.forget();
        }
        if let Some(places) = &mut self.places {
            places.refresh();
        }
    }

    /// The value without escapes, so that two ways of writing it have one pseudonym.
    fn read(&mut self, value: &[u8], percent: bool, plus: bool) {
        self.decoded.clear();
        if !percent && !plus {
            return escape::text(value, &mut self.decoded);
        }
        let mut once = Vec::new();
        escape::text(value, &mut once);
        escape::percent(&once, plus, &mut self.decoded);
    }

    pub(super) fn hash(&mut self, hashed: &Hashed, value: Value<'_>) -> Edit {
        self.hash_under(&hashed.domain, hashed.percent, value)
    }

    fn hash_under(&mut self, domain: &str, percent: bool, value: Value<'_>) -> Edit {
        let scalar = value.text == Text::JsonScalar;
        if scalar && value.bytes == b"null" {
            return Edit::Same;
        }
        self.read(value.bytes, percent, percent || value.text == Text::Plus);
        let Self { keys, piece, decoded, .. } = self;
        piece.clear();
        let Some(mut key) = key(keys, self.time) else {
            self.keyless = true;
            return Edit::Gone;
        };
        // A pseudonym is a string where the value was a number, too.
        let quote: &[u8] = if scalar { b"\"" } else { b"" };
        piece.extend_from_slice(quote);
        key.hex(domain, decoded, piece);
        piece.extend_from_slice(quote);
        Edit::Piece
    }

    /// A header whose name stands in front of its value.
    pub(super) fn hash_header(&mut self, names: &Names, name: &[u8], value: Value<'_>) -> Edit {
        self.hash_under(&names.domain_of(Field::Header, name), false, value)
    }

    /// `None` where the value is no address.
    pub(in crate::scrub) fn changing_address(&mut self, act: &AddressAct, value: Value<'_>) -> Option<Edit> {
        self.piece.clear();
        if value.text == Text::JsonScalar {
            return Some(Edit::Gone);
        }
        match address::parse(value.bytes) {
            Some(endpoint) => Some(self.one(act, &endpoint, value.bytes)),
            None => self.coded_address(act, value.bytes),
        }
    }

    /// A plain IPv4 address whose pseudonym is wanted soon: what [`Self::hash_v4`] takes a while later.
    #[inline]
    pub(in crate::scrub) fn ask_v4(&self, text: &[u8]) -> Option<Asked> {
        let octets = address::short_v4(text)?.to_be_bytes();
        Some(self.keys.as_ref()?.ask(octets))
    }

    /// The pseudonym of an IPv4 address; none without its key.
    #[inline]
    pub(in crate::scrub) fn hash_v4(&mut self, domain: &str, asked: Asked) -> Option<[u8; 32]> {
        Some(key(&mut self.keys, self.time)?.hex_v4(domain, asked))
    }

    /// Appends the pseudonym of an address or host name in the layout of the input: brackets stay, zone and port go.
    pub(super) fn pseudonym(&mut self, act: &AddressAct, endpoint: &Endpoint<'_>, text: &[u8]) -> Edit {
        let Self { keys, piece, decoded, .. } = self;
        let named = endpoint.host == Host::Name;
        let Some(mut key) = key(keys, self.time) else {
            self.keyless = true;
            if named {
                return Edit::Gone;
            }
            address::write_truncated(endpoint, KEYLESS.0, KEYLESS.1, piece);
            return Edit::Piece;
        };
        match (act, endpoint.ip()) {
            (AddressAct::Hash(form, domain), ip) => {
                decoded.clear();
                match ip {
                    Some(IpAddr::V4(v4)) => decoded.extend_from_slice(&v4.octets()),
                    Some(IpAddr::V6(v6)) => decoded.extend_from_slice(&v6.octets()),
                    None => {
                        let port = endpoint.port.map_or(0, |port| port.len() + 1);
                        let name = text.get(..text.len().saturating_sub(port)).unwrap_or_default();
                        decoded.extend(name.strip_suffix(b".").unwrap_or(name).iter().map(u8::to_ascii_lowercase));
                    }
                }
                match form {
                    Form::Hex => key.hex(domain, decoded, piece),
                    Form::Address => bracketed(endpoint.bracketed, piece, |piece| key.address(domain, decoded, piece)),
                }
            }
            (AddressAct::EncryptPrefix, Some(ip)) => {
                bracketed(endpoint.bracketed, piece, |piece| key.encrypt_prefix(ip, piece));
            }
            (AddressAct::EncryptPrefix | AddressAct::BlackMarker | AddressAct::Truncate(..) | AddressAct::Country | AddressAct::Asn, _) => return Edit::Gone,
        }
        Edit::Piece
    }

    /// What a database says about a client, read from the value before anything is cut.
    pub(in crate::scrub) fn place(&mut self, value: &[u8]) -> Place {
        let Some(places) = &mut self.places else { return Place::default() };
        let mut plain = Vec::new();
        let endpoint = address::parse(value).or_else(|| {
            escape::text(value, &mut plain);
            address::parse(&plain).or_else(|| address::parse_binary(&plain))
        });
        endpoint.and_then(|endpoint| endpoint.ip()).map_or_else(Place::default, |ip| places.of(ip))
    }

    /// Appends the country or the autonomous system of an address; gone if no database knows it.
    pub(super) fn place_instead(&mut self, act: &AddressAct, endpoint: &Endpoint<'_>) -> Edit {
        let place = endpoint.ip().zip(self.places.as_mut()).map_or_else(Place::default, |(ip, places)| places.of(ip));
        match (act, place) {
            (AddressAct::Country, Place { country: Some(country), .. }) => self.piece.extend_from_slice(country.as_bytes()),
            (AddressAct::Asn, Place { asn: Some(asn), .. }) => self.piece.extend_from_slice(format!("AS{asn}").as_bytes()),
            _ => return Edit::Gone,
        }
        Edit::Piece
    }

    /// Pairs of a query or a cookie whose names stay; values of hashed ones become pseudonyms.
    pub(super) fn pairs(&mut self, bytes: &[u8], names: &Names, query: bool) -> Edit {
        self.piece.clear();
        url::keep_pairs(bytes, names, query, |range, decided| {
            let pair = bytes.get(range).unwrap_or_default();
            let before = self.piece.len();
            let between: &[u8] = match (before == 0, query) {
                (true, true) => url::query_mark(bytes),
                (true, false) => b"",
                (false, true) => b"&",
                (false, false) => b"; ",
            };
            self.piece.extend_from_slice(between);
            match decided {
                Simple::Keep => self.piece.extend_from_slice(pair),
                Simple::Hash if self.hashed_pair(pair, names, query).is_some() => {}
                Simple::Hash | Simple::Drop => self.piece.truncate(before),
            }
        });
        if self.piece.is_empty() { Edit::Gone } else { self.scan_piece() }
    }

    /// Appends `name=` and the pseudonym of the value; `None` if the pair goes.
    fn hashed_pair(&mut self, pair: &[u8], names: &Names, query: bool) -> Option<()> {
        let (name, value) = pair.split_at_checked(memchr::memchr(b'=', pair)? + 1)?;
        let name = name.strip_suffix(b"=")?;
        // What the policy does not list was named by the client: a name that may be a value goes.
        if !names.lists(name) && !self.is_plain_name(name) {
            return None;
        }
        let value = value.trim_ascii();
        if !value.is_empty() && value != b"-" {
            self.read(value, query, query);
            let Self { keys, piece, decoded, .. } = self;
            let Some(mut key) = key(keys, self.time) else {
                self.keyless = true;
                return None;
            };
            piece.extend_from_slice(name);
            piece.push(b'=');
            key.hex(&names.domain_of(if query { Field::Query } else { Field::Cookie }, name), decoded, piece);
        } else {
            self.piece.extend_from_slice(pair);
        }
        Some(())
    }

    fn is_plain_name(&mut self, name: &[u8]) -> bool {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'[' | b']');
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.iter().all(plain) {
            return false;
        }
        self.hits.clear();
        self.tokens.detect(name, &Rules { addresses: true, emails: true, except: self.policy.except(), versions: false }, &mut self.hits);
        self.hits.is_empty()
    }
}

fn bracketed(brackets: bool, piece: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    if brackets {
        piece.push(b'[');
    }
    write(piece);
    if brackets {
        piece.push(b']');
    }
}
