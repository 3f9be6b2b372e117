//! The models: shapes, sizes, and weights that are a function of the seed.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Distribution, Tensor};
use lowland::Parameters;
use lowland_tasks::data::ImageShape;
use lowland_tasks::models::{
    CifarResNetConfig, Model, ModelName, PyramidNetConfig, ResNetConfig, SmallCnnConfig,
    VisionTransformerConfig, WideResNetConfig,
};
use serde::Deserialize;

/// Collects the values of all tensors of a module.
#[derive(Default)]
struct Values {
    all: Vec<Vec<f32>>,
}

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.all.push(param.val().into_data().try_to_vec().unwrap());
    }
}

fn values(model: &impl Module) -> Values {
    let mut values = Values::default();
    model.visit(&mut values);
    values
}

fn trained_numbers(model: &impl Module) -> usize {
    let parameters = Parameters::of(model).unwrap();
    parameters.iter().map(|parameter| parameter.shape.num_elements()).sum()
}

fn device() -> Device {
    Device::flex().autodiff()
}

fn images(shape: [usize; 4]) -> Tensor<4> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device())
}

#[test]
fn logits_have_one_number_a_class() {
    for (name, batch, channels, side, classes) in [
        (ModelName::SmallCnn, 3, 1, 28, 10),
        (ModelName::SmallCnn, 1, 3, 32, 100),
        (ModelName::SmallCnn, 2, 1, 5, 2),
        (ModelName::ResNet20, 2, 3, 32, 10),
        (ModelName::ResNet20, 2, 1, 28, 7),
        (ModelName::ResNet20, 1, 2, 9, 3),
        (ModelName::ResNet56, 2, 1, 28, 10),
        (ModelName::ResNet18, 1, 3, 32, 100),
        (ModelName::ResNet18, 2, 1, 28, 10),
        (ModelName::ImageNetResNet18, 1, 3, 40, 10),
        (ModelName::ImageNetResNet50, 1, 1, 9, 3),
        (ModelName::Wrn28x10, 1, 1, 28, 10),
        (ModelName::Wrn34x10, 1, 2, 7, 10),
        (ModelName::PyramidNet110, 1, 1, 28, 10),
        (ModelName::PyramidNet110, 2, 2, 7, 10),
        (ModelName::Vit, 2, 3, 32, 100),
        (ModelName::Vit, 2, 1, 28, 10),
    ] {
        let model = name.init(classes, channels, 0, &device()).unwrap();
        let logits = model.forward(images([batch, channels, side, side]));
        assert_eq!(logits.dims(), [batch, classes], "{name}");
        let finite = logits.into_data().iter::<f32>().all(f32::is_finite);
        assert!(finite, "{name}");
    }
}

#[test]
fn models_have_as_many_trained_numbers_as_their_documentation_says() {
    for (name, channels, classes, trained) in [
        (ModelName::SmallCnn, 1, 10, 11_202),
        (ModelName::SmallCnnWide, 3, 10, 105_050),
        (ModelName::ResNet20, 3, 10, 269_722),
        (ModelName::ResNet56, 3, 10, 853_018),
        (ModelName::ResNet18, 3, 10, 11_173_962),
        (ModelName::ResNet18, 3, 100, 11_220_132),
        (ModelName::ImageNetResNet18, 3, 1000, 11_689_512),
        (ModelName::ImageNetResNet34, 3, 1000, 21_797_672),
        (ModelName::ImageNetResNet50, 3, 1000, 25_557_032),
        (ModelName::Wrn28x10, 3, 10, 36_479_194),
        (ModelName::Wrn34x10, 3, 10, 46_160_474),
        (ModelName::PyramidNet110, 3, 10, 28_485_477),
        (ModelName::Vit, 3, 10, 2_693_194),
    ] {
        let model = name.init(classes, channels, 0, &device()).unwrap();
        assert_eq!(trained_numbers(&model), trained, "{name} with {classes} classes");
    }
    let model = ModelName::ResNet20.init(10, 3, 0, &device()).unwrap();
    // Burn counts running means and variances too, of which there are as many as scales and shifts.
    assert_eq!(model.num_params(), 269_722 + 1_376);
}

#[test]
fn resnet34_is_resnet18_with_more_blocks() {
    let model = ResNetConfig { blocks: [3, 4, 6, 3], ..ResNetConfig::CIFAR_18 }
        .init(10, 3, 0, &device())
        .unwrap();
    assert_eq!(trained_numbers(&model), 21_282_122);
}

#[test]
fn weights_are_a_function_of_the_seed_alone() {
    let large = [ModelName::Wrn28x10, ModelName::Wrn34x10, ModelName::PyramidNet110];
    for name in ModelName::IMAGES.into_iter().filter(|name| !large.contains(name)) {
        follows_from_the_seed(&|seed, device| name.init(10, 1, seed, device).unwrap());
    }
    let wide = WideResNetConfig { blocks: 2, widening: 2 };
    follows_from_the_seed(&|seed, device| wide.init(10, 1, seed, device).unwrap());
    let pyramid = PyramidNetConfig { blocks: 2, alpha: 60 };
    follows_from_the_seed(&|seed, device| pyramid.init(10, 1, seed, device).unwrap());
}

fn follows_from_the_seed<M: Module>(init: &dyn Fn(u64, &Device) -> M) {
    let device = device();
    let weights = |seed| values(&init(seed, &device)).all;
    let first = weights(1);
    device.seed(99);
    let _ = images([4, 4, 4, 4]);
    assert_eq!(weights(1), first);
    assert_ne!(weights(2), first);
    // The same without autodiff.
    assert_eq!(values(&init(1, &Device::flex())).all, first);
}

/// Saved weights of earlier versions fit, and equal seeds still give equal runs.
#[test]
fn resnet20_keeps_its_weights_and_their_paths() {
    let model = ModelName::ResNet20.init(10, 3, 7, &device()).unwrap();
    let parameters = Parameters::of(&model).unwrap();
    let paths: Vec<&str> = parameters.iter().map(|parameter| parameter.path.as_str()).collect();
    assert_eq!(paths.len(), 2 * 3 * 9 + 3 + 2);
    assert_eq!(
        paths[..3],
        ["ResNet20.stem.weight", "ResNet20.stem_norm.gamma", "ResNet20.stem_norm.beta"]
    );
    assert_eq!(paths[3], "ResNet20.blocks.0.first.weight");
    assert_eq!(paths[57..], ["ResNet20.head.weight", "ResNet20.head.bias"]);
    let values = values(&model).all;
    let (stem, head) = (&values[0], &values[values.len() - 2]);
    let ends = [stem[0], stem[3 * 9 * 16 - 1], head[0], head[64 * 10 - 1]];
    let expected: [f32; 4] = [-0.088_155_41, 0.179_310_46, -0.049_358_327, -0.116_446_92];
    for (end, expected) in ends.into_iter().zip(expected) {
        // Computed in `f64` and rounded to `f32`: where the platform's logarithm and cosine differ
        // in their last digit, the rounded weight differs by a unit in the last place at most.
        assert!((end - expected).abs() <= f32::EPSILON * expected.abs(), "{end} and {expected}");
    }
}

#[test]
fn convolutions_begin_with_the_variance_of_he() {
    let model = ModelName::ResNet20.init(10, 3, 7, &device()).unwrap();
    let values = values(&model);
    // The last convolution has fan-in 9 · 64.
    let weights = values.all.iter().rfind(|weights| weights.len() == 9 * 64 * 64).unwrap();
    let mean = weights.iter().map(|&w| f64::from(w)).sum::<f64>() / weights.len() as f64;
    let variance =
        weights.iter().map(|&w| f64::from(w).powi(2)).sum::<f64>() / weights.len() as f64;
    let expected = 2.0 / (9.0 * 64.0);
    assert!(mean.abs() < 5.0 * (expected / weights.len() as f64).sqrt(), "{mean}");
    assert!((variance / expected - 1.0).abs() < 0.05, "{variance}");
}

#[test]
fn models_normalise_with_batch_statistics_in_training() {
    // The vision transformer has none, and the two wide ones are of one kind.
    let left_out = [ModelName::Vit, ModelName::Wrn34x10];
    for name in ModelName::IMAGES.into_iter().filter(|name| !left_out.contains(name)) {
        let model = name.init(10, 1, 0, &device()).unwrap();
        // Running statistics begin at mean 0 and move away from it in a pass that trains.
        let moved = |model: &Model| {
            values(&model.valid())
                .all
                .iter()
                .filter(|values| values.iter().all(|&x| x == 0.0))
                .count()
        };
        let before = moved(&model);
        let _ = model.forward(images([2, 1, 8, 8]));
        assert!(moved(&model) < before, "{name}");
    }
}

#[test]
fn every_weight_of_a_model_gets_a_gradient() {
    for name in ModelName::IMAGES {
        let model = name.init(10, 1, 0, &device()).unwrap();
        let logits = model.forward(images([2, 1, 8, 8]));
        let gradients = logits.powi_scalar(2).mean().backward();
        let gradients = burn::optim::GradientsParams::from_grads(gradients, &model);
        let mut trained = Trained(0);
        model.visit(&mut trained);
        assert_eq!(gradients.len(), trained.0, "{name}");
    }
}

struct Trained(usize);

impl ModuleVisitor for Trained {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0 += usize::from(param.is_require_grad());
    }
}

#[test]
fn numbers_of_zero_are_refused() {
    let error = |classes, channels| {
        let init = ModelName::ResNet20.init(classes, channels, 0, &device());
        init.unwrap_err().to_string()
    };
    assert_eq!(error(0, 1), "classes must be at least 1, found 0");
    assert_eq!(error(1, 0), "channels must be at least 1, found 0");
    let zero = |error: Option<lowland_tasks::Error>, field: &str| {
        let expected = format!("{field} must be at least 1, found 0");
        assert_eq!(error.unwrap().to_string(), expected);
    };
    let device = device();
    zero(SmallCnnConfig { widths: [1, 0, 1] }.init(10, 1, 0, &device).err(), "widths");
    zero(CifarResNetConfig { blocks: 0 }.init(10, 1, 0, &device).err(), "blocks");
    zero(
        ResNetConfig { blocks: [1, 1, 0, 1], ..ResNetConfig::CIFAR_18 }
            .init(10, 1, 0, &device)
            .err(),
        "blocks",
    );
    zero(WideResNetConfig { blocks: 0, widening: 1 }.init(10, 1, 0, &device).err(), "blocks");
    zero(WideResNetConfig { blocks: 1, widening: 0 }.init(10, 1, 0, &device).err(), "widening");
    zero(PyramidNetConfig { blocks: 0, alpha: 1 }.init(10, 1, 0, &device).err(), "blocks");
    let vit = VisionTransformerConfig::default();
    zero(VisionTransformerConfig { patch: 0, ..vit }.init(10, 1, 0, &device).err(), "patch");
    let heads = VisionTransformerConfig { heads: 5, ..vit }.init(10, 1, 0, &device);
    let expected = "width must be a multiple of heads, found 192 for 5 heads";
    assert_eq!(heads.unwrap_err().to_string(), expected);
}

#[test]
fn a_vision_transformer_says_which_images_it_takes() {
    let check = |name: ModelName, height, width| {
        name.check(ImageShape { channels: 3, height, width }).map_err(|error| error.to_string())
    };
    for (height, width) in [(32, 32), (28, 28), (4, 32)] {
        assert_eq!(check(ModelName::Vit, height, width), Ok(()));
    }
    for (height, width) in [(64, 64), (30, 32), (28, 36), (0, 4)] {
        let expected = format!(
            "the vision transformer takes images with a height and a width that are multiples of 4 \
             up to 32, found {height}x{width}"
        );
        assert_eq!(check(ModelName::Vit, height, width), Err(expected));
        assert_eq!(check(ModelName::ResNet18, height, width), Ok(()));
    }
}

#[test]
fn names_lead_to_models_and_back() {
    #[derive(Deserialize)]
    struct Config {
        model: ModelName,
    }
    for model in ModelName::ALL {
        assert_eq!(model.name().parse::<ModelName>().unwrap(), model);
        let config: Config = toml::from_str(&format!("model = \"{model}\"")).unwrap();
        assert_eq!(config.model, model);
    }
    assert_eq!(
        "vgg".parse::<ModelName>().unwrap_err().to_string(),
        "unknown model \"vgg\", expected one of: small-cnn, small-cnn-wide, resnet20, resnet56, resnet18, \
         resnet18-imagenet, resnet34-imagenet, resnet50-imagenet, wrn-28-10, wrn-34-10, pyramidnet110, vit, \
         pose-small, pose-resnet18, transformer"
    );
    let error = "resnet50".parse::<ModelName>().unwrap_err().to_string();
    assert!(error.ends_with("; did you mean \"resnet50-imagenet\"?"), "{error}");
}
