//! The training loop, a step at a time.

mod average;
mod data;
mod decay;
mod fingerprint;
mod finite;
mod measure;
mod measured;
mod position;
mod snapshot;

use std::ops::ControlFlow;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;
use lowland::{BatchInfo, Parameters, Samples, SharpnessAware, Workers};

pub use data::Data;
pub use fingerprint::{Fingerprint, PartPrint};

use crate::config::TrainConfig;
use crate::config::limit::Limit;
use crate::data::{Batches, Loader};
use crate::models::Model;
use crate::record::{EpochRecord, RunRecord, StepRecord, Stretch};
use crate::task::{AnySource, Learning, OnHost, TaskBatch};
use crate::{Error, Result, Spec};
use average::Average;
use decay::sparing;
pub use finite::check_finite;
use measured::Measured;
use position::Position;

/// A training run under way.
pub struct Training {
    config: TrainConfig,
    data: Data,
    device: Device,
    batches: Loader<AnySource>,
    measured: Measured,
    model: Option<Model>,
    /// How batches are learned from.
    learning: Learning,
    /// The average of the weights, where one is asked for.
    average: Option<Average>,
    /// The weights that were best on validation so far, in evaluation.
    best: Option<Model>,
    optimizer: SharpnessAware,
    /// Where there is none, the learning rate follows the steps.
    limit: Option<Limit>,
    record: RunRecord,
    stretch: Stretch,
    position: Position,
    /// The batches of the epoch that are left, once one was asked for.
    rest: Option<Batches<Box<dyn OnHost>>>,
    /// Of the last measurement on the test samples.
    marks: Vec<f64>,
    /// Whether the algorithm chooses steps for second gradients.
    schedules_second_gradients: bool,
}

/// What a training did.
#[derive(Debug, Clone, PartialEq)]
pub enum Done {
    /// A step.
    Step(StepRecord),
    /// The measurement at the end of an epoch.
    Epoch(EpochRecord),
}

impl std::fmt::Debug for Training {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Training")
            .field("config", &self.config)
            .field("optimizer", &self.optimizer)
            .finish_non_exhaustive()
    }
}

impl Training {
    /// Makes model and optimizer, from settings or from a [`Spec`]; nothing is trained yet.
    ///
    /// # Errors
    /// A value out of range, or a model that does not fit the data.
    pub fn new<S>(spec: S, data: &Data, device: &Device) -> Result<Self>
    where
        S: TryInto<Spec>,
        Error: From<S::Error>,
    {
        Self::of(spec.try_into()?, data, device)
    }

    fn of(spec: Spec, data: &Data, device: &Device) -> Result<Self> {
        let config = spec.config().clone();
        let config = &config;
        let task = data.task();
        let batches = Loader::to_learn(task.to_learn(config)?, config.seed, config.batches())?;
        let measured = Measured::new(task, config.batches())?;
        let device = device.clone().autodiff();
        config.precision.check_device(&device)?;
        let model = task.start(config, &device)?;
        check_finite(&model)?;

        let steps_per_epoch = batches.batch_count() as u64;
        let steps = steps_per_epoch.saturating_mul(config.epochs as u64);
        let schedules_second_gradients = spec.schedules_second_gradients();
        let (base, rule) = spec.into_parts(batches.sample_count() as u64)?;
        let base = match sparing(config, &model)? {
            Some(sparing) => sparing,
            None => base,
        };
        let class_weights = match (&config.class_weights, task.class_counts()) {
            (None, _) => None,
            (Some(weights), Some(counts)) => Some(weights.of(&counts)?.into()),
            (Some(_), None) => {
                return Err(Error::Setting {
                    field: "class_weights",
                    found: "weights".to_owned(),
                    allowed: "left out: these samples have no classes",
                });
            }
        };
        let learning = Learning {
            smoothing: config.label_smoothing,
            precision: config.precision,
            class_weights,
        };
        let average = config.ema.map(|decay| Average::new(decay, model.valid()));
        let mut optimizer = SharpnessAware::new(base, rule)?
            .with_seed(config.seed)
            .with_steps_per_epoch(steps_per_epoch)
            .with_total_steps(steps);
        if let Some(norm) = config.clip_norm {
            optimizer = optimizer.with_clip_norm(norm)?;
        }
        let limit = config.limit()?;
        Ok(Self {
            config: config.clone(),
            data: data.clone(),
            device,
            batches,
            measured,
            model: Some(model),
            learning,
            average,
            best: None,
            optimizer,
            limit,
            record: RunRecord::default(),
            stretch: Stretch::of(steps, limit.is_some()),
            position: Position::default(),
            rest: None,
            marks: Vec::new(),
            schedules_second_gradients,
        })
    }

    /// Trains together with other workers, who have made the same training: each takes its part of
    /// every batch. All start with the weights of worker 0.
    ///
    /// # Errors
    /// The model is gone after an error in training; another worker is gone.
    pub fn with_workers(mut self, workers: Workers) -> Result<Self> {
        let (part, parts) = (workers.rank(), workers.count());
        self.batches = self.batches.shard(part, parts)?;
        self.model = Some(workers.share(self.model.take().ok_or(Error::NoModel)?)?);
        self.optimizer = self.optimizer.with_workers(workers);
        Ok(self)
    }

    /// The workers that train together.
    pub fn workers(&self) -> &Workers {
        self.optimizer.workers()
    }

    /// Where the clock decides when the run ends, it is the same clock for all workers: the mean of
    /// theirs.
    fn agree_on_time(&mut self) -> Result<()> {
        if self.limit.is_some() {
            let seconds = self.workers().means(vec![self.position.seconds])?;
            self.position.seconds = seconds[0];
        }
        Ok(())
    }

    /// The steps of an epoch.
    pub fn steps_per_epoch(&self) -> usize {
        self.batches.batch_count()
    }

    /// The number of trainable parameters, in numbers.
    ///
    /// # Errors
    /// The model is gone after an error in training.
    pub fn parameter_count(&self) -> Result<usize> {
        let parameters = Parameters::of(self.model()?)?;
        Ok(parameters.iter().map(|parameter| parameter.shape.num_elements()).sum())
    }

    /// The model as it is now, running statistics up to date.
    ///
    /// # Errors
    /// [`Error::NoModel`] after an error in training.
    pub fn model(&self) -> Result<&Model> {
        self.model.as_ref().ok_or(Error::NoModel)
    }

    /// What the run did so far.
    pub fn record(&self) -> &RunRecord {
        &self.record
    }

    /// Whether there were steps, and none took a second gradient although the algorithm is meant to
    /// take some.
    pub fn lacks_second_gradients(&self) -> bool {
        self.schedules_second_gradients
            && self.optimizer.steps() > 0
            && self.optimizer.second_gradients() == 0
    }

    /// Where it trains.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.optimizer.steps()
    }

    /// Gradient evaluations of a whole batch so far.
    pub fn passes(&self) -> f64 {
        self.optimizer.passes()
    }

    /// Seconds of training steps so far, measuring left out.
    pub fn seconds(&self) -> f64 {
        self.record.seconds() + self.position.seconds
    }

    /// The share of the limit on passes or seconds that is used up, 0 to 1; `None` where there is
    /// none.
    pub fn share_used(&self) -> Option<f64> {
        self.limit.map(|limit| limit.share(self.passes(), self.seconds()))
    }

    /// How many steps the run will have, as far as can be said now.
    pub fn expected_steps(&self) -> u64 {
        let all = (self.steps_per_epoch() as u64).saturating_mul(self.config.epochs as u64);
        match self.share_used() {
            Some(share) if share > 0.0 => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a conversion from floating point saturates"
                )]
                let steps = (self.steps() as f64 / share).ceil() as u64;
                steps.min(all)
            }
            _ => all,
        }
    }

    fn is_used_up(&self) -> bool {
        self.share_used().is_some_and(|share| share >= 1.0)
    }

    /// Whether all steps of the epoch are taken, or all that the limit allows, and its measurement
    /// comes next.
    pub fn is_at_end_of_epoch(&self) -> bool {
        let steps = self.position.steps;
        steps == self.steps_per_epoch() || (steps > 0 && self.is_used_up())
    }

    /// Whether all epochs are done, the limit is used up and what it bought is measured, or nothing
    /// better came on validation for as long as the settings allow.
    pub fn is_done(&self) -> bool {
        let at_end = self.position.steps == 0;
        let epochs = &self.record.epochs;
        epochs.len() >= self.config.epochs
            || (at_end && self.config.has_waited(epochs))
            || (at_end && self.is_used_up())
    }

    /// Trains for the rest of the epoch and measures after it. `each_step` sees every step and can
    /// stop the run in the middle, which can then be resumed; `None` comes back.
    ///
    /// # Errors
    /// As [`advance`](Self::advance).
    pub fn epoch(
        &mut self,
        each_step: &mut dyn FnMut(&StepRecord) -> ControlFlow<()>,
    ) -> Result<Option<EpochRecord>> {
        while let Some(done) = self.advance()? {
            match done {
                Done::Epoch(record) => return Ok(Some(record)),
                Done::Step(record) if each_step(&record).is_break() => return Ok(None),
                Done::Step(_) => {}
            }
        }
        Ok(None)
    }

    /// Takes the next step or, where all steps of an epoch are taken or a limit is used up,
    /// measures; `None` where all is done.
    ///
    /// # Errors
    /// The loss or gradient was not finite for too many steps in a row. The model is gone then.
    pub fn advance(&mut self) -> Result<Option<Done>> {
        if self.is_done() {
            return Ok(None);
        }
        let epoch = self.record.epochs.len();
        let started = Instant::now();
        let batch = if self.is_used_up() {
            None
        } else {
            let (batches, first) = (&self.batches, self.position.steps);
            self.rest.get_or_insert_with(|| batches.epoch_from(epoch as u64, first)).next()
        };
        if let Some(batch) = batch {
            let batch = batch.to_device(&self.device);
            let step = self.step(epoch, &*batch)?;
            let samples = self.batches.batch_len(self.position.steps);
            self.position.count(&step, samples, started);
            self.agree_on_time()?;
            return Ok(Some(Done::Step(step)));
        }
        self.rest = None;
        // Devices that work behind the program's back have not finished yet.
        drop(self.device.sync());
        self.position.seconds += started.elapsed().as_secs_f64();
        self.agree_on_time()?;
        Ok(Some(Done::Epoch(self.measure(epoch)?)))
    }

    /// The learning rate of the next step.
    fn rate(&mut self) -> f64 {
        let share = match self.share_used() {
            Some(share) => {
                // Rules that change on the way go as the learning rate does.
                let steps = self.expected_steps();
                self.optimizer.set_total_steps(steps);
                share
            }
            None => self.steps() as f64 / self.expected_steps() as f64,
        };
        let optimizer = &self.config.optimizer;
        optimizer.schedule.rate(optimizer.learning_rate, share)
    }

    fn step(&mut self, epoch: usize, batch: &dyn TaskBatch) -> Result<StepRecord> {
        let model = self.model.take().ok_or(Error::NoModel)?;
        let learning_rate = self.rate();
        let learning = self.learning.clone();
        let sizes = self.config.micro_batch.map(|size| pieces(batch.indices().len(), size));
        let sizes = sizes.unwrap_or_default();
        let info = BatchInfo::default()
            .with_indices(batch.indices())
            .with_micro_batches(&sizes, self.config.ascent_scope.accumulate());
        let losses = |model: &Model, piece: usize, samples: &Samples| {
            if sizes.len() > 1 {
                let start: usize = sizes[..piece].iter().sum();
                batch.piece(start..start + sizes[piece]).losses(model, samples, learning.clone())
            } else {
                batch.losses(model, samples, learning.clone())
            }
        };
        let (model, report) =
            self.optimizer.step_micro_batches(learning_rate, model, &info, losses)?;
        if let Some(average) = self.average.take() {
            self.average = Some(average.add(&model.valid(), self.optimizer.steps()));
        }
        self.model = Some(model);

        let values = report.values()?;
        let record = StepRecord {
            step: report.step + 1,
            epoch: epoch + 1,
            loss: values.loss,
            learning_rate,
            passes: report.passes,
            second_gradient: report.second_gradient,
            skipped: report.skipped,
            gradient_norm: values.gradient_norm,
            perturbed_norm: values.perturbed_norm,
            radius: values.radius,
            psf_norm: values.psf_norm,
            cosine: values.cosine,
        };
        self.record.sampling.extend(self.stretch.count(&record));
        Ok(record)
    }
}

/// The sizes of the pieces that a batch is taken in: all of `size`, but the last.
fn pieces(count: usize, size: usize) -> Vec<usize> {
    (0..count).step_by(size).map(|start| size.min(count - start)).collect()
}
