//! AdaSAM: SAM over an adaptive base of its own.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use burn::optim::ModuleOptimizer;

use crate::algorithms::{AlgorithmConfig, Descriptor};
use crate::amsgrad::AmsGrad;
use crate::ascend::AlongGradient;
use crate::compose::ComposedRule;
use crate::descend::SharpGradient;
use crate::rule::Rule;
use crate::schedule::EveryStep;
use crate::select::AllSamples;
use crate::{Result, Scheduled};

/// AdaSAM: SAM's gradient fed to an adaptive optimizer without bias correction, its own base. Choose it for
/// fine-tuning of transformers, with a learning rate of Adam's size.
///
/// # Update
/// ```text
/// ĝ = ∇L(w + ρ·g/(‖g‖ + 1e-12))
/// m ← β₁m + (1 − β₁)ĝ,   v ← β₂v + (1 − β₂)ĝ²,   v̂ ← max(v̂, v) with v̂ = ε² at first
/// w ← w − lr·m/√v̂
/// ```
/// g = ∇L(w) is the gradient of the batch's mean loss; ‖·‖ runs over all trainable parameters; the rest goes
/// element by element.
///
/// # Cost
/// Passes per step: 2. Memory: three copies of the parameters (m, v, v̂), all in the base optimizer.
///
/// # Parameters
/// - `rho`: ρ, the radius, a length in parameter space, at least 0. Default 0.05.
/// - `beta_1`, `beta_2`: the decays, between 0 and 1. Defaults 0.9 and 0.999.
/// - `epsilon`: ε, above 0. Default 1e-8.
///
/// The rule is SAM's; [`optimizer`](Self::optimizer) gives the optimizer that belongs under it. The first step moves
/// every weight by 3.16 lr: begin with a small learning rate.
///
/// # Fidelity
/// AdaSAM, 2023, arXiv 2303.00565. No authors' code is known to us, nor the paper's values; the defaults are
/// Adam's usual ones and SAM's. Weight decay, which is not in the rule, is left out.
///
/// # Example
/// ```
/// use lowland::{AdaSamConfig, SharpnessAware};
///
/// let config = AdaSamConfig::new(0.05);
/// let optimizer = SharpnessAware::new(config.optimizer()?, config)?;
/// # let _ = optimizer;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "Scheduled<AdaSamConfig>", field = "algorithm"))]
pub struct AdaSamConfig {
    /// ρ, the radius.
    pub rho: f64,
    /// β₁, the decay of the mean gradient.
    pub beta_1: f64,
    /// β₂, the decay of the mean square.
    pub beta_2: f64,
    /// ε, the least root of a mean square.
    pub epsilon: f64,
}

impl Default for AdaSamConfig {
    fn default() -> Self {
        Self { rho: 0.05, beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8 }
    }
}

impl AdaSamConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "adasam",
        label: "AdaSAM",
        summary: "SAM over AMSGrad without bias correction, a base of its own",
        passes: "2",
        memory: "0 (base: 3)",
        source: "arXiv 2303.00565",
    };

    /// Creates the settings with this radius, ρ, and the defaults of everything else.
    pub fn new(rho: f64) -> Self {
        Self { rho, ..Self::default() }
    }
}

impl AdaSamConfig {
    /// Checks the settings and makes the base optimizer that belongs under the rule.
    ///
    /// # Errors
    /// A value outside its allowed range, named.
    pub fn optimizer(&self) -> Result<ModuleOptimizer> {
        Ok(AmsGrad::new(self.beta_1, self.beta_2, self.epsilon)?.init())
    }
}

impl AlgorithmConfig for AdaSamConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        self.optimizer()?;
        Ok(Box::new(ComposedRule::new(
            AllSamples,
            EveryStep,
            AlongGradient::new(self.rho)?,
            SharpGradient,
        )?))
    }

    fn base(&self) -> Result<Option<ModuleOptimizer>> {
        self.optimizer().map(Some)
    }
}
