//! Random vectors. They are drawn on the host, so that the same seed gives the same bytes on every
//! device, and no generator of a device is disturbed.

use burn::tensor::{Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::ParamVec;
use crate::vector::{one, ratio};

/// The generator of one probe: what it gives does not depend on how many other probes there are.
pub(super) fn generator(seed: u64, probe: usize) -> ChaCha8Rng {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(probe as u64);
    generator
}

/// A number drawn uniformly from `(0, 1]`.
pub(super) fn uniform(generator: &mut ChaCha8Rng) -> f64 {
    // 53 bits: all that the mantissa holds.
    ((generator.next_u64() >> 11) + 1) as f64 * 2.0_f64.powi(-53)
}

/// Each element drawn from the standard normal distribution (by the method of Box and Muller).
pub(super) fn gaussian(like: &ParamVec, generator: &mut ChaCha8Rng) -> ParamVec {
    let mut spare = None;
    filled(like, || {
        spare.take().unwrap_or_else(|| {
            let radius = (-2.0 * uniform(generator).ln()).sqrt();
            let (sine, cosine) = (std::f64::consts::TAU * uniform(generator)).sin_cos();
            spare = Some(radius * sine);
            radius * cosine
        })
    })
}

/// Each element 1 or −1, with equal probability.
pub(super) fn rademacher(like: &ParamVec, generator: &mut ChaCha8Rng) -> ParamVec {
    filled(like, || if generator.next_u32() & 1 == 0 { 1.0 } else { -1.0 })
}

/// `v` at unit length; a zero vector stays zero.
pub(super) fn unit(v: ParamVec) -> ParamVec {
    let factor = ratio(one(&v), v.norm());
    v.times(&factor)
}

fn filled(like: &ParamVec, mut draw: impl FnMut() -> f64) -> ParamVec {
    like.clone().map(|part| {
        let values: Vec<f64> = (0..part.shape().num_elements()).map(|_| draw()).collect();
        let data = TensorData::new(values, part.shape());
        Tensor::from_data(data, (&part.device(), part.dtype()))
    })
}
