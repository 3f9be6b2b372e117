//! Wide residual networks: WRN-28-10, and the larger one that goes by its name in ARSAM's code.

use burn::module::Module;
use burn::nn::BatchNorm;
use burn::tensor::{Device, Tensor};

use super::features::spatial_mean;
use super::init::{LayerMaker, at_least_one};
use super::layers::{Conv2d, Linear, normalised_relu};
use super::residual::PreActivatedBlock;
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
    blocks: Vec<PreActivatedBlock>,
    norm: BatchNorm,
    head: Linear,
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
            blocks.push(PreActivatedBlock::wide(&mut layers, from, to, stride));
            blocks
                .extend((1..self.blocks).map(|_| PreActivatedBlock::wide(&mut layers, to, to, 1)));
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
