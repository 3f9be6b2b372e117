//! WSAM: the sharpness with a weight of its own.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::config::{AlgorithmConfig, Descriptor, Fidelity};
use crate::algorithms::scheduled::Scheduled;
use crate::rule::ascend::AlongGradient;
use crate::rule::descend::Descend;
use crate::rule::schedule::EveryStep;
use crate::rule::select::AllSamples;
use crate::rule::{ComposedRule, Pair, Rule, Update};
use crate::{Error, ParamVec, Result};

/// WSAM (weighted sharpness): gives the sharpness, the rise of the loss within the radius, a weight
/// other than SAM's 1, and keeps it out of the base optimizer's momentum and moments. Choose it
/// over SGD, to weigh the sharpness more or less than SAM does.
///
/// # Update
/// ```text
/// e = ρ·g/(‖g‖ + 1e-12),   g_s = ∇L(w + e),   κ = γ/(1 − γ)
/// decoupled:   w ← base(w, g) − lr·κ·(g_s − g)
/// coupled:     w ← base(w, g + κ·(g_s − g))
/// ```
/// g = ∇L(w) is the gradient of the batch's mean loss; ‖·‖ runs over all trainable parameters; lr
/// is the learning rate of each parameter. Decoupled, the sharpness term is a plain SGD step beside
/// the base's: over Adam it does not follow Adam's scale.
///
/// # Cost
/// Passes per step: 2. Memory: none between steps.
///
/// # Parameters
/// - `rho`: ρ, the radius, a length in parameter space, at least 0. Default 0.05 (authors' code).
/// - `gamma`, `decoupled`, in the table `descend`: see [`WeightedConfig`].
///
/// # Fidelity
/// WSAM, 2023, arXiv 2305.15817, without the clipping of an earlier copy of the authors' code.
/// Gradient clipping (`with_clip_norm`) acts on what goes to the base optimizer alone.
///
/// Authors' code: <https://github.com/intelligent-machine-learning/atorch>.
///
/// # Example
/// ```
/// use lowland::WsamConfig;
///
/// let rule = WsamConfig::new(0.05).with_gamma(0.8).build()?;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "Scheduled<WsamConfig>", field = "algorithm"))]
pub struct WsamConfig {
    /// ρ, the radius.
    pub rho: f64,
    /// The weight of the sharpness.
    pub descend: WeightedConfig,
}

impl Default for WsamConfig {
    fn default() -> Self {
        Self { rho: 0.05, descend: WeightedConfig::default() }
    }
}

impl WsamConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "wsam",
        label: "WSAM",
        summary: "SAM whose sharpness has a weight of its own, outside the base optimizer",
        passes: "2",
        memory: "0",
        below_one_pass: false,
        source: "arXiv 2305.15817",
        fidelity: Fidelity::AuthorsCode,
    };

    /// Creates the settings with this radius, ρ, and the defaults of everything else.
    pub fn new(rho: f64) -> Self {
        Self { rho, ..Self::default() }
    }
}

impl Scheduled<WsamConfig> {
    fn descend(&mut self) -> &mut WeightedConfig {
        &mut self.algorithm.descend
    }
}

impl AlgorithmConfig for WsamConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        Ok(Box::new(ComposedRule::new(
            AllSamples,
            EveryStep,
            AlongGradient::new(self.rho)?,
            Weighted::new(self.descend)?,
        )?))
    }
}

/// The settings of [`Weighted`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "WsamConfig", field = "descend"))]
#[setters(generate_delegates(ty = "Scheduled<WsamConfig>", method = "descend"))]
pub struct WeightedConfig {
    /// γ, at least 0 and below 1: the sharpness has the weight `γ/(1 − γ)`. 0 gives the base
    /// optimizer; 0.5, coupled, gives SAM. Default 0.9 (authors' code).
    pub gamma: f64,
    /// Whether the sharpness moves the weights after the base optimizer's step, past its momentum
    /// and moments. Default true (authors' code).
    pub decoupled: bool,
}

impl Default for WeightedConfig {
    fn default() -> Self {
        Self { gamma: 0.9, decoupled: true }
    }
}

/// `g + κ·(g_s − g)` with `κ = γ/(1 − γ)` where there is a second gradient, g otherwise; decoupled,
/// g and a displacement by `κ·(g_s − g)` after the base optimizer's step. Remembers nothing.
#[derive(Debug, Clone, Copy)]
pub struct Weighted {
    kappa: f64,
    decoupled: bool,
}

impl Weighted {
    /// Checks the settings.
    ///
    /// # Errors
    /// A γ outside `[0, 1)`.
    pub fn new(config: WeightedConfig) -> Result<Self> {
        let WeightedConfig { gamma, decoupled } = config;
        if !(0.0..1.0).contains(&gamma) {
            return Err(Error::config("gamma", &gamma, "at least 0 and below 1"));
        }
        Ok(Self { kappa: gamma / (1.0 - gamma), decoupled })
    }
}

impl Descend for Weighted {
    fn double(&mut self, pair: Pair) -> Update {
        let (g, g_s) = pair.into_both();
        let psf = g_s.minus(&g);
        if self.decoupled {
            let displacement = psf.map(|part| part.mul_scalar(self.kappa));
            return Update::from(g).with_displacement(displacement);
        }
        g.plus_scaled(&psf, self.kappa).into()
    }

    fn single(&mut self, g: ParamVec) -> Update {
        g.into()
    }
}
