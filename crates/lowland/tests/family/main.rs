//! What each algorithm keeps to by its own equations: the invariants that its paper, or its
//! authors' code, gives. In `f64`, on a small network.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::float_cmp, reason = "what is equal here is equal to the bit")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/workers.rs"]
mod workers;

mod adasam;
mod ausam;
mod bsam;
mod esam;
mod gcsam;
mod ksam;
mod late;
mod sampa;
mod slsam;
mod ssam;
mod wsam;

use std::cell::RefCell;
use std::collections::BTreeMap;

use burn::module::{Module, Param};
use burn::optim::{AdamWConfig, ModuleOptimizer};
use burn::tensor::{Bytes, DType, Tensor, TensorData};
use lowland::{
    BaseConfig, BatchInfo, ParamVec, Parameters, Rule, SamConfig, Samples, SharpnessAware,
};

use common::spy::{Seen, spied};
use common::{Net, fields, numbers, sgd};
use workers::{Data, batch_of, device, net};

const LR: f64 = 0.05;
const RHO: f64 = 0.1;

/// One step of a training.
struct Step<'a> {
    t: u64,
    before: &'a Net,
    after: &'a Net,
    seen: &'a Seen,
    /// What the loss closure was asked for, and the losses that it gave.
    evaluated: &'a [(Samples, Vec<f64>)],
    indices: &'a [usize],
    optimizer: &'a SharpnessAware,
}

impl Step<'_> {
    fn g(&self) -> Vec<f64> {
        flat(&self.seen.gradients[0])
    }

    fn g_s(&self) -> Vec<f64> {
        flat(&self.seen.gradients[1])
    }

    fn e(&self) -> Vec<f64> {
        flat(&self.seen.perturbations[0])
    }

    fn update(&self) -> Vec<f64> {
        flat(self.seen.final_gradient.as_ref().unwrap())
    }

    fn before(&self) -> Vec<f64> {
        flat(&weights(self.before))
    }

    fn after(&self) -> Vec<f64> {
        flat(&weights(self.after))
    }
}

/// Trains for some steps, always from the same weights on the same batches, and looks at each step.
fn follow(
    rule: Box<dyn Rule>,
    base: ModuleOptimizer,
    steps: u64,
    batch: &dyn Fn(u64) -> Vec<usize>,
    look: &mut dyn FnMut(&Step<'_>),
) -> Net {
    let (optimizer, seen) = spied(rule, base);
    let mut optimizer = optimizer.with_steps_per_epoch(6).with_total_steps(steps).with_seed(5);
    let mut before = net();
    for t in 0..steps {
        let indices = batch(t);
        let data = Data::of(&indices);
        let evaluated = RefCell::new(Vec::new());
        let losses = |net: &Net, _: usize, samples: &Samples| {
            let losses = data.losses(net, samples);
            evaluated.borrow_mut().push((samples.clone(), numbers(losses.clone())));
            losses
        };
        let described = BatchInfo::default().with_indices(&indices);
        let start = before.clone();
        let (after, _) = optimizer.step_micro_batches(LR, start, &described, losses).unwrap();
        look(&Step {
            t,
            before: &before,
            after: &after,
            seen: &seen.lock().unwrap(),
            evaluated: &evaluated.into_inner(),
            indices: &indices,
            optimizer: &optimizer,
        });
        before = after;
    }
    before
}

/// The weights after each step.
fn path(rule: Box<dyn Rule>, base: ModuleOptimizer, steps: u64) -> Vec<Vec<f64>> {
    let mut path = Vec::new();
    follow(rule, base, steps, &batch_of, &mut |step| path.push(step.after()));
    path
}

fn weights(net: &Net) -> ParamVec {
    Parameters::of(net).unwrap().weights(net)
}

/// All numbers of the parts that are there.
fn flat(vector: &ParamVec) -> Vec<f64> {
    vector.parts().iter().flatten().flat_map(|part| numbers(part.clone())).collect()
}

fn present(vector: &ParamVec) -> Vec<bool> {
    vector.parts().iter().map(Option::is_some).collect()
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// The length of `g/(‖g‖ + 1e-12)`.
fn share_of_one(g: &[f64]) -> f64 {
    norm(g) / (norm(g) + 1e-12)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// `a + factor·b`
fn plus(a: &[f64], b: &[f64], factor: f64) -> Vec<f64> {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a + factor * b).collect()
}

/// Fails where two lists differ by more than 1e-12, relative to the largest number where that is
/// above 1.
fn near(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1.0_f64, |scale, x| scale.max(x.abs()));
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= 1e-12 * scale, "{what}: {a} is not {b}");
    }
}

fn near_paths(found: &[Vec<f64>], expected: &[Vec<f64>], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (t, (found, expected)) in found.iter().zip(expected).enumerate() {
        near(found, expected, &format!("{what}, step {t}"));
    }
}

fn bases() -> [(&'static str, ModuleOptimizer); 3] {
    [
        ("sgd", sgd(0.0, 1e-2)),
        ("sgd with momentum", sgd(0.9, 1e-2)),
        ("adamw", AdamWConfig::new().init()),
    ]
}

fn base_path(base: ModuleOptimizer, steps: u64) -> Vec<Vec<f64>> {
    path(BaseConfig {}.build().unwrap(), base, steps)
}

fn sam_path(base: ModuleOptimizer, steps: u64) -> Vec<Vec<f64>> {
    path(SamConfig { rho: RHO }.build().unwrap(), base, steps)
}

/// A module of one vector.
#[derive(Module, Debug)]
struct Vector {
    w: Param<Tensor<1>>,
}

fn constant(values: &[f64]) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), (&device(), DType::F64))
}

fn vector(values: &[f64]) -> Vector {
    Vector { w: Param::from_tensor(constant(values)) }
}

/// Trains a vector on one loss; the weights after each step, and the gradients that went to the
/// base.
fn descend(
    rule: Box<dyn Rule>,
    start: &[f64],
    steps: usize,
    loss: &dyn Fn(Tensor<1>) -> Tensor<1>,
) -> Vec<[Vec<f64>; 2]> {
    let (mut optimizer, seen) = spied(rule, sgd(0.0, 0.0));
    let mut at = vector(start);
    let step = |_| {
        let loss = |v: &Vector| loss(v.w.val());
        let (next, report) = optimizer.step(0.1, at.clone(), loss).unwrap();
        assert!(!report.skipped);
        at = next;
        let update = seen.lock().unwrap().final_gradient.clone().unwrap();
        [numbers(at.w.val().inner()), flat(&update)]
    };
    (0..steps).map(step).collect()
}

/// The fields of the base optimizer's record that belong to each parameter.
fn base_state(
    optimizer: &SharpnessAware,
    parameters: &Parameters,
) -> Vec<BTreeMap<String, Vec<u8>>> {
    let own = fields(optimizer.to_record().unwrap().into_bytes().unwrap());
    let base = fields(Bytes::from_bytes_vec(own["base"].clone()));
    let of = |id: u64| {
        let id = id.to_string();
        let is_its = |name: &str| name.split('.').next() == Some(id.as_str());
        let its = base.iter().filter(|(name, _)| is_its(name));
        its.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    parameters.iter().map(|parameter| of(parameter.id.val())).collect()
}
