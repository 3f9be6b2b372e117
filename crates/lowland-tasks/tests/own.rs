//! A program's own task: learned, stopped and resumed, measured.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;
use std::sync::Arc;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use common::{alone, named};
use lowland_tasks::config::{DataConfig, TrainConfig};
use lowland_tasks::data::DataName;
use lowland_tasks::evaluation::evaluate;
use lowland_tasks::models::{ModelName, OwnNetwork};
use lowland_tasks::own::{self, OwnData, OwnTask, Reason, SampleSet};
use lowland_tasks::task::Split;
use lowland_tasks::train::{Data, Done, Training};

#[derive(Module, Debug)]
struct Net {
    first: Linear,
    norm: BatchNorm,
    last: Linear,
}

/// Points of a plane: which quadrant they lie in, or a number.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Plane {
    Quadrant,
    Number,
    /// Whose test samples are of another width.
    Uneven,
    /// Whose data is not there.
    Gone,
}

fn points(count: u16, salt: u16) -> Vec<[f32; 2]> {
    let at = |i: u16, step: u16| f32::from((i * step + salt) % 101) / 50.0 - 1.0;
    (0..count).map(|i| [at(i, 37), at(i, 59)]).collect()
}

impl OwnTask for Plane {
    type Network = Net;

    fn name(&self) -> &'static str {
        "plane"
    }

    fn data(&self, _folder: Option<&Path>) -> Result<OwnData, Reason> {
        let set = |count, salt| {
            let points = points(count, salt);
            let inputs: Vec<f32> = points.concat();
            if *self == Self::Quadrant {
                let label = |p: &[f32; 2]| u16::from(p[0] > 0.0) + 2 * u16::from(p[1] > 0.0);
                let names = ["--", "+-", "-+", "++"].map(str::to_owned).to_vec();
                return SampleSet::of_classes(inputs, points.iter().map(label).collect(), names);
            }
            let number = |p: &[f32; 2]| 2.0 * p[0] - p[1] * p[1];
            SampleSet::of_numbers(inputs, points.iter().map(number).collect())
        };
        match self {
            Self::Gone => Err("the plane is gone".into()),
            Self::Uneven => {
                Ok(OwnData::new(set(10, 0)?, SampleSet::of_numbers(vec![0.0; 3], vec![0.0])?))
            }
            _ => Ok(OwnData::new(set(90, 0)?, set(40, 3)?)),
        }
    }

    fn network(&self, inputs: usize, outputs: usize, device: &Device) -> Net {
        Net {
            first: LinearConfig::new(inputs, 16).init(device),
            norm: BatchNormConfig::new(16).init(device),
            last: LinearConfig::new(16, outputs).init(device),
        }
    }

    fn forward(&self, network: &Net, inputs: Tensor<2>) -> Tensor<2> {
        network.last.forward(relu(network.norm.forward(network.first.forward(inputs))))
    }

    fn inputs(&self, file: &Path) -> Result<Vec<f32>, Reason> {
        let text = std::fs::read_to_string(file)?;
        Ok(text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?)
    }
}

fn config() -> TrainConfig {
    TrainConfig {
        epochs: 6,
        batch_size: 16,
        program: Some("plane".to_owned()),
        model: ModelName::Own,
        algorithm: named("sam"),
        data: DataConfig { name: DataName::Own, ..DataConfig::default() },
        ..TrainConfig::default()
    }
}

fn data(plane: Plane, config: &TrainConfig) -> lowland_tasks::Result<Data> {
    Data::of(own::load(plane, config)?, config)
}

fn start(plane: Plane, config: &TrainConfig) -> Training {
    Training::new(config, &data(plane, config).unwrap(), &Device::flex()).unwrap()
}

fn finish(mut training: Training) -> Training {
    while training.advance().unwrap().is_some() {}
    training
}

/// Paths and numbers of all float parameters.
#[derive(Default, Debug, PartialEq)]
struct Listed {
    path: Vec<String>,
    found: Vec<(String, Vec<f64>)>,
}

impl ModuleVisitor for Listed {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let numbers = param.val().into_data().iter::<f64>().collect();
        self.found.push((self.path.join("."), numbers));
    }

    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
}

fn listed(module: &impl Module) -> Vec<(String, Vec<f64>)> {
    let mut listed = Listed::default();
    module.visit(&mut listed);
    listed.found
}

struct Double;

impl ModuleMapper for Double {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| tensor * 2.0)
    }
}

#[test]
fn a_network_behind_one_type_is_the_same_network() {
    let _alone = alone();
    let device = Device::flex();
    let plain = Plane::Number.network(2, 1, &device);
    let erased = OwnNetwork::new(plain.clone()).unwrap();
    assert_eq!(listed(&erased), listed(&plain));
    assert_eq!(listed(&plain)[0].0, "first.weight");
    assert_eq!(erased.num_params(), plain.num_params());
    let mut expected = listed(&plain);
    expected.iter_mut().for_each(|(_, numbers)| numbers.iter_mut().for_each(|x| *x *= 2.0));
    let doubled = erased.clone().map(&mut Double);
    assert_eq!(listed(&doubled), expected);
    assert_ne!(listed(&doubled)[0], listed(&erased)[0], "a copy has weights of its own");
    assert!(doubled.get::<Net>().is_some() && doubled.get::<Linear>().is_none());
    // Through a record, running statistics too.
    let other = OwnNetwork::new(Plane::Number.network(2, 1, &device)).unwrap();
    let loaded = other.load_record(doubled.clone().into_record());
    assert_eq!(listed(&loaded), listed(&doubled));
}

#[test]
fn classes_and_numbers_are_learned() {
    let _alone = alone();
    for plane in [Plane::Quadrant, Plane::Number] {
        let mut training = finish(start(plane, &TrainConfig { epochs: 30, ..config() }));
        let tested = training.test().unwrap();
        assert!(tested.test_accuracy.unwrap() > 0.85, "{plane:?}: {tested:?}");
        assert_eq!(tested.scores.contains_key("RMSE"), plane == Plane::Number);
    }
}

#[test]
fn r_squared_is_the_share_of_the_spread_that_is_explained() {
    let _alone = alone();
    let config = config();
    let (data, training) =
        (data(Plane::Number, &config).unwrap(), finish(start(Plane::Number, &config)));
    let model = training.model().unwrap().valid();
    let found = evaluate(&data, Split::Test, &model, &Device::flex()).unwrap();
    let points = points(40, 3);
    let inputs = Tensor::<1>::from_floats(points.concat().as_slice(), &Device::flex());
    let network = model.own::<Net>().unwrap();
    let answers = Plane::Number.forward(network, inputs.reshape([40, 2])).into_data();
    let targets: Vec<f64> = points.iter().map(|p| f64::from(2.0 * p[0] - p[1] * p[1])).collect();
    let mean = targets.iter().sum::<f64>() / 40.0;
    let spread: f64 = targets.iter().map(|y| (y - mean).powi(2)).sum();
    let pairs = targets.iter().zip(answers.iter::<f64>());
    let errors: f64 = pairs.map(|(y, answer)| (y - answer).powi(2)).sum();
    // The answers are those of the same batch of 40, to the bit. The sums of 40 squares are taken
    // in `f64`, and may be taken in another order: 40 roundings of at most their size.
    let bound = |size: f64| 40.0 * f64::EPSILON * size.max(1.0);
    let expected = 1.0 - errors / spread;
    assert!((found.accuracy - expected).abs() < bound(expected), "{found:?}");
    let mean_square = errors / 40.0;
    assert!((found.loss - mean_square).abs() < bound(mean_square), "{found:?}");
    let root = mean_square.sqrt();
    assert!((found.scores["RMSE"] - root).abs() < bound(root), "{found:?}");
    assert_eq!(found.measure, "R²");
    assert!(found.classes.is_empty() && found.confusion.is_empty());
}

#[test]
fn a_stopped_run_resumes_bit_for_bit() {
    let _alone = alone();
    for name in ["arsam", "bsam", "slsam"] {
        let config = TrainConfig { algorithm: named(name), ..config() };
        let whole = finish(start(Plane::Quadrant, &config));
        let mut begun = start(Plane::Quadrant, &config);
        for _ in 0..10 {
            begun.advance().unwrap();
        }
        let snapshot = begun.snapshot().unwrap();
        drop(begun);
        let (resumed, _) = start(Plane::Quadrant, &config).restore(snapshot, false).unwrap();
        let resumed = finish(resumed);
        assert_eq!(listed(resumed.model().unwrap()), listed(whole.model().unwrap()), "{name}");
    }
}

#[test]
fn weights_are_a_function_of_the_seed() {
    let _alone = alone();
    let weights = |seed| {
        let training = start(Plane::Number, &TrainConfig { seed, ..config() });
        listed(training.model().unwrap())
    };
    assert_eq!(weights(1), weights(1));
    assert_ne!(weights(1), weights(2));
}

#[test]
fn settings_of_data_hold_for_your_own_samples() {
    let _alone = alone();
    let with = |change: fn(&mut TrainConfig)| {
        let mut config = config();
        change(&mut config);
        (data(Plane::Quadrant, &config), config)
    };
    let task = with(|config| config.data.validation = Some(0.2)).0.unwrap();
    assert_eq!([Split::Train, Split::Validation].map(|s| task.task().count(s)), [72, 18]);
    let noisy = with(|config| config.data.label_noise = 0.5).0.unwrap();
    assert!(noisy.task().labels_changed() > 20);
    let few = with(|config| config.data.train_limit = Some(20)).0.unwrap();
    assert_eq!(few.task().count(Split::Train), 20);
    assert_eq!(few.task().class_counts().unwrap(), [5, 5, 5, 5]);
    let mut pieces = start(Plane::Quadrant, &TrainConfig { micro_batch: Some(5), ..config() });
    assert!(matches!(pieces.advance().unwrap(), Some(Done::Step(step)) if step.loss.is_finite()));

    let refused = |plane, change: fn(&mut TrainConfig)| {
        let mut config = config();
        change(&mut config);
        let made = data(plane, &config)
            .and_then(|data| Training::new(&config, &data, &Device::flex()).map(drop));
        made.unwrap_err().to_string()
    };
    let noise = refused(Plane::Number, |config| config.data.label_noise = 0.5);
    assert!(noise.contains("these samples have no classes"), "{noise}");
    let crop = refused(Plane::Number, |config| config.augment.flip = true);
    assert!(crop.contains("augment must be none"), "{crop}");
    let mixed = refused(Plane::Number, |config| config.data.name = DataName::Mnist);
    assert!(mixed.contains("the program has its own"), "{mixed}");
    let network = refused(Plane::Number, |config| config.model = ModelName::SmallCnn);
    assert!(network.contains("the program has its own"), "{network}");
    assert_eq!(refused(Plane::Gone, |_| ()), "plane: the plane is gone");
    let uneven = refused(Plane::Uneven, |_| ());
    assert_eq!(uneven, "plane: the test samples are not like the training samples");
}

#[test]
fn files_without_targets_are_put_through_the_network() {
    let _alone = alone();
    let config = config();
    let data = data(Plane::Number, &config).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("points.txt");
    std::fs::write(&file, "0.5 0.25\n-1 0\n").unwrap();
    let inputs = data.task().inputs(&config, std::slice::from_ref(&file)).unwrap();
    assert_eq!(inputs.names, [1, 2].map(|i| format!("{}:{i}", file.display())));
    let training = finish(start(Plane::Number, &config));
    let answers = lowland_tasks::evaluation::answers(
        inputs.source,
        training.model().unwrap(),
        &Device::flex(),
    );
    assert_eq!(answers.unwrap().len(), 2);
    std::fs::write(&file, "0.5\n").unwrap();
    let error = data.task().inputs(&config, std::slice::from_ref(&file)).unwrap_err().to_string();
    assert!(error.ends_with("expected samples of 2 numbers each, found 1 numbers"), "{error}");
    std::fs::write(&file, "half\n").unwrap();
    let error = data.task().inputs(&config, &[file]).unwrap_err().to_string();
    assert_eq!(error, "plane: invalid float literal");
}

#[test]
fn a_run_of_another_program_says_which() {
    let error = Data::load(&config()).unwrap_err().to_string();
    assert!(error.starts_with("the run belongs to the program \"plane\""), "{error}");
    let _: Arc<dyn lowland_tasks::task::Task> = own::load(Plane::Number, &config()).unwrap();
}
