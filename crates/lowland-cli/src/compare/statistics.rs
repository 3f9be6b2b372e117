//! The statistics that a comparison over seeds needs: means, spreads, the paired t-test, the test
//! of equivalence, and Holm's correction for several contenders.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};
use statrs::statistics::{Data, OrderStatistics};

/// The two ends of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The share of intervals, computed as [`paired_t_test`] does, that hold the true difference.
pub(crate) const INTERVAL_LEVEL: f64 = 0.95;

/// The chance of a false claim that tests allow.
pub(crate) const ERROR_LEVEL: f64 = 0.05;

/// Below this deviation the differences count as identical: accuracies are shares of at most 1, so
/// anything smaller is rounding left over from their subtraction.
const IDENTICAL: f64 = 1e-12;

/// The arithmetic mean; nothing for no values.
pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    Some(values.iter().sum::<f64>() / values.len() as f64)
}

/// The sample standard deviation (division by n - 1); 0 for fewer than two values.
pub(crate) fn deviation(values: &[f64]) -> f64 {
    let Some(mean) = mean(values) else { return 0.0 };
    if values.len() < 2 {
        return 0.0;
    }
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (values.len() - 1) as f64).sqrt()
}

/// The middle value, or the mean of the middle two; nothing for no values.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| Data::new(values.to_vec()).median())
}

/// The value below which a share of the values lies, interpolated; NaN for no values.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    Data::new(values.to_vec()).quantile(share)
}

/// The interval of a mean and its standard error.
#[derive(Debug, Clone, Copy)]
struct Estimate {
    mean: f64,
    /// The standard error of the mean; 0 where all values are zero.
    error: f64,
    /// Student's distribution with one degree of freedom less than there are values.
    student: StudentsT,
}

impl Estimate {
    /// `None` where no test is possible: for fewer than two differences, and for differences that
    /// are all the same but not zero, because without variation there is nothing to judge the mean
    /// by (the formula would call every such difference certain, whatever its size).
    fn of(differences: &[f64]) -> Option<Self> {
        let count = differences.len();
        let mean = mean(differences)?;
        if count < 2 {
            return None;
        }
        let deviation = deviation(differences);
        let student = StudentsT::new(0.0, 1.0, (count - 1) as f64).ok()?;
        if deviation < IDENTICAL {
            return (mean.abs() < IDENTICAL).then_some(Self { mean: 0.0, error: 0.0, student });
        }
        Some(Self { mean, error: deviation / (count as f64).sqrt(), student })
    }

    /// The two-sided interval at a level between 0 and 1.
    fn interval(&self, level: f64) -> (f64, f64) {
        if self.error == 0.0 {
            return (0.0, 0.0);
        }
        let reach = self.student.inverse_cdf(f64::midpoint(1.0, level)) * self.error;
        (self.mean - reach, self.mean + reach)
    }

    /// The chance of a mean at least this far above `value` if the truth were `value`.
    fn p_above(&self, value: f64) -> f64 {
        if self.error == 0.0 {
            return if self.mean > value { 0.0 } else { 1.0 };
        }
        self.student.cdf(-(self.mean - value) / self.error)
    }
}

/// What a two-sided paired t-test found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PairedTest {
    /// Lower end of the interval of the mean difference at its level.
    pub low: f64,
    /// Upper end of that interval.
    pub high: f64,
    /// The chance of a difference at least this large if there were none in truth.
    pub p_value: f64,
}

/// Tests whether the mean of paired differences is other than zero, with an interval at
/// [`INTERVAL_LEVEL`].
///
/// Returns `None` where no test is possible: for fewer than two differences, and for differences
/// that are all the same but not zero. Differences that are all zero are no difference for certain:
/// the interval is a point and p is 1.
pub(crate) fn paired_t_test(differences: &[f64]) -> Option<PairedTest> {
    paired_t_test_at(INTERVAL_LEVEL, differences)
}

/// The same with an interval at another level between 0 and 1.
pub(crate) fn paired_t_test_at(level: f64, differences: &[f64]) -> Option<PairedTest> {
    let estimate = Estimate::of(differences)?;
    let (low, high) = estimate.interval(level);
    let p_value = if estimate.error == 0.0 {
        1.0
    } else {
        let student = estimate.student;
        (2.0 * student.cdf(-(estimate.mean / estimate.error).abs())).min(1.0)
    };
    Some(PairedTest { low, high, p_value })
}

/// What two one-sided tests found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct EquivalenceTest {
    /// Lower end of the interval at 1 - 2 · [`ERROR_LEVEL`], which lies within the margin exactly
    /// where the p-value is below [`ERROR_LEVEL`].
    pub low: f64,
    /// Upper end of that interval.
    pub high: f64,
    /// The larger of the p-values of the two tests.
    pub p_value: f64,
}

/// Tests whether the mean of paired differences lies between `-margin` and `margin`, by two
/// one-sided t-tests (D. J. Schuirmann, 1987). `None` as for [`paired_t_test`].
pub(crate) fn equivalence_test(differences: &[f64], margin: f64) -> Option<EquivalenceTest> {
    let estimate = Estimate::of(differences)?;
    let (low, high) = estimate.interval(1.0 - 2.0 * ERROR_LEVEL);
    let below = Estimate { mean: -estimate.mean, ..estimate };
    let p_value = estimate.p_above(-margin).max(below.p_above(-margin));
    Some(EquivalenceTest { low, high, p_value })
}

/// Holm's correction (S. Holm, 1979): p-values that can each be compared with the chance of any
/// false claim among all of them. The order stays.
pub(crate) fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest = 0.0_f64;
    for (rank, &place) in order.iter().enumerate() {
        let left = (p_values.len() - rank) as f64;
        largest = largest.max((left * p_values[place]).min(1.0));
        adjusted[place] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(found: f64, expected: f64) {
        let allowed = 1e-9 * expected.abs().max(1.0);
        assert!((found - expected).abs() < allowed, "found {found}, expected {expected}");
    }

    #[test]
    fn mean_deviation_and_median_of_known_values() {
        let values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        close(mean(&values).unwrap(), 5.0);
        close(deviation(&values), (32.0_f64 / 7.0).sqrt());
        close(median(&values).unwrap(), 4.5);
        close(median(&[3.0, 1.0, 2.0]).unwrap(), 2.0);
    }

    #[test]
    fn few_values_have_no_spread() {
        assert_eq!((mean(&[]), median(&[]), deviation(&[])), (None, None, 0.0));
        assert_eq!((mean(&[7.0]), median(&[7.0]), deviation(&[7.0])), (Some(7.0), Some(7.0), 0.0));
    }

    #[test]
    fn the_test_matches_an_independent_implementation() {
        // Expected: scipy.stats.ttest_1samp(differences, 0) and its confidence_interval(0.95).
        let known: [(&[f64], [f64; 3]); 3] = [
            (
                &[0.022, 0.031, 0.013],
                [0.051_512_650_169_700_93, -0.000_357_239_405_752_968, 0.044_357_239_405_752_97],
            ),
            (
                &[0.01, -0.02, 0.015, 0.004, 0.007],
                [0.626_382_130_522_190_8, -0.013_674_757_354_558_037, 0.020_074_757_354_558_038],
            ),
            (
                &[0.5, 0.7],
                [0.105_136_913_422_506_83, -0.670_620_473_617_469_1, 1.870_620_473_617_469],
            ),
        ];
        for (differences, [p_value, low, high]) in known {
            let test = paired_t_test(differences).unwrap();
            close(test.p_value, p_value);
            close(test.low, low);
            close(test.high, high);
        }
    }

    /// The additional hours of sleep by two soporific drugs: Student (1908), "The probable error of
    /// a mean", Biometrika 6.
    const SLEEP: [(f64, f64); 10] = [
        (0.7, 1.9),
        (-1.6, 0.8),
        (-0.2, 1.1),
        (-1.2, 0.1),
        (-0.1, -0.1),
        (3.4, 4.4),
        (3.7, 5.5),
        (0.8, 1.6),
        (0.0, 4.6),
        (2.0, 3.4),
    ];

    /// As R prints it in the example of `t.test`, and as `t_TOST(extra ~ group, data = sleep,
    /// paired = TRUE, eqb = .5)` in the introduction to the R package TOSTER does.
    #[test]
    fn students_sleep_data_give_the_published_numbers() {
        let differences = SLEEP.map(|(one, two)| one - two);
        let test = paired_t_test(&differences).unwrap();
        assert!((test.p_value - 0.002_833).abs() < 5e-7, "{}", test.p_value);
        assert!((test.low + 2.459_885_8).abs() < 5e-8, "{}", test.low);
        assert!((test.high + 0.700_114_2).abs() < 5e-8, "{}", test.high);
        // t(9) = -2.777 for the lower bound.
        let equivalence = equivalence_test(&differences, 0.5).unwrap();
        assert!((equivalence.p_value - 0.989).abs() < 5e-4, "{}", equivalence.p_value);
        // The 90 % interval: -2.293 to -0.867.
        assert!((equivalence.low + 2.293).abs() < 5e-4, "{}", equivalence.low);
        assert!((equivalence.high + 0.867).abs() < 5e-4, "{}", equivalence.high);
    }

    #[test]
    fn equivalence_is_claimed_where_the_interval_lies_within_the_margin() {
        let differences = [0.004, -0.002, 0.001, 0.003];
        let test = equivalence_test(&differences, 0.01).unwrap();
        assert!(test.p_value < 0.05 && test.low > -0.01 && test.high < 0.01, "{test:?}");
        let mirrored = equivalence_test(&differences.map(|d| -d), 0.01).unwrap();
        close(mirrored.p_value, test.p_value);
        close(mirrored.low, -test.high);
        assert!(equivalence_test(&differences, 0.003).unwrap().p_value > 0.05);
        assert_eq!(equivalence_test(&[0.001], 0.01), None);
        assert_eq!(equivalence_test(&[0.001, 0.001], 0.01), None);
        let same = EquivalenceTest { low: 0.0, high: 0.0, p_value: 0.0 };
        assert_eq!(equivalence_test(&[0.0, 0.0], 0.01), Some(same));
    }

    /// Four p-values of the article "Holm-Bonferroni method" of Wikipedia, and R's example.
    #[test]
    fn holms_correction_gives_the_published_numbers() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expected) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            close(*found, expected);
        }
        assert_eq!(holm(&[]), Vec::<f64>::new());
        assert_eq!(holm(&[0.2]), [0.2]);
        assert_eq!(holm(&[0.6, 0.9]), [1.0, 1.0]);
    }

    #[test]
    fn no_test_without_variation() {
        assert_eq!(paired_t_test(&[]), None);
        assert_eq!(paired_t_test(&[0.3]), None);
        assert_eq!(paired_t_test(&[0.25, 0.25, 0.25]), None);
        // Equal up to the rounding of the subtraction.
        assert_eq!(paired_t_test(&[0.81 - 0.80, 0.82 - 0.81, 0.83 - 0.82]), None);
        let nothing = PairedTest { low: 0.0, high: 0.0, p_value: 1.0 };
        assert_eq!(paired_t_test(&[0.0, 0.0]), Some(nothing));
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            rng_seed: proptest::test_runner::RngSeed::Fixed(1),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn the_median_and_mean_lie_within_the_values(
            values in prop::collection::vec(-1e3..1e3_f64, 1..20),
        ) {
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            for middle in [mean(&values).unwrap(), median(&values).unwrap()] {
                prop_assert!(middle >= low - 1e-9 && middle <= high + 1e-9);
            }
        }

        #[test]
        fn the_deviation_ignores_a_shift_and_follows_a_scale(
            values in prop::collection::vec(-10.0..10.0_f64, 2..20), shift in -10.0..10.0_f64,
        ) {
            let shifted: Vec<f64> = values.iter().map(|value| value + shift).collect();
            let doubled: Vec<f64> = values.iter().map(|value| -2.0 * value).collect();
            prop_assert!((deviation(&shifted) - deviation(&values)).abs() < 1e-9);
            prop_assert!((deviation(&doubled) - 2.0 * deviation(&values)).abs() < 1e-9);
        }

        #[test]
        fn the_interval_excludes_zero_exactly_when_p_is_below_its_share(
            values in prop::collection::vec(-0.1..0.1_f64, 2..12),
        ) {
            if let Some(test) = paired_t_test(&values) {
                prop_assert!((0.0..=1.0).contains(&test.p_value));
                // On the very border rounding may fall on either side.
                if (test.p_value - (1.0 - INTERVAL_LEVEL)).abs() > 1e-6 {
                    let excludes_zero = test.low > 0.0 || test.high < 0.0;
                    prop_assert_eq!(excludes_zero, test.p_value < 1.0 - INTERVAL_LEVEL);
                }
            }
        }

        #[test]
        fn swapping_the_sides_mirrors_the_test(
            values in prop::collection::vec(-0.1..0.1_f64, 2..12),
        ) {
            let mirrored: Vec<f64> = values.iter().map(|value| -value).collect();
            match (paired_t_test(&values), paired_t_test(&mirrored)) {
                (Some(one), Some(other)) => {
                    prop_assert!((one.low + other.high).abs() < 1e-9);
                    prop_assert!((one.p_value - other.p_value).abs() < 1e-9);
                }
                (one, other) => prop_assert_eq!(one, other),
            }
        }
    }
}
