use std::path::Path;

use clap::{Args, FromArgMatches};
use lowland::{Algorithm, ArsamConfig, SamConfig, Warmup};
use lowland_tasks::config::{
    ClassWeights, DataConfig, OptimizerConfig, OptimizerName, ScheduleConfig, ScheduleName,
    WeightRule,
};
use lowland_tasks::data::{AugmentConfig, DataName, NormalisedBy};
use lowland_tasks::models::ModelName;
use lowland_tasks::precision::Precision;
use lowland_tasks::quantise::QuantiseConfig;

use super::*;

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn flags(path: &Path) -> SettingFlags {
    SettingFlags { config: Some(path.to_owned()), ..SettingFlags::default() }
}

/// The settings of one run without further flags.
fn resolve(flags: &SettingFlags, algorithm: Option<&str>) -> Result<TrainConfig> {
    Ok(flags.resolve(algorithm, &Table::new())?.config().clone())
}

/// The flags of a command line.
fn typed(arguments: &[&str]) -> SettingFlags {
    let command = SettingFlags::augment_args(clap::Command::new("test"));
    let arguments = std::iter::once("test").chain(arguments.iter().copied());
    SettingFlags::from_arg_matches(&command.get_matches_from(arguments)).unwrap()
}

#[test]
fn flags_win_over_the_file_and_the_file_over_defaults() {
    let file = file("epochs = 3\nbatch_size = 16\n[algorithm]\nname = \"sam\"\nrho = 0.2\n");
    let flags = SettingFlags { epochs: Some(5), ..flags(file.path()) };
    let config = resolve(&flags, None).unwrap();
    assert_eq!((config.epochs, config.batch_size), (5, 16));
    assert_eq!(config.algorithm, Algorithm::Sam(SamConfig { rho: 0.2 }));
    assert_eq!(config.data.name, DataName::FashionMnistSmall);

    let other = resolve(&flags, Some("asam")).unwrap().algorithm;
    assert_eq!(other, Algorithm::named("asam").unwrap(), "another algorithm starts anew");
    let same = resolve(&flags, Some("sam")).unwrap().algorithm;
    assert_eq!(same, Algorithm::Sam(SamConfig { rho: 0.2 }), "the same one keeps its settings");
}

#[test]
fn the_learning_rate_of_fine_tuning_follows_what_is_trained() {
    let rate = |more: &[&str]| {
        let flags = typed(&[&["--task=fine-tune", "--from=/model"], more].concat());
        resolve(&flags, None).unwrap().optimizer.learning_rate.to_string()
    };
    assert_eq!(rate(&[]), "0.00005");
    assert_eq!(rate(&["--set=text.trained=all"]), "0.00005");
    assert_eq!(rate(&["--set=text.trained=head"]), "0.01");
    assert_eq!(rate(&["--set=text.trained={all={}}"]), "0.00005");
    assert_eq!(rate(&["--set=text.trained.lora.rank=4"]), "0.001");
    assert_eq!(rate(&["--set=text.trained=head", "--lr=0.02"]), "0.02");
    let file = file("text.trained = 'head'\n");
    let config = format!("--config={}", file.path().display());
    assert_eq!(rate(&[&config]), "0.01");
    assert_eq!(rate(&[&config, "--set=text.trained=all"]), "0.00005");
}

#[test]
#[allow(clippy::too_many_lines, reason = "a line a flag")]
fn every_flag_sets_the_setting_of_its_name() {
    let arguments = [
        "--data=cifar10",
        "--data-dir=/d",
        "--image-size=9",
        "--validation=0.5",
        "--label-noise=0.25",
        "--train-limit=7",
        "--test-limit=8",
        "--subset-seed=9",
        "--upright=false",
        "--max-megapixels=10",
        "--skip-damaged",
        "--text-column=t",
        "--pair-column=p",
        "--label-column=l",
        "--augment=crop-flip-cutout",
        "--model=resnet20",
        "--from=/f",
        "--new-head",
        "--normalisation=imagenet",
        "--bits=3",
        "--epochs=4",
        "--max-passes=5.5",
        "--batch-size=6",
        "--optimizer=adamw",
        "--lr=0.125",
        "--schedule=linear",
        "--warmup=0.25",
        "--floor=0.5",
        "--nesterov",
        "--decay-biases-and-norms=false",
        "--drop-last",
        "--class-weights=balanced",
        "--ema=0.75",
        "--momentum=0.5",
        "--weight-decay=0.75",
        "--label-smoothing=0.375",
        "--clip-norm=2",
        "--budget=1.5",
        "--late-start=0.375",
        "--micro-batch=3",
        "--workers=2",
        "--precision=bf16",
        "--device=tch",
    ];
    let mut line = CommandLine::default();
    typed(&arguments).add_to(&mut line).unwrap();
    let config: TrainConfig = line.into_table().try_into().unwrap();
    let quantise = QuantiseConfig { weights: 3, activations: 3 };
    let expected = TrainConfig {
        epochs: 4,
        max_passes: Some(5.5),
        batch_size: 6,
        drop_last: true,
        class_weights: Some(ClassWeights::Named(WeightRule::Balanced)),
        ema: Some(0.75),
        workers: 2,
        label_smoothing: 0.375,
        clip_norm: Some(2.0),
        budget: Some(1.5),
        late_start: Some(0.375),
        micro_batch: Some(3),
        model: ModelName::ResNet20,
        from: Some("/f".into()),
        new_head: true,
        quantise: Some(quantise),
        precision: Precision::Bf16,
        device: "tch".to_owned(),
        data: DataConfig {
            name: DataName::Cifar10,
            dir: Some("/d".into()),
            image_size: Some(9),
            normalisation: Some(NormalisedBy::ImageNet),
            pixel_statistics: None,
            validation: Some(0.5),
            split_seed: 0,
            label_noise: 0.25,
            train_limit: Some(7),
            test_limit: Some(8),
            subset_seed: 9,
            upright: false,
            max_megapixels: 10,
            skip_damaged: true,
            text_column: Some("t".to_owned()),
            pair_column: Some("p".to_owned()),
            label_column: Some("l".to_owned()),
        },
        optimizer: OptimizerConfig {
            name: OptimizerName::AdamW,
            learning_rate: 0.125,
            momentum: 0.5,
            nesterov: true,
            weight_decay: 0.75,
            decay_biases_and_norms: false,
            schedule: ScheduleConfig {
                name: ScheduleName::Linear,
                warmup: 0.25,
                floor: 0.5,
                ..ScheduleConfig::default()
            },
            ..OptimizerConfig::default()
        },
        augment: AugmentConfig::crop_flip_cutout(),
        ..TrainConfig::default()
    };
    assert_eq!(config, expected);
    // All of them, but for the other kinds of limits and what is no setting.
    let flags = SettingFlags::augment_args(clap::Command::new("test"));
    let others = ["config", "task", "set", "max_seconds", "time_budget"];
    assert_eq!(flags.get_arguments().count(), arguments.len() + others.len());
    let config = resolve(&typed(&["--max-seconds=3", "--time-budget=1.25"]), None).unwrap();
    assert_eq!((config.max_seconds, config.time_budget), (Some(3.0), Some(1.25)));
}

#[test]
fn two_values_for_one_setting_are_an_error() {
    for (algorithm, arguments, names) in [
        (None, &["--set", "epochs=2", "--epochs", "3"][..], ["--epochs 3", "--set epochs=2"]),
        (None, &["--set", "epochs=2", "--set", "epochs=3"], ["--set epochs=2", "--set epochs=3"]),
        (Some("arsam:budget=1.2"), &["--budget", "1.5"], ["arsam:budget=1.2", "--budget 1.5"]),
        (Some("sam:lr=0.1"), &["--lr", "0.2"], ["sam:lr=0.1", "--lr 0.2"]),
        (
            Some("sam"),
            &["--set", "algorithm.name=asam"],
            ["--algorithm sam", "--set algorithm.name=asam"],
        ),
    ] {
        let error = resolve(&typed(arguments), algorithm).unwrap_err().to_string();
        assert!(names.iter().all(|name| error.contains(name)), "{error}");
        assert!(error.ends_with(" different values: leave one of them out"), "{error}");
    }
    let more = Table::from_iter([("rho".to_owned(), Value::Float(0.3))]);
    let error = typed(&[]).resolve(Some("sam:rho=0.1"), &more).unwrap_err().to_string();
    assert!(error.contains("--algorithm sam:rho=0.1 and --rho 0.3 give algorithm.rho"), "{error}");
    let same = typed(&["--set", "optimizer.learning_rate=1", "--lr", "1"]);
    let rate = resolve(&same, Some("sam:lr=1.0")).unwrap().optimizer.learning_rate;
    assert!((rate - 1.0).abs() < 1e-12);
}

#[test]
fn the_command_line_is_over_the_file_the_file_over_the_preset() {
    let file = file("epochs = 7\ntime_budget = 1.5\n[algorithm]\nname = \"arsam\"\nrho = 0.2\n");
    let path = file.path().display().to_string();
    let arguments = ["--task", "pose", "--config", &path, "--budget", "1.2", "--set", "seed=5"];
    let mut line = CommandLine::default();
    let flags = typed(&arguments);
    flags.add_to(&mut line).unwrap();
    let over = line.into_table();
    let mut table = flags.lower(&over).unwrap();
    lay_over(&mut table, over);
    let config = parse(table).unwrap();
    assert_eq!((config.epochs, config.batch_size, config.seed), (7, 16, 5));
    assert_eq!((config.budget, config.time_budget), (Some(1.2), None));
    assert_eq!(config.algorithm.descriptor().name, "arsam");
}

#[test]
fn among_several_an_algorithms_own_settings_override_those_for_all() {
    let flags = typed(&["--budget", "1.5", "--lr", "0.2", "--set", "algorithm.rho=0.3"]);
    let rho = |config: &TrainConfig| match &config.algorithm {
        Algorithm::Sam(config) => config.rho,
        other => panic!("SAM was asked for, found {other:?}"),
    };
    let all = flags.resolve_among("sam").unwrap();
    assert_eq!((all.budget, all.optimizer.learning_rate, rho(&all)), (Some(1.5), 0.2, 0.3));
    let own = flags.resolve_among("sam:time_budget=1.2:lr=0.1:rho=0.4").unwrap();
    assert_eq!((own.budget, own.time_budget), (None, Some(1.2)));
    assert_eq!((own.optimizer.learning_rate, rho(&own)), (0.1, 0.4));
    let error = typed(&["--budget", "1.5"]).resolve_among("sgd:budget=1.2").unwrap_err();
    assert!(error.to_string().contains("`budget` does not apply to"), "{error}");
    assert_eq!(typed(&["--budget", "1.5"]).resolve_among("sgd").unwrap().budget, None);
}

#[test]
fn algorithms_take_settings_with_their_name() {
    let flags = SettingFlags::default();
    let spec = "arsam:rho=0.1:controller.window=20:controller.warmup.steps=7";
    let Algorithm::Arsam(config) = resolve(&flags, Some(spec)).unwrap().algorithm else {
        panic!("ARSAM was asked for")
    };
    assert!((config.rho - 0.1).abs() < 1e-12);
    assert_eq!((config.controller.window, config.controller.warmup), (20, Warmup::Steps(7)));
    assert_eq!(config.descend.max_reuse, ArsamConfig::default().descend.max_reuse);
}

#[test]
fn unknown_names_and_what_cannot_work_are_answered_with_what_to_do() {
    let model = SettingFlags { model: Some("ResNet-20".to_owned()), ..SettingFlags::default() };
    let error = resolve(&model, None).unwrap_err().to_string();
    assert!(error.ends_with("; did you mean \"resnet20\"?"), "{error}");
    let error = parse_algorithm("LookSam2").unwrap_err().to_string();
    assert!(error.ends_with("; did you mean \"looksam\"?"), "{error}");
    let quantised = typed(&["--task", "quantised"]);
    let error = resolve(&quantised, None).unwrap_err().to_string();
    assert!(error.contains("add --from RUN"), "{error}");
    assert!(resolve(&typed(&["--task", "quantised", "--from", "/r"]), None).is_ok());
    for (arguments, algorithm) in [
        (["--budget", "0.5"], "sam"),
        (["--budget", "0.99"], "arsam"),
        (["--time-budget", "0.5"], "ksam"),
    ] {
        let error = resolve(&typed(&arguments), Some(algorithm)).unwrap_err().to_string();
        assert!(error.contains("budget must be at least 1"), "{error}");
    }
}

#[test]
fn settings_of_a_part_may_leave_its_name_out() {
    let flags = SettingFlags::default();
    let named = |spec| resolve(&flags, Some(spec)).unwrap();
    let config = named("arsam:beta=0.9:window=20:late_start=0.25");
    assert_eq!(config.late_start, Some(0.25));
    let Algorithm::Arsam(arsam) = config.algorithm else { panic!("ARSAM was asked for") };
    assert!((arsam.descend.beta - 0.9).abs() < 1e-12);
    assert_eq!(arsam.controller.window, 20);
    // Several of one part, and one over a file that gives another.
    let Algorithm::Arsam(arsam) = named("arsam:beta=0.85:max_reuse=12").algorithm else {
        panic!("ARSAM was asked for")
    };
    assert!((arsam.descend.beta - 0.85).abs() < 1e-12);
    assert_eq!(arsam.descend.max_reuse, 12);
    let file = file("[algorithm]\nname = \"arsam\"\ndescend.max_reuse = 9\n");
    let config = resolve(&self::flags(file.path()), Some("arsam:beta=0.85")).unwrap();
    let Algorithm::Arsam(arsam) = config.algorithm else { panic!("ARSAM was asked for") };
    assert!((arsam.descend.beta - 0.85).abs() < 1e-12);
    assert_eq!(arsam.descend.max_reuse, 9);
    let error = resolve(&flags, Some("sam:rho=0.1:rho=0.2")).unwrap_err().to_string();
    assert!(error.starts_with("rho=0.1 and rho=0.2 give algorithm.rho different"), "{error}");
    // One that is absent unless it is given.
    let config = named("ss-sam:last_probability=0.1").algorithm;
    let Algorithm::StochasticSam(ss_sam) = config else { panic!("SS-SAM was asked for") };
    assert_eq!(ss_sam.schedule.last_probability, Some(0.1));
    let unknown = resolve(&flags, Some("arsam:betta=0.9")).unwrap_err();
    assert!(unknown.to_string().contains("unknown setting `betta`"), "{unknown}");
}

#[test]
fn mistakes_are_reported_with_file_line_and_name() {
    let bad = |text: &str| {
        let file = file(text);
        let error = resolve(&flags(file.path()), None).unwrap_err();
        format!("{error:#}").replace(&file.path().display().to_string(), "FILE")
    };
    let error = bad("seed = 1\nepoch = 3\n");
    assert!(error.starts_with("FILE: unknown setting `epoch`, expected one of"), "{error}");
    assert!(bad("seed = 1\nepochs 3\n").starts_with("FILE line 2: "));
    assert!(
        bad("[algorithm]\nrhoo = 1.0\n").starts_with("FILE: algorithm: unknown setting `rhoo`")
    );
    let whole = "expected a whole number, at least 0, found";
    assert_eq!(bad("epochs = \"many\"\n"), format!("FILE: epochs: {whole} \"many\""));
    assert_eq!(bad("epochs = -1\n"), format!("FILE: epochs: {whole} -1"));
    assert_eq!(bad("[epochs]\n"), format!("FILE: epochs: {whole} a table"));
    let word = "optimizer.momentum: expected a number, found \"much\"";
    assert_eq!(bad("optimizer.momentum = \"much\"\n"), format!("FILE: {word}"));
    assert_eq!(bad("new_head = 1\n"), "FILE: new_head: expected true or false, found 1");
    for (text, expected) in [
        ("optimizer = 5", "optimizer: expected a table, found 5"),
        ("algorithm = 'sam'", "algorithm: expected a table, found \"sam\""),
        ("algorithm.name = 7", "algorithm.name: expected a name, found 7"),
        (
            "algorithm = { name = 'sam', rho = 'x' }",
            "algorithm.rho: expected a number, found \"x\"",
        ),
        (
            "[algorithm]\nname = 'arsam'\ncontroller.window = 'x'",
            "algorithm.controller.window: expected a whole number, at least 0, found \"x\"",
        ),
        ("model = 5", "model: expected text, found 5"),
        (
            "class_weights = 'foo'",
            "class_weights: expected \"balanced\" or a list of one number for each class",
        ),
        ("optimizer = []", "optimizer: expected a table, found a list"),
        ("optimizer = ['sgd', 'x']", "optimizer: expected a table, found a list"),
        ("[[data]]\nname = 'cifar10'", "data: expected a table, found a list"),
        ("algorithm = []", "algorithm: expected a table, found a list"),
        ("radius.groups = [['fc', 0.5]]", "radius.groups[0]: expected a table, found a list"),
        ("text.trained = 'lora'", "text.trained.lora: expected a table"),
        ("text.trained = {}", "text.trained: expected a table of exactly one name"),
        ("text.trained.lora = []", "text.trained.lora: expected a table, found a list"),
        (
            "epochs = '99999999999999999999'",
            "epochs: the number is too large: at most 9223372036854775807",
        ),
        ("data.dir = 5", "data.dir: expected a path, found 5"),
    ] {
        assert_eq!(bad(text), format!("FILE: {expected}"));
    }
    for (name, path) in [
        ("lr", "optimizer.learning_rate"),
        ("bits", "quantise.weights"),
        ("max_length", "text.max_length"),
        ("warmup", "optimizer.schedule.warmup"),
        ("label_column", "data.label_column"),
        ("every_steps", "checkpoints.every_steps"),
    ] {
        let error = bad(&format!("{name} = 1\n"));
        assert!(error.ends_with(&format!("; did you mean {path:?}?")), "{error}");
    }
    assert_eq!(bad("epochs = 0\n"), "epochs must be between 1 and 100000, found 0");
    let flags = SettingFlags { model: Some("vgg".to_owned()), ..SettingFlags::default() };
    let error = resolve(&flags, None).unwrap_err().to_string();
    let expected = "model: unknown model \"vgg\", expected one of: small-cnn, small-cnn-wide, ";
    assert!(error.starts_with(expected), "{error}");
    assert_eq!(
        bad("[algorithm]\nname = \"sam\"\nrho = -1.0\n"),
        "rho must be finite and at least 0, found -1"
    );
    let error = parse_algorithm("nosam").unwrap_err().to_string();
    assert!(error.starts_with("unknown algorithm \"nosam\", expected one of: sgd "), "{error}");
}
