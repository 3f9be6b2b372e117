//! The first gradient of random tensors, the second on the samples whose losses rise most.

use serde::{Deserialize, Serialize};

use crate::Active;
use crate::Result;
use crate::error::positive_fraction;
use crate::rule::{Perturbation, Samples, Selection, Surface};
use crate::select::{Select, largest, share};
use crate::vector::read;

/// The settings of [`LargestRise`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LargestRiseConfig {
    /// γ, the share of the batch that the second gradient is taken on, above 0 and at most 1.
    /// Default 0.5.
    pub gamma: f64,
    /// β, the probability with which a parameter tensor takes part in the first gradient, above 0 and
    /// at most 1. Default 1: all do.
    pub beta: f64,
}

impl Default for LargestRiseConfig {
    fn default() -> Self {
        Self { gamma: 0.5, beta: 1.0 }
    }
}

/// Takes the first gradient on the whole batch with respect to parameter tensors drawn with
/// probability β each, and the second with respect to all on the `⌈γ·b⌉` samples whose losses rise most
/// from `w` to `w + e`. A forward pass over the whole batch at `w + e` tells, and one read-back;
/// none where γ is 1.
#[derive(Debug, Clone, Copy)]
pub struct LargestRise {
    config: LargestRiseConfig,
}

impl LargestRise {
    /// Checks the settings.
    ///
    /// # Errors
    /// A share or probability that is not above 0 or above 1.
    pub fn new(config: LargestRiseConfig) -> Result<Self> {
        positive_fraction("gamma", config.gamma)?;
        positive_fraction("beta", config.beta)?;
        Ok(Self { config })
    }
}

impl Select for LargestRise {
    fn first(&mut self, surface: &mut dyn Surface) -> Result<Selection> {
        if self.config.beta >= 1.0 {
            return Ok(Selection::ALL);
        }
        let tensors = surface.parameters().len();
        let flags = (0..tensors).map(|_| surface.uniform() < self.config.beta).collect();
        Ok(Selection { samples: Samples::All, parameters: Active::Some(flags) })
    }

    fn second(
        &mut self,
        _first: Selection,
        e: &Perturbation<'_>,
        surface: &mut dyn Surface,
    ) -> Result<Selection> {
        if self.config.gamma >= 1.0 {
            return Ok(Selection::ALL);
        }
        let before = surface.latest_losses()?;
        let rise = read(vec![surface.losses_at(e, &Samples::All)? - before])?;
        let of = rise.len();
        let positions = largest(&rise, share(self.config.gamma, of));
        Ok(Samples::Some { positions, of }.into())
    }

    fn chooses_samples(&self) -> bool {
        self.config.gamma < 1.0
    }

    fn looks_at_gradient(&self) -> bool {
        false
    }
}
