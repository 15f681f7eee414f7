//! The common case of the commonest format in one pass: a `combined` line without identity, with an ordinary request.
//!
//! Whatever is out of the ordinary is left to the general way; both write the same bytes, and a test holds them to it.
//! A value that was seen before is not looked at again: that it equals the one in the memo says all that is known of it.

use super::act::{Act, AddressAct};
use super::action::{Action, Form, Precision};
use super::clean::Tally;
use super::memo::{Kept, Memos, Spot};
use super::policy::Policy;
use super::tools::{Edit, Tools, Value};
use super::url;
use super::watch::Watch;
use crate::format::word::{Masks, digits, dotted, first};
use crate::format::{Field, Format, Text, is_address, time};
use std::sync::Arc;

/// The acts of the values that the lane works on; the others have to stay as they are.
pub(super) struct Lane {
    /// Whether the last number of an IPv4 address becomes 0, whoever's it is.
    last_octet: bool,
    /// Where an address becomes a pseudonym, whoever's it is, what keeps it apart from those of other fields.
    hashed: Option<Arc<str>>,
    /// Whether pseudonyms are made, under the key of the record's own time.
    keyed: bool,
    address: Act,
    user: Act,
    path: Act,
    referrer: Act,
    agent: Act,
}

/// Bytes of [`Tools::room`]: it stays in the processor's nearest cache.
pub(super) const ROOM: usize = 8192;

/// The protocol behind a path.
const PROTOCOL: Masks = Masks::of(b" HTTP/d.");
/// Its end, and the status.
const STATUS: Masks = Masks::of(b"d\" ddd z");

/// Has no place in an ordinary path, or needs a closer look.
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
        let address = act(Field::ClientAddr)?;
        let last_octet = matches!(address, Act::Address(AddressAct::Truncate(24, _))) && policy.except().is_empty();
        let hashed = if let Act::Address(AddressAct::Hash(Form::Hex, domain)) = &address
            && policy.except().is_empty()
        {
            Some(Arc::clone(domain))
        } else {
            None
        };
        let mut lane =
            Self { last_octet, hashed, keyed: false, address, user: act(Field::User)?, path: act(Field::Path)?, referrer: act(Field::Referrer)?, agent: act(Field::UserAgent)? };
        lane.keyed = [&lane.address, &lane.user, &lane.path, &lane.referrer, &lane.agent].into_iter().any(Act::is_keyed);
        Some(lane)
    }

    /// Adds the clean line of the record that `block` begins with to those that wait in [`Tools::room`], and says how wide the record
    /// is with its end; nothing is added if it is not the lane's, or if there is no room.
    #[inline]
    pub(super) fn line(&self, (block, max): (&[u8], usize), watch: &mut Watch, tools: &mut Tools, tally: &mut Tally) -> Option<usize> {
        let masked = tally.masked;
        let mut copy = Copy { line: block, from: 0, at: tools.filled, tools, tally };
        let width = self.values(&mut copy, watch).filter(|end| *end <= max).and_then(|end| {
            let width = match block.get(end) {
                Some(b'\n') => end + 1,
                Some(_) => return None,
                None => end,
            };
            copy.run(width)?;
            copy.tools.filled = copy.at;
            Some(width)
        });
        match width {
            Some(_) => tally.keyless += u64::from(self.keyed && tools.is_keyless()),
            None => tally.masked = masked,
        }
        width
    }

    /// Where the line ends. No search goes beyond it: each stops at a line's end as well.
    #[inline]
    fn values(&self, copy: &mut Copy<'_>, watch: &mut Watch) -> Option<usize> {
        let line = copy.line;
        let dots = dotted(line);
        let address = match dots {
            Some((_, end)) => end,
            None => {
                let end = first([b' ', b'\n'], line).filter(|end| line.get(*end) == Some(&b' '))?;
                is_address(line.get(..end)?).then_some(end)?
            }
        };
        let hashed = match &self.hashed {
            Some(domain) if dots.is_some() => copy.tools.ask_v4(line.get(..address)?).map(|v4| (domain, v4)),
            _ => None,
        };
        let stamp = user(line, address)?;
        let (time, rest) = line.get(stamp..)?.split_first_chunk::<26>()?;
        let method = match rest {
            [b']', b' ', b'"', b'G', b'E', b'T', b' ', b'/', ..] => 3,
            [b']', b' ', b'"', b'P', b'O', b'S', b'T', b' ', b'/', ..] | [b']', b' ', b'"', b'H', b'E', b'A', b'D', b' ', b'/', ..] => 4,
            _ => return None,
        };
        if !time::is_clf(time) {
            return None;
        }
        if self.keyed {
            copy.tools.turn(watch.read(time));
        }
        let target = self.target(copy, stamp + 26 + 3 + method + 1)?;
        let bytes = target.quote + 6;
        let width = match line.get(bytes..)? {
            [b'-', ..] => 1,
            rest => Some(digits(rest)).filter(|width| (1..20).contains(width))?,
        };
        let referrer = bytes + width + 2;
        if line.get(bytes + width..referrer)? != b" \"" {
            return None;
        }
        let end = referrer + quote(line.get(referrer..)?)?;
        let agent = match line.get(end - 1..)? {
            [before, b'"', b' ', b'"', ..] if *before != b'\\' => end + 3,
            _ => return None,
        };
        let rest = line.get(agent..)?;
        let value = rest.get(..quote(rest)?)?;
        // Far memory was asked for where it was known what for; in the meantime the rest was taken apart.
        let kept = target.kept.map(|hash| copy.tools.memos.spot(Kept::Path, hash, target.end - target.path));
        let agents = |memos: &Memos| memos.spot(Kept::Agent, memos.ask(Kept::Agent, value), value.len());
        let family = if matches!(self.agent, Act::Family) { Some(agents(&copy.tools.memos)) } else { None };
        match (dots, hashed.and_then(|(domain, v4)| copy.tools.hash_v4(domain, v4))) {
            (Some((last, end)), _) if self.last_octet => copy.cut(last, end)?,
            (_, Some(pseudonym)) => copy.front(&pseudonym, address)?,
            _ => copy.apply(&self.address, 0, address, Text::Bare).map(|_| ())?,
        }
        // Nobody, as nearly always.
        if stamp > address + ANONYMOUS.len() || line.get(address + 3) != Some(&b'-') {
            copy.apply(&self.user, address + 3, stamp - 2, Text::Bare)?;
        }
        self.request(copy, &target, kept)?;
        self.referrer(copy, referrer, end)?;
        self.agent(copy, agent, value, family)?;
        Some(agent + value.len() + 1)
    }

    /// Path, query and protocol.
    #[inline(always)]
    fn target(&self, copy: &Copy<'_>, path: usize) -> Option<Target> {
        let line = copy.line;
        let rest = line.get(path..)?;
        let stop = first([b'?', b'"', b'\n'], rest)?;
        let asked = rest.get(stop) == Some(&b'?');
        let quote = path + stop + if asked { first([b'"', b'\n'], rest.get(stop..)?)? } else { 0 };
        let protocol = quote.checked_sub(9)?;
        let end = if asked { path + stop } else { protocol };
        let behind = u128::from_le_bytes(*line.get(protocol..)?.first_chunk()?);
        if !(PROTOCOL.fit(behind as u64) & STATUS.fit((behind >> 64) as u64)) || end > protocol {
            return None;
        }
        let value = line.get(path..end)?;
        let kept = if matches!(self.path, Act::Detect) { Some(copy.tools.memos.ask(Kept::Path, value)) } else { None };
        Some(Target { path, end, protocol, quote, kept })
    }

    /// Writes path and query.
    #[inline(always)]
    fn request(&self, copy: &mut Copy<'_>, target: &Target, kept: Option<Spot>) -> Option<()> {
        let rest = copy.line.get(target.path..)?;
        let value = rest.get(..target.end - target.path)?;
        let known = matches!(kept, Some(spot) if copy.tools.memos.recall(Kept::Path, spot, (rest, value.len())).is_some());
        if !known {
            if !is_ordinary(value) {
                return None;
            }
            // What the lane keeps says more than what the general way keeps: each path is kept once.
            let detect = kept.is_some();
            let edit = if detect { copy.tools.detect(value) } else { copy.tools.apply(&self.path, Value { bytes: value, text: Text::Quoted, after: b"", key: b"" }).ok()? };
            copy.write(edit, target.path, value)?;
            if detect && edit == Edit::Same {
                copy.tools.remember(Kept::Path, value, edit);
            }
        }
        if target.end < target.protocol { copy.replace(target.end, target.protocol, b"") } else { Some(()) }
    }

    /// Writes the referrer.
    #[inline(always)]
    fn referrer(&self, copy: &mut Copy<'_>, start: usize, end: usize) -> Option<()> {
        let value = copy.line.get(start..end)?;
        if value == b"-" {
            return Some(());
        }
        // Most visitors come from the site itself.
        if !copy.tools.origin.is_empty() && value.starts_with(&copy.tools.origin) {
            let behind = start + copy.tools.origin.len();
            return copy.replace(behind, end, b"");
        }
        // An origin ends with the first slash behind its scheme.
        let front = match value.get(8..).filter(|_| matches!(self.referrer, Act::Origin) && url::has_short_scheme(value)) {
            Some(behind) => first([b'/'], behind).and_then(|at| value.get(..at + 9)),
            None => None,
        };
        if let Some(front) = front {
            let spot = copy.tools.memos.spot(Kept::Origin, copy.tools.memos.ask(Kept::Origin, front), front.len());
            if copy.recalled((Kept::Origin, spot), front, start).is_some() {
                if copy.from <= start {
                    copy.tools.origin.clear();
                    copy.tools.origin.extend_from_slice(front);
                }
                return copy.replace(start + front.len(), end, b"");
            }
        }
        let edit = copy.apply(&self.referrer, start, end, Text::Quoted)?;
        if edit == Edit::Piece
            && let Some(front) = front
        {
            copy.tools.remember(Kept::Origin, front, edit);
            if copy.tools.piece == front {
                copy.tools.origin.clear();
                copy.tools.origin.extend_from_slice(front);
            }
        }
        Some(())
    }

    /// Writes the agent.
    #[inline(always)]
    fn agent(&self, copy: &mut Copy<'_>, start: usize, value: &[u8], family: Option<Spot>) -> Option<()> {
        if let Some(spot) = family
            && copy.recalled((Kept::Agent, spot), value, start).is_some()
        {
            return Some(());
        }
        if value.last() == Some(&b'\\') {
            return None;
        }
        let edit = copy.apply(&self.agent, start, start + value.len(), Text::Quoted)?;
        if family.is_some() && edit == Edit::Piece {
            copy.tools.remember(Kept::Agent, value, edit);
        }
        Some(())
    }
}

/// Behind the address: no identity, no user, and the bracket of the time.
const ANONYMOUS: &[u8] = b" - - [";

/// Where the time begins, behind the address, no identity and perhaps a user.
#[inline]
fn user(line: &[u8], address: usize) -> Option<usize> {
    let rest = line.get(address..)?;
    if rest.starts_with(ANONYMOUS) {
        return Some(address + ANONYMOUS.len());
    }
    let name = rest.strip_prefix(b" - ")?;
    let width = name.iter().take(64).position(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'.' | b'_' | b'@' | b'-')).filter(|width| *width > 0)?;
    name.get(width..)?.starts_with(b" [").then_some(address + 3 + width + 2)
}

/// Where path, query and protocol are.
struct Target {
    path: usize,
    /// Of the path; behind it is the query, if it is in front of the protocol.
    end: usize,
    protocol: usize,
    quote: usize,
    /// The hash under which the path would be known.
    kept: Option<u64>,
}

/// Where the quote is that ends a value; `None` if the line ends before.
#[inline(always)]
fn quote(rest: &[u8]) -> Option<usize> {
    first([b'"', b'\n'], rest).filter(|at| rest.get(*at) == Some(&b'"'))
}

/// A line on its way: what stays is copied in runs as long as they can be.
struct Copy<'a> {
    line: &'a [u8],
    /// Where the run begins that has not been written yet.
    from: usize,
    /// Bytes of [`Tools::room`] that are written.
    at: usize,
    tools: &'a mut Tools,
    tally: &'a mut Tally,
}

impl Copy<'_> {
    /// Writes the run that ends at `to`. More is copied than stays where that is cheaper than to look at how much it is.
    #[inline(always)]
    fn run(&mut self, to: usize) -> Option<()> {
        let len = to.checked_sub(self.from)?;
        let (room, run) = (self.tools.room.get_mut(self.at..)?, self.line.get(self.from..)?);
        match (room.first_chunk_mut::<128>(), run.first_chunk::<128>()) {
            (Some(room), Some(run)) if len <= 32 => room.first_chunk_mut::<32>().zip(run.first_chunk::<32>()).map(|(room, run)| *room = *run)?,
            (Some(room), Some(run)) if len <= 128 => *room = *run,
            _ => room.get_mut(..len)?.copy_from_slice(run.get(..len)?),
        }
        self.at += len;
        self.from = to;
        Some(())
    }

    /// Writes an address at the front of the line with 0 for its last number.
    #[inline(always)]
    fn cut(&mut self, last: usize, end: usize) -> Option<()> {
        let room = self.tools.room.get_mut(self.at..)?.first_chunk_mut::<16>()?;
        *room = *self.line.first_chunk()?;
        *room.get_mut(last)? = b'0';
        self.at += last + 1;
        self.from = end;
        Some(())
    }

    /// Writes a pseudonym in the place of the address at the front of the line.
    #[inline(always)]
    fn front(&mut self, pseudonym: &[u8; 32], end: usize) -> Option<()> {
        *self.tools.room.get_mut(self.at..)?.first_chunk_mut()? = *pseudonym;
        self.at += pseudonym.len();
        self.from = end;
        Some(())
    }

    /// Writes `with` in the place of `start..end`.
    #[inline(always)]
    fn replace(&mut self, start: usize, end: usize, with: &[u8]) -> Option<()> {
        // Nothing, where the value in front of it already took it along.
        if self.from <= start {
            self.run(start)?;
            self.at = put(&mut *self.tools.room, self.at, with)?;
            self.from = end;
        }
        Some(())
    }

    /// Writes what is kept for the value at `start` in its place, if anything is.
    #[inline(always)]
    fn recalled(&mut self, (kept, spot): (Kept, Spot), value: &[u8], start: usize) -> Option<()> {
        self.run(start)?;
        let Tools { memos, room, .. } = &mut *self.tools;
        let (behind, len) = memos.recall(kept, spot, (self.line.get(start..)?, value.len()))?;
        // Nothing is kept for what is written as it came.
        if len > 0 {
            let room = room.get_mut(self.at..)?;
            match (room.first_chunk_mut::<64>(), behind.first_chunk::<64>()) {
                (Some(room), Some(result)) if len <= 64 => *room = *result,
                _ => room.get_mut(..len)?.copy_from_slice(behind.get(..len)?),
            }
            self.at += len;
            self.from = start + value.len();
        }
        Some(())
    }

    fn apply(&mut self, act: &Act, start: usize, end: usize, text: Text) -> Option<Edit> {
        let (bytes, after) = self.line.get(start..)?.split_at_checked(end - start)?;
        let edit = self.tools.apply(act, Value { bytes, text, after, key: b"" }).ok()?;
        self.write(edit, start, bytes)?;
        Some(edit)
    }

    /// Writes what became of the value at `start`.
    fn write(&mut self, edit: Edit, start: usize, bytes: &[u8]) -> Option<()> {
        if edit == Edit::Same {
            return Some(());
        }
        self.run(start)?;
        let Tools { piece, hits, room, .. } = &mut *self.tools;
        let mut at = self.at;
        match edit {
            Edit::Same => {}
            Edit::Gone => at = put(&mut **room, at, b"-")?,
            Edit::Piece => at = put(&mut **room, at, piece)?,
            Edit::Masked => {
                self.tally.masked += hits.len() as u64;
                let mut from = 0;
                for hit in &*hits {
                    at = put(&mut **room, at, bytes.get(from..hit.start)?)?;
                    at = put(&mut **room, at, b"-")?;
                    from = hit.end;
                }
                at = put(&mut **room, at, bytes.get(from..)?)?;
            }
        }
        self.at = at;
        self.from = start + bytes.len();
        Some(())
    }
}

/// Writes the bytes at a place of the room; what is behind them.
#[inline]
fn put(room: &mut [u8], at: usize, bytes: &[u8]) -> Option<usize> {
    let end = at + bytes.len();
    room.get_mut(at..end)?.copy_from_slice(bytes);
    Some(end)
}

/// A path without marks that end it or hide one.
#[expect(clippy::indexing_slicing, reason = "a table of 256 entries is indexed by a byte")]
fn is_ordinary(path: &[u8]) -> bool {
    let mut rest = path;
    if rest.starts_with(b"//") {
        return false;
    }
    while let Some(at) = rest.iter().position(|byte| STOPS[*byte as usize]) {
        match rest.get(at..) {
            // A percent sign that hides a mark is for the general way.
            Some([b'%', b'2', b'5' | b'3', ..] | [b'%', b'3', b'F' | b'f', ..]) => return false,
            Some([b'%', behind @ ..]) => rest = behind,
            _ => return false,
        }
    }
    true
}

/// The time of a line that is the lane's.
#[inline]
pub(super) fn stamp(line: &[u8]) -> Option<&[u8; 26]> {
    let behind = line.get(first([b' '], line)?..)?;
    behind.get(first([b'['], behind)? + 1..)?.first_chunk()
}
