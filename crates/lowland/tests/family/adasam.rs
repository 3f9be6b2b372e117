//! AdaSAM: its base.

use std::collections::BTreeMap;

use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use lowland::{AdaSamConfig, Parameters, SharpnessAware};

use super::{LR, RHO, base_state, flat, follow, near, weights};
use crate::common::{alone, numbers};
use crate::workers::{batch_of, net};

/// AMSGrad without bias correction, by hand, on what the rule gives; `v̂` never falls. Without a
/// radius that is the gradient at the weights.
#[test]
fn adasam_is_amsgrad_without_bias_correction() {
    for rho in [0.0, RHO] {
        let config = AdaSamConfig::new(rho).with_beta_2(0.9).with_epsilon(1e-3);
        let length = flat(&weights(&net())).len();
        let (mut m, mut v, mut largest) =
            (vec![0.0; length], vec![0.0; length], vec![1e-6; length]);
        let mut kept = vec![0.0; length];
        let base = config.optimizer().unwrap();
        follow(config.build().unwrap(), base, 12, &batch_of, &mut |step| {
            let g = step.g_s();
            near(&step.update(), &g, "the second gradient");
            assert_eq!(g == step.g(), rho == 0.0, "without a radius the gradient at the weights");
            let mut expected = step.before();
            for i in 0..length {
                m[i] = 0.9 * m[i] + (1.0 - 0.9) * g[i];
                v[i] = 0.9 * v[i] + (1.0 - 0.9) * g[i] * g[i];
                largest[i] = f64::max(largest[i], v[i]);
                expected[i] -= LR * m[i] / largest[i].sqrt();
            }
            near(&step.after(), &expected, "the weights");

            let parameters = Parameters::of(step.after).unwrap();
            let state = base_state(step.optimizer, &parameters);
            let found: Vec<f64> = state.iter().flat_map(largest_of).collect();
            near(&found, &largest, "v̂");
            assert!(found.iter().zip(&kept).all(|(new, old)| new >= old), "v̂ does not fall");
            kept = found;
        });
        assert!(kept.iter().zip(&v).any(|(kept, v)| kept > v), "the maximum matters");
    }
}

/// The square of the least ε is above 0 in `f32`, so that weights without a gradient stay.
#[test]
fn the_least_epsilon_makes_no_nan() {
    let _alone = alone();
    let refused = AdaSamConfig::default().with_epsilon(1e-19).build().unwrap_err().to_string();
    assert!(refused.starts_with("epsilon must be finite and at least 1e-18"), "{refused}");
    let config = AdaSamConfig::default().with_epsilon(1e-18);
    let mut optimizer = SharpnessAware::new(config.optimizer().unwrap(), config).unwrap();
    let device = Device::flex().autodiff();
    let layer: Linear = LinearConfig::new(3, 2).init(&device);
    let before = numbers(layer.weight.val().inner());
    let x = Tensor::<2>::zeros([4, 3], &device);
    let loss = |layer: &Linear| layer.forward(x.clone()).sum();
    let (layer, report) = optimizer.step(LR, layer, loss).unwrap();
    assert!(!report.skipped);
    assert_eq!(numbers(layer.weight.val().inner()), before);
}

/// The field `largest` of a parameter's state.
fn largest_of(state: &BTreeMap<String, Vec<u8>>) -> Vec<f64> {
    let (_, bytes) = state.iter().find(|(name, _)| name.ends_with("largest")).unwrap();
    let (numbers, rest) = bytes.as_chunks::<8>();
    assert!(rest.is_empty());
    numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()
}
