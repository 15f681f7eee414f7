//! Makes `patterns.tsv` from uap-core's `regexes.yaml` and checks that the file in the tree is what it makes.

use std::fmt::Write as _;
use std::ops::Range;

use regex_automata::nfa::thompson::Compiler;
use regex_automata::nfa::thompson::backtrack::BoundedBacktracker;
use regex_automata::util::syntax::Config as Syntax;
use regex_syntax::ast::{self, Ast, GroupKind};
use regex_syntax::hir::{Hir, HirKind, Look};

use super::literals::{Found, Set};
use super::patterns::{Patterns, Scratch};

/// Beginnings looked for one after the other, at most.
const STARTS: usize = 8;
/// Repetitions bounded this high only keep backtracking engines from harm; they become unbounded.
const LOOSE: u32 = 50;
/// Longer lists of alternatives at the start of a pattern become lines of their own.
const SPLIT: usize = 3;

const HEAD: &str = "\
# Generated from regexes.yaml (uap-core, Copyright 2009 Google Inc., Apache-2.0, see LICENSE-uap-core): do not edit.
# u|o: user agent or operating system; +: one more alternative of the pattern above; ?: what $1 captures is open.
# kind, name, major, starts (^ or literals), regex, then sets of literals of which one each must stand in the agent.
";

#[test]
fn the_patterns_in_the_tree_are_what_the_yaml_gives() {
    let made = generate(include_str!("regexes.yaml"));
    if std::env::var_os("LOGFADE_REGENERATE").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/scrub/agent/patterns.tsv");
        std::fs::write(path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/scrub/agent/patterns.tsv")).unwrap();
    assert!(made == kept, "run this test with LOGFADE_REGENERATE=1");
}

/// The lines find what the yaml, taken word by word, finds.
#[test]
fn the_patterns_match_as_the_yaml_does() {
    let agents = [
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko",
        "Mozilla/5.0 (Linux; Android 13; SM-S911B; wv) Version/4.0 Chrome/124.0.6367.179 Mobile Safari/537.36",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Mobile/15E148 Safari/604.1",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html) Slurp heritrix/3.4",
        "My Fine Indexer/2.0 (crawler; spider@example.org)",
        "Some%20App/12 CFNetwork/1408.0.4 Darwin/22.5.0",
        "Opera/9.80 (J2ME/MIDP; Opera Mini/9/28.3492; U; en) Presto/2.8.119 Version/11.10",
        "HbbTV/1.2.1 (;Panasonic;VIERA 2013;3.672;4101-0003 0002-0000;)",
        "Wget/1.21 (linux-gnu)",
        "nothing of the kind",
    ];
    let config = Compiler::new().syntax(Syntax::new().unicode(false).utf8(false)).clone();
    let all: Vec<_> = parsers(include_str!("regexes.yaml"))
        .into_iter()
        .map(|parser| {
            let nfa = config.clone().build(&parser.regex).unwrap();
            (parser.os, BoundedBacktracker::new_from_nfa(nfa).unwrap(), parser)
        })
        .collect();
    let (patterns, mut scratch) = (Patterns::shared(), Scratch::default());
    for agent in agents {
        patterns.prepare(agent.as_bytes(), &mut scratch);
        let hits = [patterns.product(agent.as_bytes(), &mut scratch), patterns.system(agent.as_bytes(), &mut scratch)];
        for (os, hit) in [false, true].into_iter().zip(hits) {
            let expected = all.iter().filter(|one| one.0 == os).find_map(|(_, regex, parser)| {
                let mut captures = regex.create_captures();
                regex.try_captures(&mut regex.create_cache(), agent, &mut captures).unwrap();
                let group = |at| captures.get_group(at).map_or("", |span| &agent[span]);
                let name = parser.name.as_deref().unwrap_or("$1");
                let major = parser.major.as_deref().unwrap_or_else(|| group(2));
                let major = if os { "" } else { major };
                captures.is_match().then(|| (name.replace("$1", group(1)), major.to_owned()))
            });
            let found = hit.map(|hit| {
                let text = |bytes| std::str::from_utf8(bytes).unwrap().to_owned();
                let (before, after) = hit.name;
                let name = match after {
                    Some(after) => format!("{before}{}{after}", text(hit.captured)),
                    None => before.to_owned(),
                };
                (name, text(hit.major))
            });
            assert_eq!(found, expected, "{agent}");
        }
    }
}

/// One parser of the yaml: its regex, and the replacements that matter here.
#[derive(Default)]
struct Parser {
    os: bool,
    regex: String,
    name: Option<String>,
    major: Option<String>,
}

fn generate(yaml: &str) -> String {
    let mut out = String::from(HEAD);
    for parser in parsers(yaml) {
        let needed = needed_captures(&parser);
        let regex = trim(&loosen(&parser.regex), needed);
        for (nth, part) in split(&regex).iter().enumerate() {
            line(&mut out, &parser, nth > 0, part);
        }
    }
    out
}

/// Reads the two sections; the file is regular enough for lines to do.
fn parsers(yaml: &str) -> Vec<Parser> {
    let mut all: Vec<Parser> = Vec::new();
    let mut os = false;
    for line in yaml.lines() {
        let text = line.trim().trim_start_matches("- ");
        match text.split_once(':') {
            _ if text.starts_with('#') => {}
            Some(("device_parsers", _)) => break,
            Some(("os_parsers", _)) => os = true,
            Some(("regex", value)) => {
                all.push(Parser { os, regex: unquote(value), ..Parser::default() });
            }
            Some((key, value)) => {
                let Some(last) = all.last_mut() else { continue };
                match key {
                    "family_replacement" | "os_replacement" => last.name = Some(unquote(value)),
                    "v1_replacement" => last.major = Some(unquote(value)),
                    "regex_flag" => panic!("a flag at {}", last.regex),
                    _ => {}
                }
            }
            None => {}
        }
    }
    all
}

fn unquote(value: &str) -> String {
    let value = value.trim();
    let quote = value.chars().next().unwrap();
    assert!(quote == '\'' || quote == '"', "{value}");
    let inner = value.strip_prefix(quote).unwrap().strip_suffix(quote).unwrap();
    inner.replace("''", "'")
}

/// The highest group that the result is taken from.
fn needed_captures(parser: &Parser) -> u32 {
    let named = match &parser.name {
        Some(name) if !name.contains('$') => 0,
        Some(_) | None => 1,
    };
    if parser.os || parser.major.is_some() { named } else { 2 }
}

fn loosen(regex: &str) -> String {
    let mut out = String::new();
    let mut rest = regex;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let end = from.find('}').map_or(from.len(), |end| end + 1);
        let (braces, after) = from.split_at(end);
        let bounds = braces.trim_matches(['{', '}']).split_once(',');
        let high = bounds.and_then(|(_, high)| high.parse::<u32>().ok());
        match bounds {
            Some(("0", _)) if high >= Some(LOOSE) => out.push('*'),
            Some(("1", _)) if high >= Some(LOOSE) => out.push('+'),
            _ => out.push_str(braces),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

fn parse(regex: &str) -> Ast {
    ast::parse::Parser::new().parse(regex).unwrap()
}

fn hir(regex: &str) -> Hir {
    let mut builder = regex_syntax::ParserBuilder::new();
    builder.unicode(false).utf8(false);
    builder.build().parse(regex).unwrap()
}

fn range(ast: &Ast) -> Range<usize> {
    ast.span().start.offset..ast.span().end.offset
}

fn items(ast: &Ast) -> Vec<&Ast> {
    match ast {
        Ast::Concat(concat) => concat.asts.iter().collect(),
        other => vec![other],
    }
}

/// Cuts off what may match nothing and captures nothing that is needed.
fn trim(regex: &str, needed: u32) -> String {
    let ast = parse(regex);
    let mut end = regex.len();
    for item in items(&ast).into_iter().rev() {
        let text = &regex[range(item)];
        let sub = hir(text);
        let first = first_capture(item).unwrap_or(u32::MAX);
        let empty = sub.properties().minimum_len() == Some(0);
        if !empty || !sub.properties().look_set().is_empty() || first <= needed {
            break;
        }
        end = range(item).start;
    }
    regex[..end].to_owned()
}

fn first_capture(ast: &Ast) -> Option<u32> {
    match ast {
        Ast::Group(group) => match group.kind {
            GroupKind::CaptureIndex(index) => Some(index),
            _ => first_capture(&group.ast),
        },
        Ast::Repetition(repetition) => first_capture(&repetition.ast),
        Ast::Concat(concat) => concat.asts.iter().find_map(first_capture),
        Ast::Alternation(either) => either.asts.iter().find_map(first_capture),
        _ => None,
    }
}

/// A pattern that begins with a long list, as one pattern for each of the list, in order.
fn split(regex: &str) -> Vec<String> {
    let ast = parse(regex);
    if let Ast::Alternation(either) = &ast
        && first_capture(&ast).is_none()
    {
        return either.asts.iter().map(|one| regex[range(one)].to_owned()).collect();
    }
    let items = items(&ast);
    let group = items.iter().find(|item| !matches!(item, Ast::Assertion(_)));
    let Some(Ast::Group(group)) = group else {
        return vec![regex.to_owned()];
    };
    let Ast::Alternation(either) = &*group.ast else {
        return vec![regex.to_owned()];
    };
    if either.asts.len() <= SPLIT || first_capture(&group.ast).is_some() {
        return vec![regex.to_owned()];
    }
    let (first, last) = (range(&either.asts[0]), range(either.asts.last().unwrap()));
    let around = (&regex[..first.start], &regex[last.end..]);
    let one = |one: &Ast| format!("{}{}{}", around.0, &regex[range(one)], around.1);
    either.asts.iter().map(one).collect()
}

fn line(out: &mut String, parser: &Parser, more: bool, regex: &str) {
    let hir = hir(regex);
    let found = Found::of(&hir);
    let captured = capture(&hir, 1);
    let name = parser.name.clone().unwrap_or_else(|| "$1".to_owned());
    let major = match (&parser.major, parser.os) {
        (_, true) => "",
        (Some(major), _) => major.as_str(),
        (None, _) => capture(&hir, 2).map_or("", |_| "$2"),
    };
    assert!(!name.contains("$1") || captured.is_some(), "{regex}");
    let open = name.contains("$1") && captured.is_some_and(|one| Found::of(one).exact.is_none());
    let starts = if hir.properties().look_set_prefix().contains(Look::Start) { "^".to_owned() } else { starts(&found.starts).map_or_else(String::new, |set| join(&set)) };
    let kind = if parser.os { "o" } else { "u" };
    let (more, open) = (if more { "+" } else { "" }, if open { "?" } else { "" });
    write!(out, "{kind}{more}{open}\t{name}\t{major}\t{starts}\t{regex}").unwrap();
    for set in &found.sets {
        write!(out, "\t{}", join(set)).unwrap();
    }
    out.push('\n');
}

/// The beginnings without what begins with another of them, cut until they are few.
fn starts(all: &Set) -> Option<Set> {
    if all.iter().any(|one| one.len() < 2) {
        return None;
    }
    let cut = (2..=32).rev().map(|len| {
        let cut: Set = all.iter().map(|one| one[..one.len().min(len)].to_vec()).collect();
        let begun = |one: &Vec<u8>| cut.iter().any(|by| one != by && one.starts_with(by));
        cut.iter().filter(|one| !begun(one)).cloned().collect::<Set>()
    });
    cut.into_iter().find(|set| set.len() <= STARTS)
}

fn join(set: &Set) -> String {
    let strings: Vec<_> = set.iter().map(|one| std::str::from_utf8(one).unwrap()).collect();
    assert!(strings.iter().all(|one| !one.contains(['`', '\t', '\n'])), "{strings:?}");
    strings.join("`")
}

fn capture(hir: &Hir, index: u32) -> Option<&Hir> {
    match hir.kind() {
        HirKind::Capture(group) if group.index == index => Some(&group.sub),
        HirKind::Capture(group) => capture(&group.sub, index),
        HirKind::Repetition(repetition) => capture(&repetition.sub, index),
        HirKind::Concat(all) | HirKind::Alternation(all) => all.iter().find_map(|one| capture(one, index)),
        _ => None,
    }
}
