//! ESAM: masks and samples.

use lowland::{EsamConfig, EsamMask, Samples};

use super::{RHO, difference, follow, near, norm, present, share_of_one};
use crate::common::{alone, sgd};
use crate::workers::batch_of;

/// `‖e‖ = ρ/β` over drawn tensors, `‖e‖ ≤ ρ/β` over drawn coordinates, each 0 or that of the
/// equation; the second gradient is of `⌈γ·b⌉` samples, that whose loss rises most among them.
#[test]
fn esams_perturbation_is_at_most_the_radius_over_its_share() {
    let (beta, gamma) = (0.6, 0.3);
    for mask in [EsamMask::Tensors, EsamMask::Coordinates] {
        let config = EsamConfig::new(RHO).with_beta(beta).with_gamma(gamma).with_mask(mask);
        let _alone = alone();
        follow(config.build().unwrap(), sgd(0.9, 0.0), 20, &batch_of, &mut |step| {
            let (g, e) = (step.g(), step.e());
            let scale = RHO / beta / (norm(&g) + 1e-12);
            let radius = RHO / beta * share_of_one(&g);
            assert!(norm(&e) <= radius * (1.0 + 1e-12), "{}", norm(&e));
            for (g, e) in g.iter().zip(&e) {
                let drawn = (e - scale * g).abs() < 1e-14;
                assert!(drawn || (*e == 0.0 && mask == EsamMask::Coordinates), "{e}");
            }
            let active = present(&step.seen.gradients[0]);
            if mask == EsamMask::Tensors && active.contains(&true) {
                near(&[norm(&e)], &[radius], "the radius over the share");
            }
            let [(_, before), (_, after), (Samples::Some { positions, .. }, _)] = step.evaluated
            else {
                panic!("a gradient, a forward pass and a gradient of some samples")
            };
            let size = step.indices.len();
            assert_eq!(positions.len(), if size == 12 { 4 } else { 1 }, "⌈γ·b⌉ of {size}");
            let rise = difference(after, before);
            let most = (0..size).max_by(|&i, &j| rise[i].total_cmp(&rise[j])).unwrap();
            assert!(positions.contains(&most), "{rise:?}, {positions:?}");
        });
    }
}
