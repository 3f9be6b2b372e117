//! SSAM: a direction and a length.

use burn::tensor::Tensor;
use lowland::{BaseConfig, StableSamAscent, StableSamConfig};

use super::{RHO, constant, descend, difference, dot, follow, norm};
use crate::common::sgd;
use crate::workers::batch_of;

#[test]
fn ssam_has_the_direction_of_one_gradient_and_the_length_of_the_other() {
    for ascent in [StableSamAscent::Normalised, StableSamAscent::Raw] {
        let rule = StableSamConfig { rho: RHO, ascent }.build().unwrap();
        follow(rule, sgd(0.9, 0.0), 12, &batch_of, &mut |step| {
            let (g, g_s, update) = (step.g(), step.g_s(), step.update());
            let expected: Vec<f64> = g_s.iter().map(|x| x * norm(&g) / norm(&g_s)).collect();
            assert!(norm(&difference(&update, &expected)) < 1e-11 * norm(&g), "{ascent:?}");
            assert!((norm(&update) / norm(&g) - 1.0).abs() < 1e-11, "{ascent:?}");
            assert!((dot(&update, &g_s) / norm(&update) / norm(&g_s) - 1.0).abs() < 1e-12);
            assert!(norm(&difference(&g, &g_s)) > 1e-3 * norm(&g), "the two are not the same");
        });
    }
}

/// On a quadratic whose Hessian is a multiple of the identity `g_s` is along g, so that SSAM is
/// plain descent.
#[test]
fn ssam_on_an_isotropic_quadratic_is_plain_descent() {
    let centre = constant(&[0.3, -1.0, 2.0]);
    let loss = |w: Tensor<1>| (w - centre.clone()).square().sum().mul_scalar(1.5);
    let run = |rule| descend(rule, &[1.0, 1.0, -0.5], 10, &loss);
    let plain = run(BaseConfig {}.build().unwrap());
    for ascent in [StableSamAscent::Normalised, StableSamAscent::Raw] {
        let found = run(StableSamConfig { rho: RHO, ascent }.build().unwrap());
        for ([w, _], [expected, _]) in found.iter().zip(&plain) {
            assert!(norm(&difference(w, expected)) < 1e-11, "{ascent:?}: {w:?}");
        }
    }
}

/// A second gradient of 0 has no direction, and the step is 0.
#[test]
fn ssam_rests_where_the_second_gradient_is_zero() {
    let loss = |w: Tensor<1>| w.clamp_max(1.0).sum();
    let rule = StableSamConfig { rho: RHO, ascent: StableSamAscent::Normalised };
    for [w, update] in descend(rule.build().unwrap(), &[0.95], 3, &loss) {
        assert_eq!((w, update), (vec![0.95], vec![0.0]));
    }
}
