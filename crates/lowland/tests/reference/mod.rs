//! Gradients and Hessians of small networks in plain `f64`, written without the library or Burn.

use nalgebra::{DMatrix, DVector};

/// A fully connected network with tanh between its layers, and data for it. Weights lie in one row:
/// for each layer the weight `[in, out]`, then the bias.
pub(crate) struct Reference {
    pub(crate) sizes: Vec<usize>,
    pub(crate) inputs: Vec<Vec<f64>>,
    pub(crate) labels: Vec<usize>,
}

impl Reference {
    /// Samples without meaning.
    pub(crate) fn new(sizes: &[usize], samples: usize) -> Self {
        let inputs = (0..samples).map(|i| noise(100 + i as u64, sizes[0])).collect();
        let labels = (0..samples).map(|i| (i * i + i / 3) % sizes[sizes.len() - 1]).collect();
        Self { sizes: sizes.to_vec(), inputs, labels }
    }

    pub(crate) fn dimension(&self) -> usize {
        self.sizes.windows(2).map(|pair| pair[0] * pair[1] + pair[1]).sum()
    }

    /// The gradient of the mean cross entropy, by hand.
    pub(crate) fn gradient(&self, w: &[f64]) -> Vec<f64> {
        let mut gradient = vec![0.0; w.len()];
        for (x, &y) in self.inputs.iter().zip(&self.labels) {
            self.add_gradient(w, x, y, &mut gradient);
        }
        gradient.iter().map(|g| g / self.inputs.len() as f64).collect()
    }

    fn add_gradient(&self, w: &[f64], x: &[f64], y: usize, gradient: &mut [f64]) {
        let layers: Vec<(usize, usize)> =
            self.sizes.windows(2).map(|pair| (pair[0], pair[1])).collect();
        let mut starts = vec![0];
        for (inputs, outputs) in &layers {
            starts.push(starts[starts.len() - 1] + inputs * outputs + outputs);
        }
        let mut values = vec![x.to_vec()];
        for (k, &(inputs, outputs)) in layers.iter().enumerate() {
            let a = &values[k];
            let bias = starts[k] + inputs * outputs;
            let z = (0..outputs).map(|o| {
                w[bias + o]
                    + (0..inputs).map(|i| a[i] * w[starts[k] + i * outputs + o]).sum::<f64>()
            });
            let last = k + 1 == layers.len();
            values.push(z.map(|z| if last { z } else { z.tanh() }).collect());
        }
        let logits = &values[layers.len()];
        let sum: f64 = logits.iter().map(|z| z.exp()).sum();
        let mut delta: Vec<f64> = logits.iter().map(|z| z.exp() / sum).collect();
        delta[y] -= 1.0;
        for (k, &(inputs, outputs)) in layers.iter().enumerate().rev() {
            let a = &values[k];
            for o in 0..outputs {
                gradient[starts[k] + inputs * outputs + o] += delta[o];
                for i in 0..inputs {
                    gradient[starts[k] + i * outputs + o] += a[i] * delta[o];
                }
            }
            delta = (0..inputs)
                .map(|i| {
                    let back = (0..outputs).map(|o| delta[o] * w[starts[k] + i * outputs + o]);
                    back.sum::<f64>() * (1.0 - a[i] * a[i])
                })
                .collect();
        }
    }

    /// The Hessian, a column at a time, from the gradient by a difference of fourth order.
    pub(crate) fn hessian(&self, w: &[f64]) -> DMatrix<f64> {
        let n = self.dimension();
        let h = 1e-3;
        let mut hessian = DMatrix::zeros(n, n);
        for column in 0..n {
            let at = |step: f64| {
                let mut w = w.to_vec();
                w[column] += step;
                DVector::from_vec(self.gradient(&w))
            };
            let difference = 8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h));
            hessian.set_column(column, &(difference / (12.0 * h)));
        }
        hessian
    }

    /// The Hessian of a single layer, softmax regression, in closed form:
    /// `mean over samples of (diag(p) − p·pᵀ) ⊗ x·xᵀ`, with `x` extended by 1 for the bias.
    pub(crate) fn softmax_hessian(&self, w: &[f64]) -> DMatrix<f64> {
        let (inputs, outputs) = (self.sizes[0], self.sizes[1]);
        assert_eq!(self.sizes.len(), 2);
        let n = self.dimension();
        let mut hessian = DMatrix::zeros(n, n);
        for x in &self.inputs {
            let mut x = x.clone();
            x.push(1.0);
            let logit = |o: usize| (0..=inputs).map(|i| x[i] * w[i * outputs + o]).sum::<f64>();
            let exponentials: Vec<f64> = (0..outputs).map(|o| logit(o).exp()).collect();
            let sum: f64 = exponentials.iter().sum();
            let p: Vec<f64> = exponentials.iter().map(|e| e / sum).collect();
            for row in 0..n {
                for column in 0..n {
                    let ((i, o), (j, q)) =
                        ((row / outputs, row % outputs), (column / outputs, column % outputs));
                    let curvature = if o == q { p[o] } else { 0.0 } - p[o] * p[q];
                    hessian[(row, column)] += curvature * x[i] * x[j];
                }
            }
        }
        hessian / self.inputs.len() as f64
    }
}

/// Numbers between −1 and 1 that look random, by `SplitMix64`.
pub(crate) fn noise(seed: u64, count: usize) -> Vec<f64> {
    let mut state = seed;
    (0..count)
        .map(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 * 2.0_f64.powi(-52) - 1.0
        })
        .collect()
}

/// A dense symmetric matrix with the given eigenvalues: `Q·diag(λ)·Q` with a reflection `Q`.
pub(crate) fn with_spectrum(eigenvalues: &[f64]) -> DMatrix<f64> {
    let n = eigenvalues.len();
    let u = DVector::from_vec(noise(7, n)).normalize();
    let q = DMatrix::identity(n, n) - 2.0 * &u * u.transpose();
    &q * DMatrix::from_diagonal(&DVector::from_row_slice(eigenvalues)) * &q
}

/// The eigenvalues of a symmetric matrix, falling.
pub(crate) fn spectrum(matrix: &DMatrix<f64>) -> Vec<f64> {
    let mut values: Vec<f64> = matrix.clone().symmetric_eigenvalues().iter().copied().collect();
    values.sort_by(|a, b| b.total_cmp(a));
    values
}
