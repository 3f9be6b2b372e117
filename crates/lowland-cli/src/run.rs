//! A run under way: steps, metrics, checkpoints, and how it ends.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use burn::module::Module;
use lowland_tasks::checkpoint::{CheckpointConfig, Found};
use lowland_tasks::config::TrainConfig;
use lowland_tasks::flatness::{Flatness, FlatnessConfig, Ground, Held, flatness};
use lowland_tasks::quantise::with_integer_weights;
use lowland_tasks::record::{EpochRecord, StepRecord};
use lowland_tasks::train::{Data, Done, Training};
use serde::Serialize;

use crate::failure::{Ended, Interrupted};
use crate::interrupt::Interrupt;
use crate::journal::Journal;
use crate::run_folder::RunFolder;
use crate::terminal::{Output, Progress, print};
use crate::together::agreed;
use crate::words::{counted, limit_left, no_second_gradient, percent};

/// How many pictures of test samples a run leaves behind, where its task has some.
pub const PICTURES: usize = 12;

/// Trains to the end, from wherever the training stands, and tells the result.
///
/// # Errors
/// A file that cannot be written, a loss that is not finite for too long, Ctrl-C. Where there is a
/// checkpoint, the error says so.
pub fn run(
    mut training: Training,
    data: &Data,
    config: &TrainConfig,
    folder: &RunFolder,
    mut journal: Journal,
    output: Output,
) -> Result<()> {
    let interrupt = Interrupt::listen();
    let progress = Progress::new(training.expected_steps(), output.quiet);
    progress.was_done(training.steps());
    let trained = train(&mut training, data, config, folder, &mut journal, &|event| {
        match event {
            Event::Step(step, At { accuracy, expected, passes }) => {
                if config.is_limited() {
                    progress.expect(expected);
                }
                progress.step(|| step_line(config, step, accuracy, passes));
            }
            Event::Epoch(record, steps) => {
                // A bar shows by itself how much is left.
                let left = progress.left().filter(|_| !progress.is_bar());
                let left = left.map_or_else(String::new, |left| format!("  {left}"));
                progress.line(&format!("{}{left}", epoch_line(record, config, steps)));
            }
        }
        interrupt.check()
    });
    if let Err(error) = trained {
        return Err(with_way_on(error, folder, training.workers().count()));
    }
    if let Some(share) = training.share_used().filter(|share| *share < 1.0) {
        progress.line(&limit_left(config.algorithm_label(), share));
    }
    if training.lacks_second_gradients() {
        progress.line(&no_second_gradient(config.algorithm_label(), training.record().steps));
    }
    drop(progress);
    let record = training.record();
    if has_failed(&training) {
        bail!(
            "the run came to nothing: {} of {} steps were not finite; lower the learning rate or the \
             radius ({} holds the metrics and no weights)",
            record.skipped_steps,
            record.steps,
            folder.path().display()
        );
    }
    finish(&training, config, folder, output)
}

/// Trains to the end, from wherever the training stands, and writes metrics and checkpoints on the way. `watch`
/// sees every step and epoch; where it breaks, the run is saved and ends with [`Interrupted`].
///
/// # Errors
/// A file that cannot be written, a loss that is not finite for too long, `watch` breaking.
pub fn train(
    training: &mut Training,
    data: &Data,
    config: &TrainConfig,
    folder: &RunFolder,
    journal: &mut Journal,
    watch: &dyn Fn(Event<'_>) -> ControlFlow<u8>,
) -> Result<()> {
    let probe = config.sharpness_every.map(|every| Probe::new(every, data, training));
    let saver = Saver::new(config.checkpoints);
    let mut keeper = Keeper { folder, journal, saver, probe: probe.transpose()? };
    let trained = go_on(training, config, &mut keeper, watch);
    if trained.is_err() {
        // Whatever was measured so far is worth having; the error that ended the run is the one to report.
        let _ = journal.flush();
    }
    trained
}

/// Whether a training that came to its last epoch has nothing to show: no step changed anything, or its last loss
/// is not finite.
pub fn has_failed(training: &Training) -> bool {
    let record = training.record();
    record.steps == record.skipped_steps
        || record.epochs.last().is_none_or(|epoch| epoch.test_loss.is_none())
}

/// Keeps what a run came to, and tells it.
fn finish(
    training: &Training,
    config: &TrainConfig,
    folder: &RunFolder,
    output: Output,
) -> Result<()> {
    folder.save_model(training)?;
    folder.save_pictures(&training.pictures(PICTURES)?)?;
    let mut result = RunResult::of(training, config, folder.path());
    if config.quantise.is_some() {
        let model = with_integer_weights(training.model()?.valid())?;
        result.integer_accuracy = Some(training.evaluate_model(&model)?.accuracy());
    }
    print(&if output.json { serde_json::to_string_pretty(&result)? } else { result.in_words() })
}

/// Trains along to the end as one of several workers, which keeps and tells nothing: worker 0 does.
///
/// # Errors
/// A loss that is not finite for too long, Ctrl-C, a worker that is gone.
pub fn follow(mut training: Training) -> Result<()> {
    let interrupt = Interrupt::listen();
    while training.advance()?.is_some() {
        let (asked, _) = agreed(&training, interrupt.check(), false)?;
        if let ControlFlow::Break(code) = asked {
            bail!(Interrupted { told: String::new(), code });
        }
    }
    // The record of the last weights is worker 0's to make.
    Ok(())
}

/// What happens in a run.
#[derive(Debug)]
pub enum Event<'a> {
    /// A step, and where the run is with it.
    Step(&'a StepRecord, At),
    /// An epoch, and its steps.
    Epoch(&'a EpochRecord, u64),
}

/// Where a run is.
#[derive(Debug)]
pub struct At {
    /// The last test accuracy.
    pub accuracy: Option<f64>,
    /// How many steps the run will have.
    pub expected: u64,
    /// Passes a step so far.
    pub passes: f64,
}

fn go_on(
    training: &mut Training,
    config: &TrainConfig,
    keeper: &mut Keeper<'_>,
    watch: &dyn Fn(Event<'_>) -> ControlFlow<u8>,
) -> Result<()> {
    let mut accuracy = training.record().epochs.last().and_then(|epoch| epoch.test_accuracy);
    while let Some(done) = training.advance()? {
        let (asked, due) = match &done {
            Done::Step(step) => {
                keeper.step(step, training)?;
                // A checkpoint follows at the end of the epoch in any case.
                let due = keeper.saver.is_due(step.step) && !training.is_at_end_of_epoch();
                let at = At {
                    accuracy,
                    expected: training.expected_steps(),
                    passes: training.passes() / training.steps() as f64,
                };
                (watch(Event::Step(step, at)), due)
            }
            Done::Epoch(record) => {
                keeper.journal.epoch(record, training.steps())?;
                accuracy = record.test_accuracy;
                // All epochs before were whole.
                let before = (record.epoch - 1) * training.steps_per_epoch();
                (watch(Event::Epoch(record, training.steps().saturating_sub(before as u64))), true)
            }
        };
        let (asked, due) = agreed(training, asked, due)?;
        if due {
            keeper.save(training)?;
        }
        if let ControlFlow::Break(code) = asked {
            let (done, epochs) = (training.record().epochs.len(), epochs_of(config));
            let steps = counted(usize::try_from(training.steps()).unwrap_or(usize::MAX), "step");
            let told = format!(" after {steps}, {done} of {epochs} done");
            bail!(Interrupted { told, code });
        }
    }
    Ok(())
}

/// Says how a run that ended early goes on, where it can.
fn with_way_on(error: anyhow::Error, folder: &RunFolder, workers: usize) -> anyhow::Error {
    let found = folder.checkpoints().list().unwrap_or_default();
    let Some(found) = found.into_iter().find(Found::is_finished) else {
        return error;
    };
    let path = folder.path().display();
    let resume = if workers > 1 { "lowland resume --mpi" } else { "lowland resume" };
    let non_finite = matches!(
        error.downcast_ref(),
        Some(lowland_tasks::Error::Algorithm(lowland::Error::NonFinite { .. }))
    );
    let way_on = if non_finite {
        format!(
            "the last good checkpoint is of step {}: change {path}/config.toml and go on from it with \
             {resume} {path} --accept-changes",
            found.step
        )
    } else {
        format!("to go on from step {}: {resume} {path}", found.step)
    };
    Ended { error, way_on }.into()
}

/// When the next checkpoint is due.
struct Saver {
    config: CheckpointConfig,
    last: Instant,
}

impl Saver {
    fn new(config: CheckpointConfig) -> Self {
        Self { config, last: Instant::now() }
    }

    fn is_due(&self, step: u64) -> bool {
        let by_steps = self.config.every_steps.is_some_and(|every| step.is_multiple_of(every));
        let minutes = self.config.every_minutes.map(|minutes| minutes * 60.0);
        // A number of minutes that no clock counts to never comes.
        let pause = minutes.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        by_steps || pause.is_some_and(|pause| self.last.elapsed() >= pause)
    }
}

/// What keeps what a run does.
struct Keeper<'a> {
    folder: &'a RunFolder,
    journal: &'a mut Journal,
    saver: Saver,
    probe: Option<Probe>,
}

impl Keeper<'_> {
    fn step(&mut self, step: &StepRecord, training: &Training) -> Result<()> {
        self.journal.step(step)?;
        if let Some(probe) = &self.probe
            && step.step.is_multiple_of(probe.every)
            && let Some(found) = probe.measure(training)?
        {
            self.journal.sharpness(step.step, &found)?;
        }
        Ok(())
    }

    fn save(&mut self, training: &Training) -> Result<()> {
        let mut snapshot = training.snapshot()?;
        snapshot.about.lengths = self.journal.sync()?;
        self.folder.checkpoints().save(&snapshot, self.saver.config.keep)?;
        self.saver.last = Instant::now();
        Ok(())
    }
}

/// Measures the sharpness during training.
struct Probe {
    every: u64,
    ground: Ground,
    held: Held,
}

impl Probe {
    fn new(every: u64, data: &Data, training: &Training) -> Result<Self> {
        let ground = Ground::quick();
        let held = Held::new(data, &ground, training.device())?;
        Ok(Self { every, ground, held })
    }

    /// `None` where the loss is not finite there: that ends the run, if it lasts, in another place.
    fn measure(&self, training: &Training) -> Result<Option<Flatness>> {
        let go_on = &mut |_: &'static str, _, _| ControlFlow::Continue(());
        let config = FlatnessConfig::quick();
        match flatness(training.model()?, &self.held, &self.ground, &config, go_on) {
            Err(lowland_tasks::Error::Algorithm(lowland::Error::NotFinite(_))) => Ok(None),
            found => Ok(found?),
        }
    }
}

fn step_line(
    config: &TrainConfig,
    step: &StepRecord,
    accuracy: Option<f64>,
    passes: f64,
) -> String {
    let test = accuracy.map(|a| format!("  test {}", percent(a))).unwrap_or_default();
    let label = config.algorithm_label();
    format!(
        "{label}  epoch {}{}  loss {:.3}{test}  {passes:.2} passes a step",
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
pub fn epochs_of(config: &TrainConfig) -> String {
    let at_most = if config.is_limited() { "at most " } else { "" };
    format!("{at_most}{} epochs", config.epochs)
}

fn epoch_line(record: &EpochRecord, config: &TrainConfig, steps: u64) -> String {
    let number = |value: Option<f64>| value.map_or("not finite".to_owned(), |v| format!("{v:.3}"));
    format!(
        "epoch {:>3}{}  training loss {}  test loss {}  test accuracy {}  {:.2} passes a step  {:.1} s",
        record.epoch,
        of_epochs(config),
        number(record.train_loss),
        number(record.test_loss),
        record.test_accuracy.map_or("none".to_owned(), percent),
        record.passes / steps as f64,
        record.seconds,
    )
}

/// What a run came to.
#[derive(Debug, Serialize)]
struct RunResult {
    algorithm: &'static str,
    test_accuracy: Option<f64>,
    test_loss: Option<f64>,
    /// Of the network whose weights are integers times a step, where it is quantised.
    #[serde(skip_serializing_if = "Option::is_none")]
    integer_accuracy: Option<f64>,
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
    fn of(training: &Training, config: &TrainConfig, folder: &Path) -> Self {
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

    fn in_words(&self) -> String {
        let skipped = match self.skipped_steps {
            0 => String::new(),
            steps => format!("; {steps} steps were not finite and changed nothing"),
        };
        let integers = self.integer_accuracy.map(|accuracy| {
            format!(" ({} with the integers of its weights alone)", percent(accuracy))
        });
        let scores = self.scores.iter().map(|(name, score)| format!(", {name} {score:.3}"));
        format!(
            "{}: test accuracy {}{}{} after {}, {:.2} passes a step, {:.1} s of training{skipped}\n\
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
