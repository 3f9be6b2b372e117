//! The layers with weights that the networks are made of: those of Burn, which here can be
//! [quantised](crate::quantise).

use burn::module::{Module, Param};
use burn::nn::BatchNorm;
use burn::nn::conv::ConvTranspose2d;
use burn::tensor::Tensor;
use burn::tensor::module::{conv_transpose2d, linear};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};

use crate::quantise::quantised_input;

/// A convolution over images, without bias. It computes in the type of the images, whatever that of
/// the weights.
///
/// Where it is quantised, images and weights are rounded before they meet.
#[derive(Module, Debug)]
pub struct Conv2d {
    /// `[to, from, height, width]`.
    pub weight: Param<Tensor<4>>,
    /// Rows and columns from one output to the next.
    pub stride: [usize; 2],
    /// Rows and columns of zeros on each side of the image.
    pub padding: [usize; 2],
}

impl Conv2d {
    /// `[batch, from, height, width]` to `[batch, to, height / stride, width / stride]`, where the
    /// padding is half the size of the weights.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let options = ConvOptions::new(self.stride, self.padding, [1, 1], 1);
        let images = quantised_input(&self.weight, images);
        let weight = self.weight.val().cast(images.dtype());
        lowland_kernels::convolve(images, weight, None, options)
    }
}

/// A linear layer. It computes in the type of its weights, whatever that of the input.
///
/// Where it is quantised, input and weights are rounded before they meet; the bias is not.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[from, to]`.
    pub weight: Param<Tensor<2>>,
    /// `[to]`.
    pub bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// `[.., from]` to `[.., to]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let (weight, bias) = (self.weight.val(), self.bias.as_ref().map(Param::val));
        linear(quantised_input(&self.weight, x.cast(weight.dtype())), weight, bias)
    }
}

/// The same layer for networks made of Burn's, which cannot be quantised.
impl From<Linear> for burn::nn::Linear {
    fn from(Linear { weight, bias }: Linear) -> Self {
        Self { weight, bias }
    }
}

/// Batch normalisation in the type of its weights, back in the type of the features
/// `[batch, channels, height, width]`.
pub(crate) fn normalised(norm: &BatchNorm, features: Tensor<4>) -> Tensor<4> {
    let dtype = features.dtype();
    lowland_kernels::batch_norm(norm, features.cast(norm.gamma.val().dtype())).cast(dtype)
}

/// [`normalised`] and `ReLU`.
pub(crate) fn normalised_relu(norm: &BatchNorm, features: Tensor<4>) -> Tensor<4> {
    let dtype = features.dtype();
    lowland_kernels::batch_norm_relu(norm, features.cast(norm.gamma.val().dtype())).cast(dtype)
}

/// [`normalised`] features and `around` added, and `ReLU`: the end of a residual block.
pub(crate) fn normalised_add_relu(
    norm: &BatchNorm,
    features: Tensor<4>,
    around: Tensor<4>,
) -> Tensor<4> {
    if features.dtype() == norm.gamma.val().dtype() {
        return lowland_kernels::batch_norm_add_relu(norm, features, around);
    }
    // In halves of the precision the sum is one of halves.
    lowland_kernels::relu(normalised(norm, features) + around)
}

/// A transposed convolution without bias, in the type of the features.
pub(crate) fn transposed(convolution: &ConvTranspose2d, features: Tensor<4>) -> Tensor<4> {
    let options = ConvTransposeOptions::new(
        convolution.stride,
        convolution.padding,
        convolution.padding_out,
        convolution.dilation,
        convolution.groups,
    );
    let weight = convolution.weight.val().cast(features.dtype());
    conv_transpose2d(features, weight, None, options)
}
