//! SAM: the gradient a radius uphill.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::algorithms::config::{AlgorithmConfig, Descriptor, Fidelity};
use crate::algorithms::scheduled::Scheduled;
use crate::rule::ascend::AlongGradient;
use crate::rule::descend::SharpGradient;
use crate::rule::schedule::EveryStep;
use crate::rule::select::AllSamples;
use crate::rule::{ComposedRule, Rule};

/// SAM: descends along the gradient taken a radius uphill, which prefers flat minima. Choose it
/// where generalisation matters more than time, and as the baseline that cheaper relatives must
/// reach.
///
/// # Update
/// ```text
/// e = ρ·g/(‖g‖ + 1e-12),   g_s = ∇L(w + e),   ĝ = g_s
/// ```
/// g = ∇L(w) is the gradient of the batch's mean loss; ‖·‖ runs over all trainable parameters.
/// ĝ goes to the base optimizer. A zero gradient gives e = 0; ρ = 0 gives the base optimizer.
///
/// # Cost
/// Passes per step: 2. Memory: none between steps.
///
/// # Parameters
/// `rho`: ρ, the radius, a length in parameter space, at least 0. Default 0.05, the usual value of
/// public implementations for CIFAR and ImageNet.
///
/// # Fidelity
/// Foret, Kleiner, Mobahi and Neyshabur, 2020, arXiv 2010.01412. Weight decay lies in the base
/// optimizer and does not enter the perturbation; the authors' JAX code adds it to the loss.
///
/// Authors' code: <https://github.com/google-research/sam>.
///
/// # Example
/// ```
/// use lowland::SamConfig;
///
/// let rule = SamConfig { rho: 0.1 }.build()?;
/// assert!(SamConfig { rho: -0.1 }.build().is_err());
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "Scheduled<SamConfig>", field = "algorithm"))]
pub struct SamConfig {
    /// ρ, the radius.
    pub rho: f64,
}

impl Default for SamConfig {
    fn default() -> Self {
        Self { rho: 0.05 }
    }
}

impl SamConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "sam",
        label: "SAM",
        summary: "descends along the gradient taken a radius uphill",
        passes: "2",
        memory: "0",
        below_one_pass: false,
        source: "arXiv 2010.01412",
        fidelity: Fidelity::AuthorsCode,
    };

    /// Creates the settings with this radius, ρ.
    pub fn new(rho: f64) -> Self {
        Self { rho }
    }
}

impl AlgorithmConfig for SamConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        Ok(Box::new(ComposedRule::new(
            AllSamples,
            EveryStep,
            AlongGradient::new(self.rho)?,
            SharpGradient,
        )?))
    }
}
