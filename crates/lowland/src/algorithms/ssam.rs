//! SSAM: SAM's direction at the plain gradient's length.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::config::{AlgorithmConfig, Descriptor, Fidelity};
use crate::algorithms::scheduled::Scheduled;
use crate::error::non_negative;
use crate::rule::ascend::{AlongGradient, Ascend};
use crate::rule::descend::Descend;
use crate::rule::schedule::EveryStep;
use crate::rule::select::AllSamples;
use crate::rule::{ComposedRule, Gradient, Pair, Perturbation, Rule, Surface, Update};
use crate::vector::{one, ratio};
use crate::{ParamVec, Result};

/// SSAM (stable SAM): SAM's direction at the plain gradient's length. Choose it where SAM is
/// unstable, at large learning rates and radii.
///
/// # Update
/// ```text
/// e = ρ·g/(‖g‖ + 1e-12)  or  ρ·g,   g_s = ∇L(w + e),   ĝ = g_s·‖g‖/‖g_s‖
/// ```
/// g = ∇L(w) is the gradient of the batch's mean loss; ‖·‖ and ⟨·,·⟩ run over all trainable
/// parameters. ĝ goes to the base optimizer.
///
/// # Cost
/// Passes per step: 2. Memory: none between steps.
///
/// # Parameters
/// - `rho`: ρ, the radius, a length in parameter space, at least 0. Default 0.05.
/// - `ascent`: `normalised`, the default, or `raw` (`e = ρ·g`), where ρ is a factor on the
///   gradient.
///
/// # Fidelity
/// Stable SAM, 2024, arXiv 2401.07250. The authors' code has both ascents, and its example uses the
/// raw one.
///
/// Authors' code: <https://github.com/cltan023/stablesam2024>.
///
/// # Example
/// ```
/// use lowland::StableSamConfig;
///
/// let rule = StableSamConfig::default().build()?;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "Scheduled<StableSamConfig>", field = "algorithm"))]
pub struct StableSamConfig {
    /// ρ, the radius.
    pub rho: f64,
    /// Whether the perturbation is normalised.
    pub ascent: StableSamAscent,
}

/// How long the perturbation of SSAM is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StableSamAscent {
    /// ρ, however long the gradient is.
    #[default]
    Normalised,
    /// ρ times the length of the gradient.
    Raw,
}

impl Default for StableSamConfig {
    fn default() -> Self {
        Self { rho: 0.05, ascent: StableSamAscent::Normalised }
    }
}

impl StableSamConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "ssam",
        label: "SSAM",
        summary: "SAM's direction at the plain gradient's length",
        passes: "2",
        memory: "0",
        below_one_pass: false,
        source: "arXiv 2401.07250",
        fidelity: Fidelity::AuthorsCode,
    };

    /// Creates the settings with this radius, ρ, and the defaults of everything else.
    pub fn new(rho: f64) -> Self {
        Self { rho, ..Self::default() }
    }
}

impl AlgorithmConfig for StableSamConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        let ascend: Box<dyn Ascend> = match self.ascent {
            StableSamAscent::Normalised => Box::new(AlongGradient::new(self.rho)?),
            StableSamAscent::Raw => Box::new(RawGradient::new(self.rho)?),
        };
        Ok(Box::new(ComposedRule::of(
            Box::new(AllSamples),
            Box::new(EveryStep),
            ascend,
            Box::new(Rescaled),
        )?))
    }
}

/// `e = ρ·g`, not normalised: far where the gradient is long, and next to nothing near a minimum.
#[derive(Debug, Clone, Copy)]
pub struct RawGradient {
    rho: f64,
}

impl RawGradient {
    /// Sets ρ, a factor on the gradient.
    ///
    /// # Errors
    /// A ρ that is negative or not finite.
    pub fn new(rho: f64) -> Result<Self> {
        Ok(Self { rho: non_negative("rho", rho)? })
    }
}

impl Ascend for RawGradient {
    fn perturbation<'a>(
        &mut self,
        g: &'a Gradient,
        _surface: &mut dyn Surface,
    ) -> Result<Perturbation<'a>> {
        Ok(Perturbation { direction: g.into(), scale: one(g.ascent()).mul_scalar(self.rho) })
    }
}

/// `g_s·‖g‖/‖g_s‖` where there is a second gradient, g otherwise; zero where `g_s` is zero.
/// Remembers nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rescaled;

impl Descend for Rescaled {
    fn double(&mut self, pair: Pair) -> Update {
        // A quotient, not a product with an inverse: exactly 1 where the two are equal.
        let scale = ratio(pair.g().norm(), pair.g_s().norm());
        pair.into_g_s().times(&scale).into()
    }

    fn single(&mut self, g: ParamVec) -> Update {
        g.into()
    }
}
