//! Values that are too plain to hold an identifier.

/// Numbers, methods, protocols and times cannot hold an address: at most one dot and few marks.
#[inline]
#[expect(clippy::indexing_slicing, reason = "a table of 256 entries is indexed by a byte")]
pub(super) fn is_plain(bytes: &[u8]) -> bool {
    // One count in each byte of a word: dots, dashes, colons, and what has no place here.
    const WEIGHTS: [u32; 256] = {
        let mut weights = [1 << 24; 256];
        let mut byte = 0;
        while byte < 128 {
            weights[byte] = match byte as u8 {
                b'.' => 1,
                b'-' => 1 << 8,
                b':' => 1 << 16,
                b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b' ' | b'/' | b'+' | b',' => 0,
                _ => 1 << 24,
            };
            byte += 1;
        }
        weights
    };
    if bytes.len() > 64 {
        return false;
    }
    let sum: u32 = bytes.iter().map(|byte| WEIGHTS[*byte as usize]).sum();
    let [dots, dashes, colons, others] = sum.to_le_bytes();
    others == 0 && dots <= 1 && dashes <= 2 && (colons == 0 || (colons <= 3 && memchr::memmem::find(bytes, b"::").is_none()))
}
