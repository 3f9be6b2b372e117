//! The fourth stage: which gradient goes to the base optimizer.

use std::fmt::Debug;

use dyn_clone::DynClone;
use serde::{Deserialize, Serialize};

use crate::rule::Pair;
use crate::state::Memory;
use crate::{ParamVec, Result};

mod orthogonal;
mod rescaled;
mod reuse;
mod sharp;
mod surrogate_gap;

pub use orthogonal::ReuseOrthogonal;
pub use rescaled::Rescaled;
pub use reuse::ReusePsf;
pub use sharp::SharpGradient;
pub use surrogate_gap::SurrogateGap;

/// Gives the gradient that goes to the base optimizer.
pub trait Descend: Debug + DynClone + Send {
    /// The gradient of a step with both `g` and `g_s`.
    fn double(&mut self, pair: Pair) -> ParamVec;

    /// The gradient of a step with `g` alone.
    fn single(&mut self, g: ParamVec) -> ParamVec;

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

    /// Whether it keeps something of a second gradient for steps without one.
    fn reuses(&self) -> bool {
        false
    }

    /// Whether it needs to know the first gradient; a first gradient that it need not know is not averaged
    /// over workers that ascend apart. True unless the part says otherwise.
    fn looks_at_gradient(&self) -> bool {
        true
    }
}

dyn_clone::clone_trait_object!(Descend);

/// The fourth stage in configuration.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum DescendConfig {
    /// See [`SharpGradient`].
    #[default]
    Sharp,
    /// See [`ReusePsf`].
    ReusePsf {
        /// β, the decay. Default 0.7.
        #[serde(default = "beta")]
        beta: f64,
        /// How many times one PSF is reused. Default 6.
        #[serde(default = "max_reuse")]
        max_reuse: u32,
    },
    /// See [`ReuseOrthogonal`].
    ReuseOrthogonal {
        /// α, the length of the reused part as a share of `‖g‖`. Default 0.1.
        #[serde(default = "alpha")]
        alpha: f64,
    },
    /// See [`Rescaled`].
    Rescaled,
    /// See [`SurrogateGap`].
    SurrogateGap {
        /// α, the weight of the surrogate gap. Default 0.4.
        #[serde(default = "gap")]
        alpha: f64,
    },
}

fn beta() -> f64 {
    0.7
}

fn max_reuse() -> u32 {
    6
}

fn alpha() -> f64 {
    0.1
}

fn gap() -> f64 {
    0.4
}

impl DescendConfig {
    /// Checks the values and makes the part.
    ///
    /// # Errors
    /// A value outside its allowed range, named.
    pub fn build(&self) -> Result<Box<dyn Descend>> {
        Ok(match *self {
            Self::Sharp => Box::new(SharpGradient),
            Self::ReusePsf { beta, max_reuse } => Box::new(ReusePsf::new(beta, max_reuse)?),
            Self::ReuseOrthogonal { alpha } => Box::new(ReuseOrthogonal::new(alpha)?),
            Self::Rescaled => Box::new(Rescaled),
            Self::SurrogateGap { alpha } => Box::new(SurrogateGap::new(alpha)?),
        })
    }
}
