//! Batch and layer normalisation, and their gradients, against Burn's own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use burn::module::{Module, Param};
use burn::nn::{BatchNorm, BatchNormConfig, LayerNorm, LayerNormConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use common::{assert_close, gradient, tensor};
use lowland_kernels::calls::{Kernel, calls};
use lowland_kernels::{batch_norm, batch_norm_add_relu, batch_norm_relu, layer_norm};
use proptest::prelude::*;

fn layer(channels: usize, device: &Device) -> BatchNorm {
    let mut layer = BatchNormConfig::new(channels).with_momentum(0.3).init(device);
    layer.gamma = Param::from_tensor(tensor([channels], 11, device));
    layer.beta = Param::from_tensor(tensor([channels], 12, device));
    let plain = device.clone().inner();
    layer.running_mean = burn::module::RunningState::new(tensor([channels], 13, &plain));
    let variance = tensor::<1>([channels], 14, &plain).abs();
    layer.running_var = burn::module::RunningState::new(variance);
    layer
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Plain,
    Relu,
    AddRelu,
}

fn own<const D: usize>(kind: Kind, layer: &BatchNorm, x: Tensor<D>, other: Tensor<D>) -> Tensor<D> {
    match kind {
        Kind::Plain => batch_norm(layer, x),
        Kind::Relu => batch_norm_relu(layer, x),
        Kind::AddRelu => batch_norm_add_relu(layer, x, other),
    }
}

fn burns<const D: usize>(
    kind: Kind,
    layer: &BatchNorm,
    x: Tensor<D>,
    other: Tensor<D>,
) -> Tensor<D> {
    match kind {
        Kind::Plain => layer.forward(x),
        Kind::Relu => relu(layer.forward(x)),
        Kind::AddRelu => relu(layer.forward(x) + other),
    }
}

type Run<const D: usize> = fn(Kind, &BatchNorm, Tensor<D>, Tensor<D>) -> Tensor<D>;

struct Found<const D: usize> {
    output: Tensor<D>,
    x: Tensor<D>,
    other: Option<Tensor<D>>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    mean: Tensor<1>,
    variance: Tensor<1>,
    validated: Tensor<D>,
}

fn run<const D: usize>(kind: Kind, shape: [usize; D], function: Run<D>) -> Found<D> {
    let device = Device::flex().autodiff();
    let layer = layer(shape[1], &device);
    let x = tensor(shape, 1, &device).require_grad();
    let other = tensor(shape, 2, &device).require_grad();
    let output = function(kind, &layer, x.clone(), other.clone());
    let gradients = (output.clone() * tensor(shape, 3, &device)).sum().backward();
    let valid = layer.valid();
    let plain = device.clone().inner();
    Found {
        output: output.inner(),
        x: gradient(&gradients, &x),
        other: other.grad(&gradients),
        gamma: gradient(&gradients, &layer.gamma.val()),
        beta: gradient(&gradients, &layer.beta.val()),
        mean: valid.running_mean.value().inner_or_plain(),
        variance: valid.running_var.value().inner_or_plain(),
        validated: function(kind, &valid, tensor(shape, 5, &plain), tensor(shape, 6, &plain)),
    }
}

/// Statistics lie on a plain device or on one with autodiff.
trait InnerOrPlain {
    fn inner_or_plain(self) -> Self;
}

impl InnerOrPlain for Tensor<1> {
    fn inner_or_plain(self) -> Self {
        if self.device().is_autodiff() { self.inner() } else { self }
    }
}

fn check<const D: usize>(kind: Kind, shape: [usize; D]) {
    let kernels = [Kernel::BatchNorm, Kernel::BatchNormGradients, Kernel::BatchNormInference];
    let before = kernels.map(calls);
    let found = run(kind, shape, own);
    for (before, after) in before.into_iter().zip(kernels.map(calls)) {
        assert!(after > before, "a kernel did not run");
    }
    let expected = run(kind, shape, burns);
    assert_close("output", found.output, expected.output);
    assert_close("gradient of the input", found.x, expected.x);
    assert_eq!(found.other.is_some(), expected.other.is_some());
    if let (Some(found), Some(expected)) = (found.other, expected.other) {
        assert_close("gradient of what was added", found, expected);
    }
    assert_close("gradient of γ", found.gamma, expected.gamma);
    assert_close("gradient of β", found.beta, expected.beta);
    assert_close("running mean", found.mean, expected.mean);
    assert_close("running variance", found.variance, expected.variance);
    assert_close("output of the validated layer", found.validated, expected.validated);
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Plain), Just(Kind::Relu), Just(Kind::AddRelu)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() })]

    #[test]
    fn batch_norm_of_images_is_burns(
        kind in kind(), images in 2..9_usize, channels in 1..9_usize, rows in 1..13_usize, columns in 1..13_usize,
    ) {
        check(kind, [images, channels, rows, columns]);
    }

    #[test]
    fn batch_norm_of_vectors_is_burns(kind in kind(), batch in 2..70_usize, channels in 1..9_usize) {
        check(kind, [batch, channels]);
    }

    #[test]
    fn layer_norm_is_burns(batch in 1..40_usize, rows in 1..9_usize, features in 1..130_usize) {
        let (found, expected) = (run_rows(batch, rows, features, true), run_rows(batch, rows, features, false));
        for (i, (found, expected)) in found.0.into_iter().zip(expected.0).enumerate() {
            assert_close(&format!("of features, {i}"), found, expected);
        }
        for (i, (found, expected)) in found.1.into_iter().zip(expected.1).enumerate() {
            assert_close(&format!("of weights, {i}"), found, expected);
        }
    }
}

const EPSILON: f64 = 1e-3;

fn rows_layer(features: usize, device: &Device) -> LayerNorm {
    let mut layer = LayerNormConfig::new(features).with_epsilon(EPSILON).init(device);
    layer.gamma = Param::from_tensor(tensor([features], 11, device));
    layer.beta = Some(Param::from_tensor(tensor([features], 12, device)));
    layer
}

/// Output and gradient of the input; gradients of γ and β.
fn run_rows(
    batch: usize,
    rows: usize,
    features: usize,
    own: bool,
) -> ([Tensor<3>; 2], [Tensor<1>; 2]) {
    let device = Device::flex().autodiff();
    let layer = rows_layer(features, &device);
    let shape = [batch, rows, features];
    let x = tensor(shape, 1, &device).require_grad();
    let before = [Kernel::LayerNorm, Kernel::LayerNormGradients].map(calls);
    let y = if own { layer_norm(&layer, EPSILON, x.clone()) } else { layer.forward(x.clone()) };
    let gradients = (y.clone() * tensor(shape, 3, &device)).sum().backward();
    let after = [Kernel::LayerNorm, Kernel::LayerNormGradients].map(calls);
    assert!(!own || after.iter().zip(before).all(|(&after, before)| after > before));
    let beta = layer.beta.unwrap().val();
    (
        [y.inner(), gradient(&gradients, &x)],
        [gradient(&gradients, &layer.gamma.val()), gradient(&gradients, &beta)],
    )
}

#[test]
fn a_frozen_layer_lets_gradients_through_as_burns() {
    let device = Device::flex().autodiff();
    let shape = [3, 4, 5, 5];
    let run = |function: Run<4>| {
        let layer = layer(4, &device).freeze();
        let x = tensor(shape, 1, &device).require_grad();
        let y = function(Kind::Relu, &layer, x.clone(), x.clone());
        let gradients = (y.clone() * tensor(shape, 3, &device)).sum().backward();
        (y.inner(), gradient(&gradients, &x), layer.running_mean.value().inner_or_plain())
    };
    let (found, expected) = (run(own), run(burns));
    assert_close("output", found.0, expected.0);
    assert_close("gradient", found.1, expected.1);
    assert_close("running mean", found.2, expected.2);
}
