//! Tables with their places in the text: checks them against the keys they may hold, and hands values out.

use super::schema::{Key, Kind};
use crate::diagnostic::Diagnostic;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A fault in the configuration, with its place.
pub(super) type Fault = Box<Diagnostic>;

/// The text that is read.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) origin: &'a str,
    pub(super) text: &'a str,
}

/// A table whose keys are known and whose values have the right types.
#[derive(Clone, Copy)]
pub(super) struct Section<'a> {
    pub(super) text: Text<'a>,
    table: &'a DeTable<'a>,
    span: (usize, usize),
}

impl<'a> Text<'a> {
    /// A fault at a place. `words` are what the caret says and the remedy.
    pub(super) fn fault(&self, span: Range<usize>, cause: impl Into<String>, words: (&str, impl Into<String>)) -> Fault {
        Box::new(Diagnostic { cause: cause.into(), origin: self.origin.into(), source: self.text.into(), span, label: words.0.into(), remedy: words.1.into() })
    }

    /// The root table, once all of it has the shape of `keys`.
    pub(super) fn root(self, table: &'a DeTable<'a>, keys: &[Key]) -> Result<Section<'a>, Fault> {
        self.conforms(table, 0..0, keys)?;
        Ok(Section { text: self, table, span: (0, 0) })
    }

    fn conforms(&self, table: &DeTable<'_>, span: Range<usize>, keys: &[Key]) -> Result<(), Fault> {
        for (key, value) in table {
            let word = key.get_ref().as_ref();
            let known = keys.iter().find(|known| known.name == word).ok_or_else(|| self.unknown(key.span(), word, keys))?;
            self.fits(value, known)?;
        }
        let has = |name: &str| table.iter().any(|(key, _)| key.get_ref() == name);
        match keys.iter().find(|key| key.required && !has(key.name)) {
            Some(missing) => Err(self.fault(span, format!("`{}` is missing here", missing.name), ("this table lacks it", format!("add {}: {}", missing.name, missing.about)))),
            None => Ok(()),
        }
    }

    fn unknown(&self, span: Range<usize>, word: &str, keys: &[Key]) -> Fault {
        let near = keys.iter().map(|key| (strsim::damerau_levenshtein(key.name, word), key.name)).min().filter(|(distance, _)| *distance <= 2);
        let remedy = near.map_or_else(|| format!("use one of: {}", keys.iter().map(|key| key.name).collect::<Vec<_>>().join(", ")), |(_, name)| format!("did you mean {name}?"));
        self.fault(span, format!("unknown key `{word}`"), ("no key of this table has this name", remedy))
    }

    fn fits(&self, value: &Spanned<DeValue<'_>>, key: &Key) -> Result<(), Fault> {
        let wrong = |span: Range<usize>, is: &str, should: &str| {
            let article = if is.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
            Err(self.fault(span, format!("`{}` cannot be {article} {is}", key.name), (&format!("{should} is expected"), format!("{}: {}", key.name, key.about))))
        };
        let is = value.get_ref().type_str();
        let texts = |value: &Spanned<DeValue<'_>>, number: bool| {
            let single = |value: &DeValue<'_>| value.is_str() || (number && value.is_integer());
            match value.get_ref().as_array() {
                Some(list) => list.iter().find(|item| !single(item.get_ref())).map_or(Ok(()), |item| wrong(item.span(), item.get_ref().type_str(), "a string")),
                None if single(value.get_ref()) => Ok(()),
                None => wrong(value.span(), value.get_ref().type_str(), "a string or a list of strings"),
            }
        };
        match &key.kind {
            Kind::Text if value.get_ref().is_str() => Ok(()),
            Kind::Text => wrong(value.span(), is, "a string"),
            Kind::Flag if value.get_ref().is_bool() => Ok(()),
            Kind::Flag => wrong(value.span(), is, "true or false"),
            Kind::Count if integer(value.get_ref()).is_some_and(|number| number > 0) => Ok(()),
            Kind::Count => wrong(value.span(), if value.get_ref().is_integer() { "number below 1" } else { is }, "a whole number from 1 up"),
            Kind::Texts => texts(value, false),
            Kind::Ranges => texts(value, true),
            Kind::Limit if value.get_ref().is_str() || integer(value.get_ref()).is_some_and(|number| number >= 0) => Ok(()),
            Kind::Limit => wrong(value.span(), is, "a number of lines or a percentage"),
            Kind::Choice(words) => match value.get_ref().as_str() {
                Some(word) if words.contains(&word) => Ok(()),
                Some(word) => {
                    let remedy = format!("use one of: {}", words.join(", "));
                    Err(self.fault(value.span(), format!("`{word}` is no value of `{}`", key.name), ("not a value of this key", remedy)))
                }
                None => wrong(value.span(), is, "a string"),
            },
            Kind::Map | Kind::TextsMap => match value.get_ref().as_table() {
                Some(table) => table.iter().try_for_each(|(_, value)| {
                    let single = matches!(key.kind, Kind::Map) && !value.get_ref().is_str();
                    if single { wrong(value.span(), value.get_ref().type_str(), "a string") } else { texts(value, false) }
                }),
                None => wrong(value.span(), is, "a table"),
            },
            Kind::Table(keys) => match value.get_ref().as_table() {
                Some(table) => self.conforms(table, value.span(), keys),
                None => wrong(value.span(), is, "a table"),
            },
            Kind::Tables(keys) => match value.get_ref().as_array() {
                Some(list) => list.iter().try_for_each(|item| match item.get_ref().as_table() {
                    Some(table) => self.conforms(table, item.span(), keys),
                    None => wrong(item.span(), item.get_ref().type_str(), "a table"),
                }),
                None => wrong(value.span(), is, "a list of tables"),
            },
        }
    }
}

/// The number, if it is one.
pub(super) fn integer(value: &DeValue<'_>) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

impl<'a> Section<'a> {
    /// Where the table begins.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.0..self.span.1
    }

    /// The value of a key.
    pub(super) fn value(&self, name: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.table.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| value)
    }

    /// Where a value stands, else where the table begins.
    pub(super) fn place(&self, name: &str) -> Range<usize> {
        self.value(name).map_or_else(|| self.span(), Spanned::span)
    }

    /// A string.
    pub(super) fn text_of(&self, name: &str) -> Option<&'a str> {
        self.value(name)?.get_ref().as_str()
    }

    /// A string that is not empty.
    pub(super) fn words(&self, name: &str) -> Result<Option<String>, Fault> {
        match self.text_of(name) {
            Some(text) if text.trim().is_empty() => Err(self.fault(name, format!("`{name}` is empty"), ("nothing stands here", "write it, or leave the key out"))),
            text => Ok(text.map(str::to_owned)),
        }
    }

    /// A flag, or what it is if left out.
    pub(super) fn flag(&self, name: &str, default: bool) -> bool {
        self.value(name).and_then(|value| value.get_ref().as_bool()).unwrap_or(default)
    }

    /// The values of one string or a list, each with its place.
    pub(super) fn list(&self, name: &str) -> Vec<&'a Spanned<DeValue<'a>>> {
        match self.value(name) {
            Some(value) => value.get_ref().as_array().map_or_else(|| vec![value], |list| list.iter().collect()),
            None => Vec::new(),
        }
    }

    /// The strings of a list, each with its place.
    pub(super) fn texts(&self, name: &str) -> Vec<(&'a str, Range<usize>)> {
        self.list(name).into_iter().filter_map(|item| Some((item.get_ref().as_str()?, item.span()))).collect()
    }

    /// The strings of a list.
    pub(super) fn strings(&self, name: &str) -> Vec<String> {
        self.texts(name).into_iter().map(|(text, _)| text.to_owned()).collect()
    }

    /// The table of a key.
    pub(super) fn section(&self, name: &str) -> Option<Section<'a>> {
        let value = self.value(name)?;
        Some(Section { text: self.text, table: value.get_ref().as_table()?, span: (value.span().start, value.span().end) })
    }

    /// The tables of a key.
    pub(super) fn sections(&self, name: &str) -> Vec<Section<'a>> {
        let tables = self.list(name).into_iter();
        tables.filter_map(|item| Some(Section { text: self.text, table: item.get_ref().as_table()?, span: (item.span().start, item.span().end) })).collect()
    }

    /// Every key with its strings.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&'a Spanned<toml::de::DeString<'a>>, Vec<(&'a str, Range<usize>)>)> {
        self.table.iter().map(|(key, value)| {
            let items: Vec<&Spanned<DeValue<'_>>> = value.get_ref().as_array().map_or_else(|| vec![value], |list| list.iter().collect());
            (key, items.into_iter().filter_map(|item| Some((item.get_ref().as_str()?, item.span()))).collect())
        })
    }

    /// A fault at the value of a key.
    pub(super) fn fault(&self, name: &str, cause: impl Into<String>, words: (&str, impl Into<String>)) -> Fault {
        self.text.fault(self.place(name), cause, words)
    }
}
