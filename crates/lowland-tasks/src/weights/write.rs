//! Weights for readers elsewhere: SafeTensors in PyTorch's layout.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::store::{
    BurnToPyTorchAdapter, ModuleAdapter, ModuleContext, ModuleSnapshot, SafetensorsStore,
};
use burn_pack::Tensor as PackTensor;

use super::names::Names;
use crate::{Error, Result};

/// The metadata that the library writes: a single entry, since it would write several in an order
/// that changes from run to run.
const WRITTEN: &str = r#""__metadata__":{"format":"pt"}"#;

/// The weights of a network as the bytes of a SafeTensors file that PyTorch's `load_state_dict`
/// takes: weights of linear layers `[to, from]`, normalisations with `weight` and `bias`, names as
/// `names` has them. `about` goes into the file's metadata, beside the `format` that readers
/// elsewhere ask for. The same network gives the same bytes.
///
/// # Errors
/// [`Error::Algorithm`] where a device cannot be read.
pub fn to_safetensors<M: Module>(
    module: &M,
    names: &Names,
    about: &BTreeMap<String, String>,
) -> Result<Vec<u8>> {
    let failed = |error: String| Error::Algorithm(lowland::Error::ReadBack(error));
    let mut store = SafetensorsStore::from_bytes(None)
        .clear_metadata()
        .metadata("format", "pt")
        .skip_enum_variants(true)
        .with_to_adapter(BurnToPyTorchAdapter.chain(Named(names.clone())));
    module.save_into(&mut store).map_err(|error| failed(error.to_string()))?;
    let bytes = store.get_bytes().map_err(|error| failed(error.to_string()))?;
    with_metadata(&bytes, about).ok_or_else(|| failed("SafeTensors without a header".to_owned()))
}

/// Gives each tensor its name.
#[derive(Debug, Clone)]
struct Named(Names);

impl ModuleAdapter for Named {
    fn adapt(&self, mut tensor: PackTensor, _context: ModuleContext<'_>) -> PackTensor {
        tensor.name = self.0.of(&tensor.name);
        tensor
    }

    fn clone_box(&self) -> Box<dyn ModuleAdapter> {
        Box::new(self.clone())
    }
}

/// A SafeTensors file with more metadata, in a fixed order.
fn with_metadata(file: &[u8], about: &BTreeMap<String, String>) -> Option<Vec<u8>> {
    let length = usize::try_from(u64::from_le_bytes(*file.first_chunk()?)).ok()?;
    let (header, numbers) = file.get(8..)?.split_at_checked(length)?;
    let header = std::str::from_utf8(header).ok()?.trim_end();
    let mut metadata = about.clone();
    metadata.insert("format".to_owned(), "pt".to_owned());
    let metadata = serde_json::to_string(&metadata).ok()?;
    let mut header = header.replacen(WRITTEN, &format!("\"__metadata__\":{metadata}"), 1);
    // Numbers begin at a multiple of 8.
    header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));
    let length = (header.len() as u64).to_le_bytes();
    Some([&length, header.as_bytes(), numbers].concat())
}
