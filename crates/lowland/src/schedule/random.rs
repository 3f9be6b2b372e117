//! A second gradient at random.

use serde::{Deserialize, Serialize};

use crate::error::fraction;
use crate::rule::Surface;
use crate::schedule::Schedule;
use crate::{Error, ParamVec, Result};

/// The settings of [`AtRandom`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AtRandomConfig {
    /// The probability, between 0 and 1. Default 0.5.
    pub probability: f64,
    /// The probability at the end of training, which it moves to; the optimizer must then know the
    /// number of steps. Default: it stays.
    pub last_probability: Option<f64>,
    /// How it moves there. Default linear.
    pub course: Course,
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

impl Default for AtRandomConfig {
    fn default() -> Self {
        Self { probability: 0.5, last_probability: None, course: Course::default() }
    }
}

/// A second gradient with a probability, drawn anew at each step.
#[derive(Debug, Clone, Copy)]
pub struct AtRandom {
    config: AtRandomConfig,
}

impl AtRandom {
    /// Checks the settings.
    ///
    /// # Errors
    /// A probability outside `[0, 1]`.
    pub fn new(config: AtRandomConfig) -> Result<Self> {
        fraction("probability", config.probability)?;
        if let Some(last) = config.last_probability {
            fraction("last_probability", last)?;
        }
        Ok(Self { config })
    }
}

impl Schedule for AtRandom {
    fn due(&mut self, _g: &ParamVec, surface: &mut dyn Surface) -> Result<bool> {
        let AtRandomConfig { probability, last_probability, course } = self.config;
        let probability = match last_probability {
            None => probability,
            Some(last) => {
                let total = surface.total_steps().ok_or(Error::TOTAL_STEPS)?;
                let done = surface.step() as f64 / total.saturating_sub(1).max(1) as f64;
                course.at(done, probability, last)
            }
        };
        Ok(surface.uniform() < probability)
    }

    fn looks_at_gradient(&self) -> bool {
        false
    }
}
