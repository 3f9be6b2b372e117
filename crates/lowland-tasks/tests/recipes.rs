//! The files under `recipes/` are one recipe.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeSet;
use std::path::Path;

use lowland::{
    AesamConfig, Algorithm, ArsamConfig, AsamConfig, BaseConfig, ControllerConfig, EsamConfig,
    LookSamConfig, SamConfig, StochasticSamConfig, Warmup,
};
use lowland_tasks::Spec;
use lowland_tasks::config::{DataConfig, OptimizerConfig, OptimizerName, TrainConfig};
use lowland_tasks::data::{AugmentConfig, DataName};
use lowland_tasks::models::ModelName;

/// Everything but the algorithm.
fn recipe(data: DataName, classes: f64, model: ModelName, epochs: usize) -> TrainConfig {
    TrainConfig {
        epochs,
        batch_size: 128,
        // The authors spread 0.1 over the other classes; here it is over all of them.
        label_smoothing: 0.1 * classes / (classes - 1.0),
        model,
        data: DataConfig { name: data, ..DataConfig::default() },
        augment: AugmentConfig::crop_flip_cutout(),
        optimizer: OptimizerConfig {
            name: OptimizerName::Sgd,
            learning_rate: 0.05,
            momentum: 0.9,
            weight_decay: 1e-3,
            ..OptimizerConfig::default()
        },
        ..TrainConfig::default()
    }
}

fn algorithms(data: DataName, model: ModelName) -> [(&'static str, Algorithm); 8] {
    let asam = if data == DataName::Cifar10 { 0.5 } else { 1.0 };
    let (rho, beta) = match model {
        ModelName::ResNet18 => (0.05, 0.6),
        ModelName::PyramidNet110 => (0.2, 0.5),
        _ => (0.1, 0.5),
    };
    let in_epochs = ControllerConfig::default().with_warmup(Warmup::Epochs(3));
    [
        ("sgd", Algorithm::Base(BaseConfig::default())),
        ("sam", Algorithm::Sam(SamConfig::default())),
        ("asam", Algorithm::Asam(AsamConfig { rho: asam, ..AsamConfig::default() })),
        ("arsam", Algorithm::Arsam(ArsamConfig::default().with_controller(in_epochs))),
        ("looksam", Algorithm::LookSam(LookSamConfig::default())),
        ("esam", Algorithm::Esam(EsamConfig::new(rho).with_beta(beta))),
        ("aesam", Algorithm::Aesam(AesamConfig::default())),
        ("ss-sam", Algorithm::StochasticSam(StochasticSamConfig::default())),
    ]
}

#[test]
fn every_file_is_the_recipe_with_one_network_data_set_and_algorithm() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
    let mut files = BTreeSet::from(["README.md".to_owned()]);
    for (data, classes) in [(DataName::Cifar10, 10.0), (DataName::Cifar100, 100.0)] {
        for (form, epochs) in [("", 200), ("-short", 20)] {
            for model in [ModelName::ResNet18, ModelName::Wrn34x10, ModelName::PyramidNet110] {
                for (name, algorithm) in algorithms(data, model) {
                    let file = format!("{data}{form}/{model}-{name}.toml");
                    let text = std::fs::read_to_string(folder.join(&file)).unwrap();
                    let mut found: TrainConfig = toml::from_str(&text).unwrap();
                    Spec::try_from(&found).unwrap();
                    let recipe = recipe(data, classes, model, epochs);
                    let off = (found.label_smoothing - recipe.label_smoothing).abs();
                    assert!(off < 1e-12, "{file}: {}", found.label_smoothing);
                    found.label_smoothing = recipe.label_smoothing;
                    assert_eq!(found, TrainConfig { algorithm, ..recipe }, "{file}");
                    files.insert(file);
                }
            }
        }
    }
    assert_eq!(present(&folder), files);
}

/// All that lies in the folder and in the folders of it.
fn present(folder: &Path) -> BTreeSet<String> {
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let list = |folder: &Path| -> Vec<_> {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let mut files = BTreeSet::new();
    for path in list(folder) {
        if path.is_dir() {
            files.extend(list(&path).iter().map(|file| format!("{}/{}", name(&path), name(file))));
        } else {
            files.insert(name(&path));
        }
    }
    files
}
