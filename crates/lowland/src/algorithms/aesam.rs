//! AE-SAM: a second gradient where the gradient is long.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::config::{AlgorithmConfig, Descriptor, Fidelity};
use crate::algorithms::scheduled::Scheduled;
use crate::error::{fraction, not_nan};
use crate::rule::ascend::AlongGradient;
use crate::rule::descend::SharpGradient;
use crate::rule::schedule::{Schedule, total_steps};
use crate::rule::select::AllSamples;
use crate::rule::{ComposedRule, Gradient, Rule, Surface};
use crate::state::Memory;
use crate::{Error, Result};

/// AE-SAM: takes SAM's second gradient only where the gradient is long compared with its past,
/// which marks sharp places, and is the base optimizer elsewhere. Choose it to let the data decide
/// when to pay for a second gradient; nothing but two numbers is kept.
///
/// # Update
/// ```text
/// n = ‖g‖²,   μ ← δμ + (1 − δ)n,   σ² ← δσ² + (1 − δ)(n − μ)²,   c = (t/T)·λ₁ + (1 − t/T)·λ₂
/// n ≥ μ + c·σ:   ĝ = g_s = ∇L(w + ρ·g/‖g‖)
/// otherwise:     ĝ = g
/// ```
/// g = ∇L(w) is the gradient of the batch's mean loss; ‖·‖ and ⟨·,·⟩ run over all trainable
/// parameters. ĝ goes to the base optimizer.
///
/// # Cost
/// Passes per step: 1 + share of sampled steps, which depends on the data. Memory: two numbers.
/// `‖g‖²` is read back from the device in the middle of each step.
///
/// # Parameters
/// - `rho`: ρ, the radius, a length in parameter space, at least 0. Default 0.05.
/// - `delta`, `lambda_1`, `lambda_2`, `total_steps`, in the table `schedule`: see
///   [`NormTestConfig`]. The defaults sample sparsely early and densely late.
///
/// # Fidelity
/// AE-SAM, 2023, arXiv 2304.14647. The golden traces follow its equations as a public
/// implementation has them. The defaults are not confirmed from the paper's text.
///
/// Authors' code: none known to us.
///
/// # Example
/// ```
/// use lowland::AesamConfig;
///
/// let rule = AesamConfig::default().build()?;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "Scheduled<AesamConfig>", field = "algorithm"))]
pub struct AesamConfig {
    /// ρ, the radius.
    pub rho: f64,
    /// When a second gradient is due.
    pub schedule: NormTestConfig,
}

impl Default for AesamConfig {
    fn default() -> Self {
        Self { rho: 0.05, schedule: NormTestConfig::default() }
    }
}

impl AesamConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "aesam",
        label: "AE-SAM",
        summary: "SAM's second gradient only where the gradient is long",
        passes: "1 + share of sampled steps",
        memory: "0",
        below_one_pass: false,
        source: "arXiv 2304.14647",
        fidelity: Fidelity::Equations,
    };

    /// Creates the settings with this radius, ρ, and the defaults of everything else.
    pub fn new(rho: f64) -> Self {
        Self { rho, ..Self::default() }
    }
}

impl Scheduled<AesamConfig> {
    fn schedule(&mut self) -> &mut NormTestConfig {
        &mut self.algorithm.schedule
    }
}

impl AlgorithmConfig for AesamConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        let schedule = NormTest::new(self.schedule)?;
        Ok(Box::new(ComposedRule::new(
            AllSamples,
            schedule,
            AlongGradient::new(self.rho)?,
            SharpGradient,
        )?))
    }
}

/// The settings of [`NormTest`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "AesamConfig", field = "schedule"))]
#[setters(generate_delegates(ty = "Scheduled<AesamConfig>", method = "schedule"))]
pub struct NormTestConfig {
    /// δ, the decay of mean and variance, between 0 and 1. Default 0.9.
    pub delta: f64,
    /// λ₁, the threshold at the end of training, in deviations. Default −1.
    pub lambda_1: f64,
    /// λ₂, the threshold at the start, in deviations. Default 1.
    pub lambda_2: f64,
    /// T, the number of steps of the training. Default: that of the optimizer (`with_total_steps`).
    pub total_steps: Option<u64>,
}

impl Default for NormTestConfig {
    fn default() -> Self {
        Self { delta: 0.9, lambda_1: -1.0, lambda_2: 1.0, total_steps: None }
    }
}

/// A second gradient where `‖g‖² ≥ μ + c·σ`, with running mean and variance of `‖g‖²`:
///
/// ```text
/// n = ‖g‖²,   μ ← δμ + (1 − δ)n,   σ² ← δσ² + (1 − δ)(n − μ)²,   c = (t/T)·λ₁ + (1 − t/T)·λ₂
/// ```
///
/// μ and σ² begin at 0 and are updated before the test. Reads `‖g‖²` back from the device at every
/// step, before it is known whether a second gradient is due.
#[derive(Debug, Clone)]
pub struct NormTest {
    delta: f64,
    /// λ₂ at the start of training and λ₁ at its end.
    thresholds: [f64; 2],
    total_steps: Option<u64>,
    state: NormTestState,
}

/// What [`NormTest`] remembers.
#[derive(Debug, Clone, Default)]
struct NormTestState {
    mean: f64,
    variance: f64,
}

impl NormTest {
    /// Checks the settings.
    ///
    /// # Errors
    /// A decay outside `[0, 1]`, a threshold that is not a number, a T of 0.
    pub fn new(config: NormTestConfig) -> Result<Self> {
        let NormTestConfig { delta, lambda_1, lambda_2, total_steps } = config;
        if total_steps == Some(0) {
            return Err(Error::config("total_steps", &0, "at least 1"));
        }
        Ok(Self {
            delta: fraction("delta", delta)?,
            thresholds: [not_nan("lambda_2", lambda_2)?, not_nan("lambda_1", lambda_1)?],
            total_steps,
            state: NormTestState::default(),
        })
    }

    fn threshold(&self, surface: &dyn Surface) -> Result<f64> {
        let [start, end] = self.thresholds;
        if start.to_bits() == end.to_bits() {
            return Ok(start);
        }
        let total = match self.total_steps {
            Some(steps) => steps,
            None => total_steps(surface)?,
        };
        let done = (surface.step() as f64 / total as f64).min(1.0);
        Ok(done * end + (1.0 - done) * start)
    }
}

impl Schedule for NormTest {
    fn due(&mut self, g: &Gradient, surface: &mut dyn Surface) -> Result<bool> {
        let threshold = self.threshold(surface)?;
        let n = surface.read(vec![g.norm_squared()])?[0];
        let NormTestState { mean, variance } = &mut self.state;
        *mean = self.delta * *mean + (1.0 - self.delta) * n;
        *variance = self.delta * *variance + (1.0 - self.delta) * (n - *mean).powi(2);
        // An infinite threshold decides alone, also where it meets a deviation of zero.
        if threshold.is_infinite() {
            return Ok(threshold < 0.0);
        }
        Ok(n >= *mean + threshold * variance.sqrt())
    }

    fn save(&self, memory: &mut Memory) -> Result<()> {
        memory.put_number("mean", self.state.mean);
        memory.put_number("variance", self.state.variance);
        Ok(())
    }

    fn restore(&mut self, memory: &mut Memory) -> Result<()> {
        self.state.mean = memory.take_number("mean")?;
        self.state.variance = memory.take_number("variance")?;
        Ok(())
    }
}
