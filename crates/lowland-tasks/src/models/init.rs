//! Layers with weights that are a function of the seed and of the order in which they are made.

use std::f64::consts::TAU;

use burn::module::Param;
use burn::nn::conv;
use burn::nn::{BatchNorm, BatchNormConfig, Initializer, LayerNorm, LayerNormConfig};
use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;

use super::layers::{Conv2d, Linear};
use crate::data::draw::{Purpose, generator, unit};
use crate::{Error, Result};

/// ε of all layer normalisations.
pub(crate) const LAYER_NORM_EPSILON: f64 = 1e-5;

/// Makes the layers of one network.
#[derive(Debug)]
pub(crate) struct LayerMaker<'a> {
    rng: ChaCha8Rng,
    device: &'a Device,
}

impl<'a> LayerMaker<'a> {
    pub(crate) fn new(seed: u64, device: &'a Device) -> Self {
        Self { rng: generator(Purpose::Weights, [seed, 0, 0]), device }
    }

    /// A convolution `[from, to]` of `size` by `size` (odd) that keeps the borders, without bias.
    /// Weights `[to, from, size, size]` are normal with variance `2 / (from · size²)`, as He et al.
    /// (arXiv 1502.01852) derive for layers before a `ReLU`.
    pub(crate) fn convolution(
        &mut self,
        [from, to]: [usize; 2],
        size: usize,
        stride: usize,
    ) -> Conv2d {
        let deviation = (2.0 / (from * size * size) as f64).sqrt();
        let weight = self.normal([to, from, size, size], deviation);
        Conv2d { weight, stride: [stride, stride], padding: [size / 2, size / 2] }
    }

    /// Batch normalisation with scale 1 and shift 0.
    pub(crate) fn batch_norm(&self, channels: usize) -> BatchNorm {
        let layer = BatchNormConfig::new(channels).init(self.device);
        // Burn makes a weight at its first use; these are made now, as all others are.
        let (gamma, beta) = (layer.gamma.val(), layer.beta.val());
        BatchNorm { gamma: Param::from_tensor(gamma), beta: Param::from_tensor(beta), ..layer }
    }

    /// Layer normalisation with scale 1 and shift 0.
    pub(crate) fn layer_norm(&self, width: usize) -> LayerNorm {
        let mut layer =
            LayerNormConfig::new(width).with_epsilon(LAYER_NORM_EPSILON).init(self.device);
        layer.gamma = Param::from_tensor(layer.gamma.val());
        layer.beta = layer.beta.map(|beta| Param::from_tensor(beta.val()));
        layer
    }

    /// A linear layer: weights `[from, to]` normal with variance `1 / from`, bias 0.
    pub(crate) fn linear(&mut self, from: usize, to: usize) -> Linear {
        let bias = Param::from_tensor(Tensor::zeros([to], self.device));
        let weight = self.normal([from, to], (from as f64).sqrt().recip());
        Linear { weight, bias: Some(bias) }
    }

    /// A transposed convolution `[from, to]` of 4 by 4 that doubles height and width, without bias.
    /// Weights `[from, to, 4, 4]` are normal with variance `2 / fan-in`, where each number that
    /// comes out sees `4 · from` of those that go in.
    pub(crate) fn doubling(&mut self, [from, to]: [usize; 2]) -> conv::ConvTranspose2d {
        let config = conv::ConvTranspose2dConfig::new([from, to], [4, 4])
            .with_stride([2, 2])
            .with_padding([1, 1])
            .with_bias(false)
            .with_initializer(Initializer::Zeros);
        let deviation = (2.0 / (4 * from) as f64).sqrt();
        conv::ConvTranspose2d {
            weight: self.normal([from, to, 4, 4], deviation),
            ..config.init(self.device)
        }
    }

    /// A convolution `[from, to]` of one pixel with bias 0. Weights `[to, from, 1, 1]` are normal
    /// with the standard deviation `deviation`.
    pub(crate) fn pointwise(&mut self, [from, to]: [usize; 2], deviation: f64) -> conv::Conv2d {
        let bias = Param::from_tensor(Tensor::zeros([to], self.device));
        let config =
            conv::Conv2dConfig::new([from, to], [1, 1]).with_initializer(Initializer::Zeros);
        let weight = self.normal([to, from, 1, 1], deviation);
        conv::Conv2d { weight, bias: Some(bias), ..config.init(self.device) }
    }

    /// Numbers that are normal with mean 0.
    pub(crate) fn normal<const D: usize>(
        &mut self,
        shape: [usize; D],
        deviation: f64,
    ) -> Param<Tensor<D>> {
        let count = shape.iter().product();
        #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
        let values: Vec<f32> =
            (0..count).map(|_| (deviation * standard_normal(&mut self.rng)) as f32).collect();
        Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), self.device))
    }
}

/// One draw from the normal distribution with mean 0 and variance 1 (Box and Muller; the second of
/// each pair is not used).
fn standard_normal(rng: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - unit(rng)).ln()).sqrt();
    radius * (TAU * unit(rng)).cos()
}

/// An error unless `value` is at least 1.
pub(crate) fn at_least_one(field: &'static str, value: usize) -> Result<()> {
    match value {
        0 => Err(Error::Setting { field, found: "0".to_owned(), allowed: "at least 1" }),
        _ => Ok(()),
    }
}
