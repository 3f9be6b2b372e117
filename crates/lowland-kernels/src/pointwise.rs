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

/// `ReLU`, as Burn's [`relu`](activation::relu), but NaN stays NaN.
pub fn relu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if fits(&x) {
        return crate::flex::relu(x);
    }
    activation::relu(x)
}

/// The sum of two tensors; kernels add those of the same shape.
pub fn add<const D: usize>(x: Tensor<D>, y: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if x.dims() == y.dims() && x.device() == y.device() && x.dtype() == y.dtype() && fits(&x) {
        return crate::flex::add(x, y);
    }
    x + y
}

/// The softmax along a dimension, as Burn's [`softmax`](activation::softmax); kernels take the last.
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
