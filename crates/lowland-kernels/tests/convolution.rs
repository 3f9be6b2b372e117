//! Convolutions and their gradients against Burn's own.

mod common;

use burn::module::Param;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};
use common::{assert_close, gradient, tensor, values};
use lowland_kernels::calls::{Kernel, calls};
use lowland_kernels::convolve;
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Case {
    images: usize,
    groups: usize,
    from: usize,
    to: usize,
    size: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
    bias: bool,
    /// Rows and columns of the images are swapped in memory.
    swapped: bool,
}

impl Case {
    fn options(&self) -> ConvOptions<2> {
        ConvOptions::new(self.stride, self.padding, self.dilation, self.groups)
    }

    fn fits(&self) -> bool {
        (0..2).all(|d| self.size[d] + 2 * self.padding[d] > self.dilation[d] * (self.kernel[d] - 1))
    }

    fn channels(&self) -> usize {
        self.groups * self.from
    }

    fn weight_shape(&self) -> [usize; 4] {
        [self.groups * self.to, self.from, self.kernel[0], self.kernel[1]]
    }
}

fn case() -> impl Strategy<Value = Case> {
    let pair = |range: std::ops::Range<usize>| [range.clone(), range];
    let sizes = (1..11_usize, 1..4_usize, 1..8_usize, 4..24_usize, pair(1..21));
    let shapes = (pair(1..5), pair(1..4), pair(0..4), pair(1..3), any::<bool>(), any::<bool>());
    (sizes, shapes).prop_map(|(sizes, shapes)| {
        let (images, groups, from, to, size) = sizes;
        let (kernel, stride, padding, dilation, bias, swapped) = shapes;
        Case { images, groups, from, to, size, kernel, stride, padding, dilation, bias, swapped }
    })
}

type Run = fn(Tensor<4>, Tensor<4>, Option<Tensor<1>>, ConvOptions<2>) -> Tensor<4>;

/// Output and gradients of input, weights and bias, of a loss that weighs each output.
fn run(case: &Case, function: Run) -> (Tensor<4>, Tensor<4>, Tensor<4>, Option<Tensor<1>>) {
    let device = Device::flex().autodiff();
    let [height, width] = case.size;
    let x = if case.swapped {
        tensor([case.images, case.channels(), width, height], 1, &device)
    } else {
        tensor([case.images, case.channels(), height, width], 1, &device)
    };
    let x = x.require_grad();
    let w = tensor(case.weight_shape(), 2, &device).require_grad();
    let bias = case.bias.then(|| tensor([case.groups * case.to], 3, &device).require_grad());
    let images = if case.swapped { x.clone().swap_dims(2, 3) } else { x.clone() };
    let y = function(images, w.clone(), bias.clone(), case.options());
    let gradients = (y.clone() * tensor(y.dims(), 4, &device)).sum().backward();
    let bias = bias.map(|bias| gradient(&gradients, &bias));
    (y.inner(), gradient(&gradients, &x), gradient(&gradients, &w), bias)
}

fn own(x: Tensor<4>, w: Tensor<4>, bias: Option<Tensor<1>>, options: ConvOptions<2>) -> Tensor<4> {
    convolve(x, w, bias, options)
}

fn burns(
    x: Tensor<4>,
    w: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
) -> Tensor<4> {
    conv2d(x, w, bias, options)
}

fn check(case: &Case) {
    let counted =
        || [Kernel::Convolution, Kernel::ConvolutionInput, Kernel::ConvolutionWeight].map(calls);
    let before = counted();
    let (y, dx, dw, db) = run(case, own);
    let after = counted();
    for (before, after) in before.into_iter().zip(after) {
        assert!(after > before, "a kernel did not run");
    }
    let (expected_y, expected_dx, expected_dw, expected_db) = run(case, burns);
    assert_close("output", y, expected_y);
    assert_close("gradient of the input", dx, expected_dx);
    assert_close("gradient of the weights", dw, expected_dw);
    if let (Some(db), Some(expected)) = (db, expected_db) {
        assert_close("gradient of the bias", db, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn convolutions_and_gradients_are_burns(case in case().prop_filter("fits", Case::fits)) {
        check(&case);
    }
}

fn usual(images: usize, from: usize, to: usize, size: usize, kernel: usize, stride: usize) -> Case {
    Case {
        images,
        groups: 1,
        from,
        to,
        size: [size; 2],
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [kernel / 2; 2],
        dilation: [1; 2],
        bias: false,
        swapped: false,
    }
}

#[test]
fn layers_of_residual_networks_are_burns() {
    // Small images go several at a time, large ones in blocks of rows, many channels in blocks of
    // taps.
    for (images, from, to, size, kernel, stride) in [
        (9, 3, 16, 32, 3, 1),
        (3, 16, 32, 32, 3, 2),
        (33, 40, 64, 4, 3, 1),
        (2, 64, 130, 8, 3, 1),
        (9, 64, 20, 8, 1, 2),
        (5, 6, 7, 33, 1, 1),
        (17, 1, 8, 28, 5, 2),
    ] {
        check(&usual(images, from, to, size, kernel, stride));
    }
}

/// A row of so few pixels is put side by side with others, of which not even one tap's fit where
/// they are put.
#[test]
fn tall_and_narrow_images_are_burns() {
    check(&Case { size: [4100, 8], ..usual(1, 2, 4, 8, 3, 1) });
}

#[test]
fn gradients_are_the_limits_of_differences() {
    let device = Device::flex().autodiff();
    let shape = [2, 3, 6, 5];
    let weights = tensor([8, 3, 3, 3], 2, &device).require_grad();
    let options = || ConvOptions::new([2, 1], [1, 2], [1, 1], 1);
    let x = tensor(shape, 1, &device).require_grad();
    let loss = |x: Tensor<4>, w: Tensor<4>| {
        let y = convolve(x, w, None, options());
        (y.clone() * tensor(y.dims(), 5, &device)).sum()
    };
    let gradients = loss(x.clone(), weights.clone()).backward();

    let at = |x: Tensor<4>, w: Tensor<4>| values(loss(x, w).inner())[0];
    // The loss is linear in either, so that a difference has no error but that of rounding.
    let direction = tensor(shape, 7, &device);
    let difference =
        at(x.clone() + direction.clone(), weights.clone()) - at(x.clone(), weights.clone());
    let slope = values((gradient(&gradients, &x) * direction.inner()).sum())[0];
    assert!((difference - slope).abs() < 1e-10, "{difference} and {slope}");

    let direction = tensor(weights.dims(), 8, &device);
    let difference = at(x.clone(), weights.clone() + direction.clone()) - at(x, weights.clone());
    let slope = values((gradient(&gradients, &weights) * direction.inner()).sum())[0];
    assert!((difference - slope).abs() < 1e-10, "{difference} and {slope}");
}

#[test]
fn layers_with_every_padding_are_burns() {
    let device = Device::flex();
    let before = calls(Kernel::Convolution);
    let paddings =
        [PaddingConfig2d::Same, PaddingConfig2d::Valid, PaddingConfig2d::Explicit(1, 2, 0, 1)];
    for padding in paddings {
        for stride in [1, 2, 3] {
            let mut layer = Conv2dConfig::new([3, 5], [3, 4])
                .with_stride([stride; 2])
                .with_padding(padding.clone())
                .init(&device);
            layer.weight = Param::from_tensor(tensor([5, 3, 3, 4], 2, &device));
            layer.bias = Some(Param::from_tensor(tensor([5], 3, &device)));
            let x = tensor([2, 3, 7, 9], 1, &device);
            let found = lowland_kernels::conv2d(&layer, x.clone());
            assert_close(&format!("{padding:?}, stride {stride}"), found, layer.forward(x));
        }
    }
    // Burn computes those whose padding differs between two sides.
    assert!(calls(Kernel::Convolution) >= before + 3, "the kernel did not run");
}

#[test]
fn other_types_go_to_burn() {
    let device = Device::flex();
    let half = burn::tensor::FloatDType::BF16;
    let x = tensor([1, 3, 6, 6], 1, &device).cast(half);
    let w = tensor([4, 3, 3, 3], 2, &device).cast(half);
    let options = || ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    let (found, expected) =
        (convolve(x.clone(), w.clone(), None, options()), conv2d(x, w, None, options()));
    assert_eq!(found.dtype(), expected.dtype());
    assert_eq!(values(found), values(expected));
}

#[test]
fn frozen_tensors_get_no_gradient() {
    let device = Device::flex().autodiff();
    let x = tensor([9, 3, 6, 6], 1, &device);
    let w = tensor([4, 3, 3, 3], 2, &device).require_grad();
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    let gradients = convolve(x.clone(), w.clone(), None, options).sum().backward();
    assert!(x.grad(&gradients).is_none());
    assert!(w.grad(&gradients).is_some());
}
