//! What a run leaves behind, in numbers.

use serde::{Deserialize, Serialize};

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// One record for each epoch.
    pub epochs: Vec<EpochRecord>,
    /// How often a second gradient was taken, over time.
    pub sampling: Vec<SamplingPoint>,
    /// Steps.
    pub steps: u64,
    /// Gradient evaluations, in batches.
    pub passes: f64,
    /// Steps that were not finite and changed nothing.
    pub skipped_steps: u64,
}

impl RunRecord {
    /// Seconds of training steps in all epochs that were measured.
    pub fn seconds(&self) -> f64 {
        self.epochs.iter().map(|epoch| epoch.seconds).sum()
    }
}

/// One epoch of a run; the last one may have been cut short by a limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// The epoch; the first is 1.
    pub epoch: usize,
    /// Mean training loss of its steps; `None` if it was not finite.
    pub train_loss: Option<f64>,
    /// Test loss after it; `None` if it was not finite.
    pub test_loss: Option<f64>,
    /// Test accuracy after it, 0 to 1; `None` if the network's outputs were not finite.
    pub test_accuracy: Option<f64>,
    /// The learning rate of its last step.
    pub learning_rate: f64,
    /// Gradient evaluations in it, in batches.
    pub passes: f64,
    /// Share of its steps that took a second gradient, 0 to 1.
    pub second_gradient_share: f64,
    /// Seconds of its training steps, preparing the batches included, measuring left out.
    pub seconds: f64,
}

/// How often a second gradient was taken in a stretch of steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SamplingPoint {
    /// The last step of the stretch; it begins after the previous point's.
    pub step: usize,
    /// Share of the stretch's steps that took a second gradient, 0 to 1.
    pub share: f64,
}

/// One step of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The step; the first is 1.
    pub step: u64,
    /// Its epoch; the first is 1.
    pub epoch: usize,
    /// The mean loss of its batch, before the step.
    pub loss: f64,
    /// The learning rate.
    pub learning_rate: f64,
    /// Gradient evaluations, in batches.
    pub passes: f64,
    /// Whether a second gradient was taken.
    pub second_gradient: bool,
    /// Whether the loss or gradient was not finite, so that nothing changed.
    pub skipped: bool,
    /// `‖g‖`
    pub gradient_norm: Option<f64>,
    /// `‖g_s‖`, where a second gradient was taken.
    pub perturbed_norm: Option<f64>,
    /// `‖e‖`, the length of the perturbation, where a gradient was taken at perturbed weights.
    pub radius: Option<f64>,
    /// `‖g_s − g‖`, where a second gradient was taken.
    pub psf_norm: Option<f64>,
    /// The cosine of the angle between g and `g_s`, where a second gradient was taken.
    pub cosine: Option<f64>,
}
