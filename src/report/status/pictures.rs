//! The pictures of the page: plain SVG in the page's own colours; a table with the same figures stands behind each.

use super::{Status, Volume};
use jiff::Timestamp;
use maud::{Markup, html as page};

/// Units of the picture's width; the page stretches it.
const WIDTH: f64 = 960.0;
/// Where bars begin.
const LEFT: f64 = 200.0;
/// Where bars end.
const RIGHT: f64 = 940.0;
const ROW: f64 = 30.0;

/// Titles of the columns of a day's table.
pub(super) const COLUMNS: [(&str, &str); 11] = [
    ("read", "read"),
    ("clean", "clean"),
    ("rejected", "rejected"),
    ("excluded", "excluded"),
    ("raw files scrubbed", "scrubbed"),
    ("raw size", "bytes_raw"),
    ("size made of it", "bytes_made"),
    ("files deleted", "deleted"),
    ("size deleted", "bytes_deleted"),
    ("files cut", "cut"),
    ("lines cut away", "lines_cut"),
];

/// The cells of a volume in the order of [`COLUMNS`]: title, key, figure, and whether it is bytes.
pub(super) fn cells(volume: &Volume) -> impl Iterator<Item = (&'static str, &'static str, u64, bool)> {
    let Volume { scrubbed, read, clean, rejected, excluded, bytes_raw, bytes_made, deleted, bytes_deleted, cut, lines_cut } = *volume;
    let figures = [read, clean, rejected, excluded, scrubbed, bytes_raw, bytes_made, deleted, bytes_deleted, cut, lines_cut];
    COLUMNS.into_iter().zip(figures).map(|((title, key), figure)| (title, key, figure, key.starts_with("bytes")))
}

fn at(value: f64) -> String {
    format!("{value:.1}")
}

/// Each form: its records, and how long the youngest of them stays.
pub(super) fn timeline(status: &Status) -> Markup {
    let rows: Vec<_> = status
        .classes
        .iter()
        .flat_map(|class| class.forms.iter().filter(|form| form.oldest.is_some()).map(move |form| (class.class.as_deref().unwrap_or_default(), form)))
        .collect();
    let second = |at: Timestamp| at.as_second() as f64;
    let now = second(status.now);
    let first = rows.iter().filter_map(|(_, form)| form.oldest).map(second).fold(now, f64::min);
    let last = rows.iter().flat_map(|(_, form)| [form.newest, form.gone_by]).flatten().map(second).fold(now, f64::max);
    let span = (last - first).max(86_400.0);
    // What stays for ever runs to the edge.
    let x = |second: f64| LEFT + (second - first) / span * (RIGHT - LEFT);
    let height = ROW * (rows.len() as f64 + 2.0);
    let day = |at: f64| Timestamp::from_second(at as i64).map_or_else(|_| String::new(), |at| at.strftime("%Y-%m-%d").to_string());
    page! {
        @if rows.is_empty() {
            p { "No file of any class is there." }
        } @else {
            svg viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label="Records of each form, from the oldest to the newest, and when the last of them has to be gone; the tables below have the same figures" {
                @for (row, (class, form)) in rows.iter().enumerate() {
                    @let y = ROW * row as f64 + 6.0;
                    @let oldest = form.oldest.map_or(now, second);
                    @let newest = form.newest.map_or(now, second);
                    @let end = form.gone_by.map_or(RIGHT, |gone| x(second(gone)));
                    text x="0" y=(at(y + 13.0)) { (short(&format!("{class}, {}", form.form))) }
                    rect class="ahead" x=(at(x(oldest))) y=(at(y)) width=(at((end - x(oldest)).max(1.0))) height="18" {}
                    rect class=(if form.overdue > 0 { "late" } else { "kept" }) x=(at(x(oldest))) y=(at(y)) width=(at((x(newest) - x(oldest)).max(3.0))) height="18" {
                        title { (class) ", " (form.form) ": " (form.state) }
                    }
                    @if form.overdue > 0 { text x=(at(x(newest) + 6.0)) y=(at(y + 13.0)) { "overdue" } }
                }
                @let foot = ROW * rows.len() as f64 + 4.0;
                line class="rule" x1=(LEFT) x2=(RIGHT) y1=(at(foot)) y2=(at(foot)) {}
                line class="now" x1=(at(x(now))) x2=(at(x(now))) y1="0" y2=(at(foot)) {}
                text x=(LEFT) y=(at(foot + 16.0)) { (day(first)) }
                text x=(RIGHT) y=(at(foot + 16.0)) text-anchor="end" { (day(first + span)) }
                text x=(at(x(now))) y=(at(foot + 34.0)) text-anchor=(if x(now) > WIDTH / 2.0 { "end" } else { "start" }) { "now, " (day(now)) }
            }
            p { small { "Full colour: from the oldest to the newest record that is there. Pale: until the newest of them has to be gone; to the edge where that is never." } }
        }
    }
}

/// Lines of each day: clean, rejected, excluded.
pub(super) fn days(status: &Status) -> Markup {
    let most = status.days.iter().map(|day| day.volume.read).max().unwrap_or_default();
    let (top, height) = (20.0, 140.0);
    let step = (WIDTH - 20.0) / status.days.len().max(1) as f64;
    let scale = |lines: u64| lines as f64 / most.max(1) as f64 * height;
    page! {
        @if most > 0 {
            svg viewBox={ "0 0 " (WIDTH) " 190" } role="img" aria-label="Lines read on each day: clean, rejected and excluded; the table below has the same figures" {
                text x="0" y="12" { "lines; the highest day has " (most) }
                @for (place, day) in status.days.iter().enumerate() {
                    @let x = step * place as f64;
                    @let (clean, rejected, excluded) = (scale(day.volume.clean), scale(day.volume.rejected), scale(day.volume.excluded));
                    @let floor = top + height;
                    rect class="kept" x=(at(x)) y=(at(floor - clean)) width=(at((step - 2.0).min(60.0))) height=(at(clean)) { title { (day.day) ": clean " (day.volume.clean) } }
                    rect class="late" x=(at(x)) y=(at(floor - clean - rejected)) width=(at((step - 2.0).min(60.0))) height=(at(rejected)) { title { (day.day) ": rejected " (day.volume.rejected) } }
                    rect class="ahead" x=(at(x)) y=(at(floor - clean - rejected - excluded)) width=(at((step - 2.0).min(60.0))) height=(at(excluded)) { title { (day.day) ": excluded " (day.volume.excluded) } }
                }
                line class="rule" x1="0" x2=(WIDTH) y1=(at(top + height)) y2=(at(top + height)) {}
                @if let (Some(first), Some(last)) = (status.days.first(), status.days.last()) {
                    text x="0" y=(at(top + height + 18.0)) { (first.day) }
                    @if status.days.len() > 2 { text x=(WIDTH - 20.0) y=(at(top + height + 18.0)) text-anchor="end" { (last.day) } }
                }
            }
            p { small { "From below: clean, rejected (red), excluded (pale)." } }
        }
    }
}

/// A label that fits in front of the bars.
fn short(text: &str) -> String {
    if text.chars().count() <= 28 { text.to_owned() } else { text.chars().take(27).chain(['…']).collect() }
}
