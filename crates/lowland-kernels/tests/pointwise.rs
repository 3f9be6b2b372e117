//! Activations, softmax and sums, and their gradients, against Burn's own.

mod common;

use burn::tensor::activation;
use burn::tensor::{Device, Tensor};
use common::{assert_close, gradient, tensor, values};
use lowland_kernels::calls::{Kernel, calls};
use lowland_kernels::{add, gelu, relu, scaled_softmax, softmax};
use proptest::prelude::*;

type Function = fn(Tensor<2>) -> Tensor<2>;

fn run(function: Function, shape: [usize; 2], swapped: bool) -> [Tensor<2>; 2] {
    let device = Device::flex().autodiff();
    let x = (tensor(shape, 1, &device) * 4.0).require_grad();
    let input = if swapped { x.clone().swap_dims(0, 1) } else { x.clone() };
    let y = function(input);
    let gradients = (y.clone() * tensor(y.dims(), 3, &device)).sum().backward();
    [y.inner(), gradient(&gradients, &x)]
}

/// Each function, Burn's, and the kernels that it must run.
const FUNCTIONS: [(Function, Function, [Kernel; 2]); 5] = [
    (gelu, activation::gelu, [Kernel::Gelu, Kernel::GeluGradient]),
    (relu, activation::relu, [Kernel::Relu, Kernel::ReluGradient]),
    (|x| softmax(x, 1), |x| activation::softmax(x, 1), [Kernel::Softmax, Kernel::SoftmaxGradient]),
    (
        |x| scaled_softmax(x, 0.3),
        |x| activation::softmax(x.mul_scalar(0.3), 1),
        [Kernel::Softmax, Kernel::SoftmaxGradient],
    ),
    (|x| add(x.clone(), x.exp()), |x| x.clone() + x.exp(), [Kernel::Add, Kernel::Add]),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() })]

    #[test]
    fn functions_and_gradients_are_burns(
        rows in 1..70_usize, columns in 1..300_usize, swapped in any::<bool>(),
    ) {
        for (own, burns, kernels) in FUNCTIONS {
            let before = kernels.map(calls);
            let found = run(own, [rows, columns], swapped);
            for (before, after) in before.into_iter().zip(kernels.map(calls)) {
                assert!(after > before, "a kernel did not run");
            }
            let expected = run(burns, [rows, columns], swapped);
            for (found, expected) in found.into_iter().zip(expected) {
                assert_close("function", found, expected);
            }
        }
    }
}

#[test]
fn gradients_of_gelu_are_the_limits_of_differences() {
    let device = Device::flex().autodiff();
    let x = tensor([3, 50], 1, &device).require_grad();
    let slope = gradient(&gelu(x.clone()).sum().backward(), &x);
    let step = 1e-5;
    let at = |shift: f64| gelu(x.clone().inner().add_scalar(shift));
    let difference = (at(step) - at(-step)).div_scalar(2.0 * step);
    let worst = values((difference - slope).abs().max())[0];
    assert!(worst < 1e-9, "{worst}");
}

#[test]
fn what_is_not_a_number_stays_so() {
    let device = Device::flex();
    let x = Tensor::<1>::from_floats([f32::NAN, -1.0, 2.0], &device);
    for y in [relu(x.clone()), gelu(x.clone()), softmax(x.clone(), 0)] {
        assert!(values(y)[0].is_nan());
    }
}

#[test]
fn masked_places_get_nothing() {
    let device = Device::flex();
    let x = Tensor::<1>::from_floats([0.5, f32::NEG_INFINITY, -1.0e4], &device);
    assert_eq!(values(softmax(x, 0)), [1.0, 0.0, 0.0]);
}
