//! A table as CSV (RFC 4180) or NDJSON: the same rows in the same order, so that the same counts are the same bytes.

use super::{Extent, Row};
use crate::scrub::Output;
use jiff::civil::Date;
use serde::Serialize;

/// A finished table: only counting makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    day: Date,
    layout: Output,
    bytes: Vec<u8>,
    lines: u64,
}

/// One row of NDJSON.
#[derive(Serialize)]
struct Line<'a> {
    day: Date,
    extent: &'a str,
    dimension: &'a str,
    cell: &'a str,
    records: Option<u64>,
    clients: Option<u64>,
}

impl Table {
    pub(super) fn new(day: Date, extent: Extent, layout: Output, rows: &[Row]) -> Self {
        let mut bytes = Vec::new();
        let mut lines = rows.len() as u64;
        match layout {
            Output::Same => {
                bytes.extend_from_slice(b"day,extent,dimension,cell,records,clients\n");
                lines += 1;
                for row in rows {
                    let (records, clients) = row.counts.map_or_else(Default::default, |(records, clients)| (records.to_string(), clients.to_string()));
                    bytes.extend_from_slice(format!("{day},{},{},{},{records},{clients}\n", extent.name(), row.dimension.name(), cell(&row.cell)).as_bytes());
                }
            }
            Output::Json => {
                for row in rows {
                    let (records, clients) = row.counts.unzip();
                    let line = Line { day, extent: extent.name(), dimension: row.dimension.name(), cell: &row.cell, records, clients };
                    bytes.extend_from_slice(&serde_json::to_vec(&line).unwrap_or_default());
                    bytes.push(b'\n');
                }
            }
        }
        Self { day, layout, bytes, lines }
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its lines, the heading included.
    pub const fn lines(&self) -> u64 {
        self.lines
    }

    /// Its file's name: `CLASS.DAY.aggregate.DIGEST8.csv`, or `.ndjson`.
    pub fn name(&self, class: &str, digest: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
        let class: String = class.chars().map(plain).collect();
        let end = match self.layout {
            Output::Same => "csv",
            Output::Json => "ndjson",
        };
        format!("{class}.{}.aggregate.{digest}.{end}", self.day)
    }

    /// The day of a table, by its file's name; `None` of any other file.
    pub fn day_of(name: &str) -> Option<Date> {
        let name = name.strip_suffix(".age").unwrap_or(name);
        let mut parts = name.rsplit('.');
        let (end, digest, word, day) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let own = matches!(end, "csv" | "ndjson") && word == "aggregate" && digest.len() == 8 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) && parts.next().is_some();
        day.parse().ok().filter(|_| own)
    }
}

/// A field of CSV. What a spreadsheet would take for a formula is led by an apostrophe; control characters are `?`.
fn cell(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    let lead = if text.len() > 1 && text.starts_with(['=', '+', '-', '@']) { "'" } else { "" };
    if lead.is_empty() && !text.contains([',', '"']) { text } else { format!("\"{lead}{}\"", text.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_have_to_be() {
        for (text, expected) in [("GET", "GET"), ("-", "-"), ("a,b", "\"a,b\""), ("a\"b", "\"a\"\"b\""), ("=1+1", "\"'=1+1\""), ("a\nb", "a?b")] {
            assert_eq!(cell(text), expected);
        }
    }

    #[test]
    fn names_lead_back_to_the_day() {
        let table = Table::new(jiff::civil::date(2026, 1, 5), Extent::Whole, Output::Same, &[]);
        assert_eq!(table.name("my site/x", "0a1b2c3d"), "my_site_x.2026-01-05.aggregate.0a1b2c3d.csv");
        assert_eq!(Table::day_of("site.2026-01-05.aggregate.0a1b2c3d.ndjson"), Some(jiff::civil::date(2026, 1, 5)));
        assert_eq!(Table::day_of("site.2026-01-05.aggregate.0a1b2c3d.csv.age"), Some(jiff::civil::date(2026, 1, 5)));
        for other in ["site.2026-01-05.aggregate.csv", "site.2026-13-05.aggregate.0a1b2c3d.csv", "2026-01-05.aggregate.0a1b2c3d.csv", "mine.csv", ""] {
            assert_eq!(Table::day_of(other), None, "{other}");
        }
    }
}
