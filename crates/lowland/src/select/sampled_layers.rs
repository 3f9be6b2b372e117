//! Both gradients with respect to layers that a bandit draws.

use serde::{Deserialize, Serialize};

use crate::error::{non_negative, positive_fraction};
use crate::rule::{Active, Note, Pair, Samples, Selection, Surface};
use crate::select::Select;
use crate::state::State;
use crate::vector::read;
use crate::{Error, Parameters, Result};

/// The settings of [`SampledLayers`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SampledLayersConfig {
    /// s/L, the expected share of active layers, above 0 and at most 1. Default 0.5.
    pub active: f64,
    /// `p_min`, the smallest probability of a layer, above 0 and at most `active`. Default 0.1.
    pub p_min: f64,
    /// `α_p`, the rate of the bandit, at least 0. Default 1e-4.
    pub rate: f64,
}

impl Default for SampledLayersConfig {
    fn default() -> Self {
        Self { active: 0.5, p_min: 0.1, rate: 1e-4 }
    }
}

/// Takes both gradients with respect to layers that are drawn anew at each step, and leaves the others alone. A
/// bandit (EXP3) learns which layers have long gradients and draws those more often. A layer is what
/// stands under one path of the module, such as the weight and bias of `layer1.conv`.
///
/// ```text
/// Z_l ~ Bernoulli(p_l), at least one layer
/// loss_l = −‖g_l‖²/p_l² + G²/p_min² for active layers, 0 for others;   G = largest ‖g_l‖ so far
/// w_l = p_l·exp(−α_p·loss_l/p_l);   p ← c·w clipped to [p_min, 1], with c such that Σp = s
/// ```
///
/// One read-back a step, of one number a parameter tensor.
#[derive(Debug, Clone)]
pub struct SampledLayers {
    config: SampledLayersConfig,
    bandit: Bandit,
    /// The layer of each parameter tensor; filled at the first step.
    layers: Vec<usize>,
    /// The paths of the layers, while they are known.
    paths: Vec<String>,
    drawn: Vec<bool>,
}

/// The bandit's memory.
#[derive(Debug, Clone, Default)]
struct Bandit {
    /// p
    probabilities: Vec<f64>,
    /// G²
    largest: f64,
}

impl SampledLayers {
    /// Checks the settings.
    ///
    /// # Errors
    /// A share or probability that is not above 0 or above 1, a `p_min` above the share, a rate that is
    /// negative or not finite.
    pub fn new(config: SampledLayersConfig) -> Result<Self> {
        positive_fraction("active", config.active)?;
        non_negative("rate", config.rate)?;
        if !(config.p_min > 0.0 && config.p_min <= config.active) {
            return Err(Error::config("p_min", &config.p_min, "above 0 and at most `active`"));
        }
        Ok(Self {
            config,
            bandit: Bandit::default(),
            layers: Vec::new(),
            paths: Vec::new(),
            drawn: Vec::new(),
        })
    }

    /// Finds the layers. A layer that is new to the bandit starts as all do; one that is no longer trained
    /// is forgotten.
    fn prepare(&mut self, parameters: &Parameters) -> Result<()> {
        if self.layers.len() == parameters.len() {
            return Ok(());
        }
        let mut paths: Vec<String> = Vec::new();
        self.layers = parameters
            .iter()
            .map(|parameter| {
                let path = parameter.path.rsplit_once('.').map_or("", |(layer, _)| layer);
                paths.iter().position(|known| known == path).unwrap_or_else(|| {
                    paths.push(path.to_owned());
                    paths.len() - 1
                })
            })
            .collect();
        if self.paths.is_empty() && !self.bandit.probabilities.is_empty() {
            // They come from a record, which knows the layers by their order.
            if self.bandit.probabilities.len() != paths.len() {
                return Err(Error::record("probabilities", "is over the layers of another module"));
            }
        } else {
            let known = |path: &String| self.paths.iter().position(|known| known == path);
            let probability =
                |path| known(path).map_or(self.config.active, |i| self.bandit.probabilities[i]);
            self.bandit.probabilities = paths.iter().map(probability).collect();
        }
        self.paths = paths;
        Ok(())
    }
}

impl Bandit {
    /// Which layers are active in a step: each with its probability, at least one.
    fn draw(&self, surface: &mut dyn Surface) -> Vec<bool> {
        let mut drawn: Vec<bool> =
            self.probabilities.iter().map(|&p| surface.uniform() < p).collect();
        if !drawn.contains(&true) {
            let mut left = surface.uniform() * self.probabilities.iter().sum::<f64>();
            let falls = |p: &f64| {
                left -= p;
                left < 0.0
            };
            let forced = self.probabilities.iter().position(falls).unwrap_or(drawn.len() - 1);
            drawn[forced] = true;
        }
        drawn
    }

    /// Learns from the squared gradient norms of the active layers.
    fn learn(&mut self, config: &SampledLayersConfig, drawn: &[bool], squares: &[f64]) {
        let active = squares.iter().zip(drawn).filter(|(_, drawn)| **drawn);
        self.largest = active.map(|(square, _)| *square).fold(self.largest, f64::max);
        // In logarithms: the exponentials of a whole run underflow.
        let logarithms: Vec<f64> = (self.probabilities.iter().zip(drawn).zip(squares))
            .map(|((&p, &drawn), square)| {
                let most = self.largest / config.p_min.powi(2);
                let loss = if drawn { most - square / p.powi(2) } else { 0.0 };
                p.ln() - config.rate * loss / p
            })
            .collect();
        let top = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if top.is_finite() {
            let weights: Vec<f64> = logarithms.iter().map(|w| (w - top).exp()).collect();
            let sum = config.active * weights.len() as f64;
            self.probabilities = clipped_to(sum, config.p_min, &weights);
        }
    }
}

/// `c·weights` clipped to `[least, 1]`, with c such that they add up to `sum`.
fn clipped_to(sum: f64, least: f64, weights: &[f64]) -> Vec<f64> {
    // None so small that no c lifts it.
    let at = |c: f64| weights.iter().map(move |w| (c * w.max(1e-200)).clamp(least, 1.0));
    // The sum rises with c, from below to above what is asked for.
    let (mut low, mut high) = (0.0, 1.0);
    while at(high).sum::<f64>() < sum && high < 1e250 {
        high *= 2.0;
    }
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if at(middle).sum::<f64>() < sum { low = middle } else { high = middle }
    }
    at(high).collect()
}

impl Select for SampledLayers {
    fn first(&mut self, surface: &mut dyn Surface) -> Result<Selection> {
        self.prepare(surface.parameters())?;
        self.drawn = self.bandit.draw(surface);
        let share = self.drawn.iter().filter(|drawn| **drawn).count() as f64
            / self.drawn.len().max(1) as f64;
        surface.note(ACTIVE_LAYERS, Note::Value(share));
        let parameters = if self.drawn.contains(&false) {
            Active::Some(self.layers.iter().map(|&layer| self.drawn[layer]).collect())
        } else {
            Active::All
        };
        Ok(Selection { samples: Samples::All, parameters })
    }

    fn observe(&mut self, pair: &Pair, _surface: &mut dyn Surface) -> Result<()> {
        let mut squares = vec![0.0; self.drawn.len()];
        let tensors = read(vec![pair.g().squares().clone()])?;
        for (&layer, square) in self.layers.iter().zip(tensors) {
            squares[layer] += square;
        }
        if squares.iter().all(|square| square.is_finite()) {
            self.bandit.learn(&self.config, &self.drawn, &squares);
        }
        Ok(())
    }

    fn state(&mut self, state: &mut dyn State) -> Result<()> {
        state.numbers("probabilities", &mut self.bandit.probabilities)?;
        state.number("largest", &mut self.bandit.largest)?;
        self.layers.clear();
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

    /// Two layers of one weight each, problem L, batch {0, 1}; the first one active.
    #[test]
    fn the_bandit_matches_the_worked_numbers() {
        let config = SampledLayersConfig { active: 0.5, p_min: 0.1, rate: 0.1 };
        let g = [-0.188_770_334_4_f64, 0.225_083_001_344];
        let mut bandit = Bandit { probabilities: vec![0.5; 2], largest: g[1] * g[1] };
        bandit.learn(&config, &[true, false], &[g[0] * g[0], 0.0]);
        for (found, expected) in
            bandit.probabilities.iter().zip([0.271_952_324_987, 0.728_047_675_013])
        {
            assert!((found - expected).abs() < 1e-9, "{bandit:?}");
        }
    }

    #[test]
    fn probabilities_keep_their_sum_and_their_bounds() {
        for weights in [vec![1.0, 1e-200, 0.0, 0.5], vec![1.0; 5], vec![0.0, 1.0, 0.0]] {
            let sum = 0.4 * weights.len() as f64;
            let found = clipped_to(sum, 0.1, &weights);
            assert!((found.iter().sum::<f64>() - sum).abs() < 1e-9, "{found:?}");
            assert!(found.iter().all(|p| (0.1..=1.0).contains(p)), "{found:?}");
        }
    }
}
