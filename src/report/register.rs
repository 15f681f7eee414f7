//! The record of processing activities (GDPR Art. 30): what the configuration says, and what follows from it.

mod html;
mod markdown;
mod measures;
mod words;

pub use html::html;
pub use markdown::markdown;

use crate::format::{ENVELOPE_SLOTS, FIELDS, Field, Format};
use crate::retain::recipient::is_eea;
use crate::retain::{Class, Config, Form, Keep, Listen, Recipient, Source, Until};
use serde::Serialize;
use std::collections::BTreeSet;

/// The record, in the order of Art. 30(1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Register {
    /// Who answers; none where the configuration does not say.
    pub controller: Option<Person>,
    /// One for each class.
    pub activities: Vec<Activity>,
    /// What protects the data, as far as it follows from the configuration.
    pub measures: Vec<String>,
    /// What the record still lacks.
    pub undecided: Vec<String>,
}

/// Who answers for the processing: letter (a).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Person {
    /// Its name.
    pub name: String,
    /// How to reach it.
    pub contact: String,
    /// Its representative in the Union.
    pub representative: Option<String>,
    /// Its data protection officer.
    pub officer: Option<String>,
}

/// What is done with one kind of log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Activity {
    /// Name of the class.
    pub class: String,
    /// What for: letter (b).
    pub purpose: Option<String>,
    /// Legal basis.
    pub basis: Option<String>,
    /// Whom it is about: letter (c).
    pub data_subjects: Vec<String>,
    /// Where it comes from.
    pub sources: Vec<String>,
    /// How its lines are laid out.
    pub format: String,
    /// Every form that is kept.
    pub forms: Vec<Kept>,
}

/// A form that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Its name.
    pub form: String,
    /// What kind of data it is, in the words of the law.
    pub nature: String,
    /// The categories of data in it: letter (c).
    pub data: Vec<Datum>,
    /// What raw has and this has not.
    pub removed: Vec<String>,
    /// Which records it takes; none: all.
    pub only: Option<String>,
    /// Until when: letter (f).
    pub retention: String,
    /// Where it is kept.
    pub place: String,
    /// Who gets it: letter (d).
    pub recipients: Vec<Receiver>,
    /// Who may read its files.
    pub access: String,
}

/// A category of data, and how it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Datum {
    /// The field's name in policies; a dimension's in aggregates.
    pub field: String,
    /// What it is.
    pub what: String,
    /// How it is kept.
    pub treatment: String,
}

/// Who gets a form: letters (d) and (e).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receiver {
    /// Its name.
    pub name: String,
    /// In which role.
    pub role: String,
    /// ISO 3166 code.
    pub country: String,
    /// Whether it lies outside the European Economic Area.
    pub third_country: bool,
    /// What allows that.
    pub safeguard: Option<String>,
}

impl Register {
    /// The record of a configuration.
    pub fn of(config: &Config) -> Self {
        let controller = config.controller.as_ref().map(|controller| Person {
            name: controller.name.clone(),
            contact: controller.contact.clone(),
            representative: controller.representative.clone(),
            officer: controller.officer.clone(),
        });
        Self { controller, activities: config.classes.iter().map(activity).collect(), measures: measures::measures(config), undecided: config.undecided() }
    }

    /// The forms that go to a third country, with who gets them there: letter (e).
    pub fn transfers(&self) -> impl Iterator<Item = (&Activity, &Kept, &Receiver)> {
        let forms = self.activities.iter().flat_map(|activity| activity.forms.iter().map(move |form| (activity, form)));
        forms.flat_map(|(activity, form)| form.recipients.iter().filter(|receiver| receiver.third_country).map(move |receiver| (activity, form, receiver)))
    }
}

fn activity(class: &Class) -> Activity {
    let sources = match &class.source {
        Source::Raw(globs) => globs.iter().map(|glob| format!("files {}", glob.text)).collect(),
        Source::Listen(listens) => listens.iter().map(listener).collect(),
    };
    let fields = class.format.as_ref().map(|format| fields(format));
    Activity {
        class: class.name.clone(),
        purpose: class.purpose.clone(),
        basis: class.basis.clone(),
        data_subjects: class.categories.clone(),
        sources,
        format: class.format_text.clone(),
        forms: class.all_forms().map(|form| kept(class, form, fields.as_deref())).collect(),
    }
}

fn listener(listen: &Listen) -> String {
    match listen {
        Listen::SyslogUnix(door) => format!("syslog datagrams on {}", door.path.display()),
        Listen::SyslogUnixStream(door) => format!("syslog on the stream socket {}", door.path.display()),
        Listen::SyslogUdp(address) => format!("syslog over UDP on {address}"),
        Listen::SyslogTcp(address) => format!("syslog over TCP on {address}"),
        Listen::Fifo(door) => format!("named pipe {}", door.path.display()),
    }
}

/// What lines of a format say, without what only carriers add.
fn fields(format: &Format) -> Vec<Field> {
    let there: BTreeSet<Field> = format.slots().iter().skip(ENVELOPE_SLOTS).map(|slot| slot.field).collect();
    FIELDS.into_iter().filter(|field| there.contains(field)).collect()
}

fn kept(class: &Class, form: &Form, fields: Option<&[Field]>) -> Kept {
    // A format that is found out may have every field.
    let fields = fields.unwrap_or(&FIELDS);
    let datum = |field: Field, treatment: String| Datum { field: field.name().to_owned(), what: words::category(field).to_owned(), treatment };
    let (mut data, mut removed) = (Vec::new(), Vec::new());
    match &form.keep {
        Keep::Raw => data.extend(fields.iter().map(|field| datum(*field, "as the server wrote it".to_owned()))),
        Keep::Clean(policy) => {
            for field in fields {
                match words::treatment(policy.action(*field)) {
                    Some(treatment) => data.push(datum(*field, treatment)),
                    None => removed.push(words::category(*field).to_owned()),
                }
            }
        }
        Keep::Aggregate { k, by } => {
            let all = crate::retain::Dimension::ALL;
            let by = if by.is_empty() { &all[..] } else { by };
            let treatment = format!("number of records and of distinct clients per day; cells with fewer than {k} clients are suppressed");
            data.extend(by.iter().map(|dimension| Datum { field: dimension.name().to_owned(), what: words::dimension(*dimension).to_owned(), treatment: treatment.clone() }));
            removed.push("every single record, and everything else in it".to_owned());
        }
    }
    Kept {
        form: form.name.clone(),
        nature: words::nature(&form.keep, fields),
        data,
        removed,
        only: form.select.as_ref().map(ToString::to_string),
        retention: retention(class, form),
        place: match &form.output {
            Some(output) => words::place(output),
            None => "where the server writes it".to_owned(),
        },
        recipients: form.recipients.iter().map(receiver).collect(),
        access: access(form),
    }
}

fn retention(class: &Class, form: &Form) -> String {
    let zone = class.zone.iana_name().unwrap_or("UTC");
    let rest = match form.until {
        Until::Span(span) => format!("{span} from the time of each record, to the end of that day ({zone})"),
        Until::EndOfYear(span) => format!("{span} from the time of each record, to the end of that year ({zone})"),
        Until::Forever => "without limit".to_owned(),
    };
    class.at_least.map_or_else(|| rest.clone(), |least| format!("{rest}; not less than {least}"))
}

fn access(form: &Form) -> String {
    if form.output.is_none() {
        return "as the server creates the files".to_owned();
    }
    let mut said = format!("mode {:04o}", form.mode);
    for (word, name) in [("owner", &form.owner), ("group", &form.group)] {
        if let Some(name) = name {
            said = format!("{said}, {word} {name}");
        }
    }
    if form.seal { format!("{said}, encrypted at first write") } else { said }
}

fn receiver(recipient: &Recipient) -> Receiver {
    Receiver {
        name: recipient.name.clone(),
        role: recipient.role.name().to_owned(),
        country: recipient.country.clone(),
        third_country: !is_eea(&recipient.country),
        safeguard: recipient.safeguard.clone(),
    }
}
