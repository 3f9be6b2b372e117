//! Quantised networks: what is rounded to what, what it takes to train them, and their integers. In
//! one file, since the laws of training and those of integers hold for the same networks.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::nn::{Linear as BurnLinear, LinearConfig};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::store::ModuleRecord;
use burn::tensor::activation::relu;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Bytes, DType, Device, Int, Tensor, TensorData};
use lowland::ascend::{RadiusGroup, ScaledRadius};
use lowland::cross_entropies;
use lowland::{
    ArsamConfig, ControllerConfig, Radius, RadiusConfig, Rule, SamConfig, SharpnessAware, Warmup,
};
use lowland_tasks::Result;
use lowland_tasks::data::{BatchConfig, DataName, ImageBatch, Loader, Normalisation};
use lowland_tasks::models::{
    Conv2d, Linear, Model, ModelName, PyramidNet, PyramidNetConfig, WideResNet, WideResNetConfig,
};
use lowland_tasks::quantise::{
    IntegerLayer, QuantiseConfig, integer_layers, quantised, with_integer_weights,
};
use proptest::prelude::*;

fn device() -> Device {
    Device::flex().autodiff()
}

/// The first `batches` batches of 64 training images of the embedded data, and their normalisation.
fn batches(batches: usize, device: &Device) -> Vec<ImageBatch> {
    let train = DataName::FashionMnistSmall.load(None).unwrap().train;
    let normalisation = Normalisation::of(&train);
    let config = BatchConfig { batch_size: 64, ..BatchConfig::default() };
    let loader = Loader::evaluation(train.into(), normalisation, config).unwrap();
    loader.epoch(0).take(batches).map(|batch| batch.to_device(device)).collect()
}

/// Numbers of both signs with nothing random about them.
fn waves<const D: usize>(shape: [usize; D], device: &Device, dtype: DType) -> Tensor<D> {
    let count = shape.iter().product::<usize>();
    let values: Vec<f64> = (0..count).map(|i| (i as f64 * 0.7).sin() + 0.1).collect();
    Tensor::from_data(TensorData::new(values, shape), (device, dtype))
}

fn small(weights: u8, activations: u8) -> Model {
    let model = ModelName::SmallCnn.init(10, 1, 0, &device()).unwrap();
    let images = batches(1, &Device::flex()).remove(0).images;
    let config = QuantiseConfig { weights, activations };
    quantised(model, &config, |model| drop(model.forward(images))).unwrap()
}

/// Paths and values of all numbers of a module, those of integers too.
#[derive(Default)]
struct Values {
    path: Vec<String>,
    found: BTreeMap<String, Vec<f64>>,
    trained: Vec<String>,
}

impl Values {
    fn of(module: &impl Module) -> Self {
        let mut values = Self::default();
        module.visit(&mut values);
        values
    }
}

impl ModuleVisitor for Values {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.join(".");
        if param.is_require_grad() {
            self.trained.push(path.clone());
        }
        self.found.insert(path, param.base().into_data().iter::<f64>().collect());
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.found.insert(self.path.join("."), param.val().into_data().iter::<f64>().collect());
    }
}

fn numbers<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    tensor.to_data().iter::<f64>().collect()
}

#[test]
fn every_network_is_quantised_and_its_ends_have_eight_bits() {
    for name in [ModelName::SmallCnn, ModelName::ResNet20, ModelName::ResNet18] {
        let model = name.init(10, 3, 0, &device()).unwrap();
        ends_have_eight_bits(name.name(), model, Model::forward);
    }
    let wide = WideResNetConfig { blocks: 1, widening: 1 }.init(10, 3, 0, &device()).unwrap();
    ends_have_eight_bits("a wide network", wide, WideResNet::forward);
    let pyramid = PyramidNetConfig { blocks: 1, alpha: 9 }.init(10, 3, 0, &device()).unwrap();
    ends_have_eight_bits("a pyramid", pyramid, PyramidNet::forward);

    // A transformer is made of Burn's own layers.
    let model = ModelName::Vit.init(10, 3, 0, &device()).unwrap();
    let images = waves([2, 3, 32, 32], &Device::flex(), DType::F32);
    let config = QuantiseConfig::default();
    let refused = quantised(model, &config, |model| drop(model.forward(images)));
    assert!(matches!(refused, Err(lowland_tasks::Error::Quantise { .. })));
}

fn ends_have_eight_bits<M: Module>(
    name: &str,
    model: M,
    forward: impl Fn(&M, Tensor<4>) -> Tensor<2>,
) {
    let config = QuantiseConfig { weights: 3, activations: 2 };
    let before = Values::of(&model.valid()).found;
    let images = waves([2, 3, 32, 32], &Device::flex(), DType::F32);
    let model = quantised(model, &config, |model| drop(forward(model, images))).unwrap();

    let after = Values::of(&model.valid()).found;
    for (path, values) in &before {
        assert_eq!(&after[path], values, "{name}: {path} moved");
    }
    let weights = |path: &&String| path.ends_with("weight");
    assert_eq!(
        after.keys().filter(|path| path.contains(".lsq.")).count(),
        4 * before.keys().filter(weights).count(),
        "{name}"
    );

    let layers = integer_layers(&model).unwrap();
    let (first, last) = (&layers[0], layers.last().unwrap());
    assert_eq!(first.shape[1], 3, "{name} begins with {}", first.path);
    assert_eq!(last.shape[1], 10, "{name} ends with {}", last.path);
    for layer in &layers {
        let outer = layer.path == first.path || layer.path == last.path;
        let range = |grid: lowland_tasks::quantise::Grid| [grid.lowest, grid.highest];
        assert_eq!(range(layer.weight_grid), if outer { [-128, 127] } else { [-4, 3] });
        let signed = range(layer.input_grid)[0] < 0;
        assert_eq!(
            range(layer.input_grid),
            match (outer, signed) {
                (true, true) => [-128, 127],
                (true, false) => [0, 255],
                (false, true) => [-2, 1],
                (false, false) => [0, 3],
            }
        );
    }
    assert!(first.input_grid.lowest < 0, "{name}: images have both signs");
    assert_eq!(last.input_grid.lowest, 0, "{name}: the last layer comes after a ReLU");
}

#[test]
fn paths_of_float_networks_are_those_of_earlier_records() {
    let model = ModelName::SmallCnn.init(10, 1, 0, &device()).unwrap();
    let weights = Values::of(&model).trained;
    let expected = [
        "first.weight",
        "first_norm.gamma",
        "first_norm.beta",
        "second.weight",
        "second_norm.gamma",
        "second_norm.beta",
        "third.weight",
        "third_norm.gamma",
        "third_norm.beta",
        "head.weight",
        "head.bias",
    ];
    let enclosing = weights[0].strip_suffix("first.weight").unwrap().to_owned();
    assert_eq!(weights, expected.map(|path| format!("{enclosing}{path}")));
}

#[test]
fn layers_are_those_of_burn_where_they_are_not_quantised() {
    let device = device();
    let waves4 = |shape| waves::<4>(shape, &device, DType::F64);
    let (weight, x) = (waves4([4, 3, 3, 3]), waves4([2, 3, 9, 9]));
    let layer =
        Conv2d { weight: Param::from_tensor(weight.clone()), stride: [2, 2], padding: [1, 1] };
    let options = ConvOptions::new([2, 2], [1, 1], [1, 1], 1);
    let expected = conv2d(x.clone(), weight, None, options);
    let close = |found: &[f64], expected: &[f64]| {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
        }
    };
    close(&numbers(&layer.forward(x)), &numbers(&expected));

    let waves2 = |shape| waves::<2>(shape, &device, DType::F64);
    let (weight, bias, x) = (waves2([5, 3]), waves([3], &device, DType::F64), waves2([4, 5]));
    let layer = Linear {
        weight: Param::from_tensor(weight.clone()),
        bias: Some(Param::from_tensor(bias.clone())),
    };
    let burns =
        BurnLinear { weight: Param::from_tensor(weight), bias: Some(Param::from_tensor(bias)) };
    close(&numbers(&layer.forward(x.clone())), &numbers(&burns.forward(x)));
}

#[test]
fn steps_fit_the_weights_and_what_comes_in_from_the_first_batch() {
    let device = device();
    let tower = Tower::new(&device);
    let x = waves([2, 1, 6, 6], &Device::flex(), DType::F64);
    let config = QuantiseConfig { weights: 4, activations: 4 };
    let model = quantised(tower.clone(), &config, |tower| drop(tower.forward(x.clone()))).unwrap();
    let layers = integer_layers(&model).unwrap();
    let mean = |x: &Tensor<4>| x.clone().abs().mean().into_scalar::<f64>();
    let begins = |x: &Tensor<4>, highest: f64| 2.0 * mean(x) / highest.sqrt();
    let close = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-12, "{a} and {b}");

    close(layers[0].weight_grid.step, begins(&tower.first.weight.val(), 127.0));
    close(layers[1].weight_grid.step, begins(&tower.second.weight.val(), 7.0));
    close(layers[0].input_grid.step, begins(&x, 127.0));
    // The second layer sees what the first one gives once it is quantised.
    let hidden = relu(model.valid().first.forward(x.clone()));
    close(layers[1].input_grid.step, begins(&hidden, 15.0));

    // The same batch gives the same steps.
    let again = quantised(tower, &config, |tower| drop(tower.forward(x))).unwrap();
    assert_eq!(Values::of(&again).found, Values::of(&model).found);
}

/// Three convolutions in `f64`: one that is quantised to few bits, between two of eight.
#[derive(Module, Debug)]
struct Tower {
    first: Conv2d,
    second: Conv2d,
    third: Conv2d,
}

impl Tower {
    fn new(device: &Device) -> Self {
        let layer = |shape| Conv2d {
            weight: Param::from_tensor(waves(shape, device, DType::F64)),
            stride: [1, 1],
            padding: [1, 1],
        };
        let (first, second) = (layer([3, 1, 3, 3]), layer([4, 3, 3, 3]));
        Self { first, second, third: layer([2, 4, 3, 3]) }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.third.forward(relu(self.second.forward(relu(self.first.forward(x)))))
    }
}

#[test]
fn integer_weights_give_the_numbers_of_the_quantised_network() {
    for bits in [2, 3, 4, 8] {
        let model = trained(small(bits, bits), SamConfig::default().build().unwrap(), 4, 0.05).0;
        let images = batches(3, &Device::flex()).remove(2).images;
        let integers = with_integer_weights(model.clone()).unwrap();
        let moved = Values::of(&integers).found != Values::of(&model).found;
        assert!(moved, "float weights were multiples of their step at {bits} bits");
        let logits = |model: &Model| numbers(&model.valid().forward(images.clone()));
        assert_eq!(logits(&integers), logits(&model), "{bits} bits");
        // What is rounded already stays what it is.
        let again = with_integer_weights(integers.clone()).unwrap();
        assert_eq!(Values::of(&again).found, Values::of(&integers).found);
        assert_eq!(integer_layers(&integers).unwrap(), integer_layers(&model).unwrap());
    }
}

#[test]
fn sums_of_integers_are_what_a_layer_computes() {
    for bits in 2..=8 {
        let x = waves([2, 1, 6, 6], &Device::flex(), DType::F64);
        let config = QuantiseConfig { weights: bits, activations: bits };
        let model = quantised(Tower::new(&device()), &config, |m| drop(m.forward(x.clone())));
        let model = model.unwrap();
        let layers = integer_layers(&model).unwrap();
        let model = model.valid();
        let first = relu(model.first.forward(x.clone()));
        compare(&layers[0], &x, &model.first.forward(x.clone()));
        compare(&layers[1], &first, &model.second.forward(first.clone()));
    }
}

/// Convolves in integers, with sums of 32 bits, 3 by 3 and zeros around.
fn compare(layer: &IntegerLayer, x: &Tensor<4>, out: &Tensor<4>) {
    let [batch, from, height, width] = x.dims();
    let to = layer.shape[0];
    let grid = layer.input_grid;
    #[expect(clippy::cast_possible_truncation, reason = "integers of 8 bits")]
    let x: Vec<i32> = numbers(x)
        .iter()
        .map(|&x| (x / grid.step).round_ties_even() as i64)
        .map(|n| n.clamp(grid.lowest, grid.highest) as i32)
        .collect();
    let out = numbers(out);
    let largest = out.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
    for (i, out) in out.iter().enumerate() {
        let (column, row) = (i % width, i / width % height);
        let (channel, image) = (i / (width * height) % to, i / (width * height * to));
        assert!(image < batch);
        let mut sum = 0_i32;
        for k in 0..from * 9 {
            let (r, c) = (row + k / 3 % 3, column + k % 3);
            if (1..=height).contains(&r) && (1..=width).contains(&c) {
                let at = ((image * from + k / 9) * height + r - 1) * width + c - 1;
                sum += x[at] * i32::from(layer.weights[channel * from * 9 + k]);
            }
        }
        let expected = f64::from(sum) * layer.weight_grid.step * grid.step;
        let off = (out - expected).abs();
        assert!(off <= 1e-12 * largest, "{out} and {expected} at {i} of {}", layer.path);
    }
}

#[test]
fn a_record_brings_steps_and_numbers_of_bits() {
    let model = trained(small(3, 5), SamConfig::default().build().unwrap(), 2, 0.05).0;
    let images = batches(1, &Device::flex()).remove(0).images;
    let bytes = model.valid().into_record().into_bytes().unwrap().to_vec();
    let record = || ModuleRecord::from_bytes(Bytes::from_bytes_vec(bytes.clone())).unwrap();
    let fresh = || ModelName::SmallCnn.init(10, 1, 9, &device()).unwrap();
    let logits = |model: &Model| numbers(&model.valid().forward(images.clone()));

    let config = QuantiseConfig { weights: 3, activations: 5 };
    let loaded = config.form(fresh()).unwrap().try_load_record(record()).unwrap();
    assert_eq!(logits(&loaded), logits(&model));
    assert_eq!(integer_layers(&loaded).unwrap(), integer_layers(&model).unwrap());
    assert_eq!(Values::of(&loaded).trained, Values::of(&model).trained);

    // One that was made for other bits, and used, is that of the record all the same.
    let other = small(8, 8);
    let _ = other.valid().forward(images.clone());
    let other = other.try_load_record(record()).unwrap();
    assert_eq!(logits(&other), logits(&model));

    // A float network has no place for it, nor it for a float network's.
    assert!(fresh().try_load_record(record()).is_err());
    let float = fresh().into_record();
    assert!(config.form(fresh()).unwrap().try_load_record(float).is_err());
}

/// The model after `steps` steps on batches of the embedded data, and the losses before each step.
fn trained(model: Model, rule: Box<dyn Rule>, steps: usize, rate: f64) -> (Model, Vec<f64>) {
    let momentum = MomentumConfig { momentum: 0.9, dampening: 0.0, nesterov: false };
    let base = SgdConfig::new().with_momentum(Some(momentum)).init();
    let mut optimizer = SharpnessAware::new(base, rule).unwrap().with_seed(0);
    let mut losses = Vec::new();
    let mut model = model;
    for batch in batches(steps, &device()) {
        let stepped = optimizer.step_samples(
            rate,
            model,
            &lowland::BatchInfo::default(),
            |model: &Model, samples| {
                let (images, labels) = batch.select(samples);
                cross_entropies(model.forward(images), labels, 0.0)
            },
        );
        let report;
        (model, report) = stepped.unwrap();
        losses.push(report.values().unwrap().loss);
    }
    (model, losses)
}

fn arsam(rho: f64) -> Box<dyn Rule> {
    let controller = ControllerConfig {
        window: 5,
        blocks: 1,
        warmup: Warmup::Steps(6),
        ..ControllerConfig::default()
    };
    ArsamConfig { rho, controller, ..ArsamConfig::default() }.build().unwrap()
}

#[test]
fn losses_of_four_bits_fall_under_sam_and_arsam() {
    let before = small(4, 4);
    for rule in [SamConfig { rho: 0.05 }.build().unwrap(), arsam(0.05)] {
        let (after, losses) = trained(before.clone(), rule, 40, 0.05);
        let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
        let (first, last) = (mean(&losses[..5]), mean(&losses[35..]));
        assert!(last < 0.6 * first, "{first} to {last}");
        let (before, after) = (Values::of(&before).found, Values::of(&after).found);
        for (path, step) in before.iter().filter(|(path, _)| path.ends_with("step")) {
            assert_ne!(&after[path], step, "{path} was not learned");
        }
    }
}

#[test]
fn a_radius_of_zero_is_the_base_optimizer_for_quantised_networks_too() {
    let end = |rule| Values::of(&trained(small(4, 4), rule, 8, 0.05).0.valid()).found;
    let base = end(lowland::BaseConfig::default().build().unwrap());
    let sam = SamConfig { rho: 0.0 }.build().unwrap();
    assert!(end(sam) == base);
    assert!(end(arsam(0.0)) == base);
    assert!(end(arsam(0.05)) != base);
}

#[test]
fn steps_are_perturbed_unless_a_group_leaves_them_out() {
    let groups = vec![RadiusGroup::new("step$", 0.0)];
    for (groups, moves) in [(Vec::new(), true), (groups, false)] {
        let mut rule = SamConfig { rho: 0.5 }.build().unwrap();
        let radius = Radius::new(&RadiusConfig { groups, ..RadiusConfig::default() }).unwrap();
        let ascend = rule.ascend().unwrap();
        *ascend = Box::new(ScaledRadius::new(ascend.clone(), radius));
        let mut optimizer = SharpnessAware::new(SgdConfig::new().init(), rule).unwrap();
        let batch = batches(1, &device()).remove(0);
        let mut seen = Vec::new();
        let stepped = optimizer.step_samples(
            0.1,
            small(4, 4),
            &lowland::BatchInfo::default(),
            |model: &Model, samples| {
                seen.push(Values::of(model).found);
                let (images, labels) = batch.select(samples);
                cross_entropies(model.forward(images), labels, 0.0)
            },
        );
        stepped.unwrap();
        let [at_w, above] = &seen[..] else { panic!("{} evaluations", seen.len()) };
        let moved = |suffix: &str| {
            let mut paths = at_w.keys().filter(|path| path.ends_with(suffix));
            paths.all(|path| above[path] != at_w[path])
        };
        assert!(moved(".weight"));
        assert_eq!(moved(".step"), moves);
        assert!(!moved(".range"), "grids stay");
    }
}

#[test]
fn the_gradient_of_a_step_is_the_sum_of_those_of_the_pieces() {
    let gradients = |model: &Tower, x: Tensor<4>| {
        let gradients = model.forward(x).powi_scalar(2).sum().backward();
        GradientsParams::from_grads(gradients, model)
    };
    let x = waves([4, 1, 6, 6], &device(), DType::F64);
    let config = QuantiseConfig::default();
    let probe = x.clone().without_autodiff();
    let model = quantised(Tower::new(&device()), &config, |m| drop(m.forward(probe))).unwrap();
    let whole = Gradients::of(&model, gradients(&model, x.clone()));
    let pieces = [x.clone().narrow(0, 0, 1), x.narrow(0, 1, 3)];
    let [a, b] = pieces.map(|x| Gradients::of(&model, gradients(&model, x)));
    assert_eq!(whole.len(), 9);
    for (path, whole) in whole {
        for (i, whole) in whole.iter().enumerate() {
            let sum = a[&path][i] + b[&path][i];
            assert!((whole - sum).abs() < 1e-9 * (1.0 + whole.abs()), "{path}: {whole} and {sum}");
        }
    }
}

/// Gradients by the paths of their parameters.
struct Gradients {
    path: Vec<String>,
    registered: GradientsParams,
    found: BTreeMap<String, Vec<f64>>,
}

impl Gradients {
    fn of(module: &impl Module, registered: GradientsParams) -> BTreeMap<String, Vec<f64>> {
        let mut visitor = Self { path: Vec::new(), registered, found: BTreeMap::new() };
        module.visit(&mut visitor);
        visitor.found
    }
}

impl ModuleVisitor for Gradients {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = self.registered.get::<D>(param.id).unwrap();
        self.found.insert(self.path.join("."), gradient.into_data().iter::<f64>().collect());
    }
}

#[test]
fn what_cannot_be_quantised_says_why() {
    let words = |result: Result<Model>| result.unwrap_err().to_string();
    let model = || ModelName::SmallCnn.init(10, 1, 0, &device()).unwrap();
    let images = || waves([2, 1, 28, 28], &Device::flex(), DType::F32);
    let config = QuantiseConfig::default();

    for (weights, activations, expected) in [
        (1, 4, "quantise.weights must be between 2 and 8, found 1"),
        (9, 4, "quantise.weights must be between 2 and 8, found 9"),
        (4, 0, "quantise.activations must be between 2 and 8, found 0"),
    ] {
        let config = QuantiseConfig { weights, activations };
        assert_eq!(words(quantised(model(), &config, |_| ())), expected);
        assert_eq!(words(config.form(model())), expected);
    }

    let twice = quantised(small(4, 4), &config, |model| drop(model.forward(images())));
    assert_eq!(words(twice), "cannot quantise the network: it is quantised already");
    assert_eq!(
        integer_layers(&model()).unwrap_err().to_string(),
        "cannot quantise the network: it is not quantised yet"
    );
    let nothing = words(quantised(model(), &config, |_| ()));
    assert!(
        nothing.ends_with("first.weight: nothing came into a layer with these weights"),
        "{nothing}"
    );
    let black = quantised(model(), &config, |model| drop(model.forward(images() * 0.0)));
    let black = words(black);
    assert!(black.ends_with("first.weight: what comes in is all zero"), "{black}");
    let broken = words(quantised(model(), &config, |model| drop(model.forward(images() / 0.0))));
    assert!(broken.ends_with("first.weight: what comes in is not finite"), "{broken}");

    let burns = LinearConfig::new(3, 3).init(&device());
    let x = waves([2, 3], &Device::flex(), DType::F32);
    let refused = quantised(burns, &config, |layer| drop(layer.forward(x))).unwrap_err();
    let expected = "cannot quantise weight: nothing came into a layer with these weights";
    assert_eq!(refused.to_string(), expected);
    assert!(refused.is_input());
}

/// Gives all quantisers a range, as a record can.
struct Ranged([i64; 2]);

impl ModuleMapper for Ranged {
    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        let range = Tensor::from_data(TensorData::from(self.0), &param.lazy_device());
        Param::initialized(ParamId::new(), range)
    }
}

#[test]
fn ranges_that_make_no_sense_are_borne() {
    let images = batches(1, &device()).remove(0).images;
    for (range, expected) in [
        ([-200, 100], Err("it has more than 8 bits")),
        ([i32::MIN.into(), i32::MAX.into()], Err("it has more than 8 bits")),
        ([0, 0], Ok(())),
        ([7, -8], Ok(())),
    ] {
        let model = small(4, 4).map(&mut Ranged(range));
        let _ = model.forward(images.clone()).sum().backward();
        let layers = integer_layers(&model).map_err(|error| error.to_string());
        match expected {
            Ok(()) => assert!(layers.is_ok()),
            Err(problem) => assert!(layers.unwrap_err().ends_with(problem)),
        }
    }
}

#[test]
fn integers_of_a_network_that_diverged_are_refused() {
    let (model, _) = trained(small(4, 4), lowland::BaseConfig::default().build().unwrap(), 1, 0.05);
    let broken = model.map(&mut Broken);
    let refused = integer_layers(&broken).unwrap_err().to_string();
    assert!(refused.ends_with("weight: it is not finite"), "{refused}");
}

/// Makes no number of all weights.
struct Broken;

impl ModuleMapper for Broken {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if D == 4 { param.map(|weights| weights.full_like(f32::NAN)) } else { param }
    }
}

#[test]
fn settings_are_read_strictly() {
    let read = |text: &str| toml::from_str::<QuantiseConfig>(text);
    assert_eq!(read("").unwrap(), QuantiseConfig { weights: 4, activations: 4 });
    assert_eq!(read("weights = 2").unwrap(), QuantiseConfig { weights: 2, activations: 4 });
    assert!(read("bits = 2").is_err());
    assert!(read("weights = 300").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn integers_have_no_more_bits_than_were_asked_for(weights in 2_u8..=8, activations in 2_u8..=8) {
        let x = waves([1, 1, 5, 5], &Device::flex(), DType::F64);
        let config = QuantiseConfig { weights, activations };
        let model = quantised(Tower::new(&device()), &config, |m| drop(m.forward(x))).unwrap();
        let layers = integer_layers(&model).unwrap();
        for (layer, bits) in layers.iter().zip([8, weights, 8]) {
            let half = 1 << (bits - 1);
            prop_assert!(layer.weights.iter().all(|&n| (-half..half).contains(&i16::from(n))));
            prop_assert_eq!(layer.weights.len(), layer.shape.iter().product::<usize>());
        }
        let input = layers[1].input_grid;
        prop_assert_eq!(input.highest - input.lowest + 1, 1 << activations);
    }
}
