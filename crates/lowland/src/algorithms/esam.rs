//! ESAM: SAM with a sparse ascent and a descent on the samples it hurts most.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::{AlgorithmConfig, Descriptor};
use crate::ascend::{AlongGradient, Ascend, Masked};
use crate::compose::ComposedRule;
use crate::descend::SharpGradient;
use crate::error::{non_negative, positive_fraction};
use crate::rule::Rule;
use crate::schedule::EveryStep;
use crate::select::{LargestRise, LargestRiseConfig};
use crate::{Result, Scheduled};

/// ESAM: ascends along randomly chosen weights only, and descends on the samples whose losses rise most by it.
/// Choose it where SAM's own cost is too much and per-sample losses are at hand.
///
/// # Update
/// ```text
/// mask `tensors`:       g of tensors drawn with probability β,  e = (ρ/β)·g/(‖g‖ + 1e-12)
/// mask `coordinates`:   e = (ρ/β)·m⊙g/(‖g‖ + 1e-12),  m_i ~ Bernoulli(β)
/// S = the ⌈γ·b⌉ samples with the largest rise of the loss from w to w + e
/// ĝ = ∇L_S(w + e)
/// ```
/// g = ∇L(w) is the gradient of the batch's mean loss, `L_S` the mean loss over S; ‖·‖ runs over all
/// parameters that take part. ĝ goes to the base optimizer.
///
/// # Cost
/// Passes per step: 1 − (1 − β)/3 + 1/3 + γ with masked tensors, on average and where the gradients of
/// inputs flow all the way; 4/3 + γ with masked coordinates; a third less where γ is 1. Memory: none
/// between steps. One read-back in each step where γ is below 1.
///
/// # Parameters
/// - `rho`: ρ, the radius, a length in parameter space, at least 0. Default 0.05 (authors' script for
///   ResNet-18).
/// - `beta`: β, the probability with which a weight takes part in the ascent, above 0 and at most 1.
///   Default 0.6 (the same).
/// - `gamma`: γ, the share of the batch, above 0 and at most 1. Default 0.5 (the same).
/// - `mask`: what β draws, `tensors` (authors' code) or `coordinates` (paper). Default tensors, whose masked
///   gradients are not computed.
///
/// The loss closure must give the losses of the samples it is asked for.
///
/// # Fidelity
/// ESAM, 2021, arXiv 2110.03141. The authors' code masks whole tensors, so that the length of e is always
/// ρ/β; the paper masks coordinates. We keep the ⌈γ·b⌉ samples that rose most, where the authors' code keeps
/// one less, and none at all where losses tie. Running statistics move in the first gradient alone; the
/// authors' code moves them in all three evaluations. β = γ = 1 gives SAM.
///
/// Authors' code: <https://github.com/dydjw9/Efficient_SAM>.
///
/// # Example
/// ```
/// use lowland::EsamConfig;
///
/// let rule = EsamConfig::default().build()?;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "Scheduled<EsamConfig>", field = "algorithm"))]
pub struct EsamConfig {
    /// ρ, the radius.
    pub rho: f64,
    /// β, the probability with which a weight takes part in the ascent.
    pub beta: f64,
    /// γ, the share of the batch that the second gradient is taken on.
    pub gamma: f64,
    /// What β draws.
    pub mask: EsamMask,
}

impl Default for EsamConfig {
    fn default() -> Self {
        Self { rho: 0.05, beta: 0.6, gamma: 0.5, mask: EsamMask::Tensors }
    }
}

impl EsamConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "esam",
        label: "ESAM",
        summary: "SAM with a sparse ascent, and a descent on the samples whose losses it lifts most",
        passes: "4/3 + gamma - (1 - beta)/3",
        memory: "0",
        source: "arXiv 2110.03141",
    };

    /// Creates the settings with this radius, ρ, and the defaults of everything else.
    pub fn new(rho: f64) -> Self {
        Self { rho, ..Self::default() }
    }
}

impl AlgorithmConfig for EsamConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        let rho = non_negative("rho", self.rho)?;
        let beta = positive_fraction("beta", self.beta)?;
        let (drawn, ascend): (f64, Box<dyn Ascend>) = match self.mask {
            EsamMask::Tensors => (beta, Box::new(AlongGradient::new(rho / beta)?)),
            EsamMask::Coordinates => (1.0, Box::new(Masked::new(rho, beta)?)),
        };
        let select = LargestRise::new(LargestRiseConfig { gamma: self.gamma, beta: drawn })?;
        Ok(Box::new(ComposedRule::of(
            Box::new(select),
            Box::new(EveryStep),
            ascend,
            Box::new(SharpGradient),
        )?))
    }
}

/// What ESAM's ascent masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EsamMask {
    /// Whole parameter tensors, as in the authors' code.
    #[default]
    Tensors,
    /// Single coordinates, as in the paper.
    Coordinates,
}
