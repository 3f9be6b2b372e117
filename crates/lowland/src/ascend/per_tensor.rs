//! Up the gradient of each tensor by itself.

use serde::{Deserialize, Serialize};

use crate::ascend::Ascend;
use crate::error::non_negative;
use crate::rule::{Perturbation, Surface};
use crate::vector::{STABILISER, one, scaled, wide_norm};
use crate::{ParamVec, Result};

/// What the radius of one tensor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TensorRadius {
    /// ρ for each: `e_l = ρ·g_l/‖g_l‖`.
    #[default]
    Same,
    /// In proportion to the tensor's weights: `e_l = ρ·(‖w_l‖/‖g_l‖)·g_l/‖g‖`.
    Trust,
}

/// A perturbation tensor by tensor: `e_l = ρ·g_l/‖g_l‖`, or `e_l = ρ·(‖w_l‖/‖g_l‖)·g_l/‖g‖`.
///
/// Both are unconfirmed: public implementations of layer-wise ascent disagree, and no authors' code
/// is known to us.
#[derive(Debug, Clone, Copy)]
pub struct PerTensor {
    rho: f64,
    radius: TensorRadius,
}

impl PerTensor {
    /// Sets ρ and what the radius of one tensor is.
    ///
    /// # Errors
    /// A radius that is negative or not finite.
    pub fn new(rho: f64, radius: TensorRadius) -> Result<Self> {
        Ok(Self { rho: non_negative("rho", rho)?, radius })
    }
}

impl Ascend for PerTensor {
    fn perturbation<'a>(
        &mut self,
        g: &'a ParamVec,
        surface: &mut dyn Surface,
    ) -> Result<Perturbation<'a>> {
        let weights = match self.radius {
            TensorRadius::Same => None,
            TensorRadius::Trust => Some(surface.weights()),
        };
        let part = |(i, part): (usize, &Option<_>)| {
            let part: burn::tensor::Tensor<1> = part.clone()?;
            let mut factor = wide_norm(&part).add_scalar(STABILISER).recip();
            if let Some(w) = weights.as_ref().and_then(|weights| weights.parts()[i].as_ref()) {
                factor = factor * wide_norm(w);
            }
            Some(scaled(part, &factor))
        };
        let direction = ParamVec::new(g.parts().iter().enumerate().map(part).collect());
        let scale = match self.radius {
            TensorRadius::Same => one(g),
            TensorRadius::Trust => g.inverse_norm(),
        };
        Ok(Perturbation { direction: direction.into(), scale: scale.mul_scalar(self.rho) })
    }
}
