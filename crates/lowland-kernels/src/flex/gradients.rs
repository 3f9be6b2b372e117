//! What backward passes compute on Flex.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};

use super::tensors::{
    after, by_type, channels, contiguous, last, numbers, present, replaceable, tensor, with_last,
};
use super::{BatchNormGradients, Gradients, SavedBatchNorm};
use crate::calls::{Kernel, count};
use crate::kernel::attention::{self, Heads, Looks};
use crate::kernel::batch_norm::{self, Affine};
use crate::kernel::convolution::{self, Geometry};
use crate::kernel::product::{Matrix, Panels, Start, product};
use crate::kernel::{elementwise, rows};

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

    fn linear_input(w: FloatTensor<Self>, g: FloatTensor<Self>) -> FloatTensor<Self> {
        count(Kernel::LinearInput);
        let [w, g] = contiguous([w, g]);
        let [from, to] = [w.shape()[0], w.shape()[1]];
        by_type!(w, T => {
            let w = Panels::<T>::new(Matrix::new(numbers!(w), to).transposed());
            tensor(product(Matrix::new(numbers!(g), to), &w, Start::Zero), with_last(&g, from))
        })
    }

    fn linear_weight(x: FloatTensor<Self>, g: FloatTensor<Self>) -> FloatTensor<Self> {
        count(Kernel::LinearWeight);
        let [x, g] = contiguous([x, g]);
        let [from, to] = [last(&x), last(&g)];
        by_type!(x, T => {
            let g = Panels::<T>::new(Matrix::new(numbers!(g), to));
            let x = Matrix::new(numbers!(x), from).transposed();
            tensor(product(x, &g, Start::Zero), [from, to])
        })
    }

    fn linear_bias(g: FloatTensor<Self>) -> FloatTensor<Self> {
        let [g] = contiguous([g]);
        let to = last(&g);
        by_type!(g, T => tensor(rows::sum_rows::<T>(to, numbers!(g)), [to]))
    }

    fn attention_gradients(
        looks: [FloatTensor<Self>; 3],
        mask: FloatTensor<Self>,
        heads: Heads,
        g: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3] {
        count(Kernel::AttentionGradients);
        let [query, key, value] = contiguous(looks);
        let [mask, g] = contiguous([mask, g]);
        by_type!(query, T => {
            let (q, k, v) = (numbers!(query), numbers!(key), numbers!(value));
            let looks = Looks { query: q, key: k, value: v, mask: present!(mask) };
            let found = attention::gradients::<T>(&heads, looks, numbers!(g));
            found.map(|gradient| tensor(gradient, query.shape()))
        })
    }

    fn batch_norm_gradients(
        saved: SavedBatchNorm<Self>,
        g: FloatTensor<Self>,
    ) -> BatchNormGradients<Self> {
        count(Kernel::BatchNormGradients);
        let SavedBatchNorm { x, other, gamma, beta, mean, variance, how } = saved;
        let [gamma, beta, mean, variance] = contiguous([gamma, beta, mean, variance]);
        let [x, other, g] = contiguous([x, other, g]);
        by_type!(x, T => {
            let other = present!(other);
            let affine =
                Affine { gamma: numbers!(gamma), beta: numbers!(beta), epsilon: how.epsilon };
            let statistics = [numbers!(mean), numbers!(variance)];
            let (shape, xs, gs) = (channels(&x), numbers!(x), numbers!(g));
            let after = after(how.relu, other);
            let gradients =
                batch_norm::gradients::<T>(shape, xs, affine, statistics, after, gs);
            let of_channels = |numbers| tensor(numbers, [shape.channels]);
            BatchNormGradients {
                x: tensor(gradients.x, x.shape()),
                gamma: of_channels(gradients.gamma),
                beta: of_channels(gradients.beta),
                other: other.map(|_| tensor(gradients.other, x.shape())),
            }
        })
    }

    fn relu_gradient(y: FloatTensor<Self>, g: FloatTensor<Self>) -> FloatTensor<Self> {
        count(Kernel::ReluGradient);
        let ([y], mut g) = (contiguous([y]), replaceable(g));
        by_type!(y, T => elementwise::relu_gradient::<T>(numbers!(y), g.storage_mut()));
        g
    }

    fn exact_gelu_gradient(x: FloatTensor<Self>, g: FloatTensor<Self>) -> FloatTensor<Self> {
        count(Kernel::GeluGradient);
        let ([x], mut g) = (contiguous([x]), replaceable(g));
        by_type!(x, T => elementwise::gelu_gradient::<T>(numbers!(x), g.storage_mut()));
        g
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
        let ([x, gamma], mut g) = (contiguous([x, gamma]), replaceable(g));
        let features = last(&x);
        let [of_gamma, of_beta] = by_type!(x, T => {
            let (x, gamma) = (numbers!(x), numbers!(gamma));
            let found = rows::layer_norm_gradients::<T>(x, gamma, epsilon, g.storage_mut());
            found.map(|weights| tensor(weights, [features]))
        });
        [g, of_gamma, of_beta]
    }
}
