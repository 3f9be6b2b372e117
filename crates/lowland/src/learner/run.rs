//! A training of Burn's `Learner` under way.

use std::sync::Arc;

use burn::data::dataloader::Progress;
use burn::train::{
    EventProcessorTraining, InferenceStep, Interrupter, Learner, LearnerEvent, LearnerModel,
    SupervisedTrainingEventProcessor, TrainLoader, TrainStep, TrainingError, TrainingItem,
    ValidLoader,
};

use super::metric::{Link, Numbers};
use super::steps::{Learned, Steps};
use crate::step::batch::{Accumulate, BatchInfo};
use crate::step::driver::Driver;
use crate::{Result, StepReport};

/// A training under way.
pub(super) struct Run<'a, M: LearnerModel> {
    pub(super) link: &'a Link,
    pub(super) driver: Driver,
    pub(super) learner: Learner<M>,
    pub(super) train: TrainLoader<M>,
    pub(super) valid: ValidLoader<M>,
    /// How many batches a step takes together.
    pub(super) accumulation: usize,
    /// The number of epochs in all.
    pub(super) epochs: usize,
    pub(super) events: SupervisedTrainingEventProcessor<M>,
    pub(super) interrupter: Interrupter,
}

/// A batch, and where in the epoch it stands.
struct Place {
    progress: Progress,
    iteration: usize,
}

impl<M> Run<'_, M>
where
    M: LearnerModel,
    <M as TrainStep>::Input: Clone,
{
    pub(super) fn train(&mut self, epoch: usize) {
        let (epoch_number, total_items) = (epoch, self.train.num_items());
        self.send(|events| {
            events.process_train(LearnerEvent::StartSplit { epoch_number, total_items })
        });
        self.train_epoch();
        self.send(|events| events.process_train(LearnerEvent::EndSplit(epoch)));
    }

    fn train_epoch(&mut self) {
        let loader = Arc::clone(&self.train);
        let mut iterator = loader.iter();
        let (mut inputs, mut places) = (Vec::new(), Vec::new());
        let mut iteration = 0;
        while let Some(input) = iterator.next() {
            match input {
                Ok(input) => inputs.push(input),
                Err(error) => return self.interrupter.fail(error),
            }
            iteration += 1;
            let progress = iterator.progress();
            if iteration == 1 {
                self.measure_epoch(&progress);
            }
            let due = inputs.len() >= self.accumulation || progress.is_completed();
            places.push(Place { progress, iteration });
            if due {
                self.step(std::mem::take(&mut inputs), std::mem::take(&mut places));
            }
            if self.interrupter.should_stop() {
                return;
            }
        }
        if !inputs.is_empty() {
            self.step(inputs, places);
        }
    }

    /// Finds the number of steps in an epoch, where it is not known, from the size of the first
    /// batch.
    fn measure_epoch(&mut self, first: &Progress) {
        if self.driver.settings.steps_per_epoch.is_none() && first.items_processed > 0 {
            let batches = first.items_total.div_ceil(first.items_processed);
            let steps = batches.div_ceil(self.accumulation) as u64;
            self.driver.settings.set_steps_per_epoch(steps, self.epochs);
        }
    }

    /// One step of the optimizer on one batch, or on several that are accumulated.
    fn step(&mut self, inputs: Vec<<M as TrainStep>::Input>, places: Vec<Place>) {
        self.learner.lr_step();
        let mut steps = Steps { inputs, outputs: Vec::new() };
        let stepped = self.optimize(&mut steps).and_then(|report| Numbers::of(&report));
        let numbers = match stepped {
            Ok(numbers) => numbers,
            Err(error) => return self.link.fail(error, &self.interrupter),
        };
        self.link.lock().spent = self.driver.state.spent;
        for (output, Place { progress, iteration }) in steps.outputs.into_iter().zip(places) {
            self.link.send(numbers);
            let lr = self.learner.lr_current();
            let item = TrainingItem::new(output, progress, Some(iteration), Some(lr));
            self.send(|events| events.process_train(LearnerEvent::ProcessedItem(item)));
        }
    }

    fn optimize(&mut self, steps: &mut Steps<M>) -> Result<StepReport> {
        // Only their number counts.
        let sizes = vec![1; steps.inputs.len()];
        let batch = BatchInfo::default().with_micro_batches(&sizes, Accumulate::WholeBatch);
        let model = self.learner.model();
        let (_, report) =
            self.driver.step(&mut Learned(&mut self.learner), model, &batch, steps)?;
        Ok(report)
    }

    pub(super) fn validate(&mut self, epoch: usize) {
        let (epoch_number, total_items) = (epoch, self.valid.num_items());
        self.send(|events| {
            events.process_valid(LearnerEvent::StartSplit { epoch_number, total_items })
        });
        self.validate_epoch();
        self.send(|events| events.process_valid(LearnerEvent::EndSplit(epoch)));
    }

    fn validate_epoch(&mut self) {
        let model = self.learner.model().valid();
        let loader = Arc::clone(&self.valid);
        let mut iterator = loader.iter();
        let mut iteration = 0;
        while let Some(input) = iterator.next() {
            let input = match input {
                Ok(input) => input,
                Err(error) => return self.interrupter.fail(error),
            };
            iteration += 1;
            let progress = iterator.progress();
            let output = InferenceStep::step(&model, input);
            let item = TrainingItem::new(output, progress, Some(iteration), None);
            self.send(|events| events.process_valid(LearnerEvent::ProcessedItem(item)));
            if self.interrupter.should_stop() {
                return;
            }
        }
    }

    /// Hands something to Burn's processor of events; training stops where that fails.
    pub(super) fn send<E: Into<TrainingError>>(
        &mut self,
        what: impl FnOnce(&mut SupervisedTrainingEventProcessor<M>) -> Result<(), E>,
    ) {
        self.interrupter.fail_on_error(what(&mut self.events));
    }
}
