//! The cross entropy of each sample, which Burn's own loss, the mean over a batch, does not give.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use derive_setters::Setters;
use serde::{Deserialize, Serialize};

use crate::error::{fraction, non_negative};
use crate::{Error, Result};

/// The settings of [`CrossEntropy`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_", strip_option)]
pub struct CrossEntropyConfig {
    /// The share of a label's weight that is spread evenly over all classes, its own included;
    /// between 0 and 1. Default 0.
    pub smoothing: f64,
    /// The weight of each class, at least 0, in the order of the classes. Default: 1 for all.
    pub weights: Option<Vec<f64>>,
}

impl CrossEntropyConfig {
    /// Creates the settings with their defaults: no smoothing, no weights.
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks the settings and makes the loss. It takes the device of its logits, whatever this one
    /// is: Burn's losses are made on a device, and so is this.
    ///
    /// # Errors
    /// A smoothing outside `[0, 1]`, a weight that is negative or not finite, no weight above 0.
    pub fn init(&self, _device: &Device) -> Result<CrossEntropy> {
        let smoothing = fraction("smoothing", self.smoothing)?;
        if let Some(weights) = &self.weights {
            for &weight in weights {
                non_negative("weights", weight)?;
            }
            if !weights.iter().any(|&weight| weight > 0.0) {
                return Err(Error::config("weights", &"none above 0", "at least one above 0"));
            }
        }
        Ok(CrossEntropy { smoothing, weights: self.weights.clone() })
    }
}

/// The cross entropy of each sample, `[batch]`: what algorithms that choose samples by their losses
/// (K-SAM, ESAM, AUSAM) need.
///
/// ```text
/// loss_i = −Σ_c w_c·y_ic·log p_ic,   y_ic = (1 − smoothing)·[c is the label of i] + smoothing/classes
/// ```
///
/// as PyTorch and Burn have it before they average. The mean over a batch is Burn's
/// `CrossEntropyLoss` where there are no weights; with weights, Burn divides the sum by the sum of
/// the labels' weights instead of their number.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use lowland::CrossEntropyConfig;
///
/// let device = Device::flex();
/// let loss = CrossEntropyConfig::new().with_smoothing(0.1).init(&device)?;
/// let logits = Tensor::<2>::from_floats([[2.0, 0.0], [0.5, 1.5]], &device); // [batch, classes]
/// let labels = Tensor::<1, Int>::from_ints([0, 1], &device); // [batch]
/// assert_eq!(loss.forward(logits, labels).dims(), [2]);
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct CrossEntropy {
    smoothing: f64,
    /// One for each class. Not yet a tensor, which in `f64` not every device has.
    weights: Option<Vec<f64>>,
}

impl CrossEntropy {
    /// The loss of each sample, `[batch]`, from logits `[batch, classes]` and labels `[batch]`.
    ///
    /// # Panics
    /// Shapes that do not fit one another, as in Burn's own losses. A label outside `0..classes`,
    /// on backends that check indices (Flex does).
    pub fn forward(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let [_, classes] = logits.dims();
        let log_p = log_softmax(logits, 1); // [batch, classes]
        let log_p = match &self.weights {
            Some(weights) => {
                let data = TensorData::new(weights.clone(), [weights.len()]);
                let weights = Tensor::<1>::from_data(data, (&log_p.device(), log_p.dtype()));
                log_p * weights.reshape([1, classes])
            }
            None => log_p,
        };
        smoothed(log_p, labels, self.smoothing)
    }
}

/// The cross entropy of each sample, `[batch]`, from logits `[batch, classes]` and labels
/// `[batch]`: [`CrossEntropy`] without weights, with a share `smoothing` of a label's weight,
/// between 0 and 1, spread evenly over all classes.
///
/// # Panics
/// Shapes that do not fit one another, as in Burn's own losses. A label outside `0..classes`, on
/// backends that check indices (Flex does).
pub fn cross_entropies(logits: Tensor<2>, labels: Tensor<1, Int>, smoothing: f64) -> Tensor<1> {
    smoothed(log_softmax(logits, 1), labels, smoothing)
}

/// The losses from weighted logarithms of probabilities, `[batch, classes]`.
fn smoothed(log_p: Tensor<2>, labels: Tensor<1, Int>, smoothing: f64) -> Tensor<1> {
    let [batch, _] = log_p.dims();
    let own = log_p.clone().gather(1, labels.reshape([batch, 1])).reshape([batch]);
    if smoothing == 0.0 {
        return own.neg();
    }
    let all = log_p.mean_dim(1).reshape([batch]);
    own.mul_scalar(smoothing - 1.0) - all.mul_scalar(smoothing)
}

#[cfg(test)]
mod tests {
    use burn::nn::loss::CrossEntropyLossConfig;
    use burn::tensor::{DType, Distribution};

    use super::*;

    fn batch(device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
        let logits = Tensor::random([6, 5], Distribution::Normal(0.0, 2.0), (device, DType::F64));
        (logits, Tensor::from_ints([0, 4, 2, 2, 1, 3], device))
    }

    #[test]
    fn the_mean_is_burns_cross_entropy() {
        let device = Device::flex();
        let (logits, labels) = batch(&device);
        // Burn smooths in f32 alone. Each of the 30 products of a logarithm below 20 with a target
        // below 1 is rounded a few times.
        let bound = 30.0 * 20.0 * 4.0 * f64::from(f32::EPSILON);
        for smoothing in [0.0_f32, 0.125, 0.5] {
            let burns = CrossEntropyLossConfig::new()
                .with_smoothing((smoothing > 0.0).then_some(smoothing))
                .init(&device)
                .forward(logits.clone().cast(DType::F32), labels.clone());
            let ours = CrossEntropyConfig::new().with_smoothing(f64::from(smoothing));
            let ours = ours.init(&device).unwrap().forward(logits.clone(), labels.clone()).mean();
            let (burns, ours) = (burns.into_scalar::<f64>(), ours.into_scalar::<f64>());
            assert!((burns - ours).abs() < bound, "{burns} and {ours} at smoothing {smoothing}");
        }
    }

    #[test]
    fn weights_scale_each_class_and_the_weighted_mean_is_burns() {
        let device = Device::flex();
        let (logits, labels) = batch(&device);
        let weights = [0.5_f32, 2.0, 1.0, 0.25, 4.0];
        let burns = CrossEntropyLossConfig::new()
            .with_weights(Some(weights.to_vec()))
            .init(&device)
            .forward(logits.clone().cast(DType::F32), labels.clone())
            .into_scalar::<f64>();
        let config = CrossEntropyConfig::new().with_weights(weights.map(f64::from).to_vec());
        let losses = config.init(&device).unwrap().forward(logits.clone(), labels);
        let of_labels = 0.5 + 4.0 + 1.0 + 1.0 + 2.0 + 0.25;
        let ours = losses.clone().sum().into_scalar::<f64>() / of_labels;
        // Burn's sum of six products in f32, each of at most 4 · 10.
        assert!((burns - ours).abs() < 6.0 * 40.0 * f64::from(f32::EPSILON), "{burns}, {ours}");
        let plain = CrossEntropyConfig::new().init(&device).unwrap();
        let [_, labels] = [0, 1].map(|_| Tensor::from_ints([0, 4, 2, 2, 1, 3], &device));
        let plain = plain.forward(logits, labels).try_into_vec_as::<f64>().unwrap();
        let found = losses.try_into_vec_as::<f64>().unwrap();
        for ((found, plain), class) in found.iter().zip(plain).zip([0, 4, 2, 2, 1, 3]) {
            assert!((found - plain * f64::from(weights[class])).abs() < 1e-12);
        }
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let device = Device::flex();
        let refused = |config: CrossEntropyConfig| config.init(&device).unwrap_err().to_string();
        assert_eq!(
            refused(CrossEntropyConfig::new().with_smoothing(1.5)),
            "smoothing must be between 0 and 1, found 1.5"
        );
        assert_eq!(
            refused(CrossEntropyConfig::new().with_weights(vec![1.0, -1.0])),
            "weights must be finite and at least 0, found -1"
        );
        assert_eq!(
            refused(CrossEntropyConfig::new().with_weights(vec![0.0])),
            "weights must be at least one above 0, found none above 0"
        );
    }
}
