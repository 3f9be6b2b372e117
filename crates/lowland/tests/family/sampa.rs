//! SAMPa: a step ahead.

use lowland::{BaseConfig, SampaConfig};

use super::{RHO, bases, difference, flat, follow, near, norm};
use crate::common::sgd;
use crate::workers::batch_of;

/// On one batch for ever, without radius and share, it is the base on that batch.
#[test]
fn sampa_without_radius_and_share_is_the_base() {
    let same = |_| batch_of(0);
    for (name, base) in bases() {
        let run = |rule| {
            let mut path = Vec::new();
            follow(rule, base.clone(), 12, &same, &mut |step| path.push(step.after()));
            path
        };
        let plain = run(BaseConfig {}.build().unwrap());
        let sampa = run(SampaConfig { rho: 0.0, lambda: 0.0 }.build().unwrap());
        for (found, expected) in sampa.iter().zip(&plain) {
            assert!(norm(&difference(found, expected)) < 1e-10, "over {name}");
        }
    }
}

/// The gradient for the next step is taken at that step's weights, a radius away along the latest
/// g.
#[test]
fn sampa_ascends_from_the_next_weights() {
    let rule = SampaConfig { rho: RHO, lambda: 0.2 }.build().unwrap();
    let mut sharp: Option<Vec<f64>> = None;
    follow(rule, sgd(0.9, 1e-2), 8, &batch_of, &mut |step| {
        let direction = flat(step.seen.perturbations.last().unwrap());
        let way = difference(&step.after(), &step.before());
        let expected: Vec<f64> = step.g().iter().map(|g| RHO * g / norm(&step.g())).collect();
        near(&difference(&direction, &way), &expected, "the ascent");
        let g = step.g();
        let expected = match sharp.take() {
            None => g,
            Some(sharp) => sharp.iter().zip(&g).map(|(s, g)| 0.8 * s + 0.2 * g).collect(),
        };
        near(&step.update(), &expected, "the mixture");
        sharp = Some(flat(step.seen.gradients.last().unwrap()));
    });
}
