//! Without the feature `flex` all layers are Burn's own, forward and backward.

#[path = "../../lowland-kernels/tests/common/mod.rs"]
mod common;
#[path = "../../lowland/tests/common/in_f64.rs"]
mod in_f64;

use burn::nn::attention::{MhaInput, MultiHeadAttentionConfig};
use burn::nn::conv::Conv2dConfig;
use burn::nn::{BatchNormConfig, LayerNormConfig, LinearConfig};
use burn::tensor::activation::{gelu, relu, softmax};
use burn::tensor::{Device, Tensor};
use common::{assert_close, gradient, single, tensor, values};
use in_f64::in_f64;
use lowland_kernels::calls::{Kernel, calls};

/// Output and gradient of the input, of a shape, of two functions that are one.
fn check<const D: usize, const E: usize>(
    shape: [usize; D],
    own: impl Fn(Tensor<D>) -> Tensor<E>,
    burns: impl Fn(Tensor<D>) -> Tensor<E>,
) {
    let run = |function: &dyn Fn(Tensor<D>) -> Tensor<E>| {
        let x = single(shape, 1, &Device::flex().autodiff()).require_grad();
        let y = function(x.clone());
        let gradients = y.clone().powf_scalar(2.0).sum().backward();
        (values(y.inner()), values(gradient(&gradients, &x)))
    };
    assert_eq!(run(&own), run(&burns));
}

#[test]
fn layers_are_burns() {
    let device = Device::flex().autodiff();
    let shape = [2, 3, 8, 8];
    let layer = Conv2dConfig::new([3, 8], [3, 3]).init(&device);
    check(shape, |x| lowland_kernels::conv2d(&layer, x), |x| layer.forward(x));
    let norm = BatchNormConfig::new(3).init(&device);
    let burns = |x: Tensor<4>| norm.forward(x);
    check(shape, |x| lowland_kernels::batch_norm(&norm, x), burns);
    check(shape, |x| lowland_kernels::batch_norm_relu(&norm, x), |x| relu(burns(x)));
    let own = |x: Tensor<4>| lowland_kernels::batch_norm_add_relu(&norm, x.clone(), x);
    check(shape, own, |x| relu(burns(x.clone()) + x));

    let shape = [2, 5, 12];
    let layer = LinearConfig::new(12, 7).init(&device);
    check(shape, |x| lowland_kernels::linear(&layer, x), |x| layer.forward(x));
    let norm = LayerNormConfig::new(12).init(&device);
    check(shape, |x| lowland_kernels::layer_norm(&norm, 1e-5, x), |x| norm.forward(x));
    check(shape, lowland_kernels::gelu, gelu);
    check(shape, lowland_kernels::relu, relu);
    check(shape, |x| lowland_kernels::softmax(x, 2), |x| softmax(x, 2));
    check(shape, |x| lowland_kernels::add(x.clone(), x), |x| x.clone() + x);
    assert_eq!([Kernel::Convolution, Kernel::Linear, Kernel::Gelu].map(calls), [0; 3]);
}

/// Burn's own operations, in another order.
#[test]
fn attention_is_burns_up_to_rounding() {
    let device = Device::flex().autodiff();
    let layer = in_f64(MultiHeadAttentionConfig::new(12, 3).with_dropout(0.0).init(&device));
    let x = tensor([2, 5, 12], 1, &device);
    let found = lowland_kernels::self_attention(&layer, x.clone(), None);
    let expected = layer.forward(MhaInput::self_attn(x)).context;
    assert_close("attention", found.inner(), expected.inner());
    assert_eq!(calls(Kernel::Attention), 0);
}
