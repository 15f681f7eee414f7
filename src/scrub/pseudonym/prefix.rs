//! ipcrypt-pfx (draft-denis-ipcrypt): addresses that share their first bits share them afterwards.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128Enc, Block};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use zeroize::Zeroizing;

/// Bits that are turned at once: an IPv4 address, or a quarter of an IPv6 address.
const WORD: usize = 32;

/// The two key schedules.
pub(super) struct Prefix {
    first: Aes128Enc,
    second: Aes128Enc,
}

impl Prefix {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        let schedule = |half: &[u8]| {
            let mut key = Zeroizing::new([0; 16]);
            key.copy_from_slice(half);
            Aes128Enc::new((&*key).into())
        };
        let (first, second) = key.split_at(16);
        Self { first: schedule(first), second: schedule(second) }
    }

    /// IPv4 stays IPv4, IPv6 stays IPv6.
    pub(super) fn encrypt(&self, addr: IpAddr) -> IpAddr {
        turn(addr, |seen, word| {
            // Every block is known beforehand, because it is made of plain bits.
            let mut blocks = [Block::default(); WORD];
            for (block, bit) in blocks.iter_mut().zip((0..WORD).rev()) {
                *block = Block::from(seen.to_be_bytes());
                *seen = *seen << 1 | u128::from(word >> bit & 1);
            }
            let mut others = blocks;
            self.first.encrypt_blocks(&mut blocks);
            self.second.encrypt_blocks(&mut others);
            word ^ blocks.iter().zip(&others).fold(0, |bits, (one, other)| bits << 1 | last_bit(one, other))
        })
    }

    /// The address that was encrypted.
    pub(super) fn decrypt(&self, addr: IpAddr) -> IpAddr {
        turn(addr, |seen, word| {
            (0..WORD).rev().fold(0, |plain, bit| {
                let (mut one, mut other) = (Block::from(seen.to_be_bytes()), Block::from(seen.to_be_bytes()));
                self.first.encrypt_block(&mut one);
                self.second.encrypt_block(&mut other);
                let found = (word >> bit & 1) ^ last_bit(&one, &other);
                *seen = *seen << 1 | u128::from(found);
                plain << 1 | found
            })
        })
    }
}

/// Turns an address word by word; `seen` is a separating one and the plain bits in front, the mapped prefix of IPv4 included.
fn turn(addr: IpAddr, mut word: impl FnMut(&mut u128, u32) -> u32) -> IpAddr {
    match addr {
        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(word(&mut (1 << 96 | 0xffff), v4.to_bits()))),
        IpAddr::V6(v6) => {
            let (bits, mut seen) = (v6.to_bits(), 1);
            let turned = [96, 64, 32, 0].into_iter().fold(0, |out: u128, shift| out << 32 | u128::from(word(&mut seen, (bits >> shift) as u32)));
            IpAddr::V6(Ipv6Addr::from_bits(turned))
        }
    }
}

fn last_bit(one: &Block, other: &Block) -> u32 {
    u32::from(one.last().zip(other.last()).map_or(0, |(one, other)| (one ^ other) & 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn key(hex: &str) -> [u8; 32] {
        let mut key = [0; 32];
        for (byte, at) in key.iter_mut().zip(0..) {
            *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
        }
        key
    }

    /// Numbers that only look random: the tests repeat.
    fn addresses() -> impl Iterator<Item = IpAddr> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u128;
        std::iter::from_fn(move || {
            state = state.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645).wrapping_add(0x5851_f42d_4c95_7f2d_1405_7b7e_f767_814f);
            let bits = state ^ state >> 64;
            Some(if bits & 1 == 0 { IpAddr::V4(Ipv4Addr::from_bits((bits >> 8) as u32)) } else { IpAddr::V6(Ipv6Addr::from_bits(bits)) })
        })
    }

    #[test]
    fn the_vectors_of_the_draft() {
        let Some(corpora) = std::env::var_os("LOGFADE_CORPORA").map(PathBuf::from) else { return };
        let Ok(text) = std::fs::read_to_string(corpora.join("vectors-ip/ipcrypt_test_vectors.json")) else { return };
        let vectors: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        let mut seen = 0;
        for vector in vectors.iter().filter(|vector| vector["variant"] == "ipcrypt-pfx") {
            let word = |name: &str| vector[name].as_str().unwrap();
            let prefix = Prefix::new(&key(word("key")));
            let (plain, crypt): (IpAddr, IpAddr) = (word("ip").parse().unwrap(), word("encrypted_ip").parse().unwrap());
            assert_eq!(prefix.encrypt(plain), crypt);
            assert_eq!(prefix.decrypt(crypt), plain);
            seen += 1;
        }
        assert_eq!(seen, 16);
    }

    #[test]
    fn says_what_another_implementation_says() {
        for (turn, mut bytes) in [[7_u8; 32], [0xa5; 32]].into_iter().enumerate() {
            bytes[turn] = 1;
            let (own, other) = (Prefix::new(&bytes), ipcrypt_rs::IpcryptPfx::new(bytes));
            for addr in addresses().take(5_000) {
                let crypt = own.encrypt(addr);
                assert_eq!(crypt, other.encrypt_ipaddr(addr), "{addr}");
                assert_eq!(own.decrypt(crypt), addr);
            }
        }
    }

    #[test]
    fn shared_bits_stay_shared_and_the_next_one_differs() {
        let prefix = Prefix::new(&key("2b7e151628aed2a6abf7158809cf4f3ca9f5ba40db214c3798f2e1c23456789a"));
        let bits = |addr: IpAddr| match addr {
            IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
            IpAddr::V6(v6) => v6.to_bits(),
        };
        for (addr, at) in addresses().zip((0..128).cycle()).take(4_000) {
            let other = match addr {
                IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() ^ 1 << (31 - at % 32))),
                IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() ^ 1 << (127 - at))),
            };
            let shared = (bits(addr) ^ bits(other)).leading_zeros();
            assert_eq!((bits(prefix.encrypt(addr)) ^ bits(prefix.encrypt(other))).leading_zeros(), shared);
        }
    }
}
