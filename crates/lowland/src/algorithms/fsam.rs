//! F-SAM: ascends along what is this batch's own.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::config::{AlgorithmConfig, Descriptor, Fidelity};
use crate::algorithms::scheduled::Scheduled;
use crate::error::{finite, fraction, non_negative};
use crate::rule::ascend::Ascend;
use crate::rule::descend::SharpGradient;
use crate::rule::schedule::EveryStep;
use crate::rule::select::AllSamples;
use crate::rule::{ComposedRule, Gradient, Perturbation, Rule, Surface};
use crate::state::Memory;
use crate::{ParamVec, Result};

/// F-SAM (friendly SAM): ascends along the gradient minus its running average, so along what is
/// this batch's own, and spares the direction that all batches share. Choose it as a drop-in for
/// SAM.
///
/// # Update
/// ```text
/// d = g − σ·m,  e = ρ·d/(‖d‖ + 1e-12),  ĝ = g_s = ∇L(w + e),  then m ← λ·m + (1 − λ)·g
/// ```
/// g = ∇L(w) is the gradient of the batch's mean loss; ‖·‖ and ⟨·,·⟩ run over all trainable
/// parameters. ĝ goes to the base optimizer.
/// The first step ascends along g itself and sets m = g. A zero d gives e = 0.
///
/// # Cost
/// Passes per step: 2. Memory: one copy of the parameters (m).
///
/// # Parameters
/// - `rho`: ρ, the radius, a length in parameter space, at least 0. Default 0.1 (authors' command).
/// - `sigma`: σ, the share of the average that is subtracted, dimensionless. Default 1 (authors'
///   code).
/// - `lambda`: λ, the decay of the average, between 0 and 1. Default 0.95 (authors' command; their
///   class has 0.9).
///
/// # Fidelity
/// Friendly SAM, 2024, arXiv 2403.12350. The order is that of the authors' code, which subtracts
/// the previous average; the paper updates it first. For σ = 1 the directions are the same from the
/// second step on, but for how the average begins.
///
/// Authors' code: <https://github.com/nblt/F-SAM>.
///
/// # Example
/// ```
/// use lowland::FsamConfig;
///
/// let rule = FsamConfig::default().build()?;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "Scheduled<FsamConfig>", field = "algorithm"))]
pub struct FsamConfig {
    /// ρ, the radius.
    pub rho: f64,
    /// σ, the share of the average that is subtracted.
    pub sigma: f64,
    /// λ, the decay of the average.
    pub lambda: f64,
}

impl Default for FsamConfig {
    fn default() -> Self {
        Self { rho: 0.1, sigma: 1.0, lambda: 0.95 }
    }
}

impl FsamConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "fsam",
        label: "F-SAM",
        summary: "SAM that perturbs along the gradient minus its running average",
        passes: "2",
        memory: "1",
        below_one_pass: false,
        source: "arXiv 2403.12350",
        fidelity: Fidelity::AuthorsCode,
    };

    /// Creates the settings with this radius, ρ, and the defaults of everything else.
    pub fn new(rho: f64) -> Self {
        Self { rho, ..Self::default() }
    }
}

impl AlgorithmConfig for FsamConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        Ok(Box::new(ComposedRule::new(
            AllSamples,
            EveryStep,
            LessAverage::new(*self)?,
            SharpGradient,
        )?))
    }
}

/// `e = ρ·d/(‖d‖ + 1e-12)` with `d = g − σ·m`, where m averages the gradients of the earlier steps
/// that took a second gradient: `m ← λ·m + (1 − λ)·g`. The first such step ascends along g itself.
///
/// Keeps one copy of the parameters, m, between steps.
#[derive(Debug, Clone)]
pub struct LessAverage {
    rho: f64,
    sigma: f64,
    lambda: f64,
    average: Option<ParamVec>,
}

impl LessAverage {
    /// Checks the settings of F-SAM.
    ///
    /// # Errors
    /// A radius that is negative or not finite, a share that is not finite, a decay outside
    /// `[0, 1]`.
    pub fn new(config: FsamConfig) -> Result<Self> {
        let FsamConfig { rho, sigma, lambda } = config;
        Ok(Self {
            rho: non_negative("rho", rho)?,
            sigma: finite("sigma", sigma)?,
            lambda: fraction("lambda", lambda)?,
            average: None,
        })
    }
}

impl Ascend for LessAverage {
    fn perturbation<'a>(
        &mut self,
        g: &'a Gradient,
        _surface: &mut dyn Surface,
    ) -> Result<Perturbation<'a>> {
        // The average is over whole batches, whatever a step ascends along.
        let Some(m) = self.average.take() else {
            self.average = Some(ParamVec::clone(g));
            return Ok(Perturbation::along(g, self.rho));
        };
        // By its difference to g, so that a gradient that does not change leaves m exactly as it
        // is: a residue of rounding would be stretched to the whole radius.
        let difference = ParamVec::clone(g).minus(&m);
        let d = g.ascent().clone().plus_scaled(&m, -self.sigma);
        self.average = Some(m.plus_scaled(&difference, 1.0 - self.lambda));
        Ok(Perturbation::along(d, self.rho))
    }

    fn save(&self, memory: &mut Memory) -> Result<()> {
        memory.put_vector("average", self.average.as_ref());
        Ok(())
    }

    fn restore(&mut self, memory: &mut Memory) -> Result<()> {
        self.average = memory.take_vector("average")?;
        Ok(())
    }
}
