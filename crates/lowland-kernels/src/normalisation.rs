//! Batch and layer normalisation.

use burn::nn::{BatchNorm, LayerNorm};
use burn::tensor::Tensor;
use burn::tensor::module::BatchNormTrainOutput;

#[cfg(feature = "flex")]
use crate::flex::After;
use crate::pointwise::relu_of_burn;

/// Burn's [`batch_norm_train`](burn::tensor::module::batch_norm_train): `[batch, channels, ..]`
/// normalised by the statistics of the batch, which are returned, with γ and β `[channels]`.
///
/// # Panics
///
/// If there are fewer than two dimensions, or γ and β have not the input's channels, as Burn's own.
pub fn batch_norm_train<const D: usize>(
    input: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> BatchNormTrainOutput<D> {
    #[cfg(feature = "flex")]
    if fits_weights(&input, [&gamma, &beta]) {
        let (output, mean, variance) =
            crate::flex::batch_norm(input, [gamma, beta], epsilon, After::Nothing);
        return BatchNormTrainOutput { output, mean, variance };
    }
    burn::tensor::module::batch_norm_train(input, gamma, beta, epsilon)
}

/// The forward pass of Burn's [`BatchNorm`] over `[batch, channels, ..]`: by the statistics of the
/// batch, which move the running ones, where the layer trains on a device with autodiff; by the
/// running ones elsewhere.
///
/// # Panics
///
/// If the channels are not those of the layer, as Burn's own.
pub fn batch_norm<const D: usize>(layer: &BatchNorm, input: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if fits(layer, &input) {
        return normalise(layer, input, After::Nothing);
    }
    layer.forward(input)
}

/// [`batch_norm`] and `ReLU` in one fused pass.
///
/// # Panics
///
/// If the channels are not those of the layer, as Burn's own.
pub fn batch_norm_relu<const D: usize>(layer: &BatchNorm, input: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if fits(layer, &input) {
        return normalise(layer, input, After::Relu);
    }
    relu_of_burn(layer.forward(input))
}

/// [`batch_norm`], a sum with `other` of the same shape, and `ReLU` in one fused pass: the end of a
/// residual block.
///
/// # Panics
///
/// If the channels are not those of the layer, or the shapes differ, as Burn's own.
pub fn batch_norm_add_relu<const D: usize>(
    layer: &BatchNorm,
    input: Tensor<D>,
    other: Tensor<D>,
) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if input.dims() == other.dims()
        && input.device() == other.device()
        && input.dtype() == other.dtype()
        && fits(layer, &input)
    {
        return normalise(layer, input, After::AddRelu(other));
    }
    relu_of_burn(layer.forward(input) + other)
}

/// Whether kernels compute it.
#[cfg(feature = "flex")]
fn fits<const D: usize>(layer: &BatchNorm, input: &Tensor<D>) -> bool {
    let (gamma, beta) = (layer.gamma.val(), layer.beta.val());
    // A frozen layer that gradients go through is Burn's.
    let frozen = input.device().is_autodiff() && !layer.training.is_enabled();
    !frozen
        && (input.device().is_autodiff() || !gamma.device().is_autodiff())
        && fits_weights(input, [&gamma, &beta])
}

#[cfg(feature = "flex")]
fn fits_weights<const D: usize>(input: &Tensor<D>, weights: [&Tensor<1>; 2]) -> bool {
    let mut tensors = vec![(input.device(), input.dtype())];
    tensors.extend(weights.map(|weight| (weight.device(), weight.dtype())));
    D >= 2
        && input.dims().iter().all(|&size| size > 0)
        && weights.iter().all(|weight| weight.dims() == [input.dims()[1]])
        && crate::by_kernels(&tensors)
}

#[cfg(feature = "flex")]
fn normalise<const D: usize>(layer: &BatchNorm, input: Tensor<D>, after: After<D>) -> Tensor<D> {
    let device = input.device();
    let weights = [layer.gamma.val(), layer.beta.val()];
    if !device.is_autodiff() {
        let statistics = [&layer.running_mean, &layer.running_var]
            .map(|running| running.value().to_device(&device));
        return crate::flex::batch_norm_inference(input, weights, statistics, layer.epsilon, after);
    }
    let (output, mean, variance) = crate::flex::batch_norm(input, weights, layer.epsilon, after);
    // As Burn's own forward pass does it.
    for (running, new) in [(&layer.running_mean, mean), (&layer.running_var, variance)] {
        let old = running.value_sync().to_device(&device).mul_scalar(1.0 - layer.momentum);
        running.update(old.add(new.detach().mul_scalar(layer.momentum)).detach());
    }
    output
}

/// The forward pass of Burn's [`LayerNorm`] over `[.., features]`. The layer does not let its ε be
/// read: `epsilon` is the one that it was made with, by default 1e-5.
///
/// # Panics
///
/// If the features are not those of the layer, as Burn's own.
pub fn layer_norm<const D: usize>(layer: &LayerNorm, epsilon: f64, input: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if let Some(beta) = &layer.beta {
        let (gamma, beta) = (layer.gamma.val(), beta.val());
        let tensors = [
            (input.device(), input.dtype()),
            (gamma.device(), gamma.dtype()),
            (beta.device(), beta.dtype()),
        ];
        if D > 0
            && input.dims().iter().all(|&size| size > 0)
            && gamma.dims() == [input.dims()[D - 1]]
            && crate::by_kernels(&tensors)
        {
            return crate::flex::layer_norm(input, gamma, beta, epsilon);
        }
    }
    #[cfg(not(feature = "flex"))]
    let _ = epsilon;
    layer.forward(input)
}
