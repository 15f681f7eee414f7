//! IPv6 and MAC addresses: hexadecimal groups with colons between them, or with dashes as in names.

use std::ops::Range;

use super::surface::Walk;
use crate::scrub::address::{self, Host};

/// Runs of hexadecimal groups and colons around the colon at `at`, with a dotted quad and a zone behind them.
pub(super) fn coloned(walk: &mut Walk<'_>, at: usize, found: &mut Vec<Range<usize>>) {
    let is_part = |b: u8| b.is_ascii_hexdigit() || b == b':';
    if at < walk.colons_done || !is_part(walk.before(at)) || !is_part(walk.at(at + 1)) {
        return;
    }
    let mut run = walk.run(at, is_part);
    walk.colons_done = run.end;
    // A single colon at an edge belongs to the text around: `from:2001:db8::1`, `2001:db8::1: refused`.
    if walk.at(run.start) == b':' && walk.at(run.start + 1) != b':' {
        run.start += 1;
    }
    if walk.before(run.end) == b':' && walk.before(run.end - 1) != b':' {
        run.end -= 1;
    }
    let quad = quad_end(walk, &run);
    // The whole run first, as a word that lost letters is no harm: only where that is no address, without the groups that
    // may be the last or first letters of a word: `src:abcd::ef`, `fe80::1:dport`.
    for run in [run.clone(), without_words(walk, &run)] {
        let quad = quad.filter(|_| walk.at(run.end) == b'.');
        if is_address(walk, &run, quad) {
            return push(walk, run.start..quad.unwrap_or(run.end), found);
        }
    }
}

/// The run without its first and last group, where a letter touches them and a single colon sets them apart.
fn without_words(walk: &Walk<'_>, run: &Range<usize>) -> Range<usize> {
    let text = walk.slice(run.clone());
    let single = |at: &usize| *at > 0 && text.get(at - 1) != Some(&b':') && text.get(at + 1) != Some(&b':');
    let mut inner = run.clone();
    if walk.before(run.start).is_ascii_alphanumeric()
        && let Some(colon) = text.iter().position(|&b| b == b':').filter(single)
    {
        inner.start += colon + 1;
    }
    if walk.at(run.end).is_ascii_alphanumeric()
        && let Some(colon) = text.iter().rposition(|&b| b == b':').filter(single)
    {
        inner.end = inner.start.max(run.start + colon);
    }
    inner
}

fn is_address(walk: &Walk<'_>, run: &Range<usize>, quad: Option<usize>) -> bool {
    let mut groups = Groups::of(walk.slice(run.clone()), quad.is_some());
    let touches = [walk.before(run.start), walk.at(quad.unwrap_or(run.end))];
    groups.touching = touches.iter().any(u8::is_ascii_alphanumeric);
    groups.is_address()
}

/// The end of a dotted quad whose first octet is the last group of the run.
fn quad_end(walk: &Walk<'_>, run: &Range<usize>) -> Option<usize> {
    if walk.at(run.end) != b'.' {
        return None;
    }
    let last = walk.slice(run.clone()).iter().rposition(|&b| b == b':')? + run.start + 1;
    let (_, used) = address::v4_prefix(walk.slice(last..walk.text.len()))?;
    Some(last + used)
}

/// Adds the zone, and keeps the range unless the address is excepted.
fn push(walk: &Walk<'_>, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    if !walk.rules.except.is_empty()
        && let Some(endpoint) = address::parse(walk.slice(range.clone()))
        && let Host::V6(v6) = endpoint.host
        && walk.rules.except.contains(v6.into())
    {
        return;
    }
    let mut end = range.end;
    // `%ee0` reads as an escape, after which only a byte outside of ASCII is left.
    if walk.at(end) == b'%' || walk.at(end) >= 0x80 {
        let is_zone = |b: u8| b >= 0x80 || address::is_name(b);
        end += 1;
        end += walk.slice(end..walk.text.len()).iter().take(32).take_while(|&&b| is_zone(b)).count();
    }
    found.push(range.start..end);
}

/// What a run of groups consists of.
#[derive(Default)]
struct Groups {
    colons: usize,
    /// `::` stands in it.
    gap: bool,
    /// Groups that are not empty.
    count: usize,
    /// The longest chain of groups of at most four digits, of exactly two, of at most two.
    short: usize,
    pairs: usize,
    tiny: usize,
    /// The first and the last group have a decimal digit.
    first_digit: bool,
    last_digit: bool,
    quad: bool,
    /// Letters that cannot be part of it stand right before or behind.
    touching: bool,
}

impl Groups {
    fn of(text: &[u8], quad: bool) -> Self {
        let mut groups = Self { quad, ..Self::default() };
        let (mut short, mut pairs, mut tiny) = (0, 0, 0);
        let mut parts = 0;
        for part in text.split(|&b| b == b':') {
            parts += 1;
            let chain = |so_far: usize, fits: bool| if fits { so_far + 1 } else { 0 };
            short = chain(short, (1..=4).contains(&part.len()));
            pairs = chain(pairs, part.len() == 2);
            tiny = chain(tiny, (1..=2).contains(&part.len()));
            groups.short = groups.short.max(short);
            groups.pairs = groups.pairs.max(pairs);
            groups.tiny = groups.tiny.max(tiny);
            if part.is_empty() {
                groups.gap = true;
            } else {
                groups.last_digit = part.iter().any(u8::is_ascii_digit);
                groups.first_digit |= groups.count == 0 && groups.last_digit;
                groups.count += 1;
            }
        }
        groups.colons = parts - 1;
        groups
    }

    fn is_address(&self) -> bool {
        if !self.gap {
            let mac = self.pairs >= 6 || self.count == 6 && (self.tiny == 6 || self.pairs >= 4 && self.short == 6);
            return self.short >= 8 || mac || self.quad && self.colons >= 6;
        }
        // Without a digit `a::b` between letters is a name of a programming language.
        let digits = self.first_digit && self.last_digit && self.count >= 2;
        let certain = self.quad || self.colons >= 3 && (self.first_digit || self.last_digit) || digits;
        self.count > 0 && (!self.touching || certain)
    }
}

/// Runs of hexadecimal groups and dashes around the dash at `at`: eight groups or `--` make IPv6, six pairs a MAC address.
pub(super) fn dashed(walk: &mut Walk<'_>, at: usize, found: &mut Vec<Range<usize>>) {
    if at < walk.dashes_done {
        return;
    }
    // The first mark of a run has one group before it. Most are words of a slug, and end the run with the next one.
    let behind = walk.slice(at + 1..walk.text.len());
    let group = behind.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let next = behind.get(group).copied().unwrap_or(0);
    if group > 0 && next != b'-' {
        walk.dashes_done = at + 1 + group;
        return;
    }
    let run = walk.run(at, |b| b.is_ascii_hexdigit() || b == b'-');
    walk.dashes_done = run.end;
    let mut chain = Chain::default();
    let mut at = run.start;
    let mut empty = 0;
    for part in walk.slice(run.clone()).split(|&b| b == b'-') {
        let group = at..at + part.len();
        at = group.end + 1;
        if group.is_empty() {
            empty += 1;
            continue;
        }
        if empty > 1 || empty == 1 && chain.gap {
            chain.close(found);
        }
        chain.gap |= empty == 1 && chain.count > 0;
        empty = 0;
        let touches = group.start == run.start && walk.before(run.start).is_ascii_alphanumeric()
            || group.end == run.end && walk.at(run.end).is_ascii_alphanumeric() && !is_literal_zone(walk, run.end);
        chain.add(group, part, touches, found);
    }
    chain.open_end = empty == 2 && !walk.at(run.end).is_ascii_alphanumeric();
    chain.close(found);
}

/// `fe80--1s4.ipv6-literal.net`: the zone behind an `s`.
fn is_literal_zone(walk: &Walk<'_>, at: usize) -> bool {
    let rest = walk.slice(at..walk.text.len());
    let digits = rest.iter().skip(1).take(10).take_while(|b| b.is_ascii_digit()).count();
    rest.first().is_some_and(|b| b.eq_ignore_ascii_case(&b's')) && digits > 0 && !rest.get(digits + 1).is_some_and(u8::is_ascii_alphanumeric)
}

/// Consecutive groups of one to four digits, joined by dashes, at most once by two.
#[derive(Default)]
struct Chain {
    range: Range<usize>,
    count: usize,
    gap: bool,
    digit: bool,
    /// The first group is that of a global, local or link-local address: `2001`, `fd12`, `fe80`.
    routed: bool,
    /// Ends in `--`.
    open_end: bool,
    pairs: usize,
    pairs_start: usize,
}

impl Chain {
    fn add(&mut self, group: Range<usize>, part: &[u8], touches: bool, found: &mut Vec<Range<usize>>) {
        // Letters may touch a pair of a MAC address, and then it is the end of a longer word that must not decide.
        if part.len() == 2 {
            if self.pairs == 0 {
                self.pairs_start = group.start;
            }
            self.pairs += 1;
            if self.pairs >= 6 {
                found.push(self.pairs_start..group.end);
            }
        } else {
            self.pairs = 0;
        }
        if touches || part.len() > 4 {
            let pairs = (self.pairs, self.pairs_start);
            self.close(found);
            (self.pairs, self.pairs_start) = pairs;
            return;
        }
        if self.count == 0 {
            self.range.start = group.start;
            self.routed = part.len() == 4 && matches!(part.first(), Some(b'2' | b'3' | b'f' | b'F'));
        }
        self.range.end = group.end;
        self.count += 1;
        self.digit |= part.iter().any(u8::is_ascii_digit);
    }

    fn close(&mut self, found: &mut Vec<Range<usize>>) {
        let compressed = self.gap && self.digit && self.count >= 2;
        let network = self.open_end && self.routed && !self.gap && self.count >= 2;
        if self.count >= 8 || compressed || network {
            found.push(self.range.start..self.range.end + if network { 2 } else { 0 });
        }
        *self = Self::default();
    }
}
