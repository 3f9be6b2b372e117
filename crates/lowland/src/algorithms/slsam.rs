//! SL-SAM: SAM on layers that a bandit draws.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::{AlgorithmConfig, Descriptor};
use crate::ascend::AlongGradient;
use crate::compose::ComposedRule;
use crate::descend::SharpGradient;
use crate::rule::Rule;
use crate::schedule::EveryStep;
use crate::select::{SampledLayers, SampledLayersConfig};
use crate::{Result, Scheduled};

/// SL-SAM (sparse-layer SAM): takes both gradients of some layers only, drawn anew at each step by a bandit that
/// prefers layers with long gradients, and leaves the others as they are. Choose it for fine-tuning, where the
/// time and memory of weight gradients count. A reconstruction: see below.
///
/// # Update
/// ```text
/// Z_l ~ Bernoulli(p_l),   A = the layers with Z_l = 1, at least one
/// g = ∇_A L(w),   e = ρ·g/(‖g‖ + 1e-12),   ĝ = ∇_A L(w + e)
/// loss_l = −‖g_l‖²/p_l² + G²/p_min² for l in A, 0 for others;   G = largest ‖g_l‖ so far
/// w_l = p_l·exp(−α_p·loss_l/p_l);   p ← c·w clipped to [p_min, 1], with c such that Σp = s
/// ```
/// `∇_A` is the gradient with respect to the active layers, of the batch's mean loss; ‖·‖ runs over them. ĝ goes
/// to the base optimizer, which leaves the other layers alone, weight decay and momentum included.
/// A layer is what stands under one path of the module, such as the weight and bias of `layer1.conv`.
///
/// # Cost
/// Passes per step: 2·(1 + d + φ)/3, where φ is the active share of the weights and d the share from the first
/// active layer on, down to which the gradients of inputs must flow. Memory: a number a layer. One read-back in
/// each step.
///
/// # Parameters
/// - `rho`: ρ, the radius, a length in parameter space, at least 0. Default 0.05.
/// - `active`: s/L, the expected share of active layers, above 0 and at most 1. Default 0.5.
/// - `p_min`: the smallest probability of a layer, above 0 and at most `active`. Default 0.1.
/// - `rate`: `α_p`, the rate of the bandit, at least 0. Default 1e-4, ours; with 0 layers are drawn uniformly.
///
/// # Fidelity
/// A reconstruction. The paper (2026, arXiv 2602.09395) describes layer selection for both gradients by a bandit
/// with an EXP3 rule driven by gradient norms; its equations and values are not known to us. The rule here is our
/// reading of published EXP3 layer sampling. `active = 1` gives SAM.
///
/// # Example
/// ```
/// use lowland::SparseLayerSamConfig;
///
/// let rule = SparseLayerSamConfig::default().build()?;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "Scheduled<SparseLayerSamConfig>", field = "algorithm"))]
pub struct SparseLayerSamConfig {
    /// ρ, the radius.
    pub rho: f64,
    /// s/L, the expected share of active layers.
    pub active: f64,
    /// The smallest probability of a layer.
    pub p_min: f64,
    /// `α_p`, the rate of the bandit.
    pub rate: f64,
}

impl Default for SparseLayerSamConfig {
    fn default() -> Self {
        Self { rho: 0.05, active: 0.5, p_min: 0.1, rate: 1e-4 }
    }
}

impl SparseLayerSamConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "slsam",
        label: "SL-SAM",
        summary: "SAM on layers that a bandit draws, the others left alone (a reconstruction)",
        passes: "2 (1 + d + active)/3",
        memory: "0",
        source: "arXiv 2602.09395",
    };

    /// Creates the settings with this radius, ρ, and the defaults of everything else.
    pub fn new(rho: f64) -> Self {
        Self { rho, ..Self::default() }
    }
}

impl AlgorithmConfig for SparseLayerSamConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        let Self { rho, active, p_min, rate } = *self;
        let select = SampledLayers::new(SampledLayersConfig { active, p_min, rate })?;
        Ok(Box::new(ComposedRule::new(select, EveryStep, AlongGradient::new(rho)?, SharpGradient)?))
    }
}
