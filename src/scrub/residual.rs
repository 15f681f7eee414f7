//! The scan that goes over every kept free-text value and finds the addresses and e-mails that stand in it.

mod colons;
mod digits;
mod email;
mod layers;
mod surface;

use std::ops::Range;

use super::address::Nets;
pub(in crate::scrub) use layers::Layers;
pub(in crate::scrub) use surface::scan as scan_surface;

/// What the scan looks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    /// Find addresses.
    pub(crate) addresses: bool,
    /// Find e-mails and the user part of URLs.
    pub(crate) emails: bool,
    /// Addresses that are left alone.
    pub(crate) except: &'a Nets,
    /// `Name/1.2.3.4` and `rv:1.2.3.4` are product versions: for user agents.
    pub(crate) versions: bool,
}

/// Scans values; keeps the buffers that escaped values are unescaped into.
#[derive(Clone, Debug, Default)]
pub(crate) struct Residual {
    layers: Layers,
}

impl Residual {
    /// Appends the ranges of `value` that must be replaced by `-`: ascending, neither overlapping nor touching.
    ///
    /// `value` is raw text as it stands in the log. It is also read with `%HH`, `%uHHHH`, `\xHH`, `\uHHHH` and `\"`
    /// undone, several times over; a range always covers whole escapes. The value with its ranges replaced has no
    /// further ranges.
    #[inline]
    pub(crate) fn scan(&mut self, value: &[u8], rules: &Rules<'_>, hits: &mut Vec<Range<usize>>) {
        self.layers.find(value, hits, |text, found| scan_surface(text, rules, found));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked_bytes(value: &[u8], rules: &Rules<'_>) -> Vec<u8> {
        let mut hits = vec![];
        Residual::default().scan(value, rules, &mut hits);
        let (mut out, mut at) = (vec![], 0);
        for hit in &hits {
            assert!(hit.start < hit.end && hit.end <= value.len(), "{hits:?}");
            assert!(hit.start > at || at == 0, "{hits:?}");
            out.extend_from_slice(&value[at..hit.start]);
            out.push(b'-');
            at = hit.end;
        }
        out.extend_from_slice(&value[at..]);
        out
    }

    fn masked_with(value: &[u8], rules: &Rules<'_>) -> String {
        String::from_utf8(masked_bytes(value, rules)).unwrap()
    }

    fn rules(except: &Nets) -> Rules<'_> {
        Rules { addresses: true, emails: true, except, versions: false }
    }

    fn masked(value: &str) -> String {
        masked_with(value.as_bytes(), &rules(&Nets::default()))
    }

    #[track_caller]
    fn table(cases: &[(&str, &str)]) {
        for (value, expected) in cases {
            assert_eq!(masked(value), *expected, "{value}");
            assert_eq!(masked(expected), *expected, "masked again");
        }
    }

    #[test]
    fn dotted_quads() {
        table(&[
            ("1.2.3.4", "-"),
            ("ip1.2.3.4x", "ip-x"),
            ("/a/1.2.3.4/b", "/a/-/b"),
            ("1.2.3.4:8080", "-:8080"),
            ("net 1.2.3.0/24", "net -/24"),
            ("0.0.0.0-255.255.255.255", "---"),
            ("1.2.3.4.5.6", "-"),
            ("1.2.3.4.", "-."),
            ("..1.2.3.4..", "..-.."),
            ("256.1.2.3", "256.1.2.3"),
            ("256.1.2.3.4", "256.-"),
            ("1.2.3.256", "1.2.3.256"),
            ("1.2.3", "1.2.3"),
            ("1..2.3.4", "1..2.3.4"),
            ("1.2.3.", "1.2.3."),
            ("010.001.002.003", "-"),
            ("0301.0002.0003.0377", "-"),
            ("1.2.3.4567", "1.2.3.4567"),
            ("http://1.2.3.4/x", "http://-/x"),
            ("4.3.2.1.in-addr.arpa", "-.in-addr.arpa"),
            ("a 1.2.3.4 b 5.6.7.8", "a - b -"),
            ("lib-3.7.1.js", "lib-3.7.1.js"),
            ("x 1.2.3.4@y", "x -@y"),
        ]);
    }

    #[test]
    fn dashed_and_underscored_quads() {
        table(&[
            ("p1-2-3-4.dsl.example", "p-.dsl.example"),
            ("1-2-3-4.dsl.example", "-.dsl.example"),
            ("ec2-52-1-2-3.compute.example", "ec-.compute.example"),
            ("001-002-003-004", "-"),
            ("host_1_2_3_4_x", "host_-_x"),
            ("1_2_3_4", "-"),
            ("2024-05-06", "2024-05-06"),
            ("backup-2024-05-06-12-30-00.tgz", "backup-2024-05-06-12-30-00.tgz"),
            ("1-2-3", "1-2-3"),
            ("300-1-2-3", "300-1-2-3"),
            ("the-best-of-2024-top-10", "the-best-of-2024-top-10"),
        ]);
    }

    #[test]
    fn v6() {
        table(&[
            ("2001:db8::1", "-"),
            ("[2001:db8::1]:443", "[-]:443"),
            ("http://[2001:DB8:0:0:0:0:0:1]/", "http://[-]/"),
            ("2001:0db8:85a3:0000:0000:8a2e:0370:7334", "-"),
            ("1a00:c820:1180:c84c:ad3f:4024:d991:ec2e:49225", "-"),
            ("1a00:c820:1180:c84c:ad3f::d991:ec2e:49225", "-"),
            ("::ffff:1.2.3.4", "-"),
            ("::ffff:0102:0304", "-"),
            ("64:ff9b::1.2.3.4", "-"),
            ("1:2:3:4:5:6:1.2.3.4", "-"),
            ("2002:0102:0304::", "-"),
            ("fe80::1%eth0", "-"),
            ("fe80::1%25eth0/", "-/"),
            ("fe80::1%ec0", "-"),
            ("::1", "-"),
            ("fe80::", "-"),
            ("from:2001:db8::1:", "from:-:"),
            ("src:abcd::ef", "src:-"),
            ("fe80::1:dport", "-port"),
            ("textnoblank72:8374:adc7:47FF::43:0:1AFEstillnoblank", "textnoblank-stillnoblank"),
            ("at 12:34:56 and 1:2", "at 12:34:56 and 1:2"),
            ("::", "::"),
            ("[::]:80", "[::]:80"),
            ("foo::bar", "foo::bar"),
            ("std::fmt::Debug", "std::fmt::Debug"),
            ("App::add", "App::add"),
            ("2001-db8--1.example", "-.example"),
            ("host-2001-db8-0-0-0-0-0-1.example", "host--.example"),
            ("fe80--1s4.ipv6-literal.net", "-s4.ipv6-literal.net"),
            ("2001-db8-1--.example", "-.example"),
            ("face-book--bad", "face-book--bad"),
            ("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", "-.ip6.arpa"),
            ("b.a.9.8.f.e.d.c.b.a.f.e.d.c.b.a.example", "-.example"),
            ("8.b.d.0.1.0.0.2.ip6.arpa", "-.ip6.arpa"),
            ("a.b.c.d.e.f", "a.b.c.d.e.f"),
        ]);
    }

    #[test]
    fn hardware_addresses() {
        table(&[
            ("ab:ab:ab:ab:ab:ab", "-"),
            ("HWaddrAB:ab:ab:ab:ab:ab.", "HWaddr-."),
            ("mac:00:11:22:33:44:55", "m-"),
            ("00-11-22-aa-bb-cc", "-"),
            ("x-aa-bb-cc-dd-ee-ff-x", "x---x"),
            ("0:1b:2:33:44:5", "-"),
        ]);
    }

    #[test]
    fn numbers() {
        table(&[
            ("0x01020304", "-"),
            ("at 0x1020304", "at -"),
            ("0x7f.0x0.0x0.0x1", "-"),
            ("127.0x0.0.0x1", "-"),
            ("0x20010db8000000000000000000000001", "-"),
            ("img-100x20000000.png", "img-100x20000000.png"),
            ("0x1f", "0x1f"),
            ("http://16909060/", "http://-/"),
            ("http://017700000001/", "http://-/"),
            ("/1700000000/", "/1700000000/"),
        ]);
    }

    #[test]
    fn emails() {
        table(&[
            ("/u/john.doe+tag@example.co.uk/x", "/u/-/x"),
            ("mailto:john@example.com", "mailto:-"),
            ("\"john doe\"@example.com", "-"),
            ("a=john@example.com&b=1", "a=-&b=1"),
            ("bounce+john=example.com@list.example.org", "-"),
            ("https://user:secret@host/", "https://-/"),
            ("john@example.com.html", "-"),
            ("jürgen@müller.de", "-"),
            ("john@[192.0.2.1]", "-"),
            ("john@xn--mller-kva.example", "-"),
            ("/img/logo@2x.png", "/img/logo@2x.png"),
            ("/npm/vue@3.2.1/dist/vue.js", "/npm/vue@3.2.1/dist/vue.js"),
            ("/@scope/pkg.name", "/@scope/pkg.name"),
            ("user@localhost", "user@localhost"),
            ("@", "@"),
            ("john@corp@example.com", "-"),
        ]);
    }

    #[test]
    fn escaped() {
        table(&[
            ("/a/%31.2.3.4", "/a/-"),
            ("/a/1%2e2%2E3%2e4/b", "/a/-/b"),
            ("2001%3Adb8%3A%3A1", "-"),
            ("2001%253Adb8%253A%253A1", "-"),
            ("2001%25253Adb8%25253A%25253A1", "-"),
            ("john%40example.com", "-"),
            ("john%2540example.com", "-"),
            ("john\\x40example.com", "-"),
            ("john\\u0040example.com", "-"),
            ("john%u0040example.com", "-"),
            ("\\x22john\\x40example.com\\x22", "\\x22-\\x22"),
            ("\\\"1.2.3.4\\\"", "\\\"-\\\""),
            ("100%41.2.3.4", "100%41-"),
            ("a%201.2.3.4", "a%20-"),
            ("mailto%3Ajohn@example.com", "mailto%3A-"),
            ("100%", "100%"),
            ("%D9%85%DA%AF%D8%A7", "%D9%85%DA%AF%D8%A7"),
            ("%zz\\q\\", "%zz\\q\\"),
        ]);
        assert_eq!(masked("%2525252525252525252541"), "-", "too deep");
    }

    #[test]
    fn versions() {
        let nets = Nets::default();
        let rules = Rules { versions: true, ..rules(&nets) };
        for value in [
            "Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
            "Mozilla/5.0 (Windows; rv:1.9.2.3) Gecko/20100401",
            "Mozilla/5.0+(Windows)+Chrome/120.0.0.0+Safari/537.36",
            "Mozilla/5.0%20Chrome/120.0.0.0%20Safari",
            "Chrome/120.0.0.0",
            "HIBrowser/v2.25.7.1",
        ] {
            assert_eq!(masked_with(value.as_bytes(), &rules), value);
        }
        for (value, expected) in [
            ("http://1.2.3.4", "http://-"),
            ("bot (+http://example.com/1.2.3.4)", "bot (+http://example.com/-)"),
            ("/1.2.3.4", "/-"),
            ("1.2.3.4/5.6.7.8", "-/-"),
            ("x/1.2.3.4:80", "x/-:80"),
            ("drv:1.2.3.4", "drv:-"),
        ] {
            assert_eq!(masked_with(value.as_bytes(), &rules), expected);
        }
        assert_eq!(masked("Chrome/120.0.0.0"), "Chrome/-");
    }

    #[test]
    fn excepted() {
        let nets = Nets::new(&["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()]);
        for (value, expected) in [
            ("10.1.2.3 11.1.2.3", "10.1.2.3 -"),
            ("::ffff:10.1.2.3", "::ffff:10.1.2.3"),
            ("[2001:db8::1]:80 2001:db9::1", "[2001:db8::1]:80 -"),
            ("ip-10-1-2-3.ec2.internal", "ip-10-1-2-3.ec2.internal"),
            ("3.2.1.10.in-addr.arpa", "3.2.1.10.in-addr.arpa"),
            ("10.1.2.3.in-addr.arpa", "-.in-addr.arpa"),
            ("10-1-2-3.rev.example", "-.rev.example"),
            ("0x0a010203 0x0b010203", "0x0a010203 -"),
            ("10.1.2.3.4", "-"),
            ("010.1.2.3", "-"),
        ] {
            assert_eq!(masked_with(value.as_bytes(), &rules(&nets)), expected, "{value}");
        }
    }

    #[test]
    fn only_what_is_asked_for() {
        let nets = Nets::default();
        let value = b"1.2.3.4 a@b.example";
        assert_eq!(masked_with(value, &Rules { addresses: false, ..rules(&nets) }), "1.2.3.4 -");
        assert_eq!(masked_with(value, &Rules { emails: false, ..rules(&nets) }), "- a@b.example");
    }

    #[test]
    fn found_at_every_offset() {
        for address in ["1.2.3.4", "2001:db8::1", "a@b.example", "0x01020304", "1-2-3-4", "aa-bb-cc-dd-ee-ff", "1%2e2.3.4"] {
            for before in 0..40 {
                for behind in 0..40 {
                    let value = format!("{}{address}{}", "/".repeat(before), "/".repeat(behind));
                    let expected = format!("{}-{}", "/".repeat(before), "/".repeat(behind));
                    // Two slashes before make a user part or a host, with the same result.
                    assert_eq!(masked(&value), expected, "{before} {behind}");
                }
            }
        }
    }

    mod properties {
        use super::*;
        use proptest::prelude::*;

        /// Bytes that make up the forms, so that random text comes near them.
        fn near_misses() -> impl Strategy<Value = Vec<u8>> {
            let byte = prop::sample::select(b"0123456789abcdefxs.:-_@%/\\=\" +25u[]~\xc3".to_vec());
            prop::collection::vec(byte, 0..120)
        }

        fn planted() -> impl Strategy<Value = String> {
            let v4 = any::<[u8; 4]>();
            let v6 = || any::<[u16; 8]>().prop_map(std::net::Ipv6Addr::from);
            prop_oneof![
                v4.prop_map(|[a, b, c, d]| format!("{a}.{b}.{c}.{d}")),
                v4.prop_map(|[a, b, c, d]| format!("{a}-{b}-{c}-{d}")),
                v4.prop_map(|[a, b, c, d]| format!("{a}_{b}_{c}_{d}")),
                v4.prop_map(|[a, b, c, d]| format!("{a:03}.{b:03}.{c:03}.{d:03}")),
                v4.prop_map(|[a, b, c, d]| format!("0{a:03o}.0{b:03o}.0{c:03o}.0{d:03o}")),
                v4.prop_map(|[a, b, c, d]| format!("0x{a:02x}{b:02X}{c:02x}{d:02x}")),
                v4.prop_map(|[a, b, c, d]| format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}")),
                v4.prop_map(|[a, b, c, d]| format!("::ffff:{a}.{b}.{c}.{d}")),
                v6().prop_map(|v6| v6.to_string()),
                v6().prop_map(|v6| v6.to_string().to_uppercase()),
                v6().prop_map(|v6| v6.segments().map(|g| format!("{g:04x}")).join(":")),
                v6().prop_map(|v6| v6.segments().map(|g| format!("{g:x}")).join("-")),
                v6().prop_map(|v6| format!("0x{:032x}", v6.to_bits())),
                v6().prop_map(|v6| format!("{:032x}", v6.to_bits()).chars().rev().map(String::from).collect::<Vec<_>>().join(".")),
                any::<[u8; 6]>().prop_map(|mac| mac.map(|b| format!("{b:02x}")).join(":")),
                any::<[u8; 6]>().prop_map(|mac| mac.map(|b| format!("{b:02X}")).join("-")),
                "[a-z0-9]{1,8}[.+_-][a-z0-9]{1,8}@[a-z0-9]{1,10}(\\.[a-z]{2,5})?\\.(com|org|de|co|example|museum)",
            ]
        }

        /// Undoes nothing, or escapes some bytes in one of the known ways.
        fn escape(text: &str, how: u8, which: u64) -> String {
            text.bytes()
                .enumerate()
                .map(|(at, b)| match how {
                    _ if which >> (at % 64) & 1 == 0 => char::from(b).to_string(),
                    1 => format!("%{b:02X}"),
                    2 => format!("%25{b:02x}"),
                    3 => format!("%2525{b:02x}"),
                    4 => format!("\\x{b:02x}"),
                    5 => format!("\\u{b:04x}"),
                    _ => char::from(b).to_string(),
                })
                .collect()
        }

        proptest! {
            #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

            #[test]
            fn any_bytes(value in prop_oneof![prop::collection::vec(any::<u8>(), 0..200), near_misses()], versions: bool) {
                let nets = Nets::default();
                let once = masked_bytes(&value, &Rules { versions, ..rules(&nets) });
                let again = masked_bytes(&once, &Rules { versions, ..rules(&nets) });
                prop_assert_eq!(once, again);
            }

            #[test]
            fn a_planted_one_is_found(address in planted(), how in 0u8..6, which: u64, head in "[g-w/ ,;]{0,30}[/ ,;(]", tail in "[/ ,;)?][g-w/ ,;]{0,30}") {
                let escaped = escape(&address, how, which);
                let masked = masked(&format!("{head}{escaped}{tail}"));
                prop_assert_eq!(masked, format!("{head}-{tail}"));
            }

            #[test]
            fn words_stay(value in "(/[a-z]{1,12}(-[a-z]{1,12}){0,3}){1,6}(\\.[a-z]{2,4})?") {
                prop_assert_eq!(masked(&value), value);
            }
        }
    }
}
