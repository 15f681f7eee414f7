//! Card and phone numbers among groups of digits.

use std::ops::Range;

/// The fewest digits of a card number.
const SHORTEST_CARD: usize = 13;

/// Appends the ranges of card and phone numbers in a text with that many digits.
pub(super) fn scan(text: &[u8], digits: usize, found: &mut Vec<Range<usize>>) {
    let (mut at, mut done) = (0, 0);
    while let Some(skip) = text.get(at..).and_then(|rest| rest.iter().position(u8::is_ascii_digit)) {
        at += skip;
        if at >= done
            && let Some(hit) = (digits >= SHORTEST_CARD).then(|| card(text, at)).flatten().or_else(|| phone(text, at))
        {
            done = hit.end;
            found.push(hit);
        }
        let rest = text.get(at..).unwrap_or_default();
        at += rest.iter().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len());
    }
}

fn byte(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(0)
}

fn before(text: &[u8], at: usize) -> u8 {
    byte(text, at.wrapping_sub(1))
}

/// 13 to 19 digits from a group of digits on, with single spaces or dashes between groups, of an issuer's range and with
/// a right check digit (ISO/IEC 7812-1).
fn card(text: &[u8], start: usize) -> Option<Range<usize>> {
    let mut digits = [0u8; 19];
    let (mut count, mut at) = (0, start);
    let mut longest = None;
    loop {
        let next = byte(text, at);
        if next.is_ascii_digit() {
            let Some(digit) = digits.get_mut(count) else { return longest };
            *digit = next - b'0';
            count += 1;
            at += 1;
            if byte(text, at).is_ascii_digit() {
                continue;
            }
            // The end of a group.
            if is_card(digits.get(..count)?) {
                longest = Some(start..at);
            }
            if count == digits.len() {
                return longest;
            }
        } else if matches!(next, b' ' | b'-' | b'+') && byte(text, at + 1).is_ascii_digit() {
            at += 1;
        } else {
            return longest;
        }
    }
}

fn is_card(digits: &[u8]) -> bool {
    let issued = matches!(
        (digits.len(), digits),
        (13 | 19, [4, ..]) | (14, [3, 0 | 6 | 8 | 9, ..]) | (15, [3, 4 | 7, ..]) | (16, [3, 5, ..] | [2 | 4 | 5 | 6, ..]) | (17..=19, [5 | 6, ..])
    );
    issued && luhn(digits)
}

fn luhn(digits: &[u8]) -> bool {
    let doubled = |digit: u8| u32::from(if digit > 4 { digit * 2 - 9 } else { digit * 2 });
    let weigh = |(index, &digit): (usize, &u8)| if index % 2 == 1 { doubled(digit) } else { u32::from(digit) };
    digits.iter().rev().enumerate().map(weigh).sum::<u32>().is_multiple_of(10)
}

/// Groups of digits as people write phone numbers.
#[derive(Default)]
struct Groups {
    end: usize,
    digits: usize,
    count: usize,
    /// The lengths of the first groups.
    lengths: [usize; 4],
}

/// `+46…`, `0046…`, `tel:…`, `(555) 123-4567`, `070-123 45 67`, `555-123-4567`. Digits alone are no phone number.
fn phone(text: &[u8], start: usize) -> Option<Range<usize>> {
    let previous = before(text, start);
    let opened = previous == b'(';
    // What a phone number starts with, except for an American one, whose second group follows.
    let grouped = || matches!(byte(text, start + 3), b'-' | b' ' | b'.');
    if !matches!(previous, b'+' | b':' | b'(') && byte(text, start) != b'0' && !grouped() {
        return None;
    }
    let from = if opened { start - 1 } else { start };
    let groups = groups(text, start);
    let head = text.get(..from)?;
    if head.last() == Some(&b'+') {
        return (groups.digits >= 8).then_some(from - 1..groups.end);
    }
    let dialled = head
        .len()
        .checked_sub(4)
        .and_then(|at| head.get(at..))
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"tel:") || scheme.eq_ignore_ascii_case(b"sms:") || scheme.eq_ignore_ascii_case(b"fax:"));
    if dialled {
        return (groups.digits >= 7).then_some(from..groups.end);
    }
    // Inside of a longer row of numbers it is a date or the like.
    let row = matches!(before(text, from), b'-' | b'.' | b' ' | b'_') && before(text, from.wrapping_sub(1)).is_ascii_digit();
    if row || before(text, from).is_ascii_alphanumeric() || groups.digits > 17 {
        return None;
    }
    let [first, second, third, _] = groups.lengths;
    let exit_code = byte(text, start) == b'0' && byte(text, start + 1) == b'0' && (b'1'..=b'9').contains(&byte(text, start + 2));
    let area = opened && groups.count >= 2 && (2..=5).contains(&first) && byte(text, start + first) == b')';
    let trunk = byte(text, start) == b'0' && byte(text, start + 1) != b'0' && groups.count >= 2;
    let american = groups.count == 3 && [first, second, third] == [3, 3, 4];
    let subscriber = |at: usize| (b'2'..=b'9').contains(&byte(text, at));
    let is_phone = exit_code && groups.digits >= 11
        || area && (8..=15).contains(&groups.digits)
        || trunk && (9..=12).contains(&groups.digits) && (2..=5).contains(&first) && ![first, second, third].eq(&[2, 2, 4])
        || american && subscriber(start) && subscriber(start + 4);
    is_phone.then_some(from..groups.end)
}

fn groups(text: &[u8], start: usize) -> Groups {
    let mut groups = Groups { end: start, ..Groups::default() };
    let mut at = start;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let len = rest.iter().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len());
        if let Some(length) = groups.lengths.get_mut(groups.count) {
            *length = len;
        }
        groups.count += 1;
        groups.digits += len;
        groups.end = at + len;
        let gap = rest.get(len..).unwrap_or_default().iter().position(|b| !matches!(b, b' ' | b'-' | b'.' | b'(' | b')'));
        match gap {
            Some(gap @ 1..=2) if byte(text, groups.end + gap).is_ascii_digit() && groups.digits <= 17 => at = groups.end + gap,
            _ => return groups,
        }
    }
}
