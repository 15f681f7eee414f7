//! An independent reader of IP addresses: finds them in text, in the spellings of logs, names and escapes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub address: IpAddr,
    pub start: usize,
    pub end: usize,
}

/// What an address is about: an IPv4 address inside IPv6 counts as that IPv4 address.
pub fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    let [a, b, c, d, e, f, g, h] = six.segments();
    let four = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => four(g, h),
        [0x2002, high, low, ..] => four(high, low),
        [0x2001, 0, ..] => four(!g, !h),
        _ => address,
    }
}

/// The address with all bits after the prefix cleared.
pub fn truncated(address: IpAddr, four_bits: u32, six_bits: u32) -> IpAddr {
    match address {
        IpAddr::V4(four) => {
            let mask = u32::MAX.checked_shl(32 - four_bits).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from(u32::from(four) & mask))
        }
        IpAddr::V6(six) => {
            let mask = u128::MAX.checked_shl(128 - six_bits).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(six) & mask))
        }
    }
}

/// Undoes `%HH`, `\xHH`, `\u00HH`, `\/` and `\"`, again and again, up to three times.
pub fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut now = text.to_vec();
    for _ in 0..3 {
        let next = unescaped_once(&now);
        if next == now {
            break;
        }
        now = next;
    }
    now
}

fn unescaped_once(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let rest = &text[at..];
        let (decoded, used) = match rest {
            [b'%', high, low, ..] => (pair(*high, *low), 3),
            [b'\\', b'x', high, low, ..] => (pair(*high, *low), 4),
            [b'\\', b'u', b'0', b'0', high, low, ..] => (pair(*high, *low), 6),
            [b'\\', plain @ (b'/' | b'"'), ..] => (Some(*plain), 2),
            _ => (None, 1),
        };
        out.push(decoded.unwrap_or(byte));
        at += if decoded.is_some() { used } else { 1 };
    }
    out
}

fn pair(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// Every dotted and every colon-separated address of `text`.
pub fn scan(text: &[u8]) -> Vec<Found> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        if !text[at].is_ascii_hexdigit() && text[at] != b':' || !begins(text, at) {
            at += 1;
            continue;
        }
        match six_at(text, at).or_else(|| four_at(text, at)) {
            Some(hit) => {
                found.push(hit);
                at = hit.end;
            }
            None => at += 1,
        }
    }
    found
}

fn begins(text: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).map(|index| text[index]);
    !before.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'_'))
}

fn four_at(text: &[u8], start: usize) -> Option<Found> {
    let mut octets = [0_u8; 4];
    let mut at = start;
    for (index, octet) in octets.iter_mut().enumerate() {
        if index > 0 {
            (text.get(at) == Some(&b'.')).then_some(())?;
            at += 1;
        }
        let digits = text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        (1..=3).contains(&digits).then_some(())?;
        *octet = std::str::from_utf8(&text[at..at + digits]).ok()?.parse().ok()?;
        at += digits;
    }
    let goes_on = match text.get(at) {
        Some(b'.') => text.get(at + 1).is_some_and(u8::is_ascii_digit),
        Some(byte) => byte.is_ascii_alphanumeric() || *byte == b'_',
        None => false,
    };
    (!goes_on).then(|| Found { address: IpAddr::V4(octets.into()), start, end: at })
}

fn six_at(text: &[u8], start: usize) -> Option<Found> {
    let part = |byte: &&u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let length = text[start..].iter().take_while(part).count();
    let mut run = std::str::from_utf8(&text[start..start + length]).ok()?;
    if run.bytes().filter(|&byte| byte == b':').count() < 2 {
        return None;
    }
    if text.get(start + length).is_some_and(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    // A port, a full stop or a colon may follow without brackets.
    loop {
        if let Ok(six) = run.parse::<Ipv6Addr>() {
            return Some(Found { address: canonical(IpAddr::V6(six)), start, end: start + run.len() });
        }
        let cut = run.trim_end_matches([':', '.']);
        run = if cut.len() < run.len() { cut } else { &run[..run.rfind(':')?] };
        (run.bytes().filter(|&byte| byte == b':').count() >= 2).then_some(())?;
    }
}

/// Other spellings of one address that names, tokens and binary fields carry, all in lower case.
pub fn spellings(address: IpAddr) -> Vec<Vec<u8>> {
    let mut all: Vec<String> = match address {
        IpAddr::V4(four) => {
            let [a, b, c, d] = four.octets();
            let number = u32::from(four);
            vec![
                format!("{a}-{b}-{c}-{d}"),
                format!("{d}-{c}-{b}-{a}"),
                format!("{a}_{b}_{c}_{d}"),
                format!("{d}.{c}.{b}.{a}.in-addr"),
                format!("{a:03}-{b:03}-{c:03}-{d:03}"),
                format!("0x{number:08x}"),
                number.to_string(),
            ]
        }
        IpAddr::V6(six) => {
            let expanded: Vec<String> = six.segments().iter().map(|part| format!("{part:04x}")).collect();
            let digits = expanded.concat();
            let nibbles: Vec<String> = digits.chars().rev().map(String::from).collect();
            vec![six.to_string().replace(':', "-"), expanded.join("-"), nibbles.join("."), format!("0x{digits}")]
        }
    };
    all.retain(|spelling| spelling.len() >= 7);
    all.sort();
    all.dedup();
    all.into_iter().map(String::into_bytes).collect()
}

/// How often `needle` stands in `hay` with neither a letter nor a digit at its ends; both in lower case.
pub fn occurrences(hay: &[u8], needle: &[u8]) -> usize {
    let free = |byte: Option<&u8>| !byte.is_some_and(u8::is_ascii_alphanumeric);
    memchr::memmem::find_iter(hay, needle)
        .filter(|&at| {
            let before = at.checked_sub(1).and_then(|index| hay.get(index));
            free(before) && free(hay.get(at + needle.len()))
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::reference::pseudonym;
    use hmac::{Hmac, KeyInit, Mac};
    use logfade::format::Field;
    use logfade::scrub::{Policy, addresses};
    use sha2::Sha256;
    use std::sync::Arc;

    fn found(text: &str) -> Vec<String> {
        scan(&unescaped(text.as_bytes())).iter().map(|hit| hit.address.to_string()).collect()
    }

    #[test]
    fn finds_every_textual_form() {
        for text in [
            "203.0.113.9",
            "203.0.113.9:443",
            "::ffff:203.0.113.9",
            "[::ffff:cb00:7109]:443",
            "2002:cb00:7109::1",
            "64:ff9b::203.0.113.9",
            "2001:0:4136:e378:8000:63bf:34ff:8ef6",
            "%32%30%33.0.113.9",
            "203%252E0%252E113%252E9",
            r"\x32\x30\x33.0.113.9",
            "for=203.0.113.9;proto=http",
        ] {
            assert_eq!(found(text), ["203.0.113.9"], "{text}");
        }
        for text in ["2001:db8::1", "[2001:DB8::1]:80", "2001:0db8:0000:0000:0000:0000:0000:0001", "2001%3Adb8%3A%3A1"] {
            assert_eq!(found(text), ["2001:db8::1"], "{text}");
        }
        assert_eq!(found("fe80::1%eth0 2001:db8::1."), ["fe80::1", "2001:db8::1"]);
    }

    #[test]
    fn leaves_times_versions_and_numbers_alone() {
        for text in ["10:55:36", "[10/Oct/2000:13:55:36 -0700]", "1.2.3", "1.2.3.4.5", "v1.2.3.4", "300.1.1.1", "a:b"] {
            assert!(found(text).is_empty(), "{text}: {:?}", found(text));
        }
    }

    #[test]
    fn truncates_by_family() {
        let four: IpAddr = "203.0.113.9".parse().unwrap();
        let six: IpAddr = "2001:db8:1:2::1".parse().unwrap();
        assert_eq!(truncated(four, 24, 32).to_string(), "203.0.113.0");
        assert_eq!(truncated(four, 0, 32).to_string(), "0.0.0.0");
        assert_eq!(truncated(six, 24, 32).to_string(), "2001:db8::");
        assert_eq!(truncated(six, 24, 0).to_string(), "::");
    }

    #[test]
    fn knows_the_names_that_carry_an_address() {
        let text = b"host-203-0-113-9.dsl.example 9.113.0.203.in-addr.arpa 0xcb007109 3405803785";
        let address = "203.0.113.9".parse().unwrap();
        let seen: usize = spellings(address).iter().map(|spelling| occurrences(text, spelling)).sum();
        assert_eq!(seen, 4);
    }

    /// Values of an address slot, what stands around the addresses in what is written, and the addresses themselves: what stood in an IPv6 address is `in six`.
    const SPELLED: [(&str, &str, &[&str]); 35] = [
        ("203.0.113.9", "{}", &["203.0.113.9"]),
        ("203.0.113.9:443", "{}", &["203.0.113.9"]),
        ("[203.0.113.9]:443", "{}", &["[203.0.113.9]"]),
        ("203.000.113.009", "{}", &["203.0.113.9"]),
        ("203%2e0%2e113%2e9", "{}", &["203.0.113.9"]),
        (r"\x32\x30\x33.0.113.9", "{}", &["203.0.113.9"]),
        (r"\xcb\x00\x71\x09", "{}", &["203.0.113.9"]),
        ("::ffff:203.0.113.9", "{}", &["203.0.113.9 in six"]),
        ("[::ffff:203.0.113.9]:443", "{}", &["[203.0.113.9] in six"]),
        ("::ffff:0:203.0.113.9", "{}", &["203.0.113.9 in six"]),
        ("::203.0.113.9", "{}", &["203.0.113.9 in six"]),
        ("64:ff9b::cb00:7109", "{}", &["203.0.113.9 in six"]),
        ("2002:cb00:7109::1", "{}", &["203.0.113.9 in six"]),
        ("2001:0:4136:e378:8000:63bf:34ff:8ef6", "{}", &["203.0.113.9 in six"]),
        ("2001:DB8:0:0:0:0:0:1", "{}", &["2001:db8::1"]),
        ("[2001:db8::1]:80", "{}", &["[2001:db8::1]"]),
        ("2001%3Adb8%3A%3A1", "{}", &["2001:db8::1"]),
        (r"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", "{}", &["2001:db8::1"]),
        ("fe80::1%eth0", "{}", &["fe80::1"]),
        ("[fe80::1%25eth0]:80", "{}", &["[fe80::1]"]),
        ("1:2:3:4:5:6:7:8:443", "{}", &["1:2:3:4:5:6:7:8"]),
        ("203.0.113.9, 2001:db8::1", "{}, {}", &["203.0.113.9", "2001:db8::1"]),
        ("203.0.113.9,+198.51.100.7:80", "{},+{}", &["203.0.113.9", "198.51.100.7"]),
        ("203.0.113.9%2C%20198.51.100.7", "{}, {}", &["203.0.113.9", "198.51.100.7"]),
        ("for=203.0.113.9;proto=https;by=\"[2001:db8::1]:1\"", "for={};proto=https;by=\"{}\"", &["203.0.113.9", "[2001:db8::1]"]),
        (r"for=\x22[2001:db8::1]\x22", "for=\"{}\"", &["[2001:db8::1]"]),
        ("203.0.113.9, unix:/run/x", "{}, unix:", &["203.0.113.9"]),
        ("203.0.113.9, -", "{}, -", &["203.0.113.9"]),
        ("203.0.113.9, Host.example.org.:80", "{}, {}", &["203.0.113.9", "host.example.org"]),
        // The policy's own networks.
        ("192.0.2.7:80", "192.0.2.7:80", &[]),
        ("::ffff:192.0.2.7", "::ffff:192.0.2.7", &[]),
        ("2001:db8:5::1%eth0", "2001:db8:5::1%eth0", &[]),
        ("203.0.113.9, 192.0.2.7:80", "{}, 192.0.2.7:80", &["203.0.113.9"]),
        ("unix:/run/x", "unix:/run/x", &[]),
        ("%2d", "%2d", &[]),
    ];

    const OTHERS: [&str; 9] =
        ["203.0.113.9 (anna)", "anna@example.org", "secret=203.0.113.9", "[2001:db8::1", "203.0.113.9:65536", "203.0.113.9/24", "'203.0.113.9'", "a b=c", "\u{e5}"];

    /// What an action writes for one address or host name; `None` if it writes nothing.
    fn written(action: &str, spelled: &str, key: Option<&[u8; 32]>) -> Option<String> {
        let (spelled, in_six) = spelled.strip_suffix(" in six").map_or((spelled, false), |spelled| (spelled, true));
        let (name, bracketed) = (spelled.trim_matches(['[', ']']), spelled.starts_with('['));
        let ip = name.parse::<IpAddr>().ok();
        let shown = |ip: IpAddr, brackets: bool| Some(if brackets { format!("[{ip}]") } else { ip.to_string() });
        let octets = ip.map_or(name.as_bytes().to_vec(), |ip| match ip {
            IpAddr::V4(four) => four.octets().to_vec(),
            IpAddr::V6(six) => six.octets().to_vec(),
        });
        match (action, ip, key) {
            ("truncate/20,40", Some(ip), _) => shown(truncated(ip, 20, 40), bracketed && !in_six),
            ("black-marker", Some(IpAddr::V4(_)), _) if !in_six => Some("0.0.0.0".to_owned()),
            ("black-marker", Some(_), _) => shown(Ipv6Addr::UNSPECIFIED.into(), bracketed),
            ("hash" | "hash/address" | "encrypt-prefix", Some(ip), None) => shown(truncated(ip, 24, 32), bracketed && !in_six),
            ("hash", _, Some(key)) => Some(pseudonym(key, "client_addr", &octets)),
            ("hash/address", _, Some(key)) => {
                let bits = u128::from_str_radix(&pseudonym(key, "client_addr", &octets), 16).unwrap();
                shown(Ipv6Addr::from_bits(0xfd << 120 | bits >> 8).into(), bracketed)
            }
            ("encrypt-prefix", Some(ip), Some(key)) => {
                let derived = Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(b"logfade encrypt-prefix 1").chain_update([1]).finalize();
                shown(ipcrypt_rs::IpcryptPfx::new(derived.into_bytes().into()).encrypt_ipaddr(ip), bracketed)
            }
            _ => None,
        }
    }

    #[test]
    fn every_action_replaces_addresses_in_every_spelling() {
        let key = [7; 32];
        for action in ["truncate/20,40", "black-marker", "hash", "hash/address", "encrypt-prefix"] {
            let text = format!("except = [\"192.0.2.0/24\", \"2001:db8:5::/48\"]\nclient_addr = \"{action}\"\nother = \"drop\"");
            let policy = Arc::new(Policy::keyed("own", "own", &text).unwrap_or_else(|fault| panic!("{fault}")));
            for key in [Some(&key), None] {
                let made = |value: &str| addresses(value.as_bytes(), Field::ClientAddr, &policy, key).map(|new| new.map(|new| String::from_utf8(new).unwrap()));
                for (value, frame, hops) in SPELLED {
                    // A hop that is gone leaves its mark in the list.
                    let fill = |text: String, hop: &&str| text.replacen("{}", &written(action, hop, key).unwrap_or_else(|| "-".to_owned()), 1);
                    assert_eq!(made(value), Some(Some(hops.iter().fold(frame.to_owned(), fill))), "{action} {value}");
                }
                assert_eq!(made("Host.example.org.:80"), Some(written(action, "host.example.org", key)), "{action}");
                for other in OTHERS {
                    assert_eq!(made(other), None, "{action} {other}");
                }
            }
        }
    }
}
