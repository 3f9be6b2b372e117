//! The part of the second gradient that lies across the first, reused at the length of the first.

use crate::descend::Descend;
use crate::error::non_negative;
use crate::rule::Pair;
use crate::state::Memory;
use crate::{ParamVec, Result};

/// `g_s` where there is one; otherwise `g + α·‖g‖·g_v/(‖g_v‖ + 1e-12)`, where `g_v = g_s − (⟨g, g_s⟩/‖g‖²)·g` is
/// the latest second gradient less what of it lies along the plain one. Plain g before there is
/// any, and where `g_v` is zero.
///
/// Keeps one copy of the parameters, `g_v`, between steps.
#[derive(Debug, Clone)]
pub struct ReuseOrthogonal {
    alpha: f64,
    orthogonal: Option<ParamVec>,
}

impl ReuseOrthogonal {
    /// Sets α, the length of the reused part as a share of `‖g‖`.
    ///
    /// # Errors
    /// An α that is negative or not finite.
    pub fn new(alpha: f64) -> Result<Self> {
        Ok(Self { alpha: non_negative("alpha", alpha)?, orthogonal: None })
    }
}

impl Descend for ReuseOrthogonal {
    fn double(&mut self, pair: Pair) -> ParamVec {
        let (g, g_s) = pair.into_both();
        self.orthogonal = Some(g_s.clone().without(&g));
        g_s
    }

    fn single(&mut self, g: ParamVec) -> ParamVec {
        let Some(g_v) = &self.orthogonal else { return g };
        let factor = g.norm().mul_scalar(self.alpha) * g_v.inverse_norm();
        g.plus(&g_v.clone().times(&factor))
    }

    fn save(&self, memory: &mut Memory) -> Result<()> {
        memory.put_vector("orthogonal", self.orthogonal.as_ref());
        Ok(())
    }

    fn restore(&mut self, memory: &mut Memory) -> Result<()> {
        self.orthogonal = memory.take_vector("orthogonal")?;
        Ok(())
    }

    fn reuses(&self) -> bool {
        true
    }
}
