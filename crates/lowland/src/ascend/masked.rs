//! Up the gradient, on coordinates that are drawn.

use crate::ascend::Ascend;
use crate::error::{non_negative, positive_fraction};
use crate::rule::{Perturbation, Surface};
use crate::{ParamVec, Result};

/// `e = (ρ/β)·m⊙g/(‖g‖ + 1e-12)` with `m_i ~ Bernoulli(β)` drawn anew for every coordinate at each step, so that
/// the mean of e is that of SAM.
#[derive(Debug, Clone, Copy)]
pub struct Masked {
    rho: f64,
    beta: f64,
}

impl Masked {
    /// Sets the radius ρ and the probability β of a coordinate.
    ///
    /// # Errors
    /// A radius that is negative or not finite, a probability that is not above 0 or above 1.
    pub fn new(rho: f64, beta: f64) -> Result<Self> {
        Ok(Self { rho: non_negative("rho", rho)?, beta: positive_fraction("beta", beta)? })
    }
}

impl Ascend for Masked {
    fn perturbation<'a>(
        &mut self,
        g: &'a ParamVec,
        surface: &mut dyn Surface,
    ) -> Result<Perturbation<'a>> {
        let scale = g.inverse_norm().mul_scalar(self.rho / self.beta);
        let mask = surface.mask(g, self.beta);
        Ok(Perturbation { direction: g.clone().times_each(&mask).into(), scale })
    }
}
