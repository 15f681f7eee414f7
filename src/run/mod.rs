//! The verbs.

pub mod batch;
pub mod pipe;
pub mod verify;
