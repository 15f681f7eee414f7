//! Single values by themselves, without a line and without memory: what the tests compare the gate with.

use super::act::AddressAct;
use super::action::{Action, Precision};
use super::agent::Agents;
use super::clean::Reject;
use super::policy::Policy;
use super::pseudonym::{KeySource, Keys, PeriodKey};
use super::residual::{Residual, Rules};
use super::time::{self, Degraded};
use super::token::Tokens;
use super::tools::{Edit, Tools, Value, plain};
use crate::format::{Field, Text, escape};
use jiff::Timestamp;
use std::ops::Range;
use std::sync::Arc;

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Looks {
    /// Addresses.
    pub addresses: bool,
    /// E-mails.
    pub emails: bool,
    /// `Name/1.2.3.4` is a version.
    pub versions: bool,
}

impl Looks {
    const fn rules(self, policy: &Policy) -> Rules<'_> {
        Rules { addresses: self.addresses, emails: self.emails, except: policy.except(), versions: self.versions }
    }
}

/// What the residual scan masks in a value.
pub fn residual(value: &[u8], policy: &Policy, looks: Looks) -> Vec<Range<usize>> {
    let mut hits = Vec::new();
    Residual::default().scan(value, &looks.rules(policy), &mut hits);
    hits
}

/// What `detect` masks in a path.
pub fn tokens(path: &[u8], policy: &Policy, looks: Looks) -> Vec<Range<usize>> {
    let mut hits = Vec::new();
    Tokens::default().detect(path, &looks.rules(policy), &mut hits);
    hits
}

/// What `template` makes of a path.
pub fn template(path: &[u8], policy: &Policy) -> Vec<u8> {
    let mut out = Vec::new();
    Tokens::default().template(path, &Looks { addresses: true, emails: true, versions: false }.rules(policy), &mut out);
    out
}

/// Family, system and device class of a user agent.
pub fn family(agent: &[u8]) -> String {
    let mut out = Vec::new();
    Agents::new().family(agent, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// What the policy's action for a field of addresses makes of a value, under the 32 bytes of a period's key: of one address in any of its spellings, or of
/// each hop of a list. An inner `None` says that it is gone, an outer one that it is neither, or that the action is none of addresses.
pub fn addresses(value: &[u8], field: Field, policy: &Arc<Policy>, key: Option<&[u8; 32]>) -> Option<Option<Vec<u8>>> {
    let act = AddressAct::of(field, policy.action(field), policy)?;
    let key = key.map(|key| Arc::new(PeriodKey::from_bytes(key)));
    let source = KeySource::new(move |_| key.clone());
    let mut tools = Tools::new(Arc::clone(policy), Some(Keys::new(source)), None);
    // Any time will do: there is one key.
    tools.turn(Some(Timestamp::UNIX_EPOCH));
    Some(match tools.changing_address(&act, Value { bytes: value, text: Text::Bare, after: b"", key: b"" })? {
        Edit::Same => Some(value.to_vec()),
        Edit::Piece => Some(tools.piece),
        Edit::Gone | Edit::Masked => None,
    })
}

/// A time of any known shape with the digits below `precision` as zeros; `None` if the value is no time.
pub fn cut_time(value: &[u8], precision: Precision) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match time::cut(value, precision, &mut out) {
        Degraded::Same => Some(value.to_vec()),
        Degraded::Piece => Some(out),
        Degraded::Unknown => None,
    }
}

/// Whether a value is one of numbers, methods, protocols and times, in which no address can hide.
pub fn is_plain(value: &[u8]) -> bool {
    plain::is_plain(value)
}

/// A value with one significant digit in each number; `None` if it is not [plain](is_plain).
pub fn bucket(value: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    plain::bucket(value, &mut out).then_some(out)
}

/// What keeps the place of a line (without its end) that was rejected, where `time` is the policy's action for times.
pub fn rejected(line: &[u8], reason: Reject, time: &Action) -> Vec<u8> {
    let mut out = Vec::new();
    super::reject::line(line, reason, false, time, &mut out);
    out
}

/// A value without its escapes (`\"`, `\xHH`, `\uHHHH`, …), and for each byte of it the offset in `raw` that it came from, with one more for the end.
pub fn unescaped(raw: &[u8]) -> (Vec<u8>, Vec<usize>) {
    let (mut out, mut origin) = (Vec::new(), Vec::new());
    escape::json_with_origin(raw, &mut out, &mut origin);
    (out, origin.into_iter().map(|at| at as usize).collect())
}

/// A value with `%HH` read, and with `+` as a blank where `plus`.
pub fn percent_decoded(value: &[u8], plus: bool) -> Vec<u8> {
    let mut out = Vec::new();
    escape::percent(value, plus, &mut out);
    out
}

/// A text as the inside of a JSON string; what is no UTF-8 becomes U+FFFD.
pub fn json_escaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    escape::to_json(text, &mut out);
    out
}
