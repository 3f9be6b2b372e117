//! How good numbers are that a network found, beside those that were looked for.
//!
//! All functions take pairs of the number that was looked for and the one that was found.

/// The coefficient of determination, `1 − Σ (y − f)² / Σ (y − ȳ)²`: at most 1, which is when all
/// numbers are found, and 0 where the mean would do as well.
///
/// Where the numbers looked for are all the same, it is negative infinity, or NaN if these are
/// found.
pub fn r_squared(pairs: &[(f64, f64)]) -> f64 {
    let mean = mean(pairs.iter().map(|(target, _)| *target));
    let spread: f64 = pairs.iter().map(|(target, _)| square(target - mean)).sum();
    (spread - squared_errors(pairs)) / spread
}

/// The root of the mean squared error; 0 where there are no pairs.
pub fn root_mean_squared_error(pairs: &[(f64, f64)]) -> f64 {
    if pairs.is_empty() { 0.0 } else { (squared_errors(pairs) / pairs.len() as f64).sqrt() }
}

/// Pearson's correlation, from −1 to 1; 0 where all numbers of one side are the same, or there are
/// no pairs.
///
/// ```text
/// Σ (y − ȳ)·(f − f̄) / √(Σ (y − ȳ)² · Σ (f − f̄)²)
/// ```
pub fn pearson(pairs: &[(f64, f64)]) -> f64 {
    let means = (
        mean(pairs.iter().map(|(target, _)| *target)),
        mean(pairs.iter().map(|(_, found)| *found)),
    );
    let (mut both, mut targets, mut founds) = (0.0, 0.0, 0.0);
    for (target, found) in pairs {
        let (target, found) = (target - means.0, found - means.1);
        both += target * found;
        targets += target * target;
        founds += found * found;
    }
    // Two roots: the product of two sums may be too small or too large for a number.
    let scale = targets.sqrt() * founds.sqrt();
    if scale > 0.0 { (both / scale).clamp(-1.0, 1.0) } else { 0.0 }
}

/// Spearman's correlation: [`pearson`]'s of the ranks on each side, where equal numbers have the
/// mean of their ranks.
pub fn spearman(pairs: &[(f64, f64)]) -> f64 {
    let (targets, founds): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    let ranks: Vec<(f64, f64)> =
        mean_ranks(&targets).into_iter().zip(mean_ranks(&founds)).collect();
    pearson(&ranks)
}

/// The rank of each number, counted from 1, in their order from the least; equal numbers have the
/// mean of their ranks.
pub fn mean_ranks(numbers: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..numbers.len()).collect();
    order.sort_by(|&a, &b| numbers[a].total_cmp(&numbers[b]));
    let mut ranks = vec![0.0; numbers.len()];
    let mut before = 0;
    // 0 and −0 are the same number, which their order does not say.
    for equal in order.chunk_by(|&a, &b| numbers[a] >= numbers[b]) {
        let rank = before as f64 + f64::midpoint(equal.len() as f64, 1.0);
        equal.iter().for_each(|&index| ranks[index] = rank);
        before += equal.len();
    }
    ranks
}

fn squared_errors(pairs: &[(f64, f64)]) -> f64 {
    pairs.iter().map(|(target, found)| square(target - found)).sum()
}

fn square(x: f64) -> f64 {
    x * x
}

fn mean(numbers: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = numbers.len() as f64;
    numbers.sum::<f64>() / count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(targets: &[f64], founds: &[f64]) -> Vec<(f64, f64)> {
        targets.iter().copied().zip(founds.iter().copied()).collect()
    }

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found}, expected {expected}");
    }

    #[test]
    fn correlations_are_the_worked_numbers() {
        let pairs = pairs(&[1.0, 2.0, 3.0, 4.0, 5.0], &[2.0, 4.0, 5.0, 4.0, 5.0]);
        // Σ(y−3)(f−4) = 4 + 0 + 0 + 0 + 2, Σ(y−3)² = 10, Σ(f−4)² = 6.
        close(pearson(&pairs), 6.0 / 60.0_f64.sqrt());
        // Ranks 1 2 3 4 5 and 1 2.5 4.5 2.5 4.5: Σ = 4 + 0.5 + 0 − 0.5 + 3, spreads 10 and 9.
        close(spearman(&pairs), 7.0 / 90.0_f64.sqrt());
        // Errors 1 4 4 0 0, spread 10.
        close(r_squared(&pairs), 0.1);
        close(root_mean_squared_error(&pairs), 1.8_f64.sqrt());
    }

    #[test]
    fn what_only_keeps_the_order_has_the_whole_rank_correlation() {
        let targets = [0.0, 1.0, 2.0, 5.0];
        let cubes = pairs(&targets, &targets.map(|x: f64| x.powi(3)));
        close(spearman(&cubes), 1.0);
        assert!(pearson(&cubes) < 0.95);
        let turned = pairs(&targets, &targets.map(|x| 7.0 - 2.0 * x));
        close(pearson(&turned), -1.0);
        close(spearman(&turned), -1.0);
        // Neither scale nor place of the numbers has a part in it.
        let moved = pairs(&targets, &targets.map(|x| 1e6 + 1e-3 * x));
        assert!((pearson(&moved) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn equal_numbers_share_the_mean_of_their_ranks() {
        assert_eq!(mean_ranks(&[3.0, 1.0, 3.0, 2.0, 3.0]), [4.0, 1.0, 4.0, 2.0, 4.0]);
        assert_eq!(mean_ranks(&[0.0, -0.0]), [1.5, 1.5]);
        assert_eq!(mean_ranks(&[]), [0.0; 0]);
    }

    #[test]
    fn numbers_that_are_all_the_same_have_no_correlation() {
        for pairs in [pairs(&[1.0, 2.0], &[3.0, 3.0]), pairs(&[2.0, 2.0], &[1.0, 3.0]), Vec::new()]
        {
            close(pearson(&pairs), 0.0);
            close(spearman(&pairs), 0.0);
        }
        close(root_mean_squared_error(&[]), 0.0);
    }
}
