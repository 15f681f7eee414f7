//! What stood in each place of the line before: hosts, names of servers and times are often the same from line to line.

use super::{Act, Edit, Reject, Tools, Value};
use crate::format::Text;
use std::ops::Range;

/// Longer values are worked on each time.
const VALUE_BYTES_MAX: usize = 256;

/// The last value of a place, and what became of it.
#[derive(Debug, Default)]
pub(super) struct Last {
    value: Vec<u8>,
    became: Option<(Text, Edit)>,
    piece: Vec<u8>,
    hits: Vec<Range<usize>>,
}

impl Act {
    /// Whether the same value always becomes the same, and comparing it costs less than to work on it again.
    const fn is_steady(&self) -> bool {
        matches!(self, Self::Scan | Self::Host | Self::Word | Self::Time(_))
    }
}

impl Tools {
    /// Applies the act of a place, whose number no other place has; an error rejects the line.
    #[inline]
    pub(crate) fn apply_in(&mut self, place: usize, act: &Act, value: Value<'_>) -> Result<Edit, Reject> {
        if !act.is_steady() || value.bytes.len() > VALUE_BYTES_MAX {
            return self.apply(act, value);
        }
        if let Some(Last { value: before, became: Some((text, edit)), piece, hits }) = self.lasts.get(place)
            && *text == value.text
            && *before == value.bytes
        {
            match edit {
                Edit::Same | Edit::Gone => {}
                Edit::Piece => self.piece.clone_from(piece),
                Edit::Masked => self.hits.clone_from(hits),
            }
            return Ok(*edit);
        }
        let edit = self.apply(act, value)?;
        if self.lasts.len() <= place {
            self.lasts.resize_with(place + 1, Last::default);
        }
        if let Some(last) = self.lasts.get_mut(place) {
            last.value.clear();
            last.value.extend_from_slice(value.bytes);
            last.became = Some((value.text, edit));
            match edit {
                Edit::Same | Edit::Gone => {}
                Edit::Piece => last.piece.clone_from(&self.piece),
                Edit::Masked => last.hits.clone_from(&self.hits),
            }
        }
        Ok(edit)
    }
}
