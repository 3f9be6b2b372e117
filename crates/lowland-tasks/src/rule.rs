//! From a configuration to the rule and the base optimizer of its run.

use burn::optim::ModuleOptimizer;
use lowland::schedule::{Frequency, Unit};
use lowland::{BudgetConfig, Rule, Scheduled};

use crate::config::TrainConfig;
use crate::{Error, Result};

/// The base optimizer: the algorithm's own, where it brings one, or the configured one.
///
/// # Errors
/// A value out of range.
pub fn base(config: &TrainConfig) -> Result<ModuleOptimizer> {
    // Checked in any case: its learning rate is that of an algorithm's own base too.
    let configured = config.optimizer.build()?;
    Ok(config.algorithm.base()?.unwrap_or(configured))
}

/// The algorithm's rule, with the configured budget in place of its schedule and the configured
/// radius over its own.
///
/// # Errors
/// A value out of range, two budgets, a budget or radius that does not apply to the algorithm.
pub fn rule(config: &TrainConfig) -> Result<Box<dyn Rule>> {
    let (setting, budget) = budget(config)?;
    let radius = config.radius.clone();
    let scheduled = Scheduled { algorithm: config.algorithm.clone(), budget, radius };
    scheduled.build().map_err(|error| match error {
        // Under the name that it has here.
        lowland::Error::Config { field: "budget", found, allowed } => {
            Error::Setting { field: setting, found, allowed }
        }
        lowland::Error::Unsupported { setting: "budget", algorithm, reason } => {
            lowland::Error::Unsupported { setting, algorithm, reason }.into()
        }
        error => error.into(),
    })
}

/// Whether a rule is meant to take second gradients and chooses the steps for them, so that a run
/// without any is not what was asked for.
pub fn schedules_second_gradients(rule: &mut dyn Rule) -> bool {
    rule.schedule().is_some_and(|schedule| schedule.frequency() != Frequency::Never)
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
