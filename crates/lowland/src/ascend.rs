//! The third stage: in which direction and how far the perturbed weights lie.

use std::fmt::Debug;

use dyn_clone::DynClone;
use serde::{Deserialize, Serialize};

use crate::rule::{Perturbation, Surface};
use crate::state::Memory;
use crate::{ParamVec, Result};

mod adaptive;
mod friendly;
mod gradient;
mod masked;
mod per_tensor;
mod radius;
mod raw;
pub use adaptive::{Adaptive, Scaling};
pub use friendly::LessAverage;
pub use gradient::AlongGradient;
pub use masked::Masked;
pub use per_tensor::{PerTensor, TensorRadius};
pub use radius::{Perturb, Radius, RadiusConfig, RadiusGroup, RadiusSchedule, ScaledRadius};
pub use raw::RawGradient;

/// Gives the perturbation `e`.
pub trait Ascend: Debug + DynClone + Send {
    /// The perturbation `e`, given `g = ∇L(w)`.
    ///
    /// # Errors
    /// What reading values back from the device gives.
    fn perturbation<'a>(
        &mut self,
        g: &'a ParamVec,
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

/// The third stage in configuration.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum AscendConfig {
    /// See [`AlongGradient`].
    Gradient {
        /// ρ, the radius.
        rho: f64,
    },
    /// See [`Adaptive`].
    Adaptive {
        /// ρ, the radius.
        rho: f64,
        /// η, added to the size of weights. Default 0.01.
        #[serde(default = "eta")]
        eta: f64,
        /// Which tensors are scaled. Default weights.
        #[serde(default)]
        scaling: Scaling,
    },
    /// See [`RawGradient`].
    RawGradient {
        /// ρ, the length of the step up, as a multiple of the gradient.
        rho: f64,
    },
    /// See [`LessAverage`].
    LessAverage {
        /// ρ, the radius.
        rho: f64,
        /// σ, the share of the average that is taken off. Default 1.
        #[serde(default = "sigma")]
        sigma: f64,
        /// λ, the decay of the average. Default 0.95.
        #[serde(default = "lambda")]
        lambda: f64,
    },
    /// See [`Masked`].
    Masked {
        /// ρ, the radius.
        rho: f64,
        /// β, the probability of a coordinate. Default 0.5.
        #[serde(default = "beta")]
        beta: f64,
    },
    /// See [`PerTensor`].
    PerTensor {
        /// ρ, the radius.
        rho: f64,
        /// What the radius of one tensor is. Default ρ.
        #[serde(default)]
        radius: TensorRadius,
    },
}

fn eta() -> f64 {
    0.01
}

fn sigma() -> f64 {
    1.0
}

fn lambda() -> f64 {
    0.95
}

fn beta() -> f64 {
    0.5
}

impl Default for AscendConfig {
    fn default() -> Self {
        Self::Gradient { rho: 0.05 }
    }
}

impl AscendConfig {
    /// Checks the values and makes the part.
    ///
    /// # Errors
    /// A value outside its allowed range, named.
    pub fn build(&self) -> Result<Box<dyn Ascend>> {
        Ok(match *self {
            Self::Gradient { rho } => Box::new(AlongGradient::new(rho)?),
            Self::Adaptive { rho, eta, scaling } => Box::new(Adaptive::new(rho, eta, scaling)?),
            Self::RawGradient { rho } => Box::new(RawGradient::new(rho)?),
            Self::LessAverage { rho, sigma, lambda } => {
                Box::new(LessAverage::new(rho, sigma, lambda)?)
            }
            Self::Masked { rho, beta } => Box::new(Masked::new(rho, beta)?),
            Self::PerTensor { rho, radius } => Box::new(PerTensor::new(rho, radius)?),
        })
    }
}
