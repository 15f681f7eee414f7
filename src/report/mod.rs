//! What people look at: figures of clean files, and what they mean in words. Pure: values in, figures and sentences out.

pub mod counts;
pub mod questions;
pub mod risk;
