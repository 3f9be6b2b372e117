//! From values to pixels, with round numbers along the way.

use crate::words;

/// Larger values are shown at this edge: their differences would overflow, and no measurement that
/// means anything is near it.
const LARGEST: f64 = 1e100;

/// How many times the smallest the largest value is from which on a scale is logarithmic.
const WIDE: f64 = 30.0;

/// A map from values to pixels, linear or of logarithms.
#[derive(Debug, Clone)]
pub(super) struct Scale {
    /// The ends; those of a logarithmic scale are powers of ten.
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    step: f64,
    logarithmic: bool,
}

impl Scale {
    /// A scale that begins and ends on round numbers around all the values. `pixels` are the
    /// places of its two ends, `ticks` is about how many round numbers to show.
    pub(super) fn around(values: &[f64], pixels: (f64, f64), ticks: f64) -> Self {
        let (low, high) = range(values);
        let step = round_step((high - low) / ticks);
        let (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
        Self { low, high, from: pixels.0, to: pixels.1, step, logarithmic: false }
    }

    /// A scale around all the values, logarithmic where these are positive and wide apart.
    pub(super) fn fitting(values: &[f64], pixels: (f64, f64), ticks: f64) -> Self {
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let low = finite().reduce(f64::min).unwrap_or(0.0);
        let high = finite().reduce(f64::max).unwrap_or(0.0).min(LARGEST);
        if !(low.is_normal() && low > 0.0 && high / low >= WIDE) {
            return Self::around(values, pixels, ticks);
        }
        // A tenth of an order of magnitude of room at both ends.
        let (low, high) = (low.log10() - 0.1, high.log10() + 0.1);
        Self { low, high, from: pixels.0, to: pixels.1, step: 1.0, logarithmic: true }
    }

    /// Whether the scale is logarithmic.
    pub(super) fn is_logarithmic(&self) -> bool {
        self.logarithmic
    }

    /// A scale from the first to the last of some counted things, with whole numbers as ticks.
    pub(super) fn counting(first: usize, last: usize, pixels: (f64, f64), ticks: f64) -> Self {
        let (low, high) = (first as f64, last.max(first) as f64);
        // A single thing stands in the middle.
        let (low, high) = if high > low { (low, high) } else { (low - 0.5, high + 0.5) };
        let step = round_step((high - low) / ticks).max(1.0);
        Self { low, high, from: pixels.0, to: pixels.1, step, logarithmic: false }
    }

    /// The place of a value; what lies beyond an end is put at that end.
    pub(super) fn at(&self, value: f64) -> f64 {
        let value = if self.logarithmic { value.max(f64::MIN_POSITIVE).log10() } else { value };
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        let share = if share.is_finite() { share } else { 0.0 };
        self.from + share * (self.to - self.from)
    }

    /// The round numbers to show, each with its place and its text.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        if self.logarithmic {
            return self.powers();
        }
        let decimals = (0_u8..6)
            .find(|decimals| {
                let scaled = self.step * 10_f64.powi(i32::from(*decimals));
                (scaled - scaled.round()).abs() < 1e-6 * scaled
            })
            .unwrap_or(6);
        let first = (self.low / self.step - 1e-6).ceil();
        let count = (self.high / self.step + 1e-6).floor() - first;
        (0_u32..=50)
            .take_while(|index| f64::from(*index) <= count)
            .map(|index| (first + f64::from(index)) * self.step)
            .map(|value| (self.at(value), tick_text(value, decimals.into())))
            .collect()
    }
}

impl Scale {
    /// The round numbers of a logarithmic scale: 1, 2 and 5 times powers of ten where that is few.
    fn powers(&self) -> Vec<(f64, String)> {
        let orders = self.high - self.low;
        let factors: &[f64] = if orders < 2.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let every = (orders / 8.0).ceil().max(1.0);
        let first = (self.low / every).floor() * every;
        let powers = (0_u32..=50).map(|place| first + every * f64::from(place));
        powers
            .take_while(|power| *power <= self.high)
            .flat_map(|power| factors.iter().map(move |factor| factor * 10_f64.powf(power)))
            .filter(|value| (self.low..=self.high).contains(&value.log10()))
            .map(|value| (self.at(value), words::significant(value, 1)))
            .collect()
    }
}

/// Lowest and highest finite value, made apart if they are not.
fn range(values: &[f64]) -> (f64, f64) {
    let values = || values.iter().filter(|value| value.is_finite());
    let low = values().copied().reduce(f64::min).unwrap_or(0.0).clamp(-LARGEST, LARGEST);
    let high = values().copied().reduce(f64::max).unwrap_or(1.0).clamp(-LARGEST, LARGEST);
    let apart = high - low > 1e-9 * low.abs().max(high.abs());
    let margin = if low == 0.0 { 0.5 } else { 0.05 * low.abs() };
    if apart { (low, high) } else { (low - margin, high + margin) }
}

/// The smallest of 1, 2 and 5 times a power of ten that is at least the given size.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|factor| factor * power)
        .into_iter()
        .find(|step| *step >= least * (1.0 - 1e-9));
    step.filter(|step| step.is_normal()).unwrap_or(1.0)
}

fn tick_text(value: f64, decimals: usize) -> String {
    if value.abs() >= 1e6 { format!("{value:.0e}") } else { words::number(value, decimals) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(scale: &Scale) -> Vec<String> {
        scale.ticks().into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round() {
        let scale = Scale::around(&[78.3, 81.9], (300.0, 0.0), 5.0);
        assert_eq!(texts(&scale), ["78", "79", "80", "81", "82"]);
        assert_eq!((scale.at(78.0), scale.at(82.0)), (300.0, 0.0));
        assert_eq!(
            texts(&Scale::around(&[0.31, 0.36], (0.0, 1.0), 3.0)),
            ["0.30", "0.32", "0.34", "0.36"]
        );
        assert_eq!(texts(&Scale::counting(1, 15, (0.0, 1.0), 6.0)), ["5", "10", "15"]);
        assert_eq!(texts(&Scale::counting(1, 3, (0.0, 1.0), 6.0)), ["1", "2", "3"]);
    }

    #[test]
    fn values_that_are_wide_apart_have_a_logarithmic_scale() {
        let scale = Scale::fitting(&[0.05, 2.3], (0.0, 100.0), 5.0);
        assert!(scale.is_logarithmic());
        assert_eq!(texts(&scale), ["0.05", "0.1", "0.2", "0.5", "1", "2"]);
        assert!((scale.at(1.0) - scale.at(0.1) - (scale.at(0.5) - scale.at(0.05))).abs() < 1e-9);
        assert_eq!(texts(&Scale::fitting(&[1e-6, 1.0], (0.0, 1.0), 5.0)).len(), 7);
        for values in [&[0.0, 100.0][..], &[-1.0, 100.0], &[1.0, 2.0], &[]] {
            assert!(!Scale::fitting(values, (0.0, 1.0), 5.0).is_logarithmic(), "{values:?}");
        }
    }

    #[test]
    fn a_single_value_stands_in_the_middle() {
        assert!((Scale::counting(1, 1, (0.0, 100.0), 6.0).at(1.0) - 50.0).abs() < 1e-9);
        let equal = Scale::around(&[80.0, 80.0], (0.0, 100.0), 4.0);
        assert!((equal.at(80.0) - 50.0).abs() < 1e-9);
        assert_eq!(texts(&Scale::around(&[], (0.0, 1.0), 2.0)).len(), 3);
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            rng_seed: proptest::test_runner::RngSeed::Fixed(1),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn every_place_is_between_the_ends(values in prop::collection::vec(prop::num::f64::ANY, 0..6)) {
            for scale in [Scale::around, Scale::fitting].map(|of| of(&values, (50.0, 450.0), 5.0)) {
                for value in &values {
                    prop_assert!((50.0..=450.0).contains(&scale.at(*value)));
                }
                let ticks = scale.ticks();
                prop_assert!(ticks.len() <= 51);
                for (place, text) in ticks {
                    prop_assert!((50.0..=450.0).contains(&place));
                    prop_assert!(!text.contains("NaN") && !text.contains("inf"));
                }
            }
        }
    }
}
