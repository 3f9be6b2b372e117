//! Everything that decides a training run, in one value that a TOML file can hold.

mod ascent;
mod changes;
mod data;
pub(crate) mod limit;
mod optimizer;
mod schedule;
mod weights;

use std::path::PathBuf;

use lowland::{Algorithm, RadiusConfig, SamConfig};
use serde::{Deserialize, Serialize};

pub use ascent::AscentScope;
pub use data::{DataConfig, TextConfig};
pub use optimizer::{OptimizerConfig, OptimizerName};
pub use schedule::{ScheduleConfig, ScheduleName};
pub use weights::{ClassWeights, WeightRule};

use crate::Result;
use crate::checkpoint::CheckpointConfig;
use crate::data::{AugmentConfig, BatchConfig, Kind};
use crate::error::setting;
use crate::models::ModelName;
use crate::pose::{CropConfig, PoseConfig};
use crate::precision::Precision;
use crate::quantise::QuantiseConfig;
use crate::record::{EpochRecord, best_epoch};
use limit::Limit;

/// The most epochs that a run may have; more is a slip of the finger.
pub const MOST_EPOCHS: usize = 100_000;

/// Everything that decides a training run: the same value on the same machine gives the same
/// weights, bit for bit. Defaults are the demo's setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// The seed of initial weights, data order, augmentation, corrupted labels and the algorithm's
    /// draws. Default 0.
    pub seed: u64,
    /// How many times training goes through the data, 1 to 100,000; at most so many times, where
    /// there is a limit on passes or seconds. Default 15.
    pub epochs: usize,
    /// The gradient evaluations of a whole batch that the run may use up, above 0: it ends with the
    /// step that uses up the last of them, which may be in the middle of an epoch, and the learning
    /// rate falls over the share that is used up instead of over the steps. Default: no limit.
    pub max_passes: Option<f64>,
    /// The same in seconds of training steps, measuring left out. Such a run is not repeatable,
    /// since it depends on the clock. Not together with `max_passes`. Default: no limit.
    pub max_seconds: Option<f64>,
    /// How many epochs in a row may bring nothing better on validation, at least 1: the run ends
    /// after them. Needs a validation part. Default: it does not end early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// Samples in a step, at least 1. Default 64.
    pub batch_size: usize,
    /// Whether the last batch of an epoch is left out where it is not full; its samples come in
    /// another epoch, whose order is another. Default false.
    pub drop_last: bool,
    /// Threads that prepare batches ahead; any number gives the same batches. Default 0: none.
    pub workers: usize,
    /// The share of a label's weight that is spread over all classes, between 0 and 1. Default 0.
    pub label_smoothing: f64,
    /// How much the loss of a sample counts by its class, where there are classes. Default: all the
    /// same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<ClassWeights>,
    /// The decay of an exponential moving average of the weights that is measured beside them,
    /// above 0 and below 1, such as 0.999. It has no part in training. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// The norm that the final gradient is scaled down to where it is longer. Default: none.
    pub clip_norm: Option<f64>,
    /// What a step may cost on average, in gradient evaluations of a whole batch, above 0: second
    /// gradients are taken as often as this allows, in place of the algorithm's own schedule.
    /// Default: as the algorithm has it.
    pub budget: Option<f64>,
    /// The same in measured time, where a step without a second gradient takes 1. Such a run is not
    /// repeatable, since it depends on the clock. Not together with `budget`. Default: none.
    pub time_budget: Option<f64>,
    /// The share of training before which no second gradient is taken, for any algorithm that
    /// chooses steps for them. It works with a learning rate that has not yet decayed to nothing in
    /// the last part, such as one that falls in steps. Default: from the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late_start: Option<f64>,
    /// How many samples go through the network at once, at least 1: a larger batch is taken in
    /// pieces of this size, the last one smaller. BatchNorm normalises each piece by itself.
    /// Default: all.
    pub micro_batch: Option<usize>,
    /// Over which samples the gradient of the ascent is the mean, where a batch is taken in pieces
    /// or by several workers. Default `global`: the whole batch.
    pub ascent_scope: AscentScope,
    /// The program whose own task it is; see [`own`](crate::own). Default: none, the task is one of
    /// Lowland's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// The network. Default `small-cnn`.
    pub model: ModelName,
    /// Where the weights at the start come from: the folder of a run with the same network, a file
    /// such as its `model.bpk`, or a file for PyTorch (`.safetensors`, `.pth`); of a transformer,
    /// the folder of a model or a file of weights in it. Default: they are drawn.
    pub from: Option<PathBuf>,
    /// Whether the last layer is drawn anew instead of taken from there: for other classes than
    /// those that the weights were trained for. Default false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub new_head: bool,
    /// To how many bits the network is quantised before training begins. Default: not at all.
    pub quantise: Option<QuantiseConfig>,
    /// How a pretrained transformer is fine-tuned; for texts alone. Default: that of
    /// [`TextConfig`].
    pub text: Option<TextConfig>,
    /// How people are cut out of their images; for poses alone. Default: that of [`CropConfig`].
    pub crop: Option<CropConfig>,
    /// How people are turned and what is made of their joints; for poses alone. Default: that of
    /// [`PoseConfig`].
    pub pose: Option<PoseConfig>,
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
    /// Every how many steps the largest eigenvalue of the Hessian and the largest rise of the loss
    /// are measured, at least 1. Has no part in what comes out of the run. Default: never.
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
            patience: None,
            batch_size: 64,
            drop_last: false,
            workers: 0,
            label_smoothing: 0.0,
            class_weights: None,
            ema: None,
            clip_norm: None,
            budget: None,
            time_budget: None,
            late_start: None,
            micro_batch: None,
            ascent_scope: AscentScope::default(),
            program: None,
            model: ModelName::default(),
            from: None,
            new_head: false,
            quantise: None,
            text: None,
            crop: None,
            pose: None,
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

impl TrainConfig {
    /// Checks every value that can be checked without the data, but for the algorithm:
    /// [`Spec`](crate::Spec) does that by putting it together.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) that names the value and what is allowed.
    pub fn check(&self) -> Result<()> {
        let epochs = self.epochs;
        setting("epochs", (1..=MOST_EPOCHS).contains(&epochs), epochs, "between 1 and 100000")?;
        self.limit()?;
        setting("patience", self.patience != Some(0), 0, "at least 1")?;
        setting("batch_size", self.batch_size > 0, self.batch_size, "at least 1")?;
        let smoothing = self.label_smoothing;
        setting("label_smoothing", (0.0..=1.0).contains(&smoothing), smoothing, "between 0 and 1")?;
        self.data.check()?;
        self.check_program()?;
        self.check_task_tables()?;
        let has_start = self.from.is_some() || !self.new_head;
        setting("new_head", has_start, "true", "left out without weights to start from (from)")?;
        if let Some(weights) = &self.class_weights {
            weights.check()?;
        }
        if let Some(decay) = self.ema {
            setting("ema", decay > 0.0 && decay < 1.0, decay, "above 0 and below 1")?;
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
        self.optimizer.check()
    }

    /// The same configuration with the tables of its task spelled out, so that a file that is
    /// written of it holds their defaults.
    #[must_use]
    pub fn with_task_tables(mut self) -> Self {
        match self.data.name.kind() {
            Kind::Images | Kind::Own => {}
            Kind::People => {
                self.crop.get_or_insert_default();
                self.pose.get_or_insert_default();
            }
            Kind::Texts(_) => {
                self.text.get_or_insert_default();
            }
        }
        self
    }

    /// An error where a table of another task is given.
    fn check_task_tables(&self) -> Result<()> {
        let kind = self.data.name.kind();
        let texts = matches!(kind, Kind::Texts(_));
        for (field, given, applies) in [
            ("text", self.text.is_some(), texts),
            ("crop", self.crop.is_some(), kind == Kind::People),
            ("pose", self.pose.is_some(), kind == Kind::People),
        ] {
            let allowed = "left out: it does not apply to this data set";
            setting(field, applies || !given, "a table", allowed)?;
        }
        Ok(())
    }

    /// An error where a program's own task goes with data or a network of Lowland's, or its data or
    /// network with no program.
    fn check_program(&self) -> Result<()> {
        let own = (self.data.name.kind() == Kind::Own, self.model == ModelName::Own);
        let (field, found, allowed) = match (&self.program, own) {
            (None, (false, false)) | (Some(_), (true, true)) => return Ok(()),
            (None, (true, _)) => ("data", "own", "one of `lowland list data`: own is a program's"),
            (None, _) => ("model", "own", "one of `lowland list models`: own is a program's"),
            (Some(_), (false, _)) => {
                ("data", self.data.name.name(), "left out: the program has its own")
            }
            (Some(_), _) => ("model", self.model.name(), "left out: the program has its own"),
        };
        Err(crate::Error::Setting { field, found: found.to_owned(), allowed })
    }

    /// Where the run ends before its epochs do.
    ///
    /// # Errors
    /// A value out of range, or two limits.
    pub(crate) fn limit(&self) -> Result<Option<Limit>> {
        Limit::new(self.max_passes, self.max_seconds)
    }

    /// Whether the run ends where a limit on passes or seconds is used up.
    pub fn is_limited(&self) -> bool {
        self.max_passes.or(self.max_seconds).is_some()
    }

    /// Whether a run that measured these epochs is over: it has them all, or its limit is used up.
    pub fn is_over(&self, epochs: &[EpochRecord]) -> bool {
        let sum = |number: fn(&EpochRecord) -> f64| epochs.iter().map(number).sum();
        let limit = self.limit().ok().flatten();
        let share = limit.map(|limit| limit.share(sum(|e| e.passes), sum(|e| e.seconds)));
        // The run added its steps up in another order.
        let is_used_up = share.is_some_and(|share| share >= 1.0 - 1e-9);
        epochs.len() >= self.epochs || is_used_up || self.has_waited(epochs)
    }

    /// Whether as many epochs as `patience` says have brought nothing better on validation.
    pub(crate) fn has_waited(&self, epochs: &[EpochRecord]) -> bool {
        let best = best_epoch(epochs).map_or(0, |best| best.epoch);
        self.patience.is_some_and(|patience| epochs.len() >= best + patience)
    }

    /// The name of the algorithm in text: that of the base optimizer where it stands alone.
    pub fn algorithm_label(&self) -> &'static str {
        match self.algorithm {
            Algorithm::Base(_) => self.optimizer.name.label(),
            _ => self.algorithm.descriptor().label,
        }
    }

    pub(crate) fn batches(&self) -> BatchConfig {
        BatchConfig {
            batch_size: self.batch_size,
            drop_last: self.drop_last,
            workers: self.workers,
        }
    }
}
