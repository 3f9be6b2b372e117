//! AdaSAM: SAM over an adaptive base of its own.

use burn::optim::{LearningRate, ModuleOptimizer, Optimizer, RecordState};
use burn::tensor::{Device, Tensor};
use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::config::{AlgorithmConfig, Descriptor, Fidelity};
use crate::algorithms::scheduled::Scheduled;
use crate::error::fraction;
use crate::rule::ascend::AlongGradient;
use crate::rule::descend::SharpGradient;
use crate::rule::schedule::EveryStep;
use crate::rule::select::AllSamples;
use crate::rule::{ComposedRule, Rule};
use crate::{Error, Result};

/// AdaSAM: SAM's gradient fed to an adaptive optimizer without bias correction, its own base.
/// Choose it for fine-tuning of transformers, with a learning rate of Adam's size.
///
/// # Update
/// ```text
/// ĝ = ∇L(w + ρ·g/(‖g‖ + 1e-12))
/// m ← β₁m + (1 − β₁)ĝ,   v ← β₂v + (1 − β₂)ĝ²,   v̂ ← max(v̂, v) with v̂ = ε² at first
/// w ← w − lr·m/√v̂
/// ```
/// g = ∇L(w) is the gradient of the batch's mean loss; ‖·‖ runs over all trainable parameters; the
/// rest goes element by element.
///
/// # Cost
/// Passes per step: 2. Memory: three copies of the parameters (m, v, v̂), all in the base
/// optimizer.
///
/// # Parameters
/// - `rho`: ρ, the radius, a length in parameter space, at least 0. Default 0.05.
/// - `beta_1`, `beta_2`, `epsilon`, in the table `base`: see [`AmsGradConfig`].
///
/// The rule is SAM's; the optimizer that belongs under it is [`optimizer`](Self::optimizer), over
/// which [`SharpnessAware::over_own_base`](crate::SharpnessAware::over_own_base) puts it. The
/// first step moves each weight whose gradient exceeds ε/√(1 − β₂) by 3.16 lr: begin with a small
/// learning rate.
///
/// # Fidelity
/// AdaSAM, 2023, arXiv 2303.00565. No authors' code is known to us, nor the paper's values; the
/// defaults are Adam's usual ones and SAM's. Weight decay, which is not in the rule, is left out.
///
/// # Example
/// ```
/// use lowland::{AdaSamConfig, SharpnessAware};
///
/// let optimizer = SharpnessAware::over_own_base(AdaSamConfig::new(0.05))?;
/// # let _ = optimizer;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "Scheduled<AdaSamConfig>", field = "algorithm"))]
pub struct AdaSamConfig {
    /// ρ, the radius.
    pub rho: f64,
    /// The base optimizer.
    pub base: AmsGradConfig,
}

impl Default for AdaSamConfig {
    fn default() -> Self {
        Self { rho: 0.05, base: AmsGradConfig::default() }
    }
}

impl AdaSamConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "adasam",
        label: "AdaSAM",
        summary: "SAM over AMSGrad without bias correction, a base of its own",
        passes: "2",
        memory: "0 (base: 3)",
        below_one_pass: false,
        source: "arXiv 2303.00565",
        fidelity: Fidelity::Equations,
    };

    /// Creates the settings with this radius, ρ, and the defaults of everything else.
    pub fn new(rho: f64) -> Self {
        Self { rho, ..Self::default() }
    }
}

impl AdaSamConfig {
    /// Checks the settings and makes the base optimizer that belongs under the rule.
    ///
    /// # Errors
    /// A value outside its allowed range, named.
    pub fn optimizer(&self) -> Result<ModuleOptimizer> {
        Ok(AmsGrad::new(self.base)?.init())
    }
}

impl Scheduled<AdaSamConfig> {
    fn amsgrad(&mut self) -> &mut AmsGradConfig {
        &mut self.algorithm.base
    }
}

impl AlgorithmConfig for AdaSamConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        self.optimizer()?;
        Ok(Box::new(ComposedRule::new(
            AllSamples,
            EveryStep,
            AlongGradient::new(self.rho)?,
            SharpGradient,
        )?))
    }

    fn base(&self) -> Result<Option<ModuleOptimizer>> {
        self.optimizer().map(Some)
    }
}

/// The settings of [`AmsGrad`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "AdaSamConfig", field = "base"))]
#[setters(generate_delegates(ty = "Scheduled<AdaSamConfig>", method = "amsgrad"))]
pub struct AmsGradConfig {
    /// β₁, the decay of the mean gradient, between 0 and 1. Default 0.9.
    pub beta_1: f64,
    /// β₂, the decay of the mean square, between 0 and 1. Default 0.999.
    pub beta_2: f64,
    /// ε, the least root of a mean square, at least 1e-18. Default 1e-8.
    pub epsilon: f64,
}

impl Default for AmsGradConfig {
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8 }
    }
}

/// The least ε: the square of a smaller one is 0 in `f32`, or almost.
const LEAST: f64 = 1e-18;

/// The base optimizer of AdaSAM (arXiv 2303.00565):
///
/// ```text
/// m ← β₁m + (1 − β₁)g,   v ← β₂v + (1 − β₂)g²,   v̂ ← max(v̂, v) with v̂ = ε² at first
/// w ← w − lr·m/√v̂
/// ```
///
/// element by element. There is no bias correction: the first step moves each weight whose gradient
/// exceeds ε/√(1 − β₂) by `lr·(1 − β₁)/√(1 − β₂)`, 3.16 lr at the usual decays, so begin with a
/// small learning rate. There is no weight decay in it. Keeps three copies of the parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AmsGrad {
    beta_1: f64,
    beta_2: f64,
    epsilon: f64,
}

/// What [`AmsGrad`] keeps for one parameter tensor.
#[derive(Debug, Clone, RecordState)]
pub struct AmsGradState<const D: usize> {
    first: Tensor<D>,
    second: Tensor<D>,
    largest: Tensor<D>,
}

impl AmsGrad {
    /// Checks the settings.
    ///
    /// # Errors
    /// A decay outside `[0, 1]`, an ε that is not finite or below 1e-18.
    pub fn new(config: AmsGradConfig) -> Result<Self> {
        let AmsGradConfig { beta_1, beta_2, epsilon } = config;
        if !(epsilon.is_finite() && epsilon >= LEAST) {
            return Err(Error::config("epsilon", &epsilon, "finite and at least 1e-18"));
        }
        Ok(Self {
            beta_1: fraction("beta_1", beta_1)?,
            beta_2: fraction("beta_2", beta_2)?,
            epsilon,
        })
    }

    /// The optimizer of a whole module.
    pub fn init(self) -> ModuleOptimizer {
        self.into()
    }
}

impl Optimizer for AmsGrad {
    type State<const D: usize> = AmsGradState<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        let square = grad.clone().square().mul_scalar(1.0 - self.beta_2);
        let gradient = grad.mul_scalar(1.0 - self.beta_1);
        let (first, second, largest) = match state {
            Some(AmsGradState { first, second, largest }) => {
                let second = second.mul_scalar(self.beta_2) + square;
                let largest = largest.max_pair(second.clone());
                (first.mul_scalar(self.beta_1) + gradient, second, largest)
            }
            None => (gradient, square.clone(), square.clamp_min(self.epsilon.powi(2))),
        };
        let step = (first.clone() / largest.clone().sqrt()).mul_scalar(lr);
        (tensor - step, Some(AmsGradState { first, second, largest }))
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        AmsGradState {
            first: state.first.to_device(device),
            second: state.second.to_device(device),
            largest: state.largest.to_device(device),
        }
    }
}
