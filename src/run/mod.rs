//! The verbs.

pub mod batch;
mod catalog;
pub mod expire;
pub mod pipe;
pub mod risk;
pub mod subject;
pub mod status;
pub mod verify;
