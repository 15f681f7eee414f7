//! Whether a clean line can be what a policy made of its raw record.

use super::record::Place;
use super::text::{is_gathered, is_gone, is_masked, is_nest, is_pseudonym, is_rounded};
use crate::format::{Field, Text, time};
use std::ops::Range;

/// A record as both checks see it.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub text: &'a [u8],
    pub places: &'a [Place],
    pub slots: &'a [crate::format::Slot],
}

impl<'a> View<'a> {
    #[inline]
    pub(super) fn value(&self, place: &Place) -> &'a [u8] {
        self.text.get(place.start..place.end).unwrap_or_default()
    }

    /// The innermost value around a byte.
    pub(super) fn place_at(&self, at: usize) -> Option<usize> {
        let before = self.places.partition_point(|place| place.start <= at);
        (0..before).rev().take(64).find(|index| self.places.get(*index).is_some_and(|place| at < place.end))
    }
}

/// Which raw value became each clean one: the same slots in the same order, some left out. False if that cannot be.
pub(super) fn align(raw: View<'_>, clean: View<'_>, map: &mut Vec<usize>) -> bool {
    map.clear();
    let mut at = 0;
    for place in clean.places {
        loop {
            let Some(candidate) = raw.places.get(at) else { return false };
            at += 1;
            if candidate.slot == place.slot {
                map.push(at - 1);
                // An object that went as a whole took its members along.
                if candidate.text == Text::JsonNest && place.text != Text::JsonNest {
                    at += raw.places.get(at..).unwrap_or_default().iter().take_while(|inner| inner.start < candidate.end).count();
                }
                break;
            }
        }
    }
    true
}

/// The first field whose clean value no action makes of its raw one.
pub(super) fn unexplained(raw: View<'_>, clean: View<'_>, map: &[usize]) -> Option<Field> {
    let mut times_differ = false;
    for (place, origin) in clean.places.iter().zip(map) {
        let Some(origin) = raw.places.get(*origin) else { continue };
        let (after, before) = (clean.value(place), raw.value(origin));
        if after == before || is_gone(after) {
            continue;
        }
        let field = place.field;
        times_differ |= field == Field::Time;
        let number = matches!(field, Field::Status | Field::Bytes | Field::Duration) && is_rounded(before, after);
        let word = matches!(field, Field::User | Field::Ident | Field::RequestId | Field::Session) && is_pseudonym(after);
        let copied = matches!(
            field,
            Field::Status
                | Field::Bytes
                | Field::Duration
                | Field::Method
                | Field::Protocol
                | Field::Host
                | Field::Path
                | Field::User
                | Field::Ident
                | Field::RequestId
                | Field::Session
        );
        // Addresses and times are compared as such; of an object its members are.
        let apart = matches!(field, Field::ClientAddr | Field::ProxiedAddr | Field::Time) || is_nest(place.text);
        let agent = field == Field::UserAgent && is_reduced_agent(after);
        let explained = number || word || apart || agent || is_masked(before, after) || (!copied && is_gathered(before, after));
        if !explained {
            return Some(place.field);
        }
    }
    (times_differ && !is_coarser(raw, clean)).then_some(Field::Time)
}

/// Whether records whose values cannot be aligned can be of each other all the same: what masking never moves agrees.
pub(super) fn may_be_own(raw: View<'_>, clean: View<'_>) -> bool {
    let first = |view: View<'_>, field| view.places.iter().find(|place| place.field == field).map(|place| view.value(place)).map(<[u8]>::to_vec);
    let agree = [Field::Status, Field::Method, Field::Bytes].into_iter().all(|field| match (first(raw, field), first(clean, field)) {
        (Some(before), Some(after)) => is_gone(&after) || is_rounded(&before, &after) || is_masked(&before, &after),
        _ => true,
    });
    agree && is_coarser(raw, clean)
}

/// Whether the clean time is the raw one cut to at most a day. A day starts up to 26 hours from another zone's.
fn is_coarser(raw: View<'_>, clean: View<'_>) -> bool {
    let moment = |view: View<'_>| {
        let times = view.places.iter().filter(|place| place.field == Field::Time).map(|place| view.value(place));
        time::of_record(times)
    };
    match (moment(raw), moment(clean)) {
        (Some(before), Some(after)) => (0..26 * 3600).contains(&(before.as_second() - after.as_second())),
        // What nobody can read was not made coarser, but it may have been made nothing.
        _ => true,
    }
}

/// What stands between the values.
pub(super) fn gaps(view: View<'_>) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = 0;
    let end = view.text.len();
    let last = std::iter::once((end, end));
    view.places.iter().map(|place| (place.start, place.end)).chain(last).filter_map(move |(start, stop)| {
        let gap = at..start;
        // Within an object the gap runs from the end of the last inner value.
        at = at.max(stop);
        (gap.start < gap.end).then_some(gap)
    })
}

/// Whether a clean line is what keeps the place of a reject: nothing but tokens that name nobody.
pub(in crate::run) fn is_reject(clean: &[u8]) -> bool {
    if clean.first() == Some(&b'{') {
        let reason = clean.strip_prefix(b"{\"rejected\":\"").and_then(|rest| rest.strip_suffix(b"\"}"));
        return reason.is_some_and(|reason| reason.len() <= 24 && reason.iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'_' || *byte == b'-'));
    }
    let mut rest = clean;
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            // A blank line is no reject: it stays blank.
            return !clean.trim_ascii().is_empty();
        }
        let bracket = rest.strip_prefix(b"[").and_then(|inside| inside.get(..inside.iter().take(40).position(|byte| *byte == b']')?));
        if let Some(inside) = bracket.filter(|inside| time::shape(inside).is_some()) {
            rest = rest.get(inside.len() + 2..).unwrap_or_default();
            continue;
        }
        let width = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
        let (word, after) = rest.split_at(width);
        if !is_harmless(word) {
            return false;
        }
        rest = after;
    }
}

/// A dash, a method, a number of up to three digits, a time with marks in it.
fn is_harmless(word: &[u8]) -> bool {
    const METHODS: [&[u8]; 9] = [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH"];
    let number = word.iter().all(u8::is_ascii_digit);
    word == b"-" || METHODS.contains(&word) || (number && word.len() <= 3) || (!word.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.') && time::shape(word).is_some())
}

/// What reduced agents end with.
pub(super) const CLASSES: [&[u8]; 7] = [b"desktop", b"mobile", b"tablet", b"bot", b"tv", b"watch", b"other"];

/// Whether a value is a user agent reduced to family, system and class; blanks may be written as `+` or `%20`.
pub(super) fn is_reduced_agent(value: &[u8]) -> bool {
    if value == b"Other" {
        return true;
    }
    let Some(inside) = value.strip_suffix(b")") else { return false };
    let Some(open) = memchr::memrchr(b'(', inside) else { return false };
    let class = inside.iter().rposition(|byte| matches!(byte, b' ' | b'+' | b';')).map_or(open + 1, |at| at + 1);
    let class = inside.get(class..).unwrap_or_default();
    let class = class.strip_prefix(b"%20").unwrap_or(class);
    open > 0 && CLASSES.contains(&class) && value.len() <= 160
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_rejects_say_nothing() {
        for text in ["-", "- - [10/Oct/2000:13:55:36 -0700] GET - - 200 -", "2021-06-17T19:25:59Z - -", r#"{"rejected":"layout"}"#] {
            assert!(is_reject(text.as_bytes()), "{text}");
        }
        for text in ["- bob -", "3405803785", "1696946136", r#"{"rejected":"bob@example.org"}"#, "", "203.0.113.9", r#"{"a":1}"#, "[client"] {
            assert!(!is_reject(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn reduced_agents_are_known_by_their_class() {
        for text in ["Firefox/128 (Linux; desktop)", "Googlebot/2 (Other; bot)", "Firefox/128+(Linux;+desktop)", "Curl/8%20(Other;%20bot)", "Other", "Other (Other; bot)"] {
            assert!(is_reduced_agent(text.as_bytes()), "{text}");
        }
        for text in ["frank", "Mozilla/5.0 (X11; Linux x86_64)", "(desktop", ""] {
            assert!(!is_reduced_agent(text.as_bytes()), "{text}");
        }
    }
}
