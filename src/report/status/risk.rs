//! What each form still says about single people, measured on its newest files.

use crate::report::questions::{Question, questions, standing};
use crate::report::risk::{Figures, Risk};
use crate::retain::{Class, Form, Keep};
use serde::Serialize;

/// Records that should at least share address, user agent and hour.
pub const K: u64 = 10;

/// Lines of the newest files of a form that are read for the figures.
pub const MOST: u64 = 200_000;

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sample {
    /// Files that were read, the newest first.
    pub files: u64,
    /// Files that are there.
    pub of_files: u64,
    /// Whether all of them were read to their end.
    pub whole: bool,
    /// Lines that hold no record: places of rejects.
    pub unparsed: u64,
    /// The figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// What a form still says about single people.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RiskStatus {
    /// The class.
    pub class: String,
    /// The form.
    pub form: String,
    /// The policy that makes it; none for raw and for counts.
    pub policy: Option<String>,
    /// What it is in law's words.
    pub standing: String,
    /// Why there are no figures.
    pub not_measured: Option<&'static str>,
    /// The figures.
    pub sample: Option<Sample>,
    /// The questions of WP216, answered for the policy by the figures; none for raw and for counts.
    pub questions: Vec<Question>,
}

impl RiskStatus {
    /// Of a form; without a sample where it could not be read here.
    pub(super) fn of(class: &Class, form: &Form, sample: Option<Sample>) -> Self {
        let bare = |standing: String, why| Self {
            class: class.name.clone(),
            form: form.name.clone(),
            policy: None,
            standing,
            not_measured: Some(why),
            sample: None,
            questions: Vec::new(),
        };
        match &form.keep {
            Keep::Raw => bare("personal data: everything that the server wrote".to_owned(), "every identifier stands in it: there is nothing to measure"),
            Keep::Aggregate { k, .. } => bare(
                format!("counts in which whatever fewer than {k} clients share is not shown: a candidate for anonymisation once raw is gone"),
                "it holds no records, only counts",
            ),
            Keep::Clean(policy) => {
                let sample = sample.filter(|sample| sample.figures.records > 0);
                let none = Risk::new(K, 1).figures();
                Self {
                    policy: Some(policy.name().to_owned()),
                    not_measured: sample.is_none().then_some("no record of it could be read here"),
                    questions: questions(policy, sample.as_ref().map_or(&none, |sample| &sample.figures)).into(),
                    sample,
                    ..bare(standing(policy), "")
                }
            }
        }
    }
}
