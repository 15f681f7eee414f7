//! An address inside names and paths: with dashes or underscores, as the name of its reverse lookup, as one number after `0x`.

use memchr::memmem;
use std::net::IpAddr;

/// Other spellings of some addresses, in lower case.
#[derive(Default)]
pub(super) struct Spellings(Vec<Vec<u8>>);

impl Spellings {
    pub(super) fn add(&mut self, ip: IpAddr) {
        match ip {
            IpAddr::V4(v4) => {
                let octets = v4.octets();
                for separator in ["-", "_"] {
                    self.push(&octets.map(|octet| octet.to_string()).join(separator));
                    self.push(&octets.map(|octet| format!("{octet:03}")).join(separator));
                }
                let [a, b, c, d] = octets;
                self.push(&format!("{d}.{c}.{b}.{a}.in-addr.arpa"));
                self.push(&format!("0x{:08x}", v4.to_bits()));
            }
            IpAddr::V6(v6) => {
                let groups = v6.segments();
                for separator in ["-", "_"] {
                    self.push(&v6.to_string().replace(':', separator));
                    self.push(&groups.map(|group| format!("{group:x}")).join(separator));
                    self.push(&groups.map(|group| format!("{group:04x}")).join(separator));
                }
                let nibbles: Vec<String> = format!("{:032x}", v6.to_bits()).chars().rev().map(String::from).collect();
                self.push(&format!("{}.ip6.arpa", nibbles.join(".")));
                self.push(&format!("0x{:032x}", v6.to_bits()));
            }
        }
    }

    fn push(&mut self, text: &str) {
        let text = text.as_bytes().to_vec();
        if !self.0.contains(&text) {
            self.0.push(text);
        }
    }

    /// Whether one of them stands in a text, and is not a part of something longer.
    pub(super) fn stand_in(&self, text: &[u8]) -> bool {
        // Nearly every value ends here.
        let may = |part: &[u8]| memmem::find(text, part).is_some();
        if self.0.is_empty() || !(memchr::memchr2(b'-', b'_', text).is_some() || [b"0x", b"0X", b"p6", b"P6"].iter().any(|part| may(part.as_slice()))) {
            return false;
        }
        let text = text.to_ascii_lowercase();
        self.0.iter().any(|spelling| memmem::find_iter(&text, spelling).any(|at| is_whole(&text, at, spelling)))
    }
}

/// Whether no further number of the same kind stands on either side.
fn is_whole(text: &[u8], at: usize, spelling: &[u8]) -> bool {
    let is_digit = |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(u8::is_ascii_hexdigit);
    let is_number = |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(u8::is_ascii_digit);
    let is_joint = |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(|byte| matches!(byte, b'-' | b'_' | b'.'));
    let end = at + spelling.len();
    let before = at.checked_sub(1);
    // Of a name such as `adsl203-0-113-7` the letters in front are no digits.
    let part_before = is_number(before) || (is_joint(before) && is_number(at.checked_sub(2)));
    let part_behind = is_digit(Some(end)) || (is_joint(Some(end)) && is_number(Some(end + 1)));
    !part_before && !part_behind
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stands(ip: &str, text: &str) -> bool {
        let mut spellings = Spellings::default();
        spellings.add(ip.parse().unwrap());
        spellings.stand_in(text.as_bytes())
    }

    #[test]
    fn names_and_numbers_carry_addresses() {
        for text in
            ["203-0-113-7.dsl.example", "adsl203-0-113-7.example", "ip_203_0_113_7", "p203-000-113-007.example", "7.113.0.203.IN-ADDR.arpa", "/a/0xCB007107", "x-203-0-113-7-y"]
        {
            assert!(stands("203.0.113.7", text), "{text}");
        }
        for text in
            ["203-0-113-70.dsl", "1203-0-113-7", "1-203-0-113-7", "203-0-113-7-9", "203-0-113-7a", "17.113.0.203.in-addr.arpa", "0xcb0071070", "203_0-113-7", "cb007107", ""]
        {
            assert!(!stands("203.0.113.7", text), "{text}");
        }
        for text in ["2001-db8--9.v6.example", "2001-db8-0-0-0-0-0-9", "2001_0db8_0000_0000_0000_0000_0000_0009", "0x20010db8000000000000000000000009"] {
            assert!(stands("2001:db8::9", text), "{text}");
        }
        assert!(stands("2001:db8::9", "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"));
        assert!(!stands("2001:db8::9", "2001-db8--91") && !stands("2001:db8::9", "2001-db8--9-1"));
    }
}
