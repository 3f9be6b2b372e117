//! The Lanczos recursion with full re-orthogonalisation.

use burn::tensor::DType;

use super::draw::unit;
use super::map::SymmetricMap;
use super::tridiagonal::{Pair, eigenpairs};
use crate::vector::read;
use crate::{ParamVec, Result};

/// An orthonormal basis `q_1, …, q_m` in which a symmetric map is tridiagonal, to rounding:
///
/// ```text
/// A·q_j = β_{j−1}·q_{j−1} + α_j·q_j + β_j·q_{j+1}
/// ```
///
/// In exact arithmetic the recursion keeps the basis orthogonal by itself; in floats it loses that
/// as soon as an eigenvalue has converged, and finds the same one again and again. So every new
/// vector is made orthogonal to all before it.
pub(super) struct Lanczos {
    pub(super) basis: Vec<ParamVec>,
    /// What the next step starts from, of unit length; `None` once the space is exhausted.
    next: Option<ParamVec>,
    alphas: Vec<f64>,
    /// `betas[j]` couples `q_{j+1}` to `q_{j+2}` (counting from 1).
    betas: Vec<f64>,
}

impl Lanczos {
    pub(super) fn new(start: ParamVec) -> Self {
        Self { basis: Vec::new(), next: Some(unit(start)), alphas: Vec::new(), betas: Vec::new() }
    }

    /// Whether the basis spans a space that the map does not leave, so that no step can follow.
    pub(super) fn is_exhausted(&self) -> bool {
        self.next.is_none()
    }

    /// One more vector of the basis: one product and one transfer from the device.
    pub(super) fn step(&mut self, map: &mut impl SymmetricMap) -> Result<()> {
        let Some(q) = self.next.take() else { return Ok(()) };
        let product = map.times(&q)?;
        let alpha = q.dot(&product);
        self.basis.push(q);
        // Twice, for the first pass leaves what rounding makes of large coefficients.
        let rest = self.orthogonal(self.orthogonal(product));
        let numbers = read(vec![alpha, rest.norm()])?;
        let (alpha, beta) = (numbers[0], numbers[1]);
        self.alphas.push(alpha);
        self.betas.push(beta);
        if beta > self.negligible() {
            // A short rest is mostly rounding, which need not be orthogonal.
            self.next = Some(unit(self.orthogonal(unit(rest))));
        } else if let Some(beta) = self.betas.last_mut() {
            *beta = 0.0;
        }
        Ok(())
    }

    /// Continues from `fresh` where the space is exhausted: what is found there is coupled to
    /// nothing found before.
    pub(super) fn go_on_from(&mut self, fresh: ParamVec) {
        let fresh = self.orthogonal(unit(fresh));
        self.next = Some(unit(self.orthogonal(fresh)));
    }

    /// The eigenpairs of the tridiagonal matrix, by rising eigenvalue.
    pub(super) fn eigenpairs(&self) -> Result<Vec<Pair>> {
        let couplings = self.betas.len().saturating_sub(1);
        eigenpairs(&self.alphas, &self.betas[..couplings])
    }

    /// `‖A·x − θ·x‖` of the pair that stands for `x = Σ s_j·q_j`: `β_m·|s_m|`.
    pub(super) fn residual(&self, pair: &Pair) -> f64 {
        let last = pair.vector.last().copied().unwrap_or(0.0);
        (self.betas.last().copied().unwrap_or(0.0) * last).abs()
    }

    /// `x = Σ s_j·q_j`.
    pub(super) fn vector(&self, pair: &Pair) -> ParamVec {
        let nothing = ParamVec::new(vec![None; self.basis.first().map_or(0, ParamVec::len)]);
        let terms = self.basis.iter().zip(&pair.vector);
        terms.fold(nothing, |sum, (q, &s)| sum.plus_scaled(q, s))
    }

    /// `v` less its projections on the basis.
    fn orthogonal(&self, v: ParamVec) -> ParamVec {
        self.basis.iter().rev().fold(v, |v, q| {
            let along = q.clone().times(&v.dot(q));
            v.minus(&along)
        })
    }

    /// A coupling that small is rounding.
    fn negligible(&self) -> f64 {
        let entries = self.alphas.iter().chain(&self.betas);
        let scale = entries.fold(0.0_f64, |most, entry| most.max(entry.abs()));
        let part = self.basis.iter().flat_map(ParamVec::parts).flatten().next();
        let epsilon = epsilon(part.map_or(DType::F32, burn::tensor::Tensor::dtype));
        10.0 * epsilon * scale
    }
}

/// The distance from 1 to the next larger number.
pub(super) fn epsilon(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::EPSILON,
        DType::F16 => 2.0_f64.powi(-10),
        DType::BF16 => 2.0_f64.powi(-7),
        _ => f64::from(f32::EPSILON),
    }
}
