//! SS-SAM: SAM steps at random.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::algorithms::config::{AlgorithmConfig, Descriptor, Fidelity};
use crate::algorithms::scheduled::Scheduled;
use crate::error::fraction;
use crate::rule::ascend::AlongGradient;
use crate::rule::descend::SharpGradient;
use crate::rule::schedule::{Course, Schedule, done};
use crate::rule::select::AllSamples;
use crate::rule::{ComposedRule, Gradient, Rule, Surface};

/// SS-SAM (stochastic scheduled SAM): a SAM step with some probability, the base optimizer
/// otherwise. Choose it where a period could fall in step with the data.
///
/// # Update
/// ```text
/// with probability p:   ĝ = g_s = ∇L(w + ρ·g/‖g‖)
/// otherwise:            ĝ = g
/// ```
/// g = ∇L(w) is the gradient of the batch's mean loss; ‖·‖ and ⟨·,·⟩ run over all trainable
/// parameters. ĝ goes to the base optimizer.
///
/// # Cost
/// Passes per step: 1 + p. Memory: none between steps.
///
/// # Parameters
/// - `rho`: ρ, the radius, a length in parameter space, at least 0. Default 0.05.
/// - `probability`, `last_probability`, `course`, in the table `schedule`: see [`AtRandomConfig`];
///   a probability of 1 gives SAM, 0 the base optimizer.
///
/// # Fidelity
/// After stochastic scheduled SAM, 2022, arXiv 2203.09962, whose text we have not checked. The draw
/// comes from the optimizer's seeded generator.
///
/// Authors' code: none known to us.
///
/// # Example
/// ```
/// use lowland::StochasticSamConfig;
///
/// let rule = StochasticSamConfig::default().build()?;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "Scheduled<StochasticSamConfig>", field = "algorithm"))]
pub struct StochasticSamConfig {
    /// ρ, the radius.
    pub rho: f64,
    /// When a SAM step is due.
    pub schedule: AtRandomConfig,
}

impl Default for StochasticSamConfig {
    fn default() -> Self {
        Self { rho: 0.05, schedule: AtRandomConfig::default() }
    }
}

impl StochasticSamConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "ss-sam",
        label: "SS-SAM",
        summary: "a SAM step at random, the base optimizer otherwise",
        passes: "1 + p",
        memory: "0",
        below_one_pass: false,
        source: "arXiv 2203.09962",
        fidelity: Fidelity::Laws,
    };

    /// Creates the settings with this radius, ρ, and the defaults of everything else.
    pub fn new(rho: f64) -> Self {
        Self { rho, ..Self::default() }
    }
}

impl Scheduled<StochasticSamConfig> {
    fn schedule(&mut self) -> &mut AtRandomConfig {
        &mut self.algorithm.schedule
    }
}

impl AlgorithmConfig for StochasticSamConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        let schedule = AtRandom::new(self.schedule)?;
        Ok(Box::new(ComposedRule::new(
            AllSamples,
            schedule,
            AlongGradient::new(self.rho)?,
            SharpGradient,
        )?))
    }
}

/// The settings of [`AtRandom`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "StochasticSamConfig", field = "schedule"))]
#[setters(generate_delegates(ty = "Scheduled<StochasticSamConfig>", method = "schedule"))]
pub struct AtRandomConfig {
    /// The probability, between 0 and 1. Default 0.5.
    pub probability: f64,
    /// The probability at the end of training, which it moves to; the optimizer must then know the
    /// number of steps. Default: it stays.
    pub last_probability: Option<f64>,
    /// How it moves there. Default linear.
    pub course: Course,
}

impl Default for AtRandomConfig {
    fn default() -> Self {
        Self { probability: 0.5, last_probability: None, course: Course::default() }
    }
}

/// A second gradient with a probability, drawn anew at each step.
#[derive(Debug, Clone, Copy)]
pub struct AtRandom {
    config: AtRandomConfig,
}

impl AtRandom {
    /// Checks the settings.
    ///
    /// # Errors
    /// A probability outside `[0, 1]`.
    pub fn new(config: AtRandomConfig) -> Result<Self> {
        fraction("probability", config.probability)?;
        if let Some(last) = config.last_probability {
            fraction("last_probability", last)?;
        }
        Ok(Self { config })
    }
}

impl Schedule for AtRandom {
    fn due(&mut self, _g: &Gradient, surface: &mut dyn Surface) -> Result<bool> {
        let AtRandomConfig { probability, last_probability, course } = self.config;
        let probability = match last_probability {
            None => probability,
            Some(last) => course.at(done(surface)?, probability, last),
        };
        Ok(surface.uniform() < probability)
    }
}
