//! AUSAM: SAM on samples that a perturbation has moved before.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::{AlgorithmConfig, Descriptor};
use crate::ascend::AlongGradient;
use crate::compose::ComposedRule;
use crate::descend::SharpGradient;
use crate::rule::Rule;
use crate::schedule::EveryStep;
use crate::select::{PastChange, PastChangeConfig};
use crate::{Result, Scheduled};

/// AUSAM: SAM on a part of each batch, drawn by how much a perturbation has changed the losses of its
/// samples so far. Choose it for SAM's effect at the base optimizer's cost, where samples can be told
/// apart from epoch to epoch.
///
/// # Update
/// ```text
/// S ⊂ batch, ⌊α·b⌋ samples drawn without replacement with weights u (all samples in the first epochs)
/// g = ∇L_S(w),   e = ρ·g/(‖g‖ + 1e-12),   ĝ = ∇L_S(w + e)
/// a_i ← mean over its draws of |ℓ_i(w + e) − ℓ_i(w)|
/// u_i = f_min + (a_i − min a)/(max a − min a)·(f − f_min),   f rising from f_min to f_max
/// ```
/// `L_S` is the mean loss over S; ‖·‖ runs over all trainable parameters; min and max over the batch. ĝ goes
/// to the base optimizer. All weights are equal where all scores are.
///
/// # Cost
/// Passes per step: 2α (2 in the first epochs). Samples that are not drawn are not evaluated. Memory: two
/// numbers a sample of the data set. One read-back in each step.
///
/// # Parameters
/// - `rho`: ρ, the radius, a length in parameter space, at least 0. Default 0.1 (authors' code).
/// - `alpha`: α, the share of the batch, above 0 and at most 1. Default 0.5 (authors' code).
/// - `f_min`, `f_max`: the least and the largest weight. Defaults 0.1 and 0.5 (authors' code).
/// - `transition_epochs`: the epochs over which f rises. Default 30 (authors' code).
/// - `full_epochs`: the epochs at the start that take all samples. Default 1 (authors' code).
///
/// The loss closure must give the losses of the samples it is asked for; each batch must say which samples
/// it holds (`SharpnessAware::step_micro_batches`), and the optimizer must know the steps of an epoch.
///
/// # Fidelity
/// AUSAM, 2024, arXiv 2406.08001, as the authors' code has it. Differences: equal scores give equal weights
/// (the code divides 0 by 0), at least one sample is drawn, and f stays at `f_min` before it rises (the code adds
/// 1e-9). A sample that was never drawn has the score 1. The subset's mean is a biased estimate of
/// the batch's, as in the code.
///
/// Authors' code: <https://github.com/ajiaaa/AUSAM>.
///
/// # Example
/// ```
/// use lowland::AusamConfig;
///
/// let rule = AusamConfig::default().build()?;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "Scheduled<AusamConfig>", field = "algorithm"))]
pub struct AusamConfig {
    /// ρ, the radius.
    pub rho: f64,
    /// α, the share of the batch.
    pub alpha: f64,
    /// The weight of the sample with the smallest score.
    pub f_min: f64,
    /// The weight of the sample with the largest score, at last.
    pub f_max: f64,
    /// The epochs over which the largest weight rises.
    pub transition_epochs: u64,
    /// The epochs at the start that take all samples.
    pub full_epochs: u64,
}

impl Default for AusamConfig {
    fn default() -> Self {
        Self { rho: 0.1, alpha: 0.5, f_min: 0.1, f_max: 0.5, transition_epochs: 30, full_epochs: 1 }
    }
}

impl AusamConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "ausam",
        label: "AUSAM",
        summary: "SAM on samples drawn by how much a perturbation has changed their losses",
        passes: "2 alpha",
        memory: "0 (2 numbers a sample)",
        source: "arXiv 2406.08001",
    };

    /// Creates the settings with this radius, ρ, and the defaults of everything else.
    pub fn new(rho: f64) -> Self {
        Self { rho, ..Self::default() }
    }
}

impl AlgorithmConfig for AusamConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        let select = PastChange::new(PastChangeConfig {
            alpha: self.alpha,
            f_min: self.f_min,
            f_max: self.f_max,
            transition_epochs: self.transition_epochs,
            full_epochs: self.full_epochs,
        })?;
        Ok(Box::new(ComposedRule::new(
            select,
            EveryStep,
            AlongGradient::new(self.rho)?,
            SharpGradient,
        )?))
    }
}
