//! Both gradients on the whole batch.

use crate::Result;
use crate::rule::{Samples, Surface};
use crate::select::Select;

/// Takes both gradients on the whole batch.
#[derive(Debug, Clone, Copy, Default)]
pub struct AllSamples;

impl Select for AllSamples {
    fn first(&mut self, _surface: &mut dyn Surface) -> Result<Samples> {
        Ok(Samples::All)
    }
}
