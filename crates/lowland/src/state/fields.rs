//! What is remembered, off the device and packed for a file.

use std::collections::BTreeMap;

use burn::tensor::TensorData;
use burn_pack::{Reader, Scalar, Tensor, Writer};

use crate::{Error, Result};

/// Fields by name, off the device.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields {
    pub(crate) scalars: BTreeMap<String, Scalar>,
    pub(crate) tensors: BTreeMap<String, TensorData>,
    /// The parameters that the vectors among them run over, in order; each is its name of Burn's,
    /// its number of elements and its path.
    pub(crate) parameters: Vec<(u64, usize, String)>,
}

impl Fields {
    /// The fields, and a tensor beside them where there is one, ready to be written.
    pub(crate) fn pack(self, beside: Option<Tensor>) -> Writer {
        let pack = |(name, data): (String, TensorData)| {
            let (bytes, shape, dtype) = data.into_parts();
            Tensor::new(name, dtype, shape, None, bytes)
        };
        let tensors = self.tensors.into_iter().map(pack).chain(beside).collect();
        let mut writer = Writer::new(tensors);
        for (name, value) in &self.scalars {
            writer = writer.with_scalar(name, *value);
        }
        for (i, (id, elements, path)) in self.parameters.iter().enumerate() {
            writer = writer.with_metadata(&parameter_key(i), &format!("{id} {elements} {path}"));
        }
        writer
    }

    /// What [`pack`](Self::pack) packed, the tensor beside the fields among the tensors; the
    /// reader's bytes were `rest` in number.
    pub(crate) fn unpack(reader: Reader, mut rest: usize) -> Result<Self> {
        let scalars = reader.scalars().clone();
        let parameters = parameters(reader.metadata())?;
        let mut tensors = BTreeMap::new();
        for tensor in reader.into_tensors().map_err(broken)? {
            let (name, dtype, shape, _, bytes) = tensor.into_parts().map_err(broken)?;
            // Burn checks lengths against shapes and leaves it to the file where tensors lie.
            rest =
                rest.checked_sub(bytes.len()).ok_or_else(|| broken("has tensors that overlap"))?;
            if !bytes.is_empty() && bytes.as_ptr().align_offset(size_of::<f64>()) != 0 {
                return Err(broken("has a tensor where numbers cannot lie"));
            }
            let data = TensorData::try_from_bytes(bytes, shape, dtype).map_err(broken)?;
            tensors.insert(name, data);
        }
        Ok(Self { scalars, tensors, parameters })
    }
}

/// The key under which the i-th parameter is described.
fn parameter_key(i: usize) -> String {
    format!("parameter.{i}")
}

/// The parameters that a file describes.
fn parameters(metadata: &BTreeMap<String, String>) -> Result<Vec<(u64, usize, String)>> {
    let described = (0..).map_while(|i| metadata.get(&parameter_key(i)));
    let parameter = |text: &String| {
        let mut words = text.splitn(3, ' ');
        let (id, elements, path) = (words.next()?, words.next()?, words.next()?);
        Some((id.parse().ok()?, elements.parse().ok()?, path.to_owned()))
    };
    let unreadable = || broken("describes a parameter that cannot be read");
    described.map(|text| parameter(text).ok_or_else(unreadable)).collect()
}

/// The error of a file that cannot be read or written.
pub(crate) fn broken(error: impl std::fmt::Display) -> Error {
    Error::record("the file", error)
}
