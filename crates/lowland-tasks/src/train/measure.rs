//! What a training measures: after each epoch on validation, where there is such a part, and at the
//! end on the test samples.

use std::collections::BTreeMap;

use burn::module::Module;

use super::Training;
use crate::data::Loader;
use crate::models::Model;
use crate::record::{EpochRecord, TestRecord, best_epoch};
use crate::task::{AnySource, Outcome, Picture, Split, Task};
use crate::{Error, Result};

/// What was measured on some samples, and of how many.
struct Figures {
    outcome: Outcome,
    samples: usize,
}

impl Figures {
    /// The mean loss, where it is finite.
    fn loss(&self) -> Option<f64> {
        Some(self.outcome.loss / self.samples as f64).filter(|loss| loss.is_finite())
    }

    /// What the task is measured by; a network whose outputs are not finite has none.
    fn accuracy(&self, task: &dyn Task) -> Option<f64> {
        self.loss().map(|_| task.measured(&self.outcome))
    }

    fn scores(&self, task: &dyn Task, split: Split) -> BTreeMap<String, f64> {
        match self.loss() {
            Some(_) => task.scores(split, &self.outcome.marks),
            None => BTreeMap::new(),
        }
    }
}

impl Training {
    /// What the network makes of all test samples, at the weights as they are.
    ///
    /// # Errors
    /// The device fails.
    pub fn evaluate(&self) -> Result<Outcome> {
        self.evaluate_model(&self.model()?.valid())
    }

    /// What a network in evaluation makes of all test samples.
    ///
    /// # Errors
    /// The device fails.
    pub fn evaluate_model(&self, model: &Model) -> Result<Outcome> {
        Ok(self.figures(&self.measured.test, model)?.outcome)
    }

    fn figures(&self, samples: &Loader<AnySource>, model: &Model) -> Result<Figures> {
        let device = self.device.clone().without_autodiff();
        let mut outcome = Outcome::default();
        for batch in samples.epoch(0) {
            outcome.add(batch.to_device(&device).measure(model)?);
        }
        Ok(Figures { outcome, samples: samples.sample_count() })
    }

    /// What the average of the weights makes of some samples, where one is kept.
    fn average_figures(&self, samples: &Loader<AnySource>) -> Result<Option<Figures>> {
        self.average.as_ref().map(|average| self.figures(samples, average.model())).transpose()
    }

    /// The average of the weights, in evaluation, where one is kept.
    pub fn average(&self) -> Option<&Model> {
        self.average.as_ref().map(super::average::Average::model)
    }

    /// Pictures of the first `count` test samples with what the network made of them at the last
    /// measurement there; none where the task has none, and where nothing was measured yet.
    ///
    /// # Errors
    /// A picture that cannot be drawn.
    pub fn pictures(&self, count: usize) -> Result<Vec<Picture>> {
        self.data.task.pictures(&self.marks, count)
    }

    /// The epoch whose weights the run is judged by, and those weights in evaluation: the best on
    /// validation so far, or the last where there is no validation part.
    ///
    /// # Errors
    /// [`Error::NoModel`] after an error in training.
    pub fn chosen(&self) -> Result<(usize, Model)> {
        match (best_epoch(&self.record.epochs), &self.best) {
            (Some(epoch), Some(model)) => Ok((epoch.epoch, model.clone())),
            _ => Ok((self.record.epochs.len(), self.model()?.valid())),
        }
    }

    /// Measures the weights that the run is judged by on the test samples: once, at its end. Where
    /// there is no validation part, these are the weights of the last epoch, and its measurement is
    /// this one.
    ///
    /// # Errors
    /// [`Error::Setting`] before the end of the first epoch; the device fails.
    pub fn test(&mut self) -> Result<TestRecord> {
        if let Some(test) = &self.record.test {
            return Ok(test.clone());
        }
        let last = self.record.epochs.last().ok_or_else(|| Error::Setting {
            field: "test",
            found: "no epoch that is done".to_owned(),
            allowed: "measured after an epoch or more",
        })?;
        let chosen_on_validation = self.best.is_some();
        let task = &*self.data.task;
        let test = if self.measured.validation.is_some() {
            let (epoch, model) = self.chosen()?;
            let found = self.figures(&self.measured.test, &model)?;
            let average = self.average_figures(&self.measured.test)?;
            let record = TestRecord {
                epoch,
                chosen_on_validation,
                test_loss: found.loss(),
                test_accuracy: found.accuracy(task),
                average_accuracy: average.as_ref().and_then(|average| average.accuracy(task)),
                average_loss: average.as_ref().and_then(Figures::loss),
                scores: found.scores(task, Split::Test),
            };
            self.marks = found.outcome.marks;
            record
        } else {
            TestRecord {
                epoch: last.epoch,
                chosen_on_validation,
                test_loss: last.test_loss,
                test_accuracy: last.test_accuracy,
                average_accuracy: last.average_accuracy,
                average_loss: last.average_loss,
                scores: last.scores.clone(),
            }
        };
        self.record.test = Some(test.clone());
        Ok(test)
    }

    /// Measures after an epoch and begins the next one.
    pub(super) fn measure(&mut self, epoch: usize) -> Result<EpochRecord> {
        let model = self.model()?.valid();
        let train = self.figures(&self.measured.train, &model)?;
        let (split, samples) = match &self.measured.validation {
            Some(samples) => (Split::Validation, samples),
            None => (Split::Test, &self.measured.test),
        };
        let found = self.figures(samples, &model)?;
        let average = self.average_figures(samples)?;
        let on = |part: Split, number: Option<f64>| number.filter(|_| part == split);
        let finite = |value: f64| value.is_finite().then_some(value);
        let position = std::mem::take(&mut self.position);
        let task = &*self.data.task;
        let record = EpochRecord {
            epoch: epoch + 1,
            train_loss: finite(position.loss / position.samples as f64),
            train_accuracy: train.accuracy(task),
            validation_loss: on(Split::Validation, found.loss()),
            validation_accuracy: on(Split::Validation, found.accuracy(task)),
            test_loss: on(Split::Test, found.loss()),
            test_accuracy: on(Split::Test, found.accuracy(task)),
            average_accuracy: average.as_ref().and_then(|average| average.accuracy(task)),
            average_loss: average.as_ref().and_then(Figures::loss),
            scores: found.scores(task, split),
            learning_rate: position.learning_rate,
            passes: position.passes,
            second_gradient_share: position.second_gradients as f64 / position.steps as f64,
            seconds: position.seconds,
        };
        if split == Split::Test {
            self.marks = found.outcome.marks;
        }
        self.record.epochs.push(record.clone());
        if best_epoch(&self.record.epochs).is_some_and(|best| best.epoch == record.epoch) {
            self.best = Some(model);
        }
        self.record.steps = self.optimizer.steps();
        self.record.passes = self.optimizer.passes();
        self.record.skipped_steps = self.optimizer.non_finite_steps();
        Ok(record)
    }
}
