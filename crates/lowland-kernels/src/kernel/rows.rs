//! Softmax and layer normalisation: functions of a row.

use rayon::prelude::*;

use super::sum::{WAYS, halves, sum};
use super::{Real, vectorised_closure};

/// Numbers that one piece of work has, about.
const PIECE: usize = 16 * 1024;

/// Rows of a piece of work; it depends on the length of a row alone.
fn rows_at_once(length: usize) -> usize {
    (PIECE / length.max(1)).max(1)
}

/// The sum of `f` of each pair, in the order of [`sum`].
#[inline(always)]
fn sum_of<T: Real>(x: &[T], y: &[T], f: impl Fn(T, T) -> T) -> T {
    let mut sums = [T::ZERO; WAYS];
    let (xs, x_rest) = x.as_chunks::<WAYS>();
    let (ys, y_rest) = y.as_chunks::<WAYS>();
    for (x, y) in xs.iter().zip(ys) {
        for i in 0..WAYS {
            sums[i] += f(x[i], y[i]);
        }
    }
    for (i, (&x, &y)) in x_rest.iter().zip(y_rest).enumerate() {
        sums[i] += f(x, y);
    }
    halves(sums)
}

/// The softmax of each row of `scale · x`.
pub(crate) fn softmax<T: Real>(length: usize, x: &[T], scale: f64) -> Vec<T> {
    let mut output = vec![T::ZERO; x.len()];
    if x.is_empty() {
        return output;
    }
    let scale = T::from_f64(scale);
    let piece = rows_at_once(length) * length;
    output.par_chunks_mut(piece).zip(x.par_chunks(piece)).for_each(|(to, x)| {
        vectorised_closure(
            #[inline(always)]
            || {
                for (to, x) in to.chunks_exact_mut(length).zip(x.chunks_exact(length)) {
                    softmax_row(to, x, scale);
                }
            },
        );
    });
    output
}

/// The softmax of one row of `scale · x`.
#[inline(always)]
pub(super) fn softmax_row<T: Real>(to: &mut [T], x: &[T], scale: T) {
    let mut highest = [T::LOWEST; WAYS];
    let (chunks, rest) = x.as_chunks::<WAYS>();
    for chunk in chunks {
        for i in 0..WAYS {
            let x = chunk[i] * scale;
            highest[i] = if x > highest[i] { x } else { highest[i] };
        }
    }
    for (highest, &x) in highest.iter_mut().zip(rest) {
        let x = x * scale;
        *highest = if x > *highest { x } else { *highest };
    }
    let mut top = T::LOWEST;
    for highest in highest {
        top = if highest > top { highest } else { top };
    }
    for (to, &x) in to.iter_mut().zip(x) {
        *to = (x * scale - top).exp();
    }
    let factor = T::ONE / sum(to);
    for to in to {
        *to = *to * factor;
    }
}

/// The gradient of [`softmax`], of its output `y`.
pub(crate) fn softmax_gradient<T: Real>(length: usize, y: &[T], g: &[T], scale: f64) -> Vec<T> {
    let mut output = vec![T::ZERO; y.len()];
    if y.is_empty() {
        return output;
    }
    let scale = T::from_f64(scale);
    let piece = rows_at_once(length) * length;
    let inputs = y.par_chunks(piece).zip(g.par_chunks(piece));
    output.par_chunks_mut(piece).zip(inputs).for_each(|(to, (y, g))| {
        vectorised_closure(
            #[inline(always)]
            || {
                let rows = y.chunks_exact(length).zip(g.chunks_exact(length));
                for (to, (y, g)) in to.chunks_exact_mut(length).zip(rows) {
                    softmax_gradient_row(to, y, g, scale);
                }
            },
        );
    });
    output
}

/// The gradient of one row, of its softmax `y`.
#[inline(always)]
pub(super) fn softmax_gradient_row<T: Real>(to: &mut [T], y: &[T], g: &[T], scale: T) {
    let mean = sum_of(
        y,
        g,
        #[inline(always)]
        |y, g| y * g,
    );
    for (to, (&y, &g)) in to.iter_mut().zip(y.iter().zip(g)) {
        *to = scale * y * (g - mean);
    }
}

/// The sum of all rows of `length` numbers.
pub(crate) fn sum_rows<T: Real>(length: usize, x: &[T]) -> Vec<T> {
    let mut sums = vec![T::ZERO; length];
    if length == 0 {
        return sums;
    }
    let work = |x: &[T]| {
        let mut sums = vec![T::ZERO; length];
        vectorised_closure(
            #[inline(always)]
            || {
                for row in x.chunks_exact(length) {
                    sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += x);
                }
            },
        );
        sums
    };
    let parts: Vec<Vec<T>> = x.par_chunks(rows_at_once(length) * length).map(work).collect();
    for part in parts {
        sums.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
    }
    sums
}

/// Mean and 1/√(variance + ε) of a row.
#[inline(always)]
fn moments<T: Real>(x: &[T], epsilon: T) -> (T, T) {
    let count = T::from_f64(x.len() as f64);
    let mean = sum(x) / count;
    let squares = sum_of(
        x,
        x,
        #[inline(always)]
        |x, _| (x - mean) * (x - mean),
    );
    (mean, T::ONE / (squares / count + epsilon).sqrt())
}

/// Each row normalised, times γ plus β.
pub(crate) fn layer_norm<T: Real>(x: &[T], gamma: &[T], beta: &[T], epsilon: f64) -> Vec<T> {
    let mut output = vec![T::ZERO; x.len()];
    if x.is_empty() {
        return output;
    }
    let epsilon = T::from_f64(epsilon);
    let length = gamma.len();
    let piece = rows_at_once(length) * length;
    output.par_chunks_mut(piece).zip(x.par_chunks(piece)).for_each(|(to, x)| {
        vectorised_closure(
            #[inline(always)]
            || {
                for (to, x) in to.chunks_exact_mut(length).zip(x.chunks_exact(length)) {
                    let (mean, inverse) = moments(x, epsilon);
                    let weights = gamma.iter().zip(beta);
                    for ((to, &x), (&gamma, &beta)) in to.iter_mut().zip(x).zip(weights) {
                        *to = ((x - mean) * inverse).mul_add(gamma, beta);
                    }
                }
            },
        );
    });
    output
}

/// The gradients of [`layer_norm`] with respect to γ and β; that with respect to `x` is put in the
/// place of `g`.
pub(crate) fn layer_norm_gradients<T: Real>(
    x: &[T],
    gamma: &[T],
    epsilon: f64,
    g: &mut [T],
) -> [Vec<T>; 2] {
    let length = gamma.len();
    let mut sums = [vec![T::ZERO; length], vec![T::ZERO; length]];
    if x.is_empty() {
        return sums;
    }
    let epsilon = T::from_f64(epsilon);
    let piece = rows_at_once(length) * length;
    let work = |(g, x): (&mut [T], &[T])| {
        vectorised_closure(
            #[inline(always)]
            || layer_norm_piece(x, gamma, epsilon, g),
        )
    };
    let parts: Vec<[Vec<T>; 2]> =
        g.par_chunks_mut(piece).zip(x.par_chunks(piece)).map(work).collect();
    for part in &parts {
        for (sums, part) in sums.iter_mut().zip(part) {
            sums.iter_mut().zip(part).for_each(|(sum, &x)| *sum += x);
        }
    }
    sums
}

#[inline(always)]
fn layer_norm_piece<T: Real>(x: &[T], gamma: &[T], epsilon: T, g: &mut [T]) -> [Vec<T>; 2] {
    let length = gamma.len();
    let count = T::from_f64(length as f64);
    let (mut gammas, mut betas) = (vec![T::ZERO; length], vec![T::ZERO; length]);
    let mut normals = vec![T::ZERO; length];
    for (g, x) in g.chunks_exact_mut(length).zip(x.chunks_exact(length)) {
        let (mean, inverse) = moments(x, epsilon);
        for (normal, &x) in normals.iter_mut().zip(x) {
            *normal = (x - mean) * inverse;
        }
        for ((sum, &normal), &g) in gammas.iter_mut().zip(&normals).zip(&*g) {
            *sum = normal.mul_add(g, *sum);
        }
        for (sum, &g) in betas.iter_mut().zip(&*g) {
            *sum += g;
        }
        let mean_g = sum_of(
            g,
            gamma,
            #[inline(always)]
            |g, gamma| g * gamma,
        ) / count;
        let mut with_normal = [T::ZERO; WAYS];
        let chunks = normals.chunks(WAYS).zip(g.chunks(WAYS)).zip(gamma.chunks(WAYS));
        for ((normals, gs), gammas) in chunks {
            let pairs = normals.iter().zip(gs).zip(gammas);
            for (sum, ((&normal, &g), &gamma)) in with_normal.iter_mut().zip(pairs) {
                *sum = (g * gamma).mul_add(normal, *sum);
            }
        }
        let mean_gn = halves(with_normal) / count;
        for (g, (&normal, &gamma)) in g.iter_mut().zip(normals.iter().zip(gamma)) {
            *g = inverse * (*g * gamma - mean_g - normal * mean_gn);
        }
    }
    [gammas, betas]
}
