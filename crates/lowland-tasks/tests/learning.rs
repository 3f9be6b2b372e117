//! What people train with: schedules, base optimizers, averages, weights of classes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use burn::module::Module;
use burn::tensor::Device;
use common::alone;
use lowland::Algorithm;
use lowland_tasks::config::{
    ClassWeights, DataConfig, OptimizerConfig, OptimizerName, ScheduleConfig, ScheduleName,
    TrainConfig, WeightRule,
};
use lowland_tasks::train::{Data, Done, Training};

fn config(optimizer: OptimizerConfig) -> TrainConfig {
    TrainConfig {
        seed: 3,
        epochs: 2,
        batch_size: 12,
        algorithm: Algorithm::named("sam").unwrap(),
        optimizer,
        data: DataConfig { train_limit: Some(42), test_limit: Some(20), ..DataConfig::default() },
        ..TrainConfig::default()
    }
}

fn start(config: &TrainConfig) -> Training {
    Training::new(config, &Data::load(config).unwrap(), &Device::flex()).unwrap()
}

/// Trains to the end; gives the weights, the learning rates of the steps, and the training.
fn trained(mut training: Training) -> (Vec<u8>, Vec<f64>, Training) {
    let mut rates = Vec::new();
    while let Some(done) = training.advance().unwrap() {
        if let Done::Step(step) = done {
            rates.push(step.learning_rate);
        }
    }
    (weights(&training), rates, training)
}

fn weights(training: &Training) -> Vec<u8> {
    training.snapshot().unwrap().files[0].1.clone()
}

/// Fails unless a run that stops in the middle resumes as if it had not stopped.
fn resumes_bit_for_bit(config: &TrainConfig) -> Training {
    let (expected, rates, whole) = trained(start(config));
    let mut half = start(config);
    for _ in 0..3 {
        assert!(matches!(half.advance().unwrap(), Some(Done::Step(_))));
    }
    let snapshot = half.snapshot().unwrap();
    let half = start(config).restore(snapshot, false).unwrap().0;
    let (found, rest, half) = trained(half);
    let model = |training: &Training| training.evaluate().unwrap();
    assert_eq!(model(&half), model(&whole));
    assert_eq!(found.len(), expected.len());
    assert_eq!(rates[3..], rest);
    let averages = |training: &Training| {
        let epochs = training.record().epochs.iter();
        epochs.map(|epoch| (epoch.average_loss, epoch.average_accuracy)).collect::<Vec<_>>()
    };
    assert_eq!(averages(&half), averages(&whole));
    whole
}

#[test]
fn every_base_optimizer_learns_and_resumes_bit_for_bit() {
    let _alone = alone();
    for name in OptimizerName::ALL {
        for decay_biases_and_norms in [true, false] {
            let learning_rate = if name == OptimizerName::Sgd { 0.05 } else { 0.003 };
            let optimizer = OptimizerConfig {
                name,
                learning_rate,
                nesterov: name == OptimizerName::Sgd,
                decay_biases_and_norms,
                ..OptimizerConfig::default()
            };
            let epochs = resumes_bit_for_bit(&config(optimizer)).record().epochs.clone();
            assert!(epochs[1].train_loss < epochs[0].train_loss, "{name:?}: {epochs:?}");
        }
    }
}

#[test]
fn weight_decay_spares_biases_and_norms() {
    let _alone = alone();
    let end = |decay: f64, on_all: bool| {
        let optimizer = OptimizerConfig {
            learning_rate: 0.01,
            momentum: 0.0,
            weight_decay: decay,
            decay_biases_and_norms: on_all,
            ..OptimizerConfig::default()
        };
        let config = TrainConfig {
            epochs: 1,
            batch_size: 42,
            algorithm: Algorithm::named("sgd").unwrap(),
            ..config(optimizer)
        };
        let training = trained(start(&config)).2;
        let mut flat = Vec::new();
        let mut other = Vec::new();
        let mut seen = Seen { flat: &mut flat, other: &mut other };
        training.model().unwrap().valid().visit(&mut seen);
        (flat, other)
    };
    // One step from the same weights, with the same gradient.
    let (plain, spared, all) = (end(0.0, true), end(0.5, false), end(0.5, true));
    assert_eq!(spared.0, plain.0);
    assert_eq!(spared.1, all.1);
    assert_ne!(spared.1, plain.1);
    assert_ne!(all.0, plain.0);
}

struct Seen<'a> {
    flat: &'a mut Vec<Vec<f32>>,
    other: &'a mut Vec<Vec<f32>>,
}

impl burn::module::ModuleVisitor for Seen<'_> {
    fn visit_float<const D: usize>(
        &mut self,
        param: &burn::module::Param<burn::tensor::Tensor<D>>,
    ) {
        let values: Vec<f32> = param.val().into_data().iter::<f32>().collect();
        if D == 1 { self.flat.push(values) } else { self.other.push(values) }
    }
}

#[test]
fn schedules_resume_bit_for_bit_and_reach_rates_above_one() {
    let _alone = alone();
    for name in [
        ScheduleName::Constant,
        ScheduleName::Steps,
        ScheduleName::Cosine,
        ScheduleName::Linear,
        ScheduleName::OneCycle,
    ] {
        let warmup = if name == ScheduleName::OneCycle { 0.0 } else { 0.25 };
        let schedule = ScheduleConfig { name, warmup, floor: 0.1, ..ScheduleConfig::default() };
        let optimizer =
            OptimizerConfig { schedule: schedule.clone(), ..OptimizerConfig::default() };
        resumes_bit_for_bit(&config(optimizer));
        let large = OptimizerConfig {
            learning_rate: 3.0,
            schedule: schedule.clone(),
            ..OptimizerConfig::default()
        };
        let mut training = start(&config(large));
        let Some(Done::Step(step)) = training.advance().unwrap() else { panic!("a step") };
        assert_eq!(step.learning_rate.to_bits(), schedule.rate(3.0, 0.0).to_bits());
    }
}

#[test]
fn a_schedule_follows_the_limit_where_there_is_one() {
    let _alone = alone();
    let schedule = ScheduleConfig { name: ScheduleName::Linear, ..ScheduleConfig::default() };
    let optimizer = OptimizerConfig { schedule, ..OptimizerConfig::default() };
    let config = TrainConfig {
        epochs: 50,
        max_passes: Some(10.0),
        algorithm: Algorithm::named("sgd").unwrap(),
        ..config(optimizer)
    };
    let rates = trained(start(&config)).1;
    assert_eq!(rates.len(), 10);
    for (step, rate) in rates.into_iter().enumerate() {
        assert!((rate - 0.05 * (1.0 - step as f64 / 10.0)).abs() < 1e-12);
    }
}

#[test]
fn an_average_is_measured_beside_the_weights_and_changes_nothing() {
    let _alone = alone();
    let plain = config(OptimizerConfig::default());
    let averaged = TrainConfig { ema: Some(0.9), ..plain.clone() };
    let (without, with) = (trained(start(&plain)).2, resumes_bit_for_bit(&averaged));
    assert_eq!(without.evaluate().unwrap(), with.evaluate().unwrap());
    let last = with.record().epochs.last().unwrap();
    assert!(last.average_loss.is_some() && last.average_loss != last.test_loss);
    // Without a memory it is the weights themselves.
    let none = TrainConfig { ema: Some(1e-300), ..plain };
    let same = trained(start(&none)).2;
    let last = same.record().epochs.last().unwrap();
    assert_eq!((last.average_loss, last.average_accuracy), (last.test_loss, last.test_accuracy));
}

#[test]
fn drop_last_leaves_out_what_is_not_full() {
    let _alone = alone();
    let config = TrainConfig { drop_last: true, ..config(OptimizerConfig::default()) };
    let training = start(&config);
    assert_eq!(training.steps_per_epoch(), 3);
    resumes_bit_for_bit(&config);
    let too_large = TrainConfig { batch_size: 50, ..config };
    let data = Data::load(&too_large).unwrap();
    let error = Training::new(&too_large, &data, &Device::flex()).unwrap_err().to_string();
    assert!(error.contains("at most the number of samples with drop_last"), "{error}");
}

#[test]
fn weights_of_classes_weigh_losses() {
    let _alone = alone();
    let first_loss = |weights: Option<ClassWeights>| {
        let config = TrainConfig {
            class_weights: weights,
            batch_size: 42,
            ..config(OptimizerConfig::default())
        };
        let Some(Done::Step(step)) = start(&config).advance().unwrap() else { panic!("a step") };
        step.loss
    };
    let plain = first_loss(None);
    let twice = first_loss(Some(ClassWeights::Given(vec![2.0; 10])));
    // A factor of 2 rounds nothing.
    assert_eq!(twice.to_bits(), (2.0 * plain).to_bits());
    let balanced = first_loss(Some(ClassWeights::Named(WeightRule::Balanced)));
    assert!(balanced.is_finite() && (balanced - plain).abs() > 1e-6);
    let few = TrainConfig {
        class_weights: Some(ClassWeights::Given(vec![1.0; 3])),
        ..config(OptimizerConfig::default())
    };
    let data = Data::load(&few).unwrap();
    let error = Training::new(&few, &data, &Device::flex()).unwrap_err().to_string();
    assert!(error.contains("found 3 for 10 classes"), "{error}");
}

#[test]
fn weights_that_are_not_finite_are_refused_by_name() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let plain = config(OptimizerConfig::default());
    let training = start(&plain);
    let path = folder.path().join("model.bpk");
    let model = training.model().unwrap().valid().map(&mut Spoil(true));
    std::fs::write(&path, &*model.into_record().into_bytes().unwrap()).unwrap();
    let spoiled = TrainConfig { from: Some(path), ..plain };
    let data = Data::load(&spoiled).unwrap();
    let error = Training::new(&spoiled, &data, &Device::flex()).unwrap_err().to_string();
    let (start, end) = error.split_once(" are not finite: ").unwrap();
    assert!(start.starts_with("the weights of ") && start.ends_with("model.bpk"), "{error}");
    assert!(end.contains("weight holds NaN or infinity"), "{error}");
}

/// Makes the first weight of four dimensions infinite.
struct Spoil(bool);

impl burn::module::ModuleMapper for Spoil {
    fn map_float<const D: usize>(
        &mut self,
        param: burn::module::Param<burn::tensor::Tensor<D>>,
    ) -> burn::module::Param<burn::tensor::Tensor<D>> {
        let spoil = D == 4 && std::mem::take(&mut self.0);
        let (id, value, mapper) = param.consume();
        let value = if spoil { value / 0.0 } else { value };
        burn::module::Param::from_mapped_value(id, value, mapper)
    }
}

#[test]
fn mixed_images_are_learned_bit_for_bit_on_any_number_of_threads() {
    let _alone = alone();
    let plain = config(OptimizerConfig::default());
    let mut mixed = plain.clone();
    (mixed.augment.mixup, mixed.augment.resized_crop) = (0.4, 0.3);
    let training = resumes_bit_for_bit(&mixed);
    assert_ne!(training.evaluate().unwrap(), trained(start(&plain)).2.evaluate().unwrap());
    // Any number of threads mixes the same.
    mixed.workers = 3;
    let threads = trained(start(&mixed)).2;
    assert_eq!(threads.evaluate().unwrap(), training.evaluate().unwrap());
}
