//! Pretrained weights, from `model.safetensors`.

use std::path::Path;

use burn::store::{
    ApplyError, FloatCastAdapter, ModuleAdapter, ModuleSnapshot, PyTorchToBurnAdapter,
    SafetensorsStore,
};
use burn::tensor::{DType, Device};

use super::{Bert, BertConfig};
use crate::data::files::format_error;
use crate::{Error, Result};

/// The file of a model folder that is read here.
const FILE: &str = "model.safetensors";

/// From the names of the file to those of [`Bert`], as regular expressions, applied in this order.
const NAMES: [(&str, &str); 11] = [
    (r"^bert\.", ""),
    (r"^embeddings\.word_embeddings\.", "embeddings.words."),
    (r"^embeddings\.position_embeddings\.", "embeddings.positions."),
    (r"^embeddings\.token_type_embeddings\.", "embeddings.types."),
    (r"^embeddings\.LayerNorm\.", "embeddings.norm."),
    (r"^encoder\.layer\.(\d+)\.attention\.self\.", "layers.$1.attention."),
    (r"^encoder\.layer\.(\d+)\.attention\.output\.dense\.", "layers.$1.attention.output."),
    (r"^encoder\.layer\.(\d+)\.attention\.output\.LayerNorm\.", "layers.$1.attention_norm."),
    (r"^encoder\.layer\.(\d+)\.intermediate\.dense\.", "layers.$1.expand."),
    (r"^encoder\.layer\.(\d+)\.output\.dense\.", "layers.$1.contract."),
    (r"^encoder\.layer\.(\d+)\.output\.LayerNorm\.", "layers.$1.norm."),
];

impl Bert {
    /// Makes the network of a model folder, with the weights of its `model.safetensors` (as PyTorch
    /// names and lays them out, in any float type; kept as `f32`). Tensors that the network has no
    /// use for are left where they are. `dropout` is from 0 to below 1.
    pub(crate) fn from_folder(
        folder: &Path,
        config: &BertConfig,
        dropout: f64,
        device: &Device,
    ) -> Result<Self> {
        let path = folder.join(FILE);
        check_size(&path, config)?;
        let mut network = config.empty(dropout, device);
        let float32 = PyTorchToBurnAdapter.chain(FloatCastAdapter::to(DType::F32));
        let store = SafetensorsStore::from_file(&path).with_from_adapter(float32);
        let mut store = NAMES
            .iter()
            .fold(store, |store, (from, to)| store.with_key_remapping(from, *to))
            // What is missing and what does not fit is reported below, by name.
            .validate(false)
            .allow_partial(true);
        let loaded = network.load_from(&mut store).map_err(|error| {
            format_error(&path, "tensors as SafeTensors".to_owned(), error.to_string())
        })?;
        if let Some(error) = loaded.errors.first() {
            return Err(misfit(&path, error));
        }
        if let Some((tensor, _)) = loaded.missing.first() {
            let found = format!("{} missing, the first {tensor}", loaded.missing.len());
            return Err(format_error(&path, "all tensors of the network".to_owned(), found));
        }
        Ok(network)
    }
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

fn misfit(path: &Path, error: &ApplyError) -> Error {
    let (expected, found) = match error {
        ApplyError::ShapeMismatch { path, expected, found } => {
            (format!("{path} of shape {expected}"), found.to_string())
        }
        ApplyError::DTypeMismatch { path, found, .. } => {
            (format!("{path} of floats"), format!("{found:?}"))
        }
        ApplyError::AdapterError { path, message } | ApplyError::LoadError { path, message } => {
            (path.clone(), message.clone())
        }
    };
    format_error(path, expected, found)
}
