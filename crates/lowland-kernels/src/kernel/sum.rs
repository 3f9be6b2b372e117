//! Sums in an order that is the same everywhere.

use super::Real;

/// Running sums, so that additions need not wait for one another.
pub(crate) const WAYS: usize = 32;

/// The sum of all numbers: of every 32nd number first, then of these sums by halves.
#[inline(always)]
pub(crate) fn sum<T: Real>(numbers: &[T]) -> T {
    let mut sums = [T::ZERO; WAYS];
    let (chunks, rest) = numbers.as_chunks::<WAYS>();
    for chunk in chunks {
        for i in 0..WAYS {
            sums[i] += chunk[i];
        }
    }
    for (sum, &number) in sums.iter_mut().zip(rest) {
        *sum += number;
    }
    halves(sums)
}

/// The sum by halves.
#[inline(always)]
pub(crate) fn halves<T: Real>(mut sums: [T; WAYS]) -> T {
    let mut width = WAYS / 2;
    while width > 0 {
        for i in 0..width {
            sums[i] += sums[i + width];
        }
        width /= 2;
    }
    sums[0]
}
