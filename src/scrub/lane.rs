//! The common case of the commonest format in one pass: a `combined` line without identity and user, with an ordinary request.
//!
//! Whatever is out of the ordinary is left to the general way; both write the same bytes, and a test holds them to it.

use super::act::Act;
use super::action::{Action, Precision};
use super::clean::{Clean, Tally};
use super::policy::Policy;
use super::tools::{Edit, Tools, Value};
use crate::format::{Field, Format, Text, time};
use memchr::memchr;

/// The acts of the four values that the lane works on; the others have to stay as they are.
pub(super) struct Lane {
    address: Act,
    path: Act,
    referrer: Act,
    agent: Act,
}

/// Ends a path, or needs a closer look.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const STOPS: [bool; 256] = {
    let mut stops = [false; 256];
    let marks = b" ?#%\\\"";
    let mut at = 0;
    while at < marks.len() {
        stops[marks[at] as usize] = true;
        at += 1;
    }
    stops
};

impl Lane {
    /// A lane for this format and policy, if there is one.
    pub(super) fn new(format: &Format, policy: &Policy) -> Option<Self> {
        let stays = |field| *policy.action(field) == Action::Keep;
        let time = matches!(policy.action(Field::Time), Action::Keep | Action::Precision(Precision::Second));
        let rest = [Field::Method, Field::Protocol, Field::Status, Field::Bytes].into_iter().all(stays);
        if format.name() != "combined" || !time || !rest || *policy.action(Field::Query) != Action::Drop {
            return None;
        }
        let act = |field| format.slots().iter().rev().find(|slot| slot.field == field && slot.name.is_empty()).map(|slot| Act::compile(slot, policy, format));
        Some(Self { address: act(Field::ClientAddr)?, path: act(Field::Path)?, referrer: act(Field::Referrer)?, agent: act(Field::UserAgent)? })
    }

    /// Writes the clean line without its end; false if the line is not the lane's, and then nothing is written.
    #[inline]
    pub(super) fn line(&self, line: &[u8], tools: &mut Tools, clean: &mut Clean, tally: &mut Tally) -> bool {
        let Some(cut) = cut(line) else { return false };
        let start = clean.len();
        let masked = tally.masked;
        let done = self.write(line, &cut, tools, clean, tally).is_some();
        if !done {
            clean.rewind(start);
            tally.masked = masked;
        }
        done
    }

    #[inline]
    fn write(&self, line: &[u8], cut: &Cut, tools: &mut Tools, clean: &mut Clean, tally: &mut Tally) -> Option<()> {
        let part = |from: usize, to: usize| line.get(from..to);
        let mut value = |act: &Act, from: usize, to: usize, text: Text, clean: &mut Clean| -> Option<()> {
            let (bytes, after) = line.get(from..)?.split_at_checked(to - from)?;
            match tools.apply(act, Value { bytes, text, after, key: b"" }).ok()? {
                Edit::Same => clean.put(bytes),
                Edit::Gone => clean.put(b"-"),
                Edit::Piece => clean.put(&tools.piece),
                Edit::Masked => {
                    tally.masked += tools.hits.len() as u64;
                    let mut at = 0;
                    for hit in &tools.hits {
                        clean.put(bytes.get(at..hit.start)?);
                        clean.put(b"-");
                        at = hit.end;
                    }
                    clean.put(bytes.get(at..)?);
                }
            }
            Some(())
        };
        value(&self.address, 0, cut.address, Text::Bare, clean)?;
        clean.put(part(cut.address, cut.path)?);
        value(&self.path, cut.path, cut.query, Text::Quoted, clean)?;
        clean.put(part(cut.protocol, cut.referrer)?);
        value(&self.referrer, cut.referrer, cut.agent - 3, Text::Quoted, clean)?;
        clean.put(b"\" \"");
        value(&self.agent, cut.agent, line.len() - 1, Text::Quoted, clean)?;
        clean.put(b"\"");
        Some(())
    }
}

/// Where the parts of a line begin or end.
struct Cut {
    /// End of the address.
    address: usize,
    path: usize,
    /// End of the path.
    query: usize,
    /// The blank in front of the protocol.
    protocol: usize,
    referrer: usize,
    agent: usize,
}

#[inline]
#[expect(clippy::indexing_slicing, reason = "a table of 256 entries is indexed by a byte")]
fn cut(line: &[u8]) -> Option<Cut> {
    let address = memchr(b' ', line)?;
    let (front, rest) = line.get(address..)?.split_first_chunk::<6>()?;
    let (stamp, rest) = rest.split_first_chunk::<26>()?;
    if front != b" - - [" || !time::is_clf(stamp) {
        return None;
    }
    let method = match rest {
        [b']', b' ', b'"', b'G', b'E', b'T', b' ', b'/', ..] => 3,
        [b']', b' ', b'"', b'P', b'O', b'S', b'T', b' ', b'/', ..] | [b']', b' ', b'"', b'H', b'E', b'A', b'D', b' ', b'/', ..] => 4,
        _ => return None,
    };
    let path = address + 6 + 26 + 3 + method + 1;
    let mut query = path + 1;
    if line.get(query) == Some(&b'/') {
        return None;
    }
    loop {
        query += line.get(query..)?.iter().position(|byte| STOPS[*byte as usize])?;
        match line.get(query..)? {
            // A percent sign that hides a mark is for the general way.
            [b'%', b'2', b'5' | b'3', ..] | [b'%', b'3', b'F' | b'f', ..] => return None,
            [b'%', ..] => query += 1,
            [b' ' | b'?' | b'#', ..] => break,
            _ => return None,
        }
    }
    let quote = if line.get(query) == Some(&b' ') { query + 9 } else { query + memchr(b'"', line.get(query..)?)? };
    let protocol = quote.checked_sub(9).filter(|at| *at >= query)?;
    match line.get(protocol..)? {
        [b' ', b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9', b'"', b' ', b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b' ', ..] => {}
        _ => return None,
    }
    let bytes = quote + 6;
    let width = match line.get(bytes..)? {
        [b'-', ..] => 1,
        rest => rest.iter().position(|byte| !byte.is_ascii_digit()).filter(|width| (1..20).contains(width))?,
    };
    let (front, rest) = line.get(bytes + width..)?.split_first_chunk::<2>()?;
    let referrer = bytes + width + 2;
    let end = memchr(b'"', rest)?;
    let agent = referrer + end + 3;
    let (_, behind) = rest.split_at_checked(end)?;
    if front != b" \"" || !behind.starts_with(b"\" \"") || line.get(referrer + end - 1) == Some(&b'\\') {
        return None;
    }
    let last = agent + memchr(b'"', line.get(agent..)?)?;
    (last + 1 == line.len() && line.get(last - 1) != Some(&b'\\')).then_some(Cut { address, path, query, protocol, referrer, agent })
}
