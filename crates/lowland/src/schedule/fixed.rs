//! The two schedules that never change their mind.

use crate::rule::Surface;
use crate::schedule::Schedule;
use crate::{ParamVec, Result};

/// A second gradient at every step, as SAM has it.
#[derive(Debug, Clone, Copy, Default)]
pub struct EveryStep;

impl Schedule for EveryStep {
    fn due(&mut self, _g: &ParamVec, _surface: &mut dyn Surface) -> Result<bool> {
        Ok(true)
    }
}

/// No second gradient at any step: the base optimizer alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Never;

impl Schedule for Never {
    fn due(&mut self, _g: &ParamVec, _surface: &mut dyn Surface) -> Result<bool> {
        Ok(false)
    }
}
