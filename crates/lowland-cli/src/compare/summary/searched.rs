//! What a search for settings stores beside the runs of its test.

use serde::{Deserialize, Serialize};

use crate::compare::statistics::{Interval, mean};
use crate::compare::terms::{Budget, Says};

/// A search for settings. All its scores are shares of right answers on the validation samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Searched {
    /// The gain that counts, as a share: 0.005 is half a point.
    pub margin: f64,
    /// The level of the interval that decides: 0.95 with the first budget, stricter with each
    /// further one.
    pub level: f64,
    /// How many budgets were given, the latest one among them.
    pub budgets: u32,
    /// The latest budget, for all runs together.
    pub budget: Budget,
    /// What was used of it.
    pub spent: Spent,
    /// All settings, those of the baseline first.
    pub candidates: Vec<Candidate>,
    /// The seeds of the search.
    pub seeds: Vec<u64>,
    /// Whether the budget ended the search before one setting was left.
    pub cut: bool,
    /// The places of the baseline and of the winner among the candidates, once the search is over.
    pub finalists: Option<(usize, usize)>,
    /// The pairs of runs with fresh seeds.
    pub gains: Vec<Gain>,
    /// What the fresh seeds say; `None` while the search runs.
    pub outcome: Option<Outcome>,
}

/// What a search has used.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spent {
    /// Runs.
    pub runs: usize,
    /// Gradient evaluations of a whole batch.
    pub passes: f64,
    /// Seconds by the clock.
    pub seconds: f64,
}

/// A setting that a search has tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Candidate {
    /// Its name.
    pub label: String,
    /// Whether it is a setting of the baseline.
    pub is_base: bool,
    /// Its scores in the search, seed by seed; `None` where a run diverged.
    pub scores: Vec<Option<f64>>,
    /// The round after which it was left out; `None` where it stayed.
    pub left_after: Option<usize>,
}

/// A pair of runs with a fresh seed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Gain {
    /// The seed.
    pub seed: u64,
    /// The score of the baseline; `None` where its run diverged.
    pub base: Option<f64>,
    /// The score of the winner; `None` where its run diverged.
    pub winner: Option<f64>,
}

/// What a search has found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// The mean gain of the winner over the baseline, as a share; `None` without a pair of runs.
    pub mean: Option<f64>,
    /// The interval that decides; `None` where no test is possible.
    pub interval: Option<Interval>,
    /// How many further pairs of runs would decide with a chance of 80 %, if the truth is as it
    /// was seen.
    pub further_pairs: Option<usize>,
    /// The answer.
    pub says: Says,
}

impl Candidate {
    /// The mean score of the runs that did not diverge; `None` where there is none.
    pub(crate) fn mean(&self) -> Option<f64> {
        mean(&self.scores.iter().flatten().copied().collect::<Vec<_>>())
    }

    /// How many runs diverged.
    pub(crate) fn diverged(&self) -> usize {
        self.scores.iter().filter(|score| score.is_none()).count()
    }
}

impl Gain {
    /// The scores of the baseline and of the winner; `None` where one of the two diverged.
    pub(crate) fn both(&self) -> Option<(f64, f64)> {
        Some((self.base?, self.winner?))
    }

    /// The gain of the winner over the baseline, as a share; `None` where one of the two diverged.
    pub(crate) fn size(&self) -> Option<f64> {
        self.both().map(|(base, winner)| winner - base)
    }
}

impl Searched {
    /// The name of the baseline, and of the winner.
    pub(crate) fn names(&self) -> Option<(&str, &str)> {
        let (base, winner) = self.finalists?;
        let name = |place: usize| Some(self.candidates.get(place)?.label.as_str());
        Some((name(base)?, name(winner)?))
    }
}
