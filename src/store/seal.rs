//! Sealed files: written only encrypted, so that a destroyed key ends every copy of them, in backups and snapshots as well.
//!
//! # The file
//!
//! A sealed file is one or more streams, one behind the other; a stream is frames with numbers from 0, and an end mark.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | the magic `89 4c 46 53 45 41 4c 01` (`\x89LFSEAL`, version 1) |
//! | 8 | the name of the seal key |
//! | 8 | the frame's number in its stream, big-endian |
//! | 8 | the length of what follows, big-endian; 0: the end mark, which has the number of the frame that would come next |
//! | length | a complete age file (<https://age-encryption.org/v1>) with one X25519 recipient |
//!
//! What the age files of a stream hold, one behind the other, is the log, plain or compressed. A file without its end mark is
//! still being written, or was cut: its whole frames can be read, and then there is an error. A writer that starts again cuts
//! back what lies behind the last whole frame. Without the 32 bytes in front of it, a frame opens with `age -d -i KEYFILE`,
//! and an age file that somebody made for the public half of a seal key opens as a sealed file does.

mod frame;
mod growing;
mod keychain;
mod pour;
mod reader;
mod sealer;
#[cfg(test)]
mod tests;

pub use frame::SealId;
pub use keychain::{Keychain, Seal, SealKey, SealState};
pub use pour::pour;
pub use sealer::{Sealed, Sealer, Sealing};

pub(in crate::store) use frame::{AGE, MAGIC, seals_of};
pub(in crate::store) use growing::{Frames, Spot};
pub(in crate::store) use keychain::{Gone, gone};
pub(in crate::store) use reader::Unsealed;
pub(in crate::store) use sealer::{Appendix, Envelope, put};
