//! Where a convolution finds its numbers: the layout of padded images, and outputs as correlations.

use super::Geometry;

/// How an image with its margins lies in memory: `[channel][row][phase][column]`.
///
/// A row holds first all columns whose number is 0 modulo the stride, then those with 1, and so on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Rows and columns of the image.
    pub(super) size: [usize; 2],
    /// Rows and columns of zeros before the image; below 0, what is left out of it.
    pub(super) margin: [isize; 2],
    /// Rows with margins.
    pub(super) rows: usize,
    /// Of so many rows the first few are read at all.
    pub(super) row_step: usize,
    /// How many of them.
    pub(super) row_phases: usize,
    /// From one column of a part to the next in the image.
    pub(super) step: usize,
    /// Parts of a row that are read at all.
    pub(super) phases: usize,
    /// Columns of a part.
    pub(super) columns: usize,
}

impl Layout {
    /// From one row to the next.
    pub(super) fn pitch(&self) -> usize {
        self.phases * self.columns
    }

    /// From one channel to the next.
    pub(super) fn plane(&self) -> usize {
        self.rows * self.pitch()
    }

    /// Whether this is how the image lies already.
    pub(super) fn is_plain(&self) -> bool {
        self.step == 1 && self.margin == [0, 0] && [self.rows, self.columns] == self.size
    }
}

/// A part of the output for which the same taps count: all of it, or for a gradient of the input
/// every stride-th row and column.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Rows and columns.
    pub(super) grid: [usize; 2],
    /// The first pixel in the output plane.
    pub(super) start: usize,
    /// From one row, and from one column, to the next in the output plane.
    pub(super) steps: [usize; 2],
    /// Number of the tap among the weights, and its place in the padded plane for the first pixel.
    pub(super) taps: Vec<(usize, usize)>,
    /// From one row to the next in the padded plane.
    pub(super) pitch: usize,
}

/// A convolution as correlations over padded images.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) images: usize,
    pub(super) groups: usize,
    /// Input channels of a group.
    pub(super) from: usize,
    /// Output channels of a group.
    pub(super) to: usize,
    /// From one input channel, and from one output channel, to the next in the weights.
    pub(super) weight_steps: [usize; 2],
    /// Numbers in an output plane.
    pub(super) pixels: usize,
    pub(super) layout: Layout,
    pub(super) parts: Vec<Part>,
}

impl Plan {
    /// The convolution itself.
    pub(super) fn forward(geometry: &Geometry) -> Self {
        let geometry = geometry.flattened();
        let Geometry { images, groups, from, to, size, kernel, stride, padding, dilation } =
            geometry;
        let grid = geometry.output();
        let reach =
            |d: usize| grid[d].saturating_sub(1) * stride[d] + dilation[d] * (kernel[d] - 1) + 1;
        // Without margins, and with all columns in their order, the image is used where it lies.
        let plain = padding == [0, 0] && stride[1] == 1;
        let phases = |d: usize| {
            let used = (0..kernel[d]).map(|t| t * dilation[d] % stride[d] + 1);
            used.max().unwrap_or(1)
        };
        let layout = Layout {
            size,
            margin: padding.map(usize::cast_signed),
            rows: if plain { size[0] } else { reach(0) },
            row_step: stride[0],
            row_phases: phases(0),
            step: stride[1],
            phases: phases(1),
            columns: if plain { size[1] } else { reach(1).div_ceil(stride[1]) },
        };
        let taps = taps(kernel).map(|[y, x]| {
            let column = x * dilation[1];
            let phase = column % stride[1] * layout.columns;
            let place = y * dilation[0] * layout.pitch() + phase + column / stride[1];
            (y * kernel[1] + x, place)
        });
        let part = Part {
            grid,
            start: 0,
            steps: [grid[1], 1],
            taps: taps.collect(),
            pitch: stride[0] * layout.pitch(),
        };
        Self {
            images,
            groups,
            from,
            to,
            weight_steps: [kernel[0] * kernel[1], from * kernel[0] * kernel[1]],
            pixels: grid[0] * grid[1],
            layout,
            parts: vec![part],
        }
    }

    /// From the gradient of the output to that of the input.
    pub(super) fn input_gradient(geometry: &Geometry) -> Self {
        let geometry = geometry.flattened();
        let Geometry { images, groups, from, to, size, kernel, stride, padding, dilation } =
            geometry;
        let output = geometry.output();
        // Input pixel s·u + a takes the gradient of output u + shift from the tap at t, where
        // s·shift = a + padding − dilation·t has a whole solution.
        let shift = |d: usize, a: usize, t: usize| {
            let distance = (a + padding[d]).cast_signed() - (dilation[d] * t).cast_signed();
            let s = stride[d].cast_signed();
            (distance % s == 0).then(|| distance / s)
        };
        let shifts = |d: usize| {
            let all = (0..stride[d].min(size[d]))
                .flat_map(move |a| (0..kernel[d]).filter_map(move |t| shift(d, a, t)));
            let least = all.clone().min().unwrap_or(0);
            (least, all.max().unwrap_or(0))
        };
        let bounds = [shifts(0), shifts(1)];
        let margin = bounds.map(|(least, _)| -least);
        let extent = |d: usize| {
            let last = size[d].saturating_sub(1) / stride[d];
            (last.cast_signed() + bounds[d].1 + margin[d]).unsigned_abs() + 1
        };
        let layout = Layout {
            size: output,
            margin,
            rows: extent(0),
            row_step: 1,
            row_phases: 1,
            step: 1,
            phases: 1,
            columns: extent(1),
        };
        let mut parts = Vec::new();
        for a in 0..stride[0].min(size[0]) {
            for b in 0..stride[1].min(size[1]) {
                let taps = taps(kernel).filter_map(|[y, x]| {
                    let row = shift(0, a, y)? + margin[0];
                    let column = shift(1, b, x)? + margin[1];
                    let place = row.unsigned_abs() * layout.pitch() + column.unsigned_abs();
                    Some((y * kernel[1] + x, place))
                });
                parts.push(Part {
                    grid: [(size[0] - a).div_ceil(stride[0]), (size[1] - b).div_ceil(stride[1])],
                    start: a * size[1] + b,
                    steps: [stride[0] * size[1], stride[1]],
                    taps: taps.collect(),
                    pitch: layout.pitch(),
                });
            }
        }
        Self {
            images,
            groups,
            from: to,
            to: from,
            weight_steps: [from * kernel[0] * kernel[1], kernel[0] * kernel[1]],
            pixels: size[0] * size[1],
            layout,
            parts,
        }
    }
}

fn taps(kernel: [usize; 2]) -> impl Iterator<Item = [usize; 2]> {
    (0..kernel[0]).flat_map(move |y| (0..kernel[1]).map(move |x| [y, x]))
}
