//! ARSAM: SAM's second gradient only where it changes, reused with decay in between.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::config::{AlgorithmConfig, Descriptor, Fidelity};
use crate::algorithms::controller::{Controller, ControllerConfig};
use crate::algorithms::scheduled::Scheduled;
use crate::error::fraction;
use crate::rule::ascend::AlongGradient;
use crate::rule::descend::Descend;
use crate::rule::select::AllSamples;
use crate::rule::{ComposedRule, Pair, Rule, Update};
use crate::state::Memory;
use crate::{Error, ParamVec, Result};

/// ARSAM: splits SAM's gradient into the plain gradient and the rest, the PSF; takes the PSF anew
/// only as often as it changes and reuses it with decay in between. Choose it for SAM's effect at a
/// part of SAM's cost.
///
/// # Update
/// ```text
/// sampled step:   e = ρ·g/(‖g‖ + 1e-12),  g_s = ∇L(w + e),  psf = g_s − g,  j ← 0,  ĝ = g_s
/// other steps:    j ← j + 1;  ĝ = g + β^j·psf  for j ≤ R,  ĝ = g after that
/// ```
/// g = ∇L(w) is the gradient of the batch's mean loss; ‖·‖ runs over all trainable parameters.
/// ĝ goes to the base optimizer. Which steps are sampled, [`Controller`] decides.
///
/// # Cost
/// Passes per step: 1 + π, where π, the share of sampled steps, lies between 1/K and `max_fraction`
/// after the warm-up and is 1 in it. Memory: one copy of the parameters (psf).
///
/// # Parameters
/// - `rho`: ρ, the radius, a length in parameter space, at least 0. Default 0.05 (authors' training
///   script).
/// - `beta`, `max_reuse`, `scaled`, in the table `descend`: see [`ReusePsfConfig`].
/// - `window`, `blocks`, `gain_ratio`, `gain_variance`, `max_fraction`, `norm_tensors`, `warmup`,
///   in the table `controller`: see [`ControllerConfig`].
///
/// # Fidelity
/// ARSAM: Deng and Pang, 2025, arXiv 2510.03763. Its own algorithm box is not public to us; this is
/// the algorithm of its predecessor by the same group, vSAM (arXiv 2403.08821), as its authors'
/// code has it, which shares decomposition, vocabulary and claim. Differences: reuses are counted
/// with an integer (comparing a product of decays with a power, the code reuses seven times at
/// some decays); histories must be full before the rate adapts; divisions by zero count as no
/// change; the draw comes from the optimizer's seeded generator.
///
/// Authors' code: <https://github.com/ajiaaa/vSAM>.
///
/// # Example
/// ```
/// use lowland::{ArsamConfig, ControllerConfig, Warmup};
///
/// let controller = ControllerConfig::default().with_warmup(Warmup::Steps(100));
/// let rule = ArsamConfig::new(0.1).with_beta(0.9).with_controller(controller).build()?;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "Scheduled<ArsamConfig>", field = "algorithm"))]
pub struct ArsamConfig {
    /// ρ, the radius.
    pub rho: f64,
    /// How a PSF is reused.
    pub descend: ReusePsfConfig,
    /// When the PSF is sampled.
    pub controller: ControllerConfig,
}

impl Default for ArsamConfig {
    fn default() -> Self {
        Self {
            rho: 0.05,
            descend: ReusePsfConfig::default(),
            controller: ControllerConfig::default(),
        }
    }
}

impl ArsamConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "arsam",
        label: "ARSAM",
        summary: "SAM's second gradient only as often as it changes, reused with decay in between",
        passes: "1 + share of sampled steps",
        memory: "1",
        below_one_pass: false,
        source: "arXiv 2510.03763, 2403.08821",
        fidelity: Fidelity::AuthorsCode,
    };

    /// Creates the settings with this radius, ρ, and the defaults of everything else.
    pub fn new(rho: f64) -> Self {
        Self { rho, ..Self::default() }
    }
}

impl Scheduled<ArsamConfig> {
    fn descend(&mut self) -> &mut ReusePsfConfig {
        &mut self.algorithm.descend
    }
}

impl AlgorithmConfig for ArsamConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn controller(&self) -> Option<&ControllerConfig> {
        Some(&self.controller)
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        Ok(Box::new(ComposedRule::new(
            AllSamples,
            Controller::new(self.controller.clone())?,
            AlongGradient::new(self.rho)?,
            ReusePsf::new(self.descend)?,
        )?))
    }
}

/// The settings of [`ReusePsf`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "ArsamConfig", field = "descend"))]
#[setters(generate_delegates(ty = "Scheduled<ArsamConfig>", method = "descend"))]
pub struct ReusePsfConfig {
    /// β, the decay, between 0 and 1. Default 0.7 (authors' code).
    pub beta: f64,
    /// R, how many times one PSF is reused. Default 6 (authors' code).
    pub max_reuse: u32,
    /// Whether a reused PSF grows and shrinks with the gradient: `g + β^j·(‖g‖/‖g₀‖)·psf`, where
    /// `g₀` is the gradient that the PSF was taken beside. Not in the authors' code, which has
    /// `false`, the default.
    pub scaled: bool,
}

impl Default for ReusePsfConfig {
    fn default() -> Self {
        Self { beta: 0.7, max_reuse: 6, scaled: false }
    }
}

/// `g_s` where there is one; otherwise `g + β^j·psf` at the j-th step since, for j up to a limit,
/// and plain `g` after that. The reused PSF may be scaled by the length of `g`
/// ([`ReusePsfConfig::scaled`]).
///
/// Keeps one copy of the parameters, the PSF, between steps.
#[derive(Debug, Clone)]
pub struct ReusePsf {
    decay: f64,
    max_reuse: u32,
    scaled: bool,
    state: ReusePsfState,
}

/// What [`ReusePsf`] remembers.
#[derive(Debug, Clone, Default)]
struct ReusePsfState {
    /// The PSF, divided by the length of the gradient beside it if it is to be scaled.
    psf: Option<ParamVec>,
    reused: u32,
}

impl ReusePsf {
    /// Checks the settings.
    ///
    /// # Errors
    /// A decay outside `[0, 1]`.
    pub fn new(config: ReusePsfConfig) -> Result<Self> {
        let ReusePsfConfig { beta, max_reuse, scaled } = config;
        let decay = fraction("beta", beta)?;
        Ok(Self { decay, max_reuse, scaled, state: ReusePsfState::default() })
    }
}

impl Descend for ReusePsf {
    fn double(&mut self, pair: Pair) -> Update {
        let share = self.scaled.then(|| pair.g().inverse_norm());
        let (g_s, psf) = pair.into_g_s_and_psf();
        let psf = match share {
            Some(share) => psf.times(&share),
            None => psf,
        };
        self.state = ReusePsfState { psf: Some(psf), reused: 0 };
        g_s.into()
    }

    fn single(&mut self, g: ParamVec) -> Update {
        if self.state.reused >= self.max_reuse {
            // It has had its last use: its memory goes.
            self.state.psf = None;
        }
        let Some(psf) = &self.state.psf else { return g.into() };
        self.state.reused += 1;
        // An integer counts the reuses: a product of decays compared with a power, as elsewhere,
        // gives one reuse too many at some decays.
        let factor = self.decay.powf(f64::from(self.state.reused));
        if self.scaled {
            let length = g.norm();
            g.plus_scaled(&psf.clone().times(&length), factor).into()
        } else {
            g.plus_scaled(psf, factor).into()
        }
    }

    fn save(&self, memory: &mut Memory) -> Result<()> {
        memory.put_count("reused", self.state.reused.into());
        memory.put_vector("psf", self.state.psf.as_ref());
        Ok(())
    }

    fn restore(&mut self, memory: &mut Memory) -> Result<()> {
        self.state.reused = u32::try_from(memory.take_count("reused")?)
            .map_err(|_| Error::record("reused", "is larger than any limit"))?;
        self.state.psf = memory.take_vector("psf")?;
        Ok(())
    }

    fn reuses(&self) -> bool {
        true
    }
}
