//! `explain --risk`: reads a clean file once and counts what it still says.

use super::verify::explain::is_reject;
use super::verify::lines::Lines;
use super::verify::record::{Kind, Reader};
use super::verify::{detected, text};
use crate::format::{Field, Format, time};
use crate::report::risk::{Figures, HELD, Risk};
use crate::store::StoreError;
use std::path::Path;
use std::sync::Arc;

/// What was read and what it says.
#[derive(Clone, Debug)]
pub struct RiskReport {
    /// Name of the format; `None` if no line told.
    pub format: Option<String>,
    /// Lines that hold no record: places of rejects, and what does not parse.
    pub unparsed: u64,
    /// The figures of the others.
    pub figures: Figures,
}

/// Reads `path`, or standard input, and counts; `k` is the size that a group should at least have. The error is one of reading.
pub fn risk(path: Option<&Path>, format: Option<&Arc<Format>>, k: u64) -> Result<RiskReport, StoreError> {
    const LONGEST: usize = 1024 * 1024;
    let mut lines = match path {
        Some(path) => Lines::open(path, LONGEST)?,
        None => Lines::stdin(LONGEST)?,
    };
    let (formats, name, _) = detected(format, &mut lines)?;
    let mut reader = Reader::new(&formats);
    let mut risk = Risk::new(k, HELD);
    let mut unparsed = 0;
    while lines.reach(0)? {
        let line = lines.line(0);
        if is_reject(line) {
            unparsed += 1;
        } else {
            match reader.read(line) {
                Kind::Record(..) => count(&reader, line, &mut risk),
                Kind::Unknown => unparsed += 1,
                Kind::Blank | Kind::Directive | Kind::Part => {}
            }
        }
        lines.pass();
    }
    Ok(RiskReport { format: name, unparsed, figures: risk.figures() })
}

fn count(reader: &Reader, line: &[u8], risk: &mut Risk) {
    let text = reader.record.text(line);
    let places = || reader.record.places.iter().filter(|place| !text::is_nest(place.text));
    let values = || places().map(|place| (place.field, text.get(place.start..place.end).unwrap_or_default()));
    let times = values().filter(|(field, _)| *field == Field::Time).map(|(_, value)| value);
    let hour = time::of_record(times).map(|time| time.as_second().div_euclid(3600));
    risk.add(values(), hour);
}
