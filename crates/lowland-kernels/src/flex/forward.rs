//! The operations on Flex.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};

use super::tensors::{
    after, by_type, channels, contiguous, last, numbers, present, replaceable, tensor, with_last,
};
use super::{Inference, Kernels, Normalisation};
use crate::calls::{Kernel, count};
use crate::kernel::attention::{self, Heads, Looks};
use crate::kernel::batch_norm::{self, Affine};
use crate::kernel::convolution::{self, Geometry};
use crate::kernel::product::{Matrix, Panels, Start, product};
use crate::kernel::{elementwise, rows};

impl Kernels for Flex {
    fn convolve(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        count(Kernel::Convolution);
        let [bias, x, w] = contiguous([bias, x, w]);
        by_type!(x, T => {
            let bias = present!(bias);
            let y = convolution::forward::<T>(&geometry, numbers!(x), numbers!(w), bias);
            tensor(y, geometry.output_shape())
        })
    }

    fn project(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        count(Kernel::Linear);
        let [bias, x, w] = contiguous([bias, x, w]);
        let [from, to] = [w.shape()[0], w.shape()[1]];
        by_type!(x, T => {
            let start = present!(bias).map_or(Start::Zero, Start::Row);
            let w = Panels::<T>::new(Matrix::new(numbers!(w), to));
            tensor(product(Matrix::new(numbers!(x), from), &w, start), with_last(&x, to))
        })
    }

    fn attend(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        heads: Heads,
    ) -> FloatTensor<Self> {
        count(Kernel::Attention);
        let [query, key, value, mask] = contiguous([query, key, value, mask]);
        by_type!(query, T => {
            let (q, k, v) = (numbers!(query), numbers!(key), numbers!(value));
            let looks = Looks { query: q, key: k, value: v, mask: present!(mask) };
            tensor(attention::attend::<T>(&heads, looks), query.shape())
        })
    }

    fn normalise_batch(
        x: FloatTensor<Self>,
        other: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        how: Normalisation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        count(Kernel::BatchNorm);
        let [gamma, beta, other, x] = contiguous([gamma, beta, other, x]);
        by_type!(x, T => {
            let after = after(how.relu, present!(other));
            let affine =
                Affine { gamma: numbers!(gamma), beta: numbers!(beta), epsilon: how.epsilon };
            let shape = channels(&x);
            let (y, statistics) = batch_norm::train::<T>(shape, numbers!(x), affine, after);
            let of_channels = |numbers| tensor(numbers, [shape.channels]);
            (tensor(y, x.shape()), of_channels(statistics.mean), of_channels(statistics.variance))
        })
    }

    fn add_same(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        count(Kernel::Add);
        // The sum goes where nothing else is lost, if there is such a place.
        let (x, y) = if x.is_unique() { (y, x) } else { (x, y) };
        let ([x], mut y) = (contiguous([x]), replaceable(y));
        by_type!(x, T => elementwise::add::<T>(numbers!(x), y.storage_mut()));
        y
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
        other: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        relu: bool,
    ) -> FloatTensor<Self> {
        count(Kernel::BatchNormInference);
        let [scale, shift, other, x] = contiguous([scale, shift, other, x]);
        by_type!(x, T => {
            let (shape, line) = (channels(&x), [numbers!(scale), numbers!(shift)]);
            let after = after(relu, present!(other));
            tensor(batch_norm::infer::<T>(shape, numbers!(x), line, after), x.shape())
        })
    }
}
