//! What a clean line holds that its own record does not have: looked for in the whole raw file.

use super::findings::{Findings, Suspect};
use super::lines::Lines;
use super::text::Layers;
use super::{VerifyJob, address, email};
use crate::format::Field;
use crate::store::StoreError;
use std::collections::HashMap;

/// Reads the raw file again if there is anything to look for; each suspect that some record names is a leak.
pub(super) fn search(job: &VerifyJob, out: &mut Findings) -> Result<(), StoreError> {
    let mut wanted: HashMap<u64, Vec<Suspect>> = HashMap::new();
    for suspect in std::mem::take(&mut out.suspects) {
        wanted.entry(suspect.print).or_default().push(suspect);
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let mut raw = Lines::open(&job.raw, job.max_line)?;
    let mut layers = Layers::default();
    let mut prints = Vec::new();
    while raw.reach(0)? && !wanted.is_empty() {
        layers.each(raw.line(0), |layer| {
            address::named(layer.text, |hit| prints.push((out.address_print(hit.addr), Field::ClientAddr)));
            email::each(layer.text, |hit| {
                let email = layer.text.get(hit).unwrap_or_default().to_ascii_lowercase();
                prints.push((out.email_print(&email), Field::Other));
            });
        });
        for (print, field) in prints.drain(..) {
            for suspect in wanted.remove(&print).unwrap_or_default() {
                out.leak(suspect.line, suspect.stands_in.unwrap_or(field), suspect.stands_in);
            }
        }
        raw.pass();
    }
    Ok(())
}
