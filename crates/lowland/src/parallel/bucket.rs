//! A gradient of all workers in one piece: flattened, summed, taken apart again.

use std::collections::HashMap;

use burn::module::Module;
use burn::tensor::{DType, Device, Element, Tensor, TensorData};

use super::{Collective, Numbers, Topic, Workers};
use crate::Active;
use crate::module::{restored, untrained};
use crate::vector::{Scalar, cast, read, wide};
use crate::{Error, ParamVec, Parameters, Result};

/// What a worker's gradient looks like: the parameters, in number, size and type.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// The length and type of each tensor that takes part.
    tensors: Vec<Option<(usize, DType)>>,
    device: Device,
    /// The type that travels.
    dtype: DType,
}

/// A mean over workers.
#[derive(Debug)]
pub(crate) struct Mean {
    /// That of the gradients; a tensor that is absent for all is absent.
    pub(crate) gradient: ParamVec,
    /// That of the losses.
    pub(crate) loss: Scalar,
    /// The samples that it is over.
    pub(crate) samples: f64,
}

/// Numbers that stand behind the gradient and before the flags of its tensors: the samples, the
/// loss.
const EXTRA: usize = 2;

impl Bucket {
    /// For gradients of the weights `like` with respect to `active`.
    ///
    /// # Errors
    /// [`Error::NoParameters`] where there are none.
    pub(crate) fn new(like: &ParamVec, active: &Active) -> Result<Self> {
        let first = like.parts().iter().flatten().next().ok_or(Error::NoParameters)?;
        let is_double = |part: &Tensor<1>| wide(part.dtype()) == DType::F64;
        let dtype =
            if like.parts().iter().flatten().any(is_double) { DType::F64 } else { DType::F32 };
        let tensor = |(i, part): (usize, &Option<Tensor<1>>)| {
            let part = part.as_ref().filter(|_| active.contains(i))?;
            Some((part.dims()[0], part.dtype()))
        };
        let tensors = like.parts().iter().enumerate().map(tensor).collect();
        Ok(Self { tensors, device: first.device(), dtype })
    }

    /// The mean over the samples of all whom `through` reaches: each has a mean over its own,
    /// `samples` in number.
    pub(crate) fn mean(
        &self,
        through: &dyn Collective,
        own: Option<&ParamVec>,
        loss: Option<&Scalar>,
        samples: f64,
    ) -> Result<Mean> {
        if self.dtype == DType::F64 {
            let own = self.flat::<f64>(own, loss, samples)?;
            match through.all_reduce_sum(Numbers::F64(own))? {
                Numbers::F64(sums) => self.apart(sums, |sum| sum),
                Numbers::F32(_) => Err(other_kind()),
            }
        } else {
            let own = self.flat::<f32>(own, loss, samples)?;
            match through.all_reduce_sum(Numbers::F32(own))? {
                Numbers::F32(sums) => self.apart(sums, f64::from),
                Numbers::F64(_) => Err(other_kind()),
            }
        }
    }

    /// A gradient of zeros.
    pub(crate) fn zeros(&self) -> ParamVec {
        let zeros = |tensor: &Option<(usize, DType)>| {
            let (length, dtype) = (*tensor)?;
            Some(Tensor::zeros([length], (&self.device, dtype)))
        };
        ParamVec::new(self.tensors.iter().map(zeros).collect())
    }

    /// How many numbers it holds.
    pub(crate) fn elements(&self) -> usize {
        self.tensors.iter().flatten().map(|(length, _)| length).sum()
    }

    /// The own gradient times the samples, the samples, the loss times the samples, and for each
    /// tensor whether it is there: in one transfer from the device.
    fn flat<E: Element>(
        &self,
        own: Option<&ParamVec>,
        loss: Option<&Scalar>,
        samples: f64,
    ) -> Result<Vec<E>> {
        let elements = self.elements();
        let Some(own) = own.filter(|_| samples > 0.0) else {
            return Ok(vec![
                E::from_elem(0.0);
                elements + EXTRA + self.tensors.iter().flatten().count()
            ]);
        };
        let options = (&self.device, self.dtype);
        let mut pieces = Vec::with_capacity(self.tensors.len() + EXTRA);
        let mut flags = Vec::with_capacity(self.tensors.len());
        for (tensor, part) in self.tensors.iter().zip(own.parts()) {
            let Some((length, _)) = tensor else { continue };
            flags.push(f64::from(u8::from(part.is_some())));
            pieces.push(match part {
                Some(part) => cast(part.clone(), self.dtype),
                None => Tensor::zeros([*length], options),
            });
        }
        pieces.push(match loss {
            Some(loss) => cast(loss.clone(), self.dtype),
            None => Tensor::zeros([1], options),
        });
        let weighted = Tensor::cat(pieces, 0).mul_scalar(samples);
        let mut flat =
            weighted.try_into_vec_as::<E>().map_err(|error| Error::ReadBack(error.to_string()))?;
        flat.push(E::from_elem(samples));
        flat.extend(flags.into_iter().map(E::from_elem));
        Ok(flat)
    }

    /// The mean from the sums of what [`flat`](Self::flat) gives.
    fn apart<E: Element>(&self, mut sums: Vec<E>, wide: impl Fn(E) -> f64) -> Result<Mean> {
        let elements = self.elements();
        if sums.len() != elements + EXTRA + self.tensors.iter().flatten().count() {
            return Err(other_kind());
        }
        let flags: Vec<f64> = sums.drain(elements + EXTRA..).map(&wide).collect();
        let samples = sums.pop().map_or(0.0, &wide);
        let options = (&self.device, self.dtype);
        let sums = Tensor::<1>::from_data(TensorData::new(sums, [elements + 1]), options);
        let means = if samples > 0.0 { sums.mul_scalar(1.0 / samples) } else { sums };
        let (mut start, mut flags) = (0, flags.into_iter());
        let part = |tensor: &Option<(usize, DType)>| {
            let (length, dtype) = (*tensor)?;
            start += length;
            let is_there = flags.next().is_some_and(|flag| flag > 0.0);
            is_there.then(|| cast(means.clone().narrow(0, start - length, length), dtype))
        };
        let parts: Vec<_> = self.tensors.iter().map(part).collect();
        let loss = means.narrow(0, elements, 1);
        Ok(Mean { gradient: ParamVec::new(parts), loss, samples })
    }
}

fn other_kind() -> Error {
    Error::Collective("numbers of another kind".to_owned())
}

/// `module` with the running statistics that are the mean over all workers: what each added to
/// those of `before`, the module's [`Module::valid`] copy of before the step, with the weight of
/// its samples. What is not trained and did not move is left as it is.
pub(crate) fn mean_running_state<M: Module>(
    workers: &Workers,
    parameters: &Parameters,
    module: M,
    before: &M,
    samples: usize,
) -> Result<M> {
    if !workers.are_several() {
        return Ok(module);
    }
    let before = untrained(parameters, before);
    if before.is_empty() {
        return Ok(module);
    }
    let after = untrained(parameters, &module.valid());
    let added: Vec<Tensor<1>> =
        before.iter().zip(after).map(|((_, before), (_, after))| after - before.clone()).collect();
    let sizes = added.iter().map(|added| cast(added.clone(), wide(added.dtype())).abs().sum());
    let moved = read(sizes.collect())?.into_iter().map(|size| f64::from(u8::from(size != 0.0)));
    let moved = workers.sums_of(Topic::RunningStatistics, moved.collect())?;
    if moved.iter().all(|&count| count == 0.0) {
        return Ok(module);
    }
    let all = workers.checked(Topic::RunningStatistics);
    let pairs = added.into_iter().zip(&moved);
    let added =
        ParamVec::new(pairs.map(|(added, &moved)| Some(added).filter(|_| moved > 0.0)).collect());
    let mean = Bucket::new(&added, &Active::All)?.mean(&all, Some(&added), None, samples as f64)?;
    let values = before.into_iter().zip(mean.gradient.into_parts());
    let values = values.filter_map(|((id, before), added)| Some((id, before + added?)));
    Ok(restored(parameters, module, values.collect::<HashMap<_, _>>()))
}
