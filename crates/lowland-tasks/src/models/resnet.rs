//! ResNet-18 with the stem for CIFAR.

use burn::module::Module;
use burn::nn::BatchNorm;
use burn::tensor::{Device, Tensor};

use super::features::spatial_mean;
use super::init::{LayerMaker, at_least_one};
use super::layers::{Conv2d, Linear, normalised_relu};
use super::residual::{BasicBlock, Shortcut, basic_blocks};
use crate::Result;

/// How deep a [`ResNet`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResNetConfig {
    /// The blocks of each of the four stages, each at least 1. Default: 2, 2, 2 and 2, which is
    /// `ResNet-18`; 3, 4, 6 and 3 is `ResNet-34`.
    pub blocks: [usize; 4],
}

impl Default for ResNetConfig {
    fn default() -> Self {
        Self { blocks: [2; 4] }
    }
}

/// The residual network of basic blocks that He et al. made for `ImageNet` (2015, arXiv 1512.03385,
/// table 1), with the usual stem for CIFAR: a convolution of 3 by 3 that keeps the size of the
/// image, in place of one of 7 by 7 and a pool that divide it by four.
///
/// Four stages with 64, 128, 256 and 512 channels, the mean over the image and a linear layer. The
/// first block of the second, third and fourth stage halves the image; its shortcut is a
/// convolution of 1 by 1 with batch normalisation (option B). `ResNet-18` has 11,173,962 trainable
/// parameters for three channels and ten classes.
///
/// Convolutions have no bias. Their weights are normal with variance `2 / fan-in`.
#[derive(Module, Debug)]
pub struct ResNet {
    stem: Conv2d,
    stem_norm: BatchNorm,
    blocks: Vec<BasicBlock>,
    head: Linear,
}

impl ResNetConfig {
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
    ) -> Result<ResNet> {
        at_least_one("classes", classes)?;
        at_least_one("channels", channels)?;
        for blocks in self.blocks {
            at_least_one("blocks", blocks)?;
        }
        let mut layers = LayerMaker::new(seed, device);
        let stem = layers.convolution([channels, 64], 3, 1);
        let stem_norm = layers.batch_norm(64);
        let mut blocks = Vec::new();
        let stages = [(64, 64), (64, 128), (128, 256), (256, 512)];
        for ((from, to), count) in stages.into_iter().zip(self.blocks) {
            let stride = if from == to { 1 } else { 2 };
            blocks.extend(basic_blocks(
                &mut layers,
                [from, to],
                stride,
                count,
                Shortcut::Projection,
            ));
        }
        Ok(ResNet { stem, stem_norm, blocks, head: layers.linear(512, classes) })
    }
}

impl ResNet {
    /// Images `[batch, channels, height, width]` to logits `[batch, classes]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = normalised_relu(&self.stem_norm, self.stem.forward(images)); // [batch, 64, height, width]
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x)); // [batch, 512, height / 8, width / 8]
        self.head.forward(spatial_mean(x))
    }
}
