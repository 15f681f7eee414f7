//! One raw record against its clean line: which of its identifiers stand there.

use super::address::{self, Addr, Form};
use super::email;
use super::explain::{CLASSES, View, gaps, is_reduced_agent};
use super::findings::Findings;
use super::identifiers::{Identifiers, halves, mark, query_in};
use super::prefix::Prefixes;
use super::record::Place;
use super::rules::Rules;
use super::text::{Layers, decoded, is_gone, is_nest, is_pseudonym, json_values, pieces, whole};
use crate::format::{Field, Slot, time};

/// Systems that a reduced agent may name where the agent itself writes another word.
const SYSTEMS: [&[u8]; 6] = [b"linux", b"windows", b"android", b"ios", b"mac", b"chrome"];

/// How often another layout may write one kept value.
const COPIES: usize = 4;

/// A record and its clean line of the same layout; `map` says which raw value each clean one was.
#[derive(Clone, Copy)]
pub(super) struct Pair<'a> {
    pub raw: View<'a>,
    pub clean: View<'a>,
    pub map: &'a [usize],
}

impl<'a> Pair<'a> {
    /// Every clean value with the raw one that it was.
    fn values(&self) -> impl Iterator<Item = (&'a Place, &'a Place)> {
        let raw = self.raw.places;
        self.clean.places.iter().zip(self.map).filter_map(|(place, origin)| Some((place, raw.get(*origin)?)))
    }

    /// The field of the clean value around a byte.
    fn field_at(&self, at: usize) -> Option<Field> {
        self.clean.places.get(self.clean.place_at(at)?).map(|place| place.field)
    }
}

/// Compares; keeps the buffers and what is known of the whole file.
pub(super) struct Compare<'r> {
    rules: &'r Rules,
    layers: Layers,
    words: Identifiers,
    /// What the clean line holds: where, which, how it is written, and whether it was read through escapes.
    found: Vec<(usize, Addr, Form)>,
    emails: Vec<(usize, Vec<u8>)>,
    /// What the raw record holds, and in which of its values.
    raw: Vec<(Option<usize>, Addr, Form)>,
    raw_read: bool,
    /// Whether the clean line is not its record's, so that whatever it holds is suspect.
    pub(super) odd: bool,
    pub(super) prefixes: Prefixes,
}

impl<'r> Compare<'r> {
    pub(super) fn new(rules: &'r Rules) -> Self {
        Self {
            rules,
            layers: Layers::default(),
            words: Identifiers::default(),
            found: Vec::new(),
            emails: Vec::new(),
            raw: Vec::new(),
            raw_read: false,
            odd: false,
            prefixes: Prefixes::default(),
        }
    }

    /// A record whose clean line has the same layout.
    pub(super) fn pair(&mut self, pair: Pair<'_>, line: u64, out: &mut Findings) {
        let Pair { raw, clean, .. } = pair;
        self.raw_read = false;
        self.look(clean.text);
        self.slots(pair, line, out);
        if !self.rules.keeps(Field::ClientAddr) {
            self.addresses(raw, Some(pair), clean.text, line, out);
        }
        self.mails(raw, Some(pair), line, out);
        self.words.collect(raw.text, raw.places, raw.slots, self.rules);
        self.standing(pair, line, out);
        if self.odd {
            for (place, origin) in pair.values() {
                let (after, before) = (clean.value(place), raw.value(origin));
                if after != before && !is_address_field(place.field) && place.field != Field::Time {
                    self.strange(after, before, (line, Some(place.field)), out);
                }
            }
        }
    }

    /// Notes the words of a clean value that its raw one does not have.
    fn strange(&mut self, clean: &[u8], raw: &[u8], (line, field): (u64, Option<Field>), out: &mut Findings) {
        if is_gone(clean) || is_pseudonym(clean) || is_reduced_agent(clean) {
            return;
        }
        let known = decoded(raw);
        self.layers.each(clean, |layer| {
            pieces(layer.text, |piece| {
                if whole(raw, piece).next().is_none() && whole(&known, piece).next().is_none() {
                    out.suspect_word(piece, line, field);
                }
            });
        });
    }

    /// A record whose clean line has another layout, or whose own layout is not known.
    pub(super) fn loose(&mut self, raw: View<'_>, clean: &[u8], line: u64, out: &mut Findings) {
        self.raw_read = false;
        let mut values = Vec::new();
        let clean = if clean.first() == Some(&b'{') {
            json_values(clean, &mut values);
            let kept: Vec<&[u8]> = values.split(|byte| *byte == b'\n').filter(|value| !is_reduced_agent(value)).collect();
            kept.join(&b'\n')
        } else {
            clean.to_vec()
        };
        self.look(&clean);
        if !self.rules.keeps(Field::ClientAddr) {
            self.addresses(raw, None, &clean, line, out);
        }
        self.mails(raw, None, line, out);
        if raw.text.starts_with(b"#") {
            // A line about the log has no queries.
            self.words.clear();
        } else if raw.places.is_empty() {
            self.words.collect_text(raw.text, self.rules);
        } else {
            self.words.collect(raw.text, raw.places, raw.slots, self.rules);
        }
        for value in clean.split(|byte| *byte == b'\n') {
            if time::shape(value).is_none() && address::alone(value).is_none() {
                self.strange(value, raw.text, (line, None), out);
            }
        }
        let mut kept = None;
        for (field, word) in self.words.each() {
            let short = word.len() <= 4 && word.iter().all(u8::is_ascii_digit);
            let hits = if short || out.has(line, field) { 0 } else { count(&mut self.layers, &clean, word) };
            if hits > 0 {
                let kept = kept.get_or_insert_with(|| kept_of_all(raw, self.rules));
                if hits > COPIES * count(&mut self.layers, kept, word) {
                    out.leak(line, field, None);
                }
            }
        }
    }

    /// Addresses and e-mails of the clean line.
    fn look(&mut self, clean: &[u8]) {
        self.found.clear();
        self.emails.clear();
        let (found, emails) = (&mut self.found, &mut self.emails);
        self.layers.each(clean, |layer| {
            address::scan(layer.text, |hit| found.push((layer.place(hit.range.start), hit.addr, hit.form)));
            email::each(layer.text, |hit| {
                let place = layer.place(hit.start);
                emails.push((place, layer.text.get(hit).unwrap_or_default().to_ascii_lowercase()));
            });
        });
    }

    /// What each slot says by itself: dropped values, identifiers left in place, cut addresses.
    fn slots(&mut self, pair: Pair<'_>, line: u64, out: &mut Findings) {
        for (place, origin) in pair.values() {
            let (after, before) = (pair.clean.value(place), pair.raw.value(origin));
            if is_gone(after) || is_nest(place.text) {
                continue;
            }
            let slot = pair.clean.slots.get(place.slot);
            if slot.is_some_and(|slot| self.rules.drops(slot)) && after == before {
                out.leak(line, place.field, Some(place.field));
                continue;
            }
            let field = place.field;
            if is_address_field(field) {
                self.kin(before, after, field, line, out);
            } else if matches!(field, Field::User | Field::Ident | Field::Session | Field::RequestId) {
                if after == before && !self.rules.keeps(field) && !is_pseudonym(after) {
                    out.leak(line, field, Some(field));
                }
            } else if matches!(field, Field::Query | Field::Cookie) && slot.is_some_and(|slot| slot.name.is_empty()) {
                let separator = if field == Field::Query { b'&' } else { b';' };
                let pairs = after.get(mark(after)..).unwrap_or_default().split(|byte| *byte == separator);
                let stays = |(name, value): (&[u8], &[u8])| is_gone(value) || is_pseudonym(value) || self.rules.keeps_name(field, name);
                if !pairs.map(halves).all(stays) {
                    out.leak(line, field, Some(field));
                }
            }
        }
    }

    /// The addresses of one slot before and after: how many bits stayed.
    fn kin(&mut self, before: &[u8], after: &[u8], field: Field, line: u64, out: &mut Findings) {
        if self.rules.keeps(field) || is_pseudonym(after) {
            return;
        }
        if let (Some(own), Some(now)) = (address::alone(before), address::alone(after)) {
            return self.kindred(own, now, field, line, out);
        }
        let (raw, clean) = (addresses_of(before), addresses_of(after));
        let equal = raw.len() == clean.len();
        for (index, now) in clean.iter().enumerate() {
            let own = raw.get(index).filter(|_| equal).or_else(|| raw.iter().find(|raw| super::prefix::kinship(**raw, *now) != super::prefix::Kinship::Foreign));
            if let Some(own) = own.or(raw.first()) {
                self.kindred(*own, *now, field, line, out);
            }
        }
    }

    /// One address and what became of it.
    #[inline]
    fn kindred(&mut self, own: Addr, now: Addr, field: Field, line: u64, out: &mut Findings) {
        // A pseudonym may be written as an address; only the raw one itself is no pseudonym.
        if now.is_nobody() || (own == now && self.rules.excepts(own)) || (own != now && now.may_be_pseudonym()) {
            return;
        }
        if own == now && !self.rules.leaves(own) {
            out.leak(line, field, Some(field));
        } else {
            self.prefixes.add(field, own, now, line);
        }
    }

    fn read_raw(&mut self, raw: View<'_>) {
        if std::mem::replace(&mut self.raw_read, true) {
            return;
        }
        self.raw.clear();
        let list = &mut self.raw;
        self.layers.each(raw.text, |layer| address::named(layer.text, |hit| list.push((raw.place_at(layer.place(hit.range.start)), hit.addr, hit.form))));
        for (index, place) in raw.places.iter().enumerate() {
            if is_address_field(place.field) {
                list.extend(addresses_of(raw.value(place)).into_iter().map(|addr| (Some(index), addr, Form::Plain)));
            }
        }
    }

    /// Addresses of the clean line that are the record's, or nobody knows whose.
    fn addresses(&mut self, raw: View<'_>, pair: Option<Pair<'_>>, text: &[u8], line: u64, out: &mut Findings) {
        let found = std::mem::take(&mut self.found);
        for (at, addr, form) in &found {
            let field = pair.and_then(|pair| pair.field_at(*at));
            if addr.is_nobody() || field.is_some_and(|field| is_number_field(field) && *form == Form::Remote) {
                continue;
            }
            // A slot's own address was compared with its own record; here it may only be another slot's.
            let own_slot = field.is_some_and(is_address_field);
            if (own_slot && (*form == Form::Remote || self.rules.leaves(*addr))) || self.rules.excepts(*addr) {
                continue;
            }
            self.read_raw(raw);
            let origin = self.raw.iter().find(|(_, raw, _)| raw == addr);
            match origin {
                Some((origin, ..)) => {
                    let from = origin.and_then(|index| raw.places.get(index)).map_or(Field::Other, |place| place.field);
                    if out.has(line, from) {
                        continue;
                    }
                    let own = match pair {
                        Some(pair) if field.is_some() => self.is_own(pair, *at, *addr, &found),
                        Some(pair) => self.is_literal(pair, *addr, &found),
                        None => self.is_copied(raw, *addr, &found),
                    };
                    let cut = (pair.is_none() || field != Some(Field::Path)) && self.rules.leaves(*addr);
                    if !own && !cut && !is_version(text, *at, field) {
                        out.leak(line, from, field);
                    }
                }
                None if (self.odd || *form == Form::Plain) && !own_slot && !addr.may_be_pseudonym() && !self.rules.leaves(*addr) && !is_version(text, *at, field) => {
                    out.suspect_address(*addr, line, field)
                }
                None => {}
            }
        }
        self.found = found;
    }

    /// Whether the value around it is one that policies keep and held the address before.
    fn is_own(&self, pair: Pair<'_>, at: usize, addr: Addr, found: &[(usize, Addr, Form)]) -> bool {
        let Some((now, origin)) = pair.clean.place_at(at).and_then(|place| pair.clean.places.get(place).zip(pair.map.get(place))) else { return false };
        let before = self.raw.iter().filter(|(place, raw, _)| *place == Some(*origin) && *raw == addr).count();
        let after = found.iter().filter(|(at, found, _)| *found == addr && (now.start..now.end).contains(at)).count();
        let kept = pair.raw.places.get(*origin).is_some_and(|place| is_kept_field(place.field));
        // A field that a policy names as kept is scanned like any other; only what names the serving side may be an address.
        kept && before > 0 && after <= before.max(2)
    }

    /// Whether it stands between the values, where the raw line has it too.
    fn is_literal(&self, pair: Pair<'_>, addr: Addr, found: &[(usize, Addr, Form)]) -> bool {
        let before = self.raw.iter().filter(|(place, raw, _)| place.is_none() && *raw == addr).count();
        let after = found.iter().filter(|(at, found, _)| *found == addr && pair.clean.place_at(*at).is_none()).count();
        !pair.raw.places.is_empty() && after <= before
    }

    /// Whether a line of another layout has it from values that policies keep.
    fn is_copied(&self, raw: View<'_>, addr: Addr, found: &[(usize, Addr, Form)]) -> bool {
        let kept = |place: &Option<usize>| place.and_then(|place| raw.places.get(place)).is_some_and(|place| is_kept_field(place.field));
        let before = self.raw.iter().filter(|(place, raw, _)| *raw == addr && kept(place)).count();
        found.iter().filter(|(_, found, _)| *found == addr).count() <= before * COPIES
    }

    fn mails(&mut self, raw: View<'_>, pair: Option<Pair<'_>>, line: u64, out: &mut Findings) {
        if self.emails.is_empty() || self.rules.keeps(Field::User) {
            return;
        }
        let mut known: Vec<(Option<usize>, Vec<u8>)> = Vec::new();
        self.layers.each(raw.text, |layer| {
            email::each(layer.text, |hit| {
                let place = raw.place_at(layer.place(hit.start));
                known.push((place, layer.text.get(hit).unwrap_or_default().to_ascii_lowercase()));
            });
        });
        for (at, email) in &self.emails {
            let field = pair.and_then(|pair| pair.field_at(*at));
            match known.iter().find(|(_, known)| known == email) {
                Some((origin, _)) => {
                    let from = origin.and_then(|index| raw.places.get(index)).map_or(Field::Other, |place| place.field);
                    out.leak(line, from, field);
                }
                None => out.suspect_email(email, line, field),
            }
        }
    }

    /// Words of the record that stand whole where they did not stand before.
    fn standing(&mut self, pair: Pair<'_>, line: u64, out: &mut Findings) {
        if self.words.is_empty() {
            return;
        }
        let rules = self.rules;
        let words = &self.words;
        self.layers.each(pair.clean.text, |layer| {
            let twos = Twos::of(layer.text);
            for (field, word) in words.each() {
                if !twos.may_hold(word) || out.has(line, field) {
                    continue;
                }
                let mut judged = None;
                for hit in whole(layer.text, word) {
                    let at = layer.place(hit.start);
                    // All of one value are judged at once.
                    let place = pair.clean.place_at(at);
                    if judged.replace(place) == Some(place) {
                        continue;
                    }
                    if !may_stand(pair, at, (field, word), rules) {
                        out.leak(line, field, pair.field_at(at));
                    }
                }
            }
        });
    }
}

/// Which pairs of bytes a text has: most words are not in it, and this says so at once.
struct Twos([u64; 64]);

impl Twos {
    fn of(text: &[u8]) -> Self {
        let mut bits = [0_u64; 64];
        for pair in text.windows(2) {
            let (word, bit) = Self::bit(pair);
            if let Some(word) = bits.get_mut(word) {
                *word |= bit;
            }
        }
        Self(bits)
    }

    #[inline]
    fn bit(pair: &[u8]) -> (usize, u64) {
        let number = pair.iter().fold(0_usize, |sum, byte| sum * 37 + usize::from(*byte));
        (number / 64 % 64, 1 << (number % 64))
    }

    #[inline]
    fn may_hold(&self, word: &[u8]) -> bool {
        word.windows(2).take(8).all(|pair| {
            let (word, bit) = Self::bit(pair);
            self.0.get(word).is_some_and(|bits| bits & bit != 0)
        })
    }
}

/// Whether a word stands where it may: it stood there before, in what policies keep.
fn may_stand(pair: Pair<'_>, at: usize, (field, word): (Field, &[u8]), rules: &Rules) -> bool {
    let Pair { raw, clean, map } = pair;
    let mut layers = Layers::default();
    let Some((index, now)) = clean.place_at(at).and_then(|index| Some((index, clean.places.get(index)?))) else {
        let between = |view: View<'_>| gaps(view).filter_map(|gap| view.text.get(gap)).collect::<Vec<_>>().join(&b'\n');
        return count(&mut layers, &between(clean), word) <= count(&mut layers, &between(raw), word);
    };
    let after = clean.value(now);
    if is_address_field(now.field) {
        return !addresses_of(after).is_empty();
    }
    if is_number_field(now.field) {
        return now.field == Field::Time || !after.iter().any(u8::is_ascii_alphabetic);
    }
    if now.field == Field::UserAgent && is_reduced_agent(after) && is_of_agents(field, word) {
        return true;
    }
    let own = map.get(index).and_then(|origin| raw.places.get(*origin)).map(|origin| kept(raw, origin, rules)).unwrap_or_default();
    count(&mut layers, after, word) <= count(&mut layers, &own, word)
}

/// Whether a word may be one that a reduced agent has of its own: the name of a product, a system, a class.
fn is_of_agents(field: Field, word: &[u8]) -> bool {
    let person = matches!(field, Field::User | Field::Ident | Field::Session | Field::RequestId | Field::ClientAddr | Field::ProxiedAddr);
    let common = CLASSES.iter().chain(&SYSTEMS).any(|known| known.eq_ignore_ascii_case(word));
    common || (!person && word.iter().filter(|byte| byte.is_ascii_digit()).count() < 3 && !word.contains(&b'@'))
}

/// How often a word stands in a text, in the reading that has it most often.
fn count(layers: &mut Layers, text: &[u8], word: &[u8]) -> usize {
    let mut most = 0;
    layers.each(text, |layer| most = most.max(whole(layer.text, word).count()));
    most
}

/// The part of a raw value that policies keep.
fn kept(raw: View<'_>, place: &Place, rules: &Rules) -> Vec<u8> {
    let value = raw.value(place);
    let name = raw.slots.get(place.slot).map_or("", |slot: &Slot| &slot.name);
    let field = place.field;
    if matches!(field, Field::Query | Field::Cookie) {
        if !name.is_empty() {
            return if rules.keeps_name(field, name.as_bytes()) { value.to_vec() } else { Vec::new() };
        }
        let separator = if field == Field::Query { b'&' } else { b';' };
        let pairs = value.get(mark(value)..).unwrap_or_default().split(|byte| *byte == separator);
        return pairs.filter(|pair| rules.keeps_name(field, halves(pair).0)).collect::<Vec<_>>().join(&separator);
    }
    let person = is_address_field(field) || matches!(field, Field::Ident | Field::User | Field::Session | Field::RequestId);
    if rules.keeps(field) {
        value.to_vec()
    } else if person || (field == Field::Header && Rules::is_secret(name)) {
        Vec::new()
    } else if matches!(field, Field::Referrer | Field::Request | Field::Url) {
        value.get(..query_in(value).unwrap_or(value.len())).unwrap_or_default().to_vec()
    } else {
        value.to_vec()
    }
}

/// Everything of a raw record that policies keep; of a line without places, what is no query.
fn kept_of_all(raw: View<'_>, rules: &Rules) -> Vec<u8> {
    if raw.places.is_empty() {
        let words = raw.text.split(|byte| matches!(byte, b' ' | b'"' | b'\t'));
        return words.map(|word| word.get(..query_in(word).unwrap_or(word.len())).unwrap_or_default()).collect::<Vec<_>>().join(&b' ');
    }
    raw.places.iter().map(|place| kept(raw, place, rules)).collect::<Vec<_>>().join(&b'\n')
}

/// Every address that a slot of addresses names.
fn addresses_of(value: &[u8]) -> Vec<Addr> {
    let mut list = Vec::new();
    address::named(value, |found| list.push(found.addr));
    if list.is_empty() && value.iter().any(|byte| matches!(byte, b'\\' | b'%')) {
        let plain = decoded(value);
        match address::binary(&plain) {
            Some(addr) => list.push(addr),
            None => address::named(&plain, |found| list.push(found.addr)),
        }
    }
    list
}

const fn is_address_field(field: Field) -> bool {
    matches!(field, Field::ClientAddr | Field::ProxiedAddr)
}

/// Fields whose values are numbers and times, which may look like an address written as one number.
const fn is_number_field(field: Field) -> bool {
    matches!(field, Field::Status | Field::Bytes | Field::Duration | Field::Time | Field::ClientPort)
}

/// Fields that name the serving side: an address there is their own.
const fn is_kept_field(field: Field) -> bool {
    matches!(field, Field::Host | Field::Server | Field::Status | Field::Bytes | Field::Duration | Field::Time | Field::Protocol)
}

/// `Chrome/120.0.0.0` and `rv:1.9.0.1` in a user agent.
fn is_version(text: &[u8], at: usize, field: Option<Field>) -> bool {
    let before = text.get(..at).unwrap_or_default();
    let product = matches!(before, [.., letter, b'/' | b':' | b'-'] if letter.is_ascii_alphanumeric());
    field == Some(Field::UserAgent) && product
}
