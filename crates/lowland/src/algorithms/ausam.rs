//! AUSAM: SAM on samples that a perturbation has moved before.

use derive_setters::Setters;
use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use crate::algorithms::config::{AlgorithmConfig, Descriptor, Fidelity};
use crate::algorithms::scheduled::Scheduled;
use crate::error::{non_negative, positive_fraction};
use crate::rule::ascend::AlongGradient;
use crate::rule::descend::SharpGradient;
use crate::rule::schedule::{EveryStep, steps_per_epoch};
use crate::rule::select::{Select, largest};
use crate::rule::{ComposedRule, Pair, Perturbation, Rule, Samples, Selection, Surface};
use crate::state::Memory;
use crate::vector::{Scalar, read};
use crate::{Error, Result};

/// AUSAM: SAM on a part of each batch, drawn by how much a perturbation has changed the losses of
/// its samples so far. Choose it for SAM's effect at the base optimizer's cost, where samples keep
/// their numbers from epoch to epoch.
///
/// # Update
/// ```text
/// S ⊂ batch, ⌊α·b⌋ samples drawn without replacement with weights u (all samples in the first epochs)
/// g = ∇L_S(w),   e = ρ·g/(‖g‖ + 1e-12),   ĝ = ∇L_S(w + e)
/// a_i ← mean over its draws of |ℓ_i(w + e) − ℓ_i(w)|
/// u_i = f_min + (a_i − min a)/(max a − min a)·(f − f_min),   f rising from f_min to f_max
/// ```
/// `L_S` is the mean loss over S; ‖·‖ runs over all trainable parameters; min and max over the
/// batch. ĝ goes to the base optimizer. All weights are equal where all scores are.
///
/// # Cost
/// Passes per step: 2α (2 in the first epochs). Samples that are not drawn are not evaluated.
/// Memory: two numbers a sample of the data set. One read-back in each step.
///
/// # Parameters
/// - `rho`: ρ, the radius, a length in parameter space, at least 0. Default 0.1 (authors' code).
/// - `alpha`, `f_min`, `f_max`, `transition_epochs`, `full_epochs`, in the table `select`: see
///   [`PastChangeConfig`].
///
/// The loss closure must give the losses of the samples it is asked for; each batch must say which
/// samples it holds (`BatchInfo::with_indices`), and the optimizer must know the steps of an epoch.
/// With a budget or a late start, steps without a second gradient descend along `∇L_S(w)`, on the
/// drawn samples alone.
///
/// # Fidelity
/// AUSAM, 2024, arXiv 2406.08001, as the authors' code has it. Differences: equal scores give equal
/// weights (the code divides 0 by 0), at least one sample is drawn, and f stays at `f_min` before
/// it rises (the code adds 1e-9). A sample that was never drawn has the score 1. The subset's mean
/// is a biased estimate of the batch's, as in the code.
///
/// Authors' code: <https://github.com/ajiaaa/AUSAM>.
///
/// # Example
/// ```
/// use lowland::AusamConfig;
///
/// let rule = AusamConfig::default().build()?;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "Scheduled<AusamConfig>", field = "algorithm"))]
pub struct AusamConfig {
    /// ρ, the radius.
    pub rho: f64,
    /// Which samples are taken.
    pub select: PastChangeConfig,
}

impl Default for AusamConfig {
    fn default() -> Self {
        Self { rho: 0.1, select: PastChangeConfig::default() }
    }
}

impl AusamConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "ausam",
        label: "AUSAM",
        summary: "SAM on samples drawn by how much a perturbation has changed their losses",
        passes: "2 alpha",
        memory: "0 (2 numbers a sample)",
        below_one_pass: true,
        source: "arXiv 2406.08001",
        fidelity: Fidelity::AuthorsCode,
    };

    /// Creates the settings with this radius, ρ, and the defaults of everything else.
    pub fn new(rho: f64) -> Self {
        Self { rho, ..Self::default() }
    }
}

impl Scheduled<AusamConfig> {
    fn select(&mut self) -> &mut PastChangeConfig {
        &mut self.algorithm.select
    }
}

impl AlgorithmConfig for AusamConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        let select = PastChange::new(self.select)?;
        Ok(Box::new(ComposedRule::new(
            select,
            EveryStep,
            AlongGradient::new(self.rho)?,
            SharpGradient,
        )?))
    }
}

/// The settings of [`PastChange`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "AusamConfig", field = "select"))]
#[setters(generate_delegates(ty = "Scheduled<AusamConfig>", method = "select"))]
pub struct PastChangeConfig {
    /// α, the share of the batch, above 0 and at most 1. Default 0.5 (authors' code).
    pub alpha: f64,
    /// `f_min`, the weight of the sample with the smallest score, above 0. Default 0.1 (authors'
    /// code).
    pub f_min: f64,
    /// `f_max`, that of the sample with the largest score once the transition is over, at least
    /// `f_min`. Default 0.5 (authors' code).
    pub f_max: f64,
    /// `e_t`, the epochs over which the largest weight rises from `f_min` to `f_max`. Default 30
    /// (authors' code).
    pub transition_epochs: u64,
    /// The epochs at the start in which all samples are taken. Default 1.
    pub full_epochs: u64,
}

impl Default for PastChangeConfig {
    fn default() -> Self {
        Self { alpha: 0.5, f_min: 0.1, f_max: 0.5, transition_epochs: 30, full_epochs: 1 }
    }
}

/// Takes both gradients on `⌊α·b⌋` samples, at least one, drawn without replacement with weights
/// that rise with the mean change `|ℓ(w + e) − ℓ(w)|` that was seen of each.
///
/// ```text
/// a = mean change of each sample, 1 where none was seen
/// u = f_min + (a − min a)/(max a − min a)·(f(epoch) − f_min);   all equal where the scores are
/// ```
///
/// f rises linearly from `f_min` to `f_max`. The samples that are not drawn are not evaluated.
/// Keeps a sum and a count for each sample of the data set that was drawn; one read-back a step.
#[derive(Debug, Clone)]
pub struct PastChange {
    config: PastChangeConfig,
    /// The losses at `w`, between the two gradients.
    before: Option<Scalar>,
    drawn: Vec<usize>,
    /// Sum and count of each sample's changes; shared with copies until it changes.
    seen: OrdMap<u64, (f64, f64)>,
}

impl PastChange {
    /// Checks the settings.
    ///
    /// # Errors
    /// A share that is not above 0 or above 1, weights that are not positive, not finite or not in
    /// order.
    pub fn new(config: PastChangeConfig) -> Result<Self> {
        positive_fraction("alpha", config.alpha)?;
        non_negative("f_max", config.f_max)?;
        if !(config.f_min > 0.0 && config.f_min <= config.f_max) {
            return Err(Error::config("f_min", &config.f_min, "above 0 and at most `f_max`"));
        }
        Ok(Self { config, before: None, drawn: Vec::new(), seen: OrdMap::new() })
    }

    /// The mean change of a sample, 1 where none was seen.
    fn score(&self, index: usize) -> f64 {
        self.seen.get(&(index as u64)).map_or(1.0, |(sum, count)| sum / count)
    }

    /// The weights that samples with these scores are drawn with.
    pub(crate) fn weights(&self, scores: &[f64], epoch: u64) -> Vec<f64> {
        let PastChangeConfig { f_min, f_max, transition_epochs, .. } = self.config;
        let done = (epoch as f64 / transition_epochs.max(1) as f64).min(1.0);
        let top = if transition_epochs == 0 { f_max } else { f_min + done * (f_max - f_min) };
        let least = scores.iter().copied().fold(f64::INFINITY, f64::min);
        let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let range = most - least;
        let place = |a: f64| if range > 0.0 { (a - least) / range } else { 0.0 };
        scores.iter().map(|&a| f_min + place(a) * (top - f_min)).collect()
    }
}

/// Draws `count` positions without replacement, each draw with probabilities in proportion to the
/// weights, by the largest of `u^(1/weight)` (Efraimidis and Spirakis, 2006).
fn draw(weights: &[f64], count: usize, surface: &mut dyn Surface) -> Vec<usize> {
    let keys: Vec<f64> = weights.iter().map(|weight| surface.uniform().ln() / weight).collect();
    largest(&keys, count)
}

impl Select for PastChange {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 ≤ α ≤ 1")]
    fn first(&mut self, surface: &mut dyn Surface) -> Result<Selection> {
        let Some(indices) = surface.indices().map(<[usize]>::to_vec) else {
            return Err(Error::Missing {
                what: "the position of each sample in the data set",
                call: "BatchInfo::with_indices",
            });
        };
        let steps = steps_per_epoch(surface)?.ok_or(Error::STEPS_PER_EPOCH)?;
        let epoch = surface.step() / steps;
        let count = ((self.config.alpha * indices.len() as f64 + 1e-9).floor() as usize).max(1);
        if epoch < self.config.full_epochs || count >= indices.len() {
            self.drawn = indices;
            return Ok(Selection::ALL);
        }
        let scores: Vec<f64> = indices.iter().map(|&index| self.score(index)).collect();
        let positions = draw(&self.weights(&scores, epoch), count, surface);
        self.drawn = positions.iter().map(|&position| indices[position]).collect();
        Ok(Samples::Some { positions, of: indices.len() }.into())
    }

    fn second(
        &mut self,
        first: Selection,
        _e: &Perturbation<'_>,
        surface: &mut dyn Surface,
    ) -> Result<Selection> {
        self.before = Some(surface.latest_losses()?);
        Ok(first)
    }

    fn observe(&mut self, _pair: &Pair, surface: &mut dyn Surface) -> Result<()> {
        let Some(before) = self.before.take() else { return Ok(()) };
        let changes = read(vec![(surface.latest_losses()? - before).abs()])?;
        for (&index, change) in self.drawn.iter().zip(changes) {
            let (sum, count) = self.seen.entry(index as u64).or_insert((0.0, 0.0));
            *sum += change;
            *count += 1.0;
        }
        Ok(())
    }

    fn save(&self, memory: &mut Memory) -> Result<()> {
        let seen = self.seen.iter();
        let flat = seen.flat_map(|(&index, &(sum, count))| [index as f64, sum, count]);
        memory.put_numbers("seen", flat.collect());
        Ok(())
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts below 2^53"
    )]
    fn restore(&mut self, memory: &mut Memory) -> Result<()> {
        let flat = memory.take_numbers("seen")?;
        self.seen = flat.chunks_exact(3).map(|c| (c[0] as u64, (c[1], c[2]))).collect();
        Ok(())
    }

    fn chooses_samples(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_match_the_worked_numbers() {
        let select = PastChange::new(PastChangeConfig::default()).unwrap();
        let weights = select.weights(&[0.02, 0.05, 0.01, 0.04], 30);
        for (found, expected) in weights.iter().zip([0.2, 0.5, 0.1, 0.4]) {
            assert!((found - expected).abs() < 1e-12, "{weights:?}");
        }
        let equal = select.weights(&[0.3; 4], 30);
        assert!(equal.iter().all(|weight| (weight - 0.1).abs() < 1e-15), "{equal:?}");
        let level = PastChangeConfig { f_min: 0.3, f_max: 0.3, ..PastChangeConfig::default() };
        let level = PastChange::new(level).unwrap();
        for epoch in [0, 1, 15, 30, 100] {
            let weights = level.weights(&[0.02, 5.0, 0.0, 0.04], epoch);
            assert!(weights.iter().all(|weight| (weight - 0.3).abs() < 1e-15), "{weights:?}");
        }
    }
}
