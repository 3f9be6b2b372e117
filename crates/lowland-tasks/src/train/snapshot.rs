//! Snapshots of a training, and how it resumes from one.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::store::RecordError;
use burn::tensor::Bytes;
use lowland::SharpnessAwareRecord;
use serde::{Deserialize, Serialize};

use super::Training;
use super::average::Average;
use super::fingerprint::Fingerprint;
use super::position::Position;
use crate::checkpoint::{About, Snapshot};
use crate::config::TrainConfig;
use crate::models::Model;
use crate::record::{RunRecord, Stretch};
use crate::{Error, Result, task};

/// What a snapshot holds beside weights and optimizer. The learning rate and the order of the data
/// follow from the number of steps.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    config: TrainConfig,
    data: Fingerprint,
    record: RunRecord,
    stretch: Stretch,
    position: Position,
}

/// The weights of a network as a record.
fn record_of(model: Model) -> Result<Vec<u8>> {
    let failed = |error: RecordError| Error::snapshot("the model", error);
    Ok(model.into_record().into_bytes().map_err(failed)?.to_vec())
}

impl Training {
    /// All that the run needs to resume from here: what comes after is bit for bit what comes
    /// without a stop, on the same backend.
    ///
    /// # Errors
    /// The device fails, or the model is gone after an error in training.
    pub fn snapshot(&self) -> Result<Snapshot> {
        // Burn holds the last update of running statistics back until a copy is made for measuring.
        let model = record_of(self.model()?.valid())?;
        let optimizer = self.optimizer.to_record()?.into_bytes()?;
        let state = State {
            config: self.config.clone(),
            data: self.data.fingerprint.clone(),
            record: self.record.clone(),
            stretch: self.stretch.clone(),
            position: self.position.clone(),
        };
        let state = serde_json::to_vec(&state).map_err(|e| Error::snapshot("the state", e))?;
        let at_end_of_epoch = self.record.epochs.last().filter(|_| self.position.steps == 0);
        let about = About {
            step: self.optimizer.steps(),
            epoch: self.record.epochs.len(),
            validation_accuracy: at_end_of_epoch.and_then(|epoch| epoch.validation_accuracy),
            validation_loss: at_end_of_epoch.and_then(|epoch| epoch.validation_loss),
            lengths: BTreeMap::new(),
        };
        let contents = [model, optimizer.to_vec(), state];
        let mut files: Vec<_> =
            Snapshot::FILES.map(str::to_owned).into_iter().zip(contents).collect();
        let [best, averaged] = Snapshot::MORE_FILES;
        if let Some(model) = &self.best {
            files.push((best.to_owned(), record_of(model.clone())?));
        }
        if let Some(average) = &self.average {
            files.push((averaged.to_owned(), record_of(average.model().clone())?));
        }
        Ok(Snapshot { about, files })
    }

    /// Restores the state in which a snapshot was taken. Settings must be those of then, save the
    /// number of workers, the device and how checkpoints are made; `accept_changes` lets others
    /// through, and gives them back in words.
    ///
    /// # Errors
    /// [`Error::Changed`] for other settings, [`Error::OtherData`] for other data,
    /// [`Error::Snapshot`] or [`Error::Algorithm`] for a snapshot of another network, algorithm or
    /// base optimizer.
    pub fn restore(
        mut self,
        mut snapshot: Snapshot,
        accept_changes: bool,
    ) -> Result<(Self, Vec<String>)> {
        let [model, optimizer, state] = Snapshot::FILES;
        let state: State = serde_json::from_slice(&snapshot.take(state)?)
            .map_err(|error| Error::snapshot("the state", error))?;
        let changes = state.config.changes(&self.config);
        if !(changes.is_empty() || accept_changes) {
            return Err(Error::Changed { changes });
        }
        let differences = state.data.differences(self.data.fingerprint());
        if !differences.is_empty() {
            return Err(Error::OtherData { differences });
        }

        let fresh = self.model.take().ok_or(Error::NoModel)?;
        let model = task::loaded(fresh, snapshot.take(model)?)
            .map_err(|error| Error::snapshot("the model", error))?;
        let optimizer = Bytes::from_bytes_vec(snapshot.take(optimizer)?);
        let record = SharpnessAwareRecord::from_bytes(optimizer)?;
        self.optimizer = self.optimizer.load_record(record, &model)?;

        let steps = self.steps_of(&state)?;
        let State { record, stretch, position, .. } = state;
        if steps != self.optimizer.steps() || position.steps > self.steps_per_epoch() {
            let problem =
                format!("is of step {steps}, the optimizer of {}", self.optimizer.steps());
            return Err(Error::snapshot("the state", problem));
        }
        let [best, averaged] = Snapshot::MORE_FILES;
        let load = |contents: Vec<u8>| -> Result<Model> {
            Ok(self.data.model(&self.config, contents, &self.device)?.valid())
        };
        self.best = snapshot.take_if_there(best).map(load).transpose()?;
        self.average = match (self.config.ema, snapshot.take_if_there(averaged)) {
            (Some(decay), Some(contents)) => Some(Average::new(decay, load(contents)?)),
            // A run that was begun without an average begins one here.
            (Some(decay), None) => Some(Average::new(decay, model.valid())),
            (None, _) => None,
        };
        self.model = Some(model);
        (self.record, self.stretch, self.position, self.rest) = (record, stretch, position, None);
        Ok((self, changes))
    }

    /// The steps that a state was reached with, once the optimizer of then is loaded.
    fn steps_of(&self, state: &State) -> Result<u64> {
        let State { config, record, position, .. } = state;
        let per_epoch = self.steps_per_epoch() as u64;
        let steps = record.epochs.len() as u64 * per_epoch + position.steps as u64;
        let limit = config.limit()?;
        let used = limit.map(|limit| limit.share(self.passes(), record.seconds()));
        if position.steps > 0 || used.is_none_or(|share| share < 1.0) {
            return Ok(steps);
        }
        if self.limit != limit {
            return Err(Error::snapshot("the state", "is that of a run whose limit was used up"));
        }
        // The last epoch was cut short, unless the limit was used up with the last step of it.
        let is_cut = steps.checked_sub(record.steps).is_some_and(|short| short < per_epoch);
        Ok(if is_cut { record.steps } else { steps })
    }
}
