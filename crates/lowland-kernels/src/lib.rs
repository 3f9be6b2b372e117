//! Layers for training on the CPU: Burn's, computed by kernels of their own on the backend Flex.
//!
//! Each function takes a layer of [`burn::nn`], or the tensors of one, and returns what Burn's own
//! forward pass returns, up to rounding, with gradients. Records, configurations and optimizers see
//! Burn's modules and nothing else.
//!
//! ```
//! use burn::nn::conv::Conv2dConfig;
//! use burn::nn::{BatchNormConfig, PaddingConfig2d};
//! use burn::tensor::{Device, Distribution, Tensor};
//!
//! let device = Device::flex().autodiff();
//! let convolution = Conv2dConfig::new([3, 8], [3, 3])
//!     .with_padding(PaddingConfig2d::Same)
//!     .init(&device);
//! let norm = BatchNormConfig::new(8).init(&device);
//! let images = Tensor::random([2, 3, 8, 8], Distribution::Default, &device);
//!
//! let features = lowland_kernels::conv2d(&convolution, images);
//! let features = lowland_kernels::batch_norm_relu(&norm, features);
//! assert_eq!(features.dims(), [2, 8, 8, 8]);
//! ```
//!
//! # Where the kernels run
//!
//! With feature `flex`, for tensors of `f32` or `f64` on Burn's Flex backend, with or without
//! autodiff. Everything else goes to Burn's operations: other backends, `f16` and `bf16`, tensors
//! of different types, empty tensors, asymmetric padding, grouped convolutions with fewer than four
//! output channels per group, frozen `BatchNorm` under autodiff, `LayerNorm` without bias, quiet
//! softmax, softmax along another dimension, and attention that drops weights.
//! [`calls`](calls::calls) counts what the kernels did.
//!
//! # Rounding
//!
//! Results do not depend on the number of threads, bit for bit: sums are divided by the sizes of
//! the tensors alone, and added in a fixed order. They do depend on the width of the processor's
//! vectors.
//!
//! Gradients are of first order, as everywhere in Burn.

#![expect(
    clippy::inline_always,
    reason = "a function takes the vector instructions of the one it is inlined into"
)]

mod attention;
pub mod calls;
mod convolution;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod kernel;
mod linear_layer;
mod normalisation;
mod pointwise;

pub use attention::self_attention;
pub use convolution::{conv2d, convolve};
pub use linear_layer::linear;
pub use normalisation::{
    batch_norm, batch_norm_add_relu, batch_norm_relu, batch_norm_train, layer_norm,
};
pub use pointwise::{add, gelu, relu, scaled_softmax, softmax};

/// Whether kernels compute these tensors: all on Flex, all of the same of the two types.
#[cfg(feature = "flex")]
fn by_kernels(tensors: &[(burn::tensor::Device, burn::tensor::DType)]) -> bool {
    use burn::backend::DispatchDevice;
    use burn::tensor::DType;

    let on_flex = |device: &burn::tensor::Device| {
        matches!(device.clone().inner().as_dispatch(), DispatchDevice::Flex(_))
    };
    let dtype = tensors.first().map(|(_, dtype)| *dtype);
    matches!(dtype, Some(DType::F32 | DType::F64))
        && tensors.iter().all(|(device, other)| Some(*other) == dtype && on_flex(device))
}
