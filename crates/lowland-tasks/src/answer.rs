//! What a network makes of single samples.

use serde::Serialize;

use crate::pose::FoundJoint;

/// What a network makes of one sample.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The probability of each class, which add up to 1, and the label of the sample.
    Class {
        /// One for each class, in their order.
        probabilities: Vec<f64>,
        /// The label; of no meaning for samples without one.
        label: u16,
    },
    /// Where each joint is, in the coordinates of the image.
    Joints(Vec<FoundJoint>),
    /// The number that was looked for.
    Number(f64),
}

impl Answer {
    /// The class with the highest probability, the first of equal ones; `None` where there
    /// are no classes.
    pub fn class(&self) -> Option<usize> {
        let Self::Class { probabilities, .. } = self else { return None };
        let mut best = 0;
        for (class, probability) in probabilities.iter().enumerate() {
            if *probability > probabilities[best] {
                best = class;
            }
        }
        Some(best)
    }
}

/// The figures of one joint.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JointFigures {
    /// Its name.
    pub joint: String,
    /// How many people have it marked and can be measured.
    pub samples: usize,
    /// The share of those where it is found within a fifth of the torso's length (PCK@0.2).
    pub pck: f64,
}
