//! Which texts must stand in what a regular expression matches.

use std::collections::BTreeSet;

use regex_syntax::hir::{Class, Hir, HirKind};

/// Shorter literals do not help the prefilter, which hashes windows of this many bytes.
const WINDOW: usize = 3;
/// A set of alternatives larger than this is not worth its lookups.
const SET: usize = 64;

pub(super) type Set = BTreeSet<Vec<u8>>;

/// What is known of the texts that a pattern matches.
#[derive(Clone)]
pub(super) struct Found {
    /// All of them, where they are few.
    pub(super) exact: Option<Set>,
    /// Each of them begins with one of these.
    pub(super) starts: Set,
    /// Each of them contains one of each set.
    pub(super) sets: Vec<Set>,
}

impl Found {
    pub(super) fn of(hir: &Hir) -> Found {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Found::exactly(nothing()),
            HirKind::Literal(literal) => Found::exactly(Set::from([literal.0.to_vec()])),
            HirKind::Class(class) => few(class).map_or_else(Found::unknown, Found::exactly),
            HirKind::Capture(group) => Found::of(&group.sub),
            HirKind::Repetition(repetition) => {
                let sub = Found::of(&repetition.sub);
                match (repetition.min, repetition.max, &sub.exact) {
                    (1, Some(1), _) => sub,
                    (0, Some(1), Some(exact)) => Found::exactly(&nothing() | exact),
                    (0, ..) => Found::unknown(),
                    _ => Found { exact: None, ..sub },
                }
            }
            HirKind::Concat(all) => Found::concat(all),
            HirKind::Alternation(all) => Found::either(all),
        }
    }

    fn exactly(set: Set) -> Found {
        Found { starts: set.clone(), sets: useful(&set).into_iter().collect(), exact: Some(set) }
    }

    fn unknown() -> Found {
        Found { exact: None, starts: nothing(), sets: Vec::new() }
    }

    fn concat(all: &[Hir]) -> Found {
        let mut sets = Vec::new();
        let mut run = nothing();
        let mut starts = None;
        for one in all {
            let one = Found::of(one);
            let follow = one.exact.as_ref().unwrap_or(&one.starts);
            let joined = product(&run, follow);
            if let (Some(_), Some(joined)) = (&one.exact, &joined) {
                run = joined.clone();
                continue;
            }
            let flushed = joined.unwrap_or_else(|| run.clone());
            sets.extend(useful(&flushed));
            starts.get_or_insert(flushed);
            sets.extend(one.sets);
            run = one.exact.unwrap_or_else(nothing);
        }
        sets.extend(useful(&run));
        let exact = starts.is_none().then(|| run.clone());
        Found { exact, starts: starts.unwrap_or(run), sets: thin(sets) }
    }

    fn either(all: &[Hir]) -> Found {
        let all: Vec<Found> = all.iter().map(Found::of).collect();
        let union = |sets: Vec<&Set>| sets.into_iter().flatten().cloned().collect::<Set>();
        let starts = union(all.iter().map(|one| &one.starts).collect());
        let exact = all.iter().map(|one| one.exact.as_ref()).collect::<Option<Vec<_>>>().map(union);
        if let Some(exact) = exact.filter(|exact| exact.len() <= SET) {
            return Found::exactly(exact);
        }
        let best = all.iter().map(|one| one.sets.iter().max_by_key(|set| worth(set)));
        let set = best.collect::<Option<Vec<_>>>().map(union);
        Found { exact: None, starts, sets: set.as_ref().and_then(useful).into_iter().collect() }
    }
}

fn nothing() -> Set {
    Set::from([Vec::new()])
}

fn few(class: &Class) -> Option<Set> {
    let bytes = match class {
        Class::Bytes(bytes) => bytes.clone(),
        Class::Unicode(chars) => chars.to_byte_class()?,
    };
    let all: Set = bytes.iter().flat_map(|r| r.start()..=r.end()).map(|b| vec![b]).collect();
    (all.len() <= 6 && all.iter().flatten().all(|byte| (32..127).contains(byte))).then_some(all)
}

fn product(one: &Set, other: &Set) -> Option<Set> {
    (one.len() * other.len() <= SET).then(|| {
        let pairs = one.iter().flat_map(|one| other.iter().map(move |other| (one, other)));
        pairs.map(|(one, other)| [one.as_slice(), other].concat()).collect()
    })
}

fn worth(set: &Set) -> (usize, usize) {
    (set.iter().map(Vec::len).min().unwrap_or(0), usize::MAX - set.len())
}

/// The set without what contains another of it, if it can serve the prefilter.
fn useful(set: &Set) -> Option<Set> {
    let within = |one: &[u8], all: &[u8]| all.windows(one.len()).any(|window| window == one);
    if set.iter().any(|one| one.len() < WINDOW) {
        return None;
    }
    let kept = |one: &&Vec<u8>| !set.iter().any(|other| other != *one && within(other, one));
    let kept: Set = set.iter().filter(kept).cloned().collect();
    (kept.len() <= SET * 4).then_some(kept)
}

/// Without doubles, the most telling first, no more than help.
fn thin(mut sets: Vec<Set>) -> Vec<Set> {
    sets.sort_by_key(|set| std::cmp::Reverse(worth(set)));
    let mut kept: Vec<Set> = Vec::new();
    for set in sets {
        if !kept.contains(&set) && kept.len() < 4 {
            kept.push(set);
        }
    }
    kept
}
