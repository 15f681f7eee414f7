//! A policy: an action for every field, read from TOML with errors that show the place.

use super::action::{Action, Names, Simple};
use super::address::Nets;
use super::tracking;
use crate::diagnostic::Diagnostic;
use crate::format::{FIELDS, Field};
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// An action for every field.
#[derive(Debug)]
pub struct Policy {
    name: String,
    actions: BTreeMap<Field, Action>,
    /// Fields whose pseudonyms are joined with those of others.
    domains: BTreeMap<Field, String>,
    except: Nets,
    /// Databases of places, in the order in which they are asked.
    databases: Vec<String>,
}

/// The policies that are compiled in: name and text.
pub const BUILT_IN: [(&str, &str); 4] = [
    ("default", include_str!("../../samples/policies/default.toml")),
    ("strict", include_str!("../../samples/policies/strict.toml")),
    ("analytics", include_str!("../../samples/policies/analytics.toml")),
    ("security", include_str!("../../samples/policies/security.toml")),
];

impl Policy {
    /// The built-in policy of that name.
    pub fn built_in(name: &str) -> Option<Self> {
        let (name, text) = BUILT_IN.iter().find(|(known, _)| *known == name)?;
        Self::parse(name, name, text).ok()
    }

    /// Reads a policy where there are no keys: an action that needs one is an error. `origin` is what errors call the text.
    pub fn parse(name: &str, origin: &str, text: &str) -> Result<Self, Box<Diagnostic>> {
        Reader { origin, text, keys: false, databases: false }.policy(name)
    }

    /// Reads a policy where there are keys, which a [`super::Scrubber`] is given in [`super::Settings::keys`].
    pub fn keyed(name: &str, origin: &str, text: &str) -> Result<Self, Box<Diagnostic>> {
        Reader { origin, text, keys: true, databases: false }.policy(name)
    }

    /// The name in reports.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What becomes of a field.
    pub fn action(&self, field: Field) -> &Action {
        // Total by construction: `Reader::policy` fills every field of `FIELDS`; composites are never asked for.
        self.actions.get(&field).unwrap_or(&Action::Drop)
    }

    /// Whether any action needs a key.
    pub fn is_keyed(&self) -> bool {
        self.actions.values().any(Action::is_keyed)
    }

    /// Files of the databases that its actions need, as the policy names them.
    pub fn databases(&self) -> &[String] {
        &self.databases
    }

    /// Whether its actions need countries, and whether they need numbers of autonomous systems.
    pub fn needs_places(&self) -> (bool, bool) {
        let addresses = |wanted: &Action| [Field::ClientAddr, Field::ProxiedAddr].into_iter().any(|field| self.action(field) == wanted);
        let (country, asn) = self.adds();
        (country || addresses(&Action::Country), asn || addresses(&Action::Asn))
    }

    /// Whether the client's country, and whether its autonomous system is added to records.
    pub fn adds(&self) -> (bool, bool) {
        (*self.action(Field::Country) == Action::Add, *self.action(Field::Asn) == Action::Add)
    }

    /// What keeps pseudonyms of a field apart from those of others.
    pub(crate) fn domain(&self, field: Field) -> &str {
        self.domains.get(&field).map_or(field.name(), String::as_str)
    }

    /// Networks whose addresses are left alone.
    pub(crate) const fn except(&self) -> &Nets {
        &self.except
    }
}

struct Reader<'a> {
    origin: &'a str,
    text: &'a str,
    /// Whether there are keys.
    keys: bool,
    /// Whether the policy names databases of places.
    databases: bool,
}

type Fault = Box<Diagnostic>;

impl Reader<'_> {
    fn fault(&self, span: Range<usize>, cause: impl Into<String>, label: impl Into<String>, remedy: impl Into<String>) -> Fault {
        Box::new(Diagnostic { cause: cause.into(), origin: self.origin.into(), source: self.text.into(), span, label: label.into(), remedy: remedy.into() })
    }

    fn policy(mut self, name: &str) -> Result<Policy, Fault> {
        let table = DeTable::parse(self.text).map_err(|error| {
            self.fault(error.span().unwrap_or(0..0), "the policy is not valid TOML", error.message(), "correct the line that the caret shows; strings stand in double quotes")
        })?;
        let mut actions = BTreeMap::new();
        let mut domains = BTreeMap::new();
        let mut except = Vec::new();
        let databases = table.get_ref().get("geoip").map_or(Ok(Vec::new()), |value| self.databases(value))?;
        self.databases = !databases.is_empty();
        for (key, value) in table.get_ref() {
            match key.get_ref().as_ref() {
                "about" | "geoip" => {}
                "except" => except = self.nets(value)?,
                word => {
                    let field = Field::named(word).filter(|field| !field.is_composite()).ok_or_else(|| self.unknown(key.span(), word))?;
                    let (action, domain) = self.action(field, value)?;
                    actions.insert(field, action);
                    domains.extend(domain.map(|domain| (field, domain)));
                }
            }
        }
        let missing: Vec<&str> = FIELDS.iter().filter(|field| !actions.contains_key(field)).map(|field| field.name()).collect();
        if !missing.is_empty() {
            let Some(other) = actions.get(&Field::Other).cloned() else {
                let end = self.text.trim_end().len();
                return Err(self.fault(
                    end..end,
                    "the policy leaves fields undecided",
                    format!("nothing decides {}", missing.join(", ")),
                    "add a line for each, or other = \"drop\" for all of them",
                ));
            };
            let domain = domains.get(&Field::Other).cloned();
            for field in missing.into_iter().filter_map(Field::named) {
                // What cannot be hashed, such as a status, says too much about a person to stay and goes.
                let hashed = matches!(other, Action::Hash(_)).then(|| Action::parse(field, &other.name()).unwrap_or(Action::Drop));
                if matches!(hashed, Some(Action::Hash(_))) {
                    domains.extend(domain.clone().map(|domain| (field, domain)));
                }
                actions.insert(field, hashed.unwrap_or_else(|| other.clone()));
            }
        }
        Ok(Policy { name: name.to_owned(), actions, domains, except: Nets::new(&except), databases })
    }

    fn unknown(&self, span: Range<usize>, word: &str) -> Fault {
        let near = FIELDS.iter().map(|field| field.name()).find(|name| {
            let same = name.chars().zip(word.chars()).filter(|(a, b)| a == b).count();
            name.len().abs_diff(word.len()) <= 2 && same + 2 >= name.len()
        });
        let remedy = near.map_or_else(|| format!("use one of: {}, except, geoip", FIELDS.map(Field::name).join(", ")), |name| format!("did you mean {name}?"));
        self.fault(span, format!("unknown field `{word}`"), "no field has this name", remedy)
    }

    /// The action, and the domain that the policy names for it.
    fn action(&self, field: Field, value: &Spanned<DeValue<'_>>) -> Result<(Action, Option<String>), Fault> {
        let remedy = || format!("{} takes one of: {}", field.name(), Action::accepted(field));
        match value.get_ref() {
            DeValue::String(word) => Ok((self.word(field, word, value.span())?, None)),
            DeValue::Table(table) if matches!(field, Field::Query | Field::Cookie | Field::Header) => Ok((Action::Named(self.names(field, table, value.span())?), None)),
            DeValue::Table(table) => self.joined(field, table, value.span()),
            other @ (DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_)) => {
                Err(self.fault(value.span(), format!("{} cannot be a {}", field.name(), other.type_str()), "an action stands here", remedy()))
            }
        }
    }

    fn word(&self, field: Field, word: &str, span: Range<usize>) -> Result<Action, Fault> {
        let remedy = || format!("{} takes one of: {}", field.name(), Action::accepted(field));
        let action =
            Action::parse(field, word).ok_or_else(|| self.fault(span.clone(), format!("`{word}` is no action of {}", field.name()), "not an action of this field", remedy()))?;
        if action.is_keyed() && !self.keys {
            Err(self.no_keys(span, word))
        } else if matches!(action, Action::Asn | Action::Country | Action::Add) && !self.databases {
            Err(self.database(span, word))
        } else {
            Ok(action)
        }
    }

    /// `{ action = "hash", domain = "person" }`
    fn joined(&self, field: Field, table: &DeTable<'_>, span: Range<usize>) -> Result<(Action, Option<String>), Fault> {
        let (mut action, mut domain) = (None, None);
        for (key, value) in table {
            match (key.get_ref().as_ref(), value.get_ref().as_str()) {
                ("action", Some(word)) => action = Some(self.word(field, word, value.span())?),
                ("domain", _) => domain = Some(self.domain(value)?),
                (word, _) => return Err(self.fault(key.span(), format!("`{word}` says nothing here"), "not understood", "write { action = \"hash\", domain = \"person\" }")),
            }
        }
        let whole = || self.fault(span.clone(), format!("{} names no action", field.name()), "no action", "write { action = \"hash\", domain = \"person\" }");
        let action = action.ok_or_else(whole)?;
        if domain.is_some() && !matches!(action, Action::Hash(_)) {
            return Err(self.fault(span, "a domain belongs to hashed values only", "nothing is hashed here", "leave the domain out, or hash the field"));
        }
        Ok((action, domain))
    }

    fn domain(&self, value: &Spanned<DeValue<'_>>) -> Result<String, Fault> {
        let named = value.get_ref().as_str().filter(|name| !name.is_empty());
        named
            .map(str::to_owned)
            .ok_or_else(|| self.fault(value.span(), "a domain is a name", "not a name", "write domain = \"person\" with all fields whose pseudonyms are to be the same"))
    }

    /// Unkeyed hashing does not exist: whoever can guess the input can undo it.
    fn no_keys(&self, span: Range<usize>, word: &str) -> Fault {
        self.fault(
            span,
            format!("`{word}` needs a pseudonym key, and none is configured"),
            "there is no unkeyed form of this action",
            "make keys with `logfade keys init` and name their directory with --state, or use truncate/24,32 or drop",
        )
    }

    fn database(&self, span: Range<usize>, word: &str) -> Fault {
        self.fault(
            span,
            format!("`{word}` needs a database of places, and the policy names none"),
            "no database to look it up in",
            "add geoip = \"/path/to/GeoLite2-Country.mmdb\", or use truncate/24,32 or drop",
        )
    }

    fn names(&self, field: Field, table: &DeTable<'_>, span: Range<usize>) -> Result<Names, Fault> {
        let mut names = BTreeMap::new();
        let mut sets = BTreeMap::new();
        let (mut default, mut domain) = (None, None);
        for (key, value) in table {
            let simple = match key.get_ref().as_ref() {
                "default" => {
                    let word = value.get_ref().as_str().unwrap_or_default();
                    default = Some(match word {
                        "keep" => Simple::Keep,
                        "drop" => Simple::Drop,
                        "hash" if !self.keys => return Err(self.no_keys(value.span(), word)),
                        "hash" => Simple::Hash,
                        _ => return Err(self.fault(value.span(), format!("the default of {} is no action", field.name()), "not an action", "use drop, hash or keep")),
                    });
                    continue;
                }
                "keep" => Simple::Keep,
                "drop" => Simple::Drop,
                "hash" if !self.keys => return Err(self.no_keys(value.span(), "hash")),
                "hash" => Simple::Hash,
                "domain" => {
                    domain = Some(self.domain(value)?);
                    continue;
                }
                word => return Err(self.fault(key.span(), format!("unknown key `{word}`"), "no such list", "use default, keep, hash, drop or domain")),
            };
            for name in self.strings(value)? {
                let list = if name.get_ref().starts_with('@') { &mut sets } else { &mut names };
                if list.insert(name.get_ref().to_lowercase(), simple).is_some() {
                    return Err(self.fault(name.span(), format!("`{}` is decided twice", name.get_ref()), "stands in two lists", "leave it in one of them"));
                }
                if name.get_ref().starts_with('@') && (field != Field::Query || !name.get_ref().eq_ignore_ascii_case(tracking::NAME)) {
                    return Err(self.fault(
                        name.span(),
                        format!("{} has no set `{}`", field.name(), name.get_ref()),
                        "no such set",
                        "query has the set \"@tracking\"; other names do not begin with @",
                    ));
                }
            }
        }
        // What a list says of one name counts for more than what it says of a set.
        for simple in sets.into_values() {
            for name in tracking::names() {
                names.entry(name).or_insert(simple);
            }
        }
        let default =
            default.ok_or_else(|| self.fault(span.clone(), format!("{} does not decide the names that are not listed", field.name()), "no default", "add default = \"drop\""))?;
        let names = Names { default, names, domain };
        if names.domain.is_some() && !names.is_keyed() {
            return Err(self.fault(span, "a domain belongs to hashed values only", "nothing is hashed here", "leave the domain out, or add hash = [\"name\"]"));
        }
        Ok(names)
    }

    /// `geoip = "one.mmdb"`, or a list.
    fn databases(&self, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, Fault> {
        let paths = match value.get_ref().as_str() {
            Some(path) => vec![path.to_owned()],
            None => self.strings(value)?.iter().map(|path| (*path.get_ref()).to_owned()).collect(),
        };
        if paths.is_empty() || paths.iter().any(String::is_empty) {
            return Err(self.fault(value.span(), "geoip names no file", "no path", "write geoip = \"/path/to/GeoLite2-Country.mmdb\", or a list of such paths"));
        }
        Ok(paths)
    }

    fn strings<'v>(&self, value: &'v Spanned<DeValue<'_>>) -> Result<Vec<Spanned<&'v str>>, Fault> {
        let list: Option<&DeArray<'_>> = value.get_ref().as_array();
        let fault = |span| self.fault(span, "a list of strings is expected", "not a list of strings", "write [\"one\", \"two\"]");
        let list = list.ok_or_else(|| fault(value.span()))?;
        list.iter().map(|item| item.get_ref().as_str().map(|text| Spanned::new(item.span(), text)).ok_or_else(|| fault(item.span()))).collect()
    }

    fn nets(&self, value: &Spanned<DeValue<'_>>) -> Result<Vec<ipnet::IpNet>, Fault> {
        let net = |text: &Spanned<&str>| {
            let parsed = text.get_ref().parse::<ipnet::IpNet>().or_else(|_| text.get_ref().parse::<std::net::IpAddr>().map(ipnet::IpNet::from));
            parsed.ok().ok_or_else(|| self.fault(text.span(), format!("`{}` is no network", text.get_ref()), "not a network", "write it as 10.0.0.0/8 or 2001:db8::/32"))
        };
        self.strings(value)?.iter().map(net).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::action::Form;
    use super::*;

    fn cause(text: &str) -> String {
        Policy::parse("p", "p.toml", text).map_or_else(|fault| fault.to_string(), |_| String::from("fine"))
    }

    #[test]
    fn the_built_in_policies_are_total() {
        for (name, _) in BUILT_IN {
            assert!(Policy::built_in(name).is_some(), "{name}");
        }
        assert!(Policy::built_in("none").is_none());
    }

    #[test]
    fn databases_are_needed_where_actions_ask_for_them() {
        let needs = |text: &str| {
            let policy = Policy::parse("p", "p.toml", &format!("geoip = [\"a\", \"b\"]\n{text}\nother = \"drop\"")).unwrap();
            (policy.needs_places(), policy.databases().len())
        };
        assert_eq!(needs(""), ((false, false), 2));
        assert_eq!(needs("client_addr = \"country\""), ((true, false), 2));
        assert_eq!(needs("proxied_addr = \"asn\""), ((false, true), 2));
        assert_eq!(needs("country = \"add\"\nasn = \"add\""), ((true, true), 2));
        assert_eq!(needs("country = \"keep\"\nasn = \"off\""), ((false, false), 2));
    }

    #[test]
    fn with_keys_a_field_has_a_domain_of_its_own_unless_the_policy_joins_it() {
        let text = "client_addr = \"hash/address\"\nuser = { action = \"hash\", domain = \"person\" }\ncookie = { default = \"drop\", hash = [\"S\"], domain = \"visitor\" }\nquery = { default = \"hash\" }\nother = \"hash\"";
        let policy = Policy::keyed("p", "p.toml", text).unwrap();
        assert!(policy.is_keyed());
        assert_eq!(policy.action(Field::ClientAddr), &Action::Hash(Form::Address));
        assert_eq!((policy.domain(Field::User), policy.domain(Field::Ident), policy.domain(Field::ClientAddr)), ("person", "ident", "client_addr"));
        let Action::Named(cookies) = policy.action(Field::Cookie) else { panic!("by name") };
        let Action::Named(query) = policy.action(Field::Query) else { panic!("by name") };
        assert_eq!((cookies.domain_of(Field::Cookie, b"S").as_ref(), query.domain_of(Field::Query, b"Uid").as_ref()), ("visitor", "query:uid"));
        assert_eq!((policy.action(Field::Session), policy.action(Field::Status)), (&Action::Hash(Form::Hex), &Action::Drop));
        assert!(BUILT_IN.iter().all(|(name, _)| !Policy::built_in(name).unwrap().is_keyed()));
    }

    #[test]
    fn a_set_is_all_of_its_names_but_those_that_are_decided_alone() {
        let policy = Policy::parse("p", "p.toml", "query = { default = \"keep\", drop = [\"@tracking\"], keep = [\"utm_source\"] }\nother = \"drop\"").unwrap();
        let Action::Named(query) = policy.action(Field::Query) else { panic!("by name") };
        let decided = |name: &str| query.decide(name.as_bytes());
        assert_eq!((decided("fbclid"), decided("ScCid"), decided("utm_medium")), (Simple::Drop, Simple::Drop, Simple::Drop));
        assert_eq!((decided("utm_source"), decided("page"), decided("@tracking")), (Simple::Keep, Simple::Keep, Simple::Keep));
    }

    #[test]
    fn faults_show_their_place_and_a_remedy() {
        let table = [
            ("client_addr = \"trunc\"\nother = \"drop\"", "`trunc` is no action of client_addr", "p.toml:1:15"),
            ("clientaddr = \"drop\"\nother = \"drop\"", "unknown field `clientaddr`", "p.toml:1:1"),
            ("client_addr = \"drop\"", "leaves fields undecided", "p.toml:1"),
            ("other = \"drop\"\nexcept = [\"10.0.0.0/99\"]", "is no network", "p.toml:2:11"),
            ("other = \"hash\"", "needs a pseudonym key", "p.toml:1:9"),
            ("other = drop", "not valid TOML", "p.toml:1"),
            ("query = { keep = [\"a\"] }\nother = \"drop\"", "does not decide", "p.toml:1:9"),
            ("query = { default = \"drop\", keep = [\"a\"], drop = [\"A\"] }\nother = \"drop\"", "decided twice", "p.toml:1"),
            ("user = { action = \"hash\" }\nother = \"drop\"", "needs a pseudonym key", "p.toml:1:19"),
            ("cookie = { default = \"hash\" }\nother = \"drop\"", "needs a pseudonym key", "p.toml:1:22"),
            ("user = { action = \"drop\", domain = \"a\" }\nother = \"drop\"", "belongs to hashed", "p.toml:1:8"),
            ("user = { domain = \"a\" }\nother = \"drop\"", "names no action", "p.toml:1:8"),
            ("cookie = { default = \"drop\", domain = \"a\" }\nother = \"drop\"", "belongs to hashed", "p.toml:1:10"),
            ("client_addr = \"hash/address\"\nother = \"drop\"", "needs a pseudonym key", "p.toml:1:15"),
            ("client_addr = \"country\"\nother = \"drop\"", "needs a database of places", "p.toml:1:15"),
            ("asn = \"add\"\nother = \"drop\"", "needs a database of places", "p.toml:1:7"),
            ("geoip = []\nother = \"drop\"", "names no file", "p.toml:1:9"),
            ("geoip = 5\nother = \"drop\"", "list of strings", "p.toml:1:9"),
            ("query = { default = \"keep\", drop = [\"@ads\"] }\nother = \"drop\"", "has no set `@ads`", "p.toml:1:37"),
            ("cookie = { default = \"keep\", drop = [\"@tracking\"] }\nother = \"drop\"", "has no set", "p.toml:1:38"),
            ("query = { default = \"keep\", drop = [\"@tracking\"], keep = [\"@Tracking\"] }\nother = \"drop\"", "decided twice", "p.toml:1"),
            ("time = 5\nother = \"drop\"", "cannot be a", "p.toml:1:8"),
        ];
        for (text, words, place) in table {
            let shown = cause(text);
            assert!(shown.contains(words) && shown.contains(place) && shown.contains("help:") && shown.contains('^'), "{shown}");
        }
    }
}
