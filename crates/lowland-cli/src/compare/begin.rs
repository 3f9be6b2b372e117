//! What is looked at before a comparison begins or resumes: its folder, its data, its network.

use std::path::Path;

use anyhow::{Context, Result, bail};
use lowland_tasks::config::TrainConfig;
use lowland_tasks::train::Training;

use super::plan::Plan;
use super::request::Request;
use crate::data_notes::sharpness_note;
use crate::failure::Usage;
use crate::run::facts::Facts;
use crate::{device, program};

/// What is known of data and network once they are there.
///
/// # Errors
/// No algorithm or seed, data that cannot be read, a device that is not there.
pub(crate) fn facts(request: &Request) -> Result<Facts> {
    let Some(first) = request.configs.first() else {
        bail!(Usage("at least one algorithm is needed".to_owned()));
    };
    let Some(&seed) = request.seeds.as_slice().first() else {
        bail!(Usage("at least one seed is needed".to_owned()));
    };
    let config = TrainConfig { seed, ..first.clone() };
    let device = device::open(&config.device)?;
    let data = program::load(&config)?;
    let training = Training::new(&config, &data, &device)?;
    let mut facts = Facts::of(&config, &data, &training)?;
    if !request.no_sharpness && config.sharpness_every.is_none() {
        facts.notes.extend(sharpness_note(&data));
    }
    Ok(facts)
}

/// Checks that the data is that of the plan, wherever `configs` and the plan have it, before a run
/// finds out.
///
/// # Errors
/// Other data, or data that cannot be read.
pub(crate) fn check_data(folder: &Path, plan: &Plan, configs: &[TrainConfig]) -> Result<()> {
    let mut differences = Vec::new();
    let mut seen = Vec::new();
    for config in plan.configs().iter().chain(configs) {
        if differences.is_empty() && !seen.contains(&config.data.dir) {
            seen.push(config.data.dir.clone());
            let data = program::load(&TrainConfig { seed: plan.seeds[0], ..config.clone() })?;
            differences = plan.facts.data.differences(data.fingerprint());
        }
    }
    if differences.is_empty() {
        return Ok(());
    }
    bail!(Usage(format!(
        "the data is not that which the comparison in {} was begun with: {}; put it back, or begin a new \
         comparison",
        folder.display(),
        differences.join("; ")
    )))
}

/// Checks that a folder is not there yet or holds nothing; names that begin with a dot are passed
/// over.
///
/// # Errors
/// A folder that holds something, or that cannot be read.
pub(crate) fn check_free(folder: &Path) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    let entries = std::fs::read_dir(folder)
        .with_context(|| Usage(format!("cannot read {}", folder.display())))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    match names.filter(|name| !name.starts_with('.')).min() {
        Some(name) => bail!(Usage(format!(
            "{} holds something else already ({name}): name another --out",
            folder.display()
        ))),
        None => Ok(()),
    }
}
