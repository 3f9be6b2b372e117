//! Up the part of the gradient that is this batch's own.

use crate::ascend::Ascend;
use crate::error::{finite, fraction, non_negative};
use crate::rule::{Perturbation, Surface};
use crate::state::Memory;
use crate::{ParamVec, Result};

/// `e = ρ·d/(‖d‖ + 1e-12)` with `d = g − σ·m`, where m averages the gradients of the steps before:
/// `m ← λ·m + (1 − λ)·g`. The first step ascends along g itself.
///
/// Keeps one copy of the parameters, m, between steps.
#[derive(Debug, Clone)]
pub struct LessAverage {
    rho: f64,
    sigma: f64,
    lambda: f64,
    average: Option<ParamVec>,
}

impl LessAverage {
    /// Sets the radius ρ, the share σ of the average that is taken off, and the average's decay λ.
    ///
    /// # Errors
    /// A radius that is negative or not finite, a share that is not finite, a decay outside
    /// `[0, 1]`.
    pub fn new(rho: f64, sigma: f64, lambda: f64) -> Result<Self> {
        Ok(Self {
            rho: non_negative("rho", rho)?,
            sigma: finite("sigma", sigma)?,
            lambda: fraction("lambda", lambda)?,
            average: None,
        })
    }
}

impl Ascend for LessAverage {
    fn perturbation<'a>(
        &mut self,
        g: &'a ParamVec,
        surface: &mut dyn Surface,
    ) -> Result<Perturbation<'a>> {
        // The average is over the gradients of all workers, whatever each of them ascends along.
        let mean = surface.mean(g)?;
        let mean = mean.as_ref().unwrap_or(g);
        let Some(m) = self.average.take() else {
            self.average = Some(mean.clone());
            return Ok(Perturbation::along(g, self.rho));
        };
        // By its difference to g, so that a gradient that does not change leaves m exactly as it is:
        // a residue of rounding would be stretched to the whole radius.
        let difference = mean.clone().minus(&m);
        let d = g.clone().plus_scaled(&m, -self.sigma);
        self.average = Some(m.plus_scaled(&difference, 1.0 - self.lambda));
        Ok(Perturbation::along(d, self.rho))
    }

    fn save(&self, memory: &mut Memory) -> Result<()> {
        memory.put_vector("average", self.average.as_ref());
        Ok(())
    }

    fn restore(&mut self, memory: &mut Memory) -> Result<()> {
        self.average = memory.take_vector("average")?;
        Ok(())
    }
}
