//! Late SAM: the base first.

use lowland::LateSamConfig;

use super::{RHO, base_path, bases, follow, near, norm, share_of_one};
use crate::workers::batch_of;

/// The first `⌈start·T⌉` steps are the base's to the bit, with no second gradient, and the rest
/// SAM's with one in each.
#[test]
fn late_sam_begins_as_the_base_bit_for_bit() {
    for (name, base) in bases() {
        let plain = base_path(base.clone(), 12);
        for (start, turn) in [(0.0, 0), (0.3, 4), (0.5, 6), (0.51, 7), (0.99, 12), (1.0, 12)] {
            let rule = LateSamConfig { rho: RHO, start }.build().unwrap();
            let (mut found, mut passes) = (Vec::new(), 0.0);
            follow(rule, base.clone(), 12, &batch_of, &mut |step| {
                found.push(step.after());
                passes = step.optimizer.passes();
                let gradients = step.seen.gradients.len();
                assert_eq!(gradients, if step.t < turn { 1 } else { 2 }, "{start}, {}", step.t);
                if step.t >= turn {
                    near(&step.update(), &step.g_s(), "SAM's gradient");
                    near(&[norm(&step.e())], &[RHO * share_of_one(&step.g())], "the radius");
                }
            });
            let turn = usize::try_from(turn).unwrap();
            assert_eq!(found[..turn], plain[..turn], "start {start} over {name}");
            if let Some(first) = found.get(turn) {
                assert_ne!(*first, plain[turn], "start {start} over {name}");
            }
            assert_eq!(passes, 24.0 - turn as f64, "start {start} over {name}");
        }
    }
}
