//! K-SAM: SAM on the samples with the largest losses.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::{AlgorithmConfig, Descriptor};
use crate::ascend::AlongGradient;
use crate::compose::ComposedRule;
use crate::descend::SharpGradient;
use crate::rule::Rule;
use crate::schedule::EveryStep;
use crate::select::{TopLoss, TopLossConfig};
use crate::{Result, Scheduled};

/// K-SAM: SAM on the k samples of each batch that have the largest losses, which a forward pass over the
/// whole batch finds. Choose it where the backward pass dominates and labels are clean: the largest losses
/// are where wrong labels are.
///
/// # Update
/// ```text
/// S = the ⌈fraction·b⌉ samples with the largest losses at w
/// g = ∇L_S(w),   e = ρ·g/(‖g‖ + 1e-12),   ĝ = ∇L_S(w + e)
/// ```
/// `L_S` is the mean loss over S; ‖·‖ runs over all trainable parameters. ĝ goes to the base optimizer.
///
/// # Cost
/// Passes per step: 1/3 + 2·fraction. Memory: none between steps. One read-back in each step.
///
/// # Parameters
/// - `rho`: ρ, the radius, a length in parameter space, at least 0. Default 0.05.
/// - `fraction`: k/b, the share of the batch, above 0 and at most 1. Default 0.5, near what the paper's
///   cost on ImageNet comes to in our cost model; the paper's own values are not known to us.
///
/// The loss closure must give the losses of the samples it is asked for.
///
/// # Fidelity
/// K-SAM, 2022, arXiv 2210.12864. No authors' code is known to us. Both gradients are taken on the same
/// samples, and running statistics move in the ranking pass, the only one over the whole batch; the paper's
/// ways are not known to us. `fraction = 1` gives SAM's weights at 1/3 of a pass more.
///
/// # Example
/// ```
/// use lowland::KsamConfig;
///
/// let rule = KsamConfig::default().build()?;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "Scheduled<KsamConfig>", field = "algorithm"))]
pub struct KsamConfig {
    /// ρ, the radius.
    pub rho: f64,
    /// k/b, the share of the batch.
    pub fraction: f64,
}

impl Default for KsamConfig {
    fn default() -> Self {
        Self { rho: 0.05, fraction: 0.5 }
    }
}

impl KsamConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "ksam",
        label: "K-SAM",
        summary: "SAM on the samples with the largest losses",
        passes: "1/3 + 2k/b",
        memory: "0",
        source: "arXiv 2210.12864",
    };

    /// Creates the settings with this radius, ρ, and the defaults of everything else.
    pub fn new(rho: f64) -> Self {
        Self { rho, ..Self::default() }
    }
}

impl AlgorithmConfig for KsamConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        Ok(Box::new(ComposedRule::new(
            TopLoss::new(TopLossConfig { fraction: self.fraction })?,
            EveryStep,
            AlongGradient::new(self.rho)?,
            SharpGradient,
        )?))
    }
}
