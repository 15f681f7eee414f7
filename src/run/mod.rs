//! The verbs.

pub mod pipe;
pub mod verify;
