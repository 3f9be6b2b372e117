//! The tensors of files, whoever wrote them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use burn::store::{BurnpackStore, ModuleStore, SafetensorsStore};
use burn::tensor::Bytes;
use burn_pack::Tensor as PackTensor;
use safetensors::SafeTensors;

use super::export::WRITTEN_BY;
use super::pth;
use crate::{Error, Result};

/// What the first bytes of Burn's records are: the number 0x4255524E, lowest byte first.
const RECORD: [u8; 4] = 0x4255_524E_u32.to_le_bytes();

/// The layout of tensors, and how they are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Weights of linear layers `[from, to]`, under the paths of the network.
    Burn,
    /// Weights of linear layers `[to, from]`, under the names of `state_dict`.
    PyTorch,
}

/// The tensors of a file.
pub struct Stored {
    pub(super) tensors: BTreeMap<String, PackTensor>,
    pub(super) layout: Layout,
    pub(super) metadata: BTreeMap<String, String>,
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored")
            .field("tensors", &self.tensors.len())
            .field("layout", &self.layout)
            .field("metadata", &self.metadata)
            .finish()
    }
}

impl Stored {
    /// The names of the tensors with their shapes, in the order of the names.
    pub fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        self.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shape.to_vec())).collect()
    }

    /// Whether the file is Lowland's own: a record, or written by it for PyTorch.
    pub(crate) fn is_own(&self) -> bool {
        self.layout == Layout::Burn || self.metadata.contains_key(WRITTEN_BY)
    }

    /// The numbers of a tensor, row by row, as they lie in memory; `None` where there is no such
    /// tensor.
    ///
    /// # Errors
    /// The file is damaged, in words.
    pub fn bytes(&self, name: &str) -> Option<Result<Vec<u8>, String>> {
        let bytes = self.tensors.get(name)?.to_bytes();
        Some(bytes.map(|bytes| bytes.to_vec()).map_err(|error| error.to_string()))
    }
}

/// Whether Lowland wrote a file of weights: a record, or SafeTensors that say so.
///
/// # Errors
/// [`Error::File`] if it cannot be read.
pub(crate) fn is_lowlands(path: &Path) -> Result<bool> {
    #[derive(serde::Deserialize)]
    struct Header {
        #[serde(rename = "__metadata__", default)]
        metadata: BTreeMap<String, String>,
    }
    let failed = |source| Error::File { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let mut first = [0; 8];
    if file.read_exact(&mut first).is_err() {
        return Ok(false);
    }
    if first.starts_with(&RECORD) {
        return Ok(true);
    }
    let mut header = Vec::new();
    let length = u64::from_le_bytes(first).min(LONGEST_HEADER);
    file.take(length).read_to_end(&mut header).map_err(failed)?;
    let header: Option<Header> = serde_json::from_slice(&header).ok();
    Ok(header.is_some_and(|header| header.metadata.contains_key(WRITTEN_BY)))
}

/// The most bytes of a SafeTensors header, as the format has it.
const LONGEST_HEADER: u64 = 100_000_000;

/// The tensors of a file of weights: a record of Burn, SafeTensors, or what `torch.save` writes of
/// a dictionary of tensors, recognised by its first bytes. Numbers are read when they are asked
/// for. `path` is only what an error calls the file.
///
/// # Errors
/// [`Error::Weights`] for a file of another kind, or a damaged one.
pub fn parse(path: &Path, file: Vec<u8>) -> Result<Stored> {
    let refused = |problem: String| Error::Weights { path: path.to_owned(), problem };
    let damaged = |kind: &str, error: String| refused(format!("{kind} that is damaged: {error}"));
    let none = BTreeMap::new();
    if file.starts_with(&RECORD) {
        let mut store = BurnpackStore::from_bytes(Some(Bytes::from_bytes_vec(file)));
        let tensors = store.get_all_tensors();
        let tensors = tensors.map_err(|error| damaged("a record of Burn", error.to_string()))?;
        return Ok(Stored { tensors: tensors.clone(), layout: Layout::Burn, metadata: none });
    }
    if pth::is_pth(&file) {
        let tensors = pth::read(&Arc::new(file)).map_err(refused)?;
        return Ok(Stored { tensors, layout: Layout::PyTorch, metadata: none });
    }
    if file.get(8) != Some(&b'{') {
        let kinds =
            "a record of Burn (.bpk), SafeTensors (.safetensors) or a file of torch.save (.pth)";
        return Err(refused(format!("it is none of {kinds}")));
    }
    let of_file = |error: String| damaged("a SafeTensors file", error);
    let (_, header) =
        SafeTensors::read_metadata(&file).map_err(|error| of_file(error.to_string()))?;
    let metadata: BTreeMap<String, String> =
        header.metadata().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
    let mut store = SafetensorsStore::from_bytes(Some(file));
    let tensors = store.get_all_tensors().map_err(|error| of_file(error.to_string()))?.clone();
    // Burn says so of the files that it writes in its own layout.
    let is_burns = metadata.get("producer").is_some_and(|producer| producer == "burn");
    let layout = if is_burns { Layout::Burn } else { Layout::PyTorch };
    Ok(Stored { tensors, layout, metadata })
}
