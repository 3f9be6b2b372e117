//! A residual network that is made smaller and larger again: one heatmap a joint.

use burn::module::Module;
use burn::nn::conv::{self, ConvTranspose2d};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, PaddingConfig2d};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::models::Conv2d;
use crate::models::init::{LayerMaker, at_least_one};
use crate::models::layers::{normalised_relu, transposed};
use crate::models::residual::{BlockKind, ResidualBlock, Shortcut, Stage};
use crate::{Error, Result};

/// The standard deviation of the last layer's weights at the start.
const LAST_DEVIATION: f64 = 0.001;

/// How the network begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stem {
    /// A convolution of 7 by 7 and the highest of 3 by 3 pixels, both with stride 2, as He et al.
    /// have it for large images. The first stage keeps the size.
    Large,
    /// A convolution of 3 by 3 with stride 2. The first stage halves the size too.
    Small,
}

/// The size of a [`PoseNet`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoseNetConfig {
    /// How it begins.
    pub stem: Stem,
    /// Channels of the first stage, at least 1. Each further stage has twice as many.
    pub width: usize,
    /// Blocks of each stage, at least 1; there are 1 to 4 stages.
    pub blocks: Vec<usize>,
    /// Channels of the transposed convolutions, at least 1.
    pub head: usize,
}

impl PoseNetConfig {
    /// For images of 64 by 64 on a CPU: a small stem, then three stages of one block, so that 4 by
    /// 4 pixels are left at the narrowest place. With a fourth, what is learned in a few epochs is
    /// less.
    pub fn small() -> Self {
        Self { stem: Stem::Small, width: 32, blocks: vec![1, 1, 1], head: 32 }
    }

    /// The ResNet-18 of He et al. (arXiv 1512.03385) with the head of Xiao et al. (arXiv
    /// 1804.06208).
    pub fn resnet18() -> Self {
        Self { stem: Stem::Large, width: 64, blocks: vec![2, 2, 2, 2], head: 256 }
    }

    /// How many pixels of the image a side of a pixel is at the narrowest place: height and width
    /// of images must be multiples of it.
    pub fn stride(&self) -> usize {
        2 << self.blocks.len()
    }

    /// Makes the network for `joints` joints. Weights are a function of `seed` alone.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if there are not 1 to 4 stages, or another number is 0.
    pub fn init(&self, joints: usize, seed: u64, device: &Device) -> Result<PoseNet> {
        let numbers = [("joints", joints), ("width", self.width), ("head", self.head)];
        for (field, value) in numbers {
            at_least_one(field, value)?;
        }
        self.blocks.iter().try_for_each(|&blocks| at_least_one("blocks", blocks))?;
        let stages = self.blocks.len();
        if !(1..=4).contains(&stages) {
            let found = stages.to_string();
            return Err(Error::Setting { field: "stages", found, allowed: "between 1 and 4" });
        }

        let mut layers = LayerMaker::new(seed, device);
        let (kernel, first_stride) = match self.stem {
            Stem::Large => (7, 1),
            Stem::Small => (3, 2),
        };
        let stem = layers.convolution([3, self.width], kernel, 2);
        let stem_norm = layers.batch_norm(self.width);
        let (mut blocks, mut from) = (Vec::new(), self.width);
        for (stage, &count) in self.blocks.iter().enumerate() {
            let stage = Stage {
                from,
                width: self.width << stage,
                stride: if stage == 0 { first_stride } else { 2 },
                count,
                kind: BlockKind::Basic,
                shortcut: Shortcut::Projection,
            };
            from = stage.to();
            blocks.extend(stage.blocks(&mut layers));
        }
        let mut doublings = Vec::new();
        for _ in 1..stages {
            doublings.push(Doubling::new(&mut layers, [from, self.head]));
            from = self.head;
        }
        let last = layers.pointwise([from, joints], LAST_DEVIATION);
        let pool = MaxPool2dConfig::new([3, 3])
            .with_strides([2, 2])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1));
        let pool = (self.stem == Stem::Large).then(|| pool.init());
        Ok(PoseNet { stem, stem_norm, pool, blocks, doublings, last })
    }
}

/// A residual network with transposed convolutions on top, which gives a heatmap for each joint:
/// the "simple baseline" of Xiao et al. (2018, arXiv 1804.06208).
///
/// Blocks are two convolutions of 3 by 3; where one changes shape, its shortcut is a convolution of
/// 1 by 1 (option B of arXiv 1512.03385). Stages end at `1 / stride` of the image, see
/// [`PoseNetConfig::stride`]; transposed convolutions of 4 by 4, each with BatchNorm and ReLU,
/// double it until it is a quarter, and a convolution of 1 by 1 makes heatmaps of it.
///
/// Convolutions have no bias but the last. Their weights are normal with variance `2 / fan-in`,
/// those of the last layer with the standard deviation 0.001, as the authors have it. They begin
/// transposed convolutions with 0.001 too, which behind BatchNorm gives the same heatmaps; a
/// sharpness-aware step of a given length would then move hardly anything but these small weights.
/// Nor is the backbone pretrained here.
#[derive(Module, Debug)]
pub struct PoseNet {
    stem: Conv2d,
    stem_norm: BatchNorm,
    pool: Option<MaxPool2d>,
    blocks: Vec<ResidualBlock>,
    doublings: Vec<Doubling>,
    last: conv::Conv2d,
}

impl PoseNet {
    /// Images `[batch, 3, height, width]` to heatmaps `[batch, joints, height / 4, width / 4]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let x = normalised_relu(&self.stem_norm, self.stem.forward(images)); // [batch, width, height / 2, width / 2]
        let x = match &self.pool {
            Some(pool) => pool.forward(x),
            None => x,
        };
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x)); // [batch, …, height / stride, width / stride]
        let x = self.doublings.iter().fold(x, |x, doubling| doubling.forward(x)); // [batch, head, height / 4, width / 4]
        lowland_kernels::conv2d(&self.last, x.cast(self.last.weight.val().dtype()))
    }
}

/// A transposed convolution with what follows it.
#[derive(Module, Debug)]
struct Doubling {
    convolution: ConvTranspose2d,
    norm: BatchNorm,
}

impl Doubling {
    fn new(layers: &mut LayerMaker<'_>, channels: [usize; 2]) -> Self {
        Self { convolution: layers.doubling(channels), norm: layers.batch_norm(channels[1]) }
    }

    /// `[batch, from, height, width]` to `[batch, to, 2 · height, 2 · width]`.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        normalised_relu(&self.norm, transposed(&self.convolution, x))
    }
}
