//! Which format a log has: every named format is tried on the first lines.

use super::{Columns, Format, Line, Spans, named, peel};
use std::sync::Arc;

/// Lines that are looked at.
const LINES: usize = 1000;

/// How well a format fits.
#[derive(Clone, Debug)]
pub struct Score {
    /// The format.
    pub format: Arc<Format>,
    /// Share of the lines that it splits, 0 to 1.
    pub score: f64,
}

/// All named formats, the best first; equal ones in the order of their list. Formats that fit no line come last, with score 0,
/// because a later line may have one of them.
pub fn rank(sample: &[u8]) -> Vec<Score> {
    let lines: Vec<&[u8]> = lines(sample).take(LINES).collect();
    let mut spans = Spans::default();
    let mut ranked: Vec<Score> = named()
        .all()
        .map(|format| {
            let mut columns = Columns::default();
            let mut fit = 0_usize;
            let mut judged = 0_usize;
            for line in &lines {
                match fits(&format, line, &mut columns, &mut spans) {
                    Some(Line::Record) => fit += 1,
                    Some(Line::Directive(_)) => continue,
                    None => {}
                }
                judged += 1;
            }
            Score { format, score: if judged == 0 { 0.0 } else { fit as f64 / judged as f64 } }
        })
        .collect();
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score));
    ranked
}

/// What the line is in this format, bare or within an envelope.
fn fits(format: &Format, line: &[u8], columns: &mut Columns, spans: &mut Spans) -> Option<Line> {
    spans.clear();
    if let Ok(line) = format.split(line, columns, spans) {
        return Some(line);
    }
    let peeled = peel(line, spans)?;
    let inner = line.get(peeled.start..peeled.end)?;
    let mut decoded = Vec::new();
    let inner = if peeled.coded {
        super::escape::json(inner, &mut decoded);
        &decoded
    } else {
        inner
    };
    format.split(inner, columns, spans).ok()
}

/// Lines without their ends, blank ones left out.
fn lines(sample: &[u8]) -> impl Iterator<Item = &[u8]> {
    sample.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).filter(|line| !line.trim_ascii().is_empty())
}
