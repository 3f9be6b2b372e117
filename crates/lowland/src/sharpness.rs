//! How curved the loss is around the weights: products with the Hessian, its largest eigenvalues,
//! its trace, the density of its spectrum, the rise of the loss within a radius, and the shape of
//! the loss along lines and planes.
//!
//! All of it is taken on a [`LossSurface`]: the mean loss over stated batches as a function of the
//! weights. It works on copies of the module; the live module's weights and running statistics stay
//! as they are.
//!
//! | question | answer | cost, in gradients over the batches |
//! | --- | --- | --- |
//! | `H·v` | [`LossSurface::hessian_times`] | 2 |
//! | the largest eigenvalues of `H` | [`eigenvalues()`] | 2 a Lanczos step |
//! | `tr H`, of each layer too | [`trace()`] | 2 a probe |
//! | how the eigenvalues of `H` are spread | [`density()`] | 2 a Lanczos step of each probe |
//! | the largest rise of the loss within ρ | [`largest_rise`] | 1 a step, and a third |
//! | the average rise of the loss within ρ | [`average_rise`] | 2/3 a direction, and a third |
//! | the loss along a line or a plane | [`landscape()`] | 1/3 a point |
//!
//! Each but the last runs over all trainable parameters, or over some after
//! [`LossSurface::restrict`]; [`Layer::all`] lists the layers.
//!
//! # Example
//! ```
//! use burn::nn::{Linear, LinearConfig};
//! use burn::tensor::{Device, Tensor};
//! use lowland::sharpness::{EigenvaluesConfig, LossSurface, SurfaceConfig, eigenvalues, uninterrupted};
//!
//! # fn main() -> lowland::Result<()> {
//! let device = Device::flex().autodiff();
//! let model = LinearConfig::new(2, 1).with_bias(false).init(&device);
//! let x = Tensor::<2>::from_floats([[3.0, 0.0], [0.0, 1.0]], &device);
//!
//! // Half the mean of the squared outputs: the Hessian is xᵀx/2, whose eigenvalues are 4.5 and 0.5.
//! let losses = |model: &Linear, _batch: usize| {
//!     let outputs = model.forward(x.clone()).reshape([2]);
//!     (outputs.clone() * outputs).mul_scalar(0.5)
//! };
//! let mut surface = LossSurface::new(&model, &[2], &SurfaceConfig::default(), losses)?;
//! let config = EigenvaluesConfig { count: 2, ..EigenvaluesConfig::default() };
//! let found = eigenvalues(&mut surface, &config, uninterrupted)?;
//! assert!((found.pairs[0].value - 4.5).abs() < 0.01);
//! # Ok(())
//! # }
//! ```

mod density;
mod difference;
mod directions;
mod draw;
mod eigenvalues;
mod estimate;
mod lanczos;
mod landscape;
mod layers;
mod map;
mod progress;
mod rise;
mod section;
mod settings;
mod surface;
mod trace;
mod tridiagonal;

pub use density::{Density, DensityConfig, Node, density};
pub use difference::Difference;
pub use directions::{filter_axis, filter_normalised};
pub use eigenvalues::{Eigenpair, Eigenvalues, EigenvaluesConfig, End, eigenvalues};
pub use estimate::Estimate;
pub use landscape::{Landscape, Point, evenly, grid, landscape, nothing};
pub use layers::Layer;
pub use map::SymmetricMap;
pub use progress::{Progress, uninterrupted};
pub use rise::{
    AverageRise, AverageRiseConfig, Draw, LargestRise, LargestRiseConfig, Scale, average_rise,
    largest_rise,
};
pub use section::{Line, Position, Section, Span};
pub use settings::{Normalisation, SurfaceConfig};
pub use surface::LossSurface;
pub use trace::{Trace, TraceConfig, trace};
