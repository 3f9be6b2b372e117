//! The second room: whether a second gradient is due at this step.

use std::fmt::Debug;

use dyn_clone::DynClone;

use crate::rule::{Pair, Surface};
use crate::{ParamVec, Result};

mod controller;
mod fixed;
mod norm_test;
mod periodic;
mod random;

pub use controller::{Controller, ControllerConfig, SAMPLES_PER_WINDOW, Warmup};
pub use fixed::{EveryStep, Never};
pub use norm_test::NormTest;
pub use periodic::Periodic;
pub use random::AtRandom;

/// Decides at which steps a second gradient is taken.
pub trait Schedule: Debug + DynClone + Send {
    /// Whether a second gradient is due, given `g = ∇L(w)`. Called once a step.
    ///
    /// # Errors
    /// What reading values back from the device gives, and settings that do not fit the run.
    fn due(&mut self, g: &ParamVec, surface: &mut dyn Surface) -> Result<bool>;

    /// Sees the two gradients of a step that had a second one.
    fn observe(&mut self, _pair: &Pair) {}
}

dyn_clone::clone_trait_object!(Schedule);
