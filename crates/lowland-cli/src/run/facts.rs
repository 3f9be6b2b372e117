//! What a run keeps of its data and its network: what it is shown with, and known again by.

use std::path::Path;

use anyhow::Result;
use lowland_tasks::config::TrainConfig;
use lowland_tasks::task::Wording;
use lowland_tasks::train::{Data, Fingerprint, Training};
use serde::{Deserialize, Serialize};

use crate::data_notes::data_notes;
use crate::device::hardware;
use crate::failure::Usage;
use crate::files::{self, FACTS};
use crate::terminal::resume_command;

/// What only the data and the network say, and where they trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Facts {
    /// Number of classes, or of joints.
    pub classes: usize,
    /// Training labels that label noise changed.
    pub labels_changed: usize,
    /// Trainable parameters of the network.
    pub parameters: usize,
    /// Steps in an epoch.
    pub steps_per_epoch: usize,
    /// How training samples are varied, in words; empty if they are not.
    pub augmentation: String,
    /// What was taken of the data set, a line each.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The nouns of the task.
    pub wording: Wording,
    /// Mean and deviation of each channel that pixels are normalised with; none where there are no
    /// pixels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pixel_statistics: Vec<(f64, f64)>,
    /// What distinguishes the data from other data.
    pub data: Fingerprint,
    /// Name and version of the program that trained.
    #[serde(default)]
    pub version: String,
    /// Where it trained, in words.
    #[serde(default)]
    pub hardware: String,
}

/// Name and version of this program.
pub(crate) fn version() -> String {
    format!("lowland {}", env!("CARGO_PKG_VERSION"))
}

impl Facts {
    /// Those of a run's data and network.
    ///
    /// # Errors
    /// A model without trainable parameters.
    pub(crate) fn of(config: &TrainConfig, data: &Data, training: &Training) -> Result<Self> {
        let task = data.task();
        Ok(Self {
            classes: task.classes(),
            labels_changed: task.labels_changed(),
            parameters: training.parameter_count()?,
            steps_per_epoch: training.steps_per_epoch(),
            augmentation: task.variation(config),
            notes: data_notes(data, config),
            wording: task.wording(),
            pixel_statistics: task.pixel_statistics(),
            data: data.fingerprint().clone(),
            version: version(),
            hardware: hardware(&config.device, 1),
        })
    }

    /// Writes them into the folder of a run.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self, run: &Path) -> Result<()> {
        files::write(&run.join(FACTS), &serde_json::to_vec_pretty(self)?)
    }

    /// Those in the folder of a run; `None` where it has none.
    ///
    /// # Errors
    /// A file that cannot be read or is none of facts.
    pub(crate) fn read(run: &Path) -> Result<Option<Self>> {
        files::read_json(&run.join(FACTS)).map_err(|error| {
            Usage(format!("{error}; {} writes it anew", resume_command(run))).into()
        })
    }
}
