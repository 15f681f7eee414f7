//! logfade takes web-server access logs from raw to gone.
//!
//! # The map
//!
//! | folder | what it holds | what it may touch |
//! |---|---|---|
//! | [`mod@format`] | how a line is laid out: formats, spans, envelopes, detection | nothing: pure |
//! | [`scrub`] | the gate: policy, acts, the residual scan, [`scrub::Clean`] | `format`; pure |
//! | [`retain`] | what stays, how long and why: configuration, classes, forms, deadlines, the ledger's entries | `scrub`, `format`; pure |
//! | [`store`] | the only folder that opens files: source, sink, ledger | `retain`, `scrub` |
//! | [`report`] | what people look at: risk figures and what they mean, the record of processing | `retain`, `scrub`, `format`; pure |
//! | [`run`] | the verbs | `store`, `scrub`, `format` |
//! | `bin/logfade` | arguments, exit codes, tables | everything above |
//!
//! Arrows go one way, and `tests/architecture.rs` holds them.
//!
//! # One line's journey
//!
//! `bin` turns what was typed into a job. [`store::source`] recognises the codec by its magic bytes, decodes within bounds and
//! cuts blocks of whole lines. [`run::pipe`] deals blocks to workers and collects them in the same turn. In a worker,
//! [`scrub::Scrubber`] asks [`format::Format::split`] where the values stand, gives each to the act that the
//! [`scrub::Policy`] has for its slot, and writes [`scrub::Clean`]. A line that does not parse is rewound whole and its place
//! kept by tokens of an allow-list. [`scrub::Tally`] counts both: `read = clean + rejected + excluded`.
//! [`store::sink`] takes `Clean`, or frames made of it, and nothing else.
//!
//! # Rules
//!
//! - A byte nobody decided about does not leave: every slot of a format has an act, every field of a policy an action.
//! - Messages, reports and errors never hold bytes of a log. [`format::Mismatch`] and [`scrub::Reject`] cannot carry any.
//! - `format`, `scrub` and `retain` read no clock, no file and no environment.
//! - What is read is bytes; nothing assumes UTF-8.

#![cfg_attr(
    test,
    allow(clippy::wildcard_enum_match_arm, clippy::map_err_ignore, clippy::disallowed_methods, reason = "a test may say everything else, and write files of its own")
)]

pub mod diagnostic;
pub mod format;
pub mod report;
pub mod retain;
pub mod run;
pub mod scrub;
pub mod store;
