//! The models that can be asked for by name.

use std::fmt;
use std::str::FromStr;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::{ResNet20, SmallCnn, SmallCnnConfig};
use crate::{Error, Result};

/// One of the networks of this crate, so that a program can choose at run time.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a program has one model, or a few")]
pub enum Model {
    /// See [`SmallCnn`].
    SmallCnn(SmallCnn),
    /// See [`ResNet20`].
    ResNet20(ResNet20),
}

impl Model {
    /// Images `[batch, channels, height, width]` to logits `[batch, classes]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        match self {
            Self::SmallCnn(model) => model.forward(images),
            Self::ResNet20(model) => model.forward(images),
        }
    }
}

/// A model that this crate can make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelName {
    /// [`SmallCnn`] with its default widths; named `small-cnn`.
    #[default]
    SmallCnn,
    /// [`ResNet20`]; named `resnet20`.
    #[serde(rename = "resnet20")]
    ResNet20,
}

impl ModelName {
    /// Every model, in the order in which lists show them.
    pub const ALL: [Self; 2] = [Self::SmallCnn, Self::ResNet20];

    /// The name in commands and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::SmallCnn => "small-cnn",
            Self::ResNet20 => "resnet20",
        }
    }

    /// What it is, in one line.
    pub fn description(self) -> &'static str {
        match self {
            Self::SmallCnn => {
                "three convolutions with BatchNorm, 11 thousand weights, for small images on a CPU"
            }
            Self::ResNet20 => "the residual network for CIFAR, 20 layers, 270 thousand weights",
        }
    }

    /// Makes the model for images of `channels` channels and for `classes` classes.
    ///
    /// Weights are a function of `seed` alone: the same on every device and whatever other threads
    /// do. On a device with autodiff the model is ready to be trained.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `classes` or `channels` is 0.
    pub fn init(
        self,
        classes: usize,
        channels: usize,
        seed: u64,
        device: &Device,
    ) -> Result<Model> {
        Ok(match self {
            Self::SmallCnn => {
                Model::SmallCnn(SmallCnnConfig::default().init(classes, channels, seed, device)?)
            }
            Self::ResNet20 => Model::ResNet20(ResNet20::init(classes, channels, seed, device)?),
        })
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for ModelName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|model| model.name() == name).ok_or_else(|| Error::Unknown {
            what: "model",
            name: name.to_owned(),
            known: Self::ALL.map(Self::name).join(", "),
        })
    }
}
