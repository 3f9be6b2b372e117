//! What steps cost and found, as metrics of Burn's dashboard, and how it gets there.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::tensor::TensorReadError;
use burn::train::checkpoint::CheckpointerError;
use burn::train::metric::state::{FormatOptions, NumericMetricState};
use burn::train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry,
    SerializedEntry,
};
use burn::train::train::WorkerFailure;
use burn::train::{Interrupter, TrainingError};

use crate::rule::{Cost, PSF_NORM};
use crate::step::driver::Driver;
use crate::{Error, Result, StepReport};

/// What a strategy shares with its metrics and checkpoints, which Burn runs on threads of their
/// own.
#[derive(Debug, Default)]
pub(super) struct Link(Mutex<Shared>);

#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) error: Option<Error>,
    pub(super) spent: Cost,
    /// Where the rule's state is saved.
    pub(super) directory: Option<PathBuf>,
    /// The states at the ends of the latest epochs.
    snapshots: VecDeque<(usize, Driver)>,
    followers: Vec<Sender<Numbers>>,
}

impl Link {
    /// Ends a training. Burn's errors have no place for ours but as text.
    pub(super) fn fail(&self, error: Error, interrupter: &Interrupter) {
        let message = error.to_string();
        let failure = match &error {
            Error::Checkpoints | Error::Record { .. } => {
                TrainingError::Checkpoint(CheckpointerError::Unknown(message))
            }
            // Burn's word for a training step that failed.
            _ => TrainingError::Workers(vec![WorkerFailure { device_id: 0, message }]),
        };
        self.lock().error = Some(error);
        interrupter.fail(failure);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the training before.
    pub(super) fn reset(&self) {
        let mut shared = self.lock();
        shared.error = None;
        shared.spent = Cost::default();
        shared.snapshots.clear();
    }

    /// Keeps the state at the end of an epoch for as long as Burn may want to save it, which it
    /// does in the background: the one before may still be under way.
    pub(super) fn keep(&self, epoch: usize, driver: Driver) {
        let snapshots = &mut self.lock().snapshots;
        snapshots.truncate(1);
        snapshots.push_front((epoch, driver));
    }

    /// The state at the end of an epoch.
    pub(super) fn kept(&self, epoch: usize) -> Option<Driver> {
        let shared = self.lock();
        let found = shared.snapshots.iter().find(|(of, _)| *of == epoch);
        found.map(|(_, driver)| driver.clone())
    }

    pub(super) fn follow(&self) -> Receiver<Numbers> {
        let (sender, receiver) = channel();
        self.lock().followers.push(sender);
        receiver
    }

    /// Sends all metrics the numbers of the next item that Burn will show them.
    pub(super) fn send(&self, numbers: Numbers) {
        self.lock().followers.retain(|follower| follower.send(numbers).is_ok());
    }
}

/// The numbers of a step that metrics show.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers {
    passes: f64,
    psf_norm: Option<f64>,
    second_gradient: bool,
}

impl Numbers {
    pub(super) fn of(report: &StepReport) -> Result<Self> {
        // Nothing is read back for it where nothing is to be measured.
        let noted = report.notes.iter().any(|(name, _)| *name == PSF_NORM);
        let psf_norm = if noted { report.values()?.psf_norm } else { None };
        let psf_norm = psf_norm.filter(|norm| norm.is_finite());
        let StepReport { passes, second_gradient, .. } = *report;
        Ok(Self { passes, psf_norm, second_gradient })
    }
}

/// What a [`StepMetric`] shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// The cost of a step, in gradient evaluations of a whole batch.
    Passes,
    /// `‖g_s − g‖`, at steps that took both gradients.
    PsfNorm,
    /// The share of steps that took a gradient at perturbed weights beside the plain one.
    SecondGradients,
}

impl Quantity {
    fn name(self) -> &'static str {
        match self {
            Self::Passes => "Passes",
            Self::PsfNorm => "PSF Norm",
            Self::SecondGradients => "Second Gradients",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::Passes => "the cost of a step, in gradient evaluations of a whole batch",
            Self::PsfNorm => "the norm of the difference of the two gradients, at steps with both",
            Self::SecondGradients => "the share of steps with a second gradient",
        }
    }

    fn of(self, numbers: Numbers) -> Option<f64> {
        match self {
            Self::Passes => Some(numbers.passes),
            Self::PsfNorm => numbers.psf_norm,
            Self::SecondGradients => Some(f64::from(u8::from(numbers.second_gradient))),
        }
    }
}

/// A number of each step, and its mean over the epoch: a training metric for any model.
/// [`SharpnessAwareStrategy::metric`](super::SharpnessAwareStrategy::metric) makes it.
#[derive(Debug, Clone)]
pub struct StepMetric {
    quantity: Quantity,
    name: MetricName,
    numbers: Arc<Mutex<Receiver<Numbers>>>,
    state: State,
}

/// As [`NumericMetricState`], which cannot be shown in debugging, and whether the latest step had a
/// value.
#[derive(Clone, Default)]
struct State {
    numeric: NumericMetricState,
    latest: bool,
    any: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("any", &self.any).finish_non_exhaustive()
    }
}

impl StepMetric {
    pub(super) fn new(quantity: Quantity, numbers: Receiver<Numbers>) -> Self {
        Self {
            quantity,
            name: Arc::new(quantity.name().to_owned()),
            numbers: Arc::new(Mutex::new(numbers)),
            state: State::default(),
        }
    }

    fn format(&self) -> FormatOptions {
        FormatOptions::new(Arc::clone(&self.name)).precision(3)
    }
}

impl Metric for StepMetric {
    type Input = ();

    fn name(&self) -> MetricName {
        Arc::clone(&self.name)
    }

    fn description(&self) -> Option<String> {
        Some(self.quantity.description().to_owned())
    }

    fn attributes(&self) -> MetricAttributes {
        NumericAttributes { unit: None, higher_is_better: false }.into()
    }

    fn update(
        &mut self,
        (): &(),
        _metadata: &MetricMetadata,
    ) -> Result<SerializedEntry, TensorReadError> {
        let numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner).try_recv();
        let value = numbers.ok().and_then(|numbers| self.quantity.of(numbers));
        self.state.latest = value.is_some();
        let Some(value) = value else { return Ok(SerializedEntry::not_available(None)) };
        self.state.any = true;
        self.state.numeric.update(value, 1);
        Ok(self.state.numeric.compute_update(self.format()))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        Ok(if self.state.any {
            self.state.numeric.compute_final(self.format())
        } else {
            SerializedEntry::not_available(None)
        })
    }

    fn clear(&mut self) {
        self.state = State::default();
    }
}

impl Numeric for StepMetric {
    fn value(&self) -> Option<NumericEntry> {
        self.state.latest.then(|| self.state.numeric.current_value())
    }

    fn running_value(&self) -> Option<NumericEntry> {
        self.state.any.then(|| self.state.numeric.running_value())
    }

    fn final_value(&self) -> NumericEntry {
        self.state.numeric.final_value()
    }
}
