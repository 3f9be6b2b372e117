//! The first stage: which samples of the batch each gradient is taken on, with respect to which parameters.

use std::fmt::Debug;

use dyn_clone::DynClone;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::rule::{Pair, Perturbation, Selection, Surface};
use crate::state::Memory;

mod all;
mod largest_rise;
mod past_change;
mod sampled_layers;
mod top_loss;
pub use all::AllSamples;
pub use largest_rise::{LargestRise, LargestRiseConfig};
pub use past_change::{PastChange, PastChangeConfig};
pub use sampled_layers::{ACTIVE_LAYERS, SampledLayers, SampledLayersConfig};
pub use top_loss::{TopLoss, TopLossConfig};

/// Chooses what both gradients are taken of.
pub trait Select: Debug + DynClone + Send {
    /// The selection for the gradient at `w`.
    ///
    /// # Errors
    /// What an evaluation on the way gives.
    fn first(&mut self, surface: &mut dyn Surface) -> Result<Selection>;

    /// The selection for the gradient at `w + e`; by default that of the first. Called right after the
    /// first gradient.
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

    /// Whether some parameters are left out of the second gradient, and so are not trained in a step.
    fn leaves_parameters_out(&self) -> bool {
        false
    }

    /// Whether some samples are left out of a gradient.
    fn chooses_samples(&self) -> bool {
        false
    }

    /// Whether it needs to know the first gradient; a first gradient that it need not know is not averaged
    /// over workers that ascend apart. True unless the part says otherwise.
    fn looks_at_gradient(&self) -> bool {
        true
    }
}

dyn_clone::clone_trait_object!(Select);

/// The first stage in configuration.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SelectConfig {
    /// See [`AllSamples`].
    #[default]
    All,
    /// See [`TopLoss`].
    TopLoss(TopLossConfig),
    /// See [`LargestRise`].
    LargestRise(LargestRiseConfig),
    /// See [`PastChange`].
    PastChange(PastChangeConfig),
    /// See [`SampledLayers`].
    SampledLayers(SampledLayersConfig),
}

impl SelectConfig {
    /// Checks the values and makes the part.
    ///
    /// # Errors
    /// A value outside its allowed range, named.
    pub fn build(&self) -> Result<Box<dyn Select>> {
        Ok(match self {
            Self::All => Box::new(AllSamples),
            Self::TopLoss(config) => Box::new(TopLoss::new(*config)?),
            Self::LargestRise(config) => Box::new(LargestRise::new(*config)?),
            Self::PastChange(config) => Box::new(PastChange::new(*config)?),
            Self::SampledLayers(config) => Box::new(SampledLayers::new(*config)?),
        })
    }
}

/// The positions of the `count` largest values, in rising order; of equal values, the first.
fn largest(values: &[f64], count: usize) -> Vec<usize> {
    let mut positions: Vec<usize> = (0..values.len()).collect();
    positions.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    positions.truncate(count);
    positions.sort_unstable();
    positions
}

/// `⌈fraction·of⌉`, at least 1; a product that rounding lifts above a whole number counts as that number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 ≤ fraction ≤ 1")]
fn share(fraction: f64, of: usize) -> usize {
    ((fraction * of as f64 - 1e-9).ceil() as usize).max(1)
}
