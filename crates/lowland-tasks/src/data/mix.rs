//! Mixup: each sample with a part of another one.

use serde::{Deserialize, Serialize};
use statrs::distribution::{Beta, ContinuousCDF};

use super::draw::{Purpose, below, generator, unit};
use crate::{Error, Result};

/// Mixup of training images (Zhang et al., arXiv 1710.09412): `x = (1 − s)·x_i + s·x_j`, and the
/// loss `(1 − s)·loss(y_i) + s·loss(y_j)`, with `s ∼ Beta(α, α)`.
///
/// The paper mixes a batch with itself in another order and with one share for all. Here each image
/// has a partner of its own from all training images and a share of its own, both a function of
/// seed, epoch and image, so that batches, threads and workers change nothing. The share is folded
/// to at most a half, which changes no distribution of pairs: an image stays the larger part of its
/// sample, as algorithms that remember something of each sample need.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mixup {
    alpha: f64,
}

/// With what a sample is mixed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Partner {
    /// The place of the other sample in the set.
    pub index: usize,
    /// The other sample's share, 0 to a half.
    pub share: f64,
}

impl Mixup {
    /// Mixup with the parameter α of the distribution; `None` for 0, which switches it off.
    ///
    /// # Errors
    /// [`Error::Setting`] if α is negative or not finite.
    pub fn new(alpha: f64) -> Result<Option<Self>> {
        if !(alpha.is_finite() && alpha >= 0.0) {
            let (field, found) = ("mixup", alpha.to_string());
            return Err(Error::Setting { field, found, allowed: "finite and at least 0" });
        }
        Ok((alpha > 0.0).then_some(Self { alpha }))
    }

    /// With what sample `index` of `count` is mixed in `epoch` of the run with this `seed`.
    pub fn choose(self, seed: u64, epoch: u64, index: usize, count: usize) -> Partner {
        let mut rng = generator(Purpose::Mix, [seed, epoch, index as u64]);
        let partner = below(&mut rng, count);
        // The middle of one of 2⁵³ parts: never 0 or 1, where the quantile need not be finite.
        let at = unit(&mut rng) + 0.5 / (1_u64 << 53) as f64;
        // Both parameters are finite and above 0.
        let share = Beta::new(self.alpha, self.alpha).map_or(0.0, |beta| beta.inverse_cdf(at));
        let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        Partner { index: partner, share: share.min(1.0 - share) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partners_and_shares_are_those_of_the_key() {
        let mixup = Mixup::new(1.0).unwrap().unwrap();
        let drawn: Vec<Partner> = (0..400).map(|i| mixup.choose(3, 1, i, 50)).collect();
        assert_eq!(drawn[7], mixup.choose(3, 1, 7, 50));
        assert_ne!(drawn[7], mixup.choose(3, 2, 7, 50));
        assert!(drawn.iter().all(|p| p.index < 50 && (0.0..=0.5).contains(&p.share)));
        // Beta(1, 1) is uniform; folded, its mean is a quarter.
        let mean = drawn.iter().map(|partner| partner.share).sum::<f64>() / 400.0;
        assert!((mean - 0.25).abs() < 0.03, "{mean}");
        // A small α leaves most images nearly alone.
        let weak = Mixup::new(0.1).unwrap().unwrap();
        let shares = (0..400).map(|i| weak.choose(3, 1, i, 50).share);
        assert!(shares.filter(|share| *share < 0.05).count() > 250);
        assert_eq!(Mixup::new(0.0).unwrap(), None);
        assert!(Mixup::new(-1.0).is_err() && Mixup::new(f64::NAN).is_err());
    }
}
