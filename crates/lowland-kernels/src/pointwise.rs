//! Activations, softmax and sums.

use burn::tensor::{Tensor, activation};

#[cfg(feature = "flex")]
fn fits<const D: usize>(x: &Tensor<D>) -> bool {
    x.dims().iter().all(|&size| size > 0) && crate::by_kernels(&[(x.device(), x.dtype())])
}

/// GELU with the error function, as Burn's [`gelu`](activation::gelu).
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if fits(&x) {
        return crate::flex::gelu(x);
    }
    activation::gelu(x)
}

/// `ReLU`, as Burn's [`relu`](activation::relu). With `LibTorch` and autodiff, −∞ gives NaN.
pub fn relu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if fits(&x) {
        return crate::flex::relu(x);
    }
    relu_of_burn(x)
}

/// `ReLU` by Burn's operations.
pub(crate) fn relu_of_burn<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "tch")]
    if x.device().is_autodiff() && on_libtorch(&x.device()) {
        // Burn takes the gradient by LibTorch's masked fill, which takes 17 times as long as a
        // product.
        let open = activation::relu(x.clone().detach()).sign();
        return x * open;
    }
    activation::relu(x)
}

#[cfg(feature = "tch")]
fn on_libtorch(device: &burn::tensor::Device) -> bool {
    use burn::backend::DispatchDevice;

    matches!(device.clone().inner().as_dispatch(), DispatchDevice::LibTorch(_))
}

/// The sum of two tensors; kernels add those of the same shape.
pub fn add<const D: usize>(x: Tensor<D>, y: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if x.dims() == y.dims() && x.device() == y.device() && x.dtype() == y.dtype() && fits(&x) {
        return crate::flex::add(x, y);
    }
    x + y
}

/// The softmax along a dimension, as Burn's [`softmax`](activation::softmax); kernels take the
/// last.
///
/// # Panics
///
/// If there is no such dimension, as Burn's own.
pub fn softmax<const D: usize>(x: Tensor<D>, dim: usize) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if dim + 1 == D && fits(&x) {
        return crate::flex::softmax(x, 1.0);
    }
    activation::softmax(x, dim)
}

/// The softmax of `scale · x` along the last dimension: the weights of attention.
///
/// # Panics
///
/// If there is no dimension.
pub fn scaled_softmax<const D: usize>(x: Tensor<D>, scale: f64) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if D > 0 && fits(&x) {
        return crate::flex::softmax(x, scale);
    }
    activation::softmax(x.mul_scalar(scale), D - 1)
}
