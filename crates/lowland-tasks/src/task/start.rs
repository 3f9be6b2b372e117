//! The weights that a network starts from.

use std::path::{Path, PathBuf};

use super::MODEL_RECORD;
use crate::config::TrainConfig;
use crate::models::Model;
use crate::{Error, Result};

/// What is looked for in a folder, in this order: what Lowland writes, then what others do.
const FILES: [&str; 3] = [MODEL_RECORD, "model.safetensors", "pytorch_model.bin"];

/// The network with the weights that the settings ask for; as it is where they ask for none.
///
/// # Errors
/// [`Error::Missing`] for a folder without weights, [`Error::File`] for a file that cannot be read,
/// [`Error::Weights`] for one that holds no weights or those of another network.
pub(crate) fn started(model: Model, config: &TrainConfig) -> Result<Model> {
    let Some(from) = &config.from else { return Ok(model) };
    model.with_weights(&file_of(from)?, config.new_head)
}

/// The file of weights that `from` is, or holds.
fn file_of(from: &Path) -> Result<PathBuf> {
    if !from.is_dir() {
        return Ok(from.to_owned());
    }
    let found = FILES.iter().map(|name| from.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| Error::Missing {
        path: from.join(MODEL_RECORD),
        kind: "file",
        expected: format!("weights in the folder, as {}", FILES.join(", ")),
    })
}
