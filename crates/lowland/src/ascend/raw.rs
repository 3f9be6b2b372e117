//! Up the gradient, as far as it is long.

use crate::ascend::Ascend;
use crate::error::non_negative;
use crate::rule::{Perturbation, Surface};
use crate::vector::one;
use crate::{ParamVec, Result};

/// `e = ρ·g`, not normalised: far where the gradient is long, and next to nothing near a minimum.
#[derive(Debug, Clone, Copy)]
pub struct RawGradient {
    rho: f64,
}

impl RawGradient {
    /// Sets ρ, here the length of a step up and no radius.
    ///
    /// # Errors
    /// A ρ that is negative or not finite.
    pub fn new(rho: f64) -> Result<Self> {
        Ok(Self { rho: non_negative("rho", rho)? })
    }
}

impl Ascend for RawGradient {
    fn perturbation<'a>(
        &mut self,
        g: &'a ParamVec,
        _surface: &mut dyn Surface,
    ) -> Result<Perturbation<'a>> {
        Ok(Perturbation { direction: g.into(), scale: one(g).mul_scalar(self.rho) })
    }
}
