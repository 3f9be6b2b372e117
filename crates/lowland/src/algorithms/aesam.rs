//! AE-SAM: a second gradient where the gradient is long.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::{AlgorithmConfig, Descriptor};
use crate::ascend::AlongGradient;
use crate::compose::ComposedRule;
use crate::descend::SharpGradient;
use crate::rule::Rule;
use crate::schedule::{NormTest, NormTestConfig};
use crate::select::AllSamples;
use crate::{Result, Scheduled};

/// AE-SAM: takes SAM's second gradient only where the gradient is long compared with its past, which
/// marks sharp places, and is the base optimizer elsewhere. Choose it for about half of SAM's extra
/// cost without anything kept between steps.
///
/// # Update
/// ```text
/// n = ‖g‖²,   μ ← δμ + (1 − δ)n,   σ² ← δσ² + (1 − δ)(n − μ)²,   c = (t/T)·λ₁ + (1 − t/T)·λ₂
/// n ≥ μ + c·σ:   ĝ = g_s = ∇L(w + ρ·g/‖g‖)
/// otherwise:     ĝ = g
/// ```
/// g = ∇L(w) is the gradient of the batch's mean loss; ‖·‖ and ⟨·,·⟩ run over all trainable
/// parameters. ĝ goes to the base optimizer.
///
/// # Cost
/// Passes per step: 1 + share of sampled steps, which is data's to decide. Memory: two numbers. `‖g‖²`
/// is read back from the device in the middle of each step.
///
/// # Parameters
/// - `rho`: ρ, the radius, a length in parameter space, at least 0. Default 0.05.
/// - `delta`: δ, the decay of mean and variance, between 0 and 1. Default 0.9.
/// - `lambda_1`, `lambda_2`: the thresholds at the end and at the start, in deviations. Defaults −1
///   and 1: sparse early, dense late.
/// - `total_steps`: T. Default: what the optimizer was told (`with_total_steps`).
///
/// # Fidelity
/// AE-SAM, 2023, arXiv 2304.14647. The defaults are not confirmed from the paper's text.
///
/// Authors' code: none known to us.
///
/// # Example
/// ```
/// use lowland::AesamConfig;
///
/// let rule = AesamConfig::default().build()?;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "Scheduled<AesamConfig>", field = "algorithm"))]
pub struct AesamConfig {
    /// ρ, the radius.
    pub rho: f64,
    /// δ, the decay of mean and variance.
    pub delta: f64,
    /// λ₁, the threshold at the end of training.
    pub lambda_1: f64,
    /// λ₂, the threshold at the start.
    pub lambda_2: f64,
    /// T, the number of steps of the training.
    pub total_steps: Option<u64>,
}

impl Default for AesamConfig {
    fn default() -> Self {
        Self { rho: 0.05, delta: 0.9, lambda_1: -1.0, lambda_2: 1.0, total_steps: None }
    }
}

impl AesamConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "aesam",
        label: "AE-SAM",
        summary: "SAM's second gradient only where the gradient is long",
        passes: "1 + share of sampled steps",
        memory: "0",
        source: "arXiv 2304.14647",
    };

    /// Creates the settings with this radius, ρ, and the defaults of everything else.
    pub fn new(rho: f64) -> Self {
        Self { rho, ..Self::default() }
    }
}

impl AlgorithmConfig for AesamConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        let schedule = NormTest::new(NormTestConfig {
            delta: self.delta,
            lambda_1: self.lambda_1,
            lambda_2: self.lambda_2,
            total_steps: self.total_steps,
        })?;
        Ok(Box::new(ComposedRule::new(
            AllSamples,
            schedule,
            AlongGradient::new(self.rho)?,
            SharpGradient,
        )?))
    }
}
