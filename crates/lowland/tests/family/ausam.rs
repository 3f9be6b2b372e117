//! AUSAM: scores and draws.

use std::collections::{BTreeMap, BTreeSet};

use lowland::{AusamConfig, Samples};

use super::{RHO, follow, near};
use crate::common::sgd;
use crate::common::spy::Seen;
use crate::workers::batch_of;

/// What AUSAM remembers of each sample: the sum of its changes and their count.
fn changes(seen: &Seen) -> BTreeMap<u64, [f64; 2]> {
    let list = seen.memory.clone().within("select", |memory| memory.take_numbers("seen")).unwrap();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let entry = |entry: &[f64]| (entry[0] as u64, [entry[1], entry[2]]);
    list.chunks_exact(3).map(entry).collect()
}

/// A is the mean of `d = |ℓ(w + e) − ℓ(w)|` over the steps that drew the sample, and no other is
/// counted.
#[test]
fn ausams_scores_are_the_means_of_the_changes_that_it_saw() {
    for rho in [RHO, 0.0] {
        let rule = AusamConfig::new(rho).with_transition_epochs(2).build().unwrap();
        let mut expected: BTreeMap<u64, [f64; 2]> = BTreeMap::new();
        let mut left_out = 0;
        follow(rule, sgd(0.9, 0.0), 40, &batch_of, &mut |step| {
            let [(first, before), (second, after)] = step.evaluated else { panic!("two passes") };
            assert_eq!(first, second, "both gradients are of the same samples");
            let size = step.indices.len();
            let positions: Vec<usize> = match first {
                Samples::All => (0..size).collect(),
                Samples::Some { positions, of } => {
                    assert_eq!((*of, positions.len()), (size, size / 2));
                    let apart: BTreeSet<_> = positions.iter().collect();
                    assert_eq!(apart.len(), positions.len(), "without replacement");
                    positions.clone()
                }
            };
            assert_eq!(*first == Samples::All, step.t < 6, "all samples in the first epoch alone");
            left_out += size - positions.len();
            for ((position, before), after) in positions.iter().zip(before).zip(after) {
                let [sum, count] = expected.entry(step.indices[*position] as u64).or_default();
                *sum += (after - before).abs();
                *count += 1.0;
            }
            let found = changes(step.seen);
            assert!(found.keys().eq(expected.keys()));
            for (index, [sum, count]) in &expected {
                near(&found[index], &[*sum, *count], "sum and count");
                assert_eq!(*sum == 0.0, rho == 0.0, "d is 0 without a radius, and there alone");
            }
        });
        assert!(left_out > 100, "{left_out}");
    }
}
