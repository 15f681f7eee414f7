//! The named formats, compiled from data when first asked for.

use super::layout::Layouts;
use super::span::Slot;
use super::{Field, Format, Shape, directive, envelope, error_log::ErrorSlots, json::Tree, table::Names};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// One `[[format]]` of the data file.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    about: String,
    #[serde(default)]
    example: String,
    #[serde(default)]
    same_as: Vec<String>,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    layout: Vec<String>,
    #[serde(default)]
    loose: bool,
    #[serde(default)]
    require: Vec<String>,
    /// Takes the columns of this entry.
    #[serde(default)]
    like: String,
    #[serde(default)]
    default: Vec<String>,
    #[serde(default)]
    json: BTreeMap<String, String>,
    #[serde(default)]
    ltsv: BTreeMap<String, String>,
    #[serde(default)]
    w3c: BTreeMap<String, String>,
}

#[derive(serde::Deserialize)]
struct Data {
    format: Vec<Entry>,
}

/// All of them; each is read and compiled when it is asked for, as most runs need one.
pub struct Named {
    places: Vec<Place>,
}

/// One format's part of the data file.
struct Place {
    name: &'static str,
    text: &'static str,
    entry: OnceLock<Option<Entry>>,
    compiled: OnceLock<Option<Arc<Format>>>,
}

const HEAD: &str = "[[format]]\n";
const DATA: &str = include_str!("named.toml");

/// All named formats in the order in which they are preferred.
pub fn named() -> &'static Named {
    static NAMED: OnceLock<Named> = OnceLock::new();
    NAMED.get_or_init(|| {
        let starts: Vec<usize> = DATA.match_indices(HEAD).map(|(at, _)| at).filter(|at| DATA.get(..*at).is_some_and(|before| before.ends_with('\n'))).collect();
        let ends = starts.iter().skip(1).copied().chain([DATA.len()]);
        let part = |(start, end)| {
            let text = DATA.get(start..end)?;
            Some(Place { name: name_of(text)?, text, entry: OnceLock::new(), compiled: OnceLock::new() })
        };
        Named { places: starts.iter().copied().zip(ends).filter_map(part).collect() }
    })
}

/// The name that an entry begins with.
fn name_of(text: &str) -> Option<&str> {
    text.strip_prefix(HEAD)?.lines().next()?.strip_prefix("name")?.trim_start().strip_prefix('=')?.trim().strip_prefix('"')?.strip_suffix('"')
}

impl Place {
    /// The entry. A fault in the data is a fault of the build; the tests of this module read and compile every entry.
    fn entry(&self) -> Option<&Entry> {
        self.entry.get_or_init(|| toml::from_str::<Data>(self.text).ok().and_then(|data| data.format.into_iter().next())).as_ref()
    }

    fn format(&self, named: &Named) -> Option<Arc<Format>> {
        self.compiled.get_or_init(|| compile(self.entry()?, named).ok().map(Arc::new)).clone()
    }
}

impl Named {
    /// Every name, including those that a line cannot tell from another.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.places.iter().map(|place| place.name)
    }

    /// Name, description and example of each.
    pub fn describe(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.places.iter().filter_map(|place| place.entry()).map(|entry| (entry.name.as_str(), entry.about.as_str(), entry.example.as_str()))
    }

    /// The format of that name.
    pub fn find(&self, name: &str) -> Option<Arc<Format>> {
        self.place(name)?.format(self)
    }

    /// All formats that differ in layout, in order.
    pub fn all(&self) -> impl Iterator<Item = Arc<Format>> {
        self.places.iter().filter_map(|place| place.format(self))
    }

    /// Formats that a line cannot tell from this one.
    pub fn equals(&self, name: &str) -> &[String] {
        self.place(name).and_then(Place::entry).map_or(&[], |entry| &entry.same_as)
    }

    fn place(&self, name: &str) -> Option<&Place> {
        self.places.iter().find(|place| place.name == name)
    }
}

fn fields(map: &BTreeMap<String, String>) -> Result<Vec<(String, Field)>, String> {
    map.iter().map(|(key, field)| Field::named(field).map(|field| (key.clone(), field)).ok_or_else(|| format!("{key}: no field {field}"))).collect()
}

fn compile(entry: &Entry, named: &Named) -> Result<Format, String> {
    let mut slots: Vec<Slot> = envelope::slots();
    let shape = match entry.kind.as_str() {
        "nginx-error" => Shape::NginxError(ErrorSlots::compile(&mut slots)),
        "apache-error" => Shape::ApacheError(ErrorSlots::compile(&mut slots)),
        _ if !entry.json.is_empty() => Shape::Json(Tree::compile(&fields(&entry.json)?, &entry.require, &mut slots)),
        _ if !entry.like.is_empty() => {
            let like = named.place(&entry.like).and_then(Place::entry).ok_or_else(|| format!("{}: no entry {}", entry.name, entry.like))?;
            Shape::W3c(Names::compile(&fields(&like.w3c)?, &entry.default, &mut slots))
        }
        _ if !entry.w3c.is_empty() => Shape::W3c(Names::compile(&fields(&entry.w3c)?, &entry.default, &mut slots)),
        _ if !entry.ltsv.is_empty() => Shape::Ltsv(Names::compile(&fields(&entry.ltsv)?, &[], &mut slots)),
        _ => {
            let read = |text: &String| directive::braces(text).map_err(|error| format!("{}: {} at {}: {text}", entry.name, error.cause, error.at));
            let layouts = entry.layout.iter().map(read).collect::<Result<Vec<_>, _>>()?;
            Shape::Text(Layouts::compile(&layouts, entry.loose, &mut slots).map_err(|(number, cause)| format!("{}: {cause} in layout {number}", entry.name))?)
        }
    };
    Ok(Format { name: entry.name.clone(), slots, shape })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Columns, Spans};

    #[test]
    fn every_entry_compiles_and_splits_its_example() {
        let whole = toml::from_str::<Data>(DATA).unwrap().format;
        assert!(whole.len() > 40);
        assert!(whole.iter().map(|entry| entry.name.as_str()).eq(named().names()));
        for place in &named().places {
            let entry = place.entry().unwrap_or_else(|| panic!("{} cannot be read alone", place.name));
            assert_eq!(entry.name, place.name);
            let format = match compile(entry, named()) {
                Ok(format) => format,
                Err(fault) => panic!("{fault}"),
            };
            let mut columns = Columns::default();
            for line in entry.example.lines() {
                let mut spans = Spans::default();
                let split = format.split(line.as_bytes(), &mut columns, &mut spans);
                assert!(split.is_ok(), "{}: {split:?}", entry.name);
            }
        }
    }
}
