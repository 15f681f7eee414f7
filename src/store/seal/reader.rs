//! A sealed file decrypted while it is read: frame by frame, each piece authenticated before a byte of it is given out.

use super::frame::{AGE, HEAD, Head, SealId};
use super::keychain::{Gone, Keychain};
use age::x25519::Identity;
use age::{DecryptError, Decryptor};
use std::io::{self, BufReader, Cursor, Read};
use std::sync::{Arc, Mutex, PoisonError};

/// The longest header of an age file, in bytes: about 800 recipients.
const LONGEST: usize = 64 * 1024;

/// The rest of the file, and how much of it belongs to the frame that is being read.
struct Wire {
    reader: Box<dyn Read + Send>,
    /// Bytes of the frame that were not read yet; none outside frames, and in an age file without a frame.
    left: Option<u64>,
}

/// The bytes of one frame.
struct Inside(Arc<Mutex<Wire>>);

impl Read for Inside {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut wire = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(left) = wire.left else { return wire.reader.read(buffer) };
        let room = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(room) = buffer.get_mut(..room).filter(|room| !room.is_empty()) else { return Ok(0) };
        let count = wire.reader.read(room)?;
        if count == 0 {
            return Err(cut());
        }
        wire.left = Some(left - count as u64);
        Ok(count)
    }
}

type Frame = age::stream::StreamReader<io::Chain<Cursor<Vec<u8>>, BufReader<Inside>>>;

/// What a sealed file holds.
pub(in crate::store) struct Unsealed {
    wire: Arc<Mutex<Wire>>,
    keys: Keychain,
    frame: Option<Frame>,
    /// The stream that is open: its key, and the number of its next frame.
    stream: Option<(SealId, Identity, u64)>,
    /// One age file, without frames.
    bare: bool,
    begun: bool,
    failed: bool,
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the sealed file ends before its end mark: it is still being written, or was cut")
}

pub(super) fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Unsealed {
    /// `bare`: it is an age file and no sealed file.
    pub(in crate::store) fn new(reader: impl Read + Send + 'static, keys: &Keychain, bare: bool) -> Self {
        let wire = Wire { reader: Box::new(reader), left: None };
        Self { wire: Arc::new(Mutex::new(wire)), keys: keys.clone(), frame: None, stream: None, bare, begun: false, failed: false }
    }

    /// Begins the next frame; false behind the last end mark.
    fn next(&mut self) -> io::Result<bool> {
        if self.bare {
            if std::mem::replace(&mut self.begun, true) {
                return Ok(false);
            }
            let identities = self.keys.identities().map_err(io::Error::other)?;
            self.frame = Some(self.open(&identities)?);
            return Ok(true);
        }
        let mut bytes = [0; HEAD];
        let mut filled = 0;
        {
            let mut wire = self.wire.lock().unwrap_or_else(PoisonError::into_inner);
            wire.left = None;
            while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
                match wire.reader.read(room) {
                    Ok(0) if filled == 0 && self.stream.is_none() => return Ok(false),
                    Ok(0) => return Err(cut()),
                    Ok(count) => filled += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let head = Head::parse(&bytes).ok_or_else(|| damaged("what stands where a frame should begin is none"))?;
        let (seal, next) = self.stream.as_ref().map_or((head.seal, 0), |(seal, _, next)| (*seal, *next));
        if (head.seal, head.number) != (seal, next) {
            return Err(damaged("a frame of the sealed file is missing, or stands in another's place"));
        }
        if head.length == 0 {
            self.stream = None;
            return Ok(true);
        }
        let identity = match self.stream.take() {
            Some((_, identity, _)) => identity,
            None => self.keys.identity(seal).map_err(|(gone, _)| io::Error::other(gone))?,
        };
        self.wire.lock().unwrap_or_else(PoisonError::into_inner).left = Some(head.length);
        let frame = self.open(std::slice::from_ref(&identity))?;
        self.stream = Some((seal, identity, next + 1));
        self.frame = Some(frame);
        Ok(true)
    }

    /// Opens the age file that begins here.
    fn open(&self, identities: &[Identity]) -> io::Result<Frame> {
        let mut inside = BufReader::new(Inside(Arc::clone(&self.wire)));
        let head = header(&mut inside)?;
        let decryptor = Decryptor::new_buffered(Cursor::new(head).chain(inside)).map_err(fault)?;
        let identities = identities.iter().map(|identity| identity as &dyn age::Identity);
        decryptor.decrypt(identities).map_err(|error| if self.bare && matches!(error, DecryptError::NoMatchingKeys) { io::Error::other(Gone::Elsewhere) } else { fault(error) })
    }
}

/// The header of an age file and nothing behind it, so that a header without an end takes no memory.
fn header(inside: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut line = 0;
    let mut byte = [0];
    while head.len() < LONGEST {
        if inside.read(&mut byte)? == 0 {
            return Err(cut());
        }
        head.extend_from_slice(&byte);
        if head.len() <= AGE.len() && !AGE.starts_with(&head) {
            return Err(damaged("a frame of the sealed file is no age file"));
        }
        if byte == *b"\n" {
            if head.get(line..).is_some_and(|line| line.starts_with(b"---")) {
                return Ok(head);
            }
            line = head.len();
        }
    }
    Err(damaged("the header of an age file has no end"))
}

pub(super) fn fault(error: DecryptError) -> io::Error {
    // In age's words, which say nothing about keys or content.
    let said = error.to_string();
    if let DecryptError::Io(error) = error { error } else { io::Error::new(io::ErrorKind::InvalidData, said) }
}

impl Read for Unsealed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        // What comes behind damage is nothing that anybody should read.
        if self.failed {
            return Err(damaged("the sealed file is damaged"));
        }
        let result = self.advance(buffer);
        self.failed = result.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::Interrupted);
        result
    }
}

impl Unsealed {
    fn advance(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(frame) = &mut self.frame {
                match frame.read(buffer)? {
                    0 => self.frame = None,
                    count => return Ok(count),
                }
            }
            if self.wire.lock().unwrap_or_else(PoisonError::into_inner).left.is_some_and(|left| left > 0) {
                return Err(damaged("a frame of the sealed file is longer than what it holds"));
            }
            if !self.next()? {
                return Ok(0);
            }
        }
    }
}
