//! The kernels as operations of Burn's backend Flex, with gradients.

mod backward;
mod forward;
mod gradients;
mod tensors;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, DispatchTensor, backend_extension};
use burn::tensor::Tensor;

use crate::kernel::attention::Heads;
use crate::kernel::convolution::Geometry;

/// Batch normalisation, apart from its tensors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Normalisation {
    pub(crate) epsilon: f64,
    /// Whether `ReLU` follows.
    pub(crate) relu: bool,
}

/// The operations, for a backend and for that backend with autodiff.
///
/// The macro takes no optional tensors: one without numbers stands for a bias, a mask or an `other`
/// that there is not (see [`absent`]).
#[backend_extension(Flex, Autodiff)]
pub(crate) trait Kernels: Backend {
    fn convolve(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self>;

    fn project(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    fn attend(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        heads: Heads,
    ) -> FloatTensor<Self>;

    /// With `other` added before `ReLU`. Returns the output, the mean and the biased variance.
    fn normalise_batch(
        x: FloatTensor<Self>,
        other: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        how: Normalisation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// `x + y` of the same shape.
    fn add_same(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self>;

    fn rectify(x: FloatTensor<Self>) -> FloatTensor<Self>;

    fn exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// The softmax of `scale · x` along the last dimension.
    fn softmax_of_rows(x: FloatTensor<Self>, scale: f64) -> FloatTensor<Self>;

    fn normalise_rows(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;
}

/// Operations without gradients, for tensors without autodiff.
#[backend_extension(Flex)]
pub(crate) trait Inference: Backend {
    /// `scale · x + shift` for each channel, with `other` added, and `ReLU` where it is asked for.
    fn scale_channels(
        x: FloatTensor<Self>,
        other: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        relu: bool,
    ) -> FloatTensor<Self>;
}

/// What backward passes compute.
pub(crate) trait Gradients: Backend {
    fn convolution_input(
        w: FloatTensor<Self>,
        g: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self>;

    fn convolution_weight(
        x: FloatTensor<Self>,
        g: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self>;

    fn convolution_bias(g: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self>;

    fn linear_input(w: FloatTensor<Self>, g: FloatTensor<Self>) -> FloatTensor<Self>;

    fn linear_weight(x: FloatTensor<Self>, g: FloatTensor<Self>) -> FloatTensor<Self>;

    fn linear_bias(g: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Of queries, keys and values.
    fn attention_gradients(
        looks: [FloatTensor<Self>; 3],
        mask: FloatTensor<Self>,
        heads: Heads,
        g: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3];

    fn batch_norm_gradients(
        saved: SavedBatchNorm<Self>,
        g: FloatTensor<Self>,
    ) -> BatchNormGradients<Self>;

    fn relu_gradient(y: FloatTensor<Self>, g: FloatTensor<Self>) -> FloatTensor<Self>;

    fn exact_gelu_gradient(x: FloatTensor<Self>, g: FloatTensor<Self>) -> FloatTensor<Self>;

    fn softmax_gradient(
        y: FloatTensor<Self>,
        g: FloatTensor<Self>,
        scale: f64,
    ) -> FloatTensor<Self>;

    fn layer_norm_gradients(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        epsilon: f64,
        g: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3];
}

/// What the backward pass of a batch normalisation needs.
pub(crate) struct SavedBatchNorm<B: Backend> {
    pub(crate) x: FloatTensor<B>,
    /// What was added before `ReLU`.
    pub(crate) other: FloatTensor<B>,
    pub(crate) gamma: FloatTensor<B>,
    pub(crate) beta: FloatTensor<B>,
    pub(crate) mean: FloatTensor<B>,
    pub(crate) variance: FloatTensor<B>,
    pub(crate) how: Normalisation,
}

/// Gradients of a batch normalisation.
pub(crate) struct BatchNormGradients<B: Backend> {
    pub(crate) x: FloatTensor<B>,
    pub(crate) gamma: FloatTensor<B>,
    pub(crate) beta: FloatTensor<B>,
    pub(crate) other: Option<FloatTensor<B>>,
}

/// Stands for a tensor that there is not.
fn absent<const D: usize>(like: &Tensor<D>) -> Tensor<1> {
    Tensor::empty([0], (&like.device(), like.dtype()))
}

/// The tensor, or what stands for none.
fn or_absent<const D: usize, const N: usize>(
    tensor: Option<Tensor<N>>,
    like: &Tensor<D>,
) -> DispatchTensor {
    match tensor {
        Some(tensor) => tensor.into_dispatch(),
        None => absent(like).into_dispatch(),
    }
}

pub(crate) fn convolve(
    x: Tensor<4>,
    w: Tensor<4>,
    bias: Option<Tensor<1>>,
    geometry: Geometry,
) -> Tensor<4> {
    let bias = or_absent(bias, &x);
    let (x, w) = (x.into_dispatch(), w.into_dispatch());
    Tensor::from_dispatch(Dispatch::convolve(x, w, bias, geometry))
}

pub(crate) fn linear<const D: usize>(
    x: Tensor<D>,
    w: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    let bias = or_absent(bias, &x);
    Tensor::from_dispatch(Dispatch::project(x.into_dispatch(), w.into_dispatch(), bias))
}

/// Of queries, keys and values; the mask is not 0 for tokens that are not looked at.
pub(crate) fn attend(looks: [Tensor<3>; 3], mask: Option<Tensor<2>>, heads: Heads) -> Tensor<3> {
    let mask = or_absent(mask, &looks[0]);
    let [query, key, value] = looks.map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::attend(query, key, value, mask, heads))
}

/// What follows the normalisation.
#[allow(clippy::large_enum_variant, reason = "it is taken apart at once")]
pub(crate) enum After<const D: usize> {
    Nothing,
    Relu,
    AddRelu(Tensor<D>),
}

impl<const D: usize> After<D> {
    /// What is added, and whether `ReLU` follows.
    fn parts(self, like: &Tensor<D>) -> (DispatchTensor, bool) {
        let (other, relu) = match self {
            Self::Nothing => (None, false),
            Self::Relu => (None, true),
            Self::AddRelu(other) => (Some(other), true),
        };
        (or_absent(other, like), relu)
    }
}

/// Returns the output, the mean and the biased variance.
pub(crate) fn batch_norm<const D: usize>(
    x: Tensor<D>,
    weights: [Tensor<1>; 2],
    epsilon: f64,
    after: After<D>,
) -> (Tensor<D>, Tensor<1>, Tensor<1>) {
    let (other, relu) = after.parts(&x);
    let [gamma, beta] = weights.map(Tensor::into_dispatch);
    let how = Normalisation { epsilon, relu };
    let (y, mean, variance) = Dispatch::normalise_batch(x.into_dispatch(), other, gamma, beta, how);
    (Tensor::from_dispatch(y), Tensor::from_dispatch(mean), Tensor::from_dispatch(variance))
}

/// By running statistics, without autodiff.
pub(crate) fn batch_norm_inference<const D: usize>(
    x: Tensor<D>,
    weights: [Tensor<1>; 2],
    statistics: [Tensor<1>; 2],
    epsilon: f64,
    after: After<D>,
) -> Tensor<D> {
    let ([gamma, beta], [mean, variance]) = (weights, statistics);
    let scale = gamma / variance.add_scalar(epsilon).sqrt();
    let shift = (beta - mean * scale.clone()).into_dispatch();
    let (other, relu) = after.parts(&x);
    let (x, scale) = (x.into_dispatch(), scale.into_dispatch());
    Tensor::from_dispatch(Dispatch::scale_channels(x, other, scale, shift, relu))
}

pub(crate) fn add<const D: usize>(x: Tensor<D>, y: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::add_same(x.into_dispatch(), y.into_dispatch()))
}

pub(crate) fn relu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::rectify(x.into_dispatch()))
}

pub(crate) fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::exact_gelu(x.into_dispatch()))
}

pub(crate) fn softmax<const D: usize>(x: Tensor<D>, scale: f64) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::softmax_of_rows(x.into_dispatch(), scale))
}

pub(crate) fn layer_norm<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    let (x, gamma, beta) = (x.into_dispatch(), gamma.into_dispatch(), beta.into_dispatch());
    Tensor::from_dispatch(Dispatch::normalise_rows(x, gamma, beta, epsilon))
}
