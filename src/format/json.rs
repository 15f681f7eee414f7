//! JSON lines: a strict scan in one pass that finds every value's place and leaves the bytes between as they are.
//!
//! Source: RFC 8259. Stricter in one point: a key that the map knows may stand only once in its object, because readers
//! disagree about which of two counts. Looser in one: strings are bytes, not UTF-8.

mod scan;

use super::Field;
use super::layout::register;
use super::span::{Mismatch, Slot, Spans};
use super::variables;
use foldhash::fast::FixedState;
use scan::Scan;
use std::collections::HashMap;

/// The field map of a JSON format: a tree over keys. Arrays are transparent.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    /// Each mask names the required nodes of which one must be there.
    required: Vec<u64>,
}

#[derive(Debug, Default)]
struct Node {
    slot: u16,
    composite: Option<Field>,
    children: Vec<(Box<[u8]>, u16)>,
    /// Where each key is among the children.
    places: HashMap<Box<[u8]>, usize, FixedState>,
    /// Children by the start of their key; an empty start takes every key.
    wild: Vec<(Box<[u8]>, u16)>,
    /// Keys are compared without case: headers.
    fold: bool,
    /// For the headers of an object that takes every key: what a header means that policies do not know by name.
    known: Vec<(Field, u16)>,
    /// Bit in the masks of what is required, or 0.
    bit: u64,
}

const ROOT: u16 = 0;
const OTHER: u16 = 1;

/// Splits a path at its dots; `\.` is a dot inside a key.
fn keys(path: &str) -> Vec<String> {
    let mut keys = vec![String::new()];
    let mut chars = path.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => keys.last_mut().map(|key| key.extend(chars.next())).unwrap_or_default(),
            '.' => keys.push(String::new()),
            other => keys.last_mut().map(|key| key.push(other)).unwrap_or_default(),
        }
    }
    keys
}

/// Which key came behind which in the lines before, by their nodes: a guess that saves a search where it is right.
#[derive(Clone, Debug, Default)]
pub(super) struct Followers(Vec<u16>);

impl Followers {
    /// Where the key behind a node's was among the children of the object; or, `inside`, where the first key was in the node itself.
    #[inline]
    fn get(&self, node: u16, inside: bool) -> Option<usize> {
        usize::from(*self.0.get(Self::index(node, inside))?).checked_sub(1)
    }

    fn set(&mut self, node: u16, inside: bool, place: usize) {
        let index = Self::index(node, inside);
        if self.0.len() <= index {
            self.0.resize(index + 1, 0);
        }
        if let Some(found) = self.0.get_mut(index) {
            *found = place as u16 + 1;
        }
    }

    const fn index(node: u16, inside: bool) -> usize {
        (node as usize) << 1 | inside as usize
    }
}

impl Tree {
    /// Builds the tree from `path = field` pairs and the required paths (`a|b`: either).
    pub(crate) fn compile(map: &[(String, Field)], required: &[String], slots: &mut Vec<Slot>) -> Self {
        let other = register(slots, &Slot { field: Field::Other, name: Box::default() });
        let mut tree = Self { nodes: vec![Node { slot: other, ..Node::default() }, Node { slot: other, ..Node::default() }], required: Vec::new() };
        for (path, field) in map {
            let node = tree.node(path);
            let keys = keys(path);
            // Where policies decide by name, only a header's key is one.
            let name = if *field == Field::Header { keys.last().cloned().unwrap_or_default() } else { String::new() };
            let slot = register(slots, &Slot { field: *field, name: name.into() });
            if let Some(node) = tree.nodes.get_mut(usize::from(node)) {
                node.slot = slot;
                node.composite = (field.is_composite() || *field == Field::Path).then_some(*field);
            }
        }
        for wild in 0..tree.nodes.len() {
            let header = tree.nodes.get(wild).and_then(|node| slots.get(usize::from(node.slot))).is_some_and(|slot| slot.field == Field::Header && slot.name.ends_with('*'));
            if header {
                tree.know_headers(wild, slots);
            }
        }
        let mut bit = 1_u64;
        for alternatives in required {
            let mut mask = 0;
            for path in alternatives.split('|') {
                let node = tree.node(path);
                if let Some(node) = tree.nodes.get_mut(usize::from(node)) {
                    if node.bit == 0 {
                        node.bit = bit;
                        bit = bit.wrapping_shl(1);
                    }
                    mask |= node.bit;
                }
            }
            tree.required.push(mask);
        }
        for node in &mut tree.nodes {
            node.places = node.children.iter().enumerate().map(|(at, (key, _))| (key.clone(), at)).collect();
            node.wild.sort_by_key(|(start, _)| std::cmp::Reverse(start.len()));
        }
        tree
    }

    /// Leaves for the headers that mean more than a header.
    fn know_headers(&mut self, wild: usize, slots: &mut Vec<Slot>) {
        let fields = [
            Field::ClientAddr,
            Field::ProxiedAddr,
            Field::User,
            Field::Cookie,
            Field::Referrer,
            Field::UserAgent,
            Field::Host,
            Field::RequestId,
            Field::Session,
            Field::Tls,
            Field::Country,
            Field::Asn,
            Field::Url,
        ];
        let leaves: Vec<(Field, u16)> = fields
            .into_iter()
            .map(|field| {
                let slot = register(slots, &Slot { field, name: Box::default() });
                self.nodes.push(Node { slot, composite: field.is_composite().then_some(field), ..Node::default() });
                (field, self.nodes.len() as u16 - 1)
            })
            .collect();
        if let Some(node) = self.nodes.get_mut(wild) {
            node.known = leaves;
        }
    }

    /// The leaf for one of the keys that a wildcard takes.
    fn meant(&self, wild: u16, key: &[u8], prefix: usize) -> u16 {
        let Some(node) = self.nodes.get(usize::from(wild)).filter(|node| !node.known.is_empty()) else { return wild };
        let field = std::str::from_utf8(key.get(prefix..).unwrap_or_default()).map_or(Field::Header, variables::header);
        node.known.iter().find(|(known, _)| *known == field).map_or(wild, |(_, leaf)| *leaf)
    }

    /// The node of a path, made if it is not there.
    fn node(&mut self, path: &str) -> u16 {
        let mut at = ROOT;
        for key in keys(path) {
            let fresh = self.nodes.len() as u16;
            let Some(node) = self.nodes.get_mut(usize::from(at)) else { return OTHER };
            let (list, key) = match key.strip_suffix('*') {
                Some(start) => (&mut node.wild, start.as_bytes()),
                None => (&mut node.children, key.as_bytes()),
            };
            at = match list.iter().find(|(known, _)| **known == *key) {
                Some((_, child)) => *child,
                None => {
                    list.push((key.into(), fresh));
                    node.fold = node.fold || node.wild.iter().any(|(start, _)| start.is_empty());
                    let slot = self.nodes.get(usize::from(OTHER)).map_or(0, |node| node.slot);
                    self.nodes.push(Node { slot, ..Node::default() });
                    fresh
                }
            };
        }
        at
    }

    /// Finds every value of a line: one object, or a line of a document that is a list of objects, one on each line.
    pub(super) fn split(&self, line: &[u8], followers: &mut Followers, spans: &mut Spans) -> Result<(), Mismatch> {
        let before = spans.len();
        let whole = self.split_object(line, (0, line.len()), followers, spans);
        let (start, end) = fragment(line);
        if whole == Err(Mismatch::Json) && (start, end) != (0, line.len()) {
            spans.truncate(before);
            return self.split_object(line, (start, end), followers, spans);
        }
        whole
    }

    fn split_object(&self, line: &[u8], (start, end): (usize, usize), followers: &mut Followers, spans: &mut Spans) -> Result<(), Mismatch> {
        let mut scan = Scan { tree: self, line: line.get(..end).unwrap_or_default(), at: start, found: 0, key: Vec::new(), followers };
        scan.blanks();
        if scan.peek() != Some(b'{') {
            return Err(Mismatch::Json);
        }
        scan.value(ROOT, 0, spans)?;
        scan.blanks();
        if scan.at != end {
            return Err(Mismatch::Json);
        }
        if self.required.iter().any(|mask| mask & scan.found == 0) {
            return Err(Mismatch::Required);
        }
        Ok(())
    }
}

/// Where the object of a list's line starts and ends: behind `[` or `{"records":[`, in front of `,`, `]` or `]}`.
fn fragment(line: &[u8]) -> (usize, usize) {
    let heads: [&[u8]; 3] = [b"{\"records\":[", b"{\"records\": [", b"["];
    let tails: [&[u8]; 3] = [b"]}", b"]", b","];
    let start = heads.iter().find(|head| line.starts_with(head)).map_or(0, |head| head.len());
    let end = tails.iter().find(|tail| line.ends_with(tail)).map_or(line.len(), |tail| line.len() - tail.len());
    (start, end.max(start))
}

impl Node {
    fn child(&self, key: &[u8]) -> Option<(usize, u16)> {
        if self.fold {
            return self.children.iter().enumerate().find(|(_, (known, _))| known.eq_ignore_ascii_case(key)).map(|(at, (_, child))| (at, *child));
        }
        let found = *self.places.get(key)?;
        self.children.get(found).map(|(_, child)| (found, *child))
    }

    /// The wildcard that takes a key, and the width of what it starts with.
    fn wild(&self, key: &[u8]) -> Option<(u16, usize)> {
        self.wild.iter().find(|(start, _)| key.starts_with(start)).map(|(start, child)| (*child, start.len()))
    }

    /// Nothing is known about what lies in it.
    fn is_leaf(&self) -> bool {
        self.children.is_empty() && self.wild.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Text;
    use super::*;

    fn tree(slots: &mut Vec<Slot>) -> Tree {
        let map = [
            ("ip", Field::ClientAddr),
            ("request.uri", Field::Url),
            ("request.headers.*", Field::Header),
            ("request.headers.User-Agent", Field::UserAgent),
            ("req_*", Field::Header),
        ];
        Tree::compile(&map.map(|(path, field)| (path.to_owned(), field)), &["ip|addr".to_owned()], slots)
    }

    fn split(line: &str) -> Result<String, Mismatch> {
        let mut slots = Vec::new();
        let mut spans = Spans::default();
        tree(&mut slots).split(line.as_bytes(), &mut Followers::default(), &mut spans)?;
        let show = |span: &super::super::span::Span| {
            let mark = if span.text == Text::JsonKey { "!" } else { "" };
            format!("{mark}{}={}", slots[span.slot as usize].field.name(), &line[span.range()])
        };
        Ok(spans.as_slice().iter().map(show).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn values_are_found_where_the_map_says() {
        let line = r#"{"ip":"192.0.2.1", "request":{"uri":"/a?b","headers":{"user-agent":["A"],"X-Y":["1","2"]}},"z":{"k":[1,true]},"req_A":null}"#;
        let expected = r#"client_addr=192.0.2.1 path=/a query=?b user_agent=A !header=X-Y header=1 header=2 !other=z other={"k":[1,true]} !other=k other=[1,true] other=1 other=true !header=req_A header=null"#;
        assert_eq!(split(line).as_deref(), Ok(expected));
    }

    #[test]
    fn keys_in_another_order_are_found_all_the_same() {
        let mut slots = Vec::new();
        let map = ["ab", "cd", "in.ab", "in.ef", "ef"].map(|path| (path.to_owned(), Field::Header));
        let tree = Tree::compile(&map, &[], &mut slots);
        let lines = [
            r#"{"ab":1,"cd":2,"in":{"ab":3,"ef":4},"ef":5}"#,
            r#"{"ef":5,"cd":2,"ab":1,"in":{"ef":4,"ab":3}}"#,
            r#"{"in":{"ef":4,"xy":6},"ab":1,"xy":6,"cd":2}"#,
            r#"{"ab":1,"ef":5,"in":{"cd":6}}"#,
        ];
        let mut followers = Followers::default();
        for line in lines.iter().cycle().take(12) {
            let (mut used, mut fresh) = (Spans::default(), Spans::default());
            assert!(tree.split(line.as_bytes(), &mut followers, &mut used).is_ok());
            assert!(tree.split(line.as_bytes(), &mut Followers::default(), &mut fresh).is_ok());
            assert_eq!(used.as_slice(), fresh.as_slice(), "{line}");
        }
    }

    #[test]
    fn keys_are_compared_without_their_escapes() {
        assert_eq!(split(r#"{"\u0069p":"192.0.2.1"}"#).as_deref(), Ok("client_addr=192.0.2.1"));
    }

    #[test]
    fn what_is_not_strict_is_refused() {
        let refuse = [
            "",
            "[]",
            "1",
            "{",
            r#"{"ip":1"#,
            r#"{"ip":1}x"#,
            r#"{"ip":1,}"#,
            r#"{"ip":01}"#,
            r#"{"ip":"a"b"}"#,
            r#"{"ip":1,"ip":2}"#,
            r#"{"ip":1,"\u0069p":2}"#,
            r#"{"x":1}"#,
            r#"{"ip":"\q"}"#,
            "{\"ip\":\"\u{1}\"}",
            r#"{"ip":tru}"#,
            r#"{"ip":1.}"#,
            r#"{ip:1}"#,
        ];
        for line in refuse {
            assert!(split(line).is_err(), "{line}");
        }
        assert!(split(&format!(r#"{{"ip":1,"a":{}{}}}"#, "[".repeat(40), "]".repeat(40))).is_err());
    }

    #[test]
    fn the_strict_scan_accepts_what_a_reference_parser_accepts() {
        let pieces = ["{", "}", "[", "]", ",", ":", "\"ip\"", "\"a\"", "1", "-2.5", "true", "null", " ", "\"x\\u0041\\\\\""];
        let mut state = 7_u64;
        let mut agreed = 0;
        for _ in 0..20_000 {
            let mut line = String::from("{\"ip\":");
            for _ in 0..(state % 9) {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                line.push_str(pieces[(state >> 33) as usize % pieces.len()]);
            }
            state = state.wrapping_add(1);
            line.push('}');
            let ours = split(&line).is_ok();
            let theirs = serde_json::from_str::<serde_json::Value>(&line).is_ok();
            // A repeated known key is the one thing that is refused on purpose.
            let part = fragment(line.as_bytes()) != (0, line.len());
            assert!(ours == theirs || (theirs && line.matches("\"ip\"").count() > 1) || (ours && part), "{line}");
            agreed += usize::from(ours);
        }
        assert!(agreed > 100);
    }
}
