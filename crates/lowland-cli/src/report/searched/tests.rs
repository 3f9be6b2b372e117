use insta::assert_snapshot;

use super::*;
use crate::compare::summary::{Spent, fixture};
use crate::compare::terms::Budget;

/// A search of four settings whose winner gains so much over the baseline, more or less.
pub(crate) fn searched(gain: f64, outcome: Option<Outcome>) -> Summary {
    let scores: [&[f64]; 5] = [&[], &[0.801], &[0.805, 0.811], &[0.812, 0.809], &[0.790]];
    let left = [None, Some(1), Some(2), None, Some(1)];
    let names = ["SGD", "SAM rho=0.05", "SAM rho=0.1", "SAM rho=0.2", "SAM rho=0.4"];
    let candidate = |place: usize| Candidate {
        label: names[place].to_owned(),
        is_base: place == 0,
        scores: scores[place].iter().copied().map(Some).collect(),
        left_after: left[place],
    };
    let pair = |place: u32| Gain {
        seed: 1000 + u64::from(place),
        base: Some(0.79 + 0.001 * f64::from(place)),
        winner: Some(0.79 + gain + 0.0015 * f64::from(place % 3)),
    };
    let over = outcome.is_some();
    let searched = Searched {
        margin: 0.005,
        level: 0.95,
        budgets: 1,
        budget: Budget::Runs(20),
        spent: Spent { runs: 18, passes: 5400.0, seconds: 312.0 },
        candidates: (0..5).map(candidate).collect(),
        seeds: vec![0, 1],
        cut: false,
        finalists: over.then_some((0, 3)),
        gains: if over { (0..6).map(pair).collect() } else { Vec::new() },
        outcome,
    };
    let mut summary = fixture::summary(3, 4);
    summary.algorithms.truncate(if over { 2 } else { 1 });
    summary.setting.validation_images = 500;
    Summary { searched: Some(searched), ..summary }
}

fn outcome(mean: f64, reach: f64, says: Says, further_pairs: Option<usize>) -> Outcome {
    let interval = Some(Interval { low: mean - reach, high: mean + reach });
    Outcome { mean: Some(mean), interval, further_pairs, says }
}

fn answered(gain: f64, outcome: Option<Outcome>) -> String {
    let summary = searched(gain, outcome);
    answer(summary.searched.as_ref().unwrap(), &summary)
}

#[test]
fn the_answer_is_yes_no_or_not_decided() {
    assert_snapshot!(answered(0.02, Some(outcome(0.02, 0.01, Says::Yes, None))), @"Yes: SAM rho=0.2, the best of 4 settings, reached 81.2 % on validation, 2.0 points above SGD's 79.3 % (95 % interval +1.0 to +3.0, 6 fresh seeds), at 2.00 passes per step and 2.03 times SGD's time. The search took 18 runs, 5,400 passes and 5 min.");
    assert_snapshot!(answered(-0.01, Some(outcome(-0.01, 0.01, Says::No, None))), @"No: a gain of 0.5 points is ruled out. SAM rho=0.2, the best of 4 settings, reached 78.2 % on validation beside SGD's 79.3 % (−1.0 points, 95 % interval −2.0 to 0.0, 6 fresh seeds), at 2.00 passes per step and 2.03 times SGD's time. The search took 18 runs, 5,400 passes and 5 min.");
    assert_snapshot!(answered(0.003, Some(outcome(0.003, 0.001, Says::No, None))), @"No: there is a gain, but one of 0.5 points is ruled out. SAM rho=0.2, the best of 4 settings, reached 79.5 % on validation beside SGD's 79.3 % (+0.3 points, 95 % interval +0.2 to +0.4, 6 fresh seeds), at 2.00 passes per step and 2.03 times SGD's time. The search took 18 runs, 5,400 passes and 5 min.");
    assert_snapshot!(answered(0.01, Some(outcome(0.01, 0.03, Says::Undecided, Some(7)))), @"Not decided within 20 runs: SAM rho=0.2, the best of 4 settings, reached 80.2 % on validation beside SGD's 79.3 % (+1.0 points, 95 % interval −2.0 to +4.0, 6 fresh seeds), at 2.00 passes per step and 2.03 times SGD's time. About 7 more pairs of runs would probably decide: lowland resume takes a larger budget.");
    assert_snapshot!(answered(0.01, Some(outcome(0.01, 0.03, Says::Undecided, None))), @"Not decided within 20 runs: SAM rho=0.2, the best of 4 settings, reached 80.2 % on validation beside SGD's 79.3 % (+1.0 points, 95 % interval −2.0 to +4.0, 6 fresh seeds), at 2.00 passes per step and 2.03 times SGD's time. Even a thousand pairs of runs would probably not decide.");
    assert_snapshot!(answered(0.0, None), @"The search is not over: 18 runs, 5,400 passes and 5 min. lowland resume continues it.");
    let none = Outcome { mean: None, interval: None, further_pairs: None, says: Says::Undecided };
    let mut without = searched(0.0, Some(none));
    without.searched.as_mut().unwrap().gains.clear();
    assert_snapshot!(answer(without.searched.as_ref().unwrap(), &without), @"Not decided within 20 runs: no pair of runs with a fresh seed was left for the test of SAM rho=0.2. lowland resume takes a larger budget.");
}

#[test]
fn there_is_no_answer_where_a_fresh_run_diverged() {
    let mut summary = searched(0.02, Some(outcome(0.02, 0.01, Says::Undecided, None)));
    let gains = &mut summary.searched.as_mut().unwrap().gains;
    (gains[1].winner, gains[2].winner, gains[2].base) = (None, None, None);
    assert_snapshot!(answer(summary.searched.as_ref().unwrap(), &summary), @"No answer: with fresh seeds SGD diverged on 1 of 6 and SAM rho=0.2 diverged on 2 of 6. Begin a search with a smaller learning rate or smaller radii.");
}

#[test]
fn the_table_shows_what_became_of_each_setting() {
    let mut summary = searched(0.02, Some(outcome(0.02, 0.01, Says::Yes, None)));
    let candidates = &mut summary.searched.as_mut().unwrap().candidates;
    candidates[4].scores = vec![None];
    candidates[2].scores[1] = None;
    assert_snapshot!(table(summary.searched.as_ref().unwrap(), "accuracy", 80), @r"
    ───────────────────────────────────────────────────────────────────
     setting        seeds           validation   in the search
                                      accuracy
    ═══════════════════════════════════════════════════════════════════
     SGD                0                    –   the baseline
     SAM rho=0.05       1               80.1 %   eliminated in round 1
     SAM rho=0.1        2   80.5 %, 1 diverged   eliminated in round 2
     SAM rho=0.2        2               81.1 %   the winner
     SAM rho=0.4        1             diverged   eliminated in round 1
    ───────────────────────────────────────────────────────────────────
    ");
}

#[test]
fn the_page_has_the_search_and_its_figures() {
    let over = searched(0.02, Some(outcome(0.02, 0.01, Says::Yes, None)));
    let page = section(over.searched.as_ref().unwrap(), "accuracy");
    assert_eq!(page.matches("<figure>").count(), 2);
    assert!(page.contains("eliminated in round 2") && page.contains("fresh seeds"), "{page}");
    let begun = searched(0.0, None);
    let page = section(begun.searched.as_ref().unwrap(), "accuracy");
    assert_eq!(page.matches("<figure>").count(), 1);
}
