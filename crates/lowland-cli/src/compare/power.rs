//! How many seeds a comparison needs: the power of its tests.
//!
//! Computed without approximation: the tests' statistic is integrated over the distribution of the
//! sample deviation, so that no noncentral distribution is needed.

use statrs::distribution::{ChiSquared, Continuous, ContinuousCDF, Normal, StudentsT};

/// The chance to decide that [`further_pairs`] aims at.
pub(crate) const TARGET: f64 = 0.8;

/// The most pairs that are looked at.
const MOST: usize = 1000;

/// Intervals of the integration over the sample deviation; their number is even.
const INTERVALS: usize = 400;

/// What is assumed of paired differences.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Assumed {
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation.
    pub deviation: f64,
}

/// The chance that a two-sided paired t-test at the level `alpha` finds a difference of the
/// assumed sign with so many pairs.
pub(crate) fn of_difference(assumed: Assumed, pairs: usize, alpha: f64) -> f64 {
    let shift = assumed.mean.abs() / error(assumed, pairs);
    over_deviations(pairs, alpha / 2.0, |reach, normal| normal.cdf(shift - reach))
}

/// The chance that two one-sided tests at the level `alpha` find the mean to lie within `margin` of
/// zero with so many pairs.
pub(crate) fn of_equivalence(assumed: Assumed, margin: f64, pairs: usize, alpha: f64) -> f64 {
    let error = error(assumed, pairs);
    let (above, below) = ((margin - assumed.mean) / error, (-margin - assumed.mean) / error);
    over_deviations(pairs, alpha, |reach, normal| {
        (normal.cdf(above - reach) - normal.cdf(below + reach)).max(0.0)
    })
}

/// How many further pairs would decide with the chance [`TARGET`], if the truth were as assumed:
/// find a difference, or equivalence within `margin`, whichever takes fewer. `None` where that
/// takes more than a thousand, and where nothing is known of the deviation.
pub(crate) fn further_pairs(
    assumed: Assumed,
    margin: Option<f64>,
    pairs: usize,
    alpha: f64,
) -> Option<usize> {
    if assumed.deviation <= 0.0 || !assumed.deviation.is_finite() || !assumed.mean.is_finite() {
        return None;
    }
    let needed = first(|pairs| of_difference(assumed, pairs, alpha));
    let equivalent =
        margin.and_then(|margin| first(|pairs| of_equivalence(assumed, margin, pairs, alpha)));
    let needed = needed.into_iter().chain(equivalent).min()?;
    // Runs that were unlucky so far: at least one more pair it takes.
    Some(needed.saturating_sub(pairs).max(1))
}

/// How many further pairs would decide a search for a gain with the chance [`TARGET`], if the truth
/// were as assumed: find the mean to be above zero, or a mean of `margin` to be ruled out,
/// whichever takes fewer. `alpha` is the chance outside of the interval that decides. `None` where
/// that takes more than a thousand, and where nothing is known of the deviation.
pub(crate) fn further_gains(
    assumed: Assumed,
    margin: f64,
    pairs: usize,
    alpha: f64,
) -> Option<usize> {
    if assumed.deviation <= 0.0 || !assumed.deviation.is_finite() || !assumed.mean.is_finite() {
        return None;
    }
    let far = |distance: f64| {
        let assumed = Assumed { mean: distance, ..assumed };
        (distance > 0.0).then(|| first(|pairs| of_difference(assumed, pairs, alpha))).flatten()
    };
    let needed = [far(assumed.mean), far(margin - assumed.mean)].into_iter().flatten().min()?;
    Some(needed.saturating_sub(pairs).max(1))
}

/// The fewest pairs with enough power, which grows with their number.
fn first(power: impl Fn(usize) -> f64) -> Option<usize> {
    let (mut low, mut high) = (1, MOST);
    if power(high) < TARGET {
        return None;
    }
    while high - low > 1 {
        let middle = usize::midpoint(low, high);
        if power(middle) < TARGET { low = middle } else { high = middle }
    }
    Some(high)
}

fn error(assumed: Assumed, pairs: usize) -> f64 {
    assumed.deviation / (pairs as f64).sqrt()
}

/// The mean of a chance over the distribution of the sample deviation: the chance is asked for the
/// reach of a test with one tail of `tail`, in true standard errors. Simpson's rule.
fn over_deviations(pairs: usize, tail: f64, chance: impl Fn(f64, &Normal) -> f64) -> f64 {
    let freedom = pairs.saturating_sub(1) as f64;
    let (Ok(student), Ok(squares)) = (StudentsT::new(0.0, 1.0, freedom), ChiSquared::new(freedom))
    else {
        return 0.0;
    };
    let normal = Normal::standard();
    let quantile = student.inverse_cdf(1.0 - tail);
    // Ten standard deviations of the ratio of the sample's deviation to the true one.
    let (low, high) =
        ((1.0 - 10.0 / (2.0 * freedom).sqrt()).max(0.0), 1.0 + 10.0 / (2.0 * freedom).sqrt());
    let step = (high - low) / INTERVALS as f64;
    let value = |index: usize| {
        let ratio = (low + step * index as f64).max(1e-12);
        let density = 2.0 * freedom * ratio * squares.pdf(freedom * ratio * ratio);
        density * chance(quantile * ratio, &normal)
    };
    let weight = |index: usize| match index {
        0 | INTERVALS => 1.0,
        index if index % 2 == 1 => 4.0,
        _ => 2.0,
    };
    let sum: f64 = (0..=INTERVALS).map(|index| weight(index) * value(index)).sum();
    (sum * step / 3.0).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assumed(mean: f64) -> Assumed {
        Assumed { mean, deviation: 1.0 }
    }

    /// The pairs that a paired t-test needs at 5 % and a power of 80 %, as G*Power and R's
    /// `pwr.t.test(d, power = 0.8, type = "paired")` give them: 198.15, 33.37, 14.30 and 9.94,
    /// rounded up.
    #[test]
    fn the_numbers_of_pairs_are_the_published_ones() {
        for (effect, pairs) in [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10)] {
            assert_eq!(further_pairs(assumed(effect), None, 0, 0.05), Some(pairs), "{effect}");
            assert_eq!(further_pairs(assumed(-effect), None, 0, 0.05), Some(pairs), "{effect}");
        }
    }

    #[test]
    fn a_difference_of_none_takes_a_margin_to_decide() {
        assert_eq!(further_pairs(assumed(0.0), None, 5, 0.05), None);
        let within = further_pairs(assumed(0.0), Some(1.0), 5, 0.05).unwrap();
        let enough = of_equivalence(assumed(0.0), 1.0, 5 + within, 0.05);
        let too_few = of_equivalence(assumed(0.0), 1.0, 4 + within, 0.05);
        assert!(enough >= TARGET && too_few < TARGET, "{within}: {too_few} and {enough}");
        assert_eq!(further_pairs(Assumed { mean: 1.0, deviation: 0.0 }, None, 3, 0.05), None);
        assert_eq!(further_pairs(assumed(5.0), None, 9, 0.05), Some(1));
    }

    /// At no difference the power to find one with the given sign is half the level, whatever the
    /// number of pairs: it checks the integration.
    #[test]
    fn without_a_difference_the_power_is_the_level() {
        for pairs in [2, 3, 5, 20, 500] {
            let power = of_difference(assumed(0.0), pairs, 0.05);
            assert!((power - 0.025).abs() < 1e-5, "{pairs}: {power}");
        }
        assert!(of_difference(assumed(1.0), 1, 0.05).abs() < 1e-12);
    }
}
