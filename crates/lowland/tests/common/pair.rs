//! A network of two layers, its batches, and optimizers of all algorithms that can take steps on
//! them.

#![allow(dead_code, reason = "each test binary uses a part")]

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use lowland::{Algorithm, BatchInfo, Result, SharpnessAware, StepReport, cross_entropies};

/// Linear - dropout - linear.
#[derive(Module, Debug)]
pub(crate) struct Pair {
    pub(crate) first: Linear,
    pub(crate) dropout: Dropout,
    pub(crate) second: Linear,
}

impl Pair {
    pub(crate) fn new(device: &Device) -> Self {
        device.seed(5);
        let pair = Self {
            first: LinearConfig::new(3, 4).init(device),
            dropout: DropoutConfig::new(0.3).init(),
            second: LinearConfig::new(4, 2).init(device),
        };
        drop(super::Values::of(&pair)); // Burn makes values when they are first used.
        pair
    }

    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.second.forward(self.dropout.forward(self.first.forward(x).tanh()))
    }
}

pub(crate) fn device() -> Device {
    Device::flex().autodiff()
}

/// Features `[8, 3]` and labels `[8]`, each step's own.
pub(crate) fn batch(step: u64, device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
    let number = |i: u64| (i.wrapping_mul(2_654_435_761).wrapping_add(step * 97) % 1000) as f32;
    let x: Vec<f32> = (0..24).map(|i| number(i) / 500.0 - 1.0).collect();
    let y: Vec<i32> = (0..8).map(|i| i32::from(number(i + 50) > 500.0)).collect();
    let x = Tensor::from_data(TensorData::new(x, [8, 3]), device);
    (x, Tensor::from_ints(y.as_slice(), device))
}

/// A step that any algorithm can take.
pub(crate) fn step(
    optimizer: &mut SharpnessAware,
    net: Pair,
    at: u64,
) -> Result<(Pair, StepReport)> {
    let (x, y) = batch(at, &device());
    let indices = [0, 1, 2, 3, 4, 5, 6, 7];
    let info = BatchInfo::default().with_indices(&indices);
    optimizer.step_samples(0.05, net, &info, |net, samples| {
        cross_entropies(net.forward(samples.select(x.clone())), samples.select(y.clone()), 0.0)
    })
}

pub(crate) fn run(
    optimizer: &mut SharpnessAware,
    mut net: Pair,
    steps: std::ops::Range<u64>,
) -> Pair {
    for at in steps {
        net = step(optimizer, net, at).unwrap().0;
    }
    net
}

/// All algorithms with their defaults, over an optimizer that knows the length of the training.
pub(crate) fn all() -> Vec<(&'static str, SharpnessAware)> {
    let optimizer = |name| {
        SharpnessAware::new(super::sgd(0.9, 1e-2), super::named(name))
            .unwrap()
            .with_steps_per_epoch(4)
            .with_total_steps(40)
    };
    Algorithm::ALL.iter().map(|d| (d.name, optimizer(d.name))).collect()
}
