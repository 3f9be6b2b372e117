//! bSAM: SAM as a bound on variational learning.

use burn::optim::{ModuleOptimizer, SgdConfig};
use burn::tensor::{Distribution, Tensor};
use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::config::{AlgorithmConfig, Descriptor, Fidelity};
use crate::algorithms::scheduled::Scheduled;
use crate::error::{fraction, non_negative, positive};
use crate::rule::{Perturbation, Rule, Selection, Surface, Update};
use crate::state::Memory;
use crate::vector::one;
use crate::{Error, ParamVec, Result};

/// bSAM: an optimizer that learns a mean and a precision for every weight, with SAM's perturbation
/// scaled by the precision. Choose it where calibrated predictions matter; it replaces the base
/// optimizer.
///
/// # Update
/// ```text
/// θ = w + n/√(N·s),  n ~ N(0, 1) per coordinate,   g = ∇L(θ)
/// g_e = ∇L(w + ρ·g/s)
/// m ← β₁·m + (1 − β₁)·(g_e + δ·w)                  m = 0 at first
/// w ← w − lr·m/s
/// s ← β₂·s + (1 − β₂)·(√s·|g| + γ + δ)             from the s of before; s = s₀ at first
/// ```
/// element by element; L is the batch's mean loss. The perturbation is not normalised and starts
/// from w, not from θ. There is no bias correction.
///
/// # Cost
/// Passes per step: 2. Memory: two copies of the parameters (m and s).
///
/// # Parameters
/// - `rho`: ρ, dimensionless here, at least 0. Default 0.01 (authors' read-me, ResNet-18).
/// - `data_size`: N, the number of samples in the training set, at least 1, several times that with
///   augmentation (the authors take 4). It must be given; `lowland train` takes it from the data.
/// - `beta_1`, `beta_2`: the decays, between 0 and 1. Defaults 0.9 and 0.999 (authors' code).
/// - `weight_decay`: δ, the precision of the prior over N, at least 0. Default 2e-4, 40 over four
///   times 50,000 (authors' read-me).
/// - `damping`: γ, at least 0. Default 0.1 (authors' code).
/// - `precision`: s₀, above 0. Default 1 (authors' code).
///
/// The rule keeps m and s; the base optimizer under it is plain SGD
/// ([`optimizer`](Self::optimizer)), over which
/// [`SharpnessAware::over_own_base`](crate::SharpnessAware::over_own_base) puts it, with learning
/// rates near 0.5.
///
/// # Fidelity
/// bSAM, 2022, arXiv 2210.01620, with one draw of the noise per batch; the authors' code takes the
/// mean over eight parts of a batch. Running statistics move at θ alone. `pytorch_optimizer`'s
/// `BSAM` is another algorithm.
///
/// Authors' code: <https://github.com/team-approx-bayes/bayesian-sam>.
///
/// # Example
/// ```
/// use lowland::{BsamConfig, SharpnessAware};
///
/// let config = BsamConfig::new(0.01).with_data_size(50_000);
/// let optimizer = SharpnessAware::over_own_base(config)?;
/// # let _ = optimizer;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "Scheduled<BsamConfig>", field = "algorithm"))]
pub struct BsamConfig {
    /// ρ, the length of the perturbation as a multiple of g/s.
    pub rho: f64,
    /// N, the number of samples in the training set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_size: Option<u64>,
    /// β₁, the decay of the momentum.
    pub beta_1: f64,
    /// β₂, the decay of the precision.
    pub beta_2: f64,
    /// δ, the weight decay.
    pub weight_decay: f64,
    /// γ, the damping.
    pub damping: f64,
    /// s₀, the precision at the start.
    pub precision: f64,
}

impl Default for BsamConfig {
    fn default() -> Self {
        Self {
            rho: 0.01,
            data_size: None,
            beta_1: 0.9,
            beta_2: 0.999,
            weight_decay: 2e-4,
            damping: 0.1,
            precision: 1.0,
        }
    }
}

impl BsamConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "bsam",
        label: "bSAM",
        summary: "SAM over a learned precision of each weight, a base of its own",
        passes: "2",
        memory: "2 (base: 0)",
        below_one_pass: false,
        source: "arXiv 2210.01620",
        fidelity: Fidelity::AuthorsCode,
    };

    /// Creates the settings with this ρ and the defaults of everything else.
    pub fn new(rho: f64) -> Self {
        Self { rho, ..Self::default() }
    }

    /// The base optimizer that belongs under the rule: plain SGD.
    pub fn optimizer(&self) -> ModuleOptimizer {
        SgdConfig::new().init()
    }
}

impl AlgorithmConfig for BsamConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        let data_size = self.data_size.ok_or(Error::Missing {
            what: "the number of samples in the training set",
            call: "with_data_size",
        })?;
        if data_size == 0 {
            return Err(Error::config("data_size", &0, "at least 1"));
        }
        non_negative("rho", self.rho)?;
        fraction("beta_1", self.beta_1)?;
        fraction("beta_2", self.beta_2)?;
        non_negative("weight_decay", self.weight_decay)?;
        non_negative("damping", self.damping)?;
        positive("precision", self.precision)?;
        Ok(Box::new(Bsam {
            config: *self,
            data_size: data_size as f64,
            momentum: None,
            precision: None,
        }))
    }

    fn base(&self) -> Result<Option<ModuleOptimizer>> {
        Ok(Some(self.optimizer()))
    }

    fn with_sample_count(self, count: u64) -> Self {
        Self { data_size: self.data_size.or(Some(count)), ..self }
    }
}

/// The rule of [`BsamConfig`].
#[derive(Debug, Clone)]
struct Bsam {
    config: BsamConfig,
    data_size: f64,
    /// m
    momentum: Option<ParamVec>,
    /// s
    precision: Option<ParamVec>,
}

impl Rule for Bsam {
    fn update(&mut self, surface: &mut dyn Surface) -> Result<Update> {
        let BsamConfig { rho, beta_1, beta_2, weight_decay, damping, precision, .. } = self.config;
        let w = surface.weights();
        let start = w.clone().map(|part| part.full_like(precision));
        // Parameters that are new to the training start with s₀ and without momentum.
        let s = match self.precision.take() {
            Some(s) => s.or(&start),
            None => start,
        };

        let noise = surface.draw(&w, Distribution::Normal(0.0, 1.0));
        let deviation = s.clone().map(|s| s.mul_scalar(self.data_size).sqrt().recip());
        let at = |direction: ParamVec| Perturbation {
            scale: one(&direction),
            direction: direction.into(),
        };
        let g = surface.gradient_at(&at(noise.times_each(&deviation)), &Selection::ALL)?;
        let inverse = s.clone().map(Tensor::recip);
        let e = g.clone().times_each(&inverse).map(|part| part.mul_scalar(rho));
        let g_e = surface.gradient_at(&at(e), &Selection::ALL)?;

        // Parameters without a gradient are left alone.
        let with_gradient = |vector: ParamVec| {
            let parts = vector.into_parts().into_iter().zip(g_e.parts());
            ParamVec::new(parts.map(|(part, g)| part.filter(|_| g.is_some())).collect())
        };
        let decayed = g_e.clone().plus_scaled(&with_gradient(w), weight_decay);
        let decayed = decayed.map(|part| part.mul_scalar(1.0 - beta_1));
        let m = match &self.momentum {
            Some(m) => decayed.plus_scaled(&with_gradient(m.clone()), beta_1),
            None => decayed,
        };
        let step = m.clone().times_each(&inverse);
        let root = s.clone().map(Tensor::sqrt);
        let target = g.map(Tensor::abs).times_each(&root);
        let target = s.clone().map(|part| part.full_like(damping + weight_decay)).plus(&target);
        let target = target.map(|part| part.mul_scalar(1.0 - beta_2));
        self.precision = Some(with_gradient(target.plus_scaled(&s, beta_2)).or(&s));
        self.momentum = Some(match self.momentum.take() {
            Some(before) => m.or(&before),
            None => m,
        });
        Ok(step.into())
    }

    fn save(&self, memory: &mut Memory) -> Result<()> {
        memory.put_vector("momentum", self.momentum.as_ref());
        memory.put_vector("precision", self.precision.as_ref());
        Ok(())
    }

    fn restore(&mut self, memory: &mut Memory) -> Result<()> {
        self.momentum = memory.take_vector("momentum")?;
        self.precision = memory.take_vector("precision")?;
        Ok(())
    }

    fn needs_whole_batches(&self) -> bool {
        true
    }
}
