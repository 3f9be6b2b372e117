//! A second gradient every so many steps.

use crate::rule::Surface;
use crate::schedule::Schedule;
use crate::{Error, ParamVec, Result};

/// A second gradient at the steps t, counted from 0, with `t mod period = first`.
#[derive(Debug, Clone, Copy)]
pub struct Periodic {
    period: u64,
    first: u64,
    step: u64,
}

impl Periodic {
    /// A second gradient at the first step and every `period` steps after it.
    ///
    /// # Errors
    /// A period of 0.
    pub fn from_the_first(field: &'static str, period: u64) -> Result<Self> {
        if period == 0 {
            return Err(Error::config(field, &period, "at least 1"));
        }
        Ok(Self { period, first: 0, step: 0 })
    }

    /// A second gradient at the last of every `period` steps.
    ///
    /// # Errors
    /// A period of 0.
    pub fn at_the_last(field: &'static str, period: u64) -> Result<Self> {
        let periodic = Self::from_the_first(field, period)?;
        Ok(Self { first: period - 1, ..periodic })
    }
}

impl Schedule for Periodic {
    fn due(&mut self, _g: &ParamVec, _surface: &mut dyn Surface) -> Result<bool> {
        let due = self.step % self.period == self.first;
        self.step += 1;
        Ok(due)
    }
}
