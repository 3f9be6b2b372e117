//! The network: shapes, sizes, and numbers that were computed elsewhere.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Tensor};
use lowland_tasks::pose::{PoseNet, PoseNetConfig, Stem, heatmap_losses};
use serde::Deserialize;

use crate::common::{self, assert_close, numbers};

fn device() -> Device {
    Device::flex().autodiff()
}

/// Collects the values of all tensors of a module, and how many of them are trained.
#[derive(Default)]
struct Values {
    all: Vec<Vec<f32>>,
    trained: usize,
}

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            self.trained += param.val().shape().num_elements();
        }
        self.all.push(param.val().into_data().try_to_vec().unwrap());
    }
}

fn values(model: &impl Module) -> Values {
    let mut values = Values::default();
    model.visit(&mut values);
    values
}

/// A network of every part that is quick to compute.
fn tiny(stem: Stem) -> PoseNetConfig {
    PoseNetConfig { stem, width: 2, blocks: vec![2, 1, 1], head: 3 }
}

#[test]
fn heatmaps_are_a_quarter_of_the_image() {
    for (config, side) in [
        (tiny(Stem::Large), [32, 48]),
        (tiny(Stem::Small), [48, 32]),
        (PoseNetConfig { blocks: vec![1], ..tiny(Stem::Small) }, [8, 4]),
        (PoseNetConfig::small(), [64, 64]),
        (PoseNetConfig::resnet18(), [64, 32]),
    ] {
        let model = config.init(14, 0, &device()).unwrap();
        assert!(side.iter().all(|&side| side % config.stride() == 0));
        let images = Tensor::random([2, 3, side[0], side[1]], Distribution::Default, &device());
        let heatmaps = model.forward(images);
        assert_eq!(heatmaps.dims(), [2, 14, side[0] / 4, side[1] / 4], "{config:?}");
        assert!(heatmaps.into_data().iter::<f32>().all(f32::is_finite));
    }
}

#[test]
fn networks_have_as_many_numbers_as_their_layers_add_up_to() {
    let trained =
        |config: PoseNetConfig, joints| values(&config.init(joints, 0, &device()).unwrap()).trained;
    // ResNet-18 without its last layer has 11,176,512; three transposed convolutions to 256
    // channels with BatchNorm add 4,195,840; the last layer adds 257 a joint.
    assert_eq!(trained(PoseNetConfig::resnet18(), 17), 11_176_512 + 4_195_840 + 17 * 257);
    // The stem, three blocks with their shortcuts, two transposed convolutions and the last layer.
    let parts = [928, 19_648, 57_728, 230_144, 65_600, 16_448, 33 * 14];
    assert_eq!(trained(PoseNetConfig::small(), 14), parts.iter().sum::<usize>());
}

#[test]
fn weights_are_a_function_of_the_seed_alone() {
    let init = |seed| values(&tiny(Stem::Large).init(4, seed, &device()).unwrap()).all;
    let first = init(1);
    device().seed(99);
    assert_eq!(init(1), first);
    assert_ne!(init(2), first);
    let plain = tiny(Stem::Large).init(4, 1, &Device::flex()).unwrap();
    assert_eq!(values(&plain).all, first);
}

#[test]
fn weights_begin_with_the_deviations_that_are_stated() {
    let all = values(&PoseNetConfig::resnet18().init(14, 3, &device()).unwrap()).all;
    let deviation = |count: usize| {
        let values = all.iter().rfind(|values| values.len() == count).unwrap();
        (values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / count as f64).sqrt()
    };
    for (count, expected) in [
        (512 * 512 * 9, (2.0 / (512.0 * 9.0_f64)).sqrt()),
        (256 * 256 * 16, (2.0 / (256.0 * 4.0_f64)).sqrt()),
        (256 * 14, 0.001),
    ] {
        let found = deviation(count);
        assert!((found / expected - 1.0).abs() < 0.05, "{found} for {expected}");
    }
}

#[test]
fn a_fresh_network_keeps_the_size_of_its_numbers() {
    let model = PoseNetConfig::small().init(14, 0, &device()).unwrap();
    let images = Tensor::random([4, 3, 64, 64], Distribution::Normal(0.0, 1.0), &device());
    let highest = model.forward(images).abs().max().into_scalar::<f32>();
    assert!(highest > 0.0 && highest < 0.1, "{highest}");
}

#[test]
fn numbers_of_zero_are_refused() {
    let error =
        |config: PoseNetConfig, joints| config.init(joints, 0, &device()).unwrap_err().to_string();
    let tiny = || tiny(Stem::Small);
    assert_eq!(error(tiny(), 0), "joints must be at least 1, found 0");
    assert_eq!(error(PoseNetConfig { width: 0, ..tiny() }, 1), "width must be at least 1, found 0");
    assert_eq!(error(PoseNetConfig { head: 0, ..tiny() }, 1), "head must be at least 1, found 0");
    let blocks = |blocks| PoseNetConfig { blocks, ..tiny() };
    assert_eq!(error(blocks(vec![1, 0]), 1), "blocks must be at least 1, found 0");
    assert_eq!(error(blocks(vec![1; 5]), 1), "stages must be between 1 and 4, found 5");
    assert_eq!(error(blocks(vec![]), 1), "stages must be between 1 and 4, found 0");
}

/// Number `place` of the trained tensor `tensor`: `sin(1 + 1.3·tensor + 0.7·place)`, with the
/// factors that [`Given`] states.
fn wave(tensor: usize, place: usize) -> f64 {
    (1.0 + 1.3 * tensor as f64 + 0.7 * place as f64).sin()
}

/// Gives weights that are simple to write down anywhere: 0.3 times a wave, and 0.5 more than half a
/// wave for scales, shifts and biases.
struct Given(usize);

impl ModuleMapper for Given {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !param.is_require_grad() {
            return param;
        }
        let tensor = self.0;
        self.0 += 1;
        let (shift, scale) = if D == 1 { (0.5, 0.5) } else { (0.0, 0.3) };
        param.map(|old| {
            let (shape, device) = (old.dims(), old.device());
            let values = (0..shape.iter().product())
                .map(|place| shift + scale * wave(tensor, place))
                .collect();
            common::tensor(values, shape, &device).require_grad()
        })
    }
}

/// The length of the gradient of each trained tensor, and its product with `cos(0.5·place)`.
struct Summaries<'a>(&'a GradientsParams, Vec<[f64; 2]>);

impl ModuleVisitor for Summaries<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            return;
        }
        let gradient = self.0.get::<D>(param.id).expect("every weight has a gradient");
        let mut sums = [0.0, 0.0];
        for (place, value) in numbers(gradient).into_iter().enumerate() {
            sums = [sums[0] + value * value, sums[1] + value * (0.5 * place as f64).cos()];
        }
        self.1.push([sums[0].sqrt(), sums[1]]);
    }
}

/// What a network with the weights of [`Given`] should give for two images.
#[derive(Deserialize)]
struct Expected {
    stem: Stem,
    loss: f64,
    heatmaps: Vec<f64>,
    gradients: Vec<[f64; 2]>,
}

fn given(model: PoseNet) -> PoseNet {
    common::in_f64(model).map(&mut Given(0))
}

fn tensor<const D: usize>(shape: [usize; D], value: impl Fn(f64) -> f64) -> Tensor<D> {
    let places = 0..shape.iter().product::<usize>();
    common::tensor(places.map(|place| value(place as f64)).collect(), shape, &device())
}

/// `data/pose.py` puts the networks together from their paper and wrote `data/pose.json`.
#[test]
fn heatmaps_and_gradients_are_those_of_pytorch() {
    let cases: Vec<Expected> = serde_json::from_str(include_str!("../data/pose.json")).unwrap();
    assert_eq!(cases.len(), 2);
    for Expected { stem, loss, heatmaps, gradients } in cases {
        let model = given(tiny(stem).init(2, 0, &device()).unwrap());
        let images = tensor([2, 3, 32, 32], |place| (0.11 * place.powf(1.1)).sin());
        let found = model.forward(images);
        let targets = tensor([2, 2, 8, 8], |place| (0.3 * place).cos());
        let weights = common::tensor(vec![1.0, 1.0, 1.0, 0.0], [2, 2], &device());
        let mean = heatmap_losses(found.clone(), targets, weights).mean();
        assert_close(&numbers(found), &heatmaps, 1e-9, "heatmaps");
        assert_close(&numbers(mean.clone()), &[loss], 1e-9, "loss");

        let found = GradientsParams::from_grads(mean.backward(), &model);
        let mut summaries = Summaries(&found, Vec::new());
        model.visit(&mut summaries);
        assert_eq!(summaries.1.len(), gradients.len());
        for (tensor, (found, expected)) in summaries.1.iter().zip(&gradients).enumerate() {
            let near = |place: usize| (found[place] - expected[place]).abs() < 1e-9 * expected[0];
            assert!(near(0) && near(1), "{found:?} for {expected:?} in tensor {tensor}");
        }
    }
}
