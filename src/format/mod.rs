//! How a line is laid out: formats compiled once to slots and literals, lines cut into spans. Pure: bytes in, offsets out.
//!
//! A [`Format`] comes from a name, from a server's own format string, or from a field map. [`Format::split`] checks what
//! every line of the format has and notes where each value stands; it allocates nothing and copies nothing. What a value
//! means is its [`Field`]; what becomes of it is decided elsewhere.

pub mod detect;
pub mod directive;
mod envelope;
mod error_log;
pub(crate) mod escape;
mod field;
mod json;
mod kind;
mod layout;
mod named;
pub(crate) mod request;
mod span;
mod table;
pub mod time;
mod variables;
pub(crate) mod word;

#[doc(hidden)]
pub use envelope::peel;
pub use envelope::{Envelope, Peeled};
pub(crate) use envelope::{SLOTS as ENVELOPE_SLOTS, is_envelope};
pub use field::{FIELDS, Field};
pub use layout::Piece;
pub use named::{Named, named};
pub use span::{Mismatch, Slot, Span, Spans, Text};
pub use table::{Columns, Directive};

use directive::DirectiveError;
use kind::Kind;
use layout::Layouts;
use std::sync::Arc;

/// A compiled layout of lines.
#[derive(Debug)]
pub struct Format {
    name: String,
    slots: Vec<Slot>,
    shape: Shape,
}

#[derive(Debug)]
enum Shape {
    Text(Layouts),
    Json(json::Tree),
    W3c(table::Names),
    Ltsv(table::Names),
    NginxError(error_log::ErrorSlots),
    ApacheError(error_log::ErrorSlots),
}

pub(crate) use variables::header as header_field;

pub(crate) use request::escape_of;
#[doc(hidden)]
pub use request::{is_method, is_protocol_name};

/// Whether a value is a number with perhaps a fraction and a unit, or a list of such.
#[doc(hidden)]
pub fn is_number(value: &[u8]) -> bool {
    Kind::Number.accepts(value)
}

/// Whether a value may stand where an address does: what a line's splitting asks of it.
pub(crate) fn is_address(value: &[u8]) -> bool {
    Kind::Address.accepts(value)
}

/// What a line turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// A record; its values are in the spans.
    Record,
    /// A line about the log, such as `#Fields:`.
    Directive(Directive),
}

/// Why a format could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// No format has this name.
    Unknown {
        /// The name that was asked for.
        name: String,
    },
    /// The format string does not compile.
    Directive {
        /// The string, without `nginx:` or `apache:`.
        text: String,
        /// What is wrong, and where.
        fault: DirectiveError,
    },
}

/// What reads a format string.
type Read = fn(&str) -> Result<Vec<Piece>, DirectiveError>;

/// Where the first value begins that nothing parts from the one in front: behind it, no beginning of the string compiles.
fn touching(read: Read, body: &str) -> usize {
    let is_torn = |end: &usize| {
        body.get(..*end)
            .and_then(|front| read(front).ok())
            .is_some_and(|pieces| Layouts::compile(&[pieces], false, &mut envelope::slots()).is_err_and(|(_, cause)| cause == layout::TOUCHING))
    };
    let end = (1..=body.len()).find(is_torn).unwrap_or_default();
    body.get(..end).and_then(|front| front.rfind(['$', '%'])).unwrap_or_default()
}

impl Format {
    /// The format that `text` asks for: a name, `nginx:<log_format>` or `apache:<LogFormat>`.
    pub fn parse(text: &str) -> Result<Arc<Self>, FormatError> {
        let (name, read, body): (_, Read, _) = match text.split_once(':') {
            Some(("nginx", body)) if body.trim() != "combined" => ("nginx", directive::nginx, body),
            Some(("apache", body)) => ("apache", directive::apache, body),
            _ => {
                let name = text.strip_prefix("nginx:").unwrap_or(text);
                return named().find(name).ok_or_else(|| FormatError::Unknown { name: name.to_owned() });
            }
        };
        let fault = |fault| FormatError::Directive { text: body.to_owned(), fault };
        let pieces = read(body).map_err(fault)?;
        let mut slots = envelope::slots();
        let layouts = Layouts::compile(&[pieces], false, &mut slots).map_err(|(_, cause)| {
            let (at, remedy) =
                if cause == layout::TOUCHING { (touching(read, body), "put text between the two, as the log has it") } else { (0, "put at least one value into the format") };
            fault(DirectiveError { at, cause, remedy })
        })?;
        Ok(Arc::new(Self { name: name.to_owned(), slots, shape: Shape::Text(layouts) }))
    }

    /// A JSON format from a map of members to fields (`a.b` is a member of an object); what is not in it is [`Field::Other`].
    pub fn json(map: &[(String, Field)]) -> Arc<Self> {
        let mut slots = envelope::slots();
        let tree = json::Tree::compile(map, &[], &mut slots);
        Arc::new(Self { name: "json".to_owned(), slots, shape: Shape::Json(tree) })
    }

    /// Of the records that `--output json` writes, for their times alone.
    pub fn ecs() -> Arc<Self> {
        Self::json(&[("@timestamp".to_owned(), Field::Time)])
    }

    /// The name in reports.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Every place that a line of this format can have.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Whether its lines are JSON objects.
    pub const fn is_json(&self) -> bool {
        matches!(self.shape, Shape::Json(_))
    }

    /// Whether splitting checked what values of `field` look like, so that none can be an address.
    pub(crate) const fn checks(&self, field: Field) -> bool {
        matches!(self.shape, Shape::Text(_) | Shape::W3c(_) | Shape::Ltsv(_)) && matches!(field, Field::Status | Field::Bytes | Field::Duration | Field::ClientPort | Field::Time)
    }

    /// Whether a line's meaning depends on lines before it.
    pub const fn has_columns(&self) -> bool {
        matches!(self.shape, Shape::W3c(_))
    }

    /// Cuts `line` (without its end) into `spans`. On an error the spans are as before.
    #[inline]
    pub fn split(&self, line: &[u8], columns: &mut Columns, spans: &mut Spans) -> Result<Line, Mismatch> {
        let before = spans.len();
        let split = match &self.shape {
            Shape::Text(layouts) => layouts.split(line, spans),
            Shape::Json(tree) => tree.split(line, &mut columns.followers, spans),
            Shape::W3c(names) => {
                if let Some(directive) = table::directive(line) {
                    table::read_fields(names, line, columns);
                    return Ok(Line::Directive(directive));
                }
                table::row(names, line, columns, spans)
            }
            Shape::Ltsv(names) => table::ltsv(names, line, spans),
            Shape::NginxError(slots) => error_log::nginx(slots, line, spans),
            Shape::ApacheError(slots) => error_log::apache(slots, line, spans),
        };
        if split.is_err() {
            spans.truncate(before);
        }
        split.map(|()| Line::Record)
    }
}
