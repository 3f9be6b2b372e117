//! Linear layers.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::Tensor;

/// The forward pass of Burn's [`Linear`]: `[.., features in]` to `[.., features out]`.
///
/// # Panics
///
/// If the features are not those of the layer, as Burn's own.
pub fn linear<const D: usize>(layer: &Linear, x: Tensor<D>) -> Tensor<D> {
    let (weight, bias) = (layer.weight.val(), layer.bias.as_ref().map(Param::val));
    #[cfg(feature = "flex")]
    if fits(&x, &weight, bias.as_ref()) {
        return crate::flex::linear(x, weight, bias);
    }
    burn::tensor::module::linear(x, weight, bias)
}

/// Whether kernels compute it.
#[cfg(feature = "flex")]
fn fits<const D: usize>(x: &Tensor<D>, weight: &Tensor<2>, bias: Option<&Tensor<1>>) -> bool {
    let mut tensors = vec![(x.device(), x.dtype()), (weight.device(), weight.dtype())];
    tensors.extend(bias.map(|bias| (bias.device(), bias.dtype())));
    let [from, to] = weight.dims();
    D >= 2
        && x.dims()[D - 1] == from
        && bias.is_none_or(|bias| bias.dims() == [to])
        && x.dims().iter().chain(&[to]).all(|&size| size > 0)
        && crate::by_kernels(&tensors)
}
