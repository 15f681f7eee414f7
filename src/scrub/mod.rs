//! THE GATE: the only code that can write clean bytes. Pure: lines and a policy in, [`Clean`] and a [`Tally`] out.
//!
//! A [`Scrubber`] tries the formats in order on every line, gives each value to the act that the policy compiled for its
//! slot, and copies what stands between. Whatever goes wrong rewinds the line whole; then its place is kept by what an
//! allow-list lets through ([`OnReject`]). A byte that nobody decided about does not leave.

mod act;
mod action;
mod address;
mod agent;
mod clean;
mod ecs;
mod explain;
mod lane;
mod memo;
mod place;
mod policy;
mod pseudonym;
mod reject;
mod residual;
mod scrubber;
mod selection;
mod single;
mod splice;
mod subject;
mod time;
mod token;
mod tools;
mod tracking;
mod url;
mod watch;

pub use action::{Action, Form, Names, Precision, Simple};
pub use clean::{Clean, Quarantined, Reject, Tally};
pub use explain::{FieldChange, explain};
pub use place::{Country, Lookup, Place, PlaceSource};
pub use policy::{BUILT_IN, Policy};
pub(crate) use pseudonym::Ratchet;
pub use pseudonym::{KeySource, NoPeriod, Period, PeriodKey};
pub use scrubber::{OnReject, Output, Scrubber, Settings};
pub use selection::{Condition, Selection};
pub use subject::{Identifier, Seeker, Value, Whose};

#[doc(hidden)]
pub use single::{Looks, addresses, bucket, cut_time, family, is_plain, json_escaped, percent_decoded, rejected, residual, template, tokens, unescaped};
