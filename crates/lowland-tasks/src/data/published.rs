//! What is known of the figures of well-known data sets.

use super::{DataName, ImageSet, Splits};

/// Counts and training statistics as they are published.
///
/// Of CIFAR-10 and CIFAR-100 they are figures of bytes, 0 to 255, which code that trains on them
/// has in use, often rounded to one decimal; of MNIST and Fashion-MNIST they count from 0 to 1, as
/// `PyTorch`'s example of MNIST does.
#[derive(Clone, Copy, Debug)]
pub struct Published {
    train: usize,
    test: usize,
    /// What a full pixel counts as in `channels`.
    full: f64,
    /// How many decimals `channels` have.
    decimals: i32,
    /// Mean and standard deviation of each channel of the training images.
    channels: &'static [[f64; 2]],
}

const CIFAR10: Published = Published {
    train: 50_000,
    test: 10_000,
    full: 255.0,
    decimals: 3,
    channels: &[[125.307, 62.993], [122.950, 62.089], [113.865, 66.705]],
};

const CIFAR100: Published = Published {
    train: 50_000,
    test: 10_000,
    full: 255.0,
    decimals: 3,
    channels: &[[129.304, 68.170], [124.070, 65.392], [112.434, 70.418]],
};

const FASHION_MNIST: Published = Published {
    train: 60_000,
    test: 10_000,
    full: 1.0,
    decimals: 4,
    channels: &[[0.2860, 0.3530]],
};

const MNIST: Published = Published {
    train: 60_000,
    test: 10_000,
    full: 1.0,
    decimals: 4,
    channels: &[[0.1307, 0.3081]],
};

impl DataName {
    /// The published figures, where there are any.
    pub fn published(self) -> Option<Published> {
        match self {
            Self::FashionMnist => Some(FASHION_MNIST),
            Self::Mnist => Some(MNIST),
            Self::Cifar10 => Some(CIFAR10),
            Self::Cifar100 => Some(CIFAR100),
            _ => None,
        }
    }
}

impl Published {
    /// Where a data set has other figures, in words, such as `10 training images instead of 50000`;
    /// nothing where it has these, to the last published decimal.
    pub fn differences(&self, splits: &Splits) -> Vec<String> {
        let mut differences = Vec::new();
        let counts = [("training", &splits.train, self.train), ("test", &splits.test, self.test)];
        for (part, set, published) in counts {
            if set.len() != published {
                let images = if set.len() == 1 { "image" } else { "images" };
                let found = format!("{} {part} {images}", set.len());
                differences.push(format!("{found} instead of {published}"));
            }
        }
        differences.extend(self.channel_differences(&splits.train));
        differences
    }

    fn channel_differences(&self, train: &ImageSet) -> Vec<String> {
        let found = train.channel_statistics();
        if found.len() != self.channels.len() {
            return vec![format!("{} channels instead of {}", found.len(), self.channels.len())];
        }
        let decimals = usize::try_from(self.decimals).unwrap_or_default();
        // Half of the last decimal, and a little for numbers that lie between two.
        let most = 0.5 * 10_f64.powi(-self.decimals) * (1.0 + 1e-6);
        let mut differences = Vec::new();
        for (channel, (found, published)) in found.iter().zip(self.channels).enumerate() {
            let found = [("mean", found.mean), ("deviation", found.standard_deviation)];
            for ((what, found), published) in found.into_iter().zip(published) {
                let found = found * self.full;
                if (found - published).abs() > most {
                    differences.push(format!(
                        "a {what} of {found:.decimals$} in channel {channel} instead of {published:.decimals$}"
                    ));
                }
            }
        }
        differences
    }
}
