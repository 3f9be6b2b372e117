//! Periodic SAM: a SAM step every so many steps.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::config::{AlgorithmConfig, Descriptor, Fidelity};
use crate::algorithms::scheduled::Scheduled;
use crate::rule::ascend::AlongGradient;
use crate::rule::descend::SharpGradient;
use crate::rule::schedule::{Periodic, PeriodicConfig};
use crate::rule::select::AllSamples;
use crate::rule::{ComposedRule, Rule};
use crate::{Error, Result};

/// Periodic SAM: a SAM step at the last of every `interval` steps, the base optimizer at the
/// others. Choose it as the plainest way to spend less than SAM, and as the baseline that cleverer
/// schedules must beat at equal cost.
///
/// # Update
/// ```text
/// (t + 1) mod interval = 0:   ĝ = g_s = ∇L(w + ρ·g/‖g‖)
/// otherwise:                  ĝ = g
/// ```
/// g = ∇L(w) is the gradient of the batch's mean loss; ‖·‖ and ⟨·,·⟩ run over all trainable
/// parameters. ĝ goes to the base optimizer.
///
/// # Cost
/// Passes per step: 1 + 1/interval. Memory: none between steps.
///
/// # Parameters
/// - `rho`: ρ, the radius, a length in parameter space, at least 0. Default 0.05.
/// - `interval`: the steps from one SAM step to the next, at least 1; 1 gives SAM. Default 10.
///
/// # Fidelity
/// SAM's paper, arXiv 2010.01412, has no such form; it is in common use.
///
/// # Example
/// ```
/// use lowland::PeriodicSamConfig;
///
/// let rule = PeriodicSamConfig::default().build()?;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "Scheduled<PeriodicSamConfig>", field = "algorithm"))]
pub struct PeriodicSamConfig {
    /// ρ, the radius.
    pub rho: f64,
    /// The steps from one SAM step to the next.
    pub interval: u64,
}

impl Default for PeriodicSamConfig {
    fn default() -> Self {
        Self { rho: 0.05, interval: 10 }
    }
}

impl PeriodicSamConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "periodic-sam",
        label: "periodic SAM",
        summary: "a SAM step every so many steps, the base optimizer in between",
        passes: "1 + 1/interval",
        memory: "0",
        below_one_pass: false,
        source: "-",
        fidelity: Fidelity::Laws,
    };

    /// Creates the settings with this radius, ρ, and the defaults of everything else.
    pub fn new(rho: f64) -> Self {
        Self { rho, ..Self::default() }
    }
}

impl AlgorithmConfig for PeriodicSamConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        if self.interval == 0 {
            return Err(Error::config("interval", &0, "at least 1"));
        }
        let schedule = PeriodicConfig { k: self.interval, first: self.interval - 1 };
        let schedule = Periodic::new(schedule)?;
        Ok(Box::new(ComposedRule::new(
            AllSamples,
            schedule,
            AlongGradient::new(self.rho)?,
            SharpGradient,
        )?))
    }
}
