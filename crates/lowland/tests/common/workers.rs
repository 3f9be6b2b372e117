//! Training with several workers: a network, data, the part of a worker.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ops::Range;

use burn::optim::ModuleOptimizer;
use burn::tensor::{DType, Device, FloatDType, Int, Tensor, TensorData};
use lowland::schedule::{BudgetConfig, ScheduleConfig};
use lowland::{
    Algorithm, ArsamConfig, BatchInfo, ComposedConfig, ControllerConfig, Result, SamConfig,
    Samples, SharpnessAware, StepReport, Warmup, Workers,
};

use crate::common::{Net, chosen, cross_entropies, sgd};

/// Samples in the data set, features of each, classes.
pub(crate) const SAMPLES: usize = 60;
pub(crate) const FEATURES: usize = 4;
pub(crate) const CLASSES: usize = 3;

/// Steps that the laws are followed for.
pub(crate) const STEPS: u64 = 50;

pub(crate) fn device() -> Device {
    Device::flex().autodiff()
}

/// Numbers that look random and are the same everywhere.
pub(crate) fn noise(i: usize) -> f64 {
    let x = (i as f64 * 12.9898 + 4.1).sin() * 43758.5453;
    2.0 * (x - x.floor()) - 1.0
}

pub(crate) fn net() -> Net {
    let device = device();
    let shapes = [FEATURES * 6, 6, 6 * CLASSES, CLASSES];
    let mut i = 1000;
    let mut values = |n: usize| -> Vec<f64> {
        i += n;
        (i - n..i).map(noise).collect()
    };
    let values: Vec<Vec<f64>> = shapes.into_iter().map(&mut values).collect();
    Net::mlp(&[FEATURES, 6, CLASSES], &device).with_values(&values, FloatDType::F64)
}

/// A part of the data.
pub(crate) struct Data {
    x: Tensor<2>,
    y: Tensor<1, Int>,
    pub(crate) indices: Vec<usize>,
}

impl Data {
    pub(crate) fn of(indices: &[usize]) -> Self {
        let device = device();
        let n = indices.len();
        let x: Vec<f64> = indices
            .iter()
            .flat_map(|i| (0..FEATURES).map(move |j| noise(i * FEATURES + j)))
            .collect();
        let y: Vec<i32> = indices
            .iter()
            .map(|i| if noise(7 * i + 5) > 0.2 { 0 } else { 1 + i32::try_from(i % 2).unwrap() })
            .collect();
        Self {
            x: Tensor::from_data(TensorData::new(x, [n, FEATURES]), (&device, DType::F64)),
            y: Tensor::from_data(TensorData::new(y, [n]), &device),
            indices: indices.to_vec(),
        }
    }

    pub(crate) fn losses(&self, net: &Net, samples: &Samples) -> Tensor<1> {
        let (x, y) = chosen(&self.x, &self.y, samples);
        cross_entropies(net.forward(x, &[]), y)
    }
}

/// The samples of the batch of a step: 12, but 3 in some steps.
pub(crate) fn batch_of(step: u64) -> Vec<usize> {
    let size = if step % 5 == 3 { 3 } else { 12 };
    (0..size).map(|i| (usize::try_from(step).unwrap() * 7 + i * 11) % SAMPLES).collect()
}

/// The part of a batch that worker `rank` of `count` has: the first have one more where it does not
/// go up.
pub(crate) fn part(size: usize, rank: usize, count: usize) -> Range<usize> {
    let start = |rank: usize| rank * (size / count) + rank.min(size % count);
    start(rank)..start(rank + 1)
}

pub(crate) fn shard(step: u64, workers: &Workers) -> Vec<usize> {
    let batch = batch_of(step);
    let (rank, count) = (workers.rank(), workers.count());
    batch[part(batch.len(), rank, count)].to_vec()
}

pub(crate) fn one_step(
    optimizer: &mut SharpnessAware,
    lr: f64,
    net: Net,
    indices: &[usize],
) -> Result<(Net, StepReport)> {
    let data = Data::of(indices);
    let described = BatchInfo::default().with_indices(&data.indices);
    optimizer.step_micro_batches(lr, net, &described, |net, _, samples| data.losses(net, samples))
}

/// Steps of one worker, from and to a network.
pub(crate) fn go(optimizer: &mut SharpnessAware, mut net: Net, steps: Range<u64>) -> Net {
    let workers = optimizer.workers().clone();
    for step in steps {
        net = one_step(optimizer, 0.05, net, &shard(step, &workers)).unwrap().0;
    }
    net
}

pub(crate) fn optimizer(
    algorithm: &Algorithm,
    base: ModuleOptimizer,
    workers: Workers,
) -> SharpnessAware {
    let base = algorithm.base().unwrap().unwrap_or(base);
    SharpnessAware::new(base, algorithm.build().unwrap())
        .unwrap()
        .with_steps_per_epoch(6)
        .with_total_steps(STEPS)
        .with_seed(5)
        .with_workers(workers.with_check_every(Some(1)))
}

/// All algorithms, those with a warm-up with a short one, and rules of parts that no algorithm
/// joins.
pub(crate) fn all() -> Vec<Algorithm> {
    let controller = ControllerConfig {
        warmup: Warmup::Steps(4),
        window: 10,
        blocks: 2,
        ..ControllerConfig::default()
    };
    let named = |name| match super::common::named(name) {
        Algorithm::Arsam(config) => {
            Algorithm::Arsam(ArsamConfig { controller: controller.clone(), ..config })
        }
        Algorithm::Aesam(config) => Algorithm::Aesam(config.with_total_steps(30)),
        other => other,
    };
    let budget = BudgetConfig { controller: Some(controller.clone()), ..BudgetConfig::default() };
    let composed = [
        toml::toml! { schedule = "at-random" ascend.adaptive.rho = 0.3 select = "top-loss" },
        toml::toml! { ascend.per-tensor = { rho = 0.1, radius = "trust" } descend = "rescaled" },
        toml::toml! { ascend.less-average.rho = 0.1 schedule.periodic.k = 3 descend.reuse-orthogonal = {} },
    ];
    let composed = composed.map(|table| Algorithm::Composed(table.try_into().unwrap()));
    let budget = ComposedConfig { schedule: ScheduleConfig::Budget(budget), ..Default::default() };
    let names = Algorithm::ALL.iter().map(|descriptor| named(descriptor.name));
    names.chain(composed).chain([Algorithm::Composed(budget)]).collect()
}

pub(crate) fn far(a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    let pairs = a.iter().flatten().zip(b.iter().flatten());
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// The gradient that SAM gives for a batch, by one step of plain descent from these weights.
pub(crate) fn sam_gradient(net: &Net, indices: &[usize], rho: f64) -> Vec<Vec<f64>> {
    let rule = SamConfig { rho }.build().unwrap();
    let mut optimizer = SharpnessAware::new(sgd(0.0, 0.0), rule).unwrap();
    let stepped = one_step(&mut optimizer, 1.0, net.clone(), indices).unwrap().0;
    let pairs = net.values().into_iter().zip(stepped.values());
    pairs.map(|(w, v)| w.iter().zip(&v).map(|(w, v)| w - v).collect()).collect()
}

/// The weights after SAM's steps where each group of workers ascends by itself.
pub(crate) fn by_hand(count: usize, group: usize, steps: u64) -> Vec<Vec<f64>> {
    let mut now = net();
    for step in 0..steps {
        let batch = batch_of(step);
        let mut next = now.values();
        for first in (0..count).step_by(group) {
            let last = part(batch.len(), first + group - 1, count);
            let samples = &batch[part(batch.len(), first, count).start..last.end];
            if samples.is_empty() {
                continue;
            }
            let weight = samples.len() as f64 / batch.len() as f64;
            let gradient = sam_gradient(&now, samples, 0.1);
            for (w, g) in next.iter_mut().flatten().zip(gradient.iter().flatten()) {
                *w -= 0.05 * weight * g;
            }
        }
        now = now.with_values(&next, FloatDType::F64);
    }
    now.values()
}

/// A network with BatchNorm, the same for all.
pub(crate) fn conv() -> Net {
    let shapes = [18, 2, 2, 54, 3, 3, 9, 3];
    let values: Vec<Vec<f64>> =
        shapes.iter().map(|&n| (0..n).map(|i| noise(31 * n + i)).collect()).collect();
    Net::conv_bn(1, [2, 3], 3, &device()).with_values(&values, FloatDType::F64)
}

pub(crate) fn conv_losses(net: &Net, indices: &[usize]) -> Tensor<1> {
    let n = indices.len();
    let x: Vec<f64> =
        indices.iter().flat_map(|i| (0..16).map(move |j| noise(i * 16 + j))).collect();
    let x = Tensor::<2>::from_data(TensorData::new(x, [n, 16]), (&device(), DType::F64));
    let y: Vec<i32> = indices.iter().map(|i| i32::try_from(i % 3).unwrap()).collect();
    let y = Tensor::from_data(TensorData::new(y, [n]), &device());
    cross_entropies(net.forward(x, &[n, 1, 4, 4]), y)
}
