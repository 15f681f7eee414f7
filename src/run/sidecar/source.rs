//! Where a class's lines come from.

use crate::retain::{Class, Listen, RawGlob, Source as Said};

/// Where the lines of a class come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Files that somebody else writes: can be read again, so that every line arrives exactly once.
    Files(Vec<RawGlob>),
    /// Syslog over a socket: what arrived is written or counted.
    Syslog(Listen),
    /// A named pipe: what was read is written or counted.
    Fifo(Listen),
}

impl Source {
    /// The sources of a class.
    pub fn of(class: &Class) -> Vec<Self> {
        match &class.source {
            Said::Raw(globs) => vec![Self::Files(globs.clone())],
            Said::Listen(listen) => listen
                .iter()
                .map(|one| match one {
                    Listen::SyslogUnix(_) | Listen::SyslogUnixStream(_) | Listen::SyslogUdp(_) | Listen::SyslogTcp(_) => Self::Syslog(one.clone()),
                    Listen::Fifo(_) => Self::Fifo(one.clone()),
                })
                .collect(),
        }
    }
}
