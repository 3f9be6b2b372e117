//! Everything that decides a training run, in one value that a TOML file can hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamWConfig, ModuleOptimizer, SgdConfig};
use lowland::{Accumulate, Algorithm, RadiusConfig, SamConfig};
use serde::{Deserialize, Serialize};

use crate::checkpoint::CheckpointConfig;
use crate::data::{AugmentConfig, BatchConfig, DataName};
use crate::limit::Limit;
use crate::models::ModelName;
use crate::pose::{CropConfig, PoseConfig};
use crate::precision::Precision;
use crate::quantise::QuantiseConfig;
use crate::record::EpochRecord;
use crate::text::{FineTuning, Trained};
use crate::{Error, Result, rule};

/// Whose gradient the perturbation is taken along where several workers train together, each on its part of
/// every batch. What goes to the base optimizer is the mean over all in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Perturb {
    /// That of all workers: the run is that of one worker, whatever their number.
    #[default]
    Global,
    /// A worker's own, as in m-sharpness: the run depends on the number of workers.
    Local,
    /// That of groups of so many workers with neighbouring numbers.
    Group(NonZeroUsize),
}

impl Perturb {
    /// How many of `workers` ascend together.
    pub fn group(self, workers: usize) -> usize {
        match self {
            Self::Global => workers,
            Self::Local => 1,
            Self::Group(size) => size.get(),
        }
    }

    fn is_global(&self) -> bool {
        *self == Self::Global
    }
}

/// The most epochs that a run may have; more is a slip of the finger.
pub const MOST_EPOCHS: usize = 100_000;

/// Everything that decides a training run: the same value on the same machine gives the same
/// weights, bit for bit. Defaults are the demo's setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// The seed of initial weights, data order, augmentation, redrawn labels and the algorithm's
    /// draws. Default 0.
    pub seed: u64,
    /// How many times training goes through the data, 1 to 100,000; at most so many times, where
    /// there is a limit on passes or seconds. Default 15.
    pub epochs: usize,
    /// The gradient evaluations of a whole batch that the run may use up, above 0: it ends with the
    /// step that uses up the last of them, which may be in the middle of an epoch, and the learning
    /// rate falls over the share that is used up instead of over the steps. Default: no limit.
    pub max_passes: Option<f64>,
    /// The same in seconds of training steps, measuring left out. Such a run is not repeatable, since
    /// it depends on the clock. Not together with `max_passes`. Default: no limit.
    pub max_seconds: Option<f64>,
    /// Samples in a step, at least 1. Default 64.
    pub batch_size: usize,
    /// Threads that prepare batches ahead; any number gives the same batches. Default 0: none.
    pub workers: usize,
    /// The share of a label's weight that is spread over all classes, between 0 and 1. Default 0.
    pub label_smoothing: f64,
    /// The norm that the final gradient is scaled down to where it is longer. Default: none.
    pub clip_norm: Option<f64>,
    /// What a step may cost on average, in gradient evaluations of a whole batch, above 0: second
    /// gradients are taken as often as this allows, in place of the algorithm's own schedule.
    /// Default: as the algorithm has it.
    pub budget: Option<f64>,
    /// The same in measured time, where a step without a second gradient takes 1. Such a run is not
    /// repeatable, since it depends on the clock. Not together with `budget`. Default: none.
    pub time_budget: Option<f64>,
    /// How many samples go through the network at once, at least 1: a larger batch is taken in
    /// pieces of this size, the last one smaller. BatchNorm normalises each piece by itself.
    /// Default: all.
    pub micro_batch: Option<usize>,
    /// What the perturbation is taken along where a batch is taken in pieces. Default: the gradient of
    /// the whole batch.
    pub ascent: Ascent,
    /// Whose gradient the perturbation is taken along where several workers train together. Default: that of
    /// all.
    #[serde(skip_serializing_if = "Perturb::is_global")]
    pub perturb: Perturb,
    /// The network. Default `small-cnn`.
    pub model: ModelName,
    /// Where the weights at the start come from: the folder of a run with the same network, or a file such as
    /// its `model.bpk`. Default: they are drawn.
    pub from: Option<PathBuf>,
    /// To how many bits the network is quantised before training begins. Default: not at all.
    pub quantise: Option<QuantiseConfig>,
    /// How a pretrained transformer is fine-tuned, where there are texts to learn.
    pub text: TextConfig,
    /// How people are cut out of their images, where there are joints to find.
    pub crop: CropConfig,
    /// How they are turned and what is made of their joints.
    pub pose: PoseConfig,
    /// In which type of numbers the network computes while it learns. Default `f32`.
    #[serde(skip_serializing_if = "Precision::is_f32")]
    pub precision: Precision,
    /// The device, by the name that the command knows it by. Default `cpu`.
    pub device: String,
    /// The data.
    pub data: DataConfig,
    /// The base optimizer.
    pub optimizer: OptimizerConfig,
    /// The sharpness-aware algorithm over it. Default SAM.
    pub algorithm: Algorithm,
    /// How the algorithm's radius changes over training and from parameter to parameter. Default:
    /// it does not.
    pub radius: RadiusConfig,
    /// How training images are varied. Default: not at all.
    pub augment: AugmentConfig,
    /// Every how many steps the largest eigenvalue of the Hessian and the largest rise of the loss are
    /// measured, at least 1. Has no part in what comes out of the run. Default: never.
    pub sharpness_every: Option<u64>,
    /// How often the run is saved. Has no part in what comes out of it.
    pub checkpoints: CheckpointConfig,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            epochs: 15,
            max_passes: None,
            max_seconds: None,
            batch_size: 64,
            workers: 0,
            label_smoothing: 0.0,
            clip_norm: None,
            budget: None,
            time_budget: None,
            micro_batch: None,
            ascent: Ascent::default(),
            perturb: Perturb::default(),
            model: ModelName::default(),
            from: None,
            quantise: None,
            text: TextConfig::default(),
            crop: CropConfig::default(),
            pose: PoseConfig::default(),
            precision: Precision::default(),
            device: "cpu".to_owned(),
            data: DataConfig::default(),
            optimizer: OptimizerConfig::default(),
            algorithm: Algorithm::Sam(SamConfig::default()),
            radius: RadiusConfig::default(),
            augment: AugmentConfig::none(),
            sharpness_every: None,
            checkpoints: CheckpointConfig::default(),
        }
    }
}

/// What the perturbation is taken along where a batch is taken in pieces. What goes to the base
/// optimizer is the mean over all pieces either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ascent {
    /// The gradient of the whole batch, as if it had been taken at once.
    #[default]
    WholeBatch,
    /// Each piece's own gradient, which is m-sharpness.
    EachMicroBatch,
}

impl From<Ascent> for Accumulate {
    fn from(ascent: Ascent) -> Self {
        match ascent {
            Ascent::WholeBatch => Self::WholeBatch,
            Ascent::EachMicroBatch => Self::EachMicroBatch,
        }
    }
}

/// How a pretrained transformer is fine-tuned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextConfig {
    /// The most tokens of a text; what is longer is cut. Default 64.
    pub max_length: usize,
    /// Which weights are learned. Default: all.
    pub trained: Trained,
    /// The share of numbers that the encoder drops while it learns, from 0 to below 1; see
    /// [`FineTuning::dropout`]. Default 0.
    pub dropout: f64,
}

impl Default for TextConfig {
    fn default() -> Self {
        Self { max_length: 64, trained: Trained::default(), dropout: 0.0 }
    }
}

impl TextConfig {
    pub(crate) fn tuning(&self) -> FineTuning {
        FineTuning { trained: self.trained.clone(), dropout: self.dropout }
    }
}

/// Which data, and how much of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// The data set. Default `embedded`.
    pub name: DataName,
    /// The folder that it is read from, where it is not embedded.
    pub dir: Option<PathBuf>,
    /// The side in pixels that the images of an image folder are brought to, 1 to 4096. Default: they are left as
    /// they are, and must all have the same size.
    pub image_size: Option<usize>,
    /// The share of training labels that is redrawn, between 0 and 1. Default 0.
    pub label_noise: f64,
    /// Only this many training images, the first ones. Default: all.
    pub train_limit: Option<usize>,
    /// Only this many test images, the first ones. Default: all.
    pub test_limit: Option<usize>,
}

/// The base optimizer. Its learning rate falls along a cosine to 0, a step at a time, or over the share
/// of a limit that is used up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Which one. Default `sgd`.
    pub name: OptimizerName,
    /// The learning rate at the start, above 0 and at most 1. Default 0.05.
    pub learning_rate: f64,
    /// The momentum of SGD, without dampening, at least 0 and below 1; AdamW has none. Default 0.9.
    pub momentum: f64,
    /// The weight decay, at least 0: added to SGD's gradient, decoupled in AdamW. Default 5e-4.
    pub weight_decay: f64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self { name: OptimizerName::Sgd, learning_rate: 0.05, momentum: 0.9, weight_decay: 5e-4 }
    }
}

/// A base optimizer that can be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerName {
    /// Stochastic gradient descent with momentum.
    #[default]
    Sgd,
    /// Adam with decoupled weight decay.
    AdamW,
}

impl OptimizerName {
    /// Every optimizer, in the order in which lists show them.
    pub const ALL: [Self; 2] = [Self::Sgd, Self::AdamW];

    /// The name in commands and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sgd => "sgd",
            Self::AdamW => "adamw",
        }
    }

    /// The name in text.
    pub fn label(self) -> &'static str {
        match self {
            Self::Sgd => "SGD",
            Self::AdamW => "AdamW",
        }
    }

    /// What it is, in one line.
    pub fn description(self) -> &'static str {
        match self {
            Self::Sgd => "stochastic gradient descent with momentum",
            Self::AdamW => "Adam with decoupled weight decay",
        }
    }
}

impl OptimizerConfig {
    /// Checks the values and makes Burn's optimizer.
    ///
    /// # Errors
    /// [`Error::Setting`] where a value is out of range.
    pub fn build(&self) -> Result<ModuleOptimizer> {
        let rate = self.learning_rate;
        setting("learning_rate", rate > 0.0 && rate <= 1.0, rate, "above 0 and at most 1")?;
        let momentum = self.momentum;
        setting("momentum", (0.0..1.0).contains(&momentum), momentum, "at least 0 and below 1")?;
        let decay = self.weight_decay;
        setting("weight_decay", decay >= 0.0 && decay.is_finite(), decay, "finite and at least 0")?;
        #[expect(clippy::cast_possible_truncation, reason = "Burn keeps it in f32")]
        let penalty = decay as f32;
        Ok(match self.name {
            OptimizerName::Sgd => {
                // Burn's dampening is 0.1 unless it is set; every published recipe has 0.
                let momentum = MomentumConfig { momentum, dampening: 0.0, nesterov: false };
                SgdConfig::new()
                    .with_momentum((momentum.momentum > 0.0).then_some(momentum))
                    .with_weight_decay((penalty > 0.0).then_some(WeightDecayConfig { penalty }))
                    .init()
            }
            OptimizerName::AdamW => {
                AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(penalty).init()
            }
        })
    }
}

impl TrainConfig {
    /// Checks every value that can be checked without the data.
    ///
    /// # Errors
    /// [`Error::Setting`] or [`Error::Algorithm`] that names the value and what
    /// is allowed.
    pub fn check(&self) -> Result<()> {
        let epochs = self.epochs;
        setting("epochs", (1..=MOST_EPOCHS).contains(&epochs), epochs, "between 1 and 100000")?;
        Limit::of(self)?;
        setting("batch_size", self.batch_size > 0, self.batch_size, "at least 1")?;
        let smoothing = self.label_smoothing;
        setting("label_smoothing", (0.0..=1.0).contains(&smoothing), smoothing, "between 0 and 1")?;
        let noise = self.data.label_noise;
        setting("label_noise", (0.0..=1.0).contains(&noise), noise, "between 0 and 1")?;
        self.data.name.check_image_size(self.data.image_size)?;
        for (field, limit) in
            [("train_limit", self.data.train_limit), ("test_limit", self.data.test_limit)]
        {
            setting(field, limit != Some(0), 0, "at least 1")?;
        }
        if let Some(norm) = self.clip_norm {
            setting("clip_norm", norm > 0.0 && norm.is_finite(), norm, "finite and above 0")?;
        }
        let CheckpointConfig { every_steps, every_minutes, keep } = self.checkpoints;
        setting("every_steps", every_steps != Some(0), 0, "at least 1")?;
        if let Some(minutes) = every_minutes {
            let holds = minutes > 0.0 && minutes.is_finite();
            setting("every_minutes", holds, minutes, "finite and above 0")?;
        }
        setting("sharpness_every", self.sharpness_every != Some(0), 0, "at least 1")?;
        setting("keep", keep > 0, keep, "at least 1")?;
        if let Some(quantise) = &self.quantise {
            quantise.check()?;
        }
        self.precision.check(self.model, self.quantise.is_some())?;
        setting("micro_batch", self.micro_batch != Some(0), 0, "at least 1")?;
        rule::base(self)?;
        rule::rule(self)?;
        Ok(())
    }

    /// Whether the run ends where a limit on passes or seconds is used up.
    pub fn is_limited(&self) -> bool {
        self.max_passes.or(self.max_seconds).is_some()
    }

    /// Whether a run that measured these epochs is over: it has them all, or its limit is used up.
    pub fn is_over(&self, epochs: &[EpochRecord]) -> bool {
        let sum = |number: fn(&EpochRecord) -> f64| epochs.iter().map(number).sum();
        let limit = Limit::of(self).ok().flatten();
        let share = limit.map(|limit| limit.share(sum(|e| e.passes), sum(|e| e.seconds)));
        // The run added its steps up in another order.
        epochs.len() >= self.epochs || share.is_some_and(|share| share >= 1.0 - 1e-9)
    }

    /// The name of the algorithm in text: that of the base optimizer where it stands alone.
    pub fn algorithm_label(&self) -> &'static str {
        match self.algorithm {
            Algorithm::Base(_) => self.optimizer.name.label(),
            _ => self.algorithm.descriptor().label,
        }
    }

    /// The settings that are others in `now`, in words, such as `epochs was 3 and is 5`. Those that have no part
    /// in what comes out of a run are left out: the number of workers, the device, checkpoints.
    pub fn changes(&self, now: &Self) -> Vec<String> {
        let (then, now) = (self.values(), now.values());
        let absent = serde_json::Value::Null;
        let change = |name: &String| {
            let was = then.get(name).unwrap_or(&absent);
            let is = now.get(name).unwrap_or(&absent);
            let in_words = |value: &serde_json::Value| match value {
                serde_json::Value::Null => "unset".to_owned(),
                value => value.to_string(),
            };
            (was != is).then(|| format!("{name} was {} and is {}", in_words(was), in_words(is)))
        };
        names(&then, &now).into_iter().filter_map(change).collect()
    }

    /// The names of the settings that are others in `other`, such as `optimizer.weight_decay`; those that have no
    /// part in what comes out of a run are left out.
    pub fn settings_beside(&self, other: &Self) -> Vec<String> {
        let (mine, theirs) = (self.values(), other.values());
        let names = names(&mine, &theirs).into_iter();
        names.filter(|name| mine.get(*name) != theirs.get(*name)).cloned().collect()
    }

    /// The settings that have a part in what comes out of a run, by their paths.
    fn values(&self) -> Values {
        let mut config = serde_json::to_value(self).unwrap_or_default();
        if let Some(fields) = config.as_object_mut() {
            fields.retain(|field, _| !APART.contains(&field.as_str()));
        }
        let mut values = Values::new();
        flatten(String::new(), config, &mut values);
        values
    }

    pub(crate) fn batches(&self) -> BatchConfig {
        BatchConfig { batch_size: self.batch_size, drop_last: false, workers: self.workers }
    }
}

/// Settings that have no part in what comes out of a run.
const APART: [&str; 4] = ["workers", "device", "sharpness_every", "checkpoints"];

/// Settings by their paths.
type Values = BTreeMap<String, serde_json::Value>;

fn names<'a>(a: &'a Values, b: &'a Values) -> BTreeSet<&'a String> {
    a.keys().chain(b.keys()).collect()
}

/// The leaves of a tree of settings, by their paths.
fn flatten(path: String, value: serde_json::Value, into: &mut Values) {
    let beneath =
        |key: &dyn Display| if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
    match value {
        serde_json::Value::Object(fields) => {
            for (key, value) in fields {
                flatten(beneath(&key), value, into);
            }
        }
        serde_json::Value::Array(items) => {
            for (i, value) in items.into_iter().enumerate() {
                flatten(beneath(&i), value, into);
            }
        }
        value => {
            into.insert(path, value);
        }
    }
}

pub(crate) fn setting(
    field: &'static str,
    holds: bool,
    found: impl Display + Copy,
    allowed: &'static str,
) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::Setting { field, found: found.to_string(), allowed }) }
}
