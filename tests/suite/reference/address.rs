//! Addresses of the reference: read by the standard library, unwrapped, cut, and written by it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use ipnet::IpNet;
use logfade::format::Text;
use logfade::scrub::{Action, Form};
use regex_automata::meta::Regex;

use super::parts::{percent, pseudonym, secret, unescape};
use super::{Bytes, New, Value, groups, regex};

#[derive(Clone, Copy, PartialEq)]
enum Host {
    Ip(IpAddr),
    Name,
    Unix,
    Absent,
}

/// An address or a name, whether it stood in brackets, and the text without its port.
struct Endpoint<'t> {
    host: Host,
    brackets: bool,
    name: &'t [u8],
}

/// IPv4 with numbers that may be padded, or IPv6.
fn ip(text: &[u8]) -> Option<IpAddr> {
    static FOUR: LazyLock<Regex> = LazyLock::new(|| regex(r"^([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})$"));
    let four = |text: &[u8]| {
        let octets = groups(&FOUR, text)?.split_off(1).into_iter().map(|octet| std::str::from_utf8(octet).ok()?.parse::<u8>().ok());
        let octets: Option<Vec<u8>> = octets.collect();
        Some(Ipv4Addr::from(<[u8; 4]>::try_from(octets?).ok()?))
    };
    if let Some(four) = four(text) {
        return Some(four.into());
    }
    let (front, tail) = text.split_at(text.iter().rposition(|byte| *byte == b':')? + 1);
    let tail = if tail.contains(&b'.') { four(tail)?.to_string().into_bytes() } else { tail.to_vec() };
    Some(IpAddr::V6(std::str::from_utf8(&[front, &tail].concat()).ok()?.parse().ok()?))
}

fn endpoint(text: &[u8]) -> Option<Endpoint<'_>> {
    static WHOLE: LazyLock<Regex> = LazyLock::new(|| regex(r"^(\[?)([0-9A-Fa-f:.]+)(%[A-Za-z0-9._~-]+)?(\]?)()$"));
    static PORT: LazyLock<Regex> = LazyLock::new(|| regex(r"^(\[?)([0-9A-Fa-f:.]+)(%[A-Za-z0-9._~-]+)?(\]?):([0-9]{1,5})$"));
    static NAME: LazyLock<Regex> = LazyLock::new(|| regex(r"^([A-Za-z0-9._-]{1,255})(?::([0-9]{1,5}))?$"));
    let is_port = |port: &[u8]| port.is_empty() || String::from_utf8_lossy(port).parse::<u16>().is_ok();
    let simple = |host| Some(Endpoint { host, brackets: false, name: text });
    match text {
        b"" | b"-" => return simple(Host::Absent),
        _ if text.starts_with(b"unix:") => return simple(Host::Unix),
        _ => {}
    }
    for form in [&WHOLE, &PORT] {
        let Some(&[_, open, address, zone, close, port]) = groups(form, text).as_deref() else { continue };
        let Some(ip) = ip(address) else { continue };
        if open.is_empty() == close.is_empty() && is_port(port) && (ip.is_ipv6() || zone.is_empty() || !open.is_empty()) {
            return Some(Endpoint { host: Host::Ip(ip), brackets: !open.is_empty(), name: address });
        }
    }
    let found = groups(&NAME, text)?;
    (is_port(found[2]) && found[1].iter().any(u8::is_ascii_alphanumeric)).then(|| Endpoint { host: Host::Name, brackets: false, name: found[1] })
}

/// IPv4 in IPv6 dress: mapped, translated, NAT64, compatible, 6to4, Teredo.
fn unwrapped(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = ip else { return ip };
    let four = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match six.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => four(high, low),
        [0, 0, 0, 0, 0, 0, high, low] if high > 0 => four(high, low),
        [0x2002, high, low, ..] => four(high, low),
        [0x2001, 0, .., high, low] => four(!high, !low),
        _ => ip,
    }
}

/// How addresses of one value are replaced.
pub struct Change<'a> {
    pub action: &'a Action,
    pub except: &'a [IpNet],
    pub key: Option<&'a [u8; 32]>,
    pub domain: &'a str,
}

impl Change<'_> {
    /// What takes the place of a slot's value; `None` if it is no address.
    pub fn of(&self, value: &Value<'_>) -> Option<New> {
        let keyed = matches!(self.action, Action::Hash(_) | Action::EncryptPrefix);
        if keyed && value.text == Text::JsonScalar {
            return Some(New::Gone);
        }
        if let Some(found) = endpoint(value.raw) {
            return Some(self.one(&found));
        }
        let (plain, _) = unescape(value.raw);
        let binary = <[u8; 4]>::try_from(plain.as_slice()).map(IpAddr::from).or_else(|_| <[u8; 16]>::try_from(plain.as_slice()).map(IpAddr::from));
        if let (true, Ok(ip)) = (value.raw.contains(&b'\\'), binary) {
            return Some(self.written(&Endpoint { host: Host::Ip(ip), brackets: false, name: b"" }).map_or(New::Gone, New::Is));
        }
        let plain = percent(&plain, false);
        match endpoint(&plain) {
            Some(found) => Some(self.one(&found)),
            None => self.list(&plain).map(New::Is),
        }
    }

    fn excepted(&self, host: Host) -> bool {
        let Host::Ip(ip) = host else { return false };
        self.except.iter().any(|net| net.contains(&ip) || net.contains(&unwrapped(ip)))
    }

    fn one(&self, found: &Endpoint<'_>) -> New {
        match found.host {
            Host::Unix | Host::Absent => New::Same,
            Host::Name if !matches!(self.action, Action::Hash(_)) => New::Gone,
            host if self.excepted(host) => New::Same,
            Host::Ip(_) | Host::Name => self.written(found).map_or(New::Gone, New::Is),
        }
    }

    /// Several hops, each for itself; the marks between them stay.
    fn list(&self, text: &[u8]) -> Option<Bytes> {
        const SEPARATOR: &str = r#"(?:[ \t,;"+]|\\"|\\x22|%2[02Cc]|%3[Bb])"#;
        static MARK: LazyLock<Regex> =
            LazyLock::new(|| regex(&format!(r#"^(?:{SEPARATOR}|(?i:for|by|host)(?:=|%3[Dd])|(?i:proto)(?:=|%3[Dd])"?(?i:https?|wss?|h2|h3|tcp)(?:$|[^A-Za-z0-9]))"#)));
        static KEY: LazyLock<Regex> = LazyLock::new(|| regex(r"^[A-Za-z]*(?:=|%3[Dd])"));
        static STOP: LazyLock<Regex> = LazyLock::new(|| regex(&format!(r"^{SEPARATOR}")));
        let (mut out, mut rest, mut hops) = (Bytes::new(), text, 0);
        while !rest.is_empty() {
            if let Some(found) = groups(&MARK, rest) {
                // The byte behind a protocol only ends it.
                let proto = found[0].len() > 5 && found[0][..5].eq_ignore_ascii_case(b"proto") && !found[0].last().is_some_and(u8::is_ascii_alphanumeric);
                let (mark, behind) = rest.split_at(found[0].len() - usize::from(proto));
                out.extend_from_slice(mark);
                rest = behind;
                continue;
            }
            if KEY.is_match(rest) {
                return None;
            }
            let part = |at: &usize| !STOP.is_match(&rest[*at..]) && (rest[*at].is_ascii_alphanumeric() || b"._-:[]%/~".contains(&rest[*at]));
            let (hop, behind) = rest.split_at((0..rest.len()).take_while(part).count());
            if hop.is_empty() || !(behind.is_empty() || STOP.is_match(behind)) {
                return None;
            }
            let found = endpoint(hop)?;
            out.extend(if self.excepted(found.host) { hop.to_vec() } else { self.written(&found).unwrap_or_else(|| b"-".to_vec()) });
            rest = behind;
            hops += 1;
        }
        (hops > 0).then_some(out)
    }

    /// What is written for an address; brackets stay, zone and port go.
    fn written(&self, found: &Endpoint<'_>) -> Option<Bytes> {
        let shown = |ip: IpAddr, brackets: bool| Some(if brackets { format!("[{ip}]") } else { ip.to_string() }.into_bytes());
        let truncated = |ip: IpAddr, four: u8, six: u8| match unwrapped(ip) {
            IpAddr::V4(inner) => shown(cut_four(inner, four).into(), found.brackets && ip.is_ipv4()),
            IpAddr::V6(inner) => shown(cut_six(inner, six).into(), found.brackets),
        };
        let ip = match (found.host, self.action) {
            (Host::Unix, _) => return Some(b"unix:".to_vec()),
            (Host::Absent, _) | (Host::Name, Action::Truncate { .. } | Action::BlackMarker) => return Some(b"-".to_vec()),
            (Host::Name, Action::Hash(_)) => None,
            (Host::Name, _) => return None,
            (Host::Ip(ip), _) => Some(ip),
        };
        match (self.action, ip, self.key) {
            (Action::Truncate { v4, v6 }, Some(ip), _) => truncated(ip, *v4, *v6),
            (Action::BlackMarker, Some(IpAddr::V4(_)), _) => Some(b"0.0.0.0".to_vec()),
            (Action::BlackMarker, Some(IpAddr::V6(_)), _) => shown(Ipv6Addr::UNSPECIFIED.into(), found.brackets),
            (_, Some(ip), None) => truncated(ip, 24, 32),
            (_, None, None) => None,
            (Action::EncryptPrefix, Some(ip), Some(key)) => {
                shown(ipcrypt_rs::IpcryptPfx::new(secret(key, b"logfade encrypt-prefix 1")).encrypt_ipaddr(unwrapped(ip)), found.brackets)
            }
            (Action::Hash(form), ip, Some(key)) => {
                let plain = match ip.map(unwrapped) {
                    Some(IpAddr::V4(four)) => four.octets().to_vec(),
                    Some(IpAddr::V6(six)) => six.octets().to_vec(),
                    None => found.name.strip_suffix(b".").unwrap_or(found.name).to_ascii_lowercase(),
                };
                let text = pseudonym(key, self.domain, &plain);
                match form {
                    Form::Hex => Some(text.into_bytes()),
                    Form::Address => shown(Ipv6Addr::from_bits(0xfd << 120 | u128::from_str_radix(&text, 16).ok()? >> 8).into(), found.brackets),
                }
            }
            _ => None,
        }
    }
}

fn cut_four(ip: Ipv4Addr, bits: u8) -> Ipv4Addr {
    IpNet::new(ip.into(), bits).map_or(ip, |net| if let IpAddr::V4(ip) = net.network() { ip } else { ip })
}

fn cut_six(ip: Ipv6Addr, bits: u8) -> Ipv6Addr {
    IpNet::new(ip.into(), bits).map_or(ip, |net| if let IpAddr::V6(ip) = net.network() { ip } else { ip })
}
