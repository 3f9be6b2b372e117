//! The record of an optimizer.

use burn::optim::OptimizerRecord;
use burn::tensor::{Bytes, DType};
use burn_pack::{Reader, Tensor, Writer};

use crate::state::{Fields, broken};
use crate::{Error, Result};

/// All that a [`SharpnessAware`](crate::SharpnessAware) carries from step to step: its counters,
/// the state of its rule, and the record of its base optimizer.
#[derive(Debug)]
pub struct SharpnessAwareRecord {
    pub(crate) base: OptimizerRecord,
    pub(crate) own: Fields,
}

/// The name under which the base's record stands in the file.
const BASE: &str = "base";

impl SharpnessAwareRecord {
    /// The record as bytes, in Burn's burnpack format.
    ///
    /// # Errors
    /// The format cannot hold it.
    pub fn into_bytes(self) -> Result<Bytes> {
        let base = self.base.into_bytes().map_err(broken)?;
        let length = base.len();
        let base = Tensor::new(BASE.to_owned(), DType::U8, [length], None, base);
        self.own.pack(Some(base)).into_bytes().map_err(broken)
    }

    /// The record that [`into_bytes`](Self::into_bytes) gave.
    ///
    /// # Errors
    /// [`Error::Record`] where the bytes are no such record.
    pub fn from_bytes(bytes: Bytes) -> Result<Self> {
        let length = bytes.len();
        let mut own = Fields::unpack(Reader::from_bytes(bytes).map_err(broken)?, length)?;
        let base = own.tensors.remove(BASE).ok_or_else(|| Error::record(BASE, "is missing"))?;
        let (bytes, _, _) = base.into_parts();
        let base = OptimizerRecord::from_bytes(bytes).map_err(broken)?;
        Ok(Self { base, own })
    }
}

/// The record of a base optimizer for parameters that Burn has other names for, `name(id, path)`;
/// the path is known where Burn saved it.
pub(crate) fn renamed(
    record: OptimizerRecord,
    name: &dyn Fn(u64, Option<&str>) -> Result<u64>,
) -> Result<OptimizerRecord> {
    let reader = Reader::from_bytes(record.into_bytes().map_err(broken)?).map_err(broken)?;
    let (scalars, paths) = (reader.scalars().clone(), reader.metadata().clone());
    let rename = |key: &str| -> Result<(u64, String)> {
        let (id, rest) = key.split_once('.').map_or((key, None), |(id, rest)| (id, Some(rest)));
        let id = name(id.parse().map_err(broken)?, paths.get(id).map(String::as_str))?;
        Ok((id, rest.map_or_else(|| id.to_string(), |rest| format!("{id}.{rest}"))))
    };
    let mut tensors = Vec::new();
    for tensor in reader.into_tensors().map_err(broken)? {
        let (key, dtype, shape, _, bytes) = tensor.into_parts().map_err(broken)?;
        let (id, key) = rename(&key)?;
        tensors.push(Tensor::new(key, dtype, shape, Some(id), bytes));
    }
    let mut writer = Writer::new(tensors);
    for (key, value) in &scalars {
        writer = writer.with_scalar(&rename(key)?.1, *value);
    }
    for (key, path) in &paths {
        writer = writer.with_metadata(&rename(key)?.1, path);
    }
    OptimizerRecord::from_bytes(writer.into_bytes().map_err(broken)?).map_err(broken)
}
