//! The span of time that one key serves: a UTC day.

use jiff::{SignedDuration, Timestamp, civil};
use std::fmt;
use std::str::FromStr;

const DAY_SECONDS: i64 = 86_400;

/// A UTC day, written `2026-11-22`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    /// Days since 1970-01-01.
    day: i32,
}

impl Period {
    /// The period of a record's time.
    pub fn of(time: Timestamp) -> Self {
        // All of jiff's range is less than four million days from 1970.
        Self { day: i32::try_from(time.as_second().div_euclid(DAY_SECONDS)).unwrap_or_default() }
    }

    /// Days since 1970-01-01; `None` before it.
    pub fn day(self) -> Option<u32> {
        u32::try_from(self.day).ok()
    }

    /// The period of that day.
    pub(crate) fn from_day(day: u32) -> Self {
        Self { day: i32::try_from(day).unwrap_or(i32::MAX) }
    }

    /// The day behind it.
    pub(crate) const fn next(self) -> Self {
        Self { day: self.day.saturating_add(1) }
    }

    /// Its first instant.
    pub fn start(self) -> Timestamp {
        Timestamp::from_second(i64::from(self.day) * DAY_SECONDS).unwrap_or(if self.day < 0 { Timestamp::MIN } else { Timestamp::MAX })
    }

    /// The first instant behind it.
    pub fn end(self) -> Timestamp {
        self.next().start()
    }

    /// Whether its key may be used at `now`: until `keep` after its end, and at most a day before its start, because
    /// clocks of servers disagree.
    pub fn is_kept(self, now: Timestamp, keep: SignedDuration) -> bool {
        let old = now.duration_since(self.end()) > keep;
        let early = self.start().duration_since(now) > SignedDuration::from_hours(24);
        !old && !early
    }

    /// The oldest period whose key may still be used at `now`.
    pub(crate) fn oldest_kept(now: Timestamp, keep: SignedDuration) -> Self {
        let since = now.checked_sub(keep.max(SignedDuration::ZERO)).unwrap_or(Timestamp::MIN);
        let period = Self::of(since);
        // A period that ends at `since` to the instant is kept as well.
        let before = Self { day: period.day.saturating_sub(1) };
        if before.is_kept(now, keep) { before } else { period }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.start().to_zoned(jiff::tz::TimeZone::UTC).date();
        write!(f, "{date}")
    }
}

/// A text that is no period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPeriod;

impl fmt::Display for NoPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a period is a UTC day, written as 2026-11-22")
    }
}

impl std::error::Error for NoPeriod {}

impl FromStr for Period {
    type Err = NoPeriod;

    fn from_str(text: &str) -> Result<Self, NoPeriod> {
        let date: civil::Date = text.parse().map_err(|_error| NoPeriod)?;
        let start = date.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_error| NoPeriod)?;
        let period = Self::of(start.timestamp());
        // One spelling for one period: it is the name of a file.
        if period.to_string() == text { Ok(period) } else { Err(NoPeriod) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_in_utc_has_one_name() {
        assert_eq!(Period::of(at("2026-11-22T23:59:59.999Z")).to_string(), "2026-11-22");
        assert_eq!(Period::of(at("2026-11-23T00:30:00+02:00")).to_string(), "2026-11-22");
        assert_eq!(Period::of(at("1970-01-01T00:00:00Z")).day(), Some(0));
        assert_eq!(Period::of(at("1969-12-31T23:59:59Z")).to_string(), "1969-12-31");
        assert_eq!(Period::of(at("1969-12-31T23:59:59Z")).day(), None);
        for text in ["2026-11-22", "1970-01-01", "2000-02-29"] {
            assert_eq!(text.parse::<Period>().map(|period| period.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "2026-11-31", "2026-1-2", "20261122", "2026-11-22T00:00:00", "../2026-11-22", "2026-11-22 "] {
            assert_eq!(text.parse::<Period>(), Err(NoPeriod), "{text}");
        }
        for time in [Timestamp::MIN, Timestamp::MAX] {
            assert!(Period::of(time).start() <= time);
            assert!(!Period::of(time).to_string().is_empty());
        }
    }

    #[test]
    fn kept_from_a_day_before_until_keep_after_its_end() {
        let period: Period = "2026-11-22".parse().unwrap();
        let keep = SignedDuration::from_hours(24);
        for (now, kept) in [
            ("2026-11-20T23:59:59Z", false),
            ("2026-11-21T00:00:00Z", true),
            ("2026-11-22T12:00:00Z", true),
            ("2026-11-24T00:00:00Z", true),
            ("2026-11-24T00:00:00.000000001Z", false),
            ("2027-11-24T00:00:00Z", false),
        ] {
            assert_eq!(period.is_kept(at(now), keep), kept, "{now}");
            let oldest = Period::oldest_kept(at(now), keep);
            assert!(oldest.is_kept(at(now), keep));
            assert!(!Period { day: oldest.day - 1 }.is_kept(at(now), keep));
        }
        assert!(!period.is_kept(at("2026-11-23T00:00:01Z"), SignedDuration::ZERO));
    }
}
