//! The configuration: one file, checked whole before anything is done with it.

use super::class::{Class, Form, Keep, Output, Source};
use super::ledger::Digest;
use super::parse;
use super::recipient::is_eea;
use crate::diagnostic::Diagnostic;
use crate::format::Field;
use crate::scrub::{Action, Policy, Precision};
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What a configuration file says.
#[derive(Clone, Debug)]
pub struct Config {
    /// Directory for what is kept between runs.
    pub state: Option<PathBuf>,
    /// Who answers for the processing.
    pub controller: Option<Controller>,
    /// Pseudonym keys; `None` where the file says nothing about them.
    pub keys: Option<Keys>,
    /// The sidecar.
    pub run: Run,
    /// The classes, in the order of the file.
    pub classes: Vec<Class>,
}

/// Who answers for the processing (GDPR Art. 30(1)(a)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controller {
    /// Its name.
    pub name: String,
    /// How to reach it.
    pub contact: String,
    /// Its representative in the Union.
    pub representative: Option<String>,
    /// Its data protection officer.
    pub officer: Option<String>,
}

/// How pseudonym keys are made and how long they stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Where a period's key comes from.
    pub mode: KeyMode,
    /// How long a key stays after the end of its period.
    pub keep: SignedDuration,
}

impl Default for Keys {
    fn default() -> Self {
        Self { mode: KeyMode::Local, keep: SignedDuration::from_hours(24) }
    }
}

/// Where a period's key comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyMode {
    /// The random source of this machine.
    #[default]
    Local,
    /// A ratchet that many machines share.
    Fleet,
}

impl KeyMode {
    /// The word of the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Fleet => "fleet",
        }
    }
}

/// The sidecar's own settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Where `/metrics` and `/healthz` are served.
    pub metrics: Option<SocketAddr>,
    /// How often it expires.
    pub expire_every: SignedDuration,
}

impl Default for Run {
    fn default() -> Self {
        Self { metrics: None, expire_every: SignedDuration::from_hours(1) }
    }
}

/// What the configuration names but does not hold; looked up by whoever may touch the system.
#[derive(Clone, Copy)]
pub struct Outside<'a> {
    /// The policy of a name or a path.
    pub policy: &'a dyn Fn(&str) -> Result<Policy, PolicyFault>,
    /// The time zone of a name.
    pub zone: &'a dyn Fn(&str) -> Option<TimeZone>,
}

/// Why a policy could not be had.
#[derive(Clone, Debug)]
pub enum PolicyFault {
    /// There is none of this name, and no file that can be read.
    Unknown,
    /// Its file is at fault.
    Fault(Box<Diagnostic>),
}

impl Config {
    /// Reads a configuration. `origin` is what errors call the text.
    pub fn parse(origin: &str, text: &str, outside: Outside<'_>) -> Result<Self, Box<Diagnostic>> {
        parse::config(origin, text, outside)
    }

    /// The class of that name.
    pub fn class(&self, name: &str) -> Option<&Class> {
        self.classes.iter().find(|class| class.name == name)
    }

    /// Digest of what decides about deletion: classes, their files, zones, forms and spans. Two configurations that
    /// would delete the same files at the same times have the same digest.
    pub fn retention_digest(&self) -> Digest {
        let mut text = String::new();
        if let Some(keys) = &self.keys {
            let _infallible = writeln!(text, "keys {} keep {}", keys.mode.name(), keys.keep);
        }
        for class in &self.classes {
            let source = match &class.source {
                Source::Raw(globs) => globs.iter().map(|glob| glob.text.clone()).collect::<Vec<_>>(),
                Source::Listen(listen) => listen.iter().map(|listen| format!("{listen:?}")).collect(),
            };
            let zone = class.zone.iana_name().unwrap_or("UTC");
            let at_least = class.at_least.map(|span| span.to_string());
            let _infallible = writeln!(text, "class {:?} {source:?} {zone} split {} at_least {at_least:?} unproven {}", class.name, class.split, class.unproven);
            for form in class.all_forms() {
                let keep = match &form.keep {
                    Keep::Raw => "raw",
                    Keep::Clean(policy) => policy.name(),
                    Keep::Aggregate { .. } => "aggregate",
                };
                let select = form.select.as_ref().map(ToString::to_string);
                let _infallible = writeln!(text, "form {:?} {keep:?} until {} {:?} where {select:?}", form.name, form.until, form.output);
            }
        }
        Digest::of(text.as_bytes())
    }

    /// What the record of processing will lack, one sentence each.
    pub fn undecided(&self) -> Vec<String> {
        let mut open = Vec::new();
        if self.controller.is_none() {
            open.push("[controller] is missing: `register` cannot say who answers for the processing".to_owned());
        }
        for class in &self.classes {
            for (key, missing) in [("purpose", class.purpose.is_none()), ("basis", class.basis.is_none()), ("categories", class.categories.is_empty())] {
                if missing {
                    open.push(format!("class {}: {key} is missing", class.name));
                }
            }
            if class.format.is_none() {
                open.push(format!("class {}: the format is found out from each file; name it once you know it (`logfade detect`)", class.name));
            }
            if class.forms.is_empty() {
                open.push(format!("class {}: nothing but raw is kept, so nothing stays once it is gone", class.name));
            }
            open.extend(
                class
                    .all_forms()
                    .filter(|form| form.until == super::Until::Forever && matches!(form.keep, Keep::Clean(_)))
                    .map(|form| format!("class {}, form {}: record by record for ever; say in the register why, or keep an aggregate", class.name, form.name)),
            );
        }
        open
    }
}

impl Form {
    /// How much later than what it says a time in its lines may have been: a policy that cuts times leaves the begin of the hour or day.
    pub fn blur(&self) -> SignedDuration {
        let Keep::Clean(policy) = &self.keep else { return SignedDuration::ZERO };
        let Action::Precision(precision) = policy.action(Field::Time) else { return SignedDuration::ZERO };
        let seconds = match precision {
            Precision::Second => 1,
            Precision::Minute => 60,
            Precision::Hour => 3_600,
            Precision::Day => 86_400,
        };
        SignedDuration::from_secs(seconds - 1)
    }

    /// The recipients to whom this is a transfer to a third country.
    pub fn transfers(&self) -> impl Iterator<Item = &super::Recipient> {
        self.recipients.iter().filter(|recipient| !is_eea(&recipient.country))
    }

    /// The directory of its files, if it has one.
    pub fn directory(&self) -> Option<&std::path::Path> {
        match &self.output {
            Some(Output::Directory(path)) => Some(path),
            Some(Output::Stdout | Output::Http(_)) | None => None,
        }
    }
}
