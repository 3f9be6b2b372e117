//! What several tests share.

#![allow(dead_code, reason = "each test uses some of it")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, FloatDType, Gradients, Tensor, TensorData};

/// Numbers in `f64` between −1 and 1, that follow from a seed.
pub(crate) fn numbers<const D: usize>(shape: [usize; D], seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    };
    (0..shape.iter().product()).map(|_| next()).collect()
}

/// A tensor of [`numbers`], in `f64`.
pub(crate) fn tensor<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    let data = TensorData::new(numbers(shape, seed), shape);
    Tensor::from_data(data, (device, DType::F64))
}

/// The same in `f32`.
pub(crate) fn single<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    tensor(shape, seed, device).cast(FloatDType::F32)
}

/// The numbers of a tensor.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.cast(FloatDType::F64).into_data().try_to_vec().unwrap()
}

/// The bits of a tensor of `f32`.
pub(crate) fn bits<const D: usize>(tensor: Tensor<D>) -> Vec<u32> {
    let numbers: Vec<f32> = tensor.into_data().try_to_vec().unwrap();
    numbers.into_iter().map(f32::to_bits).collect()
}

/// Puts numbers into all weights.
struct Fill {
    seed: u64,
    device: Device,
    dtype: FloatDType,
}

impl ModuleMapper for Fill {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.seed += 1;
        let value = tensor(param.dims(), self.seed, &self.device);
        Param::from_tensor(value.cast(self.dtype))
    }
}

/// The layer with [`numbers`] of a type in all weights.
pub(crate) fn filled<M: Module>(layer: M, device: &Device, dtype: FloatDType) -> M {
    layer.map(&mut Fill { seed: 10, device: device.clone(), dtype })
}

/// That two tensors agree to 1e-11 of the largest number.
#[track_caller]
pub(crate) fn assert_close<const D: usize>(what: &str, found: Tensor<D>, expected: Tensor<D>) {
    assert_within(1e-11, what, found, expected);
}

/// That two tensors agree to a share of the largest number.
#[track_caller]
pub(crate) fn assert_within<const D: usize>(
    most: f64,
    what: &str,
    found: Tensor<D>,
    expected: Tensor<D>,
) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    let (found, expected) = (values(found), values(expected));
    let largest = expected.iter().fold(1.0, |a: f64, b| a.max(b.abs()));
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let error = (found - expected).abs() / largest;
        assert!(error <= most, "{what}, number {i}: {found} instead of {expected}");
    }
}

/// The gradient of a tensor.
#[track_caller]
pub(crate) fn gradient<const D: usize>(gradients: &Gradients, of: &Tensor<D>) -> Tensor<D> {
    of.grad(gradients).unwrap()
}
