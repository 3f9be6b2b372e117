//! Where a training stands in its epoch.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::record::StepRecord;

/// The epoch that is under way: how many steps of it are taken, and what they add up to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Position {
    pub(super) steps: usize,
    pub(super) loss: f64,
    pub(super) samples: usize,
    pub(super) learning_rate: f64,
    pub(super) passes: f64,
    pub(super) second_gradients: u64,
    pub(super) seconds: f64,
}

impl Position {
    pub(super) fn count(&mut self, step: &StepRecord, samples: usize, started: Instant) {
        self.steps += 1;
        // A step that was not finite changed nothing, and its loss is none.
        if !step.skipped {
            self.loss += step.loss * samples as f64;
            self.samples += samples;
        }
        self.learning_rate = step.learning_rate;
        self.passes += step.passes;
        self.second_gradients += u64::from(step.second_gradient);
        self.seconds += started.elapsed().as_secs_f64();
    }
}
