//! What people look at: figures of clean files and what they mean, the record of processing. Pure: values in, figures and text out.

pub mod counts;
mod look;
pub mod meaning;
pub mod questions;
pub mod register;
pub mod risk;
pub mod status;

pub use look::inert;
