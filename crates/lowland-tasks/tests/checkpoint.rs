//! Runs that are stopped and resumed, and what becomes of checkpoints that are not as they were
//! written. In one file, since each case damages or resumes the same runs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::store::{ModuleSnapshot, SafetensorsStore};
use burn::tensor::Device;
use common::{alone, named};
use lowland::{Algorithm, Warmup};
use lowland_tasks::Error;
use lowland_tasks::checkpoint::{Checkpoints, Manifest, Snapshot};
use lowland_tasks::config::{AscentScope, DataConfig, OptimizerConfig, OptimizerName, TrainConfig};
use lowland_tasks::data::AugmentConfig;
use lowland_tasks::record::{RunRecord, StepRecord};
use lowland_tasks::train::{Data, Done, Training};

/// Three epochs of four steps, the last one of each smaller.
fn config(algorithm: Algorithm) -> TrainConfig {
    TrainConfig {
        seed: 5,
        epochs: 3,
        batch_size: 12,
        algorithm,
        data: DataConfig {
            train_limit: Some(42),
            test_limit: Some(30),
            label_noise: 0.2,
            ..DataConfig::default()
        },
        augment: AugmentConfig::crop_flip_cutout(),
        ..TrainConfig::default()
    }
}

/// Every algorithm, those that warm up by epochs with a short warm-up in steps.
fn all() -> Vec<Algorithm> {
    let named = Algorithm::ALL.iter().map(|descriptor| named(descriptor.name));
    named
        .map(|algorithm| match algorithm {
            Algorithm::Arsam(mut arsam) => {
                arsam.controller.warmup = Warmup::Steps(3);
                (arsam.controller.window, arsam.controller.blocks) = (4, 2);
                Algorithm::Arsam(arsam)
            }
            other => other,
        })
        .collect()
}

fn start(config: &TrainConfig) -> Training {
    Training::new(config, &Data::load(config).unwrap(), &Device::flex()).unwrap()
}

/// Trains on, at most `steps` steps; gives what they did.
fn go_on(training: &mut Training, steps: usize) -> Vec<StepRecord> {
    let mut done = Vec::new();
    while done.len() < steps {
        match training.advance().unwrap() {
            Some(Done::Step(step)) => done.push(step),
            Some(Done::Epoch(_)) => {}
            None => break,
        }
    }
    done
}

fn weights(training: &Training) -> Vec<u8> {
    let mut store = SafetensorsStore::from_bytes(None).clear_metadata();
    training.model().unwrap().valid().save_into(&mut store).unwrap();
    store.get_bytes().unwrap()
}

/// What a run did, but for its seconds.
fn record(training: &Training) -> RunRecord {
    let mut record = training.record().clone();
    for epoch in &mut record.epochs {
        epoch.seconds = 0.0;
    }
    record
}

fn saved(training: &Training, folder: &Path) -> Checkpoints {
    let checkpoints = Checkpoints::new(folder);
    checkpoints.save(&training.snapshot().unwrap(), 3).unwrap();
    checkpoints
}

fn latest(checkpoints: &Checkpoints) -> Snapshot {
    let never = &mut |_: &_, error: &Error| panic!("{error}");
    checkpoints.latest(never).unwrap().unwrap().1
}

/// Stopped three times, each time in another place and resumed by other numbers of workers,
/// through files; `stops` are the steps between the stops.
fn stopped(config: &TrainConfig, stops: [usize; 3]) -> (Vec<StepRecord>, Training) {
    let folder = tempfile::tempdir().unwrap();
    let mut training = start(config);
    let mut steps = Vec::new();
    for (workers, stop) in stops.into_iter().enumerate() {
        steps.extend(go_on(&mut training, stop));
        let checkpoints = saved(&training, folder.path());
        drop(training);
        let other = TrainConfig { workers, ..config.clone() };
        training = start(&other).restore(latest(&checkpoints), false).unwrap().0;
    }
    steps.extend(go_on(&mut training, usize::MAX));
    (steps, training)
}

#[test]
fn every_algorithm_resumes_bit_for_bit() {
    let _alone = alone();
    for (i, algorithm) in all().into_iter().enumerate() {
        let config = config(algorithm);
        let mut whole = start(&config);
        let steps = go_on(&mut whole, usize::MAX);
        assert_eq!(steps.len(), 12);
        // In the middle of epochs, at their ends, and right after another stop.
        let stops = [[1, 2, 5], [4, 4, 2], [3, 1, 1], [5, 0, 6], [2, 6, 3]][i % 5];
        let (resumed_steps, resumed) = stopped(&config, stops);
        let label = config.algorithm_label();
        assert_eq!(resumed_steps, steps, "{label}");
        assert_eq!(record(&resumed), record(&whole), "{label}");
        assert!(weights(&resumed) == weights(&whole), "{label}: other weights");
    }
}

#[test]
fn every_base_resumes_bit_for_bit_under_every_setting() {
    let _alone = alone();
    let arsam = all().into_iter().find(|a| matches!(a, Algorithm::Arsam(_))).unwrap();
    let base = |name, momentum| OptimizerConfig {
        name,
        momentum,
        learning_rate: 0.01,
        ..OptimizerConfig::default()
    };
    let plain = config(arsam.clone());
    let settings = [
        TrainConfig { optimizer: base(OptimizerName::Sgd, 0.0), ..plain.clone() },
        TrainConfig { optimizer: base(OptimizerName::AdamW, 0.9), ..plain.clone() },
        TrainConfig { budget: Some(1.4), clip_norm: Some(0.5), ..plain.clone() },
        TrainConfig { micro_batch: Some(5), label_smoothing: 0.1, ..plain.clone() },
        TrainConfig { micro_batch: Some(5), ascent_scope: AscentScope::MicroBatch, ..plain },
    ];
    for config in settings {
        let mut whole = start(&config);
        let steps = go_on(&mut whole, usize::MAX);
        let (resumed_steps, resumed) = stopped(&config, [3, 4, 2]);
        assert_eq!(resumed_steps, steps, "{config:?}");
        assert_eq!(record(&resumed), record(&whole), "{config:?}");
        assert!(weights(&resumed) == weights(&whole), "{config:?}");
    }
}

/// Runs that end where their passes are used up: with the step that uses them up, at a learning
/// rate near 0, wherever they were stopped before.
#[test]
fn a_limit_on_passes_is_kept_and_resumes_bit_for_bit() {
    let _alone = alone();
    let limit = 20.5;
    for name in ["sgd", "sam", "arsam", "aesam", "ss-sam", "ausam", "fsam"] {
        let algorithm = Algorithm::named(name).unwrap();
        let mut config = config(algorithm);
        (config.epochs, config.max_passes) = (20, Some(limit));
        let mut whole = start(&config);
        let steps = go_on(&mut whole, usize::MAX);
        let last = steps.last().unwrap();
        let passes: f64 = steps.iter().map(|step| step.passes).sum();
        assert!(passes >= limit && passes - last.passes < limit, "{name}: {passes}");
        assert_eq!(steps[0].learning_rate.to_bits(), 0.05_f64.to_bits());
        assert!(last.learning_rate < 0.002, "{name}: {}", last.learning_rate);
        assert!(steps.windows(2).all(|two| two[1].learning_rate < two[0].learning_rate));
        let done = record(&whole);
        assert_eq!((done.steps, done.passes.to_bits()), (steps.len() as u64, passes.to_bits()));
        assert_eq!(done.epochs.len(), steps.len().div_ceil(4), "the last one is measured");
        assert!(name != "sam" || done.epochs[2].second_gradient_share.to_bits() == 1_f64.to_bits());

        // The last stop is after the last step and before the measurement.
        for stops in [[3, 4, 2], [4, steps.len() - 4, 1]] {
            let (resumed_steps, resumed) = stopped(&config, stops);
            assert_eq!(resumed_steps, steps, "{name}");
            assert_eq!(record(&resumed), done, "{name}");
            assert!(weights(&resumed) == weights(&whole), "{name}: other weights");
        }
        // A run that is over stays so.
        let snapshot = whole.snapshot().unwrap();
        let (mut over, _) = start(&config).restore(snapshot.clone(), false).unwrap();
        assert!(over.is_done() && over.advance().unwrap().is_none());
        config.max_passes = Some(30.0);
        let message = start(&config).restore(snapshot, true).unwrap_err().to_string();
        assert!(
            message.ends_with("the state is that of a run whose limit was used up"),
            "{message}"
        );
    }
}

#[test]
fn a_limit_on_seconds_resumes_from_the_seconds_that_were_used() {
    let _alone = alone();
    let mut config = config(Algorithm::named("sam").unwrap());
    (config.epochs, config.max_seconds) = (100_000, Some(0.4));
    let mut training = start(&config);
    go_on(&mut training, 1);
    let used = training.seconds();
    assert!(used > 0.0);
    let (mut training, _) = start(&config).restore(training.snapshot().unwrap(), false).unwrap();
    assert_eq!(training.seconds().to_bits(), used.to_bits());
    let steps = go_on(&mut training, usize::MAX);
    assert!(training.is_done() && training.seconds() >= 0.4);
    assert!(training.record().seconds() >= 0.4 && training.record().steps < 100_000);
    assert!(steps.windows(2).all(|two| two[1].learning_rate < two[0].learning_rate));
}

#[test]
fn a_snapshot_of_another_run_is_refused_with_the_reason() {
    let _alone = alone();
    let sam = config(Algorithm::named("sam").unwrap());
    let mut training = start(&sam);
    go_on(&mut training, 5);
    let snapshot = training.snapshot().unwrap();
    let refused = |config: &TrainConfig, accept| {
        start(config).restore(snapshot.clone(), accept).unwrap_err().to_string()
    };
    let changed = TrainConfig {
        batch_size: 6,
        algorithm: Algorithm::named("arsam").unwrap(),
        clip_norm: Some(1.0),
        ..sam.clone()
    };
    let message = refused(&changed, false);
    for change in [
        "batch_size was 12 and is 6",
        "algorithm.name was \"sam\" and is \"arsam\"",
        "clip_norm was unset and is 1.0",
    ] {
        assert!(message.contains(change), "{message}");
    }
    // What is accepted must still fit.
    for (other, problem) in [
        (
            TrainConfig { algorithm: Algorithm::named("fsam").unwrap(), ..sam.clone() },
            "rule.ascend",
        ),
        (TrainConfig { batch_size: 6, ..sam.clone() }, "of step 8"),
        (
            TrainConfig {
                optimizer: OptimizerConfig {
                    name: OptimizerName::AdamW,
                    ..OptimizerConfig::default()
                },
                ..sam.clone()
            },
            "base",
        ),
        (TrainConfig { seed: 6, ..sam.clone() }, "the data"),
    ] {
        let message = refused(&other, true);
        assert!(message.contains(problem), "{problem:?} is not in {message:?}");
    }
    let mut resnet = snapshot.clone();
    let other = TrainConfig { model: "resnet20".parse().unwrap(), ..sam.clone() };
    resnet.files[0] = start(&other).snapshot().unwrap().files[0].clone();
    let message = start(&sam).restore(resnet, false).unwrap_err().to_string();
    assert!(message.starts_with("the checkpoint does not fit the run: the model "), "{message}");

    // A learning rate may change, which is reported.
    let optimizer = OptimizerConfig { learning_rate: 0.01, ..OptimizerConfig::default() };
    let (mut training, changes) =
        start(&TrainConfig { optimizer, ..sam }).restore(snapshot, true).unwrap();
    assert_eq!(changes, ["optimizer.learning_rate was 0.05 and is 0.01"]);
    assert!(go_on(&mut training, 1)[0].learning_rate < 0.01);
}

/// A run of two epochs with checkpoints of steps 2, 4 and 6, made once.
fn three_checkpoints(folder: &Path) -> Checkpoints {
    let mut training =
        start(&TrainConfig { epochs: 2, ..config(Algorithm::named("sam").unwrap()) });
    for _ in 0..3 {
        go_on(&mut training, 2);
        saved(&training, folder);
    }
    Checkpoints::new(folder)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).map(drop).unwrap();
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// What `latest` returns, and the errors that it reported on the way.
fn tried(checkpoints: &Checkpoints) -> (Option<u64>, Vec<String>) {
    let mut errors = Vec::new();
    let found = checkpoints.latest(&mut |_, error| errors.push(error.to_string())).unwrap();
    (found.map(|(found, _)| found.step), errors)
}

/// Bytes flipped, cut off and added at many places of every file, and every file removed: the error
/// names the file, and the checkpoint before is taken.
#[test]
fn damage_is_found_wherever_it_is() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = three_checkpoints(folder.path());
    assert_eq!(tried(&checkpoints), (Some(6), vec![]));
    let newest = checkpoints.list().unwrap()[0].path.clone();
    let mut damages = 0;
    for file in files(&newest) {
        let good = fs::read(&file).unwrap();
        let mut check = |bad: Option<&[u8]>, what: &str| {
            match bad {
                Some(bad) => fs::write(&file, bad).unwrap(),
                None => fs::remove_file(&file).unwrap(),
            }
            let (step, errors) = tried(&checkpoints);
            assert_eq!(step, Some(4), "{what} of {}", file.display());
            let manifest_gone = bad.is_none() && file.ends_with("manifest.toml");
            if manifest_gone {
                assert!(errors.is_empty(), "a checkpoint without a manifest was never finished");
            } else {
                assert_eq!(errors.len(), 1, "{what} of {}", file.display());
                assert!(errors[0].starts_with(&file.display().to_string()), "{errors:?}");
            }
            damages += 1;
        };
        let places = 40.min(good.len());
        for place in (0..places).map(|i| i * (good.len() - 1) / (places - 1)) {
            for bit in [0x01, 0x80] {
                let mut bad = good.clone();
                bad[place] ^= bit;
                check(Some(&bad), &format!("a bit of byte {place}"));
            }
            check(Some(&good[..place]), &format!("all from byte {place} on"));
        }
        check(Some(&[&good[..], b"\n"].concat()), "one byte more");
        check(Some(&[]), "nothing left");
        check(None, "removal");
        fs::write(&file, &good).unwrap();
        assert_eq!(tried(&checkpoints).0, Some(6), "as it was");
    }
    assert!(damages > 450, "{damages}");

    // All of them damaged: each is named, and none is taken.
    for found in checkpoints.list().unwrap() {
        fs::write(found.path.join("state.json"), "{}").unwrap();
    }
    let (step, errors) = tried(&checkpoints);
    assert_eq!((step, errors.len()), (None, 3));
}

/// Files of one checkpoint in another, each whole by itself.
#[test]
fn files_of_other_checkpoints_are_found_out() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = three_checkpoints(folder.path());
    let list = checkpoints.list().unwrap();
    for name in Snapshot::FILES {
        let good = fs::read(list[0].path.join(name)).unwrap();
        fs::copy(list[1].path.join(name), list[0].path.join(name)).unwrap();
        let (step, errors) = tried(&checkpoints);
        assert_eq!(step, Some(4), "{name}");
        assert!(errors[0].contains(name), "{errors:?}");
        fs::write(list[0].path.join(name), good).unwrap();
    }
}

#[test]
fn the_latest_and_the_best_are_kept_and_the_unfinished_are_cleared_away() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path());
    let training = start(&config(Algorithm::named("sgd").unwrap()));
    let mut snapshot = training.snapshot().unwrap();
    let steps = |checkpoints: &Checkpoints| -> Vec<u64> {
        checkpoints.list().unwrap().iter().map(|found| found.step).collect()
    };
    let measured = [
        None,
        Some((0.5, 0.1)),
        Some((0.9, 1.0)),
        None,
        Some((0.9, 0.5)),
        Some((0.9, 0.5)),
        None,
        Some((0.8, 0.2)),
        None,
    ];
    let mut kept = Vec::new();
    for (step, measured) in (1..).zip(measured) {
        snapshot.about.step = step;
        snapshot.about.validation_accuracy = measured.map(|(accuracy, _)| accuracy);
        snapshot.about.validation_loss = measured.map(|(_, loss)| loss);
        if step == 4 {
            // One that was being written when the program was killed, and something that is none.
            let unfinished = folder.path().join("epoch-0000-step-00000003-x");
            fs::create_dir(&unfinished).unwrap();
            let unfinished = folder.path().join("epoch-0009-step-00000099");
            fs::create_dir(&unfinished).unwrap();
            fs::write(unfinished.join("model.bpk"), "half").unwrap();
            assert_eq!(tried(&checkpoints), (Some(3), vec![]), "passed over in silence");
        }
        checkpoints.save(&snapshot, 2).unwrap();
        kept.push(steps(&checkpoints));
    }
    assert_eq!(
        kept,
        [
            vec![1],
            vec![2, 1],
            vec![3, 2],
            vec![4, 3],
            vec![5, 4],
            vec![6, 5],
            vec![7, 6, 5],
            vec![8, 7, 5],
            vec![9, 8, 5],
        ],
        "the last two and the best: of equal ones that of the lowest loss, then the first"
    );
    assert!(folder.path().join("epoch-0000-step-00000003-x").is_dir(), "not ours");

    // A damaged one is not removed, and not counted.
    fs::write(folder.path().join("epoch-0000-step-00000009/manifest.toml"), "").unwrap();
    for step in [10, 11, 12] {
        snapshot.about.step = step;
        checkpoints.save(&snapshot, 2).unwrap();
    }
    assert_eq!(steps(&checkpoints), [12, 11, 9, 5]);
    // In its own place it is written anew; a whole one stays as it is.
    snapshot.about.step = 9;
    let path = checkpoints.save(&snapshot, 9).unwrap();
    assert_eq!(Checkpoints::load(&path).unwrap(), snapshot);
    let time = || fs::metadata(path.join("model.bpk")).unwrap().modified().unwrap();
    let before = time();
    checkpoints.save(&snapshot, 9).unwrap();
    assert_eq!(time(), before);
}

#[test]
fn a_damaged_checkpoint_does_not_take_the_place_of_a_whole_one() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path());
    let training = start(&config(Algorithm::named("sgd").unwrap()));
    let mut snapshot = training.snapshot().unwrap();
    let mut save = |step, keep| {
        snapshot.about.step = step;
        (checkpoints.save(&snapshot, keep).unwrap(), snapshot.clone())
    };
    let (earlier, later) = (save(10, 2).0, save(20, 2).0);
    let model = later.join("model.bpk");
    let mut bytes = fs::read(&model).unwrap();
    bytes[100] ^= 1;
    fs::write(&model, bytes).unwrap();
    assert_eq!(tried(&checkpoints).0, Some(10));
    // A run that resumes from the earlier one saves, and keeps what it has saved.
    let (saved, _) = save(15, 1);
    assert_eq!((saved.is_dir(), earlier.is_dir(), later.is_dir()), (true, false, true));
    assert_eq!(tried(&checkpoints).0, Some(15));
    // Where the damaged one stands, it writes again.
    let (again, written) = save(20, 1);
    assert_eq!(Checkpoints::load(&again).unwrap(), written);
    assert_eq!(tried(&checkpoints).0, Some(20));
}

#[test]
fn a_manifest_of_another_form_or_with_other_files_is_refused() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = three_checkpoints(folder.path()).list().unwrap()[0].path.join("manifest.toml");
    let text = fs::read_to_string(path).unwrap();
    let (body, _) = text.split_once("# sha256").unwrap();
    let sealed = |body: &str| {
        use sha2::{Digest, Sha256};
        let digest = hex::encode(Sha256::digest(body));
        Manifest::from_bytes(format!("{body}# sha256 of the lines above: {digest}\n").as_bytes())
    };
    assert!(sealed(body).is_ok());
    for (from, to, expected) in [
        ("format = 2", "format = 1", "is of form 1, and this program reads form 2"),
        ("model.bpk", "../../secret", "must list model.bpk, optimizer.bpk, state.json"),
        ("step =", "steps =", "cannot be read: "),
        ("\nlength = ", "\nlength = -", "cannot be read: "),
    ] {
        let error = sealed(&body.replacen(from, to, 1)).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}

/// A copy of a run's checkpoints is as good as the run's own.
#[test]
fn checkpoints_can_be_moved() {
    let _alone = alone();
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let checkpoints = three_checkpoints(folder.path());
    copy(folder.path(), other.path());
    assert_eq!(latest(&Checkpoints::new(other.path())), latest(&checkpoints));
}
