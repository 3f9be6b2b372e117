//! In which type of numbers a network computes.

use burn::tensor::{Device, FloatDType, Tensor};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::error::setting;
use crate::models::ModelName;

/// In which type of numbers a network computes while it learns.
///
/// Weights, their gradients, what an algorithm and its base optimizer keep, and the perturbation
/// are `f32` either way, and so is every measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// All in `f32`.
    #[default]
    F32,
    /// Convolutions and what passes between layers in `bf16`, which has the range of `f32` and 8
    /// bits of precision; normalisation, the mean over the image, the last layer and the loss in
    /// `f32`. Networks of convolutions can, on a device that has the type.
    Bf16,
}

impl Precision {
    /// The same numbers in this type.
    pub fn of<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::F32 => x,
            Self::Bf16 => x.cast(FloatDType::BF16),
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(crate) fn is_f32(&self) -> bool {
        *self == Self::F32
    }

    /// An error unless the network can.
    pub(crate) fn check(self, model: ModelName, quantised: bool) -> Result<()> {
        let holds = self == Self::F32 || (model.is_convolutional() && !quantised);
        setting(
            "precision",
            holds,
            "bf16",
            "f32 for transformers, a program's own networks and quantised ones",
        )
    }

    /// An error unless the device can.
    pub(crate) fn check_device(self, device: &Device) -> Result<()> {
        let holds = self == Self::F32 || device.supports_dtype(FloatDType::BF16);
        setting("precision", holds, "bf16", "f32 on this device")
    }
}
