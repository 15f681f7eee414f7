//! What the configuration asks of a class, worked out once: its forms with their rules, sinks and limits.

use super::sink::Kind;
use crate::format::Format;
use crate::retain::ledger::Digest;
use crate::retain::{Class, Form, Keep, Rotate};
use crate::run::catalog::settings;
use crate::run::expire::deeds::{access, rules};
use crate::scrub::{KeySource, PlaceSource, Policy, Selection, Settings};
use crate::store::{Access, Halt};
use jiff::{SignedDuration, Timestamp};
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
    /// Without formats: those are found out for each log.
    settings: Settings,
}

/// A class.
pub(super) struct ClassPlan {
    pub(super) class: Class,
    pub(super) forms: Vec<Arc<FormPlan>>,
    /// How long what was written may wait for its commit.
    pub(super) flush: Duration,
}

/// Where keys and places of a policy come from.
pub type Lookups = (Option<KeySource>, Option<PlaceSource>);

impl ClassPlan {
    /// Works a class out; `lookups` finds keys and places of a policy.
    pub(super) fn new(class: &Class, lookups: &dyn Fn(&Arc<Policy>) -> Lookups) -> Result<Self, Halt> {
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
                settings,
            }));
        }
        let waits = |form: &Form| Duration::try_from(form.flush).unwrap_or_default();
        let flush = class.forms.iter().map(waits).min().unwrap_or(Duration::from_secs(1));
        Ok(Self { class: class.clone(), forms, flush })
    }
}

impl FormPlan {
    /// The rules for lines of these formats.
    pub(super) fn settings(&self, formats: &[Arc<Format>]) -> Settings {
        Settings { formats: formats.to_vec(), ..self.settings.clone() }
    }

    /// Whether a record of this time begins a new segment behind one whose newest is that.
    pub(super) fn parts(&self, newest: Option<Timestamp>, record: Timestamp) -> bool {
        let every = self.every().as_secs().max(1);
        let turn = |at: Timestamp| at.as_second().div_euclid(every);
        self.rotate.size.is_none() | self.rotate.every.is_some() && newest.is_some_and(|newest| turn(record) > turn(newest))
    }

    /// How long a segment may stay open.
    pub(super) fn every(&self) -> SignedDuration {
        self.rotate.every.unwrap_or(DAY)
    }
}
