//! Single values by themselves, without a line and without memory: what the tests compare the gate with.

use super::agent::Agents;
use super::policy::Policy;
use super::residual::{Residual, Rules};
use super::token::Tokens;
use std::ops::Range;

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
