//! `logfade open`: a sealed file for the person who asks for it.

use crate::args::{Args, Open};
use crate::exit::Exit;
use crate::{Outcome, state};
use logfade::store::seal::{Keychain, pour};
use std::io::{self, IsTerminal, Write};

/// A terminal, to which a log may not speak.
struct Shown<W>(W);

impl<W: Write> Write for Shown<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let shown: Vec<u8> = bytes.iter().map(|byte| if byte.is_ascii_control() && !matches!(byte, b'\n' | b'\t') { b'?' } else { *byte }).collect();
        self.0.write_all(&shown).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Decrypts to standard output.
pub(crate) fn run(args: &Args, typed: &Open) -> Outcome {
    let keys = Keychain::of(&state::dir(args)?);
    let stdout = io::stdout().lock();
    let poured = if stdout.is_terminal() { pour(&typed.file, &keys, &mut Shown(stdout)) } else { pour(&typed.file, &keys, &mut io::BufWriter::new(stdout)) };
    match poured {
        Err(error) if error.is_broken_pipe() => Ok(Exit::Done),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(Exit::Done),
    }
}
