//! The base optimizer.

use burn::module::ParamGroup;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{
    AdaGradConfig, AdamConfig, AdamWConfig, ModuleOptimizer, Optimizer, RmsPropConfig, SgdConfig,
};
use serde::{Deserialize, Serialize};

use super::schedule::ScheduleConfig;
use crate::error::setting;
use crate::{Error, Result};

/// The base optimizer, Burn's of that name. What does not apply to it must have its default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Which one. Default `sgd`.
    pub name: OptimizerName,
    /// The learning rate, finite and above 0, which the schedule changes over training. Default
    /// 0.05.
    pub learning_rate: f64,
    /// The momentum of SGD, without dampening, and of RMSProp, at least 0 and below 1. Default 0.9.
    pub momentum: f64,
    /// Whether SGD's momentum is Nesterov's. Default false.
    pub nesterov: bool,
    /// β₁ of Adam and AdamW, at least 0 and below 1. Default 0.9.
    pub beta_1: f64,
    /// β₂ of Adam and AdamW, at least 0 and below 1. Default 0.999.
    pub beta_2: f64,
    /// What RMSProp's average of squares keeps in a step, at least 0 and below 1. Default 0.99.
    pub alpha: f64,
    /// What Adam, AdamW, RMSProp and AdaGrad add to a divisor, finite and above 0. Default 1e-8.
    pub epsilon: f64,
    /// The weight decay, at least 0: decoupled in AdamW, added to the gradient in all others.
    /// Default 5e-4.
    pub weight_decay: f64,
    /// Whether it falls on biases and on the scales and shifts of norms, which are all parameters
    /// of one dimension, too. Default true.
    pub decay_biases_and_norms: bool,
    /// How the learning rate changes over training. Default: it falls along a cosine to 0.
    pub schedule: ScheduleConfig,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            name: OptimizerName::Sgd,
            learning_rate: 0.05,
            momentum: 0.9,
            nesterov: false,
            beta_1: 0.9,
            beta_2: 0.999,
            alpha: 0.99,
            epsilon: 1e-8,
            weight_decay: 5e-4,
            decay_biases_and_norms: true,
            schedule: ScheduleConfig::default(),
        }
    }
}

/// A base optimizer that can be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerName {
    /// Stochastic gradient descent with momentum.
    #[default]
    Sgd,
    /// Adam, weight decay in its gradient.
    Adam,
    /// Adam with decoupled weight decay.
    AdamW,
    /// Gradients divided by a running mean of their size.
    RmsProp,
    /// Gradients divided by the sum of their squares.
    AdaGrad,
}

impl OptimizerName {
    /// Every optimizer, in the order in which lists show them.
    pub const ALL: [Self; 5] = [Self::Sgd, Self::Adam, Self::AdamW, Self::RmsProp, Self::AdaGrad];

    /// The name in commands and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sgd => "sgd",
            Self::Adam => "adam",
            Self::AdamW => "adamw",
            Self::RmsProp => "rmsprop",
            Self::AdaGrad => "adagrad",
        }
    }

    /// The name in text.
    pub fn label(self) -> &'static str {
        match self {
            Self::Sgd => "SGD",
            Self::Adam => "Adam",
            Self::AdamW => "AdamW",
            Self::RmsProp => "RMSProp",
            Self::AdaGrad => "AdaGrad",
        }
    }

    /// What it is, in one line.
    pub fn description(self) -> &'static str {
        match self {
            Self::Sgd => "stochastic gradient descent with momentum",
            Self::Adam => "Adam, weight decay in its gradient",
            Self::AdamW => "Adam with decoupled weight decay",
            Self::RmsProp => "gradients divided by a running mean of their size, with momentum",
            Self::AdaGrad => "gradients divided by the sum of their squares",
        }
    }

    /// Whether it has a momentum of its own.
    pub fn has_momentum(self) -> bool {
        matches!(self, Self::Sgd | Self::RmsProp)
    }
}

impl OptimizerConfig {
    /// Checks the values.
    ///
    /// # Errors
    /// [`Error::Setting`] where one is out of range.
    pub fn check(&self) -> Result<()> {
        let rate = self.learning_rate;
        setting("learning_rate", rate > 0.0 && rate.is_finite(), rate, "finite and above 0")?;
        for (field, share) in [
            ("momentum", self.momentum),
            ("beta_1", self.beta_1),
            ("beta_2", self.beta_2),
            ("alpha", self.alpha),
        ] {
            setting(field, (0.0..1.0).contains(&share), share, "at least 0 and below 1")?;
        }
        let default = Self::default();
        let (name, is_adam) =
            (self.name, matches!(self.name, OptimizerName::Adam | OptimizerName::AdamW));
        // A momentum of 0 is none.
        let has_momentum = name.has_momentum() || self.momentum == 0.0;
        let (momentum, adam) = (
            "0 or left out unless the optimizer is sgd or rmsprop",
            "left out unless the optimizer is adam or adamw",
        );
        let (alpha, epsilon) = ("left out unless the optimizer is rmsprop", "left out with sgd");
        for (field, applies, value, default, allowed) in [
            ("momentum", has_momentum, self.momentum, default.momentum, momentum),
            ("beta_1", is_adam, self.beta_1, default.beta_1, adam),
            ("beta_2", is_adam, self.beta_2, default.beta_2, adam),
            ("alpha", name == OptimizerName::RmsProp, self.alpha, default.alpha, alpha),
            ("epsilon", name != OptimizerName::Sgd, self.epsilon, default.epsilon, epsilon),
        ] {
            if !applies && value.to_bits() != default.to_bits() {
                let found = format!("{value} with {}", name.name());
                return Err(Error::Setting { field, found, allowed });
            }
        }
        let applies = !self.nesterov || (self.name == OptimizerName::Sgd && self.momentum > 0.0);
        setting("nesterov", applies, self.nesterov, "false unless SGD has a momentum above 0")?;
        let epsilon = self.epsilon;
        setting("epsilon", epsilon > 0.0 && epsilon.is_finite(), epsilon, "finite and above 0")?;
        let decay = self.weight_decay;
        setting("weight_decay", decay >= 0.0 && decay.is_finite(), decay, "finite and at least 0")?;
        self.schedule.check()
    }

    /// Checks the values and makes Burn's optimizer, which decays all parameters.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn build(&self) -> Result<ModuleOptimizer> {
        self.build_sparing(&[])
    }

    /// The same with no weight decay on the parameters at some paths.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub(crate) fn build_sparing(&self, paths: &[String]) -> Result<ModuleOptimizer> {
        self.check()?;
        let spared = (!paths.is_empty()).then(|| ParamGroup::from_paths(paths.to_vec()));
        #[expect(clippy::cast_possible_truncation, reason = "Burn keeps it in f32")]
        let [beta_1, beta_2, alpha, epsilon] =
            [self.beta_1, self.beta_2, self.alpha, self.epsilon].map(|number| number as f32);
        #[expect(clippy::cast_possible_truncation, reason = "Burn keeps it in f32")]
        let momentum_in_f32 = self.momentum as f32;
        #[expect(clippy::cast_possible_truncation, reason = "Burn keeps it in f32")]
        let penalty = |decay: f64| {
            let penalty = decay as f32;
            (penalty > 0.0).then_some(WeightDecayConfig { penalty })
        };
        Ok(match self.name {
            OptimizerName::Sgd => {
                // Burn's dampening is 0.1 unless it is set; every published recipe has 0.
                let momentum = MomentumConfig {
                    momentum: self.momentum,
                    dampening: 0.0,
                    nesterov: self.nesterov,
                };
                let momentum = (self.momentum > 0.0).then_some(momentum);
                grouped(spared, self.weight_decay, |decay: f64| {
                    SgdConfig::new()
                        .with_momentum(momentum.clone())
                        .with_weight_decay(penalty(decay))
                        .build()
                })
            }
            OptimizerName::Adam => grouped(spared, self.weight_decay, |decay: f64| {
                AdamConfig::new()
                    .with_beta_1(beta_1)
                    .with_beta_2(beta_2)
                    .with_epsilon(epsilon)
                    .with_weight_decay(penalty(decay))
                    .build()
            }),
            OptimizerName::AdamW => grouped(spared, self.weight_decay, |decay: f64| {
                AdamWConfig::new()
                    .with_beta_1(beta_1)
                    .with_beta_2(beta_2)
                    .with_epsilon(epsilon)
                    .with_weight_decay(penalty(decay).map_or(0.0, |decay| decay.penalty))
                    .build()
            }),
            OptimizerName::RmsProp => grouped(spared, self.weight_decay, |decay: f64| {
                RmsPropConfig::new()
                    .with_alpha(alpha)
                    .with_momentum(momentum_in_f32)
                    .with_epsilon(epsilon)
                    .with_weight_decay(penalty(decay))
                    .build()
            }),
            OptimizerName::AdaGrad => grouped(spared, self.weight_decay, |decay: f64| {
                AdaGradConfig::new().with_epsilon(epsilon).with_weight_decay(penalty(decay)).build()
            }),
        })
    }
}

/// An optimizer of all parameters, and beside it that of the spared ones, for some weight decays.
fn grouped<O: Optimizer>(
    spared: Option<ParamGroup>,
    decay: f64,
    of: impl Fn(f64) -> O,
) -> ModuleOptimizer {
    let all = ModuleOptimizer::from(of(decay));
    match spared {
        Some(group) => all.with_group(group, of(0.0), None),
        None => all,
    }
}
