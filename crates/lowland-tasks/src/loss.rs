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
    use burn::tensor::{DType, Device, Distribution};

    use super::*;

    #[test]
    fn the_mean_is_burns_cross_entropy() {
        let device = Device::flex();
        let logits = Tensor::<2>::random([6, 5], Distribution::Normal(0.0, 2.0), &device);
        let logits = logits.cast(DType::F64);
        let labels = Tensor::<1, Int>::from_ints([0, 4, 2, 2, 1, 3], &device);
        let loss = CrossEntropyLossConfig::new().init(&device);
        let burns = |labels| loss.forward(logits.clone(), labels).into_scalar::<f64>();
        let of_class = |class: i64| burns(Tensor::<1, Int>::from_ints([class; 6], &device));
        for smoothing in [0.0, 0.1, 0.5] {
            // Burn smooths in `f32` alone. What it gives is linear in the labels: those of the samples
            // and, with an equal share each, those of all classes.
            let all = (0..5).map(of_class).sum::<f64>() / 5.0;
            let expected = (1.0 - smoothing) * burns(labels.clone()) + smoothing * all;
            let found = cross_entropies(logits.clone(), labels.clone(), smoothing).mean();
            let found = found.into_scalar::<f64>();
            assert!((found - expected).abs() < 1e-12, "{found}, not {expected} at {smoothing}");
        }
    }
}
