//! WSAM: the weight of the sharpness, in both forms.

use burn::optim::AdamWConfig;
use lowland::{Rule, WsamConfig};

use super::{
    RHO, base_path, bases, difference, flat, follow, near, near_paths, norm, path, plus, sam_path,
};
use crate::common::sgd;
use crate::workers::batch_of;

fn rule(gamma: f64, decoupled: bool, rho: f64) -> Box<dyn Rule> {
    WsamConfig::new(rho).with_gamma(gamma).with_decoupled(decoupled).build().unwrap()
}

#[test]
fn wsam_without_weight_or_radius_is_the_base_bit_for_bit() {
    for (name, base) in bases() {
        let plain = base_path(base.clone(), 12);
        for decoupled in [false, true] {
            for (gamma, rho) in [(0.0, RHO), (0.9, 0.0)] {
                let found = path(rule(gamma, decoupled, rho), base.clone(), 12);
                assert_eq!(found, plain, "γ = {gamma}, ρ = {rho}, {decoupled} over {name}");
            }
        }
    }
}

#[test]
fn coupled_wsam_of_equal_weights_is_sam_over_every_base() {
    for (name, base) in bases() {
        let sam = sam_path(base.clone(), 12);
        near_paths(&path(rule(0.5, false, RHO), base, 12), &sam, name);
    }
}

/// Over a base that remembers nothing it does not matter where the sharpness comes in.
#[test]
fn decoupled_wsam_is_coupled_over_plain_sgd_alone() {
    let plain = || sgd(0.0, 1e-2);
    near_paths(&path(rule(0.5, true, RHO), plain(), 12), &sam_path(plain(), 12), "γ = ½");
    for gamma in [0.3, 0.9] {
        let coupled = path(rule(gamma, false, RHO), plain(), 12);
        near_paths(&path(rule(gamma, true, RHO), plain(), 12), &coupled, "coupled");
    }
    for base in [sgd(0.9, 1e-2), AdamWConfig::new().init()] {
        let (found, sam) = (path(rule(0.5, true, RHO), base.clone(), 12), sam_path(base, 12));
        assert!(norm(&difference(&found[11], &sam[11])) > 1e-4, "momentum makes them differ");
    }
}

/// The equation itself, for both forms.
#[test]
fn wsam_gives_the_sharpness_its_weight() {
    for gamma in [0.3, 0.9] {
        let kappa = gamma / (1.0 - gamma);
        for decoupled in [false, true] {
            follow(rule(gamma, decoupled, RHO), sgd(0.9, 0.0), 6, &batch_of, &mut |step| {
                let psf = difference(&step.g_s(), &step.g());
                let displacement = step.seen.displacement.as_ref().map(flat);
                if decoupled {
                    near(&step.update(), &step.g(), "the base's gradient");
                    let expected: Vec<f64> = psf.iter().map(|x| kappa * x).collect();
                    near(&displacement.unwrap(), &expected, "the displacement");
                } else {
                    near(&step.update(), &plus(&step.g(), &psf, kappa), "the base's gradient");
                    assert!(displacement.is_none());
                }
            });
        }
    }
}
