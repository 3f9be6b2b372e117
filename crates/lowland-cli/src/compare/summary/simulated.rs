//! The verdicts of comparisons whose truth is known, drawn at random with a fixed seed.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use statrs::distribution::{ContinuousCDF, Normal};

use super::{Difference, Verdict};
use crate::compare::power::{Assumed, TARGET, further_pairs};

/// How many comparisons are drawn.
const TABLES: usize = 2000;

/// Normal numbers with a deviation of one.
pub(crate) struct Draws(ChaCha8Rng);

impl Draws {
    /// Those of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// The next one.
    pub(crate) fn normal(&mut self) -> f64 {
        // Neither 0 nor 1, which have no quantile.
        let share = self.0.random::<f64>().clamp(1e-15, 1.0 - 1e-15);
        Normal::standard().inverse_cdf(share)
    }
}

/// Differences of contenders from a baseline over so many seeds: all share the baseline's noise.
fn table(draws: &mut Draws, contenders: usize, seeds: usize, effect: f64) -> Vec<Vec<f64>> {
    let baseline: Vec<f64> = (0..seeds).map(|_| draws.normal()).collect();
    let contender = |_| baseline.iter().map(|base| effect + draws.normal() - base).collect();
    (0..contenders).map(contender).collect()
}

/// The share of drawn comparisons of which something is so.
fn share(mut is_so: impl FnMut() -> bool) -> f64 {
    (0..TABLES).filter(|_| is_so()).count() as f64 / TABLES as f64
}

/// Four standard errors of a share of [`TABLES`].
fn error(share: f64) -> f64 {
    4.0 * (share * (1.0 - share) / TABLES as f64).sqrt()
}

fn claims(judged: &[Option<Difference>]) -> bool {
    let is_claim = |one: &Difference| matches!(one.verdict, Verdict::Superior | Verdict::Inferior);
    judged.iter().flatten().any(is_claim)
}

#[test]
fn differences_are_claimed_in_error_at_the_nominal_rate() {
    let mut draws = Draws::new(1);
    let one = share(|| claims(&Difference::of_all(&table(&mut draws, 1, 5, 0.0), None)));
    assert!((one - 0.05).abs() < error(0.05), "{one}");
    // Any claim among several contenders, which is what Holm's correction bounds.
    let mut uncorrected = 0;
    let any = share(|| {
        let judged = Difference::of_all(&table(&mut draws, 5, 5, 0.0), None);
        let any = judged.iter().flatten().any(|one| one.p_value.is_some_and(|p| p < 0.05));
        uncorrected += usize::from(any);
        claims(&judged)
    });
    let uncorrected = uncorrected as f64 / TABLES as f64;
    assert!(any < 0.05 + error(0.05) && any > 0.01, "{any}");
    assert!(uncorrected > 0.1, "there is something to correct: {uncorrected}");
}

#[test]
fn equivalence_is_claimed_in_error_at_the_nominal_rate() {
    let mut draws = Draws::new(2);
    // At the margin itself, the least favourable truth.
    let margin = 2.0;
    let rate = share(|| {
        let judged = Difference::of_all(&table(&mut draws, 1, 20, margin), Some(margin));
        judged[0].as_ref().is_some_and(Difference::is_within_margin)
    });
    assert!((rate - 0.05).abs() < error(0.05), "{rate}");
    let several = share(|| {
        let judged = Difference::of_all(&table(&mut draws, 4, 20, margin), Some(margin));
        judged.iter().flatten().any(Difference::is_within_margin)
    });
    assert!(several < 0.05 + error(0.05), "{several}");
}

#[test]
fn as_many_seeds_as_are_said_decide_with_the_power_that_is_said() {
    let mut draws = Draws::new(3);
    let effect = 1.5;
    let assumed = Assumed { mean: effect, deviation: 2.0_f64.sqrt() };
    let seeds = 3 + further_pairs(assumed, None, 3, 0.05).unwrap();
    let power = share(|| claims(&Difference::of_all(&table(&mut draws, 1, seeds, effect), None)));
    // It is the first number of seeds that reaches the target: a little above it.
    assert!(power > TARGET - error(TARGET) && power < 0.9, "{seeds} seeds: {power}");
    let assumed = Assumed { mean: 0.0, ..assumed };
    let seeds = 3 + further_pairs(assumed, Some(1.0), 3, 0.05).unwrap();
    let power = share(|| {
        let judged = Difference::of_all(&table(&mut draws, 1, seeds, 0.0), Some(1.0));
        judged[0].as_ref().is_some_and(Difference::is_within_margin)
    });
    assert!((power - TARGET).abs() < error(TARGET) + 0.02, "{seeds} seeds: {power}");
}
