//! Trains the runs of a comparison that are not done, a few at a time, each by a worker of its own.
//!
//! On a CPU, the runs of a seed take turns, an epoch each, so that whatever slows the machine down
//! for a while slows all of them, and their times can be compared. Runs that wait for their turn
//! keep their memory, which on other devices there is too little of: there, each run goes to its
//! end.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use anyhow::{Result, anyhow, bail};

use super::child::{Event, Worker};
use super::equal::Equal;
use super::finished::Finished;
use super::gather::Standing;
use super::plan::{Plan, PlannedRun};
use super::progress::Board;
use super::protocol::{Failure, Job, Message};
use super::queue::{Queue, State};
use super::summary::Run;
use crate::failure::{Ended, Interrupted};
use crate::files::RUNS;
use crate::run::interrupt::Interrupt;
use crate::terminal;
use crate::words::{counted, limit_left, no_second_gradient, percent};

/// How often the scheduler looks whether it was asked to end.
const LOOK: Duration = Duration::from_millis(50);

/// The most workers that there are at once where runs take turns, unless more train at once.
const MOST_WORKERS: usize = 8;

/// The most runs that are in memory at once, with checkpoints on disk.
pub(crate) fn most_workers(device: &str, jobs: usize) -> usize {
    if takes_turns(device) { jobs.max(MOST_WORKERS) } else { jobs }
}

/// Whether runs on a device take turns.
pub(crate) fn takes_turns(device: &str) -> bool {
    ["cpu", "flex", "tch"].contains(&device)
}

/// Trains what is not done, so many runs at a time. A run that crashes takes no other with it;
/// where the folder cannot be written to, no other run begins.
///
/// # Errors
/// Runs that fail other than by diverging, a request to end. What is done stays done, and what was
/// begun resumes from its checkpoints.
pub(crate) fn train(
    folder: &Path,
    plan: &Plan,
    standings: Vec<Standing>,
    jobs: usize,
    quiet: bool,
) -> Result<()> {
    let mut session = Session::new(folder, plan, standings, jobs, quiet);
    session.train()?;
    let Session { queue, failures, asked, .. } = session;
    let (done, all) = (queue.done(), counted(queue.states.len(), "run"));
    let way_on = format!("to resume: {}", terminal::resume_command(folder));
    if let Some(code) = asked {
        let progress = format!(" after {done} of {all} were done");
        bail!(Ended { error: Interrupted { progress, code }.into(), way_on });
    }
    if !failures.is_empty() {
        let count = counted(failures.len(), "run");
        let error = anyhow!("{count} failed: {}; {done} of {all} are done", failures.join("; "));
        bail!(Ended { error, way_on });
    }
    Ok(())
}

/// One stretch of work on a comparison.
struct Session<'a> {
    folder: &'a Path,
    plan: &'a Plan,
    runs: Vec<PlannedRun>,
    /// The names of the contenders.
    labels: Vec<String>,
    /// The name of each run: its contender's and the seed.
    names: Vec<String>,
    jobs: usize,
    /// Whether runs take turns.
    turns: bool,
    queue: Queue,
    board: Board,
    interrupt: Interrupt,
    workers: BTreeMap<usize, Under>,
    /// The end that workers get, and what comes out: the place of a run, and what its worker says.
    sender: Sender<(usize, Event)>,
    events: Receiver<(usize, Event)>,
    failures: Vec<String>,
    /// Whether no more runs begin.
    ends: bool,
    /// The exit code of the request to end.
    asked: Option<u8>,
}

/// A run under way.
struct Under {
    worker: Worker,
    /// Whether it has said where it stands.
    stands: bool,
    /// How it failed, once it has said so.
    failure: Option<(String, Failure)>,
}

impl<'a> Session<'a> {
    fn new(
        folder: &'a Path,
        plan: &'a Plan,
        standings: Vec<Standing>,
        jobs: usize,
        quiet: bool,
    ) -> Self {
        let labels = plan.labels();
        let width = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
        let mut board = Board::new(plan, quiet);
        let (mut runs, mut names, mut states) = (Vec::new(), Vec::new(), Vec::new());
        for (index, Standing { run, finished }) in standings.into_iter().enumerate() {
            let label = &labels[run.contender];
            names.push(format!("seed {}  {label:width$}", run.config.seed));
            runs.push(run);
            states.push(match finished {
                Some(finished) => {
                    board.was_done(index);
                    State::Done(finished.used)
                }
                None => State::Missing,
            });
        }
        let (sender, events) = mpsc::channel();
        let queue = Queue { equal: plan.equal, contenders: plan.contenders.len(), states };
        Self {
            folder,
            plan,
            runs,
            labels,
            names,
            jobs,
            turns: takes_turns(&plan.contenders[0].config.device),
            queue,
            board,
            interrupt: Interrupt::listen(),
            workers: BTreeMap::new(),
            sender,
            events,
            failures: Vec::new(),
            ends: false,
            asked: None,
        }
    }

    fn train(&mut self) -> Result<()> {
        loop {
            self.look();
            while self.asked.is_none()
                && self.queue.training() < self.jobs
                && let Some(index) = self.queue.next(self.may_begin())
            {
                match self.workers.get_mut(&index) {
                    Some(under) => {
                        under.worker.give_turn();
                        self.queue.states[index] = State::Training;
                    }
                    None => self.begin(index)?,
                }
            }
            if self.workers.is_empty() {
                return Ok(());
            }
            match self.events.recv_timeout(LOOK) {
                Ok((index, Event::Said(message))) => self.said(index, message),
                Ok((index, Event::Line(line))) => {
                    let line = format!("{}  {line}", self.names[index]);
                    self.board.line(&line);
                }
                Ok((index, Event::Ended)) => self.ended(index)?,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
    }

    /// Asks all workers to end, once the comparison was asked to.
    fn look(&mut self) {
        let ControlFlow::Break(code) = self.interrupt.check() else { return };
        if self.asked.replace(code).is_none() {
            self.ends = true;
            let runs = counted(self.workers.len(), "run");
            self.board.line(&format!("stopping: saving {runs}"));
            self.workers.values_mut().for_each(|under| under.worker.ask_to_end());
        }
    }

    /// Whether another run may begin.
    fn may_begin(&self) -> bool {
        let device = &self.plan.contenders[0].config.device;
        !self.ends && self.workers.len() < most_workers(device, self.jobs)
    }

    fn begin(&mut self, index: usize) -> Result<()> {
        let run = &self.runs[index];
        let job = Job {
            config: self.queue.config(index, &run.config),
            sharpness: self.plan.sharpness,
            keep: self.plan.keep.clone(),
            jobs: self.jobs,
            turns: self.turns,
        };
        let folder = self.folder.join(RUNS).join(&run.folder);
        tracing::info!("starts a worker in {}", folder.display());
        let worker = Worker::start(&folder, &job, index, &self.sender)?;
        self.queue.states[index] = State::Training;
        self.workers.insert(index, Under { worker, stands: false, failure: None });
        Ok(())
    }

    fn said(&mut self, index: usize, message: Message) {
        let (name, Some(under)) = (&self.names[index], self.workers.get_mut(&index)) else {
            return;
        };
        match message {
            Message::Steps { done, expected, epoch, loss } => {
                if !std::mem::replace(&mut under.stands, true) {
                    self.board.resumed(index, done);
                }
                let config = &self.runs[index].config;
                let epochs = match self.plan.equal {
                    Equal::Epochs if !config.is_limited() => format!("/{}", config.epochs),
                    _ => String::new(),
                };
                let loss = loss.map_or_else(String::new, |loss| format!("  loss {loss:.3}"));
                let message = format!("{name}  epoch {epoch}{epochs}{loss}");
                self.board.steps(index, done, expected, &message);
            }
            Message::Waits { epochs } => self.queue.states[index] = State::Waiting(epochs),
            Message::Sharpness { share } => {
                let message = format!("{name}  measures the sharpness");
                self.board.sharpness(index, share, &message);
            }
            Message::Line { text } => self.board.line(&format!("{name}  {text}")),
            // Its end says so, and the result in its folder.
            Message::Done => {}
            Message::Failed { error, failure } => under.failure = Some((error, failure)),
        }
    }

    /// A worker has ended: its run is done where its result is there.
    fn ended(&mut self, index: usize) -> Result<()> {
        let Some(mut under) = self.workers.remove(&index) else { return Ok(()) };
        let status = under.worker.wait()?;
        tracing::info!("the worker of {} has ended: {status}", self.runs[index].folder);
        // Ctrl-C reaches the workers too, and may have reached this one first.
        self.look();
        let folder = self.folder.join(RUNS).join(&self.runs[index].folder);
        if let Some(finished) = Finished::read(&folder)? {
            self.queue.states[index] = State::Done(finished.used);
            self.board.end(index);
            self.show(index, &finished);
            return Ok(());
        }
        if self.asked.is_some() {
            self.queue.states[index] = State::Missing;
            return Ok(());
        }
        self.queue.states[index] = State::Failed;
        let (error, failure) = under.failure.unwrap_or_else(|| {
            // A signal, such as that of a system out of memory, or a panic.
            (format!("its worker process exited unexpectedly ({status})"), Failure::Other)
        });
        if failure == Failure::Write {
            self.ends = true;
        }
        let name = self.names[index].split_whitespace().collect::<Vec<_>>().join(" ");
        self.board.line(&format!("{name} failed: {error}"));
        self.failures.push(format!("{name}: {error}"));
        Ok(())
    }

    fn show(&mut self, index: usize, finished: &Finished) {
        let (name, label) = (&self.names[index], &self.labels[self.runs[index].contender]);
        let Finished { run, share_used, lacks_second_gradients, .. } = finished;
        let line = line(name, run, self.plan.names.is_some());
        self.board.ended_line(&line);
        if *lacks_second_gradients {
            self.board.line(&no_second_gradient(label, finished.used.steps));
        }
        if let Some(share) = share_used.filter(|share| *share < 1.0 && !run.diverged()) {
            self.board.line(&limit_left(label, share));
        }
    }
}

/// A run that is done, in a line. One of a search shows what it is judged by: the test samples are
/// not looked at before the search is over.
fn line(name: &str, run: &Run, searches: bool) -> String {
    let judged =
        if searches { run.best_accuracy.filter(|_| !run.diverged()) } else { run.final_accuracy };
    let accuracy = judged.map_or_else(|| "diverged".to_owned(), percent);
    let on = if searches { " on validation" } else { "" };
    format!(
        "{name}  {accuracy:>8}{on}  {:.2} passes per step  {:.1} s",
        run.passes_per_step, run.training_seconds,
    )
}
