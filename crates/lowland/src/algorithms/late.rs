//! Late SAM: the base optimizer first, SAM in the last part of training.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::algorithms::config::{AlgorithmConfig, Descriptor, Fidelity};
use crate::algorithms::scheduled::Scheduled;
use crate::rule::ascend::AlongGradient;
use crate::rule::descend::SharpGradient;
use crate::rule::schedule::{EveryStep, LateStart};
use crate::rule::select::AllSamples;
use crate::rule::{ComposedRule, Rule};

/// Late SAM: the base optimizer alone at first, and SAM in every step of the last part of training.
/// Choose it where most of a training may stay as cheap as the base optimizer.
///
/// It works with a learning rate that has not yet decayed to nothing in that part, as in the
/// authors' runs, whose rate falls in steps and stays up to the end. Under a cosine to 0 the last
/// quarter of the steps has 2.5 % of the sum of all rates, and late SAM can do little.
///
/// # Update
/// ```text
/// t < ⌈start·T⌉:   ĝ = g
/// otherwise:       ĝ = g_s = ∇L(w + e),   e = ρ·g/(‖g‖ + 1e-12)
/// ```
/// g = ∇L(w) is the gradient of the batch's mean loss; ‖·‖ runs over all trainable parameters. t is
/// the step, counted from 0, and T the number of steps of the training, which the optimizer must
/// know (`with_total_steps`). ĝ goes to the base optimizer, which keeps its state at the turn.
///
/// # Cost
/// Passes per step: 2 − start, on average. Memory: none between steps.
///
/// # Parameters
/// - `rho`: ρ, the radius, a length in parameter space, at least 0. Default 0.05.
/// - `start`: the share of training after which SAM begins, between 0 and 1; 0 gives SAM, 1 the
///   base optimizer. Default 0.9375, the last 10 of 160 epochs (authors' code).
///
/// Any algorithm with a schedule can start late: see
/// [`with_late_start`](crate::Scheduled::with_late_start).
///
/// # Fidelity
/// Late SAM, 2024, arXiv 2410.10373. The authors' script makes a new optimizer at the turn, whose
/// momentum starts empty; here the base keeps its state. Their defaults are radius 2.0 on
/// VGG-16-BN, a usual value for an adaptive perturbation.
///
/// Authors' code: <https://github.com/zzp1012/SAM-in-Late-Phase>.
///
/// # Example
/// ```
/// use lowland::{ArsamConfig, LateSamConfig};
///
/// let late_sam = LateSamConfig::new(0.1).with_start(0.75).build()?;
/// let late_arsam = ArsamConfig::new(0.1).with_late_start(0.75).build()?;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "Scheduled<LateSamConfig>", field = "algorithm"))]
pub struct LateSamConfig {
    /// ρ, the radius.
    pub rho: f64,
    /// The share of training after which SAM begins.
    pub start: f64,
}

impl Default for LateSamConfig {
    fn default() -> Self {
        Self { rho: 0.05, start: 0.9375 }
    }
}

impl LateSamConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "late",
        label: "late SAM",
        summary: "the base optimizer first, SAM in the last part of training",
        passes: "2 - start",
        memory: "0",
        below_one_pass: false,
        source: "arXiv 2410.10373",
        fidelity: Fidelity::AuthorsCode,
    };

    /// Creates the settings with this radius, ρ, and the defaults of everything else.
    pub fn new(rho: f64) -> Self {
        Self { rho, ..Self::default() }
    }
}

impl AlgorithmConfig for LateSamConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        Ok(Box::new(ComposedRule::new(
            AllSamples,
            LateStart::new(Box::new(EveryStep), self.start)?,
            AlongGradient::new(self.rho)?,
            SharpGradient,
        )?))
    }
}
