//! Networks of addresses, and the text of both.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::{Endpoint, Host, embedded_v4};

/// Writes the network address in the layout of the input: brackets stay, zone and port go.
///
/// An embedded IPv4 address is cut with `v4_bits` and written as plain IPv4, without brackets. A host name is an
/// identifier and becomes `-`; of a socket path only `unix:` is left.
#[inline]
pub(crate) fn write_truncated(endpoint: &Endpoint<'_>, v4_bits: u8, v6_bits: u8, out: &mut Vec<u8>) {
    match endpoint.host {
        Host::V4(v4) if endpoint.bracketed => {
            out.push(b'[');
            write_v4(cut_v4(v4, v4_bits), out);
            out.push(b']');
        }
        Host::V4(v4) => write_v4(cut_v4(v4, v4_bits), out),
        Host::V6(v6) => {
            if let Some(v4) = embedded_v4(v6) {
                return write_v4(cut_v4(v4, v4_bits), out);
            }
            let network = cut_v6(v6, v6_bits);
            if endpoint.bracketed {
                out.push(b'[');
                write_v6(network, out);
                out.push(b']');
            } else {
                write_v6(network, out);
            }
        }
        Host::Unix => out.extend_from_slice(b"unix:"),
        Host::Name | Host::Absent => out.push(b'-'),
    }
}

/// The network of an address; more than 32 bits leave it whole.
pub(crate) fn cut_v4(v4: Ipv4Addr, bits: u8) -> Ipv4Addr {
    let dropped = 32 - u32::from(bits.min(32));
    Ipv4Addr::from_bits(v4.to_bits() & u32::MAX.checked_shl(dropped).unwrap_or(0))
}

/// The network of an address; more than 128 bits leave it whole.
pub(crate) fn cut_v6(v6: Ipv6Addr, bits: u8) -> Ipv6Addr {
    let dropped = 128 - u32::from(bits.min(128));
    Ipv6Addr::from_bits(v6.to_bits() & u128::MAX.checked_shl(dropped).unwrap_or(0))
}

/// The text of every octet with the dot behind it, and the length of that.
#[expect(clippy::indexing_slicing, reason = "evaluated at compile time, where a panic is a failed build")]
static OCTETS: [([u8; 4], u8); 256] = {
    let mut table = [([b'.'; 4], 0); 256];
    let mut n = 0;
    while n < 256 {
        let (h, t, u) = (b'0' + (n / 100) as u8, b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8);
        table[n] = match n {
            0..10 => ([u, b'.', b'.', b'.'], 2),
            10..100 => ([t, u, b'.', b'.'], 3),
            _ => ([h, t, u, b'.'], 4),
        };
        n += 1;
    }
    table
};

/// Writes a dotted quad.
#[inline]
pub(crate) fn write_v4(v4: Ipv4Addr, out: &mut Vec<u8>) {
    let mut text = [0u8; 16];
    let mut len = 0usize;
    for octet in v4.octets() {
        // Four bytes every time; the dots behind a short octet are overwritten by the next one.
        let (digits, used) = OCTETS.get(usize::from(octet)).copied().unwrap_or_default();
        if let Some(to) = text.get_mut(len..).and_then(|to| to.first_chunk_mut()) {
            *to = digits;
        }
        len += usize::from(used);
    }
    // A copy of constant length is cheaper than one of the exact length.
    let end = out.len() + len - 1;
    out.extend_from_slice(&text);
    out.truncate(end);
}

/// Writes the canonical text of RFC 5952.
pub(crate) fn write_v6(v6: Ipv6Addr, out: &mut Vec<u8>) {
    let groups = v6.segments();
    let gap = longest_zeros(groups);
    for (index, &group) in groups.iter().enumerate() {
        if gap.contains(&index) {
            if index == gap.start {
                out.extend_from_slice(b"::");
            }
            continue;
        }
        if index > 0 && index != gap.end {
            out.push(b':');
        }
        write_hex(group, out);
    }
}

fn write_hex(group: u16, out: &mut Vec<u8>) {
    let skip = (group | 1).leading_zeros() / 4;
    for nibble in (0..4 - skip).rev() {
        let value = (group >> (4 * nibble) & 15) as u8;
        out.push(if value < 10 { b'0' + value } else { b'a' + value - 10 });
    }
}

/// The first longest run of at least two zero groups, which `::` stands for; an empty range behind the end if none.
fn longest_zeros(groups: [u16; 8]) -> Range<usize> {
    let (mut best, mut start) = (9..9, 0);
    for (index, &group) in groups.iter().enumerate() {
        if group != 0 {
            start = index + 1;
        } else if index + 1 - start >= 2 && index + 1 - start > best.len() {
            best = start..index + 1;
        }
    }
    best
}
