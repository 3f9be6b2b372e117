//! Which settings and metrics TensorBoard shows of a comparison's runs side by side.

use std::path::Path;

use anyhow::Result;
use lowland_tasks::config::TrainConfig;
use lowland_tasks::events::{self, EventWriter};

use super::keep::{Keep, Kept};
use crate::files::{self, EVENTS};

/// Writes them into the folder of a comparison that keeps the events of its runs. Without the file
/// TensorBoard would take every scalar of the runs for a metric.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write_experiment(folder: &Path, keep: &Keep, configs: &[TrainConfig]) -> Result<()> {
    if !keep.has(Kept::Metrics) {
        return Ok(());
    }
    let mut file = Vec::new();
    EventWriter::begin(&mut file)?.experiment(&events::experiment(configs))?;
    files::write(&folder.join(EVENTS), &file)
}
