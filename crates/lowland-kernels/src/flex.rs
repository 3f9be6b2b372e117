//! The kernels as operations of Burn's backend Flex, with gradients.

mod backward;
mod tensors;

use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

use crate::calls::{Kernel, count};
use crate::kernel::batch_norm::{self, Affine};
use crate::kernel::convolution::{self, Geometry};
use crate::kernel::{elementwise, rows};
use crate::normalisation::After;
use tensors::{by_type, channels, contiguous, last, numbers, tensor};

/// Batch normalisation, apart from its tensors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Normalisation {
    pub(crate) epsilon: f64,
    /// Whether `ReLU` follows.
    pub(crate) relu: bool,
}

/// The operations, for a backend and for that backend with autodiff.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait Kernels: Backend {
    fn convolve(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self>;

    fn convolve_with_bias(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self>;

    /// Returns the output, the mean and the biased variance.
    fn normalise_batch(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        how: Normalisation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// With `other` added, and `ReLU`.
    fn normalise_batch_add(
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
    /// `scale · x + shift` for each channel, and `ReLU` where it is asked for.
    fn scale_channels(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        relu: bool,
    ) -> FloatTensor<Self>;

    /// `scale · x + shift` for each channel, with `other` added, and `ReLU`.
    fn scale_channels_add(
        x: FloatTensor<Self>,
        other: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
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
    pub(crate) other: Option<FloatTensor<B>>,
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

impl Kernels for Flex {
    fn convolve(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        count(Kernel::Convolution);
        let [x, w] = contiguous([x, w]);
        by_type!(x, T => {
            let y = convolution::forward::<T>(&geometry, numbers!(x), numbers!(w), None);
            tensor(y, geometry.output_shape())
        })
    }

    fn convolve_with_bias(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        count(Kernel::Convolution);
        let [bias, x, w] = contiguous([bias, x, w]);
        by_type!(x, T => {
            let bias = Some(numbers!(bias));
            let y = convolution::forward::<T>(&geometry, numbers!(x), numbers!(w), bias);
            tensor(y, geometry.output_shape())
        })
    }

    fn normalise_batch(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        how: Normalisation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        train(x, None, gamma, beta, how)
    }

    fn normalise_batch_add(
        x: FloatTensor<Self>,
        other: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        how: Normalisation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        train(x, Some(other), gamma, beta, how)
    }

    fn add_same(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        count(Kernel::Add);
        let [x, y] = contiguous([x, y]);
        by_type!(x, T => tensor(elementwise::add::<T>(numbers!(x), numbers!(y)), x.shape()))
    }

    fn rectify(x: FloatTensor<Self>) -> FloatTensor<Self> {
        count(Kernel::Relu);
        let [x] = contiguous([x]);
        by_type!(x, T => tensor(elementwise::relu::<T>(numbers!(x)), x.shape()))
    }

    fn exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        count(Kernel::Gelu);
        let [x] = contiguous([x]);
        by_type!(x, T => tensor(elementwise::gelu::<T>(numbers!(x)), x.shape()))
    }

    fn softmax_of_rows(x: FloatTensor<Self>, scale: f64) -> FloatTensor<Self> {
        count(Kernel::Softmax);
        let [x] = contiguous([x]);
        by_type!(x, T => tensor(rows::softmax::<T>(last(&x), numbers!(x), scale), x.shape()))
    }

    fn normalise_rows(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        count(Kernel::LayerNorm);
        let [x, gamma, beta] = contiguous([x, gamma, beta]);
        by_type!(x, T => {
            let y = rows::layer_norm::<T>(numbers!(x), numbers!(gamma), numbers!(beta), epsilon);
            tensor(y, x.shape())
        })
    }
}

impl Inference for Flex {
    fn scale_channels(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        relu: bool,
    ) -> FloatTensor<Self> {
        count(Kernel::BatchNormInference);
        let [scale, shift, x] = contiguous([scale, shift, x]);
        by_type!(x, T => {
            let (shape, line) = (channels(&x), [numbers!(scale), numbers!(shift)]);
            let y = batch_norm::infer::<T>(shape, numbers!(x), line, after(relu, None));
            tensor(y, x.shape())
        })
    }

    fn scale_channels_add(
        x: FloatTensor<Self>,
        other: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        count(Kernel::BatchNormInference);
        let [scale, shift, other, x] = contiguous([scale, shift, other, x]);
        by_type!(x, T => {
            let (shape, line) = (channels(&x), [numbers!(scale), numbers!(shift)]);
            let after = after(true, Some(numbers!(other)));
            tensor(batch_norm::infer::<T>(shape, numbers!(x), line, after), x.shape())
        })
    }
}

fn after<T>(relu: bool, other: Option<&[T]>) -> batch_norm::After<'_, T> {
    match (other, relu) {
        (Some(other), _) => batch_norm::After::AddRelu(other),
        (None, true) => batch_norm::After::Relu,
        (None, false) => batch_norm::After::Nothing,
    }
}

fn train(
    x: FloatTensor<Flex>,
    other: Option<FloatTensor<Flex>>,
    gamma: FloatTensor<Flex>,
    beta: FloatTensor<Flex>,
    how: Normalisation,
) -> (FloatTensor<Flex>, FloatTensor<Flex>, FloatTensor<Flex>) {
    count(Kernel::BatchNorm);
    let [gamma, beta, x] = contiguous([gamma, beta, x]);
    by_type!(x, T => {
        let other = other.map(|other| other.to_contiguous());
        let after = after(how.relu, other.as_ref().map(|other| numbers!(other)));
        let affine =
            Affine { gamma: numbers!(gamma), beta: numbers!(beta), epsilon: how.epsilon };
        let shape = channels(&x);
        let (y, statistics) = batch_norm::train::<T>(shape, numbers!(x), affine, after);
        let of_channels = |numbers| tensor(numbers, [shape.channels]);
        (tensor(y, x.shape()), of_channels(statistics.mean), of_channels(statistics.variance))
    })
}

impl Gradients for Flex {
    fn convolution_input(
        w: FloatTensor<Self>,
        g: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        count(Kernel::ConvolutionInput);
        let [w, g] = contiguous([w, g]);
        by_type!(w, T => {
            let x = convolution::input_gradient::<T>(&geometry, numbers!(w), numbers!(g));
            tensor(x, geometry.input_shape())
        })
    }

    fn convolution_weight(
        x: FloatTensor<Self>,
        g: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        count(Kernel::ConvolutionWeight);
        let [x, g] = contiguous([x, g]);
        by_type!(x, T => {
            let w = convolution::weight_gradient::<T>(&geometry, numbers!(x), numbers!(g));
            tensor(w, geometry.weight_shape())
        })
    }

    fn convolution_bias(g: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self> {
        let [g] = contiguous([g]);
        by_type!(g, T => {
            let bias = convolution::bias_gradient::<T>(&geometry, numbers!(g));
            tensor(bias, [geometry.groups * geometry.to])
        })
    }

    fn batch_norm_gradients(
        saved: SavedBatchNorm<Self>,
        g: FloatTensor<Self>,
    ) -> BatchNormGradients<Self> {
        count(Kernel::BatchNormGradients);
        let SavedBatchNorm { x, other, gamma, beta, mean, variance, how } = saved;
        let [gamma, beta, mean, variance, x, g] = contiguous([gamma, beta, mean, variance, x, g]);
        by_type!(x, T => {
            let other = other.map(|other| other.to_contiguous());
            let after = after(how.relu, other.as_ref().map(|other| numbers!(other)));
            let affine =
                Affine { gamma: numbers!(gamma), beta: numbers!(beta), epsilon: how.epsilon };
            let statistics = [numbers!(mean), numbers!(variance)];
            let (shape, xs, gs) = (channels(&x), numbers!(x), numbers!(g));
            let gradients =
                batch_norm::gradients::<T>(shape, xs, affine, statistics, after, gs);
            let of_channels = |numbers| tensor(numbers, [shape.channels]);
            BatchNormGradients {
                x: tensor(gradients.x, x.shape()),
                gamma: of_channels(gradients.gamma),
                beta: of_channels(gradients.beta),
                other: other.as_ref().map(|_| tensor(gradients.other, x.shape())),
            }
        })
    }

    fn relu_gradient(y: FloatTensor<Self>, g: FloatTensor<Self>) -> FloatTensor<Self> {
        count(Kernel::ReluGradient);
        let [y, g] = contiguous([y, g]);
        by_type!(y, T => {
            tensor(elementwise::relu_gradient::<T>(numbers!(y), numbers!(g)), y.shape())
        })
    }

    fn exact_gelu_gradient(x: FloatTensor<Self>, g: FloatTensor<Self>) -> FloatTensor<Self> {
        count(Kernel::GeluGradient);
        let [x, g] = contiguous([x, g]);
        by_type!(x, T => {
            tensor(elementwise::gelu_gradient::<T>(numbers!(x), numbers!(g)), x.shape())
        })
    }

    fn softmax_gradient(
        y: FloatTensor<Self>,
        g: FloatTensor<Self>,
        scale: f64,
    ) -> FloatTensor<Self> {
        count(Kernel::SoftmaxGradient);
        let [y, g] = contiguous([y, g]);
        by_type!(y, T => {
            let x = rows::softmax_gradient::<T>(last(&y), numbers!(y), numbers!(g), scale);
            tensor(x, y.shape())
        })
    }

    fn layer_norm_gradients(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        epsilon: f64,
        g: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3] {
        count(Kernel::LayerNormGradients);
        let [x, gamma, g] = contiguous([x, gamma, g]);
        by_type!(x, T => {
            let [gx, gg, gb] = rows::layer_norm_gradients::<T>(
                numbers!(x), numbers!(gamma), epsilon, numbers!(g),
            );
            let features = last(&x);
            [tensor(gx, x.shape()), tensor(gg, [features]), tensor(gb, [features])]
        })
    }
}

pub(crate) fn convolve(
    x: Tensor<4>,
    w: Tensor<4>,
    bias: Option<Tensor<1>>,
    geometry: Geometry,
) -> Tensor<4> {
    let (x, w) = (x.into_dispatch(), w.into_dispatch());
    Tensor::from_dispatch(match bias {
        None => Dispatch::convolve(x, w, geometry),
        Some(bias) => Dispatch::convolve_with_bias(x, w, bias.into_dispatch(), geometry),
    })
}

/// Returns the output, the mean and the biased variance.
pub(crate) fn batch_norm<const D: usize>(
    x: Tensor<D>,
    weights: [Tensor<1>; 2],
    epsilon: f64,
    after: After<D>,
) -> (Tensor<D>, Tensor<1>, Tensor<1>) {
    let x = x.into_dispatch();
    let [gamma, beta] = weights.map(Tensor::into_dispatch);
    let relu = !matches!(after, After::Nothing);
    let how = Normalisation { epsilon, relu };
    let (y, mean, variance) = match after {
        After::Nothing | After::Relu => Dispatch::normalise_batch(x, gamma, beta, how),
        After::AddRelu(other) => {
            Dispatch::normalise_batch_add(x, other.into_dispatch(), gamma, beta, how)
        }
    };
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
    let (x, scale) = (x.into_dispatch(), scale.into_dispatch());
    Tensor::from_dispatch(match after {
        After::Nothing => Dispatch::scale_channels(x, scale, shift, false),
        After::Relu => Dispatch::scale_channels(x, scale, shift, true),
        After::AddRelu(other) => {
            Dispatch::scale_channels_add(x, other.into_dispatch(), scale, shift)
        }
    })
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
