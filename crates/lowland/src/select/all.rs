//! Both gradients on the whole batch.

use crate::Result;
use crate::rule::{Selection, Surface};
use crate::select::Select;

/// Takes both gradients on the whole batch, with respect to all parameters.
#[derive(Debug, Clone, Copy, Default)]
pub struct AllSamples;

impl Select for AllSamples {
    fn first(&mut self, _surface: &mut dyn Surface) -> Result<Selection> {
        Ok(Selection::ALL)
    }

    fn looks_at_gradient(&self) -> bool {
        false
    }
}
