//! What a policy leaves where it is; without a policy, what the built-in ones that hide people leave.

use super::address::Addr;
use crate::format::{Field, Slot};
use crate::scrub::{Action, Policy, Simple};
use ipnet::IpNet;
use std::sync::Arc;

/// Headers whose value is an identifier or a secret whatever else a policy keeps.
const SECRET_HEADERS: [&str; 8] = ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token", "x-csrf-token", "x-amz-security-token"];

/// Whose names of parameters, cookies and headers count where no policy is given.
const ASSUMED: &str = "analytics";

/// What may stay.
pub(super) struct Rules {
    policy: Option<Arc<Policy>>,
    assumed: Option<Policy>,
    except: Vec<IpNet>,
}

impl Rules {
    pub(super) fn new(policy: Option<Arc<Policy>>, except: &[IpNet]) -> Self {
        Self { policy, assumed: Policy::built_in(ASSUMED), except: except.to_vec() }
    }

    /// Whether an address lies in an excepted network.
    pub(super) fn excepts(&self, addr: Addr) -> bool {
        let own = self.except.iter().any(|net| net.contains(&addr.ip()));
        own || self.policy.as_ref().is_some_and(|policy| policy.except().contains(addr.ip()))
    }

    /// Whether the given policy keeps the field as it is.
    pub(super) fn keeps(&self, field: Field) -> bool {
        self.policy.as_ref().is_some_and(|policy| *policy.action(field) == Action::Keep)
    }

    /// Whether the value of a name may stay.
    pub(super) fn keeps_name(&self, field: Field, name: &[u8]) -> bool {
        let Some(policy) = self.policy.as_deref().or(self.assumed.as_ref()) else { return false };
        let action = policy.action(field);
        if let Action::Named(names) = action { names.decide(name) == Simple::Keep } else { *action == Action::Keep }
    }

    /// Whether the given policy drops the values of a slot.
    pub(super) fn drops(&self, slot: &Slot) -> bool {
        let Some(policy) = &self.policy else { return false };
        // What could not be taken apart is decided as a path; policies have no action for it as a whole.
        let field = if matches!(slot.field, Field::Request | Field::Url) { Field::Path } else { slot.field };
        let action = policy.action(field);
        let Action::Named(names) = action else { return *action == Action::Drop };
        // Without a name of its own, a slot holds several values, each of which is decided for itself.
        !slot.name.is_empty() && !slot.name.ends_with('*') && names.decide(slot.name.as_bytes()) == Simple::Drop
    }

    /// How many bits of an address the given policy leaves, if it cuts them.
    pub(super) fn bits(&self, field: Field, four: bool) -> Option<u32> {
        let action = self.policy.as_ref()?.action(field);
        if let Action::Truncate { v4, v6 } = action {
            return Some(u32::from(if four { *v4 } else { *v6 }));
        }
        let all = if four { 32 } else { 128 };
        [(Action::BlackMarker, 0), (Action::Keep, all)].into_iter().find_map(|(known, bits)| (*action == known).then_some(bits))
    }

    /// Whether an address may have become any other one; `None` if no policy says.
    pub(super) fn encrypts(&self, field: Field) -> Option<bool> {
        self.policy.as_ref().map(|policy| *policy.action(field) == Action::EncryptPrefix)
    }

    /// Whether cutting leaves the whole address as it is: nothing but zeros behind its network.
    pub(super) fn leaves(&self, addr: Addr) -> bool {
        let (bits, width) = addr.bits();
        let kept = self.bits(Field::ClientAddr, width == 32).filter(|bits| *bits > 0).unwrap_or(if width == 32 { 24 } else { 64 });
        bits.trailing_zeros() >= width - kept.min(width)
    }

    /// Whether a header's value is an identifier.
    pub(super) fn is_secret(name: &str) -> bool {
        SECRET_HEADERS.iter().any(|secret| secret.eq_ignore_ascii_case(name))
    }
}
