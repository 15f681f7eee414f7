//! Acts applied to values: each value stays, goes, is replaced or is masked.

mod keyed;
mod last;
pub(super) mod plain;

use super::act::{Act, AddressAct};
use super::action::{Action, Simple};
use super::address::{self, Host};
use super::agent::Agents;
use super::clean::Reject;
use super::lane::ROOM;
use super::memo::{Kept, Memos};
use super::place::Places;
use super::policy::Policy;
use super::pseudonym::Keys;
use super::residual::{Residual, Rules};
use super::time::Degraded;
use super::token::Tokens;
use super::url::{self, Referrer};
use crate::format::request::query_start;
use crate::format::{Field, Text, escape, is_method, is_number, is_protocol_name};
use jiff::Timestamp;
use last::Last;
use plain::{bucket, is_plain};
use std::ops::Range;
use std::sync::Arc;

/// Kinds of results that are kept; families take one for each way of writing blanks.
const DETECTED: u8 = 1;
const ADDRESS: u8 = 2;
const REFERRER: u8 = 3;
/// Reported addresses may have another action than the client's.
const ADDRESSES: u8 = 4;
const FAMILY: u8 = 16;
/// Whether blanks are written as `%20` or `+`: an agent without any other.
fn is_coded(bytes: &[u8]) -> bool {
    memchr::memchr(b' ', bytes).is_none() && memchr::memchr(b'%', bytes).is_some()
}

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    /// It stays as it is.
    Same,
    /// It is gone: `-`, `null`, or nothing at all.
    Gone,
    /// [`Tools::piece`] takes its place.
    Piece,
    /// Each of [`Tools::hits`] becomes `-`.
    Masked,
}

/// Everything that application needs and reuses from value to value.
pub(crate) struct Tools {
    /// The new value, where one takes its place.
    pub piece: Vec<u8>,
    /// Ranges of the value that become `-`.
    pub hits: Vec<Range<usize>>,
    /// The value without its escapes.
    decoded: Vec<u8>,
    agents: Agents,
    pub memos: Memos,
    /// Where the lane puts lines together: those that are whole wait at its front.
    pub room: Box<[u8; ROOM]>,
    /// Bytes of whole lines in the room.
    pub filled: usize,
    /// The origin that the lane wrote last as it came, up to and with its slash.
    pub origin: Vec<u8>,
    lasts: Vec<Last>,
    residual: Residual,
    tokens: Tokens,
    policy: Arc<Policy>,
    addresses: bool,
    emails: bool,
    keys: Option<Keys>,
    places: Option<Places>,
    /// The record's own time.
    time: Option<Timestamp>,
    keyless: bool,
}

/// One value in its line.
#[derive(Clone, Copy)]
pub(crate) struct Value<'a> {
    pub bytes: &'a [u8],
    pub text: Text,
    /// What follows it in the line.
    pub after: &'a [u8],
    /// The object key in front of it, for headers.
    pub key: &'a [u8],
}

impl Tools {
    pub(crate) fn new(policy: Arc<Policy>, keys: Option<Keys>, places: Option<Places>) -> Self {
        // What a policy keeps in its own field it does not mask elsewhere.
        let addresses = *policy.action(Field::ClientAddr) != Action::Keep;
        let emails = *policy.action(Field::User) != Action::Keep;
        Self {
            piece: Vec::new(),
            hits: Vec::new(),
            decoded: Vec::new(),
            agents: Agents::new(),
            memos: Memos::default(),
            room: Box::new([0; ROOM]),
            filled: 0,
            origin: Vec::new(),
            lasts: Vec::new(),
            residual: Residual::default(),
            tokens: Tokens::default(),
            policy,
            addresses,
            emails,
            keys,
            places,
            time: None,
            keyless: false,
        }
    }

    pub(crate) const fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// Keeps what became of a value of the lane; nothing, where it stays as it is.
    pub(crate) fn remember(&mut self, kept: Kept, value: &[u8], edit: Edit) {
        let result: &[u8] = if edit == Edit::Piece && self.piece != value { &self.piece } else { b"" };
        self.memos.remember(kept, value, result);
    }

    /// Applies an act; an error rejects the line.
    #[inline]
    pub(crate) fn apply(&mut self, act: &Act, value: Value<'_>) -> Result<Edit, Reject> {
        let bytes = value.bytes;
        if bytes.is_empty() || bytes == b"-" {
            return Ok(Edit::Same);
        }
        match act {
            Act::Keep => Ok(Edit::Same),
            Act::Number => Ok(if is_number(bytes) { Edit::Same } else { self.unknown() }),
            Act::Method => Ok(if is_method(bytes) { Edit::Same } else { self.unknown() }),
            Act::Protocol => Ok(if is_protocol_name(bytes) { Edit::Same } else { self.unknown() }),
            Act::Host if memchr::memchr(b'@', bytes).is_some() => Ok(self.unknown()),
            Act::Host => Ok(self.scan(bytes, false)),
            Act::Word => Ok(if is_plain(bytes) { Edit::Same } else { self.scan(bytes, false) }),
            Act::Bucket => {
                self.piece.clear();
                Ok(if bucket(bytes, &mut self.piece) { Edit::Piece } else { Edit::Gone })
            }
            Act::Scan => Ok(if value.text == Text::JsonScalar { Edit::Same } else { self.scan(bytes, false) }),
            Act::Torn => Ok(self.torn(value)),
            Act::Agent => Ok(self.scan(bytes, true)),
            Act::Drop => Ok(if bytes == b"null" && value.text == Text::JsonScalar { Edit::Same } else { Edit::Gone }),
            Act::Hash(hashed) => Ok(self.hash(hashed, value)),
            Act::Address(act) if act.changes() => self.changing_address(act, value).ok_or(Reject::Address),
            Act::Addresses(act) if act.changes() => Ok(self.changing_address(act, value).unwrap_or(Edit::Gone)),
            Act::Address(act) => self.address(act, ADDRESS, bytes).ok_or(Reject::Address),
            Act::Addresses(act) => Ok(self.address(act, ADDRESSES, bytes).unwrap_or(Edit::Gone)),
            Act::Time(precision) => {
                self.piece.clear();
                Ok(match super::time::cut(bytes, *precision, &mut self.piece) {
                    Degraded::Same => Edit::Same,
                    Degraded::Piece => Edit::Piece,
                    // A time that nobody can read has no precision to lose.
                    Degraded::Unknown => Edit::Gone,
                })
            }
            Act::Detect => {
                let hash = self.memos.paths.hash(DETECTED, bytes);
                if self.memos.paths.find(hash, bytes).is_some() {
                    return Ok(Edit::Same);
                }
                let edit = self.detect(bytes);
                if edit == Edit::Same {
                    self.memos.paths.keep(hash, bytes, b"");
                }
                Ok(edit)
            }
            Act::Template => {
                self.piece.clear();
                let rules = Rules { addresses: true, emails: true, except: self.policy.except(), versions: false };
                self.tokens.template(bytes, &rules, &mut self.piece);
                Ok(Edit::Piece)
            }
            Act::Query(names) => Ok(self.pairs(bytes, names, true)),
            Act::Cookies(names) => Ok(self.pairs(bytes, names, false)),
            Act::ByKey(names, prefix) => {
                let name = value.key.get(*prefix..).unwrap_or_default();
                Ok(match names.decide(name) {
                    Simple::Keep => self.scan(bytes, false),
                    Simple::Drop => Edit::Gone,
                    Simple::Hash => self.hash_header(names, name, value),
                })
            }
            Act::NoQuery | Act::PathOnly | Act::Origin | Act::Site => Ok(self.referrer(act, bytes)),
            Act::Family => Ok(self.family(value)),
        }
    }

    /// A word that no standard knows: it stays only where the policy keeps everything about a person.
    fn unknown(&self) -> Edit {
        if self.addresses || self.emails { Edit::Gone } else { Edit::Same }
    }

    fn masked(&self) -> Edit {
        if self.hits.is_empty() { Edit::Same } else { Edit::Masked }
    }

    /// Masks what identifies somebody in a path.
    pub(crate) fn detect(&mut self, bytes: &[u8]) -> Edit {
        self.hits.clear();
        let rules = Rules { addresses: self.addresses, emails: self.emails, except: self.policy.except(), versions: false };
        self.tokens.detect(bytes, &rules, &mut self.hits);
        self.masked()
    }

    /// The residual scan of a value that stays.
    #[inline]
    fn scan(&mut self, bytes: &[u8], versions: bool) -> Edit {
        if !self.addresses && !self.emails {
            return Edit::Same;
        }
        self.hits.clear();
        let rules = Rules { addresses: self.addresses, emails: self.emails, except: self.policy.except(), versions };
        self.residual.scan(bytes, &rules, &mut self.hits);
        self.masked()
    }

    /// Scans the piece itself, because it was put together from parts of the value.
    fn scan_piece(&mut self) -> Edit {
        let piece = std::mem::take(&mut self.piece);
        let edit = self.scan(&piece, false);
        if edit == Edit::Masked {
            let mut at = 0;
            for hit in &self.hits {
                self.piece.extend_from_slice(piece.get(at..hit.start).unwrap_or_default());
                self.piece.push(b'-');
                at = hit.end;
            }
            self.piece.extend_from_slice(piece.get(at..).unwrap_or_default());
        } else {
            self.piece = piece;
        }
        Edit::Piece
    }

    #[inline]
    fn address(&mut self, act: &AddressAct, kind: u8, bytes: &[u8]) -> Option<Edit> {
        self.piece.clear();
        // IPv4 is read faster than it is looked up.
        if (bytes.len() <= 15 || (bytes.len() <= 21 && bytes.iter().take(4).any(|byte| *byte == b'.')))
            && let Some(endpoint) = address::parse(bytes)
        {
            return Some(self.one(act, &endpoint, bytes));
        }
        let hash = self.memos.addresses.hash(kind, bytes);
        if let Some(piece) = self.memos.addresses.find(hash, bytes) {
            self.piece.extend_from_slice(piece);
            return Some(Edit::Piece);
        }
        let edit = match address::parse(bytes) {
            Some(endpoint) => Some(self.one(act, &endpoint, bytes)),
            None => self.coded_address(act, bytes),
        };
        if edit == Some(Edit::Piece) {
            self.memos.addresses.keep(hash, bytes, &self.piece);
        }
        edit
    }

    /// An address behind escapes, or several of them.
    #[cold]
    fn coded_address(&mut self, act: &AddressAct, raw: &[u8]) -> Option<Edit> {
        let mut plain = Vec::new();
        escape::text(raw, &mut plain);
        // nginx's $binary_remote_addr.
        if raw.contains(&b'\\')
            && let Some(binary) = address::parse_binary(&plain)
        {
            return Some(self.write(act, &binary, b""));
        }
        let mut bytes = Vec::new();
        escape::percent(&plain, false, &mut bytes);
        let bytes = bytes.as_slice();
        if let Some(endpoint) = address::parse(bytes) {
            return Some(self.one(act, &endpoint, bytes));
        }
        // Several hops: each one for itself, the marks between them stay.
        let mut at = 0;
        let mut listed = false;
        for hop in address::list(bytes) {
            let endpoint = hop.as_ref().ok().and_then(|hop| address::parse(bytes.get(hop.clone())?));
            let (Ok(hop), Some(endpoint)) = (hop, endpoint) else {
                listed = false;
                break;
            };
            listed = true;
            self.piece.extend_from_slice(bytes.get(at..hop.start).unwrap_or_default());
            if excepted(&self.policy, &endpoint) {
                self.piece.extend_from_slice(bytes.get(hop.clone()).unwrap_or_default());
            } else {
                let text = bytes.get(hop.clone()).unwrap_or_default();
                if self.write(act, &endpoint, text) == Edit::Gone {
                    self.piece.push(b'-');
                }
            }
            at = hop.end;
        }
        listed.then(|| {
            self.piece.extend_from_slice(bytes.get(at..).unwrap_or_default());
            Edit::Piece
        })
    }

    #[inline]
    fn one(&mut self, act: &AddressAct, endpoint: &address::Endpoint<'_>, text: &[u8]) -> Edit {
        match endpoint.host {
            Host::Unix | Host::Absent => Edit::Same,
            Host::Name if !matches!(act, AddressAct::Hash(..)) => Edit::Gone,
            Host::V4(_) | Host::V6(_) if excepted(&self.policy, endpoint) => Edit::Same,
            Host::Name | Host::V4(_) | Host::V6(_) => self.write(act, endpoint, text),
        }
    }

    /// Appends what takes an endpoint's place; `text` is what it was read from.
    #[inline]
    fn write(&mut self, act: &AddressAct, endpoint: &address::Endpoint<'_>, text: &[u8]) -> Edit {
        let out = &mut self.piece;
        match (act, &endpoint.host) {
            (AddressAct::Truncate(v4, v6), _) => address::write_truncated(endpoint, *v4, *v6, out),
            (_, Host::Unix) => out.extend_from_slice(b"unix:"),
            (_, Host::Absent) => out.push(b'-'),
            (AddressAct::Hash(..) | AddressAct::EncryptPrefix, Host::V4(_) | Host::V6(_) | Host::Name) => return self.pseudonym(act, endpoint, text),
            (AddressAct::BlackMarker, Host::V4(_)) => out.extend_from_slice(b"0.0.0.0"),
            (AddressAct::BlackMarker, Host::V6(_)) => out.extend_from_slice(if endpoint.bracketed { b"[::]" } else { b"::" }),
            (AddressAct::Country | AddressAct::Asn, Host::V4(_) | Host::V6(_)) => return self.place_instead(act, endpoint),
            (AddressAct::BlackMarker | AddressAct::Country | AddressAct::Asn, Host::Name) => out.push(b'-'),
        }
        Edit::Piece
    }

    fn referrer(&mut self, act: &Act, bytes: &[u8]) -> Edit {
        self.piece.clear();
        // What an origin and a site are stands in front of the path: a key of a few bytes that often comes again.
        let front = bytes
            .get(8..)
            .filter(|_| matches!(act, Act::Origin | Act::Site) && url::has_short_scheme(bytes))
            .and_then(|rest| memchr::memchr(b'/', rest))
            .and_then(|at| bytes.get(..at + 9));
        let bytes = front.unwrap_or(bytes);
        let hash = self.memos.referrers.hash(REFERRER, bytes);
        if let Some(piece) = self.memos.referrers.find(hash, bytes) {
            self.piece.extend_from_slice(piece);
            return Edit::Piece;
        }
        let edit = self.cut_referrer(act, bytes);
        if edit == Edit::Piece {
            self.memos.referrers.keep(hash, bytes, &self.piece);
        }
        edit
    }

    fn cut_referrer(&mut self, act: &Act, bytes: &[u8]) -> Edit {
        let Some(parts) = Referrer::parse(bytes) else { return Edit::Gone };
        self.piece.clear();
        let part = |range: Range<usize>| bytes.get(range).unwrap_or_default();
        if matches!(act, Act::Site) {
            // The registrable domain names an organisation; the labels in front may name a person.
            let host = part(parts.host.clone());
            let name = host.split(|byte| *byte == b':').next().unwrap_or_default().to_ascii_lowercase();
            let Some(site) = psl::domain(&name).filter(|site| site.suffix().is_known()) else { return Edit::Gone };
            self.piece.extend_from_slice(site.as_bytes());
            return self.scan_piece();
        }
        if !matches!(act, Act::PathOnly) {
            let host = part(parts.host.clone());
            self.hits.clear();
            let edit = self.scan(host, false);
            self.piece.extend_from_slice(part(0..parts.scheme));
            match edit {
                Edit::Masked => self.mask_into_piece(host),
                Edit::Same | Edit::Gone | Edit::Piece => self.piece.extend_from_slice(host),
            }
        }
        if matches!(act, Act::Origin) {
            // The slash as this URL writes it: a coded URL has a coded one.
            let path = part(parts.host.end..bytes.len());
            let slash: &[u8] = if path.starts_with(b"%") || part(0..parts.scheme).contains(&b'%') {
                b"%2F"
            } else if path.starts_with(b"\\/") {
                b"\\/"
            } else {
                b"/"
            };
            self.piece.extend_from_slice(slash);
            return Edit::Piece;
        }
        self.hits.clear();
        let rules = Rules { addresses: self.addresses, emails: self.emails, except: self.policy.except(), versions: false };
        let path = part(parts.path(bytes));
        self.tokens.detect(path, &rules, &mut self.hits);
        self.mask_into_piece(path);
        if self.piece.is_empty() { Edit::Gone } else { Edit::Piece }
    }

    /// Appends `bytes` to the piece with the hits masked.
    fn torn(&mut self, value: Value<'_>) -> Edit {
        if value.text == Text::JsonScalar {
            return Edit::Same;
        }
        let Some((front, _)) = query_start(value.bytes).and_then(|at| value.bytes.split_at_checked(at)) else { return self.scan(value.bytes, false) };
        self.piece.clear();
        match self.scan(front, false) {
            Edit::Masked => self.mask_into_piece(front),
            Edit::Same | Edit::Gone | Edit::Piece => self.piece.extend_from_slice(front),
        }
        if self.piece.is_empty() { Edit::Gone } else { Edit::Piece }
    }

    fn mask_into_piece(&mut self, bytes: &[u8]) {
        let mut at = 0;
        for hit in &self.hits {
            self.piece.extend_from_slice(bytes.get(at..hit.start).unwrap_or_default());
            self.piece.push(b'-');
            at = hit.end;
        }
        self.piece.extend_from_slice(bytes.get(at..).unwrap_or_default());
    }

    fn family(&mut self, value: Value<'_>) -> Edit {
        self.piece.clear();
        let bytes = value.bytes;
        // A reduced agent holds blanks; where blanks end values they are written as this log writes them.
        let (kind, blank): (u8, &[u8]) = match value.text {
            Text::Plus => (1, b"+"),
            Text::Bare if value.after.first() == Some(&b' ') => (2, b"+"),
            Text::Bare if is_coded(bytes) => (3, b"%20"),
            Text::Bare | Text::Quoted | Text::Json | Text::JsonScalar | Text::JsonNest | Text::JsonKey | Text::Tail => (0, b" "),
        };
        let hash = self.memos.agents.hash(FAMILY + kind, bytes);
        if let Some(piece) = self.memos.agents.find(hash, bytes) {
            self.piece.extend_from_slice(piece);
            return Edit::Piece;
        }
        self.reduce(value);
        if blank != b" " {
            self.join_blanks(blank);
        }
        self.memos.agents.keep(hash, bytes, &self.piece);
        Edit::Piece
    }

    /// Reduces an agent, its escapes read.
    fn reduce(&mut self, value: Value<'_>) {
        let plus = value.text == Text::Plus;
        self.decoded.clear();
        if plus || is_coded(value.bytes) {
            let mut once = Vec::new();
            escape::text(value.bytes, &mut once);
            escape::percent(&once, plus || memchr::memmem::find(value.bytes, b"%20").is_none(), &mut self.decoded);
        } else {
            escape::text(value.bytes, &mut self.decoded);
        }
        self.agents.family(&self.decoded, &mut self.piece);
    }

    fn join_blanks(&mut self, blank: &[u8]) {
        self.decoded.clear();
        for byte in &self.piece {
            self.decoded.extend_from_slice(if *byte == b' ' { blank } else { std::slice::from_ref(byte) });
        }
        std::mem::swap(&mut self.piece, &mut self.decoded);
    }
}

fn excepted(policy: &Policy, endpoint: &address::Endpoint<'_>) -> bool {
    !policy.except().is_empty() && endpoint.ip().is_some_and(|ip| policy.except().contains(ip))
}
