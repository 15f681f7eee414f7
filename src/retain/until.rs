//! How long something stays: calendar spans, and the deadline that a record's own time gives.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, Zoned, civil};
use std::fmt;

/// The longest span, in years: what the calendar of [`jiff`] can add to any time that a log can hold.
const MOST_YEARS: i32 = 1000;

/// A calendar span of years, months and days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CalendarSpan {
    /// Months, a year being twelve.
    pub months: i32,
    /// Days, a week being seven.
    pub days: i32,
}

impl CalendarSpan {
    /// Reads `180 days`, `6 months`, `1 year 6 months`. Spans below a day have no place here: a deadline is the end of a day.
    pub fn parse(text: &str) -> Option<Self> {
        let mut span = Self::default();
        for (count, unit) in parts(text)? {
            let count = i32::try_from(count).ok()?;
            let (sum, of) = match unit {
                "year" | "years" => (&mut span.months, 12),
                "month" | "months" => (&mut span.months, 1),
                "week" | "weeks" => (&mut span.days, 7),
                "day" | "days" => (&mut span.days, 1),
                _ => return None,
            };
            *sum = sum.checked_add(count.checked_mul(of)?)?;
        }
        (span.months <= MOST_YEARS * 12 && span.days <= MOST_YEARS * 366).then_some(span)
    }

    fn jiff(self) -> Option<Span> {
        Span::new().try_months(self.months).ok()?.try_days(self.days).ok()
    }
}

impl fmt::Display for CalendarSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let years = if self.months % 12 == 0 { self.months / 12 } else { 0 };
        let months = self.months - years * 12;
        let mut words = Vec::new();
        for (count, unit) in [(years, "year"), (months, "month"), (self.days, "day")] {
            if count != 0 {
                words.push(format!("{count} {unit}{}", if count == 1 { "" } else { "s" }));
            }
        }
        f.write_str(&if words.is_empty() { "0 days".to_owned() } else { words.join(" ") })
    }
}

/// Until when a form of a record stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Until {
    /// A span from the record's time, rounded up to the end of its day.
    Span(CalendarSpan),
    /// The same, rounded up to the end of its year.
    EndOfYear(CalendarSpan),
    /// It never has to go.
    Forever,
}

impl Until {
    /// Reads `6 months`, `7 years, end of year`, `forever`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text == "forever" {
            return Some(Self::Forever);
        }
        match text.split_once(',') {
            Some((span, end)) => (end.split_whitespace().eq(["end", "of", "year"])).then(|| CalendarSpan::parse(span).map(Self::EndOfYear))?,
            None => CalendarSpan::parse(text).map(Self::Span),
        }
    }
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Span(span) => span.fmt(f),
            Self::EndOfYear(span) => write!(f, "{span}, end of year"),
            Self::Forever => f.write_str("forever"),
        }
    }
}

/// The first moment at which a record of this time may not exist any more: the start of the day after its last one, in `zone`.
/// `None`: it may stay for ever, as it may where the calendar ends before the span does.
///
/// Never early: the span is added to the local time, a local time that a clock change skipped counts as the later one, and the
/// end is that of the whole local day. 31 January and a month is the last day of February, as in Regulation 1182/71 Art. 3.
pub fn deadline(record: Timestamp, until: Until, zone: &TimeZone) -> Option<Timestamp> {
    let (span, to_year) = match until {
        Until::Span(span) => (span, false),
        Until::EndOfYear(span) => (span, true),
        Until::Forever => return None,
    };
    let local: Zoned = record.to_zoned(zone.clone());
    let date = local.checked_add(span.jiff()?).ok()?.date();
    let date = if to_year { civil::Date::new(date.year(), 12, 31).ok()? } else { date };
    let next = date.tomorrow().ok()?;
    Some(next.to_zoned(zone.clone()).ok()?.timestamp())
}

/// Reads a duration on the clock: `1 second`, `90 minutes`, `24 hours`, `1 day` (24 hours).
pub fn duration(text: &str) -> Option<SignedDuration> {
    let mut seconds = 0_i64;
    for (count, unit) in parts(text)? {
        let of = match unit {
            "second" | "seconds" => 1,
            "minute" | "minutes" => 60,
            "hour" | "hours" => 3_600,
            "day" | "days" => 86_400,
            "week" | "weeks" => 7 * 86_400,
            _ => return None,
        };
        seconds = seconds.checked_add(i64::from(count).checked_mul(of)?)?;
    }
    Some(SignedDuration::from_secs(seconds))
}

/// Numbers and their units, `1 year 6 months` or `180days`; `None` where there are none.
fn parts(text: &str) -> Option<Vec<(u32, &str)>> {
    let mut rest = text.trim();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let digits = rest.find(|char: char| !char.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let after = after.trim_start();
        let end = after.find(|char: char| !char.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        found.push((number.parse().ok()?, unit));
        rest = after.trim_start();
    }
    (!found.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn until(text: &str) -> Until {
        Until::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap_or_else(|error| panic!("{error}"))
    }

    fn due(record: &str, span: &str, zone_name: &str) -> String {
        let record: Timestamp = record.parse().expect("a time");
        deadline(record, until(span), &zone(zone_name)).map_or_else(|| "never".to_owned(), |moment| moment.to_string())
    }

    #[test]
    fn spans_are_read_and_said_again() {
        let table = [
            ("180 days", "180 days"),
            ("6 months", "6 months"),
            ("1 year", "1 year"),
            ("18 months", "18 months"),
            ("12 months", "1 year"),
            ("2 weeks", "14 days"),
            ("0 days", "0 days"),
        ];
        for (text, said) in table.into_iter().chain([("7 years, end of year", "7 years, end of year"), ("forever", "forever"), ("1 month 3 days", "1 month 3 days")]) {
            assert_eq!(until(text).to_string(), said);
            assert_eq!(until(said), until(text));
        }
        for wrong in [
            "",
            "6",
            "months",
            "6 moons",
            "-1 day",
            "6 hours",
            "1.5 years",
            "7 years, end of month",
            "7 years,",
            "2000 years",
            "99999999999 days",
            "4294967295 years",
            "forever, end of year",
        ] {
            assert_eq!(Until::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn deadlines_are_the_end_of_a_local_day() {
        let table = [
            ("2026-05-22T10:00:00Z", "6 months", "UTC", "2026-11-23T00:00:00Z"),
            ("2026-05-22T10:00:00Z", "6 months", "Europe/Stockholm", "2026-11-22T23:00:00Z"),
            // Just before and just after local midnight.
            ("2026-05-22T21:59:59Z", "1 day", "Europe/Stockholm", "2026-05-23T22:00:00Z"),
            ("2026-05-22T22:00:00Z", "1 day", "Europe/Stockholm", "2026-05-24T22:00:00Z"),
            // Short months and leap years.
            ("2026-01-31T12:00:00Z", "1 month", "UTC", "2026-03-01T00:00:00Z"),
            ("2028-01-31T12:00:00Z", "1 month", "UTC", "2028-03-01T00:00:00Z"),
            ("2028-02-29T12:00:00Z", "1 year", "UTC", "2029-03-01T00:00:00Z"),
            ("2028-02-29T12:00:00Z", "4 years", "UTC", "2032-03-01T00:00:00Z"),
            ("2026-02-10T12:00:00Z", "7 years, end of year", "Europe/Stockholm", "2033-12-31T23:00:00Z"),
            ("2026-12-31T23:30:00Z", "0 days, end of year", "Europe/Stockholm", "2027-12-31T23:00:00Z"),
            // Into the hour that does not exist, and over the one that comes twice.
            ("2026-03-28T01:30:00Z", "1 day", "Europe/Stockholm", "2026-03-29T22:00:00Z"),
            ("2026-10-24T00:30:00Z", "1 day", "Europe/Stockholm", "2026-10-25T23:00:00Z"),
            // A day that an island left out.
            ("2011-12-30T01:00:00Z", "1 day", "Pacific/Apia", "2011-12-31T10:00:00Z"),
            ("2026-05-22T10:00:00Z", "forever", "UTC", "never"),
            // The calendar ends: nothing goes.
            ("9999-06-01T00:00:00Z", "1 year", "UTC", "never"),
        ];
        for (record, span, zone, expected) in table {
            assert_eq!(due(record, span, zone), expected, "{record} {span} {zone}");
        }
    }

    const ZONES: [&str; 5] = ["Europe/Stockholm", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Asia/Beirut"];

    /// Every clock change of five zones from 2015 to 2038, one after the other: seconds, hours and a day around it, for what leads there and
    /// what begins there.
    #[test]
    fn no_clock_change_makes_a_deadline_early() {
        let (mut changes, around) = (0, [-90_000, -86_400, -7_200, -3_601, -3_600, -1_800, -1, 0, 1, 1_799, 1_800, 3_599, 3_600, 7_200, 86_400, 90_000]);
        for name in ZONES {
            let zone = zone(name);
            let end: Timestamp = "2038-12-31T00:00:00Z".parse().unwrap();
            for change in zone.following("2015-01-01T00:00:00Z".parse().unwrap()).map(|change| change.timestamp()).take_while(|change| *change < end) {
                changes += 1;
                for (span, seconds) in ["1 day", "7 days", "1 month", "6 months", "1 year"].into_iter().flat_map(|span| around.map(|seconds| (span, seconds))) {
                    let Until::Span(span) = until(span) else { panic!("a span") };
                    let near = Timestamp::from_second(change.as_second() + seconds).unwrap();
                    let back = near.to_zoned(zone.clone()).checked_sub(span.jiff().unwrap()).unwrap().timestamp();
                    for record in [near, back] {
                        let due = deadline(record, Until::Span(span), &zone).unwrap();
                        let exact = record.to_zoned(zone.clone()).checked_add(span.jiff().unwrap()).unwrap();
                        assert!(due > exact.timestamp(), "{name} {change} {seconds} {span}: early");
                        assert_eq!(due.to_zoned(zone.clone()).date(), exact.date().tomorrow().unwrap(), "{name} {change} {seconds} {span}");
                    }
                }
            }
        }
        assert!(changes > 150, "{changes} changes");
    }

    proptest! {
        /// Around every clock change of five zones: the deadline lies behind the whole span, within two days of it, on a local midnight
        /// (or the first moment of a day that has none), and a later record is never due earlier.
        #[test]
        fn deadlines_are_never_early(zone_at in 0..ZONES.len(), change in 0..120_usize, from_change in -90_000_i64..90_000, later in 0_i64..200_000, months in 0..30_i32, days in 0..400_i32) {
            let zone = zone(ZONES[zone_at]);
            let changes: Vec<Timestamp> = zone.following("1990-01-01T00:00:00Z".parse().unwrap()).map(|change| change.timestamp()).take(120).collect();
            let target = changes[change % changes.len()].as_second() + from_change;
            let span = CalendarSpan { months, days };
            // The record from which the span leads near the change, and one that stands near it itself.
            let near = Timestamp::from_second(target).unwrap();
            let back = near.to_zoned(zone.clone()).checked_sub(span.jiff().unwrap()).unwrap().timestamp();
            for record in [near, back] {
                let due = deadline(record, Until::Span(span), &zone).unwrap();
                let exact = record.to_zoned(zone.clone()).checked_add(span.jiff().unwrap()).unwrap();
                prop_assert!(due > exact.timestamp());
                prop_assert!(due.as_second() - exact.timestamp().as_second() <= 25 * 3600 + 1800);
                let local = due.to_zoned(zone.clone());
                prop_assert_eq!(local.date(), exact.date().tomorrow().unwrap());
                prop_assert_eq!(local.timestamp(), local.start_of_day().unwrap().timestamp());
                let after = Timestamp::from_second(record.as_second() + later).unwrap();
                prop_assert!(deadline(after, Until::Span(span), &zone).unwrap() >= due);
                let year = deadline(record, Until::EndOfYear(span), &zone).unwrap();
                prop_assert!(year >= due);
            }
        }
    }
}
