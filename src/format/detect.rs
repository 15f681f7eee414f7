//! Which format a log has: every named format is tried on the first lines.

use super::{Columns, Format, Spans, named, peel};
use std::borrow::Cow;
use std::sync::Arc;

/// Lines that are looked at first, and then, unless one format has all of those.
const LINES: [usize; 2] = [100, 1000];

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
    let [few, many] = LINES;
    let ranked = rank_by(sample, few);
    if ranked.first().is_some_and(|best| best.score == 1.0) { ranked } else { rank_by(sample, many) }
}

fn rank_by(sample: &[u8], most: usize) -> Vec<Score> {
    let mut spans = Spans::default();
    // What carries a line is the same for every format.
    let lines: Vec<_> = lines(sample).take(most).map(|line| (line, carried(line, &mut spans))).collect();
    // Lines that no format before this one in the list splits: what tells formats apart that share layouts.
    let mut taken = vec![false; lines.len()];
    let mut ranked: Vec<(usize, Score)> = named()
        .all()
        .map(|format| {
            let mut columns = Columns::default();
            let mut fit = 0_usize;
            let mut own = 0_usize;
            for ((line, carried), taken) in lines.iter().zip(&mut taken) {
                let mut fits = |line: &[u8]| {
                    spans.clear();
                    format.split(line, &mut columns, &mut spans).is_ok()
                };
                if fits(line) || carried.as_deref().is_some_and(fits) {
                    fit += 1;
                    own += usize::from(!*taken);
                    *taken = true;
                }
            }
            // What takes any object comes after what knows its keys.
            let own = if format.name() == "json" { 0 } else { own };
            (own, Score { score: if lines.is_empty() { 0.0 } else { fit as f64 / lines.len() as f64 }, format })
        })
        .collect();
    // Combined, common and what somebody appended to them are one layout in three lengths.
    let credit = |ranked: &[(usize, Score)], name: &str| ranked.iter().find(|(_, fit)| fit.format.name() == name).map_or(0, |(own, _)| *own);
    let shorter_and_longer = credit(&ranked, "common") + credit(&ranked, "combined-extended");
    if let Some((own, _)) = ranked.iter_mut().find(|(own, fit)| *own > 0 && fit.format.name() == "combined") {
        *own += shorter_and_longer;
    }
    ranked.sort_by_key(|(own, fit)| (std::cmp::Reverse(*own), fit.format.name() == "json"));
    // A format that fits nothing stands behind the one that takes any object.
    ranked.sort_by_key(|(_, fit)| fit.score == 0.0);
    ranked.into_iter().map(|(_, fit)| fit).collect()
}

/// The line within an envelope, if it has one.
fn carried<'a>(line: &'a [u8], spans: &mut Spans) -> Option<Cow<'a, [u8]>> {
    spans.clear();
    let peeled = peel(line, spans)?;
    let inner = line.get(peeled.start..peeled.end)?;
    if !peeled.coded {
        return Some(Cow::Borrowed(inner));
    }
    let mut decoded = Vec::new();
    super::escape::json(inner, &mut decoded);
    Some(Cow::Owned(decoded))
}

/// Lines without their ends, blank ones left out.
fn lines(sample: &[u8]) -> impl Iterator<Item = &[u8]> {
    sample.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).filter(|line| !line.trim_ascii().is_empty())
}
