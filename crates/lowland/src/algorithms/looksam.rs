//! LookSAM: SAM's second gradient every k-th step, its direction reused in between.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::config::{AlgorithmConfig, Descriptor, Fidelity};
use crate::algorithms::scheduled::Scheduled;
use crate::error::non_negative;
use crate::rule::ascend::{AlongGradient, Ascend};
use crate::rule::descend::Descend;
use crate::rule::schedule::{Periodic, PeriodicConfig};
use crate::rule::select::AllSamples;
use crate::rule::{ComposedRule, Gradient, Pair, Perturbation, Rule, Surface, Update};
use crate::state::Memory;
use crate::vector::{STABILISER, one, scaled, wide_norm};
use crate::{ParamVec, Result};

/// LookSAM: takes SAM's second gradient every k-th step and, in between, adds the part of the
/// latest one that lies across the plain gradient. Choose it for a part of SAM's cost that is known
/// before.
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
/// - `k`: the steps from one second gradient to the next, at least 1. Default 5 (paper's
///   LookSAM-5).
/// - `alpha`, in the table `descend`: see [`ReuseOrthogonalConfig`].
/// - `ascent`: `global`, `per-tensor` or `layer-wise`. Default global. The other two are
///   unconfirmed: public implementations disagree on them, and no authors' code is known to us.
///
/// # Fidelity
/// LookSAM, 2022, arXiv 2203.02714. Norms and projections run over all parameters, as public
/// implementations of the paper's form have it; others take them tensor by tensor, which is another
/// algorithm. The reused part has the length `α‖g‖` whatever ρ is: a tiny ρ does not give the base
/// optimizer, ρ = 0 does.
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
    /// How the second gradient is reused.
    pub descend: ReuseOrthogonalConfig,
    /// Along which direction the perturbed weights lie.
    pub ascent: LookSamAscent,
}

/// The ascent of [`LookSamConfig`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LookSamAscent {
    /// `e = ρ·g/‖g‖` over all parameters, as public implementations of the paper's form have it.
    #[default]
    Global,
    /// `e_l = ρ·g_l/‖g_l‖` for each tensor. Unconfirmed.
    PerTensor,
    /// `e_l = ρ·(‖w_l‖/‖g_l‖)·g_l/‖g‖` for each tensor (Look-LayerSAM). Unconfirmed.
    LayerWise,
}

impl Default for LookSamConfig {
    fn default() -> Self {
        Self {
            rho: 0.05,
            k: 5,
            descend: ReuseOrthogonalConfig::default(),
            ascent: LookSamAscent::Global,
        }
    }
}

impl LookSamConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "looksam",
        label: "LookSAM",
        summary: "SAM's second gradient every k-th step, the part across the plain one reused in between",
        passes: "1 + 1/k",
        memory: "1",
        below_one_pass: false,
        source: "arXiv 2203.02714",
        fidelity: Fidelity::Equations,
    };

    /// Creates the settings with this radius, ρ, and the defaults of everything else.
    pub fn new(rho: f64) -> Self {
        Self { rho, ..Self::default() }
    }
}

impl Scheduled<LookSamConfig> {
    fn descend(&mut self) -> &mut ReuseOrthogonalConfig {
        &mut self.algorithm.descend
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
            Box::new(ReuseOrthogonal::new(self.descend)?),
        )?))
    }
}

/// What the radius of one tensor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TensorRadius {
    /// ρ for each: `e_l = ρ·g_l/‖g_l‖`.
    #[default]
    Same,
    /// In proportion to the tensor's weights: `e_l = ρ·(‖w_l‖/‖g_l‖)·g_l/‖g‖`.
    Trust,
}

/// A perturbation tensor by tensor: `e_l = ρ·g_l/‖g_l‖`, or `e_l = ρ·(‖w_l‖/‖g_l‖)·g_l/‖g‖`.
///
/// Both are unconfirmed: public implementations of layer-wise ascent disagree, and no authors' code
/// is known to us.
#[derive(Debug, Clone, Copy)]
pub struct PerTensor {
    rho: f64,
    radius: TensorRadius,
}

impl PerTensor {
    /// Sets ρ and what the radius of one tensor is.
    ///
    /// # Errors
    /// A radius that is negative or not finite.
    pub fn new(rho: f64, radius: TensorRadius) -> Result<Self> {
        Ok(Self { rho: non_negative("rho", rho)?, radius })
    }
}

impl Ascend for PerTensor {
    fn perturbation<'a>(
        &mut self,
        g: &'a Gradient,
        surface: &mut dyn Surface,
    ) -> Result<Perturbation<'a>> {
        let g = g.ascent();
        let weights = match self.radius {
            TensorRadius::Same => None,
            TensorRadius::Trust => Some(surface.weights()),
        };
        let part = |(i, part): (usize, &Option<_>)| {
            let part: burn::tensor::Tensor<1> = part.clone()?;
            let mut factor = wide_norm(&part).add_scalar(STABILISER).recip();
            if let Some(w) = weights.as_ref().and_then(|weights| weights.parts()[i].as_ref()) {
                factor = factor * wide_norm(w);
            }
            Some(scaled(part, &factor))
        };
        let direction = ParamVec::new(g.parts().iter().enumerate().map(part).collect());
        let scale = match self.radius {
            TensorRadius::Same => one(g),
            TensorRadius::Trust => g.inverse_norm(),
        };
        Ok(Perturbation { direction: direction.into(), scale: scale.mul_scalar(self.rho) })
    }
}

/// The settings of [`ReuseOrthogonal`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "LookSamConfig", field = "descend"))]
#[setters(generate_delegates(ty = "Scheduled<LookSamConfig>", method = "descend"))]
pub struct ReuseOrthogonalConfig {
    /// α, the length of the reused part as a share of `‖g‖`, at least 0. Default 0.1, which an
    /// independent comparison on CIFAR-100 (arXiv 2401.12033) settled on; it names 0.7 as the
    /// authors' value for vision transformers.
    pub alpha: f64,
}

impl Default for ReuseOrthogonalConfig {
    fn default() -> Self {
        Self { alpha: 0.1 }
    }
}

/// `g_s` where there is one; otherwise `g + α·‖g‖·g_v/(‖g_v‖ + 1e-12)`, where
/// `g_v = g_s − (⟨g, g_s⟩/‖g‖²)·g` is the latest second gradient less what of it lies along the
/// plain one. Plain g before there is any, and where `g_v` is zero.
///
/// Keeps one copy of the parameters, `g_v`, between steps.
#[derive(Debug, Clone)]
pub struct ReuseOrthogonal {
    alpha: f64,
    orthogonal: Option<ParamVec>,
}

impl ReuseOrthogonal {
    /// Checks the settings.
    ///
    /// # Errors
    /// An α that is negative or not finite.
    pub fn new(config: ReuseOrthogonalConfig) -> Result<Self> {
        Ok(Self { alpha: non_negative("alpha", config.alpha)?, orthogonal: None })
    }
}

impl Descend for ReuseOrthogonal {
    fn double(&mut self, pair: Pair) -> Update {
        let (g, g_s) = pair.into_both();
        self.orthogonal = Some(g_s.clone().without(&g));
        g_s.into()
    }

    fn single(&mut self, g: ParamVec) -> Update {
        let Some(g_v) = &self.orthogonal else { return g.into() };
        let factor = g.norm().mul_scalar(self.alpha) * g_v.inverse_norm();
        g.plus(&g_v.clone().times(&factor)).into()
    }

    fn save(&self, memory: &mut Memory) -> Result<()> {
        memory.put_vector("orthogonal", self.orthogonal.as_ref());
        Ok(())
    }

    fn restore(&mut self, memory: &mut Memory) -> Result<()> {
        self.orthogonal = memory.take_vector("orthogonal")?;
        Ok(())
    }

    fn reuses(&self) -> bool {
        true
    }
}
