//! Wide residual networks: WRN-28-10, and the larger one that goes by its name in ARSAM's code.

use burn::module::Module;
use burn::nn::BatchNorm;
use burn::tensor::{Device, Tensor};

use super::features::spatial_mean;
use super::init::{LayerMaker, at_least_one};
use super::layers::{Conv2d, Linear, normalised_relu};
use crate::Result;

/// How deep and wide a [`WideResNet`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WideResNetConfig {
    /// n, the blocks of each of the three stages, at least 1; the network has `6n + 4` layers.
    pub blocks: usize,
    /// k, at least 1: the stages have `16k`, `32k` and `64k` channels.
    pub widening: usize,
}

impl WideResNetConfig {
    /// WRN-28-10 as its authors have it: 36,479,194 trainable parameters for three channels and ten
    /// classes.
    pub const WRN_28_10: Self = Self { blocks: 4, widening: 10 };

    /// What the code of ARSAM's authors builds under the name of `WideResNet`-28-10: 46,160,474
    /// trainable parameters for three channels and ten classes. It has five blocks a stage, one
    /// that changes the shape and four more, where WRN-28-10 has four in all; counted as its
    /// authors count, it is WRN-34-10.
    pub const WRN_34_10: Self = Self { blocks: 5, widening: 10 };
}

/// The wide residual network for images of 32 by 32 (Zagoruyko and Komodakis 2016, arXiv
/// 1605.07146).
///
/// A convolution to 16 channels, three stages of n blocks, batch normalisation, `ReLU`, the mean
/// over the image and a linear layer. In a block, normalisation and `ReLU` come before each of two
/// convolutions of 3 by 3; there is no dropout. The first block of each stage widens, that of the
/// second and third stage halves the image too; its shortcut is a convolution of 1 by 1 of what its
/// first normalisation and `ReLU` give.
///
/// Convolutions have no bias. Their weights are normal with variance `2 / fan-in`.
#[derive(Module, Debug)]
pub struct WideResNet {
    stem: Conv2d,
    blocks: Vec<Block>,
    norm: BatchNorm,
    head: Linear,
}

/// A residual block with its normalisation before the convolutions.
#[derive(Module, Debug)]
struct Block {
    first_norm: BatchNorm,
    first: Conv2d,
    second_norm: BatchNorm,
    second: Conv2d,
    shortcut: Option<Conv2d>,
}

impl WideResNetConfig {
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
    ) -> Result<WideResNet> {
        at_least_one("classes", classes)?;
        at_least_one("channels", channels)?;
        at_least_one("blocks", self.blocks)?;
        at_least_one("widening", self.widening)?;
        let mut layers = LayerMaker::new(seed, device);
        let stem = layers.convolution([channels, 16], 3, 1);
        let mut blocks = Vec::new();
        let mut from = 16;
        for (width, stride) in [(16, 1), (32, 2), (64, 2)] {
            let to = width * self.widening;
            blocks.push(Block::new(&mut layers, from, to, stride));
            blocks.extend((1..self.blocks).map(|_| Block::new(&mut layers, to, to, 1)));
            from = to;
        }
        let norm = layers.batch_norm(from);
        Ok(WideResNet { stem, blocks, norm, head: layers.linear(from, classes) })
    }
}

impl WideResNet {
    /// Images `[batch, channels, height, width]` to logits `[batch, classes]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = self.stem.forward(images); // [batch, 16, height, width]
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x)); // [batch, 64k, height / 4, width / 4]
        self.head.forward(spatial_mean(normalised_relu(&self.norm, x)))
    }
}

impl Block {
    fn new(layers: &mut LayerMaker<'_>, from: usize, to: usize, stride: usize) -> Self {
        let changes = stride != 1 || from != to;
        Self {
            first_norm: layers.batch_norm(from),
            first: layers.convolution([from, to], 3, stride),
            second_norm: layers.batch_norm(to),
            second: layers.convolution([to, to], 3, 1),
            shortcut: changes.then(|| layers.convolution([from, to], 1, stride)),
        }
    }

    /// `[batch, from, height, width]` to `[batch, to, height / stride, width / stride]`.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let active = normalised_relu(&self.first_norm, x.clone());
        let y = self.first.forward(active.clone());
        let y = self.second.forward(normalised_relu(&self.second_norm, y));
        let around = match &self.shortcut {
            Some(convolution) => convolution.forward(active),
            None => x,
        };
        lowland_kernels::add(y, around)
    }
}
