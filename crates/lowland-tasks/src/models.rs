//! Networks that turn images into one number a class.
//!
//! Initial weights are drawn on the host from the seed alone. Burn's own initialisers draw from a
//! generator that all threads of a device share, and only when a weight is first used, so that
//! equal seeds would give equal weights only as long as nobody else draws.

mod cifar_resnet;
mod erased;
mod features;
pub(crate) mod init;
pub(crate) mod layers;
mod pyramid_net;
pub(crate) mod residual;
mod resnet;
mod small_cnn;
mod vision_transformer;
mod wide_resnet;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

pub use cifar_resnet::{CifarResNet, CifarResNetConfig};
pub use erased::OwnNetwork;
pub use layers::{Conv2d, Linear};
pub use pyramid_net::{PyramidNet, PyramidNetConfig};
pub use residual::BlockKind;
pub use resnet::{ResNet, ResNetConfig, ResNetStem};
pub use small_cnn::{SmallCnn, SmallCnnConfig};
pub use vision_transformer::{VisionTransformer, VisionTransformerConfig};
pub use wide_resnet::{WideResNet, WideResNetConfig};

use crate::data::{ImageShape, files};
use crate::pose::{PoseNet, PoseNetConfig};
use crate::text::{TextClassifier, TextInput};
use crate::weights::{self, Export, Head, Names, to_safetensors};
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
        #[allow(clippy::large_enum_variant, reason = "a program has one model, or a few")]
        pub enum Model {
            $(
                #[doc = concat!("The network named `", $name, "`.")]
                $variant($network),
            )*
            /// The network named `pose-small` or `pose-resnet18`.
            Pose(PoseNet),
            /// The network named `transformer`.
            Transformer(TextClassifier),
            /// The network named `own`, of a program's own task.
            Own(OwnNetwork),
        }

        impl Model {
            /// Images `[batch, channels, height, width]` to logits `[batch, classes]`.
            ///
            /// # Panics
            ///
            /// If the images have another number of channels than the network was made for, or a
            /// size that [`ModelName::check`] refuses, and if the network does not classify images.
            pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
                match self {
                    $(Self::$variant(model) => model.forward(images),)*
                    Self::Pose(_) | Self::Transformer(_) | Self::Own(_) => {
                        panic!("the network does not classify images")
                    }
                }
            }
        }

        /// A model that this crate can make.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub enum ModelName {
            $(
                $(#[$attribute])*
                #[doc = concat!("[`", stringify!($network), "`], ", $description, "; named `", $name, "`.")]
                #[serde(rename = $name)]
                $variant,
            )*
            /// [`PoseNetConfig::small`](crate::pose::PoseNetConfig::small), for joints; named
            /// `pose-small`.
            #[serde(rename = "pose-small")]
            PoseSmall,
            /// [`PoseNetConfig::resnet18`](crate::pose::PoseNetConfig::resnet18), for joints; named
            /// `pose-resnet18`.
            #[serde(rename = "pose-resnet18")]
            PoseResNet18,
            /// [`TextClassifier`], for texts; named `transformer`.
            #[serde(rename = "transformer")]
            Transformer,
            /// That of a program's own task; named `own`. No list has it.
            #[serde(rename = "own")]
            Own,
        }

        impl ModelName {
            /// Every model that classifies images.
            pub const IMAGES: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// Every model, in the order in which lists show them.
            pub const ALL: [Self; 3 + [$($name),*].len()] =
                [$(Self::$variant,)* Self::PoseSmall, Self::PoseResNet18, Self::Transformer];

            /// The name in commands and files.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::PoseSmall => "pose-small",
                    Self::PoseResNet18 => "pose-resnet18",
                    Self::Transformer => "transformer",
                    Self::Own => "own",
                }
            }

            /// What it is, in one line.
            pub fn description(self) -> &'static str {
                match self {
                    $(Self::$variant => $description,)*
                    Self::PoseSmall => "a small residual network with transposed convolutions, for joints on a CPU",
                    Self::PoseResNet18 => "ResNet-18 with transposed convolutions, for joints, 15.4 million weights",
                    Self::Transformer => "a pretrained BERT from the folder of --from, for texts",
                    Self::Own => "the network of the program's own task",
                }
            }

            /// Makes the model for images of `channels` channels and for `classes` classes.
            ///
            /// Weights are a function of `seed` alone: the same on every device and whatever other
            /// threads do. On a device with autodiff the model is ready to be trained.
            ///
            /// # Errors
            ///
            /// [`Error::Setting`] if `classes` or `channels` is 0, or the model does not classify
            /// images.
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
                    Self::PoseSmall | Self::PoseResNet18 | Self::Transformer | Self::Own => {
                        return Err(self.not("one that classifies images"));
                    }
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
    SmallCnnWide(SmallCnn) = "small-cnn-wide", SmallCnnConfig::WIDE,
        "the same, with 105 thousand weights, which can learn wrong labels by heart";
    ResNet20(CifarResNet) = "resnet20", CifarResNetConfig::RESNET_20,
        "the residual network for CIFAR, 20 layers, 270 thousand weights";
    ResNet56(CifarResNet) = "resnet56", CifarResNetConfig::RESNET_56,
        "the residual network for CIFAR, 56 layers, 850 thousand weights";
    ResNet18(ResNet) = "resnet18", ResNetConfig::CIFAR_18,
        "the residual network for ImageNet with a stem for CIFAR, 18 layers, 11.2 million weights";
    ImageNetResNet18(ResNet) = "resnet18-imagenet", ResNetConfig::IMAGENET_18,
        "torchvision's resnet18, whose weights it takes (--from), 11.7 million weights";
    ImageNetResNet34(ResNet) = "resnet34-imagenet", ResNetConfig::IMAGENET_34,
        "torchvision's resnet34, whose weights it takes (--from), 21.8 million weights";
    ImageNetResNet50(ResNet) = "resnet50-imagenet", ResNetConfig::IMAGENET_50,
        "torchvision's resnet50, whose weights it takes (--from), 25.6 million weights";
    Wrn28x10(WideResNet) = "wrn-28-10", WideResNetConfig::WRN_28_10,
        "the wide residual network, 28 layers, 36.5 million weights";
    Wrn34x10(WideResNet) = "wrn-34-10", WideResNetConfig::WRN_34_10,
        "the wide residual network that ARSAM's authors call WideResNet-28-10, 46.2 million weights";
    PyramidNet110(PyramidNet) = "pyramidnet110", PyramidNetConfig::default(),
        "the pyramidal residual network, 110 layers, alpha 270, 28.5 million weights";
    Vit(VisionTransformer) = "vit", VisionTransformerConfig::default(),
        "a vision transformer for images up to 32x32, patches of 4x4, 2.7 million weights";
}

impl Model {
    /// Images `[batch, 3, height, width]` to heatmaps of joints
    /// `[batch, joints, height / 4, width / 4]`.
    ///
    /// # Panics
    ///
    /// If the network is not one for joints, as [`ModelName::init_pose`] makes it.
    pub fn heatmaps(&self, images: Tensor<4>) -> Tensor<4> {
        let Self::Pose(model) = self else { panic!("the network is not one for joints") };
        model.forward(images)
    }

    /// Texts to logits `[batch, classes]`.
    ///
    /// # Panics
    ///
    /// If the network is no transformer.
    pub fn read(&self, texts: TextInput) -> Tensor<2> {
        let Self::Transformer(model) = self else { panic!("the network is no transformer") };
        model.forward(texts)
    }
}

impl Model {
    /// The network of a program's own task, if it is of this type.
    pub fn own<M: Module + 'static>(&self) -> Option<&M> {
        let Self::Own(network) = self else { return None };
        network.get()
    }

    /// What its tensors are called where PyTorch reads them.
    pub fn names(&self) -> Names {
        match self {
            Self::ResNet20(network) | Self::ResNet56(network) => Names::ResNet(network.stages()),
            Self::ResNet18(network)
            | Self::ImageNetResNet18(network)
            | Self::ImageNetResNet34(network)
            | Self::ImageNetResNet50(network) => Names::ResNet(network.stages()),
            Self::Transformer(_) => Names::Bert,
            _ => Names::Own,
        }
    }
}

impl Model {
    /// The network with the weights of a file, as [`parse`](crate::weights::parse) reads them. With
    /// `new_head` the last layer keeps its own.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if the file cannot be read, [`Error::Weights`] if it holds no weights or
    /// those of another network.
    pub fn with_weights(self, path: &Path, new_head: bool) -> Result<Self> {
        let stored = weights::parse(path, files::read(path)?)?;
        let head = if new_head { Head::New } else { Head::Loaded };
        let names = self.names();
        weights::load(self, &stored, &names, head, path)
    }

    /// Its weights for PyTorch's `load_state_dict`, as [`to_safetensors`] writes them, with what
    /// goes with them. Low-rank adapters are added to the weights that they belong to.
    ///
    /// # Errors
    ///
    /// [`Error::Algorithm`] where the device cannot be read.
    pub fn to_safetensors(self, export: &Export) -> Result<Vec<u8>> {
        let names = self.names();
        let merged = match self {
            Self::Transformer(network) => Self::Transformer(network.merged()),
            network => network,
        };
        to_safetensors(&merged, &names, &export.metadata)
    }
}

impl ModelName {
    /// Whether published weights of it were trained on `ImageNet`.
    pub(crate) fn is_of_imagenet(self) -> bool {
        matches!(self, Self::ImageNetResNet18 | Self::ImageNetResNet34 | Self::ImageNetResNet50)
    }

    /// Makes the model for people of `joints` joints, as [`init`](Self::init) does for images.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if `joints` is 0, or the model is not one for joints.
    pub fn init_pose(self, joints: usize, seed: u64, device: &Device) -> Result<Model> {
        let config = match self {
            Self::PoseSmall => PoseNetConfig::small(),
            Self::PoseResNet18 => PoseNetConfig::resnet18(),
            _ => return Err(self.not("one for joints: pose-small or pose-resnet18")),
        };
        Ok(Model::Pose(config.init(joints, seed, device)?))
    }

    /// Whether it is made of convolutions.
    pub(crate) fn is_convolutional(self) -> bool {
        !matches!(self, Self::Vit | Self::Transformer | Self::Own)
    }

    /// An error unless the model is one for texts.
    pub(crate) fn require_text(self) -> Result<()> {
        if self == Self::Transformer { Ok(()) } else { Err(self.not("one for texts: transformer")) }
    }

    fn not(self, allowed: &'static str) -> Error {
        Error::Setting { field: "model", found: self.name().to_owned(), allowed }
    }

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
        Self::ALL
            .into_iter()
            .find(|model| model.name() == name)
            .ok_or_else(|| Error::unknown("model", name, &Self::ALL.map(Self::name)))
    }
}

impl TryFrom<String> for ModelName {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        // In the settings of runs, and nothing that one can ask for.
        if name == Self::Own.name() { Ok(Self::Own) } else { name.parse() }
    }
}
