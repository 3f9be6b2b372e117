//! How the histories of ARSAM's controller move.

use std::collections::VecDeque;

pub(super) fn push(history: &mut VecDeque<f64>, value: f64) {
    history.pop_front();
    history.push_back(value);
}

/// `a / b`, or 0 where `b` is too small to divide by.
pub(super) fn quotient(a: f64, b: f64) -> f64 {
    if b.abs() < 1e-12 { 0.0 } else { a / b }
}

/// The mean relative change from one value to the next, clipped to `[−1, 1]`.
pub(super) fn drift(history: &VecDeque<f64>) -> f64 {
    let changes = history.iter().zip(history.iter().skip(1)).map(|(a, b)| quotient(b - a, *a));
    let mean = changes.sum::<f64>() / (history.len() - 1) as f64;
    if mean.is_nan() { 0.0 } else { mean.clamp(-1.0, 1.0) }
}

/// The mean over blocks of the unbiased variance within a block, where the blocks are consecutive
/// slices of the values in rising order.
pub(super) fn block_variance(values: &VecDeque<f64>, blocks: usize) -> f64 {
    let mut sorted: Vec<f64> = values.iter().copied().collect();
    sorted.sort_by(f64::total_cmp);
    let size = sorted.len() / blocks;
    let variance = |block: &[f64]| {
        let mean = block.iter().sum::<f64>() / size as f64;
        block.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (size - 1) as f64
    };
    sorted.chunks_exact(size).take(blocks).map(variance).sum::<f64>() / blocks as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_and_nan_in_a_history_give_no_drift() {
        assert_eq!(drift(&VecDeque::from(vec![0.0; 5])).to_bits(), 0.0_f64.to_bits());
        assert_eq!(drift(&VecDeque::from(vec![1.0, f64::NAN, 2.0])).to_bits(), 0.0_f64.to_bits());
        assert!((drift(&VecDeque::from(vec![1.0, f64::INFINITY])) - 1.0).abs() < 1e-15);
    }
}
