//! What a search for settings was begun with, as its plan keeps it.

use std::time::Duration;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::failure::Usage;
use crate::words::{self, counted};

/// What makes a comparison a search for settings: `lowland tune`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Terms {
    /// How many of the contenders, from the first one on, are settings of the baseline. The others
    /// challenge it.
    pub bases: usize,
    /// The first seed of the search.
    pub first_seed: u64,
    /// How many budgets were given so far: each buys one test, stricter than the one before.
    pub budgets: u32,
    /// The budget for all runs together.
    pub budget: Budget,
}

/// A limit on all the runs of a search together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Budget {
    /// How many there may be.
    Runs(u64),
    /// Gradient evaluations of a whole batch.
    Passes(f64),
    /// Seconds by the clock in which runs train and are measured.
    Seconds(f64),
}

/// What a search may say of a gain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Says {
    /// There is one.
    Yes,
    /// One of the margin is ruled out.
    No,
    /// Neither.
    Undecided,
}

impl Budget {
    /// The number of its unit.
    pub(crate) fn limit(self) -> f64 {
        match self {
            Self::Runs(runs) => runs as f64,
            Self::Passes(limit) | Self::Seconds(limit) => limit,
        }
    }

    /// The budget in words: "40 runs".
    pub(crate) fn in_words(self) -> String {
        match self {
            Self::Runs(runs) => counted(usize::try_from(runs).unwrap_or(usize::MAX), "run"),
            Self::Passes(passes) => words::passes(passes, 0),
            Self::Seconds(seconds) => {
                let whole = Duration::try_from_secs_f64(seconds.round()).unwrap_or(Duration::MAX);
                humantime::format_duration(whole).to_string()
            }
        }
    }

    /// What is wrong with it; `None` where nothing is.
    pub(crate) fn problem(self) -> Option<String> {
        let is_fine = self.limit() > 0.0 && self.limit().is_finite();
        (!is_fine).then(|| format!("the budget must be above 0, found {}", self.limit()))
    }

    /// Checks that it can follow another one.
    ///
    /// # Errors
    /// One of another unit, or one that is not larger.
    pub(crate) fn check_after(self, before: Self) -> Result<()> {
        let same = std::mem::discriminant(&self) == std::mem::discriminant(&before);
        if !same || self.limit() <= before.limit() {
            bail!(Usage(format!(
                "the search has a budget of {}, all in all: give a larger one of the same unit, found {}",
                before.in_words(),
                self.in_words()
            )));
        }
        Ok(())
    }
}

impl Terms {
    /// What is wrong with terms that a file holds, beside so many contenders.
    pub(super) fn problem(&self, contenders: usize) -> Option<String> {
        if !(1..contenders).contains(&self.bases) {
            let most = contenders.saturating_sub(1);
            return Some(format!("bases must be between 1 and {most}, found {}", self.bases));
        }
        if !(1..=MOST_BUDGETS).contains(&self.budgets) {
            let found = self.budgets;
            return Some(format!("budgets must be between 1 and {MOST_BUDGETS}, found {found}"));
        }
        self.budget.problem()
    }
}

/// The most budgets that a search can be given, one after the other.
pub(crate) const MOST_BUDGETS: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_followed_by_a_larger_one_of_its_unit() {
        let first = Budget::Seconds(600.0);
        assert_eq!(first.in_words(), "10m");
        assert!(Budget::Seconds(900.0).check_after(first).is_ok());
        for other in [Budget::Seconds(600.0), Budget::Runs(900)] {
            let error = other.check_after(first).unwrap_err().to_string();
            assert!(error.contains("a budget of 10m, all in all: give a larger one"), "{error}");
        }
        assert!(Budget::Passes(f64::NAN).problem().is_some());
        assert_eq!(Budget::Runs(1).in_words(), "1 run");
    }
}
