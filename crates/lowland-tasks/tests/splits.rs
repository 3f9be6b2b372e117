//! What is learned from, what is chosen by and what is tested on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use burn::tensor::Device;
use lowland::Algorithm;
use lowland_tasks::config::{DataConfig, TrainConfig};
use lowland_tasks::record::{EpochRecord, best_epoch};
use lowland_tasks::task::Split;
use lowland_tasks::train::{Data, Training};

fn config(validation: Option<f64>) -> TrainConfig {
    TrainConfig {
        epochs: 3,
        batch_size: 20,
        algorithm: Algorithm::named("sgd").unwrap(),
        data: DataConfig {
            train_limit: Some(100),
            test_limit: Some(40),
            validation,
            ..DataConfig::default()
        },
        ..TrainConfig::default()
    }
}

fn start(config: &TrainConfig) -> Training {
    Training::new(config, &Data::load(config).unwrap(), &Device::flex()).unwrap()
}

fn checksums(config: &TrainConfig) -> [String; 3] {
    let data = Data::load(config).unwrap();
    [Split::Train, Split::Validation, Split::Test].map(|split| data.task().checksum(split))
}

#[test]
fn the_validation_part_is_that_of_all_seeds_and_algorithms() {
    let with = config(Some(0.2));
    let data = Data::load(&with).unwrap();
    let task = data.task();
    let count = |split| task.count(split);
    assert_eq!((count(Split::Train), count(Split::Validation), count(Split::Test)), (80, 20, 40));
    let other =
        TrainConfig { seed: 7, algorithm: Algorithm::named("sam").unwrap(), ..with.clone() };
    assert_eq!(checksums(&with), checksums(&other));
    let mut drawn_anew = with.clone();
    drawn_anew.data.split_seed = 1;
    let [then, now] = [&with, &drawn_anew].map(checksums);
    assert_ne!(then[1], now[1]);
    assert_eq!(then[2], now[2]);
    // Labels are corrupted among the training samples alone.
    let mut noisy = with.clone();
    noisy.data.label_noise = 0.5;
    let found = checksums(&noisy);
    assert_ne!(found[0], then[0]);
    assert_eq!(found[1..], then[1..]);

    assert!(!Data::load(&config(None)).unwrap().task().validates());
    for share in [0.0, 1.0, -0.5, f64::NAN] {
        let error = config(Some(share)).check().unwrap_err().to_string();
        assert!(error.starts_with("validation must be above 0 and below 1"), "{error}");
    }
}

#[test]
fn a_share_that_departs_or_lacks_classes_is_said() {
    let with = |limit, share| {
        let mut config = config(Some(share));
        config.data.train_limit = Some(limit);
        Data::load(&config).map_err(|error| error.to_string())
    };
    let said = |limit, share| with(limit, share).unwrap().task().remarks().to_vec();
    assert_eq!(said(100, 0.2), [""; 0]);
    let keeps = "each class keeps at least one to learn from";
    assert_eq!(
        said(20, 0.99),
        [format!(
            "validation takes 10 of the 20 training samples (50 %), where a share of 0.99 is 20: \
             {keeps}"
        )]
    );
    let lacks = "the validation part has samples of 1 of the 10 classes of the training samples: a \
                 share of at least 0.5 takes some of each";
    assert_eq!(said(20, 0.05), [lacks]);
    for (limit, share, why) in [
        (20, 1e-9, "a share that takes at least one sample, found 0.000000001 of 20 samples, less"),
        (20, 0.02, "a share that takes at least one sample, found 0.02 of 20 samples, less than"),
        (10, 0.5, "must be left out where each class has one sample, which must be learned from"),
    ] {
        let error = with(limit, share).unwrap_err();
        assert!(error.starts_with("validation must be ") && error.contains(why), "{error}");
    }
}

#[test]
fn the_test_samples_are_measured_once_with_the_weights_that_were_best() {
    let mut training = start(&config(Some(0.2)));
    let mut states = Vec::new();
    while let Some(epoch) = training.epoch(&mut |_| std::ops::ControlFlow::Continue(())).unwrap() {
        assert_eq!((epoch.test_loss, epoch.test_accuracy), (None, None));
        assert!(epoch.validation_loss.is_some() && epoch.train_accuracy.is_some());
        states.push(training.evaluate().unwrap());
    }
    let best = best_epoch(&training.record().epochs).unwrap().epoch;
    let test = training.test().unwrap();
    assert_eq!((test.epoch, test.chosen_on_validation), (best, true));
    let expected = &states[best - 1];
    assert_eq!(test.test_accuracy, Some(expected.accuracy()));
    assert_eq!(test.test_loss, Some(expected.loss / 40.0));
    assert_eq!(training.record().test.as_ref(), Some(&test));
}

#[test]
fn without_a_validation_part_the_last_epoch_is_tested() {
    let mut training = start(&config(None));
    assert!(training.test().is_err(), "nothing is trained yet");
    while training.advance().unwrap().is_some() {}
    let last = training.record().epochs.last().unwrap().clone();
    let test = training.test().unwrap();
    assert_eq!((test.epoch, test.chosen_on_validation), (3, false));
    assert_eq!((test.test_loss, test.test_accuracy), (last.test_loss, last.test_accuracy));
}

#[test]
fn the_best_weights_outlive_a_stop() {
    // Steps so large that the best epoch is not the last.
    let mut config = config(Some(0.2));
    config.epochs = 5;
    config.optimizer.learning_rate = 0.9;
    let mut whole = start(&config);
    while whole.advance().unwrap().is_some() {}
    let expected = whole.test().unwrap();

    for steps in [5, 9, 14, 24] {
        let mut half = start(&config);
        for _ in 0..steps {
            half.advance().unwrap();
        }
        let snapshot = half.snapshot().unwrap();
        let mut half = start(&config).restore(snapshot, false).unwrap().0;
        while half.advance().unwrap().is_some() {}
        assert_eq!(half.test().unwrap(), expected, "{steps}");
    }
}

fn epoch(epoch: usize, accuracy: f64, loss: f64) -> EpochRecord {
    EpochRecord {
        epoch,
        train_loss: Some(1.0),
        train_accuracy: None,
        validation_loss: Some(loss),
        validation_accuracy: Some(accuracy),
        test_loss: None,
        test_accuracy: None,
        average_accuracy: None,
        average_loss: None,
        scores: std::collections::BTreeMap::new(),
        learning_rate: 0.1,
        passes: 1.0,
        second_gradient_share: 0.0,
        seconds: 0.0,
    }
}

#[test]
fn the_best_epoch_is_the_first_of_equal_ones_and_patience_counts_from_it() {
    let epochs = [epoch(1, 0.5, 1.0), epoch(2, 0.7, 0.9), epoch(3, 0.7, 0.8), epoch(4, 0.7, 0.8)];
    let best = |count: usize| best_epoch(&epochs[..count]).map(|epoch| epoch.epoch);
    assert_eq!([0, 1, 2, 3, 4].map(best), [None, Some(1), Some(2), Some(3), Some(3)]);
    let config = TrainConfig { epochs: 9, patience: Some(1), ..config(Some(0.2)) };
    assert!(!config.is_over(&epochs[..3]));
    assert!(config.is_over(&epochs));
    assert!(!TrainConfig { patience: Some(2), ..config }.is_over(&epochs));
}

#[test]
fn a_run_without_patience_left_ends_early() {
    let mut config = config(Some(0.2));
    // Steps that are lost in rounding: nothing gets better after the first epoch.
    (config.epochs, config.patience) = (20, Some(2));
    config.optimizer.learning_rate = 1e-30;
    config.optimizer.weight_decay = 0.0;
    config.model = lowland_tasks::models::ModelName::Vit;
    let mut training = start(&config);
    while training.advance().unwrap().is_some() {}
    assert_eq!(training.record().epochs.len(), 3);
    assert!(training.is_done() && config.is_over(&training.record().epochs));
    assert_eq!(training.test().unwrap().epoch, 1);

    config.data.validation = None;
    let error = Data::load(&config).unwrap_err().to_string();
    assert!(
        error.starts_with("patience must be left out, or given beside --validation"),
        "{error}"
    );
}
