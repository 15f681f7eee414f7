//! The raw log that a form reads: a file that somebody else writes, or the segment in which this program keeps what it hears.

use crate::retain::ledger::Keyed;
use crate::run::catalog::MAX_LINE;
use crate::store::StoreError;
use crate::store::source::Block;
use crate::store::spool::Spool;
use crate::store::trail::{Head, Piece, Trail};

/// A raw log.
pub(super) enum Raw<'a> {
    Trail(&'a mut Trail),
    /// Nobody else writes it: what stood in front of a position stands there still.
    Spool(&'a mut Spool),
}

impl Raw<'_> {
    /// The digest of what stands in front of a position.
    pub(super) fn seam(&self, position: u64) -> Result<Option<Keyed>, StoreError> {
        match self {
            Self::Trail(trail) => trail.seam(position),
            Self::Spool(_) => Ok(None),
        }
    }

    /// What a log begins with of which these bytes were read at its beginning.
    pub(super) fn head_of(&self, bytes: &[u8]) -> Option<Head> {
        match self {
            Self::Trail(trail) => Some(trail.head_of(bytes)),
            Self::Spool(_) => None,
        }
    }

    /// What stands in front of a position.
    pub(super) fn tail(&self, position: u64) -> Result<Vec<u8>, StoreError> {
        match self {
            Self::Trail(trail) => trail.tail(position),
            Self::Spool(_) => Ok(Vec::new()),
        }
    }

    /// Moves a tail on over lines that were read, and says what has to stand in front of the next position.
    pub(super) fn sew(&self, tail: &mut Vec<u8>, lines: &[u8]) -> Option<Keyed> {
        match self {
            Self::Trail(trail) => Some(trail.sew(tail, lines)),
            Self::Spool(_) => None,
        }
    }

    /// Reads whole lines from a position on; `last` takes a line without its end as well.
    pub(super) fn read(&mut self, (position, seam): (u64, Option<Keyed>), last: bool, block: &mut Block) -> Result<Piece, StoreError> {
        match self {
            Self::Trail(trail) => trail.read((position, seam), (MAX_LINE, last), block),
            Self::Spool(spool) => spool.read(position, block),
        }
    }
}
