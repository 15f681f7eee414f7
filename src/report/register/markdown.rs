//! The record as Markdown (CommonMark with tables).

use super::{Kept, Receiver, Register};
use std::fmt::Write;

/// Writing to a string does not fail.
macro_rules! line {
    ($out:expr) => { $out.push('\n') };
    ($out:expr, $($arg:tt)*) => {{ let _infallible = writeln!($out, $($arg)*); }};
}

/// The record as Markdown; whatever the configuration says stands in it as text.
pub fn markdown(register: &Register) -> String {
    let mut out = String::from("# Record of processing activities: access logs\n\nRegulation (EU) 2016/679, Article 30(1)\n\n## Controller\n\n");
    match &register.controller {
        Some(controller) => {
            line!(out, "- Name: {}", text(&controller.name));
            line!(out, "- Contact: {}", text(&controller.contact));
            for (word, name) in [("Representative", &controller.representative), ("Data protection officer", &controller.officer)] {
                if let Some(name) = name {
                    line!(out, "- {word}: {}", text(name));
                }
            }
        }
        None => line!(out, "not stated"),
    }
    for activity in &register.activities {
        line!(out, "\n## {}\n", text(&activity.class));
        line!(out, "- Purpose: {}", activity.purpose.as_deref().map_or_else(|| "not stated".to_owned(), text));
        line!(out, "- Legal basis: {}", activity.basis.as_deref().map_or_else(|| "not stated".to_owned(), text));
        line!(out, "- Categories of data subjects: {}", if activity.data_subjects.is_empty() { "not stated".to_owned() } else { text(&activity.data_subjects.join(", ")) });
        line!(out, "- Source: {}, format {}", text(&activity.sources.join(", ")), text(&activity.format));
        for form in &activity.forms {
            kept(&mut out, form);
        }
    }
    line!(out, "\n## Transfers to third countries\n");
    let mut none = true;
    for (activity, form, receiver) in register.transfers() {
        none = false;
        let safeguard = receiver.safeguard.as_deref().map_or_else(|| "not stated".to_owned(), text);
        line!(out, "- {}, {}: {} ({}); safeguard: {safeguard}", text(&activity.class), text(&form.form), text(&receiver.name), text(&receiver.country));
    }
    if none {
        line!(out, "none");
    }
    line!(out, "\n## Technical and organisational measures\n");
    for measure in &register.measures {
        line!(out, "- {}", text(measure));
    }
    if !register.undecided.is_empty() {
        line!(out, "\n## Still to be decided\n");
        for open in &register.undecided {
            line!(out, "- {}", text(open));
        }
    }
    out
}

fn kept(out: &mut String, form: &Kept) {
    line!(out, "\n### Form {}\n", text(&form.form));
    line!(out, "- Nature: {}", text(&form.nature));
    line!(out, "- Storage time: {}", text(&form.retention));
    if let Some(only) = &form.only {
        line!(out, "- Records: only {}", text(only));
    }
    line!(out, "- Kept: {}; access: {}", text(&form.place), text(&form.access));
    line!(out, "- Recipients: {}", if form.recipients.is_empty() { "none".to_owned() } else { form.recipients.iter().map(receiver).collect::<Vec<_>>().join("; ") });
    if !form.removed.is_empty() {
        line!(out, "- Removed: {}", text(&form.removed.join(", ")));
    }
    line!(out, "\n| data | how it is kept |\n|---|---|");
    for datum in &form.data {
        line!(out, "| {} | {} |", text(&datum.what), text(&datum.treatment));
    }
}

fn receiver(receiver: &Receiver) -> String {
    text(&format!("{}, {}, {}", receiver.name, receiver.role, receiver.country))
}

/// Text that no Markdown reader takes for anything else.
fn text(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for char in raw.chars() {
        match char {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            char if char.is_control() => out.push(' '),
            char => {
                if "\\`*_[]|#!~$".contains(char) {
                    out.push('\\');
                }
                out.push(char);
            }
        }
    }
    out
}
