//! What a training measures on test samples.

use std::collections::BTreeMap;

use burn::module::Module;

use super::Training;
use crate::Result;
use crate::models::Model;
use crate::record::EpochRecord;
use crate::task::{Outcome, Picture};

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
        let device = self.device.clone().without_autodiff();
        let mut all = Outcome::default();
        for batch in self.evaluation.epoch(0) {
            all.add(batch.to_device(&device).measure(model)?);
        }
        Ok(all)
    }

    /// Pictures of the first `count` test samples with what the network made of them at the last
    /// measurement; none where the task has none, and where nothing was measured yet.
    ///
    /// # Errors
    /// A picture that cannot be drawn.
    pub fn pictures(&self, count: usize) -> Result<Vec<Picture>> {
        self.data.task.pictures(&self.marks, count)
    }

    /// Measures after an epoch and begins the next one.
    pub(super) fn measure(&mut self, epoch: usize) -> Result<EpochRecord> {
        let measured = self.evaluate()?;
        let test_loss = measured.loss / self.evaluation.sample_count() as f64;
        let finite = |value: f64| value.is_finite().then_some(value);
        let whole = test_loss.is_finite();
        let position = std::mem::take(&mut self.position);
        let record = EpochRecord {
            epoch: epoch + 1,
            train_loss: finite(position.loss / position.samples as f64),
            test_loss: finite(test_loss),
            test_accuracy: whole.then(|| measured.accuracy()),
            scores: if whole { self.data.task.scores(&measured.marks) } else { BTreeMap::new() },
            learning_rate: position.learning_rate,
            passes: position.passes,
            second_gradient_share: position.second_gradients as f64 / position.steps as f64,
            seconds: position.seconds,
        };
        self.marks = measured.marks;
        self.record.epochs.push(record.clone());
        self.record.steps = self.optimizer.steps();
        self.record.passes = self.optimizer.passes();
        self.record.skipped_steps = self.optimizer.non_finite_steps();
        Ok(record)
    }
}
