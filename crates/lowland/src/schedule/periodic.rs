//! A second gradient every so many steps.

use serde::{Deserialize, Serialize};

use crate::rule::Surface;
use crate::schedule::Schedule;
use crate::state::Memory;
use crate::{Error, ParamVec, Result};

/// The settings of [`Periodic`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PeriodicConfig {
    /// The steps from one second gradient to the next, at least 1. Default 5.
    pub k: u64,
    /// The first step with one, counted from 0, below `k`. Default 0.
    pub first: u64,
}

impl Default for PeriodicConfig {
    fn default() -> Self {
        Self { k: 5, first: 0 }
    }
}

/// A second gradient at the steps t, counted from 0, with `t mod k = first`.
#[derive(Debug, Clone, Copy)]
pub struct Periodic {
    config: PeriodicConfig,
    step: u64,
}

impl Periodic {
    /// Checks the settings.
    ///
    /// # Errors
    /// A period of 0, a first step outside it.
    pub fn new(config: PeriodicConfig) -> Result<Self> {
        if config.k == 0 {
            return Err(Error::config("k", &config.k, "at least 1"));
        }
        if config.first >= config.k {
            return Err(Error::config("first", &config.first, "below `k`"));
        }
        Ok(Self { config, step: 0 })
    }
}

impl Schedule for Periodic {
    fn due(&mut self, _g: &ParamVec, _surface: &mut dyn Surface) -> Result<bool> {
        let due = self.step % self.config.k == self.config.first;
        self.step += 1;
        Ok(due)
    }

    fn save(&self, memory: &mut Memory) -> Result<()> {
        memory.put_count("step", self.step);
        Ok(())
    }

    fn restore(&mut self, memory: &mut Memory) -> Result<()> {
        self.step = memory.take_count("step")?;
        Ok(())
    }

    fn looks_at_gradient(&self) -> bool {
        false
    }
}
