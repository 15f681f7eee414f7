//! What a clean line holds that its own record does not have: looked for in the whole raw file.

use super::explain::View;
use super::findings::Findings;
use super::identifiers::Identifiers;
use super::lines::Lines;
use super::record::{Kind, Reader};
use super::rules::Rules;
use super::text::Layers;
use super::{VerifyJob, address, email};
use crate::format::Field;
use crate::store::StoreError;

/// Reads the raw file again if there is anything to look for; each suspect that some record names is a leak.
pub(super) fn search(job: &VerifyJob, rules: &Rules, mut reader: Reader, out: &mut Findings) -> Result<(), StoreError> {
    let mut suspects = std::mem::take(&mut out.suspects);
    if suspects.is_empty() || out.is_settled() {
        return Ok(());
    }
    out.readings += 1;
    let mut raw = Lines::open(&job.raw, job.max_line, &job.seals)?;
    let mut layers = Layers::default();
    let mut words = Identifiers::default();
    let mut prints = Vec::new();
    while raw.reach(0)? && !suspects.is_empty() {
        let line = raw.line(0);
        match reader.read(line) {
            Kind::Record(format, _) if suspects.words => words.collect(reader.record.text(line), &reader.record.places, reader.slots(format), rules),
            Kind::Unknown if suspects.words => words.collect_text(line, rules),
            Kind::Record(..) | Kind::Unknown | Kind::Blank | Kind::Directive | Kind::Part => words.clear(),
        }
        let view = View { text: reader.record.text(line), places: &reader.record.places, slots: &[] };
        let field_at = |at: usize| view.place_at(at).and_then(|place| view.places.get(place)).map_or(Field::Other, |place| place.field);
        prints.extend(words.each().map(|(field, word)| (out.word_print(word), field)));
        layers.each(view.text, |layer| {
            address::named(layer.text, |hit| prints.push((out.address_print(hit.addr), field_at(layer.place(hit.range.start)))));
            email::each(layer.text, |hit| {
                let email = layer.text.get(hit.clone()).unwrap_or_default().to_ascii_lowercase();
                prints.push((out.word_print(&email), field_at(layer.place(hit.start))));
            });
        });
        for (print, origin) in prints.drain(..) {
            for seen in suspects.take(print) {
                out.leak(seen.line, origin, seen.stands_in);
            }
        }
        raw.pass();
    }
    Ok(())
}
