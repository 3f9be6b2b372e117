//! Tasks other than plain classification in the training loop: they learn, stop and resume bit for
//! bit, and report their own figures.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use common::{alone, named};
use image::{Rgb, RgbImage};
use lowland::{Algorithm, SamConfig};
use lowland_tasks::Error;
use lowland_tasks::config::{
    ClassWeights, DataConfig, OptimizerConfig, OptimizerName, TextConfig, TrainConfig, WeightRule,
};
use lowland_tasks::data::DataName;
use lowland_tasks::evaluation::{Answer, answers, evaluate};
use lowland_tasks::events;
use lowland_tasks::flatness::{EvalBatches, EvalSettings, FlatnessConfig, flatness};
use lowland_tasks::models::ModelName;
use lowland_tasks::pose::{CropConfig, PoseConfig};
use lowland_tasks::record::{EpochRecord, best_epoch};
use lowland_tasks::regression::{pearson, spearman};
use lowland_tasks::task::Split;
use lowland_tasks::text::{LoraConfig, Trained};
use lowland_tasks::train::{Data, Done, Training};
use serde_json::json;

fn adamw(learning_rate: f64) -> OptimizerConfig {
    OptimizerConfig {
        name: OptimizerName::AdamW,
        learning_rate,
        weight_decay: 0.0,
        ..OptimizerConfig::default()
    }
}

/// Trains to the end, once straight on and once by way of a snapshot in the middle of an epoch;
/// gives the run.
fn trained(config: &TrainConfig) -> Training {
    let data = Data::load(config).unwrap();
    let start = || Training::new(config, &data, &Device::flex()).unwrap();
    let mut whole = start();
    while whole.advance().unwrap().is_some() {}

    let mut half = start();
    for _ in 0..3 {
        assert!(matches!(half.advance().unwrap(), Some(Done::Step(_))));
    }
    let snapshot = half.snapshot().unwrap();
    let (mut half, changes) = start().restore(snapshot, false).unwrap();
    assert!(changes.is_empty());
    while half.advance().unwrap().is_some() {}
    let without_seconds = |training: &Training| {
        let mut record = training.record().clone();
        record.epochs.iter_mut().for_each(|epoch| epoch.seconds = 0.0);
        record
    };
    assert_eq!(without_seconds(&half), without_seconds(&whole));
    // Weights, without the parameters' ids.
    let weights = |training: &Training| training.evaluate().unwrap();
    assert_eq!(weights(&half), weights(&whole));
    whole
}

/// Images of 32 by 32 with a red and a blue square, which are the two joints of a person.
fn people(folder: &Path, name: &str, count: u32) {
    fs::create_dir_all(folder.join("images")).unwrap();
    let (mut images, mut annotations) = (Vec::new(), Vec::new());
    for i in 0..count {
        let file = format!("{name}-{i}.png");
        let red = [6 + (i * 7) % 20, 6 + (i * 5) % 20];
        let blue = [6 + (i * 11 + 9) % 20, 6 + (i * 3 + 13) % 20];
        let near = |[x, y]: [u32; 2], [u, v]: [u32; 2]| x.abs_diff(u) < 3 && y.abs_diff(v) < 3;
        let picture = RgbImage::from_fn(32, 32, |x, y| {
            if near([x, y], red) {
                Rgb([250, 20, 20])
            } else if near([x, y], blue) {
                Rgb([20, 20, 250])
            } else {
                Rgb([90, 90, 90])
            }
        });
        picture.save(folder.join("images").join(&file)).unwrap();
        images.push(json!({"id": i, "file_name": file, "width": 32, "height": 32}));
        annotations.push(json!({
            "id": i, "image_id": i, "category_id": 1, "bbox": [0, 0, 32, 32], "num_keypoints": 2,
            "keypoints": [red[0], red[1], 2, blue[0], blue[1], 2],
        }));
    }
    let category = json!({"id": 1, "keypoints": ["red", "blue"], "skeleton": [[1, 2]]});
    let file = json!({"images": images, "annotations": annotations, "categories": [category]});
    fs::write(folder.join(format!("{name}.json")), file.to_string()).unwrap();
}

#[test]
fn joints_are_learned_and_shown() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    people(folder.path(), "train", 24);
    people(folder.path(), "val", 6);
    let config = TrainConfig {
        epochs: 12,
        batch_size: 4,
        model: ModelName::PoseSmall,
        optimizer: adamw(0.004),
        algorithm: Algorithm::Sam(SamConfig { rho: 0.02 }),
        data: DataConfig {
            name: DataName::Pose,
            dir: Some(folder.path().to_owned()),
            ..DataConfig::default()
        },
        crop: Some(CropConfig { height: 32, width: 32, enlarge: 1.0 }),
        pose: Some(PoseConfig {
            height: 32,
            width: 32,
            flip: false,
            rotation: 10.0,
            ..PoseConfig::default()
        }),
        ..TrainConfig::default()
    };
    let training = trained(&config);
    let epochs = &training.record().epochs;
    let (first, last) = (&epochs[0], epochs.last().unwrap());
    assert!(last.train_loss < first.train_loss, "{first:?} {last:?}");
    assert!(last.scores.contains_key("AP") && last.scores.contains_key("AP50"), "{last:?}");
    let outcome = training.evaluate().unwrap();
    assert_eq!((outcome.answers, outcome.marks.len()), (12.0, 6 * 2 * 3));
    let pictures = training.pictures(4).unwrap();
    assert_eq!(pictures.len(), 4);
    assert!(pictures.iter().all(|picture| picture.svg.starts_with("<svg")));

    let of = |change: &dyn Fn(&mut TrainConfig)| {
        let mut config = config.clone();
        change(&mut config);
        Data::load(&config)
            .and_then(|data| Training::new(&config, &data, &Device::flex()).map(drop))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        of(&|config| config.model = ModelName::ResNet20),
        "model must be one for joints: pose-small or pose-resnet18, found resnet20"
    );
    assert!(of(&|config| config.data.label_noise = 0.5).starts_with("`label_noise` does not"));
}

/// The sentences of a task that is easily learned, and the folder of a tiny transformer.
fn texts(folder: &Path) -> PathBuf {
    let row = |i: usize| if i.is_multiple_of(2) { "a good film\t1\n" } else { "a bad film\t0\n" };
    for (name, count) in [("train.tsv", 20), ("dev.tsv", 4), ("test.tsv", 8)] {
        let rows: String = (0..count).map(row).collect();
        fs::write(folder.join(name), format!("sentence\tlabel\n{rows}")).unwrap();
    }
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tiny-bert")
}

fn fine_tuning(folder: &Path) -> TrainConfig {
    TrainConfig {
        epochs: 4,
        batch_size: 6,
        model: ModelName::Transformer,
        from: Some(texts(folder)),
        optimizer: adamw(0.01),
        algorithm: Algorithm::Sam(SamConfig { rho: 0.01 }),
        data: DataConfig {
            name: DataName::Sst2,
            dir: Some(folder.to_owned()),
            ..DataConfig::default()
        },
        text: Some(TextConfig { max_length: 12, ..TextConfig::default() }),
        ..TrainConfig::default()
    }
}

#[test]
fn texts_are_learned_whole_by_the_head_or_by_adapters() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let config = fine_tuning(folder.path());
    let mut counts = Vec::new();
    for kind in [
        Trained::All,
        Trained::Lora(LoraConfig { rank: 2, ..LoraConfig::default() }),
        Trained::Head,
    ] {
        let text = TextConfig { trained: kind.clone(), ..config.text.clone().unwrap() };
        let training = trained(&TrainConfig { text: Some(text), ..config.clone() });
        let epochs = &training.record().epochs;
        assert!(epochs.last().unwrap().train_loss < epochs[0].train_loss, "{kind:?}: {epochs:?}");
        assert_eq!(training.evaluate().unwrap().answers.to_bits(), 8.0_f64.to_bits());
        counts.push(training.parameter_count().unwrap());
    }
    assert!(counts[0] > counts[1] && counts[1] > counts[2], "{counts:?}");
}

#[test]
fn texts_go_through_every_algorithm_and_resume_bit_for_bit() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    for descriptor in Algorithm::ALL {
        let algorithm = named(descriptor.name);
        let config = TrainConfig { algorithm, ..fine_tuning(folder.path()) };
        let training = trained(&config);
        // Their usual radii are too large for so small a network to learn with each of them;
        // `trained` tests the rest.
        let mut epochs = training.record().epochs.iter();
        assert!(epochs.all(|epoch| epoch.train_loss.is_some()), "{}", descriptor.name);
    }
}

#[test]
fn epochs_are_chosen_by_what_the_task_is_measured_by() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let mut config = fine_tuning(folder.path());
    let row = |i: usize| format!("x\t{}\t\t{}", i % 2, ["the man", "man the is", "it was"][i % 3]);
    let rows = (0..12).map(row).collect::<Vec<_>>().join("\n");
    for name in ["train.tsv", "dev.tsv"] {
        fs::write(folder.path().join(name), &rows).unwrap();
    }
    fs::remove_file(folder.path().join("test.tsv")).unwrap();
    (config.data.name, config.data.validation) = (DataName::Cola, Some(0.5));
    config.batch_size = 2;
    let training = trained(&config);
    for epoch in &training.record().epochs {
        assert_eq!(epoch.scores.keys().collect::<Vec<_>>(), ["accuracy"]);
        let (share, correlation) = (epoch.scores["accuracy"], epoch.validation_accuracy.unwrap());
        assert!((0.0..=1.0).contains(&share) && (-1.0..=1.0).contains(&correlation));
        assert!((share - correlation).abs() > 1e-3, "{share} is no correlation");
    }
    let wording = Data::load(&config).unwrap().task().wording();
    assert_eq!(wording.measure, "Matthews' correlation");
}

/// The settings of a regression of similarities, and pairs that are alike or not.
fn similarities(folder: &Path) -> TrainConfig {
    let row = |i: usize| match i % 3 {
        0 => "a man\ta man .\t4.5\n",
        1 => "a dog\tthe dog is not good\t2.5\n",
        _ => "bread\tit was a bad film\t0.25\n",
    };
    let mut config = fine_tuning(folder);
    for (name, count) in [("train.tsv", 24), ("dev.tsv", 9), ("test.tsv", 6)] {
        let rows: String = (0..count).map(row).collect();
        fs::write(folder.join(name), format!("sentence1\tsentence2\tscore\n{rows}")).unwrap();
    }
    config.data.name = DataName::Stsb;
    config.epochs = 12;
    config
}

#[test]
fn similarities_of_sentences_are_learned_as_numbers() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let config = similarities(folder.path());
    let mut training = trained(&config);
    let epochs = &training.record().epochs;
    assert!(epochs.last().unwrap().train_loss < epochs[0].train_loss, "{epochs:?}");
    // The correlation chooses the best epoch, of equal ones the loss.
    let best = best_epoch(epochs).unwrap().clone();
    let most = epochs.iter().filter_map(|epoch| epoch.validation_accuracy).fold(-1.0, f64::max);
    assert_eq!(best.validation_accuracy, Some(most));
    let tested = training.test().unwrap();
    assert!(tested.chosen_on_validation && tested.epoch == best.epoch, "{tested:?}");
    assert!(tested.test_accuracy.unwrap() > 0.9, "{tested:?}");

    let data = Data::load(&config).unwrap();
    let (_, model) = training.chosen().unwrap();
    let found = evaluate(&data, Split::Test, &model, &Device::flex()).unwrap();
    assert_eq!((found.measure.as_str(), found.samples), ("Pearson's correlation", 6));
    assert!(found.classes.is_empty() && found.confusion.is_empty());
    assert_eq!((found.calibration_error, found.joints.len()), (None, 0));
    // The figures are those of the numbers that are predicted.
    let source = data.task().to_measure(Split::Test, 6).unwrap();
    let answers = answers(source, &model, &Device::flex()).unwrap();
    let numbers: Vec<f64> = answers
        .iter()
        .map(|answer| match answer {
            Answer::Number(number) => *number,
            other => panic!("{other:?}"),
        })
        .collect();
    // Those that are measured lie by their length: two each of eight, nine and ten tokens.
    let targets = [4.5, 4.5, 0.25, 0.25, 2.5, 2.5];
    let pairs: Vec<(f64, f64)> = targets.into_iter().zip(numbers).collect();
    assert!((pearson(&pairs) - found.accuracy).abs() < 1e-9, "{pairs:?}: {found:?}");
    let rank = found.scores["Spearman's correlation"];
    assert!((spearman(&pairs) - rank).abs() < 1e-9, "{pairs:?}: {found:?}");
    let loss = pairs.iter().map(|(y, x)| (y - x).powi(2)).sum::<f64>() / 6.0;
    assert!((loss - found.loss).abs() < 1e-9);

    let refused = |change: fn(&mut TrainConfig)| {
        let mut config = config.clone();
        change(&mut config);
        let made = Data::load(&config)
            .and_then(|data| Training::new(&config, &data, &Device::flex()).map(drop));
        made.unwrap_err().to_string()
    };
    let noise = refused(|config| config.data.label_noise = 0.1);
    assert_eq!(noise, "label_noise must be 0: these samples have no classes, found 0.1");
    let smoothing = refused(|config| config.label_smoothing = 0.1);
    assert_eq!(smoothing, "label_smoothing must be 0: these samples have no classes, found 0.1");
    let weights =
        refused(|config| config.class_weights = Some(ClassWeights::Named(WeightRule::Balanced)));
    assert!(weights.contains("these samples have no classes"), "{weights}");
}

#[test]
fn the_sharpness_of_a_transformer_is_measured() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let config = fine_tuning(folder.path());
    let data = Data::load(&config).unwrap();
    let training = Training::new(&config, &data, &Device::flex()).unwrap();
    let eval = EvalSettings { images: 8, ..EvalSettings::default() };
    let batches = EvalBatches::new(&data, &eval, training.device()).unwrap();
    let go_on = &mut |_: &'static str, _, _| std::ops::ControlFlow::Continue(());
    let found =
        flatness(training.model().unwrap(), &batches, &eval, &FlatnessConfig::quick(), go_on);
    let found = found.unwrap().unwrap();
    assert!(found.loss > 0.0 && found.eigenvalues[0].value.is_finite());
}

#[test]
fn labels_of_texts_can_be_redrawn_but_not_those_that_are_tested() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let clean = fine_tuning(folder.path());
    let mut spoiled = clean.clone();
    spoiled.data.label_noise = 0.5;
    let [clean, again, spoiled_too] =
        [&clean, &spoiled, &spoiled].map(|config| Data::load(config).unwrap());
    assert_eq!(clean.task().labels_changed(), 0);
    assert!((1..=10).contains(&again.task().labels_changed()));
    let checksums =
        |data: &Data| [Split::Train, Split::Test].map(|split| data.task().checksum(split));
    let [clean, again, spoiled_too] = [&clean, &again, &spoiled_too].map(checksums);
    assert_eq!(again, spoiled_too);
    assert_eq!((clean[0] == again[0], clean[1] == again[1]), (false, true));
}

#[test]
fn texts_need_a_pretrained_transformer() {
    let folder = tempfile::tempdir().unwrap();
    let config = fine_tuning(folder.path());
    let without = TrainConfig { from: None, ..config.clone() };
    let error = Data::load(&without).unwrap_err().to_string();
    assert!(error.starts_with("from must be the folder of a pretrained transformer"), "{error}");
    let data = Data::load(&config).unwrap();
    let other = TrainConfig { model: ModelName::SmallCnn, ..config };
    let error = Training::new(&other, &data, &Device::flex()).unwrap_err();
    assert!(matches!(error, Error::Setting { field: "model", .. }), "{error}");
}

#[test]
fn tables_stand_under_their_task_alone() {
    let of = |name| TrainConfig {
        data: DataConfig { name, ..DataConfig::default() },
        ..TrainConfig::default()
    };
    for (name, tables) in [
        (DataName::FashionMnistSmall, [false, false, false]),
        (DataName::Pose, [false, true, true]),
        (DataName::Sst2, [true, false, false]),
    ] {
        let config = of(name).with_task_tables();
        let found = [config.text.is_some(), config.crop.is_some(), config.pose.is_some()];
        assert_eq!(found, tables, "{name}");
        config.check().unwrap();
        let file = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<TrainConfig>(&file).unwrap(), config, "{name}");
    }
    let text = Some(TextConfig::default());
    let error = TrainConfig { text, ..TrainConfig::default() }.check().unwrap_err().to_string();
    assert_eq!(error, "text must be left out: it does not apply to this data set, found a table");
}

/// The tags of the scalars of an epoch.
fn tags(record: serde_json::Value, measure: &str) -> Vec<String> {
    let record: EpochRecord = serde_json::from_value(record).unwrap();
    events::of_epoch(&record, measure).into_iter().map(|(tag, _)| tag).collect()
}

#[test]
fn tags_have_the_name_of_what_the_task_is_measured_by() {
    let mut record = json!({
        "epoch": 1, "train_loss": 0.5, "train_accuracy": 0.75, "test_loss": 0.5,
        "test_accuracy": 0.5, "average_accuracy": 0.25, "scores": {"AP": 0.125},
        "learning_rate": 0.1, "passes": 1.0, "second_gradient_share": 0.0, "seconds": 1.0
    });
    let [of_steps, cost, time] = ["epoch/passes", "epoch/second_gradient_share", "epoch/seconds"];
    assert_eq!(
        tags(record.clone(), "PCK@0.2"),
        [
            "epoch/train_loss",
            "epoch/train_PCK@0.2",
            "test/loss",
            "test/PCK@0.2",
            "average/PCK@0.2",
            of_steps,
            cost,
            time,
            "test/AP"
        ]
    );
    for (test, validation) in
        [("test_loss", "validation_loss"), ("test_accuracy", "validation_accuracy")]
    {
        record[validation] = record[test].take();
    }
    record["scores"] = json!({"matthews": 0.5});
    record["average_accuracy"] = serde_json::Value::Null;
    assert_eq!(
        tags(record, "R²"),
        [
            "epoch/train_loss",
            "epoch/train_R²",
            "validation/loss",
            "validation/R²",
            of_steps,
            cost,
            time,
            "validation/matthews"
        ]
    );
    let shown = events::experiment(&[], "R²").metrics.into_iter();
    let shown: Vec<String> = shown.map(|metric| metric.tag).collect();
    for tag in ["test/R²", "validation/R²", "epoch/train_R²"] {
        assert!(shown.contains(&tag.to_owned()), "{shown:?}");
    }
}
