//! Random draws that are a function of a key.
//!
//! `rand`'s own ranges and shuffles may change between its releases. The two short functions here
//! keep the order of an epoch and every crop the same for as long as `ChaCha8` is what it is.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What random numbers are for. Two purposes never share a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// The order of an epoch.
    Order = 1,
    /// The augmentation of one sample.
    Augment = 2,
    /// Corrupted labels.
    LabelNoise = 3,
    /// Initial weights.
    Weights = 4,
    /// How a person is turned, scaled and mirrored.
    Pose = 5,
    /// Which training samples are held out for validation.
    Validation = 16,
    /// With what a sample is mixed.
    Mix = 17,
    /// Which samples stand for all.
    Subset = 6,
}

/// The generator for one purpose and one key: all 32 bytes of its seed are the key, so that two
/// keys never give the same stream.
pub(crate) fn generator(purpose: Purpose, key: [u64; 3]) -> ChaCha8Rng {
    let mut seed = [0; 32];
    let words = [purpose as u64, key[0], key[1], key[2]];
    for (bytes, word) in seed.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(seed)
}

/// A whole number from 0 to `count - 1`; exactly one 64-bit draw, whatever `count` is.
///
/// The bias is at most `count / 2⁶⁴`, which no experiment can see. A `count` of 0 gives 0.
pub(crate) fn below(rng: &mut ChaCha8Rng, count: usize) -> usize {
    let product = u128::from(rng.next_u64()) * count as u128;
    usize::try_from(product >> 64).expect("the result is below count, which is a usize")
}

/// A number in [0, 1) with 53 random bits; exactly one 64-bit draw.
pub(crate) fn unit(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Puts `count` items drawn without replacement at the front of `items` (Fisher and Yates, from the
/// front).
pub(crate) fn shuffle_front<T>(rng: &mut ChaCha8Rng, items: &mut [T], count: usize) {
    for position in 0..count.min(items.len()) {
        let rest = items.len() - position;
        items.swap(position, position + below(rng, rest));
    }
}
