//! The models: shapes, sizes, and weights that are a function of the seed.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Distribution, Tensor};
use lowland_tasks::models::{CifarResNetConfig, Model, ModelName, SmallCnnConfig};
use serde::Deserialize;

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
    ] {
        let model = name.init(classes, channels, 0, &device()).unwrap();
        let logits = model.forward(images([batch, channels, side, side]));
        assert_eq!(logits.dims(), [batch, classes], "{name}");
        let finite = logits.into_data().iter::<f32>().all(f32::is_finite);
        assert!(finite, "{name}");
    }
}

#[test]
fn resnet20_has_269722_trained_numbers() {
    let model = CifarResNetConfig::RESNET_20.init(10, 3, 0, &device()).unwrap();
    assert_eq!(values(&model).trained, 269_722);
    // Burn counts running means and variances too, of which there are as many as scales and shifts.
    assert_eq!(model.num_params(), 269_722 + 1_376);
}

#[test]
fn weights_are_a_function_of_the_seed_alone() {
    let device = device();
    for name in ModelName::ALL {
        let init = |seed| values(&name.init(10, 1, seed, &device).unwrap()).all;
        let first = init(1);
        device.seed(99);
        let _ = images([4, 4, 4, 4]);
        assert_eq!(init(1), first, "{name}");
        assert_ne!(init(2), first, "{name}");
        // The same without autodiff.
        let plain = name.init(10, 1, 1, &Device::flex()).unwrap();
        assert_eq!(values(&plain).all, first, "{name}");
    }
}

#[test]
fn convolutions_begin_with_the_variance_of_he() {
    let model = CifarResNetConfig::RESNET_20.init(10, 3, 7, &device()).unwrap();
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
fn both_models_normalise_with_batch_statistics_in_training() {
    for name in ModelName::ALL {
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
        let _ = model.forward(images([8, 1, 28, 28]));
        assert!(moved(&model) < before, "{name}");
    }
}

#[test]
fn every_weight_of_a_model_gets_a_gradient() {
    for name in ModelName::ALL {
        let model = name.init(10, 1, 0, &device()).unwrap();
        let logits = model.forward(images([4, 1, 28, 28]));
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
    let narrow = SmallCnnConfig { widths: [1, 0, 1] }.init(10, 1, 0, &device());
    assert_eq!(narrow.unwrap_err().to_string(), "widths must be at least 1, found 0");
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
        "unknown model \"vgg\", expected one of: small-cnn, resnet20"
    );
}
