//! `run`: the sidecar. It follows and listens, writes the forms of every class, and expires on its own clock.
//!
//! One thread per class ([`Source`] in, [`sink`] out), one for expiry. What a thread knows is in its checkpoint; what others may
//! know of it is in [`gauge::Gauges`].

pub mod gauge;
pub mod sink;
pub mod source;

pub use source::Source;
