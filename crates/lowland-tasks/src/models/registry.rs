//! The models that can be asked for by name.

use std::fmt;
use std::str::FromStr;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::{
    CifarResNet, CifarResNetConfig, PyramidNet, PyramidNetConfig, ResNet, ResNetConfig, SmallCnn,
    SmallCnnConfig, VisionTransformer, VisionTransformerConfig, WideResNet, WideResNetConfig,
};
use crate::data::ImageShape;
use crate::{Error, Result};

/// The two enums and what goes with each variant. A variant's name is part of the paths of its
/// parameters in saved weights.
macro_rules! register {
    ($(
        $(#[$attribute:meta])*
        $variant:ident($network:ident) = $name:literal, $config:expr, $description:literal;
    )*) => {
        /// One of the networks of this crate, so that a program can choose at run time.
        #[derive(Module, Debug)]
        #[expect(clippy::large_enum_variant, reason = "a program has one model, or a few")]
        pub enum Model {
            $(
                #[doc = concat!("The network named `", $name, "`.")]
                $variant($network),
            )*
        }

        impl Model {
            /// Images `[batch, channels, height, width]` to logits `[batch, classes]`.
            ///
            /// # Panics
            ///
            /// If the images have another number of channels than the network was made for, or a size
            /// that [`ModelName::check`] refuses.
            pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
                match self { $(Self::$variant(model) => model.forward(images),)* }
            }
        }

        /// A model that this crate can make.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ModelName {
            $(
                $(#[$attribute])*
                #[doc = concat!("[`", stringify!($network), "`], ", $description, "; named `", $name, "`.")]
                #[serde(rename = $name)]
                $variant,
            )*
        }

        impl ModelName {
            /// Every model, in the order in which lists show them.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// The name in commands and files.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it is, in one line.
            pub fn description(self) -> &'static str {
                match self { $(Self::$variant => $description,)* }
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
                    $(Self::$variant => {
                        Model::$variant($config.init(classes, channels, seed, device)?)
                    })*
                })
            }
        }
    };
}

// A network is its file and its lines here.
register! {
    #[default]
    SmallCnn(SmallCnn) = "small-cnn", SmallCnnConfig::default(),
        "three convolutions with BatchNorm, 11 thousand weights, for small images on a CPU";
    ResNet20(CifarResNet) = "resnet20", CifarResNetConfig::RESNET_20,
        "the residual network for CIFAR, 20 layers, 270 thousand weights";
    ResNet56(CifarResNet) = "resnet56", CifarResNetConfig::RESNET_56,
        "the residual network for CIFAR, 56 layers, 850 thousand weights";
    ResNet18(ResNet) = "resnet18", ResNetConfig::default(),
        "the residual network for ImageNet with a stem for CIFAR, 18 layers, 11.2 million weights";
    Wrn28x10(WideResNet) = "wrn-28-10", WideResNetConfig::WRN_28_10,
        "the wide residual network, 28 layers, 36.5 million weights";
    Wrn34x10(WideResNet) = "wrn-34-10", WideResNetConfig::WRN_34_10,
        "the wide residual network that ARSAM's authors call WideResNet-28-10, 46.2 million weights";
    PyramidNet110(PyramidNet) = "pyramidnet110", PyramidNetConfig::default(),
        "the pyramidal residual network, 110 layers, alpha 270, 28.5 million weights";
    Vit(VisionTransformer) = "vit", VisionTransformerConfig::default(),
        "a vision transformer for images up to 32x32, patches of 4x4, 2.7 million weights";
}

impl ModelName {
    /// Whether the model takes images of this size.
    ///
    /// # Errors
    ///
    /// [`Error::Images`] that says which sizes it takes.
    pub fn check(self, images: ImageShape) -> Result<()> {
        match self {
            Self::Vit => VisionTransformerConfig::default().check(images),
            _ => Ok(()),
        }
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
