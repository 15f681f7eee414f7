//! An action compiled for one slot.

use super::action::{Action, Names, Precision, Simple};
use super::policy::Policy;
use crate::format::{Field, Format, Slot};
use std::sync::Arc;

/// What a slot's values get.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Stays without a look: its kind was checked by the splitter, or the policy keeps what the scan would mask.
    Keep,
    /// A number stays; what is none goes.
    Number,
    /// A known method stays; what a client made up goes.
    Method,
    /// A known protocol stays.
    Protocol,
    /// A time stays; what has another look goes through the scan.
    Word,
    /// A host name stays but for what the scan finds; with user information it goes.
    Host,
    /// One significant digit.
    Bucket,
    /// Free text: stays but for what the scan finds.
    Scan,
    Drop,
    /// One address; where it is none, the line is rejected.
    Address(AddressAct),
    /// Addresses that somebody reported; where they are none, the value goes.
    Addresses(AddressAct),
    Time(Precision),
    Detect,
    Template,
    Query(Arc<Names>),
    Cookies(Arc<Names>),
    /// The name is the object key in front of the value, without this many bytes of prefix.
    ByKey(Arc<Names>, usize),
    NoQuery,
    PathOnly,
    Origin,
    Site,
    Family,
    /// A user agent as it is: product versions are no addresses.
    Agent,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum AddressAct {
    BlackMarker,
    Truncate(u8, u8),
}

impl Act {
    /// The act of a slot under a policy.
    pub(crate) fn compile(slot: &Slot, policy: &Policy, format: &Format) -> Self {
        // A request line that is none, and a URL, go the way of their path.
        let field = if slot.field.is_composite() { Field::Path } else { slot.field };
        let action = policy.action(field);
        let simple = |simple: Simple| if simple == Simple::Keep { Self::Scan } else { Self::Drop };
        match (field, action) {
            (_, Action::Drop | Action::Hash | Action::EncryptPrefix | Action::Asn | Action::Country) => Self::Drop,
            (Field::ClientAddr | Field::ProxiedAddr, Action::Keep) => Self::Keep,
            (Field::ClientAddr, Action::Truncate { v4, v6 }) => Self::Address(AddressAct::Truncate(*v4, *v6)),
            (_, Action::Truncate { v4, v6 }) => Self::Addresses(AddressAct::Truncate(*v4, *v6)),
            (Field::ClientAddr, Action::BlackMarker) => Self::Address(AddressAct::BlackMarker),
            (_, Action::BlackMarker) => Self::Addresses(AddressAct::BlackMarker),
            (field, Action::Keep) if format.checks(field) => Self::Keep,
            (Field::Status | Field::Bytes | Field::Duration | Field::ClientPort, Action::Keep) => Self::Number,
            (Field::Method, Action::Keep) => Self::Method,
            (Field::Protocol, Action::Keep) => Self::Protocol,
            (Field::Time, Action::Keep) => Self::Word,
            (Field::Host, Action::Keep) => Self::Host,
            (Field::UserAgent, Action::Keep) => Self::Agent,
            (_, Action::Keep) => Self::Scan,
            (_, Action::Bucket) => Self::Bucket,
            (_, Action::Precision(precision)) => Self::Time(*precision),
            (_, Action::Detect) if slot.field.is_composite() => Self::Drop,
            (_, Action::Template) if slot.field.is_composite() => Self::Drop,
            (_, Action::Detect) => Self::Detect,
            (_, Action::Template) => Self::Template,
            (_, Action::NoQuery) => Self::NoQuery,
            (_, Action::PathOnly) => Self::PathOnly,
            (_, Action::Origin) => Self::Origin,
            (_, Action::Site) => Self::Site,
            (_, Action::Family) => Self::Family,
            (Field::Header, Action::Named(names)) => match slot.name.strip_suffix('*') {
                Some(start) => Self::ByKey(Arc::new(names.clone()), start.len()),
                None => simple(names.decide(slot.name.as_bytes())),
            },
            (Field::Cookie, Action::Named(names)) if slot.name.is_empty() => Self::Cookies(Arc::new(names.clone())),
            (Field::Query, Action::Named(names)) if slot.name.is_empty() => Self::Query(Arc::new(names.clone())),
            (_, Action::Named(names)) => simple(names.decide(slot.name.as_bytes())),
        }
    }
}

impl Act {
    /// Whether an object goes as a whole where one value was expected: nobody decided about its members.
    pub(crate) const fn drops_objects(&self) -> bool {
        !matches!(self, Self::Scan | Self::Keep)
    }
}
