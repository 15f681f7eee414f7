//! What stays, how long and why, and the evidence of it: the configuration, its classes and forms, the deadline of a record, the
//! ledger's entries. Pure: no file, clock or environment; text and times in, values out.
//!
//! A [`Class`] is a kind of log with rules of its own; its [`Form`]s are the versions of that log that are kept, each until
//! its own deadline. [`Config::parse`] checks everything that can be checked without looking at a file: whatever it lets
//! through is decided.

pub mod aggregate;
pub mod begin;
pub mod class;
pub mod config;
pub mod evidence;
pub mod ledger;
mod parse;
pub mod plan;
pub mod recipient;
mod schema;
mod toml;
pub mod until;

pub use class::{Class, Dimension, Door, Form, Keep, Listen, Output, RawGlob, RejectLimit, Rotate, Source};
pub use config::{Config, Controller, KeyMode, Keys, Outside, PolicyFault, Run};
pub use recipient::{Recipient, Role};
pub use schema::json_schema;
pub use until::{CalendarSpan, Until, deadline};
