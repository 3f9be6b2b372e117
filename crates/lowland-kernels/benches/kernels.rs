//! The time of each kernel, forward and backward, beside Burn's own operation.
//!
//! `cargo bench -p lowland-kernels` runs all; `-- convolution` those whose names have the word.

use std::hint::black_box;

use burn::nn::attention::{MhaInput, MultiHeadAttentionConfig};
use burn::nn::{BatchNorm, BatchNormConfig, LayerNormConfig, LinearConfig};
use burn::tensor::activation;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Distribution, Tensor};
use criterion::{Criterion, criterion_group, criterion_main};

fn device() -> Device {
    Device::flex().autodiff()
}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device()).require_grad()
}

/// Measures a function forward alone, and forward and backward.
fn both<const D: usize>(c: &mut Criterion, name: &str, run: impl Fn() -> Tensor<D>) {
    c.bench_function(&format!("{name}, forward"), |b| b.iter(|| black_box(run())));
    c.bench_function(&format!("{name}, both"), |b| {
        b.iter(|| black_box(run().sum().backward()));
    });
}

fn convolution(c: &mut Criterion) {
    // Those of ResNet-20 and ResNet-18 on images of 32 by 32.
    for (images, from, to, size, kernel, stride) in [
        (32, 16, 16, 32, 3, 1),
        (32, 16, 32, 32, 3, 2),
        (32, 64, 64, 8, 3, 1),
        (8, 64, 64, 32, 3, 1),
        (8, 64, 128, 32, 1, 2),
        (8, 512, 512, 4, 3, 1),
    ] {
        let x = random([images, from, size, size]);
        let w = random([to, from, kernel, kernel]);
        let options = || ConvOptions::new([stride; 2], [kernel / 2; 2], [1; 2], 1);
        let name = format!("convolution {images}x{from} to {to}, {size}x{size}, {kernel}/{stride}");
        both(c, &name, || lowland_kernels::convolve(x.clone(), w.clone(), None, options()));
        let name = format!("Burn's {name}");
        both(c, &name, || conv2d(x.clone(), w.clone(), None, options()));
    }
}

fn batch_norm(c: &mut Criterion) {
    let (x, other) = (random([32, 16, 32, 32]), random([32, 16, 32, 32]));
    let norm: BatchNorm = BatchNormConfig::new(16).init(&device());
    both(c, "batch norm and ReLU", || lowland_kernels::batch_norm_relu(&norm, x.clone()));
    both(c, "Burn's batch norm and ReLU", || activation::relu(norm.forward(x.clone())));
    both(c, "batch norm, sum and ReLU", || {
        lowland_kernels::batch_norm_add_relu(&norm, x.clone(), other.clone())
    });
    both(c, "Burn's batch norm, sum and ReLU", || {
        activation::relu(norm.forward(x.clone()) + other.clone())
    });
}

fn pointwise(c: &mut Criterion) {
    let x = random([1024, 768]);
    both(c, "GELU", || lowland_kernels::gelu(x.clone()));
    both(c, "Burn's GELU", || activation::gelu(x.clone()));
    both(c, "ReLU", || lowland_kernels::relu(x.clone()));
    both(c, "Burn's ReLU", || activation::relu(x.clone()));
    both(c, "sum", || lowland_kernels::add(x.clone(), x.clone()));
    both(c, "Burn's sum", || x.clone() + x.clone());
}

fn rows(c: &mut Criterion) {
    let x = random([16, 12, 64, 64]);
    both(c, "softmax", || lowland_kernels::softmax(x.clone(), 3));
    both(c, "Burn's softmax", || activation::softmax(x.clone(), 3));
    let x = random([16, 64, 384]);
    let norm = LayerNormConfig::new(384).init(&device());
    both(c, "layer norm", || lowland_kernels::layer_norm(&norm, 1e-5, x.clone()));
    both(c, "Burn's layer norm", || norm.forward(x.clone()));
}

fn linear(c: &mut Criterion) {
    // Those of MiniLM and of the vision transformer.
    for (rows, from, to) in
        [(1024, 384, 384), (1024, 384, 1536), (1024, 1536, 384), (4096, 192, 768)]
    {
        let layer = LinearConfig::new(from, to).init(&device());
        let x = random([rows, from]);
        let name = format!("linear {rows}, {from} to {to}");
        both(c, &name, || lowland_kernels::linear(&layer, x.clone()));
        both(c, &format!("Burn's {name}"), || layer.forward(x.clone()));
    }
}

fn attention(c: &mut Criterion) {
    for (batch, tokens, size, heads) in [(16, 64, 384, 12), (64, 64, 192, 3), (4, 256, 384, 12)] {
        let config = MultiHeadAttentionConfig::new(size, heads).with_dropout(0.0);
        let layer = config.init(&device());
        let x = random([batch, tokens, size]);
        let name = format!("attention {batch}x{tokens}, {size} in {heads}");
        both(c, &name, || lowland_kernels::self_attention(&layer, x.clone(), None));
        let burns = || layer.forward(MhaInput::self_attn(x.clone())).context;
        both(c, &format!("Burn's {name}"), burns);
    }
}

criterion_group!(kernels, convolution, batch_norm, pointwise, rows, linear, attention);
criterion_main!(kernels);
