//! Where the clean bytes of a form go, and what a sink says about having them.

use crate::retain::{Form, Output};
use crate::scrub::Clean;
use crate::store::StoreError;
use crate::store::http::{Http, Retry};
use crate::store::sink::{Compress, Sink as Stream};
use std::path::PathBuf;

/// Clean bytes that one handover holds at most, unless a line is longer.
pub const BATCH: usize = 512 * 1024;

/// Where a form goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Segments in a directory: cut back to their commit, so that every line is there exactly once.
    Segment(PathBuf),
    /// Standard output: proves nothing.
    Stdout,
    /// A receiver that acknowledges: at least once.
    Http(String),
}

impl Kind {
    /// Where a form goes; none for what is not written as it comes.
    pub fn of(form: &Form) -> Option<Self> {
        form.output.as_ref().map(|output| match output {
            Output::Directory(path) => Self::Segment(path.clone()),
            Output::Stdout => Self::Stdout,
            Output::Http(url) => Self::Http(url.clone()),
        })
    }
}

/// A number that a sink gives a batch; batches are acknowledged in the order of their numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What a stream or a receiver answers to a batch.
#[derive(Debug)]
pub enum Answer {
    /// It has the batch; it is acknowledged when [`Remote::acknowledged`] reaches this number.
    Taken(Ticket),
    /// Another batch is on its way: ask again later. The source position waits meanwhile.
    Busy,
}

/// A sink that is not a file of ours.
pub enum Remote {
    /// Standard output.
    Stdout {
        /// The stream.
        stream: Stream,
        /// The last batch that was written.
        last: Ticket,
    },
    /// A receiver over HTTP.
    Http(Http),
}

impl Remote {
    /// Standard output.
    pub fn stdout() -> Result<Self, StoreError> {
        Ok(Self::Stdout { stream: Stream::stdout(Compress::None)?, last: Ticket::default() })
    }

    /// A receiver over HTTP, told of which class and form the lines are.
    pub fn http(url: &str, class: &str, form: &str) -> Result<Self, StoreError> {
        Http::open(url, &[("class", class), ("form", form)], Retry::default()).map(Self::Http)
    }

    /// How often something was sent again.
    pub fn retries(&self) -> u64 {
        match self {
            Self::Stdout { .. } => 0,
            Self::Http(http) => http.retries(),
        }
    }

    /// Offers a batch of whole lines. Never waits for the network.
    pub fn offer(&mut self, clean: &Clean) -> Result<Answer, StoreError> {
        match self {
            Self::Stdout { stream, last } => {
                stream.write(clean)?;
                last.0 += 1;
                Ok(Answer::Taken(*last))
            }
            Self::Http(http) => Ok(http.offer(clean).map_or(Answer::Busy, |number| Answer::Taken(Ticket(number)))),
        }
    }

    /// The last batch that is where it should be, with all before it.
    pub fn acknowledged(&self) -> Ticket {
        match self {
            Self::Stdout { last, .. } => *last,
            Self::Http(http) => Ticket(http.acknowledged()),
        }
    }
}
