//! Rounding to multiples of a step that is learned.

use std::sync::{Arc, Mutex, PoisonError};

use burn::module::{Module, Param, ParamId};
use burn::tensor::{DType, Device, Int, Tensor};

/// Steps below this count as this.
const SMALLEST_STEP: f64 = 1e-12;

/// The values that something is rounded to: all `n·step` with an integer `lowest ≤ n ≤ highest`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// `s`, from one value to the next, above 0.
    pub step: f64,
    /// `−Q_N`.
    pub lowest: i64,
    /// `Q_P`.
    pub highest: i64,
}

impl Grid {
    /// The integers of `bits` bits, half of them negative.
    pub(super) fn signed(bits: u8) -> Self {
        let half = 1 << (bits - 1);
        Self { step: 1.0, lowest: -half, highest: half - 1 }
    }

    /// The integers of `bits` bits from 0 on.
    pub(super) fn unsigned(bits: u8) -> Self {
        Self { step: 1.0, lowest: 0, highest: (1 << bits) - 1 }
    }

    /// The same integers with the step that the paper begins with: `2·mean|v|/√Q_P`.
    pub(super) fn fitted(self, mean: f64) -> Self {
        Self { step: 2.0 * mean / (self.highest as f64).sqrt(), ..self }
    }
}

/// Rounds to a [`Grid`] whose step is learned.
#[derive(Module, Debug)]
pub(super) struct Quantiser {
    /// `[1]`.
    step: Param<Tensor<1>>,
    /// `[lowest, highest]`: a parameter so that records hold it.
    range: Param<Tensor<1, Int>>,
    /// The range once it is read back, which waits for the device, and the parameter that it is of:
    /// ranges do not change, but a record brings others.
    #[module(skip)]
    known: Arc<Mutex<(ParamId, [i64; 2])>>,
}

impl Quantiser {
    /// One with a step on the device and of the type of some weights.
    pub(super) fn beside<const D: usize>(weights: &Param<Tensor<D>>, grid: &Grid) -> Self {
        let weights = weights.base();
        Self::new(grid, &weights.device(), weights.dtype())
    }

    pub(super) fn new(grid: &Grid, device: &Device, dtype: DType) -> Self {
        let Grid { step, lowest, highest } = *grid;
        let range = Tensor::from_data([lowest, highest], device);
        let range = Param::initialized(ParamId::new(), range);
        let known = Arc::new(Mutex::new((range.id, [lowest, highest])));
        let step = Param::from_tensor(Tensor::from_data([step], (device, dtype)));
        Self { step, range, known }
    }

    /// `x`, rounded. `count` is the number of values that its gradient is a sum over.
    pub(super) fn forward<const D: usize>(&self, x: Tensor<D>, count: usize) -> Tensor<D> {
        let [lowest, highest] = self.range();
        let scale = (count as f64 * highest as f64).sqrt().recip(); // g
        let step = scaled_gradient(positive(self.step.val()), scale).reshape([1; D]);
        let clipped = clip(x / step.clone(), lowest, highest);
        // The difference is at most a half, so this is the integer, without rounding errors.
        let rounding = (clipped.clone().round() - clipped.clone()).detach();
        (clipped + rounding) * step
    }

    fn range(&self) -> [i64; 2] {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 != self.range.id {
            *known = (self.range.id, range(self.range.val()));
        }
        known.1
    }
}

/// `[lowest, highest]` from a tensor of them, whatever a record says.
pub(super) fn range<const D: usize>(range: Tensor<D, Int>) -> [i64; 2] {
    let data = range.into_data();
    // Burn's conversion to integers panics where a number is too large; this one saturates.
    #[expect(clippy::cast_possible_truncation, reason = "saturates")]
    let mut values = data.iter::<f64>().map(|value| value as i64);
    [values.next().unwrap_or(0), values.next().unwrap_or(0)]
}

/// The step as it counts: above 0.
pub(super) fn positive(step: Tensor<1>) -> Tensor<1> {
    step.abs().clamp_min(SMALLEST_STEP)
}

/// The integers of `x` for a step that counts.
pub(super) fn integers<const D: usize>(
    x: Tensor<D>,
    step: Tensor<1>,
    [lowest, highest]: [i64; 2],
) -> Tensor<D> {
    clip(x / step.reshape([1; D]), lowest, highest).round()
}

/// `x` between two numbers. Unlike that of Burn's clamp, the gradient is 0 where `x` is one of
/// them, as in the paper.
fn clip<const D: usize>(x: Tensor<D>, lowest: i64, highest: i64) -> Tensor<D> {
    let (below, above) =
        (x.clone().lower_equal_elem(lowest), x.clone().greater_equal_elem(highest));
    x.mask_fill(below, lowest).mask_fill(above, highest)
}

/// `x` itself, with `scale` times its gradient.
fn scaled_gradient(x: Tensor<1>, scale: f64) -> Tensor<1> {
    let scaled = x.clone() * scale;
    // Taking the same away again leaves a zero, and so `x` to the last bit.
    x.detach() + (scaled.clone() - scaled.detach())
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use proptest::prelude::*;

    use super::*;

    fn device() -> Device {
        Device::flex().autodiff()
    }

    fn quantiser(step: f64, grid: Grid) -> Quantiser {
        Quantiser::new(&Grid { step, ..grid }, &device(), DType::F64)
    }

    fn tensor(values: &[f64]) -> Tensor<1> {
        let data = TensorData::new(values.to_vec(), [values.len()]);
        Tensor::from_data(data, (&device(), DType::F64))
    }

    fn values(tensor: Tensor<1>) -> Vec<f64> {
        tensor.into_data().iter::<f64>().collect()
    }

    /// What comes out, the gradient of the sum of `slopes` times it, and that of the step.
    fn outcome(quantiser: &Quantiser, v: &[f64], slopes: &[f64]) -> (Vec<f64>, Vec<f64>, f64) {
        let v = tensor(v).require_grad();
        let out = quantiser.forward(v.clone(), v.dims()[0]);
        let gradients = (out.clone() * tensor(slopes)).sum().backward();
        let of_step = quantiser.step.val().grad(&gradients).unwrap().into_scalar::<f64>();
        (values(out), values(v.grad(&gradients).unwrap()), of_step)
    }

    #[test]
    fn values_and_gradients_are_those_worked_by_hand() {
        // Three bits with a sign: −4 to 3. One value below, three between, one above, two on the
        // ends.
        let quantiser = quantiser(0.5, Grid::signed(3));
        let v = [-3.0, -0.3, 0.3, 0.6, 1.9, -2.0, 1.5];
        let (out, of_v, of_step) = outcome(&quantiser, &v, &[1.0; 7]);
        assert_eq!(out, [-2.0, -0.5, 0.5, 0.5, 1.5, -2.0, 1.5]);
        assert_eq!(of_v, [0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
        // Each in its place: −4, −1 + 0.6, 1 − 0.6, 1 − 1.2, 3, −4, 3; g = 1/√(7·3).
        let sum = -4.0 - 0.4 + 0.4 - 0.2 + 3.0 - 4.0 + 3.0;
        assert!((of_step - sum / 21.0_f64.sqrt()).abs() < 1e-12, "{of_step}");

        // Two bits without: 0 to 3.
        let quantiser = self::quantiser(1.0, Grid::unsigned(2));
        let (out, of_v, of_step) = outcome(&quantiser, &[-1.0, 0.0, 0.4, 2.25, 7.0], &[1.0; 5]);
        assert_eq!(out, [0.0, 0.0, 0.0, 2.0, 3.0]);
        assert_eq!(of_v, [0.0, 0.0, 1.0, 1.0, 0.0]);
        let sum = -0.4 - 0.25 + 3.0;
        assert!((of_step - sum / 15.0_f64.sqrt()).abs() < 1e-12, "{of_step}");
    }

    #[test]
    fn steps_begin_at_twice_the_mean_over_the_root_of_the_highest() {
        for (grid, step) in [
            (Grid::signed(2), 2.0 * 0.3),
            (Grid::signed(4), 2.0 * 0.3 / 7.0_f64.sqrt()),
            (Grid::unsigned(2), 2.0 * 0.3 / 3.0_f64.sqrt()),
            (Grid::unsigned(8), 2.0 * 0.3 / 255.0_f64.sqrt()),
        ] {
            assert_eq!(grid.fitted(0.3), Grid { step, ..grid });
        }
    }

    #[test]
    fn a_step_of_zero_or_below_divides_nothing_by_zero() {
        for (step, out) in [(0.0, 3e-12), (-0.5, 1.5), (1e-300, 3e-12)] {
            let quantiser = quantiser(step, Grid::unsigned(2));
            let (above, of_v, of_step) = outcome(&quantiser, &[2.0, 0.0], &[1.0; 2]);
            assert!((above[0] - out).abs() < 1e-15, "{above:?} at {step}");
            assert_eq!(above[1].to_bits(), 0.0_f64.to_bits(), "at {step}");
            assert!(of_step.is_finite() && of_v.iter().all(|g| g.is_finite()), "at {step}");
        }
    }

    fn grids() -> impl Strategy<Value = Grid> {
        let grid = |(signed, bits)| if signed { Grid::signed(bits) } else { Grid::unsigned(bits) };
        (any::<bool>(), 2_u8..=8).prop_map(grid)
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            rng_seed: proptest::test_runner::RngSeed::Fixed(1),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn rounding_gives_few_values_in_range_and_leaves_them_alone(
            grid in grids(),
            step in 1e-4..10.0_f64,
            v in prop::collection::vec(-100.0..100.0_f64, 1..400),
        ) {
            let quantiser = quantiser(step, grid);
            let round = |v: &[f64]| values(quantiser.forward(tensor(v), 1));
            let out = round(&v);
            let (lowest, highest) = (grid.lowest as f64, grid.highest as f64);
            let mut levels: Vec<u64> = Vec::new();
            for (&x, &v) in out.iter().zip(&v) {
                let n = (x / step).round();
                prop_assert!((n * step).to_bits() == x.to_bits() || x == 0.0, "{x} is no {n} steps");
                prop_assert!((lowest..=highest).contains(&n), "{n}");
                // The nearest of them.
                let nearest = v.clamp(lowest * step, highest * step);
                prop_assert!((x - nearest).abs() <= 0.5 * step * (1.0 + 1e-9));
                levels.push((n + 0.0).to_bits());
            }
            levels.sort_unstable();
            levels.dedup();
            let most = usize::try_from(grid.highest - grid.lowest + 1).unwrap();
            prop_assert!(levels.len() <= most && most.is_power_of_two());
            prop_assert_eq!(round(&out), out);
            let integers = values(integers(tensor(&v), positive(quantiser.step.val()), quantiser.range()));
            let back: Vec<f64> = integers.iter().map(|n| n * step).collect();
            prop_assert_eq!(back, round(&v));
        }

        /// The surrogate: rounding moves a value by what it moves it by here, and `clip` stays.
        #[test]
        fn gradients_are_the_slopes_of_the_surrogate(
            grid in grids(),
            step in 0.05..2.0_f64,
            pairs in prop::collection::vec((-10.0..10.0_f64, -2.0..2.0_f64), 1..30),
        ) {
            let (lowest, highest) = (grid.lowest as f64, grid.highest as f64);
            let (v, slopes): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            // Slopes are asked for away from the two kinks.
            let far = |v: &f64| [lowest, highest].iter().all(|end| (v / step - end).abs() > 1e-3_f64);
            prop_assume!(v.iter().all(far));
            let surrogate = |moved: &[f64], s: f64| -> f64 {
                let terms = v.iter().zip(moved).zip(&slopes).map(|((v, moved), slope)| {
                    let clipped = (v / step).clamp(lowest, highest);
                    let rounding = clipped.round_ties_even() - clipped;
                    slope * s * ((moved / s).clamp(lowest, highest) + rounding)
                });
                terms.sum()
            };
            let (_, of_v, of_step) = outcome(&quantiser(step, grid), &v, &slopes);
            let (h, g) = (1e-6, 1.0 / (v.len() as f64 * highest).sqrt());
            let slope = (surrogate(&v, step + h) - surrogate(&v, step - h)) / (2.0 * h);
            prop_assert!((of_step - g * slope).abs() < 1e-4 * (1.0 + slope.abs()), "{of_step}, {slope}");
            for i in 0..v.len() {
                let moved = |by: f64| {
                    let mut moved = v.clone();
                    moved[i] += by;
                    surrogate(&moved, step)
                };
                let slope = (moved(h) - moved(-h)) / (2.0 * h);
                prop_assert!((of_v[i] - slope).abs() < 1e-4, "{} and {slope}", of_v[i]);
            }
        }
    }
}
