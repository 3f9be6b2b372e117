//! SS-SAM: SAM steps at random.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::algorithms::{Config, Descriptor};
use crate::ascend::AlongGradient;
use crate::descend::SharpGradient;
use crate::rule::Rule;
use crate::schedule::AtRandom;
use crate::select::AllSamples;
use crate::walk::Walk;

/// SS-SAM (stochastic scheduled SAM): a SAM step with a fixed probability, the base optimizer
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
///
/// # Fidelity
/// The probability is constant here; randomised schedules in the literature also let it change over
/// training. The draw comes from the optimizer's seeded generator.
///
/// # Example
/// ```
/// use lowland::{Config, SsSamConfig};
///
/// let rule = SsSamConfig::default().build()?;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SsSamConfig {
    /// ρ, the radius.
    pub rho: f64,
    /// p, the probability of a SAM step.
    pub probability: f64,
}

impl Default for SsSamConfig {
    fn default() -> Self {
        Self { rho: 0.05, probability: 0.5 }
    }
}

impl Config for SsSamConfig {
    const DESCRIPTOR: Descriptor = Descriptor {
        name: "ss-sam",
        label: "SS-SAM",
        summary: "a SAM step at random, the base optimizer otherwise",
        passes: "1 + p",
        memory: "0",
        source: "-",
    };

    fn build(&self) -> Result<Box<dyn Rule>> {
        Ok(Box::new(Walk {
            select: Box::new(AllSamples),
            schedule: Box::new(AtRandom::new(self.probability)?),
            ascend: Box::new(AlongGradient::new(self.rho)?),
            descend: Box::new(SharpGradient),
        }))
    }
}
