//! Attention of tokens to one another, head by head.

use rayon::prelude::*;

use super::product::{Matrix, Panels, Rows, Start};
use super::rows::{softmax_gradient_row, softmax_row};
use super::{Real, vectorised, vectorised_closure};

/// The sizes of an attention. Queries, keys, values and the result are
/// `[batch, tokens, count · features]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heads {
    pub(crate) tokens: usize,
    pub(crate) count: usize,
    /// Features of one head.
    pub(crate) features: usize,
    /// What scores are multiplied by before the softmax.
    pub(crate) scale: f64,
    /// The score, after that, of tokens that are not looked at.
    pub(crate) masked: f64,
}

/// What an attention looks with, at and for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Looks<'a, T> {
    pub(crate) query: &'a [T],
    pub(crate) key: &'a [T],
    pub(crate) value: &'a [T],
    /// Not 0 for tokens that are not looked at: `[batch, tokens]`.
    pub(crate) mask: Option<&'a [T]>,
}

impl<'a, T: Real> Looks<'a, T> {
    /// Those of one sample.
    fn sample(self, heads: &Heads, i: usize) -> Self {
        let size = heads.size();
        let part = |x: &'a [T]| &x[i * size..][..size];
        Self {
            query: part(self.query),
            key: part(self.key),
            value: part(self.value),
            mask: self.mask.map(|mask| &mask[i * heads.tokens..][..heads.tokens]),
        }
    }
}

impl Heads {
    /// From one token to the next.
    fn step(&self) -> usize {
        self.count * self.features
    }

    /// Numbers of a sample.
    fn size(&self) -> usize {
        self.tokens * self.step()
    }

    /// The rows of one head.
    fn of<'a, T: Real>(&self, numbers: &'a [T], head: usize) -> Matrix<'a, T> {
        let numbers = &numbers[head * self.features..];
        Matrix::strided(numbers, self.tokens, self.features, self.step())
    }

    /// `a · b` among the columns of a head.
    fn put<T: Real>(&self, a: Matrix<'_, T>, b: Matrix<'_, T>, head: usize, output: &mut [T]) {
        let b = &Panels::new(b);
        let output = &mut output[head * self.features..];
        let (range, step) = (0..self.tokens, self.step());
        vectorised(Rows { a, range, b, start: Start::Zero, output, step });
    }

    /// `a · bᵀ` of two heads: `[tokens, tokens]`.
    fn compare<T: Real>(&self, a: Matrix<'_, T>, b: Matrix<'_, T>, output: &mut [T]) {
        let b = &Panels::new(b.transposed());
        let (range, step) = (0..self.tokens, self.tokens);
        vectorised(Rows { a, range, b, start: Start::Zero, output, step });
    }

    /// How much each token of a sample looks at each in one head; `room` is as large.
    fn weights<T: Real>(
        &self,
        looks: Looks<'_, T>,
        head: usize,
        room: &mut [T],
        weights: &mut [T],
    ) {
        self.compare(self.of(looks.query, head), self.of(looks.key, head), room);
        let scale = T::from_f64(self.scale);
        // Finite in either type: a row of infinities has no softmax.
        let most = f64::from(f32::MAX);
        let masked = T::from_f64((self.masked / self.scale).clamp(-most, most));
        vectorised_closure(
            #[inline(always)]
            || {
                let rows = room.chunks_exact_mut(self.tokens);
                for (scores, weights) in rows.zip(weights.chunks_exact_mut(self.tokens)) {
                    if let Some(mask) = looks.mask {
                        fill(scores, mask, masked);
                    }
                    softmax_row(weights, scores, scale);
                }
            },
        );
    }
}

/// Puts `value` where the mask is not 0.
#[inline(always)]
fn fill<T: Real>(row: &mut [T], mask: &[T], value: T) {
    for (x, &mask) in row.iter_mut().zip(mask) {
        *x = if mask == T::ZERO { *x } else { value };
    }
}

/// What each token gets of the values of those that it looks at.
pub(crate) fn attend<T: Real>(heads: &Heads, looks: Looks<'_, T>) -> Vec<T> {
    let mut output = vec![T::ZERO; looks.query.len()];
    output.par_chunks_exact_mut(heads.size()).enumerate().for_each(|(i, output)| {
        let looks = looks.sample(heads, i);
        let mut room = [(); 2].map(|()| vec![T::ZERO; heads.tokens * heads.tokens]);
        let [scores, weights] = &mut room;
        for head in 0..heads.count {
            heads.weights(looks, head, scores, weights);
            let weights = Matrix::new(weights, heads.tokens);
            heads.put(weights, heads.of(looks.value, head), head, output);
        }
    });
    output
}

/// The gradients of [`attend`] with respect to queries, keys and values. Weights are computed once
/// more.
pub(crate) fn gradients<T: Real>(heads: &Heads, looks: Looks<'_, T>, g: &[T]) -> [Vec<T>; 3] {
    let mut found = [(); 3].map(|()| vec![T::ZERO; g.len()]);
    let size = heads.size();
    let [query, key, value] = &mut found;
    let samples = query.par_chunks_exact_mut(size).zip(key.par_chunks_exact_mut(size));
    let samples = samples.zip(value.par_chunks_exact_mut(size)).zip(g.par_chunks_exact(size));
    samples.enumerate().for_each(|(i, (((query, key), value), g))| {
        let looks = looks.sample(heads, i);
        let mut room = [(); 3].map(|()| vec![T::ZERO; heads.tokens * heads.tokens]);
        let [scores, weights, of_weights] = &mut room;
        let scale = T::from_f64(heads.scale);
        for head in 0..heads.count {
            heads.weights(looks, head, scores, weights);
            let g = heads.of(g, head);
            heads.put(Matrix::new(weights, heads.tokens).transposed(), g, head, value);
            heads.compare(g, heads.of(looks.value, head), of_weights);
            vectorised_closure(
                #[inline(always)]
                || {
                    let rows = weights.chunks_exact(heads.tokens);
                    let rows = rows.zip(of_weights.chunks_exact(heads.tokens));
                    let targets = scores.chunks_exact_mut(heads.tokens);
                    for (scores, (weights, g)) in targets.zip(rows) {
                        softmax_gradient_row(scores, weights, g, scale);
                        if let Some(mask) = looks.mask {
                            fill(scores, mask, T::ZERO);
                        }
                    }
                },
            );
            let scores = Matrix::new(scores, heads.tokens);
            heads.put(scores, heads.of(looks.key, head), head, query);
            heads.put(scores.transposed(), heads.of(looks.query, head), head, key);
        }
    });
    found
}
