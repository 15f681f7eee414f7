//! Raw files that grew after forms were made of them: what is made of the whole takes the place of what was made of the front.

use super::deeds::Scene;
use crate::retain::Class;
use crate::retain::evidence::{Evidence, OUTGROWN};
use crate::retain::ledger::{Output, Scrubbed};
use crate::run::catalog::{Need, open, required};
use crate::store::{Chronicle, Halt, Raw, Reason as Why, Refusal, Survey};

impl Scene<'_, '_> {
    /// What this file was when forms were made of it, proven by its bytes.
    pub(super) fn grown(&self, class: &Class, (raw, survey): (&Raw, &Survey), known: &Evidence) -> Result<Vec<Scrubbed>, Halt> {
        let before: Vec<&Scrubbed> = known.shorter(&class.name, survey.digests.content, survey.lines).filter(|scrubbed| self.store.is_namesake(raw, &scrubbed.path)).collect();
        if before.is_empty() {
            return Ok(Vec::new());
        }
        let fronts = self.store.fronts(raw, &before.iter().map(|scrubbed| scrubbed.identity.size).collect())?;
        Ok(before.into_iter().filter(|scrubbed| fronts.get(&scrubbed.identity.size) == Some(&scrubbed.digest)).cloned().collect())
    }

    /// Takes away the forms of the front, of which those of the whole stand.
    pub(super) fn outgrow(&self, class: &Class, (raw, survey): (&Raw, &Survey), before: &[Scrubbed], chronicle: &mut Chronicle) -> Result<(), Halt> {
        for form in class.forms.iter().filter(|form| matches!(required(class, form), Need::File)) {
            let known = chronicle.known();
            let stands = known.forms(survey.digests.bytes, survey.digests.content).into_iter().any(|output| output.form == form.name && self.store.stands(output, known));
            let old: Vec<Output> = before.iter().flat_map(|scrubbed| known.forms(scrubbed.digest, scrubbed.digest)).filter(|output| output.form == form.name).cloned().collect();
            if !stands && !old.is_empty() {
                return Err(Halt::Refused { why: Refusal::Unproven, path: raw.path() });
            }
            for output in old.iter().filter(|output| output.path.symlink_metadata().is_ok()) {
                let file = open(self.store, class, &output.path)?;
                let why = Why { class: &class.name, form: &form.name, required: &[], deadline: None, by_hand: Some(OUTGROWN) };
                let proven = self.store.prove(file, why, (chronicle.known(), self.reading.wall))?;
                // Nobody's file is taken for it.
                let ours = proven.deletion().digest == output.digest;
                self.store.delete(proven, &mut |deletion| ours && !self.is_held(&class.name) && self.is_open(deletion), chronicle)?;
            }
        }
        Ok(())
    }
}
