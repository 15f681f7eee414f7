//! The leak oracle: says which identifiers of a raw line stand in its clean line, by reading nothing but the two.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::addresses::{canonical, occurrences, scan, spellings, truncated, unescaped};

/// What leaked; never which value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Address,
    SpelledAddress,
    ClientName,
    Email,
    User,
    QueryValue,
}

/// What the first column of a text line names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    Client,
    Host,
    Neither,
}

/// What a policy leaves where it is.
#[derive(Clone, Debug)]
pub struct Rules {
    pub four_bits: u32,
    pub six_bits: u32,
    /// Query parameters that the policy keeps or hashes.
    pub kept_parameters: BTreeSet<String>,
    pub keeps_server: bool,
    /// How often one kept value may be written: once in the same format, more often in a schema of its own.
    pub copies: usize,
}

impl Rules {
    /// Reads them off the text of a policy file.
    pub fn of_policy(toml: &str) -> Self {
        let value = |key: &str| {
            let line = toml.lines().find(|line| line.split('=').next().is_some_and(|name| name.trim() == key));
            line.and_then(|line| line.split_once('=')).map(|(_, value)| value.trim().to_owned())
        };
        let client = value("client_addr").unwrap_or_default();
        let bits: Vec<u32> = client.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
        let (four_bits, six_bits) = match bits[..] {
            [four, six, ..] => (four, six),
            _ => (32, 128),
        };
        let query = value("query").unwrap_or_default();
        let actions = ["drop", "keep", "hash"];
        let quoted = query.split('"').skip(1).step_by(2).filter(|word| !actions.contains(word));
        let kept_parameters = quoted.map(str::to_owned).collect();
        let server = value("server").or_else(|| value("other")).unwrap_or_default();
        Self { four_bits, six_bits, kept_parameters, keeps_server: server.contains("keep"), copies: 1 }
    }

    fn leaves(&self, address: IpAddr) -> bool {
        truncated(address, self.four_bits, self.six_bits) == address
    }
}

/// What a reader of one file remembers between its lines.
#[derive(Clone, Debug)]
pub struct Shape {
    pub first: First,
    columns: Vec<String>,
    tabbed: bool,
}

impl Shape {
    pub fn new(first: First) -> Self {
        Self { first, columns: Vec::new(), tabbed: false }
    }

    /// The same for one line of a mixed file: a name with an address behind it is a virtual host, and `[10/` begins the time.
    fn of_line(&self, line: &[u8]) -> Self {
        let mut own = self.clone();
        let mut words = line.split(|byte| *byte == b' ');
        let mut address = || words.next().is_some_and(|word| matches!(scan(word)[..], [hit] if hit.start == 0));
        let (first, second) = (address(), address());
        if own.first == First::Client && !first && second {
            own.first = First::Host;
        }
        own
    }

    /// Takes note of a `#Fields:` line of W3C or Zeek.
    pub fn notice(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let Some((directive, names)) = text.split_once([':', '\t']) else { return };
        if directive.eq_ignore_ascii_case("#fields") {
            self.tabbed = names.contains('\t');
            self.columns = names.split_whitespace().map(str::to_ascii_lowercase).collect();
        }
    }

    /// The values of the named columns of a line.
    fn column<'a>(&self, line: &'a str, wanted: &[&str]) -> Vec<&'a str> {
        if self.columns.is_empty() {
            return Vec::new();
        }
        let cells: Vec<&str> = if self.tabbed { line.split('\t').collect() } else { line.split_whitespace().collect() };
        let named = self.columns.iter().zip(cells).filter(|(name, _)| wanted.contains(&name.as_str()));
        named.map(|(_, cell)| cell).collect()
    }
}

/// Every kind of identifier of `raw` that stands whole in `clean`.
pub fn leaks(raw: &[u8], clean: &[u8], rules: &Rules, shape: &Shape) -> BTreeSet<Kind> {
    let mut kinds = BTreeSet::new();
    let shape = &shape.of_line(raw);
    let text = lower(&unescaped(raw));
    let out = lower(&unescaped(clean));
    address_leaks(&text, &out, rules, shape, &mut kinds);
    if emails(&text).iter().any(|email| occurrences(&out, email) > 0) {
        kinds.insert(Kind::Email);
    }
    if raw.starts_with(b"#") {
        return kinds;
    }
    let raw_text: String = raw.iter().map(|&byte| char::from(byte)).collect();
    for (kind, values) in [(Kind::ClientName, client_names(&raw_text, shape)), (Kind::User, users(&raw_text, shape))] {
        for value in values {
            let value = lower(value.as_bytes());
            if occurrences(&out, &value) >= occurrences(&text, &value).max(1) {
                kinds.insert(kind);
            }
        }
    }
    if query_leaks(&raw_text, clean, rules, shape) {
        kinds.insert(Kind::QueryValue);
    }
    kinds
}

fn lower(bytes: &[u8]) -> Vec<u8> {
    bytes.to_ascii_lowercase()
}

fn address_leaks(text: &[u8], out: &[u8], rules: &Rules, shape: &Shape, kinds: &mut BTreeSet<Kind>) {
    let mut allowed: BTreeMap<IpAddr, usize> = BTreeMap::new();
    for hit in scan(text) {
        let own = usize::from(kept_by_itself(text, hit.start, rules, shape));
        *allowed.entry(hit.address).or_default() += own;
    }
    let standing = scan(out);
    for (&address, &own) in &allowed {
        if rules.leaves(address) || address.is_unspecified() {
            continue;
        }
        if standing.iter().filter(|hit| canonical(hit.address) == address).count() > own * rules.copies {
            kinds.insert(Kind::Address);
        }
        if spellings(address).iter().any(|spelling| occurrences(out, spelling) > 0) {
            kinds.insert(Kind::SpelledAddress);
        }
    }
}

/// Whether the address at `start` is the value of a field that every built-in policy keeps: the host asked for, a version.
fn kept_by_itself(text: &[u8], start: usize, rules: &Rules, shape: &Shape) -> bool {
    let before = String::from_utf8_lossy(&text[start.saturating_sub(80)..start]).into_owned();
    if start == 0 {
        return shape.first == First::Host;
    }
    if is_version(&before) {
        return true;
    }
    let (place, with_scheme) = match before.strip_suffix("http://").or_else(|| before.strip_suffix("https://")) {
        Some(place) => (place, true),
        None => (before.as_str(), false),
    };
    let key = json_key(place);
    if with_scheme {
        let word = place.strip_suffix(' ').and_then(|rest| rest.rsplit([' ', '"', '\t']).next()).unwrap_or_default();
        let method = (3..=16).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase());
        let url = key.as_deref().is_some_and(|key| key.contains("uri") || key.contains("url"));
        return method || url || (rules.keeps_server && (place.ends_with("upstream: \"") || place.ends_with(" \"")));
    }
    let host_keys = ["host", "sni", "domain", "requestaddr", "authority"];
    let server_keys = ["server", "upstream", "backend", "edge", "origin", "service", "dest", "target", "local"];
    let names = |keys: &[&str]| key.as_deref().is_some_and(|key| keys.iter().any(|name| key.contains(name)));
    place.ends_with("host: \"")
        || place.ends_with("connect ")
        || (names(&host_keys) && !names(&["remote", "client_host", "clienthost", "forwarded"]))
        || (rules.keeps_server && (names(&server_keys) || place.ends_with("server: ") || place.ends_with("] ")))
}

/// `Product/` before a number makes it a version, unless the product is a directory of a path.
fn is_version(before: &str) -> bool {
    let Some(rest) = before.strip_suffix('/') else { return false };
    let product = rest.bytes().rev().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')).count();
    let ahead = rest.len().checked_sub(product + 1).and_then(|at| rest.as_bytes().get(at));
    product > 0 && ahead.is_some_and(|byte| matches!(byte, b' ' | b'"' | b'(' | b';' | b'+' | b'{' | b','))
}

/// The name of the JSON or LTSV member whose value begins after `place`.
fn json_key(place: &str) -> Option<String> {
    let rest = place.strip_suffix('"')?.trim_end_matches([' ', '[']);
    let rest = rest.strip_suffix('"').unwrap_or(rest);
    let rest = rest.trim_end_matches(' ').strip_suffix(':')?.trim_end_matches(' ').strip_suffix('"')?;
    rest.rsplit('"').next().map(str::to_owned)
}

fn client_names(line: &str, shape: &Shape) -> Vec<String> {
    let mut names = Vec::new();
    if shape.first == First::Client && shape.columns.is_empty() {
        names.extend(line.split([' ', '\t']).next().map(str::to_owned));
    }
    names.extend(shape.column(line, &["c-dns", "c-host"]).into_iter().map(str::to_owned));
    let name = |name: &String| name.len() >= 4 && name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    names.retain(|candidate| name(candidate) && scan(candidate.as_bytes()).is_empty() && !candidate.contains(['"', '{', '|']));
    names.retain(|candidate| candidate.contains('.') && candidate.contains(|c: char| c.is_ascii_alphabetic()));
    names
}

fn users(line: &str, shape: &Shape) -> Vec<String> {
    let mut users: Vec<String> = shape.column(line, &["cs-username", "username", "c-auth-id"]).into_iter().map(str::to_owned).collect();
    if shape.columns.is_empty() && shape.first != First::Neither {
        users.extend(clf_user(line, usize::from(shape.first == First::Host)));
    }
    for opening in ["user \"", "\"remote_user\":\"", "\"user_id\":\"", "\"clientusername\":\"", "\"username\":\"", "remote_user:"] {
        let found = line.to_ascii_lowercase().find(opening);
        let value = found.and_then(|at| line.get(at + opening.len()..)).and_then(|rest| rest.split(['"', '\t']).next());
        users.extend(value.map(str::to_owned));
    }
    users.retain(|user| user.len() >= 2 && user != "--");
    users
}

/// What stands between the third blank and the bracket of the time in a line of the common log format.
fn clf_user(line: &str, skipped: usize) -> Option<String> {
    let (head, time) = line.split_once(" [")?;
    let dated = time.as_bytes().get(2) == Some(&b'/') && time.bytes().take(2).all(|byte| byte.is_ascii_digit());
    let mut words = head.splitn(3 + skipped, ' ').skip(2 + skipped);
    let user = words.next()?.trim();
    (dated && !head.contains(['"', '{', '='])).then(|| user.to_owned())
}

fn emails(text: &[u8]) -> Vec<Vec<u8>> {
    let local = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'+' | b'-');
    let domain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let files: [&[u8]; 10] = [b"png", b"jpg", b"jpeg", b"gif", b"svg", b"webp", b"css", b"js", b"html", b"php"];
    let mut found = Vec::new();
    for at in memchr::memchr_iter(b'@', text) {
        let before = text[..at].iter().rev().take_while(|byte| local(byte)).count();
        let after = text[at + 1..].iter().take_while(|byte| domain(byte)).count();
        let name = text[at + 1..at + 1 + after].trim_ascii_end();
        let name = name.strip_suffix(b".").unwrap_or(name);
        let top = name.rsplit(|&byte| byte == b'.').next().unwrap_or_default();
        let plausible = before > 0 && name.contains(&b'.') && top.len() >= 2 && top.iter().all(u8::is_ascii_alphabetic);
        if plausible && !files.contains(&top) {
            found.push(text[at - before..at + 1 + name.len()].to_vec());
        }
    }
    found
}

/// Whether the value of a dropped parameter stands in the clean line more often than outside the queries of the raw one.
fn query_leaks(line: &str, clean: &[u8], rules: &Rules, shape: &Shape) -> bool {
    let mut rest = line.to_owned();
    let mut values = BTreeSet::new();
    let columns: Vec<String> = shape.column(line, &["cs-uri-query"]).into_iter().map(str::to_owned).collect();
    for query in queries(line).into_iter().chain(columns) {
        for parameter in query.split('&') {
            let (name, value) = parameter.split_once('=').unwrap_or(("", parameter));
            if rules.kept_parameters.contains(name) {
                continue;
            }
            if value.len() >= 4 && value.bytes().any(|byte| byte.is_ascii_alphanumeric()) {
                values.insert(value.to_owned());
            }
        }
        if query.len() >= 4 {
            let kept: Vec<&str> = query.split('&').filter(|p| p.split('=').next().is_some_and(|n| rules.kept_parameters.contains(n))).collect();
            rest = rest.replace(&query, &format!(" {} ", kept.join(" ")));
        }
    }
    let made_by_us = ["linux", "windows", "macos", "android", "desktop", "mobile", "tablet", "other"];
    let (rest, out) = (latin(&rest), lower(clean));
    values.iter().map(|value| latin(value)).any(|value| {
        let zeros = value.iter().all(|byte| *byte == b'0');
        let ours = zeros || made_by_us.iter().any(|word| word.as_bytes() == value.as_slice());
        !ours && occurrences(&out, &value) > memchr::memmem::find_iter(&rest, &value).count() * rules.copies
    })
}

fn latin(text: &str) -> Vec<u8> {
    text.chars().filter_map(|c| u8::try_from(u32::from(c)).ok()).map(|byte| byte.to_ascii_lowercase()).collect()
}

/// What stands between each `?` and the end of its word or quoted string.
fn queries(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('?') {
        let opens = before.chars().next_back().is_some_and(|c| !c.is_whitespace() && !matches!(c, '"' | '\'' | '(' | '='));
        let mut escaped = false;
        let end = after.find(|c: char| {
            let stop = c.is_whitespace() || (c == '"' && !escaped);
            escaped = c == '\\' && !escaped;
            stop
        });
        let query = &after[..end.unwrap_or(after.len())];
        if opens && !query.is_empty() {
            found.push(query.trim_end_matches(['\\', ',']).to_owned());
        }
        rest = &after[query.len()..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: &str =
        r#"203.0.113.9 - mallory [10/Oct/2000:13:55:36 -0700] "GET /a/mail/eve@example.org?session=abcdef&page=2 HTTP/1.1" 200 5 "http://site.example/?q=secret" "agent/1.0""#;

    fn rules() -> Rules {
        Rules::of_policy("client_addr = \"truncate/24,32\"\nquery = { default = \"drop\", keep = [\"page\"] }\nother = \"drop\"\n")
    }

    fn kinds(clean: &str) -> Vec<Kind> {
        leaks(RAW.as_bytes(), clean.as_bytes(), &rules(), &Shape::new(First::Client)).into_iter().collect()
    }

    #[test]
    fn reads_the_rules_off_a_policy() {
        let rules = rules();
        assert_eq!((rules.four_bits, rules.six_bits), (24, 32));
        assert_eq!(rules.kept_parameters.iter().collect::<Vec<_>>(), ["page"]);
        assert!(!rules.keeps_server);
    }

    #[test]
    fn an_unchanged_line_leaks_everything() {
        assert_eq!(kinds(RAW), [Kind::Address, Kind::Email, Kind::User, Kind::QueryValue]);
    }

    #[test]
    fn a_scrubbed_line_leaks_nothing() {
        let clean = r#"203.0.113.0 - - [10/Oct/2000:13:55:36 -0700] "GET /a/mail/-?page=2 HTTP/1.1" 200 5 "http://site.example/" "Other""#;
        assert_eq!(kinds(clean), []);
    }

    #[test]
    fn each_identifier_is_seen_alone_and_in_disguise() {
        for (clean, kind) in [
            ("203.0.113.9", Kind::Address),
            ("x 203%2E0%2E113%2E9 y", Kind::Address),
            ("::ffff:cb00:7109", Kind::Address),
            ("203-0-113-9.dsl.example", Kind::SpelledAddress),
            ("9.113.0.203.in-addr.arpa", Kind::SpelledAddress),
            ("0xCB007109", Kind::SpelledAddress),
            ("to EVE%40example.org", Kind::Email),
            ("- mallory [", Kind::User),
            ("\"/x?session=abcdef\"", Kind::QueryValue),
            ("http://site.example/?q=secret", Kind::QueryValue),
        ] {
            assert_eq!(kinds(clean), [kind], "{clean}");
        }
    }

    #[test]
    fn a_client_name_is_an_identifier_and_a_virtual_host_is_not() {
        let line = br#"gw7.net.example - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5"#;
        let names = |first| leaks(line, line, &rules(), &Shape::new(first)).into_iter().collect::<Vec<_>>();
        assert_eq!(names(First::Client), [Kind::ClientName]);
        assert_eq!(names(First::Host), []);
    }

    #[test]
    fn a_kept_host_is_no_leak_and_the_same_address_as_client_is() {
        let line = br#"198.51.100.7 - - [10/Oct/2000:13:55:36 -0700] "GET http://192.0.2.4/ HTTP/1.1" 200 5"#;
        let clean = br#"198.51.100.0 - - [10/Oct/2000:13:55:36 -0700] "GET http://192.0.2.4/ HTTP/1.1" 200 5"#;
        let shape = Shape::new(First::Client);
        assert!(leaks(line, clean, &rules(), &shape).is_empty());
        let twice = br#"192.0.2.4 - - [10/Oct/2000:13:55:36 -0700] "GET http://192.0.2.4/ HTTP/1.1" 200 5"#;
        assert!(leaks(line, twice, &rules(), &shape).contains(&Kind::Address));
    }

    #[test]
    fn columns_of_w3c_are_read_by_their_names() {
        let mut shape = Shape::new(First::Neither);
        shape.notice(b"#Fields: date c-ip cs-username cs-uri-query");
        let line = b"2020-01-01 203.0.113.9 mallory token=abcdef";
        let found = leaks(line, line, &rules(), &shape);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [Kind::Address, Kind::User, Kind::QueryValue]);
    }
}
