//! The residual networks that He et al. made for CIFAR: ResNet-20, ResNet-56 and their kin.

use burn::module::Module;
use burn::nn::BatchNorm;
use burn::tensor::{Device, Tensor};

use super::features::spatial_mean;
use super::init::{LayerMaker, at_least_one};
use super::layers::{Conv2d, Linear, normalised_relu};
use super::residual::{BlockKind, ResidualBlock, Shortcut, Stage, stages};
use crate::Result;

/// How deep a [`CifarResNet`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CifarResNetConfig {
    /// n, the blocks of each of the three stages, at least 1; the network has `6n + 2` layers.
    pub blocks: usize,
}

impl CifarResNetConfig {
    /// `ResNet-20`: 269,722 trainable parameters for three channels and ten classes.
    pub const RESNET_20: Self = Self { blocks: 3 };

    /// `ResNet-56`: 853,018 trainable parameters for three channels and ten classes.
    pub const RESNET_56: Self = Self { blocks: 9 };
}

/// The residual network with `6n + 2` weighted layers for images of 32 by 32 (He et al. 2015, arXiv
/// 1512.03385, section 4.2).
///
/// A convolution, then three stages of n blocks with 16, 32 and 64 channels, the mean over the
/// image and a linear layer. The first block of the second and third stage halves the image. Where
/// a block changes shape, its shortcut takes every second pixel and adds channels of zeros (option
/// A), which has no weights.
///
/// Convolutions are 3 by 3 without bias. Their weights are normal with variance `2 / fan-in`.
#[derive(Module, Debug)]
pub struct CifarResNet {
    stem: Conv2d,
    stem_norm: BatchNorm,
    blocks: Vec<ResidualBlock>,
    head: Linear,
}

impl CifarResNetConfig {
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
    ) -> Result<CifarResNet> {
        at_least_one("classes", classes)?;
        at_least_one("channels", channels)?;
        at_least_one("blocks", self.blocks)?;
        let mut layers = LayerMaker::new(seed, device);
        let stem = layers.convolution([channels, 16], 3, 1);
        let stem_norm = layers.batch_norm(16);
        let mut blocks = Vec::new();
        for (from, to) in [(16, 16), (16, 32), (32, 64)] {
            let stage = Stage {
                from,
                width: to,
                stride: if from == to { 1 } else { 2 },
                count: self.blocks,
                kind: BlockKind::Basic,
                shortcut: Shortcut::Padding,
            };
            blocks.extend(stage.blocks(&mut layers));
        }
        Ok(CifarResNet { stem, stem_norm, blocks, head: layers.linear(64, classes) })
    }
}

impl CifarResNet {
    /// Images `[batch, channels, height, width]` to logits `[batch, classes]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = normalised_relu(&self.stem_norm, self.stem.forward(images)); // [batch, 16, height, width]
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x)); // [batch, 64, height / 4, width / 4]
        self.head.forward(spatial_mean(x))
    }

    /// How many blocks each stage has.
    pub(super) fn stages(&self) -> Vec<usize> {
        stages(&self.blocks)
    }
}
