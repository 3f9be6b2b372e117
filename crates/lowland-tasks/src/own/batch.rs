//! Batches of a program's own task.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use lowland::{Samples, cross_entropies};

use super::definition::OwnTask;
use super::samples::SampleSet;
use crate::Result;
use crate::answer::Answer;
use crate::data::{Source, TargetTensor, TargetValues};
use crate::models::Model;
use crate::task::{
    Learning, OnHost, Outcome, TaskBatch, class_answers, class_outcome, number, numeric,
};

/// Samples that become batches, each as it is.
#[derive(Debug)]
pub(super) struct SampleSource<T> {
    pub(super) own: Arc<T>,
    pub(super) set: Arc<SampleSet>,
}

/// A batch in the memory of the host.
pub(super) struct HostRows<T> {
    own: Arc<T>,
    inputs: Vec<f32>,
    width: usize,
    targets: TargetValues,
    indices: Vec<usize>,
}

/// A batch as tensors.
struct Rows<T> {
    own: Arc<T>,
    /// `[batch, numbers]`.
    inputs: Tensor<2>,
    targets: TargetTensor,
    indices: Vec<usize>,
}

impl<T: OwnTask> Source for SampleSource<T> {
    type Batch = HostRows<T>;

    fn sample_count(&self) -> usize {
        self.set.len()
    }

    fn prepare(&self, _epoch: u64, indices: &[usize]) -> HostRows<T> {
        HostRows {
            own: Arc::clone(&self.own),
            inputs: indices.iter().flat_map(|&index| self.set.row(index)).copied().collect(),
            width: self.set.width(),
            targets: self.set.targets().values(indices),
            indices: indices.to_vec(),
        }
    }
}

impl<T: OwnTask> OnHost for HostRows<T> {
    fn to_device(self: Box<Self>, device: &Device) -> Box<dyn TaskBatch> {
        let count = self.indices.len();
        Box::new(Rows {
            own: self.own,
            inputs: Tensor::from_data(TensorData::new(self.inputs, [count, self.width]), device),
            targets: self.targets.to_device(device),
            indices: self.indices,
        })
    }
}

impl<T: OwnTask> fmt::Debug for Rows<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("indices", &self.indices).finish_non_exhaustive()
    }
}

impl<T: OwnTask> Rows<T> {
    /// What a network makes of samples: `[batch, outputs]`.
    ///
    /// # Panics
    /// If the network is none of the task's.
    fn outputs(&self, model: &Model, inputs: Tensor<2>) -> Tensor<2> {
        let Some(network) = model.own::<T::Network>() else {
            panic!("the network is not that of {}", self.own.name())
        };
        self.own.forward(network, inputs)
    }
}

impl<T: OwnTask> TaskBatch for Rows<T> {
    fn indices(&self) -> &[usize] {
        &self.indices
    }

    fn piece(&self, range: Range<usize>) -> Box<dyn TaskBatch> {
        Box::new(Self {
            own: Arc::clone(&self.own),
            inputs: self.inputs.clone().slice([range.clone()]),
            targets: self.targets.piece(range.clone()),
            indices: self.indices[range].to_vec(),
        })
    }

    fn losses(&self, model: &Model, samples: &Samples, learning: Learning) -> Tensor<1> {
        let outputs = self.outputs(model, samples.select(self.inputs.clone()));
        match self.targets.select(samples) {
            TargetTensor::Labels(labels) => learning.cross_entropies(outputs, labels),
            TargetTensor::Numbers(numbers) => numeric::squared_errors(outputs, numbers),
        }
    }

    fn measure(&self, model: &Model) -> Result<Outcome> {
        let outputs = self.outputs(model, self.inputs.clone());
        match self.targets.clone() {
            TargetTensor::Labels(labels) => {
                let loss = number(cross_entropies(outputs.clone(), labels.clone(), 0.0).sum())?;
                class_outcome(outputs, labels, loss)
            }
            TargetTensor::Numbers(numbers) => numeric::outcome(outputs, numbers),
        }
    }

    fn answers(&self, model: &Model) -> Result<Vec<Answer>> {
        let outputs = self.outputs(model, self.inputs.clone());
        match self.targets.clone() {
            TargetTensor::Labels(labels) => class_answers(outputs, labels),
            TargetTensor::Numbers(_) => numeric::answers(outputs),
        }
    }
}
