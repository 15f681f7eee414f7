//! The state as one HTML page without anything from elsewhere; every figure says which key of the JSON report it is.

mod sections;

use super::pictures::{grouped, size};
use super::{ClassStatus, FormStatus, Status, pictures};
use crate::report::look::{Told, whole, wide};
use jiff::Timestamp;
use maud::{Markup, html as page};

/// What the head of every such page holds, so that a new one may take the place of an old one and of nothing else.
pub const MARK: &str = "<meta name=\"generator\" content=\"logfade report\">";

/// The state as a page; whatever others wrote is escaped, and the page may load nothing.
pub fn html(status: &Status) -> String {
    let body = page! {
        h1 { "State of retention: access logs" }
        p { "As of " (moment("/now", status.now)) "." }
        (verdict(status))
        (glance(status))
        h2 { "What is kept, and until when" }
        (pictures::timeline(status))
        @for (at, class) in status.classes.iter().enumerate() { (self::class(&format!("/classes/{at}"), class)) }
        (overdue(status))
        (sections::risk(status))
        (sections::done(status))
        (sections::storage(status))
        (sections::keys(status))
        (sections::holds(status))
        (sections::incidents(status))
        (sections::ledger(status))
        h2 { "Not promised" }
        ul { @for (at, text) in status.not_promised.iter().enumerate() { li { (words(&format!("/not_promised/{at}"), text)) } } }
    };
    whole("State of retention: access logs", MARK, &body)
}

/// A text, and which key it is.
fn words(key: &str, text: &str) -> Markup {
    page! { bdi data-json=(key) { (Told(text)) } }
}

fn number(key: &str, count: u64) -> Markup {
    page! { data data-json=(key) value=(count) { (grouped(count)) } }
}

/// A figure that is no whole number, shown as `text`.
fn figure(key: &str, value: f64, text: &str) -> Markup {
    // As JSON writes it: with a point, always.
    page! { data data-json=(key) value={ (format!("{value:?}")) } { (text) } }
}

fn bytes(key: &str, count: u64) -> Markup {
    page! { data data-json=(key) value=(count) title={ (count) " bytes" } { (size(count)) } }
}

fn moment(key: &str, at: Timestamp) -> Markup {
    page! { time data-json=(key) datetime=(at) { span { (at.strftime("%Y-%m-%d")) } " " span { (at.strftime("%H:%M UTC")) } } }
}

fn time(key: &str, at: Option<Timestamp>, none: &str) -> Markup {
    at.map_or_else(|| page! { (none) }, |at| moment(key, at))
}

fn verdict(status: &Status) -> Markup {
    page! {
        @if status.overdue > 0 {
            p class="alarm" { span class="bad" { "Overdue: " (number("/overdue", status.overdue)) @if status.overdue == 1 { " file has" } @else { " files have" } " records that are due and stay." } }
        } @else if status.looked {
            p { span class="good" { "Nothing is overdue" } " (" (number("/overdue", status.overdue)) ")." }
        } @else {
            p class="alarm" { span class="bad" { "Nobody looked at the files, because the ledger does not hold." } " What is overdue is not known (" (number("/overdue", status.overdue)) " counted)." }
        }
        @if status.changed {
            p class="alarm" { "This configuration was not carried out yet: the next expiry records its plan and deletes nothing, the one after that acts." }
        }
    }
}

/// What one looks for first.
fn glance(status: &Status) -> Markup {
    let forms = || status.classes.iter().flat_map(|class| &class.forms);
    let raw = || status.classes.iter().filter_map(|class| class.forms.first());
    let oldest = raw().filter_map(|form| form.oldest).min();
    let due = raw().filter_map(|form| form.deadline).min();
    let day = |at: Option<Timestamp>, none: &str| at.map_or_else(|| none.to_owned(), |at| at.strftime("%Y-%m-%d").to_string());
    let count = |count: usize, none: &str| if count == 0 { none.to_owned() } else { grouped(count as u64) };
    let held = status.holds.iter().filter(|hold| hold.active).count();
    let read: u64 = status.classes.iter().map(|class| class.volume.read).sum();
    let stored: u64 = forms().filter_map(|form| form.bytes).sum();
    let overdue = if status.looked { count(status.overdue as usize, "nothing") } else { "not known".to_owned() };
    let tiles = [
        ("overdue files", overdue, status.overdue > 0 || !status.looked),
        ("oldest raw record", day(oldest, "none"), false),
        ("next raw deadline", day(due, "none"), due.is_some_and(|due| due <= status.now)),
        ("lines read, all time", grouped(read), false),
        ("on the disk, all forms", size(stored), false),
        ("open incidents", count(status.incidents.len(), "none"), !status.incidents.is_empty()),
        ("holds in force", count(held, "none"), false),
        ("ledger", if status.ledger.ok { "every entry holds".to_owned() } else { "broken".to_owned() }, !status.ledger.ok),
    ];
    page! {
        h2 { "At a glance" }
        dl class="glance" { @for (name, value, is_bad) in tiles { div class=[is_bad.then_some("bad")] { dt { (name) } dd { (value) } } } }
    }
}

fn class(key: &str, class: &ClassStatus) -> Markup {
    let said = format!("Forms of {}", crate::report::inert(class.class.as_deref().unwrap_or_default()));
    page! {
        h3 { @if let Some(name) = &class.class { "Class " (words(&format!("{key}/class"), name)) } @else { "Cleaned without a configuration" } }
        @if let Some(purpose) = &class.purpose { p { "For: " (words(&format!("{key}/purpose"), purpose)) } }
        @if class.configured {
            (wide(&said, &page! {
                table {
                    caption { "Forms that are kept" }
                    thead { tr { th scope="col" { "form" } th scope="col" { "state" } th scope="col" { "kept for" } th scope="col" class="n" { "files" } th scope="col" class="n" { "size" } th scope="col" { "oldest record" } th scope="col" { "due" } th scope="col" { "newest record" } th scope="col" { "due" } } }
                    tbody { @for (at, form) in class.forms.iter().enumerate() { (self::form(&format!("{key}/forms/{at}"), form)) } }
                }
            }))
        } @else {
            p { "Not in the configuration: nothing of it expires by it." }
        }
    }
}

fn form(key: &str, form: &FormStatus) -> Markup {
    let is_bad = form.overdue > 0 || form.vanished > 0;
    let due = |name: &str, record: Option<Timestamp>, at: Option<Timestamp>| time(&format!("{key}/{name}"), at, if record.is_some() { "never" } else { "–" });
    page! {
        tr {
            th scope="row" {
                (words(&format!("{key}/form"), &form.form))
                br;
                small { (words(&format!("{key}/keeps"), &form.keeps)) @if let Some(place) = &form.place { ", " (words(&format!("{key}/place"), place)) } }
            }
            td class=(if is_bad { "state bad" } else { "state" }) {
                (words(&format!("{key}/state"), &form.state))
                br;
                small { "due " (number(&format!("{key}/due"), form.due)) ", overdue " (number(&format!("{key}/overdue"), form.overdue)) ", vanished " (number(&format!("{key}/vanished"), form.vanished)) }
            }
            td class="span" { (words(&format!("{key}/until"), &form.until)) }
            td class="n" { @if let Some(files) = form.files { (number(&format!("{key}/files"), files)) } @else { "–" } }
            td class="n" { @if let Some(count) = form.bytes { (bytes(&format!("{key}/bytes"), count)) } @else { "–" } }
            td { (time(&format!("{key}/oldest"), form.oldest, "–")) }
            td { (due("deadline", form.oldest, form.deadline)) }
            td { (time(&format!("{key}/newest"), form.newest, "–")) }
            td { (due("gone_by", form.newest, form.gone_by)) }
        }
    }
}

fn overdue(status: &Status) -> Markup {
    page! {
        @if !status.overdue_files.is_empty() {
            h2 { "Overdue files" }
            (wide("Overdue files", &page! {
                table {
                    caption { "Due, and not gone" }
                    thead { tr { th scope="col" { "file" } th scope="col" { "class, form" } th scope="col" { "why it stays" } th scope="col" { "oldest record" } th scope="col" { "due since" } } }
                    tbody {
                        @for (at, file) in status.overdue_files.iter().enumerate() {
                            @let key = format!("/overdue_files/{at}");
                            tr {
                                th scope="row" class="path" { (words(&format!("{key}/path"), &file.path)) }
                                td { (words(&format!("{key}/class"), &file.class)) ", " (words(&format!("{key}/form"), &file.form)) }
                                td { (words(&format!("{key}/reason"), file.reason.name())) @if let Some(hold) = &file.hold { " by " (words(&format!("{key}/hold"), hold)) } }
                                td { (time(&format!("{key}/oldest"), file.oldest, "not known")) }
                                td { (time(&format!("{key}/since"), file.since, "not known")) }
                            }
                        }
                    }
                }
            }))
        }
    }
}
