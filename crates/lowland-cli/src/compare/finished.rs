//! The result of a run in a comparison: the file that says that the run is done.

use std::path::Path;

use anyhow::{Result, bail};
use lowland_tasks::config::TrainConfig;
use lowland_tasks::record::{RunRecord, best_epoch};
use lowland_tasks::train::Training;
use serde::{Deserialize, Serialize};

use super::equal::Used;
use super::keep::Keep;
use super::summary::Run;
use crate::device::hardware;
use crate::failure::Usage;
use crate::files;
use crate::files::RESULT;

/// The number of the stored form.
const FORMAT: u32 = 1;

/// A run that is done, whether it reached its end or diverged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Finished {
    /// The stored form.
    format: u32,
    /// What the summary shows of it, without its sharpness, which has a file of its own.
    pub run: Run,
    /// What it used, for the runs that get as much.
    pub used: Used,
    /// The share of its limit on passes or seconds that it used, 0 to 1; `None` where it had none.
    pub share_used: Option<f64>,
    /// Whether its algorithm schedules second gradients and took none.
    pub lacks_second_gradients: bool,
    /// What is kept of it.
    pub keep: Keep,
    /// How many runs trained at once when it ended.
    pub jobs: usize,
    /// Where it trained, in words.
    pub hardware: String,
}

impl Finished {
    /// The result of a training that is over.
    pub(crate) fn of(
        training: &Training,
        config: &TrainConfig,
        diverged: bool,
        keep: &Keep,
        jobs: usize,
    ) -> Self {
        let record = training.record();
        let steps = training.steps();
        let whole = config.epochs.saturating_mul(training.steps_per_epoch()) as u64;
        let mut run = Run::of(config, record, diverged);
        for epoch in &mut run.epochs {
            // JSON has no word for them.
            epoch.scores.retain(|_, score| score.is_finite());
        }
        run.scores.retain(|_, score| score.is_finite());
        Self {
            format: FORMAT,
            used: Used {
                steps,
                whole: if diverged { whole } else { steps },
                passes: training.passes(),
                seconds: training.seconds(),
            },
            share_used: training.share_used(),
            lacks_second_gradients: training.lacks_second_gradients() && !run.diverged(),
            run,
            keep: keep.clone(),
            jobs,
            hardware: hardware(&config.device, jobs),
        }
    }

    /// The result in a run's folder; `None` where the run is not done.
    ///
    /// # Errors
    /// A file that cannot be read or holds something else.
    pub(crate) fn read(run: &Path) -> Result<Option<Self>> {
        let path = run.join(RESULT);
        let found: Option<Self> = files::read_json(&path)?;
        if let Some(found) = found.as_ref().filter(|found| found.format != FORMAT) {
            bail!(Usage(format!(
                "{} has format {}, and this program reads format {FORMAT}",
                path.display(),
                found.format
            )));
        }
        Ok(found)
    }

    /// Writes it into the run's folder.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self, run: &Path) -> Result<()> {
        files::write(&run.join(RESULT), &serde_json::to_vec_pretty(self)?)
    }
}

impl Run {
    /// A run in the summary, its sharpness not measured.
    pub(crate) fn of(config: &TrainConfig, record: &RunRecord, diverged: bool) -> Self {
        let seconds = record.seconds();
        let steps = record.steps.max(1) as f64;
        // What is missing of a run that was killed between its last epoch and its test.
        let last = record.epochs.last().filter(|epoch| epoch.test_accuracy.is_some());
        let last = last.map(|epoch| (epoch.test_accuracy, &epoch.scores));
        let tested = record.test.as_ref().map(|test| (test.test_accuracy, &test.scores)).or(last);
        let (tested, scores) = tested.filter(|_| !diverged).unzip();
        let best = best_epoch(&record.epochs);
        Self {
            seed: config.seed,
            final_accuracy: tested.flatten(),
            best_accuracy: best.and_then(|epoch| epoch.validation_accuracy),
            best_epoch: best.map(|epoch| epoch.epoch),
            passes_per_step: record.passes / steps,
            seconds_per_step: seconds / steps,
            training_seconds: seconds,
            scores: scores.cloned().unwrap_or_default(),
            epochs: record.epochs.clone(),
            sampling: record.sampling.clone(),
            flatness: None,
            confusion: None,
        }
    }
}
