//! What a rule asks a surface for: samples, parameters, perturbed weights.

use std::borrow::Cow;

use burn::tensor::Tensor;
use burn::tensor::kind::Basic;

use crate::vector::Scalar;
use crate::{Active, ParamVec};

/// Samples of a batch: what a loss closure is asked for.
///
/// Algorithms that choose samples (K-SAM, ESAM, AUSAM) ask for the losses of some of them; the
/// closure picks these with [`select`](Self::select) from every tensor of the batch whose first
/// dimension is the samples, and returns the loss of each, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Samples {
    /// All of them.
    All,
    /// Some of them.
    Some {
        /// Their positions in the batch.
        positions: Vec<usize>,
        /// The size of the batch that they are chosen from.
        of: usize,
    },
}

impl Samples {
    /// The rows of `tensor`, `[batch, ...]`, that belong to these samples, in their order.
    ///
    /// # Panics
    /// A position beyond the tensor's first dimension, as in Burn's own `select`.
    pub fn select<const D: usize, K: Basic>(&self, tensor: Tensor<D, K>) -> Tensor<D, K> {
        let Self::Some { positions, .. } = self else { return tensor };
        #[expect(clippy::cast_possible_wrap, reason = "positions in a batch")]
        let data: Vec<i64> = positions.iter().map(|&position| position as i64).collect();
        let device = tensor.device();
        tensor.select(0, Tensor::from_ints(data.as_slice(), &device))
    }

    /// The share of a batch's cost that evaluating these samples takes, between 0 and 1.
    pub fn fraction(&self) -> f64 {
        match self {
            Self::All => 1.0,
            Self::Some { positions, of } => positions.len() as f64 / (*of).max(1) as f64,
        }
    }
}

/// What a gradient is taken of: which samples, with respect to which parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The samples whose mean loss it is.
    pub samples: Samples,
    /// The parameters. Gradients of the others are not computed, and are absent in the result.
    pub parameters: Active,
}

impl Selection {
    /// The whole batch, all parameters.
    pub const ALL: Self = Self { samples: Samples::All, parameters: Active::All };
}

impl From<Samples> for Selection {
    fn from(samples: Samples) -> Self {
        Self { samples, parameters: Active::All }
    }
}

/// A perturbation `e = scale · direction` of the weights, not yet multiplied out.
#[derive(Debug, Clone)]
pub struct Perturbation<'a> {
    /// Where to.
    pub direction: Cow<'a, ParamVec>,
    /// How far, on the device, of shape `[1]`.
    pub scale: Scalar,
}

impl<'a> Perturbation<'a> {
    /// `e = radius · direction / (‖direction‖ + 1e-12)`; zero for a zero direction.
    pub fn along(direction: impl Into<Cow<'a, ParamVec>>, radius: f64) -> Self {
        let direction = direction.into();
        let scale = direction.inverse_norm().mul_scalar(radius);
        Self { direction, scale }
    }
}

impl<'a> From<&'a ParamVec> for Cow<'a, ParamVec> {
    fn from(vector: &'a ParamVec) -> Self {
        Cow::Borrowed(vector)
    }
}

impl From<ParamVec> for Cow<'_, ParamVec> {
    fn from(vector: ParamVec) -> Self {
        Cow::Owned(vector)
    }
}
