//! Precision degradation of times, in the layout of the server: digits below the precision become zeros.

use super::action::Precision;
use crate::format::escape;
use crate::format::time::{Shape, shape};

/// What became of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Degraded {
    /// It is no more precise than it may be.
    Same,
    /// The new time was appended.
    Piece,
    /// Nobody can read it.
    Unknown,
}

/// Appends `value` cut to `precision`.
#[inline]
pub(crate) fn degrade(value: &[u8], precision: Precision, out: &mut Vec<u8>) -> Degraded {
    match shape(value) {
        Some(Shape::Clock { at, fraction }) => {
            if precision == Precision::Second && fraction.is_empty() {
                return Degraded::Same;
            }
            let start = out.len();
            out.extend_from_slice(value);
            let mut zero = |range: std::ops::Range<usize>| {
                for digit in out.get_mut(start + range.start..start + range.end).unwrap_or_default() {
                    *digit = b'0';
                }
            };
            zero(fraction);
            if precision >= Precision::Minute {
                zero(at + 6..at + 8);
            }
            if precision >= Precision::Hour {
                zero(at + 3..at + 5);
            }
            if precision >= Precision::Day {
                zero(at..at + 2);
            }
            Degraded::Piece
        }
        Some(Shape::Epoch { below, fraction }) => {
            let whole = value.get(..fraction.start).unwrap_or_default();
            let whole = whole.strip_suffix(b".").unwrap_or(whole);
            let Some(number) = std::str::from_utf8(whole).ok().and_then(|text| text.parse::<u64>().ok()) else { return Degraded::Unknown };
            let unit = 10_u64.pow(below as u32);
            let step = unit
                * match precision {
                    Precision::Second => 1,
                    Precision::Minute => 60,
                    Precision::Hour => 3_600,
                    Precision::Day => 86_400,
                };
            let cut = number / step * step;
            out.extend_from_slice(cut.to_string().as_bytes());
            if !fraction.is_empty() {
                out.push(b'.');
                out.extend(fraction.map(|_| b'0'));
            }
            Degraded::Piece
        }
        Some(Shape::Date) => Degraded::Same,
        None => Degraded::Unknown,
    }
}

/// Appends a value of a line cut to `precision`: as [`degrade`], and a time with escapes as well.
#[inline]
pub(crate) fn cut(value: &[u8], precision: Precision, out: &mut Vec<u8>) -> Degraded {
    match degrade(value, precision, out) {
        Degraded::Unknown => escaped(value, precision, out),
        done @ (Degraded::Same | Degraded::Piece) => done,
    }
}

/// Some writers of JSON put a backslash in front of every slash.
#[cold]
fn escaped(value: &[u8], precision: Precision, out: &mut Vec<u8>) -> Degraded {
    let (mut plain, mut new) = (Vec::new(), Vec::new());
    escape::text(value, &mut plain);
    let done = degrade(&plain, precision, &mut new);
    for byte in new {
        if byte == b'/' {
            out.push(b'\\');
        }
        out.push(byte);
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_below_the_precision_become_zeros() {
        let cut = |value: &str, precision| {
            let mut out = Vec::new();
            if degrade(value.as_bytes(), precision, &mut out) == Degraded::Piece { String::from_utf8(out).unwrap_or_default() } else { value.to_owned() }
        };
        assert_eq!(cut("10/Oct/2000:13:55:36 -0700", Precision::Second), "10/Oct/2000:13:55:36 -0700");
        assert_eq!(cut("10/Oct/2000:13:55:36 -0700", Precision::Hour), "10/Oct/2000:13:00:00 -0700");
        assert_eq!(cut("2019-03-06T09:31:27.354Z", Precision::Second), "2019-03-06T09:31:27.000Z");
        assert_eq!(cut("2019-03-06T09:31:27.354Z", Precision::Day), "2019-03-06T00:00:00.000Z");
        assert_eq!(cut("1570784654.576", Precision::Second), "1570784654.000");
        assert_eq!(cut("1570784654.576", Precision::Hour), "1570784400.000");
        assert_eq!(cut("1712790000123000000", Precision::Minute), "1712790000000000000");
        assert_eq!(cut("2015-01-13", Precision::Day), "2015-01-13");
    }

    #[test]
    fn times_with_escapes_keep_them_and_what_is_no_time_is_unknown() {
        let show = |value: &str, precision| {
            let mut out = Vec::new();
            let done = super::cut(value.as_bytes(), precision, &mut out);
            (done, String::from_utf8(out).unwrap_or_default())
        };
        let new = |text: &str| (Degraded::Piece, text.to_owned());
        assert_eq!(show(r"10\/Oct\/2000:13:55:36 -0700", Precision::Hour), new(r"10\/Oct\/2000:13:00:00 -0700"));
        assert_eq!(show(r"10\/Oct\/2000:13:55:36 -0700", Precision::Second), (Degraded::Same, String::new()));
        assert_eq!(show("10/Oct/2000:13:55:36 -0700", Precision::Day), new("10/Oct/2000:00:00:00 -0700"));
        for other in ["", "soon", "203.0.113.9", r"\/\/"] {
            assert_eq!(show(other, Precision::Day), (Degraded::Unknown, String::new()), "{other}");
        }
    }
}
