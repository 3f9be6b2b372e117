//! The second stage: whether a second gradient is due at this step.

use std::fmt::Debug;

use dyn_clone::DynClone;
use serde::{Deserialize, Serialize};

use crate::rule::{Pair, Surface};
use crate::state::Memory;
use crate::{ParamVec, Result};

mod budget;
mod controller;
mod fixed;
mod norm_test;
mod periodic;
mod random;
pub use budget::{Budget, BudgetConfig, Unit};
pub use controller::{Controller, ControllerConfig, SAMPLES_PER_WINDOW, Warmup};
pub use fixed::{EveryStep, Never};
pub use norm_test::{NormTest, NormTestConfig};
pub use periodic::{Periodic, PeriodicConfig};
pub use random::{AtRandom, AtRandomConfig, Course};

/// Decides at which steps a second gradient is taken.
pub trait Schedule: Debug + DynClone + Send {
    /// Whether a second gradient is due, given `g = ∇L(w)`. Called once a step.
    ///
    /// # Errors
    /// What reading values back from the device gives, and settings that do not fit the run.
    fn due(&mut self, g: &ParamVec, surface: &mut dyn Surface) -> Result<bool>;

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

    /// The settings of the controller in it, which a budget that takes its place keeps.
    fn controller(&self) -> Option<&ControllerConfig> {
        None
    }

    /// How often a second gradient is due.
    fn frequency(&self) -> Frequency {
        Frequency::Sometimes
    }

    /// Whether it needs to know the first gradient; a first gradient that it need not know is not averaged
    /// over workers that ascend apart. True unless the part says otherwise.
    fn looks_at_gradient(&self) -> bool {
        true
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

/// The second stage in configuration.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleConfig {
    /// See [`EveryStep`].
    #[default]
    EveryStep,
    /// See [`Never`].
    Never,
    /// See [`Periodic`].
    Periodic(PeriodicConfig),
    /// See [`AtRandom`].
    AtRandom(AtRandomConfig),
    /// See [`NormTest`].
    NormTest(NormTestConfig),
    /// See [`Controller`].
    Controller(ControllerConfig),
    /// See [`Budget`].
    Budget(BudgetConfig),
}

impl ScheduleConfig {
    /// Checks the values and makes the part.
    ///
    /// # Errors
    /// A value outside its allowed range, named.
    pub fn build(&self) -> Result<Box<dyn Schedule>> {
        Ok(match self {
            Self::EveryStep => Box::new(EveryStep),
            Self::Never => Box::new(Never),
            Self::Periodic(config) => Box::new(Periodic::new(*config)?),
            Self::AtRandom(config) => Box::new(AtRandom::new(*config)?),
            Self::NormTest(config) => Box::new(NormTest::new(*config)?),
            Self::Controller(config) => Box::new(Controller::new(config.clone())?),
            Self::Budget(config) => Box::new(Budget::new(config.clone())?),
        })
    }
}
