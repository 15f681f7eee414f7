//! The sections behind what is kept: residual risk, what was done, storage, keys, holds, incidents, the ledger.

use super::super::{ClassStatus, RiskStatus, Sample, Status, Volume, pictures};
use super::{bytes, figure, moment, number, time, words};
use crate::report::look::{Told, wide};
use crate::report::questions::percent;
use maud::{Markup, html as page};

/// Periods of keys that are listed without being asked for.
const LISTED: usize = 8;

pub(super) fn risk(status: &Status) -> Markup {
    page! {
        h2 { "What the forms still say about single people" }
        p {
            "Measured on the newest files of each form, and at most on a bounded number of their lines: what older files say may differ. The three questions are those of the Article 29 Working Party's opinion 05/2014 (WP216)."
        }
        @for (at, risk) in status.risk.iter().enumerate() { (of_form(&format!("/risk/{at}"), risk)) }
    }
}

fn of_form(key: &str, risk: &RiskStatus) -> Markup {
    page! {
        h3 { (words(&format!("{key}/class"), &risk.class)) ", " (words(&format!("{key}/form"), &risk.form)) }
        p {
            @if let Some(policy) = &risk.policy { "Policy " (words(&format!("{key}/policy"), policy)) ". " }
            "This form is " (words(&format!("{key}/standing"), &risk.standing)) "."
        }
        @if let Some(why) = risk.not_measured { p { "Not measured: " (words(&format!("{key}/not_measured"), why)) "." } }
        @if !risk.questions.is_empty() {
            (wide("The three questions", &page! {
                table class="asked" {
                    caption { "The three questions of WP216" }
                    thead { tr { th scope="col" { "is it possible" } th scope="col" { "answer" } th scope="col" { "why" } } }
                    tbody {
                        @for (at, question) in risk.questions.iter().enumerate() {
                            @let key = format!("{key}/questions/{at}");
                            tr {
                                th scope="row" { (words(&format!("{key}/question"), question.name)) }
                                td { (words(&format!("{key}/verdict"), question.verdict.name())) }
                                td { (words(&format!("{key}/answer"), &question.answer)) }
                            }
                        }
                    }
                }
            }))
        }
        @if let Some(sample) = &risk.sample { (measured(key, risk, sample)) }
    }
}

/// One of how many was looked at.
fn counted(key: &str, one_in: u64) -> Markup {
    page! { @if one_in > 1 { "a sample of one in " (number(key, one_in)) } @else { data data-json=(key) value=(one_in) { "all counted" } } }
}

fn measured(risk_key: &str, risk: &RiskStatus, sample: &Sample) -> Markup {
    let key = &format!("{risk_key}/sample");
    let (figures, groups) = (&sample.figures, &sample.figures.groups);
    let share = |name: &str, value: f64| figure(&format!("{key}/groups/{name}"), value, &percent(value));
    let about = |one_in: u64| if one_in > 1 { "about " } else { "" };
    let all = groups.histogram.iter().map(|bar| bar.records).sum::<u64>().max(1) as f64;
    page! {
        p {
            "Measured: " (number(&format!("{key}/records"), figures.records)) " records of " (number(&format!("{key}/files"), sample.files)) " of " (number(&format!("{key}/of_files"), sample.of_files)) " files"
            @if sample.whole { ", all there are" } @else { ", the newest" }
            "; " (number(&format!("{key}/unparsed"), sample.unparsed)) " lines hold no record."
        }
        (pictures::groups(sample, &format!("{}, {}", risk.class, risk.form)))
        (wide("Groups by size", &page! {
            table class="few" {
                caption {
                    "Records that share "
                    @for (at, field) in groups.by.iter().enumerate() { @if at > 0 { ", " } (words(&format!("{key}/groups/by/{at}"), field)) }
                    ": " (number(&format!("{key}/groups/distinct"), groups.distinct)) " groups"
                    ", " (counted(&format!("{key}/groups/one_in"), groups.one_in))
                }
                thead { tr { th scope="col" { "group of" } th scope="col" class="n" { "groups" } th scope="col" class="n" { "records" } th scope="col" class="n" { "share" } } }
                tbody {
                    @for (at, bar) in groups.histogram.iter().enumerate() {
                        @let key = format!("{key}/groups/histogram/{at}");
                        tr {
                            th scope="row" {
                                (number(&format!("{key}/from"), bar.from))
                                @if bar.to == u64::MAX { " or more" } @else if bar.to == bar.from { data data-json={ (key) "/to" } value=(bar.to) {} } @else { " to " (number(&format!("{key}/to"), bar.to)) }
                            }
                            td class="n" { (about(groups.one_in)) (number(&format!("{key}/groups"), bar.groups)) }
                            td class="n" { (about(groups.one_in)) (number(&format!("{key}/records"), bar.records)) }
                            td class="n" { (percent(bar.records as f64 / all)) }
                        }
                    }
                }
            }
        }))
        dl {
            dt { "alone in their group" } dd { (share("unique", groups.unique)) " of the records" }
            dt { "with fewer than " (number(&format!("{key}/k"), figures.k)) } dd { (share("below_k", groups.below_k)) " of the records" }
            dt { "in groups that all read one path" } dd { (share("alike", groups.alike)) " of the records" }
            @if let Some(chains) = &figures.chains {
                dt { "longest chain" }
                dd {
                    @if chains.one_in > 1 { "at least " }
                    (number(&format!("{key}/chains/longest"), chains.longest)) " records under one address or pseudonym; "
                    (number(&format!("{key}/chains/distinct"), chains.distinct)) " values with "
                    (figure(&format!("{key}/chains/mean"), chains.mean, &format!("{:.1}", chains.mean))) " records on average, "
                    (counted(&format!("{key}/chains/one_in"), chains.one_in))
                }
            }
        }
        @if !figures.fields.is_empty() {
            details {
                summary { "What each field tells" }
                (wide("What each field tells", &page! {
                    table {
                        caption { (format!("{:.2}", (figures.records as f64).max(1.0).log2())) " bits tell every record from all others" }
                        thead { tr { th scope="col" { "field" } th scope="col" class="n" { "records" } th scope="col" class="n" { "values" } th scope="col" class="n" { "entropy, bits" } th scope="col" class="n" { "counted" } } }
                        tbody {
                            @for (at, field) in figures.fields.iter().enumerate() {
                                @let key = format!("{key}/fields/{at}");
                                tr {
                                    th scope="row" { (words(&format!("{key}/field"), field.field.name())) }
                                    td class="n" { (number(&format!("{key}/records"), field.records)) }
                                    td class="n" { (about(field.one_in)) (number(&format!("{key}/distinct"), field.distinct)) }
                                    td class="n" { (figure(&format!("{key}/entropy_bits"), field.bits, &format!("{:.2}", field.bits))) }
                                    td class="n" { (counted(&format!("{key}/one_in"), field.one_in)) }
                                }
                            }
                        }
                    }
                }))
            }
        }
    }
}

/// Titles and keys of a day's columns.
const COLUMNS: [(&str, &str); 11] = [
    ("lines in", "read"),
    ("clean", "clean"),
    ("rejected", "rejected"),
    ("excluded", "excluded"),
    ("raw files", "scrubbed"),
    ("raw size", "bytes_raw"),
    ("size made of it", "bytes_made"),
    ("files deleted", "deleted"),
    ("size deleted", "bytes_deleted"),
    ("files cut", "cut"),
    ("lines gone", "lines_cut"),
];

/// Cells of a volume in the order of [`COLUMNS`].
fn cells(key: &str, volume: &Volume) -> Markup {
    let Volume { scrubbed, read, clean, rejected, excluded, bytes_raw, bytes_made, deleted, bytes_deleted, cut, lines_cut } = *volume;
    let figures = [read, clean, rejected, excluded, scrubbed, bytes_raw, bytes_made, deleted, bytes_deleted, cut, lines_cut];
    page! {
        @for ((_, name), count) in COLUMNS.into_iter().zip(figures) {
            @let of = format!("{key}/{name}");
            td class="n" { @if name.starts_with("bytes") { (bytes(&of, count)) } @else { (number(&of, count)) } }
        }
    }
}

fn header(first: &str) -> Markup {
    page! { thead { tr { th scope="col" { (first) } @for (title, _) in COLUMNS { th scope="col" class="n" { (title) } } } } }
}

pub(super) fn done(status: &Status) -> Markup {
    let has_rejects = status.classes.iter().any(|class| class.volume.rejected > 0);
    page! {
        h2 { "What was done" }
        @if status.days.is_empty() {
            p { "The ledger says of no file that anything was done with it." }
        } @else {
            (pictures::days(status))
            (wide("What was done on each day", &page! {
                table {
                    caption { "By the UTC day of the ledger's entry; the last 31 days that have any" }
                    (header("day"))
                    tbody {
                        @for (at, day) in status.days.iter().enumerate() {
                            tr { th scope="row" { time data-json={ "/days/" (at) "/day" } datetime=(day.day) { (day.day) } } (cells(&format!("/days/{at}"), &day.volume)) }
                        }
                    }
                }
            }))
        }
        (wide("What was done, by class", &page! {
            table {
                caption { "All of the ledger, by class; read = clean + rejected + excluded" }
                (header("class"))
                tbody { @for (at, class) in status.classes.iter().enumerate() { tr { th scope="row" { (name(class)) } (cells(&format!("/classes/{at}/volume"), &class.volume)) } } }
            }
        }))
        h3 { "Why lines were rejected" }
        @if has_rejects {
            p { "A rejected line is never passed through: only times, methods, status codes and small numbers of it survive, or nothing." }
        } @else {
            p { "No line was." }
        }
        (wide("Why lines were rejected", &page! {
            table {
                thead { tr { th scope="col" { "class" } th scope="col" { "reason" } th scope="col" class="n" { "lines" } th scope="col" class="n" { "of those read" } } }
                tbody {
                    @for (at, class) in status.classes.iter().enumerate() {
                        @let share = |lines: u64| percent(lines as f64 / class.volume.read.max(1) as f64);
                        @for (reason, lines) in class.reasons.iter() {
                            tr { th scope="row" { (name(class)) } td { (reason.name()) } td class="n" { (number(&format!("/classes/{at}/reasons/{}", reason.name()), lines)) } td class="n" { (share(lines)) } }
                        }
                        tr { th scope="row" { (name(class)) } td { "not told by the ledger" } td class="n" { (number(&format!("/classes/{at}/rejected_untold"), class.rejected_untold)) } td class="n" { (share(class.rejected_untold)) } }
                    }
                }
            }
        }))
    }
}

fn name(class: &ClassStatus) -> Markup {
    page! { bdi { (Told(class.class.as_deref().unwrap_or("no configuration"))) } }
}

pub(super) fn storage(status: &Status) -> Markup {
    let rows = || status.classes.iter().filter(|class| class.volume.bytes_raw > 0);
    page! {
        h2 { "Storage before and after" }
        @if rows().next().is_none() {
            p { "Nothing was scrubbed yet." }
        } @else {
            (pictures::storage(status))
            (wide("Storage before and after", &page! {
                table {
                    caption { "Of everything that was scrubbed, whether it is still there or not; what is there now stands with the forms above" }
                    thead { tr { th scope="col" { "class" } th scope="col" class="n" { "raw" } th scope="col" class="n" { "all forms of it" } th scope="col" class="n" { "of raw" } th scope="col" class="n" { "deleted since" } } }
                    tbody {
                        @for class in rows() {
                            @let volume = &class.volume;
                            tr {
                                th scope="row" { (name(class)) }
                                td class="n" { (pictures::size(volume.bytes_raw)) }
                                td class="n" { (pictures::size(volume.bytes_made)) }
                                td class="n" { (percent(volume.bytes_made as f64 / volume.bytes_raw.max(1) as f64)) }
                                td class="n" { (pictures::size(volume.bytes_deleted)) }
                            }
                        }
                    }
                }
            }))
        }
    }
}

pub(super) fn keys(status: &Status) -> Markup {
    let keys = &status.keys;
    let lists = [("alive", &keys.alive), ("destroyed", &keys.destroyed), ("put back after their end", &keys.restored)];
    page! {
        h2 { "Keys" }
        @if let Some(error) = &keys.error { p class="alarm" { span class="bad" { (words("/keys/error", error)) } } }
        h3 { "Of pseudonyms" }
        p { (words("/keys/meaning", &keys.meaning)) "." }
        dl {
            @if let Some(mode) = keys.mode { dt { "mode" } dd { (words("/keys/mode", mode)) } }
            @for (title, periods) in lists {
                @let name = if title.starts_with("put") { "restored" } else { title };
                @let listed = page! { @for (at, period) in periods.iter().enumerate() { @if at > 0 { ", " } (words(&format!("/keys/{name}/{at}"), period)) } };
                dt { (title) }
                dd class=[(name == "restored" && !periods.is_empty()).then_some("bad")] {
                    @match (periods.as_slice(), periods.len() > LISTED) {
                        ([], _) => { "none" },
                        ([first, .., last], true) => { details { summary { (pictures::grouped(periods.len() as u64)) " periods, from " (first) " to " (last) } (listed) } },
                        (_, _) => { (listed) },
                    }
                }
            }
        }
        @let seals = [("alive", keys.seals.alive), ("destroyed", keys.seals.destroyed), ("restored", keys.seals.restored)];
        h3 { "Of sealed files" }
        p { "What is sealed with a destroyed key can be read nowhere, in no backup either." }
        dl {
            @for (name, count) in seals {
                dt { (if name == "restored" { "put back after their end" } else { name }) }
                dd class=[(name == "restored" && count > 0).then_some("bad")] { (number(&format!("/keys/seals/{name}"), count)) }
            }
        }
    }
}

pub(super) fn holds(status: &Status) -> Markup {
    page! {
        h2 { "Holds" }
        @if status.holds.is_empty() {
            p { "Nothing is held." }
        } @else {
            (wide("Holds", &page! {
                table {
                    thead { tr { th scope="col" { "hold" } th scope="col" { "class" } th scope="col" { "records from" } th scope="col" { "to" } th scope="col" { "until" } th scope="col" { "reason" } } }
                    tbody {
                        @for (at, hold) in status.holds.iter().enumerate() {
                            @let key = format!("/holds/{at}");
                            tr {
                                th scope="row" { (words(&format!("{key}/name"), &hold.name)) @if hold.some_addresses { " (some addresses)" } @if !hold.active { " (ended)" } }
                                td { (words(&format!("{key}/class"), &hold.class)) }
                                td { (time(&format!("{key}/from"), hold.from, "the first")) }
                                td { (time(&format!("{key}/to"), hold.to, "the last")) }
                                td { (time(&format!("{key}/until"), hold.until, "released")) }
                                td { (words(&format!("{key}/reason"), &hold.reason)) }
                            }
                        }
                    }
                }
            }))
        }
    }
}

/// A number that is typed again, so without blanks in it.
fn name_of(key: &str, number: u64) -> Markup {
    page! { data data-json=(key) value=(number) { (number) } }
}

pub(super) fn incidents(status: &Status) -> Markup {
    page! {
        h2 { "Open incidents" }
        @if status.incidents.is_empty() {
            p { "None is open." }
        } @else {
            (wide("Open incidents", &page! {
                table {
                    thead { tr { th scope="col" class="n" { "number" } th scope="col" { "what" } th scope="col" { "opened" } th scope="col" { "class" } th scope="col" class="path" { "file" } th scope="col" { "note" } } }
                    tbody {
                        @for (at, case) in status.incidents.iter().enumerate() {
                            @let key = format!("/incidents/{at}");
                            tr {
                                th scope="row" class="n" { (name_of(&format!("{key}/number"), case.number)) }
                                td { (words(&format!("{key}/what"), case.what.name())) }
                                td { (moment(&format!("{key}/opened"), case.opened)) }
                                td { @if let Some(class) = &case.class { (words(&format!("{key}/class"), class)) } @else { "–" } }
                                td class="path" { @if let Some(path) = &case.path { (words(&format!("{key}/path"), path)) } @else { "–" } }
                                td { @if let Some(note) = &case.note { (words(&format!("{key}/note"), note)) } @else { "–" } }
                            }
                        }
                    }
                }
            }))
        }
    }
}

pub(super) fn ledger(status: &Status) -> Markup {
    let ledger = &status.ledger;
    page! {
        h2 { "The ledger" }
        @if let Some(error) = &ledger.error {
            p class="alarm" { span class="bad" { "Broken: " (words("/ledger/error", error)) "." } }
        } @else {
            p { span class="good" { "Every entry holds." } }
        }
        dl {
            dt { "entries that hold" } dd { (number("/ledger/entries", ledger.entries)) }
            dt { "head" } dd { code { (words("/ledger/head", &ledger.head)) } }
            dt { "last entry" } dd { (time("/ledger/latest", ledger.latest, "none")) }
            dt { "verified" } dd { (time("/ledger/verified", ledger.verified, "not")) }
        }
        p { "Note the head on a machine that this one cannot write to: against it, a ledger that was cut off or written anew shows." }
    }
}
