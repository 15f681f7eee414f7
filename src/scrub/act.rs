//! An action compiled for one slot.

use super::action::{Action, Form, Names, Precision, Simple};
use super::policy::Policy;
use crate::format::{Field, Format, Slot, is_envelope};
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
    /// A request or URL that nobody could take apart: what stands in front of a query stays but for what the scan finds.
    Torn,
    Drop,
    /// A pseudonym takes its place.
    Hash(Arc<Hashed>),
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

#[derive(Clone, Debug)]
pub(crate) enum AddressAct {
    BlackMarker,
    Truncate(u8, u8),
    /// With what keeps its pseudonyms apart from those of other fields.
    Hash(Form, Arc<str>),
    EncryptPrefix,
    Country,
    Asn,
}

impl AddressAct {
    /// What becomes of addresses of a field; `None` if the action is none of addresses.
    pub(crate) fn of(field: Field, action: &Action, policy: &Policy) -> Option<Self> {
        match action {
            Action::Truncate { v4, v6 } => Some(Self::Truncate(*v4, *v6)),
            Action::BlackMarker => Some(Self::BlackMarker),
            Action::Hash(form) => Some(Self::Hash(*form, policy.domain(field).into())),
            Action::EncryptPrefix => Some(Self::EncryptPrefix),
            Action::Country => Some(Self::Country),
            Action::Asn => Some(Self::Asn),
            Action::Keep | Action::Drop | Action::Bucket | Action::Add | Action::Precision(_) | Action::Detect | Action::Template => None,
            Action::NoQuery | Action::PathOnly | Action::Origin | Action::Site | Action::Family | Action::Named(_) => None,
        }
    }

    pub(crate) const fn is_keyed(&self) -> bool {
        matches!(self, Self::Hash(..) | Self::EncryptPrefix)
    }

    /// Whether the same address may become something else later, so that nothing of it may be remembered.
    pub(crate) const fn changes(&self) -> bool {
        matches!(self, Self::Hash(..) | Self::EncryptPrefix | Self::Country | Self::Asn)
    }
}

/// How values of a slot are hashed.
#[derive(Debug)]
pub(crate) struct Hashed {
    /// What keeps pseudonyms of this field apart from those of others.
    pub domain: Box<str>,
    /// Whether values are percent-encoded, as parameters of a query are.
    pub percent: bool,
}

impl Act {
    /// The act of a slot under a policy.
    pub(crate) fn compile(slot: &Slot, policy: &Policy, format: &Format) -> Self {
        // A request line that is none, and a URL, go the way of their path.
        let field = if slot.field.is_composite() { Field::Path } else { slot.field };
        let action = policy.action(field);
        let hashed = |domain: &str| Self::Hash(Arc::new(Hashed { domain: domain.into(), percent: field == Field::Query }));
        let by_name = |names: &Names| match names.decide(slot.name.as_bytes()) {
            Simple::Keep => Self::Scan,
            Simple::Drop => Self::Drop,
            Simple::Hash => hashed(&names.domain_of(field, slot.name.as_bytes())),
        };
        if matches!(field, Field::ClientAddr | Field::ProxiedAddr)
            && let Some(act) = AddressAct::of(field, action, policy)
        {
            return if field == Field::ClientAddr { Self::Address(act) } else { Self::Addresses(act) };
        }
        match (field, action) {
            (_, Action::Hash(_)) if !slot.field.is_composite() => hashed(policy.domain(field)),
            // Addresses are done with; no other field has these.
            (_, Action::Truncate { .. } | Action::BlackMarker | Action::EncryptPrefix | Action::Asn | Action::Country) => Self::Drop,
            (_, Action::Drop | Action::Hash(_)) => Self::Drop,
            (Field::ClientAddr | Field::ProxiedAddr, Action::Keep) => Self::Keep,
            // What a carrier says itself was not split by the format.
            (field, Action::Keep) if format.checks(field) && !is_envelope(slot) => Self::Keep,
            (Field::Status | Field::Bytes | Field::Duration | Field::ClientPort, Action::Keep) => Self::Number,
            (Field::Method, Action::Keep) => Self::Method,
            (Field::Protocol, Action::Keep) => Self::Protocol,
            (Field::Time, Action::Keep) => Self::Word,
            (Field::Host, Action::Keep) => Self::Host,
            (Field::UserAgent, Action::Keep) => Self::Agent,
            (_, Action::Keep) if slot.field.is_composite() && *policy.action(Field::Query) != Action::Keep => Self::Torn,
            (_, Action::Keep | Action::Add) => Self::Scan,
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
                None => by_name(names),
            },
            (Field::Cookie, Action::Named(names)) if slot.name.is_empty() => Self::Cookies(Arc::new(names.clone())),
            (Field::Query, Action::Named(names)) if slot.name.is_empty() => Self::Query(Arc::new(names.clone())),
            (_, Action::Named(names)) => by_name(names),
        }
    }
}

impl Act {
    /// Whether it needs the key of the record's period.
    pub(crate) fn is_keyed(&self) -> bool {
        match self {
            Self::Hash(_) => true,
            Self::Address(act) | Self::Addresses(act) => act.is_keyed(),
            Self::Query(names) | Self::Cookies(names) | Self::ByKey(names, _) => names.is_keyed(),
            Self::Keep | Self::Number | Self::Method | Self::Protocol | Self::Word | Self::Host | Self::Bucket | Self::Scan | Self::Torn | Self::Drop | Self::Time(_) => false,
            Self::Detect | Self::Template | Self::NoQuery | Self::PathOnly | Self::Origin | Self::Site | Self::Family | Self::Agent => false,
        }
    }

    /// Whether an object goes as a whole where one value was expected: nobody decided about its members.
    pub(crate) const fn drops_objects(&self) -> bool {
        !matches!(self, Self::Scan | Self::Torn | Self::Keep)
    }
}
