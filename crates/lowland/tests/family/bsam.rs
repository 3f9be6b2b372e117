//! bSAM: momentum over a running precision, from noisy weights.

use burn::optim::ModuleOptimizer;
use burn::tensor::{Distribution, Tensor};
use lowland::rule::Note;
use lowland::state::Memory;
use lowland::{
    AlgorithmConfig, BsamConfig, Cost, Gradient, ParamVec, Parameters, Perturbation, Rule, Samples,
    Selection, Surface, Update,
};

use super::{
    LR, Vector, constant, difference, flat, follow, near, norm, path, plus, vector, weights,
};
use crate::common::spy::{Seen, spied};
use crate::common::{alone, forward_surface};
use crate::workers::{batch_of, net};

/// A rule whose noise is multiplied by a factor.
#[derive(Debug, Clone)]
struct Noisy {
    rule: Box<dyn Rule>,
    factor: f64,
}

impl Rule for Noisy {
    fn update(&mut self, surface: &mut dyn Surface) -> lowland::Result<Update> {
        self.rule.update(&mut NoisySurface { surface, factor: self.factor })
    }

    fn save(&self, memory: &mut Memory) -> lowland::Result<()> {
        self.rule.save(memory)
    }
}

struct NoisySurface<'a> {
    surface: &'a mut dyn Surface,
    factor: f64,
}

impl Surface for NoisySurface<'_> {
    fn gradient(&mut self, of: &Selection) -> lowland::Result<Gradient> {
        self.surface.gradient(of)
    }

    fn gradient_at(&mut self, e: &Perturbation<'_>, of: &Selection) -> lowland::Result<ParamVec> {
        self.surface.gradient_at(e, of)
    }

    fn latest_losses(&self) -> lowland::Result<Tensor<1>> {
        self.surface.latest_losses()
    }

    forward_surface!();

    fn draw(&mut self, like: &ParamVec, distribution: Distribution) -> ParamVec {
        let drawn = self.surface.draw(like, distribution);
        drawn.map(|part| part.mul_scalar(self.factor))
    }

    fn uniform(&mut self) -> f64 {
        self.surface.uniform()
    }
}

fn noisy(config: BsamConfig, factor: f64) -> Box<dyn Rule> {
    Box::new(Noisy { rule: config.build().unwrap(), factor })
}

fn settings(rho: f64) -> BsamConfig {
    BsamConfig { beta_2: 0.9, ..BsamConfig::new(rho) }.with_data_size(100).with_weight_decay(0.01)
}

fn bsam_base() -> ModuleOptimizer {
    BsamConfig::default().base().unwrap().unwrap()
}

/// The precision after a step.
fn precision(seen: &Seen) -> Vec<f64> {
    flat(&seen.memory.clone().take_vector("precision").unwrap().unwrap())
}

/// The whole recursion, with and without noise and radius. Without either it is momentum on
/// `g + δw` over the running precision, from the weights themselves. No precision falls below
/// `min(s₀, γ + δ)`.
#[test]
fn bsam_is_momentum_over_a_running_precision() {
    let _alone = alone();
    for (rho, factor) in [(0.0, 0.0), (0.0, 1.0), (0.1, 0.0), (0.1, 1.0)] {
        for start in [1.0, 0.02] {
            let config = settings(rho).with_precision(start);
            let BsamConfig { beta_1, beta_2, weight_decay, damping, .. } = config;
            let length = flat(&weights(&net())).len();
            let (mut m, mut s) = (vec![0.0; length], vec![start; length]);
            follow(noisy(config, factor), bsam_base(), 12, &batch_of, &mut |step| {
                let (w, g, g_e) = (step.before(), step.g(), step.g_s());
                if factor == 0.0 {
                    assert!(step.e().iter().all(|e| *e == 0.0), "the first gradient is at w");
                }
                let e = flat(&step.seen.perturbations[1]);
                let expected: Vec<f64> = g.iter().zip(&s).map(|(g, s)| rho * g / s).collect();
                near(&e, &expected, "the perturbation");
                if rho == 0.0 && factor == 0.0 {
                    assert_eq!(g, g_e, "both gradients are at w");
                }
                for i in 0..length {
                    m[i] = beta_1 * m[i] + (1.0 - beta_1) * (g_e[i] + weight_decay * w[i]);
                }
                let update: Vec<f64> = m.iter().zip(&s).map(|(m, s)| m / s).collect();
                near(&step.update(), &update, "the step");
                near(&step.after(), &plus(&w, &update, -LR), "the weights");
                for i in 0..length {
                    let target = s[i].sqrt() * g[i].abs() + damping + weight_decay;
                    s[i] = beta_2 * s[i] + (1.0 - beta_2) * target;
                }
                let found = precision(step.seen);
                near(&found, &s, "the precision");
                let least = start.min(damping + weight_decay);
                assert!(found.iter().all(|s| *s >= least * (1.0 - 1e-12)), "{found:?}");
            });
        }
    }
}

/// `θ = w + n/√(N·s)`: the noise falls with the root of the number of samples, down to none.
#[test]
fn bsams_noise_vanishes_with_the_number_of_samples() {
    let _alone = alone();
    let noise = |data_size: u64| {
        let mut noise = Vec::new();
        let config = settings(0.1).with_data_size(data_size);
        follow(config.build().unwrap(), bsam_base(), 1, &batch_of, &mut |step| noise = step.e());
        noise
    };
    let (few, many) = (noise(100), noise(1_000_000));
    assert!(norm(&few) > 0.1, "there is noise");
    let expected: Vec<f64> = many.iter().map(|e| e * 100.0).collect();
    near(&few, &expected, "a hundredth of the noise");

    let without = {
        let mut path = Vec::new();
        let rule = noisy(settings(0.1), 0.0);
        follow(rule, bsam_base(), 12, &batch_of, &mut |step| path.push(step.after()));
        path
    };
    let most = path(settings(0.1).with_data_size(u64::MAX).build().unwrap(), bsam_base(), 12);
    for (found, expected) in most.iter().zip(&without) {
        assert!(norm(&difference(found, expected)) < 1e-7, "θ is w");
    }
}

/// Where the gradient is 0, the precision goes to γ + δ, from above and from below, by β₂ a step.
#[test]
fn bsams_precision_tends_to_damping_and_decay_where_there_is_no_gradient() {
    let _alone = alone();
    for start in [1.0, 0.01] {
        let config = settings(0.1).with_precision(start);
        let end = config.damping + config.weight_decay;
        let (mut optimizer, seen) = spied(config.build().unwrap(), bsam_base());
        let mut at = vector(&[1.0, 1.0]);
        let first = constant(&[1.0, 0.0]);
        for t in 1..=300 {
            let loss = |v: &Vector| (v.w.val().square() * first.clone()).sum();
            at = optimizer.step(0.01, at, loss).unwrap().0;
            let s = precision(&seen.lock().unwrap());
            let expected = end + config.beta_2.powi(t) * (start - end);
            near(&[s[1]], &[expected], "the precision");
        }
        let s = precision(&seen.lock().unwrap());
        assert!((s[1] - end).abs() < 1e-12, "{s:?}");
        assert!(s[0] > end, "{s:?}");
    }
}
