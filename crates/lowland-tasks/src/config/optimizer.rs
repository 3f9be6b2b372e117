//! The base optimizer.

use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamWConfig, ModuleOptimizer, SgdConfig};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::error::setting;

/// The base optimizer. Its learning rate falls along a cosine to 0, a step at a time, or over the
/// share of a limit that is used up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Which one. Default `sgd`.
    pub name: OptimizerName,
    /// The learning rate at the start, above 0 and at most 1. Default 0.05.
    pub learning_rate: f64,
    /// The momentum of SGD, without dampening, at least 0 and below 1; AdamW has none. Default 0.9.
    pub momentum: f64,
    /// The weight decay, at least 0: added to SGD's gradient, decoupled in AdamW. Default 5e-4.
    pub weight_decay: f64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self { name: OptimizerName::Sgd, learning_rate: 0.05, momentum: 0.9, weight_decay: 5e-4 }
    }
}

/// A base optimizer that can be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerName {
    /// Stochastic gradient descent with momentum.
    #[default]
    Sgd,
    /// Adam with decoupled weight decay.
    AdamW,
}

impl OptimizerName {
    /// Every optimizer, in the order in which lists show them.
    pub const ALL: [Self; 2] = [Self::Sgd, Self::AdamW];

    /// The name in commands and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sgd => "sgd",
            Self::AdamW => "adamw",
        }
    }

    /// The name in text.
    pub fn label(self) -> &'static str {
        match self {
            Self::Sgd => "SGD",
            Self::AdamW => "AdamW",
        }
    }

    /// What it is, in one line.
    pub fn description(self) -> &'static str {
        match self {
            Self::Sgd => "stochastic gradient descent with momentum",
            Self::AdamW => "Adam with decoupled weight decay",
        }
    }
}

impl OptimizerConfig {
    /// Checks the values.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) where one is out of range.
    pub fn check(&self) -> Result<()> {
        let rate = self.learning_rate;
        setting("learning_rate", rate > 0.0 && rate <= 1.0, rate, "above 0 and at most 1")?;
        let momentum = self.momentum;
        setting("momentum", (0.0..1.0).contains(&momentum), momentum, "at least 0 and below 1")?;
        let decay = self.weight_decay;
        setting("weight_decay", decay >= 0.0 && decay.is_finite(), decay, "finite and at least 0")
    }

    /// Checks the values and makes Burn's optimizer.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn build(&self) -> Result<ModuleOptimizer> {
        self.check()?;
        let (momentum, decay) = (self.momentum, self.weight_decay);
        #[expect(clippy::cast_possible_truncation, reason = "Burn keeps it in f32")]
        let penalty = decay as f32;
        Ok(match self.name {
            OptimizerName::Sgd => {
                // Burn's dampening is 0.1 unless it is set; every published recipe has 0.
                let momentum = MomentumConfig { momentum, dampening: 0.0, nesterov: false };
                SgdConfig::new()
                    .with_momentum((momentum.momentum > 0.0).then_some(momentum))
                    .with_weight_decay((penalty > 0.0).then_some(WeightDecayConfig { penalty }))
                    .init()
            }
            OptimizerName::AdamW => {
                AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(penalty).init()
            }
        })
    }
}
