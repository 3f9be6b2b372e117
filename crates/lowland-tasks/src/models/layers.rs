//! The layers with weights that the networks are made of: those of Burn, which here can be
//! [quantised](crate::quantise).

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::module::{conv2d, linear};
use burn::tensor::ops::ConvOptions;

use crate::quantise::quantised_input;

/// A convolution over images, without bias.
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
    /// `[batch, from, height, width]` to `[batch, to, height / stride, width / stride]`, where the padding
    /// is half the size of the weights.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let options = ConvOptions::new(self.stride, self.padding, [1, 1], 1);
        conv2d(quantised_input(&self.weight, images), self.weight.val(), None, options)
    }
}

/// A linear layer.
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
        let bias = self.bias.as_ref().map(Param::val);
        linear(quantised_input(&self.weight, x), self.weight.val(), bias)
    }
}

/// The same layer for networks made of Burn's, which cannot be quantised.
impl From<Linear> for burn::nn::Linear {
    fn from(Linear { weight, bias }: Linear) -> Self {
        Self { weight, bias }
    }
}
