//! What Lanczos and Hutchinson need to know of a matrix.

use crate::{ParamVec, Result};

/// A symmetric linear map on vectors over parameters, such as the Hessian of a
/// [`LossSurface`](super::LossSurface). It need not be symmetric to more than rounding.
pub trait SymmetricMap {
    /// The map's value for `v`.
    ///
    /// # Errors
    /// Whatever keeps it from being computed.
    fn times(&mut self, v: &ParamVec) -> Result<ParamVec>;

    /// Any vector of the kind that the map takes: its shapes, devices and types are what counts. A
    /// part that is absent in it is absent in all vectors.
    fn like(&self) -> &ParamVec;
}

/// The number of elements of a vector.
pub(super) fn dimension(like: &ParamVec) -> usize {
    like.parts().iter().flatten().map(|part| part.shape().num_elements()).sum()
}
