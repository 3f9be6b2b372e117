//! The ResNet-20 that He et al. made for CIFAR.

use burn::module::Module;
use burn::nn::BatchNorm;
use burn::tensor::activation::relu;
use burn::tensor::ops::PadMode;
use burn::tensor::{Device, Tensor, s};

use super::init::{LayerMaker, at_least_one};
use super::layers::{Conv2d, Linear};
use crate::Result;

/// The residual network with 20 weighted layers for images of 32 by 32 (He et al. 2015, arXiv
/// 1512.03385, section 4.2).
///
/// A convolution, then three stages of three blocks with 16, 32 and 64 channels, the mean over the
/// image and a linear layer. The first block of the second and third stage halves the image. Where
/// a block changes shape, its shortcut takes every second pixel and adds channels of zeros (option
/// A), which has no weights: 269,722 trainable numbers for three channels and ten classes.
///
/// Convolutions are 3 by 3 without bias. Their weights are normal with variance `2 / fan-in`.
#[derive(Module, Debug)]
pub struct ResNet20 {
    stem: Conv2d,
    stem_norm: BatchNorm,
    blocks: Vec<Block>,
    head: Linear,
}

/// Two convolutions, and the way around them.
#[derive(Module, Debug)]
struct Block {
    first: Conv2d,
    first_norm: BatchNorm,
    second: Conv2d,
    second_norm: BatchNorm,
}

impl ResNet20 {
    /// Makes the network for images of `channels` channels and for `classes` classes. Weights are a
    /// function of `seed` alone.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) if `classes` or `channels` is 0.
    pub fn init(classes: usize, channels: usize, seed: u64, device: &Device) -> Result<Self> {
        at_least_one("classes", classes)?;
        at_least_one("channels", channels)?;
        let mut layers = LayerMaker::new(seed, device);
        let stem = layers.convolution([channels, 16], 3, 1);
        let stem_norm = layers.batch_norm(16);
        let mut blocks = Vec::new();
        for (from, to) in [(16, 16), (16, 32), (32, 64)] {
            let stride = if from == to { 1 } else { 2 };
            blocks.push(Block::new(&mut layers, from, to, stride));
            blocks.push(Block::new(&mut layers, to, to, 1));
            blocks.push(Block::new(&mut layers, to, to, 1));
        }
        Ok(Self { stem, stem_norm, blocks, head: layers.linear(64, classes) })
    }

    /// Images `[batch, channels, height, width]` to logits `[batch, classes]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = relu(self.stem_norm.forward(self.stem.forward(images))); // [batch, 16, height, width]
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x)); // [batch, 64, height / 4, width / 4]
        self.head.forward(spatial_mean(x))
    }
}

impl Block {
    fn new(layers: &mut LayerMaker<'_>, from: usize, to: usize, stride: usize) -> Self {
        Self {
            first: layers.convolution([from, to], 3, stride),
            first_norm: layers.batch_norm(to),
            second: layers.convolution([to, to], 3, 1),
            second_norm: layers.batch_norm(to),
        }
    }

    /// `[batch, from, height, width]` to `[batch, to, height / stride, width / stride]`.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = relu(self.first_norm.forward(self.first.forward(x.clone())));
        let y = self.second_norm.forward(self.second.forward(y));
        let channels = y.dims()[1];
        relu(y + shortcut(x, self.first.stride[0], channels))
    }
}

/// Every `stride`-th pixel, with zeros on both sides of the channels until there are `channels`
/// (option A).
fn shortcut(x: Tensor<4>, stride: usize, channels: usize) -> Tensor<4> {
    if stride == 1 {
        return x;
    }
    let missing = channels - x.dims()[1];
    let step = isize::try_from(stride).expect("a stride is a small number");
    let thinned = x.slice(s![.., .., 0..;step, 0..;step]);
    let padding = [(0, 0), (missing / 2, missing - missing / 2), (0, 0), (0, 0)];
    thinned.pad(padding, PadMode::Constant(0.0))
}

/// The mean over height and width: `[batch, channels, height, width]` to `[batch, channels]`.
fn spatial_mean(features: Tensor<4>) -> Tensor<2> {
    let [batch, channels, height, width] = features.dims();
    features.reshape([batch, channels, height * width]).mean_dim(2).reshape([batch, channels])
}
