//! The two schedules that never change their mind.

use crate::rule::Surface;
use crate::schedule::{Frequency, Schedule};
use crate::{ParamVec, Result};

/// A second gradient at every step, as SAM has it.
#[derive(Debug, Clone, Copy, Default)]
pub struct EveryStep;

impl Schedule for EveryStep {
    fn due(&mut self, _g: &ParamVec, _surface: &mut dyn Surface) -> Result<bool> {
        Ok(true)
    }

    fn frequency(&self) -> Frequency {
        Frequency::Always
    }

    fn looks_at_gradient(&self) -> bool {
        false
    }
}

/// No second gradient at any step: the base optimizer alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Never;

impl Schedule for Never {
    fn due(&mut self, _g: &ParamVec, _surface: &mut dyn Surface) -> Result<bool> {
        Ok(false)
    }

    fn frequency(&self) -> Frequency {
        Frequency::Never
    }

    fn looks_at_gradient(&self) -> bool {
        false
    }
}
