//! What several networks do with their features and has no weights.

use burn::tensor::ops::PadMode;
use burn::tensor::{DType, FloatDType, Tensor};

/// The mean over height and width: `[batch, channels, height, width]` to `[batch, channels]`. Of
/// halved numbers it is taken in `f32`.
pub(crate) fn spatial_mean(features: Tensor<4>) -> Tensor<2> {
    let [batch, channels, height, width] = features.dims();
    let features = match features.dtype() {
        DType::F16 | DType::BF16 => features.cast(FloatDType::F32),
        _ => features,
    };
    features.reshape([batch, channels, height * width]).mean_dim(2).reshape([batch, channels])
}

/// The features between `before` and `after` channels of zeros.
pub(crate) fn with_zero_channels(x: Tensor<4>, before: usize, after: usize) -> Tensor<4> {
    if before + after == 0 {
        return x;
    }
    x.pad([(0, 0), (before, after), (0, 0), (0, 0)], PadMode::Constant(0.0))
}
