//! A second gradient where the gradient is long, compared with its past.

use serde::{Deserialize, Serialize};

use crate::error::{fraction, not_nan};
use crate::rule::Surface;
use crate::schedule::Schedule;
use crate::state::State;
use crate::vector::read;
use crate::{Error, ParamVec, Result};

/// The settings of [`NormTest`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
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
        let total = self.total_steps.or_else(|| surface.total_steps()).ok_or(Error::TOTAL_STEPS)?;
        let done = (surface.step() as f64 / total as f64).min(1.0);
        Ok(done * end + (1.0 - done) * start)
    }
}

impl Schedule for NormTest {
    fn due(&mut self, g: &ParamVec, surface: &mut dyn Surface) -> Result<bool> {
        let threshold = self.threshold(surface)?;
        let n = read(vec![g.norm_squared()])?[0];
        let NormTestState { mean, variance } = &mut self.state;
        *mean = self.delta * *mean + (1.0 - self.delta) * n;
        *variance = self.delta * *variance + (1.0 - self.delta) * (n - *mean).powi(2);
        // An infinite threshold decides alone, also where it meets a deviation of zero.
        if threshold.is_infinite() {
            return Ok(threshold < 0.0);
        }
        Ok(n >= *mean + threshold * variance.sqrt())
    }

    fn state(&mut self, state: &mut dyn State) -> Result<()> {
        state.number("mean", &mut self.state.mean)?;
        state.number("variance", &mut self.state.variance)
    }
}
