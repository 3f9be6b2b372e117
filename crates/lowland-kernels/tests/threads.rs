//! Results do not depend on the number of threads, bit for bit.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use burn::module::Module;
use burn::nn::attention::MultiHeadAttentionConfig;
use burn::nn::{BatchNormConfig, LinearConfig};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};
use common::{bits, gradient, single};
use lowland_kernels::{
    batch_norm_add_relu, batch_norm_relu, convolve, gelu, layer_norm, linear, self_attention,
    softmax,
};

/// The bits of outputs and gradients of convolutions and batch normalisation.
fn images() -> Vec<Vec<u32>> {
    let device = Device::flex().autodiff();
    let mut found = Vec::new();
    for (images, from, to, size, kernel, stride) in
        [(37, 5, 24, 17, 3, 1), (37, 5, 24, 17, 3, 2), (3, 7, 40, 9, 5, 1), (40, 33, 64, 4, 3, 1)]
    {
        let x = single([images, from, size, size], 1, &device).require_grad();
        let w = single([to, from, kernel, kernel], 2, &device).require_grad();
        let norm = BatchNormConfig::new(to).init(&device);
        let options = ConvOptions::new([stride; 2], [kernel / 2; 2], [1; 2], 1);
        let y = convolve(x.clone(), w.clone(), None, options);
        let z = batch_norm_relu(&norm, y.clone());
        let z = batch_norm_add_relu(&norm, z, y);
        let gradients = (z.clone() * single(z.dims(), 3, &device)).sum().backward();
        found.push(bits(z.inner()));
        found.push(bits(gradient(&gradients, &x)));
        found.push(bits(gradient(&gradients, &w)));
        found.push(bits(gradient(&gradients, &norm.gamma.val())));
        let valid = norm.valid();
        found.push(bits(valid.running_var.value()));
    }
    found
}

/// The bits of outputs and gradients of what transformers use.
fn rows() -> Vec<Vec<u32>> {
    let device = Device::flex().autodiff();
    let x = single([300, 97], 1, &device).require_grad();
    let norm = burn::nn::LayerNormConfig::new(97).init(&device);
    let y: Tensor<2> = softmax(gelu(layer_norm(&norm, 1e-5, x.clone())), 1);
    let gradients = (y.clone() * single(y.dims(), 3, &device)).sum().backward();
    let gamma = gradient(&gradients, &norm.gamma.val());
    vec![bits(y.inner()), bits(gradient(&gradients, &x)), bits(gamma)]
}

/// The bits of linear layers and attention.
fn products() -> Vec<Vec<u32>> {
    let device = Device::flex().autodiff();
    // Weights are drawn, and must be the same each time.
    device.seed(1);
    let layer = LinearConfig::new(72, 200).init(&device);
    let attention = MultiHeadAttentionConfig::new(72, 3).with_dropout(0.0).init(&device);
    let x = single([9, 61, 72], 1, &device).require_grad();
    let y = linear(&layer, self_attention(&attention, x.clone(), None));
    let gradients = (y.clone() * single(y.dims(), 3, &device)).sum().backward();
    let bias = layer.bias.as_ref().unwrap().val();
    vec![
        bits(y.inner()),
        bits(gradient(&gradients, &x)),
        bits(gradient(&gradients, &layer.weight.val())),
        bits(gradient(&gradients, &bias)),
        bits(gradient(&gradients, &attention.query.weight.val())),
    ]
}

#[test]
fn results_are_the_same_on_any_number_of_threads() {
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| (images(), rows(), products()))
    };
    let one = on(1);
    for threads in [2, 3] {
        let other = on(threads);
        assert!(one == other, "{threads} threads");
    }
}
