//! ASAM: SAM with a radius that scales with the weights.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::{AlgorithmConfig, Descriptor};
use crate::ascend::{Adaptive, Scaling};
use crate::compose::ComposedRule;
use crate::descend::SharpGradient;
use crate::rule::Rule;
use crate::schedule::EveryStep;
use crate::select::AllSamples;
use crate::{Result, Scheduled};

/// ASAM: SAM whose perturbation is scaled by the size of each weight, so that rescaling a network without
/// changing its function does not change the perturbation. Choose it where layers differ much in scale.
///
/// # Update
/// ```text
/// e = ρ·T²g/(‖T·g‖ + 1e-12),   g_s = ∇L(w + e),   ĝ = g_s
/// T = |w| + η on the scaled tensors, 1 on the others
/// ```
/// g = ∇L(w) is the gradient of the batch's mean loss; ‖·‖ runs over all trainable parameters.
/// ĝ goes to the base optimizer. A weight of 0 gets e = 0 where η = 0.
///
/// # Cost
/// Passes per step: 2. Memory: none between steps.
///
/// # Parameters
/// - `rho`: ρ, the radius, dimensionless here, at least 0. Default 0.5 (authors' read-me, CIFAR-10;
///   1.0 for CIFAR-100).
/// - `eta`: η, added to `|w|`, at least 0. Default 0.01 (authors' class).
/// - `scaling`: which tensors are scaled: `weights` (authors' code, the default) or `all` (other
///   implementations, with `eta = 0`). The two are different algorithms for biases.
///
/// # Fidelity
/// Kwon, Kim, Park and Choi, 2021, arXiv 2102.11600. The authors' code scales every tensor whose
/// PyTorch name holds `weight`, scales of normalisation layers included; so does `weights` here.
///
/// Authors' code: <https://github.com/SamsungLabs/ASAM>.
///
/// # Example
/// ```
/// use lowland::{AsamConfig, Scaling};
///
/// let rule = AsamConfig { rho: 2.0, eta: 0.0, scaling: Scaling::All }.build()?;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "Scheduled<AsamConfig>", field = "algorithm"))]
pub struct AsamConfig {
    /// ρ, the radius.
    pub rho: f64,
    /// η, added to `|w|`.
    pub eta: f64,
    /// Which tensors are scaled.
    pub scaling: Scaling,
}

impl Default for AsamConfig {
    fn default() -> Self {
        Self { rho: 0.5, eta: 0.01, scaling: Scaling::Weights }
    }
}

impl AsamConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "asam",
        label: "ASAM",
        summary: "SAM whose perturbation is scaled by the size of each weight",
        passes: "2",
        memory: "0",
        source: "arXiv 2102.11600",
    };

    /// Creates the settings with this radius, ρ, and the defaults of everything else.
    pub fn new(rho: f64) -> Self {
        Self { rho, ..Self::default() }
    }
}

impl AlgorithmConfig for AsamConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        Ok(Box::new(ComposedRule::new(
            AllSamples,
            EveryStep,
            Adaptive::new(self.rho, self.eta, self.scaling)?,
            SharpGradient,
        )?))
    }
}
