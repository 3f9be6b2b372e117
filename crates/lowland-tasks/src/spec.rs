//! Settings that are checked, and what they make: a rule and a base optimizer.

use std::convert::Infallible;
use std::fmt;

use burn::optim::ModuleOptimizer;
use lowland::schedule::{Frequency, Unit};
use lowland::{BudgetConfig, Rule, Scheduled};

use crate::config::{AscentScope, TrainConfig};
use crate::{Error, Result};

/// Settings that are checked, and make a rule and a base optimizer: what a
/// [`Training`](crate::train::Training) begins with. Made from a [`TrainConfig`] by `try_into`.
#[derive(Clone)]
pub struct Spec {
    config: TrainConfig,
    base: ModuleOptimizer,
    schedules_second_gradients: bool,
}

impl Spec {
    /// The settings.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// Whether the rule is meant to take second gradients and chooses the steps for them, so that a
    /// run without any is not what was asked for.
    pub(crate) fn schedules_second_gradients(&self) -> bool {
        self.schedules_second_gradients
    }

    /// The base optimizer, and the rule over it for a training set of so many samples.
    ///
    /// # Errors
    /// As [`rule`].
    pub(crate) fn into_parts(self, samples: u64) -> Result<(ModuleOptimizer, Box<dyn Rule>)> {
        let rule = rule(&self.config, samples)?;
        Ok((self.base, rule))
    }
}

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spec").field("config", &self.config).finish_non_exhaustive()
    }
}

impl TryFrom<TrainConfig> for Spec {
    type Error = Error;

    /// Checks every value that can be checked without the data.
    ///
    /// # Errors
    /// [`Error::Setting`] or [`Error::Algorithm`] that names the value and what is allowed.
    fn try_from(config: TrainConfig) -> Result<Self> {
        config.check()?;
        // The algorithm's own, where it brings one.
        let base = match config.algorithm.base()? {
            Some(base) => base,
            None => config.optimizer.build()?,
        };
        // A number of samples stands in for that of the data, which a training has.
        let mut rule = rule(&config, 1)?;
        if rule.needs_whole_batches() && config.ascent_scope == AscentScope::MicroBatch {
            return Err(Error::Setting {
                field: "ascent_scope",
                found: format!("micro-batch with {}", config.algorithm_label()),
                allowed: "global, local or a number of workers: the algorithm remembers one update per step",
            });
        }
        let chooses = |frequency| frequency != Frequency::Never;
        let schedule = rule.schedule();
        let schedules_second_gradients =
            schedule.is_some_and(|schedule| chooses(schedule.frequency()));
        Ok(Self { config, base, schedules_second_gradients })
    }
}

impl TryFrom<&TrainConfig> for Spec {
    type Error = Error;

    fn try_from(config: &TrainConfig) -> Result<Self> {
        config.clone().try_into()
    }
}

impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// The algorithm's rule for a training set of so many samples, with the configured budget in place
/// of its schedule and the configured radius over its own.
///
/// # Errors
/// A value out of range, two budgets, a budget or radius that does not apply to the algorithm.
fn rule(config: &TrainConfig, samples: u64) -> Result<Box<dyn Rule>> {
    let (setting, budget) = budget(config)?;
    let below_one = budget.as_ref().is_some_and(|budget| budget.limit > 0.0 && budget.limit < 1.0);
    let radius = config.radius.clone();
    let algorithm = config.algorithm.clone().with_sample_count(samples);
    let late_start = config.late_start;
    let scheduled = Scheduled { algorithm, budget, late_start, radius };
    scheduled.build().map_err(|error| match error {
        // Under the name that it has here.
        lowland::Error::Config { field: "budget", found, allowed } => {
            let allowed = match setting {
                "budget" if below_one => {
                    "at least 1: every step takes one gradient of a whole batch; use max_passes to \
                     limit the whole run"
                }
                "time_budget" if below_one => {
                    "at least 1: a step without a second gradient takes 1; use max_seconds to limit \
                     the whole run"
                }
                _ => allowed,
            };
            Error::Setting { field: setting, found, allowed }
        }
        lowland::Error::Unsupported { setting: "budget", algorithm, reason } => {
            lowland::Error::Unsupported { setting, algorithm, reason }.into()
        }
        lowland::Error::Config { field: "late_start", found, allowed } => {
            Error::Setting { field: "late_start", found, allowed }
        }
        error => error.into(),
    })
}

/// The setting that a budget comes from, and the budget.
fn budget(config: &TrainConfig) -> Result<(&'static str, Option<BudgetConfig>)> {
    let budget = |limit, unit| Some(BudgetConfig::default().with_limit(limit).with_unit(unit));
    match (config.budget, config.time_budget) {
        (None, None) => Ok(("budget", None)),
        (Some(limit), None) => Ok(("budget", budget(limit, Unit::Passes))),
        (None, Some(limit)) => Ok(("time_budget", budget(limit, Unit::Time))),
        (Some(_), Some(limit)) => Err(Error::Setting {
            field: "time_budget",
            found: limit.to_string(),
            allowed: "left out beside budget",
        }),
    }
}
