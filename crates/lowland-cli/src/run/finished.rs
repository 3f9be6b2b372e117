//! A run that is looked at: its settings, its data and the network that came out of it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use lowland_tasks::checkpoint::Checkpoints;
use lowland_tasks::config::TrainConfig;
use lowland_tasks::models::Model;
use lowland_tasks::train::Data;

use crate::failure::Usage;
use crate::files::{CHECKPOINTS, CONFIG, MODEL};
use crate::{device, settings};

/// A run and its network.
#[derive(Debug)]
pub(crate) struct FinishedRun {
    /// Its folder.
    pub path: PathBuf,
    /// Its settings.
    pub config: TrainConfig,
    /// Its data, labels corrupted as they were.
    pub data: Data,
    /// Where it trained.
    pub device: Device,
    /// The network at its end, or at its latest checkpoint.
    pub model: Model,
}

impl FinishedRun {
    /// Opens a run that was trained to its end or at least to a checkpoint.
    ///
    /// # Errors
    /// A folder without a run or without weights, data or a device that is not there.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let config = read_config(path)?;
        let device = device::open(&config.device)?;
        let data = Data::load(&config)?;
        let model = data.model(&config, weights(path)?, &device);
        let model = model.with_context(|| Usage(format!("{} cannot be used", path.display())))?;
        Ok(Self { path: path.to_owned(), config, data, device, model })
    }
}

/// The settings of a run.
///
/// # Errors
/// A folder without a run, settings that cannot be read.
pub(crate) fn read_config(path: &Path) -> Result<TrainConfig> {
    let config = path.join(CONFIG);
    if !config.is_file() {
        bail!(Usage(format!("{} holds no run: there is no {CONFIG} in it", path.display())));
    }
    settings::read_run(&config)
}

fn weights(path: &Path) -> Result<Vec<u8>> {
    let model = path.join(MODEL);
    if model.is_file() {
        return std::fs::read(&model)
            .with_context(|| Usage(format!("cannot read {}", model.display())));
    }
    let checkpoints = Checkpoints::new(path.join(CHECKPOINTS));
    let found = checkpoints.latest(&mut |found, error| {
        tracing::warn!("the checkpoint of step {} is not used: {error}", found.step);
    })?;
    let contents = found.and_then(|(found, snapshot)| {
        tracing::warn!(
            "{} is not finished: its checkpoint of step {} is used",
            path.display(),
            found.step
        );
        snapshot.files.into_iter().find(|(name, _)| name == MODEL).map(|(_, contents)| contents)
    });
    match contents {
        Some(contents) => Ok(contents),
        None => bail!(Usage(format!("{} holds no weights yet", path.display()))),
    }
}
