//! Batch normalisation of `[image, channel, pixels]`, with what follows it.
//!
//! One thread has a channel, reads it twice forward and twice backward, and adds its numbers in an
//! order that depends on the sizes alone.

use rayon::prelude::*;

use super::sum::{WAYS, halves, sum};
use super::{Real, vectorised_closure};

/// The rows of one channel, an image each.
type Rows<'a, T> = Vec<&'a mut [T]>;

/// What is done with normalised numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum After<'a, T> {
    /// Nothing.
    Nothing,
    /// Numbers below 0 become 0.
    Relu,
    /// Others of the same shape are added, then numbers below 0 become 0.
    AddRelu(&'a [T]),
}

/// How numbers lie in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Channels.
    pub(crate) channels: usize,
    /// Numbers of a channel in an image.
    pub(crate) pixels: usize,
}

impl Shape {
    /// The place of a channel in each image.
    fn places(self, channel: usize, length: usize) -> impl Iterator<Item = usize> {
        let step = (self.channels * self.pixels).max(1);
        (channel * self.pixels..length).step_by(step)
    }

    /// The rows of an output for each channel.
    fn rows<T>(self, numbers: &mut [T]) -> Vec<Vec<&mut [T]>> {
        let mut rows: Vec<Vec<&mut [T]>> = (0..self.channels).map(|_| Vec::new()).collect();
        for (i, row) in numbers.chunks_exact_mut(self.pixels.max(1)).enumerate() {
            rows[i % self.channels].push(row);
        }
        rows
    }
}

/// The mean and the biased variance of each channel.
#[derive(Clone, Debug)]
pub(crate) struct Statistics<T> {
    /// Means.
    pub(crate) mean: Vec<T>,
    /// Variances.
    pub(crate) variance: Vec<T>,
}

/// Weights and bias of each channel, and what is added to the variance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Affine<'a, T> {
    /// γ.
    pub(crate) gamma: &'a [T],
    /// β.
    pub(crate) beta: &'a [T],
    /// ε.
    pub(crate) epsilon: f64,
}

/// What a channel's numbers are multiplied by, and what is added then.
#[derive(Clone, Copy, Debug)]
struct Line<T> {
    scale: T,
    shift: T,
    /// 1/√(variance + ε).
    inverse: T,
    mean: T,
}

impl<T: Real> Affine<'_, T> {
    fn line(&self, channel: usize, mean: T, variance: T) -> Line<T> {
        let inverse = T::ONE / (variance + T::from_f64(self.epsilon)).sqrt();
        let scale = self.gamma[channel] * inverse;
        Line { scale, shift: self.beta[channel] - mean * scale, inverse, mean }
    }
}

/// Normalises by the statistics of the batch, and returns these too.
pub(crate) fn train<T: Real>(
    shape: Shape,
    x: &[T],
    affine: Affine<'_, T>,
    after: After<'_, T>,
) -> (Vec<T>, Statistics<T>) {
    let mut output = vec![T::ZERO; x.len()];
    let rows = shape.rows(&mut output).into_par_iter().enumerate();
    let channel = |(channel, mut rows): (usize, Vec<&mut [T]>)| {
        vectorised_closure(
            #[inline(always)]
            || {
                let (mean, variance) = moments(shape, x, channel);
                let line = affine.line(channel, mean, variance);
                apply(shape, x, channel, [line.scale, line.shift], after, &mut rows);
                (mean, variance)
            },
        )
    };
    let (mean, variance) = rows.map(channel).unzip();
    (output, Statistics { mean, variance })
}

/// Multiplies and shifts each channel by numbers that are given.
pub(crate) fn infer<T: Real>(
    shape: Shape,
    x: &[T],
    line: [&[T]; 2],
    after: After<'_, T>,
) -> Vec<T> {
    let mut output = vec![T::ZERO; x.len()];
    shape.rows(&mut output).into_par_iter().enumerate().for_each(|(channel, mut rows)| {
        let line = [line[0][channel], line[1][channel]];
        vectorised_closure(
            #[inline(always)]
            || apply(shape, x, channel, line, after, &mut rows),
        );
    });
    output
}

/// Mean and variance of a channel: those of each image, joined (Chan, Golub and `LeVeque` 1983).
#[inline(always)]
fn moments<T: Real>(shape: Shape, x: &[T], channel: usize) -> (T, T) {
    let size = T::from_f64(shape.pixels as f64);
    let (mut count, mut mean, mut squares) = (T::ZERO, T::ZERO, T::ZERO);
    for place in shape.places(channel, x.len()) {
        let row = &x[place..][..shape.pixels];
        let row_mean = sum(row) / size;
        let mut sums = [T::ZERO; WAYS];
        let (chunks, rest) = row.as_chunks::<WAYS>();
        for chunk in chunks {
            for i in 0..WAYS {
                let difference = chunk[i] - row_mean;
                sums[i] = difference.mul_add(difference, sums[i]);
            }
        }
        for (sum, &x) in sums.iter_mut().zip(rest) {
            *sum = (x - row_mean).mul_add(x - row_mean, *sum);
        }
        let difference = row_mean - mean;
        let total = count + size;
        let share = size / total;
        mean = difference.mul_add(share, mean);
        squares += (difference * difference * count).mul_add(share, halves(sums));
        count = total;
    }
    (mean, squares / count)
}

/// `relu`, which leaves NaN alone.
#[inline(always)]
fn rectified<T: Real>(x: T) -> T {
    if x < T::ZERO { T::ZERO } else { x }
}

#[inline(always)]
fn apply<T: Real>(
    shape: Shape,
    x: &[T],
    channel: usize,
    line: [T; 2],
    after: After<'_, T>,
    rows: &mut [&mut [T]],
) {
    let [scale, shift] = line;
    for (place, row) in shape.places(channel, x.len()).zip(rows) {
        let x = &x[place..][..row.len()];
        match after {
            After::Nothing => {
                for (y, &x) in row.iter_mut().zip(x) {
                    *y = x.mul_add(scale, shift);
                }
            }
            After::Relu => {
                for (y, &x) in row.iter_mut().zip(x) {
                    *y = rectified(x.mul_add(scale, shift));
                }
            }
            After::AddRelu(other) => {
                let other = &other[place..][..row.len()];
                for ((y, &x), &other) in row.iter_mut().zip(x).zip(other) {
                    *y = rectified(x.mul_add(scale, shift) + other);
                }
            }
        }
    }
}

/// Gradients of [`train`].
#[derive(Clone, Debug)]
pub(crate) struct Gradients<T> {
    /// With respect to the input.
    pub(crate) x: Vec<T>,
    /// With respect to γ.
    pub(crate) gamma: Vec<T>,
    /// With respect to β.
    pub(crate) beta: Vec<T>,
    /// With respect to what was added; empty where nothing was.
    pub(crate) other: Vec<T>,
}

/// The gradients of [`train`], of `g`, that with respect to its output.
pub(crate) fn gradients<T: Real>(
    shape: Shape,
    x: &[T],
    affine: Affine<'_, T>,
    statistics: [&[T]; 2],
    after: After<'_, T>,
    g: &[T],
) -> Gradients<T> {
    let mut output = vec![T::ZERO; x.len()];
    let mut other = match after {
        After::AddRelu(_) => vec![T::ZERO; x.len()],
        _ => Vec::new(),
    };
    let rows = shape.rows(&mut output);
    let others = shape.rows(&mut other);
    let channel = |(channel, (mut rows, mut others)): (usize, (Rows<'_, T>, Rows<'_, T>))| {
        let line = affine.line(channel, statistics[0][channel], statistics[1][channel]);
        let back = Back { shape, x, g, channel, line, after };
        match after {
            After::Nothing => vectorised_closure(
                #[inline(always)]
                || back.run::<0>(&mut rows, &mut others),
            ),
            After::Relu => vectorised_closure(
                #[inline(always)]
                || back.run::<1>(&mut rows, &mut others),
            ),
            After::AddRelu(_) => vectorised_closure(
                #[inline(always)]
                || back.run::<2>(&mut rows, &mut others),
            ),
        }
    };
    let pairs = rows.into_par_iter().zip(others).enumerate();
    let (gamma, beta) = pairs.map(channel).unzip();
    Gradients { x: output, gamma, beta, other }
}

/// The backward pass of a channel.
#[derive(Clone, Copy)]
struct Back<'a, T> {
    shape: Shape,
    x: &'a [T],
    g: &'a [T],
    channel: usize,
    line: Line<T>,
    after: After<'a, T>,
}

impl<T: Real> Back<'_, T> {
    /// The gradient before what follows: 0 where the output was. `KIND` is the number of the kind
    /// of [`After`].
    #[inline(always)]
    fn before<const KIND: usize>(&self, x: T, other: T, g: T) -> T {
        let value = x.mul_add(self.line.scale, self.line.shift);
        let stopped = match KIND {
            0 => false,
            1 => value <= T::ZERO,
            _ => value + other <= T::ZERO,
        };
        if stopped { T::ZERO } else { g }
    }

    /// Returns the gradients of γ and β.
    #[inline(always)]
    fn run<const KIND: usize>(self, rows: &mut [&mut [T]], others: &mut [&mut [T]]) -> (T, T) {
        let Self { shape, x, g, channel, line, after } = self;
        // Where nothing is added this is not looked at.
        let other = if let After::AddRelu(other) = after { other } else { x };
        let (mut sum_g, mut sum_gx) = (T::ZERO, T::ZERO);
        for place in shape.places(channel, x.len()) {
            let part = place..place + shape.pixels;
            let (xs, gs, others) = (&x[part.clone()], &g[part.clone()], &other[part]);
            let (mut sums_g, mut sums_gx) = ([T::ZERO; WAYS], [T::ZERO; WAYS]);
            let (xc, xr) = xs.as_chunks::<WAYS>();
            let (gc, gr) = gs.as_chunks::<WAYS>();
            let (oc, or) = others.as_chunks::<WAYS>();
            for ((x, g), other) in xc.iter().zip(gc).zip(oc) {
                for i in 0..WAYS {
                    let g = self.before::<KIND>(x[i], other[i], g[i]);
                    sums_g[i] += g;
                    sums_gx[i] = g.mul_add(x[i] - line.mean, sums_gx[i]);
                }
            }
            for (i, ((&x, &g), &other)) in xr.iter().zip(gr).zip(or).enumerate() {
                let g = self.before::<KIND>(x, other, g);
                sums_g[i] += g;
                sums_gx[i] = g.mul_add(x - line.mean, sums_gx[i]);
            }
            sum_g += halves(sums_g);
            sum_gx += halves(sums_gx);
        }

        let images = shape.places(channel, x.len()).count();
        let count = T::from_f64((images * shape.pixels) as f64);
        let Line { scale, inverse, mean, .. } = line;
        let slope = -(scale * inverse * inverse * sum_gx / count);
        let constant = -(scale * sum_g / count);
        for (i, (place, row)) in shape.places(channel, x.len()).zip(rows).enumerate() {
            let length = row.len();
            let (xs, gs) = (&x[place..][..length], &g[place..][..length]);
            let added = &other[place..][..length];
            if KIND == 2 {
                // Two loops: with five rows at once the compiler gives up on vectors.
                for ((to, (&x, &g)), &other) in
                    others[i].iter_mut().zip(xs.iter().zip(gs)).zip(added)
                {
                    *to = self.before::<KIND>(x, other, g);
                }
                for (to, (&x, &g)) in row.iter_mut().zip(xs.iter().zip(&*others[i])) {
                    *to = scale.mul_add(g, (x - mean).mul_add(slope, constant));
                }
            } else {
                for (to, (&x, &g)) in row.iter_mut().zip(xs.iter().zip(gs)) {
                    let g = self.before::<KIND>(x, T::ZERO, g);
                    *to = scale.mul_add(g, (x - mean).mul_add(slope, constant));
                }
            }
        }
        (sum_gx * inverse, sum_g)
    }
}
