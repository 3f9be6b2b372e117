//! A run of a comparison in a process of its own, and what it says to the one that started it.
//!
//! Processes, and not threads: the CPU backend has one random generator for a whole process, so
//! that runs in threads of one disturb each other's dropout and masks; and a run that crashes takes
//! no other with it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{BufRead, ErrorKind, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use lowland_tasks::Spec;
use lowland_tasks::events::Status;
use lowland_tasks::flatness::{EvalBatches, EvalSettings, Flatness, FlatnessConfig, flatness};
use lowland_tasks::train::{Data, Training};

use super::finished::Finished;
use super::keep::Kept;
use super::protocol::{Failure, Job, Message};
use crate::failure::{InUse, Interrupted, Usage};
use crate::files::{CONFIG, SHARPNESS};
use crate::run::confusion::Confusion;
use crate::run::folder::RunFolder;
use crate::run::interrupt::Interrupt;
use crate::run::{self, At, Event, PICTURES};
use crate::{device, files, program};

/// How often a worker says how far it is, at most.
const PAUSE: Duration = Duration::from_millis(100);

/// How often a worker that waits looks whether it is to end.
const LOOK: Duration = Duration::from_millis(50);

/// Does the work of a worker in `folder`: trains the run to its end, or to a checkpoint where it is
/// asked to end or the process that started it is gone.
pub(crate) fn work(folder: &Path) -> ExitCode {
    match begin().and_then(|(job, ending)| train(folder, &job, &ending)) {
        Ok(()) => {
            say(&Message::Done);
            ExitCode::SUCCESS
        }
        Err(error) => {
            let text = format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" ");
            say(&Message::Failed { error: text, failure: failure(&error) });
            ExitCode::FAILURE
        }
    }
}

fn failure(error: &anyhow::Error) -> Failure {
    let unwritable = |cause: &(dyn std::error::Error + 'static)| {
        use ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| {
            let kinds = [PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull];
            kinds.contains(&error.kind())
        })
    };
    if error.is::<Interrupted>() {
        Failure::Interrupted
    } else if error.chain().any(unwritable) {
        Failure::Write
    } else {
        Failure::Other
    }
}

/// Nobody hears it where the other process is gone; the end of standard input says that.
fn say(message: &Message) {
    if let Ok(line) = serde_json::to_string(message) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}

/// Whether the run is to end, and whether it has another turn.
struct Ending {
    interrupt: Interrupt,
    /// Whether standard input has ended, as it does however the other process ends.
    alone: Arc<AtomicBool>,
    turns: Receiver<()>,
}

impl Ending {
    fn check(&self) -> ControlFlow<u8> {
        if self.alone.load(Ordering::SeqCst) {
            return ControlFlow::Break(self.interrupt.code());
        }
        self.interrupt.check()
    }

    /// Waits for another turn, or for what ends the run.
    fn wait(&self) -> ControlFlow<u8> {
        while self.check().is_continue() {
            match self.turns.recv_timeout(LOOK) {
                Ok(()) => break,
                Err(RecvTimeoutError::Timeout) => {}
                // Standard input has ended, and `check` is about to see it.
                Err(RecvTimeoutError::Disconnected) => std::thread::yield_now(),
            }
        }
        self.check()
    }

    /// Fails where the run is to end.
    fn hold(&self) -> Result<()> {
        match self.check() {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(code) => bail!(Interrupted { progress: String::new(), code }),
        }
    }
}

/// Reads what is to be done, and begins to watch for the end of standard input.
fn begin() -> Result<(Job, Ending)> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("cannot read the job of a worker")?;
    let job = serde_json::from_str(&line)
        .map_err(|error| Usage(format!("a worker is started by lowland itself: {error}")))?;
    let alone = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&alone);
    let (turn, turns) = mpsc::channel();
    std::thread::spawn(move || {
        for _turn in std::io::stdin().lock().lines().map_while(std::io::Result::ok) {
            // The run may be over.
            let _ = turn.send(());
        }
        // Whatever ended it: nobody asks for this run any more.
        ended.store(true, Ordering::SeqCst);
    });
    Ok((job, Ending { interrupt: Interrupt::listen(), alone, turns }))
}

fn train(path: &Path, job: &Job, ending: &Ending) -> Result<()> {
    let folder = take(path, job, ending)?;
    let config = &job.config;
    // A worker whose comparison was killed may have reached the end all the same.
    if let Some(finished) = Finished::read(path)? {
        return finished.keep.prune(path);
    }
    let spec = Spec::try_from(config)?;
    let device = device::open(&config.device)?;
    let data = program::load(config)?;
    let mut training = Training::new(spec, &data, &device)?;
    let otherwise = format!("remove {} to train the run again", path.display());
    let mut lengths = BTreeMap::new();
    if let Some((found, snapshot)) = folder.latest_checkpoint(&otherwise)? {
        lengths.clone_from(&snapshot.about.lengths);
        let restored = training.restore(snapshot, false);
        training = restored.with_context(|| Usage(found.path.display().to_string()))?.0;
    }
    let mut journal = folder.journal(&lengths, config, &data)?;
    let spoken = Cell::new(Instant::now());
    // A turn ends with the first step of the next epoch, once the epoch before is saved.
    let turn_of = Cell::new(training.record().epochs.len() + 1);
    say(&Message::Steps {
        done: training.steps(),
        expected: training.expected_steps(),
        epoch: training.record().epochs.len() + 1,
        loss: None,
    });
    let trained = run::train(&mut training, &data, config, &folder, &mut journal, &|event| {
        if let Event::Step(step, At { expected, .. }) = event
            && spoken.get().elapsed() >= PAUSE
        {
            spoken.set(Instant::now());
            let loss = Some(step.loss).filter(|loss| loss.is_finite());
            say(&Message::Steps { done: step.step, expected, epoch: step.epoch, loss });
        }
        match event {
            Event::Step(step, _) if job.turns && step.epoch > turn_of.replace(step.epoch) => {
                say(&Message::Waits { epochs: step.epoch - 1 });
                ending.wait()
            }
            _ => ending.check(),
        }
    });
    let diverged = match trained {
        Ok(()) => run::has_failed(&training),
        Err(error) if is_divergence(&error) => {
            journal.end(Status::Failure)?;
            true
        }
        Err(error) => return Err(error),
    };
    finish(&training, &data, &folder, job, diverged, ending)
}

fn is_divergence(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref(),
        Some(lowland_tasks::Error::Algorithm(lowland::Error::NonFinite { .. }))
    )
}

/// Keeps what is asked for of a run that reached its end, the result last.
fn finish(
    training: &Training,
    data: &Data,
    folder: &RunFolder,
    job: &Job,
    diverged: bool,
    ending: &Ending,
) -> Result<()> {
    let path = folder.path();
    let mut finished = Finished::of(training, &job.config, diverged, &job.keep, job.jobs);
    if !diverged {
        let judged = run::judged(training)?;
        finished.run.confusion = Confusion::of(&judged, data, training.device())?;
        if job.keep.has(Kept::Weights) {
            folder.save_model(training, &data.task().export(&job.config)?)?;
        }
        folder.save_pictures(&training.pictures(PICTURES)?)?;
        if job.sharpness
            && let Some(found) = measure(data, training, ending)?
        {
            files::write(&path.join(SHARPNESS), &serde_json::to_vec_pretty(&found)?)?;
        }
    }
    finished.write(path)?;
    job.keep.prune(path)
}

/// The sharpness at the end of a run; `None` where the loss is not finite there.
fn measure(data: &Data, training: &Training, ending: &Ending) -> Result<Option<Flatness>> {
    /// Of the measurement, the share of the eigenvalue.
    const EIGENVALUE: f64 = 0.8;
    say(&Message::Sharpness { share: 0.0 });
    let eval = EvalSettings::quick();
    let batches = EvalBatches::new(data, &eval, training.device())?;
    let watch = &mut |what: &'static str, done: usize, total: usize| {
        let share = match what {
            "eigenvalues" => EIGENVALUE * done as f64 / total.max(1) as f64,
            _ => EIGENVALUE,
        };
        say(&Message::Sharpness { share });
        match ending.check() {
            ControlFlow::Continue(()) => ControlFlow::Continue(()),
            ControlFlow::Break(_) => ControlFlow::Break(()),
        }
    };
    let found = flatness(&run::judged(training)?, &batches, &eval, &FlatnessConfig::quick(), watch);
    match found {
        Err(lowland_tasks::Error::Algorithm(lowland::Error::NotFinite(_))) => Ok(None),
        Ok(None) => {
            ending.hold()?;
            bail!(Interrupted { progress: String::new(), code: ending.interrupt.code() })
        }
        found => Ok(found?),
    }
}

/// The run's folder, new or as it was left. Where another process works in it, as a worker does
/// that still saves its run after its comparison was killed, waits for it.
fn take(path: &Path, job: &Job, ending: &Ending) -> Result<RunFolder> {
    let mut waits = false;
    loop {
        let begun = path.join(CONFIG).is_file();
        let taken = if begun { reopen(path, job) } else { RunFolder::create(path, &job.config) };
        let error = match taken {
            Ok(folder) => return Ok(folder),
            Err(error) => error,
        };
        let in_use = error.is::<InUse>();
        // Another process may have begun the run in between.
        if !in_use && (begun || !path.join(CONFIG).is_file()) {
            return Err(error);
        }
        if in_use && !waits {
            waits = true;
            say(&Message::Line { text: format!("waits: {error:#}") });
        }
        ending.hold()?;
        std::thread::sleep(LOOK);
    }
}

/// The folder of a run that was begun, its settings those of the plan.
fn reopen(path: &Path, job: &Job) -> Result<RunFolder> {
    let (folder, config) = RunFolder::open(path)?;
    let changes = job.config.changes(&config);
    if !changes.is_empty() {
        bail!(Usage(format!(
            "{} is not as the comparison has it: {}; put it back, or remove the run's folder",
            path.join(CONFIG).display(),
            changes.join("; ")
        )));
    }
    Ok(folder)
}
