//! The verbs.

pub mod batch;
mod catalog;
pub mod expire;
pub mod init;
pub mod pipe;
pub mod risk;
pub mod sidecar;
pub mod status;
mod stock;
pub mod subject;
pub mod verify;
