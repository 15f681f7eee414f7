//! What the configuration asks of a class, worked out once: its forms with their rules, sinks and limits.

use super::sink::{Kind, Remote};
use crate::format::Format;
use crate::retain::ledger::Digest;
use crate::retain::{Class, Form, Keep, Rotate};
use crate::run::catalog::settings;
use crate::run::expire::deeds::{access, rules};
use crate::run::stock::Stock;
use crate::scrub::{KeySource, PlaceSource, Policy, Selection, Settings};
use crate::store::checkpoint::Checkpoint;
use crate::store::seal::Keychain;
use crate::store::segment::{Seals, cut_back, discard};
use crate::store::{Access, Halt, StoreError};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long a segment stays open where the configuration does not say.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// A form of a class.
pub(super) struct FormPlan {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) policy: Arc<Policy>,
    pub(super) select: Option<Arc<Selection>>,
    pub(super) access: Access,
    pub(super) level: i32,
    /// Of everything besides the raw bytes that decides about it.
    pub(super) rules: Digest,
    pub(super) rotate: Rotate,
    /// Whether, and for whom, it is written only encrypted.
    pub(super) seals: Option<Seals>,
    /// Without formats: those are found out for each log.
    settings: Settings,
    /// For logs of which each line stands for itself.
    pub(super) stock: Stock,
}

/// Scrubbers that wait for logs of their formats.
const IDLE: usize = 4;

/// The raw form of a class that listens: nobody else writes it.
pub(super) struct RawPlan {
    pub(super) directory: PathBuf,
    pub(super) access: Access,
    pub(super) level: i32,
    pub(super) rotate: Rotate,
    pub(super) seals: Option<Seals>,
    /// Of what the files say besides the lines.
    pub(super) rules: Digest,
}

/// A class.
pub(super) struct ClassPlan {
    pub(super) class: Class,
    /// None where somebody else writes it.
    pub(super) raw: Option<RawPlan>,
    pub(super) forms: Vec<Arc<FormPlan>>,
    /// How long what was written may wait for its commit.
    pub(super) flush: Duration,
}

/// Where keys and places of a policy come from.
pub type Lookups = (Option<KeySource>, Option<PlaceSource>);

impl ClassPlan {
    /// Works a class out; `lookups` finds keys and places of a policy, and seal keys are among `keys`.
    pub(super) fn new(class: &Class, lookups: &dyn Fn(&Arc<Policy>) -> Lookups, keys: &Keychain) -> Result<Self, Halt> {
        let seals = |form: &Form| form.seal.then(|| Seals { keys: keys.clone(), class: class.name.clone(), form: form.name.clone(), level: form.compress });
        let mut forms = Vec::new();
        for form in &class.forms {
            let (Keep::Clean(policy), Some(kind)) = (&form.keep, Kind::of(form)) else { continue };
            let (keys, places) = lookups(policy);
            let settings = Settings { moments: true, keys, places, ..settings(class, Vec::new(), policy, form) };
            forms.push(Arc::new(FormPlan {
                name: form.name.clone(),
                kind,
                policy: Arc::clone(policy),
                select: form.select.clone(),
                access: access(form)?,
                level: form.compress,
                rules: rules(class, form, policy),
                rotate: form.rotate,
                seals: seals(form),
                settings,
                stock: Stock::new(IDLE),
            }));
        }
        let waits = |form: &Form| Duration::try_from(form.flush).unwrap_or_default();
        let raw = match class.raw.directory() {
            None => None,
            Some(directory) => Some(RawPlan {
                directory: directory.to_owned(),
                access: access(&class.raw)?,
                level: class.raw.compress,
                rotate: class.raw.rotate,
                seals: seals(&class.raw),
                rules: Digest::of(env!("CARGO_PKG_VERSION").as_bytes()),
            }),
        };
        let flush = class.forms.iter().chain(raw.as_ref().map(|_| &class.raw)).map(waits).min().unwrap_or(Duration::from_secs(1));
        Ok(Self { class: class.clone(), raw, forms, flush })
    }

    /// The sinks that are no files, by form.
    pub(super) fn remotes(&self) -> Result<BTreeMap<String, Remote>, StoreError> {
        let mut remotes = BTreeMap::new();
        for form in &self.forms {
            let remote = match &form.kind {
                Kind::Segment(_) => continue,
                Kind::Stdout => Remote::stdout()?,
                Kind::Http(url) => Remote::http(url, &self.class.name, &form.name)?,
            };
            remotes.insert(form.name.clone(), remote);
        }
        Ok(remotes)
    }

    /// Takes away what a killed run wrote and never committed: those lines are read again.
    pub(super) fn clear(&self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        checkpoint.segments().try_for_each(|segment| cut_back(&segment.part, segment.length))?;
        let forms = self.forms.iter().filter_map(|form| if let Kind::Segment(directory) = &form.kind { Some(directory) } else { None });
        for directory in forms.chain(self.raw.as_ref().map(|raw| &raw.directory)) {
            checkpoint.strays(directory)?.iter().try_for_each(|part| discard(part))?;
        }
        Ok(())
    }
}

impl FormPlan {
    /// The rules for lines of these formats.
    pub(super) fn settings(&self, formats: &[Arc<Format>]) -> Settings {
        Settings { formats: formats.to_vec(), ..self.settings.clone() }
    }

    /// Whether a record of this time begins a new segment behind one whose newest is that.
    pub(super) fn parts(&self, newest: Option<Timestamp>, record: Timestamp) -> bool {
        parts(self.rotate, newest, record)
    }

    /// How long a segment may stay open.
    pub(super) fn every(&self) -> SignedDuration {
        every(self.rotate)
    }
}

/// Whether a record of this time begins a new segment behind one whose newest is that.
pub(super) fn parts(rotate: Rotate, newest: Option<Timestamp>, record: Timestamp) -> bool {
    let every = every(rotate).as_secs().max(1);
    let turn = |at: Timestamp| at.as_second().div_euclid(every);
    rotate.size.is_none() | rotate.every.is_some() && newest.is_some_and(|newest| turn(record) > turn(newest))
}

/// How long a segment may stay open.
pub(super) fn every(rotate: Rotate) -> SignedDuration {
    rotate.every.unwrap_or(DAY)
}
