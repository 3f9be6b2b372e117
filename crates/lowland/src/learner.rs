//! Training by Burn's `Learner` (feature `train`): its dashboard, metrics, checkpoints, early
//! stopping and gradient accumulation, with any full-batch algorithm of the family.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use burn::train::{
    EventProcessorTraining, Learner, LearnerEvent, LearnerModel, LearningResult,
    SupervisedLearningStrategy, SupervisedTraining, SupervisedTrainingEventProcessor, TrainLoader,
    TrainStep, TrainingComponents, TrainingStrategy, ValidLoader,
};

use crate::rule::{Cost, Rule};
use crate::step::driver::Driver;
use crate::{Diagnostics, Error, Result};

mod checkpoint;
mod metric;
mod run;
mod steps;

pub use checkpoint::RuleCheckpointer;
use checkpoint::read_state;
use metric::Link;
pub use metric::{Quantity, StepMetric};
use run::Run;

/// Trains the model of a Burn `Learner` with a rule, on one device.
///
/// The `Learner`'s own optimizer and learning rate are the base, by way of the model's
/// `TrainStep::optimize`: `w ← base(w, rule(surface))`. Gradients are those of the model's
/// [`TrainStep`], taken once for each evaluation on a clone of the batch, at the weights or on a
/// perturbed copy of the model; metrics see the output of the first one. All rules of a step of
/// [`SharpnessAware`](crate::SharpnessAware) hold, and the same seed gives the same weights as a
/// loop around it. What differs:
///
/// - A `TrainStep` gives gradients of whole batches and no losses: a rule that chooses samples is
///   refused, and a step is left out where its *gradient* is not finite.
/// - With gradient accumulation, the batches that are accumulated are one batch to the rule, which
///   is asked once for them: both gradients are taken over all of them, each at one point. They are
///   summed, as Burn does it, not averaged: the learning rate means what it means to Burn, and a
///   radius that grows with the gradient (that of the raw gradient) grows with their number.
/// - A model in which one tensor stands in several places is refused ([`Error::Tied`]): a `Learner`
///   steps the first of them only, so that they would come apart.
/// - A rule that moves the weights after the base optimizer's step (decoupled WSAM) is refused
///   ([`Error::Displacement`]).
/// - The number of steps in an epoch, which a warm-up in epochs needs, follows from the loader: its
///   number of items and the size of the first batch.
///   [`with_steps_per_epoch`](Self::with_steps_per_epoch) overrides it.
/// - A training that resumes repeats the order of the first epochs where the loader shuffles:
///   Burn's loaders start their shuffling anew. A warning says so.
/// - `SupervisedTraining::gradient_checkpointing` does not reach a strategy. Put the model on a
///   device that has it (`Device::gradient_checkpointing`), or pass that device to
///   [`with_device`](Self::with_device).
///
/// Clones share what a training leaves behind: [`error`](Self::error), [`spent`](Self::spent),
/// metrics and checkpoints. Each training starts with the rule as it was given.
///
/// # Example
/// ARSAM at 1.2 passes per step, with a metric of its own and checkpoints from which it resumes
/// exactly:
/// ```
/// # use burn::data::dataloader::DataLoaderBuilder;
/// # use burn::data::dataloader::batcher::Batcher;
/// # use burn::data::dataset::InMemDataset;
/// # use burn::nn::{Linear, LinearConfig};
/// # use burn::prelude::*;
/// # use burn::train::metric::ItemLazy;
/// # use burn::train::{InferenceStep, RegressionOutput, TrainOutput, TrainStep};
/// # use burn::train::renderer::{CliMetricsRenderer, MetricsRenderer};
/// use burn::optim::SgdConfig;
/// use burn::train::checkpoint::FileCheckpointer;
/// use burn::train::metric::LossMetric;
/// use burn::train::{Learner, SupervisedTraining};
/// use lowland::ArsamConfig;
/// use lowland::learner::{Quantity, SharpnessAwareStrategy};
/// # #[derive(Module, Debug)]
/// # struct Model { linear: Linear }
/// # impl Model {
/// #     fn outcome(&self, x: Tensor<2>) -> RegressionOutput {
/// #         let y = self.linear.forward(x.clone());
/// #         let target = x.sum_dim(1);
/// #         let loss = (y.clone() - target.clone()).square().mean();
/// #         RegressionOutput::new(loss, y, target)
/// #     }
/// # }
/// # impl TrainStep for Model {
/// #     type Input = Tensor<2>;
/// #     type Output = RegressionOutput;
/// #     fn step(&self, x: Tensor<2>) -> TrainOutput<RegressionOutput> {
/// #         let outcome = self.outcome(x);
/// #         TrainOutput::new(self, outcome.loss.backward(), outcome)
/// #     }
/// # }
/// # impl InferenceStep for Model {
/// #     type Input = Tensor<2>;
/// #     type Output = RegressionOutput;
/// #     fn step(&self, x: Tensor<2>) -> RegressionOutput { self.outcome(x) }
/// # }
/// # #[derive(Clone)]
/// # struct Stack;
/// # impl Batcher<[f32; 3], Tensor<2>> for Stack {
/// #     fn batch(&self, rows: Vec<[f32; 3]>, device: &Device) -> Tensor<2> {
/// #         let count = rows.len();
/// #         Tensor::from_data(TensorData::new(rows.concat(), [count, 3]), device)
/// #     }
/// # }
/// # let device = Device::flex().autodiff();
/// # let model = Model { linear: LinearConfig::new(3, 1).init(&device) };
/// # let rows: Vec<[f32; 3]> = (0..64).map(|i| [0.1, 0.2, 0.3].map(|x: f32| (x * i as f32).sin())).collect();
/// # let loader = || DataLoaderBuilder::new(Stack).batch_size(8).build(InMemDataset::new(rows.clone()));
/// # let (train, valid) = (loader(), loader());
/// # let directory = tempfile::tempdir().unwrap();
/// # let directory = directory.path();
///
/// let strategy = SharpnessAwareStrategy::new(ArsamConfig::default().with_budget(1.2))?;
/// let checkpoints = directory.join("checkpoint");
/// let training = SupervisedTraining::new(directory, train, valid)
///     .num_epochs(3)
///     .metrics((LossMetric::new(),))
///     .metric_train_numeric(strategy.metric(Quantity::Passes))
///     .with_custom_checkpointers(
///         FileCheckpointer::new(&checkpoints, "model"),
///         strategy.checkpointer(&checkpoints),
///         FileCheckpointer::new(&checkpoints, "scheduler"),
///     );
/// # let training = training.renderer(Box::new(CliMetricsRenderer::new()));
/// let learner = Learner::new(model, SgdConfig::new().init(), 0.1);
/// let result = strategy.launch(training, learner)?;
/// # assert!(result.error.is_none());
/// # let weights = result.model.linear.weight.val().into_data();
/// # assert!(weights.iter::<f32>().all(f32::is_finite));
/// # Ok::<(), lowland::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SharpnessAwareStrategy {
    driver: Driver,
    device: Option<Device>,
    link: Arc<Link>,
}

impl SharpnessAwareStrategy {
    /// Trains with an algorithm or a rule of your own, as
    /// [`SharpnessAware::new`](crate::SharpnessAware::new) takes them, on the device of the model.
    /// The defaults: a seed drawn from the device, no clipping, at most 10 non-finite steps in a
    /// row, [`Diagnostics::All`].
    ///
    /// # Errors
    /// A setting outside its allowed range, named; [`Error::WholeBatches`] for an algorithm that
    /// chooses samples.
    pub fn new<R>(rule: R) -> Result<Self>
    where
        R: TryInto<Box<dyn Rule>, Error: Into<Error>>,
    {
        let rule = rule.try_into().map_err(Into::into)?;
        if rule.chooses_samples() {
            return Err(Error::WholeBatches);
        }
        Ok(Self { driver: Driver::new(rule), device: None, link: Arc::default() })
    }

    /// Trains on this device.
    #[must_use]
    pub fn with_device(mut self, device: Device) -> Self {
        self.device = Some(device);
        self
    }

    /// As [`SharpnessAware::with_seed`](crate::SharpnessAware::with_seed).
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.driver.settings.seed = Some(seed);
        self
    }

    /// Sets the number of the optimizer's steps in an epoch. Default: what the loader's number of
    /// items and its first batch give.
    #[must_use]
    pub fn with_steps_per_epoch(mut self, steps: u64) -> Self {
        self.driver.settings.steps_per_epoch = Some(steps);
        self
    }

    /// As [`SharpnessAware::with_clip_norm`](crate::SharpnessAware::with_clip_norm).
    ///
    /// # Errors
    /// A norm that is not positive and finite.
    pub fn with_clip_norm(mut self, norm: f64) -> Result<Self> {
        self.driver.settings.set_clip_norm(norm)?;
        Ok(self)
    }

    /// As [`SharpnessAware::with_non_finite_limit`](crate::SharpnessAware::with_non_finite_limit).
    #[must_use]
    pub fn with_non_finite_limit(mut self, steps: u32) -> Self {
        self.driver.settings.non_finite_limit = steps;
        self
    }

    /// As [`SharpnessAware::with_diagnostics`](crate::SharpnessAware::with_diagnostics).
    /// [`Quantity::PsfNorm`] has values with [`Diagnostics::All`] alone.
    #[must_use]
    pub fn with_diagnostics(mut self, diagnostics: Diagnostics) -> Self {
        self.driver.settings.diagnostics = diagnostics;
        self
    }

    /// Launches a training with this strategy, and returns what ended it before its time as an
    /// error. Errors that are Burn's own stay in the result's `error`, beside the model.
    ///
    /// # Errors
    /// Whatever a [step](crate::SharpnessAware::step) gives; [`Error::Record`] for a checkpoint
    /// that does not fit, [`Error::Checkpoints`] where the rule's state would not be saved.
    pub fn launch<M>(
        &self,
        training: SupervisedTraining<M>,
        learner: Learner<M>,
    ) -> Result<LearningResult<M>>
    where
        M: LearnerModel,
        <M as TrainStep>::Input: Clone,
    {
        let training = training.with_training_strategy(self.clone().into());
        let result = training.launch(learner);
        self.error().map_or(Ok(result), Err)
    }

    /// Creates a metric for `SupervisedTraining::metric_train_numeric`. Use a new one for each
    /// training.
    pub fn metric(&self, quantity: Quantity) -> StepMetric {
        StepMetric::new(quantity, self.link.follow())
    }

    /// Saves and loads the state of the optimizer as Burn's
    /// `FileCheckpointer::new(directory, "optim")` does and, in the same directory, for the same
    /// epochs, that of the rule. The second of `SupervisedTraining::with_custom_checkpointers`;
    /// without it, a training with checkpoints is refused.
    ///
    /// What `SupervisedTraining::checkpoint` restores is then all that the steps depend on but the
    /// order of the data: a loader of Burn's that shuffles starts its shuffling anew.
    pub fn checkpointer(&self, directory: impl AsRef<Path>) -> RuleCheckpointer {
        RuleCheckpointer::new(directory.as_ref(), Arc::clone(&self.link))
    }

    /// What ended the latest training before its time, where it was not Burn. Burn's own result
    /// then holds the same as text.
    pub fn error(&self) -> Option<Error> {
        self.link.lock().error.clone()
    }

    /// What the latest training has cost so far.
    pub fn spent(&self) -> Cost {
        self.link.lock().spent
    }

    /// The driver of a training that is about to start, with the saved state where it resumes.
    fn start<M: LearnerModel>(
        &self,
        components: &TrainingComponents<M>,
        model: &M,
    ) -> Result<Driver> {
        let mut driver = self.driver.clone();
        if let Some(steps) = driver.settings.steps_per_epoch {
            driver.settings.set_steps_per_epoch(steps, components.num_epochs);
        }
        let directory = self.link.lock().directory.clone();
        if components.checkpointer.is_some() && directory.is_none() {
            return Err(Error::Checkpoints);
        }
        if let Some(epoch) = components.checkpoint {
            // Burn starts anew where nothing is there to load from.
            let directory = directory.ok_or(Error::Checkpoints)?;
            driver.load(read_state(&directory, epoch)?, model)?;
            tracing::warn!(
                epoch,
                "a loader of Burn's that shuffles starts anew: the order of the data after this \
                 resume is that of the first epochs"
            );
        }
        Ok(driver)
    }
}

impl<M> From<SharpnessAwareStrategy> for TrainingStrategy<M>
where
    M: LearnerModel,
    <M as TrainStep>::Input: Clone,
{
    #[expect(
        clippy::arc_with_non_send_sync,
        reason = "Burn asks for an `Arc` and stays on one thread"
    )]
    fn from(strategy: SharpnessAwareStrategy) -> Self {
        Self::Custom(Arc::new(strategy))
    }
}

impl<M> SupervisedLearningStrategy<M> for SharpnessAwareStrategy
where
    M: LearnerModel,
    <M as TrainStep>::Input: Clone,
{
    fn fit(
        &self,
        components: TrainingComponents<M>,
        mut learner: Learner<M>,
        train: TrainLoader<M>,
        valid: ValidLoader<M>,
        starting_epoch: usize,
    ) -> (M, SupervisedTrainingEventProcessor<M>) {
        self.link.reset();
        let device = self.device.clone().or_else(|| learner.model().devices().into_iter().next());
        let device = device.unwrap_or_default();
        let device = if device.is_autodiff() { device } else { device.autodiff() };
        learner.fork(&device);
        let driver = match self.start(&components, &learner.model()) {
            Ok(driver) => driver,
            Err(error) => {
                self.link.fail(error, &components.interrupter);
                return (learner.model(), components.event_processor);
            }
        };
        let epochs = starting_epoch..=components.num_epochs;
        let mut run = Run {
            train: train.to_device(&device),
            valid: valid.to_device(&device.inner()),
            accumulation: components.grad_accumulation.unwrap_or(1),
            epochs: components.num_epochs,
            interrupter: components.interrupter.clone(),
            link: &self.link,
            driver,
            learner,
            events: components.event_processor,
        };
        let mut checkpointer = components.checkpointer;
        let mut early_stopping = components.early_stopping;

        for epoch in epochs {
            run.train(epoch);
            if run.interrupter.should_stop() {
                break;
            }
            run.validate(epoch);
            run.send(|events| events.process_train(LearnerEvent::EndEpoch(epoch)));
            if checkpointer.is_some() || early_stopping.is_some() {
                // Both look at metrics.
                run.send(EventProcessorTraining::flush);
            }
            if run.interrupter.should_stop() {
                break;
            }
            if let Some(checkpointer) = &mut checkpointer {
                self.link.keep(epoch, run.driver.clone());
                checkpointer.checkpoint(&run.learner, epoch, &components.event_store);
            }
            if let Some(early_stopping) = &mut early_stopping
                && early_stopping.should_stop(epoch, &components.event_store)
            {
                break;
            }
        }
        // Ends once all is written.
        drop(checkpointer);
        if let Some(interruption) = run.interrupter.interruption() {
            tracing::info!(reason = interruption.reason, "training was interrupted");
        }
        (run.learner.model(), run.events)
    }
}
