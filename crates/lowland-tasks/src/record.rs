//! What a run leaves behind, in numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// One record for each epoch.
    pub epochs: Vec<EpochRecord>,
    /// How often a second gradient was taken, and the norms on the way, over time.
    pub sampling: Vec<SamplingPoint>,
    /// Steps.
    pub steps: u64,
    /// Gradient evaluations, in batches.
    pub passes: f64,
    /// Steps that were not finite and changed nothing.
    pub skipped_steps: u64,
    /// The one measurement on the test samples that counts, once it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<TestRecord>,
}

/// What the weights that a run is judged by make of the test samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestRecord {
    /// The epoch after which the weights were as they are.
    pub epoch: usize,
    /// Whether the epoch is the best on validation; without a validation part it is the last.
    pub chosen_on_validation: bool,
    /// Test loss; `None` if it was not finite.
    pub test_loss: Option<f64>,
    /// The share of right answers, 0 to 1; `None` if the network's outputs were not finite.
    pub test_accuracy: Option<f64>,
    /// The share of right answers of the average of the weights at the end of the run, where one is
    /// kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_accuracy: Option<f64>,
    /// The loss of the average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_loss: Option<f64>,
    /// What else the task measures on the test samples, by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scores: BTreeMap<String, f64>,
}

/// The epoch that is best on validation: the highest share of right answers, or of what the task is
/// measured by, of equal ones the lowest loss, then the first. `None` where nothing was measured
/// there.
pub fn best_epoch(epochs: &[EpochRecord]) -> Option<&EpochRecord> {
    best_on_validation(
        epochs.iter().map(|epoch| (epoch, epoch.validation_accuracy, epoch.validation_loss)),
    )
}

/// What is best of some things, each with its share of right answers and its loss on validation, in
/// the order of [`best_epoch`].
pub(crate) fn best_on_validation<T>(
    measured: impl Iterator<Item = (T, Option<f64>, Option<f64>)>,
) -> Option<T> {
    let scored = measured
        .filter_map(|(of, accuracy, loss)| Some((of, accuracy?, loss.unwrap_or(f64::INFINITY))));
    let best = scored.reduce(|best, other| {
        let order = other.1.total_cmp(&best.1).then(best.2.total_cmp(&other.2));
        if order.is_gt() { other } else { best }
    });
    best.map(|(of, ..)| of)
}

impl RunRecord {
    /// Seconds of training steps in all epochs that were measured.
    pub fn seconds(&self) -> f64 {
        self.epochs.iter().map(|epoch| epoch.seconds).sum()
    }
}

/// One epoch of a run; the last one may have been cut short by a limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// The epoch; the first is 1.
    pub epoch: usize,
    /// Mean training loss of its steps; `None` if it was not finite.
    pub train_loss: Option<f64>,
    /// The share of right answers after it among training samples, as they are and at most
    /// [`TRAINING_MEASURED`], 0 to 1; `None` if the network's outputs were not finite.
    #[serde(default)]
    pub train_accuracy: Option<f64>,
    /// Loss after it on the validation part; `None` if it was not finite or there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_loss: Option<f64>,
    /// The share of right answers there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_accuracy: Option<f64>,
    /// Test loss after it, to be looked at and never chosen by; `None` if it was not finite, and
    /// where there is a validation part, which is measured in its place.
    pub test_loss: Option<f64>,
    /// The share of right answers there, 0 to 1.
    pub test_accuracy: Option<f64>,
    /// The share of right answers there of the average of the weights, where one is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_accuracy: Option<f64>,
    /// The loss there of the average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_loss: Option<f64>,
    /// What else the task measures on the same samples, by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scores: BTreeMap<String, f64>,
    /// The learning rate of its last step.
    pub learning_rate: f64,
    /// Gradient evaluations in it, in batches.
    pub passes: f64,
    /// Share of its steps that took a second gradient, 0 to 1.
    pub second_gradient_share: f64,
    /// Seconds of its training steps, preparing the batches included, measuring left out.
    pub seconds: f64,
}

/// The most training samples that are measured after each epoch.
pub const TRAINING_MEASURED: usize = 1000;

impl EpochRecord {
    /// The loss that was measured after it, on validation or else on the test samples.
    pub fn measured_loss(&self) -> Option<f64> {
        self.validation_loss.or(self.test_loss)
    }

    /// The share of right answers that was measured after it, on validation or else on the test
    /// samples.
    pub fn measured_accuracy(&self) -> Option<f64> {
        self.validation_accuracy.or(self.test_accuracy)
    }
}

/// A stretch of steps: how often a second gradient was taken, and the norms on the way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SamplingPoint {
    /// The last step of the stretch; it begins after the previous point's.
    pub step: usize,
    /// Share of the stretch's steps that took a second gradient, 0 to 1.
    pub share: f64,
    /// The mean norm of the PSF over those that did.
    #[serde(default)]
    pub psf_norm: Option<f64>,
    /// The mean norm of the gradient over the steps that measured it.
    #[serde(default)]
    pub gradient_norm: Option<f64>,
    /// The mean length of the perturbation over the steps that took a gradient at perturbed
    /// weights.
    #[serde(default)]
    pub radius: Option<f64>,
}

/// How many points a run's sampling curve has, at most.
const SAMPLING_POINTS: u64 = 40;

/// How many times as close the points are where a run may end long before its last epoch.
const CLOSER: u64 = 8;

/// The steps since the last point of the sampling curve.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stretch {
    length: u64,
    steps: u64,
    second_gradients: u64,
    psf_norm: Average,
    gradient_norm: Average,
    radius: Average,
}

/// A mean in the making.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Average {
    count: u64,
    sum: f64,
}

impl Average {
    /// Adds a number, if there is one and it is finite.
    fn add(&mut self, value: Option<f64>) {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            self.count += 1;
            self.sum += value;
        }
    }

    fn mean(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

impl Stretch {
    /// The first stretch of a run of so many steps, or of fewer where it `may_end` long before
    /// them.
    pub(crate) fn of(steps: u64, may_end: bool) -> Self {
        let points = SAMPLING_POINTS * if may_end { CLOSER } else { 1 };
        Self { length: steps.div_ceil(points).max(1), ..Self::default() }
    }

    /// Counts a step; gives the point where the stretch ends with it.
    pub(crate) fn count(&mut self, step: &StepRecord) -> Option<SamplingPoint> {
        self.steps += 1;
        self.second_gradients += u64::from(step.second_gradient);
        self.psf_norm.add(step.psf_norm);
        self.gradient_norm.add(step.gradient_norm);
        self.radius.add(step.radius);
        if self.steps < self.length {
            return None;
        }
        let point = SamplingPoint {
            step: usize::try_from(step.step).unwrap_or(usize::MAX),
            share: self.second_gradients as f64 / self.steps as f64,
            psf_norm: self.psf_norm.mean(),
            gradient_norm: self.gradient_norm.mean(),
            radius: self.radius.mean(),
        };
        *self = Self { length: self.length, ..Self::default() };
        Some(point)
    }
}

impl RunRecord {
    /// The record of a run, from what it wrote step by step and epoch by epoch.
    pub fn of(steps: &[StepRecord], epochs: Vec<EpochRecord>) -> Self {
        let mut stretch = Stretch::of(steps.len() as u64, false);
        Self {
            sampling: steps.iter().filter_map(|step| stretch.count(step)).collect(),
            steps: steps.len() as u64,
            passes: steps.iter().map(|step| step.passes).sum(),
            skipped_steps: steps.iter().filter(|step| step.skipped).count() as u64,
            epochs,
            test: None,
        }
    }
}

/// One step of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The step; the first is 1.
    pub step: u64,
    /// Its epoch; the first is 1.
    pub epoch: usize,
    /// The mean loss of its batch, before the step. JSON has `null` where it is not finite.
    #[serde(deserialize_with = "number_or_nan")]
    pub loss: f64,
    /// The learning rate.
    pub learning_rate: f64,
    /// Gradient evaluations, in batches.
    pub passes: f64,
    /// Whether a second gradient was taken.
    pub second_gradient: bool,
    /// Whether the loss or gradient was not finite, so that nothing changed.
    pub skipped: bool,
    /// `‖g‖`
    pub gradient_norm: Option<f64>,
    /// `‖g_s‖`, where a second gradient was taken.
    pub perturbed_norm: Option<f64>,
    /// `‖e‖`, the length of the perturbation, where a gradient was taken at perturbed weights.
    pub radius: Option<f64>,
    /// `‖g_s − g‖`, where a second gradient was taken.
    pub psf_norm: Option<f64>,
    /// The cosine of the angle between g and `g_s`, where a second gradient was taken.
    pub cosine: Option<f64>,
}

/// A number, or NaN for `null`, which stands for what is not finite.
fn number_or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}
