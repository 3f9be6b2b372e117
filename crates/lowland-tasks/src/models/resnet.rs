//! The ResNets of `ImageNet`: with their own stem, as published weights have it, and with one for
//! CIFAR.

use burn::module::Module;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, PaddingConfig2d};
use burn::tensor::{Device, Tensor};

use super::features::spatial_mean;
use super::init::{LayerMaker, at_least_one};
use super::layers::{Conv2d, Linear, normalised_relu};
use super::residual::{BlockKind, ResidualBlock, Shortcut, Stage, stages};
use crate::Result;

/// What a [`ResNet`] does before its first block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResNetStem {
    /// A convolution of 3 by 3 that keeps the size of the image: the usual one for CIFAR.
    #[default]
    Cifar,
    /// A convolution of 7 by 7 with stride 2 and the maximum over 3 by 3 pixels with stride 2,
    /// which divide the image by four.
    ImageNet,
}

/// How deep a [`ResNet`] is, and for which images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResNetConfig {
    /// The blocks of each of the four stages, each at least 1.
    pub blocks: [usize; 4],
    /// What they are.
    pub kind: BlockKind,
    /// What comes before them.
    pub stem: ResNetStem,
}

impl ResNetConfig {
    /// `ResNet-18` with the stem for CIFAR: 11,173,962 trainable parameters for three channels and
    /// ten classes.
    pub const CIFAR_18: Self =
        Self { blocks: [2; 4], kind: BlockKind::Basic, stem: ResNetStem::Cifar };

    /// `ResNet-18` of `ImageNet`: 11,689,512 trainable parameters for 1000 classes.
    pub const IMAGENET_18: Self = Self { stem: ResNetStem::ImageNet, ..Self::CIFAR_18 };

    /// `ResNet-34` of `ImageNet`: 21,797,672 trainable parameters for 1000 classes.
    pub const IMAGENET_34: Self = Self { blocks: [3, 4, 6, 3], ..Self::IMAGENET_18 };

    /// `ResNet-50` of `ImageNet`, with the stride on the convolution of 3 by 3 as torchvision has
    /// it: 25,557,032 trainable parameters for 1000 classes.
    pub const IMAGENET_50: Self = Self { kind: BlockKind::Bottleneck, ..Self::IMAGENET_34 };
}

/// The residual network that He et al. made for `ImageNet` (2015, arXiv 1512.03385, table 1).
///
/// A [stem](ResNetStem), four stages with 64, 128, 256 and 512 channels inside their blocks, the
/// mean over the image and a linear layer. The first block of the second, third and fourth stage
/// halves the image; where a block changes the shape, its shortcut is a convolution of 1 by 1 with
/// batch normalisation (option B).
///
/// With the stem for `ImageNet` it is the network of torchvision, whose weights it takes: its
/// weights are written under torchvision's names.
///
/// Convolutions have no bias. Their weights are normal with variance `2 / fan-in`.
#[derive(Module, Debug)]
pub struct ResNet {
    stem: Conv2d,
    stem_norm: BatchNorm,
    pool: Option<MaxPool2d>,
    blocks: Vec<ResidualBlock>,
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
        let stem = match self.stem {
            ResNetStem::Cifar => layers.convolution([channels, 64], 3, 1),
            ResNetStem::ImageNet => layers.convolution([channels, 64], 7, 2),
        };
        let stem_norm = layers.batch_norm(64);
        let pool = MaxPool2dConfig::new([3, 3])
            .with_strides([2, 2])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1));
        let pool = (self.stem == ResNetStem::ImageNet).then(|| pool.init());
        let (mut blocks, mut from) = (Vec::new(), 64);
        for (stage, &count) in self.blocks.iter().enumerate() {
            let stage = Stage {
                from,
                width: 64 << stage,
                stride: if stage == 0 { 1 } else { 2 },
                count,
                kind: self.kind,
                shortcut: Shortcut::Projection,
            };
            from = stage.to();
            blocks.extend(stage.blocks(&mut layers));
        }
        Ok(ResNet { stem, stem_norm, pool, blocks, head: layers.linear(from, classes) })
    }
}

impl ResNet {
    /// Images `[batch, channels, height, width]` to logits `[batch, classes]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = normalised_relu(&self.stem_norm, self.stem.forward(images)); // [batch, 64, …, …]
        let x = match &self.pool {
            Some(pool) => pool.forward(x), // [batch, 64, height / 4, width / 4]
            None => x,
        };
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x)); // [batch, 512 · expansion, …, …]
        self.head.forward(spatial_mean(x))
    }

    /// How many blocks each stage has.
    pub(super) fn stages(&self) -> Vec<usize> {
        stages(&self.blocks)
    }
}
