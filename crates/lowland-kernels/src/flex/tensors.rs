//! Numbers in and out of the tensors of Flex.

use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;
use burn::tensor::{Element, Shape, TensorData};

use crate::kernel::Real;
use crate::kernel::batch_norm;

/// Numbers of tensors that kernels compute with.
pub(super) trait Number: Real + Element {}
impl Number for f32 {}
impl Number for f64 {}

/// Evaluates an expression with `$number` standing for the type of a tensor's numbers.
macro_rules! by_type {
    ($tensor:ident, $number:ident => $body:expr) => {{
        match burn::backend::TensorMetadata::dtype(&$tensor) {
            burn::tensor::DType::F64 => {
                type $number = f64;
                $body
            }
            // The layers let nothing pass but this.
            _ => {
                type $number = f32;
                $body
            }
        }
    }};
}

/// The numbers of a contiguous tensor.
macro_rules! numbers {
    ($tensor:ident) => {
        $tensor.as_slice().expect("a contiguous tensor of the type of the others")
    };
}

/// The numbers of a contiguous tensor; none of one without numbers, which stands for none.
macro_rules! present {
    ($tensor:ident) => {
        (burn::backend::TensorMetadata::shape(&$tensor).num_elements() > 0)
            .then(|| $crate::flex::tensors::numbers!($tensor))
    };
}

pub(super) use {by_type, numbers, present};

/// The same tensors, copied where their numbers do not lie one after the other.
pub(super) fn contiguous<const N: usize>(tensors: [FlexTensor; N]) -> [FlexTensor; N] {
    tensors.map(|tensor| tensor.to_contiguous())
}

/// The same tensor with a memory that its numbers fill from end to end, so that others can be put
/// in their place by [`FlexTensor::storage_mut`]; that copies what other tensors hold as well.
pub(super) fn replaceable(tensor: FlexTensor) -> FlexTensor {
    // Taken by value: a second owner would make a copy necessary.
    let [tensor] = contiguous([tensor]);
    let size = tensor.shape().num_elements() * tensor.dtype().size();
    if tensor.bytes().len() == size { tensor } else { FlexTensor::from_data(tensor.into_data()) }
}

/// A tensor of numbers one after the other.
pub(super) fn tensor<T: Number>(numbers: Vec<T>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(numbers, shape))
}

/// The last dimension.
pub(super) fn last(x: &FlexTensor) -> usize {
    x.shape().last().copied().unwrap_or(1)
}

/// `[image, channel, ..]`.
pub(super) fn channels(x: &FlexTensor) -> batch_norm::Shape {
    let shape = x.shape();
    batch_norm::Shape { channels: shape[1], pixels: shape[2..].iter().product() }
}

/// The shape with another last dimension.
pub(super) fn with_last(x: &FlexTensor, last: usize) -> Shape {
    let mut shape = x.shape();
    if let Some(size) = shape.last_mut() {
        *size = last;
    }
    shape
}

/// What follows a batch normalisation.
pub(super) fn after<T>(relu: bool, other: Option<&[T]>) -> batch_norm::After<'_, T> {
    match (other, relu) {
        (Some(other), _) => batch_norm::After::AddRelu(other),
        (None, true) => batch_norm::After::Relu,
        (None, false) => batch_norm::After::Nothing,
    }
}
