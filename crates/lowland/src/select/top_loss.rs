//! Both gradients on the samples with the largest losses.

use serde::{Deserialize, Serialize};

use crate::error::positive_fraction;
use crate::rule::{Samples, Selection, Surface};
use crate::select::{Select, largest, share};
use crate::vector::read;
use crate::{Error, Result};

/// The settings of [`TopLoss`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TopLossConfig {
    /// The share of the batch, above 0 and at most 1. Default 0.5.
    pub fraction: f64,
}

impl Default for TopLossConfig {
    fn default() -> Self {
        Self { fraction: 0.5 }
    }
}

/// Takes both gradients on the `⌈fraction·b⌉` samples of the batch with the largest losses. A forward pass
/// over the whole batch ranks them; it is the one that moves running statistics. One read-back
/// a step.
#[derive(Debug, Clone, Copy)]
pub struct TopLoss {
    fraction: f64,
}

impl TopLoss {
    /// Checks the share.
    ///
    /// # Errors
    /// A share that is not above 0 or above 1.
    pub fn new(config: TopLossConfig) -> Result<Self> {
        Ok(Self { fraction: positive_fraction("fraction", config.fraction)? })
    }
}

impl Select for TopLoss {
    fn first(&mut self, surface: &mut dyn Surface) -> Result<Selection> {
        let losses = read(vec![surface.losses(&Samples::All)?])?;
        if losses.is_empty() {
            return Err(Error::NoEvaluation);
        }
        let of = losses.len();
        let positions = largest(&losses, share(self.fraction, of));
        Ok(Samples::Some { positions, of }.into())
    }

    fn chooses_samples(&self) -> bool {
        true
    }

    fn looks_at_gradient(&self) -> bool {
        false
    }
}
