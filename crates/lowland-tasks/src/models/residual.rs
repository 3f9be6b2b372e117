//! The residual blocks of He et al.: those whose normalisation follows each convolution, basic and
//! bottleneck, with stages of them, and those whose normalisation comes first.

use burn::module::Module;
use burn::nn::BatchNorm;
use burn::nn::pool::{AvgPool2d, AvgPool2dConfig};
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

/// What lies between the ends of a block (arXiv 1512.03385, figure 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BlockKind {
    /// Two convolutions of 3 by 3.
    #[default]
    Basic,
    /// A convolution of 1 by 1 to a quarter of the channels, one of 3 by 3, which has the stride,
    /// and one of 1 by 1 back.
    Bottleneck,
}

impl BlockKind {
    /// The channels that leave a block for each inside it.
    pub(crate) fn expansion(self) -> usize {
        match self {
            Self::Basic => 1,
            Self::Bottleneck => 4,
        }
    }
}

/// Two or three convolutions with batch normalisation, and a shortcut around them.
#[derive(Module, Debug)]
pub(crate) struct ResidualBlock {
    first: Conv2d,
    first_norm: BatchNorm,
    second: Conv2d,
    second_norm: BatchNorm,
    /// The last convolution of a bottleneck.
    third: Option<Conv2d>,
    third_norm: Option<BatchNorm>,
    shortcut: Option<Projection>,
}

/// A shortcut with weights.
#[derive(Module, Debug)]
struct Projection {
    convolution: Conv2d,
    norm: BatchNorm,
}

/// How the blocks of a stage are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stage {
    /// The channels that go in.
    pub(crate) from: usize,
    /// The channels inside a block: those that leave one too, unless it is a bottleneck.
    pub(crate) width: usize,
    /// The stride of the first block.
    pub(crate) stride: usize,
    /// How many blocks there are.
    pub(crate) count: usize,
    /// What they are.
    pub(crate) kind: BlockKind,
    /// How the first one adds its input to its output.
    pub(crate) shortcut: Shortcut,
}

impl Stage {
    /// The channels that leave the stage.
    pub(crate) fn to(&self) -> usize {
        self.width * self.kind.expansion()
    }

    /// The blocks, of which the first changes the shape.
    pub(crate) fn blocks(self, layers: &mut LayerMaker<'_>) -> Vec<ResidualBlock> {
        let block = |i| {
            let stage = if i == 0 { self } else { Self { from: self.to(), stride: 1, ..self } };
            ResidualBlock::new(layers, &stage)
        };
        (0..self.count).map(block).collect()
    }
}

impl ResidualBlock {
    /// The first block of a stage.
    fn new(layers: &mut LayerMaker<'_>, stage: &Stage) -> Self {
        let &Stage { from, width, stride, kind, shortcut, .. } = stage;
        let to = stage.to();
        let changes = from != to || stride != 1;
        let (sizes, strides) = match kind {
            BlockKind::Basic => ([3, 3], [stride, 1]),
            BlockKind::Bottleneck => ([1, 3], [1, stride]),
        };
        let is_deep = kind == BlockKind::Bottleneck;
        Self {
            first: layers.convolution([from, width], sizes[0], strides[0]),
            first_norm: layers.batch_norm(width),
            second: layers.convolution([width, width], sizes[1], strides[1]),
            second_norm: layers.batch_norm(width),
            third: is_deep.then(|| layers.convolution([width, to], 1, 1)),
            third_norm: is_deep.then(|| layers.batch_norm(to)),
            shortcut: (changes && shortcut == Shortcut::Projection).then(|| Projection {
                convolution: layers.convolution([from, to], 1, stride),
                norm: layers.batch_norm(to),
            }),
        }
    }

    /// Rows and columns from one output to the next.
    pub(crate) fn stride(&self) -> usize {
        self.first.stride[0] * self.second.stride[0]
    }

    /// `[batch, from, height, width]` to `[batch, to, height / stride, width / stride]`.
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = normalised_relu(&self.first_norm, self.first.forward(x.clone()));
        let mut y = self.second.forward(y);
        let mut norm = &self.second_norm;
        if let (Some(third), Some(third_norm)) = (&self.third, &self.third_norm) {
            y = third.forward(normalised_relu(norm, y));
            norm = third_norm;
        }
        let around = match &self.shortcut {
            Some(Projection { convolution, norm }) => normalised(norm, convolution.forward(x)),
            None => padded(x, self.stride(), y.dims()[1]),
        };
        normalised_add_relu(norm, y, around)
    }
}

/// Two convolutions of 3 by 3 with batch normalisation before each, and a way around them (arXiv
/// 1603.05027): the block of wide residual networks and of pyramidal ones.
#[derive(Module, Debug)]
pub(crate) struct PreActivatedBlock {
    first_norm: BatchNorm,
    first: Conv2d,
    second_norm: BatchNorm,
    second: Conv2d,
    /// Only in a pyramidal block, which has no `ReLU` before its first convolution.
    last_norm: Option<BatchNorm>,
    /// The shortcut of a wide block that changes the shape, of what the first convolution takes.
    shortcut: Option<Conv2d>,
    /// The shortcut of a pyramidal block that halves the image.
    pool: Option<AvgPool2d>,
}

impl PreActivatedBlock {
    /// The block of a wide residual network.
    pub(crate) fn wide(layers: &mut LayerMaker<'_>, from: usize, to: usize, stride: usize) -> Self {
        let changes = stride != 1 || from != to;
        Self {
            first_norm: layers.batch_norm(from),
            first: layers.convolution([from, to], 3, stride),
            second_norm: layers.batch_norm(to),
            second: layers.convolution([to, to], 3, 1),
            last_norm: None,
            shortcut: changes.then(|| layers.convolution([from, to], 1, stride)),
            pool: None,
        }
    }

    /// The block of a pyramidal residual network.
    pub(crate) fn pyramidal(
        layers: &mut LayerMaker<'_>,
        from: usize,
        to: usize,
        halves: bool,
    ) -> Self {
        let pool = AvgPool2dConfig::new([2, 2]).with_ceil_mode(true);
        Self {
            first_norm: layers.batch_norm(from),
            first: layers.convolution([from, to], 3, if halves { 2 } else { 1 }),
            second_norm: layers.batch_norm(to),
            second: layers.convolution([to, to], 3, 1),
            last_norm: Some(layers.batch_norm(to)),
            shortcut: None,
            pool: halves.then(|| pool.init()),
        }
    }

    /// `[batch, from, height, width]` to `[batch, to, height, width]`, or as the stride has it,
    /// rounded up.
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let (active, around) = match (&self.last_norm, &self.shortcut) {
            (Some(_), _) => (normalised(&self.first_norm, x.clone()), x),
            (None, None) => (normalised_relu(&self.first_norm, x.clone()), x),
            (None, Some(_)) => {
                let active = normalised_relu(&self.first_norm, x);
                (active.clone(), active)
            }
        };
        let y = self.first.forward(active);
        let mut y = self.second.forward(normalised_relu(&self.second_norm, y));
        if let Some(norm) = &self.last_norm {
            y = normalised(norm, y);
        }
        let around = match (&self.shortcut, &self.pool) {
            (Some(convolution), _) => convolution.forward(around),
            (None, Some(pool)) => pool.forward(around),
            (None, None) => around,
        };
        let missing = y.dims()[1] - around.dims()[1];
        lowland_kernels::add(y, with_zero_channels(around, 0, missing))
    }
}

/// How many blocks each stage has, of blocks in a row: a stage begins with a block that has a
/// stride.
pub(crate) fn stages(blocks: &[ResidualBlock]) -> Vec<usize> {
    let mut stages = Vec::new();
    for block in blocks {
        match stages.last_mut() {
            Some(count) if block.stride() == 1 => *count += 1,
            _ => stages.push(1),
        }
    }
    stages
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
