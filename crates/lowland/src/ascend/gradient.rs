//! Straight up the gradient.

use crate::ascend::Ascend;
use crate::error::non_negative;
use crate::rule::{Perturbation, Surface};
use crate::{ParamVec, Result};

/// `e = ρ·g/(‖g‖ + 1e-12)`, the norm over all trainable parameters.
#[derive(Debug, Clone, Copy)]
pub struct AlongGradient {
    rho: f64,
}

impl AlongGradient {
    /// Sets the radius ρ, a length in parameter space.
    ///
    /// # Errors
    /// A radius that is negative or not finite.
    pub fn new(rho: f64) -> Result<Self> {
        Ok(Self { rho: non_negative("rho", rho)? })
    }
}

impl Ascend for AlongGradient {
    fn perturbation<'a>(
        &mut self,
        g: &'a ParamVec,
        _surface: &mut dyn Surface,
    ) -> Result<Perturbation<'a>> {
        Ok(Perturbation::along(g, self.rho))
    }
}
