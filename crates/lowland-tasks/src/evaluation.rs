//! What a network makes of samples, one by one, and the figures that are drawn from it.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::Device;
use serde::Serialize;

use crate::Result;
pub use crate::answer::{Answer, JointFigures};
use crate::data::{BatchConfig, Loader, Source};
use crate::models::Model;
use crate::task::{AnySource, Outcome, Split};
use crate::train::Data;

/// Samples in a batch.
const BATCH: usize = 500;

/// Bins of equal width in which confidence is compared with accuracy.
pub const CALIBRATION_BINS: usize = 15;

/// What a network in evaluation makes of each sample of a source, in its order.
///
/// # Errors
/// The device fails.
pub fn answers(source: AnySource, model: &Model, device: &Device) -> Result<Vec<Answer>> {
    let loader =
        Loader::to_measure(source, BatchConfig { batch_size: BATCH, ..BatchConfig::default() })?;
    let (device, model) = (device.clone().without_autodiff(), model.valid());
    let mut answers = Vec::new();
    for batch in loader.epoch(0) {
        answers.extend(batch.to_device(&device).answers(&model)?);
    }
    Ok(answers)
}

/// The figures of one class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassFigures {
    /// Its name.
    pub class: String,
    /// How many samples have it as their label.
    pub samples: usize,
    /// Of the samples that the network puts there, the share that belong there; `None` where it
    /// puts none there.
    pub precision: Option<f64>,
    /// Of the samples that belong there, the share that the network puts there; `None` where none
    /// do.
    pub recall: Option<f64>,
    /// The harmonic mean of both, 0 where nothing is right; `None` where the class has neither
    /// samples nor answers.
    pub f1: Option<f64>,
}

/// What a network makes of a part of the data.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// Which part.
    pub on: Split,
    /// How many samples.
    pub samples: usize,
    /// What the share of right answers is called, or what is measured in its place.
    pub measure: String,
    /// The share of right answers, 0 to 1, or what is measured in its place.
    pub accuracy: f64,
    /// The mean loss, without smoothing and weights.
    pub loss: f64,
    /// What else the task measures, by its name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub scores: BTreeMap<String, f64>,
    /// The expected calibration error: the mean distance of confidence and accuracy over
    /// [`CALIBRATION_BINS`] bins of confidence, each counted by its samples (Guo et al., arXiv
    /// 1706.04599); `None` where there are no classes.
    pub calibration_error: Option<f64>,
    /// The figures of each class, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassFigures>,
    /// How many samples of a class (row) the network puts into which (column).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub confusion: Vec<Vec<usize>>,
    /// The figures of each joint, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub joints: Vec<JointFigures>,
}

/// Measures a network on a part of the data.
///
/// # Errors
/// A part that is not there, a device that fails.
pub fn evaluate(data: &Data, split: Split, model: &Model, device: &Device) -> Result<Evaluation> {
    let task = data.task();
    let source = task.to_measure(split, usize::MAX)?;
    let samples = source.sample_count();
    let loader =
        Loader::to_measure(source, BatchConfig { batch_size: BATCH, ..BatchConfig::default() })?;
    let (device, model) = (device.clone().without_autodiff(), model.valid());
    let mut outcome = Outcome::default();
    let mut answers = Vec::new();
    for batch in loader.epoch(0) {
        let batch = batch.to_device(&device);
        outcome.add(batch.measure(&model)?);
        answers.extend(batch.answers(&model)?);
    }
    let names = task.class_names();
    let confusion = confusion(&answers, names.len());
    let has_classes = answers.iter().any(|answer| answer.class().is_some());
    Ok(Evaluation {
        on: split,
        samples,
        measure: task.wording().measure,
        accuracy: task.measured(&outcome),
        loss: outcome.loss / samples as f64,
        scores: task.scores(split, &outcome.marks),
        calibration_error: calibration_error(&answers),
        classes: if has_classes { class_figures(&names, &confusion) } else { Vec::new() },
        confusion: if has_classes { confusion } else { Vec::new() },
        joints: task.joint_figures(split, &outcome.marks)?,
    })
}

/// How many samples of each class (row) were put into which (column).
fn confusion(answers: &[Answer], classes: usize) -> Vec<Vec<usize>> {
    let mut counts = vec![vec![0; classes]; classes];
    for answer in answers {
        if let (Answer::Class { label, .. }, Some(class)) = (answer, answer.class())
            && let Some(count) =
                counts.get_mut(usize::from(*label)).and_then(|row| row.get_mut(class))
        {
            *count += 1;
        }
    }
    counts
}

fn class_figures(names: &[String], confusion: &[Vec<usize>]) -> Vec<ClassFigures> {
    let share = |part: usize, of: usize| (of > 0).then(|| part as f64 / of as f64);
    let one = |(class, name): (usize, &String)| {
        let right = confusion[class][class];
        let samples: usize = confusion[class].iter().sum();
        let answers: usize = confusion.iter().map(|row| row[class]).sum();
        ClassFigures {
            class: name.clone(),
            samples,
            precision: share(right, answers),
            recall: share(right, samples),
            // 2PR / (P + R) = 2 right / (samples + answers).
            f1: share(2 * right, samples + answers),
        }
    };
    names.iter().enumerate().map(one).collect()
}

/// The expected calibration error; `None` where there are no classes.
fn calibration_error(answers: &[Answer]) -> Option<f64> {
    // Of each bin: samples, right answers, the sum of confidences.
    let mut bins = [(0.0, 0.0, 0.0); CALIBRATION_BINS];
    for answer in answers {
        let Answer::Class { probabilities, label } = answer else { return None };
        let class = answer.class()?;
        let confidence = *probabilities.get(class)?;
        // Bins are open below and closed above, as in the paper.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share times the number of bins; what is no number is 0"
        )]
        let bin =
            ((confidence * CALIBRATION_BINS as f64).ceil() as usize).clamp(1, CALIBRATION_BINS) - 1;
        bins[bin].0 += 1.0;
        bins[bin].1 += f64::from(u8::from(class == usize::from(*label)));
        bins[bin].2 += confidence;
    }
    let gaps: f64 = bins.iter().map(|(_, right, confidence)| (right - confidence).abs()).sum();
    (!answers.is_empty()).then(|| gaps / answers.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(probabilities: &[f64], label: u16) -> Answer {
        Answer::Class { probabilities: probabilities.to_vec(), label }
    }

    #[test]
    fn figures_of_classes_are_those_of_their_definitions() {
        let answers = [
            answer(&[0.9, 0.1, 0.0], 0),
            answer(&[0.6, 0.4, 0.0], 1),
            answer(&[0.2, 0.8, 0.0], 1),
            answer(&[0.5, 0.5, 0.0], 0),
        ];
        let counts = confusion(&answers, 3);
        assert_eq!(counts, [vec![2, 0, 0], vec![1, 1, 0], vec![0, 0, 0]]);
        let names = ["a", "b", "c"].map(str::to_owned);
        let figures = class_figures(&names, &counts);
        assert_eq!((figures[0].precision, figures[0].recall), (Some(2.0 / 3.0), Some(1.0)));
        assert_eq!((figures[0].f1, figures[1].f1), (Some(0.8), Some(2.0 / 3.0)));
        assert_eq!((figures[2].precision, figures[2].recall, figures[2].f1), (None, None, None));
    }

    #[test]
    fn calibration_is_the_gap_of_confidence_and_accuracy() {
        // One bin: confidence 0.8, half of the answers right.
        let answers = [answer(&[0.8, 0.2], 0), answer(&[0.8, 0.2], 1)];
        assert!((calibration_error(&answers).unwrap() - 0.3).abs() < 1e-12);
        // Two bins of one sample each: 0.1 and 0.6.
        let answers = [answer(&[0.9, 0.1], 0), answer(&[0.4, 0.6], 0)];
        assert!((calibration_error(&answers).unwrap() - 0.35).abs() < 1e-12);
        assert_eq!(calibration_error(&[]), None);
        assert_eq!(calibration_error(&[Answer::Joints(Vec::new())]), None);
    }
}
