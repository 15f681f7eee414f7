//! Writes small databases in MaxMind's format (version 2.0 of its description), so that tests need no file of anybody's.

use std::net::IpAddr;

/// A string.
pub fn text(value: &str) -> Vec<u8> {
    let mut out = match value.len() {
        short @ 0..29 => vec![2 << 5 | short as u8],
        long => vec![2 << 5 | 29, (long - 29) as u8],
    };
    out.extend_from_slice(value.as_bytes());
    out
}

/// An unsigned number of 32 bits.
pub fn number(value: u32) -> Vec<u8> {
    [&[6 << 5 | 4][..], &value.to_be_bytes()].concat()
}

fn short(value: u16) -> Vec<u8> {
    [&[5 << 5 | 2][..], &value.to_be_bytes()].concat()
}

/// A map.
pub fn map(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut out = vec![7 << 5 | entries.len() as u8];
    for (key, value) in entries {
        out.extend(text(key));
        out.extend_from_slice(value);
    }
    out
}

/// A record of a country database.
pub fn country(code: &str) -> Vec<u8> {
    map(&[("country", map(&[("iso_code", text(code))]))])
}

/// A record of a database of autonomous systems.
pub fn asn(value: u32) -> Vec<u8> {
    map(&[("autonomous_system_number", number(value)), ("autonomous_system_organization", text("Example"))])
}

#[derive(Clone, Copy)]
enum Side {
    Empty,
    Node(usize),
    Data(usize),
}

/// A database of networks, none of which holds another; IPv4 stands where it belongs, at `::/96`.
pub fn database(kind: &str, networks: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let (mut tree, mut data) = (vec![[Side::Empty; 2]], Vec::new());
    for (network, record) in networks {
        let (address, length) = network.split_once('/').unwrap();
        let length: usize = length.parse().unwrap();
        let (bits, length) = match address.parse().unwrap() {
            IpAddr::V4(v4) => (u128::from(v4.to_bits()), length + 96),
            IpAddr::V6(v6) => (v6.to_bits(), length),
        };
        let mut node = 0;
        for depth in 0..length {
            let side = (bits >> (127 - depth) & 1) as usize;
            if depth + 1 == length {
                tree[node][side] = Side::Data(data.len());
                continue;
            }
            node = match tree[node][side] {
                Side::Node(next) => next,
                Side::Empty | Side::Data(_) => {
                    tree.push([Side::Empty; 2]);
                    let next = tree.len() - 1;
                    tree[node][side] = Side::Node(next);
                    next
                }
            };
        }
        data.extend_from_slice(record);
    }
    let count = tree.len();
    let mut out = Vec::new();
    for side in tree.iter().flatten() {
        let value = match side {
            Side::Empty => count,
            Side::Node(node) => *node,
            Side::Data(offset) => count + 16 + offset,
        };
        out.extend_from_slice(&(value as u32).to_be_bytes()[1..]);
    }
    out.extend([0; 16]);
    out.extend(data);
    out.extend(b"\xab\xcd\xefMaxMind.com");
    out.extend(map(&[
        ("binary_format_major_version", short(2)),
        ("binary_format_minor_version", short(0)),
        ("build_epoch", [&[8, 2][..], &1_700_000_000_u64.to_be_bytes()].concat()),
        ("database_type", text(kind)),
        ("description", map(&[("en", text("made by a test"))])),
        ("ip_version", short(6)),
        ("languages", [&[1, 4][..], &text("en")].concat()),
        ("node_count", number(count as u32)),
        ("record_size", short(24)),
    ]));
    out
}
