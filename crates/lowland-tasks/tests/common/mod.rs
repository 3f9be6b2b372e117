//! Tensors in `f64`, so that what is compared does not depend on the order in which a processor
//! adds; algorithms by name; trainings one at a time.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::tensor::{DType, Device, Tensor, TensorData};
use crc::{CRC_32_ISO_HDLC, Crc};
#[allow(unused_imports, reason = "each test binary uses a part")]
pub(crate) use in_f64::in_f64;
use lowland::Algorithm;

#[path = "../../../lowland/tests/common/in_f64.rs"]
mod in_f64;

/// A tensor of type `f64` with these values.
pub(crate) fn tensor<const D: usize>(
    values: Vec<f64>,
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), (device, DType::F64))
}

/// Numbers in [−1, 1): splitmix64 of the CRC-32 of a name and the place of each.
pub(crate) fn uniform(name: &str, count: usize) -> impl Iterator<Item = f64> {
    let seed = u64::from(Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(name.as_bytes())) << 32;
    (0..count).map(move |place| {
        let mut z = (seed | place as u64).wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        2.0 * ((z >> 11) as f64 / 2f64.powi(53)) - 1.0
    })
}

/// The values of a tensor that has the type `f64`.
pub(crate) fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    assert_eq!(tensor.dtype(), DType::F64);
    tensor.into_data().try_into_vec().unwrap()
}

/// Fails where `found` is further from `expected` than `tolerance` as a share of the largest of
/// `expected`.
#[track_caller]
pub(crate) fn assert_close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(0.0, |scale: f64, x| scale.max(x.abs()));
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let off = (found - expected).abs();
        assert!(off <= tolerance * scale, "{what} {i}: {found} and {expected}");
    }
}

/// The CPU backend has one generator for the whole process, so that trainings that draw on the
/// device must not run side by side.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The algorithm of that name, and what it cannot do without.
pub(crate) fn named(name: &str) -> Algorithm {
    Algorithm::named(name).unwrap().with_sample_count(100)
}
