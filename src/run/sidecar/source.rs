//! Where a class's lines come from, and how a listener hands them over.

use crate::retain::{Class, Listen, RawGlob, Source as Said};
use crate::store::StoreError;
use crate::store::source::Stop;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;

/// Bytes that a listener gathers before it hands them over, unless its input pauses.
pub const GATHER: usize = 256 * 1024;

/// Handovers that may wait for the class. A listener that finds no room waits: that is how backpressure reaches the sender.
pub const WAITING: usize = 4;

/// Where the lines of a class come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Files that somebody else writes: can be read again, so that every line arrives exactly once.
    Files(Vec<RawGlob>),
    /// Syslog over a socket: what arrived is written or counted.
    Syslog(Listen),
    /// A named pipe: what was read is written or counted.
    Fifo(Listen),
    /// Standard input, the same.
    Stdin,
}

impl Source {
    /// The sources of a class.
    pub fn of(class: &Class) -> Vec<Self> {
        match &class.source {
            Said::Raw(globs) => vec![Self::Files(globs.clone())],
            Said::Listen(listen) => listen
                .iter()
                .map(|one| match one {
                    Listen::SyslogUnix(_) | Listen::SyslogUdp(_) | Listen::SyslogTcp(_) => Self::Syslog(one.clone()),
                    Listen::Fifo(_) => Self::Fifo(one.clone()),
                })
                .collect(),
        }
    }
}

/// Whole lines in the order in which they came. A listener has no position: what it handed over cannot be asked for again.
#[derive(Debug, Default)]
pub struct Heard {
    /// Lines, each with its end; envelopes are still around them.
    pub lines: Vec<u8>,
    /// Lines that were longer than the limit: they are counted as rejected, their bytes were skipped.
    pub too_long: u64,
    /// Messages of which it is known that they never arrived whole: torn frames, overflows that the system counts.
    pub lost: u64,
}

/// Something that listens on a thread of its own until it is told to stop; then it hands over what it has and ends.
#[derive(Debug)]
pub struct Listener {
    /// Its thread.
    pub thread: JoinHandle<()>,
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
pub type Open = fn(&Listen, Hearing) -> Result<Listener, StoreError>;
