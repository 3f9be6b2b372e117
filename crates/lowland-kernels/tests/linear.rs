//! Linear layers and attention, and their gradients, against Burn's own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use burn::module::Module;
use burn::nn::attention::{MhaInput, MultiHeadAttention, MultiHeadAttentionConfig};
use burn::nn::{Linear, LinearConfig, LinearLayout};
use burn::tensor::FloatDType::F64;
use burn::tensor::{Bool, Device, Int, Tensor};
use common::{assert_close, filled, gradient, tensor, values};
use lowland_kernels::calls::{Kernel, calls};
use lowland_kernels::{linear, self_attention};
use proptest::prelude::*;

fn ran(kernels: &[Kernel], run: impl FnOnce()) {
    let before: Vec<u64> = kernels.iter().map(|&kernel| calls(kernel)).collect();
    run();
    for (&kernel, before) in kernels.iter().zip(before) {
        assert!(calls(kernel) > before, "{kernel:?} did not run");
    }
}

/// Compares outputs and gradients of the input and of the layers' weights.
fn check<const D: usize>(
    shape: [usize; D],
    weights: &[Linear],
    own: impl Fn(Tensor<D>) -> Tensor<D>,
    burns: impl Fn(Tensor<D>) -> Tensor<D>,
) {
    let device = Device::flex().autodiff();
    let run = |function: &dyn Fn(Tensor<D>) -> Tensor<D>| {
        let x = tensor(shape, 1, &device).require_grad();
        // As another operation leaves them: not one after the other.
        let input = if D > 2 { x.clone().swap_dims(0, 1) } else { x.clone() };
        let y = function(input);
        let gradients = (y.clone() * tensor(y.dims(), 3, &device)).sum().backward();
        let of_weights: Vec<_> =
            weights.iter().map(|layer| gradient(&gradients, &layer.weight.val())).collect();
        let biases = weights.iter().filter_map(|layer| layer.bias.as_ref());
        let of_biases: Vec<_> = biases.map(|bias| gradient(&gradients, &bias.val())).collect();
        (y.inner(), gradient(&gradients, &x), of_weights, of_biases)
    };
    let (found, expected) = (run(&own), run(&burns));
    assert_close("output", found.0, expected.0);
    assert_close("gradient of the input", found.1, expected.1);
    for (found, expected) in found.2.into_iter().zip(expected.2) {
        assert_close("gradient of weights", found, expected);
    }
    for (found, expected) in found.3.into_iter().zip(expected.3) {
        assert_close("gradient of a bias", found, expected);
    }
}

const LINEAR: [Kernel; 3] = [Kernel::Linear, Kernel::LinearInput, Kernel::LinearWeight];

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() })]

    #[test]
    fn linear_layers_are_burns(
        rows in 1..220_usize, batch in 1..4_usize, from in 1..50_usize, to in 1..50_usize,
        bias in any::<bool>(), columns in any::<bool>(),
    ) {
        let device = Device::flex().autodiff();
        let layout = if columns { LinearLayout::Col } else { LinearLayout::Row };
        let layer = LinearConfig::new(from, to).with_bias(bias).with_layout(layout).init(&device);
        let layer = filled(layer, &device, F64);
        ran(&LINEAR, || {
            let weights = [layer.clone()];
            check([rows, batch, from], &weights, |x| linear(&layer, x), |x| layer.forward(x));
            check([rows, from], &weights, |x| linear(&layer, x), |x| layer.forward(x));
        });
    }

    #[test]
    fn attention_is_burns(
        batch in 1..4_usize, tokens in 1..70_usize, heads in 1..4_usize, power in 0..3_usize,
        lengths in proptest::option::of(proptest::collection::vec(0..70_usize, 4)),
    ) {
        // Burn takes the root of the features, and one over it, in `f32`: exact for 1, 4 and 16.
        check_attention(batch, tokens, [heads, 1 << (2 * power)], lengths);
    }
}

/// More rows inside than a panel holds.
#[test]
fn long_products_are_burns() {
    let device = Device::flex().autodiff();
    let layer = filled(LinearConfig::new(1300, 37).init(&device), &device, F64);
    let weights = [layer.clone()];
    check([7, 1300], &weights, |x| linear(&layer, x), |x| layer.forward(x));
    let layer = filled(LinearConfig::new(37, 1300).init(&device), &device, F64);
    let weights = [layer.clone()];
    check([1100, 37], &weights, |x| linear(&layer, x), |x| layer.forward(x));
}

/// Tokens after each length are not looked at.
fn check_attention(
    batch: usize,
    tokens: usize,
    [heads, features]: [usize; 2],
    lengths: Option<Vec<usize>>,
) {
    let device = Device::flex().autodiff();
    let size = heads * features;
    let config = MultiHeadAttentionConfig::new(size, heads).with_dropout(0.0);
    let layer: MultiHeadAttention = filled(config.init(&device), &device, F64);
    let padding = lengths.map(|lengths| {
        let lengths: Vec<i32> = (0..batch).map(|i| lengths[i].try_into().unwrap()).collect();
        let lengths = Tensor::<1, Int>::from_ints(&lengths[..], &device).reshape([batch, 1]);
        let places = Tensor::<1, Int>::arange(0..tokens.cast_signed() as i64, &device);
        let places = places.reshape([1, tokens]).expand([batch, tokens]);
        places.greater_equal(lengths.expand([batch, tokens]))
    });
    let kernels = [LINEAR.as_slice(), &[Kernel::Attention, Kernel::AttentionGradients]].concat();
    ran(&kernels, || {
        let weights = [&layer.query, &layer.key, &layer.value, &layer.output].map(Clone::clone);
        let burns = |x| {
            let input = MhaInput::self_attn(x);
            let padded = |padding: Tensor<2, Bool>| input.clone().mask_pad(padding);
            layer.forward(padding.clone().map_or(input.clone(), padded)).context
        };
        let own = |x| self_attention(&layer, x, padding.clone());
        check([tokens, batch, size], &weights, own, burns);
    });
}

/// Dropout keeps the weights: Burn's operations, with the kernels of linear layers.
#[test]
fn attention_that_drops_weights_runs_as_burns() {
    let device = Device::flex().autodiff();
    let config = MultiHeadAttentionConfig::new(8, 2).with_dropout(0.5);
    let layer: MultiHeadAttention = filled(config.init(&device), &device, F64);
    let run = |own: bool| {
        device.seed(3);
        let x = tensor([2, 5, 8], 1, &device);
        if own {
            self_attention(&layer, x, None).inner()
        } else {
            layer.forward(MhaInput::self_attn(x)).context.inner()
        }
    };
    assert_close("output", run(true), run(false));
    let layer = layer.valid();
    let x = tensor([2, 5, 8], 1, &device.clone().inner());
    let before = calls(Kernel::Attention);
    let found = self_attention(&layer, x.clone(), None);
    assert!(calls(Kernel::Attention) > before, "the kernel did not run");
    assert_close("validated", found, layer.forward(MhaInput::self_attn(x)).context);
}

#[test]
fn frozen_weights_get_no_gradient() {
    let device = Device::flex().autodiff();
    let layer = filled(LinearConfig::new(5, 7).init(&device), &device, F64).no_grad();
    let x = tensor([4, 5], 1, &device).require_grad();
    let before = calls(Kernel::LinearInput);
    let gradients = linear(&layer, x.clone()).sum().backward();
    assert!(calls(Kernel::LinearInput) > before);
    assert!(layer.weight.val().grad(&gradients).is_none());
    let expected = layer.weight.val().inner().sum_dim(1).reshape([1, 5]).expand([4, 5]);
    assert_close("gradient of the input", gradient(&gradients, &x), expected);
}

#[test]
fn gradients_of_attention_are_the_limits_of_differences() {
    let device = Device::flex().autodiff();
    let layer: MultiHeadAttention =
        filled(MultiHeadAttentionConfig::new(8, 2).with_dropout(0.0).init(&device), &device, F64);
    let (plain, shape) = (layer.clone().valid(), [2, 5, 8]);
    let inner = device.clone().inner();
    let padding =
        || Tensor::<2, Bool>::from_data([[false; 5], [false, false, false, true, true]], &inner);
    let factor = || tensor(shape, 3, &inner);
    let x = tensor(shape, 1, &device).require_grad();
    let on_device = Tensor::<2, Bool>::from_data(padding().into_data(), &device);
    let y = self_attention(&layer, x.clone(), Some(on_device));
    let slope = gradient(&(y * tensor(shape, 3, &device)).sum().backward(), &x);
    let direction = tensor(shape, 4, &inner);
    let step = 1e-5;
    let at = |shift: f64| {
        let x = x.clone().inner() + direction.clone().mul_scalar(shift);
        values((self_attention(&plain, x, Some(padding())) * factor()).sum())[0]
    };
    let difference = (at(step) - at(-step)) / (2.0 * step);
    let exact = values((slope * direction.clone()).sum())[0];
    assert!((difference - exact).abs() < 1e-8 * exact.abs().max(1.0), "{difference}, {exact}");
}
