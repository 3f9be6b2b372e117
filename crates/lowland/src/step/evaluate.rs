//! What a surface asks of the batch that it is over.

use std::cell::OnceCell;
use std::rc::Rc;

use burn::tensor::Tensor;

use crate::Result;
use crate::rule::{Gradient, Perturbation, Samples, Selection};
use crate::vector::Scalar;

/// The evaluations of one step, wherever they are taken.
pub(super) trait Evaluate {
    /// The gradient of the mean loss of a selection at `w`, or at `w + e`.
    fn gradient(&mut self, e: Option<&Perturbation<'_>>, of: &Selection) -> Result<Found>;

    /// The mean loss of samples at `w`, or at `w + e`, by a forward pass, where it is known.
    fn forward(
        &mut self,
        e: Option<&Perturbation<'_>>,
        samples: &Samples,
    ) -> Result<Option<Scalar>>;

    /// The losses of the samples of the latest evaluation, `[samples]`.
    fn latest_losses(&self) -> Result<Tensor<1>>;

    /// The numbers of the batch's samples in the data set, where they were given.
    fn indices(&self) -> Option<&[usize]>;

    /// Whether the first evaluation is still to come.
    fn is_first(&self) -> bool;

    /// How many parts of the batch the rule takes one by one; 0 where it takes it as a whole.
    fn pieces(&self) -> usize;

    /// Goes over to one of these parts, or to the whole batch.
    fn turn_to(&mut self, piece: Option<usize>);

    /// The share of the batch that is evaluated.
    fn share(&self) -> f64;

    /// Reads numbers back from the device.
    fn read(&self, numbers: Vec<Scalar>) -> Result<Vec<f64>>;

    /// The samples of this process that moved running statistics.
    fn moving_samples(&self) -> usize;

    /// What went wrong while a gradient was read.
    fn failure(&self) -> Result<()>;
}

/// What an evaluation found.
pub(super) struct Found {
    /// Absent where there was no sample.
    pub(super) gradient: Option<Gradient>,
    /// Where the norm of the gradient will be, if it is a part whose mean is read later.
    pub(super) norm: Option<Rc<OnceCell<Scalar>>>,
    /// The mean loss, where it is known; only wanted of the first evaluation.
    pub(super) loss: Option<Scalar>,
}

/// `sum + weight * loss`, of what is there of the two.
pub(super) fn sum_of(sum: Option<Scalar>, loss: Option<Scalar>, weight: f64) -> Option<Scalar> {
    let Some(loss) = loss else { return sum };
    let loss = if weight >= 1.0 { loss } else { loss.mul_scalar(weight) };
    Some(match sum {
        Some(sum) => sum + loss,
        None => loss,
    })
}
