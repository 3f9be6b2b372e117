//! Quantisation with learned step sizes (LSQ): networks whose weights and activations are small
//! integers times a step, and that are trained as such.
//!
//! Esser et al. 2020, arXiv 1902.08153. Each layer of a network rounds its weights and what comes
//! in to multiples of a step `s`, one for all weights of the layer and one for all that comes in:
//!
//! ```text
//! n = round(clip(v/s, −Q_N, Q_P))        an integer of b bits
//! v̂ = n·s                                what the layer computes with
//!
//! ∂v̂/∂v = 1 for −Q_N < v/s < Q_P, else 0
//! ∂v̂/∂s = g·(n − v/s) for −Q_N < v/s < Q_P, else −g·Q_N below and g·Q_P above
//! ```
//!
//! Signed values have `Q_N = 2^(b−1)` and `Q_P = 2^(b−1) − 1`, unsigned ones `Q_N = 0` and
//! `Q_P = 2^b − 1`. Weights are signed; what comes into a layer is unsigned unless something
//! negative came in when the network was [`quantised`]. `g = 1/√(N·Q_P)` with `N` the number of
//! weights, or of values that come in for one image. Steps begin at `2·mean|v|/√Q_P`.
//!
//! [`quantised`] makes such a network of a trained one, and any algorithm trains it further:
//! behind the integers stay float weights, which the base optimizer moves and a perturbation
//! perturbs; they are rounded anew wherever a gradient is taken. Steps are parameters like all
//! others, `stem.weight.lsq.weight.step` and `stem.weight.lsq.input.step` for the weights
//! `stem.weight`: they are perturbed too, weight decay shrinks them, and norms run over them. A
//! [`RadiusGroup`](lowland::ascend::RadiusGroup) with the path `step$` and the factor 0 leaves them
//! out of the perturbation.
//!
//! [`rounded`] rounds the weights of any network as they are, without training.
//!
//! [`integer_layers`] gives the integers of a network that is done, [`with_integer_weights`] the
//! network that computes with them alone.
//!
//! # Fidelity
//! The first and last layer have 8 bits for weights and input, as in the paper; batch normalisation
//! and biases are not rounded. Differences: the sign of a step does not count, and steps below
//! 1e-12 count as that, so that no step divides by zero; `N` leaves the batch out, so that the
//! gradient of a batch is that of its pieces. Halves are rounded to even numbers. What vSAM and
//! ARSAM did to the steps is not public to us.

mod attach;
mod config;
mod integers;
mod quantiser;
mod rounding;

use burn::module::Module;

use crate::Result;
use attach::{Layer, attached, inputs, layers};

pub(crate) use attach::quantised_input;
pub use config::QuantiseConfig;
pub use integers::{IntegerLayer, integer_layers, with_integer_weights};
pub use quantiser::Grid;
pub use rounding::rounded;

impl QuantiseConfig {
    /// The form of a quantised network around `model`, for a record of one to be loaded into: steps
    /// are 1, and the record brings its own, and its own numbers of bits.
    ///
    /// # Errors
    /// As [`quantised`], save for what comes into a layer.
    pub fn form<M: Module>(&self, model: M) -> Result<M> {
        let layers = layers(&model, self)?;
        let grids = layers.iter().map(|l| [Grid::signed(l.weights), Grid::unsigned(l.inputs)]);
        Ok(attached(model, &layers, grids))
    }
}

/// Quantises a network from its float weights.
///
/// Steps of weights follow from the weights. Those of what comes into the layers follow from what
/// comes in when `forward` takes a batch through the network that it is given: `model` in
/// evaluation, without autodiff, with everything rounded that comes before. The first and the last
/// layer are those of the first and last weights in the order in which the module is visited.
///
/// All [`Conv2d`](crate::models::Conv2d) and [`Linear`](crate::models::Linear) of this crate can be
/// quantised; a network must not hold others.
///
/// # Errors
/// [`Error::Setting`](crate::Error::Setting) for a number of bits that is out of range, and
/// [`Error::Quantise`](crate::Error::Quantise) for a network without layers, one that is quantised
/// already, and layers whose weights or input are all zero, not finite or never come.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use lowland_tasks::models::{Model, ModelName};
/// use lowland_tasks::quantise::{QuantiseConfig, quantised};
///
/// # let device = Device::flex();
/// let model = ModelName::SmallCnn.init(10, 1, 0, &device.clone().autodiff())?;
/// let images = Tensor::random([8, 1, 28, 28], Distribution::Normal(0.0, 1.0), &device);
/// let config = QuantiseConfig { weights: 3, activations: 4 };
/// let model = quantised(model, &config, |model: &Model| drop(model.forward(images)))?;
/// # Ok::<(), lowland_tasks::Error>(())
/// ```
pub fn quantised<M: Module>(
    model: M,
    config: &QuantiseConfig,
    forward: impl FnOnce(&M),
) -> Result<M> {
    let layers = layers(&model, config)?;
    let weights = layers.iter().map(Layer::fitted).collect::<Result<Vec<_>>>()?;
    let inputs = inputs(&model, &layers, &weights, forward)?;
    let grids = weights.into_iter().zip(inputs).map(|(weight, input)| [weight, input]);
    Ok(attached(model, &layers, grids))
}
