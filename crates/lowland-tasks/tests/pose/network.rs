//! The network: shapes, sizes, and numbers that were computed elsewhere.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use lowland_tasks::pose::{PoseNet, PoseNetConfig, Stem, heatmap_losses};

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
    // ResNet-18 without its last layer has 11,176,512; three transposed convolutions to 256 channels
    // with BatchNorm add 4,195,840; the last layer adds 257 a joint.
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
            #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
            let values: Vec<f32> = (0..shape.iter().product())
                .map(|place| (shift + scale * wave(tensor, place)) as f32)
                .collect();
            Tensor::from_data(TensorData::new(values, shape), &device).require_grad()
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
        for (place, value) in gradient.into_data().iter::<f64>().enumerate() {
            sums = [sums[0] + value * value, sums[1] + value * (0.5 * place as f64).cos()];
        }
        self.1.push([sums[0].sqrt(), sums[1]]);
    }
}

/// What a network with the weights of [`Given`] should give for two images.
struct Expected {
    stem: Stem,
    loss: f64,
    heatmaps: [f64; 5],
    sums: [f64; 2],
    gradients: &'static [[f64; 2]],
}

fn given(model: PoseNet) -> PoseNet {
    model.map(&mut Given(0))
}

fn tensor<const D: usize>(shape: [usize; D], value: impl Fn(f64) -> f64) -> Tensor<D> {
    #[expect(clippy::cast_possible_truncation, reason = "the network counts in f32")]
    let values: Vec<f32> =
        (0..shape.iter().product()).map(|place: usize| value(place as f64) as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &device())
}

/// Values and gradients of an implementation in `NumPy` with 64 bits, the gradients by central
/// differences of the loss.
#[test]
fn heatmaps_and_gradients_are_those_that_were_computed_elsewhere() {
    for Expected { stem, loss, heatmaps, sums, gradients } in EXPECTED {
        let model = given(tiny(*stem).init(2, 0, &device()).unwrap());
        let images = tensor([2, 3, 32, 32], |place| (0.11 * place.powf(1.1)).sin());
        let found = model.forward(images);
        let targets = tensor([2, 2, 8, 8], |place| (0.3 * place).cos());
        let weights = Tensor::from_floats([[1.0, 1.0], [1.0, 0.0]], &device());
        // The numbers are of the mean over 64 pixels.
        let losses = heatmap_losses(found.clone(), targets, weights).div_scalar(64.0);
        let values: Vec<f64> = found.into_data().iter::<f64>().collect();
        for (&place, expected) in [0, 17, 77, 130, 255].iter().zip(heatmaps) {
            assert!((values[place] - expected).abs() < 1e-4, "{} for {expected}", values[place]);
        }
        let [sum, squares] = sums;
        assert!((values.iter().sum::<f64>() - sum).abs() < 1e-3);
        assert!((values.iter().map(|x| x * x).sum::<f64>() - squares).abs() < 1e-3);
        let mean = losses.mean();
        assert!((mean.clone().into_scalar::<f64>() - loss).abs() < 1e-5);

        let found = GradientsParams::from_grads(mean.backward(), &model);
        let mut summaries = Summaries(&found, Vec::new());
        model.visit(&mut summaries);
        assert_eq!(summaries.1.len(), gradients.len());
        for (tensor, (found, expected)) in summaries.1.iter().zip(*gradients).enumerate() {
            let near =
                |place: usize| (found[place] - expected[place]).abs() < 2e-4 * expected[0] + 2e-6;
            assert!(near(0) && near(1), "{found:?} for {expected:?} in tensor {tensor}");
        }
    }
}

#[expect(clippy::unreadable_literal, reason = "numbers as they were computed")]
const EXPECTED: &[Expected] = &[
    Expected {
        stem: Stem::Large,
        loss: 1.5255203,
        heatmaps: [1.153849, 1.11019, -0.1852387, 1.134553, -0.2605724],
        sums: [120.7918, 190.5033],
        gradients: &[
            [0.0833115, -0.103921],
            [0.0138913, 0.0142044],
            [0.00335074, 0.00371983],
            [0.014292, -0.0101747],
            [0.000702918, 0.000308444],
            [0.00040261, -0.000356319],
            [0.00660237, 0.0041074],
            [0.0376387, -0.049355],
            [0.00305731, 0.00405716],
            [0.0122989, 0.00522552],
            [0.0049574, -0.00658543],
            [0.00894404, 0.0118915],
            [0.00655051, 0.00261283],
            [0.0156862, -0.0150816],
            [0.0000391806, -0.0000514238],
            [0.0603187, 0.0327674],
            [0.00466689, 0.00516074],
            [0.0110756, 0.0104336],
            [0.0374972, -0.00592922],
            [0.0100528, -0.0128886],
            [0.00726791, -0.00182255],
            [0.0119856, 0.00400248],
            [0.0226238, 0.00514768],
            [0.00726791, -0.00182255],
            [0.0122103, 0.00357581],
            [0.00107349, 0.0015603],
            [0.000650178, 0.000583728],
            [0.0984583, 0.0445578],
            [0.0523302, 0.0163807],
            [0.0383539, -0.0167494],
            [0.0844791, -0.125711],
            [0.0475961, -0.0199208],
            [0.0383539, -0.0167494],
            [0.361206, -0.319642],
            [0.0197623, -0.00787018],
            [0.0189, 0.0212102],
            [0.0583743, 0.126705],
            [0.0623495, 0.0526008],
            [0.739249, 1.05281],
            [2.35707, 3.34113],
            [1.74821, 1.63049],
        ],
    },
    Expected {
        stem: Stem::Small,
        loss: 1.036010896,
        heatmaps: [0.6024298, 0.4719422, 0.9812325, 0.5077323, 0.972524],
        sums: [215.8295, 202.4781],
        gradients: &[
            [0.0590552, 0.116968],
            [0.00217495, 0.00288762],
            [0.00810328, -0.00978209],
            [0.00657649, 0.0062803],
            [0.000546425, 0.000716094],
            [0.000364793, -0.000482726],
            [0.00662945, -0.00120619],
            [0.0187516, -0.0122663],
            [0.0151588, -0.00280017],
            [0.00400201, -0.00288463],
            [0.00954702, 0.00570861],
            [0.0151588, -0.00280017],
            [0.0167273, 0.0138356],
            [0.0177887, -0.0172112],
            [0.00668129, 0.00677015],
            [0.0270212, 0.00914339],
            [0.00973363, -0.00688871],
            [0.00689887, -0.00396014],
            [0.0284892, -0.00272233],
            [0.00465457, 0.00625858],
            [0.00524098, -0.00721142],
            [0.0607117, -0.0135015],
            [0.0166667, -0.0114533],
            [0.0167363, 0.0179955],
            [0.00257775, 0.000185958],
            [0.049742, -0.00529974],
            [0.0167363, 0.0179955],
            [0.00895305, -0.0147799],
            [0.00340657, 0.00105101],
            [0.00301533, 0.00235003],
            [0.0584696, 0.0127678],
            [0.0897334, -0.0156793],
            [0.031288, -0.0298765],
            [0.11955, -0.189132],
            [0.0310201, -0.00885744],
            [0.031288, -0.0298765],
            [0.387101, 0.668503],
            [0.0442027, -0.0378803],
            [0.099486, -0.0138475],
            [0.220025, -0.0988559],
            [0.0484074, 0.024387],
            [0.195364, 0.134624],
            [0.422621, 0.406639],
            [1.01732, 1.33351],
        ],
    },
];
