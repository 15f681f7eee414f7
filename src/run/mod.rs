//! The verbs.

pub mod batch;
pub mod pipe;
pub mod risk;
pub mod verify;
