//! Batches of a task of one's own.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData};
use lowland::{Samples, cross_entropies};

use super::definition::OwnTask;
use super::samples::{SampleSet, Targets};
use crate::Result;
use crate::answer::Answer;
use crate::data::Source;
use crate::models::Model;
use crate::task::{
    Learning, OnHost, Outcome, TaskBatch, class_answers, class_outcome, number, numbers,
};

/// Samples that become batches, each as it is.
#[derive(Debug)]
pub(super) struct SampleSource<T> {
    pub(super) own: Arc<T>,
    pub(super) set: Arc<SampleSet>,
    /// The mean of the numbers to find, which the coefficient of determination goes by.
    pub(super) mean: f64,
}

/// A batch in the memory of the host.
pub(super) struct HostRows<T> {
    own: Arc<T>,
    inputs: Vec<f32>,
    width: usize,
    targets: HostTargets,
    indices: Vec<usize>,
    mean: f64,
}

enum HostTargets {
    Labels(Vec<i32>),
    Numbers(Vec<f32>),
}

/// A batch as tensors.
struct Rows<T> {
    own: Arc<T>,
    /// `[batch, numbers]`.
    inputs: Tensor<2>,
    targets: Found,
    indices: Vec<usize>,
    mean: f64,
}

/// What is looked for, `[batch]`.
#[derive(Clone)]
enum Found {
    Labels(Tensor<1, Int>),
    Numbers(Tensor<1>),
}

impl<T: OwnTask> Source for SampleSource<T> {
    type Batch = HostRows<T>;

    fn sample_count(&self) -> usize {
        self.set.len()
    }

    fn prepare(&self, _epoch: u64, indices: &[usize]) -> HostRows<T> {
        let targets = match self.set.targets() {
            Targets::Classes { labels, .. } => {
                HostTargets::Labels(indices.iter().map(|&i| i32::from(labels[i])).collect())
            }
            Targets::Numbers(numbers) => {
                HostTargets::Numbers(indices.iter().map(|&i| numbers[i]).collect())
            }
        };
        HostRows {
            own: Arc::clone(&self.own),
            inputs: indices.iter().flat_map(|&index| self.set.row(index)).copied().collect(),
            width: self.set.width(),
            targets,
            indices: indices.to_vec(),
            mean: self.mean,
        }
    }
}

impl<T: OwnTask> OnHost for HostRows<T> {
    fn to_device(self: Box<Self>, device: &Device) -> Box<dyn TaskBatch> {
        let count = self.indices.len();
        let targets = match self.targets {
            HostTargets::Labels(labels) => {
                Found::Labels(Tensor::from_data(TensorData::new(labels, [count]), device))
            }
            HostTargets::Numbers(numbers) => {
                Found::Numbers(Tensor::from_data(TensorData::new(numbers, [count]), device))
            }
        };
        Box::new(Rows {
            own: self.own,
            inputs: Tensor::from_data(TensorData::new(self.inputs, [count, self.width]), device),
            targets,
            indices: self.indices,
            mean: self.mean,
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

    /// The numbers that a network finds: `[batch]`.
    fn found(&self, model: &Model, inputs: Tensor<2>) -> Tensor<1> {
        let outputs = self.outputs(model, inputs);
        let [batch, _] = outputs.dims();
        outputs.reshape([batch])
    }
}

impl<T: OwnTask> TaskBatch for Rows<T> {
    fn indices(&self) -> &[usize] {
        &self.indices
    }

    fn piece(&self, range: Range<usize>) -> Box<dyn TaskBatch> {
        let targets = match self.targets.clone() {
            Found::Labels(labels) => Found::Labels(labels.slice([range.clone()])),
            Found::Numbers(numbers) => Found::Numbers(numbers.slice([range.clone()])),
        };
        Box::new(Self {
            own: Arc::clone(&self.own),
            inputs: self.inputs.clone().slice([range.clone()]),
            targets,
            indices: self.indices[range].to_vec(),
            mean: self.mean,
        })
    }

    fn losses(&self, model: &Model, samples: &Samples, learning: Learning) -> Tensor<1> {
        let inputs = samples.select(self.inputs.clone());
        match self.targets.clone() {
            Found::Labels(labels) => {
                learning.cross_entropies(self.outputs(model, inputs), samples.select(labels))
            }
            Found::Numbers(numbers) => {
                (self.found(model, inputs) - samples.select(numbers)).square()
            }
        }
    }

    /// For numbers, "right" is the part of their spread about the mean of the split that the network
    /// explains and "answers" the whole of it, so that their ratio over all batches is R².
    fn measure(&self, model: &Model) -> Result<Outcome> {
        let inputs = self.inputs.clone();
        match self.targets.clone() {
            Found::Labels(labels) => {
                let logits = self.outputs(model, inputs);
                let loss = number(cross_entropies(logits.clone(), labels.clone(), 0.0).sum())?;
                class_outcome(logits, labels, loss)
            }
            Found::Numbers(targets) => {
                let found = numbers(self.found(model, inputs))?;
                let targets = numbers(targets)?;
                let square = |x: f64| x * x;
                let errors =
                    found.iter().zip(&targets).map(|(found, target)| square(found - target));
                let marks: Vec<f64> = errors.collect();
                let loss: f64 = marks.iter().sum();
                let spread: f64 = targets.iter().map(|target| square(target - self.mean)).sum();
                Ok(Outcome { loss, right: spread - loss, answers: spread, marks })
            }
        }
    }

    fn answers(&self, model: &Model) -> Result<Vec<Answer>> {
        let inputs = self.inputs.clone();
        match self.targets.clone() {
            Found::Labels(labels) => class_answers(self.outputs(model, inputs), labels),
            Found::Numbers(_) => {
                let found = numbers(self.found(model, inputs))?;
                Ok(found.into_iter().map(Answer::Number).collect())
            }
        }
    }
}
