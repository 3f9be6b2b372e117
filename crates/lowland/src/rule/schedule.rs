//! The second stage: whether a second gradient is due at this step.

use std::fmt::Debug;

use derive_setters::Setters;
use dyn_clone::DynClone;
use serde::{Deserialize, Serialize};

use super::gradient::{Gradient, Pair};
use super::surface::Surface;
use crate::error::fraction;
use crate::state::Memory;
use crate::{Error, Result};

/// Decides at which steps a second gradient is taken.
pub trait Schedule: Debug + DynClone + Send {
    /// Whether a second gradient is due, given `g = ∇L(w)`. Called once a step.
    ///
    /// # Errors
    /// What reading values back from the device gives, and settings that do not fit the run.
    fn due(&mut self, g: &Gradient, surface: &mut dyn Surface) -> Result<bool>;

    /// Sees the two gradients of a step that had a second one.
    fn observe(&mut self, _pair: &Pair) {}

    /// Writes what it carries from step to step.
    ///
    /// # Errors
    /// The device fails.
    fn save(&self, _memory: &mut Memory) -> Result<()> {
        Ok(())
    }

    /// Reads what [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// What `memory` holds does not fit.
    fn restore(&mut self, _memory: &mut Memory) -> Result<()> {
        Ok(())
    }

    /// How often a second gradient is due.
    fn frequency(&self) -> Frequency {
        Frequency::Sometimes
    }

    /// The schedule that this one begins late, if it does so: a budget takes the place of that one
    /// alone.
    fn begun_late(&mut self) -> Option<&mut Box<dyn Schedule>> {
        None
    }
}

dyn_clone::clone_trait_object!(Schedule);

/// How often a second gradient is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frequency {
    /// At no step.
    Never,
    /// At some steps, or it is not known before.
    Sometimes,
    /// At every step.
    Always,
}

/// A second gradient at every step, as SAM has it.
#[derive(Debug, Clone, Copy, Default)]
pub struct EveryStep;

impl Schedule for EveryStep {
    fn due(&mut self, _g: &Gradient, _surface: &mut dyn Surface) -> Result<bool> {
        Ok(true)
    }

    fn frequency(&self) -> Frequency {
        Frequency::Always
    }
}

/// No second gradient at any step: the base optimizer alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Never;

impl Schedule for Never {
    fn due(&mut self, _g: &Gradient, _surface: &mut dyn Surface) -> Result<bool> {
        Ok(false)
    }

    fn frequency(&self) -> Frequency {
        Frequency::Never
    }
}

/// The settings of [`Periodic`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields, default)]
#[setters(prefix = "with_")]
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
    fn due(&mut self, _g: &Gradient, _surface: &mut dyn Surface) -> Result<bool> {
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
}

/// The length of a warm-up, none by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Warmup {
    /// In epochs; the optimizer must then know the number of steps in one.
    Epochs(u64),
    /// In steps.
    Steps(u64),
    /// In epochs where the optimizer knows the number of steps in one, in steps elsewhere.
    EpochsOrSteps {
        /// The length where the number of steps in an epoch is known.
        epochs: u64,
        /// The length where it is not.
        steps: u64,
    },
}

impl Default for Warmup {
    fn default() -> Self {
        Self::Steps(0)
    }
}

impl Warmup {
    /// Its length in steps.
    pub(crate) fn steps(self, surface: &dyn Surface) -> Result<u64> {
        match self {
            Self::Steps(steps) => Ok(steps),
            Self::Epochs(0) => Ok(0),
            Self::Epochs(epochs) => {
                let steps = steps_per_epoch(surface)?.ok_or(Error::STEPS_PER_EPOCH)?;
                Ok(epochs.saturating_mul(steps))
            }
            Self::EpochsOrSteps { epochs, steps } => Ok(match steps_per_epoch(surface)? {
                Some(epoch) => epochs.saturating_mul(epoch),
                None => steps,
            }),
        }
    }
}

/// The number of steps in an epoch, where it was given.
pub(crate) fn steps_per_epoch(surface: &dyn Surface) -> Result<Option<u64>> {
    match surface.steps_per_epoch() {
        Some(0) => Err(Error::config("steps_per_epoch", &0, "at least 1")),
        steps => Ok(steps),
    }
}

/// The number of steps of the training, which must have been given.
pub(crate) fn total_steps(surface: &dyn Surface) -> Result<u64> {
    match surface.total_steps() {
        None => Err(Error::TOTAL_STEPS),
        Some(0) => Err(Error::config("total_steps", &0, "at least 1")),
        Some(steps) => Ok(steps),
    }
}

/// The share of the training that is done at this step: 0 at the first one, 1 at the last.
pub(crate) fn done(surface: &dyn Surface) -> Result<f64> {
    let total = total_steps(surface)?;
    Ok(surface.step() as f64 / total.saturating_sub(1).max(1) as f64)
}

/// How a value moves from its first to its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Course {
    /// In equal steps.
    #[default]
    Linear,
    /// Along half a cosine: slowly at both ends.
    Cosine,
}

impl Course {
    /// The value at the share `done` of the way, between 0 and 1.
    pub fn at(self, done: f64, first: f64, last: f64) -> f64 {
        let done = done.clamp(0.0, 1.0);
        let done = match self {
            Self::Linear => done,
            Self::Cosine => (1.0 - (std::f64::consts::PI * done).cos()) / 2.0,
        };
        first * (1.0 - done) + last * done
    }
}

/// No second gradient in the first part of training, and another schedule in the last: at the steps
/// t, counted from 0, with `t ≥ ⌈start·T⌉`.
///
/// What the other schedule counts and averages begins at the turn: periods, windows, warm-ups and
/// budgets. What moves with the share of training that is done stays with the whole training:
/// AE-SAM's threshold, the probability of SS-SAM.
///
/// The optimizer must know T, the number of steps of the training.
#[derive(Debug, Clone)]
pub struct LateStart {
    schedule: Box<dyn Schedule>,
    start: f64,
}

impl LateStart {
    /// Sets the schedule of the last part, and the share of training after which it begins.
    ///
    /// # Errors
    /// A share outside `[0, 1]`.
    pub fn new(schedule: Box<dyn Schedule>, start: f64) -> Result<Self> {
        Ok(Self { schedule, start: fraction("start", start)? })
    }
}

impl Schedule for LateStart {
    fn due(&mut self, g: &Gradient, surface: &mut dyn Surface) -> Result<bool> {
        let total = total_steps(surface)?;
        // A product that rounding lifts above a whole number counts as that number.
        if (surface.step() as f64) < (self.start * total as f64 - 1e-9).ceil() {
            return Ok(false);
        }
        self.schedule.due(g, surface)
    }

    fn observe(&mut self, pair: &Pair) {
        self.schedule.observe(pair);
    }

    fn save(&self, memory: &mut Memory) -> Result<()> {
        self.schedule.save(memory)
    }

    fn restore(&mut self, memory: &mut Memory) -> Result<()> {
        self.schedule.restore(memory)
    }

    fn frequency(&self) -> Frequency {
        Frequency::Sometimes
    }

    fn begun_late(&mut self) -> Option<&mut Box<dyn Schedule>> {
        Some(&mut self.schedule)
    }
}
