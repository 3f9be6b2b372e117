//! Samples in which a number is looked for: their losses, and what a network makes of them.

use burn::tensor::Tensor;

use super::{Outcome, numbers};
use crate::Result;
use crate::answer::Answer;
use crate::config::TrainConfig;
use crate::error::setting;

/// The squared error of each sample, `[batch]`, from outputs `[batch, 1]` and the numbers that are
/// looked for, `[batch]`.
pub(crate) fn squared_errors(outputs: Tensor<2>, targets: Tensor<1>) -> Tensor<1> {
    (in_a_row(outputs) - targets).square()
}

/// What outputs `[batch, 1]` make of samples with these numbers, `[batch]`: the sum of squared
/// errors, and as marks the number looked for and the one found of each sample. No answer is right
/// or wrong.
///
/// # Errors
/// The device fails.
pub(crate) fn outcome(outputs: Tensor<2>, targets: Tensor<1>) -> Result<Outcome> {
    let (founds, targets) = (numbers(in_a_row(outputs))?, numbers(targets)?);
    let pairs = || targets.iter().zip(&founds);
    let loss = pairs().map(|(target, found)| (target - found) * (target - found)).sum();
    let marks = pairs().flat_map(|(target, found)| [*target, *found]).collect();
    Ok(Outcome { loss, right: 0.0, answers: 0.0, marks })
}

/// The answers that outputs `[batch, 1]` are.
///
/// # Errors
/// The device fails.
pub(crate) fn answers(outputs: Tensor<2>) -> Result<Vec<Answer>> {
    Ok(numbers(in_a_row(outputs))?.into_iter().map(Answer::Number).collect())
}

/// The pairs of the number looked for and the one found that are the [`outcome`]'s marks.
pub(crate) fn pairs(marks: &[f64]) -> Vec<(f64, f64)> {
    marks.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

/// An error where a setting is given that samples without classes have no use for.
pub(crate) fn refuse_what_is_for_classes(config: &TrainConfig) -> Result<()> {
    let allowed = "0: these samples have no classes";
    let (noise, smoothing) = (config.data.label_noise, config.label_smoothing);
    setting("label_noise", noise <= 0.0, noise, allowed)?;
    setting("label_smoothing", smoothing <= 0.0, smoothing, allowed)
}

/// `[batch, 1]` as `[batch]`.
fn in_a_row(outputs: Tensor<2>) -> Tensor<1> {
    let [batch, _] = outputs.dims();
    outputs.reshape([batch])
}
