//! Outputs and gradients of the networks against those that PyTorch computes in `f64`.
//!
//! `data/networks.py` puts the networks together from their papers and wrote `data/networks.json`.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor};
use common::{assert_close, numbers, uniform};
use lowland_tasks::models::{
    BlockKind, CifarResNetConfig, PyramidNetConfig, ResNetConfig, ResNetStem,
    VisionTransformerConfig, WideResNetConfig,
};
use serde::Deserialize;

/// How far an output may be from the reference, as a share of the largest output, and a gradient,
/// as a share of its norm. Both sides compute in `f64`: what is left is the order of sums.
const TOLERANCE: f64 = 1e-9;

#[derive(Deserialize)]
#[serde(tag = "name", content = "sizes", rename_all = "kebab-case")]
enum Network {
    CifarResnet([usize; 1]),
    Resnet(([usize; 4], String, String)),
    WideResnet([usize; 2]),
    PyramidNet([usize; 2]),
    VisionTransformer([usize; 6]),
}

#[derive(Deserialize)]
struct Case {
    #[serde(flatten)]
    network: Network,
    images: [usize; 4],
    classes: usize,
    evaluated: Vec<f64>,
    trained: Vec<f64>,
    /// Of each parameter, the norm of its gradient and three elements: the first, the one after a
    /// third of them, the last.
    gradients: BTreeMap<String, [f64; 4]>,
}

#[test]
fn outputs_and_gradients_are_those_of_pytorch() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("data/networks.json")).unwrap();
    assert_eq!(cases.len(), 10);
    let device = Device::flex().autodiff();
    for case in cases {
        let (classes, channels) = (case.classes, case.images[1]);
        macro_rules! compare {
            ($config:expr) => {{
                let network = $config.init(classes, channels, 0, &device).unwrap();
                compare(&case, network, |network, images| network.forward(images));
            }};
        }
        match case.network {
            Network::CifarResnet([blocks]) => compare!(CifarResNetConfig { blocks }),
            Network::Resnet((blocks, ref stem, ref kind)) => {
                let stem = match stem.as_str() {
                    "imagenet" => ResNetStem::ImageNet,
                    _ => ResNetStem::Cifar,
                };
                let kind = match kind.as_str() {
                    "bottleneck" => BlockKind::Bottleneck,
                    _ => BlockKind::Basic,
                };
                compare!(ResNetConfig { blocks, kind, stem });
            }
            Network::WideResnet([blocks, widening]) => {
                compare!(WideResNetConfig { blocks, widening });
            }
            Network::PyramidNet([blocks, alpha]) => compare!(PyramidNetConfig { blocks, alpha }),
            Network::VisionTransformer([patch, grid, width, layers, heads, hidden]) => {
                compare!(VisionTransformerConfig { patch, grid, width, layers, heads, hidden });
            }
        }
    }
}

fn compare<M: Module>(case: &Case, network: M, forward: impl Fn(&M, Tensor<4>) -> Tensor<2>) {
    let network = network.map(&mut Fill::default());
    let device = Device::flex();
    let images: Tensor<4> = filled("images", case.images, 0.0, 1.5, &device);

    let evaluated = forward(&network.valid(), images.clone());
    assert_close(&numbers(evaluated), &case.evaluated, TOLERANCE, "evaluated");

    let device = device.autodiff();
    let trained = forward(&network, Tensor::from_inner(images));
    let weights = filled("loss", trained.dims(), 0.0, 1.0, &device);
    let gradients = (trained.clone() * weights).sum().backward();
    assert_close(&numbers(trained), &case.trained, TOLERANCE, "trained");

    let mut found = Found { path: Vec::new(), gradients: &gradients, numbers: BTreeMap::new() };
    network.visit(&mut found);
    let found = found.numbers;
    let paths = |map: &BTreeMap<String, [f64; 4]>| map.keys().cloned().collect::<Vec<_>>();
    assert_eq!(paths(&found), paths(&case.gradients));
    let longest = case.gradients.values().map(|of| of[0]).fold(0.0, f64::max);
    for (path, expected) in &case.gradients {
        // Some are 0 but for rounding, such as those of the biases of keys.
        let scale = expected[0] + 1e-3 * longest;
        for (found, expected) in found[path].iter().zip(expected) {
            let off = (found - expected).abs() / scale;
            assert!(off < TOLERANCE, "the gradient of {path}: {found} and {expected}");
        }
    }
}

/// What [`Case::gradients`] holds, of the network under test.
struct Found<'a> {
    path: Vec<String>,
    gradients: &'a Gradients,
    numbers: BTreeMap<String, [f64; 4]>,
}

impl ModuleVisitor for Found<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            return;
        }
        let gradient = param.val().grad(self.gradients).unwrap();
        let values = numbers(gradient);
        let norm = values.iter().map(|x| x * x).sum::<f64>().sqrt();
        let places = [0, values.len() / 3, values.len() - 1].map(|place| values[place]);
        self.numbers.insert(self.path.join("."), [norm, places[0], places[1], places[2]]);
    }
}

/// Fills every tensor by the formula of its path.
#[derive(Default)]
struct Fill {
    path: Vec<String>,
}

impl ModuleMapper for Fill {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.val().dims();
        let fan_in: usize = if D == 4 { shape[1..].iter().product() } else { shape[0] };
        let (centre, spread) = match self.path.last().unwrap().as_str() {
            "gamma" => (1.0, 0.3),
            "running_var" => (1.0, 0.5),
            "weight" if D == 4 => (0.0, (6.0 / fan_in as f64).sqrt()),
            "weight" => (0.0, (3.0 / fan_in as f64).sqrt()),
            _ => (0.0, 0.2),
        };
        let trained = param.is_require_grad();
        let path = self.path.join(".");
        let fill = |tensor: Tensor<D>| filled(&path, shape, centre, spread, &tensor.device());
        param.map(|tensor| fill(tensor).set_require_grad(trained))
    }
}

/// `centre + spread · u`, with u of the path and the place in the tensor.
fn filled<const D: usize>(
    path: &str,
    shape: [usize; D],
    centre: f64,
    spread: f64,
    device: &Device,
) -> Tensor<D> {
    let values = uniform(path, shape.iter().product()).map(|u| centre + spread * u);
    common::tensor(values.collect(), shape, device)
}
