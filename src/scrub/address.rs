//! Client addresses in every textual form: one strict reader, and around it what is done with what it reads.

mod hops;
mod nets;
#[cfg(test)]
mod tests;
pub(crate) mod write;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(crate) use hops::list;
pub(crate) use nets::Nets;
pub(crate) use write::write_truncated;

/// What stands in an address slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address as written: an IPv4 address inside it is still inside, see [`embedded_v4`].
    V6(Ipv6Addr),
    /// A host name, or a word that stands for one (`unknown`, `_hidden`).
    Name,
    /// `unix:` or `unix:/path`: a socket of the same machine.
    Unix,
    /// `-` or nothing.
    Absent,
}

/// One address with what may stand around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint<'a> {
    /// The address or name itself.
    pub(crate) host: Host,
    /// Whether it stood in `[` `]`.
    pub(crate) bracketed: bool,
    /// The zone of a link-local address, without the `%`.
    pub(crate) zone: Option<&'a [u8]>,
    /// The port, without the `:`.
    pub(crate) port: Option<&'a [u8]>,
}

impl<'a> Endpoint<'a> {
    /// An address without anything around it.
    pub(crate) const fn bare(host: Host) -> Self {
        Self { host, bracketed: false, zone: None, port: None }
    }

    /// The address to decide about: an IPv4 address inside an IPv6 address is unwrapped.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        match self.host {
            Host::V4(v4) => Some(IpAddr::V4(v4)),
            Host::V6(v6) => Some(embedded_v4(v6).map_or(IpAddr::V6(v6), IpAddr::V4)),
            Host::Name | Host::Unix | Host::Absent => None,
        }
    }
}

/// Reads one address, strictly. `None`: the text is none of the forms, and the caller must reject its line.
///
/// The text is unescaped and unquoted. Accepted are IPv4 (zero-padded octets are decimal), IPv6 in every spelling, both
/// with a port, brackets and zones, host names, `unix:` sockets, `-` and nothing.
#[inline]
pub(crate) fn parse(text: &[u8]) -> Option<Endpoint<'_>> {
    if let Some(v4) = short_v4(text) {
        return Some(Endpoint::bare(Host::V4(Ipv4Addr::from_bits(v4))));
    }
    parse_any(text)
}

fn parse_any(text: &[u8]) -> Option<Endpoint<'_>> {
    match text {
        [] | [b'-'] => return Some(Endpoint::bare(Host::Absent)),
        [b'[', inside @ ..] => return bracketed(inside),
        _ if text.starts_with(b"unix:") => return Some(Endpoint::bare(Host::Unix)),
        _ => {}
    }
    if let Some((v4, used)) = v4_prefix(text)
        && let Some(port) = port_or_end(text.get(used..)?)
    {
        return Some(Endpoint { port, ..Endpoint::bare(Host::V4(Ipv4Addr::from_bits(v4))) });
    }
    if let Some((v6, used)) = v6_prefix(text) {
        let (zone, rest) = zone_prefix(text.get(used..)?);
        if let Some(port) = port_or_end(rest) {
            return Some(Endpoint { zone, port, ..Endpoint::bare(Host::V6(v6)) });
        }
    }
    name(text)
}

/// `v6]`, `v6%zone]`, `v6]:port`; some products put IPv4 in brackets as well.
fn bracketed(inside: &[u8]) -> Option<Endpoint<'_>> {
    let (host, used) = match v6_prefix(inside) {
        Some((v6, used)) => (Host::V6(v6), used),
        None => v4_prefix(inside).map(|(v4, used)| (Host::V4(Ipv4Addr::from_bits(v4)), used))?,
    };
    let (zone, rest) = zone_prefix(inside.get(used..)?);
    let port = port_or_end(rest.strip_prefix(b"]")?)?;
    Some(Endpoint { host, bracketed: true, zone, port })
}

/// RFC 6874 says `%25zone`, everybody else `%zone`; the difference does not matter, as no zone is ever written.
fn zone_prefix(text: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let Some(rest) = text.strip_prefix(b"%") else { return (None, text) };
    let end = rest.iter().position(|&b| !is_name(b) && b != b'~').unwrap_or(rest.len());
    match rest.split_at_checked(end) {
        Some((zone, rest)) if !zone.is_empty() => (Some(zone), rest),
        _ => (None, text),
    }
}

/// The outer `None` means that neither a port nor the end follows.
#[expect(clippy::option_option, reason = "an absent port and a malformed one are different answers")]
fn port_or_end(text: &[u8]) -> Option<Option<&[u8]>> {
    match text {
        [] => Some(None),
        [b':', port @ ..] if is_port(port) => Some(Some(port)),
        _ => None,
    }
}

fn is_port(text: &[u8]) -> bool {
    matches!(text.len(), 1..=5) && text.iter().all(u8::is_ascii_digit) && text.iter().fold(0, |value, &b| value * 10 + u32::from(b & 15)) <= 65_535
}

/// RFC 1035 allows 255 bytes; underscores are not host names but stand in logs.
fn name(text: &[u8]) -> Option<Endpoint<'_>> {
    let end = text.iter().position(|&b| !is_name(b)).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    let plausible = name.len() <= 255 && name.iter().any(u8::is_ascii_alphanumeric);
    let port = port_or_end(rest)?;
    plausible.then_some(Endpoint { port, ..Endpoint::bare(Host::Name) })
}

pub(in crate::scrub) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}

/// `$binary_remote_addr` and the like: 4 or 16 bytes, already unescaped.
pub(crate) fn parse_binary(unescaped: &[u8]) -> Option<Endpoint<'static>> {
    if let Ok(v4) = <[u8; 4]>::try_from(unescaped) {
        return Some(Endpoint::bare(Host::V4(Ipv4Addr::from(v4))));
    }
    <[u8; 16]>::try_from(unescaped).ok().map(|v6| Endpoint::bare(Host::V6(Ipv6Addr::from(v6))))
}

/// A whole dotted quad of eight bytes or more without a branch per byte: the dots are found as bits of a word.
///
/// Most address slots hold nothing else, and where their dots are cannot be predicted.
#[inline]
pub(super) fn short_v4(text: &[u8]) -> Option<u32> {
    let len = text.len();
    if !(8..=15).contains(&len) {
        return None;
    }
    let low = u64::from_le_bytes(*text.first_chunk()?);
    let high = u64::from_le_bytes(*text.last_chunk()?) >> 8 >> (8 * (15 - len));
    let mut breaks = breaks(low) | breaks(high) << 8;
    let ends = [(); 4].map(|()| {
        let end = breaks.trailing_zeros() as usize;
        breaks &= breaks.wrapping_sub(1);
        end
    });
    let [first, second, third, end] = ends;
    let counts = [first, second.wrapping_sub(first + 1), third.wrapping_sub(second + 1), end.wrapping_sub(third + 1)];
    let dotted = [first, second, third].iter().all(|&at| text.get(at) == Some(&b'.'));
    if end != len || !dotted || counts.iter().any(|&count| !(1..=3).contains(&count)) {
        return None;
    }
    // Four bytes each: from the start of the first two numbers, up to the end of the last two, as there are that many.
    let head = |at: usize| text.get(at..)?.first_chunk().map(|&bytes| u32::from_le_bytes(bytes));
    let tail = |at: usize| text.get(..at)?.last_chunk().map(|&bytes| u32::from_le_bytes(bytes) >> 8);
    let [a, b, c, d] = counts;
    let octets = [
        octet(head(0)? << (8 * (3 - a))),
        octet(head(first + 1)? << (8 * (3 - b))),
        octet(tail(third)? >> (8 * (3 - c)) << (8 * (3 - c))),
        octet(tail(end)? >> (8 * (3 - d)) << (8 * (3 - d))),
    ];
    let [a, b, c, d] = octets;
    ((a | b | c | d) <= 255).then_some(a << 24 | b << 16 | c << 8 | d)
}

/// The value of right-aligned digits: hundreds in the lowest byte, then tens, then ones.
#[inline]
fn octet(digits: u32) -> u32 {
    (digits & 15) * 100 + (digits >> 8 & 15) * 10 + (digits >> 16 & 15)
}

/// One bit for each byte that is no digit.
#[inline]
fn breaks(word: u64) -> u32 {
    const LOW: u64 = 0x0101_0101_0101_0101;
    let digits = word ^ (LOW * 0x30);
    let high = (((digits & (LOW * 0x7f)) + LOW * 0x76) | digits) & (LOW * 0x80);
    // Gathers the high bits of the eight bytes in the highest byte.
    ((high >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
}

/// A dotted quad at the start of the text, and its length; octets of one to three digits are decimal.
pub(in crate::scrub) fn v4_prefix(text: &[u8]) -> Option<(u32, usize)> {
    let (mut address, mut part, mut digits, mut dots, mut used) = (0u32, 0u32, 0, 0, 0);
    for &byte in text {
        let digit = u32::from(byte.wrapping_sub(b'0'));
        if digit < 10 && digits < 3 {
            part = part * 10 + digit;
            digits += 1;
        } else if byte == b'.' && digits > 0 && dots < 3 {
            if part > 255 {
                return None;
            }
            address = address << 8 | part;
            (part, digits) = (0, 0);
            dots += 1;
        } else if digit < 10 {
            return None;
        } else {
            break;
        }
        used += 1;
    }
    (dots == 3 && digits > 0 && part <= 255).then_some((address << 8 | part, used))
}

/// An IPv6 address at the start of the text, and its length (RFC 4291 section 2.2).
///
/// It ends where an address must end: after eight groups, or before a fifth digit, so that `v6:port` without brackets
/// leaves `:port`.
pub(in crate::scrub) fn v6_prefix(text: &[u8]) -> Option<(Ipv6Addr, usize)> {
    let mut groups = [0u16; 8];
    let (mut count, mut at) = (0, 0);
    let mut gap = None;
    if text.starts_with(b"::") {
        (gap, at) = (Some(0), 2);
    }
    loop {
        // A gap may also stand behind eight groups, where there is no room for it.
        let room = if gap.is_some() { 7_usize } else { 8 }.saturating_sub(count);
        let (mut group, mut digits) = (0, 0);
        while digits < 5
            && let Some(&byte) = text.get(at + digits)
            && let Some(value) = hex_value(byte)
        {
            group = group << 4 | value;
            digits += 1;
        }
        if digits == 0 || room == 0 {
            break;
        }
        if room >= 2
            && text.get(at + digits) == Some(&b'.')
            && let Some((v4, used)) = v4_prefix(text.get(at..)?)
        {
            *groups.get_mut(count)? = (v4 >> 16) as u16;
            *groups.get_mut(count + 1)? = v4 as u16;
            (count, at) = (count + 2, at + used);
            break;
        }
        if digits > 4 {
            // Five digits can only be a port; the colon before it is not the address's.
            at = if gap == Some(count) { return None } else { at.checked_sub(1)? };
            break;
        }
        *groups.get_mut(count)? = group;
        (count, at) = (count + 1, at + digits);
        match text.get(at..) {
            Some([b':', b':', ..]) if gap.is_none() => (gap, at) = (Some(count), at + 2),
            Some([b':', next, ..]) if next.is_ascii_hexdigit() && room > 1 => at += 1,
            _ => break,
        }
    }
    let head = match gap {
        Some(gap) if count <= 7 => gap,
        None if count == 8 => 8,
        _ => return None,
    };
    let mut all = [0u16; 8];
    let tail = count.checked_sub(head)?;
    all.get_mut(..head)?.copy_from_slice(groups.get(..head)?);
    all.get_mut(8 - tail..)?.copy_from_slice(groups.get(head..count)?);
    Some((Ipv6Addr::from(all), at))
}

#[inline]
fn hex_value(byte: u8) -> Option<u16> {
    #[expect(clippy::indexing_slicing, reason = "evaluated at compile time, where a panic is a failed build")]
    static VALUES: [u8; 256] = {
        let mut values = [0xff; 256];
        let mut n = 0;
        while n < 16 {
            values[b"0123456789abcdef"[n] as usize] = n as u8;
            values[b"0123456789ABCDEF"[n] as usize] = n as u8;
            n += 1;
        }
        values
    };
    VALUES.get(usize::from(byte)).filter(|&&value| value < 16).map(|&value| u16::from(value))
}

/// The IPv4 address inside an IPv6 address: mapped and translated (RFC 4291, 2765), compatible, NAT64 (RFC 6052), 6to4
/// (RFC 3056), Teredo (RFC 4380, the client's).
pub(crate) fn embedded_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = v6.to_bits();
    let low = bits as u32;
    let v4 = match bits >> 32 {
        0xffff | 0xffff_0000 | 0x0064_ff9b_0000_0000_0000_0000 => low,
        // `::`, `::1` and other small numbers are not meant as IPv4.
        0 if low > 0xffff => low,
        _ if bits >> 112 == 0x2002 => (bits >> 80) as u32,
        _ if bits >> 96 == 0x2001_0000 => !low,
        _ => return None,
    };
    Some(Ipv4Addr::from_bits(v4))
}
