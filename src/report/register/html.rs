//! The record as one HTML page without anything from elsewhere.

use super::{Activity, Kept, Register};
use crate::report::look::{Told, whole, wide};
use maud::{Markup, html as page};

/// What the head of every such page holds.
const MARK: &str = "<meta name=\"generator\" content=\"logfade register\">";

/// The record as a page; whatever the configuration says is escaped, and the page may load nothing.
pub fn html(register: &Register) -> String {
    let unsaid = "not stated";
    let body = page! {
        h1 { "Record of processing activities: access logs" }
        p { "Regulation (EU) 2016/679, Article 30(1)" }
        h2 { "Controller" }
        @if let Some(controller) = &register.controller {
            dl {
                (entry("Name", &controller.name))
                (entry("Contact", &controller.contact))
                @if let Some(name) = &controller.representative { (entry("Representative", name)) }
                @if let Some(name) = &controller.officer { (entry("Data protection officer", name)) }
            }
        } @else {
            p { (unsaid) }
        }
        @for activity in &register.activities {
            h2 { (Told(&activity.class)) }
            (self::activity(activity, unsaid))
            @for form in &activity.forms { (kept(form)) }
        }
        h2 { "Transfers to third countries" }
        @if register.transfers().next().is_none() {
            p { "none" }
        } @else {
            (wide("Transfers to third countries", &page! { table {
                thead { tr { th scope="col" { "form" } th scope="col" { "recipient" } th scope="col" { "country" } th scope="col" { "safeguard" } } }
                tbody {
                    @for (activity, form, receiver) in register.transfers() {
                        tr { th scope="row" { (Told(&activity.class)) ", " (Told(&form.form)) } td { (Told(&receiver.name)) } td { (Told(&receiver.country)) } td { (Told(receiver.safeguard.as_deref().unwrap_or(unsaid))) } }
                    }
                }
            } }))
        }
        h2 { "Technical and organisational measures" }
        ul { @for measure in &register.measures { li { (Told(measure)) } } }
        @if !register.undecided.is_empty() {
            section class="alarm" {
                h2 { "Still to be decided" }
                ul { @for open in &register.undecided { li { (Told(open)) } } }
            }
        }
    };
    whole("Record of processing activities: access logs", MARK, &body)
}

fn entry(term: &str, text: &str) -> Markup {
    page! { dt { (term) } dd { (Told(text)) } }
}

fn activity(activity: &Activity, unsaid: &str) -> Markup {
    let subjects = if activity.data_subjects.is_empty() { unsaid.to_owned() } else { activity.data_subjects.join(", ") };
    page! {
        dl {
            (entry("Purpose", activity.purpose.as_deref().unwrap_or(unsaid)))
            (entry("Legal basis", activity.basis.as_deref().unwrap_or(unsaid)))
            (entry("Data subjects", &subjects))
            (entry("Source", &activity.sources.join(", ")))
            (entry("Format", &activity.format))
        }
    }
}

fn kept(form: &Kept) -> Markup {
    let recipients: Vec<String> = form.recipients.iter().map(|receiver| format!("{}, {}, {}", receiver.name, receiver.role, receiver.country)).collect();
    page! {
        h3 { "Form " (Told(&form.form)) }
        dl {
            (entry("Nature", &form.nature))
            (entry("Storage time", &form.retention))
            @if let Some(only) = &form.only { (entry("Records", &format!("only {only}"))) }
            (entry("Kept", &form.place))
            (entry("Access", &form.access))
            (entry("Recipients", &if recipients.is_empty() { "none".to_owned() } else { recipients.join("; ") }))
            @if !form.removed.is_empty() { (entry("Removed", &form.removed.join(", "))) }
        }
        (wide(&format!("Data of form {}", crate::report::inert(&form.form)), &page! {
            table class="data" {
                thead { tr { th scope="col" { "data" } th scope="col" { "how it is kept" } } }
                tbody { @for datum in &form.data { tr { th scope="row" { (Told(&datum.what)) } td { (Told(&datum.treatment)) } } } }
            }
        }))
    }
}
