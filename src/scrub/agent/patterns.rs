//! The patterns of uap-core: which of them may match an agent, and which is the first that does.

use std::ops::Range;
use std::sync::OnceLock;

use foldhash::{HashMap, HashMapExt};
use memchr::memmem::Finder;
use regex_automata::nfa::thompson::backtrack::{self, BoundedBacktracker};
use regex_automata::nfa::thompson::{self, NFA};
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};

use super::lists::{Bits, Lists};
use super::words::Words;

/// Agents are looked at up to here.
pub(super) const AGENT_BYTES_MAX: usize = 1024;

/// Its head says what the columns are; `generate` makes it.
const PATTERNS: &str = include_str!("patterns.tsv");
/// Attempts at single positions before one search over the rest, whose cost does not grow with their number.
const ATTEMPTS: usize = 4;
/// Enough for the largest pattern over the longest agent; a test holds it to that.
const VISITED_BYTES: usize = 32 * 1024;
/// Buckets of the window table.
const BUCKETS_LOG2: u32 = 13;
/// Its windows say nothing of an agent: literals are found by other ones where they have any.
const COMMON: &[u8] = b"Mozilla/5.0 (compatible; Windows NT 10.0; Win64; x64) AppleWebKit/537.36 \
    (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36 (Linux; Android 10; K) Version/17.0 \
    (iPhone; CPU iPhone OS 17_0 like Mac OS X) (Macintosh; Intel Mac OS X 10_15_7) Build/ en-US; \
    (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0 https://www. +http:// .com/bot.html)";

/// All patterns and what finds the candidates among them; made once, on the first agent that is not known yet.
pub(super) struct Patterns {
    all: Vec<Pattern>,
    /// Where the patterns for operating systems begin.
    systems: usize,
    literals: Vec<&'static [u8]>,
    /// Hashed window → literals with that window, and where in them it is (`literal << 8 | offset`).
    windows: Lists,
    /// Windows of which there are any: a set that stays in the processor's nearest cache, and most windows of an agent are none of them.
    known: Bits,
    /// Literal → patterns of whose first set it is.
    leads: Lists,
    /// Further set → its literals.
    sets: Lists,
    /// Patterns without a set.
    always: Vec<usize>,
}

struct Pattern {
    regex: &'static str,
    name: Name,
    major: &'static str,
    starts: Starts,
    /// Further sets, of each of which one literal must be there.
    sets: Range<usize>,
    /// One more alternative of the pattern before it: of them the earliest match wins.
    more: bool,
    open: bool,
    compiled: OnceLock<Option<BoundedBacktracker>>,
}

enum Starts {
    Anywhere,
    Front,
    With(&'static str, OnceLock<Finder<'static>>),
    Any(Words<'static>),
}

/// A name before and, where there is one, after what is captured.
pub(super) type Name = (&'static str, Option<&'static str>);

/// The result of the first pattern that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit<'a> {
    pub(super) name: Name,
    /// What stands between the two parts of the name.
    pub(super) captured: &'a [u8],
    /// `captured` may be any text, not one of a list.
    pub(super) open: bool,
    pub(super) major: &'a [u8],
}

/// What a thread searches with; its size depends on the patterns alone.
#[derive(Default)]
pub(super) struct Scratch {
    found: Bits,
    candidates: Bits,
    cache: Option<backtrack::Cache>,
}

impl Patterns {
    pub(super) fn shared() -> &'static Patterns {
        static SHARED: OnceLock<Patterns> = OnceLock::new();
        SHARED.get_or_init(|| Patterns::read(PATTERNS))
    }

    fn read(text: &'static str) -> Patterns {
        let mut literals: Vec<&'static [u8]> = Vec::with_capacity(2048);
        let mut ids: HashMap<&'static str, u32> = HashMap::with_capacity(2048);
        let mut id = |literal: &'static str| {
            *ids.entry(literal).or_insert_with(|| {
                literals.push(literal.as_bytes());
                literals.len() as u32 - 1
            })
        };
        let mut all: Vec<Pattern> = Vec::with_capacity(1200);
        let (mut leads, mut sets, mut always) = (Vec::new(), Vec::new(), Vec::new());
        let (mut systems, mut set) = (usize::MAX, 0);
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let mut columns = line.split('\t');
            let mut column = || columns.next().unwrap_or_default();
            let (kind, name, major, starts, regex) = (column(), column(), column(), column(), column());
            let at = all.len();
            if kind.starts_with('o') {
                systems = systems.min(at);
            }
            match columns.next() {
                Some(first) => leads.extend(first.split('`').map(|one| (id(one), at as u32))),
                None => always.push(at),
            }
            let first = set;
            for further in columns {
                sets.extend(further.split('`').map(|one| (set, id(one))));
                set += 1;
            }
            all.push(Pattern {
                regex,
                name: name.split_once("$1").map_or((name, None), |(before, after)| (before, Some(after))),
                major,
                starts: Starts::read(starts),
                sets: first as usize..set as usize,
                more: kind.contains('+'),
                open: kind.contains('?'),
                compiled: OnceLock::new(),
            });
        }
        let windows = windows(&literals);
        let mut known = Bits::default();
        known.clear(1 << BUCKETS_LOG2);
        for (bucket, _) in &windows {
            known.insert(*bucket as usize);
        }
        Patterns {
            systems: systems.min(all.len()),
            windows: Lists::new(windows, 1 << BUCKETS_LOG2),
            known,
            leads: Lists::new(leads, literals.len()),
            sets: Lists::new(sets, set as usize),
            all,
            literals,
            always,
        }
    }

    /// Finds the literals in `agent` and with them the patterns that may match; `agent` is at most
    /// [`AGENT_BYTES_MAX`] long.
    pub(super) fn prepare(&self, agent: &[u8], scratch: &mut Scratch) {
        let Scratch { found, candidates, .. } = scratch;
        found.clear(self.literals.len());
        candidates.clear(self.all.len());
        for &at in &self.always {
            candidates.insert(at);
        }
        for (at, window) in agent.array_windows::<3>().enumerate() {
            let bucket = bucket(*window);
            if !self.known.has(bucket) {
                continue;
            }
            for &item in self.windows.list(bucket) {
                let (literal, offset) = ((item >> 8) as usize, (item & 0xff) as usize);
                let rest = at.checked_sub(offset).and_then(|start| agent.get(start..));
                let text = self.literals.get(literal).copied().unwrap_or_default();
                if rest.is_some_and(|rest| rest.starts_with(text)) && found.insert(literal) {
                    for &pattern in self.leads.list(literal) {
                        candidates.insert(pattern as usize);
                    }
                }
            }
        }
    }

    /// What the first pattern says of the product; `scratch` is prepared for `agent`.
    pub(super) fn product<'a>(&self, agent: &'a [u8], scratch: &mut Scratch) -> Option<Hit<'a>> {
        self.first(0..self.systems, agent, scratch)
    }

    /// What the first pattern says of the operating system; `scratch` is prepared for `agent`.
    pub(super) fn system<'a>(&self, agent: &'a [u8], scratch: &mut Scratch) -> Option<Hit<'a>> {
        self.first(self.systems..self.all.len(), agent, scratch)
    }

    fn first<'a>(&self, among: Range<usize>, agent: &'a [u8], scratch: &mut Scratch) -> Option<Hit<'a>> {
        let Scratch { found, candidates, cache } = scratch;
        let mut best: Option<(usize, Hit<'a>)> = None;
        let mut group = among.start;
        let mut next = among.start;
        while let Some(at) = candidates.next(next).filter(|at| among.contains(at)) {
            next = at + 1;
            let pattern = self.all.get(at)?;
            if let Some((start, hit)) = best {
                if !self.same(group, at) {
                    return Some(hit);
                }
                if start == 0 {
                    continue;
                }
            }
            let mut sets = pattern.sets.clone();
            if !sets.all(|set| self.sets.list(set).iter().any(|&id| found.has(id as usize))) {
                continue;
            }
            let hit = pattern.search(agent, cache);
            if let Some((start, _)) = hit
                && best.is_none_or(|(best, _)| start < best)
            {
                (best, group) = (hit, at);
            }
        }
        best.map(|(_, hit)| hit)
    }

    /// Whether `later` is an alternative of the pattern that `at` belongs to.
    fn same(&self, at: usize, later: usize) -> bool {
        self.all.get(at + 1..=later).is_some_and(|all| all.iter().all(|one| one.more))
    }
}

impl Starts {
    fn read(column: &'static str) -> Starts {
        match column {
            "" => Starts::Anywhere,
            "^" => Starts::Front,
            one if !one.contains('`') => Starts::With(one, OnceLock::new()),
            some => {
                // The table is made once and never dropped.
                let words: Vec<&[u8]> = some.split('`').map(str::as_bytes).collect();
                Starts::Any(Words::new(Vec::leak(words)))
            }
        }
    }
}

impl Pattern {
    /// The leftmost match: where it begins, and what it says.
    fn search<'a>(&self, agent: &'a [u8], cache: &mut Option<backtrack::Cache>) -> Option<(usize, Hit<'a>)> {
        let regex = self.compiled.get_or_init(|| compile(self.regex)).as_ref()?;
        let cache = cache.get_or_insert_with(|| regex.create_cache());
        let mut slots = [None; 6];
        let slots = slots.get_mut(..self.slots())?;
        let mut at = 0;
        let mut attempts = 0;
        loop {
            let rest = agent.get(at..)?;
            let start = match &self.starts {
                Starts::Front | Starts::Anywhere => 0,
                Starts::With(word, finder) => finder.get_or_init(|| Finder::new(*word)).find(rest)?,
                Starts::Any(words) => words.find(rest)?,
            };
            at += start;
            attempts += 1;
            let anchored = if attempts > ATTEMPTS || matches!(self.starts, Starts::Anywhere) { Anchored::No } else { Anchored::Yes };
            let input = Input::new(agent).span(at..agent.len()).anchored(anchored);
            cache.reset(regex);
            let matched = regex.try_search_slots(cache, &input, slots).ok()?;
            if matched.is_some() {
                return Some((slots.first().copied().flatten()?.get(), self.hit(agent, slots)));
            }
            if anchored == Anchored::No || matches!(self.starts, Starts::Front) {
                return None;
            }
            at += 1;
        }
    }

    fn slots(&self) -> usize {
        match (self.name.1.is_some(), self.major) {
            (_, "$2") => 6,
            (true, _) => 4,
            (false, _) => 2,
        }
    }

    fn hit<'a>(&self, agent: &'a [u8], slots: &[Option<NonMaxUsize>]) -> Hit<'a> {
        let group = |index: usize| match slots.get(2 * index..2 * index + 2) {
            Some(&[Some(from), Some(to)]) => agent.get(from.get()..to.get()).unwrap_or_default(),
            _ => &[],
        };
        let major = if self.major == "$2" { group(2) } else { self.major.as_bytes() };
        Hit { name: self.name, captured: group(1), open: self.open, major }
    }
}

/// Bytes, not Unicode: agents are bytes, and the tables of Unicode are large.
fn compile(regex: &str) -> Option<BoundedBacktracker> {
    let nfa: NFA = thompson::Compiler::new()
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .configure(thompson::Config::new().utf8(false).nfa_size_limit(Some(1 << 20)))
        .build(regex)
        .ok()?;
    let config = BoundedBacktracker::config().visited_capacity(VISITED_BYTES);
    BoundedBacktracker::builder().configure(config).build_from_nfa(nfa).ok()
}

fn bucket(window: [u8; 3]) -> usize {
    let [a, b, c] = window;
    let hash = u32::from_le_bytes([a, b, c, 0]).wrapping_mul(0x9e37_79b1);
    (hash >> (u32::BITS - BUCKETS_LOG2)) as usize
}

/// For each literal the window by which it is found: one that agents do not have anyway.
fn windows(literals: &[&[u8]]) -> Vec<(u32, u32)> {
    let mut load = vec![0_u32; 1 << BUCKETS_LOG2];
    let mut add = |bucket: usize, weight| match load.get_mut(bucket) {
        Some(sum) => {
            *sum += weight;
            *sum
        }
        None => 0,
    };
    for window in COMMON.array_windows::<3>() {
        add(bucket(*window), 1000);
    }
    let mut pairs = Vec::with_capacity(literals.len());
    for (id, literal) in literals.iter().enumerate() {
        let windows = literal.array_windows::<3>().map(|window| bucket(*window)).enumerate();
        let best = windows.take(256).min_by_key(|&(_, bucket)| add(bucket, 0));
        if let Some((offset, bucket)) = best {
            add(bucket, 1);
            pairs.push((bucket as u32, (id << 8 | offset) as u32));
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles_and_fits() {
        let patterns = Patterns::shared();
        assert!(patterns.all.len() > 1000 && patterns.systems > 800);
        let mut bytes = 0;
        for pattern in &patterns.all {
            let regex = compile(pattern.regex).unwrap();
            assert!(regex.max_haystack_len() >= AGENT_BYTES_MAX, "{}", pattern.regex);
            bytes += regex.get_nfa().memory_usage();
        }
        assert!(bytes < 2 << 20, "{bytes}");
    }

    #[test]
    fn every_literal_has_a_window() {
        let patterns = Patterns::shared();
        let windows = (0..1 << BUCKETS_LOG2).map(|bucket| patterns.windows.list(bucket).len());
        assert_eq!(windows.sum::<usize>(), patterns.literals.len());
    }

    #[test]
    fn the_earliest_of_the_alternatives_of_a_pattern_wins() {
        let (patterns, mut scratch) = (Patterns::shared(), Scratch::default());
        for (agent, expected) in [("x heritrix/1 Aboundex/2", "heritrix"), ("Slurp Aboundex", "Slurp")] {
            patterns.prepare(agent.as_bytes(), &mut scratch);
            let hit = patterns.product(agent.as_bytes(), &mut scratch).unwrap();
            assert_eq!(hit.captured, expected.as_bytes());
        }
    }

    #[test]
    fn beginnings_without_end_cost_one_search() {
        let (patterns, mut scratch) = (Patterns::shared(), Scratch::default());
        let agent = "Chrome/ ".repeat(AGENT_BYTES_MAX / 8) + "Chrome/1.2";
        let end = agent.len() - AGENT_BYTES_MAX;
        let agent = &agent.as_bytes()[end..];
        patterns.prepare(agent, &mut scratch);
        assert_eq!(patterns.product(agent, &mut scratch).unwrap().major, b"1");
    }
}
