//! Kernels in `f32`, the type that trainings use, against Burn's own operations in `f64`. In one
//! file, since one comparison does for all of them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::module::{Module, RunningState};
use burn::nn::attention::{MhaInput, MultiHeadAttentionConfig};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{
    BatchNormConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig, PaddingConfig2d,
};
use burn::tensor::{Bool, DType, Device, FloatDType, Tensor, activation};
use common::{assert_within, filled, gradient, single, tensor};
use lowland_kernels::calls::{Kernel, calls};
use lowland_kernels::{
    batch_norm, conv2d, gelu, layer_norm, linear, scaled_softmax, self_attention,
};

/// The output for an input of a shape, and the gradient of that input, in a type.
fn run<const D: usize>(
    shape: [usize; D],
    dtype: FloatDType,
    function: impl Fn(Tensor<D>) -> Tensor<D>,
) -> [Tensor<D>; 2] {
    let device = Device::flex().autodiff();
    let x = tensor(shape, 1, &device).cast(dtype).detach().require_grad();
    let y = function(x.clone());
    let weights = tensor(y.dims(), 3, &device).cast(dtype);
    let gradients = (y.clone() * weights).sum().backward();
    [y.inner(), gradient(&gradients, &x)]
}

/// That a layer's kernels in `f32` agree with Burn's in `f64` to 1e-5 of the largest number, and
/// that they ran.
#[track_caller]
fn check<const D: usize, M: Module>(
    kernel: Kernel,
    shape: [usize; D],
    layer: &M,
    own: impl Fn(&M, Tensor<D>) -> Tensor<D>,
    burns: impl Fn(&M, Tensor<D>) -> Tensor<D>,
) {
    let device = Device::flex().autodiff();
    let before = calls(kernel);
    let single = filled(layer.clone(), &device, FloatDType::F32);
    let found = run(shape, FloatDType::F32, |x| own(&single, x));
    assert!(calls(kernel) > before, "{kernel:?} did not run");
    let double = filled(layer.clone(), &device, FloatDType::F64);
    let expected = run(shape, FloatDType::F64, |x| burns(&double, x));
    for (what, (found, expected)) in
        ["output", "gradient"].iter().zip(found.into_iter().zip(expected))
    {
        assert_within(1e-5, &format!("{kernel:?}, {what}"), found, expected);
    }
}

/// A layer without weights.
#[derive(Module, Debug)]
struct Nothing;

#[test]
fn kernels_in_single_precision_are_burns() {
    let device = Device::flex().autodiff();
    let convolution =
        Conv2dConfig::new([5, 9], [3, 3]).with_padding(PaddingConfig2d::Same).init(&device);
    let shape = [3, 5, 11, 13];
    check(Kernel::Convolution, shape, &convolution, conv2d, Conv2d::forward);
    let norm = BatchNormConfig::new(5).init(&device);
    check(Kernel::BatchNorm, shape, &norm, batch_norm, |layer, x| {
        // The filling leaves running statistics in `f32`.
        let mut layer = layer.clone();
        let zeros = || RunningState::new(Tensor::zeros([5], (&x.device(), DType::F64)));
        (layer.running_mean, layer.running_var) = (zeros(), zeros());
        layer.forward(x)
    });
    let dense = LinearConfig::new(37, 29).init(&device);
    check(Kernel::Linear, [4, 7, 37], &dense, linear, Linear::forward);
    let norm = LayerNormConfig::new(37).init(&device);
    let own = |layer: &LayerNorm, x| layer_norm(layer, 1e-5, x);
    check(Kernel::LayerNorm, [4, 7, 37], &norm, own, LayerNorm::forward);
    check(Kernel::Gelu, [4, 7, 37], &Nothing, |_, x| gelu(x), |_, x| activation::gelu(x));
    let scaled = |_: &Nothing, x: Tensor<3>| activation::softmax(x.mul_scalar(3.0), 2);
    check(Kernel::Softmax, [4, 7, 37], &Nothing, |_, x| scaled_softmax(x, 3.0), scaled);
}

/// The second sample has no token but padding, and the least score is at the end of `f32`.
#[test]
fn attention_in_single_precision_is_burns_and_finite() {
    let device = Device::flex().autodiff();
    for min_float in [-1.0e4, f64::from(f32::MIN)] {
        let layer = MultiHeadAttentionConfig::new(24, 3)
            .with_dropout(0.0)
            .with_min_float(min_float)
            .init(&device);
        let rows = [[false, false, false, true, true], [true; 5], [false; 5]];
        let padding = || Tensor::<2, Bool>::from_data(rows, &device);
        check(
            Kernel::Attention,
            [3, 5, 24],
            &layer,
            |layer, x| self_attention(layer, x, Some(padding())),
            |layer, x| layer.forward(MhaInput::self_attn(x).mask_pad(padding())).context,
        );
    }
}

#[test]
fn a_padding_of_another_shape_is_refused() {
    let device = Device::flex();
    let layer = MultiHeadAttentionConfig::new(24, 3).init(&device);
    let padding = Tensor::<2, Bool>::from_data([[false; 3]; 10], &device);
    let x = single([3, 10, 24], 1, &device);
    let attend = || self_attention(&layer, x, Some(padding));
    let panic = catch_unwind(AssertUnwindSafe(attend)).unwrap_err();
    let said = panic.downcast_ref::<String>().unwrap();
    assert!(said.contains("the padding must be [batch, tokens]"), "{said}");
}
