//! Networks that turn images into one number a class.
//!
//! Initial weights are drawn on the host from the seed alone. Burn's own initialisers draw from a
//! generator that all threads of a device share, and only when a weight is first used, so that
//! equal seeds would give equal weights only as long as nobody else draws.

mod cifar_resnet;
mod features;
pub(crate) mod init;
pub(crate) mod layers;
mod pyramid_net;
mod registry;
pub(crate) mod residual;
mod resnet;
mod small_cnn;
mod vision_transformer;
mod wide_resnet;

pub use cifar_resnet::{CifarResNet, CifarResNetConfig};
pub use layers::{Conv2d, Linear};
pub use pyramid_net::{PyramidNet, PyramidNetConfig};
pub use registry::{Model, ModelName};
pub use resnet::{ResNet, ResNetConfig};
pub use small_cnn::{SmallCnn, SmallCnnConfig};
pub use vision_transformer::{VisionTransformer, VisionTransformerConfig};
pub use wide_resnet::{WideResNet, WideResNetConfig};
