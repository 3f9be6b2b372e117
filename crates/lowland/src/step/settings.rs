//! The optimizer's settings, and what it carries from step to step.

use crate::error::positive;
use crate::parallel::Workers;
use crate::rule::Cost;
use crate::state::Memory;
use crate::{ParamVec, Result};

/// How much a step measures beside what its rule needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Diagnostics {
    /// Norms of all gradients and of the PSF, and whether they are finite: a step that is not
    /// changes nothing. One read-back a step, beside what the rule reads itself.
    #[default]
    All,
    /// Whether the loss and the final gradient are finite: a step that is not changes nothing. One
    /// read-back a step.
    Finite,
    /// Nothing: no read-back but the rule's own, and a loss that is not finite goes into the
    /// weights. A single worker keeps no copy of running statistics either: a step that fails
    /// leaves them moved, in clones of the module too.
    Nothing,
}

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The seed of everything random; `None` for the number that is drawn at the first step.
    pub(crate) seed: Option<u64>,
    pub(crate) steps_per_epoch: Option<u64>,
    pub(crate) total_steps: Option<u64>,
    pub(crate) clip_norm: Option<f64>,
    pub(crate) non_finite_limit: u32,
    pub(crate) diagnostics: Diagnostics,
    pub(crate) workers: Workers,
}

/// What the optimizer itself carries from step to step.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub(crate) step: u64,
    pub(crate) spent: Cost,
    pub(crate) evaluations: u64,
    pub(crate) second_gradients: u64,
    pub(crate) non_finite: u64,
    pub(super) non_finite_in_a_row: u64,
    /// A number that was drawn from the module's device before the first step, and 1; 0 before
    /// that.
    pub(super) drawn: u64,
    /// Steps since this optimizer was made or loaded.
    pub(super) here: u64,
}

impl State {
    /// The number that was drawn at the first step.
    pub(crate) fn drawn(&self) -> u64 {
        self.drawn
    }

    pub(super) fn save(&self, memory: &mut Memory) {
        memory.put_count("step", self.step);
        memory.put_count("evaluations", self.evaluations);
        memory.put_count("second_gradients", self.second_gradients);
        memory.put_count("non_finite", self.non_finite);
        memory.put_count("non_finite_in_a_row", self.non_finite_in_a_row);
        memory.put_count("drawn", self.drawn);
        let Cost { passes, single_steps, single_seconds, double_steps, double_seconds, .. } =
            self.spent;
        memory.put_number("passes", passes);
        memory.put_count("single_steps", single_steps);
        memory.put_number("single_seconds", single_seconds);
        memory.put_count("double_steps", double_steps);
        memory.put_number("double_seconds", double_seconds);
    }

    pub(super) fn restored(memory: &mut Memory) -> Result<Self> {
        Ok(Self {
            step: memory.take_count("step")?,
            spent: Cost {
                passes: memory.take_number("passes")?,
                step_passes: 0.0,
                single_steps: memory.take_count("single_steps")?,
                single_seconds: memory.take_number("single_seconds")?,
                double_steps: memory.take_count("double_steps")?,
                double_seconds: memory.take_number("double_seconds")?,
            },
            evaluations: memory.take_count("evaluations")?,
            second_gradients: memory.take_count("second_gradients")?,
            non_finite: memory.take_count("non_finite")?,
            non_finite_in_a_row: memory.take_count("non_finite_in_a_row")?,
            drawn: memory.take_count("drawn")?,
            here: 0,
        })
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: None,
            steps_per_epoch: None,
            total_steps: None,
            clip_norm: None,
            non_finite_limit: 10,
            diagnostics: Diagnostics::All,
            workers: Workers::alone(),
        }
    }
}

impl Settings {
    /// Sets the length of an epoch, and of a training of so many.
    #[cfg_attr(not(feature = "train"), allow(dead_code, reason = "a `Learner` has epochs"))]
    pub(crate) fn set_steps_per_epoch(&mut self, steps: u64, epochs: usize) {
        self.steps_per_epoch = Some(steps);
        self.total_steps = Some(steps.saturating_mul(epochs as u64));
    }

    pub(crate) fn set_clip_norm(&mut self, norm: f64) -> Result<()> {
        self.clip_norm = Some(positive("clip_norm", norm)?);
        Ok(())
    }

    pub(crate) fn clipped(&self, gradient: ParamVec) -> ParamVec {
        let Some(most) = self.clip_norm else { return gradient };
        let factor = gradient.inverse_norm().mul_scalar(most).clamp_max(1.0);
        gradient.times(&factor)
    }
}
