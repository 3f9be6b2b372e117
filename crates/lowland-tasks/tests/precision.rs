//! Networks that compute in `bf16` over weights in `f32`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Gradients, Int, Tensor};
use lowland::{Algorithm, ArsamConfig, SamConfig, Warmup};
use lowland_tasks::config::{DataConfig, TrainConfig};
use lowland_tasks::models::{
    CifarResNet, CifarResNetConfig, ModelName, PyramidNet, PyramidNetConfig, ResNet, ResNetConfig,
    SmallCnn, SmallCnnConfig, WideResNet, WideResNetConfig,
};
use lowland_tasks::pose::{PoseNet, PoseNetConfig};
use lowland_tasks::precision::Precision;
use lowland_tasks::quantise::QuantiseConfig;
use lowland_tasks::train::{Data, Training};

fn device() -> Device {
    Device::flex().autodiff()
}

/// The gradients of all weights, one after the other; those of weights in `f32` are in `f32`.
struct Collected<'a> {
    of: &'a Gradients,
    numbers: Vec<f32>,
}

impl ModuleVisitor for Collected<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            return;
        }
        let gradient = param.val().grad(self.of).unwrap();
        assert_eq!((param.val().dtype(), gradient.dtype()), (DType::F32, DType::F32));
        self.numbers.extend(gradient.into_data().iter::<f32>());
    }
}

/// Numbers with mean 0 and variance 1 that are the same each time.
fn spread<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let count = i64::try_from(shape.iter().product::<usize>()).unwrap();
    let places = Tensor::<1, Int>::arange(0..count, &device()).float();
    let large = places.mul_scalar(12.9898).sin().mul_scalar(4375.85);
    (large.clone() - large.floor() - 0.5).mul_scalar(12.0_f64.sqrt()).reshape(shape)
}

/// Whether what a network gives in `bf16` is in `f32`, and its gradient close to that in `f32`, but
/// another.
fn check<M: Module, const D: usize>(
    name: &str,
    network: &M,
    side: usize,
    forward: impl Fn(&M, Tensor<4>) -> Tensor<D>,
) {
    let images = spread([6, 3, side, side]);
    let gradient = |precision: Precision| {
        let given = forward(network, precision.of(images.clone()));
        assert_eq!(given.dtype(), DType::F32, "{name}");
        let target = spread(given.dims());
        let of = (given - target).powi_scalar(2).mean().backward();
        let mut collected = Collected { of: &of, numbers: Vec::new() };
        network.visit(&mut collected);
        collected.numbers
    };
    let (whole, halved) = (gradient(Precision::F32), gradient(Precision::Bf16));
    let norm = |numbers: &[f32]| numbers.iter().map(|n| f64::from(*n).powi(2)).sum::<f64>().sqrt();
    let apart: Vec<f32> = whole.iter().zip(&halved).map(|(a, b)| a - b).collect();
    let apart = norm(&apart) / norm(&whole);
    // bf16 rounds to 1 in 256, and what rounding does grows from layer to layer: PyTorch's autocast
    // on such a ResNet-18 with such images is 0.10 away.
    assert!((1e-4..0.2).contains(&apart), "{name}: {apart}");
}

#[test]
fn gradients_in_bf16_are_close_to_those_in_f32() {
    let on = &device();
    check(
        "small-cnn",
        &SmallCnnConfig::default().init(10, 3, 1, on).unwrap(),
        20,
        SmallCnn::forward,
    );
    let net = CifarResNetConfig { blocks: 1 }.init(10, 3, 1, on).unwrap();
    check("resnet", &net, 16, CifarResNet::forward);
    let net = ResNetConfig { blocks: [1; 4], ..ResNetConfig::CIFAR_18 }.init(10, 3, 1, on).unwrap();
    check("resnet18", &net, 32, ResNet::forward);
    let net = WideResNetConfig { blocks: 1, widening: 2 }.init(10, 3, 1, on).unwrap();
    check("wide", &net, 16, WideResNet::forward);
    let net = PyramidNetConfig { blocks: 1, alpha: 30 }.init(10, 3, 1, on).unwrap();
    check("pyramid", &net, 16, PyramidNet::forward);
    for config in [PoseNetConfig::small(), PoseNetConfig::resnet18()] {
        let net = PoseNetConfig { width: 8, head: 8, ..config }.init(3, 1, on).unwrap();
        check("pose", &net, 64, PoseNet::forward);
    }
}

fn config(algorithm: Algorithm) -> TrainConfig {
    TrainConfig {
        epochs: 3,
        precision: Precision::Bf16,
        algorithm,
        data: DataConfig { train_limit: Some(640), test_limit: Some(500), ..DataConfig::default() },
        ..TrainConfig::default()
    }
}

fn trained(config: &TrainConfig) -> Training {
    let data = Data::load(config).unwrap();
    let mut training = Training::new(config, &data, &Device::flex()).unwrap();
    while training.advance().unwrap().is_some() {}
    training
}

#[test]
fn training_in_bf16_learns_what_training_in_f32_learns() {
    let mut arsam = ArsamConfig::default();
    arsam.controller.warmup = Warmup::Steps(5);
    for algorithm in [Algorithm::Sam(SamConfig::default()), Algorithm::Arsam(arsam)] {
        let halved = trained(&config(algorithm.clone()));
        let whole = trained(&TrainConfig { precision: Precision::F32, ..config(algorithm) });
        let last = |training: &Training| training.record().epochs.last().unwrap().clone();
        let (halved, whole) = (last(&halved), last(&whole));
        let [a, b] = [&halved, &whole].map(|epoch| epoch.test_accuracy.unwrap());
        // Rounding alone lets runs part, so this is no comparison of numbers: where two networks
        // judge a tenth of the 500 images differently, the deviation of the difference is
        // √(0.1/500) = 0.014.
        println!("{a} and {b}");
        assert!(a > 0.5 && (a - b).abs() < 0.05, "{a} and {b}");
        assert_ne!(halved.train_loss, whole.train_loss);
    }
}

#[test]
fn a_run_in_bf16_resumes_bit_for_bit() {
    let config = config(Algorithm::Sam(SamConfig::default()));
    let data = Data::load(&config).unwrap();
    let start = || Training::new(&config, &data, &Device::flex()).unwrap();
    let mut half = start();
    for _ in 0..13 {
        half.advance().unwrap();
    }
    let snapshot = half.snapshot().unwrap();
    let (mut half, _) = start().restore(snapshot, false).unwrap();
    while half.advance().unwrap().is_some() {}
    let whole = trained(&config);
    assert_eq!(half.evaluate().unwrap(), whole.evaluate().unwrap());
    assert_eq!(
        half.model().unwrap().valid().num_params(),
        whole.model().unwrap().valid().num_params()
    );
}

#[test]
fn only_what_can_compute_in_bf16_may_be_asked_to() {
    let refused = |change: &dyn Fn(&mut TrainConfig)| {
        let mut config = config(Algorithm::Sam(SamConfig::default()));
        change(&mut config);
        config.check().unwrap_err().to_string()
    };
    let message = "precision must be f32 for transformers, a program's own networks and quantised ones, found bf16";
    assert_eq!(refused(&|config| config.model = ModelName::Vit), message);
    assert_eq!(refused(&|config| config.model = ModelName::Transformer), message);
    assert_eq!(refused(&|config| config.quantise = Some(QuantiseConfig::default())), message);
}

#[test]
fn the_precision_is_a_setting_that_files_from_before_it_lack() {
    let before: TrainConfig = toml::from_str("epochs = 2").unwrap();
    assert_eq!(before.precision, Precision::F32);
    assert!(!toml::to_string(&before).unwrap().contains("precision"));
    let now: TrainConfig = toml::from_str("precision = \"bf16\"").unwrap();
    assert_eq!(now.precision, Precision::Bf16);
    assert_eq!(toml::from_str::<TrainConfig>(&toml::to_string(&now).unwrap()).unwrap(), now);
    assert_eq!(
        before.changes(&TrainConfig { precision: Precision::Bf16, ..before.clone() }),
        ["precision was unset and is \"bf16\""]
    );
}
