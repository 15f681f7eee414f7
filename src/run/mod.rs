//! The verbs.

pub mod pipe;
