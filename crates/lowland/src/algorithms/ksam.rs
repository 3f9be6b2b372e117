//! K-SAM: SAM on the samples with the largest losses.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::config::{AlgorithmConfig, Descriptor, Fidelity};
use crate::algorithms::scheduled::Scheduled;
use crate::error::positive_fraction;
use crate::rule::ascend::AlongGradient;
use crate::rule::descend::SharpGradient;
use crate::rule::schedule::EveryStep;
use crate::rule::select::{Select, largest, share};
use crate::rule::{ComposedRule, Rule, Samples, Selection, Surface};
use crate::vector::read;
use crate::{Error, Result};

/// K-SAM: SAM on the k samples of each batch that have the largest losses, which a forward pass
/// over the whole batch finds. Choose it where the backward pass dominates and labels are clean:
/// the largest losses are where wrong labels are.
///
/// # Update
/// ```text
/// S = the ⌈fraction·b⌉ samples with the largest losses at w
/// g = ∇L_S(w),   e = ρ·g/(‖g‖ + 1e-12),   ĝ = ∇L_S(w + e)
/// ```
/// `L_S` is the mean loss over S; ‖·‖ runs over all trainable parameters. ĝ goes to the base
/// optimizer.
///
/// # Cost
/// Passes per step: 1/3 + 2·fraction. Memory: none between steps. One read-back in each step.
///
/// # Parameters
/// - `rho`: ρ, the radius, a length in parameter space, at least 0. Default 0.05.
/// - `fraction`, k/b, in the table `select`: see [`TopLossConfig`]. Its default is near what the
///   paper's cost on ImageNet amounts to in our cost model; the paper's own values are not known
///   to us.
///
/// The loss closure must give the losses of the samples it is asked for. With a budget or a late
/// start, steps without a second gradient descend along `∇L_S(w)`, on the k samples alone.
///
/// # Fidelity
/// K-SAM, 2022, arXiv 2210.12864. No authors' code is known to us. Both gradients are taken on the
/// same samples, and running statistics move in the ranking pass, the only one over the whole
/// batch; the paper's ways are not known to us. `fraction = 1` gives SAM's weights at 1/3 of a pass
/// more.
///
/// # Example
/// ```
/// use lowland::KsamConfig;
///
/// let rule = KsamConfig::default().build()?;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "Scheduled<KsamConfig>", field = "algorithm"))]
pub struct KsamConfig {
    /// ρ, the radius.
    pub rho: f64,
    /// Which samples are taken.
    pub select: TopLossConfig,
}

impl Default for KsamConfig {
    fn default() -> Self {
        Self { rho: 0.05, select: TopLossConfig::default() }
    }
}

impl KsamConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "ksam",
        label: "K-SAM",
        summary: "SAM on the samples with the largest losses",
        passes: "1/3 + 2k/b",
        memory: "0",
        below_one_pass: true,
        source: "arXiv 2210.12864",
        fidelity: Fidelity::Equations,
    };

    /// Creates the settings with this radius, ρ, and the defaults of everything else.
    pub fn new(rho: f64) -> Self {
        Self { rho, ..Self::default() }
    }
}

impl Scheduled<KsamConfig> {
    fn select(&mut self) -> &mut TopLossConfig {
        &mut self.algorithm.select
    }
}

impl AlgorithmConfig for KsamConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        Ok(Box::new(ComposedRule::new(
            TopLoss::new(self.select)?,
            EveryStep,
            AlongGradient::new(self.rho)?,
            SharpGradient,
        )?))
    }
}

/// The settings of [`TopLoss`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "KsamConfig", field = "select"))]
#[setters(generate_delegates(ty = "Scheduled<KsamConfig>", method = "select"))]
pub struct TopLossConfig {
    /// The share of the batch, above 0 and at most 1. Default 0.5.
    pub fraction: f64,
}

impl Default for TopLossConfig {
    fn default() -> Self {
        Self { fraction: 0.5 }
    }
}

/// Takes both gradients on the `⌈fraction·b⌉` samples of the batch with the largest losses. A
/// forward pass over the whole batch ranks them; it is the one that moves running statistics. One
/// read-back a step.
#[derive(Debug, Clone, Copy)]
pub struct TopLoss {
    fraction: f64,
}

impl TopLoss {
    /// Checks the share.
    ///
    /// # Errors
    /// A share that is not above 0 or above 1.
    pub fn new(config: TopLossConfig) -> Result<Self> {
        Ok(Self { fraction: positive_fraction("fraction", config.fraction)? })
    }
}

impl Select for TopLoss {
    fn first(&mut self, surface: &mut dyn Surface) -> Result<Selection> {
        let losses = read(vec![surface.losses(None, &Samples::All)?])?;
        if losses.is_empty() {
            return Err(Error::NoEvaluation);
        }
        let of = losses.len();
        let positions = largest(&losses, share(self.fraction, of));
        Ok(Samples::Some { positions, of }.into())
    }

    fn chooses_samples(&self) -> bool {
        true
    }
}
