//! SL-SAM: SAM on layers that a bandit draws.

use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::algorithms::config::{AlgorithmConfig, Descriptor, Fidelity};
use crate::algorithms::scheduled::Scheduled;
use crate::error::{non_negative, positive_fraction};
use crate::rule::ascend::AlongGradient;
use crate::rule::descend::SharpGradient;
use crate::rule::schedule::EveryStep;
use crate::rule::select::Select;
use crate::rule::{ComposedRule, Note, Pair, Rule, Samples, Selection, Surface};
use crate::state::Memory;
use crate::{Active, Result};

/// SL-SAM (sparse-layer SAM): takes both gradients of some layers only, drawn anew at each step by
/// a bandit that prefers layers with long gradients, and leaves the others as they are. Choose it
/// for fine-tuning, where the time and memory of weight gradients count.
///
/// # Update
/// ```text
/// A = the layers with u_l ≤ p_l, u_l ~ U[0, 1);  drawn anew until there is one
/// g = ∇_A L(w),   e = ρ·g/(‖g‖ + 1e-12),   ĝ = ∇_A L(w + e)
/// r_l = (‖g_l‖/p_l)²,   v_l = p_l·exp(−α_p·(max r − r_l)/p_l) for l in A,   v_l = p_l for the others
/// p ← min(1, c·v) with c such that Σp = s·n, clipped to [1e-8, 1]
/// ```
/// A layer is a parameter tensor: a weight and its bias are two. `∇_A` is the gradient with respect
/// to the active ones, of the batch's mean loss; ‖·‖ runs over them; n is the number of trainable
/// tensors; p begins at s. ĝ goes to the base optimizer, which leaves idle tensors alone: no weight
/// decay, no momentum, and their moments and counts of steps stand still.
///
/// # Cost
/// Passes per step: 2·(1 + d + φ)/3, where φ is the active share of the weights and d the share
/// from the first active tensor on, down to which the gradients of inputs must flow. Memory: a
/// number a tensor. One read-back in each step.
///
/// # Parameters
/// - `rho`: ρ, the radius, a length in parameter space, at least 0. Default 0.01 (authors' runs).
/// - `s`, `rate`, in the table `select`: see [`SampledLayersConfig`].
///
/// # Fidelity
/// SL-SAM, 2026, arXiv 2602.09395, as the authors' code has it; golden traces follow that code.
/// Differences: only tensors that require a gradient are drawn (the code un-freezes what was
/// frozen); with `s = 1` all are active and there is no bandit, so that it is SAM; norms that are
/// not finite change no probability; an active tensor that the loss does not depend on counts as
/// idle; after 1,000 draws of no tensor, one is drawn in proportion to p. The draws come from the
/// optimizer's seeded generator, the same for all workers.
///
/// Authors' code: <https://github.com/chengyif/SL-SAM>.
///
/// # Example
/// ```
/// use lowland::SparseLayerSamConfig;
///
/// let rule = SparseLayerSamConfig::default().with_s(0.5).build()?;
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "Scheduled<SparseLayerSamConfig>", field = "algorithm"))]
pub struct SparseLayerSamConfig {
    /// ρ, the radius.
    pub rho: f64,
    /// Which layers are active.
    pub select: SampledLayersConfig,
}

impl Default for SparseLayerSamConfig {
    fn default() -> Self {
        Self { rho: 0.01, select: SampledLayersConfig::default() }
    }
}

impl SparseLayerSamConfig {
    pub(super) const DESCRIPTOR: Descriptor = Descriptor {
        name: "slsam",
        label: "SL-SAM",
        summary: "SAM on layers that a bandit draws, the others left alone",
        passes: "2 (1 + d + phi)/3",
        memory: "0",
        below_one_pass: true,
        source: "arXiv 2602.09395",
        fidelity: Fidelity::AuthorsCode,
    };

    /// Creates the settings with this radius, ρ, and the defaults of everything else.
    pub fn new(rho: f64) -> Self {
        Self { rho, ..Self::default() }
    }
}

impl Scheduled<SparseLayerSamConfig> {
    fn select(&mut self) -> &mut SampledLayersConfig {
        &mut self.algorithm.select
    }
}

impl AlgorithmConfig for SparseLayerSamConfig {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn build(&self) -> Result<Box<dyn Rule>> {
        Ok(Box::new(ComposedRule::new(
            SampledLayers::new(self.select)?,
            EveryStep,
            AlongGradient::new(self.rho)?,
            SharpGradient,
        )?))
    }
}

/// The settings of [`SampledLayers`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
#[setters(generate_delegates(ty = "SparseLayerSamConfig", field = "select"))]
#[setters(generate_delegates(ty = "Scheduled<SparseLayerSamConfig>", method = "select"))]
pub struct SampledLayersConfig {
    /// s, the expected share of active layers, above 0 and at most 1; with 1 all are active.
    /// Default 0.2 (authors' commands; their class has 0.5).
    pub s: f64,
    /// `α_p`, the rate of the bandit, at least 0; with 0 layers are drawn uniformly. It acts on
    /// squared norms of gradients: where these are of the order of 10, most probabilities fall
    /// within some hundred steps. Default 1e-3 (authors' code).
    pub rate: f64,
}

impl Default for SampledLayersConfig {
    fn default() -> Self {
        Self { s: 0.2, rate: 1e-3 }
    }
}

/// The least probability of a layer.
const LEAST: f64 = 1e-8;
/// How often all tensors are drawn anew before one is taken in any case.
const MOST_DRAWS: usize = 1000;
/// The least sum that the projection divides by.
const LEAST_SUM: f64 = 1e-5;

/// Takes both gradients with respect to parameter tensors that a bandit draws, the same for both.
///
/// Remembers the probability of each tensor.
#[derive(Debug, Clone)]
pub struct SampledLayers {
    config: SampledLayersConfig,
    /// That of each trainable tensor; empty until the first step.
    probabilities: Vec<f64>,
    /// The tensors of the step that is under way.
    drawn: Vec<bool>,
}

impl SampledLayers {
    /// Checks the settings.
    ///
    /// # Errors
    /// A share that is not above 0 or above 1, a rate that is negative or not finite.
    pub fn new(config: SampledLayersConfig) -> Result<Self> {
        positive_fraction("s", config.s)?;
        non_negative("rate", config.rate)?;
        Ok(Self { config, probabilities: Vec::new(), drawn: Vec::new() })
    }

    /// Draws each tensor with its probability, all of them anew until one is active. Where none is
    /// for long, the sum of the probabilities is so small that two active ones are rare: then one
    /// is drawn in proportion to them.
    fn draw(&self, surface: &mut dyn Surface) -> Vec<bool> {
        let p = &self.probabilities;
        if self.config.s >= 1.0 || p.is_empty() {
            return vec![true; p.len()];
        }
        for _ in 0..MOST_DRAWS {
            let drawn: Vec<bool> = p.iter().map(|&p| surface.uniform() <= p).collect();
            if drawn.contains(&true) {
                return drawn;
            }
        }
        let mut rest = surface.uniform() * p.iter().sum::<f64>();
        let only = p.iter().position(|p| {
            rest -= p;
            rest < 0.0
        });
        let only = only.unwrap_or(p.len() - 1);
        (0..p.len()).map(|i| i == only).collect()
    }
}

/// What the probabilities become, given the squared norms of the gradients of active tensors.
fn learned(config: &SampledLayersConfig, p: &[f64], squares: &[Option<f64>]) -> Vec<f64> {
    let ratio = |(p, square): (&f64, &Option<f64>)| square.map(|square| square / (p * p));
    let ratios: Vec<Option<f64>> = p.iter().zip(squares).map(ratio).collect();
    let most = ratios.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
    let weight = |(p, ratio): (&f64, &Option<f64>)| match ratio {
        Some(ratio) => p * (-config.rate * (most - ratio) / p).exp(),
        None => *p,
    };
    projected(config.s, &p.iter().zip(&ratios).map(weight).collect::<Vec<_>>())
}

/// `min(1, c·v)` with c such that the sum is `s·n`, clipped to `[1e-8, 1]`.
fn projected(s: f64, v: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..v.len()).collect();
    order.sort_by(|&a, &b| v[b].total_cmp(&v[a]));
    // The sums from each place on, the smallest first.
    let mut rest = vec![0.0; v.len()];
    let mut sum = 0.0;
    for (place, &i) in order.iter().enumerate().rev() {
        sum += v[i];
        rest[place] = sum;
    }
    let mut budget = s * v.len() as f64;
    let mut p = vec![1.0; v.len()];
    for (place, &i) in order.iter().enumerate() {
        let total = f64::max(rest[place], LEAST_SUM);
        if v[i] * budget <= total {
            for &j in &order[place..] {
                p[j] = v[j] * budget / total;
            }
            break;
        }
        budget -= 1.0;
    }
    p.into_iter().map(|p| p.clamp(LEAST, 1.0)).collect()
}

impl Select for SampledLayers {
    fn first(&mut self, surface: &mut dyn Surface) -> Result<Selection> {
        if self.probabilities.is_empty() {
            self.probabilities = vec![self.config.s.max(LEAST); surface.parameters().len()];
        }
        self.drawn = self.draw(surface);
        let active = self.drawn.iter().filter(|drawn| **drawn).count();
        let share = active as f64 / self.drawn.len().max(1) as f64;
        surface.note(ACTIVE_LAYERS, Note::Value(share));
        let parameters = if self.drawn.contains(&false) {
            Active::Some(self.drawn.clone())
        } else {
            Active::All
        };
        Ok(Selection { samples: Samples::All, parameters })
    }

    fn observe(&mut self, pair: &Pair, surface: &mut dyn Surface) -> Result<()> {
        if self.config.s >= 1.0 {
            return Ok(());
        }
        let squares = surface.read(vec![pair.g().squares().clone()])?;
        let has_gradient = pair.g().parts().iter().map(Option::is_some);
        let squares: Vec<Option<f64>> =
            squares.into_iter().zip(has_gradient).map(|(s, has)| has.then_some(s)).collect();
        if squares.iter().flatten().all(|square| square.is_finite()) {
            self.probabilities = learned(&self.config, &self.probabilities, &squares);
        }
        Ok(())
    }

    fn save(&self, memory: &mut Memory) -> Result<()> {
        memory.put_per_parameter("probabilities", &self.probabilities);
        Ok(())
    }

    fn restore(&mut self, memory: &mut Memory) -> Result<()> {
        let start = self.config.s.max(LEAST);
        self.probabilities = memory.take_per_parameter("probabilities", start)?;
        Ok(())
    }

    fn leaves_parameters_out(&self) -> bool {
        true
    }
}

/// The name under which the share of active layers is noted.
pub const ACTIVE_LAYERS: &str = "active_layers";

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < 2e-12, "{found:?}");
        }
    }

    fn norms(norms: &[Option<f64>]) -> Vec<Option<f64>> {
        norms.iter().map(|norm| norm.map(|n| n * n)).collect()
    }

    #[test]
    fn the_bandit_matches_the_worked_numbers() {
        let config = SampledLayersConfig { s: 0.5, rate: 1e-3 };
        let first = norms(&[Some(1.0), Some(2.0), None, Some(0.5)]);
        let p = learned(&config, &[0.5; 4], &first);
        close(&p, &[0.494_731_284_991, 0.506_748_465_174, 0.506_748_465_174, 0.491_771_784_661]);
        let p = learned(&config, &p, &norms(&[None, Some(2.0), Some(3.0), None]));
        close(&p, &[0.499_501_912_626, 0.492_349_240_275, 0.511_634_972_871, 0.496_513_874_230]);
        let fast = SampledLayersConfig { s: 0.5, rate: 0.1 };
        let p = learned(&fast, &[0.5; 4], &first);
        close(&p, &[0.084_763_130_543, 0.934_358_938_552, 0.934_358_938_552, 0.046_518_992_354]);
        let capped =
            learned(&fast, &[0.9, 0.9, 0.1, 0.1], &norms(&[None, None, Some(1.0), Some(0.0)]));
        close(&capped, &[0.947_368_421_053, 0.947_368_421_053, 0.105_263_157_895, 1e-8]);
    }

    #[test]
    fn the_authors_least_sum_is_followed() {
        let config = SampledLayersConfig { s: 0.675, rate: 1e-3 };
        let squares = norms(&[Some(200.0), Some(1.0), Some(1.0), None]);
        let p = learned(&config, &[0.9, 0.9, 0.9, 1e-8], &squares);
        assert!((p[0] - 1.0).abs() < 1e-12 && (p[3] - 0.0017).abs() < 1e-6, "{p:?}");
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config {
            rng_seed: proptest::test_runner::RngSeed::Fixed(1),
            failure_persistence: None,
            ..proptest::test_runner::Config::default()
        })]

        /// The sum is s·n up to the clip and the least sum; a permutation of the tensors permutes
        /// p; a rate of 0 leaves it at s; one active tensor changes nothing; of two with equal p,
        /// the one with the longer gradient does not fall below the other.
        #[test]
        fn probabilities_keep_their_laws(
            lengths in proptest::collection::vec(0.0..1.0_f64, 2..12),
            s in 0.2..0.95_f64,
            rate in 0.0..1e-3_f64,
            turn in 1..11_usize,
        ) {
            let config = SampledLayersConfig { s, rate };
            let n = lengths.len();
            let squares: Vec<_> = lengths.iter().map(|length| Some(length * length)).collect();
            let p = learned(&config, &vec![s; n], &squares);
            let sum: f64 = p.iter().sum();
            proptest::prop_assert!((sum - s * n as f64).abs() < 1e-6, "{p:?}");
            proptest::prop_assert!(p.iter().all(|p| (LEAST..=1.0).contains(p)));
            for (i, j) in (0..n).flat_map(|i| (0..n).map(move |j| (i, j))) {
                proptest::prop_assert!(lengths[i] < lengths[j] || p[i] >= p[j]);
            }
            let mut turned = squares.clone();
            turned.rotate_left(turn % n);
            let mut expected = p.clone();
            expected.rotate_left(turn % n);
            for (a, b) in learned(&config, &vec![s; n], &turned).iter().zip(&expected) {
                proptest::prop_assert!((a - b).abs() < 1e-12);
            }
            let still = SampledLayersConfig { s, rate: 0.0 };
            for p in learned(&still, &vec![s; n], &squares) {
                proptest::prop_assert!((p - s).abs() < 1e-12, "without a rate p stays at s: {p}");
            }
            let mut one = vec![None; n];
            one[0] = squares[0];
            for (a, b) in learned(&config, &p, &one).iter().zip(&p) {
                proptest::prop_assert!((a - b).abs() < 1e-6);
            }
        }
    }
}
