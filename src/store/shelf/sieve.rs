//! Which lines a form takes.

use crate::format::{Columns, Format, Line, Spans, escape, peel};
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
        let Some(select) = self.select.clone() else { return true };
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Some(admitted) = self.judge(&select, line) {
            return admitted;
        }
        // What carries it says nothing of the record.
        self.spans.clear();
        let Some(peeled) = peel(line, &mut self.spans).filter(|peeled| !peeled.partial) else { return false };
        let inner = line.get(peeled.start..peeled.end).unwrap_or_default();
        if !peeled.coded {
            return self.judge(&select, inner).unwrap_or(false);
        }
        let mut decoded = Vec::new();
        escape::json_with_origin(inner, &mut decoded, &mut Vec::new());
        let plain = decoded.strip_suffix(b"\n").unwrap_or(&decoded);
        self.judge(&select, plain).unwrap_or(false)
    }

    /// The same of a line without what carries it; none if no format knows it.
    fn judge(&mut self, select: &Selection, line: &[u8]) -> Option<bool> {
        for (format, columns) in self.formats.iter().zip(&mut self.columns) {
            self.spans.clear();
            match format.split(line, columns, &mut self.spans) {
                Ok(Line::Record) => return Some(select.admits(format, line, self.spans.as_slice())),
                // What says how the next lines are laid out.
                Ok(_) => return Some(true),
                Err(_) => {}
            }
        }
        None
    }
}
