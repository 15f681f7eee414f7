//! A sealed file, opened for the person who asks for it.

use super::keychain::Keychain;
use crate::store::keys::private::{TRUST, refused};
use crate::store::source::{Codec, decoder, fault};
use crate::store::{Cause, StoreError};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes of one step.
const STEP: usize = 128 * 1024;

/// Writes what a sealed file holds, decoded. Behind an error, what came in front of it is written.
pub fn pour(path: &Path, keys: &Keychain, to: &mut dyn Write) -> Result<(), StoreError> {
    let file = File::open(path).map_err(StoreError::io("open", path))?;
    let mut head = [0; 32];
    let known = file.read_at(&mut head, 0).map_err(StoreError::io("read", path))?;
    let codec = Codec::sniff(head.get(..known).unwrap_or_default());
    match codec {
        Codec::Sealed | Codec::Age => {}
        Codec::Plain | Codec::Gzip | Codec::Zstd | Codec::Bzip2 | Codec::Xz => {
            return Err(refused("open", path, "this file is not sealed", "read it as it is; zcat and zstdcat open compressed ones"));
        }
    }
    let mut reader = decoder(codec, file, keys).map_err(StoreError::io("read", path))?;
    let mut buffer = vec![0; STEP];
    let stdout = || StoreError::io("write", Path::new("stdout"));
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return to.flush().map_err(stdout()),
            Ok(count) => to.write_all(buffer.get(..count).unwrap_or_default()).map_err(stdout())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                to.flush().map_err(stdout())?;
                let error = fault(codec, path, error);
                // Nothing is the matter with the file: it is not to be read.
                let is_key = error.verb == "decode" && matches!(error.cause, Cause::Refused { .. });
                return Err(if is_key { StoreError { verb: TRUST, ..error } } else { error });
            }
        }
    }
}
