//! Lines that others hand over: syslog on sockets, and named pipes; each listener on a thread of its own.
//!
//! What has arrived is written or counted. What a sender could not get rid of, or the system dropped in front of a full socket,
//! never arrived: datagrams and plain TCP promise no more than that.

mod datagram;
mod door;
mod fifo;
mod framing;
mod stream;

use super::source::Stop;
use super::{Cause, StoreError};
use crate::retain::{Door, Listen};
use rustix::event::{PollFd, Timespec, poll};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::thread::JoinHandle;

/// Bytes that a listener gathers before it hands them over, unless its input pauses.
pub const GATHER: usize = 256 * 1024;

/// Bytes that a listener gathers while nobody takes them; then it stops reading, and the sender has to wait.
const MOST: usize = 4 * 1024 * 1024;

/// Bytes that are read once it is told to stop: what stood in the socket by then, but not for ever.
const DRAIN: usize = 4 * 1024 * 1024;

/// How often a listener looks whether it is to stop.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Whole lines in the order in which they came. What was handed over cannot be asked for again.
#[derive(Debug, Default)]
pub struct Heard {
    /// Lines, each with its end; envelopes are still around them.
    pub lines: Vec<u8>,
    /// Lines that were longer than the limit: they are counted as rejected, their bytes were skipped.
    pub too_long: u64,
    /// Messages of which it is known that they never arrived whole: torn frames, overflows that the system counts.
    pub lost: u64,
}

impl Heard {
    const fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.too_long == 0 && self.lost == 0
    }
}

/// Something that listens on a thread of its own until it is told to stop; then it hands over what it has and ends.
#[derive(Debug)]
pub struct Listener {
    /// Its thread.
    pub thread: JoinHandle<()>,
    /// Where it listens; a port 0 has become a real one.
    pub place: String,
}

/// What a listener is given.
#[derive(Clone, Debug)]
pub struct Hearing {
    /// Where it hands lines over; a closed channel ends it.
    pub to: SyncSender<Heard>,
    /// Says when to end.
    pub stop: Stop,
    /// The longest line, in bytes.
    pub max_line: usize,
}

/// Opens a listener; the error is one of setting it up.
pub fn open(listen: &Listen, hearing: Hearing) -> Result<Listener, StoreError> {
    let gather = Gather { hearing, heard: Heard::default() };
    match listen {
        Listen::SyslogUnix(door) => datagram::unix(door, gather),
        Listen::SyslogUdp(address) => datagram::udp(*address, gather),
        Listen::SyslogUnixStream(door) => stream::unix(door, gather),
        Listen::SyslogTcp(address) => stream::tcp(*address, gather),
        Listen::Fifo(door) => fifo::open(door, gather),
    }
}

fn spawn(place: String, listen: impl FnOnce() + Send + 'static) -> Result<Listener, StoreError> {
    let path = PathBuf::from(&place);
    let thread = std::thread::Builder::new().name("listen".to_owned()).spawn(listen).map_err(StoreError::io("listen on", &path))?;
    Ok(Listener { thread, place })
}

fn refused(door: &Door, why: &'static str, remedy: &'static str) -> StoreError {
    StoreError { verb: "listen on", path: door.path.clone(), cause: Cause::Refused { why, remedy } }
}

fn failed(path: &Path) -> impl FnOnce(rustix::io::Errno) -> StoreError {
    let fail = StoreError::io("listen on", path);
    |errno| fail(io::Error::from(errno))
}

/// Nobody takes lines any more.
#[derive(Debug)]
struct Gone;

/// What a listener has heard and not handed over yet.
struct Gather {
    hearing: Hearing,
    heard: Heard,
}

impl Gather {
    fn is_stopped(&self) -> bool {
        self.hearing.stop.is_stopped()
    }

    /// Waits a moment for any of them to be readable.
    fn wait(fds: &mut [PollFd<'_>]) {
        // Interrupted, or short of memory: the next look tells.
        let _waited = poll(fds, Some(&LOOK));
    }

    /// Hands over what there is, if there is room for it or no room left here.
    fn hand_over(&mut self) -> Result<(), Gone> {
        if self.heard.is_empty() {
            return Ok(());
        }
        match self.hearing.to.try_send(std::mem::take(&mut self.heard)) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(heard)) if heard.lines.len() < MOST => {
                self.heard = heard;
                Ok(())
            }
            Err(TrySendError::Full(heard)) => self.hearing.to.send(heard).map_err(|_closed| Gone),
            Err(TrySendError::Disconnected(_)) => Err(Gone),
        }
    }

    /// Hands over all of it, at the end.
    fn finish(self) {
        if !self.heard.is_empty() {
            // Whoever listened to this has ended before.
            drop(self.hearing.to.send(self.heard));
        }
    }
}
