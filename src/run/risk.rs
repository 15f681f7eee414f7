//! `explain --risk` and `report`: reads clean files once and counts what they still say.

use super::verify::explain::is_reject;
use super::verify::lines::Lines;
use super::verify::record::{Kind, Reader};
use super::verify::{detected, text};
use crate::format::{Field, Format, time};
use crate::report::risk::{Figures, HELD, Risk};
use crate::report::status::Sample;
use crate::store::seal::Keychain;
use crate::store::{Cause, StoreError};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The longest line, in bytes.
const LONGEST: usize = 1024 * 1024;

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
pub fn risk(path: Option<&Path>, format: Option<&Arc<Format>>, k: u64, keys: &Keychain) -> Result<RiskReport, StoreError> {
    let mut lines = match path {
        Some(path) => Lines::open(path, LONGEST, keys)?,
        None => Lines::stdin(LONGEST)?,
    };
    let mut tallied = Tallied { risk: Risk::new(k, HELD), unparsed: 0, left: u64::MAX };
    let format = tallied.add(&mut lines, format)?;
    Ok(RiskReport { format, unparsed: tallied.unparsed, figures: tallied.risk.figures() })
}

/// Reads files in turn until `most` lines are counted. A file that is gone meanwhile is passed over.
pub(super) fn sample(paths: &[&Path], format: Option<&Arc<Format>>, (k, most): (u64, u64), keys: &Keychain) -> Result<Sample, StoreError> {
    let mut tallied = Tallied { risk: Risk::new(k, HELD), unparsed: 0, left: most };
    let (mut files, mut whole) = (0, true);
    for path in paths {
        if tallied.left == 0 {
            whole = false;
            break;
        }
        let mut lines = match Lines::open(path, LONGEST, keys) {
            Err(StoreError { cause: Cause::Io(error), .. }) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened?,
        };
        tallied.add(&mut lines, format)?;
        files += 1;
        whole &= !lines.reach(0)?;
    }
    Ok(Sample { files, of_files: paths.len() as u64, whole, unparsed: tallied.unparsed, figures: tallied.risk.figures() })
}

/// What was counted so far.
struct Tallied {
    risk: Risk,
    unparsed: u64,
    /// Lines that may still be read.
    left: u64,
}

impl Tallied {
    /// Counts one file; gives the name of its format.
    fn add(&mut self, lines: &mut Lines, format: Option<&Arc<Format>>) -> Result<Option<String>, StoreError> {
        let (formats, name, _) = detected(format, lines)?;
        let mut reader = Reader::new(&formats);
        while self.left > 0 && lines.reach(0)? {
            let line = lines.line(0);
            if is_reject(line) {
                self.unparsed += 1;
            } else {
                match reader.read(line) {
                    Kind::Record(..) => count(&reader, line, &mut self.risk),
                    Kind::Unknown => self.unparsed += 1,
                    Kind::Blank | Kind::Directive | Kind::Part => {}
                }
            }
            lines.pass();
            self.left -= 1;
        }
        Ok(name)
    }
}

fn count(reader: &Reader, line: &[u8], risk: &mut Risk) {
    let text = reader.record.text(line);
    let places = || reader.record.places.iter().filter(|place| !text::is_nest(place.text));
    let values = || places().map(|place| (place.field, text.get(place.start..place.end).unwrap_or_default()));
    let times = values().filter(|(field, _)| *field == Field::Time).map(|(_, value)| value);
    let hour = time::of_record(times).map(|time| time.as_second().div_euclid(3600));
    risk.add(values(), hour);
}
