//! Kernels over slices of numbers, without Burn.

mod aligned;
pub(crate) mod attention;
pub(crate) mod batch_norm;
pub(crate) mod convolution;
pub(crate) mod elementwise;
pub(crate) mod float;
mod function;
pub(crate) mod product;
pub(crate) mod rows;
mod sum;

pub(crate) use float::Real;
