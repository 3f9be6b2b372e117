//! Sharpness-aware training on [Burn](https://burn.dev): networks that land in flat minima, which
//! generalise better, at a cost near plain SGD.
//!
//! A [`Rule`] turns what it sees of the loss surface into a gradient;
//! [`SharpnessAware`] hands that gradient to any Burn optimizer. Most rules are a walk through
//! [four rooms](walk::Walk): select, schedule, ascend, descend. The named algorithms are in
//! [`Algorithm`].

pub mod algorithms;
mod amsgrad;
pub mod ascend;
mod batch;
pub mod descend;
mod driver;
mod error;
mod evaluation;
#[cfg(feature = "train")]
pub mod learner;
mod optimizer;
pub mod parallel;
mod parameters;
mod record;
mod report;
pub mod rule;
pub mod schedule;
pub mod select;
pub mod sharpness;
pub mod state;
pub mod vector;
pub mod walk;

// What Burn's derive of `RecordState` looks for at the root of the crate.
use burn::optim::{RecordState, StateSink, StateSource};

pub use algorithms::*;
pub use amsgrad::{AmsGrad, AmsGradState};
pub use ascend::{Radius, RadiusConfig, Scaling};
pub use batch::{Accumulate, Batch};
pub use error::{Error, Result};
pub use optimizer::{Measure, SharpnessAware};
pub use parallel::{Climb, Collective, Workers};
pub use parameters::{Parameter, Parameters};
pub use record::SharpnessAwareRecord;
pub use report::{StepReport, StepValues};
pub use rule::{Active, Pair, Perturbation, Rule, Samples, Selection, Spent, Surface};
pub use schedule::{ControllerConfig, Warmup};
pub use vector::ParamVec;
pub use walk::Walk;

/// The code in the read-me compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
mod readme {}
