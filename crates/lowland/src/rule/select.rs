//! The first stage: which samples of the batch each gradient is taken on, with respect to which
//! parameters.

use std::fmt::Debug;

use dyn_clone::DynClone;

use super::gradient::Pair;
use super::surface::Surface;
use super::values::{Perturbation, Selection};
use crate::Result;
use crate::state::Memory;

/// Chooses what both gradients are taken of.
pub trait Select: Debug + DynClone + Send {
    /// The selection for the gradient at `w`.
    ///
    /// # Errors
    /// What an evaluation on the way gives.
    fn first(&mut self, surface: &mut dyn Surface) -> Result<Selection>;

    /// The selection for the gradient at `w + e`; by default that of the first. Called right after
    /// the first gradient.
    ///
    /// # Errors
    /// What an evaluation on the way gives.
    fn second(
        &mut self,
        first: Selection,
        _e: &Perturbation<'_>,
        _surface: &mut dyn Surface,
    ) -> Result<Selection> {
        Ok(first)
    }

    /// Sees the two gradients of a step that had a second one, right after it.
    ///
    /// # Errors
    /// What reading values back from the device gives.
    fn observe(&mut self, _pair: &Pair, _surface: &mut dyn Surface) -> Result<()> {
        Ok(())
    }

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

    /// Whether some parameters are left out of the second gradient, and so are not trained in a
    /// step.
    fn leaves_parameters_out(&self) -> bool {
        false
    }

    /// Whether some parameters can be left out of the first gradient that are in the second one. A
    /// rule with such a first gradient is of use only where every step takes the second one and
    /// descends along it alone.
    fn thins_first_gradient(&self) -> bool {
        false
    }

    /// Whether some samples are left out of a gradient.
    fn chooses_samples(&self) -> bool {
        false
    }
}

dyn_clone::clone_trait_object!(Select);

/// Takes both gradients on the whole batch, with respect to all parameters.
#[derive(Debug, Clone, Copy, Default)]
pub struct AllSamples;

impl Select for AllSamples {
    fn first(&mut self, _surface: &mut dyn Surface) -> Result<Selection> {
        Ok(Selection::ALL)
    }
}

/// The positions of the `count` largest values, in rising order; of equal values, the first.
pub(crate) fn largest(values: &[f64], count: usize) -> Vec<usize> {
    let mut positions: Vec<usize> = (0..values.len()).collect();
    positions.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    positions.truncate(count);
    positions.sort_unstable();
    positions
}

/// `⌈fraction·of⌉`, at least 1; a product that rounding lifts above a whole number counts as that
/// number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 ≤ fraction ≤ 1")]
pub(crate) fn share(fraction: f64, of: usize) -> usize {
    ((fraction * of as f64 - 1e-9).ceil() as usize).max(1)
}
