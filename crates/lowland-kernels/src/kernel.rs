//! Kernels over slices of numbers, without Burn.

mod aligned;
pub mod batch_norm;
pub mod convolution;
pub mod elementwise;
pub(crate) mod float;
mod function;
pub mod rows;
mod sum;

pub use float::Real;
