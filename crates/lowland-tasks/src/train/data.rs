//! The data of a run.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;

use super::fingerprint::Fingerprint;
use crate::config::TrainConfig;
use crate::data::Kind;
use crate::models::Model;
use crate::task::{self, ImageTask, PeopleTask, Task, TextTask};
use crate::{Error, Result};

/// The task of a run, made ready.
#[derive(Debug, Clone)]
pub struct Data {
    pub(super) task: Arc<dyn Task>,
    pub(super) fingerprint: Fingerprint,
}

impl Data {
    /// Loads the data that `config` asks for. The seed decides which labels are corrupted.
    ///
    /// # Errors
    /// Whatever reading the data gives, and values out of range.
    pub fn load(config: &TrainConfig) -> Result<Self> {
        config.check()?;
        let task: Arc<dyn Task> = match config.data.name.kind() {
            Kind::Images => Arc::new(ImageTask::load(config)?),
            Kind::People => Arc::new(PeopleTask::load(config)?),
            Kind::Texts(task) => Arc::new(TextTask::load(task, config)?),
            Kind::Own => {
                let program = config.program.clone().unwrap_or_default();
                return Err(Error::OtherProgram { program });
            }
        };
        Self::of(task, config)
    }

    /// The data of a task that was loaded with `config`, such as a program's own.
    ///
    /// # Errors
    /// [`Error::Setting`] where `config` waits for what a validation part measures and there is
    /// none.
    pub fn of(task: Arc<dyn Task>, config: &TrainConfig) -> Result<Self> {
        if config.patience.is_some() && !task.validates() {
            return Err(Error::Setting {
                field: "patience",
                found: "no validation part".to_owned(),
                allowed: "left out, or given beside --validation SHARE: the run ends by what is measured \
                          there",
            });
        }
        let fingerprint = Fingerprint::of(&*task);
        Ok(Self { task, fingerprint })
    }

    /// What is learned.
    pub fn task(&self) -> &dyn Task {
        &*self.task
    }

    /// What distinguishes it from other data.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// Makes the network of a run and gives it the weights of a record, such as the `model.bpk` of
    /// its folder.
    ///
    /// # Errors
    /// A record that is broken or of another network.
    pub fn model(&self, config: &TrainConfig, record: Vec<u8>, device: &Device) -> Result<Model> {
        task::loaded(self.task.form(config, &device.clone().autodiff())?, record)
            .map_err(|error| Error::snapshot("the model", error))
    }

    /// Makes the network of a run with the weights of another run's folder or of a file, all that
    /// [`TrainConfig::from`] takes.
    ///
    /// # Errors
    /// Weights that are missing, broken, not finite or of another network.
    pub fn model_from(&self, config: &TrainConfig, from: &Path, device: &Device) -> Result<Model> {
        let config = TrainConfig { from: Some(from.to_owned()), new_head: false, ..config.clone() };
        let model = self.task.start(&config, &device.clone().autodiff());
        model.map_err(|error| match error {
            Error::LastLayer { path, tensor, found, expected, .. } => {
                Error::LastLayer { path, tensor, found, expected, can_be_new: false }
            }
            error => error,
        })
    }
}
