//! K-SAM: the largest losses.

use lowland::{BaseConfig, KsamConfig, Samples, SharpnessAware};

use super::{LR, base_path, bases, difference, flat, norm, path, weights};
use crate::common::{Net, numbers};
use crate::workers::{Data, batch_of, net};

/// Without a radius it is the base on the samples with the largest losses, which is not the base.
#[test]
fn ksam_without_radius_is_the_base_on_the_largest_losses() {
    for (name, base) in bases() {
        let ksam = KsamConfig::new(0.0).with_fraction(0.5).build().unwrap();
        let found = path(ksam, base.clone(), 12);
        let plain = BaseConfig {}.build().unwrap();
        let mut optimizer = SharpnessAware::new(base.clone(), plain).unwrap();
        let (mut at, mut expected) = (net(), Vec::new());
        for t in 0..12 {
            let mut indices = batch_of(t);
            let losses = numbers(Data::of(&indices).losses(&at, &Samples::All));
            let mut order: Vec<usize> = (0..indices.len()).collect();
            order.sort_by(|&i, &j| losses[j].total_cmp(&losses[i]));
            order.truncate(indices.len().div_ceil(2));
            indices = order.into_iter().map(|i| indices[i]).collect();
            let data = Data::of(&indices);
            let loss = |net: &Net| data.losses(net, &Samples::All).mean();
            at = optimizer.step(LR, at, loss).unwrap().0;
            expected.push(flat(&weights(&at)));
        }
        for (found, expected) in found.iter().zip(&expected) {
            assert!(norm(&difference(found, expected)) < 1e-10, "over {name}");
        }
        assert_ne!(found, base_path(base, 12), "{name}");
    }
}
