//! The seam between the training loop and what is learned: a task has samples, a network for them,
//! a loss and a measure of success. One kind of task, one file beneath this one, and a line
//! in `load`.

mod images;
pub(crate) mod numeric;
mod outcome;
mod people;
pub(crate) mod split;
pub(crate) mod start;
mod texts;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use burn::module::Module;
use burn::store::{ModuleRecord, RecordError};
use burn::tensor::{Bytes, Device, Int, Tensor, TensorData};
use lowland::Samples;
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, JointFigures};
use crate::config::TrainConfig;
use crate::data::{Source, Subset};
use crate::models::Model;
use crate::precision::Precision;
use crate::weights::Export;
use crate::{Error, Result};

pub use images::ImageTask;
pub use outcome::Outcome;
pub(crate) use outcome::{class_answers, class_outcome, number, numbers};
pub use people::PeopleTask;
pub use texts::TextTask;

/// A part of a task's samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// Those that the network learned from, as they are: not augmented, with the labels of the run.
    #[default]
    Train,
    /// Those that are chosen by: the best epoch, and when training stops.
    Validation,
    /// Those that it is tested on.
    Test,
}

impl Split {
    /// Its name in words, such as "training" in "training samples".
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "training",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// Something to learn, with its samples in memory.
pub trait Task: fmt::Debug + Send + Sync {
    /// How it is spoken of.
    fn wording(&self) -> Wording;

    /// How many classes there are, or parts to find.
    fn classes(&self) -> usize;

    /// How many samples a split has, at least 1; 0 for a validation part that is not there.
    fn count(&self, split: Split) -> usize;

    /// Whether there is a part to choose by.
    fn validates(&self) -> bool {
        self.count(Split::Validation) > 0
    }

    /// A checksum of all samples of a split: SHA-256, in hexadecimal; empty for a validation part
    /// that is not there.
    fn checksum(&self, split: Split) -> String;

    /// The names of the classes, in the order of their labels; none where there are no classes.
    fn class_names(&self) -> Vec<String> {
        Vec::new()
    }

    /// What form all samples have, in words; empty where samples can have any. Default: any.
    fn form_of_samples(&self) -> String {
        String::new()
    }

    /// Mean and deviation of each channel that pixels, from 0 to 1, are normalised with; none where
    /// there are no pixels, or where they follow from nothing in the data. Default: none.
    fn pixel_statistics(&self) -> Vec<(f64, f64)> {
        Vec::new()
    }

    /// The names of the joints, in their order; none where none are found.
    fn joint_names(&self) -> Vec<String> {
        Vec::new()
    }

    /// The figures of each joint, from the [`marks`](Outcome::marks) of all samples of a split;
    /// none where no joints are found.
    ///
    /// # Errors
    /// A split that is not there.
    fn joint_figures(&self, _split: Split, _marks: &[f64]) -> Result<Vec<JointFigures>> {
        Ok(Vec::new())
    }

    /// Samples without labels from files, prepared as the samples of a test are.
    ///
    /// # Errors
    /// A file that cannot be read or does not hold such samples.
    fn inputs(&self, config: &TrainConfig, files: &[PathBuf]) -> Result<Inputs>;

    /// How many training samples each class has; `None` where samples have no classes.
    fn class_counts(&self) -> Option<Vec<usize>> {
        None
    }

    /// How many training labels were corrupted by label noise.
    fn labels_changed(&self) -> usize {
        0
    }

    /// The training samples, varied as the settings say.
    ///
    /// # Errors
    /// Settings that do not fit the samples.
    fn to_learn(&self, config: &TrainConfig) -> Result<AnySource>;

    /// How the training samples are varied from epoch to epoch, in words; empty if they are not.
    /// Default: they are not.
    fn variation(&self, _config: &TrainConfig) -> String {
        String::new()
    }

    /// The samples of a split as they are; at most `at_most` of them, drawn over all classes.
    ///
    /// # Errors
    /// [`Error::Setting`] where `at_most` is 0, or the split is not there.
    fn to_measure(&self, split: Split, at_most: usize) -> Result<AnySource>;

    /// How [`to_measure`](Self::to_measure) draws `at_most` samples; `None` where it takes all.
    ///
    /// # Errors
    /// [`Error::Setting`] where `at_most` is 0.
    fn drawn(&self, split: Split, at_most: usize) -> Result<Option<Subset>>;

    /// How the samples of a split were drawn from those of the data set, where a limit was set.
    fn limited(&self, split: Split) -> Option<Subset>;

    /// What was left out of the data set or decided about it, a line each. Default: nothing.
    fn remarks(&self) -> &[String] {
        &[]
    }

    /// How the training samples were drawn that quantisers are calibrated with. Default: nothing is
    /// calibrated, or all are taken.
    fn calibration(&self, _config: &TrainConfig) -> Option<Subset> {
        None
    }

    /// The network that the settings ask for, with the weights that it starts from. On a device
    /// with autodiff it is ready to be trained.
    ///
    /// # Errors
    /// A network that is not for such samples, weights that cannot be read or do not fit it.
    fn start(&self, config: &TrainConfig, device: &Device) -> Result<Model>;

    /// The same network with whatever weights, for a record to be loaded into.
    ///
    /// # Errors
    /// A network that is not for such samples.
    fn form(&self, config: &TrainConfig, device: &Device) -> Result<Model>;

    /// The figure that the task is measured by, which [`Wording::measure`] names, from what a
    /// network makes of all samples of a split: the best epoch is chosen by it, and algorithms are
    /// compared by it. Default: the share of right answers.
    fn measured(&self, outcome: &Outcome) -> f64 {
        outcome.accuracy()
    }

    /// Figures beside loss and accuracy, by their names, from the [`marks`](Outcome::marks) of all
    /// samples of a split. Default: none.
    fn scores(&self, _split: Split, _marks: &[f64]) -> BTreeMap<String, f64> {
        BTreeMap::new()
    }

    /// What goes with the weights where they are written for readers elsewhere. Default: the
    /// version of Lowland, the network, and the names of the classes.
    ///
    /// # Errors
    /// What cannot be put together.
    fn export(&self, config: &TrainConfig) -> Result<Export> {
        Ok(Export::of(config.model.name(), &self.class_names()))
    }

    /// What a network made of the first `count` test samples, to look at, from the
    /// [`marks`](Outcome::marks) of all of them. Default: nothing.
    ///
    /// # Errors
    /// A picture that cannot be drawn.
    fn pictures(&self, _marks: &[f64], _count: usize) -> Result<Vec<Picture>> {
        Ok(Vec::new())
    }
}

/// Samples without labels, and what each is called.
#[derive(Debug)]
pub struct Inputs {
    /// The samples.
    pub source: AnySource,
    /// The name of each: its file, with the line where a file holds several.
    pub names: Vec<String>,
    /// What is odd about the files, a line each.
    pub remarks: Vec<String>,
}

/// The words that a kind of task is spoken of in. The default is that of labelled images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wording {
    /// A sample, such as "image".
    pub sample: String,
    /// Several samples, such as "images".
    pub samples: String,
    /// What a sample is classified as, or what is found in it, such as "class".
    pub class: String,
    /// Several of them, such as "classes".
    pub classes: String,
    /// What accuracy is the share of, such as "image".
    pub answer: String,
    /// The same with what makes an answer right, such as "images classified correctly".
    pub right: String,
    /// The name of the share of right answers, such as "accuracy", or of what is measured in its
    /// place.
    #[serde(default = "accuracy")]
    pub measure: String,
    /// What is measured on the test set, in words that begin a sentence; empty where it is a share
    /// of right answers.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub meaning: String,
}

impl Wording {
    /// The words for labelled samples.
    pub fn labelled(sample: &str, samples: &str) -> Self {
        Self {
            sample: sample.to_owned(),
            samples: samples.to_owned(),
            class: "class".to_owned(),
            classes: "classes".to_owned(),
            answer: sample.to_owned(),
            right: format!("{samples} classified correctly"),
            measure: accuracy(),
            meaning: String::new(),
        }
    }
}

/// What the share of right labels is called.
pub(crate) fn accuracy() -> String {
    "accuracy".to_owned()
}

impl Default for Wording {
    fn default() -> Self {
        Self::labelled("image", "images")
    }
}

/// A share in percent, for words.
fn in_percent(share: f64) -> f64 {
    (1000.0 * share).round() / 10.0
}

/// A picture of a sample with what a network made of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Which sample.
    pub name: String,
    /// The picture, as SVG.
    pub svg: String,
}

/// A type-erased source.
pub type AnySource = Box<dyn Source<Batch = Box<dyn OnHost>>>;

impl Source for AnySource {
    type Batch = Box<dyn OnHost>;

    fn sample_count(&self) -> usize {
        (**self).sample_count()
    }

    fn order(&self, seed: u64, epoch: u64, batch_size: usize) -> Vec<usize> {
        (**self).order(seed, epoch, batch_size)
    }

    fn prepare(&self, epoch: u64, indices: &[usize]) -> Self::Batch {
        (**self).prepare(epoch, indices)
    }
}

/// A source of one kind of batches, to be erased.
#[derive(Debug)]
pub(crate) struct Boxed<S>(pub(crate) S);

impl<S: Source<Batch: OnHost>> Source for Boxed<S> {
    type Batch = Box<dyn OnHost>;

    fn sample_count(&self) -> usize {
        self.0.sample_count()
    }

    fn order(&self, seed: u64, epoch: u64, batch_size: usize) -> Vec<usize> {
        self.0.order(seed, epoch, batch_size)
    }

    fn prepare(&self, epoch: u64, indices: &[usize]) -> Self::Batch {
        Box::new(self.0.prepare(epoch, indices))
    }
}

/// A batch in the memory of the host.
pub trait OnHost: Send + 'static {
    /// Moves the batch to `device`.
    fn to_device(self: Box<Self>, device: &Device) -> Box<dyn TaskBatch>;
}

/// How a batch is learned from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Learning {
    /// The share of a label's weight that is spread over all classes, where there are classes.
    /// Default 0.
    pub smoothing: f64,
    /// In which type of numbers the network computes.
    pub precision: Precision,
    /// What the loss of a sample is multiplied by, for each class. Default: nothing.
    pub class_weights: Option<Arc<[f64]>>,
}

impl Learning {
    /// The cross entropy of each sample, `[samples]`, from `logits` `[samples, classes]` and labels
    /// `[samples]`: smoothed, times the weight of its class.
    pub(crate) fn cross_entropies(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let losses = lowland::cross_entropies(logits, labels.clone(), self.smoothing);
        let Some(weights) = &self.class_weights else { return losses };
        let data = TensorData::new(weights.to_vec(), [weights.len()]);
        let weights = Tensor::from_data(data, (&losses.device(), losses.dtype()));
        losses * weights.select(0, labels)
    }
}

/// A batch on a device.
pub trait TaskBatch: fmt::Debug {
    /// The place of each sample in its set.
    fn indices(&self) -> &[usize];

    /// The samples at the positions `range`, which lie in the batch, as a batch of their own.
    fn piece(&self, range: Range<usize>) -> Box<dyn TaskBatch>;

    /// The loss of each of the chosen samples to learn from, `[samples]`, in `f32`.
    fn losses(&self, model: &Model, samples: &Samples, learning: Learning) -> Tensor<1>;

    /// What a network makes of the batch, as the network behaves.
    ///
    /// # Errors
    /// The device fails.
    fn measure(&self, model: &Model) -> Result<Outcome>;

    /// What a network makes of each sample of the batch, as the network behaves.
    ///
    /// # Errors
    /// The device fails.
    fn answers(&self, model: &Model) -> Result<Vec<Answer>>;
}

/// An error unless `holds`: a setting that is not for the task must have its default.
pub(crate) fn only(field: &'static str, holds: bool, reason: &'static str) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::NotFor { field, reason }) }
}

/// A network with the weights of a record, such as the `model.bpk` of a run's folder.
///
/// # Errors
/// A record that is broken or of another network.
pub(crate) fn loaded(model: Model, record: Vec<u8>) -> Result<Model, RecordError> {
    model.try_load_record(ModuleRecord::from_bytes(Bytes::from_bytes_vec(record))?)
}

/// The name of the record of a network in the folder of a run.
pub const MODEL_RECORD: &str = "model.bpk";
