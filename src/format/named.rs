//! The named formats, compiled from data when first asked for.

use super::layout::Layout;
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

/// Names and descriptions, without compiling anything.
pub struct Named {
    entries: Vec<Entry>,
    compiled: Vec<OnceLock<Option<Arc<Format>>>>,
}

/// All named formats in the order in which they are preferred.
pub fn named() -> &'static Named {
    static NAMED: OnceLock<Named> = OnceLock::new();
    NAMED.get_or_init(|| {
        // A fault in the data is a fault of the build; the tests of this module compile every entry.
        let entries = toml::from_str::<Data>(include_str!("named.toml")).map(|data| data.format).unwrap_or_default();
        let compiled = entries.iter().map(|_| OnceLock::new()).collect();
        Named { entries, compiled }
    })
}

impl Named {
    /// Every name, including those that a line cannot tell from another.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    /// Name, description and example of each.
    pub fn describe(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.entries.iter().map(|entry| (entry.name.as_str(), entry.about.as_str(), entry.example.as_str()))
    }

    /// The format of that name.
    pub fn find(&self, name: &str) -> Option<Arc<Format>> {
        self.at(self.entries.iter().position(|entry| entry.name == name)?)
    }

    /// All formats that differ in layout, in order.
    pub fn all(&self) -> impl Iterator<Item = Arc<Format>> {
        (0..self.entries.len()).filter_map(|index| self.at(index))
    }

    /// Formats that a line cannot tell from this one.
    pub fn equals(&self, name: &str) -> &[String] {
        self.entries.iter().find(|entry| entry.name == name).map_or(&[], |entry| &entry.same_as)
    }

    fn at(&self, index: usize) -> Option<Arc<Format>> {
        let entry = self.entries.get(index)?;
        self.compiled.get(index)?.get_or_init(|| compile(entry, &self.entries).ok().map(Arc::new)).clone()
    }
}

fn fields(map: &BTreeMap<String, String>) -> Result<Vec<(String, Field)>, String> {
    map.iter().map(|(key, field)| Field::named(field).map(|field| (key.clone(), field)).ok_or_else(|| format!("{key}: no field {field}"))).collect()
}

fn compile(entry: &Entry, entries: &[Entry]) -> Result<Format, String> {
    let mut slots: Vec<Slot> = envelope::slots();
    let shape = match entry.kind.as_str() {
        "nginx-error" => Shape::NginxError(ErrorSlots::compile(&mut slots)),
        "apache-error" => Shape::ApacheError(ErrorSlots::compile(&mut slots)),
        _ if !entry.json.is_empty() => Shape::Json(Tree::compile(&fields(&entry.json)?, &entry.require, &mut slots)),
        _ if !entry.like.is_empty() => {
            let like = entries.iter().find(|known| known.name == entry.like).ok_or_else(|| format!("{}: no entry {}", entry.name, entry.like))?;
            Shape::W3c(Names::compile(&fields(&like.w3c)?, &entry.default, &mut slots))
        }
        _ if !entry.w3c.is_empty() => Shape::W3c(Names::compile(&fields(&entry.w3c)?, &entry.default, &mut slots)),
        _ if !entry.ltsv.is_empty() => Shape::Ltsv(Names::compile(&fields(&entry.ltsv)?, &[], &mut slots)),
        _ => {
            let mut layouts = Vec::new();
            for text in &entry.layout {
                let pieces = directive::braces(text).map_err(|error| format!("{}: {} at {}", entry.name, error.cause, error.at))?;
                layouts.push(Layout::compile(&pieces, entry.loose, &mut slots).map_err(|cause| format!("{}: {cause}: {text}", entry.name))?);
            }
            Shape::Text(layouts)
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
        assert!(toml::from_str::<Data>(include_str!("named.toml")).is_ok());
        assert!(named().entries.len() > 40);
        for entry in &named().entries {
            let format = match compile(entry, &named().entries) {
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
