//! LookSAM: SAM's second gradient every k-th step, its direction reused in between.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::{AlgorithmConfig, Descriptor};
use crate::ascend::{AlongGradient, Ascend, PerTensor, TensorRadius};
use crate::compose::ComposedRule;
use crate::descend::ReuseOrthogonal;
use crate::rule::Rule;
use crate::schedule::{Periodic, PeriodicConfig};
use crate::select::AllSamples;
use crate::{Result, Scheduled};

/// LookSAM: takes SAM's second gradient every k-th step and, in between, adds the part of the latest
/// one that lies across the plain gradient. Choose it for a part of SAM's cost that is known before.
///
/// # Update
/// ```text
/// t mod k = 0:   g_s = ∇L(w + ρ·g/‖g‖),   g_v = g_s − (⟨g, g_s⟩/‖g‖²)·g,   ĝ = g_s
/// otherwise:     ĝ = g + α·‖g‖·g_v/‖g_v‖
/// ```
/// g = ∇L(w) is the gradient of the batch's mean loss; ‖·‖ and ⟨·,·⟩ run over all trainable
/// parameters. ĝ goes to the base optimizer.
/// Steps t count from 0, so the first step refreshes. A zero `g_v` adds nothing.
///
/// # Cost
/// Passes per step: 1 + 1/k. Memory: one copy of the parameters (`g_v`).
///
/// # Parameters
/// - `rho`: ρ, the radius, a length in parameter space, at least 0. Default 0.05.
/// - `k`: the steps from one second gradient to the next, at least 1. Default 5 (paper's LookSAM-5).
/// - `alpha`: α, the length of the reused part as a share of `‖g‖`. Default 0.1, which an independent
///   comparison on CIFAR-100 (arXiv 2401.12033) settled on; it names 0.7 as the authors' value for
///   vision transformers.
/// - `ascent`: `global`, `per-tensor` or `layer-wise`. Default global. The other two are unconfirmed:
///   public implementations disagree on them, and no authors' code is known to us.
///
/// # Fidelity
/// LookSAM, 2022, arXiv 2203.02714. Norms and projections run over all parameters, as in the paper;
/// some implementations take them tensor by tensor, which is another algorithm. The reused part has
/// the length `α‖g‖` whatever ρ is: a tiny ρ does not give the base optimizer, ρ = 0 does.
///
/// Authors' code: none known to us.
///
/// # Example
/// ```
/// use lowland::LookSamConfig;
///
/// let rule = LookSamConfig::default().build()?;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "Scheduled<LookSamConfig>", field = "algorithm"))]
pub struct LookSamConfig {
    /// ρ, the radius.
    pub rho: f64,
    /// The steps from one second gradient to the next.
    pub k: u64,
    /// α, the length of the reused part as a share of `‖g‖`.
    pub alpha: f64,
    /// Along which direction the perturbed weights lie.
    pub ascent: LookSamAscent,
}

/// The ascent of [`LookSamConfig`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LookSamAscent {
    /// `e = ρ·g/‖g‖` over all parameters, as in the paper.
    #[default]
    Global,
    /// `e_l = ρ·g_l/‖g_l‖` for each tensor. Unconfirmed.
    PerTensor,
    /// `e_l = ρ·(‖w_l‖/‖g_l‖)·g_l/‖g‖` for each tensor (Look-LayerSAM). Unconfirmed.
    LayerWise,
}

impl Default for LookSamConfig {
    fn default() -> Self {
        Self { rho: 0.05, k: 5, alpha: 0.1, ascent: LookSamAscent::Global }
    }
}

impl LookSamConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "looksam",
        label: "LookSAM",
        summary: "SAM's second gradient every k-th step, the part across the plain one reused in between",
        passes: "1 + 1/k",
        memory: "1",
        source: "arXiv 2203.02714",
    };

    /// Creates the settings with this radius, ρ, and the defaults of everything else.
    pub fn new(rho: f64) -> Self {
        Self { rho, ..Self::default() }
    }
}

impl AlgorithmConfig for LookSamConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        let ascend: Box<dyn Ascend> = match self.ascent {
            LookSamAscent::Global => Box::new(AlongGradient::new(self.rho)?),
            LookSamAscent::PerTensor => Box::new(PerTensor::new(self.rho, TensorRadius::Same)?),
            LookSamAscent::LayerWise => Box::new(PerTensor::new(self.rho, TensorRadius::Trust)?),
        };
        Ok(Box::new(ComposedRule::of(
            Box::new(AllSamples),
            Box::new(Periodic::new(PeriodicConfig { k: self.k, first: 0 })?),
            ascend,
            Box::new(ReuseOrthogonal::new(self.alpha)?),
        )?))
    }
}
