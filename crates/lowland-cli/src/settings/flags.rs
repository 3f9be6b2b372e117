//! The flags that decide a run.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use lowland_tasks::config::ClassWeights;
use lowland_tasks::data::AugmentConfig;
use serde::Serialize;
use toml::{Table, Value};

use super::merge::{CommandLine, is_key, make_absolute, nested, parse_value};
use super::presets::TaskKind;
use crate::failure::Usage;

/// What decides a run, beside the algorithm. A flag that is given serialises to its setting.
#[derive(Debug, Default, Args, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct SettingFlags {
    /// A TOML file with settings, such as the config.toml of another run
    #[arg(long, value_name = "FILE.toml")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// The data set, as `lowland list` names it [default: embedded]
    #[arg(long, value_name = "NAME", help_heading = "Data")]
    pub data: Option<String>,
    /// The folder that the data set is read from, or the one around it that `lowland data fetch`
    /// wrote to
    #[arg(long, value_name = "DIR", help_heading = "Data", value_parser = absolute)]
    pub data_dir: Option<String>,
    /// The side in pixels that the images of an image-folder are scaled to [default: as they are]
    #[arg(long, value_name = "N", value_parser = count::<u32>, help_heading = "Data")]
    pub image_size: Option<u32>,
    /// What images are normalised with: measured (means and deviations of the training images) or
    /// imagenet [default: imagenet for its networks, else measured]
    #[arg(long, value_name = "WHAT", help_heading = "Data")]
    pub normalisation: Option<String>,
    /// Turn images as their EXIF data says [default: true]
    #[arg(long, value_name = "true|false", help_heading = "Data")]
    pub upright: Option<bool>,
    /// The most millions of pixels that an image file may have [default: 200]
    #[arg(long, value_name = "N", value_parser = count::<u32>, help_heading = "Data")]
    pub max_megapixels: Option<u32>,
    /// Leave damaged files, or lines of texts, out and count them, instead of refusing the data
    #[arg(long, help_heading = "Data")]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skip_damaged: bool,
    /// The column of the texts in a table of text, by name or number [default: text, sentence, …]
    #[arg(long, value_name = "NAME", help_heading = "Data")]
    pub text_column: Option<String>,
    /// The column of the second texts of pairs [default: sentence2, hypothesis, …, if there is one]
    #[arg(long, value_name = "NAME", help_heading = "Data")]
    pub pair_column: Option<String>,
    /// The column of the labels [default: label, class, …]
    #[arg(long, value_name = "NAME", help_heading = "Data")]
    pub label_column: Option<String>,
    /// The share of training labels drawn anew at random, 0 to 1 [default: 0]
    #[arg(long, value_name = "SHARE", help_heading = "Data")]
    pub label_noise: Option<f64>,
    /// The share of the training samples that is held out to choose the best epoch by, 0 to 1,
    /// drawn over all classes, the same for all seeds and algorithms [default: none, or the data
    /// set's own validation part]
    #[arg(long, value_name = "SHARE", help_heading = "Data")]
    pub validation: Option<f64>,
    /// Train on N samples only, drawn over all classes
    #[arg(long, value_name = "N", value_parser = count::<u32>, help_heading = "Data")]
    pub train_limit: Option<u32>,
    /// Test on N samples only, drawn over all classes
    #[arg(long, value_name = "N", value_parser = count::<u32>, help_heading = "Data")]
    pub test_limit: Option<u32>,
    /// The seed of all subsets that are drawn, the same whatever the seed of the run [default: 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..), help_heading = "Data")]
    pub subset_seed: Option<i64>,
    /// Data augmentation of the training images [default: none]
    #[arg(long, value_name = "HOW", help_heading = "Data")]
    pub augment: Option<Augmentation>,
    /// The network, as `lowland list` names it [default: small-cnn]
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    pub model: Option<String>,
    /// A preset for a kind of task; files, flags and --set override it
    #[arg(long, value_name = "TASK", help_heading = "Training")]
    #[serde(skip)]
    pub task: Option<TaskKind>,
    /// Where the weights at the start come from: the folder of a run with the same network, or a
    /// file (.bpk, .safetensors, .pth); of a transformer, the folder of a model or of a run
    #[arg(long, value_name = "PATH", help_heading = "Training", value_parser = absolute)]
    pub from: Option<String>,
    /// Reinitialise the last layer instead of loading it, for a data set with other classes
    #[arg(long, help_heading = "Training")]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub new_head: bool,
    /// Quantise the network to so many bits, 2 to 8, for weights and the inputs of its layers
    #[arg(long, value_name = "BITS", help_heading = "Training")]
    pub bits: Option<i32>,
    /// How many times training goes through the data [default: 15]
    #[arg(long, value_name = "N", value_parser = count::<u32>, help_heading = "Training")]
    pub epochs: Option<u32>,
    /// End after this many gradient passes (one pass is the gradient of one whole batch), at most
    /// --epochs; the learning rate schedule follows the share used
    #[arg(long, value_name = "PASSES", help_heading = "Training")]
    pub max_passes: Option<f64>,
    /// End after this many seconds of training steps, at most --epochs; depends on the clock, so
    /// not reproducible
    #[arg(long, value_name = "SECONDS", help_heading = "Training", conflicts_with = "max_passes")]
    pub max_seconds: Option<f64>,
    /// Samples in a step [default: 64]
    #[arg(long, value_name = "N", value_parser = count::<u32>, help_heading = "Training")]
    pub batch_size: Option<u32>,
    /// The base optimizer: sgd, adam, adamw, rmsprop, adagrad [default: sgd]
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    pub optimizer: Option<String>,
    /// The learning rate, which --schedule changes over training [default: 0.05]
    #[arg(long, value_name = "F", help_heading = "Training")]
    pub lr: Option<f64>,
    /// How the learning rate changes over training: constant, steps, cosine, linear, one-cycle;
    /// more in the table optimizer.schedule [default: cosine, to 0]
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    pub schedule: Option<String>,
    /// The share of training in which the learning rate rises to its value, 0 to 1 [default: 0]
    #[arg(long, value_name = "SHARE", help_heading = "Training")]
    pub warmup: Option<f64>,
    /// Where the schedules cosine and linear end, as a share of the learning rate [default: 0]
    #[arg(long, value_name = "SHARE", help_heading = "Training")]
    pub floor: Option<f64>,
    /// Nesterov's momentum, for SGD [default: false]
    #[arg(long, value_name = "BOOL", help_heading = "Training", num_args = 0..=1, default_missing_value = "true")]
    pub nesterov: Option<bool>,
    /// Apply weight decay to biases and normalisation parameters too [default: true]
    #[arg(long, value_name = "BOOL", help_heading = "Training")]
    pub decay_biases_and_norms: Option<bool>,
    /// Leave out the last batch of an epoch where it is not full [default: false]
    #[arg(long, value_name = "BOOL", help_heading = "Training", num_args = 0..=1, default_missing_value = "true")]
    pub drop_last: Option<bool>,
    /// How much each class counts in the loss: balanced, or a number for each class with commas
    /// between them [default: all the same]
    #[arg(long, value_name = "WEIGHTS", help_heading = "Training")]
    pub class_weights: Option<ClassWeights>,
    /// Keep an exponential moving average of the weights with this decay, such as 0.999, and
    /// evaluate it too
    #[arg(long, value_name = "DECAY", help_heading = "Training")]
    pub ema: Option<f64>,
    /// The momentum of SGD [default: 0.9]
    #[arg(long, value_name = "F", help_heading = "Training")]
    pub momentum: Option<f64>,
    /// The weight decay [default: 0.0005]
    #[arg(long, value_name = "F", help_heading = "Training")]
    pub weight_decay: Option<f64>,
    /// Label smoothing, 0 to 1 [default: 0]
    #[arg(long, value_name = "SHARE", help_heading = "Training")]
    pub label_smoothing: Option<f64>,
    /// Scale the final gradient down to this norm where it is longer
    #[arg(long, value_name = "NORM", help_heading = "Training")]
    pub clip_norm: Option<f64>,
    /// What a step may cost on average, in gradients of a whole batch: second gradients are taken
    /// as often as this allows, for any algorithm that chooses steps for them
    #[arg(long, value_name = "PASSES", help_heading = "Training")]
    pub budget: Option<f64>,
    /// Average cost of a step in measured time, relative to a step without a second gradient; not
    /// reproducible
    #[arg(long, value_name = "RATIO", help_heading = "Training", conflicts_with = "budget")]
    pub time_budget: Option<f64>,
    /// Take no second gradient before this share of training, 0 to 1, as late SAM does; for any
    /// algorithm that chooses steps for them. Use it with a learning rate that has not yet decayed
    /// to nothing, such as --schedule steps
    #[arg(long, value_name = "SHARE", help_heading = "Training")]
    pub late_start: Option<f64>,
    /// Samples that go through the network at once, where a whole batch is too large for the device
    /// [default: all]
    #[arg(long, value_name = "N", value_parser = count::<u32>, help_heading = "Training")]
    pub micro_batch: Option<u32>,
    /// Threads that prepare samples ahead; the result is the same for any number [default: 0]
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub workers: Option<u32>,
    /// The type of numbers that convolutions compute in: f32, or bf16 over weights in f32 [default:
    /// f32]
    #[arg(long, value_name = "TYPE", help_heading = "Training")]
    pub precision: Option<String>,
    /// The device, as `lowland list` names it [default: cpu]
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    pub device: Option<String>,
    /// Any setting by its path in the file, as in `optimizer.weight_decay=0.001`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    #[serde(skip)]
    pub set: Vec<String>,
}

/// Ways to vary training images.
#[derive(Debug, Clone, Copy, ValueEnum, Serialize)]
#[serde(into = "AugmentConfig")]
pub(crate) enum Augmentation {
    /// Not at all
    None,
    /// Pad by 4 and crop; mirror, and cut a hole of 16 by 16, each with probability 0.5
    CropFlipCutout,
}

impl From<Augmentation> for AugmentConfig {
    fn from(augmentation: Augmentation) -> Self {
        match augmentation {
            Augmentation::None => Self::none(),
            Augmentation::CropFlipCutout => Self::crop_flip_cutout(),
        }
    }
}

/// Flags and algorithms' settings whose name on the command line is not their path in a file.
const SHORT: [(&str, &[&str]); 29] = [
    ("bits", &["quantise.weights", "quantise.activations"]),
    ("checkpoint-minutes", &["checkpoints.every_minutes"]),
    ("checkpoint-steps", &["checkpoints.every_steps"]),
    ("data", &["data.name"]),
    ("data-dir", &["data.dir"]),
    ("decay-biases-and-norms", &["optimizer.decay_biases_and_norms"]),
    ("floor", &["optimizer.schedule.floor"]),
    ("image-size", &["data.image_size"]),
    ("keep", &["checkpoints.keep"]),
    ("label-column", &["data.label_column"]),
    ("label-noise", &["data.label_noise"]),
    ("lr", &["optimizer.learning_rate"]),
    ("max-megapixels", &["data.max_megapixels"]),
    ("momentum", &["optimizer.momentum"]),
    ("nesterov", &["optimizer.nesterov"]),
    ("normalisation", &["data.normalisation"]),
    ("optimizer", &["optimizer.name"]),
    ("pair-column", &["data.pair_column"]),
    ("rho", &["algorithm.rho"]),
    ("schedule", &["optimizer.schedule.name"]),
    ("skip-damaged", &["data.skip_damaged"]),
    ("subset-seed", &["data.subset_seed"]),
    ("test-limit", &["data.test_limit"]),
    ("text-column", &["data.text_column"]),
    ("train-limit", &["data.train_limit"]),
    ("upright", &["data.upright"]),
    ("validation", &["data.validation"]),
    ("warmup", &["optimizer.schedule.warmup"]),
    ("weight-decay", &["optimizer.weight_decay"]),
];

/// The paths in a file of the settings that a name on the command line stands for.
pub(super) fn paths(name: &str) -> Vec<String> {
    match SHORT.iter().find(|(short, _)| *short == name) {
        Some((_, paths)) => paths.iter().map(|&path| path.to_owned()).collect(),
        None => vec![name.replace('-', "_")],
    }
}

/// The first path of the settings that a flag stands for whose name is not its path in a file;
/// `None` where there is no such flag.
pub(super) fn path_of_flag(name: &str) -> Option<&'static str> {
    let flag = name.replace('_', "-");
    let (_, paths) = SHORT.iter().find(|(short, _)| *short == flag)?;
    paths.first().copied().filter(|path| path.rsplit('.').next() != Some(name))
}

impl SettingFlags {
    /// Adds the flags and `--set` to a command line.
    ///
    /// # Errors
    /// `--set` without a key or value, a setting that is given two values.
    pub(super) fn add_to(&self, line: &mut CommandLine) -> Result<()> {
        add(self, line)?;
        for setting in &self.set {
            let parts = setting.split_once('=').map(|(key, value)| (key.trim(), value));
            let Some((key, value)) = parts.filter(|(key, _)| is_key(key)) else {
                bail!(Usage(format!("--set {setting:?} must look like KEY=VALUE")));
            };
            let mut table = nested(key, parse_value(value));
            make_absolute(&mut table, Path::new(""))?;
            line.add(&format!("--set {setting}"), table)?;
        }
        Ok(())
    }
}

/// Adds the flags of a structure to a command line: each field that is given, by its name.
///
/// # Errors
/// A setting that is given two values.
pub(super) fn add(flags: &impl Serialize, line: &mut CommandLine) -> Result<()> {
    for (name, value) in Table::try_from(flags)? {
        let argument = match &value {
            Value::Table(_) => format!("--{name}"),
            Value::String(text) => format!("--{name} {text}"),
            // As it was typed: without the decimals that TOML asks for.
            Value::Float(number) => format!("--{name} {number}"),
            value => format!("--{name} {value}"),
        };
        for path in paths(&name) {
            line.add(&argument, nested(&path, value.clone()))?;
        }
    }
    Ok(())
}

/// A number of things of which there must be one. What reads settings refuses 0, and too many.
pub(crate) fn count<T: FromStr>(text: &str) -> Result<T, &'static str> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let too_large =
        || if is_number { "is too large" } else { "must be a whole number, at least 1" };
    text.parse().map_err(|_| too_large())
}

/// The absolute form of a path that is typed.
fn absolute(path: &str) -> Result<String> {
    crate::files::absolute(Path::new(path))
}
