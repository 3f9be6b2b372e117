//! AMSGrad as AdaSAM has it: no bias correction, and its stabiliser inside the running maximum.

use burn::optim::{LearningRate, ModuleOptimizer, Optimizer, RecordState};
use burn::tensor::{Device, Tensor};

use crate::error::fraction;
use crate::{Error, Result};

/// The base optimizer of AdaSAM (arXiv 2303.00565):
///
/// ```text
/// m ← β₁m + (1 − β₁)g,   v ← β₂v + (1 − β₂)g²,   v̂ ← max(v̂, v) with v̂ = ε² at first
/// w ← w − lr·m/√v̂
/// ```
///
/// element by element. There is no bias correction: the first step moves every weight by
/// `lr·(1 − β₁)/√(1 − β₂)`, 3.16 lr at the usual decays, so begin with a small learning rate. There is no weight
/// decay in it. Keeps three copies of the parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AmsGrad {
    beta_1: f64,
    beta_2: f64,
    epsilon: f64,
}

/// What [`AmsGrad`] keeps for one parameter tensor.
#[derive(Debug, Clone, RecordState)]
pub struct AmsGradState<const D: usize> {
    first: Tensor<D>,
    second: Tensor<D>,
    largest: Tensor<D>,
}

impl AmsGrad {
    /// Sets the decays β₁ and β₂ and the stabiliser ε.
    ///
    /// # Errors
    /// A decay outside `[0, 1]`, an ε that is not finite and above 0.
    pub fn new(beta_1: f64, beta_2: f64, epsilon: f64) -> Result<Self> {
        if !(epsilon.is_finite() && epsilon > 0.0) {
            return Err(Error::config("epsilon", &epsilon, "finite and above 0"));
        }
        Ok(Self {
            beta_1: fraction("beta_1", beta_1)?,
            beta_2: fraction("beta_2", beta_2)?,
            epsilon,
        })
    }

    /// The optimizer of a whole module.
    pub fn init(self) -> ModuleOptimizer {
        self.into()
    }
}

impl Optimizer for AmsGrad {
    type State<const D: usize> = AmsGradState<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        let square = grad.clone().square().mul_scalar(1.0 - self.beta_2);
        let gradient = grad.mul_scalar(1.0 - self.beta_1);
        let (first, second, largest) = match state {
            Some(AmsGradState { first, second, largest }) => {
                let second = second.mul_scalar(self.beta_2) + square;
                let largest = largest.max_pair(second.clone());
                (first.mul_scalar(self.beta_1) + gradient, second, largest)
            }
            None => (gradient, square.clone(), square.clamp_min(self.epsilon.powi(2))),
        };
        let step = (first.clone() / largest.clone().sqrt()).mul_scalar(lr);
        (tensor - step, Some(AmsGradState { first, second, largest }))
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        AmsGradState {
            first: state.first.to_device(device),
            second: state.second.to_device(device),
            largest: state.largest.to_device(device),
        }
    }
}
