//! Every form of an address, and what is none.

use super::write::{write_v4, write_v6};
use super::*;

fn truncate(text: &[u8], v4_bits: u8, v6_bits: u8, out: &mut Vec<u8>) -> bool {
    parse(text).map(|endpoint| write_truncated(&endpoint, v4_bits, v6_bits, out)).is_some()
}

fn v4(text: &str) -> Host {
    Host::V4(text.parse().unwrap())
}

fn v6(text: &str) -> Host {
    Host::V6(text.parse().unwrap())
}

fn nets(texts: &[&str]) -> Nets {
    Nets::new(&texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>())
}

#[test]
fn hosts() {
    let name = Host::Name;
    for (text, host) in [
        ("", Host::Absent),
        ("-", Host::Absent),
        ("unix:", Host::Unix),
        ("unix:/run/x y.sock", Host::Unix),
        ("1.2.3.4", v4("1.2.3.4")),
        ("255.255.255.255", v4("255.255.255.255")),
        ("12.34.5.6", v4("12.34.5.6")),
        ("1.2.3.44", v4("1.2.3.44")),
        ("010.001.002.003", v4("10.1.2.3")),
        ("1.2.3.4:80", v4("1.2.3.4")),
        ("[1.2.3.4]:80", v4("1.2.3.4")),
        ("::", v6("::")),
        ("::1", v6("::1")),
        ("2001:DB8::1", v6("2001:db8::1")),
        ("2001:0db8:0000:0000:0000:0000:0000:0001", v6("2001:db8::1")),
        ("1:2:3:4:5:6:7:8", v6("1:2:3:4:5:6:7:8")),
        ("1:2:3:4:5:6:7:8:443", v6("1:2:3:4:5:6:7:8")),
        ("1:2:3:4:5::7:8:443", v6("1:2:3:4:5:0:7:8")),
        ("1a00::ec2e:49225", v6("1a00::ec2e")),
        ("::ffff:1.2.3.4", v6("::ffff:1.2.3.4")),
        ("::ffff:1.2.3.4:80", v6("::ffff:1.2.3.4")),
        ("1:2:3:4:5:6:1.2.3.4", v6("1:2:3:4:5:6:102:304")),
        ("[2001:db8::1]", v6("2001:db8::1")),
        ("[2001:db8::1]:65535", v6("2001:db8::1")),
        ("fe80::1%eth0", v6("fe80::1")),
        ("[fe80::1%25eth0]:80", v6("fe80::1")),
        ("example.com", name),
        ("example.com:443", name),
        ("x.x.x.x", name),
        ("unknown", name),
        ("_hidden", name),
        ("xn--mller-kva.example.", name),
        ("256.1.2.3", name),
        ("1.2.3", name),
        ("1.2.3.4.5", name),
        ("1234.1.1.1", name),
    ] {
        assert_eq!(parse(text.as_bytes()).map(|e| e.host), Some(host), "{text}");
    }
}

#[test]
fn nothing_of_the_kind() {
    for text in [
        " ",
        "1.2.3.4 ",
        " 1.2.3.4",
        "1.2.3.4:",
        "1.2.3.4:x",
        "1.2.3.4:65536",
        "1.2.3.4:123456",
        "1.2.3.4/24",
        "[::1",
        "::1]",
        "[::1]x",
        "[]",
        "[::1]:",
        "[name]",
        ":",
        ":::",
        "1::2::3",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9:10",
        "1:2:3:4:5:6:7:8::",
        "1:2:3:4:5:6:7:8::9",
        "fe80::1%",
        "12345::1",
        "::12345",
        "g::1",
        "a b",
        "a,b",
        "a\"b",
        "caf\u{e9}",
        "--",
        "...",
        "%31.2.3.4",
        "\\x01",
    ] {
        assert_eq!(parse(text.as_bytes()), None, "{text}");
    }
    assert_eq!(parse(&[b'a'; 256]), None);
}

#[test]
fn what_stands_around() {
    let full = parse(b"[fe80::1%eth0]:443").unwrap();
    assert_eq!((full.bracketed, full.zone, full.port), (true, Some(&b"eth0"[..]), Some(&b"443"[..])));
    let plain = parse(b"192.0.2.1:443").unwrap();
    assert_eq!((plain.bracketed, plain.zone, plain.port), (false, None, Some(&b"443"[..])));
    assert_eq!(parse(b"1:2:3:4:5:6:7:8:443").unwrap().port, Some(&b"443"[..]));
    assert_eq!(parse(b"a.example:1").unwrap().port, Some(&b"1"[..]));
}

#[test]
fn binary() {
    assert_eq!(parse_binary(&[192, 0, 2, 1]).map(|e| e.host), Some(v4("192.0.2.1")));
    assert_eq!(parse_binary(&[0; 16]).map(|e| e.host), Some(v6("::")));
    assert_eq!(parse_binary(&[0; 5]), None);
    assert_eq!(parse_binary(b""), None);
}

#[test]
fn embedded() {
    for (text, inside) in [
        ("::ffff:1.2.3.4", Some("1.2.3.4")),
        ("::ffff:0:1.2.3.4", Some("1.2.3.4")),
        ("::1.2.3.4", Some("1.2.3.4")),
        ("64:ff9b::1.2.3.4", Some("1.2.3.4")),
        ("2002:0102:0304:5::6", Some("1.2.3.4")),
        ("2001:0:102:304:0:0:fefd:fcfb", Some("1.2.3.4")),
        ("::", None),
        ("::1", None),
        ("2001:db8::1.2.3.4", None),
        ("64:ff9b:1::1.2.3.4", None),
    ] {
        assert_eq!(embedded_v4(text.parse().unwrap()), inside.map(|v4| v4.parse().unwrap()), "{text}");
    }
}

#[test]
fn truncated() {
    let cut = |text: &str, v4_bits, v6_bits| {
        let mut out = vec![];
        assert_eq!(truncate(text.as_bytes(), v4_bits, v6_bits, &mut out), !out.is_empty());
        String::from_utf8(out).unwrap()
    };
    for (text, v4_bits, v6_bits, expected) in [
        ("192.168.100.200", 24, 32, "192.168.100.0"),
        ("192.168.100.200", 20, 32, "192.168.96.0"),
        ("192.168.100.200", 16, 32, "192.168.0.0"),
        ("192.168.100.200", 0, 32, "0.0.0.0"),
        ("192.168.100.200", 32, 32, "192.168.100.200"),
        ("192.168.100.200", 99, 32, "192.168.100.200"),
        ("192.168.100.200:80", 24, 32, "192.168.100.0"),
        ("010.001.002.003", 24, 32, "10.1.2.0"),
        ("2001:db8:85a3::8a2e:370:7334", 24, 32, "2001:db8::"),
        ("2001:0DB8:85A3:0:0:8a2e:370:7334", 24, 48, "2001:db8:85a3::"),
        ("2001:db8:85a3::8a2e:370:7334", 24, 0, "::"),
        ("2001:db8::1", 24, 128, "2001:db8::1"),
        ("[2001:db8:1::ab9:C0A8:102]:8080", 24, 32, "[2001:db8::]"),
        ("fe80::1%eth0", 24, 64, "fe80::"),
        ("::ffff:192.0.2.128", 24, 32, "192.0.2.0"),
        ("[::ffff:192.0.2.128]:80", 24, 32, "192.0.2.0"),
        ("2002:c000:0280::1", 24, 32, "192.0.2.0"),
        ("host.example", 24, 32, "-"),
        ("-", 24, 32, "-"),
        ("", 24, 32, "-"),
        ("unix:/run/x.sock", 24, 32, "unix:"),
        ("no address", 24, 32, ""),
    ] {
        assert_eq!(cut(text, v4_bits, v6_bits), expected, "{text}/{v4_bits},{v6_bits}");
    }
}

#[test]
fn excepted_networks() {
    let own = nets(&["10.0.0.0/8", "2001:db8::/32", "::ffff:192.0.2.0/120", "0.0.0.0/32"]);
    for (text, inside) in [
        ("10.255.0.1", true),
        ("11.0.0.1", false),
        ("192.0.2.9", true),
        ("192.0.3.9", false),
        ("2001:db8:ffff::1", true),
        ("2001:db9::1", false),
        ("::ffff:10.0.0.1", true),
        ("2002:a00:1::", true),
    ] {
        assert_eq!(own.contains(text.parse().unwrap()), inside, "{text}");
    }
    assert!(Nets::default().is_empty() && !own.is_empty());
    assert!(nets(&["0.0.0.0/0"]).contains("1.2.3.4".parse().unwrap()));
    assert!(nets(&["::/0"]).contains("2001:db8::".parse().unwrap()));
    assert!(nets(&["10.1.2.3/8"]).contains("10.9.9.9".parse().unwrap()), "host bits do not matter");
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

        #[test]
        fn v4_like_the_standard_library(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            let text = address.to_string();
            prop_assert_eq!(parse(text.as_bytes()).map(|e| e.host), Some(Host::V4(address)));
            let mut out = vec![];
            write_v4(address, &mut out);
            prop_assert_eq!(out, text.as_bytes());
        }

        #[test]
        fn v6_like_the_standard_library(groups in any::<[Option<u16>; 8]>(), upper: bool, port in any::<Option<u16>>()) {
            let address = Ipv6Addr::from(groups.map(Option::unwrap_or_default));
            let mut out = vec![];
            write_v6(address, &mut out);
            // The library writes some of them with a dotted quad.
            let text = String::from_utf8(out).unwrap();
            prop_assert_eq!(text.parse(), Ok(address));
            prop_assert!(text == address.to_string() || address.to_string().contains('.'));
            let text = if upper { text.to_uppercase() } else { text };
            prop_assert_eq!(parse(text.as_bytes()).map(|e| e.host), Some(Host::V6(address)));
            let port = port.map_or(String::new(), |port| format!(":{port}"));
            let whole = format!("[{text}]{port}");
            prop_assert_eq!(parse(whole.as_bytes()).map(|e| e.host), Some(Host::V6(address)));
        }

        #[test]
        fn accepts_what_the_standard_library_accepts(text in "[0-9a-f:.]{0,24}") {
            let ours = parse(text.as_bytes()).map(|e| (e.host, e.port));
            if let Ok(address) = text.parse::<Ipv4Addr>() {
                prop_assert_eq!(ours, Some((Host::V4(address), None)));
            } else if let Ok(address) = text.parse::<Ipv6Addr>() {
                prop_assert_eq!(ours, Some((Host::V6(address), None)));
            } else if let Some((Host::V6(_), port)) = ours {
                prop_assert!(port.is_some(), "{}", text);
            }
        }

        #[test]
        fn any_bytes(text in prop::collection::vec(any::<u8>(), 0..40), v4_bits: u8, v6_bits: u8) {
            let mut out = vec![];
            let accepted = truncate(&text, v4_bits, v6_bits, &mut out);
            prop_assert_eq!(accepted, !out.is_empty());
            if accepted {
                let mut again = vec![];
                prop_assert!(truncate(&out, v4_bits, v6_bits, &mut again));
                prop_assert_eq!(out, again);
            }
        }
    }
}
