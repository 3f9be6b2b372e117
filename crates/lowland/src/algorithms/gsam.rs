//! GSAM: SAM that also closes the gap between the two losses.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::config::{AlgorithmConfig, Descriptor, Fidelity};
use crate::algorithms::scheduled::Scheduled;
use crate::error::finite;
use crate::rule::ascend::AlongGradient;
use crate::rule::descend::Descend;
use crate::rule::schedule::EveryStep;
use crate::rule::select::AllSamples;
use crate::rule::{ComposedRule, Pair, Rule, Update};
use crate::{ParamVec, Result};

/// GSAM: SAM that also lowers the surrogate gap, the rise of the loss within the radius, by
/// subtracting the component of the plain gradient orthogonal to SAM's. Choose it where one more
/// hyperparameter may pay.
///
/// # Update
/// ```text
/// e = ρ·g/(‖g‖ + 1e-12),   g_s = ∇L(w + e),   g_⊥ = g − (⟨g, g_s⟩/‖g_s‖²)·g_s,   ĝ = g_s − α·g_⊥
/// ```
/// g = ∇L(w) is the gradient of the batch's mean loss; ‖·‖ and ⟨·,·⟩ run over all trainable
/// parameters. ĝ goes to the base optimizer.
///
/// # Cost
/// Passes per step: 2. Memory: none between steps.
///
/// # Parameters
/// - `rho`: ρ, the radius, a length in parameter space, at least 0. Default 0.05.
/// - `alpha`, in the table `descend`: see [`SurrogateGapConfig`]; 0 gives SAM.
///
/// # Fidelity
/// Surrogate gap minimisation, 2022, arXiv 2203.08065. The radius is constant here; the authors let
/// it follow the learning rate.
///
/// Authors' code: <https://github.com/juntang-zhuang/GSAM>.
///
/// # Example
/// ```
/// use lowland::GsamConfig;
///
/// let rule = GsamConfig::default().build()?;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "Scheduled<GsamConfig>", field = "algorithm"))]
pub struct GsamConfig {
    /// ρ, the radius.
    pub rho: f64,
    /// How the gap is closed.
    pub descend: SurrogateGapConfig,
}

impl Default for GsamConfig {
    fn default() -> Self {
        Self { rho: 0.05, descend: SurrogateGapConfig::default() }
    }
}

impl GsamConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "gsam",
        label: "GSAM",
        summary: "SAM that also closes the gap between the loss and the perturbed loss",
        passes: "2",
        memory: "0",
        below_one_pass: false,
        source: "arXiv 2203.08065",
        fidelity: Fidelity::Equations,
    };

    /// Creates the settings with this radius, ρ, and the defaults of everything else.
    pub fn new(rho: f64) -> Self {
        Self { rho, ..Self::default() }
    }
}

impl Scheduled<GsamConfig> {
    fn descend(&mut self) -> &mut SurrogateGapConfig {
        &mut self.algorithm.descend
    }
}

impl AlgorithmConfig for GsamConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        Ok(Box::new(ComposedRule::new(
            AllSamples,
            EveryStep,
            AlongGradient::new(self.rho)?,
            SurrogateGap::new(self.descend)?,
        )?))
    }
}

/// The settings of [`SurrogateGap`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "GsamConfig", field = "descend"))]
#[setters(generate_delegates(ty = "Scheduled<GsamConfig>", method = "descend"))]
pub struct SurrogateGapConfig {
    /// α, the weight of the surrogate gap, dimensionless. Default 0.4, that of
    /// `pytorch_optimizer`.
    pub alpha: f64,
}

impl Default for SurrogateGapConfig {
    fn default() -> Self {
        Self { alpha: 0.4 }
    }
}

/// `g_s − α·g_⊥` with `g_⊥ = g − (⟨g, g_s⟩/‖g_s‖²)·g_s` where there is a second gradient, g
/// otherwise. Remembers nothing.
#[derive(Debug, Clone, Copy)]
pub struct SurrogateGap {
    alpha: f64,
}

impl SurrogateGap {
    /// Checks the settings.
    ///
    /// # Errors
    /// An α that is not finite.
    pub fn new(config: SurrogateGapConfig) -> Result<Self> {
        Ok(Self { alpha: finite("alpha", config.alpha)? })
    }
}

impl Descend for SurrogateGap {
    fn double(&mut self, pair: Pair) -> Update {
        let (g, g_s) = pair.into_both();
        let across = g.without(&g_s);
        g_s.plus_scaled(&across, -self.alpha).into()
    }

    fn single(&mut self, g: ParamVec) -> Update {
        g.into()
    }
}
