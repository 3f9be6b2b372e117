//! PyramidNet-110: a residual network that widens with every block.

use burn::module::Module;
use burn::nn::BatchNorm;
use burn::tensor::{Device, Tensor};

use super::features::spatial_mean;
use super::init::{LayerMaker, at_least_one};
use super::layers::{Conv2d, Linear, normalised, normalised_relu};
use super::residual::PreActivatedBlock;
use crate::Result;

/// How deep and wide a [`PyramidNet`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PyramidNetConfig {
    /// n, the blocks of each of the three stages, at least 1; the network has `6n + 2` layers.
    /// Default 18, which is 110 layers.
    pub blocks: usize,
    /// α, the channels that are added from the first block to the last. Default 270, which is 5 a
    /// block.
    pub alpha: usize,
}

impl Default for PyramidNetConfig {
    fn default() -> Self {
        Self { blocks: 18, alpha: 270 }
    }
}

/// The pyramidal residual network of basic blocks for images of 32 by 32 (Han, Kim and Kim 2016,
/// arXiv 1610.02915).
///
/// A convolution to 16 channels with batch normalisation, three stages of n blocks, batch
/// normalisation, `ReLU`, the mean over the image and a linear layer. Of N = 3n blocks the k-th has
/// `16 + ⌊α·k/N⌋` channels (the additive pyramid). A block is
///
/// ```text
/// BatchNorm  convolution 3x3  BatchNorm  ReLU  convolution 3x3  BatchNorm
/// ```
///
/// and its shortcut adds channels of zeros after those that there are. The first block of the
/// second and third stage halves the image, and its shortcut takes the mean over each 2 by 2
/// pixels, or those of them that there are. PyramidNet-110 with α = 270 has 28,485,477 trainable
/// parameters for three channels and ten classes.
///
/// The paper rounds widths down, its authors' code to the nearest number; where α is a multiple of
/// N, as in the default, there is nothing to round. Convolutions have no bias. Their weights are
/// normal with variance `2 / fan-in`.
#[derive(Module, Debug)]
pub struct PyramidNet {
    stem: Conv2d,
    stem_norm: BatchNorm,
    blocks: Vec<PreActivatedBlock>,
    norm: BatchNorm,
    head: Linear,
}

impl PyramidNetConfig {
    /// Makes the network for images of `channels` channels and for `classes` classes. Weights are a
    /// function of `seed` alone.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) if `classes`, `channels` or `blocks` is 0.
    pub fn init(
        &self,
        classes: usize,
        channels: usize,
        seed: u64,
        device: &Device,
    ) -> Result<PyramidNet> {
        at_least_one("classes", classes)?;
        at_least_one("channels", channels)?;
        at_least_one("blocks", self.blocks)?;
        let mut layers = LayerMaker::new(seed, device);
        let stem = layers.convolution([channels, self.width(0)], 3, 1);
        let stem_norm = layers.batch_norm(self.width(0));
        let blocks = (1..=3 * self.blocks).map(|k| {
            let halves = k == self.blocks + 1 || k == 2 * self.blocks + 1;
            PreActivatedBlock::pyramidal(&mut layers, self.width(k - 1), self.width(k), halves)
        });
        let blocks = blocks.collect();
        let last = self.width(3 * self.blocks);
        let norm = layers.batch_norm(last);
        Ok(PyramidNet { stem, stem_norm, blocks, norm, head: layers.linear(last, classes) })
    }

    /// The channels after `k` blocks.
    fn width(&self, k: usize) -> usize {
        16 + self.alpha * k / (3 * self.blocks)
    }
}

impl PyramidNet {
    /// Images `[batch, channels, height, width]` to logits `[batch, classes]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = normalised(&self.stem_norm, self.stem.forward(images)); // [batch, 16, height, width]
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x)); // [batch, 16 + alpha, height / 4, width / 4]
        self.head.forward(spatial_mean(normalised_relu(&self.norm, x)))
    }
}
