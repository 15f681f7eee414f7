//! The index at the end of a finished `.zst` file: where each of its frames begins, so that a reader can enter in the middle.
//!
//! Zstandard Seekable Format 0.1.0 (`contrib/seekable_format/zstd_seekable_compression_format.md` of facebook/zstd): a skippable frame, which
//! every decoder passes over. The frames' own checksums are not repeated in it.

/// `Skippable_Magic_Number` of the seek table.
const MAGIC: u32 = 0x184d_2a5e;
/// `Seekable_Magic_Number`, the last four bytes.
const END: u32 = 0x8f92_eab1;
/// Frames that a table may have.
const FRAMES_MOST: u32 = 0x0800_0000;
/// Bytes of the footer.
const FOOTER: u32 = 9;

/// Sizes of the frames so far, in order.
#[derive(Debug, Default)]
pub(in crate::store) struct SeekTable {
    entries: Vec<u8>,
    frames: u32,
    /// A frame does not fit: there is no table.
    is_lost: bool,
}

impl SeekTable {
    /// A frame was written.
    pub(in crate::store) fn note(&mut self, encoded: usize, decoded: usize) {
        match (u32::try_from(encoded), u32::try_from(decoded)) {
            (Ok(encoded), Ok(decoded)) if self.frames < FRAMES_MOST => {
                self.entries.extend(encoded.to_le_bytes());
                self.entries.extend(decoded.to_le_bytes());
                self.frames += 1;
            }
            _ => self.is_lost = true,
        }
    }

    /// The skippable frame that ends the file; nothing where there is nothing to seek in.
    pub(in crate::store) fn finish(self) -> Vec<u8> {
        let size = self.frames.checked_mul(8).and_then(|size| size.checked_add(FOOTER));
        let Some(size) = size.filter(|_| self.frames > 0 && !self.is_lost) else { return Vec::new() };
        // Descriptor 0: no checksums.
        [&MAGIC.to_le_bytes()[..], &size.to_le_bytes(), &self.entries, &self.frames.to_le_bytes(), &[0], &END.to_le_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_as_the_format_says() {
        let mut table = SeekTable::default();
        table.note(3, 1000);
        table.note(0x0102_0304, 7);
        let bytes = table.finish();
        assert_eq!(bytes, [0x5e, 0x2a, 0x4d, 0x18, 25, 0, 0, 0, 3, 0, 0, 0, 0xe8, 3, 0, 0, 4, 3, 2, 1, 7, 0, 0, 0, 2, 0, 0, 0, 0, 0xb1, 0xea, 0x92, 0x8f]);
        assert_eq!(SeekTable::default().finish(), b"");
        let mut lost = SeekTable::default();
        lost.note(1, 1 << 33);
        assert_eq!(lost.finish(), b"");
    }
}
