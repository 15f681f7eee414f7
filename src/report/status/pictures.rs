//! The pictures of the page. Behind each stands a table with the same figures; the stylesheet turns their colours into the page's own.

use super::{Sample, Status};
use crate::report::look::{inert, wide};
use crate::report::questions::percent;
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use maud::{Markup, PreEscaped, html as page};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Units of a picture's width; the page stretches it.
const WIDTH: u32 = 720;
const INK: RGBColor = RGBColor(0x1B, 0x1B, 0x1B);
const LINE: RGBColor = RGBColor(0xBB, 0xBB, 0xBB);
const KEPT: RGBColor = RGBColor(0x2B, 0x6C, 0xB0);
const AHEAD: RGBColor = RGBColor(0xB9, 0xCF, 0xE6);
const BAD: RGBColor = RGBColor(0xA6, 0x1B, 0x1B);
const ODD: RGBColor = RGBColor(0x94, 0x61, 0x0F);
/// Of text, in units.
const TEXT: f64 = 15.0;
/// Days in the picture of days.
const DAYS: i64 = 31;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// What cannot be drawn is left out: its table says the same.
type Drawn = Result<(), DrawingAreaErrorKind<<SVGBackend<'static> as DrawingBackend>::ErrorType>>;

/// A picture, said in one sentence for those who do not see it; `caption` explains the colours.
fn picture(height: u32, said: &str, caption: &Markup, draw: impl FnOnce(&Area<'_>) -> Drawn) -> Markup {
    let mut text = String::new();
    let drawn = {
        let area = SVGBackend::with_string(&mut text, (WIDTH, height)).into_drawing_area();
        draw(&area).and_then(|()| area.present())
    };
    // The first tag says its size in pixels and a name space, which a page has no use for.
    let inside = text.split_once('>').map(|(_, rest)| rest).filter(|_| drawn.is_ok());
    page! {
        @if let Some(inside) = inside {
            figure {
                (wide(said, &page! { svg viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label=(said) { (PreEscaped(inside.trim_end().trim_end_matches("</svg>"))) } }))
                figcaption { (caption) }
            }
        }
    }
}

fn label(color: &RGBColor, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    ("sans-serif", TEXT).into_font().color(color).pos(Pos::new(horizontal, vertical))
}

fn write(area: &Area<'_>, text: &str, at: (f64, f64), style: &TextStyle<'_>) -> Drawn {
    area.draw(&Text::new(text.to_owned(), pixel(at), style.clone()))
}

fn bar(area: &Area<'_>, from: (f64, f64), to: (f64, f64), color: &RGBColor) -> Drawn {
    area.draw(&Rectangle::new([pixel(from), pixel(to)], color.filled()))
}

fn rule(area: &Area<'_>, from: (f64, f64), to: (f64, f64), color: &RGBColor) -> Drawn {
    area.draw(&PathElement::new(vec![pixel(from), pixel(to)], color.stroke_width(1)))
}

fn pixel((x, y): (f64, f64)) -> (i32, i32) {
    (x.round() as i32, y.round() as i32)
}

/// A label that fits in front of bars.
fn short(text: &str) -> String {
    let text = inert(text);
    if text.chars().count() <= 22 { text } else { text.chars().take(21).chain(['…']).collect() }
}

fn date(second: f64) -> String {
    Timestamp::from_second(second as i64).map_or_else(|_| String::new(), |at| at.strftime("%Y-%m-%d").to_string())
}

/// Each form: its records, and how long the youngest of them stays.
pub(super) fn timeline(status: &Status) -> Markup {
    const LEFT: f64 = 190.0;
    const RIGHT: f64 = 712.0;
    const ROW: f64 = 34.0;
    let of = |class: &super::ClassStatus| class.class.clone().unwrap_or_default();
    let rows: Vec<_> =
        status.classes.iter().flat_map(|class| class.forms.iter().filter(|form| form.oldest.is_some()).map(move |form| (format!("{}, {}", of(class), form.form), form))).collect();
    if rows.is_empty() {
        return page! { p { "No file of any class is there." } };
    }
    let second = |at: Timestamp| at.as_second() as f64;
    let now = second(status.now);
    let first = rows.iter().filter_map(|(_, form)| form.oldest).map(second).fold(now, f64::min);
    let last = rows.iter().flat_map(|(_, form)| [form.newest, form.gone_by]).flatten().map(second).fold(now, f64::max);
    // A little of what comes behind, so that what stays for ever is seen to go on.
    let span = (last - first).max(86_400.0) * 1.04;
    let x = |second: f64| LEFT + (second - first) / span * (RIGHT - LEFT);
    let foot = ROW * rows.len() as f64 + 10.0;
    let said = format!(
        "Records of each form from the oldest to the newest, and when the last of them has to be gone. {}. The tables below have the same figures.",
        if status.overdue > 0 { "Something is overdue" } else { "Nothing is overdue" }
    );
    let caption = page! {
        (entry("#2B6CB0", &page! { "records that are there" })) (entry("#B9CFE6", &page! { "until the newest of them has to be gone; to the edge where that is never" }))
        @if status.overdue > 0 { (entry("#A61B1B", &page! { "overdue: something in it is due and stays" })) }
        "The line within a bar is the day up to which the oldest record may stay."
    };
    picture(foot as u32 + 50, &said, &caption, |area| {
        for (row, (name, form)) in rows.iter().enumerate() {
            let (top, late) = (ROW * row as f64 + 6.0, form.overdue > 0);
            let (oldest, newest) = (form.oldest.map_or(now, second), form.newest.map_or(now, second));
            let end = form.gone_by.map_or(RIGHT, |gone| x(second(gone)));
            write(area, &short(name), (0.0, top + 11.0), &label(&INK, HPos::Left, VPos::Center))?;
            bar(area, (x(oldest), top), (end.max(x(oldest) + 2.0), top + 22.0), &AHEAD)?;
            let covered = x(newest).max(x(oldest) + 4.0);
            bar(area, (x(oldest), top), (covered, top + 22.0), if late { &BAD } else { &KEPT })?;
            if let Some(due) = form.deadline.map(second) {
                rule(area, (x(due), top - 3.0), (x(due), top + 25.0), &INK)?;
            }
            if late {
                let behind = covered.max(end).max(x(now));
                let (at, anchor) = if behind + 80.0 > RIGHT { (x(oldest) - 6.0, HPos::Right) } else { (behind + 6.0, HPos::Left) };
                write(area, "overdue", (at, top + 11.0), &label(&INK, anchor, VPos::Center))?;
            }
        }
        rule(area, (LEFT, foot), (RIGHT, foot), &LINE)?;
        rule(area, (x(now), 0.0), (x(now), foot + 6.0), &INK)?;
        write(area, &date(first), (LEFT, foot + 8.0), &label(&INK, HPos::Left, VPos::Top))?;
        write(area, &date(last), (RIGHT, foot + 8.0), &label(&INK, HPos::Right, VPos::Top))?;
        let anchor = if x(now) > LEFT + (RIGHT - LEFT) / 2.0 { HPos::Right } else { HPos::Left };
        write(area, &format!("now, {}", date(now)), (x(now), foot + 28.0), &label(&INK, anchor, VPos::Top))
    })
}

/// A colour and what it stands for.
fn entry(color: &str, words: &Markup) -> Markup {
    page! { span class="entry" { svg viewBox="0 0 1 1" aria-hidden="true" class="key" { rect width="1" height="1" fill=(color) {} } (words) } " " }
}

/// Lines of each day, and below them what was deleted.
pub(super) fn days(status: &Status) -> Markup {
    let today = status.now.to_zoned(TimeZone::UTC).date();
    let Ok(start) = today.checked_sub((DAYS - 1).days()) else { return Markup::default() };
    let shown: Vec<_> = status.days.iter().filter_map(|day| Some((start.until(day.day).ok()?.get_days(), day))).filter(|(place, _)| (0..DAYS as i32).contains(place)).collect();
    if shown.is_empty() {
        return Markup::default();
    }
    let caption = page! {
        "Above: lines, " (entry("#2B6CB0", &page! { "clean" })) (entry("#A61B1B", &page! { "rejected" })) (entry("#B9CFE6", &page! { "excluded" })) "Below: "
        (entry("#94610F", &page! { "bytes of deleted files" })) "The last 31 days, by the UTC day on which it was done."
    };
    let most = shown.iter().map(|(_, day)| day.volume.read).max().unwrap_or_default().max(1) as f64;
    let gone = shown.iter().map(|(_, day)| day.volume.bytes_deleted).max().unwrap_or_default().max(1) as f64;
    let name = |place: f64| start.checked_add((place.round() as i64).days()).map_or_else(|_| String::new(), |day| day.strftime("%m-%d").to_string());
    let said = "Lines that came in on each of the last 31 days: clean, rejected and excluded; and bytes that were deleted. The table below has the same figures.";
    picture(340, said, &caption, |area| {
        let (upper, lower) = area.split_vertically(220);
        // Lines of the mesh stand at round numbers of the unit that the labels have.
        let unit = 1024_f64.powf(gone.log(1024.0).floor());
        for (area, highest, unit, is_lines) in [(&upper, most, 1.0, true), (&lower, gone / unit, unit, false)] {
            let mut chart = ChartBuilder::on(area)
                .margin_top(12)
                .margin_right(8)
                .x_label_area_size(if is_lines { 6 } else { 26 })
                .y_label_area_size(80)
                .build_cartesian_2d(-0.5..DAYS as f64 - 0.5, 0.0..highest * 1.05)?;
            let number = |value: &f64| if is_lines { grouped(value.round() as u64) } else { size((value * unit).round() as u64) };
            chart
                .configure_mesh()
                .disable_x_mesh()
                .light_line_style(TRANSPARENT)
                .bold_line_style(LINE)
                .axis_style(LINE)
                .label_style(label(&INK, HPos::Center, VPos::Center))
                .x_labels(if is_lines { 0 } else { 7 })
                .x_label_formatter(&|place| name(*place))
                .y_labels(4)
                .y_label_formatter(&number)
                .draw()?;
            for (place, day) in &shown {
                let (volume, place) = (&day.volume, f64::from(*place));
                let parts = if is_lines { vec![(volume.clean, KEPT), (volume.rejected, BAD), (volume.excluded, AHEAD)] } else { vec![(volume.bytes_deleted, ODD)] };
                let mut floor = 0.0;
                for (part, color) in parts {
                    let top = floor + part as f64 / unit;
                    if part > 0 {
                        chart.draw_series([Rectangle::new([(place - 0.4, floor), (place + 0.4, top)], color.filled())])?;
                    }
                    floor = top;
                }
            }
        }
        Ok(())
    })
}

/// How many records stand in groups of which size.
pub(super) fn groups(sample: &Sample, of: &str) -> Markup {
    let (groups, k) = (&sample.figures.groups, sample.figures.k);
    let all = groups.histogram.iter().map(|bar| bar.records).sum::<u64>().max(1) as f64;
    let said = format!("{}: share of records by the number of records that share address, user agent and hour. The table below has the same figures.", inert(of));
    let caption = page! {
        "Share of the records that stand in groups of 1, 2 to 4 … 100 or more with the same address, user agent and hour: "
        (entry("#A61B1B", &page! { "groups of fewer than " (k) })) (entry("#2B6CB0", &page! { "groups of " (k) " or more" }))
    };
    picture(230, &said, &caption, |area| {
        let (floor, height, step) = (190.0, 160.0, f64::from(WIDTH) / groups.histogram.len().max(1) as f64);
        for (place, group) in groups.histogram.iter().enumerate() {
            let (left, share) = (step * place as f64 + 12.0, group.records as f64 / all);
            let (middle, top) = (left + (step - 24.0) / 2.0, floor - share * height);
            bar(area, (left, top), (left + step - 24.0, floor), if group.to < k { &BAD } else { &KEPT })?;
            write(area, &percent(share), (middle, top - 4.0), &label(&INK, HPos::Center, VPos::Bottom))?;
            write(area, &group.size(), (middle, floor + 8.0), &label(&INK, HPos::Center, VPos::Top))?;
        }
        rule(area, (0.0, floor), (f64::from(WIDTH), floor), &LINE)
    })
}

/// Bytes in front of scrubbing and behind it.
pub(super) fn storage(status: &Status) -> Markup {
    let rows: Vec<_> = status.classes.iter().filter(|class| class.volume.bytes_raw > 0).collect();
    if rows.is_empty() {
        return Markup::default();
    }
    let most = rows.iter().map(|class| class.volume.bytes_raw.max(class.volume.bytes_made)).max().unwrap_or_default().max(1) as f64;
    let caption = page! {
        (entry("#B9CFE6", &page! { "raw files, as they lay on the disk" })) (entry("#2B6CB0", &page! { "every form that was made of them, compressed" }))
    };
    let said = "Bytes of raw files and of what was made of them, for each class. The table below has the same figures.";
    picture(rows.len() as u32 * 62 + 6, said, &caption, |area| {
        for (row, class) in rows.iter().enumerate() {
            let top = row as f64 * 62.0 + 6.0;
            write(area, &short(class.class.as_deref().unwrap_or("no configuration")), (0.0, top + 22.0), &label(&INK, HPos::Left, VPos::Center))?;
            for (place, bytes, color) in [(0.0, class.volume.bytes_raw, &AHEAD), (24.0, class.volume.bytes_made, &KEPT)] {
                let end = 190.0 + (bytes as f64 / most * 420.0).max(2.0);
                bar(area, (190.0, top + place), (end, top + place + 20.0), color)?;
                write(area, &size(bytes), (end + 8.0, top + place + 10.0), &label(&INK, HPos::Left, VPos::Center))?;
            }
        }
        Ok(())
    })
}

/// `1 234 567`, with blanks at which no line breaks.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let groups: Vec<String> = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned()).collect();
    groups.join("\u{a0}")
}

/// `1.2 MiB`
pub(super) fn size(count: u64) -> String {
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
