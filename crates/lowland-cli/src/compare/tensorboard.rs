//! Which settings and metrics TensorBoard shows of a comparison's runs side by side.

use std::path::Path;

use anyhow::Result;
use lowland_tasks::config::TrainConfig;
use lowland_tasks::events::{self, EventWriter};

use super::keep::Kept;
use super::plan::Plan;
use crate::files::{self, EVENTS};

/// Writes them into the folder of a comparison that keeps the events of its runs. Without the file
/// TensorBoard would take every scalar of the runs for a metric.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write_experiment(folder: &Path, plan: &Plan, configs: &[TrainConfig]) -> Result<()> {
    if !plan.keep.has(Kept::Metrics) {
        return Ok(());
    }
    let mut file = Vec::new();
    EventWriter::begin(&mut file)?
        .experiment(&events::experiment(configs, &plan.facts.wording.measure))?;
    files::write(&folder.join(EVENTS), &file)
}
