//! How often kernels ran, for tests that must not pass by Burn's own operations.

use std::sync::atomic::{AtomicU64, Ordering};

/// A kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kernel {
    /// A convolution.
    Convolution,
    /// Its gradient with respect to the input.
    ConvolutionInput,
    /// Its gradient with respect to the weights.
    ConvolutionWeight,
    /// Batch normalisation by the statistics of the batch.
    BatchNorm,
    /// Its gradients.
    BatchNormGradients,
    /// Batch normalisation by running statistics.
    BatchNormInference,
    /// `ReLU`.
    Relu,
    /// Its gradient.
    ReluGradient,
    /// A sum of two tensors.
    Add,
    /// GELU.
    Gelu,
    /// Its gradient.
    GeluGradient,
    /// Softmax.
    Softmax,
    /// Its gradient.
    SoftmaxGradient,
    /// Layer normalisation.
    LayerNorm,
    /// Its gradients.
    LayerNormGradients,
    /// A linear layer.
    Linear,
    /// Its gradient with respect to the input.
    LinearInput,
    /// Its gradient with respect to the weights.
    LinearWeight,
    /// Attention.
    Attention,
    /// Its gradients.
    AttentionGradients,
}

const KERNELS: usize = Kernel::AttentionGradients as usize + 1;

static CALLS: [AtomicU64; KERNELS] = [const { AtomicU64::new(0) }; KERNELS];

/// How often a kernel was called in this process, by all threads together.
pub fn calls(kernel: Kernel) -> u64 {
    CALLS[kernel as usize].load(Ordering::Relaxed)
}

#[cfg(feature = "flex")]
pub(crate) fn count(kernel: Kernel) {
    CALLS[kernel as usize].fetch_add(1, Ordering::Relaxed);
}
