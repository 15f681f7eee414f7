//! What a policy does with a line, value by value: before and after. Shows raw data to the person who asks.

use super::clean::Reject;
use super::scrubber::{Plan, Scrubber, Settings};
use super::tools::{Edit, Tools, Value};
use crate::format::{Field, Span, Text};

/// One value of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// What it means.
    pub field: Field,
    /// Name of the header, cookie or directive; may be empty.
    pub name: String,
    /// The policy's word.
    pub action: String,
    /// The raw value.
    pub before: String,
    /// What is written; empty if nothing is.
    pub after: String,
    /// Whether it should have become a pseudonym, and there was no key for it.
    pub keyless: bool,
}

/// Explains each line of `sample`; blank lines and directives have no values.
pub fn explain<'a>(settings: &Settings, sample: &'a [u8]) -> impl Iterator<Item = (usize, Result<Vec<FieldChange>, Reject>)> + use<'a> {
    let mut scrubber = Scrubber::new(settings);
    sample.split_inclusive(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty()).map(move |(at, line)| (at + 1, scrubber.changes(line)))
}

/// The changes of one split line.
pub(super) fn changes(plan: &Plan, tools: &mut Tools, line: &[u8], spans: &[Span]) -> Result<Vec<FieldChange>, Reject> {
    let mut rows = Vec::new();
    let mut key: &[u8] = b"";
    let mut skip_to = 0;
    for span in spans {
        let (start, end) = (span.start as usize, span.end as usize);
        let slot = usize::from(span.slot);
        let (Some(act), Some(slot), Some(bytes)) = (plan.acts.get(slot), plan.format.slots().get(slot), line.get(start..end)) else { return Err(Reject::Envelope) };
        if start < skip_to {
            continue;
        }
        let edit = match span.text {
            Text::JsonKey => {
                key = bytes;
                continue;
            }
            Text::JsonNest if act.drops_objects() => {
                skip_to = end;
                Edit::Gone
            }
            Text::JsonNest => continue,
            Text::Bare | Text::Quoted | Text::Plus | Text::Json | Text::JsonScalar | Text::Tail => {
                tools.apply(act, Value { bytes, text: span.text, after: line.get(end..).unwrap_or_default(), key })?
            }
        };
        let after = match edit {
            Edit::Same => bytes.to_vec(),
            Edit::Gone => match span.text {
                Text::Tail => Vec::new(),
                Text::JsonScalar | Text::JsonNest => b"null".to_vec(),
                Text::Bare | Text::Quoted | Text::Plus | Text::Json | Text::JsonKey => b"-".to_vec(),
            },
            Edit::Piece => tools.piece.clone(),
            Edit::Masked => {
                let mut masked = Vec::new();
                let mut at = 0;
                for hit in &tools.hits {
                    masked.extend_from_slice(bytes.get(at..hit.start).unwrap_or_default());
                    masked.push(b'-');
                    at = hit.end;
                }
                masked.extend_from_slice(bytes.get(at..).unwrap_or_default());
                masked
            }
        };
        let field = if slot.field.is_composite() { Field::Path } else { slot.field };
        let name = if slot.name.ends_with('*') { String::from_utf8_lossy(key).into_owned() } else { slot.name.to_string() };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        rows.push(FieldChange {
            field,
            name,
            action: tools.policy().action(field).name(),
            before: text(bytes),
            after: text(&after),
            keyless: act.is_keyed() && tools.is_keyless(),
        });
    }
    Ok(rows)
}
