//! The record as one HTML page without anything from elsewhere.

use super::{Activity, Kept, Register};
use maud::{DOCTYPE, Markup, html as page};

/// For screen and print alike.
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;color:#1b1b1b;background:#fff;max-width:60rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.6rem}h2{margin-top:2.5rem;border-bottom:2px solid #1b1b1b}h3{margin-top:1.8rem}\
dl{display:grid;grid-template-columns:12rem 1fr;gap:.2rem 1rem}dt{font-weight:600}dd{margin:0}\
table{border-collapse:collapse;width:100%;margin:1rem 0}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #bbb}\
.open{border-left:4px solid #a33;padding-left:1rem}\
@media print{body{font-size:11pt;margin:0}h2{break-after:avoid}tr,dl{break-inside:avoid}}";

/// The record as a page; whatever the configuration says is escaped, and the page may load nothing.
pub fn html(register: &Register) -> String {
    let unsaid = "not stated";
    page! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Record of processing activities: access logs" }
                style { (maud::PreEscaped(STYLE)) }
            }
            body {
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
                    h2 { (activity.class) }
                    (self::activity(activity, unsaid))
                    @for form in &activity.forms { (kept(form)) }
                }
                h2 { "Transfers to third countries" }
                @if register.transfers().next().is_none() {
                    p { "none" }
                } @else {
                    table {
                        thead { tr { th { "form" } th { "recipient" } th { "country" } th { "safeguard" } } }
                        tbody {
                            @for (activity, form, receiver) in register.transfers() {
                                tr { td { (activity.class) ", " (form.form) } td { (receiver.name) } td { (receiver.country) } td { (receiver.safeguard.as_deref().unwrap_or(unsaid)) } }
                            }
                        }
                    }
                }
                h2 { "Technical and organisational measures" }
                ul { @for measure in &register.measures { li { (measure) } } }
                @if !register.undecided.is_empty() {
                    section class="open" {
                        h2 { "Still to be decided" }
                        ul { @for open in &register.undecided { li { (open) } } }
                    }
                }
            }
        }
    }
    .into_string()
}

fn entry(term: &str, text: &str) -> Markup {
    page! { dt { (term) } dd { (text) } }
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
        h3 { "Form " (form.form) }
        dl {
            (entry("Nature", &form.nature))
            (entry("Storage time", &form.retention))
            @if let Some(only) = &form.only { (entry("Records", &format!("only {only}"))) }
            (entry("Kept", &form.place))
            (entry("Access", &form.access))
            (entry("Recipients", &if recipients.is_empty() { "none".to_owned() } else { recipients.join("; ") }))
            @if !form.removed.is_empty() { (entry("Removed", &form.removed.join(", "))) }
        }
        table {
            thead { tr { th { "data" } th { "how it is kept" } } }
            tbody { @for datum in &form.data { tr { td { (datum.what) } td { (datum.treatment) } } } }
        }
    }
}
