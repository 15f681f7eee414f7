//! The technical measures that follow from a configuration: Art. 30(1)(g) with Art. 32.

use crate::format::Field;
use crate::retain::{Config, Form, Keep, KeyMode};
use crate::scrub::OnReject;

/// One sentence for each measure.
pub(super) fn measures(config: &Config) -> Vec<String> {
    let mut said = Vec::new();
    let classes = &config.classes;
    let forms = || classes.iter().flat_map(|class| class.all_forms().map(move |form| (class, form)));
    let name = |class: &str, form: &Form| format!("{class}/{}", form.name);
    if !classes.is_empty() {
        said.push("Deletion: by the time of each record, on a clock of its own; an idle file is no exception, and what outlives its time is shown as an open incident.".to_owned());
        said.push("Proof before deletion: a raw file goes only after every form of it was written, read back, decoded, counted and searched for identifiers.".to_owned());
        said.push("Longer storage: only under a hold with a reason, which is recorded.".to_owned());
        said.push("Evidence: every processing, hold and deletion stands in a hash-chained ledger that holds no bytes of a log.".to_owned());
    }
    for (class, form) in forms() {
        if let Keep::Clean(policy) = &form.keep {
            let address = super::words::treatment(policy.action(Field::ClientAddr)).unwrap_or_else(|| "removed".to_owned());
            said.push(format!(
                "Pseudonymisation of {} (policy {}): IP addresses {address}; whatever text stays is searched for addresses and e-mail addresses.",
                name(&class.name, form),
                policy.name()
            ));
        }
        if let Keep::Aggregate { k, .. } = &form.keep {
            said.push(format!("Suppression in {}: no count of fewer than {k} distinct clients is written.", name(&class.name, form)));
        }
    }
    if let Some(keys) = &config.keys {
        let source = match keys.mode {
            KeyMode::Local => "made at random on this machine",
            KeyMode::Fleet => {
                "a one-way ratchet that several machines share; a copy of its seed can compute every later key, so nothing keyed by it becomes a candidate for anonymisation on this machine's word"
            }
        };
        said.push(format!("Pseudonym keys: one for each UTC day, {source}; destroyed {} hours after its end.", keys.keep.as_hours()));
    }
    let sealed: Vec<String> = forms().filter(|(_, form)| form.seal).map(|(class, form)| name(&class.name, form)).collect();
    if !sealed.is_empty() {
        said.push(format!("Encryption at first write: {}; deletion destroys the key, in backups and snapshots as well.", sealed.join(", ")));
    }
    let restricted: Vec<String> = forms().filter(|(_, form)| form.output.is_some() && form.mode & 0o007 == 0).map(|(class, form)| name(&class.name, form)).collect();
    if !restricted.is_empty() {
        said.push(format!("Access: files of {} are closed to other users of the machine from the moment they are created.", restricted.join(", ")));
    }
    for class in classes.iter().filter(|class| class.unproven) {
        said.push(format!("Without proof: raw of {} may go although an output of it cannot be read back.", class.name));
    }
    for class in classes {
        let lines = match class.on_reject {
            OnReject::Scrub => "their place is kept without their content",
            OnReject::Drop => "they are left out and counted",
            OnReject::Quarantine => "they are kept apart, for their owner only, and go when raw goes",
        };
        said.push(format!("Lines of {} that cannot be read: never passed through; {lines}.", class.name));
    }
    if !classes.is_empty() && sealed.is_empty() {
        said.push("Not covered: copies in backups, snapshots and other links to the same file; their deletion is organised elsewhere.".to_owned());
    }
    said
}
