//! Steps, epochs and the result of a run in words.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lowland_tasks::config::TrainConfig;
use lowland_tasks::record::{EpochRecord, StepRecord, TestRecord};
use lowland_tasks::task::Wording;
use lowland_tasks::train::{Data, Training};
use serde::Serialize;

use crate::data_notes::data_notes;
use crate::words::{counted, percent, score};

/// The words of a run: what is measured after each epoch, and what the figure is called.
pub(super) struct Words {
    wording: Wording,
    part: &'static str,
}

impl Words {
    /// The words for some data.
    pub(super) fn of(data: &Data) -> Self {
        let part = if data.task().validates() { "validation" } else { "test" };
        Self { wording: data.task().wording(), part }
    }
}

/// What is shown of a step.
pub(super) fn step_line(
    config: &TrainConfig,
    words: &Words,
    step: &StepRecord,
    accuracy: Option<f64>,
    passes: f64,
) -> String {
    let test = accuracy.map(|a| format!("  {} {}", words.part, percent(a))).unwrap_or_default();
    let label = config.algorithm_label();
    format!(
        "{label}  epoch {}{}  loss {:.3}{test}  {passes:.2} passes per step",
        step.epoch,
        of_epochs(config),
        step.loss
    )
}

/// What stands behind the number of an epoch: nothing where a limit decides how many there are.
fn of_epochs(config: &TrainConfig) -> String {
    if config.is_limited() { String::new() } else { format!("/{}", config.epochs) }
}

/// How many epochs a run has, "15 epochs", or may have, "at most 15 epochs".
pub(crate) fn epochs_of(config: &TrainConfig) -> String {
    let at_most = if config.is_limited() { "at most " } else { "" };
    format!("{at_most}{}", counted(config.epochs, "epoch"))
}

/// What is shown of an epoch.
pub(super) fn epoch_line(
    record: &EpochRecord,
    config: &TrainConfig,
    words: &Words,
    steps: u64,
) -> String {
    let (part, measure) = (words.part, &words.wording.measure);
    let average = record.average_accuracy.map(|a| format!("  averaged {}", percent(a)));
    let share = |value: Option<f64>| value.map_or("none".to_owned(), percent);
    let number = |value: Option<f64>| value.map_or("not finite".to_owned(), |v| format!("{v:.3}"));
    format!(
        "epoch {:>3}{}  training loss {}  training {measure} {}  {part} loss {}  {part} {measure} {}{}  {:.2} passes per step  {:.1} s",
        record.epoch,
        of_epochs(config),
        number(record.train_loss),
        share(record.train_accuracy),
        number(record.measured_loss()),
        share(record.measured_accuracy()),
        average.unwrap_or_default(),
        record.passes / steps as f64,
        record.seconds,
    )
}

/// The result of a run.
#[derive(Debug, Serialize)]
pub(super) struct RunResult {
    algorithm: &'static str,
    /// What the share of right answers is called.
    measure: String,
    /// The epoch whose weights were tested.
    tested_epoch: usize,
    /// Whether it was chosen on validation; or else it is the last.
    chosen_on_validation: bool,
    train_accuracy: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    validation_accuracy: Option<f64>,
    test_accuracy: Option<f64>,
    test_loss: Option<f64>,
    /// Of the average of the weights at the end of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    average_accuracy: Option<f64>,
    /// Of the network whose weights are integers times a step, where it is quantised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) integer_accuracy: Option<f64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    scores: BTreeMap<String, f64>,
    epochs: usize,
    steps: u64,
    skipped_steps: u64,
    passes_per_step: f64,
    /// Of training, measuring left out.
    seconds: f64,
    /// What was taken of the data set, a line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    run: PathBuf,
}

impl RunResult {
    /// The result of a training that is over.
    pub(super) fn of(
        training: &Training,
        data: &Data,
        config: &TrainConfig,
        folder: &Path,
    ) -> Self {
        let record = training.record();
        let test = record.test.as_ref();
        let tested_epoch = test.map_or(record.epochs.len(), |test| test.epoch);
        let then = record.epochs.iter().find(|epoch| epoch.epoch == tested_epoch);
        Self {
            algorithm: config.algorithm_label(),
            measure: data.task().wording().measure,
            tested_epoch,
            chosen_on_validation: test.is_some_and(|test| test.chosen_on_validation),
            train_accuracy: then.and_then(|epoch| epoch.train_accuracy),
            validation_accuracy: then.and_then(|epoch| epoch.validation_accuracy),
            test_accuracy: test.and_then(|test| test.test_accuracy),
            test_loss: test.and_then(|test| test.test_loss),
            average_accuracy: test.and_then(|test| test.average_accuracy),
            integer_accuracy: None,
            scores: test.map(|test: &TestRecord| test.scores.clone()).unwrap_or_default(),
            epochs: record.epochs.len(),
            steps: record.steps,
            skipped_steps: record.skipped_steps,
            passes_per_step: record.passes / record.steps.max(1) as f64,
            seconds: record.seconds(),
            notes: data_notes(data, config),
            run: folder.to_owned(),
        }
    }

    /// The result in a few lines.
    pub(super) fn in_words(&self) -> String {
        let skipped = match self.skipped_steps {
            0 => String::new(),
            1 => "; 1 step was not finite and changed nothing".to_owned(),
            steps => format!("; {steps} steps were not finite and changed nothing"),
        };
        let integers = self
            .integer_accuracy
            .map(|accuracy| format!(" ({} with integer weights)", percent(accuracy)));
        let average = self
            .average_accuracy
            .map(|accuracy| format!(" ({} with the average of the weights)", percent(accuracy)));
        let scores =
            self.scores.iter().map(|(name, found)| format!(", {name} {}", score(name, *found)));
        format!(
            "{}: test {} {}{}{}{} after {}, {:.2} passes per step, {:.1} s of training{skipped}\n\
             {}\n\
             The run: {}",
            self.algorithm,
            self.measure,
            self.test_accuracy.map_or("none".to_owned(), percent),
            integers.unwrap_or_default(),
            average.unwrap_or_default(),
            scores.collect::<String>(),
            counted(self.epochs, "epoch"),
            self.passes_per_step,
            self.seconds,
            self.choice(),
            self.run.display(),
        )
    }

    /// Which weights were tested and why, and how they do on what they were learned from.
    fn choice(&self) -> String {
        let share = |value: Option<f64>| value.map_or("none".to_owned(), percent);
        let train = format!("training {} {}", self.measure, share(self.train_accuracy));
        if self.chosen_on_validation {
            return format!(
                "Tested once, with the weights of epoch {}, the best on validation ({}); {train}",
                self.tested_epoch,
                share(self.validation_accuracy)
            );
        }
        format!(
            "Tested with the weights of the last epoch: there is no validation part to choose a better one by \
             (--validation SHARE); {train}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_epoch_is_no_epochs() {
        let of = |epochs, max_passes| {
            epochs_of(&TrainConfig { epochs, max_passes, ..TrainConfig::default() })
        };
        assert_eq!([of(1, None), of(15, None)], ["1 epoch", "15 epochs"]);
        assert_eq!(of(1, Some(3.0)), "at most 1 epoch");
    }
}
