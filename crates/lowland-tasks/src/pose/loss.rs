//! The loss of each person.

use burn::tensor::Tensor;

/// The loss of each person, `[batch]`, from heatmaps `[batch, joints, height, width]` that the
/// network gave and that it should have given, and the weights `[batch, joints]` of the joints:
///
/// ```text
/// loss = Σ over joints of weight · ‖heatmap − target‖² / Σ of weights
/// ```
///
/// With weights of 0 and 1 that is the mean over the joints that are known; it is 0 where none is.
/// The norm is over pixels: where nothing is found yet it is that of a bump, `π·σ²`, whatever the
/// size of the heatmap. The authors' loss (arXiv 1804.06208) is the mean over pixels and all
/// joints, halved, which is thousands of times smaller: too small beside the constant that Burn's
/// `AdamW` divides by.
pub fn heatmap_losses(heatmaps: Tensor<4>, targets: Tensor<4>, weights: Tensor<2>) -> Tensor<1> {
    let [batch, joints, height, width] = heatmaps.dims();
    let squares = (heatmaps - targets).powi_scalar(2);
    let errors = squares.reshape([batch, joints, height * width]).sum_dim(2);
    let errors = errors.reshape([batch, joints]);
    // Weights are 0 or 1: where their sum is below 1, all of them are 0.
    let sums = weights.clone().sum_dim(1).clamp_min(1.0); // [batch, 1]
    ((errors * weights).sum_dim(1) / sums).reshape([batch])
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn a_loss_is_the_mean_over_known_joints() {
        let device = Device::flex();
        // Two people, three joints, heatmaps of 1 by 2.
        let heatmaps = Tensor::from_floats(
            [
                [[[1.0, 2.0]], [[0.0, 0.0]], [[9.0, 9.0]]],
                [[[1.0, 1.0]], [[1.0, 1.0]], [[1.0, 1.0]]],
            ],
            &device,
        );
        let targets = Tensor::from_floats(
            [
                [[[0.0, 0.0]], [[1.0, 0.0]], [[0.0, 0.0]]],
                [[[0.0, 0.0]], [[0.0, 0.0]], [[0.0, 0.0]]],
            ],
            &device,
        );
        let weights = Tensor::from_floats([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]], &device);
        // 1 + 4 and 1, and nobody at all.
        let losses = heatmap_losses(heatmaps, targets, weights).into_data();
        assert_eq!(losses.iter::<f32>().collect::<Vec<_>>(), [3.0, 0.0]);
    }
}
