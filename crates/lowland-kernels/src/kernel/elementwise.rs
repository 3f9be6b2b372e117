//! Functions of each number by itself, in parallel.

use rayon::prelude::*;

use super::{Real, vectorised_closure};

/// Numbers that one piece of work has: enough to be worth a thread's while, few enough for its
/// cache.
const PIECE: usize = 16 * 1024;

#[inline(always)]
fn map<T: Real>(x: &[T], f: impl Fn(T) -> T + Copy + Send + Sync) -> Vec<T> {
    let mut output = vec![T::ZERO; x.len()];
    output.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE)).for_each(|(to, x)| {
        vectorised_closure(
            #[inline(always)]
            || {
                for (to, &x) in to.iter_mut().zip(x) {
                    *to = f(x);
                }
            },
        );
    });
    output
}

/// Puts `f(x, y)` in the place of each `y`.
#[inline(always)]
fn zip<T: Real>(x: &[T], y: &mut [T], f: impl Fn(T, T) -> T + Copy + Send + Sync) {
    y.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE)).for_each(|(y, x)| {
        vectorised_closure(
            #[inline(always)]
            || {
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = f(x, *y);
                }
            },
        );
    });
}

/// `x + y` in the place of `y`.
pub(crate) fn add<T: Real>(x: &[T], y: &mut [T]) {
    zip(
        x,
        y,
        #[inline(always)]
        |x, y| x + y,
    );
}

/// Numbers below 0 become 0; NaN stays.
pub(crate) fn relu<T: Real>(x: &[T]) -> Vec<T> {
    map(
        x,
        #[inline(always)]
        |x| if x < T::ZERO { T::ZERO } else { x },
    )
}

/// The gradient of [`relu`], of its output `y`, in the place of that of its output.
pub(crate) fn relu_gradient<T: Real>(y: &[T], g: &mut [T]) {
    zip(
        y,
        g,
        #[inline(always)]
        |y, g| if y <= T::ZERO { T::ZERO } else { g },
    );
}

/// `x · (1 + erf(x / √2)) / 2`.
pub(crate) fn gelu<T: Real>(x: &[T]) -> Vec<T> {
    let (half, root) = (T::from_f64(0.5), T::from_f64(std::f64::consts::FRAC_1_SQRT_2));
    map(
        x,
        #[inline(always)]
        move |x| half * x * (T::ONE + (x * root).erf()),
    )
}

/// The gradient of [`gelu`] in the place of that of its output.
pub(crate) fn gelu_gradient<T: Real>(x: &[T], g: &mut [T]) {
    let (half, root) = (T::from_f64(0.5), T::from_f64(std::f64::consts::FRAC_1_SQRT_2));
    // 1/√(2π).
    let density = T::from_f64(std::f64::consts::FRAC_2_SQRT_PI / (2.0 * std::f64::consts::SQRT_2));
    zip(
        x,
        g,
        #[inline(always)]
        move |x, g| {
            let below = half * (T::ONE + (x * root).erf());
            g * (x * density).mul_add((-(half * x * x)).exp(), below)
        },
    );
}
