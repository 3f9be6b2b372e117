//! Two-dimensional convolutions over `[image, channel, row, column]`.
//!
//! No matrix of patches is built. An image is copied once with its margins of zeros, and its
//! columns in the order that makes those one stride apart neighbours; a tile of outputs then finds
//! the input of each tap side by side. A tile is some pixels by one or two vectors of channels and
//! stays in registers over all taps.

mod correlation;
mod geometry;
mod padded;
mod plan;
mod tile;
mod transpose;
mod weights;

pub(crate) use geometry::Geometry;

use super::Real;
use correlation::correlate;
use plan::Plan;

/// The convolution of `[images, groups · from, height, width]` with weights
/// `[groups · to, from, kernel height, kernel width]`, plus a number for each output channel.
pub(crate) fn forward<T: Real>(
    geometry: &Geometry,
    x: &[T],
    w: &[T],
    bias: Option<&[T]>,
) -> Vec<T> {
    correlate(&Plan::forward(geometry), x, w, bias)
}

/// The gradient with respect to the input, of `g`, that with respect to the output.
pub(crate) fn input_gradient<T: Real>(geometry: &Geometry, w: &[T], g: &[T]) -> Vec<T> {
    correlate(&Plan::input_gradient(geometry), g, w, None)
}

pub(crate) use weights::weight_gradient;

/// The gradient with respect to the bias: the sum of `g` for each channel.
pub(crate) fn bias_gradient<T: Real>(geometry: &Geometry, g: &[T]) -> Vec<T> {
    let pixels: usize = geometry.output().iter().product();
    let channels = geometry.groups * geometry.to;
    let mut sums = vec![T::ZERO; channels];
    if pixels > 0 {
        for (i, plane) in g.chunks_exact(pixels).enumerate() {
            sums[i % channels] += super::sum::sum(plane);
        }
    }
    sums
}
