//! A run under way: steps, metrics, checkpoints, and how it ends.

pub(crate) mod confusion;
pub(crate) mod facts;
pub(crate) mod finished;
pub(crate) mod folder;
pub(crate) mod interrupt;
pub(crate) mod journal;
pub(crate) mod metrics;
mod result;
pub(crate) mod world;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use burn::module::Module;
use lowland_tasks::checkpoint::{CheckpointConfig, Found};
use lowland_tasks::config::TrainConfig;
use lowland_tasks::events::Status;
use lowland_tasks::flatness::{EvalBatches, EvalSettings, Flatness, FlatnessConfig, flatness};
use lowland_tasks::models::Model;
use lowland_tasks::quantise::with_integer_weights;
use lowland_tasks::record::{EpochRecord, StepRecord, TRAINING_MEASURED};
use lowland_tasks::task::Split;
use lowland_tasks::train::{Data, Done, Training};

use crate::failure::{Ended, Interrupted};
use crate::files::{self, CONFUSION};
use crate::settings::brings_optimizer;
use crate::terminal::{self, Output, Progress, note, print, say};
use crate::words::{counted, counted_as, limit_left, no_second_gradient};
use confusion::Confusion;
use facts::Facts;
use folder::RunFolder;
use interrupt::Interrupt;
use journal::Journal;
use result::{RunResult, Words, epoch_line, step_line};
use world::agreed;

pub(crate) use result::epochs_of;

/// How many pictures of test samples a run leaves behind, where its task has some.
pub(crate) const PICTURES: usize = 12;

/// What makes the steps: the algorithm, and the optimizer below it.
fn steps_of(config: &TrainConfig) -> String {
    let (label, below) = (config.algorithm_label(), config.optimizer.name.label());
    match label {
        _ if brings_optimizer(&config.algorithm) => format!("{label} over an optimizer of its own"),
        label if label == below => label.to_owned(),
        label => format!("{label} over {below}"),
    }
}

/// Trains to the end, from wherever the training stands, and prints the result.
///
/// # Errors
/// A file that cannot be written, a loss that is not finite for too long, Ctrl-C. Where there is a
/// checkpoint, the error says so.
pub(crate) fn run(
    mut training: Training,
    data: &Data,
    config: &TrainConfig,
    folder: &RunFolder,
    mut journal: Journal,
    output: Output,
) -> Result<()> {
    let interrupt = Interrupt::listen();
    for line in opening(data, config) {
        note(&line, output.quiet);
    }
    let words = Words::of(data);
    let progress = Progress::new(training.expected_steps(), output.quiet);
    progress.was_done(training.steps());
    let trained = train(&mut training, data, config, folder, &mut journal, &|event| {
        match event {
            Event::Step(step, At { accuracy, expected, passes }) => {
                if config.is_limited() {
                    progress.expect(expected);
                }
                progress.step(|| step_line(config, &words, step, accuracy, passes));
            }
            Event::Epoch(record, steps) => {
                // A bar shows by itself how much is left.
                let left = progress.left().filter(|_| !progress.is_bar());
                let left = left.map_or_else(String::new, |left| format!("  {left}"));
                progress.line(&format!("{}{left}", epoch_line(record, config, &words, steps)));
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
            "training failed: {}; lower the learning rate or the radius ({} holds the metrics and no weights)",
            failed_in_words(record.skipped_steps, record.steps),
            folder.path().display()
        );
    }
    finish(&training, data, config, folder, output)
}

/// What went wrong in a training that failed.
fn failed_in_words(skipped: u64, steps: u64) -> String {
    let counted = |steps: u64| counted(usize::try_from(steps).unwrap_or(usize::MAX), "step");
    match skipped {
        0 => format!(
            "losses and gradients were finite ({}), but the final network's outputs are not",
            counted(steps)
        ),
        skipped => {
            format!("{skipped} of {} had a non-finite loss or gradient", counted(steps))
        }
    }
}

/// What a run says before it begins: its parts, and what is not as one would expect.
fn opening(data: &Data, config: &TrainConfig) -> Vec<String> {
    let task = data.task();
    let wording = task.wording();
    let train = task.count(Split::Train);
    let samples = |count: usize| counted_as(count, &wording.sample, &wording.samples);
    let validation = match task.count(Split::Validation) {
        0 => "no validation split: the last epoch's weights are tested (--validation SHARE holds one out)"
            .to_owned(),
        count => format!("validation: {} (selects the best epoch)", samples(count)),
    };
    let mut lines = vec![format!(
        "training on {}; {validation}; test: {}; training {} is measured on {}",
        samples(train),
        samples(task.count(Split::Test)),
        wording.measure,
        samples(train.min(TRAINING_MEASURED)),
    )];
    lines.push(format!(
        "training with {}, learning rate {} ({}), batches of {}",
        steps_of(config),
        config.optimizer.learning_rate,
        config.optimizer.schedule.in_words(),
        config.batch_size,
    ));
    let budget = match (config.budget, config.time_budget) {
        (Some(limit), _) => Some(format!("a budget of {limit} passes per step")),
        (None, limit) => limit.map(|limit| format!("a budget of {limit} in measured time")),
    };
    if let Some(budget) = budget {
        lines.push(format!(
            "{budget} decides when second gradients are taken, in place of the schedule of {}",
            config.algorithm_label()
        ));
    }
    if brings_optimizer(&config.algorithm) {
        lines.push(format!(
            "of the settings of the optimizer, {} takes the learning rate and its schedule alone: the \
             others, such as momentum and weight decay, are not used",
            config.algorithm_label()
        ));
    }
    if config.algorithm != config.algorithm.clone().with_sample_count(train as u64) {
        lines.push(format!(
            "{} takes the {} for its N (algorithm.data_size sets another)",
            config.algorithm_label(),
            samples(train)
        ));
    }
    if config.batch_size > train {
        lines.push(format!(
            "a batch of {} is larger than the {}: each step takes all of them, as --batch-size {train} does",
            config.batch_size,
            samples(train)
        ));
    }
    let rate = config.optimizer.learning_rate;
    if rate > 1.0 {
        lines.push(format!("the learning rate is {rate}, which is above 1"));
    }
    lines
}

/// Trains to the end, from wherever the training stands, and writes metrics and checkpoints on the
/// way. `watch` sees every step and epoch; where it breaks, the run is saved and ends with
/// [`Interrupted`].
///
/// # Errors
/// A file that cannot be written, a loss that is not finite for too long, `watch` breaking.
pub(crate) fn train(
    training: &mut Training,
    data: &Data,
    config: &TrainConfig,
    folder: &RunFolder,
    journal: &mut Journal,
    watch: &dyn Fn(Event<'_>) -> ControlFlow<u8>,
) -> Result<()> {
    Facts::of(config, data, training)?.write(folder.path())?;
    let probe = config.sharpness_every.map(|every| Probe::new(every, data, training));
    let saver = Saver::new(config.checkpoints);
    let mut checkpointer = Checkpointer { folder, journal, saver, probe: probe.transpose()? };
    let trained = go_on(training, config, &mut checkpointer, watch).and_then(|()| {
        if has_failed(training) {
            return checkpointer.journal.end(Status::Failure);
        }
        let test = training.test()?;
        checkpointer.journal.test(&test, training.record())
    });
    if trained.is_err() {
        // Whatever was measured so far is worth having; the error that ended the run is the one to
        // report.
        let _ = journal.flush();
    }
    trained
}

/// Whether a training that reached its last epoch failed: no step changed anything, or its last
/// loss is not finite.
pub(crate) fn has_failed(training: &Training) -> bool {
    let record = training.record();
    record.steps == record.skipped_steps
        || record.epochs.last().is_none_or(|epoch| epoch.measured_loss().is_none())
}

/// The weights that a run is judged by, ready to be measured: the best on validation, or those of
/// its end.
///
/// # Errors
/// The model is gone after an error in training.
pub(crate) fn judged(training: &Training) -> Result<Model> {
    Ok(training.chosen()?.1.train())
}

/// Writes the result of a run, and prints it.
fn finish(
    training: &Training,
    data: &Data,
    config: &TrainConfig,
    folder: &RunFolder,
    output: Output,
) -> Result<()> {
    folder.save_model(training, &data.task().export(config)?)?;
    folder.save_pictures(&training.pictures(PICTURES)?)?;
    if let Some(found) = Confusion::of(&judged(training)?, data, training.device())? {
        files::write(&folder.path().join(CONFUSION), &serde_json::to_vec(&found)?)?;
    }
    let mut result = RunResult::of(training, data, config, folder.path());
    if config.quantise.is_some() {
        let model = with_integer_weights(training.chosen()?.1)?;
        result.integer_accuracy = Some(data.task().measured(&training.evaluate_model(&model)?));
    }
    if output.json {
        print(&serde_json::to_string_pretty(&result)?)
    } else {
        say(&result.in_words())
    }
}

/// Trains along to the end as one of several workers, which writes and prints nothing: worker 0
/// does.
///
/// # Errors
/// A loss that is not finite for too long, Ctrl-C, a worker that is gone.
pub(crate) fn follow(mut training: Training) -> Result<()> {
    let interrupt = Interrupt::listen();
    while training.advance()?.is_some() {
        let (asked, _) = agreed(&training, interrupt.check(), false)?;
        if let ControlFlow::Break(code) = asked {
            bail!(Interrupted { progress: String::new(), code });
        }
    }
    // The record of the last weights is worker 0's to make.
    Ok(())
}

/// What happens in a run.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// A step, and where the run is with it.
    Step(&'a StepRecord, At),
    /// An epoch, and its steps.
    Epoch(&'a EpochRecord, u64),
}

/// Where a run is.
#[derive(Debug)]
pub(crate) struct At {
    /// The last share of right answers on validation, or on the test samples where there is no
    /// validation part.
    pub accuracy: Option<f64>,
    /// How many steps the run will have.
    pub expected: u64,
    /// Passes per step so far.
    pub passes: f64,
}

fn go_on(
    training: &mut Training,
    config: &TrainConfig,
    checkpointer: &mut Checkpointer<'_>,
    watch: &dyn Fn(Event<'_>) -> ControlFlow<u8>,
) -> Result<()> {
    let mut accuracy = training.record().epochs.last().and_then(EpochRecord::measured_accuracy);
    while let Some(done) = training.advance()? {
        let (asked, due) = match &done {
            Done::Step(step) => {
                checkpointer.step(step, training)?;
                // A checkpoint follows at the end of the epoch in any case.
                let due = checkpointer.saver.is_due(step.step) && !training.is_at_end_of_epoch();
                let at = At {
                    accuracy,
                    expected: training.expected_steps(),
                    passes: training.passes() / training.steps() as f64,
                };
                (watch(Event::Step(step, at)), due)
            }
            Done::Epoch(record) => {
                checkpointer.journal.epoch(record, training.steps())?;
                accuracy = record.measured_accuracy();
                // All epochs before were whole.
                let before = (record.epoch - 1) * training.steps_per_epoch();
                (watch(Event::Epoch(record, training.steps().saturating_sub(before as u64))), true)
            }
        };
        let (asked, due) = agreed(training, asked, due)?;
        if due {
            checkpointer.save(training)?;
        }
        if let ControlFlow::Break(code) = asked {
            let (done, epochs) = (training.record().epochs.len(), epochs_of(config));
            let steps = counted(usize::try_from(training.steps()).unwrap_or(usize::MAX), "step");
            let progress = format!(" after {steps}, {done} of {epochs} done");
            bail!(Interrupted { progress, code });
        }
    }
    Ok(())
}

/// Says how to resume a run that ended early, where it can be.
fn with_way_on(error: anyhow::Error, folder: &RunFolder, workers: usize) -> anyhow::Error {
    let found = folder.checkpoints().list().unwrap_or_default();
    let Some(found) = found.into_iter().find(Found::is_finished) else {
        return error;
    };
    let path = folder.path().display();
    let resume = terminal::resume_command(folder.path());
    let resume = if workers > 1 { format!("mpirun -n {workers} {resume} --mpi") } else { resume };
    let non_finite = matches!(
        error.downcast_ref(),
        Some(lowland_tasks::Error::Algorithm(lowland::Error::NonFinite { .. }))
    );
    let way_on = if non_finite {
        format!(
            "the last good checkpoint is of step {}: change {path}/config.toml and resume from it with \
             {resume} --accept-changes",
            found.step
        )
    } else {
        format!("to resume from step {}: {resume}", found.step)
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

/// Writes the metrics and checkpoints of a run while it trains.
struct Checkpointer<'a> {
    folder: &'a RunFolder,
    journal: &'a mut Journal,
    saver: Saver,
    probe: Option<Probe>,
}

impl Checkpointer<'_> {
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
    eval: EvalSettings,
    batches: EvalBatches,
}

impl Probe {
    fn new(every: u64, data: &Data, training: &Training) -> Result<Self> {
        let eval = EvalSettings::quick();
        let batches = EvalBatches::new(data, &eval, training.device())?;
        Ok(Self { every, eval, batches })
    }

    /// `None` where the loss is not finite there: that ends the run, if it lasts, in another place.
    fn measure(&self, training: &Training) -> Result<Option<Flatness>> {
        let go_on = &mut |_: &'static str, _, _| ControlFlow::Continue(());
        let config = FlatnessConfig::quick();
        match flatness(training.model()?, &self.batches, &self.eval, &config, go_on) {
            Err(lowland_tasks::Error::Algorithm(lowland::Error::NotFinite(_))) => Ok(None),
            found => Ok(found?),
        }
    }
}
