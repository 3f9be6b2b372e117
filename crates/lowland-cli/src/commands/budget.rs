//! The flags that limit a search for settings.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;

use crate::compare::terms::Budget;
use crate::failure::Usage;
use crate::settings::count;

/// A limit on all the runs of a search together.
#[derive(Debug, Clone, Copy, Default, Args)]
#[group(multiple = false)]
#[expect(clippy::struct_field_names, reason = "flags have the names of their fields")]
pub(crate) struct BudgetFlags {
    /// Search within so many runs, all in all
    #[arg(long, value_name = "N", value_parser = count::<u64>, help_heading = "Budget")]
    budget_runs: Option<u64>,
    /// Search within so many gradients of a whole batch, all in all
    #[arg(long, value_name = "PASSES", help_heading = "Budget")]
    budget_passes: Option<f64>,
    /// Search within so much time, all in all, such as 90s, 10m or 2h
    #[arg(long, value_name = "TIME", help_heading = "Budget", value_parser = humantime::parse_duration)]
    budget_time: Option<Duration>,
}

impl BudgetFlags {
    /// The budget that is given, if one is.
    ///
    /// # Errors
    /// One that is not above 0.
    pub(crate) fn budget(self) -> Result<Option<Budget>> {
        let runs = self.budget_runs.map(Budget::Runs);
        let passes = self.budget_passes.map(Budget::Passes);
        let time = self.budget_time.map(|time| Budget::Seconds(time.as_secs_f64()));
        let budget = runs.or(passes).or(time);
        match budget.and_then(Budget::problem) {
            Some(problem) => bail!(Usage(problem)),
            None => Ok(budget),
        }
    }
}
