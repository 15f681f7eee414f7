//! A named pipe: bare lines, from one writer after the other.

use super::framing::Framing;
use super::{DRAIN, GATHER, Gather, Listener, door, spawn};
use crate::retain::Door;
use crate::store::StoreError;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// Bytes of one read: what a pipe holds.
const READ: usize = 64 * 1024;

pub(super) fn open(place: &Door, gather: Gather) -> Result<Listener, StoreError> {
    door::fifo(place)?;
    let reader = door::reader(&place.path)?;
    let path = place.path.clone();
    spawn(format!("fifo {}", path.display()), move || run(reader, path, gather))
}

/// What a read gave.
enum Read {
    /// All that was there, or as much as is taken at once.
    Some,
    /// The last writer has closed it.
    End,
    /// It is broken.
    Broken,
}

fn run(mut reader: OwnedFd, path: PathBuf, mut gather: Gather) {
    let mut framing = Framing::lines(gather.hearing.max_line);
    let mut buffer = vec![0; READ];
    while !gather.is_stopped() {
        Gather::wait(&mut [PollFd::new(&reader, PollFlags::IN)]);
        match read(&reader, &mut framing, (&mut gather, &mut buffer), GATHER) {
            Read::Some => {}
            Read::End => {
                // The new reader is there before the old one goes: a writer in between finds one.
                framing.end(&mut gather.heard);
                match door::reader(&path) {
                    Ok(next) => reader = next,
                    Err(_gone) => break,
                }
            }
            Read::Broken => break,
        }
        if gather.hand_over().is_err() {
            break;
        }
    }
    if let Read::End = read(&reader, &mut framing, (&mut gather, &mut buffer), DRAIN) {
        framing.end(&mut gather.heard);
    }
    // A line whose end is still to be written cannot be waited for.
    framing.leave(&mut gather.heard);
    gather.finish();
}

fn read(reader: &OwnedFd, framing: &mut Framing, (gather, buffer): (&mut Gather, &mut [u8]), most: usize) -> Read {
    let mut taken = 0;
    while taken < most {
        match rustix::io::read(reader, &mut *buffer) {
            Ok(0) => return Read::End,
            Ok(count) => {
                framing.feed(buffer.get(..count).unwrap_or_default(), &mut gather.heard);
                taken += count;
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Read::Some,
            Err(_broken) => return Read::Broken,
        }
    }
    Read::Some
}
