//! The first room: which samples of the batch each gradient is taken on.

use std::fmt::Debug;

use dyn_clone::DynClone;

use crate::Result;
use crate::rule::{Perturbation, Samples, Surface};

mod all;

pub use all::AllSamples;

/// Chooses the samples of both evaluations.
pub trait Select: Debug + DynClone + Send {
    /// The samples for the gradient at `w`.
    ///
    /// # Errors
    /// What an evaluation on the way gives.
    fn first(&mut self, surface: &mut dyn Surface) -> Result<Samples>;

    /// The samples for the gradient at `w + e`; by default those of the first.
    ///
    /// # Errors
    /// What an evaluation on the way gives.
    fn second(
        &mut self,
        first: Samples,
        _e: &Perturbation<'_>,
        _surface: &mut dyn Surface,
    ) -> Result<Samples> {
        Ok(first)
    }
}

dyn_clone::clone_trait_object!(Select);
