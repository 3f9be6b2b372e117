//! Laws that every algorithm keeps, and those of single algorithms that need the whole step. The
//! networks are small; `f32` where a law holds to the bit, `f64` where numbers are compared. In one
//! file, since each law runs over the same algorithms, networks and batches.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::float_cmp, reason = "what is equal here is equal to the bit")]

mod common;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig};
use burn::optim::{AdamWConfig, ModuleOptimizer};
use burn::tensor::{DType, Device, Distribution, Int, Tensor};
use common::spy::{self, Seen};
use common::{Net, Values, cross_entropies, fields, in_f64, sgd};
use lowland::ascend::AlongGradient;
use lowland::descend::{ReusePsf, ReusePsfConfig, SharpGradient};
use lowland::schedule::{EveryStep, Schedule};
use lowland::select::{AllSamples, Select};
use lowland::{
    AesamConfig, Algorithm, ArsamConfig, AsamConfig, BaseConfig, ComposedRule, ControllerConfig,
    Diagnostics, Error, FsamConfig, Gradient, GsamConfig, LateSamConfig, LookSamConfig, ParamVec,
    Parameters, PeriodicSamConfig, Perturbation, Rule, SamConfig, Samples, Scaling, Selection,
    SharpnessAware, StableSamConfig, StepReport, StochasticSamConfig, Surface, Update, Warmup,
    WsamConfig,
};
use proptest::prelude::*;

/// Linear - BatchNorm - Dropout - Linear, of Burn's own layers.
#[derive(Module, Debug)]
struct Small {
    input: Linear,
    norm: BatchNorm,
    dropout: Dropout,
    output: Linear,
}

impl Small {
    fn new(device: &Device) -> Self {
        device.seed(7);
        let small = Self {
            input: LinearConfig::new(4, 6).init(device),
            norm: BatchNormConfig::new(6).init(device),
            dropout: DropoutConfig::new(0.2).init(),
            output: LinearConfig::new(6, 3).init(device),
        };
        drop(Values::of(&small)); // Burn makes values when they are first used.
        small
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.output.forward(self.dropout.forward(self.norm.forward(self.input.forward(x))))
    }
}

/// A batch for [`Small`].
#[derive(Clone)]
struct Batch {
    x: Tensor<2>,
    y: Tensor<1, Int>,
}

impl Batch {
    fn new(seed: u64, device: &Device) -> Self {
        device.seed(seed);
        let x = Tensor::random([8, 4], Distribution::Normal(0.0, 1.0), device); // [batch, features]
        let y = Tensor::<1>::random([8], Distribution::Uniform(0.0, 3.0), device).int();
        Self { x, y }
    }

    /// For a network in `f64`.
    fn in_f64(self) -> Self {
        Self { x: self.x.cast(DType::F64), ..self }
    }

    fn losses(&self, net: &Small) -> Tensor<1> {
        self.losses_of(net, &Samples::All)
    }

    fn losses_of(&self, net: &Small, samples: &Samples) -> Tensor<1> {
        let (x, y) = common::chosen(&self.x, &self.y, samples);
        cross_entropies(net.forward(x), y)
    }

    /// One step, with all that any rule needs to know; `seen` is called for each evaluation.
    fn step(
        &self,
        optimizer: &mut SharpnessAware,
        lr: f64,
        net: Small,
        seen: &dyn Fn(&Small, &Samples),
    ) -> lowland::Result<(Small, StepReport)> {
        let losses = |net: &Small, _: usize, samples: &Samples| {
            seen(net, samples);
            self.losses_of(net, samples)
        };
        let described = lowland::BatchInfo::default().with_indices(&[0, 1, 2, 3, 4, 5, 6, 7]);
        optimizer.step_micro_batches(lr, net, &described, losses)
    }
}

/// One step on a batch of which the rule may know all, its losses taken from those of all its
/// samples.
fn step_of<M: Module>(
    optimizer: &mut SharpnessAware,
    lr: f64,
    module: M,
    size: usize,
    losses: &dyn Fn(&M) -> Tensor<1>,
) -> lowland::Result<(M, StepReport)> {
    let indices: Vec<usize> = (0..size).collect();
    let described = lowland::BatchInfo::default().with_indices(&indices);
    optimizer.step_micro_batches(lr, module, &described, |module, _, samples| match samples {
        Samples::All => losses(module),
        Samples::Some { positions, .. } => {
            let positions: Vec<i64> =
                positions.iter().map(|&p| i64::try_from(p).unwrap()).collect();
            let all = losses(module);
            let positions = Tensor::from_ints(positions.as_slice(), &all.device());
            all.select(0, positions)
        }
    })
}

/// An optimizer that knows how long an epoch is.
fn optimizer_of(algorithm: &Algorithm, base: ModuleOptimizer) -> SharpnessAware {
    SharpnessAware::new(base, algorithm.build().unwrap())
        .unwrap()
        .with_steps_per_epoch(6)
        .with_total_steps(30)
}

fn device() -> Device {
    Device::flex().autodiff()
}

/// All algorithms with their defaults, the warm-up in steps.
fn all() -> Vec<Algorithm> {
    Algorithm::ALL.iter().map(|d| in_steps(common::named(d.name), 4)).collect()
}

fn in_steps(algorithm: Algorithm, warmup: u64) -> Algorithm {
    match algorithm {
        Algorithm::Arsam(config) => Algorithm::Arsam(ArsamConfig {
            controller: ControllerConfig {
                warmup: Warmup::Steps(warmup),
                window: 10,
                blocks: 2,
                ..config.controller
            },
            ..config
        }),
        Algorithm::Aesam(config) => Algorithm::Aesam(config.with_total_steps(30)),
        other => other,
    }
}

/// The algorithm with another radius, by way of its configuration file.
fn with_rho(algorithm: &Algorithm, rho: f64) -> Algorithm {
    let mut table = toml::Table::try_from(algorithm).unwrap();
    if table.contains_key("rho") {
        table.insert("rho".into(), rho.into());
    }
    if let Some(ascend) = table.get_mut("ascend").and_then(toml::Value::as_table_mut) {
        *ascend = toml::toml! { gradient = { rho = 0.0 } };
        ascend["gradient"]["rho"] = rho.into();
    }
    table.try_into().unwrap()
}

/// Whether a radius of 0 leaves the base optimizer. Not where samples or layers are still selected,
/// and not for SAMPa, which mixes the gradients of two batches, and bSAM, an optimizer of its own.
fn is_base_at_zero(algorithm: &Algorithm) -> bool {
    !matches!(
        algorithm,
        Algorithm::Esam(_)
            | Algorithm::Ksam(_)
            | Algorithm::Ausam(_)
            | Algorithm::SparseLayerSam(_)
            | Algorithm::Sampa(_)
            | Algorithm::Bsam(_)
    )
}

fn bases() -> Vec<(&'static str, ModuleOptimizer)> {
    vec![
        ("sgd", sgd(0.0, 0.0)),
        ("sgd with momentum and decay", sgd(0.9, 1e-2)),
        ("adamw", AdamWConfig::new().init()),
    ]
}

/// Runs `steps` steps over changing batches; gives all values, running statistics included.
fn train(optimizer: &mut SharpnessAware, steps: u64) -> Values {
    *optimizer = optimizer.clone().with_steps_per_epoch(6).with_total_steps(steps);
    let device = device();
    let mut net = Small::new(&device);
    for step in 0..steps {
        let batch = Batch::new(100 + step, &device);
        net = batch.step(optimizer, 0.05, net, &|_, _| {}).unwrap().0;
    }
    Values::of(&net)
}

#[test]
fn a_radius_of_zero_is_the_base_optimizer_bit_for_bit() {
    let _alone = common::alone();
    for (name, base) in bases() {
        let plain = train(
            &mut SharpnessAware::new(base.clone(), BaseConfig {}.build().unwrap()).unwrap(),
            24,
        );
        for algorithm in all().into_iter().filter(is_base_at_zero) {
            let rule = with_rho(&algorithm, 0.0).build().unwrap();
            let found = train(&mut SharpnessAware::new(base.clone(), rule).unwrap(), 24);
            assert_eq!(found, plain, "{algorithm:?} over {name}");
        }
    }
}

#[test]
fn the_base_alone_is_burns_own_training_step_bit_for_bit() {
    let _alone = common::alone();
    let device = device();
    let mut net = Small::new(&device);
    let mut ours = net.clone().valid().train();
    let mut base = sgd(0.9, 1e-2);
    let mut optimizer = SharpnessAware::new(base.clone(), BaseConfig {}.build().unwrap()).unwrap();
    for step in 0..10 {
        let batch = Batch::new(step, &device);
        // Same dropout masks for both: the device is seeded again before each evaluation.
        let losses = |net: &Small, _: &Samples| {
            device.seed(step);
            batch.losses(net)
        };
        ours =
            optimizer.step_samples(0.05, ours, &lowland::BatchInfo::default(), losses).unwrap().0;
        device.seed(step);
        let gradients = batch.losses(&net).mean().backward();
        let gradients = burn::optim::GradientsParams::from_grads(gradients, &net);
        net = base.step(0.05, net, gradients);
    }
    drop(net.valid()); // Burn holds the last update of the running statistics back until here.
    assert_eq!(Values::of(&ours), Values::of(&net));
}

#[test]
fn equal_seeds_give_equal_bytes_and_other_seeds_other_masks() {
    let _alone = common::alone();
    for algorithm in all() {
        let run = |seed| {
            let rule = algorithm.build().unwrap();
            train(&mut SharpnessAware::new(sgd(0.9, 0.0), rule).unwrap().with_seed(seed), 12)
        };
        assert_eq!(run(3), run(3), "{algorithm:?}");
        assert_ne!(run(3), run(4), "{algorithm:?}");
    }
}

#[test]
fn measuring_less_changes_no_bit_of_the_result() {
    let _alone = common::alone();
    for algorithm in all() {
        let run = |measure| {
            let rule = algorithm.build().unwrap();
            train(
                &mut SharpnessAware::new(sgd(0.9, 0.0), rule).unwrap().with_diagnostics(measure),
                24,
            )
        };
        assert_eq!(run(Diagnostics::All), run(Diagnostics::Finite), "{algorithm:?}");
        assert_eq!(run(Diagnostics::All), run(Diagnostics::Nothing), "{algorithm:?}");
    }
}

/// What a gradient with respect to some parameters costs, by their sizes: a third for the forward
/// pass, one for the gradients of inputs down to the first of them, one for their share of the
/// weights.
fn share_of_a_pass(sizes: &[f64], active: &[bool]) -> f64 {
    let all: f64 = sizes.iter().sum();
    let first = active.iter().position(|active| *active).unwrap_or(sizes.len());
    let weights = sizes.iter().zip(active).filter(|(_, active)| **active).map(|(size, _)| size);
    let (inputs, weights) = (sizes[first..].iter().sum::<f64>(), weights.sum::<f64>());
    (1.0 + inputs / all + weights / all) / 3.0
}

fn sizes(parameters: &Parameters) -> Vec<f64> {
    parameters.iter().map(|p| p.shape.num_elements() as f64).collect()
}

/// What an evaluation costs by the cost model of [`Parameters::cost`], from what its closure is
/// given: the share of its samples times that of the weights in the graph. And whether there is a
/// graph.
fn cost(parameters: &Parameters, net: &Small, samples: &Samples) -> (f64, bool) {
    struct Tracked(Vec<ParamId>);
    impl ModuleVisitor for Tracked {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if param.is_require_grad() {
                self.0.push(param.id);
            }
        }
    }
    let mut tracked = Tracked(Vec::new());
    net.visit(&mut tracked);
    let active: Vec<bool> = parameters.iter().map(|p| tracked.0.contains(&p.id)).collect();
    let share = match samples {
        Samples::All => 1.0,
        Samples::Some { positions, of } => positions.len() as f64 / *of as f64,
    };
    (share * share_of_a_pass(&sizes(parameters), &active), active.contains(&true))
}

/// What the papers say that 35 steps cost, in epochs of 5, on batches of 8; `second` of them had a
/// second gradient, and the first gradients of all together cost `first`, with the parameters that
/// were drawn for them.
fn model(algorithm: &Algorithm, second: u32, first: f64) -> f64 {
    match algorithm {
        Algorithm::Base(_) | Algorithm::Msam(_) => 35.0,
        // The second gradient of a step of SAMPa is taken for the next one.
        Algorithm::Sam(_)
        | Algorithm::Asam(_)
        | Algorithm::Fsam(_)
        | Algorithm::StableSam(_)
        | Algorithm::Gsam(_)
        | Algorithm::AdaSam(_)
        | Algorithm::Sampa(_)
        | Algorithm::Wsam(_)
        | Algorithm::Gcsam(_)
        | Algorithm::Bsam(_)
        | Algorithm::Composed(_) => 35.0 * 2.0,
        Algorithm::LookSam(_) => 35.0 + 7.0,
        Algorithm::PeriodicSam(_) => 35.0 + 3.0,
        // The last 17 steps of 35: from ⌈17.5⌉ on.
        Algorithm::LateSam(_) => 35.0 + 17.0,
        Algorithm::Arsam(_) | Algorithm::Aesam(_) | Algorithm::StochasticSam(_) => {
            35.0 + f64::from(second)
        }
        Algorithm::Ksam(_) => 35.0 * (1.0 / 3.0 + 2.0 * 0.5),
        // 2 in the 5 steps of the first epoch, 2α after it.
        Algorithm::Ausam(_) => 5.0 * 2.0 + 30.0 * 2.0 * 0.5,
        // A first gradient, a forward pass, a second gradient on half of the batch.
        Algorithm::Esam(_) => first + 35.0 * (1.0 / 3.0 + 0.5),
        Algorithm::SparseLayerSam(_) => 2.0 * first,
    }
}

/// Passes are those of the evaluations that the closure sees and those of the paper's cost model,
/// and a step with more than one gradient counts as one with a second gradient.
#[test]
fn passes_are_those_of_the_cost_model_and_match_the_calls() {
    let _alone = common::alone();
    for algorithm in all() {
        let device = device();
        let mut net = Small::new(&device);
        let parameters = Parameters::of(&net).unwrap();
        let (optimizer, asked) = spied(&algorithm, sgd(0.9, 0.0));
        let mut optimizer = optimizer.with_steps_per_epoch(5).with_total_steps(35);
        let (seen, gradients) = (Cell::new(0.0), Cell::new(0_u32));
        let (mut second, mut first) = (0, 0.0);
        for step in 0..35 {
            let (batch, before) = (Batch::new(step, &device), gradients.get());
            let see = |net: &Small, samples: &Samples| {
                let (cost, has_gradient) = cost(&parameters, net, samples);
                seen.set(seen.get() + cost);
                gradients.set(gradients.get() + u32::from(has_gradient));
            };
            let (next, report) = batch.step(&mut optimizer, 0.05, net, &see).unwrap();
            net = next;
            let taken = gradients.get() - before;
            assert_eq!(report.second_gradient, taken > 1, "{algorithm:?}: {taken} gradients");
            second += u32::from(report.second_gradient);
            let active = &asked.lock().unwrap().selections[0].parameters;
            let active: Vec<bool> = (0..parameters.len()).map(|i| active.contains(i)).collect();
            first += share_of_a_pass(&sizes(&parameters), &active);
        }
        let passes = optimizer.passes();
        assert_eq!(optimizer.second_gradients(), u64::from(second), "{algorithm:?}");
        assert_eq!(optimizer.evaluations(), u64::from(gradients.get()), "{algorithm:?}");
        assert!((passes - seen.get()).abs() < 1e-9, "{algorithm:?}: {passes}, seen {seen:?}");
        let model = model(&algorithm, second, first);
        assert!((passes - model).abs() < 1e-9, "{algorithm:?}: {passes} is not {model}");
        let bounds = match algorithm {
            // 4 of the warm-up, 9 steps without, then at least one in each window of 10.
            Algorithm::Arsam(_) => 6..=4 + 2 * 8,
            Algorithm::Aesam(_) | Algorithm::StochasticSam(_) => 5..=30,
            _ => 0..=35,
        };
        assert!(bounds.contains(&second), "{algorithm:?}: {second}");
    }
}

fn spied(algorithm: &Algorithm, base: ModuleOptimizer) -> (SharpnessAware, Arc<Mutex<Seen>>) {
    let (optimizer, seen) = spy::spied(algorithm.build().unwrap(), base);
    (optimizer.with_steps_per_epoch(6).with_total_steps(24), seen)
}

/// Every evaluation sees `w` or `w + e`, and what is left after the step is exactly
/// `base(w, ĝ)`: no trace of the perturbation.
#[test]
fn evaluations_see_w_or_w_plus_e_and_no_residue_is_left() {
    let _alone = common::alone();
    for algorithm in all() {
        let device = device();
        let mut net = Small::new(&device);
        let (mut optimizer, seen) = spied(&algorithm, sgd(0.9, 1e-2));
        let mut base = sgd(0.9, 1e-2);
        for step in 0..24 {
            let batch = Batch::new(step, &device);
            let parameters = Parameters::of(&net).unwrap();
            let before = parameters.weights(&net);
            let untouched = net.clone();
            let evaluated = RefCell::new(Vec::new());
            let losses = |net: &Small| {
                evaluated.borrow_mut().push(bits(&parameters.weights(net)));
                batch.losses(net)
            };
            let (next, _) = step_of(&mut optimizer, 0.05, net, 8, &losses).unwrap();
            let seen = seen.lock().unwrap();
            let after = parameters.weights(&next);
            let places: Vec<_> = [&before, &after]
                .into_iter()
                .flat_map(|w| seen.perturbations.iter().map(|e| w.clone().plus(e)))
                .chain([before.clone()])
                .map(|w| bits(&w))
                .collect();
            for place in evaluated.into_inner() {
                assert!(places.contains(&place), "{algorithm:?} at step {step}");
            }
            assert_eq!(bits(&parameters.weights(&untouched)), bits(&before), "{algorithm:?}");
            let update = seen.final_gradient.clone().unwrap();
            let expected = apply(&mut base, 0.05, untouched, update, seen.displacement.as_ref());
            assert_eq!(bits(&parameters.weights(&next)), expected, "{algorithm:?}");
            net = next;
        }
    }
}

/// The weights after a step of the base alone with a given gradient.
fn apply(
    base: &mut ModuleOptimizer,
    lr: f64,
    net: Small,
    gradient: ParamVec,
    displacement: Option<&ParamVec>,
) -> Vec<u64> {
    let mut gradients = burn::optim::GradientsParams::new();
    let parameters = Parameters::of(&net).unwrap();
    let shapes: Vec<_> = parameters.iter().map(|p| p.shape.clone()).collect();
    let mut parts = gradient.into_parts().into_iter();
    let mut next = |i: usize| parts.next().flatten().map(|part| (part, shapes[i].clone()));
    // What is absent, the base leaves alone.
    if let Some((w, shape)) = next(0) {
        gradients.register::<2>(net.input.weight.id, w.reshape(shape));
    }
    let input_bias = net.input.bias.as_ref().unwrap().id;
    let output_bias = net.output.bias.as_ref().unwrap().id;
    let vectors = [(1, input_bias), (2, net.norm.gamma.id), (3, net.norm.beta.id)];
    for (i, id) in vectors {
        if let Some((part, _)) = next(i) {
            gradients.register::<1>(id, part);
        }
    }
    if let Some((w, shape)) = next(4) {
        gradients.register::<2>(net.output.weight.id, w.reshape(shape));
    }
    if let Some((b, _)) = next(5) {
        gradients.register::<1>(output_bias, b);
    }
    let net = base.step(lr, net, gradients);
    let weights = parameters.weights(&net);
    bits(&match displacement {
        Some(direction) => weights.plus_scaled(direction, -lr),
        None => weights,
    })
}

fn bits(vector: &ParamVec) -> Vec<u64> {
    let parts = vector.parts().iter().flatten();
    parts.flat_map(|part| common::numbers(part.clone())).map(f64::to_bits).collect()
}

/// At every step, with a second gradient or without, the statistics move exactly as one evaluation
/// at the weights before the step moves them.
#[test]
fn running_statistics_move_once_a_step_whatever_the_algorithm() {
    let _alone = common::alone();
    let device = device();
    // These move them at the perturbed weights of their first evaluation.
    let elsewhere =
        |a: &Algorithm| matches!(a, Algorithm::Msam(_) | Algorithm::Sampa(_) | Algorithm::Bsam(_));
    for algorithm in all().into_iter().filter(|algorithm| !elsewhere(algorithm)) {
        let mut net = Small::new(&device);
        let mut optimizer = optimizer_of(&algorithm, sgd(0.9, 0.0));
        for step in 0..24 {
            let batch = Batch::new(step, &device);
            let losses = |net: &Small| {
                device.seed(step);
                batch.losses(net)
            };
            let before = net.valid().train();
            let moved = losses(&before);
            drop((moved, before.valid()));
            net = step_of(&mut optimizer, 0.05, net, 8, &losses).unwrap().0;
            assert_eq!(
                Values::of(&net).running,
                Values::of(&before).running,
                "{algorithm:?} at step {step}"
            );
        }
    }
}

/// Takes its only gradient at perturbed weights.
#[derive(Debug, Clone)]
struct OnlyPerturbed;

impl Rule for OnlyPerturbed {
    fn update(&mut self, surface: &mut dyn Surface) -> lowland::Result<Update> {
        let w = surface.weights();
        Ok(surface.gradient_at(&Perturbation::along(&w, 0.1), &Selection::ALL)?.into())
    }
}

/// Evaluates nothing.
#[derive(Debug, Clone)]
struct Idle;

impl Rule for Idle {
    fn update(&mut self, surface: &mut dyn Surface) -> lowland::Result<Update> {
        Ok(surface.weights().into())
    }
}

#[test]
fn a_first_evaluation_at_perturbed_weights_moves_the_statistics_of_the_live_module() {
    let _alone = common::alone();
    let device = device();
    let batch = Batch::new(1, &device);
    let losses = |net: &Small, _: &Samples| batch.losses(net);
    let before = Values::of(&Small::new(&device));
    let mut optimizer = SharpnessAware::new(sgd(0.0, 0.0), OnlyPerturbed).unwrap();
    let (net, report) = optimizer
        .step_samples(0.0, Small::new(&device), &lowland::BatchInfo::default(), losses)
        .unwrap();
    assert_ne!(Values::of(&net).running, before.running);
    assert_eq!(Values::of(&net).trainable, before.trainable);
    assert_eq!((report.passes, report.second_gradient), (1.0, false));

    let error = SharpnessAware::new(sgd(0.0, 0.0), Idle).unwrap();
    let error = error
        .clone()
        .step_samples(0.0, Small::new(&device), &lowland::BatchInfo::default(), losses)
        .unwrap_err();
    assert_eq!(error, Error::NoEvaluation);
}

/// A tensor in two places of a module gets the sum of both gradients in either pass.
#[test]
fn tied_tensors_count_once_with_all_of_their_gradient() {
    #[derive(Module, Debug)]
    struct Twice {
        a: Linear,
        b: Linear,
    }
    let _alone = common::alone();
    let device = device();
    let a = in_f64(LinearConfig::new(4, 4).with_bias(false).init(&device));
    let net = Twice { b: a.clone(), a };
    assert_eq!(Parameters::of(&net).unwrap().len(), 1);
    let x = Batch::new(1, &device).in_f64().x;
    let (mut optimizer, seen) = spied(&Algorithm::Sam(SamConfig { rho: 0.0 }), sgd(0.0, 0.0));
    let losses = |net: &Twice, _: &Samples| net.b.forward(net.a.forward(x.clone())).square().sum();
    optimizer.step_samples(0.0, net, &lowland::BatchInfo::default(), losses).unwrap();
    let seen = seen.lock().unwrap();
    let apart = seen.gradients[1].clone().minus(&seen.gradients[0]).norm();
    let apart = common::numbers(apart / seen.gradients[0].norm())[0];
    assert!(apart < 1e-14, "{apart}");
}

#[test]
fn dropout_draws_the_same_masks_in_both_evaluations() {
    let _alone = common::alone();
    let device = device();
    let batch = Batch::new(1, &device);
    let outputs = RefCell::new(Vec::new());
    let losses = |net: &Small, _: &Samples| {
        let dropped = net.dropout.forward(Tensor::<2>::ones([8, 6], &device));
        outputs.borrow_mut().push(common::numbers(dropped));
        batch.losses(net)
    };
    let mut optimizer =
        SharpnessAware::new(sgd(0.0, 0.0), SamConfig::default().build().unwrap()).unwrap();
    let (net, _) = optimizer
        .step_samples(0.05, Small::new(&device), &lowland::BatchInfo::default(), losses)
        .unwrap();
    let _ = optimizer.step_samples(0.05, net, &lowland::BatchInfo::default(), losses).unwrap();
    let outputs = outputs.into_inner();
    assert_eq!(outputs.len(), 4);
    assert_eq!(outputs[0], outputs[1]);
    assert_eq!(outputs[2], outputs[3]);
    assert_ne!(outputs[0], outputs[2], "another step draws other masks");
    assert!(outputs[0].contains(&0.0), "dropout is on");
}

#[test]
fn a_zero_gradient_moves_nothing_and_makes_no_nan() {
    let _alone = common::alone();
    for algorithm in all() {
        let device = device();
        let net = Small::new(&device);
        let before = Values::of(&net);
        let mut optimizer = optimizer_of(&algorithm, sgd(0.9, 0.0));
        let losses =
            |net: &Small| net.forward(Tensor::zeros([8, 4], &device)).sum_dim(1).reshape([8]) * 0.0;
        let (net, report) = step_of(&mut optimizer, 0.1, net, 8, &losses).unwrap();
        assert!(!report.skipped, "{algorithm:?}");
        assert_eq!(Values::of(&net).trainable, before.trainable, "{algorithm:?}");
        assert_eq!(report.values().unwrap().update_norm, Some(0.0), "{algorithm:?}");
        assert_eq!(report.values().unwrap().cosine, None, "{algorithm:?}");
    }
}

/// All fields of the optimizer's record, the base's own record as one, by their names.
fn recorded(optimizer: &SharpnessAware) -> BTreeMap<String, Vec<u8>> {
    fields(optimizer.to_record().unwrap().into_bytes().unwrap())
}

/// A step whose loss or gradient is not finite leaves no mark: the run continues as if its batch
/// had not been there, running statistics and the rule's memory included.
#[test]
fn a_step_that_is_not_finite_changes_nothing() {
    let _alone = common::alone();
    for algorithm in all() {
        for poison in [f64::NAN, f64::INFINITY] {
            let device = device();
            let mut net = Small::new(&device);
            let mut optimizer = optimizer_of(&algorithm, sgd(0.9, 1e-2));
            for step in 0..3 {
                let batch = Batch::new(step, &device);
                net = batch.step(&mut optimizer, 0.05, net, &|_, _| {}).unwrap().0;
            }
            let (before, kept) = (Values::of(&net), recorded(&optimizer));
            let bad = Batch::new(9, &device);
            let losses = |net: &Small| {
                let x = bad.x.clone().mul_scalar(poison);
                cross_entropies(net.forward(x), bad.y.clone())
            };
            let (next, report) = step_of(&mut optimizer, 0.05, net, 8, &losses).unwrap();
            assert!(report.skipped, "{algorithm:?}");
            assert_eq!(Values::of(&next), before, "{algorithm:?}");
            assert_eq!(optimizer.non_finite_steps(), 1);
            let after = recorded(&optimizer);
            assert!(after.keys().eq(kept.keys()), "{algorithm:?}");
            for (name, value) in after {
                // Its own counters advance; the rule's fields and the base's record are what they
                // were.
                let counter = name.starts_with("optimizer.");
                assert!(counter || value == kept[&name], "{algorithm:?}: {name} has changed");
            }

            let good = Batch::new(10, &device);
            let (_, report) = good.step(&mut optimizer, 0.05, next, &|_, _| {}).unwrap();
            assert!(!report.skipped, "{algorithm:?} continues");
        }
    }
}

#[test]
fn too_many_bad_steps_in_a_row_are_an_error_that_names_the_step() {
    let _alone = common::alone();
    let device = device();
    let mut net = Small::new(&device);
    let rule = SamConfig::default().build().unwrap();
    let mut optimizer = SharpnessAware::new(sgd(0.9, 0.0), rule).unwrap().with_non_finite_limit(2);
    let losses =
        |net: &Small, _: &Samples| net.forward(Tensor::full([4, 4], f32::NAN, &device)).sum();
    for _ in 0..2 {
        net = optimizer.step_samples(0.1, net, &lowland::BatchInfo::default(), losses).unwrap().0;
    }
    let error =
        optimizer.step_samples(0.1, net, &lowland::BatchInfo::default(), losses).unwrap_err();
    assert_eq!(error, Error::NonFinite { step: 2, in_a_row: 3 });
}

#[test]
fn losses_that_cannot_be_used_are_errors() {
    let _alone = common::alone();
    let device = device();
    let step = |losses: &dyn Fn(&Small) -> Tensor<1>| {
        let rule = SamConfig::default().build().unwrap();
        let mut optimizer = SharpnessAware::new(sgd(0.0, 0.0), rule).unwrap();
        optimizer
            .step_samples(
                0.1,
                Small::new(&device),
                &lowland::BatchInfo::default(),
                |net: &Small, _: &Samples| losses(net),
            )
            .unwrap_err()
    };
    assert_eq!(
        step(&|_| Tensor::ones([1], &Device::flex())),
        Error::Untracked { what: "the loss".into() }
    );
    let x = || Tensor::<2>::ones([2, 4], &Device::flex());
    assert_eq!(
        step(&|net| net.valid().forward(x()).sum()),
        Error::Untracked { what: "the loss".into() }
    );

    let rule = SamConfig::default().build().unwrap();
    let frozen = Small::new(&device).no_grad();
    let losses = |net: &Small, _: &Samples| net.forward(Tensor::ones([2, 4], &device)).sum();
    let error = SharpnessAware::new(sgd(0.0, 0.0), rule)
        .unwrap()
        .step_samples(0.1, frozen, &lowland::BatchInfo::default(), losses)
        .unwrap_err();
    assert_eq!(error, Error::NoParameters);
}

#[test]
fn a_warm_up_in_epochs_asks_for_the_length_of_an_epoch() {
    let _alone = common::alone();
    let device = device();
    let batch = Batch::new(1, &device);
    let losses = |net: &Small, _: &Samples| batch.losses(net);
    let warmup = Warmup::Epochs(3);
    let controller = ControllerConfig { warmup, ..ControllerConfig::default() };
    let arsam = ArsamConfig { controller, ..ArsamConfig::default() };
    let optimizer = SharpnessAware::new(sgd(0.0, 0.0), arsam).unwrap();
    let error = optimizer
        .clone()
        .step_samples(0.1, Small::new(&device), &lowland::BatchInfo::default(), losses)
        .unwrap_err();
    assert!(error.to_string().contains("with_steps_per_epoch"), "{error}");
    let error = optimizer
        .clone()
        .with_steps_per_epoch(0)
        .step_samples(0.1, Small::new(&device), &lowland::BatchInfo::default(), losses)
        .unwrap_err();
    assert_eq!(error.to_string(), "steps_per_epoch must be at least 1, found 0");

    let mut optimizer = optimizer.with_steps_per_epoch(2);
    let mut net = Small::new(&device);
    for _ in 0..8 {
        net = optimizer.step_samples(0.1, net, &lowland::BatchInfo::default(), losses).unwrap().0;
    }
    assert_eq!(optimizer.second_gradients(), 6, "three epochs of two steps");
}

#[test]
fn frozen_parameters_stay_and_parameters_without_gradient_do_not_decay() {
    let _alone = common::alone();
    for algorithm in all() {
        let device = device();
        let mut net = Small::new(&device);
        net.input = net.input.no_grad();
        let before = Values::of(&net);
        let layer = |layer: &Linear| common::numbers(layer.weight.val().inner());
        let (input, output) = (layer(&net.input), layer(&net.output));
        let mut optimizer = optimizer_of(&algorithm, sgd(0.9, 0.1));
        let x = Batch::new(1, &device).x;
        // The output layer takes no part in this loss.
        let losses = |net: &Small| {
            let cubes = net.norm.forward(net.input.forward(x.clone())).powf_scalar(3.0);
            cubes.sum_dim(1).reshape([8])
        };
        for _ in 0..8 {
            net = step_of(&mut optimizer, 0.05, net, 8, &losses).unwrap().0;
        }
        let after = Values::of(&net);
        assert_eq!(layer(&net.output), output, "{algorithm:?}");
        assert_eq!(layer(&net.input), input, "{algorithm:?}");
        assert_ne!(after.trainable, before.trainable, "{algorithm:?}: BatchNorm learns");
    }
}

#[test]
fn gradient_checkpointing_works_at_the_perturbed_weights() {
    let _alone = common::alone();
    let device = Device::flex().autodiff().gradient_checkpointing();
    for algorithm in all() {
        let mut net = Net::conv_bn(1, [2, 3], 3, &device);
        let mut optimizer = optimizer_of(&algorithm, sgd(0.9, 0.0));
        let x = Tensor::<2>::random([4, 36], Distribution::Default, &device); // [batch, pixels]
        let y = Tensor::<1, Int>::from_ints([0, 1, 2, 0], &device);
        let seen = Cell::new(0);
        let losses = |net: &Net| {
            let found = common::strategies(net);
            // A forward pass alone has nothing to checkpoint.
            let forward = matches!(algorithm, Algorithm::Ksam(_) | Algorithm::Esam(_));
            let kept = found == [device.gradient_checkpointing_strategy()];
            assert!(kept || (forward && found.is_empty()), "{algorithm:?}: {found:?}");
            seen.set(seen.get() + 1_u32);
            cross_entropies(net.forward(x.clone(), &[4, 1, 6, 6]), y.clone())
        };
        for _ in 0..3 {
            net = step_of(&mut optimizer, 0.05, net, 4, &losses).unwrap().0;
        }
        assert!(u64::from(seen.get()) >= optimizer.evaluations(), "{algorithm:?}");
    }
}

#[test]
fn clipping_scales_the_final_gradient_to_the_norm_and_no_further() {
    let _alone = common::alone();
    let device = device();
    let batch = Batch::new(1, &device).in_f64();
    let moved = |clip: Option<f64>| {
        let rule = SamConfig::default().build().unwrap();
        let mut optimizer = SharpnessAware::new(sgd(0.0, 0.0), rule).unwrap();
        if let Some(clip) = clip {
            optimizer = optimizer.with_clip_norm(clip).unwrap();
        }
        let net = in_f64(Small::new(&device));
        let parameters = Parameters::of(&net).unwrap();
        let before = parameters.weights(&net);
        let (net, _) = optimizer
            .step_samples(1.0, net, &lowland::BatchInfo::default(), |net: &Small, _: &Samples| {
                batch.losses(net)
            })
            .unwrap();
        common::numbers(parameters.weights(&net).minus(&before).norm())[0]
    };
    let free = moved(None);
    assert!((moved(Some(free / 2.0)) - free / 2.0).abs() < 1e-12 * free);
    assert_eq!(moved(Some(free * 2.0)).to_bits(), free.to_bits());
    let rule = BaseConfig {}.build().unwrap();
    let refused =
        SharpnessAware::new(sgd(0.0, 0.0), rule).unwrap().with_clip_norm(0.0).unwrap_err();
    assert_eq!(refused.to_string(), "clip_norm must be finite and above 0, found 0");
}

/// The first `k` samples of a batch, for the second gradient only.
#[derive(Debug, Clone)]
struct FirstK(usize);

impl Select for FirstK {
    fn first(&mut self, _surface: &mut dyn Surface) -> lowland::Result<Selection> {
        Ok(Selection::ALL)
    }

    fn second(
        &mut self,
        _first: Selection,
        _e: &Perturbation<'_>,
        _surface: &mut dyn Surface,
    ) -> lowland::Result<Selection> {
        Ok(Samples::Some { positions: (0..self.0).collect(), of: 8 }.into())
    }
}

#[test]
fn chosen_samples_are_asked_for_and_counted_as_their_share() {
    let _alone = common::alone();
    let device = device();
    let batch = Batch::new(1, &device);
    let rule = || {
        ComposedRule::new(FirstK(2), EveryStep, AlongGradient::new(0.05).unwrap(), SharpGradient)
            .unwrap()
    };
    let losses = |net: &Small, samples: &Samples| match samples {
        Samples::All => batch.losses(net),
        Samples::Some { positions, .. } => batch.losses(net).narrow(0, 0, positions.len()),
    };
    let mut optimizer = SharpnessAware::new(sgd(0.0, 0.0), rule()).unwrap();
    let (_, report) = optimizer
        .step_samples(0.1, Small::new(&device), &lowland::BatchInfo::default(), losses)
        .unwrap();
    assert!((report.passes - 1.25).abs() < 1e-12);

    let whole = |net: &Small, _: &Samples| batch.losses(net);
    let mut optimizer = SharpnessAware::new(sgd(0.0, 0.0), rule()).unwrap();
    let error = optimizer
        .step_samples(0.1, Small::new(&device), &lowland::BatchInfo::default(), whole)
        .unwrap_err();
    assert_eq!(error, Error::Losses { expected: 2, found: 8 });
}

#[test]
fn a_report_holds_what_the_step_did() {
    let _alone = common::alone();
    let device = device();
    let batch = Batch::new(1, &device).in_f64();
    let (mut optimizer, seen) = spied(&Algorithm::Sam(SamConfig { rho: 0.1 }), sgd(0.0, 0.0));
    let (_, report) = optimizer
        .step_samples(
            0.1,
            in_f64(Small::new(&device)),
            &lowland::BatchInfo::default(),
            |net: &Small, _: &Samples| batch.losses(net),
        )
        .unwrap();
    let values = report.values().unwrap();
    let seen = seen.lock().unwrap();
    let (g, g_s) = (&seen.gradients[0], &seen.gradients[1]);
    let number = |scalar: Tensor<1>| common::numbers(scalar)[0];
    let psf = g_s.clone().minus(g);
    let cosine = number(g.dot(g_s)) / number(g.norm()) / number(g_s.norm());
    for (found, expected) in [
        (values.gradient_norm, number(g.norm())),
        (values.perturbed_norm, number(g_s.norm())),
        (values.update_norm, number(g_s.norm())),
        (values.psf_norm, number(psf.norm())),
        (values.cosine, cosine),
        (values.radius, 0.1),
    ] {
        assert!(
            (found.unwrap() - expected).abs() < 1e-12 * expected,
            "{found:?} is not {expected}"
        );
    }
    assert!(values.loss > 0.0);
    assert_eq!((report.step, report.second_gradient, report.skipped), (0, true, false));
}

/// Settings at which an algorithm of the family is SAM, or the base, bit for bit.
#[test]
fn at_their_ends_the_relatives_are_sam_or_the_base() {
    let _alone = common::alone();
    let run = |rule| train(&mut SharpnessAware::new(sgd(0.9, 1e-2), rule).unwrap(), 12);
    let sam = run(SamConfig { rho: 0.05 }.build().unwrap());
    let base = run(BaseConfig {}.build().unwrap());
    assert_ne!(sam, base);
    let rho = 0.05;
    let ae = |lambda: f64| AesamConfig::new(rho).with_lambda_1(lambda).with_lambda_2(lambda);
    let late = |start: f64| LateSamConfig { rho, start }.build();
    let at_random = |p: f64| StochasticSamConfig::new(rho).with_probability(p).build();
    let sams = [
        ("LookSAM with k = 1", LookSamConfig::new(rho).with_k(1).with_alpha(0.7).build()),
        ("F-SAM with sigma = 0", FsamConfig { rho, sigma: 0.0, lambda: 0.9 }.build()),
        ("GSAM with alpha = 0", GsamConfig::new(rho).with_alpha(0.0).build()),
        ("AE-SAM below every threshold", ae(f64::NEG_INFINITY).build()),
        ("periodic SAM with interval 1", PeriodicSamConfig { rho, interval: 1 }.build()),
        ("SS-SAM with p = 1", at_random(1.0)),
        ("late SAM from the start", late(0.0)),
    ];
    for (name, rule) in sams {
        assert_eq!(run(rule.unwrap()), sam, "{name}");
    }
    let bases = [
        ("AE-SAM above every threshold", ae(f64::INFINITY).build()),
        ("SS-SAM with p = 0", at_random(0.0)),
        ("late SAM at the end", late(1.0)),
        ("WSAM with gamma = 0", WsamConfig::new(rho).with_gamma(0.0).build()),
    ];
    for (name, rule) in bases {
        assert_eq!(run(rule.unwrap()), base, "{name}");
    }
    // α = 0 leaves SAM at the refreshing steps and the base at the others.
    let every_fifth = Box::new(
        ComposedRule::new(
            AllSamples,
            Written((0..12).map(|step| step % 5 == 0).collect()),
            AlongGradient::new(rho).unwrap(),
            SharpGradient,
        )
        .unwrap(),
    );
    let look = LookSamConfig::new(rho).with_k(5).with_alpha(0.0).build().unwrap();
    assert_eq!(run(look), run(every_fifth));
}

/// `⟨g, g_v⟩ = 0` where `g_v` is made, and `‖ĝ − g‖ = α‖g‖` where it is reused; `‖ĝ‖ = ‖g‖` for
/// SSAM; `⟨ĝ − g_s, g_s⟩ = 0` for GSAM; F-SAM's first step is SAM's, and `‖e‖ = ρ` at the others.
#[test]
fn the_relatives_keep_their_equations() {
    let _alone = common::alone();
    let number = |scalar: Tensor<1>| common::numbers(scalar)[0];
    let steps = |algorithm: Algorithm, check: &dyn Fn(u64, &Seen)| {
        let device = device();
        let mut net = in_f64(Small::new(&device));
        let (mut optimizer, seen) = spied(&algorithm, sgd(0.9, 0.0));
        for step in 0..6 {
            let batch = Batch::new(step, &device).in_f64();
            net = optimizer
                .step_samples(
                    0.05,
                    net,
                    &lowland::BatchInfo::default(),
                    |net: &Small, _: &Samples| batch.losses(net),
                )
                .unwrap()
                .0;
            check(step, &seen.lock().unwrap());
        }
    };
    let orthogonal = RefCell::new(None);
    steps(Algorithm::LookSam(LookSamConfig::new(0.1).with_k(3).with_alpha(0.4)), &|step, seen| {
        let (g, last) = (&seen.gradients[0], seen.final_gradient.clone().unwrap());
        if step % 3 == 0 {
            let g_v = seen.gradients[1].clone().without(g);
            let cosine = number(g.dot(&g_v)) / number(g.norm()) / number(g_v.norm());
            assert!(cosine.abs() < 1e-9, "{cosine}");
            orthogonal.replace(Some(g_v));
        } else {
            let added = last.minus(g);
            let share = number(added.norm()) / number(g.norm());
            assert!((share - 0.4).abs() < 1e-9, "{share}");
            let g_v = orthogonal.borrow().clone().unwrap();
            let cosine = number(added.dot(&g_v)) / number(added.norm()) / number(g_v.norm());
            assert!((cosine - 1.0).abs() < 1e-9, "{cosine}");
        }
    });
    steps(
        Algorithm::StableSam(StableSamConfig { rho: 0.1, ..StableSamConfig::default() }),
        &|_, seen| {
            let last = seen.final_gradient.as_ref().unwrap();
            let lengths = number(last.norm()) / number(seen.gradients[0].norm());
            assert!((lengths - 1.0).abs() < 1e-9, "{lengths}");
        },
    );
    steps(Algorithm::Gsam(GsamConfig::new(0.1).with_alpha(0.4)), &|_, seen| {
        let g_s = &seen.gradients[1];
        let gap = seen.final_gradient.clone().unwrap().minus(g_s);
        let cosine = number(gap.dot(g_s)) / number(gap.norm()) / number(g_s.norm());
        assert!(cosine.abs() < 1e-9, "{cosine}");
    });
    steps(Algorithm::Fsam(FsamConfig { rho: 0.1, sigma: 1.0, lambda: 0.6 }), &|step, seen| {
        let e = seen.perturbations.last().unwrap();
        assert!((number(e.norm()) - 0.1).abs() < 1e-9);
        let g = &seen.gradients[0];
        let cosine = number(e.dot(g)) / number(e.norm()) / number(g.norm());
        assert_eq!(step == 0, (cosine - 1.0).abs() < 1e-9, "step {step}: {cosine}");
    });
}

/// A gradient that never changes leaves F-SAM nothing to ascend from its second step on.
#[test]
fn fsam_does_not_ascend_along_a_constant_gradient() {
    let _alone = common::alone();
    let device = device();
    let (mut optimizer, seen) =
        spied(&Algorithm::Fsam(FsamConfig { rho: 0.1, sigma: 1.0, lambda: 0.9 }), sgd(0.0, 0.0));
    let mut net: Linear = in_f64(LinearConfig::new(4, 2).init(&device));
    let x = Tensor::<2>::ones([3, 4], (&device, DType::F64));
    for step in 0..4 {
        let losses = |net: &Linear, _: &Samples| net.forward(x.clone()).sum();
        net = optimizer.step_samples(0.1, net, &lowland::BatchInfo::default(), losses).unwrap().0;
        let length = common::numbers(seen.lock().unwrap().perturbations.last().unwrap().norm())[0];
        let expected = if step == 0 { 0.1 } else { 0.0 };
        assert!((length - expected).abs() < 1e-12, "step {step}: {length}");
    }
}

/// Takes a second gradient at each step but the first `quiet` ones, or as written down.
#[derive(Debug, Clone)]
struct Written(Vec<bool>);

impl Schedule for Written {
    fn due(&mut self, _g: &Gradient, surface: &mut dyn Surface) -> lowland::Result<bool> {
        Ok(self.0[usize::try_from(surface.step()).unwrap()])
    }
}

fn written(second_gradients: Vec<bool>, beta: f64) -> Box<dyn Rule> {
    Box::new(
        ComposedRule::new(
            AllSamples,
            Written(second_gradients),
            AlongGradient::new(0.05).unwrap(),
            ReusePsf::new(ReusePsfConfig { beta, ..ReusePsfConfig::default() }).unwrap(),
        )
        .unwrap(),
    )
}

#[test]
fn arsam_that_always_samples_is_sam_and_that_never_reuses_is_the_base() {
    let _alone = common::alone();
    for (name, base) in bases() {
        let run = |rule| train(&mut SharpnessAware::new(base.clone(), rule).unwrap(), 12);
        let sam = run(SamConfig { rho: 0.05 }.build().unwrap());
        assert_eq!(run(written(vec![true; 12], 0.7)), sam, "{name}");
        let always = in_steps(Algorithm::Arsam(ArsamConfig::default()), 12).build().unwrap();
        assert_eq!(run(always), sam, "{name}, by its warm-up");

        let once: Vec<bool> = (0..12).map(|step| step == 0).collect();
        let plain = Box::new(
            ComposedRule::new(
                AllSamples,
                Written(once.clone()),
                AlongGradient::new(0.05).unwrap(),
                SharpGradient,
            )
            .unwrap(),
        );
        assert_eq!(run(written(once, 0.0)), run(plain), "{name}");
    }
}

#[test]
fn arsams_windows_hold_exactly_their_quota() {
    let _alone = common::alone();
    let device = device();
    let controller = ControllerConfig {
        window: 10,
        blocks: 2,
        gain_ratio: 0.5,
        gain_variance: 0.5,
        warmup: Warmup::Steps(15),
        ..ControllerConfig::default()
    };
    let rule = ArsamConfig { controller, ..ArsamConfig::default() }.build().unwrap();
    let mut optimizer = SharpnessAware::new(sgd(0.9, 0.0), rule).unwrap().with_seed(5);
    let mut net = Small::new(&device);
    let mut steps = Vec::new();
    for step in 0..15 + 9 + 20 * 10 {
        let batch = Batch::new(step, &device);
        let (next, report) = optimizer
            .step_samples(0.05, net, &lowland::BatchInfo::default(), |net: &Small, _: &Samples| {
                batch.losses(net)
            })
            .unwrap();
        net = next;
        let quota = report.values().unwrap().notes["samples_per_window"];
        steps.push((report.second_gradient, quota));
    }
    assert!(steps[..15].iter().all(|(second, _)| *second), "the warm-up samples every step");
    assert!(steps[15..24].iter().all(|(second, _)| !*second), "the first window has none");
    let mut quotas = Vec::new();
    for window in steps[24..].chunks(10) {
        let quota = window[0].1;
        assert!((1.0..=8.0).contains(&quota), "{quota}");
        let taken = window.iter().filter(|(second, _)| *second).count();
        assert_eq!(taken as f64, quota.floor());
        quotas.push(quota);
    }
    assert!(quotas.iter().any(|quota| *quota > 1.0), "the quota moves: {quotas:?}");
}

#[test]
fn asam_with_weights_of_size_one_is_sam_and_spares_weights_of_zero() {
    let _alone = common::alone();
    let device = device();
    let x = Tensor::<2>::random([8, 4], Distribution::Default, &device).cast(DType::F64);
    let linear = |weights: Tensor<2>| Linear { weight: Param::from_tensor(weights), bias: None };
    let signs = [[1.0, -1.0], [-1.0, 1.0], [1.0, 1.0], [-1.0, -1.0_f64]];
    let signs = Tensor::<2>::from_data(signs, (&device, DType::F64));
    let perturbation = |algorithm: &Algorithm, weights: Tensor<2>| {
        let (mut optimizer, seen) = spied(algorithm, sgd(0.0, 0.0));
        let losses =
            |net: &Linear, _: &Samples| net.forward(x.clone()).square().sum_dim(1).reshape([8]);
        optimizer
            .step_samples(0.1, linear(weights), &lowland::BatchInfo::default(), losses)
            .unwrap();
        let e = seen.lock().unwrap().perturbations.last().cloned().unwrap();
        common::numbers(e.into_parts().remove(0).unwrap())
    };
    let sam = Algorithm::Sam(SamConfig { rho: 0.3 });
    let asam = Algorithm::Asam(AsamConfig { rho: 0.3, eta: 0.0, scaling: Scaling::All });
    for (a, b) in perturbation(&sam, signs.clone()).iter().zip(perturbation(&asam, signs.clone())) {
        assert!((a - b).abs() < 1e-12, "{a} is not {b}");
    }
    let half = signs.mask_fill(Tensor::<2>::from_floats([[1.0, 0.0]; 4], &device).bool(), 0.0);
    let e = perturbation(&asam, half);
    assert!(e.iter().step_by(2).all(|e| *e == 0.0), "{e:?}");
    assert!(e.iter().skip(1).step_by(2).any(|e| *e != 0.0), "{e:?}");
}

/// Two linear layers.
#[derive(Module, Debug)]
struct Pair {
    a: Linear,
    b: Linear,
}

/// `(w_a → c·w_a, w_b → w_b/c)` around a ReLU changes neither the function nor, with ASAM, the
/// loss at the perturbed weights; with SAM it does.
#[test]
fn asam_does_not_see_a_rescaling_around_a_relu() {
    let _alone = common::alone();
    let device = device();
    let random = |shape: [usize; 2]| {
        Tensor::<2>::random(shape, Distribution::Normal(0.0, 1.0), &device).cast(DType::F64)
    };
    let (x, a, b) = (random([8, 4]), random([4, 5]), random([5, 1]));
    let perturbed_loss = |algorithm: Algorithm, c: f64| {
        let pair = Pair {
            a: Linear { weight: Param::from_tensor(a.clone() * c), bias: None },
            b: Linear { weight: Param::from_tensor(b.clone() / c), bias: None },
        };
        let found = RefCell::new(Vec::new());
        let losses = |net: &Pair, _: &Samples| {
            let hidden = burn::tensor::activation::relu(net.a.forward(x.clone()));
            let losses = net.b.forward(hidden).square().reshape([8]);
            found.borrow_mut().push(common::numbers(losses.clone().inner().mean())[0]);
            losses
        };
        let mut optimizer = SharpnessAware::new(sgd(0.0, 0.0), algorithm.build().unwrap()).unwrap();
        optimizer.step_samples(0.0, pair, &lowland::BatchInfo::default(), losses).unwrap();
        found.into_inner()[1]
    };
    let asam = Algorithm::Asam(AsamConfig { rho: 0.3, eta: 0.0, scaling: Scaling::All });
    let (one, eight) = (perturbed_loss(asam.clone(), 1.0), perturbed_loss(asam, 8.0));
    assert!((one - eight).abs() < 1e-12 * one, "{one} is not {eight}");
    let sam = Algorithm::Sam(SamConfig { rho: 0.3 });
    let (one, eight) = (perturbed_loss(sam.clone(), 1.0), perturbed_loss(sam, 8.0));
    assert!((one - eight).abs() > 1e-2 * one, "SAM sees it: {one} and {eight}");
}

#[test]
fn configurations_survive_toml_and_unknown_fields_do_not() {
    let _alone = common::alone();
    for algorithm in all() {
        let text = toml::to_string(&algorithm).unwrap();
        assert_eq!(toml::from_str::<Algorithm>(&text).unwrap(), algorithm, "{text}");
        assert!(toml::from_str::<Algorithm>(&format!("rhoo = 1.0\n{text}")).is_err(), "{text}");
    }
    assert_eq!(
        toml::from_str::<Algorithm>("name = \"sam\"").unwrap(),
        Algorithm::Sam(SamConfig { rho: 0.05 })
    );
    assert!(matches!(toml::from_str("name = \"vsam\"").unwrap(), Algorithm::Arsam(_)));
    assert!(toml::from_str::<Algorithm>("name = \"nosam\"").is_err());
}

#[test]
fn a_radius_that_is_negative_or_not_finite_is_refused() {
    let _alone = common::alone();
    for algorithm in all().into_iter().filter(|a| !matches!(a, Algorithm::Base(_))) {
        for rho in [-0.1, f64::NAN, f64::INFINITY] {
            let error = with_rho(&algorithm, rho).build().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("rho must be finite and at least 0, found {rho}"),
                "{algorithm:?}"
            );
        }
    }
    let error =
        ReusePsf::new(ReusePsfConfig { beta: 1.5, ..ReusePsfConfig::default() }).unwrap_err();
    assert_eq!(error.to_string(), "beta must be between 0 and 1, found 1.5");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// `‖e‖ = ρ` whatever the batch, the radius and the scale of the loss, and the direction is the
    /// gradient's.
    #[test]
    fn the_perturbation_is_as_long_as_the_radius(seed in 0_u64..1000, rho in 1e-4..10.0_f64, scale in -6_i32..6) {
        let _alone = common::alone();
        let device = device();
        let batch = Batch::new(seed, &device).in_f64();
        let factor = 10.0_f64.powi(scale);
        let (mut optimizer, seen) = spied(&Algorithm::Sam(SamConfig { rho }), sgd(0.0, 0.0));
        let losses = |net: &Small, _: &Samples| batch.losses(net) * factor;
        optimizer.step_samples(0.0, in_f64(Small::new(&device)), &lowland::BatchInfo::default(), losses).unwrap();
        let seen = seen.lock().unwrap();
        let e = seen.perturbations.last().unwrap();
        let (g, number) = (&seen.gradients[0], |scalar: Tensor<1>| common::numbers(scalar)[0]);
        let length = number(e.norm());
        // The norm that the gradient is divided by has 1e-12 added.
        let norm = number(g.norm());
        let expected = rho * norm / (norm + 1e-12);
        prop_assert!((length - expected).abs() < 1e-12 * rho, "{length} is not {expected}");
        let cosine = number(e.dot(g)) / length / norm;
        prop_assert!((cosine - 1.0).abs() < 1e-12, "{cosine}");
    }

    /// A radius of zero is the base optimizer bit for bit, BatchNorm's statistics included,
    /// whatever the algorithm, the learning rate, momentum, weight decay and batches; and every
    /// evaluation is counted.
    #[test]
    fn a_radius_of_zero_is_the_base_whatever_the_setting(
        which in 0_usize..100, seed in 0_u64..1000, lr in 1e-4..0.5_f64,
        momentum in 0.0..0.99_f64, decay in 0.0..0.1_f64, steps in 1_u64..16,
    ) {
        let _alone = common::alone();
        let algorithms: Vec<_> = all().into_iter().filter(is_base_at_zero).collect();
        let algorithm = with_rho(&algorithms[which % algorithms.len()], 0.0);
        let run = |rule| {
            let device = device();
            let mut net = Small::new(&device);
            let mut optimizer = SharpnessAware::new(sgd(momentum, decay), rule).unwrap().with_seed(seed).with_total_steps(steps);
            let calls = Cell::new(0_u32);
            for step in 0..steps {
                let batch = Batch::new(seed + step, &device);
                let losses = |net: &Small, _: &Samples| {
                    calls.set(calls.get() + 1);
                    batch.losses(net)
                };
                net = optimizer.step_samples(lr, net, &lowland::BatchInfo::default(), losses).unwrap().0;
            }
            (Values::of(&net), optimizer.passes() - f64::from(calls.get()))
        };
        let (found, uncounted) = run(algorithm.build().unwrap());
        let (base, _) = run(BaseConfig {}.build().unwrap());
        prop_assert_eq!(found, base, "{:?}", algorithm);
        prop_assert_eq!(uncounted, 0.0);
    }

    /// `‖T⁻¹e‖ = ρ` for ASAM.
    #[test]
    fn asams_perturbation_is_as_long_as_the_radius_in_its_own_norm(seed in 0_u64..1000, rho in 1e-3..5.0_f64, eta in 0.0..0.5_f64) {
        let _alone = common::alone();
        let device = device();
        let batch = Batch::new(seed, &device).in_f64();
        let asam = AsamConfig { rho, eta: eta + 0.01, scaling: Scaling::All };
        let (mut optimizer, seen) = spied(&Algorithm::Asam(asam), sgd(0.0, 0.0));
        let net = in_f64(Small::new(&device));
        let t = Parameters::of(&net).unwrap().weights(&net).map(|w| w.abs() + eta + 0.01);
        optimizer.step_samples(0.0, net, &lowland::BatchInfo::default(), |net: &Small, _: &Samples| batch.losses(net)).unwrap();
        let e = seen.lock().unwrap().perturbations.last().cloned().unwrap();
        let scaled = e.times_each(&t.map(Tensor::recip));
        let length = common::numbers(scaled.norm())[0];
        prop_assert!((length - rho).abs() < 1e-9 * rho, "{length} is not {rho}");
    }
}
