//! stub
use super::residual::{Residual, Rules};
use std::ops::Range;
#[derive(Default)]
pub(crate) struct Tokens { r: Residual }
impl Tokens {
  pub(crate) fn detect(&mut self, path: &[u8], rules: &Rules<'_>, hits: &mut Vec<Range<usize>>) { self.r.scan(path, rules, hits); }
  pub(crate) fn template(&mut self, path: &[u8], _rules: &Rules<'_>, out: &mut Vec<u8>) { out.extend_from_slice(path); }
}
