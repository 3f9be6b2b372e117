//! From a configuration to the rule and the base optimizer of its run.

use burn::optim::ModuleOptimizer;
use lowland::ascend::ScaledRadius;
use lowland::schedule::{Budget, BudgetConfig, Frequency, ScheduleConfig, Unit};
use lowland::{Algorithm, ControllerConfig, Radius, RadiusConfig, Rule};

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
/// A value out of range, two budgets, a budget or radius that the algorithm has no place for.
pub fn rule(config: &TrainConfig) -> Result<Box<dyn Rule>> {
    let mut rule = config.algorithm.build()?;
    // Before a budget takes the place of the schedule that tells.
    let never = never_takes_second_gradients(&mut *rule);
    let no_place =
        |setting, reason| Error::NoPlace { setting, algorithm: config.algorithm_label(), reason };
    if config.radius != RadiusConfig::default() {
        let radius = Radius::new(&config.radius)?;
        if never {
            return Err(no_place("radius", "it never perturbs the weights"));
        }
        let Some(ascend) = rule.ascend() else {
            return Err(no_place("radius", "its perturbation has no radius that can be scheduled"));
        };
        *ascend = Box::new(ScaledRadius::new(ascend.clone(), radius));
    }
    if let Some((setting, budget)) = budget(config)? {
        if never {
            return Err(no_place(setting, "it never takes a second gradient"));
        }
        let Some(schedule) = rule.schedule() else {
            let reason = "all its steps take the same gradients, so none can be saved";
            return Err(no_place(setting, reason));
        };
        *schedule = Box::new(budget);
    }
    Ok(rule)
}

/// Whether a rule is meant to take second gradients and chooses the steps for them, so that a run
/// without any is not what was asked for.
pub fn schedules_second_gradients(rule: &mut dyn Rule) -> bool {
    rule.schedule().is_some_and(|schedule| schedule.frequency() != Frequency::Never)
}

fn never_takes_second_gradients(rule: &mut dyn Rule) -> bool {
    rule.schedule().is_some_and(|schedule| schedule.frequency() == Frequency::Never)
}

/// The budget that is configured, and the setting that it comes from.
fn budget(config: &TrainConfig) -> Result<Option<(&'static str, Budget)>> {
    let (setting, limit, unit) = match (config.budget, config.time_budget) {
        (None, None) => return Ok(None),
        (Some(limit), None) => ("budget", limit, Unit::Passes),
        (None, Some(limit)) => ("time_budget", limit, Unit::Time),
        (Some(_), Some(limit)) => {
            return Err(Error::Setting {
                field: "time_budget",
                found: limit.to_string(),
                allowed: "left out beside budget",
            });
        }
    };
    let controller = match &config.algorithm {
        Algorithm::Arsam(arsam) => arsam.controller.clone(),
        Algorithm::Composed(composed) => match &composed.schedule {
            ScheduleConfig::Controller(controller) => controller.clone(),
            _ => ControllerConfig::default(),
        },
        _ => ControllerConfig::default(),
    };
    match Budget::new(BudgetConfig { limit, unit, controller }) {
        Ok(budget) => Ok(Some((setting, budget))),
        // Under the name that it has here.
        Err(lowland::Error::Config { field: "limit", found, allowed }) => {
            Err(Error::Setting { field: setting, found, allowed })
        }
        Err(error) => Err(error.into()),
    }
}
