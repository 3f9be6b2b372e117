//! The third room: in which direction and how far the perturbed weights lie.

use std::fmt::Debug;

use dyn_clone::DynClone;

use crate::rule::{Perturbation, Surface};
use crate::{ParamVec, Result};

mod adaptive;
mod friendly;
mod gradient;
mod raw;

pub use adaptive::{Adaptive, Scaling};
pub use friendly::LessAverage;
pub use gradient::AlongGradient;
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
}

dyn_clone::clone_trait_object!(Ascend);
