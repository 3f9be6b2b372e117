//! Convolutions of images.

use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;
use burn::tensor::ops::ConvOptions;

/// The forward pass of Burn's [`Conv2d`]: `[batch, channels in, height, width]` to
/// `[batch, channels out, height out, width out]`.
///
/// # Panics
///
/// If the channels are not those of the layer, as Burn's own.
pub fn conv2d(layer: &Conv2d, input: Tensor<4>) -> Tensor<4> {
    let [_, _, height, width] = input.dims();
    let sizes = [height, width];
    let padding = match layer.padding {
        PaddingConfig2d::Valid => [(0, 0); 2],
        PaddingConfig2d::Explicit(top, left, bottom, right) => [(top, bottom), (left, right)],
        PaddingConfig2d::Same => {
            [0, 1].map(|d| same(sizes[d], layer.kernel_size[d], layer.stride[d]))
        }
    };
    let options =
        ConvOptions::new_with_padding(layer.stride, padding, layer.dilation, layer.groups);
    let bias = layer.bias.as_ref().map(burn::module::Param::val);
    convolve(input, layer.weight.val(), bias, options)
}

/// Zeros before and after, so that there is an output for each stride.
fn same(size: usize, kernel: usize, stride: usize) -> (usize, usize) {
    let total = (size.div_ceil(stride).saturating_sub(1) * stride + kernel).saturating_sub(size);
    (total / 2, total - total / 2)
}

/// Burn's [`conv2d`](burn::tensor::module::conv2d): images `[batch, channels in, height, width]`,
/// weights `[channels out, channels in / groups, kernel height, kernel width]`, bias
/// `[channels out]`.
///
/// # Panics
///
/// If the shapes do not fit one another, as Burn's own.
pub fn convolve(
    input: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: impl Into<ConvOptions<2>>,
) -> Tensor<4> {
    let options = options.into();
    #[cfg(feature = "flex")]
    if let Some(geometry) = geometry(&input, &weight, bias.as_ref(), &options) {
        return crate::flex::convolve(input, weight, bias, geometry);
    }
    burn::tensor::module::conv2d(input, weight, bias, options)
}

/// The sizes, where kernels compute it; none where Burn does, or refuses the shapes.
#[cfg(feature = "flex")]
fn geometry(
    input: &Tensor<4>,
    weight: &Tensor<4>,
    bias: Option<&Tensor<1>>,
    options: &ConvOptions<2>,
) -> Option<crate::kernel::convolution::Geometry> {
    use crate::kernel::convolution::Geometry;

    /// With fewer output channels in a group, most of a vector would be empty.
    const LEAST: usize = 4;

    let mut tensors = vec![(input.device(), input.dtype()), (weight.device(), weight.dtype())];
    tensors.extend(bias.map(|bias| (bias.device(), bias.dtype())));
    let [images, channels, height, width] = input.dims();
    let [to, from, rows, columns] = weight.dims();
    let groups = options.groups;
    let fits = groups > 0
        && to.is_multiple_of(groups)
        && channels == from * groups
        && bias.is_none_or(|bias| bias.dims() == [to])
        && options.padding.iter().all(|(before, after)| before == after);
    let geometry = Geometry {
        images,
        groups,
        from,
        to: to / groups.max(1),
        size: [height, width],
        kernel: [rows, columns],
        stride: options.stride,
        padding: options.padding.map(|(before, _)| before),
        dilation: options.dilation,
    };
    let sizes = [images, from, to, height, width, rows, columns, geometry.stride[0]];
    let proper = sizes.iter().all(|&size| size > 0) && geometry.stride[1] > 0;
    let worth = groups == 1 || geometry.to >= LEAST;
    (fits && proper && worth && geometry.has_output() && crate::by_kernels(&tensors))
        .then_some(geometry)
}
