//! Flags over file over defaults.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use lowland::{Algorithm, ComposedConfig};
use lowland_tasks::config::TrainConfig;
use lowland_tasks::data::AugmentConfig;
use toml::{Table, Value};

use crate::failure::Usage;

/// What decides a run, beside the algorithm. Flags win over the file, the file over defaults.
#[derive(Debug, Default, Args)]
pub struct SettingFlags {
    /// A TOML file with settings, such as the config.toml of another run
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,
    /// The data set: embedded, fashion-mnist, mnist, cifar10, cifar100, image-folder [default: embedded]
    #[arg(long, value_name = "NAME", help_heading = "Data")]
    pub data: Option<String>,
    /// The folder that the data set is read from, or the one around it that `lowland data fetch` wrote to
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    pub data_dir: Option<PathBuf>,
    /// The side in pixels that the images of an image-folder are brought to [default: as they are]
    #[arg(long, value_name = "N", help_heading = "Data", allow_negative_numbers = true)]
    pub image_size: Option<usize>,
    /// The share of training labels drawn anew at random, 0 to 1 [default: 0]
    #[arg(long, value_name = "SHARE", help_heading = "Data", allow_negative_numbers = true)]
    pub label_noise: Option<f64>,
    /// Train on the first N samples only
    #[arg(long, value_name = "N", help_heading = "Data", allow_negative_numbers = true)]
    pub train_limit: Option<usize>,
    /// Measure on the first N test samples only
    #[arg(long, value_name = "N", help_heading = "Data", allow_negative_numbers = true)]
    pub test_limit: Option<usize>,
    /// How training images are varied [default: none]
    #[arg(long, value_name = "HOW", help_heading = "Data")]
    pub augment: Option<Augmentation>,
    /// The network, as `lowland list` names it [default: small-cnn]
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    pub model: Option<String>,
    /// What kind of task it is, for settings that suit it where no flag or file says otherwise
    #[arg(long, value_name = "TASK", help_heading = "Training")]
    pub task: Option<TaskKind>,
    /// Where the weights at the start come from: the folder of a run with the same network, or a file
    #[arg(long, value_name = "RUN", help_heading = "Training")]
    pub from: Option<PathBuf>,
    /// Quantise the network to so many bits, 2 to 8, for weights and what comes into its layers
    #[arg(long, value_name = "BITS", help_heading = "Training", allow_negative_numbers = true)]
    pub bits: Option<i64>,
    /// How many times training goes through the data [default: 15]
    #[arg(long, value_name = "N", help_heading = "Training", allow_negative_numbers = true)]
    pub epochs: Option<usize>,
    /// End once so many gradients of a whole batch are used up, after at most --epochs; the learning
    /// rate falls over the share that is used up
    #[arg(long, value_name = "PASSES", help_heading = "Training", allow_negative_numbers = true)]
    pub max_passes: Option<f64>,
    /// The same in seconds of training steps; such a run cannot be repeated exactly
    #[arg(
        long,
        value_name = "SECONDS",
        help_heading = "Training",
        allow_negative_numbers = true,
        conflicts_with = "max_passes"
    )]
    pub max_seconds: Option<f64>,
    /// Samples in a step [default: 64]
    #[arg(long, value_name = "N", help_heading = "Training", allow_negative_numbers = true)]
    pub batch_size: Option<usize>,
    /// The base optimizer: sgd, adamw [default: sgd]
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    pub optimizer: Option<String>,
    /// The learning rate at the start; it falls along a cosine to 0 [default: 0.05]
    #[arg(long, value_name = "F", help_heading = "Training", allow_negative_numbers = true)]
    pub lr: Option<f64>,
    /// The momentum of SGD [default: 0.9]
    #[arg(long, value_name = "F", help_heading = "Training", allow_negative_numbers = true)]
    pub momentum: Option<f64>,
    /// The weight decay [default: 0.0005]
    #[arg(long, value_name = "F", help_heading = "Training", allow_negative_numbers = true)]
    pub weight_decay: Option<f64>,
    /// The share of a label's weight spread over all classes, 0 to 1 [default: 0]
    #[arg(long, value_name = "SHARE", help_heading = "Training", allow_negative_numbers = true)]
    pub label_smoothing: Option<f64>,
    /// Scale the final gradient down to this norm where it is longer
    #[arg(long, value_name = "NORM", help_heading = "Training", allow_negative_numbers = true)]
    pub clip_norm: Option<f64>,
    /// What a step may cost on average, in gradients of a whole batch: second gradients are taken as
    /// often as this allows, for any algorithm that chooses steps for them
    #[arg(long, value_name = "PASSES", help_heading = "Training", allow_negative_numbers = true)]
    pub budget: Option<f64>,
    /// The same in measured time, where a step without a second gradient takes 1; such a run cannot be
    /// repeated exactly
    #[arg(
        long,
        value_name = "RATIO",
        help_heading = "Training",
        allow_negative_numbers = true,
        conflicts_with = "budget"
    )]
    pub time_budget: Option<f64>,
    /// Samples that go through the network at once, where a whole batch is too large for the device
    /// [default: all]
    #[arg(long, value_name = "N", help_heading = "Training", allow_negative_numbers = true)]
    pub micro_batch: Option<usize>,
    /// Threads that prepare samples ahead; the result is the same for any number [default: 0]
    #[arg(long, value_name = "N", help_heading = "Training", allow_negative_numbers = true)]
    pub workers: Option<usize>,
    /// The type of numbers that convolutions compute in: f32, or bf16 over weights in f32 [default: f32]
    #[arg(long, value_name = "TYPE", help_heading = "Training")]
    pub precision: Option<String>,
    /// The device, as `lowland list` names it [default: cpu]
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    pub device: Option<String>,
    /// Any setting by its name in the file, as in `optimizer.weight_decay=0.001`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// Ways to vary training images.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Augmentation {
    /// Not at all
    None,
    /// Pad by 4 and crop, mirror, and cut a hole of 16 by 16 into every second image
    CropFlipCutout,
}

/// Tasks, each with settings that suit it.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum TaskKind {
    /// To tell images apart
    Classify,
    /// The same with weights and activations of 4 bits, from the weights of a run that is done (--from)
    Quantised,
    /// To find the joints of people: COCO keypoints (--data-dir)
    Pose,
    /// To tell texts apart: a task of GLUE (--data-dir) and a pretrained transformer (--from)
    FineTune,
}

impl TaskKind {
    /// What lies under file and flags.
    fn settings(self) -> Table {
        let text = match self {
            Self::Classify => "",
            Self::Quantised => QUANTISED,
            Self::Pose => POSE,
            Self::FineTune => FINE_TUNE,
        };
        toml::from_str(text).unwrap_or_default()
    }
}

/// A network that was trained already needs few epochs and a tenth of the learning rate.
const QUANTISED: &str = "epochs = 5\nquantise = {}\noptimizer.learning_rate = 0.005\n";

/// Adam suits heatmaps, whose gradients differ much from layer to layer.
const POSE: &str = "epochs = 12\nbatch_size = 16\nmodel = \"pose-small\"\ndata.name = \"pose\"\n\
                    optimizer = { name = \"adamw\", learning_rate = 0.003, weight_decay = 0.0001 }\n\
                    pose = { scale = 0.15, rotation = 15.0 }\n";

/// A pretrained network needs small steps.
const FINE_TUNE: &str = "epochs = 3\nbatch_size = 32\nmodel = \"transformer\"\ndata.name = \"sst2\"\n\
                         optimizer = { name = \"adamw\", learning_rate = 5e-5, weight_decay = 0.01 }\n";

impl SettingFlags {
    /// The settings in force, with the algorithm's own flags laid over them.
    ///
    /// # Errors
    /// A file that cannot be read or holds something unknown, a value out of range.
    pub fn resolve(&self, algorithm: Option<&str>, over: Table) -> Result<TrainConfig> {
        let own = algorithm.map(parse_algorithm).transpose()?.unwrap_or_default();
        let config = parse(self.merged(own, over)?)?;
        config.check()?;
        Ok(config)
    }

    /// The settings of one algorithm of several. A budget or radius that all of them are given, and this
    /// one has no place for, is left out; what stands with its name must fit.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn resolve_among(&self, algorithm: &str) -> Result<TrainConfig> {
        let own = parse_algorithm(algorithm)?;
        let mut table = self.merged(own.clone(), Table::new())?;
        loop {
            let config = parse(table.clone())?;
            match config.check() {
                Ok(()) => return Ok(config),
                Err(lowland_tasks::Error::Algorithm(lowland::Error::Unsupported {
                    setting,
                    ..
                })) if !own.contains_key(setting) && table.remove(setting).is_some() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The file, the flags, what goes with the algorithm's name, `--set`, and what lies over all.
    fn merged(&self, own: Table, over: Table) -> Result<Table> {
        let mut table = self.task.map(TaskKind::settings).unwrap_or_default();
        if let Some(path) = &self.config {
            lay_budget_over(&mut table, read(path)?);
        }
        lay_budget_over(&mut table, self.table()?);
        lay_budget_over(&mut table, own);
        for setting in &self.set {
            let parts = setting.split_once('=').map(|(key, value)| (key.trim(), value));
            let named = parts.filter(|(key, _)| !key.split('.').any(str::is_empty));
            let Some((key, value)) = named else {
                bail!(Usage(format!("--set {setting:?} must look like KEY=VALUE")));
            };
            lay_over(&mut table, nested(key, parse_value(value)));
        }
        lay_over(&mut table, over);
        Ok(table)
    }

    fn table(&self) -> Result<Table> {
        let mut table = Table::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                lay_over(&mut table, nested(key, value));
            }
        };
        let count = |field: &str, count: Option<usize>| -> Result<Option<Value>> {
            let convert = |count| match i64::try_from(count) {
                Ok(count) => Ok(Value::Integer(count)),
                Err(_) => Err(Usage(format!("{field} is too large: {count}"))),
            };
            Ok(count.map(convert).transpose()?)
        };
        let text = |text: &Option<String>| text.clone().map(Value::String);
        put("data.name", text(&self.data));
        if let Some(folder) = &self.data_dir {
            put("data.dir", Some(Value::String(absolute(folder)?)));
        }
        put("data.image_size", count("image_size", self.image_size)?);
        put("data.label_noise", self.label_noise.map(Value::Float));
        put("data.train_limit", count("train_limit", self.train_limit)?);
        put("data.test_limit", count("test_limit", self.test_limit)?);
        let augment = self.augment.map(|augmentation| match augmentation {
            Augmentation::None => AugmentConfig::none(),
            Augmentation::CropFlipCutout => AugmentConfig::crop_flip_cutout(),
        });
        put("augment", augment.map(Value::try_from).transpose()?);
        put("model", text(&self.model));
        if let Some(path) = &self.from {
            put("from", Some(Value::String(absolute(path)?)));
        }
        put("quantise.weights", self.bits.map(Value::Integer));
        put("quantise.activations", self.bits.map(Value::Integer));
        put("epochs", count("epochs", self.epochs)?);
        put("batch_size", count("batch_size", self.batch_size)?);
        put("max_passes", self.max_passes.map(Value::Float));
        put("max_seconds", self.max_seconds.map(Value::Float));
        put("optimizer.name", text(&self.optimizer));
        put("optimizer.learning_rate", self.lr.map(Value::Float));
        put("optimizer.momentum", self.momentum.map(Value::Float));
        put("optimizer.weight_decay", self.weight_decay.map(Value::Float));
        put("label_smoothing", self.label_smoothing.map(Value::Float));
        put("clip_norm", self.clip_norm.map(Value::Float));
        put("budget", self.budget.map(Value::Float));
        put("time_budget", self.time_budget.map(Value::Float));
        put("micro_batch", count("micro_batch", self.micro_batch)?);
        put("workers", count("workers", self.workers)?);
        put("precision", text(&self.precision));
        put("device", text(&self.device));
        Ok(table)
    }
}

/// An algorithm as flags name it: `sam`, or with settings, `arsam:rho=0.1:controller.window=20`. Gives
/// what a file would hold: the table `algorithm`, and beside it the settings of the run that may go
/// with the name.
///
/// # Errors
/// A name that is not known, or a setting without value.
pub fn parse_algorithm(text: &str) -> Result<Table> {
    let mut parts = text.split(':');
    let name = parts.next().unwrap_or_default();
    if Algorithm::named(name).is_none() {
        let known: Vec<&str> = Algorithm::ALL.iter().map(|descriptor| descriptor.name).collect();
        bail!(Usage(format!(
            "unknown algorithm {name:?}, expected one of: sgd (the base optimizer alone), {}",
            known.join(", ")
        )));
    }
    let mut table = nested("algorithm.name", Value::String(name.to_owned()));
    for part in parts {
        let named = part.split_once('=').filter(|(key, _)| !key.split('.').any(str::is_empty));
        let Some((key, value)) = named else {
            bail!(Usage(format!("algorithm setting {part:?} must look like KEY=VALUE")));
        };
        lay_over(&mut table, nested(&place(key), parse_value(value)));
    }
    Ok(table)
}

/// Where a setting that goes with an algorithm's name stands in a file: some are the run's.
fn place(key: &str) -> String {
    match key {
        "lr" => "optimizer.learning_rate".to_owned(),
        "budget" | "time_budget" => key.to_owned(),
        key if key.starts_with("radius.") => key.to_owned(),
        key => format!("algorithm.{key}"),
    }
}

/// `a.b` and a value as the table that a file with `a.b = value` gives.
pub fn nested(key: &str, value: Value) -> Table {
    let mut parts = key.rsplit('.');
    let last = parts.next().unwrap_or_default().to_owned();
    let innermost = Table::from_iter([(last, value)]);
    parts.fold(innermost, |inner, part| Table::from_iter([(part.to_owned(), Value::Table(inner))]))
}

/// A value as it would stand in a file; a bare word is a string.
fn parse_value(text: &str) -> Value {
    let document = toml::from_str::<Table>(&format!("value = {text}"));
    let one = document.ok().filter(|table| table.len() == 1);
    let parsed = one.and_then(|mut table| table.remove("value"));
    parsed.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// As [`lay_over`], where a budget or a limit of either kind takes the place of the other below it.
fn lay_budget_over(lower: &mut Table, upper: Table) {
    const KINDS: [[&str; 2]; 2] = [["budget", "time_budget"], ["max_passes", "max_seconds"]];
    for kinds in KINDS {
        if kinds.iter().any(|kind| upper.contains_key(*kind)) {
            for kind in kinds {
                lower.remove(kind);
            }
        }
    }
    lay_over(lower, upper);
}

/// Lays one table over another, deep. Two tables that say in a word which of several things they
/// are, an algorithm by its name, a part of one by its only key and a warm-up by its unit, do not mix:
/// the upper one stays.
pub fn lay_over(lower: &mut Table, upper: Table) {
    for (key, value) in upper {
        match (lower.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) if !replaces(&key, below, &above) => {
                lay_over(below, above);
            }
            (_, value) => {
                lower.insert(key, value);
            }
        }
    }
}

/// The parts of a composed algorithm.
const PARTS: [&str; 4] = ["select", "schedule", "ascend", "descend"];

fn replaces(key: &str, below: &Table, above: &Table) -> bool {
    let another_name = above.get("name").is_some_and(|name| below.get("name") != Some(name));
    let another_part = || above.keys().all(|part| !below.contains_key(part));
    match key {
        "warmup" => true,
        "algorithm" => another_name,
        _ if PARTS.contains(&key) => another_part(),
        _ => false,
    }
}

/// The settings of a run, as its folder has them.
///
/// # Errors
/// A file that cannot be read or holds something unknown, a value out of range.
pub fn read_run(path: &Path) -> Result<TrainConfig> {
    let config = parse(read(path)?)?;
    config.check()?;
    Ok(config)
}

fn read(path: &Path) -> Result<Table> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Usage(format!("cannot read {}: {error}", path.display())))?;
    let mut table: Table = toml::from_str(&text).map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        Usage(format!("{} line {line}: {}", path.display(), error.message()))
    })?;
    // Alone, before flags are laid over it, so that a mistake is told with the file's name.
    parse(table.clone()).map_err(|error| Usage(format!("{}: {error}", path.display())))?;
    name_algorithm(&mut table);
    // As the file means them, wherever the command is typed.
    let base = path.parent().unwrap_or(Path::new(""));
    if let Some(Value::Table(data)) = table.get_mut("data")
        && let Some(Value::String(folder)) = data.get_mut("dir")
    {
        *folder = absolute(&base.join(&*folder))?;
    }
    if let Some(Value::String(from)) = table.get_mut("from") {
        *from = absolute(&base.join(&*from))?;
    }
    Ok(table)
}

fn absolute(folder: &Path) -> Result<String> {
    let path = std::path::absolute(folder).map_err(|error| {
        Usage(format!("{:?} is no folder: {error}", folder.display().to_string()))
    })?;
    match path.into_os_string().into_string() {
        Ok(path) => Ok(path),
        Err(path) => bail!(Usage(format!("{} is not Unicode", path.display()))),
    }
}

/// An algorithm that is given without a name is composed where it names parts, and else the default.
fn name_algorithm(table: &mut Table) {
    if let Some(Value::Table(algorithm)) = table.get_mut("algorithm")
        && !algorithm.contains_key("name")
    {
        let composed = PARTS.iter().any(|part| algorithm.contains_key(*part));
        let config = if composed {
            Algorithm::Composed(ComposedConfig::default())
        } else {
            TrainConfig::default().algorithm
        };
        let name = config.descriptor().name.to_owned();
        algorithm.insert("name".to_owned(), Value::String(name));
    }
}

fn parse(mut table: Table) -> Result<TrainConfig> {
    name_algorithm(&mut table);
    serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
        let path = error.path().to_string();
        let message = error.inner().message();
        // An unknown field is its own path.
        let path =
            if message.starts_with("unknown field") && !path.contains('.') && path != "algorithm" {
                String::new()
            } else {
                format!("{path}: ")
            };
        Usage(format!("{path}{message}")).into()
    })
}

#[cfg(test)]
mod tests {
    use lowland::{ArsamConfig, SamConfig, Warmup};
    use lowland_tasks::data::DataName;

    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn flags(path: &Path) -> SettingFlags {
        SettingFlags { config: Some(path.to_owned()), ..SettingFlags::default() }
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let file = file("epochs = 3\nbatch_size = 16\n[algorithm]\nname = \"sam\"\nrho = 0.2\n");
        let flags = SettingFlags { epochs: Some(5), ..flags(file.path()) };
        let config = flags.resolve(None, Table::new()).unwrap();
        assert_eq!((config.epochs, config.batch_size), (5, 16));
        assert_eq!(config.algorithm, Algorithm::Sam(SamConfig { rho: 0.2 }));
        assert_eq!(config.data.name, DataName::FashionMnistSmall);

        let other = flags.resolve(Some("asam"), Table::new()).unwrap().algorithm;
        assert_eq!(other, Algorithm::named("asam").unwrap(), "another algorithm starts anew");
        let same = flags.resolve(Some("sam"), Table::new()).unwrap().algorithm;
        assert_eq!(same, Algorithm::Sam(SamConfig { rho: 0.2 }), "the same one keeps its settings");
    }

    #[test]
    fn algorithms_take_settings_with_their_name() {
        let flags = SettingFlags::default();
        let spec = "arsam:rho=0.1:controller.window=20:controller.warmup.steps=7";
        let Algorithm::Arsam(config) = flags.resolve(Some(spec), Table::new()).unwrap().algorithm
        else {
            panic!("ARSAM was asked for")
        };
        assert!((config.rho - 0.1).abs() < 1e-12);
        assert_eq!((config.controller.window, config.controller.warmup), (20, Warmup::Steps(7)));
        assert_eq!(config.max_reuse, ArsamConfig::default().max_reuse);
    }

    #[test]
    fn mistakes_are_told_with_file_line_and_name() {
        let bad = |text: &str| {
            let file = file(text);
            let error = flags(file.path()).resolve(None, Table::new()).unwrap_err();
            format!("{error:#}").replace(&file.path().display().to_string(), "FILE")
        };
        let error = bad("seed = 1\nepoch = 3\n");
        assert!(error.starts_with("FILE: unknown field `epoch`, expected one of"), "{error}");
        assert!(bad("seed = 1\nepochs 3\n").starts_with("FILE line 2: "));
        assert!(
            bad("[algorithm]\nrhoo = 1.0\n").starts_with("FILE: algorithm: unknown field `rhoo`")
        );
        assert!(bad("epochs = \"many\"\n").starts_with("FILE: epochs: invalid type: string"));
        assert_eq!(bad("epochs = 0\n"), "epochs must be between 1 and 100000, found 0");
        let flags = SettingFlags { model: Some("vgg".to_owned()), ..SettingFlags::default() };
        let error = flags.resolve(None, Table::new()).unwrap_err().to_string();
        let expected = "model: unknown variant `vgg`, expected one of `small-cnn`, `resnet20`, ";
        assert!(error.starts_with(expected), "{error}");
        assert_eq!(
            bad("[algorithm]\nname = \"sam\"\nrho = -1.0\n"),
            "rho must be finite and at least 0, found -1"
        );
        let error = parse_algorithm("nosam").unwrap_err().to_string();
        assert!(error.starts_with("unknown algorithm \"nosam\", expected one of: sgd "), "{error}");
    }
}
