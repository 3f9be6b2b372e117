//! Pretrained weights, from the folder of a model.

use std::path::{Path, PathBuf};

use burn::module::Module;

use super::BertConfig;
use crate::data::files::{format_error, read};
use crate::weights::{Head, Names, load, parse};
use crate::{Error, Result};

/// What is looked for in the folder of a model, in this order.
const FILES: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];

/// The folder of a model: `from`, or the one that this file of weights lies in.
pub(crate) fn folder_of(from: &Path) -> &Path {
    if from.is_file() { from.parent().unwrap_or(Path::new("")) } else { from }
}

/// The file of weights that `from` is, or holds.
///
/// # Errors
/// [`Error::Missing`] for a folder without weights.
pub(crate) fn weights_of(from: &Path) -> Result<PathBuf> {
    if from.is_file() {
        return Ok(from.to_owned());
    }
    let found = FILES.iter().map(|name| from.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| Error::Missing {
        path: from.join(FILES[0]),
        kind: "file",
        expected: format!("the weights of a transformer in the folder, as {}", FILES.join(" or ")),
    })
}

/// A network, such as a [`TextClassifier`](super::TextClassifier), with the weights of a file, of
/// any float type, kept as `f32`. Its last layer is loaded where Lowland wrote the file and `head`
/// asks for it; that of others classifies by another vector than the mean over the tokens.
///
/// # Errors
/// A file that cannot be read, is too small or does not hold the network.
pub(super) fn loaded<M: Module>(
    network: M,
    path: &Path,
    config: &BertConfig,
    head: Head,
) -> Result<M> {
    check_size(path, config)?;
    let stored = parse(path, read(path)?)?;
    let head = if stored.is_own() { head } else { Head::New };
    load(network, &stored, &Names::Bert, head, path)
}

/// Fails if the file cannot hold the network that the configuration asks for, before there is
/// memory for it.
fn check_size(path: &Path, config: &BertConfig) -> Result<()> {
    let metadata =
        std::fs::metadata(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
    // No float type is smaller than two bytes.
    let least = config.parameter_count() * 2;
    if metadata.len() < least {
        let expected = format!("{} weights, at least {least} bytes", config.parameter_count());
        return Err(format_error(path, expected, format!("{} bytes", metadata.len())));
    }
    Ok(())
}
