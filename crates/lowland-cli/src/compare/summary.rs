//! What a comparison stores: every run with its curves, and the numbers drawn from them.
//!
//! A [`Summary`] is written as `summary.json`; the terminal's table and the page are pure functions
//! of it. JSON has no word for "not a number", so whatever a diverged run cannot have is an
//! `Option` here, and [`Summary::new`] turns every non-finite measurement into `None`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::compare::equal::Equal;

mod compute;
#[cfg(test)]
pub(crate) mod fixture;
mod searched;
#[cfg(test)]
pub(crate) mod simulated;

use lowland_tasks::flatness::Flatness;
use lowland_tasks::task::{Picture, Wording};

use crate::compare::landscapes::Landscapes;
pub(crate) use crate::compare::statistics::Interval;
pub(crate) use crate::run::confusion::Confusion;
use crate::words::{self, duration};

pub(crate) use compute::{Contender, Heading};
pub(crate) use lowland_tasks::record::{EpochRecord, SamplingPoint};
pub(crate) use searched::{Candidate, Gain, Outcome, Searched, Spent};

/// The number of the stored form; it grows when a reader of the old form would misread the new one.
pub(crate) const FORMAT: u32 = 1;

/// A whole comparison. The first algorithm is the baseline of every ratio and difference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// The stored form, [`FORMAT`] when written by this version.
    pub format: u32,
    /// The heading of the report.
    pub title: String,
    /// What the comparison asks, in one sentence.
    pub question: String,
    /// The command that repeats it.
    pub command: String,
    /// Name and version of the program that ran it.
    pub version: String,
    /// What it ran on, in words.
    pub hardware: String,
    /// Everything the algorithms share.
    pub setting: Setting,
    /// The algorithms in the order of the report.
    pub algorithms: Vec<AlgorithmSummary>,
    /// Landscapes around runs of it.
    #[serde(default)]
    pub landscapes: Vec<Landscapes>,
    /// Pictures of test samples that its runs left behind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub galleries: Vec<Gallery>,
    /// Planned runs that are not done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
    /// Runs whose flatness was measured in another way than that of most, so that it stands in no
    /// figure: algorithm and seed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measured_otherwise: Vec<(String, u64)>,
    /// The search for settings that found the algorithms, where there was one: they are then its
    /// baseline and its winner, with the fresh seeds of its test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub searched: Option<Searched>,
}

/// A planned run that is not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Missing {
    /// The name of its algorithm in the report.
    pub label: String,
    /// Its seed.
    pub seed: u64,
    /// How many of its epochs are done and saved.
    pub epochs: usize,
}

/// Pictures of test samples with what a run made of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gallery {
    /// The run, in text.
    pub label: String,
    /// The pictures.
    pub pictures: Vec<Picture>,
}

/// What the algorithms of a comparison share: data, model and training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Setting {
    /// The data set, in words.
    pub data: String,
    /// How the task is spoken of.
    #[serde(default)]
    pub wording: Wording,
    /// Number of training samples.
    pub training_images: usize,
    /// Number of validation samples; 0 where there are none.
    #[serde(default)]
    pub validation_images: usize,
    /// Number of test samples.
    pub test_images: usize,
    /// What was taken of the data set, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data_notes: Vec<String>,
    /// Number of classes, or of joints.
    pub classes: usize,
    /// Share of the training labels that was corrupted: drawn anew at random, 0 to 1.
    pub label_noise: f64,
    /// Training labels that the redrawing changed; some draw their old class again.
    pub labels_changed: usize,
    /// The network, in words.
    pub model: String,
    /// Trainable parameters of the network.
    pub parameters: usize,
    /// Samples in a step.
    pub batch_size: usize,
    /// Passes over the training data.
    pub epochs: usize,
    /// Steps in an epoch.
    pub steps_per_epoch: usize,
    /// The base optimizer, in text.
    pub optimizer: String,
    /// The learning rate at the start.
    pub learning_rate: f64,
    /// How it changes over training, in words; empty in summaries that do not say.
    #[serde(default)]
    pub schedule: String,
    /// Momentum of the base optimizer; 0 where it has none.
    pub momentum: f64,
    /// Weight decay of the base optimizer.
    pub weight_decay: f64,
    /// Share of a label's weight that is spread over all classes.
    pub label_smoothing: f64,
    /// How training images are varied, in words; empty if they are not.
    pub augmentation: String,
    /// What every algorithm got the same of.
    #[serde(default)]
    pub equal: Equal,
    /// How much of it each run got, in passes or seconds; `None` where it is what the baseline's
    /// run of the same seed used in all its epochs.
    #[serde(default)]
    pub limit: Option<f64>,
    /// The seeds; each sets the start, the data order and the corrupted labels of one run of each
    /// algorithm.
    pub seeds: Vec<u64>,
    /// The margin of equivalence that was stated beforehand, as a share: 0.005 is half a point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// What else a reader must know to judge the comparison; empty if nothing.
    #[serde(default)]
    pub note: String,
}

/// One algorithm: its runs and the numbers drawn from them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AlgorithmSummary {
    /// The name on the command line, as in `sgd`.
    pub name: String,
    /// The name in the report, as in `SGD`.
    pub label: String,
    /// Its own settings and their values, as in `rho` and `0.05`.
    pub settings: BTreeMap<String, String>,
    /// One run for each seed.
    pub runs: Vec<Run>,
    /// Final test accuracy of the runs that did not diverge, 0 to 1; `None` if all did.
    pub accuracy: Option<Spread>,
    /// Forward and backward passes in a step.
    pub passes_per_step: Option<Spread>,
    /// Seconds in a step.
    pub seconds_per_step: Option<Spread>,
    /// The largest eigenvalue of the Hessian, over the runs where it was measured.
    #[serde(default)]
    pub largest_eigenvalue: Option<Spread>,
    /// The largest rise of the loss that was found within a radius, over the runs where it was
    /// measured: a lower bound in each.
    #[serde(default)]
    pub largest_rise: Option<Uncertain>,
    /// The trace of the Hessian, over the runs where it was measured.
    #[serde(default)]
    pub trace: Option<Uncertain>,
    /// The average rise of the loss within a radius, over the runs where it was measured.
    #[serde(default)]
    pub average_rise: Option<Uncertain>,
    /// Seconds in a step, as a ratio to the baseline's run of the same seed.
    pub time_ratio: Option<Spread>,
    /// Final test accuracy less the baseline's; `None` for the baseline itself, and where no seed
    /// has a run of both that did not diverge.
    pub difference: Option<Difference>,
}

/// One training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// The seed of start, data order and corrupted labels.
    pub seed: u64,
    /// Test accuracy, 0 to 1: of the weights that were best on validation, or of the last where
    /// there is no validation part. `None` says that the run diverged.
    pub final_accuracy: Option<f64>,
    /// The highest accuracy on validation after any epoch, 0 to 1; `None` where there is no
    /// validation part.
    pub best_accuracy: Option<f64>,
    /// The epoch of it, whose weights were tested.
    #[serde(default)]
    pub best_epoch: Option<usize>,
    /// Mean number of forward and backward passes in a step.
    pub passes_per_step: f64,
    /// Mean seconds in a training step, evaluation left out.
    pub seconds_per_step: f64,
    /// Seconds of training, evaluation left out.
    pub training_seconds: f64,
    /// What else the task measures, of the same weights on the test samples, by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scores: BTreeMap<String, f64>,
    /// One record for each epoch.
    pub epochs: Vec<EpochRecord>,
    /// How often a second gradient was taken, and the norms on the way, over time.
    pub sampling: Vec<SamplingPoint>,
    /// How flat the place is where it ended, where that was measured.
    #[serde(default)]
    pub flatness: Option<Flatness>,
    /// Which classes were taken for which on the test samples; `None` where there are none, or too
    /// many to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Confusion>,
}

/// The mean of a number over seeds, and how far single seeds lie from it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    /// The mean.
    pub mean: f64,
    /// The sample standard deviation; 0 for a single value.
    pub deviation: f64,
    /// How many values there were.
    pub count: usize,
}

/// A mean of measurements, each of which has an error of its own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Uncertain {
    /// The mean of the runs.
    pub mean: f64,
    /// How uncertain the number of a run is, as a deviation: the root of the mean square of the
    /// errors of measurement and of the variance over seeds together. `None` where neither is
    /// known.
    pub uncertainty: Option<f64>,
    /// How many runs there were.
    pub count: usize,
}

/// How an algorithm's accuracy differs from the baseline's, seed by seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Difference {
    /// Mean of the paired differences, as a share: 0.01 is one point.
    pub mean: f64,
    /// The 95 % t-interval of that mean; `None` where no test is possible.
    pub interval: Option<Interval>,
    /// Two-sided p-value of the paired t-test; `None` where no test is possible.
    pub p_value: Option<f64>,
    /// The p-value after Holm's correction for all contenders that were tested.
    #[serde(default)]
    pub adjusted_p_value: Option<f64>,
    /// The test of equivalence; `None` where no margin was stated or no test is possible.
    #[serde(default)]
    pub equivalence: Option<Equivalence>,
    /// Seeds that have a run of both which did not diverge.
    pub pairs: usize,
    /// What may be said.
    pub verdict: Verdict,
    /// How many further seeds would decide with a chance of [`power::TARGET`] if the mean and
    /// spread of the differences are in truth as they were seen; `None` where the verdict is
    /// another than undecided, and where a thousand seeds would not be enough.
    ///
    /// [`power::TARGET`]: crate::compare::power::TARGET
    #[serde(default)]
    pub further_seeds: Option<usize>,
}

/// What two one-sided tests found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Equivalence {
    /// The margin that was stated beforehand, as a share.
    pub margin: f64,
    /// The 90 % interval of the mean difference.
    pub interval: Interval,
    /// The larger p-value of the two tests.
    pub p_value: f64,
    /// The p-value after Holm's correction for all contenders that were tested.
    pub adjusted_p_value: f64,
}

/// What a comparison with the baseline may claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// More accurate than the baseline, at a corrected p below 0.05.
    Superior,
    /// Less accurate than the baseline, at a corrected p below 0.05.
    Inferior,
    /// No difference was found, and one as large as the margin is ruled out, at a corrected p below
    /// 0.05.
    Equivalent,
    /// The runs show neither. There may be a difference too small for this many seeds.
    Undecided,
    /// There were too few runs, or no spread, for a test.
    NotTested,
}

impl Summary {
    /// The first algorithm, which the others are compared with.
    pub(crate) fn baseline(&self) -> Option<&AlgorithmSummary> {
        self.algorithms.first()
    }
}

impl Setting {
    /// The name of the share of right answers, "accuracy" where samples are classified.
    pub(crate) fn measure(&self) -> &str {
        &self.wording.measure
    }

    /// The samples that are measured after each epoch: "validation", or "test".
    pub(crate) fn part(&self) -> &'static str {
        if self.validation_images > 0 { "validation" } else { "test" }
    }

    /// What all algorithms get the same of, "equal passes for all"; `None` where it is epochs.
    pub(crate) fn held_equal(&self) -> Option<String> {
        let passes = |limit: f64| words::passes(limit, if limit.fract() == 0.0 { 0 } else { 2 });
        match (self.equal, self.limit) {
            (Equal::Epochs, _) => None,
            (Equal::Passes, None) => Some("equal passes for all".into()),
            (Equal::Passes, Some(limit)) => Some(format!("{} for each run", passes(limit))),
            (Equal::Time, None) => Some("equal training time for all".into()),
            (Equal::Time, Some(limit)) => {
                Some(format!("{} of training for each run", duration(limit)))
            }
        }
    }
}

impl AlgorithmSummary {
    /// The runs that reached their end with finite numbers.
    pub(crate) fn finished(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(|run| !run.diverged())
    }

    /// How many runs diverged.
    pub(crate) fn diverged(&self) -> usize {
        self.runs.iter().filter(|run| run.diverged()).count()
    }
}

impl Run {
    /// Whether the run ended in numbers that are not finite.
    pub(crate) fn diverged(&self) -> bool {
        self.final_accuracy.is_none()
    }

    /// Gradient evaluations of a whole batch in all epochs that were measured.
    pub(crate) fn passes(&self) -> f64 {
        self.epochs.iter().map(|epoch| epoch.passes).sum()
    }

    /// The first epoch with a loss or an accuracy that is not finite.
    pub(crate) fn diverged_in_epoch(&self) -> Option<usize> {
        self.epochs
            .iter()
            .find(|epoch| {
                let [loss, accuracy] = [epoch.measured_loss(), epoch.measured_accuracy()];
                [epoch.train_loss, loss, accuracy].contains(&None)
            })
            .map(|epoch| epoch.epoch)
    }
}

impl Verdict {
    /// The verdict in the report's words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Superior => "superior",
            Self::Inferior => "inferior",
            Self::Equivalent => "equivalent",
            Self::Undecided => "undecided",
            Self::NotTested => "not tested",
        }
    }
}
