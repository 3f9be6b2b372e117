//! The fourth room: which gradient goes to the base optimizer.

use std::fmt::Debug;

use dyn_clone::DynClone;

use crate::ParamVec;
use crate::rule::Pair;

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
}

dyn_clone::clone_trait_object!(Descend);
