//! SS-SAM: SAM steps at random.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::{AlgorithmConfig, Descriptor};
use crate::ascend::AlongGradient;
use crate::compose::ComposedRule;
use crate::descend::SharpGradient;
use crate::rule::Rule;
use crate::schedule::{AtRandom, AtRandomConfig, Course};
use crate::select::AllSamples;
use crate::{Result, Scheduled};

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
/// - `probability`: p, between 0 and 1; 1 gives SAM, 0 the base optimizer. Default 0.5.
/// - `last_probability`: p at the last step, which p moves to; the optimizer must then know the number
///   of steps. Default: p stays.
/// - `course`: how it moves there, `linear` or `cosine`. Default linear.
///
/// # Fidelity
/// After stochastic scheduled SAM, 2022, arXiv 2203.09962, whose text we have not checked. The draw comes from the optimizer's seeded generator.
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
    /// p, the probability of a SAM step, at the first step.
    pub probability: f64,
    /// The probability at the last step.
    pub last_probability: Option<f64>,
    /// How the one becomes the other.
    pub course: Course,
}

impl Default for StochasticSamConfig {
    fn default() -> Self {
        Self { rho: 0.05, probability: 0.5, last_probability: None, course: Course::Linear }
    }
}

impl StochasticSamConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "ss-sam",
        label: "SS-SAM",
        summary: "a SAM step at random, the base optimizer otherwise",
        passes: "1 + p",
        memory: "0",
        source: "arXiv 2203.09962",
    };

    /// Creates the settings with this radius, ρ, and the defaults of everything else.
    pub fn new(rho: f64) -> Self {
        Self { rho, ..Self::default() }
    }
}

impl AlgorithmConfig for StochasticSamConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        let schedule = AtRandom::new(AtRandomConfig {
            probability: self.probability,
            last_probability: self.last_probability,
            course: self.course,
        })?;
        Ok(Box::new(ComposedRule::new(
            AllSamples,
            schedule,
            AlongGradient::new(self.rho)?,
            SharpGradient,
        )?))
    }
}
