//! Steps, epochs and the result of a run in words.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lowland_tasks::config::TrainConfig;
use lowland_tasks::record::{EpochRecord, StepRecord};
use lowland_tasks::train::Training;
use serde::Serialize;

use crate::words::{counted, percent};

/// What is shown of a step.
pub(super) fn step_line(
    config: &TrainConfig,
    step: &StepRecord,
    accuracy: Option<f64>,
    passes: f64,
) -> String {
    let test = accuracy.map(|a| format!("  test {}", percent(a))).unwrap_or_default();
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
    format!("{at_most}{} epochs", config.epochs)
}

/// What is shown of an epoch.
pub(super) fn epoch_line(record: &EpochRecord, config: &TrainConfig, steps: u64) -> String {
    let number = |value: Option<f64>| value.map_or("not finite".to_owned(), |v| format!("{v:.3}"));
    format!(
        "epoch {:>3}{}  training loss {}  test loss {}  test accuracy {}  {:.2} passes per step  {:.1} s",
        record.epoch,
        of_epochs(config),
        number(record.train_loss),
        number(record.test_loss),
        record.test_accuracy.map_or("none".to_owned(), percent),
        record.passes / steps as f64,
        record.seconds,
    )
}

/// The result of a run.
#[derive(Debug, Serialize)]
pub(super) struct RunResult {
    algorithm: &'static str,
    test_accuracy: Option<f64>,
    test_loss: Option<f64>,
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
    run: PathBuf,
}

impl RunResult {
    /// The result of a training that is over.
    pub(super) fn of(training: &Training, config: &TrainConfig, folder: &Path) -> Self {
        let record = training.record();
        let last = record.epochs.last();
        Self {
            algorithm: config.algorithm_label(),
            test_accuracy: last.and_then(|epoch| epoch.test_accuracy),
            test_loss: last.and_then(|epoch| epoch.test_loss),
            integer_accuracy: None,
            scores: last.map(|epoch| epoch.scores.clone()).unwrap_or_default(),
            epochs: record.epochs.len(),
            steps: record.steps,
            skipped_steps: record.skipped_steps,
            passes_per_step: record.passes / record.steps.max(1) as f64,
            seconds: record.seconds(),
            run: folder.to_owned(),
        }
    }

    /// The result in a few lines.
    pub(super) fn in_words(&self) -> String {
        let skipped = match self.skipped_steps {
            0 => String::new(),
            steps => format!("; {steps} steps were not finite and changed nothing"),
        };
        let integers = self.integer_accuracy.map(|accuracy| {
            format!(" ({} with the integers of its weights alone)", percent(accuracy))
        });
        let scores = self.scores.iter().map(|(name, score)| format!(", {name} {score:.3}"));
        format!(
            "{}: test accuracy {}{}{} after {}, {:.2} passes per step, {:.1} s of training{skipped}\n\
             The run: {}",
            self.algorithm,
            self.test_accuracy.map_or("none".to_owned(), percent),
            integers.unwrap_or_default(),
            scores.collect::<String>(),
            counted(self.epochs, "epoch"),
            self.passes_per_step,
            self.seconds,
            self.run.display(),
        )
    }
}
