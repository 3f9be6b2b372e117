//! Losses of single samples: what methods that choose samples need, and what Burn's own loss, which
//! gives the mean alone, does not have.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};

/// The cross entropy of each sample, `[batch]`, from logits `[batch, classes]` and classes
/// `[batch]`.
///
/// `smoothing`, between 0 and 1, is the share of a label's weight that is spread evenly over all
/// classes, its own included, as PyTorch and Burn have it:
///
/// ```text
/// loss = −(1 − smoothing)·log p[label] − smoothing·mean over classes of log p
/// ```
pub fn cross_entropies(logits: Tensor<2>, labels: Tensor<1, Int>, smoothing: f64) -> Tensor<1> {
    let [batch, _classes] = logits.dims();
    let log_p = log_softmax(logits, 1); // [batch, classes]
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
    use burn::tensor::{Device, Distribution};

    use super::*;

    #[test]
    fn the_mean_is_burns_cross_entropy() {
        let device = Device::flex();
        let logits = Tensor::<2>::random([6, 5], Distribution::Normal(0.0, 2.0), &device);
        let labels = Tensor::<1, Int>::from_ints([0, 4, 2, 2, 1, 3], &device);
        for smoothing in [0.0, 0.1, 0.5] {
            #[expect(clippy::cast_possible_truncation, reason = "Burn takes f32")]
            let burns = CrossEntropyLossConfig::new()
                .with_smoothing((smoothing > 0.0).then_some(smoothing as f32))
                .init(&device)
                .forward(logits.clone(), labels.clone());
            let ours = cross_entropies(logits.clone(), labels.clone(), smoothing).mean();
            let (burns, ours) = (burns.into_scalar::<f32>(), ours.into_scalar::<f32>());
            assert!((burns - ours).abs() < 1e-5, "{burns} and {ours} at smoothing {smoothing}");
        }
    }
}
