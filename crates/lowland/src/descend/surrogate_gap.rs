//! The gradient at the perturbed weights, less what of the plain one lies across it.

use crate::descend::Descend;
use crate::error::finite;
use crate::rule::Pair;
use crate::{ParamVec, Result};

/// `g_s − α·g_⊥` with `g_⊥ = g − (⟨g, g_s⟩/‖g_s‖²)·g_s` where there is a second gradient, g otherwise.
/// Remembers nothing.
#[derive(Debug, Clone, Copy)]
pub struct SurrogateGap {
    alpha: f64,
}

impl SurrogateGap {
    /// Sets α, the weight of the surrogate gap.
    ///
    /// # Errors
    /// An α that is not finite.
    pub fn new(alpha: f64) -> Result<Self> {
        Ok(Self { alpha: finite("alpha", alpha)? })
    }
}

impl Descend for SurrogateGap {
    fn double(&mut self, pair: Pair) -> ParamVec {
        let (g, g_s) = pair.into_both();
        let across = g.without(&g_s);
        g_s.plus_scaled(&across, -self.alpha)
    }

    fn single(&mut self, g: ParamVec) -> ParamVec {
        g
    }
}
