//! What a network makes of samples.

use burn::tensor::{Int, Tensor};

use crate::answer::Answer;
use crate::{Error, Result};

/// What a network makes of some samples.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// The sum of their losses, without smoothing.
    pub loss: f64,
    /// How many answers are right; 0 where numbers are looked for.
    pub right: f64,
    /// Of how many.
    pub answers: f64,
    /// Numbers of each sample that the task's [`scores`](crate::task::Task::scores) are made of.
    pub marks: Vec<f64>,
}

impl Outcome {
    /// Adds what was made of other samples.
    pub fn add(&mut self, other: Self) {
        self.loss += other.loss;
        self.right += other.right;
        self.answers += other.answers;
        self.marks.extend(other.marks);
    }

    /// The share of answers that are right.
    pub fn accuracy(&self) -> f64 {
        self.right / self.answers
    }
}

/// The answers that logits `[samples, classes]` give to samples with labels `[samples]`.
///
/// # Errors
/// The device fails.
pub(crate) fn class_answers(logits: Tensor<2>, labels: Tensor<1, Int>) -> Result<Vec<Answer>> {
    let failed = |error: String| Error::Algorithm(lowland::Error::ReadBack(error));
    let [_, classes] = logits.dims();
    let logits = logits.try_into_data().map_err(|error| failed(error.to_string()))?;
    let labels = labels.try_into_data().map_err(|error| failed(error.to_string()))?;
    let (logits, labels): (Vec<f64>, Vec<i64>) = (logits.iter().collect(), labels.iter().collect());
    let answer = |(logits, &label): (&[f64], &i64)| {
        let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let shares: Vec<f64> = logits.iter().map(|logit| (logit - highest).exp()).collect();
        let sum: f64 = shares.iter().sum();
        Answer::Class {
            probabilities: shares.into_iter().map(|share| share / sum).collect(),
            label: u16::try_from(label).unwrap_or_default(),
        }
    };
    Ok(logits.chunks_exact(classes.max(1)).zip(&labels).map(answer).collect())
}

/// What logits `[samples, classes]` make of samples with labels `[samples]` whose losses have the
/// sum `loss`.
///
/// # Errors
/// The device fails.
pub(crate) fn class_outcome(
    logits: Tensor<2>,
    labels: Tensor<1, Int>,
    loss: f64,
) -> Result<Outcome> {
    let [count, _] = logits.dims();
    let hits = logits.argmax(1).reshape([count]).equal(labels);
    let right = number(hits.int().sum().float())?;
    Ok(Outcome { loss, right, answers: count as f64, marks: Vec::new() })
}

/// Numbers that were computed on a device.
pub(crate) fn numbers(tensor: Tensor<1>) -> Result<Vec<f64>> {
    let data = tensor
        .try_into_data()
        .map_err(|error| Error::Algorithm(lowland::Error::ReadBack(error.to_string())))?;
    Ok(data.iter::<f64>().collect())
}

/// A number that was computed on a device.
pub(crate) fn number(tensor: Tensor<1>) -> Result<f64> {
    tensor
        .try_into_scalar::<f64>()
        .map_err(|error| Error::Algorithm(lowland::Error::ReadBack(error.to_string())))
}
