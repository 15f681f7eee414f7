//! The networks that are left alone.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::embedded_v4;

/// The networks of `except`: addresses in them are left alone.
///
/// Linear search over masks: a policy names a handful of own networks, and then this beats any tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct Nets {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Nets {
    /// Compiles the networks; one inside `::ffff:0:0/96` means IPv4.
    pub(crate) fn new(nets: &[IpNet]) -> Self {
        let mut compiled = Self::default();
        for net in nets {
            match net.trunc() {
                IpNet::V4(net) => compiled.v4.push((net.network().to_bits(), net.netmask().to_bits())),
                IpNet::V6(net) => match net.network().to_ipv4_mapped() {
                    Some(v4) if net.prefix_len() >= 96 => compiled.v4.push((v4.to_bits(), net.netmask().to_bits() as u32)),
                    _ => compiled.v6.push((net.network().to_bits(), net.netmask().to_bits())),
                },
            }
        }
        compiled
    }

    /// Whether no network is excepted.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether an address is excepted; an embedded IPv4 address counts as IPv4.
    #[inline]
    pub(crate) fn contains(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(v4) => self.contains_v4(v4),
            IpAddr::V6(v6) => {
                let bits = v6.to_bits();
                self.v6.iter().any(|&(net, mask)| bits & mask == net) || !self.v4.is_empty() && embedded_v4(v6).is_some_and(|v4| self.contains_v4(v4))
            }
        }
    }

    fn contains_v4(&self, v4: Ipv4Addr) -> bool {
        let bits = v4.to_bits();
        self.v4.iter().any(|&(net, mask)| bits & mask == net)
    }
}
