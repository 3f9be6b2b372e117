//! Which runs a search for settings needs next, and what it has found: a pure function of the
//! scores so far, so that a search that was stopped resumes as if it had not been.
//!
//! First the search: successive halving over paired seeds (K. Jamieson and A. Talwalkar, 2016).
//! All settings train with one seed; the better half of them with as many seeds again, and so on
//! until one is left. Settings of the baseline are searched among themselves, on the same seeds.
//! The search ends early where another round would leave less than half of the budget.
//!
//! Then the test: the winner and the baseline train with fresh seeds, pair by pair, for as long as
//! the budget lasts. The search has chosen its winner by luck, too: fresh seeds have no part in
//! that.

use std::collections::BTreeMap;

use super::power::{Assumed, further_gains};
use super::statistics::{deviation, mean, paired_t_test_at};
use super::summary::Gain;
use super::terms::{Budget, Says, Terms};

/// How far the fresh seeds lie above the first seed of the search.
pub(crate) const FRESH: u64 = 1000;

/// The most pairs of runs with fresh seeds.
const MOST_PAIRS: u64 = 1000;

/// The share of the budget that further rounds of the search may use.
const SEARCH: f64 = 0.5;

/// The chance of a false "yes" that all the tests of a search allow together. The first test takes
/// half of it, and each further one half of what is left.
const ERROR: f64 = 0.05;

/// The fewest pairs with which a search may be planned.
const FEWEST_PAIRS: u64 = 3;

/// A run by its contender and its seed.
pub(crate) type Place = (usize, u64);

/// What is known of a run that is done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Score {
    /// The share of right answers on validation, or what the task is measured by; `None` where the
    /// run diverged.
    pub accuracy: Option<f64>,
    /// Gradient evaluations of a whole batch.
    pub passes: f64,
}

/// What decides a search, beside the scores.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Design {
    /// How many contenders there are.
    pub contenders: usize,
    /// The gain that counts, as a share.
    pub margin: f64,
    /// The terms of the plan.
    pub terms: Terms,
    /// How many pairs of the test are to be trained at once, at least 1.
    pub at_once: usize,
}

/// Runs to train next: each contender with each seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// Places of contenders.
    pub contenders: Vec<usize>,
    /// Seeds.
    pub seeds: Vec<u64>,
    /// The number of its round in the search; `None` for a pair of the test.
    pub round: Option<usize>,
}

/// A round of the search.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Round {
    /// The contenders that trained in it.
    pub contenders: Vec<usize>,
    /// All seeds so far.
    pub seeds: Vec<u64>,
    /// The contenders that stayed.
    pub kept: Vec<usize>,
}

/// Where a search stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Position {
    /// The rounds that are done.
    pub rounds: Vec<Round>,
    /// Whether the budget ended the search before one setting was left.
    pub cut: bool,
    /// The baseline and the winner, once the search is over.
    pub finalists: Option<(usize, usize)>,
    /// The fresh seeds with which both are trained.
    pub fresh: Vec<u64>,
    /// What is to be trained next; `None` where the budget is used up.
    pub next: Option<Part>,
}

/// What a search has found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Found {
    /// The mean gain of the winner over the baseline on validation, as a share.
    pub mean: f64,
    /// The ends of the interval of that mean; `None` where no test is possible.
    pub interval: Option<(f64, f64)>,
    /// How many further pairs of runs would decide with a chance of [`TARGET`], at the level of
    /// the next test; `None` where it is decided, and where a thousand would not be enough.
    ///
    /// [`TARGET`]: super::power::TARGET
    pub further_pairs: Option<usize>,
    /// What may be said.
    pub says: Says,
}

impl Design {
    /// The level of the interval that decides, for the test that the latest budget buys: 95 %,
    /// 97.5 % and so on.
    pub(crate) fn level(&self) -> f64 {
        1.0 - 2.0 * Self::one_sided(self.terms.budgets)
    }

    fn one_sided(budgets: u32) -> f64 {
        ERROR * 0.5_f64.powf(f64::from(budgets))
    }

    /// The fewest runs of a search that can answer: the first round, and a few pairs.
    pub(crate) fn fewest_runs(&self) -> u64 {
        let [bases, others] = self.families();
        let first: usize = [bases, others].iter().map(Vec::len).filter(|count| *count > 1).sum();
        first as u64 + 2 * FEWEST_PAIRS
    }

    fn families(&self) -> [Vec<usize>; 2] {
        let bases = self.terms.bases;
        [(0..bases).collect(), (bases..self.contenders).collect()]
    }

    /// Where the search stands, given the runs that are done and the seconds that were spent.
    pub(crate) fn position(&self, known: &BTreeMap<Place, Score>, seconds: f64) -> Position {
        let account = Account { budget: self.terms.budget, known, seconds };
        let fresh_seed = self.terms.first_seed + FRESH;
        let tested = known.keys().any(|(_, seed)| *seed >= fresh_seed);
        let mut families = self.families();
        let mut position = Position {
            rounds: Vec::new(),
            cut: false,
            finalists: None,
            fresh: Vec::new(),
            next: None,
        };
        let mut seeds = 0;
        while families.iter().any(|family| family.len() > 1) {
            let open = families.iter().filter(|family| family.len() > 1);
            let contenders: Vec<usize> = open.flatten().copied().collect();
            let more = if seeds == 0 { 1 } else { seeds };
            let added: Vec<u64> =
                (seeds..seeds + more).map(|place| self.terms.first_seed + place).collect();
            let part = Part { contenders, seeds: added, round: Some(position.rounds.len() + 1) };
            if !account.is_done(&part) {
                // What was begun is finished; what was tested was found by a search that is over.
                let affordable = seeds == 0 || account.fits(&part, SEARCH);
                if account.is_begun(&part) || (affordable && !tested) {
                    position.next = Some(part);
                    return position;
                }
                position.cut = true;
                break;
            }
            seeds += more;
            let all: Vec<u64> = (0..seeds).map(|place| self.terms.first_seed + place).collect();
            for family in &mut families {
                let keep = if family.len() > 1 { family.len().div_ceil(2) } else { 1 };
                *family = account.best(family, &all, keep);
            }
            position.rounds.push(Round {
                contenders: part.contenders,
                seeds: all,
                kept: families.iter().flatten().copied().collect(),
            });
        }
        let all: Vec<u64> = (0..seeds).map(|place| self.terms.first_seed + place).collect();
        let [base, winner] = families.map(|family| account.best(&family, &all, 1)[0]);
        position.finalists = Some((base, winner));
        let mut wanted = Vec::new();
        for seed in (0..MOST_PAIRS).map(|place| fresh_seed + place) {
            let pair = |seeds| Part { contenders: vec![base, winner], seeds, round: None };
            let one = pair(vec![seed]);
            if account.is_done(&one) {
                position.fresh.push(seed);
                continue;
            }
            let all = pair([&wanted[..], &[seed]].concat());
            if wanted.len() >= self.at_once || !(account.is_begun(&one) || account.fits(&all, 1.0))
            {
                break;
            }
            wanted.push(seed);
        }
        if !wanted.is_empty() {
            let part = Part { contenders: vec![base, winner], seeds: wanted, round: None };
            position.next = Some(part);
        }
        position
    }

    /// The pairs of the test that are done.
    pub(crate) fn gains(position: &Position, known: &BTreeMap<Place, Score>) -> Vec<Gain> {
        let Some((base, winner)) = position.finalists else { return Vec::new() };
        let score = |contender, seed| known.get(&(contender, seed)).map(|score| score.accuracy);
        let gain = |&seed: &u64| {
            Some(Gain { seed, base: score(base, seed)?, winner: score(winner, seed)? })
        };
        position.fresh.iter().filter_map(gain).collect()
    }

    /// What the fresh seeds say once the budget is used up; `None` before that, where there is no
    /// pair, and where a run of one diverged.
    pub(crate) fn found(
        &self,
        position: &Position,
        known: &BTreeMap<Place, Score>,
    ) -> Option<Found> {
        if position.next.is_some() {
            return None;
        }
        // Runs that diverged are worth no number, so that there is no answer beside them.
        let gains: Option<Vec<f64>> = Self::gains(position, known).iter().map(Gain::size).collect();
        let gains = gains?;
        let mean = mean(&gains)?;
        let interval = paired_t_test_at(self.level(), &gains).map(|test| (test.low, test.high));
        let says = match interval {
            Some((_, high)) if high < self.margin => Says::No,
            Some((low, _)) if low > 0.0 => Says::Yes,
            _ => Says::Undecided,
        };
        let further_pairs = match says {
            Says::Undecided => {
                let assumed = Assumed { mean, deviation: deviation(&gains) };
                let next = 2.0 * Self::one_sided(self.terms.budgets + 1);
                further_gains(assumed, self.margin, gains.len(), next)
            }
            Says::Yes | Says::No => None,
        };
        Some(Found { mean, interval, further_pairs, says })
    }
}

/// What runs cost.
struct Account<'a> {
    budget: Budget,
    known: &'a BTreeMap<Place, Score>,
    seconds: f64,
}

impl Account<'_> {
    fn places(part: &Part) -> impl Iterator<Item = Place> + '_ {
        part.seeds.iter().flat_map(|&seed| part.contenders.iter().map(move |&one| (one, seed)))
    }

    fn is_done(&self, part: &Part) -> bool {
        Self::places(part).all(|place| self.known.contains_key(&place))
    }

    fn is_begun(&self, part: &Part) -> bool {
        Self::places(part).any(|place| self.known.contains_key(&place))
    }

    fn spent(&self) -> f64 {
        match self.budget {
            Budget::Runs(_) => self.known.len() as f64,
            Budget::Passes(_) => self.known.values().map(|score| score.passes).sum(),
            Budget::Seconds(_) => self.seconds,
        }
    }

    /// What a run of a contender will cost, as far as runs so far say; 0 while there are none.
    fn cost(&self, contender: usize) -> f64 {
        match self.budget {
            Budget::Runs(_) => 1.0,
            Budget::Passes(_) => {
                let passes = |own: bool| -> Vec<f64> {
                    let runs = self.known.iter().filter(|((one, _), _)| !own || *one == contender);
                    runs.map(|(_, score)| score.passes).collect()
                };
                mean(&passes(true)).or_else(|| mean(&passes(false))).unwrap_or(0.0)
            }
            Budget::Seconds(_) => self.seconds / (self.known.len().max(1) as f64),
        }
    }

    /// Whether a part fits into a share of the budget.
    fn fits(&self, part: &Part, share: f64) -> bool {
        let cost: f64 = Self::places(part).map(|(contender, _)| self.cost(contender)).sum();
        // Sums of passes are rounded.
        self.spent() + cost <= share * self.budget.limit() * (1.0 + 1e-9)
    }

    /// The best of a family: those of which fewer runs diverged, then those with the larger mean
    /// over seeds, then the earlier ones.
    fn best(&self, family: &[usize], seeds: &[u64], keep: usize) -> Vec<usize> {
        let rank = |&contender: &usize| {
            let known = seeds.iter().filter_map(|&seed| self.known.get(&(contender, seed)));
            let scores: Vec<Option<f64>> = known.map(|score| score.accuracy).collect();
            let finished: Vec<f64> = scores.iter().flatten().copied().collect();
            let mean = mean(&finished).unwrap_or(f64::NEG_INFINITY);
            (contender, scores.len() - finished.len(), mean)
        };
        let mut ranked: Vec<(usize, usize, f64)> = family.iter().map(rank).collect();
        ranked.sort_by(|a, b| a.1.cmp(&b.1).then(b.2.total_cmp(&a.2)).then(a.0.cmp(&b.0)));
        let mut kept: Vec<usize> = ranked.into_iter().take(keep).map(|(one, ..)| one).collect();
        kept.sort_unstable();
        kept
    }
}

#[cfg(test)]
mod tests;
