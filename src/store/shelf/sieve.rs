//! Which lines a form takes.

use crate::format::{Columns, Format, Line, Spans};
use crate::scrub::{Selection, Settings};
use std::sync::Arc;

/// Lines in order; a line of which nobody can say that it is among the records that are taken is left out.
pub struct Sieve {
    select: Option<Arc<Selection>>,
    formats: Vec<Arc<Format>>,
    columns: Vec<Columns>,
    spans: Spans,
}

impl Sieve {
    /// Of a form; none takes every line.
    pub fn new(select: Option<&Arc<Selection>>, settings: &Settings) -> Self {
        Self { select: select.cloned(), formats: settings.formats.clone(), columns: settings.formats.iter().map(|_| Columns::default()).collect(), spans: Spans::default() }
    }

    /// Whether a line is among the records that are taken.
    pub fn admits(&mut self, line: &[u8]) -> bool {
        let Some(select) = &self.select else { return true };
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        for (format, columns) in self.formats.iter().zip(&mut self.columns) {
            match format.split(line, columns, &mut self.spans) {
                Ok(Line::Record) => return select.admits(format, line, self.spans.as_slice()),
                // What says how the next lines are laid out.
                Ok(_) => return true,
                Err(_) => {}
            }
        }
        false
    }
}
