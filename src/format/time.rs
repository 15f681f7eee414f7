//! The shapes in which servers write a time, and where the clock stands in them.

#![expect(clippy::indexing_slicing, reason = "tables of 256 entries are indexed by a byte, constants are built by the compiler")]

use super::word::Masks;
use jiff::{Timestamp, civil, tz::Offset};
use std::ops::Range;

/// How a time is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A clock `HH:MM:SS` at this offset, with a fraction behind it (empty if there is none) and perhaps a date around it.
    Clock {
        /// Offset of the first digit of the hour.
        at: usize,
        /// The digits of the fraction.
        fraction: Range<usize>,
    },
    /// A date alone.
    Date,
    /// A count since 1970-01-01 with this many digits that are parts of a second in front of a fraction (0, 3, 6 or 9).
    Epoch {
        /// Number of whole-number digits below the second.
        below: usize,
        /// The digits of the fraction.
        fraction: Range<usize>,
    },
}

/// Heads of dates up to the clock, but for those of [`iso`]: `d` a digit, `a` a letter, `_` a blank or digit, everything else itself.
const HEADS: [&[u8]; 9] = [b"dd/aaa/dddd:", b"dd/dd/dddd:", b"dd-aaa-dddd ", b"aaa aaa _d ", b"aaa _d ", b"aaa, dd aaa dddd ", b"dddd-dd-dd_dd:dd:dd,", b"dd/dd/dddd ", b""];

/// The longest time that is looked at.
const LONGEST: usize = 48;

/// The shape of `value`, if it is a time.
#[inline]
pub fn shape(value: &[u8]) -> Option<Shape> {
    if let Ok(value) = value.try_into()
        && is_clf(value)
    {
        return Some(Shape::Clock { at: 12, fraction: 20..20 });
    }
    general(value)
}

/// `10/Oct/2000:13:55:36 -0700`, eight bytes at a time; that the clock is one is for [`instant`] to say.
#[inline]
pub(crate) fn is_clf(value: &[u8; 26]) -> bool {
    let [a, b, c, tail @ ..] = [word(value, 0), word(value, 8), word(value, 16), word(value, 18)];
    const FIRST: Masks = Masks::of(b"dd/aaa/d");
    const SECOND: Masks = Masks::of(b"ddd:dd:d");
    const THIRD: Masks = Masks::of(b"d:dd zdd");
    const LAST: Masks = Masks::of(b"dd zdddd");
    FIRST.fit(a) & SECOND.fit(b) & THIRD.fit(c) & LAST.fit(tail[0]) && matches!(value[21], b'+' | b'-')
}

#[inline]
fn word(value: &[u8; 26], at: usize) -> u64 {
    u64::from_le_bytes([value[at], value[at + 1], value[at + 2], value[at + 3], value[at + 4], value[at + 5], value[at + 6], value[at + 7]])
}

fn general(value: &[u8]) -> Option<Shape> {
    if value.len() > LONGEST || value.len() < 8 {
        return None;
    }
    match iso(value) {
        Some(at) if at == value.len() => return Some(Shape::Date),
        Some(at) if value.get(at..).is_some_and(is_clock) => return clocked(value, at),
        Some(_) | None => {}
    }
    if value.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.') {
        return epoch(value);
    }
    for head in HEADS {
        let (Some(front), Some(clock)) = (value.get(..head.len()), value.get(head.len()..)) else { continue };
        if matches(front, head) && is_clock(clock) {
            return clocked(value, head.len());
        }
    }
    let date = b"dd/aaa/dddd";
    (value.len() == date.len() && matches(value, date)).then_some(Shape::Date)
}

/// Where the clock would begin behind `dddd-dd-ddT`, `dddd-dd-dd ` or `dddd/dd/dd `, or in a value of eight bytes: what most servers
/// write beside [`is_clf`], eight bytes at a time. The end of the value, if that is where the date ends.
#[inline]
fn iso(value: &[u8]) -> Option<usize> {
    const FRONT: Masks = Masks::of(b"ddddzddz");
    if value.len() == 8 {
        return (value[2] == b':').then_some(0);
    }
    let front = value.first_chunk::<10>()?;
    let fits = FRONT.fit(u64::from_le_bytes(*value.first_chunk()?)) & front[8].is_ascii_digit() & front[9].is_ascii_digit() & (front[4] == front[7]);
    match (front[4], value.get(10)) {
        (b'-', Some(b'T' | b' ')) | (b'/', Some(b' ')) => fits.then_some(11),
        (b'-' | b'/', None) => fits.then_some(10),
        _ => None,
    }
}

/// A time whose clock begins at `at`: a fraction and a zone may follow.
fn clocked(value: &[u8], at: usize) -> Option<Shape> {
    let mut end = at + 8;
    let mut fraction = end..end;
    if matches!(value.get(end), Some(b'.' | b',')) {
        let digits = value.get(end + 1..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
        fraction = end + 1..end + 1 + digits;
        end = fraction.end;
    }
    is_zone(value.get(end..)?).then_some(Shape::Clock { at, fraction })
}

fn epoch(value: &[u8]) -> Option<Shape> {
    let whole = value.iter().position(|byte| *byte == b'.').unwrap_or(value.len());
    let rest = value.get(whole..)?;
    let fraction = if rest.is_empty() { whole..whole } else { whole + 1..value.len() };
    if rest.get(1..).is_some_and(|rest| rest.contains(&b'.')) {
        return None;
    }
    let below = match whole {
        9 | 10 => 0,
        12 | 13 => 3,
        15 | 16 => 6,
        18 | 19 => 9,
        _ => return None,
    };
    Some(Shape::Epoch { below, fraction })
}

fn matches(value: &[u8], pattern: &[u8]) -> bool {
    value.iter().zip(pattern).all(|(byte, expected)| match expected {
        b'd' => byte.is_ascii_digit(),
        b'a' => byte.is_ascii_alphabetic(),
        b'_' => byte.is_ascii_digit() || *byte == b' ',
        other => byte == other,
    })
}

#[inline]
fn is_clock(value: &[u8]) -> bool {
    matches!(value, [b'0'..=b'2', b'0'..=b'9', b':', b'0'..=b'5', b'0'..=b'9', b':', b'0'..=b'6', b'0'..=b'9', ..])
}

/// Nothing, `Z`, ` GMT`, ` +0100`, `+01:00`, or the year of `ctime`.
fn is_zone(value: &[u8]) -> bool {
    match value {
        [] | b"Z" | b" GMT" | b" UTC" => true,
        [b' ', b'+' | b'-', digits @ ..] | [b'+' | b'-', digits @ ..] => match digits {
            [a, b, c, d] | [a, b, b':', c, d] => [a, b, c, d].iter().all(|byte| byte.is_ascii_digit()),
            [a, b] => a.is_ascii_digit() && b.is_ascii_digit(),
            _ => false,
        },
        [b' ', year @ ..] => year.len() == 4 && year.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

const MONTHS: [&[u8; 3]; 12] = [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

fn number(value: &[u8]) -> Option<i64> {
    if value.is_empty() || value.len() > 19 {
        return None;
    }
    value.iter().try_fold(0_i64, |sum, byte| match byte {
        b'0'..=b'9' => Some(sum * 10 + i64::from(byte - b'0')),
        b' ' => Some(sum),
        _ => None,
    })
}

/// The instant of a record from its values in the order of the line: the first that names one, or a date and a clock together.
pub fn of_record<'a>(values: impl Iterator<Item = &'a [u8]>) -> Option<Timestamp> {
    let mut half: Option<&[u8]> = None;
    for value in values {
        if let Some(moment) = instant(value) {
            return Some(moment);
        }
        match half {
            None => half = Some(value),
            Some(first) => return instant(&[first, b" ", value].concat()).or_else(|| instant(&[value, b" ", first].concat())),
        }
    }
    None
}

/// The instant that a value with date and clock (or an epoch) names; without a zone it is UTC.
pub fn instant(value: &[u8]) -> Option<Timestamp> {
    match shape(value)? {
        Shape::Epoch { below, fraction } => {
            let whole = number(value.get(..value.iter().position(|byte| *byte == b'.').unwrap_or(value.len()))?)?;
            let unit = 10_i64.pow(below as u32);
            let nanos = if below == 0 { nanoseconds(value.get(fraction)?) } else { (whole % unit) * (1_000_000_000 / unit) };
            Timestamp::new(whole / unit, i32::try_from(nanos).ok()?).ok()
        }
        Shape::Clock { at, fraction } => {
            let date = date(value.get(..at)?, value)?;
            let two = |from: usize| value.get(from..from + 2).and_then(number).and_then(|number| i8::try_from(number).ok());
            let second = two(at + 6)?.min(59);
            let nanos = i32::try_from(nanoseconds(value.get(fraction.clone())?)).ok()?;
            let local = date.to_datetime(civil::Time::new(two(at)?, two(at + 3)?, second, 0).ok()?);
            let offset = offset(value.get(fraction.end..)?)?;
            let moment = offset.to_timestamp(local).ok()?;
            Timestamp::new(moment.as_second(), nanos).ok()
        }
        Shape::Date => None,
    }
}

fn nanoseconds(digits: &[u8]) -> i64 {
    let mut nanos = 0;
    for at in 0..9 {
        nanos = nanos * 10 + digits.get(at).map_or(0, |digit| i64::from(digit.saturating_sub(b'0')));
    }
    nanos
}

fn date(head: &[u8], value: &[u8]) -> Option<civil::Date> {
    let month = |text: &[u8]| MONTHS.iter().position(|name| name.eq_ignore_ascii_case(text)).map(|at| at as i64 + 1);
    let (year, month, day) = match head {
        [d1, d2, b'/', m1, m2, m3, b'/', year @ .., b':'] if m1.is_ascii_alphabetic() => (number(year)?, month(&[*m1, *m2, *m3])?, number(&[*d1, *d2])?),
        [m1, m2, b'/', d1, d2, b'/', year @ .., b':' | b' '] => (number(year)?, number(&[*m1, *m2])?, number(&[*d1, *d2])?),
        [d1, d2, b'-', m1, m2, m3, b'-', year @ .., b' '] => (number(year)?, month(&[*m1, *m2, *m3])?, number(&[*d1, *d2])?),
        [y1, y2, y3, y4, b'-' | b'/', m1, m2, b'-' | b'/', d1, d2, b'T' | b' '] => (number(&[*y1, *y2, *y3, *y4])?, number(&[*m1, *m2])?, number(&[*d1, *d2])?),
        [_, _, _, b' ', m1, m2, m3, b' ', d1, d2, b' '] => (number(value.get(value.len().checked_sub(4)?..)?)?, month(&[*m1, *m2, *m3])?, number(&[*d1, *d2])?),
        [_, _, _, b',', b' ', d1, d2, b' ', m1, m2, m3, b' ', year @ .., b' '] => (number(year)?, month(&[*m1, *m2, *m3])?, number(&[*d1, *d2])?),
        _ => return None,
    };
    civil::Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

fn offset(zone: &[u8]) -> Option<Offset> {
    let zone = zone.strip_prefix(b" ").unwrap_or(zone);
    let (sign, digits) = match zone {
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return Some(Offset::UTC),
    };
    let hours = number(digits.get(..2)?)?;
    let minutes = digits.get(2..).map(|rest| rest.strip_prefix(b":").unwrap_or(rest)).filter(|rest| !rest.is_empty()).map_or(Some(0), number)?;
    Offset::from_seconds(sign * i32::try_from(hours * 3600 + minutes * 60).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_no_day_has_is_no_instant() {
        for clock in ["24:00:00", "29:00:00", "99:99:99", "00:60:00"] {
            assert_eq!(instant(format!("10/Oct/2000:{clock} +0000").as_bytes()), None, "{clock}");
            assert_eq!(instant(format!("2000-10-10T{clock}Z").as_bytes()), None, "{clock}");
        }
    }

    #[test]
    fn the_shapes_of_real_servers_are_known_and_read() {
        let table = [
            ("10/Oct/2000:13:55:36 -0700", "2000-10-10T20:55:36Z"),
            ("14/Jan/2015:12:48:57.127", "2015-01-14T12:48:57.127Z"),
            ("2019-03-06T09:31:27.354Z", "2019-03-06T09:31:27.354Z"),
            ("2025-04-24T13:14:28.0000000Z", "2025-04-24T13:14:28Z"),
            ("2021/11/18 08:34:27", "2021-11-18T08:34:27Z"),
            ("2013-10-10T16:52:00+02:00", "2013-10-10T14:52:00Z"),
            ("Sun Mar 13 22:49:12 2016", "2016-03-13T22:49:12Z"),
            ("Tue Jul 22 06:48:30.000123 2008", "2008-07-22T06:48:30.000123Z"),
            ("06/10/2021:11:19:31 -0000", "2021-06-10T11:19:31Z"),
            ("1570784654.576", "2019-10-11T09:04:14.576Z"),
            ("1712790000123000000", "2024-04-10T23:00:00.123Z"),
            ("1712790000123", "2024-04-10T23:00:00.123Z"),
            ("28-Nov-2018 20:51:29.344", "2018-11-28T20:51:29.344Z"),
            ("Mon, 02 Jan 2006 15:04:05 GMT", "2006-01-02T15:04:05Z"),
        ];
        for (text, expected) in table {
            assert_eq!(instant(text.as_bytes()).map(|time| time.to_string()).as_deref(), Some(expected), "{text}");
        }
        for date in ["2015-01-13", "00:32:17", "Feb  1 18:34:10"] {
            assert!(shape(date.as_bytes()).is_some(), "{date}");
        }
        for no in ["", "-", "192.0.2.1", "12345", "2018", "10/Oct/2000:13:55:36 bob", "203.0.113.77", "1.2.3.4.5.6.7.8"] {
            assert_eq!(shape(no.as_bytes()), None, "{no}");
        }
    }
}
