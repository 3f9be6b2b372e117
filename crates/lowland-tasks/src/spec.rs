//! Settings that are checked, with the rule and the base optimizer that they make.

use std::convert::Infallible;
use std::fmt;

use burn::optim::ModuleOptimizer;
use lowland::schedule::{Frequency, Unit};
use lowland::{BudgetConfig, Rule, Scheduled};

use crate::config::{AscentScope, TrainConfig};
use crate::{Error, Result};

/// Settings that are checked, with the rule and the base optimizer that they make: what a
/// [`Training`](crate::train::Training) begins with. Made from a [`TrainConfig`] by `try_into`.
#[derive(Clone)]
pub struct Spec {
    config: TrainConfig,
    rule: Box<dyn Rule>,
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

    /// The base optimizer, and the rule over it.
    pub(crate) fn into_parts(self) -> (ModuleOptimizer, Box<dyn Rule>) {
        (self.base, self.rule)
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
        let mut rule = rule(&config)?;
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
        Ok(Self { config, rule, base, schedules_second_gradients })
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

/// The algorithm's rule, with the configured budget in place of its schedule and the configured
/// radius over its own.
///
/// # Errors
/// A value out of range, two budgets, a budget or radius that does not apply to the algorithm.
fn rule(config: &TrainConfig) -> Result<Box<dyn Rule>> {
    let (setting, budget) = budget(config)?;
    let below_one_pass = config.algorithm.descriptor().below_one_pass;
    if let Some(limit) =
        config.budget.filter(|limit| *limit > 0.0 && *limit < 1.0 && !below_one_pass)
    {
        return Err(Error::Setting {
            field: "budget",
            found: limit.to_string(),
            allowed: "at least 1: every step takes one gradient of a whole batch; use max_passes to limit \
                      the whole run",
        });
    }
    if let Some(limit) = config.time_budget.filter(|limit| *limit > 0.0 && *limit < 1.0) {
        return Err(Error::Setting {
            field: "time_budget",
            found: limit.to_string(),
            allowed: "at least 1: a step without a second gradient takes 1; use max_seconds to limit the \
                      whole run",
        });
    }
    let radius = config.radius.clone();
    let (algorithm, late_start) = (config.algorithm.clone(), config.late_start);
    let scheduled = Scheduled { algorithm, budget, late_start, radius };
    scheduled.build().map_err(|error| match error {
        // Under the name that it has here.
        lowland::Error::Config { field: "budget", found, allowed } => {
            Error::Setting { field: setting, found, allowed }
        }
        lowland::Error::Unsupported { setting: "budget", algorithm, reason } => {
            lowland::Error::Unsupported { setting, algorithm, reason }.into()
        }
        lowland::Error::Config { field: "late_start", found, allowed } => {
            Error::Setting { field: "late_start", found, allowed }
        }
        lowland::Error::Missing { call: "with_data_size", .. } => Error::Setting {
            field: "algorithm.data_size",
            found: "nothing".to_owned(),
            allowed: "the number of training samples",
        },
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
