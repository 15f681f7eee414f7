//! What stays, how long and why, and the evidence of it. Pure: no file, clock or environment.

pub mod ledger;
