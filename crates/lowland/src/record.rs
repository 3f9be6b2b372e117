//! The record of an optimizer.

use burn::optim::OptimizerRecord;
use burn::tensor::{Bytes, DType, TensorData};
use burn_pack::{Reader, Tensor, Writer};

use crate::state::Fields;
use crate::{Error, Result};

/// All that a [`SharpnessAware`](crate::SharpnessAware) carries from step to step: its counters, the
/// state of its rule, and the record of its base optimizer.
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

impl Fields {
    /// The fields, and a tensor beside them where there is one, ready to be written.
    pub(crate) fn pack(self, beside: Option<Tensor>) -> Writer {
        let pack = |(name, data): (String, TensorData)| {
            let (bytes, shape, dtype) = data.into_parts();
            Tensor::new(name, dtype, shape, None, bytes)
        };
        let tensors = self.tensors.into_iter().map(pack).chain(beside).collect();
        let writer = Writer::new(tensors);
        self.scalars.iter().fold(writer, |writer, (k, v)| writer.with_scalar(k, *v))
    }

    /// What [`pack`](Self::pack) packed, the tensor beside the fields among the tensors; the reader's bytes were
    /// `rest` in number.
    pub(crate) fn unpack(reader: Reader, mut rest: usize) -> Result<Self> {
        let scalars = reader.scalars().clone();
        let mut tensors = std::collections::BTreeMap::new();
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
        Ok(Self { scalars, tensors })
    }
}

pub(crate) fn broken(error: impl std::fmt::Display) -> Error {
    Error::record("the file", error)
}
