//! The third stage: in which direction and how far the perturbed weights lie.

use std::fmt::Debug;

use dyn_clone::DynClone;

use super::gradient::Gradient;
use super::surface::Surface;
use super::values::Perturbation;
use crate::Result;
use crate::error::non_negative;
use crate::state::Memory;

/// Gives the perturbation `e`.
pub trait Ascend: Debug + DynClone + Send {
    /// The perturbation `e`, given `g = ∇L(w)`.
    ///
    /// # Errors
    /// What reading values back from the device gives.
    fn perturbation<'a>(
        &mut self,
        g: &'a Gradient,
        surface: &mut dyn Surface,
    ) -> Result<Perturbation<'a>>;

    /// Writes what it carries from step to step.
    ///
    /// # Errors
    /// The device fails.
    fn save(&self, _memory: &mut Memory) -> Result<()> {
        Ok(())
    }

    /// Reads what [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// What `memory` holds does not fit.
    fn restore(&mut self, _memory: &mut Memory) -> Result<()> {
        Ok(())
    }
}

dyn_clone::clone_trait_object!(Ascend);

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
        g: &'a Gradient,
        _surface: &mut dyn Surface,
    ) -> Result<Perturbation<'a>> {
        Ok(Perturbation::along(g, self.rho))
    }
}
