//! A second gradient at random.

use crate::error::fraction;
use crate::rule::Surface;
use crate::schedule::Schedule;
use crate::{ParamVec, Result};

/// A second gradient with a fixed probability, drawn anew at each step.
#[derive(Debug, Clone, Copy)]
pub struct AtRandom {
    probability: f64,
}

impl AtRandom {
    /// Sets the probability.
    ///
    /// # Errors
    /// A probability outside `[0, 1]`.
    pub fn new(probability: f64) -> Result<Self> {
        Ok(Self { probability: fraction("probability", probability)? })
    }
}

impl Schedule for AtRandom {
    fn due(&mut self, _g: &ParamVec, surface: &mut dyn Surface) -> Result<bool> {
        Ok(surface.uniform() < self.probability)
    }
}
