//! Tables of counts as the verbs see them: records in, a finished table out and into the ledger.

use super::shelf::Tabling;
use super::{Access, Chronicle, Digests, Halt, Place, Raw, Store, Survey};
use crate::retain::aggregate::Table;
use crate::retain::evidence::Evidence;
use crate::retain::ledger::{Digest, Output};
use crate::scrub::{Clean, Selection, Settings};
use jiff::Timestamp;
use std::sync::Arc;

/// Whose table it is, and where it goes.
pub struct TableOf<'a> {
    /// The class.
    pub class: &'a str,
    /// Name of the form.
    pub form: &'a str,
    /// The directory.
    pub place: &'a Place,
    /// Who may read it.
    pub access: Access,
    /// Of everything besides the raw bytes that decides about it.
    pub policy: Digest,
    /// Whether it is written only encrypted.
    pub seal: bool,
}

impl Store {
    /// Gives every record of a file that `select` takes, with its time, clean, as NDJSON with the names of the Elastic Common Schema.
    /// Lines that do not parse are left out. The digests are those of what was read.
    pub fn records(&self, raw: &Raw, settings: (&Settings, Option<&Arc<Selection>>), each: &mut dyn FnMut(Timestamp, &Clean)) -> Result<Digests, Halt> {
        self.shelf.records(&raw.0, settings, each)
    }

    /// Publishes a table and notes it for each of the files that it counts.
    pub fn table(&self, of: &TableOf<'_>, table: &Table, sources: &[(&Raw, &Survey)], chronicle: &mut Chronicle) -> Result<Output, Halt> {
        let sources: Vec<_> = sources.iter().map(|(raw, survey)| (&raw.0, *survey)).collect();
        let tabling = Tabling { class: of.class, form: of.form, folder: &of.place.0, access: of.access, policy: of.policy, seal: of.seal };
        self.shelf.table(&tabling, table, &sources, chronicle)
    }

    /// Whether an output is there with the bytes that the ledger knows, or went by this program's own hand.
    pub fn stands(&self, output: &Output, known: &Evidence) -> bool {
        self.shelf.stands(output, known)
    }
}
