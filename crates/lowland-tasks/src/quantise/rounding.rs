//! Weights rounded as they are, without training: how much of a network survives.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};

use crate::Result;
use crate::error::setting;

/// How many steps are tried for a parameter.
const TRIED: usize = 64;

/// `model` with its weights rounded to `bits` bits, 2 to 8, as they are: nothing is trained and
/// nothing calibrated, and activations, biases and normalisation stay.
///
/// Each parameter of two or more dimensions becomes integers between `−n` and `n` times a step of
/// its own, `n = 2^(bits−1) − 1`. The step is the one with the smallest squared error among `k/64`
/// of `max|w|/n`, `k` from 1 to 64: what lies beyond is clipped.
///
/// # Errors
/// [`Error::Setting`](crate::Error::Setting) for a number of bits out of range.
pub fn rounded<M: Module>(model: M, bits: u8) -> Result<M> {
    setting("bits", (2..=8).contains(&bits), bits, "between 2 and 8")?;
    Ok(model.map(&mut Round { highest: f64::from((1_u16 << (bits - 1)) - 1) }))
}

struct Round {
    /// The largest integer.
    highest: f64,
}

impl Round {
    /// The squared error of values that are rounded to multiples of `step`.
    fn error(&self, values: &[f64], step: f64) -> f64 {
        values.iter().map(|&value| (value - self.nearest(value, step)).powi(2)).sum()
    }

    fn nearest(&self, value: f64, step: f64) -> f64 {
        (value / step).round_ties_even().clamp(-self.highest, self.highest) * step
    }

    /// All values rounded with the step that suits them best.
    fn round(&self, values: &[f64]) -> Vec<f64> {
        let largest = values.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
        if largest <= 0.0 || !largest.is_finite() {
            return values.to_vec();
        }
        let step = |k: usize| k as f64 / TRIED as f64 * largest / self.highest;
        let errors = (1..=TRIED).map(|k| (self.error(values, step(k)), step(k)));
        let best = errors.min_by(|(error, _), (other, _)| error.total_cmp(other));
        let step = best.map_or(largest / self.highest, |(_, step)| step);
        values.iter().map(|&value| self.nearest(value, step)).collect()
    }
}

impl ModuleMapper for Round {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if D < 2 {
            return param;
        }
        param.map(|tensor| {
            let (shape, device, dtype) = (tensor.dims(), tensor.device(), tensor.dtype());
            let values: Vec<f64> = tensor.into_data().iter().collect();
            Tensor::from_data(TensorData::new(self.round(&values), shape), (&device, dtype))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(values: &[f64], bits: u8) -> Vec<f64> {
        Round { highest: f64::from((1_u16 << (bits - 1)) - 1) }.round(values)
    }

    #[test]
    fn values_on_a_grid_stay_and_others_go_to_the_nearest() {
        let grid = [-3.0, -1.0, 0.0, 2.0, 3.0];
        assert_eq!(round(&grid, 3), grid);
        assert_eq!(round(&[0.0, 0.0], 4), [0.0, 0.0]);
        // Two bits leave −s, 0 and s.
        let two = round(&[-1.1, -0.9, 0.05, 1.0, 1.0], 2);
        let s = two[3];
        assert!((s - 1.0).abs() < 0.05 && two == [-s, -s, 0.0, s, s], "{two:?}");
    }

    #[test]
    fn more_bits_are_closer_and_a_far_value_is_clipped_for_the_others() {
        let values: Vec<f64> = (0..200).map(|i| f64::from(i % 37) / 18.0 - 1.0).collect();
        let error = |bits| {
            let pairs = values.iter().zip(round(&values, bits));
            pairs.map(|(value, rounded)| (value - rounded).powi(2)).sum::<f64>()
        };
        assert!((2..8).all(|bits| error(bits) > error(bits + 1)));
        let mut far = values.clone();
        far.push(8.0);
        let largest = round(&far, 3).into_iter().fold(0.0, f64::max);
        assert!(largest < 8.0, "{largest}");
    }
}
