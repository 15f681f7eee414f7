//! The time of a record, read fast where the record before it was of the same minute; the result is always the record's own.

use crate::format::time;
use jiff::{SignedDuration, Timestamp};

/// `10/Oct/2000:13:55:36 -0700`
const CLF: usize = 26;

/// The last time that was read. It only saves work: what it answers is what [`time::instant`] would.
#[derive(Debug, Default)]
pub(super) struct Watch {
    value: Vec<u8>,
    /// The same, if it is of the common layout: two arrays are compared at once.
    common: Option<[u8; CLF]>,
    instant: Timestamp,
    /// The start of its minute, if the value is of the common layout.
    minute: Option<Timestamp>,
}

impl Watch {
    /// The instant that a value names.
    #[inline]
    pub(super) fn read(&mut self, value: &[u8]) -> Option<Timestamp> {
        let common = value.try_into().ok();
        let is_last = if common.is_some() { common == self.common } else { !value.is_empty() && value == self.value };
        if is_last {
            return Some(self.instant);
        }
        if let Some(instant) = self.same_minute(value) {
            return Some(instant);
        }
        let instant = time::instant(value)?;
        self.value.clear();
        self.value.extend_from_slice(value);
        self.common = common;
        self.instant = instant;
        self.minute = seconds(value).and_then(|seconds| instant.checked_sub(seconds).ok());
        Some(instant)
    }

    /// Only the two digits of the second differ.
    fn same_minute(&self, value: &[u8]) -> Option<Timestamp> {
        let minute = self.minute?;
        let (front, back) = (value.get(..18)?, value.get(20..)?);
        if front != self.value.get(..18)? || back != self.value.get(20..)? {
            return None;
        }
        minute.checked_add(seconds(value)?).ok()
    }
}

/// The second of a time in the common layout; a leap second is the one before it.
fn seconds(value: &[u8]) -> Option<SignedDuration> {
    if !time::is_clf(value.try_into().ok()?) || value.len() != CLF {
        return None;
    }
    let [tens, ones] = *value.get(18..20)?.first_chunk()?;
    Some(SignedDuration::from_secs(i64::from((tens - b'0') * 10 + (ones - b'0')).min(59)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_is_read_without_it() {
        let mut watch = Watch::default();
        let mut values = vec![String::new(), "-".to_owned(), "2023-10-10T13:55:36Z".to_owned(), "1696946136.5".to_owned(), "2023-10-10".to_owned()];
        for zone in ["+0000", "-0730", "+9999"] {
            for (day, month) in [(1, "Jan"), (31, "Dec"), (30, "Feb")] {
                for clock in ["00:00:00", "00:00:59", "00:00:60", "23:59:58", "23:07:58", "22:07:58", "23:59:99", "24:00:00", "23:5x:01", "23:59:0x"] {
                    values.push(format!("{day:02}/{month}/2023:{clock} {zone}"));
                }
            }
        }
        for turn in 0..values.len() {
            for at in 0..values.len() {
                let value = values[(at * (turn + 1)) % values.len()].as_bytes();
                assert_eq!(watch.read(value), time::instant(value), "{}", String::from_utf8_lossy(value));
            }
        }
    }
}
