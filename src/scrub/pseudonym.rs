//! Keyed pseudonyms: what `hash` and `encrypt-prefix` write, under the key of a record's period.
//!
//! There is no unkeyed form: whoever can guess the input could undo it. Where the key of a period comes from is not known
//! here ([`KeySource`]); where there is none, the caller truncates.

mod keys;
mod period;
mod prefix;
mod ratchet;

use super::address::write::write_v6;
use hmac::{Hmac, KeyInit, Mac};
use prefix::Prefix;
use sha2::Sha256;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use zeroize::Zeroizing;

pub use keys::KeySource;
pub(crate) use keys::{Asked, Keyed, Keys};
pub use period::{NoPeriod, Period};
pub(crate) use ratchet::Ratchet;

const HASH: &[u8] = b"logfade hash 1";
const ENCRYPT_PREFIX: &[u8] = b"logfade encrypt-prefix 1";
const NAME: &[u8] = b"logfade name 1";

/// HMAC-SHA-256 keyed. A key shorter than the block is filled up with zeros by definition (RFC 2104), so that nothing can fail.
fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    let mut block = Zeroizing::new([0; 64]);
    let (front, _) = block.split_at_mut(32);
    front.copy_from_slice(key);
    Hmac::new((&*block).into())
}

/// HKDF-Extract without salt (RFC 5869).
fn extract(secret: &[u8]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(keyed(&[0; 32]).chain_update(secret).finalize().into_bytes().into())
}

/// The first 32 bytes of HKDF-Expand (RFC 5869).
fn expand(key: &[u8; 32], info: &[u8]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(keyed(key).chain_update(info).chain_update([1]).finalize().into_bytes().into())
}

/// The key of one period: schedules of the two keys that are derived from it. Zeroized on drop; `Debug` prints nothing of it.
///
/// ```compile_fail
/// let key = logfade::scrub::PeriodKey::from_bytes(&[0; 32]); // only the key directory makes keys
/// ```
pub struct PeriodKey {
    hash: Hmac<Sha256>,
    prefix: Prefix,
    /// Tells this key from others, and says nothing about it.
    name: [u8; 16],
}

impl PeriodKey {
    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut name = [0; 16];
        name.copy_from_slice(expand(bytes, NAME).split_at(16).0);
        Self { hash: keyed(&expand(bytes, HASH)), prefix: Prefix::new(&expand(bytes, ENCRYPT_PREFIX)), name }
    }

    /// HMAC-SHA-256 over domain and value. The length in front keeps `ab` + `c` apart from `a` + `bc`.
    fn tag(&self, domain: &str, value: &[u8]) -> [u8; 32] {
        let mut hash = self.hash.clone();
        hash.update(&(domain.len() as u32).to_be_bytes());
        hash.update(domain.as_bytes());
        hash.update(value);
        hash.finalize().into_bytes().into()
    }

    /// The first 128 bits of the pseudonym as 32 hex digits.
    ///
    /// `domain` separates fields: the same value under `user` and under `cookie:session` has two pseudonyms. An address is
    /// given as its 4 or 16 bytes, so that every way of writing it has one pseudonym.
    pub(crate) fn hex(&self, domain: &str, value: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&hex(&self.bits(domain, value)));
    }

    /// The first 128 bits.
    fn bits(&self, domain: &str, value: &[u8]) -> [u8; 16] {
        self.tag(domain, value).first_chunk().copied().unwrap_or_default()
    }

    /// The first 120 bits of the pseudonym as an address in `fd00::/8` (RFC 4193), for tools that need an address.
    pub(crate) fn address(&self, domain: &str, value: &[u8], out: &mut Vec<u8>) {
        write_v6(self.address_of(domain, value), out);
    }

    fn address_of(&self, domain: &str, value: &[u8]) -> Ipv6Addr {
        let tag = self.tag(domain, value);
        let bits = tag.first_chunk().map_or(0, |bytes| u128::from_be_bytes(*bytes));
        Ipv6Addr::from_bits(bits >> 8 | 0xfd << 120)
    }

    /// ipcrypt-pfx: keeps what addresses share in their first bits; IPv4 stays IPv4.
    pub(crate) fn encrypt_prefix(&self, addr: IpAddr) -> IpAddr {
        self.prefix.encrypt(addr)
    }

    /// The address that `encrypt-prefix` was given. Shows raw data to the holder of the key.
    pub fn decrypt_prefix(&self, addr: IpAddr) -> IpAddr {
        self.prefix.decrypt(addr)
    }
}

impl fmt::Debug for PeriodKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeriodKey").finish_non_exhaustive()
    }
}

fn hex(bits: &[u8; 16]) -> [u8; 32] {
    let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
    let mut text = [0; 32];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bits) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn named(key: &PeriodKey, domain: &str, value: &[u8]) -> String {
        let mut out = Vec::new();
        key.hex(domain, value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_vectors_of_rfc_5869_and_rfc_4231() {
        // RFC 5869, test case 3: no salt, no info.
        let prk = extract(&[0x0b; 22]);
        assert_eq!(text(&*prk), "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04");
        assert_eq!(text(&*expand(&prk, b"")), "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
        // RFC 4231, test case 1, its key of 20 bytes filled up.
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        let tag: [u8; 32] = keyed(&key).chain_update(b"Hi There").finalize().into_bytes().into();
        assert_eq!(text(&tag), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    }

    #[test]
    fn outputs_that_other_versions_must_repeat() {
        let key = PeriodKey::from_bytes(&std::array::from_fn(|at| at as u8));
        let mut address = Vec::new();
        key.address("client_addr", &[192, 0, 2, 1], &mut address);
        assert_eq!(named(&key, "client_addr", &[192, 0, 2, 1]), "4a573d2985a8eaefaaeb3ab61c7a6b09");
        assert_eq!(String::from_utf8(address).unwrap(), "fd4a:573d:2985:a8ea:efaa:eb3a:b61c:7a6b");
        // Both were made with the HMAC of another language from this module's documentation.
        let derived = *expand(&std::array::from_fn(|at| at as u8), ENCRYPT_PREFIX);
        let addr = "192.0.2.1".parse().unwrap();
        assert_eq!(key.encrypt_prefix(addr), ipcrypt_rs::IpcryptPfx::new(derived).encrypt_ipaddr(addr));
    }

    #[test]
    fn key_domain_and_value_each_change_the_pseudonym() {
        let (one, other) = (PeriodKey::from_bytes(&[1; 32]), PeriodKey::from_bytes(&[2; 32]));
        let mut seen = std::collections::BTreeSet::new();
        for key in [&one, &other] {
            for (domain, value) in [("user", "bob"), ("user", "bo"), ("userb", "ob"), ("", "userbob"), ("user", ""), ("cookie:user", "bob")] {
                assert!(seen.insert(named(key, domain, value.as_bytes())), "{domain} {value}");
            }
        }
        assert!(seen.iter().all(|name| name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))));
        assert_eq!(named(&one, "user", b"bob"), named(&PeriodKey::from_bytes(&[1; 32]), "user", b"bob"));
    }

    #[test]
    fn the_address_carries_the_first_bits_of_the_hex() {
        let key = PeriodKey::from_bytes(&[9; 32]);
        for value in 0..=255 {
            let name = named(&key, "client_addr", &[10, 0, 0, value]);
            let addr = key.address_of("client_addr", &[10, 0, 0, value]);
            assert_eq!(format!("fd{}", &name[..30]), format!("{:032x}", addr.to_bits()));
        }
    }

    #[test]
    fn all_of_2_to_the_16_addresses_are_found_with_the_key_and_none_without() {
        let (key, successor) = (PeriodKey::from_bytes(&[3; 32]), PeriodKey::from_bytes(&expand(&[3; 32], b"next")));
        let secret = named(&key, "client_addr", &[198, 51, 100, 77]);
        let hits = |key: &PeriodKey| (0..=u16::MAX).filter(|low| named(key, "client_addr", &[198, 51, (low >> 8) as u8, *low as u8]) == secret).count();
        assert_eq!((hits(&key), hits(&successor)), (1, 0));
    }

    #[test]
    fn debug_prints_nothing_of_the_key() {
        assert_eq!(format!("{:?}", PeriodKey::from_bytes(&[0xab; 32])), "PeriodKey { .. }");
    }
}
