//! ASAM: SAM with a radius that scales with the weights.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::config::{AlgorithmConfig, Descriptor, Fidelity};
use crate::algorithms::scheduled::Scheduled;
use crate::error::non_negative;
use crate::rule::ascend::Ascend;
use crate::rule::descend::SharpGradient;
use crate::rule::schedule::EveryStep;
use crate::rule::select::AllSamples;
use crate::rule::{ComposedRule, Gradient, Perturbation, Rule, Surface};
use crate::{ParamVec, Parameters, Result};

/// ASAM: SAM whose perturbation is scaled by the size of each weight, so that rescaling a network
/// without changing its function does not change the perturbation. Choose it where layers differ
/// much in scale.
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
/// PyTorch name holds `weight`, scales of normalisation layers included; so does `weights` here. It
/// adds 1e-16 to the norm, and its command sets η = 0.
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
        below_one_pass: false,
        source: "arXiv 2102.11600",
        fidelity: Fidelity::AuthorsCode,
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
            Adaptive::new(*self)?,
            SharpGradient,
        )?))
    }
}

/// Which parameter tensors are scaled by the size of their weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scaling {
    /// Those that PyTorch calls `weight`, as the authors' code has it: weights proper, and the
    /// scales of normalisation layers, which Burn calls `gamma`. Others keep the plain gradient.
    #[default]
    Weights,
    /// All of them.
    All,
}

impl Scaling {
    fn covers(self, name: &str) -> bool {
        self == Self::All || name.contains("weight") || name == "gamma"
    }
}

/// `e = ρ·T²g/(‖T·g‖ + 1e-12)` with `T = |w| + η` on the tensors that [`Scaling`] covers and
/// `T = 1` on the others.
#[derive(Debug, Clone, Copy)]
pub struct Adaptive {
    rho: f64,
    eta: f64,
    scaling: Scaling,
}

impl Adaptive {
    /// Checks the settings of ASAM.
    ///
    /// # Errors
    /// A radius or offset that is negative or not finite.
    pub fn new(config: AsamConfig) -> Result<Self> {
        let AsamConfig { rho, eta, scaling } = config;
        Ok(Self { rho: non_negative("rho", rho)?, eta: non_negative("eta", eta)?, scaling })
    }

    /// `T`, absent where it is 1.
    pub(crate) fn scales(&self, weights: ParamVec, parameters: &Parameters) -> ParamVec {
        let covered = parameters.iter().map(|parameter| self.scaling.covers(parameter.name()));
        let parts = weights.into_parts().into_iter().zip(covered);
        ParamVec::new(
            parts
                .map(|(w, covered)| Some(w.filter(|_| covered)?.abs().add_scalar(self.eta)))
                .collect(),
        )
    }
}

impl Ascend for Adaptive {
    fn perturbation<'a>(
        &mut self,
        g: &'a Gradient,
        surface: &mut dyn Surface,
    ) -> Result<Perturbation<'a>> {
        let t = self.scales(surface.weights(), surface.parameters());
        let t_g = g.ascent().clone().times_where(&t);
        let scale = t_g.inverse_norm().mul_scalar(self.rho);
        Ok(Perturbation { direction: t_g.times_where(&t).into(), scale })
    }
}
