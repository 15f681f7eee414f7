//! What an identifier can stand as in a file: itself where it is raw or left, and its pseudonyms under the keys that exist.

use super::super::action::{Action, Form, Simple};
use super::super::address::{self, Host};
use super::super::policy::Policy;
use super::super::pseudonym::{Period, PeriodKey};
use super::spelling::Spellings;
use super::{Identifier, Keys};
use crate::format::{Field, escape};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

/// What is looked for.
#[derive(Default)]
pub(super) struct Wanted {
    client: Addresses,
    proxied: Addresses,
    users: HashSet<Vec<u8>>,
    idents: HashSet<Vec<u8>>,
    /// Values by name.
    cookies: HashMap<String, HashSet<Vec<u8>>>,
    /// Addresses anywhere else but in user agents, whose versions look like some. A policy masks them.
    anywhere: HashSet<IpAddr>,
    /// The same, as names carry them.
    spellings: Spellings,
}

/// What addresses stand as.
#[derive(Clone, Default)]
struct Addresses {
    plain: HashSet<IpAddr>,
    words: HashSet<Vec<u8>>,
    /// Of `encrypt-prefix`: another period gives another person's pseudonym the same look.
    by_period: BTreeMap<Period, HashSet<IpAddr>>,
}

impl Wanted {
    /// In a raw file: as they are.
    pub(super) fn raw(identifiers: &[Identifier]) -> Self {
        let mut wanted = Self::default();
        for identifier in identifiers {
            match identifier {
                Identifier::Ip(ip) => {
                    wanted.client.plain.insert(*ip);
                    wanted.anywhere.insert(*ip);
                    wanted.spellings.add(*ip);
                }
                Identifier::User(name) => wanted.users.extend([name.clone().into_bytes()]),
                Identifier::Cookie(name, value) => wanted.cookie(name, value.clone().into_bytes()),
            }
        }
        wanted.proxied = wanted.client.clone();
        wanted.idents = wanted.users.clone();
        wanted
    }

    /// In what a policy wrote.
    pub(super) fn clean(identifiers: &[Identifier], policy: &Policy, keys: Keys<'_>) -> Self {
        let mut wanted = Self::default();
        for identifier in identifiers {
            match identifier {
                Identifier::Ip(ip) => {
                    wanted.client.take(*ip, (policy, Field::ClientAddr), keys);
                    wanted.proxied.take(*ip, (policy, Field::ProxiedAddr), keys);
                }
                Identifier::User(name) => {
                    wanted.users.extend(values(name, (policy, Field::User), keys));
                    wanted.idents.extend(values(name, (policy, Field::Ident), keys));
                }
                Identifier::Cookie(name, value) => {
                    let action = policy.action(Field::Cookie);
                    let (simple, domain) = if let Action::Named(names) = action {
                        (names.decide(name.as_bytes()), names.domain_of(Field::Cookie, name.as_bytes()).into_owned())
                    } else {
                        (if *action == Action::Keep { Simple::Keep } else { Simple::Drop }, String::new())
                    };
                    match simple {
                        Simple::Keep => wanted.cookie(name, value.clone().into_bytes()),
                        Simple::Hash => keys.iter().for_each(|(_, key)| wanted.cookie(name, hex(key, &domain, value.as_bytes()))),
                        Simple::Drop => {}
                    }
                }
            }
        }
        wanted
    }

    /// Cookies are also called what a label makes of their names.
    pub(super) fn label(&mut self, label: fn(&str) -> String) {
        let labelled: Vec<_> = self.cookies.iter().map(|(name, values)| (label(name), values.clone())).collect();
        for (name, values) in labelled {
            self.cookies.entry(name).or_default().extend(values);
        }
    }

    fn cookie(&mut self, name: &str, value: Vec<u8>) {
        self.cookies.entry(name.to_owned()).or_default().insert(value);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.client.is_empty() && self.proxied.is_empty() && self.users.is_empty() && self.idents.is_empty() && self.cookies.is_empty()
    }

    /// Whether a value, without its escapes, is one of them.
    pub(super) fn stands_as(&self, field: Field, name: &str, value: &[u8], at: Timestamp) -> bool {
        let own = if field == Field::ClientAddr {
            self.client.stand_as(value, at)
        } else if field == Field::ProxiedAddr {
            self.proxied.stand_as(value, at)
        } else if field == Field::User {
            self.users.contains(value)
        } else if field == Field::Ident {
            self.idents.contains(value)
        } else if field == Field::Cookie && name.is_empty() {
            value.split(|byte| *byte == b';').any(|pair| self.is_pair(pair))
        } else {
            field == Field::Cookie && self.cookies.get(name).is_some_and(|wanted| wanted.contains(value))
        };
        own || (field != Field::UserAgent && self.is_anywhere(value))
    }

    /// Whether one of them stands in a line that no format reads.
    pub(super) fn stands_in(&self, line: &[u8]) -> bool {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'%');
        let cookie = |name: &str, value: &[u8]| {
            let pair = [name.as_bytes(), b"=", value].concat();
            memchr::memmem::find_iter(line, &pair).any(|at| {
                let before = at.checked_sub(1).and_then(|before| line.get(before)).is_some_and(|byte| is_token(*byte));
                let behind = line.get(at + pair.len()).is_some_and(|byte| is_token(*byte) || *byte == b'=');
                !before && !behind
            })
        };
        self.is_anywhere(line) || self.cookies.iter().any(|(name, values)| values.iter().any(|value| cookie(name, value)))
    }

    fn is_pair(&self, pair: &[u8]) -> bool {
        let Some((name, value)) = memchr::memchr(b'=', pair).and_then(|at| pair.split_at_checked(at)) else { return false };
        let named = std::str::from_utf8(name.trim_ascii()).ok().and_then(|name| self.cookies.get(name));
        named.is_some_and(|wanted| wanted.contains(value.get(1..).unwrap_or_default().trim_ascii()))
    }

    /// Whether one of the addresses stands in a text, with or without a port.
    fn is_anywhere(&self, text: &[u8]) -> bool {
        if self.anywhere.is_empty() {
            return false;
        }
        let found = |text: &[u8]| {
            let is_part = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
            let is_one = |word: &[u8]| {
                let word = word.strip_suffix(b".").unwrap_or(word);
                let word = word.strip_suffix(b":").unwrap_or(word);
                word.len() > 1 && address::parse(word).and_then(|endpoint| endpoint.ip()).is_some_and(|ip| self.anywhere.contains(&ip))
            };
            // The second time without what a letter in front of an IPv4 address makes of it.
            let is_quad = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
            text.split(|byte| !is_part(byte)).any(is_one) || text.split(|byte| !is_quad(byte)).any(is_one) || self.spellings.stand_in(text)
        };
        let mut plain = Vec::new();
        if memchr::memchr(b'%', text).is_some() {
            escape::percent(text, false, &mut plain);
        }
        found(text) || found(&plain)
    }
}

impl Addresses {
    fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.words.is_empty() && self.by_period.is_empty()
    }

    fn take(&mut self, ip: IpAddr, (policy, field): (&Policy, Field), keys: Keys<'_>) {
        if policy.except().contains(ip) {
            self.plain.insert(ip);
            return;
        }
        let octets = match ip {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        let domain = policy.domain(field);
        let action = policy.action(field);
        if *action == Action::Keep {
            self.plain.insert(ip);
        } else if *action == Action::Hash(Form::Hex) {
            self.words.extend(keys.iter().map(|(_, key)| hex(key, domain, &octets)));
        } else if *action == Action::Hash(Form::Address) {
            self.plain.extend(keys.iter().filter_map(|(_, key)| {
                let mut text = Vec::new();
                key.address(domain, &octets, &mut text);
                address::parse(&text).and_then(|endpoint| endpoint.ip())
            }));
        } else if *action == Action::EncryptPrefix {
            for (period, key) in keys {
                self.by_period.entry(*period).or_default().insert(key.encrypt_prefix(ip));
            }
        }
        // Of any other action's result others have a share.
    }

    fn stand_as(&self, value: &[u8], at: Timestamp) -> bool {
        let hops = address::list(value).map_while(Result::ok).filter_map(|range| value.get(range));
        std::iter::once(value).chain(hops).any(|text| self.words.contains(text) || self.is_one(text, at))
            || address::parse_binary(value).and_then(|endpoint| endpoint.ip()).is_some_and(|ip| self.plain.contains(&ip))
    }

    fn is_one(&self, text: &[u8], at: Timestamp) -> bool {
        let Some(endpoint) = address::parse(text) else { return false };
        let Some(ip) = endpoint.ip() else { return false };
        // A pseudonym is what it looks like, even where it looks like an address with another inside.
        let bare = if let Host::V6(v6) = endpoint.host { IpAddr::V6(v6) } else { ip };
        // A time of less precision lies up to a day before the record's own.
        let later = at.checked_add(SignedDuration::from_hours(24)).unwrap_or(at);
        let of = |time| self.by_period.get(&Period::of(time)).is_some_and(|made| made.contains(&bare));
        self.plain.contains(&ip) || of(at) || of(later)
    }
}

fn hex(key: &PeriodKey, domain: &str, value: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    key.hex(domain, value, &mut text);
    text
}

/// What a policy makes of a name.
fn values(name: &str, (policy, field): (&Policy, Field), keys: Keys<'_>) -> Vec<Vec<u8>> {
    let action = policy.action(field);
    if matches!(action, Action::Hash(_)) {
        keys.iter().map(|(_, key)| hex(key, policy.domain(field), name.as_bytes())).collect()
    } else {
        (*action == Action::Keep).then(|| name.as_bytes().to_vec()).into_iter().collect()
    }
}
