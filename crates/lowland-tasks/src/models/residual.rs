//! The basic residual block of He et al., and stages of them.

use burn::module::Module;
use burn::nn::BatchNorm;
use burn::tensor::Tensor;
use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;

use super::features::with_zero_channels;
use super::init::LayerMaker;
use super::layers::{Conv2d, normalised, normalised_add_relu, normalised_relu};

/// How a block that changes the shape adds its input to its output (arXiv 1512.03385, section 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shortcut {
    /// Option A: every second pixel, and channels of zeros. It has no weights.
    Padding,
    /// Option B: a convolution of 1 by 1 with batch normalisation.
    Projection,
}

/// Two convolutions of 3 by 3 with batch normalisation, and a shortcut around them.
#[derive(Module, Debug)]
pub(crate) struct BasicBlock {
    first: Conv2d,
    first_norm: BatchNorm,
    second: Conv2d,
    second_norm: BatchNorm,
    shortcut: Option<Projection>,
}

/// A shortcut with weights.
#[derive(Module, Debug)]
struct Projection {
    convolution: Conv2d,
    norm: BatchNorm,
}

/// `count` blocks of which the first goes from `from` to `to` channels with a stride.
pub(crate) fn basic_blocks(
    layers: &mut LayerMaker<'_>,
    [from, to]: [usize; 2],
    stride: usize,
    count: usize,
    shortcut: Shortcut,
) -> Vec<BasicBlock> {
    let block = |i| match i {
        0 => BasicBlock::new(layers, [from, to], stride, shortcut),
        _ => BasicBlock::new(layers, [to, to], 1, shortcut),
    };
    (0..count).map(block).collect()
}

impl BasicBlock {
    fn new(
        layers: &mut LayerMaker<'_>,
        [from, to]: [usize; 2],
        stride: usize,
        shortcut: Shortcut,
    ) -> Self {
        let changes = from != to || stride != 1;
        Self {
            first: layers.convolution([from, to], 3, stride),
            first_norm: layers.batch_norm(to),
            second: layers.convolution([to, to], 3, 1),
            second_norm: layers.batch_norm(to),
            shortcut: (changes && shortcut == Shortcut::Projection).then(|| Projection {
                convolution: layers.convolution([from, to], 1, stride),
                norm: layers.batch_norm(to),
            }),
        }
    }

    /// `[batch, from, height, width]` to `[batch, to, height / stride, width / stride]`.
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = normalised_relu(&self.first_norm, self.first.forward(x.clone()));
        let y = self.second.forward(y);
        let around = match &self.shortcut {
            Some(Projection { convolution, norm }) => normalised(norm, convolution.forward(x)),
            None => padded(x, self.first.stride[0], y.dims()[1]),
        };
        normalised_add_relu(&self.second_norm, y, around)
    }
}

/// Every `stride`-th pixel, with zeros on both sides of the channels until there are `channels`.
fn padded(x: Tensor<4>, stride: usize, channels: usize) -> Tensor<4> {
    if stride == 1 {
        return x;
    }
    let missing = channels - x.dims()[1];
    // Means over one pixel each: a slice with steps does the same, but on LibTorch its gradient
    // names every number by its place, and fails where it is a view.
    let thinned = avg_pool2d(x, AvgPoolOptions::new([1, 1]).with_stride([stride; 2]));
    with_zero_channels(thinned, missing / 2, missing - missing / 2)
}
