//! The sizes of a convolution.

/// The sizes of a convolution over images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// Images in the batch.
    pub(crate) images: usize,
    /// Groups of channels that do not see one another.
    pub(crate) groups: usize,
    /// Input channels of a group.
    pub(crate) from: usize,
    /// Output channels of a group.
    pub(crate) to: usize,
    /// Rows and columns of an image.
    pub(crate) size: [usize; 2],
    /// Rows and columns of the weights.
    pub(crate) kernel: [usize; 2],
    /// Rows and columns from one output to the next.
    pub(crate) stride: [usize; 2],
    /// Rows and columns of zeros on each side.
    pub(crate) padding: [usize; 2],
    /// Rows and columns from one tap to the next.
    pub(crate) dilation: [usize; 2],
}

impl Geometry {
    /// Rows and columns of the output.
    pub(crate) fn output(&self) -> [usize; 2] {
        [0, 1].map(|d| {
            let reach = self.dilation[d] * (self.kernel[d] - 1) + 1;
            (self.size[d] + 2 * self.padding[d] + 1).saturating_sub(reach).div_ceil(self.stride[d])
        })
    }

    /// Whether the weights fit into the image with its margins.
    pub(crate) fn has_output(&self) -> bool {
        self.output().iter().all(|&size| size > 0)
    }

    /// The shape of the input.
    pub(crate) fn input_shape(&self) -> [usize; 4] {
        [self.images, self.groups * self.from, self.size[0], self.size[1]]
    }

    /// The shape of the weights.
    pub(crate) fn weight_shape(&self) -> [usize; 4] {
        [self.groups * self.to, self.from, self.kernel[0], self.kernel[1]]
    }

    /// The shape of the output.
    pub(crate) fn output_shape(&self) -> [usize; 4] {
        let [height, width] = self.output();
        [self.images, self.groups * self.to, height, width]
    }

    /// The same convolution with an image as one row, where nothing mixes pixels.
    pub(super) fn flattened(self) -> Self {
        let pointwise = self.kernel == [1, 1] && self.stride == [1, 1] && self.padding == [0, 0];
        if !pointwise {
            return self;
        }
        Self { size: [1, self.size[0] * self.size[1]], ..self }
    }
}
