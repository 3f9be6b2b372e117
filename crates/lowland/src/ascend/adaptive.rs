//! Up the gradient, further where weights are large.

use serde::{Deserialize, Serialize};

use crate::ascend::Ascend;
use crate::error::non_negative;
use crate::rule::{Perturbation, Surface};
use crate::{ParamVec, Parameters, Result};

/// Which parameter tensors are scaled by the size of their weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scaling {
    /// Those that PyTorch calls `weight`, as the authors' code has it: weights proper, and the
    /// scales of normalisation layers, which Burn calls `gamma`. Others keep the plain gradient.
    #[default]
    Weights,
    /// All of them.
    All,
}

impl Scaling {
    fn covers(self, name: &str) -> bool {
        self == Self::All || name.contains("weight") || name == "gamma"
    }
}

/// `e = ρ·T²g/(‖T·g‖ + 1e-12)` with `T = |w| + η` on the tensors that [`Scaling`] covers and `T = 1`
/// on the others.
#[derive(Debug, Clone, Copy)]
pub struct Adaptive {
    rho: f64,
    eta: f64,
    scaling: Scaling,
}

impl Adaptive {
    /// Sets the radius ρ, the offset η added to `|w|`, and which tensors are scaled.
    ///
    /// # Errors
    /// A radius or offset that is negative or not finite.
    pub fn new(rho: f64, eta: f64, scaling: Scaling) -> Result<Self> {
        Ok(Self { rho: non_negative("rho", rho)?, eta: non_negative("eta", eta)?, scaling })
    }

    /// `T`, absent where it is 1.
    pub(crate) fn scales(&self, weights: ParamVec, parameters: &Parameters) -> ParamVec {
        let covered = parameters.iter().map(|parameter| self.scaling.covers(parameter.name()));
        let parts = weights.into_parts().into_iter().zip(covered);
        ParamVec::new(
            parts
                .map(|(w, covered)| Some(w.filter(|_| covered)?.abs().add_scalar(self.eta)))
                .collect(),
        )
    }
}

impl Ascend for Adaptive {
    fn perturbation<'a>(
        &mut self,
        g: &'a ParamVec,
        surface: &mut dyn Surface,
    ) -> Result<Perturbation<'a>> {
        let t = self.scales(surface.weights(), surface.parameters());
        let t_g = g.clone().times_where(&t);
        let scale = t_g.inverse_norm().mul_scalar(self.rho);
        Ok(Perturbation { direction: t_g.times_where(&t).into(), scale })
    }
}
