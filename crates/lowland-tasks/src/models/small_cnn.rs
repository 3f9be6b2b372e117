//! A small convolutional network for small images.

use burn::module::Module;
use burn::nn::BatchNorm;
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig, MaxPool2d, MaxPool2dConfig};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::init::{LayerMaker, at_least_one};
use super::layers::{Conv2d, Linear, normalised_relu};
use crate::Result;

/// Rows and columns of what the last layer sees.
const GRID: usize = 4;

/// The widths of a [`SmallCnn`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmallCnnConfig {
    /// Channels after each of the three convolutions, each at least 1. Default: 8, 16 and 32.
    pub widths: [usize; 3],
}

impl SmallCnnConfig {
    /// Wide enough to learn the labels of ten thousand images by heart, wrong ones too: 105,050
    /// trainable parameters for three channels and ten classes.
    pub const WIDE: Self = Self { widths: [16, 64, 128] };
}

impl Default for SmallCnnConfig {
    fn default() -> Self {
        Self { widths: [8, 16, 32] }
    }
}

/// Three convolutions with batch normalisation and `ReLU`, and a linear layer on a grid of 4 by 4.
///
/// ```text
/// convolution 5x5, stride 2                        BatchNorm  ReLU     28x28 -> 14x14
/// convolution 3x3            maximum over 2x2      BatchNorm  ReLU           -> 7x7
/// convolution 3x3, stride 2                        BatchNorm  ReLU           -> 4x4
/// linear
/// ```
///
/// Made to learn something from a few thousand images in seconds on two cores, so the full
/// resolution is left at once. Images of 28 by 28 and 32 by 32 both arrive at 4 by 4; any other
/// size is averaged to it.
#[derive(Module, Debug)]
pub struct SmallCnn {
    first: Conv2d,
    first_norm: BatchNorm,
    second: Conv2d,
    second_pool: MaxPool2d,
    second_norm: BatchNorm,
    third: Conv2d,
    third_norm: BatchNorm,
    grid: AdaptiveAvgPool2d,
    head: Linear,
}

impl SmallCnnConfig {
    /// Makes the network for images of `channels` channels and for `classes` classes. Weights are a
    /// function of `seed` alone.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) if a number is 0.
    pub fn init(
        &self,
        classes: usize,
        channels: usize,
        seed: u64,
        device: &Device,
    ) -> Result<SmallCnn> {
        at_least_one("classes", classes)?;
        at_least_one("channels", channels)?;
        for width in self.widths {
            at_least_one("widths", width)?;
        }
        let mut layers = LayerMaker::new(seed, device);
        let [first, second, third] = self.widths;
        Ok(SmallCnn {
            first: layers.convolution([channels, first], 5, 2),
            first_norm: layers.batch_norm(first),
            second: layers.convolution([first, second], 3, 1),
            // Rounding up keeps a pixel of even the smallest image.
            second_pool: MaxPool2dConfig::new([2, 2])
                .with_strides([2, 2])
                .with_ceil_mode(true)
                .init(),
            second_norm: layers.batch_norm(second),
            third: layers.convolution([second, third], 3, 2),
            third_norm: layers.batch_norm(third),
            grid: AdaptiveAvgPool2dConfig::new([GRID, GRID]).init(),
            head: layers.linear(third * GRID * GRID, classes),
        })
    }
}

impl SmallCnn {
    /// Images `[batch, channels, height, width]` to logits `[batch, classes]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        // a, b and c are the widths.
        let x = normalised_relu(&self.first_norm, self.first.forward(images)); // [batch, a, height / 2, width / 2]
        let x = self.second_pool.forward(self.second.forward(x)); // [batch, b, height / 4, width / 4]
        let x = normalised_relu(&self.second_norm, x);
        let x = normalised_relu(&self.third_norm, self.third.forward(x)); // [batch, c, height / 8, width / 8]
        let [_, _, height, width] = x.dims();
        let x = if [height, width] == [GRID, GRID] { x } else { self.grid.forward(x) };
        self.head.forward(x.flatten::<2>(1, 3)) // [batch, c · 4 · 4] to [batch, classes]
    }
}
