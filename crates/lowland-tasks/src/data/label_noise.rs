//! Corrupted training labels, the setting in which sharpness-aware training gains most.

use rand_chacha::ChaCha8Rng;

use super::draw::{Purpose, below, generator, shuffle_front};
use crate::{Error, Result};

/// What [`redraw_labels`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelNoise {
    /// How many labels were drawn again.
    pub redrawn: usize,
    /// How many of those are now another class than before.
    pub changed: usize,
}

/// Samples with a label each.
pub trait Labelled {
    /// The labels, each below the number of classes, and that number, at most 65,536.
    fn labels_and_classes(&mut self) -> (&mut [u16], usize);
}

/// Draws a share of the labels again, uniformly over all classes.
///
/// Exactly `round(share · n)` of the `n` samples are chosen, without replacement. A redrawn label
/// can be the old one, so that with `k` classes about `share · (k − 1) / k` of all labels change:
/// 30 % of redrawn labels among ten classes change about 27 %. The result is a function of the set,
/// `share` and `seed` alone.
///
/// # Errors
///
/// [`Error::Setting`] if `share` is not between 0 and 1. The set is then unchanged.
///
/// # Example
///
/// ```
/// use lowland_tasks::data::{embedded, redraw_labels};
///
/// let mut train = embedded::load()?.train;
/// let noise = redraw_labels(&mut train, 0.3, 1)?;
/// assert_eq!(noise.redrawn, 750);
/// assert!(noise.changed < noise.redrawn);
/// # Ok::<(), lowland_tasks::Error>(())
/// ```
pub fn redraw_labels(set: &mut impl Labelled, share: f64, seed: u64) -> Result<LabelNoise> {
    if !(0.0..=1.0).contains(&share) {
        let found = share.to_string();
        return Err(Error::Setting { field: "label noise", found, allowed: "between 0 and 1" });
    }
    let (labels, classes) = set.labels_and_classes();
    let count = labels.len();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 ≤ share·n ≤ n")]
    let redrawn = ((share * count as f64).round() as usize).min(count);

    let mut rng = generator(Purpose::LabelNoise, [seed, 0, 0]);
    let mut indices: Vec<usize> = (0..count).collect();
    shuffle_front(&mut rng, &mut indices, redrawn);

    let mut changed = 0;
    for &index in &indices[..redrawn] {
        let drawn = draw_class(&mut rng, classes);
        changed += usize::from(drawn != labels[index]);
        labels[index] = drawn;
    }
    Ok(LabelNoise { redrawn, changed })
}

fn draw_class(rng: &mut ChaCha8Rng, classes: usize) -> u16 {
    u16::try_from(below(rng, classes)).expect("a set has at most 65,536 classes")
}
