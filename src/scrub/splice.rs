//! Changed values put into their line: what stands between them is copied.

use super::act::Act;
use super::clean::{Clean, Reject, Tally};
use super::scrubber::Plan;
use super::tools::{Edit, Tools, Value};
use crate::format::{Span, Text, escape};

/// Where runs of the decoded line stand in the output: `(output offset, from, to)`.
pub(super) type Journal = Vec<(usize, usize, usize)>;

/// Writes the values of `spans` and what stands between them; `at` is how far the line has been written.
#[inline]
#[expect(clippy::too_many_arguments, reason = "the hot loop takes its parts by name so that each stays borrowed apart")]
pub(super) fn values(
    plan: &Plan,
    tools: &mut Tools,
    line: &[u8],
    spans: &[Span],
    at: &mut usize,
    clean: &mut Clean,
    tally: &mut Tally,
    mut journal: Option<&mut Journal>,
) -> Result<(), Reject> {
    let mut key: &[u8] = b"";
    let mut skip_to = 0;
    for span in spans {
        let (start, end) = (span.start as usize, span.end as usize);
        if start < skip_to {
            continue;
        }
        let Some(act) = plan.acts.get(usize::from(span.slot)) else { return Err(Reject::Envelope) };
        if matches!(act, Act::Keep) && span.text != Text::JsonKey {
            continue;
        }
        let Some((bytes, after)) = line.get(start..).and_then(|rest| rest.split_at_checked(end.wrapping_sub(start))) else { return Err(Reject::Envelope) };
        if matches!(bytes, b"-" | b"") {
            continue;
        }
        let value = Value { bytes, text: span.text, after, key };
        let edit = match span.text {
            Text::JsonKey => {
                key = bytes;
                tools.apply(&Act::Detect, value)?
            }
            Text::JsonNest if act.drops_objects() => {
                skip_to = end;
                Edit::Gone
            }
            Text::JsonNest => continue,
            Text::Bare | Text::Quoted | Text::Plus | Text::Json | Text::JsonScalar | Text::Tail => tools.apply_in(plan.first + usize::from(span.slot), act, value)?,
        };
        if edit == Edit::Same {
            continue;
        }
        if let Some(journal) = journal.as_deref_mut() {
            // What comes out as it went in keeps its carrier's way of escaping, too.
            if edit == Edit::Piece && tools.piece == bytes {
                continue;
            }
            // Runs between masks are written without a note: they are escaped again, which says the same.
            journal.push((clean.len(), *at, start));
        }
        put(edit, value, start, end, tools, at, line, clean, tally);
    }
    Ok(())
}

/// Writes what stands before a changed value, and what takes its place.
#[inline]
#[expect(clippy::too_many_arguments, reason = "the hot loop takes its parts by name so that each stays borrowed apart")]
pub(super) fn put(edit: Edit, value: Value<'_>, start: usize, end: usize, tools: &Tools, at: &mut usize, line: &[u8], clean: &mut Clean, tally: &mut Tally) {
    match edit {
        Edit::Same => return,
        Edit::Gone => {
            clean.put_front(line.get(*at..).unwrap_or_default(), start.saturating_sub(*at));
            match value.text {
                Text::Tail => {}
                Text::JsonScalar | Text::JsonNest => clean.put(b"null"),
                Text::Bare | Text::Quoted | Text::Plus | Text::Json | Text::JsonKey => clean.put(b"-"),
            }
        }
        Edit::Piece => {
            clean.put_front(line.get(*at..).unwrap_or_default(), start.saturating_sub(*at));
            clean.put(&tools.piece);
        }
        Edit::Masked => {
            tally.masked += tools.hits.len() as u64;
            for hit in &tools.hits {
                clean.put(line.get(*at..start + hit.start).unwrap_or_default());
                clean.put(b"-");
                *at = start + hit.end;
            }
            clean.put(line.get(*at..end).unwrap_or_default());
        }
    }
    *at = end;
}

/// Puts a scrubbed line back into the JSON string that carried it: runs that were copied come from the raw string, so that
/// its own way of escaping stays; everything else is escaped.
pub(super) fn put_back(nested: &Clean, journal: &Journal, raw: &[u8], origin: &[u32], coded: bool, clean: &mut Clean) {
    let bytes = nested.as_bytes();
    if !coded {
        clean.put(bytes);
        return;
    }
    let mut at = 0;
    for (offset, from, to) in journal {
        escape::to_json(bytes.get(at..*offset).unwrap_or_default(), clean.buffer());
        match (origin.get(*from), origin.get(*to)) {
            (Some(start), Some(end)) => clean.put(raw.get(*start as usize..*end as usize).unwrap_or_default()),
            _ => escape::to_json(bytes.get(*offset..*offset + (to - from)).unwrap_or_default(), clean.buffer()),
        }
        at = offset + (to - from);
    }
    escape::to_json(bytes.get(at..).unwrap_or_default(), clean.buffer());
}
