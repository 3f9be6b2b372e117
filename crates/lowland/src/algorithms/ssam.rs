//! SSAM: SAM's direction at the plain gradient's length.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::{AlgorithmConfig, Descriptor};
use crate::ascend::{AlongGradient, Ascend, RawGradient};
use crate::compose::ComposedRule;
use crate::descend::Rescaled;
use crate::rule::Rule;
use crate::schedule::EveryStep;
use crate::select::AllSamples;
use crate::{Result, Scheduled};

/// SSAM (stable SAM): SAM's direction at the plain gradient's length. Choose it where SAM is unstable,
/// at large learning rates and radii.
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
/// - `ascent`: `normalised`, the default, or `raw`, where ρ is the length of a step up.
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
        source: "arXiv 2401.07250",
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
