//! Where the slots of one line stand: offsets, reused from line to line.

use super::Field;

/// How the bytes of a value are written in the line, and so what a dropped one becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// Ends at the literal that follows; `\xHH` is an escape.
    Bare,
    /// Stands between double quotes; `\"`, `\\` and `\xHH` are escapes.
    Quoted,
    /// A column of a blank-separated table in which blanks are written as `+`.
    Plus,
    /// The inside of a JSON string.
    Json,
    /// A JSON number, `true`, `false` or `null`.
    JsonScalar,
    /// A JSON object or array; the spans inside it follow.
    JsonNest,
    /// The inside of a JSON object key that the client chose.
    JsonKey,
    /// The query of a URL with its `?`: dropped, nothing stays.
    Tail,
}

impl Text {
    /// Whether the value lies within JSON.
    pub const fn is_json(self) -> bool {
        matches!(self, Self::Json | Self::JsonScalar | Self::JsonNest | Self::JsonKey)
    }
}

/// A place in a format: what it means and what the format calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// What it means.
    pub field: Field,
    /// Name of the header, cookie or parameter, else what the format calls it; may be empty.
    pub name: Box<str>,
}

/// One value of one line: a half-open byte range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// Byte after the last.
    pub end: u32,
    /// Index into the format's slots.
    pub slot: u16,
    /// How it is written.
    pub text: Text,
}

impl Span {
    /// The range as an index.
    pub const fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// The spans of one line, ascending by start; reused, so that a line allocates nothing.
#[derive(Debug, Default)]
pub struct Spans {
    list: Vec<Span>,
    /// Added to every position: where the inner line starts within an envelope's line.
    base: u32,
}

impl Spans {
    /// Forgets the last line.
    pub fn clear(&mut self) {
        self.list.clear();
        self.base = 0;
    }

    /// The spans of the line.
    pub fn as_slice(&self) -> &[Span] {
        &self.list
    }

    pub(crate) fn set_base(&mut self, base: usize) {
        self.base = base as u32;
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.list.truncate(len);
    }

    #[inline]
    pub(crate) fn push(&mut self, start: usize, end: usize, slot: u16, text: Text) {
        self.list.push(Span { start: start as u32 + self.base, end: end as u32 + self.base, slot, text });
    }

    /// Sets the end of a span that was pushed before what it holds.
    pub(crate) fn close(&mut self, index: usize, end: usize) {
        let end = end as u32 + self.base;
        if let Some(span) = self.list.get_mut(index) {
            span.end = end;
        }
    }
}

/// Why a line does not have a format's layout. Carries no bytes of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mismatch {
    /// The literal text of the layout is not there.
    Layout,
    /// A value does not look like what its slot means.
    Value,
    /// Not strict JSON, or a key stands twice.
    Json,
    /// Lacks what tells this format from its neighbours.
    Required,
    /// A table row before any `#Fields:`, or with another number of columns.
    Columns,
}

impl Mismatch {
    /// The word in tallies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Layout => "layout",
            Self::Value => "value",
            Self::Json => "json",
            Self::Required => "required",
            Self::Columns => "columns",
        }
    }
}
