//! The state as one HTML page without anything from elsewhere; every figure says which key of the JSON report it is.

use super::{ClassStatus, FormStatus, Status, pictures};
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html as page};

/// What the head of every such page holds, so that a new one may take the place of an old one and of nothing else.
pub const MARK: &str = "<meta name=\"generator\" content=\"logfade report\">";

/// For screen and print, light and dark.
const STYLE: &str = ":root{--ink:#1b1b1b;--dim:#595959;--paper:#fff;--line:#bbb;--kept:#2b6cb0;--ahead:#b9cfe6;--bad:#a61b1b;--odd:#b7791f;--good:#1e6b3a}\
@media screen and (prefers-color-scheme:dark){:root{--ink:#e8e8e8;--dim:#b0b0b0;--paper:#16181b;--line:#4a4d52;--kept:#7db2ea;--ahead:#33485f;--bad:#ff8f8f;--odd:#e3b35c;--good:#86d3a2}}\
*{box-sizing:border-box}body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:72rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.6rem}h2{margin-top:2.5rem;border-bottom:2px solid var(--ink)}h3{margin-top:1.8rem}\
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;margin:1rem 0}caption{text-align:left;color:var(--dim)}\
th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid var(--line);overflow-wrap:anywhere}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
dl{display:grid;grid-template-columns:minmax(8rem,14rem) 1fr;gap:.2rem 1rem}dt{font-weight:600}dd{margin:0;overflow-wrap:anywhere}\
.bad{color:var(--bad);font-weight:600}.good{color:var(--good);font-weight:600}.alarm{border-left:4px solid var(--bad);padding-left:1rem}\
svg{width:100%;height:auto;font:12px system-ui,sans-serif}svg text{fill:var(--ink)}.kept{fill:var(--kept)}.ahead{fill:var(--ahead)}.late{fill:var(--bad)}.odd{fill:var(--odd)}.rule{stroke:var(--line)}.now{stroke:var(--ink);stroke-dasharray:4 3}\
@media print{body{font-size:10pt;margin:0;max-width:none}.wide{overflow:visible}h2,h3{break-after:avoid}tr,dl,svg{break-inside:avoid}.kept,.ahead,.late,.odd{print-color-adjust:exact;-webkit-print-color-adjust:exact}}";

/// The state as a page; whatever others wrote is escaped, and the page may load nothing.
pub fn html(status: &Status) -> String {
    page! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                (PreEscaped(MARK))
                title { "State of retention: access logs" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { "State of retention: access logs" }
                    p { "As of " (moment("/now", status.now)) "." }
                    (verdict(status))
                    h2 { "What is kept, and until when" }
                    (pictures::timeline(status))
                    @for (at, class) in status.classes.iter().enumerate() { (self::class(&format!("/classes/{at}"), class)) }
                    (overdue(status))
                    h2 { "What was done, day by day" }
                    (pictures::days(status))
                    (days(status))
                    (keys(status))
                    (holds(status))
                    (incidents(status))
                    (ledger(status))
                    h2 { "Not promised" }
                    ul { @for (at, text) in status.not_promised.iter().enumerate() { li { (words(&format!("/not_promised/{at}"), text)) } } }
                }
            }
        }
    }
    .into_string()
}

/// A text, and which key it is.
fn words(key: &str, text: &str) -> Markup {
    page! { span data-json=(key) { (text) } }
}

fn number(key: &str, count: u64) -> Markup {
    page! { data data-json=(key) value=(count) { (grouped(count)) } }
}

fn bytes(key: &str, count: u64) -> Markup {
    page! { data data-json=(key) value=(count) title={ (count) " bytes" } { (size(count)) } }
}

fn moment(key: &str, at: Timestamp) -> Markup {
    page! { time data-json=(key) datetime=(at) { (at.strftime("%Y-%m-%d %H:%M UTC")) } }
}

fn time(key: &str, at: Option<Timestamp>, none: &str) -> Markup {
    at.map_or_else(|| page! { (none) }, |at| moment(key, at))
}

/// `1 234 567`, with blanks at which no line breaks.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let groups: Vec<String> = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned()).collect();
    groups.join("\u{a0}")
}

/// `1.2 MiB`
fn size(count: u64) -> String {
    let mut value = count as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    if unit == "B" { format!("{count}\u{a0}B") } else { format!("{value:.1}\u{a0}{unit}") }
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

fn class(key: &str, class: &ClassStatus) -> Markup {
    let volume = &class.volume;
    let counts = [
        ("lines read", "read", volume.read),
        ("clean", "clean", volume.clean),
        ("rejected", "rejected", volume.rejected),
        ("excluded", "excluded", volume.excluded),
        ("raw files scrubbed", "scrubbed", volume.scrubbed),
        ("files deleted", "deleted", volume.deleted),
        ("files cut", "cut", volume.cut),
        ("lines cut away", "lines_cut", volume.lines_cut),
    ];
    let stored =
        [("raw bytes scrubbed", "bytes_raw", volume.bytes_raw), ("bytes made of them", "bytes_made", volume.bytes_made), ("bytes deleted", "bytes_deleted", volume.bytes_deleted)];
    page! {
        h3 { @if let Some(name) = &class.class { "Class " (words(&format!("{key}/class"), name)) } @else { "Cleaned without a configuration" } }
        @if let Some(purpose) = &class.purpose { p { "For: " (words(&format!("{key}/purpose"), purpose)) } }
        @if class.configured {
            div class="wide" {
                table {
                    caption { "Forms that are kept" }
                    thead { tr { th scope="col" { "form" } th scope="col" { "kept for" } th scope="col" class="n" { "files" } th scope="col" class="n" { "size" } th scope="col" { "oldest record" } th scope="col" { "due" } th scope="col" { "newest record" } th scope="col" { "due" } th scope="col" { "state" } } }
                    tbody { @for (at, form) in class.forms.iter().enumerate() { (self::form(&format!("{key}/forms/{at}"), form)) } }
                }
            }
        } @else {
            p { "Not in the configuration: nothing of it expires by it." }
        }
        div class="wide" {
            table {
                caption { "By the ledger" }
                thead { tr { @for (title, ..) in counts.iter().chain(&stored) { th scope="col" class="n" { (title) } } } }
                tbody { tr {
                    @for (_, name, count) in counts { td class="n" { (number(&format!("{key}/volume/{name}"), count)) } }
                    @for (_, name, count) in stored { td class="n" { (bytes(&format!("{key}/volume/{name}"), count)) } }
                } }
            }
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
            td { (words(&format!("{key}/until"), &form.until)) }
            td class="n" { @if let Some(files) = form.files { (number(&format!("{key}/files"), files)) } @else { "–" } }
            td class="n" { @if let Some(count) = form.bytes { (bytes(&format!("{key}/bytes"), count)) } @else { "–" } }
            td { (time(&format!("{key}/oldest"), form.oldest, "–")) }
            td { (due("deadline", form.oldest, form.deadline)) }
            td { (time(&format!("{key}/newest"), form.newest, "–")) }
            td { (due("gone_by", form.newest, form.gone_by)) }
            td class=[is_bad.then_some("bad")] {
                (words(&format!("{key}/state"), &form.state))
                br;
                small { "due " (number(&format!("{key}/due"), form.due)) ", overdue " (number(&format!("{key}/overdue"), form.overdue)) ", vanished " (number(&format!("{key}/vanished"), form.vanished)) }
            }
        }
    }
}

fn overdue(status: &Status) -> Markup {
    page! {
        @if !status.overdue_files.is_empty() {
            h2 { "Overdue files" }
            div class="wide alarm" {
                table {
                    caption { "Due, and not gone" }
                    thead { tr { th scope="col" { "file" } th scope="col" { "class, form" } th scope="col" { "why it stays" } th scope="col" { "oldest record" } th scope="col" { "due since" } } }
                    tbody {
                        @for (at, file) in status.overdue_files.iter().enumerate() {
                            @let key = format!("/overdue_files/{at}");
                            tr {
                                th scope="row" { (words(&format!("{key}/path"), &file.path)) }
                                td { (words(&format!("{key}/class"), &file.class)) ", " (words(&format!("{key}/form"), &file.form)) }
                                td { (words(&format!("{key}/reason"), file.reason.name())) @if let Some(hold) = &file.hold { " by " (words(&format!("{key}/hold"), hold)) } }
                                td { (time(&format!("{key}/oldest"), file.oldest, "not known")) }
                                td { (time(&format!("{key}/since"), file.since, "not known")) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn days(status: &Status) -> Markup {
    page! {
        @if status.days.is_empty() {
            p { "The ledger says of no file that anything was done with it." }
        } @else {
            div class="wide" {
                table {
                    caption { "By the UTC day of the ledger's entry; at most the last 31 days with entries" }
                    thead { tr { th scope="col" { "day" } @for name in pictures::COLUMNS { th scope="col" class="n" { (name.0) } } } }
                    tbody {
                        @for (at, day) in status.days.iter().enumerate() {
                            tr {
                                th scope="row" { time data-json={ "/days/" (at) "/day" } datetime=(day.day) { (day.day) } }
                                @for (_, name, count, is_size) in pictures::cells(&day.volume) {
                                    @let key = format!("/days/{at}/{name}");
                                    td class="n" { @if is_size { (bytes(&key, count)) } @else { (number(&key, count)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn keys(status: &Status) -> Markup {
    let keys = &status.keys;
    let lists = [("alive", &keys.alive), ("destroyed", &keys.destroyed), ("restored", &keys.restored)];
    page! {
        h2 { "Keys of pseudonyms" }
        p { (words("/keys/meaning", &keys.meaning)) "." }
        @if let Some(error) = &keys.error { p class="alarm" { span class="bad" { (words("/keys/error", error)) } } }
        dl {
            @if let Some(mode) = keys.mode { dt { "mode" } dd { (words("/keys/mode", mode)) } }
            @for (name, periods) in lists {
                dt { (name) }
                dd class=[(name == "restored" && !periods.is_empty()).then_some("bad")] {
                    @if periods.is_empty() { "none" }
                    @for (at, period) in periods.iter().enumerate() { @if at > 0 { ", " } (words(&format!("/keys/{name}/{at}"), period)) }
                }
            }
        }
    }
}

fn holds(status: &Status) -> Markup {
    page! {
        h2 { "Holds" }
        @if status.holds.is_empty() {
            p { "Nothing is held." }
        } @else {
            div class="wide" {
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
            }
        }
    }
}

fn incidents(status: &Status) -> Markup {
    page! {
        h2 { "Open incidents" }
        @if status.incidents.is_empty() {
            p { "None is open." }
        } @else {
            div class="wide" {
                table {
                    thead { tr { th scope="col" class="n" { "number" } th scope="col" { "what" } th scope="col" { "opened" } th scope="col" { "class" } th scope="col" { "file" } th scope="col" { "note" } } }
                    tbody {
                        @for (at, case) in status.incidents.iter().enumerate() {
                            @let key = format!("/incidents/{at}");
                            tr {
                                th scope="row" class="n" { (number(&format!("{key}/number"), case.number)) }
                                td { (words(&format!("{key}/what"), case.what.name())) }
                                td { (moment(&format!("{key}/opened"), case.opened)) }
                                td { @if let Some(class) = &case.class { (words(&format!("{key}/class"), class)) } @else { "–" } }
                                td { @if let Some(path) = &case.path { (words(&format!("{key}/path"), path)) } @else { "–" } }
                                td { @if let Some(note) = &case.note { (words(&format!("{key}/note"), note)) } @else { "–" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn ledger(status: &Status) -> Markup {
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
