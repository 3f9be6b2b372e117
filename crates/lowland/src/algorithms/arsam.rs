//! ARSAM: SAM's second gradient only where it changes, reused with decay in between.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::{AlgorithmConfig, Descriptor};
use crate::ascend::AlongGradient;
use crate::compose::ComposedRule;
use crate::descend::ReusePsf;
use crate::rule::Rule;
use crate::schedule::{Controller, ControllerConfig};
use crate::select::AllSamples;
use crate::{Result, Scheduled};

/// ARSAM: splits SAM's gradient into the plain gradient and the rest, the PSF; takes the PSF anew
/// only as often as it changes and reuses it with decay in between. Choose it for SAM's effect at a
/// part of SAM's cost.
///
/// # Update
/// ```text
/// sampled step:   e = ρ·g/(‖g‖ + 1e-12),  g_s = ∇L(w + e),  psf = g_s − g,  j ← 0,  ĝ = g_s
/// other steps:    j ← j + 1;  ĝ = g + β^j·psf  for j ≤ R,  ĝ = g after that
/// ```
/// g = ∇L(w) is the gradient of the batch's mean loss; ‖·‖ runs over all trainable parameters.
/// ĝ goes to the base optimizer. Which steps are sampled, [`Controller`] decides.
///
/// # Cost
/// Passes per step: 1 + π, where π, the share of sampled steps, lies between 1/K and `max_fraction`
/// after the warm-up and is 1 in it. Memory: one copy of the parameters (psf).
///
/// # Parameters
/// - `rho`: ρ, the radius, a length in parameter space, at least 0. Default 0.05 (authors' training
///   script).
/// - `beta`: β, the decay, between 0 and 1, dimensionless. Default 0.7 (authors' code).
/// - `max_reuse`: R, how many times one PSF is reused. Default 6 (authors' code).
/// - `window`, `blocks`, `gain_ratio`, `gain_variance`, `max_fraction`, `norm_tensors`, `warmup`,
///   in the table `controller`: see [`ControllerConfig`].
///
/// # Fidelity
/// ARSAM: Deng and Pang, 2025, arXiv 2510.03763. Its own algorithm box is not public to us; this is
/// the algorithm of its predecessor by the same group, vSAM (arXiv 2403.08821), as its authors'
/// code has it, which shares decomposition, vocabulary and claim. Differences: reuses are counted
/// with an integer (comparing a product of decays with a power, the code reuses seven times at
/// some decays); histories must be full before the rate adapts; divisions by zero count as no
/// change; the draw comes from the optimizer's seeded generator.
///
/// Authors' code: <https://github.com/ajiaaa/vSAM>.
///
/// # Example
/// ```
/// use lowland::{ArsamConfig, ControllerConfig, Warmup};
///
/// let controller = ControllerConfig { warmup: Warmup::Steps(100), ..ControllerConfig::default() };
/// let rule = ArsamConfig { rho: 0.1, controller, ..ArsamConfig::default() }.build()?;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "Scheduled<ArsamConfig>", field = "algorithm"))]
pub struct ArsamConfig {
    /// ρ, the radius.
    pub rho: f64,
    /// β, the decay of a reused PSF.
    pub beta: f64,
    /// R, how many times one PSF is reused.
    pub max_reuse: u32,
    /// When the PSF is sampled.
    pub controller: ControllerConfig,
}

impl Default for ArsamConfig {
    fn default() -> Self {
        Self { rho: 0.05, beta: 0.7, max_reuse: 6, controller: ControllerConfig::default() }
    }
}

impl ArsamConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "arsam",
        label: "ARSAM",
        summary: "SAM's second gradient only as often as it changes, reused with decay in between",
        passes: "1 + share of sampled steps",
        memory: "1",
        source: "arXiv 2510.03763, 2403.08821",
    };

    /// Creates the settings with this radius, ρ, and the defaults of everything else.
    pub fn new(rho: f64) -> Self {
        Self { rho, ..Self::default() }
    }
}

impl AlgorithmConfig for ArsamConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        Ok(Box::new(ComposedRule::new(
            AllSamples,
            Controller::new(self.controller.clone())?,
            AlongGradient::new(self.rho)?,
            ReusePsf::new(self.beta, self.max_reuse)?,
        )?))
    }
}
