//! Counts of one day by dimension: how many records, how many different clients, small groups not shown. Values in, a table out.

mod record;
mod write;

pub use record::Record;
pub use write::Table;

use super::class::Dimension;
use jiff::civil::Date;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

/// Cells that one dimension has at most; whatever comes after them is counted in `other`.
pub const CELLS: usize = 10_000;

/// The cell of everything that has no other. A value of this text is counted in it as well.
const OTHER: &str = "other";

/// What a table says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Every record of the day that the class had.
    Whole,
    /// Records that came when the others of the day were gone: clients of both may be the same, so that nothing can be added.
    Part,
}

impl Extent {
    /// The word in the tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Part => "part",
        }
    }
}

/// Cells of one dimension.
#[derive(Debug, Default)]
struct Cells {
    named: HashMap<String, Cell>,
    other: Cell,
    /// Whether a record said anything.
    tells: bool,
}

#[derive(Debug, Default)]
struct Cell {
    records: u64,
    clients: HashSet<u64>,
}

/// Counts one day. Clients are told apart by a keyed hash of their address; the key never leaves this value.
#[derive(Debug)]
pub struct Tables {
    day: Date,
    k: u64,
    cells_most: usize,
    /// Whether dimensions of which the log says nothing are left out.
    terse: bool,
    by: Vec<(Dimension, Cells)>,
    clients: HashSet<u64>,
    key: RandomState,
}

/// The counts of one cell; none where fewer than k clients stand behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What is counted by.
    pub dimension: Dimension,
    /// The value.
    pub cell: String,
    /// Records and different clients.
    pub counts: Option<(u64, u64)>,
}

impl Tables {
    /// Nothing counted. `by` names the dimensions; none: all of which the log says anything. A dimension has at most `cells_most` cells
    /// ([`CELLS`]).
    pub fn new(day: Date, (k, by): (u32, &[Dimension]), cells_most: usize) -> Self {
        let terse = by.is_empty();
        let by = Dimension::ALL.into_iter().filter(|dimension| terse || by.contains(dimension)).map(|dimension| (dimension, Cells::default())).collect();
        Self { day, k: u64::from(k), cells_most, terse, by, clients: HashSet::new(), key: RandomState::new() }
    }

    /// The day.
    pub const fn day(&self) -> Date {
        self.day
    }

    /// Counts a record of this hour of the day. Records without a client are of one that nobody knows.
    pub fn add(&mut self, record: &Record, hour: i8) {
        let client = self.key.hash_one(record.client.as_deref().unwrap_or_default());
        self.clients.insert(client);
        for (dimension, cells) in &mut self.by {
            let label = record.label(*dimension, hour);
            cells.tells |= label.is_some();
            let label = label.unwrap_or_else(|| "-".to_owned());
            let room = cells.named.len() < self.cells_most || cells.named.contains_key(&label);
            let cell = if room && label != OTHER { cells.named.entry(label).or_default() } else { &mut cells.other };
            cell.records += 1;
            cell.clients.insert(client);
        }
    }

    /// The rows in order: dimensions as documented, cells by their text, `other` last.
    fn rows(self) -> Vec<Row> {
        let Self { k, terse, by, clients, key, .. } = self;
        let mut rows = Vec::new();
        for (dimension, mut cells) in by {
            if terse && !cells.tells {
                continue;
            }
            let mut shown = Vec::new();
            for (cell, counted) in cells.named {
                // A value that is somebody's address tells them, however many have it.
                if counted.clients.len() as u64 >= k && !clients.contains(&key.hash_one(cell.as_str())) {
                    shown.push(Row { dimension, cell, counts: Some((counted.records, counted.clients.len() as u64)) });
                } else {
                    cells.other.records += counted.records;
                    cells.other.clients.extend(counted.clients);
                }
            }
            shown.sort_by(|one, two| one.cell.cmp(&two.cell));
            rows.append(&mut shown);
            if cells.other.records > 0 {
                let clients = cells.other.clients.len() as u64;
                rows.push(Row { dimension, cell: OTHER.to_owned(), counts: (clients >= k).then_some((cells.other.records, clients)) });
            }
        }
        rows
    }

    /// The table, in one layout or the other.
    pub fn finish(self, extent: Extent, layout: crate::scrub::Output) -> Table {
        let day = self.day;
        Table::new(day, extent, layout, &self.rows())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scrub::Output;

    fn day() -> Date {
        jiff::civil::date(2026, 1, 5)
    }

    fn record(client: &str, method: &str) -> Record {
        Record { client: Some(client.to_owned()), method: Some(method.to_owned()), ..Record::default() }
    }

    fn rows(k: u32, most: usize, records: &[(&str, &str)]) -> Vec<(String, Option<(u64, u64)>)> {
        let mut tables = Tables::new(day(), (k, &[Dimension::Method]), most);
        records.iter().for_each(|(client, method)| tables.add(&record(client, method), 0));
        tables.rows().into_iter().map(|row| (row.cell, row.counts)).collect()
    }

    #[test]
    fn a_cell_needs_k_clients_whatever_its_records() {
        let records = [("a", "GET"), ("b", "GET"), ("a", "GET"), ("a", "PUT"), ("a", "PUT"), ("a", "PUT")];
        assert_eq!(rows(2, CELLS, &records), [("GET".to_owned(), Some((3, 2))), ("other".to_owned(), None)]);
        assert_eq!(rows(1, CELLS, &records), [("GET".to_owned(), Some((3, 2))), ("PUT".to_owned(), Some((3, 1)))]);
        assert_eq!(rows(3, CELLS, &records), [("other".to_owned(), None)]);
    }

    #[test]
    fn other_is_shown_when_enough_clients_share_it_and_counts_each_of_them_once() {
        let records = [("a", "GET"), ("b", "PUT"), ("c", "POST"), ("a", "PUT")];
        assert_eq!(rows(3, CELLS, &records), [("other".to_owned(), Some((4, 3)))]);
        assert_eq!(rows(2, CELLS, &records), [("PUT".to_owned(), Some((2, 2))), ("other".to_owned(), Some((2, 2)))]);
    }

    #[test]
    fn a_value_called_other_and_a_flood_of_values_are_counted_in_it() {
        assert_eq!(rows(1, CELLS, &[("a", "other"), ("b", "GET")]), [("GET".to_owned(), Some((1, 1))), ("other".to_owned(), Some((1, 1)))]);
        let flood: Vec<(String, String)> = (0..50).map(|number| (format!("{number}"), format!("M{number}"))).collect();
        let flood: Vec<(&str, &str)> = flood.iter().map(|(client, method)| (client.as_str(), method.as_str())).collect();
        let found = rows(1, 10, &flood);
        assert_eq!((found.len(), found.last()), (11, Some(&("other".to_owned(), Some((40, 40))))));
    }

    #[test]
    fn an_address_of_a_client_is_no_cell() {
        assert_eq!(rows(1, CELLS, &[("203.0.113.7", "GET"), ("203.0.113.8", "203.0.113.7")]), [("GET".to_owned(), Some((1, 1))), ("other".to_owned(), Some((1, 1)))]);
    }

    #[test]
    fn of_what_the_log_says_nothing_there_is_no_table() {
        let mut tables = Tables::new(day(), (1, &[]), CELLS);
        tables.add(&record("a", "GET"), 9);
        let text = String::from_utf8(tables.finish(Extent::Whole, Output::Same).as_bytes().to_vec()).unwrap();
        assert_eq!(text, "day,extent,dimension,cell,records,clients\n2026-01-05,whole,hour,09,1,1\n2026-01-05,whole,method,GET,1,1\n");
    }
}
