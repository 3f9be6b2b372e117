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
        let pack = |(name, data): (String, TensorData)| {
            let (bytes, shape, dtype) = data.into_parts();
            Tensor::new(name, dtype, shape, None, bytes)
        };
        let mut tensors: Vec<Tensor> = self.own.tensors.into_iter().map(pack).collect();
        tensors.push(Tensor::new(BASE.to_owned(), DType::U8, [length], None, base));
        let writer = self.own.scalars.iter();
        let writer = writer.fold(Writer::new(tensors), |writer, (k, v)| writer.with_scalar(k, *v));
        writer.into_bytes().map_err(broken)
    }

    /// The record that [`into_bytes`](Self::into_bytes) gave.
    ///
    /// # Errors
    /// [`Error::Record`] where the bytes are no such record.
    pub fn from_bytes(bytes: Bytes) -> Result<Self> {
        let mut rest = bytes.len();
        let reader = Reader::from_bytes(bytes).map_err(broken)?;
        let mut own = Fields { scalars: reader.scalars().clone(), ..Fields::default() };
        let mut base = None;
        for tensor in reader.into_tensors().map_err(broken)? {
            let (name, dtype, shape, _, bytes) = tensor.into_parts().map_err(broken)?;
            // Burn checks lengths against shapes and leaves it to the file where tensors lie.
            rest =
                rest.checked_sub(bytes.len()).ok_or_else(|| broken("has tensors that overlap"))?;
            if !bytes.is_empty() && bytes.as_ptr().align_offset(size_of::<f64>()) != 0 {
                return Err(broken("has a tensor where numbers cannot lie"));
            }
            if name == BASE {
                base = Some(OptimizerRecord::from_bytes(bytes).map_err(broken)?);
            } else {
                let data = TensorData::try_from_bytes(bytes, shape, dtype).map_err(broken)?;
                own.tensors.insert(name, data);
            }
        }
        let base = base.ok_or_else(|| Error::record(BASE, "is missing"))?;
        Ok(Self { base, own })
    }
}

fn broken(error: impl std::fmt::Display) -> Error {
    Error::record("the file", error)
}
